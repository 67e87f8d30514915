//! From the bytes of a script to words and operators: quoting, expansions, here-documents, comments (XCU 2.2, 2.3, 2.6, 2.7.4).

use super::{Part, ShellError, Word};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word, and whether it is free of quotes and expansions, so that it may be a reserved word.
    Word(Word, bool),
    Operator(&'static str),
    Newline,
}

pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    /// Whether a double quotation is open.
    quoted: bool,
    heredocs: Vec<HereDocument>,
}

struct HereDocument {
    delimiter: String,
    /// `<<-`: tabs before lines are dropped.
    strips_tabs: bool,
    /// The delimiter is not quoted: the text is expanded.
    is_expanded: bool,
}

const OPERATORS: [&str; 18] =
    ["<<-", "&&", "||", ";;", ">>", ">&", "<&", ">|", "<<", "&>", "<>", "(", ")", "|", ";", "&", "<", ">"];

impl<'a> Lexer<'a> {
    pub(super) fn new(script: &'a str) -> Self {
        Self { text: script.as_bytes(), at: 0, line: 1, quoted: false, heredocs: Vec::new() }
    }

    /// All tokens with their lines, from 1.
    pub(super) fn run(mut self) -> Result<Vec<(usize, Token)>, ShellError> {
        let mut tokens = Vec::new();
        while let Some(&byte) = self.text.get(self.at) {
            let line = self.line;
            match byte {
                b' ' | b'\t' => self.at += 1,
                b'\\' if self.text.get(self.at + 1) == Some(&b'\n') => {
                    self.at += 2;
                    self.line += 1;
                }
                b'#' => self.at = self.line_end(),
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    self.skip_heredocs()?;
                    tokens.push((line, Token::Newline));
                }
                _ => {
                    if let Some(operator) = OPERATORS.iter().find(|op| self.text[self.at..].starts_with(op.as_bytes()))
                    {
                        self.at += operator.len();
                        tokens.push((line, Token::Operator(operator)));
                        continue;
                    }
                    let (word, bare) = self.word()?;
                    if let Some((_, Token::Operator(operator @ ("<<" | "<<-")))) = tokens.last() {
                        let delimiter = word.literal().ok_or_else(|| self.error("a here-document's delimiter"))?;
                        let strips_tabs = *operator == "<<-";
                        self.heredocs.push(HereDocument { delimiter, strips_tabs, is_expanded: bare });
                    }
                    tokens.push((line, Token::Word(word, bare)));
                }
            }
        }
        Ok(tokens)
    }

    fn error(&self, what: impl Into<String>) -> ShellError {
        ShellError { line: self.line, what: what.into() }
    }

    fn line_end(&self) -> usize {
        self.text[self.at..].iter().position(|byte| *byte == b'\n').map_or(self.text.len(), |length| self.at + length)
    }

    fn skip_heredocs(&mut self) -> Result<(), ShellError> {
        for HereDocument { delimiter, strips_tabs, is_expanded } in std::mem::take(&mut self.heredocs) {
            loop {
                if self.at >= self.text.len() {
                    return Err(self.error(format!("a here-document without its end `{delimiter}`")));
                }
                let end = self.line_end();
                let mut line = &self.text[self.at..end];
                while strips_tabs && line.first() == Some(&b'\t') {
                    line = &line[1..];
                }
                self.at = (end + 1).min(self.text.len());
                self.line += 1;
                if line == delimiter.as_bytes() {
                    break;
                }
                if is_expanded && (line.contains(&b'`') || line.windows(2).any(|pair| pair == b"$(")) {
                    return Err(self.error("a command inside a here-document"));
                }
            }
        }
        Ok(())
    }

    fn word(&mut self) -> Result<(Word, bool), ShellError> {
        let (mut parts, mut text, mut bare) = (Vec::new(), Vec::new(), true);
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
                b'\'' => {
                    bare = false;
                    let start = self.at + 1;
                    let Some(length) = self.text[start..].iter().position(|byte| *byte == b'\'') else {
                        return Err(self.error("a quotation without its end"));
                    };
                    let quoted = &self.text[start..start + length];
                    text.extend_from_slice(quoted);
                    self.line += quoted.iter().filter(|byte| **byte == b'\n').count();
                    self.at = start + length + 1;
                }
                b'"' => {
                    bare = false;
                    self.at += 1;
                    self.quoted = true;
                    self.double_quoted(&mut parts, &mut text)?;
                    self.quoted = false;
                }
                b'\\' => {
                    bare = false;
                    self.escape(&mut text, |_| true);
                }
                b'$' | b'`' => {
                    bare = false;
                    self.expansion(&mut parts, &mut text)?;
                }
                _ => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        flush(&mut parts, &mut text);
        Ok((Word(parts), bare))
    }

    /// A backslash: takes the next byte when `special` says that it is escaped here, and joins lines.
    fn escape(&mut self, text: &mut Vec<u8>, special: impl Fn(u8) -> bool) {
        match self.text.get(self.at + 1) {
            Some(b'\n') => self.line += 1,
            Some(&next) if special(next) => text.push(next),
            Some(&next) => text.extend([b'\\', next]),
            None => text.push(b'\\'),
        }
        self.at += 2;
    }

    fn double_quoted(&mut self, parts: &mut Vec<Part>, text: &mut Vec<u8>) -> Result<(), ShellError> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape(text, |next| b"$`\"\\".contains(&next)),
                b'$' | b'`' => self.expansion(parts, text)?,
                _ => {
                    self.line += usize::from(byte == b'\n');
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        Err(self.error("a quotation without its end"))
    }

    fn expansion(&mut self, parts: &mut Vec<Part>, text: &mut Vec<u8>) -> Result<(), ShellError> {
        let start = self.at;
        if self.text[start] == b'`' {
            let Some(length) = self.text[start + 1..].iter().position(|byte| *byte == b'`') else {
                return Err(self.error("a backquote without its end"));
            };
            return self.take(parts, text, start + 1..start + 1 + length, |body| Some(Part::Substitution(body.into())));
        }
        match self.text.get(start + 1) {
            Some(b'(') => {
                let end = self.closing(start + 2, b'(', b')')?;
                self.take(parts, text, start + 2..end, |body| Some(Part::Substitution(body.into())))
            }
            Some(b'{') => {
                let end = self.closing(start + 2, b'{', b'}')?;
                let quoted = self.quoted;
                self.take(parts, text, start + 2..end, |body| parameter(body, quoted))
            }
            Some(&next) if next.is_ascii_alphanumeric() || b"_@*#?$!".contains(&next) => {
                let rest = &self.text[start + 1..];
                let length = if next.is_ascii_alphabetic() || next == b'_' {
                    rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_')).unwrap_or(rest.len())
                } else {
                    1
                };
                flush(parts, text);
                let name = String::from_utf8_lossy(&rest[..length]).into_owned();
                parts.push(Part::Parameter { name, default: None, quoted: self.quoted });
                self.at = start + 1 + length;
                Ok(())
            }
            _ => {
                text.push(b'$');
                self.at += 1;
                Ok(())
            }
        }
    }

    /// Adds what `part` makes of the bytes in `range` and goes on behind the byte that closes it.
    fn take(
        &mut self,
        parts: &mut Vec<Part>,
        text: &mut Vec<u8>,
        range: std::ops::Range<usize>,
        part: impl Fn(&str) -> Option<Part>,
    ) -> Result<(), ShellError> {
        let body = String::from_utf8_lossy(&self.text[range.clone()]).into_owned();
        let part = part(&body).ok_or_else(|| self.error(format!("the expansion `${{{body}}}`")))?;
        flush(parts, text);
        parts.push(part);
        self.line += body.matches('\n').count();
        self.at = range.end + 1;
        Ok(())
    }

    /// Where the bracket that was opened before `from` closes. Quotations inside are skipped.
    fn closing(&self, from: usize, open: u8, close: u8) -> Result<usize, ShellError> {
        let (mut depth, mut at) = (1usize, from);
        while let Some(&byte) = self.text.get(at) {
            match byte {
                b'\\' => at += 1,
                b'\'' => at += 1 + self.text[at + 1..].iter().position(|byte| *byte == b'\'').unwrap_or(0),
                b'"' => at = self.quotation_end(at + 1)?,
                _ if byte == open => depth += 1,
                _ if byte == close => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(at);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Err(self.error("an expansion without its end"))
    }

    /// Where the double quotation that begins at `from` ends; one with a command inside could hold quotations of its own.
    fn quotation_end(&self, from: usize) -> Result<usize, ShellError> {
        let mut at = from;
        while let Some(&byte) = self.text.get(at) {
            match byte {
                b'\\' => at += 1,
                b'"' => return Ok(at),
                b'`' => return Err(self.error("a command in a quotation in an expansion")),
                b'$' if self.text.get(at + 1) == Some(&b'(') => {
                    return Err(self.error("a command in a quotation in an expansion"));
                }
                _ => {}
            }
            at += 1;
        }
        Err(self.error("a quotation without its end"))
    }
}

fn flush(parts: &mut Vec<Part>, text: &mut Vec<u8>) {
    if !text.is_empty() {
        parts.push(Part::Text(String::from_utf8_lossy(text).into_owned()));
        text.clear();
    }
}

/// The inside of `${…}`; operators other than `:-`, `-` and `:+` are not understood.
fn parameter(body: &str, quoted: bool) -> Option<Part> {
    let length = body.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let (name, operator) = body.split_at(length);
    if name.is_empty() {
        return None;
    }
    let name = name.to_owned();
    if operator.is_empty() {
        return Some(Part::Parameter { name, default: None, quoted });
    }
    if let Some(text) = operator.strip_prefix(":+") {
        return (!text.contains(['\'', '`', '\n'])).then_some(Part::Alternate { name });
    }
    let default = operator.strip_prefix(":-").or_else(|| operator.strip_prefix('-'))?;
    let plain = !default.contains(['$', '`', '"', '\'', '\\']);
    plain.then(|| Part::Parameter { name, default: Some(default.to_owned()), quoted })
}
