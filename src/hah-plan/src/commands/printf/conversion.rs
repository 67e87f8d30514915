//! One conversion of printf(3): `%-08.3f` and its kin.

/// A conversion, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::commands) struct Conversion {
    left: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    /// Digits behind the point, or most bytes.
    pub(in crate::commands) precision: Option<usize>,
    /// Whether the width is an argument: `*`.
    pub(in crate::commands) width_given: bool,
    /// Whether the precision is.
    pub(in crate::commands) precision_given: bool,
    /// What it converts to.
    pub(in crate::commands) letter: char,
}

/// Widest field and most digits.
const WIDE_MAX: usize = 1 << 16;

/// The conversion at the start of `text` and its length.
pub(in crate::commands) fn parse_conversion(text: &str) -> Option<(Conversion, usize)> {
    let mut conversion = Conversion::default();
    let mut left = text.char_indices().skip(1).peekable();
    while let Some((_, flag)) = left.next_if(|(_, flag)| "-+ #0'".contains(*flag)) {
        match flag {
            '-' => conversion.left = true,
            '+' => conversion.plus = true,
            ' ' => conversion.blank = true,
            '#' => conversion.alternate = true,
            '0' => conversion.zero = true,
            _ => {}
        }
    }
    let number = |left: &mut std::iter::Peekable<std::iter::Skip<std::str::CharIndices<'_>>>| {
        let mut number = None;
        while let Some(digit) = left.peek().and_then(|(_, digit)| digit.to_digit(10)) {
            left.next();
            number = Some((number.unwrap_or(0) * 10 + digit as usize).min(WIDE_MAX));
        }
        number
    };
    if left.next_if(|(_, star)| *star == '*').is_some() {
        conversion.width_given = true;
    } else {
        conversion.width = number(&mut left).unwrap_or(0);
    }
    if left.next_if(|(_, dot)| *dot == '.').is_some() {
        if left.next_if(|(_, star)| *star == '*').is_some() {
            conversion.precision_given = true;
        } else {
            conversion.precision = Some(number(&mut left).unwrap_or(0));
        }
    }
    while left.next_if(|(_, size)| "hlLqjzt".contains(*size) && *size != 'q').is_some() {}
    let (at, letter) = left.next()?;
    conversion.letter = letter;
    "diouxXcsbqeEfFgGaA%".contains(letter).then_some((conversion, at + letter.len_utf8()))
}

impl Conversion {
    /// Sets the width that an argument gave; a negative one is to the left.
    pub(in crate::commands) fn set_width(&mut self, width: i64) {
        self.left |= width < 0;
        self.width = usize::try_from(width.unsigned_abs()).unwrap_or(WIDE_MAX).min(WIDE_MAX);
    }

    fn padded(&self, text: Vec<u8>, signed: usize) -> Vec<u8> {
        let wide = text.len();
        let missing = self.width.saturating_sub(wide);
        let mut out = Vec::with_capacity(wide + missing);
        if self.left {
            out.extend(text);
            out.extend(std::iter::repeat_n(b' ', missing));
        } else if self.zero && signed != usize::MAX {
            out.extend_from_slice(&text[..signed]);
            out.extend(std::iter::repeat_n(b'0', missing));
            out.extend_from_slice(&text[signed..]);
        } else {
            out.extend(std::iter::repeat_n(b' ', missing));
            out.extend(text);
        }
        out
    }

    /// `%s`, `%b`, `%c`: widths are in bytes.
    pub(in crate::commands) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let most = if self.letter == 'c' { bytes.len() } else { self.precision.unwrap_or(bytes.len()) };
        self.padded(bytes[..most.min(bytes.len())].to_vec(), usize::MAX)
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.blank) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        }
    }

    /// `%d` and its kin.
    pub(in crate::commands) fn integer(&self, value: i128) -> Vec<u8> {
        let unsigned = value.rem_euclid(1 << 64);
        let (prefix, digits) = match self.letter {
            'd' | 'i' => {
                let value = value.clamp(i64::MIN.into(), i64::MAX.into());
                (self.sign(value < 0), value.unsigned_abs().to_string())
            }
            'o' if self.alternate => ("0", format!("{unsigned:o}")),
            'o' => ("", format!("{unsigned:o}")),
            'x' if self.alternate && unsigned != 0 => ("0x", format!("{unsigned:x}")),
            'x' => ("", format!("{unsigned:x}")),
            'X' if self.alternate && unsigned != 0 => ("0X", format!("{unsigned:X}")),
            'X' => ("", format!("{unsigned:X}")),
            _ => ("", unsigned.to_string()),
        };
        let mut digits = match self.precision {
            Some(0) if digits == "0" => String::new(),
            Some(least) => format!("{digits:0>least$}"),
            None => digits,
        };
        if self.letter == 'o' && prefix == "0" && digits.starts_with('0') {
            digits.remove(0);
        }
        // A precision makes the flag `0` count for nothing.
        let signed = if self.precision.is_some() { usize::MAX } else { prefix.len() };
        self.padded(format!("{prefix}{digits}").into_bytes(), signed)
    }

    /// `%f` and its kin.
    pub(in crate::commands) fn float(&self, value: f64) -> Vec<u8> {
        let prefix = self.sign(value.is_sign_negative() && !value.is_nan());
        let size = value.abs();
        let precision = self.precision.unwrap_or(6);
        if !size.is_finite() {
            let word = if size.is_nan() { "nan" } else { "inf" };
            return self.padded(format!("{prefix}{word}").into_bytes(), usize::MAX);
        }
        let text = match self.letter {
            'e' | 'E' => exponential(size, precision),
            'g' | 'G' => general(size, precision.max(1), self.alternate),
            _ => format!("{size:.precision$}"),
        };
        let text = if self.letter.is_ascii_uppercase() { text.to_uppercase() } else { text };
        self.padded(format!("{prefix}{text}").into_bytes(), prefix.len())
    }
}

fn exponential(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn general(size: f64, precision: usize, alternate: bool) -> String {
    let text = exponential(size, precision - 1);
    let exponent: i64 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let fixed = exponent >= -4 && exponent < precision as i64;
    let text = match fixed {
        true => format!("{size:.*}", usize::try_from(precision as i64 - 1 - exponent).unwrap_or(0)),
        false => text,
    };
    if alternate {
        return text;
    }
    let (digits, exponent) = match text.split_once('e') {
        Some((digits, exponent)) => (digits, format!("e{exponent}")),
        None => (text.as_str(), String::new()),
    };
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{exponent}")
}
