//! deb822 stanzas: the format of `control`, `Packages`, `Release` and dpkg's status file (Debian Policy 5.1).
//!
//! ```text
//! Package: foo            one field a line, names are case-insensitive
//! Description: short
//!  more                   lines that begin with a space or tab continue the value
//!                         an empty line ends the stanza
//! ```
//!
//! [`stanzas`] walks over text without copying: a [`Stanza`] borrows it. [`Paragraph`] is the owned form, for writing.
//! Strict: a line that is none of the above, a repeated field and a comment are errors that name the line.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memmem};

/// Longest stanza in bytes; the longest in Debian 13 is below 64 KiB, `Release` files have 140 KiB.
pub const MAX_STANZA: usize = 16 << 20;
/// Most fields in a stanza.
pub const MAX_FIELDS: usize = 256;

/// Text that is not deb822.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ControlError {
    /// Line in the whole text, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

impl ControlError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        "the file is damaged or is not a Debian control file; fetch it again"
    }
}

/// The stanzas of `text`, in order. After an error the iterator ends.
pub fn stanzas(text: &str) -> Stanzas<'_> {
    Stanzas { text, at: 0, line: 1 }
}

/// The only stanza of `text`: for `control` and `Release`.
pub fn only_stanza(text: &str) -> Result<Stanza<'_>, ControlError> {
    let mut all = stanzas(text);
    let first = all.next().unwrap_or_else(|| Err(ControlError { line: 1, problem: "no stanza".to_owned() }))?;
    match all.next() {
        None => Ok(first),
        Some(Ok(second)) => {
            Err(ControlError { line: second.line, problem: "a second stanza where one was expected".to_owned() })
        }
        Some(Err(error)) => Err(error),
    }
}

/// Iterator over stanzas.
#[derive(Clone, Debug)]
pub struct Stanzas<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Result<Stanza<'a>, ControlError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.text.as_bytes().get(self.at) == Some(&b'\n') {
            self.at += 1;
            self.line += 1;
        }
        let rest = self.text.get(self.at..)?;
        if rest.is_empty() {
            return None;
        }
        let end = memmem::find(rest.as_bytes(), b"\n\n").map_or(rest.len(), |end| end + 1);
        let stanza = Stanza { text: rest.get(..end)?, line: self.line };
        match stanza.check() {
            Ok(lines) => {
                self.at += end;
                self.line += lines;
                Some(Ok(stanza))
            }
            Err(error) => {
                self.at = self.text.len();
                Some(Err(error))
            }
        }
    }
}

/// A stanza that borrows its text; it has been checked line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stanza<'a> {
    text: &'a str,
    line: usize,
}

/// One field of a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Name as written.
    pub name: &'a str,
    /// Value with its continuation lines, as written, without the space around it.
    pub value: &'a str,
    /// Line in the whole text, from 1.
    pub line: usize,
}

