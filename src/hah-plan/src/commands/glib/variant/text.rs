//! Values from text, as "GVariant Text Format" describes it: `['a', 'b']`, `(1, true)`, `{'k': <uint32 5>}`, `@as []`.

use super::{DEPTH, Type, Value};

/// The value of `text` as one of `kind`.
///
/// # Errors
/// What is wrong with it.
pub(in crate::commands::glib) fn parse(kind: &Type, text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text };
    let written = parser.value(0)?;
    match parser.peek() {
        None => written.value(kind),
        Some(letter) => Err(format!("expected end of input at “{letter}”")),
    }
}

/// What stands in the text; its type may still be open.
enum Written {
    Bool(bool),
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    Nothing,
    Just(Box<Written>),
    Variant(Box<Written>),
    Array(Vec<Written>),
    Tuple(Vec<Written>),
    Entry(Box<(Written, Written)>),
    Dictionary(Vec<(Written, Written)>),
    Typed(Type, Box<Written>),
}

/// What is known of a type before it is asked for: inside `<…>` the value itself must tell.
#[derive(Clone, PartialEq)]
enum Pattern {
    Any,
    /// `int32` unless something else asks for another integer or a double.
    Integer,
    /// A string unless something else asks for a path or a signature.
    Text,
    Known(Type),
    Maybe(Box<Pattern>),
    Array(Box<Pattern>),
    Tuple(Vec<Pattern>),
    Entry(Box<(Pattern, Pattern)>),
}

impl Pattern {
    fn of(kind: &Type) -> Self {
        match kind {
            Type::Basic(_) => Self::Known(kind.clone()),
            Type::Maybe(element) => Self::Maybe(Box::new(Self::of(element))),
            Type::Array(element) => Self::Array(Box::new(Self::of(element))),
            Type::Tuple(members) => Self::Tuple(members.iter().map(Self::of).collect()),
            Type::Entry(key, value) => Self::Entry(Box::new((Self::of(key), Self::of(value)))),
        }
    }

    /// What both say.
    fn unify(self, other: Self) -> Option<Self> {
        let both = |one: Self, other: Self| one.unify(other);
        match (self, other) {
            (Self::Any, known) | (known, Self::Any) => Some(known),
            (Self::Integer, Self::Known(Type::Basic(letter))) | (Self::Known(Type::Basic(letter)), Self::Integer) => {
                "ynqiuxthd".contains(letter).then_some(Self::Known(Type::Basic(letter)))
            }
            (Self::Text, Self::Known(Type::Basic(letter))) | (Self::Known(Type::Basic(letter)), Self::Text) => {
                "sog".contains(letter).then_some(Self::Known(Type::Basic(letter)))
            }
            (Self::Maybe(one), Self::Maybe(other)) => Some(Self::Maybe(Box::new(both(*one, *other)?))),
            (Self::Maybe(one), other) | (other, Self::Maybe(one)) => Some(Self::Maybe(Box::new(both(*one, other)?))),
            (Self::Array(one), Self::Array(other)) => Some(Self::Array(Box::new(both(*one, *other)?))),
            (Self::Tuple(one), Self::Tuple(other)) if one.len() == other.len() => {
                one.into_iter().zip(other).map(|(one, other)| both(one, other)).collect::<Option<_>>().map(Self::Tuple)
            }
            (Self::Entry(one), Self::Entry(other)) => {
                Some(Self::Entry(Box::new((both(one.0, other.0)?, both(one.1, other.1)?))))
            }
            (one, other) => (one == other).then_some(one),
        }
    }

    /// The type, where enough is known.
    fn settle(self) -> Option<Type> {
        Some(match self {
            Self::Any => return None,
            Self::Integer => Type::Basic('i'),
            Self::Text => Type::Basic('s'),
            Self::Known(kind) => kind,
            Self::Maybe(element) => Type::Maybe(Box::new(element.settle()?)),
            Self::Array(element) => Type::Array(Box::new(element.settle()?)),
            Self::Tuple(members) => Type::Tuple(members.into_iter().map(Self::settle).collect::<Option<_>>()?),
            Self::Entry(entry) => {
                let (key, value) = *entry;
                Type::Entry(Box::new(key.settle()?), Box::new(value.settle()?))
            }
        })
    }
}

