//! TOML as far as `rpi-preseed.toml` needs it: strings, booleans and arrays of strings by their dotted key.
//!
//! The tokens, the grammar and the strings' escapes are `toml_parser`'s; here they become a flat table. Numbers and dates are
//! kept as something that is neither, arrays of tables as the names that were in them: whoever asks for the key finds the
//! wrong type, and whoever lists the keys finds what was not understood.

use std::borrow::Cow;
use std::collections::BTreeMap;

use toml_parser::decoder::Encoding;
use toml_parser::decoder::ScalarKind;
use toml_parser::parser::{EventReceiver, RecursionGuard, parse_document};
use toml_parser::{ErrorSink, ParseError, Source, Span};

/// Arrays in arrays and inline tables in inline tables.
const DEPTH_MAX: u32 = 8;
/// Most keys.
const KEYS_MAX: usize = 1000;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Boolean(bool),
    /// An array of strings.
    Texts(Vec<String>),
    /// Anything else.
    Other,
}

/// Why a text is not TOML: the line, from 1, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

/// Every value by its dotted key: `wlan.ssid`.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Value>, Fault> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut first: Option<ParseError> = None;
    let mut reader =
        Reader { source, path: Vec::new(), base: Vec::new(), after_dot: false, array: None, values: BTreeMap::new() };
    parse_document(&tokens, &mut RecursionGuard::new(&mut reader, DEPTH_MAX), &mut first);
    match first {
        None => Ok(reader.values),
        Some(error) => {
            let at = error.unexpected().or(error.context()).map_or(text.len(), |span| span.start());
            let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(Fault { line, reason: error.description().to_owned() })
        }
    }
}

/// An array under way.
struct Array {
    /// Arrays around its items.
    depth: usize,
    texts: Vec<String>,
    /// Whether every item so far was a string of this array itself.
    plain: bool,
}

struct Reader<'t> {
    source: Source<'t>,
    /// The key of the value under way, the header's part first.
    path: Vec<String>,
    /// How much of [`Self::path`] is the header's, then that of each inline table.
    base: Vec<usize>,
    /// Whether the next key is a part of the one before.
    after_dot: bool,
    array: Option<Array>,
    values: BTreeMap<String, Value>,
}

impl Reader<'_> {
    fn header(&mut self) {
        self.path.clear();
        self.base.clear();
        self.after_dot = false;
    }

    fn put(&mut self, value: Value, span: Span, error: &mut dyn ErrorSink) {
        let key = self.path.join(".");
        if self.values.len() >= KEYS_MAX {
            error.report_error(ParseError::new("too many keys").with_unexpected(span));
        } else if self.values.insert(key, value).is_some() {
            error.report_error(ParseError::new("a key is given twice").with_unexpected(span));
        }
    }
}

impl EventReceiver for Reader<'_> {
    fn std_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.header();
    }

    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.base.push(self.path.len());
    }

    fn array_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.header();
    }

    fn array_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        // Told apart by their place, so that the second one repeats no key.
        self.path.push(span.start().to_string());
        self.base.push(self.path.len());
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        if let Some(array) = &mut self.array {
            array.plain = false;
        }
        self.base.push(self.path.len());
        true
    }

    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if let Some(length) = self.base.pop() {
            self.path.truncate(length);
        }
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        match &mut self.array {
            Some(array) => {
                array.depth += 1;
                array.plain = false;
            }
            None => self.array = Some(Array { depth: 1, texts: Vec::new(), plain: true }),
        }
        true
    }

    fn array_close(&mut self, span: Span, error: &mut dyn ErrorSink) {
        if let Some(array) = &mut self.array {
            array.depth -= 1;
            if array.depth > 0 {
                return;
            }
        }
        if let Some(array) = self.array.take() {
            let value = if array.plain { Value::Texts(array.texts) } else { Value::Other };
            self.put(value, span, error);
        }
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        if !self.after_dot {
            self.path.truncate(self.base.last().copied().unwrap_or(0));
        }
        self.after_dot = false;
        let Some(raw) = self.source.get(span) else { return };
        let raw = toml_parser::Raw::new_unchecked(raw.as_str(), encoding, span);
        let mut key = Cow::Borrowed("");
        raw.decode_key(&mut key, error);
        self.path.push(key.into_owned());
    }

    fn key_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.after_dot = true;
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let Some(raw) = self.source.get(span) else { return };
        let raw = toml_parser::Raw::new_unchecked(raw.as_str(), encoding, span);
        let mut text = Cow::Borrowed("");
        let value = match raw.decode_scalar(&mut text, error) {
            ScalarKind::String => Value::Text(text.into_owned()),
            ScalarKind::Boolean(value) => Value::Boolean(value),
            ScalarKind::DateTime | ScalarKind::Float | ScalarKind::Integer(_) => Value::Other,
        };
        match (&mut self.array, value) {
            (None, value) => self.put(value, span, error),
            (Some(array), Value::Text(text)) => array.texts.push(text),
            (Some(array), _) => array.plain = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn values_by_key() {
        let parsed = parse(
            "version = \"1.0\" # a comment\n\
             [wlan]\nssid = 'K\\u'\npsk = \"a\\u00e9\\\"\"\nhidden = true\n\
             [ssh]\nkeys = [\n  \"a b\", # one\n  'c',\n]\nnested = [[\"x\"]]\nmixed = [\"x\", 1]\nempty = []\n\
             [a.\"b c\"]\nd.e = { f = \"g\", h.i = false }\nj = 1\nk = 2026-11-25\n\
             [[mounts]]\nx = \"1\"\n[[mounts]]\nx = \"2\"\n",
        )
        .unwrap();
        let find = |key: &str| parsed.get(key).cloned();
        assert_eq!(find("version"), Some(text("1.0")));
        assert_eq!(find("wlan.ssid"), Some(text("K\\u")));
        assert_eq!(find("wlan.psk"), Some(text("aé\"")));
        assert_eq!(find("wlan.hidden"), Some(Value::Boolean(true)));
        assert_eq!(find("ssh.keys"), Some(Value::Texts(vec!["a b".into(), "c".into()])));
        assert_eq!(find("ssh.nested"), Some(Value::Other));
        assert_eq!(find("ssh.mixed"), Some(Value::Other));
        assert_eq!(find("ssh.empty"), Some(Value::Texts(Vec::new())));
        assert_eq!(find("a.b c.d.e.f"), Some(text("g")));
        assert_eq!(find("a.b c.d.e.h.i"), Some(Value::Boolean(false)));
        assert_eq!(find("a.b c.j"), Some(Value::Other));
        assert_eq!(find("a.b c.k"), Some(Value::Other));
        assert_eq!(parsed.keys().filter(|key| key.starts_with("mounts.")).count(), 2);
    }

    #[test]
    fn faults_have_a_line() {
        for (bad, line) in [("a = \n", 1), ("\n\na = \"x\n", 3), ("[a\n", 1), ("a = 1\na = 2\n", 2), ("a\n", 1)] {
            assert_eq!(parse(bad).map_err(|fault| fault.line), Err(line), "{bad:?}");
        }
        assert!(parse(&format!("a = {}", "[".repeat(10_000))).is_err());
        assert!(parse(&"{".repeat(10_000)).is_err());
    }
}
