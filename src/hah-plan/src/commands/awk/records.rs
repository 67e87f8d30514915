//! Records and fields.

use std::rc::Rc;

use crate::commands::Refusal;
use crate::commands::regex::{Dialect, Pattern, Reading};

/// Bytes that are read record by record.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    bytes: Rc<[u8]>,
    at: usize,
}

/// What ends a record.
#[derive(Clone, Debug)]
pub(super) enum Separator {
    Byte(u8),
    /// Empty lines: an empty RS.
    Paragraph,
    Pattern(Rc<Pattern>),
}

impl Reader {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), at: 0 }
    }

    /// The next record, without its end.
    pub(super) fn next(&mut self, separator: &Separator) -> Result<Option<Vec<u8>>, Refusal> {
        let bytes = Rc::clone(&self.bytes);
        if let Separator::Paragraph = separator {
            self.at += bytes[self.at..].iter().take_while(|byte| **byte == b'\n').count();
        }
        let rest = &bytes[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let end = match separator {
            Separator::Byte(byte) => memchr::memchr(*byte, rest).map(|end| end..end + 1),
            Separator::Paragraph => rest.windows(2).position(|pair| pair == b"\n\n").map(|end| end..end + 2),
            Separator::Pattern(pattern) => pattern.find_at(rest, 0)?.filter(|found| !found.is_empty()),
        };
        let (record, used) = match end {
            Some(end) => (&rest[..end.start], end.end),
            None => (rest, rest.len()),
        };
        self.at += used;
        // The last line end of the input is no part of the last paragraph, nor of a record that a pattern ends.
        let record = match separator {
            Separator::Paragraph if used == rest.len() => record.strip_suffix(b"\n").unwrap_or(record),
            _ => record,
        };
        Ok(Some(record.to_vec()))
    }
}

/// How a record or a text is taken apart.
#[derive(Clone, Debug)]
pub(super) enum FieldSeparator {
    /// Runs of blanks and line ends: a single blank.
    Blanks,
    Byte(u8),
    /// Between all bytes: an empty one.
    Everywhere,
    Pattern(Rc<Pattern>),
}

/// Compiles a pattern of awk's language.
pub(super) fn compile(text: &[u8]) -> Result<Rc<Pattern>, Refusal> {
    Ok(Rc::new(Pattern::new(text, Reading::plain(Dialect::Awk, false))?))
}

/// The parts of `text`; with `paragraph`, line ends separate too.
pub(super) fn split(text: &[u8], separator: &FieldSeparator, paragraph: bool) -> Result<Vec<Vec<u8>>, Refusal> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(match separator {
        FieldSeparator::Blanks => text
            .split(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
            .filter(|part| !part.is_empty())
            .map(<[u8]>::to_vec)
            .collect(),
        FieldSeparator::Byte(byte) => {
            text.split(|one| one == byte || paragraph && *one == b'\n').map(<[u8]>::to_vec).collect()
        }
        FieldSeparator::Everywhere => text.iter().map(|byte| vec![*byte]).collect(),
        FieldSeparator::Pattern(pattern) => {
            let mut parts = Vec::new();
            for line in text.split(|byte| paragraph && *byte == b'\n') {
                let (mut start, mut from) = (0, 0);
                while let Some(found) = pattern.find_at(line, from)? {
                    if found.is_empty() {
                        from = found.end + 1;
                        if from > line.len() {
                            break;
                        }
                        continue;
                    }
                    parts.push(line[start..found.start].to_vec());
                    (start, from) = (found.end, found.end);
                }
                parts.push(line[start..].to_vec());
            }
            parts
        }
    })
}
