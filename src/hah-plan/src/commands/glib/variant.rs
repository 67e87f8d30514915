//! GVariant: typed values and their bytes, little-endian, as "GVariant Specification 1.0" lays them out.

mod text;

use std::fmt;

pub(super) use text::parse;

/// How deep types and values may be nested.
const DEPTH: usize = 64;

/// A definite type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// One letter: `b y n q i u x t h d s o g v`.
    Basic(char),
    Maybe(Box<Type>),
    Array(Box<Type>),
    Tuple(Vec<Type>),
    Entry(Box<Type>, Box<Type>),
}

/// A value, which a [`Type`] goes with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Integer(i128),
    Double(f64),
    /// A string, an object path or a signature.
    Text(String),
    Variant(Box<(Type, Value)>),
    Maybe(Option<Box<Value>>),
    Array(Vec<Value>),
    /// A tuple or an entry of a dictionary.
    Tuple(Vec<Value>),
}

impl Type {
    /// A type from its string; `None` when that is not the string of one definite type.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = Self::parse_prefix(text, 0)?;
        rest.is_empty().then_some(kind)
    }

    /// The type that `text` begins with, and the rest.
    fn parse_prefix(text: &str, depth: usize) -> Option<(Self, &str)> {
        let first = text.chars().next()?;
        let rest = &text[first.len_utf8()..];
        if depth > DEPTH {
            return None;
        }
        match first {
            _ if "bynqiuxthdsogv".contains(first) => Some((Self::Basic(first), rest)),
            'm' | 'a' => {
                let (element, rest) = Self::parse_prefix(rest, depth + 1)?;
                let element = Box::new(element);
                Some((if first == 'm' { Self::Maybe(element) } else { Self::Array(element) }, rest))
            }
            '(' => {
                let (mut members, mut rest) = (Vec::new(), rest);
                while !rest.starts_with(')') {
                    let (member, after) = Self::parse_prefix(rest, depth + 1)?;
                    members.push(member);
                    rest = after;
                }
                Some((Self::Tuple(members), &rest[1..]))
            }
            '{' => {
                let (key, rest) = Self::parse_prefix(rest, depth + 1)?;
                let (value, rest) = Self::parse_prefix(rest, depth + 1)?;
                let is_basic = matches!(key, Self::Basic(letter) if letter != 'v');
                Some((Self::Entry(Box::new(key), Box::new(value)), rest.strip_prefix('}').filter(|_| is_basic)?))
            }
            _ => None,
        }
    }

    /// A multiple of this many bytes is where a value begins.
    fn alignment(&self) -> usize {
        match self {
            Self::Basic(letter) => match letter {
                'n' | 'q' => 2,
                'i' | 'u' | 'h' => 4,
                'x' | 't' | 'd' | 'v' => 8,
                _ => 1,
            },
            Self::Maybe(element) | Self::Array(element) => element.alignment(),
            Self::Tuple(members) => members.iter().map(Self::alignment).max().unwrap_or(1),
            Self::Entry(key, value) => key.alignment().max(value.alignment()),
        }
    }

    /// How many bytes every value has, where all have the same.
    fn fixed_size(&self) -> Option<usize> {
        let of_members = |members: &[&Self]| {
            let end = members
                .iter()
                .try_fold(0_usize, |end, member| Some(end.next_multiple_of(member.alignment()) + member.fixed_size()?));
            end.map(|end| end.next_multiple_of(self.alignment()).max(1))
        };
        match self {
            Self::Basic(letter) => match letter {
                'b' | 'y' => Some(1),
                'n' | 'q' => Some(2),
                'i' | 'u' | 'h' => Some(4),
                'x' | 't' | 'd' => Some(8),
                _ => None,
            },
            Self::Maybe(_) | Self::Array(_) => None,
            Self::Tuple(members) => of_members(&members.iter().collect::<Vec<_>>()),
            Self::Entry(key, value) => of_members(&[key, value]),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic(letter) => write!(out, "{letter}"),
            Self::Maybe(element) => write!(out, "m{element}"),
            Self::Array(element) => write!(out, "a{element}"),
            Self::Tuple(members) => {
                out.write_str("(")?;
                members.iter().try_for_each(|member| write!(out, "{member}"))?;
                out.write_str(")")
            }
            Self::Entry(key, value) => write!(out, "{{{key}{value}}}"),
        }
    }
}

impl Value {
    /// A string.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// The bytes of this value as one of `kind`.
    pub(super) fn bytes(&self, kind: &Type) -> Vec<u8> {
        match (self, kind) {
            (Self::Bool(value), _) => vec![u8::from(*value)],
            (Self::Integer(value), _) => value.to_le_bytes()[..kind.fixed_size().unwrap_or(1).min(8)].to_vec(),
            (Self::Double(value), _) => value.to_le_bytes().to_vec(),
            (Self::Text(text), _) => [text.as_bytes(), &[0]].concat(),
            (Self::Variant(inner), _) => {
                let (kind, value) = &**inner;
                [&value.bytes(kind), &[0][..], kind.to_string().as_bytes()].concat()
            }
            (Self::Maybe(value), Type::Maybe(element)) => {
                let mut bytes = value.as_ref().map(|value| value.bytes(element)).unwrap_or_default();
                if value.is_some() && element.fixed_size().is_none() {
                    bytes.push(0);
                }
                bytes
            }
            (Self::Array(values), Type::Array(element)) => {
                let (mut out, mut ends) = (Vec::new(), Vec::new());
                for value in values {
                    append(&mut out, element, value);
                    ends.push(out.len());
                }
                if element.fixed_size().is_none() {
                    write_ends(&mut out, &ends);
                }
                out
            }
            (Self::Tuple(values), Type::Tuple(members)) => tuple(values, &members.iter().collect::<Vec<_>>(), kind),
            (Self::Tuple(values), Type::Entry(key, value)) => tuple(values, &[key, value], kind),
            // A value is always made for its type.
            (Self::Maybe(_) | Self::Array(_) | Self::Tuple(_), _) => Vec::new(),
        }
    }
}

fn append(out: &mut Vec<u8>, kind: &Type, value: &Value) {
    out.resize(out.len().next_multiple_of(kind.alignment()), 0);
    out.extend(value.bytes(kind));
}

/// Members one after the other, then the ends of those whose length is not known, the last one first; the very last
/// member ends where the ends begin.
fn tuple(values: &[Value], members: &[&Type], kind: &Type) -> Vec<u8> {
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    for (at, (value, member)) in values.iter().zip(members).enumerate() {
        append(&mut out, member, value);
        if member.fixed_size().is_none() && at + 1 < members.len() {
            ends.insert(0, out.len());
        }
    }
    match kind.fixed_size() {
        Some(size) => out.resize(size, 0),
        None => write_ends(&mut out, &ends),
    }
    out
}

/// Adds offsets in the smallest size that reaches over the values and the offsets themselves.
fn write_ends(out: &mut Vec<u8>, ends: &[usize]) {
    let sizes = [(1, 0xff), (2, 0xffff), (4, 0xffff_ffff)];
    let fits = |(size, most): &&(usize, usize)| out.len() + size * ends.len() <= *most;
    let size = sizes.iter().find(fits).map_or(8, |(size, _)| *size);
    ends.iter().for_each(|end| out.extend_from_slice(&(*end as u64).to_le_bytes()[..size]));
}
