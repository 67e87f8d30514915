//! Patterns: what `case`, `${x#…}` and pathname expansion match with (POSIX.1-2017, 2.13).

use hah_format::path::TreePath;

use crate::world::{Follow, World};

/// A character, and whether it was quoted: then it stands for itself.
pub(super) type Marked = (char, bool);

/// One step of a pattern. Patterns are matched byte by byte, as dash does: a `?` is one byte.
enum Step {
    One(u8),
    Any,
    Many,
    Class { negated: bool, items: Vec<Item> },
}

enum Item {
    Range(u8, u8),
    Named(String),
}

/// Whether any character of `pattern` means more than itself. A `[` that nothing closes does not: it is the command.
pub(super) fn is_pattern(pattern: &[Marked]) -> bool {
    pattern.iter().enumerate().any(|(at, (c, quoted))| {
        !quoted && (matches!(c, '*' | '?') || (*c == '[' && pattern[at + 1..].iter().any(|(c, _)| *c == ']')))
    })
}

/// Whether the whole `text` is what `pattern` describes.
pub(super) fn matches(pattern: &[Marked], text: &str) -> bool {
    matches_steps(&compile(pattern), text.as_bytes())
}

/// The prefix or suffix of `text` that `pattern` describes, as lengths in bytes, shortest first.
pub(super) fn trims(pattern: &[Marked], text: &[u8], suffix: bool) -> impl DoubleEndedIterator<Item = usize> {
    let steps = compile(pattern);
    let fits = |length: &usize| {
        let part = if suffix { &text[text.len() - length..] } else { &text[..*length] };
        matches_steps(&steps, part)
    };
    (0..=text.len()).filter(fits).collect::<Vec<_>>().into_iter()
}

fn compile(pattern: &[Marked]) -> Vec<Step> {
    let mut bytes = Vec::with_capacity(pattern.len());
    for (c, quoted) in pattern {
        bytes.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| (byte, *quoted)));
    }
    let pattern = bytes.as_slice();
    let (mut steps, mut at) = (Vec::new(), 0);
    while let Some(&(c, quoted)) = pattern.get(at) {
        at += 1;
        let step = match (c, quoted) {
            (b'*', false) if matches!(steps.last(), Some(Step::Many)) => continue,
            (b'*', false) => Step::Many,
            (b'?', false) => Step::Any,
            (b'[', false) => match class(&pattern[at..]) {
                Some((step, length)) => {
                    at += length;
                    step
                }
                None => Step::One(b'['),
            },
            (b'\\', false) => match pattern.get(at) {
                Some(&(next, _)) => {
                    at += 1;
                    Step::One(next)
                }
                None => Step::One(b'\\'),
            },
            _ => Step::One(c),
        };
        steps.push(step);
    }
    steps
}

/// A bracket expression behind its `[`, and its length; `None` when it is not closed.
fn class(pattern: &[(u8, bool)]) -> Option<(Step, usize)> {
    let (mut at, mut items) = (0, Vec::new());
    // `^` is nothing special, as in dash.
    let negated = matches!(pattern.first(), Some((b'!', false)));
    if negated {
        at += 1;
    }
    let start = at;
    loop {
        let &(c, quoted) = pattern.get(at)?;
        if c == b']' && !quoted && at > start {
            return Some((Step::Class { negated, items }, at + 1));
        }
        if c == b'[' && !quoted && pattern.get(at + 1) == Some(&(b':', false)) {
            let end = pattern[at + 2..].windows(2).position(|pair| pair[0].0 == b':' && pair[1].0 == b']')?;
            items.push(Item::Named(pattern[at + 2..at + 2 + end].iter().map(|(c, _)| char::from(*c)).collect()));
            at += end + 4;
            continue;
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some((b'-', false)), Some(&(last, _))) if last != b']' => {
                items.push(Item::Range(c, last));
                at += 3;
            }
            _ => {
                items.push(Item::Range(c, c));
                at += 1;
            }
        }
    }
}

