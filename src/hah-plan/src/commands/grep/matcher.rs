//! Which lines grep(1) selects: several patterns, whole words, whole lines, fixed strings.

use crate::commands::Refusal;
use crate::commands::options::Options;
use crate::commands::regex::{Dialect, Pattern, PatternError, Range, Reading};

/// All patterns of one grep.
pub(super) struct Matcher {
    patterns: Vec<Pattern>,
    words: bool,
    lines: bool,
    utf8: bool,
}

impl Matcher {
    /// Compiles `patterns`; `Err` holds what grep complains of.
    pub(super) fn new(
        patterns: &[Vec<u8>],
        language: char,
        options: &Options,
        utf8: bool,
    ) -> Result<Result<Self, String>, Refusal> {
        let dialect = if language == 'E' { Dialect::Egrep } else { Dialect::Basic };
        let fold = options.given.iter().rev().find(|given| matches!(given.name, "i" | "y" | "no-ignore-case"));
        let reading =
            Reading { fold: fold.is_some_and(|given| given.name != "no-ignore-case"), ..Reading::plain(dialect, utf8) };
        let mut compiled = Vec::new();
        for text in patterns {
            let text = if language == 'F' { quoted(text) } else { text.clone() };
            match Pattern::new(&text, reading) {
                Ok(pattern) => compiled.push(pattern),
                Err(PatternError::Invalid(message)) => return Ok(Err(message.to_owned())),
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(Ok(Self { patterns: compiled, words: options.has("w"), lines: options.has("x"), utf8 }))
    }

    /// Whether a line matches.
    pub(super) fn is_match(&self, line: &[u8]) -> Result<bool, Refusal> {
        for pattern in &self.patterns {
            let found = match (self.lines, self.words) {
                (false, false) => pattern.is_match(line)?,
                _ => self.next(pattern, line, 0)?.is_some(),
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first match that begins at `from` or later, the longest of all patterns.
    pub(super) fn find_at(&self, line: &[u8], from: usize) -> Result<Option<Range>, Refusal> {
        let mut best: Option<Range> = None;
        for pattern in &self.patterns {
            if let Some(found) = self.next(pattern, line, from)?
                && best.as_ref().is_none_or(|best| (found.start, best.end) < (best.start, found.end))
            {
                best = Some(found);
            }
        }
        Ok(best)
    }

    fn next(&self, pattern: &Pattern, line: &[u8], from: usize) -> Result<Option<Range>, Refusal> {
        if self.lines {
            let whole = from == 0 && pattern.is_full_match(line)?;
            return Ok(whole.then_some(0..line.len()));
        }
        let mut start = from;
        while start <= line.len() {
            let Some(found) = pattern.find_at(line, start)? else { return Ok(None) };
            if !self.words {
                return Ok(Some(found));
            }
            // grep tries shorter matches at the same place, then later places.
            let mut end = found.end;
            loop {
                if self.is_word(line, &(found.start..end)) {
                    return Ok(Some(found.start..end));
                }
                if end <= found.start {
                    break;
                }
                match pattern.find_at(&line[..end - 1], found.start)? {
                    Some(shorter) if shorter.start == found.start && !shorter.is_empty() => end = shorter.end,
                    _ => break,
                }
            }
            start = found.start + 1;
        }
        Ok(None)
    }

    fn is_word(&self, line: &[u8], found: &Range) -> bool {
        let is_part = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || self.utf8 && *byte >= 0x80)
        };
        let before = found.start.checked_sub(1).and_then(|at| line.get(at));
        !is_part(before) && !is_part(line.get(found.end))
    }
}

/// `text` as a basic expression that matches it alone.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if b".[]*^$\\".contains(byte) {
            // A backslash before `]` would be an escape of its own; brackets are safe for all of these but `^` and `\`.
            match byte {
                b'^' | b'\\' | b']' | b'*' | b'$' | b'.' => out.push(b'\\'),
                _ => {
                    out.extend_from_slice(b"[[]");
                    continue;
                }
            }
        }
        out.push(*byte);
    }
    out
}