fn is_double(number: &str) -> bool {
    let is_hex = number.contains(['x', 'X']);
    let word = number.trim_start_matches(['+', '-']);
    matches!(word, "inf" | "nan") || number.contains('.') || (!is_hex && number.contains(['e', 'E']))
}

impl Written {
    fn pattern(&self) -> Option<Pattern> {
        let all = |values: Vec<&Self>| {
            values.into_iter().try_fold(Pattern::Any, |known, value| known.unify(value.pattern()?))
        };
        Some(match self {
            Self::Bool(_) => Pattern::Known(Type::Basic('b')),
            Self::Number(number) if is_double(number) => Pattern::Known(Type::Basic('d')),
            Self::Number(_) => Pattern::Integer,
            Self::Text(_) => Pattern::Text,
            Self::Bytes(_) => Pattern::Array(Box::new(Pattern::Known(Type::Basic('y')))),
            Self::Nothing => Pattern::Maybe(Box::new(Pattern::Any)),
            Self::Just(value) => Pattern::Maybe(Box::new(value.pattern()?)),
            Self::Variant(_) => Pattern::Known(Type::Basic('v')),
            Self::Array(values) => Pattern::Array(Box::new(all(values.iter().collect())?)),
            Self::Tuple(values) => Pattern::Tuple(values.iter().map(Self::pattern).collect::<Option<_>>()?),
            Self::Entry(entry) => Pattern::Entry(Box::new((entry.0.pattern()?, entry.1.pattern()?))),
            Self::Dictionary(entries) => {
                let keys = all(entries.iter().map(|(key, _)| key).collect())?;
                let values = all(entries.iter().map(|(_, value)| value).collect())?;
                Pattern::Array(Box::new(Pattern::Entry(Box::new((keys, values)))))
            }
            Self::Typed(kind, value) => Pattern::of(kind).unify(value.pattern()?)?,
        })
    }

    /// The value as one of `kind`.
    fn value(&self, kind: &Type) -> Result<Value, String> {
        let wrong = || format!("can not parse as value of type “{kind}”");
        match (self, kind) {
            (Self::Typed(own, value), _) if own == kind => value.value(kind),
            (Self::Nothing, Type::Maybe(_)) => Ok(Value::Maybe(None)),
            (Self::Just(value), Type::Maybe(element)) => Ok(Value::Maybe(Some(Box::new(value.value(element)?)))),
            // What is there needs no `just`.
            (_, Type::Maybe(element)) => Ok(Value::Maybe(Some(Box::new(self.value(element)?)))),
            (Self::Bool(value), Type::Basic('b')) => Ok(Value::Bool(*value)),
            (Self::Number(number), Type::Basic(letter)) => number_of(number, *letter).ok_or_else(wrong),
            (Self::Text(text), Type::Basic(letter)) => {
                is_text_of(text, *letter).then(|| Value::text(text)).ok_or_else(wrong)
            }
            (Self::Bytes(bytes), Type::Array(element)) if **element == Type::Basic('y') => {
                Ok(Value::Array(bytes.iter().map(|byte| Value::Integer(i128::from(*byte))).collect()))
            }
            (Self::Variant(value), Type::Basic('v')) => {
                let inner = value.pattern().and_then(Pattern::settle).ok_or("unable to infer type")?;
                let value = value.value(&inner)?;
                Ok(Value::Variant(Box::new((inner, value))))
            }
            (Self::Array(values), Type::Array(element)) => {
                values.iter().map(|value| value.value(element)).collect::<Result<_, _>>().map(Value::Array)
            }
            (Self::Dictionary(entries), Type::Array(element)) => {
                let Type::Entry(key, value) = &**element else { return Err(wrong()) };
                let entry = |entry: &(Self, Self)| Ok(Value::Tuple(vec![entry.0.value(key)?, entry.1.value(value)?]));
                entries.iter().map(entry).collect::<Result<_, String>>().map(Value::Array)
            }
            (Self::Tuple(values), Type::Tuple(members)) if values.len() == members.len() => {
                let values = values.iter().zip(members).map(|(value, member)| value.value(member));
                values.collect::<Result<_, _>>().map(Value::Tuple)
            }
            (Self::Entry(entry), Type::Entry(key, value)) => {
                Ok(Value::Tuple(vec![entry.0.value(key)?, entry.1.value(value)?]))
            }
            _ => Err(wrong()),
        }
    }
}