impl<'a> Stanza<'a> {
    /// The stanza as written.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Its first line in the whole text, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Its fields, in order.
    pub fn fields(&self) -> Fields<'a> {
        Fields { rest: self.text, line: self.line }
    }

    /// The field `name`, in any case.
    pub fn field(&self, name: &str) -> Option<Field<'a>> {
        self.fields().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The value of the field `name`, in any case.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.field(name).map(|field| field.value)
    }

    /// An error at this stanza.
    pub fn error(&self, problem: impl Into<String>) -> ControlError {
        ControlError { line: self.line, problem: problem.into() }
    }

    /// Checks every line; returns their number.
    fn check(&self) -> Result<usize, ControlError> {
        let mut seen: [&str; MAX_FIELDS] = [""; MAX_FIELDS];
        let (mut count, mut line, mut rest) = (0, self.line, self.text);
        let error = |line, problem: &str| Err(ControlError { line, problem: problem.to_owned() });
        if rest.len() > MAX_STANZA {
            return error(line, "a stanza of more than 16 MiB");
        }
        while let Some((text, tail)) = cut_line(rest) {
            rest = tail;
            if text.starts_with([' ', '\t']) {
                if count == 0 {
                    return error(line, "a continuation line before any field");
                }
                if text.trim_ascii().is_empty() {
                    return error(line, "a line of nothing but space");
                }
            } else {
                let Some(name) = memchr(b':', text.as_bytes()).and_then(|colon| text.get(..colon)) else {
                    return error(line, "expected `Field: value`");
                };
                if !is_field_name(name) {
                    return error(line, "a field name of printable ASCII without space, not beginning with `#` or `-`");
                }
                let Some(slot) = seen.get_mut(count) else {
                    return error(line, "more than 256 fields in a stanza");
                };
                *slot = name;
                if seen.iter().take(count).any(|other| other.eq_ignore_ascii_case(name)) {
                    return error(line, &format!("the field `{name}` occurs twice"));
                }
                count += 1;
            }
            line += 1;
        }
        Ok(line - self.line)
    }
}

/// Policy 5.1: printable ASCII except colon and space; not beginning with `#` or `-`.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['#', '-']) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The first line without its end, and what follows.
fn cut_line(text: &str) -> Option<(&str, &str)> {
    match memchr(b'\n', text.as_bytes()) {
        Some(end) => Some((text.get(..end)?, text.get(end + 1..)?)),
        None if text.is_empty() => None,
        None => Some((text, "")),
    }
}

/// Iterator over the fields of a stanza.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let (mut end, mut lines) = (0, 0);
        loop {
            let tail = self.rest.get(end..)?;
            end += memchr(b'\n', tail.as_bytes()).map_or(tail.len(), |end| end + 1);
            lines += 1;
            if !matches!(self.rest.as_bytes().get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (text, rest) = self.rest.split_at_checked(end)?;
        let colon = memchr(b':', text.as_bytes())?;
        let field = Field { name: text.get(..colon)?, value: trim(text.get(colon + 1..)?), line: self.line };
        self.rest = rest;
        self.line += lines;
        Some(field)
    }
}

/// Without the space before the first line and after the last; a value that begins on the next line keeps that break.
fn trim(value: &str) -> &str {
    value.trim_end_matches([' ', '\t', '\n', '\r']).trim_start_matches([' ', '\t'])
}

/// A folded value on one line (Policy 5.1: the line breaks of folded fields mean nothing).
pub fn unfold(value: &str) -> Cow<'_, str> {
    if value.contains('\n') {
        Cow::Owned(value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    } else {
        value.into()
    }
}

/// An owned stanza that keeps the order of its fields; `Display` writes it, ending with one line break.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paragraph {
    fields: Vec<(String, String)>,
}

impl Paragraph {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of the field `name`, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Fields in order: name and value.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets a field in its place, or at the end. Lines of `value` after the first must begin with a space or tab.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ControlError> {
        let error = |problem: String| Err(ControlError { line: self.fields.len() + 1, problem });
        if !is_field_name(name) || name.contains(':') {
            return error(format!("`{}` is not a field name", name.escape_default()));
        }
        let value = trim(value);
        let broken = |line: &str| !line.starts_with([' ', '\t']) || line.trim_ascii().is_empty();
        if value.split('\n').skip(1).any(broken) || value.contains('\r') {
            return error(format!(
                "a line of `{name}` would end the field: it is empty or does not begin with a space"
            ));
        }
        match self.fields.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// Inserts a field directly behind `anchor`, or at the end when that is absent; an existing field moves.
    pub fn set_after(&mut self, anchor: &str, name: &str, value: &str) -> Result<(), ControlError> {
        self.remove(name);
        self.set(name, value)?;
        let place = self.fields.iter().position(|(known, _)| known.eq_ignore_ascii_case(anchor));
        if let (Some(place), Some(field)) = (place, self.fields.pop()) {
            self.fields.insert(place + 1, field);
        }
        Ok(())
    }

