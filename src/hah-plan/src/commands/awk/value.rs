//! Values: numbers, texts, and texts that came from outside and are numbers when they look like one.

use std::cmp::Ordering;
use std::rc::Rc;

use super::lexer::number_length;
use crate::commands::printf::parse_conversion;

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Value {
    /// Of a variable that nobody has set: 0 and the empty text.
    #[default]
    Unset,
    Number(f64),
    Text(Rc<[u8]>),
    /// From input, a command line or the environment.
    Input(Rc<[u8]>),
}

impl Value {
    pub(super) fn text(bytes: &[u8]) -> Self {
        Self::Text(bytes.into())
    }

    pub(super) fn input(bytes: &[u8]) -> Self {
        Self::Input(bytes.into())
    }

    pub(super) fn truth(holds: bool) -> Self {
        Self::Number(if holds { 1.0 } else { 0.0 })
    }

    /// As a number: the one that a text begins with, or 0.
    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Unset => 0.0,
            Self::Number(number) => *number,
            Self::Text(text) | Self::Input(text) => leading_number(text).0,
        }
    }

    /// The number that it is, where it is one.
    fn as_number(&self) -> Option<f64> {
        match self {
            Self::Unset => Some(0.0),
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
            Self::Input(text) => numeric(text),
        }
    }

    /// As a text, numbers that are not whole by `format` (CONVFMT or OFMT).
    pub(super) fn bytes(&self, format: &[u8]) -> Rc<[u8]> {
        match self {
            Self::Unset => Rc::from([]),
            Self::Number(number) => number_text(*number, format).into(),
            Self::Text(text) | Self::Input(text) => text.clone(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Input(text) => numeric(text).map_or(!text.is_empty(), |number| number != 0.0),
            other => other.number() != 0.0,
        }
    }

    /// The order of two values: as numbers when both are, else as texts.
    pub(super) fn compare(&self, other: &Self, format: &[u8]) -> Option<Ordering> {
        match (self.as_number(), other.as_number()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => Some(self.bytes(format).cmp(&other.bytes(format))),
        }
    }
}

/// The number at the start of a text, and whether the text is nothing else.
fn leading_number(text: &[u8]) -> (f64, bool) {
    let blanks = |text: &[u8]| text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    let start = blanks(text);
    let sign = usize::from(matches!(text.get(start), Some(b'+' | b'-')));
    let length = number_length(&text[start + sign..]);
    if length == 0 {
        return (0.0, false);
    }
    let end = start + sign + length;
    let number = std::str::from_utf8(&text[start..end]).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0.0);
    (number, end + blanks(&text[end..]) == text.len())
}

fn numeric(text: &[u8]) -> Option<f64> {
    let (number, whole) = leading_number(text);
    whole.then_some(number)
}

/// A number as a text: whole ones in digits, others by `format`.
pub(super) fn number_text(number: f64, format: &[u8]) -> Vec<u8> {
    if number.fract() == 0.0 && number.abs() < 9.2e18 {
        return (number as i64).to_string().into_bytes();
    }
    let format = std::str::from_utf8(format).unwrap_or("%.6g");
    match format.find('%').and_then(|start| Some((start, parse_conversion(&format[start..])?))) {
        Some((start, (conversion, used))) if "eEfFgG".contains(conversion.letter) => {
            let mut out = format.as_bytes()[..start].to_vec();
            out.extend(conversion.float(number));
            out.extend_from_slice(&format.as_bytes()[start + used..]);
            out
        }
        _ => number.to_string().into_bytes(),
    }
}