fn number_of(text: &str, letter: char) -> Option<Value> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    if letter == 'd' {
        return match hex {
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(|value| Value::Double(f64::from(sign) * value as f64)),
            None => text.parse().ok().map(Value::Double),
        };
    }
    let value = match (hex, digits.strip_prefix('0')) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok()?,
        (None, Some("")) => 0,
        (None, Some(octal)) => u64::from_str_radix(octal, 8).ok()?,
        (None, None) => digits.parse().ok()?,
    };
    let value = i128::from(sign) * i128::from(value);
    let (least, most) = range(letter)?;
    (least..=most).contains(&value).then_some(Value::Integer(value))
}

/// The range of an integer type.
fn range(letter: char) -> Option<(i128, i128)> {
    Some(match letter {
        'y' => (0, u8::MAX.into()),
        'n' => (i16::MIN.into(), i16::MAX.into()),
        'q' => (0, u16::MAX.into()),
        'i' | 'h' => (i32::MIN.into(), i32::MAX.into()),
        'u' => (0, u32::MAX.into()),
        'x' => (i64::MIN.into(), i64::MAX.into()),
        't' => (0, u64::MAX.into()),
        _ => return None,
    })
}

fn is_text_of(text: &str, letter: char) -> bool {
    let is_name =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match letter {
        's' => true,
        'o' => text == "/" || text.strip_prefix('/').is_some_and(|path| path.split('/').all(is_name)),
        'g' => Type::parse(&format!("({text})")).is_some(),
        _ => false,
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    /// The next letter that is no blank.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        self.rest.chars().next()
    }

    fn take(&mut self, letter: char) -> bool {
        let is_next = self.peek() == Some(letter);
        if is_next {
            self.rest = &self.rest[letter.len_utf8()..];
        }
        is_next
    }

    fn expect(&mut self, letter: char) -> Result<(), String> {
        if self.take(letter) { Ok(()) } else { Err(format!("expected “{letter}”")) }
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|letter| !is_part(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn value(&mut self, depth: usize) -> Result<Written, String> {
        if depth > DEPTH {
            return Err("variant nested too deeply".to_owned());
        }
        let Some(first) = self.peek() else { return Err("expected value".to_owned()) };
        match first {
            '[' => Ok(Written::Array(self.list('[', ']', depth)?)),
            '(' => self.tuple(depth),
            '{' => self.dictionary(depth),
            '<' => {
                self.take('<');
                let value = self.value(depth + 1)?;
                self.expect('>')?;
                Ok(Written::Variant(Box::new(value)))
            }
            '"' | '\'' => self.string(first).map(Written::Text),
            'b' if self.rest.starts_with("b'") || self.rest.starts_with("b\"") => self.bytes(),
            '@' => {
                self.take('@');
                let word = self.take_while(|letter| !letter.is_ascii_whitespace());
                let (kind, left) = Type::parse_prefix(&word, 0).ok_or("invalid type declaration")?;
                if !left.is_empty() {
                    return Err("invalid type declaration".to_owned());
                }
                Ok(Written::Typed(kind, Box::new(self.value(depth + 1)?)))
            }
            '0'..='9' | '+' | '-' | '.' => {
                let number = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
                Ok(Written::Number(self.take_while(number)))
            }
            _ if first.is_ascii_alphabetic() => self.word(depth),
            _ => Err(format!("expected value at “{first}”")),
        }
    }

    fn word(&mut self, depth: usize) -> Result<Written, String> {
        let word = self.take_while(|letter| letter.is_ascii_alphanumeric());
        let letter = match word.as_str() {
            "true" => return Ok(Written::Bool(true)),
            "false" => return Ok(Written::Bool(false)),
            "nothing" => return Ok(Written::Nothing),
            "just" => return Ok(Written::Just(Box::new(self.value(depth + 1)?))),
            "inf" | "nan" => return Ok(Written::Number(word)),
            "boolean" => 'b',
            "byte" => 'y',
            "int16" => 'n',
            "uint16" => 'q',
            "int32" => 'i',
            "handle" => 'h',
            "uint32" => 'u',
            "int64" => 'x',
            "uint64" => 't',
            "double" => 'd',
            "string" => 's',
            "objectpath" => 'o',
            "signature" => 'g',
            _ => return Err(format!("unknown keyword “{word}”")),
        };
        Ok(Written::Typed(Type::Basic(letter), Box::new(self.value(depth + 1)?)))
    }

    fn list(&mut self, open: char, close: char, depth: usize) -> Result<Vec<Written>, String> {
        self.expect(open)?;
        let mut values = Vec::new();
        while !self.take(close) {
            if !values.is_empty() {
                self.expect(',')?;
            }
            values.push(self.value(depth + 1)?);
        }
        Ok(values)
    }

    fn tuple(&mut self, depth: usize) -> Result<Written, String> {
        self.expect('(')?;
        let mut values = Vec::new();
        while !self.take(')') {
            if !values.is_empty() {
                self.expect(',')?;
                if values.len() == 1 && self.take(')') {
                    break;
                }
            }
            values.push(self.value(depth + 1)?);
            if values.len() == 1 && self.peek() == Some(')') {
                return Err("expected “,”".to_owned());
            }
        }
        Ok(Written::Tuple(values))
    }

    fn dictionary(&mut self, depth: usize) -> Result<Written, String> {
        self.expect('{')?;
        let mut entries = Vec::new();
        while !self.take('}') {
            if !entries.is_empty() {
                self.expect(',')?;
            }
            let key = self.value(depth + 1)?;
            if entries.is_empty() && self.take(',') {
                let value = self.value(depth + 1)?;
                self.expect('}')?;
                return Ok(Written::Entry(Box::new((key, value))));
            }
            self.expect(':')?;
            entries.push((key, self.value(depth + 1)?));
        }
        Ok(Written::Dictionary(entries))
    }

    /// What stands between quotes, the escapes left as they are.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let (mut is_escaped, mut end) = (false, None);
        for (at, letter) in self.rest.char_indices().skip(1) {
            match letter {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                letter if letter == quote => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let end = end.ok_or("unterminated string constant")?;
        let text = self.rest[1..end].to_owned();
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    fn string(&mut self, quote: char) -> Result<String, String> {
        let text = self.quoted(quote)?;
        let (mut out, mut letters) = (String::new(), text.chars());
        while let Some(letter) = letters.next() {
            if letter != '\\' {
                out.push(letter);
                continue;
            }
            match letters.next() {
                Some(kind @ ('u' | 'U')) => {
                    let count = if kind == 'u' { 4 } else { 8 };
                    let digits: String = letters.by_ref().take(count).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == count);
                    out.push(code.filter(|code| *code != 0).and_then(char::from_u32).ok_or("invalid unicode escape")?);
                }
                Some('\n') | None => {}
                Some(letter) => out.push(control(letter).map_or(letter, char::from)),
            }
        }
        Ok(out)
    }

    /// `b'…'`: bytes with a 0 after them.
    fn bytes(&mut self) -> Result<Written, String> {
        self.take('b');
        let quote = self.peek().unwrap_or('\'');
        let text = self.quoted(quote)?.into_bytes();
        let (mut out, mut at) = (Vec::new(), 0);
        while let Some(byte) = text.get(at) {
            at += 1;
            if *byte != b'\\' {
                out.push(*byte);
                continue;
            }
            let Some(escape) = text.get(at) else { break };
            let octal = text[at..].iter().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
            if octal > 0 {
                let value = text[at..at + octal].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                out.push((value & 0xff) as u8);
                at += octal;
                continue;
            }
            at += 1;
            match control(char::from(*escape)) {
                Some(code) => out.push(code),
                None if *escape == b'\n' => {}
                None => out.push(*escape),
            }
        }
        out.push(0);
        Ok(Written::Bytes(out))
    }
}

/// The control character of an escape of C.
fn control(letter: char) -> Option<u8> {
    Some(match letter {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        _ => return None,
    })
}