    /// Removes a field; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.fields.len();
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.fields.len() != before
    }
}

impl From<Stanza<'_>> for Paragraph {
    fn from(stanza: Stanza<'_>) -> Self {
        let owned = |field: Field<'_>| (field.name.to_owned(), field.value.to_owned());
        Self { fields: stanza.fields().map(owned).collect() }
    }
}

impl fmt::Display for Paragraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.fields {
            let gap = if value.is_empty() || value.starts_with('\n') { "" } else { " " };
            writeln!(f, "{name}:{gap}{value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO: &str = "\nPackage: foo\nDepends: aa,\n bb\nDescription: short\n long\n .\n\n\nPackage: bar\nConffiles:\n /etc/bar 00\n";

    #[test]
    fn stanzas_are_walked_with_lines() {
        let all: Vec<_> = stanzas(TWO).collect::<Result<_, _>>().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].line(), all[1].line()), (2, 10));
        assert_eq!(all[0].get("depends"), Some("aa,\n bb"));
        assert_eq!(unfold(all[0].get("Depends").unwrap()), "aa, bb");
        assert_eq!(all[0].field("Description").unwrap().line, 5);
        assert_eq!(all[1].get("Conffiles"), Some("\n /etc/bar 00"));
        assert_eq!(all[1].get("Depends"), None);
    }

    #[test]
    fn a_paragraph_writes_what_it_read() {
        let all: Vec<_> = stanzas(TWO).collect::<Result<_, _>>().unwrap();
        for stanza in all {
            let text = stanza.text();
            assert_eq!(Paragraph::from(stanza).to_string(), text);
        }
    }

    #[test]
    fn fields_keep_their_order() {
        let mut paragraph = Paragraph::from(only_stanza("Package: foo\nVersion: 1\n").unwrap());
        paragraph.set_after("Package", "Status", "install ok installed").unwrap();
        paragraph.set("version", "2").unwrap();
        assert_eq!(paragraph.to_string(), "Package: foo\nStatus: install ok installed\nVersion: 2\n");
        assert!(paragraph.remove("STATUS") && !paragraph.remove("Status"));
        for (name, value) in [("A b", "x"), ("A", "x\ny"), ("A", "x\n\n y"), ("", "x"), ("#A", "x"), ("A:b", "x")] {
            assert!(paragraph.set(name, value).is_err(), "{name} {value}");
        }
    }

    #[test]
    fn broken_text_names_the_line() {
        let table = [
            ("foo", 1, "expected"),
            ("A: 1\nb\n", 2, "expected"),
            (" A: 1\n", 1, "continuation"),
            ("A: 1\n\n\nB: 1\n \n", 5, "nothing but space"),
            ("A: 1\na: 2\n", 2, "twice"),
            ("# no\n", 1, "expected"),
            ("#a: no\n", 1, "field name"),
            ("a b: no\n", 1, "field name"),
            ("ä: no\n", 1, "field name"),
        ];
        for (text, line, want) in table {
            let error = stanzas(text).find_map(Result::err).unwrap();
            assert_eq!(error.line, line, "{text:?}");
            assert!(error.problem.contains(want), "{text:?}: {error}");
        }
        assert!(only_stanza("").is_err());
        assert_eq!(only_stanza("A: 1\n\nA: 1\n").unwrap_err().line, 3);
        let many: String = (0..300).map(|number| format!("F{number}: x\n")).collect();
        assert!(only_stanza(&many).is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics(text in "[A-c:#\\- \\t\\nä]{0,80}") {
            for stanza in stanzas(&text).flatten() {
                let paragraph = Paragraph::from(stanza);
                let text = paragraph.to_string();
                prop_assert_eq!(Paragraph::from(only_stanza(&text).unwrap()), paragraph);
            }
        }
    }
}
