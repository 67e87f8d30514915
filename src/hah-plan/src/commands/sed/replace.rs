//! The right side of sed's `s`: text, groups, and changes of case.

use super::escapes::{named, numbered};
use super::script::ScriptError;
use crate::commands::regex::Range;

/// A part of a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replacement {
    /// Text as it is.
    Text(Vec<u8>),
    /// What a group holds; 0 is the whole match.
    Group(usize),
    /// `\U`, `\L`, `\E`, `\u`, `\l`.
    Case(char),
}

/// Reads a right side.
pub(super) fn parse_replacement(text: &str) -> Result<Vec<Replacement>, ScriptError> {
    let mut parts: Vec<Replacement> = Vec::new();
    let mut plain = String::new();
    let mut left = text.chars().peekable();
    while let Some(letter) = left.next() {
        let special = match letter {
            '&' => Replacement::Group(0),
            '\\' => match left.next() {
                Some(digit @ '0'..='9') => Replacement::Group(digit as usize - '0' as usize),
                Some(case @ ('U' | 'L' | 'E' | 'u' | 'l')) => Replacement::Case(case),
                Some(other) => {
                    plain.push(match other {
                        'n' => '\n',
                        'x' | 'd' | 'o' => numbered(other, &mut left)?,
                        'c' => return Err(ScriptError::Refused("\\c in a replacement".to_owned())),
                        other => named(other).unwrap_or(other),
                    });
                    continue;
                }
                None => {
                    plain.push('\\');
                    continue;
                }
            },
            _ => {
                plain.push(letter);
                continue;
            }
        };
        if !plain.is_empty() {
            parts.push(Replacement::Text(std::mem::take(&mut plain).into_bytes()));
        }
        parts.push(special);
    }
    if !plain.is_empty() {
        parts.push(Replacement::Text(plain.into_bytes()));
    }
    Ok(parts)
}

/// Puts together what replaces one match.
pub(super) fn expand(parts: &[Replacement], line: &[u8], groups: &[Option<Range>], out: &mut Vec<u8>) {
    let (mut lasting, mut once) = (None, None);
    for part in parts {
        let text: &[u8] = match part {
            Replacement::Case('E') => {
                lasting = None;
                continue;
            }
            Replacement::Case(case @ ('U' | 'L')) => {
                lasting = Some(*case);
                once = None;
                continue;
            }
            Replacement::Case(case) => {
                once = Some(*case);
                continue;
            }
            Replacement::Text(text) => text,
            Replacement::Group(group) => match groups.get(*group).cloned().flatten() {
                Some(range) => &line[range],
                None => b"",
            },
        };
        if text.is_empty() {
            continue;
        }
        if lasting.is_none() && once.is_none() {
            out.extend_from_slice(text);
            continue;
        }
        let text = String::from_utf8_lossy(text).into_owned();
        let mut changed = String::new();
        for letter in text.chars() {
            match once.take().or(lasting) {
                Some('U' | 'u') => changed.extend(letter.to_uppercase()),
                Some(_) => changed.extend(letter.to_lowercase()),
                None => changed.push(letter),
            }
        }
        out.extend_from_slice(changed.as_bytes());
    }
}