fn matches_steps(steps: &[Step], text: &[u8]) -> bool {
    // Where to go back to: the step behind the last `*`, and how much text it has taken.
    let (mut step, mut at, mut back) = (0, 0, None);
    loop {
        match steps.get(step) {
            Some(Step::Many) => {
                step += 1;
                back = Some((step, at));
                continue;
            }
            Some(one) if text.get(at).is_some_and(|c| one.admits(*c)) => {
                step += 1;
                at += 1;
                continue;
            }
            None if at == text.len() => return true,
            _ => {}
        }
        match back {
            Some((from, taken)) if taken < text.len() => {
                back = Some((from, taken + 1));
                step = from;
                at = taken + 1;
            }
            _ => return false,
        }
    }
}

impl Step {
    fn admits(&self, c: u8) -> bool {
        match self {
            Self::One(own) => *own == c,
            Self::Any => true,
            Self::Many => false,
            Self::Class { negated, items } => items.iter().any(|item| item.admits(c)) != *negated,
        }
    }
}

impl Item {
    fn admits(&self, c: u8) -> bool {
        match self {
            Self::Range(first, last) => (*first..=*last).contains(&c),
            Self::Named(name) => match name.as_str() {
                "alnum" => c.is_ascii_alphanumeric(),
                "alpha" => c.is_ascii_alphabetic(),
                "blank" => matches!(c, b' ' | b'\t'),
                "cntrl" => c.is_ascii_control(),
                "digit" => c.is_ascii_digit(),
                "graph" => c.is_ascii_graphic(),
                "lower" => c.is_ascii_lowercase(),
                "print" => c.is_ascii_graphic() || c == b' ',
                "punct" => c.is_ascii_punctuation(),
                "space" => c.is_ascii_whitespace() || c == 0x0b,
                "upper" => c.is_ascii_uppercase(),
                "xdigit" => c.is_ascii_hexdigit(),
                _ => false,
            },
        }
    }
}

/// The paths that `pattern` describes, in byte order; none when there are none.
pub(super) fn paths(world: &World<'_>, cwd: &TreePath, pattern: &[Marked]) -> Vec<String> {
    let mut found: Vec<String> = vec![String::new()];
    let components: Vec<&[Marked]> = pattern.split(|(c, _)| *c == '/').collect();
    for (index, component) in components.iter().enumerate() {
        let last = index + 1 == components.len();
        let mut next = Vec::new();
        for prefix in &found {
            if !is_pattern(component) {
                let name: String = component.iter().map(|(c, _)| *c).collect();
                let path = format!("{prefix}{name}");
                // Behind a pattern, a plain name must be there too.
                let there = path.is_empty() || world.stat(cwd, &path, Follow::No).is_ok();
                if !last {
                    next.push(path + "/");
                } else if there || name.is_empty() {
                    next.push(path);
                }
                continue;
            }
            let directory = if prefix.is_empty() { "." } else { prefix.as_str() };
            let Ok(names) = world.list(cwd, directory) else { continue };
            let hidden = component.first().is_some_and(|(c, _)| *c == '.');
            let above = [".".to_owned(), "..".to_owned()];
            let names = above.iter().chain(&names).filter(|name| hidden || !name.starts_with('.'));
            for name in names {
                if !matches(component, name) {
                    continue;
                }
                let path = format!("{prefix}{name}");
                if last {
                    next.push(path);
                } else if world.stat(cwd, &path, Follow::Yes).is_ok_and(|stat| stat.is_dir()) {
                    next.push(path + "/");
                }
            }
        }
        found = next;
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        let marked: Vec<Marked> = pattern.chars().map(|c| (c, false)).collect();
        matches(&marked, text)
    }

    #[test]
    fn patterns_describe_whole_texts() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*a*b*", "xxaxxb", true),
            ("[a-c]?", "b1", true),
            ("[!a-c]*", "b1", false),
            ("[]x]", "]", true),
            ("[[:digit:].]*", "1.2", true),
            ("[", "[", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("", "", true),
            ("**", "", true),
            ("[a-]", "-", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!matches(&[('*', true)], "x"));
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_its_square() {
        let text = "a".repeat(2000);
        assert!(!fits(&("*a".repeat(60) + "b"), &text));
    }
}
