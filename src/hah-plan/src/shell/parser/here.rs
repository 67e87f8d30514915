//! Here-documents (POSIX.1-2017, 2.7.4): read when the line on which they are announced ends.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Parse, Parser};
use crate::shell::syntax::{Part, Word};

/// A here-document whose text has not been reached yet.
pub(super) struct Pending {
    pub(super) delimiter: String,
    /// Whether the delimiter was quoted: then nothing is expanded.
    pub(super) verbatim: bool,
    /// `<<-`: leading tabs go.
    pub(super) tabs: bool,
    pub(super) text: Rc<RefCell<Word>>,
}

impl Parser {
    /// Takes a line end, and the here-documents that begin behind it.
    pub(super) fn newline(&mut self) -> Parse<()> {
        self.take();
        for pending in std::mem::take(&mut self.pending) {
            let Pending { delimiter, tabs, .. } = &pending;
            let word = match pending.verbatim {
                true => Word(vec![Part::Quoted(self.verbatim_document(delimiter, *tabs))]),
                false => self.here_document(delimiter, *tabs)?,
            };
            *pending.text.borrow_mut() = word;
        }
        Ok(())
    }

    /// The text of a here-document, to its end. Its end is looked for only where a line of its own begins: not behind a
    /// continued line, nor inside of an expansion.
    fn here_document(&mut self, delimiter: &str, tabs: bool) -> Parse<Word> {
        let mut parts = Vec::new();
        loop {
            while tabs && self.peek_raw() == Some('\t') {
                self.at += 1;
            }
            let behind = self.at + delimiter.chars().count();
            let ends = self.text[self.at..].iter().copied().take(behind - self.at).eq(delimiter.chars())
                && self.text.get(behind).is_none_or(|c| *c == '\n');
            if ends {
                self.at = behind;
                self.take();
                break;
            }
            if self.peek_raw().is_none() {
                break;
            }
            self.here_line(&mut parts)?;
        }
        Ok(Word(vec![Part::Double(parts)]))
    }

    /// The text of a here-document in which nothing is expanded.
    fn verbatim_document(&mut self, delimiter: &str, tabs: bool) -> String {
        let mut body = String::new();
        while let Some(line) = self.raw_line() {
            let line = if tabs { line.trim_start_matches('\t') } else { &line };
            if line == delimiter {
                break;
            }
            body.push_str(line);
            body.push('\n');
        }
        body
    }

    /// The rest of the line, without its end; `None` at the end of the text.
    fn raw_line(&mut self) -> Option<String> {
        self.peek_raw()?;
        let mut line = String::new();
        while let Some(next) = self.take() {
            if next == '\n' {
                break;
            }
            line.push(next);
        }
        Some(line)
    }

    /// A here-document's end, and whether it was quoted.
    pub(super) fn delimiter(&mut self) -> Parse<(String, bool)> {
        let Some(word) = self.word()? else { return self.fail("a here-document without its end's name") };
        let (mut text, mut quoted) = (String::new(), false);
        let mut parts: Vec<&Part> = word.0.iter().rev().collect();
        while let Some(part) = parts.pop() {
            match part {
                Part::Literal(part) => text.push_str(part),
                Part::Quoted(part) => {
                    quoted = true;
                    text.push_str(part);
                }
                Part::Double(inner) => {
                    quoted = true;
                    parts.extend(inner.iter().rev());
                }
                _ => return self.fail("an expansion in the name of a here-document's end"),
            }
        }
        Ok((text, quoted))
    }
}
