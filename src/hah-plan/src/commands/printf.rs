//! printf(1) of coreutils, and the conversions that awk and seq share with it.

mod conversion;

use super::{Command, Process, Refusal};

pub(super) use conversion::parse_conversion;

pub(super) const COMMANDS: &[Command] = &[Command::always("printf", printf)];

/// printf(1): `%d %i %o %u %x %X %c %s %b %q %e %f %g %%` with flags, width and precision (`*` too), and all escapes.
fn printf(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let args = match args {
        [first, rest @ ..] if first == "--" => rest,
        args => args,
    };
    let Some((format, mut values)) = args.split_first() else { return process.missing_operand(1) };
    let mut status = 0;
    loop {
        process.step()?;
        let before = values.len();
        match once(process, format, &mut values)? {
            Once::Done(worst) => status = status.max(worst),
            Once::Stop(worst) => return Ok(status.max(worst)),
        }
        if values.is_empty() || values.len() == before {
            break;
        }
    }
    if let [extra, ..] = values {
        let extra = process.quote(extra);
        process.complain(format_args!("warning: ignoring excess arguments, starting with {extra}"));
    }
    Ok(status)
}

enum Once {
    Done(u8),
    /// `\c`, or a format that is none.
    Stop(u8),
}

fn once(process: &mut Process<'_, '_>, format: &str, values: &mut &[String]) -> Result<Once, Refusal> {
    let mut status = 0;
    let next = |values: &mut &[String]| match values.split_first() {
        Some((first, rest)) => {
            *values = rest;
            Some(first.clone())
        }
        None => None,
    };
    let mut left = format;
    while let Some(letter) = left.chars().next() {
        match letter {
            '\\' => {
                let (bytes, used, ended) = escape(left.as_bytes(), Escapes::Format);
                process.print(bytes);
                if ended {
                    return Ok(Once::Stop(status));
                }
                left = &left[used..];
            }
            '%' => {
                let Some((mut conversion, used)) = parse_conversion(left) else {
                    let what = process.quote(left);
                    process.complain(format_args!("{what}: invalid conversion specification"));
                    return Ok(Once::Stop(1));
                };
                left = &left[used..];
                if conversion.letter == '%' {
                    process.print("%");
                    continue;
                }
                if conversion.width_given {
                    let width = next(values).unwrap_or_default().parse::<i64>().unwrap_or(0);
                    conversion.set_width(width);
                }
                if conversion.precision_given {
                    let precision = next(values).unwrap_or_default().parse::<i64>().unwrap_or(-1);
                    conversion.precision = usize::try_from(precision).ok();
                }
                let value = next(values);
                match conversion.letter {
                    's' => {
                        let text = conversion.bytes(value.unwrap_or_default().as_bytes());
                        process.print(text);
                    }
                    'b' => {
                        let (bytes, ended) = unescaped(&value.unwrap_or_default());
                        process.print(conversion.bytes(&bytes));
                        if ended {
                            return Ok(Once::Stop(status));
                        }
                    }
                    'q' => {
                        let value = value.unwrap_or_default();
                        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:=@%+,".contains(letter);
                        let text = match !value.is_empty() && value.chars().all(plain) {
                            true => value,
                            false if value.chars().any(|letter| letter.is_control()) => {
                                return process.unknown("%q of such a text");
                            }
                            false => super::operands::shell_quoted(&value),
                        };
                        process.print(text);
                    }
                    'c' => {
                        let value = value.unwrap_or_default();
                        process.print(conversion.bytes(&value.as_bytes()[..value.len().min(1)]));
                    }
                    'd' | 'i' | 'o' | 'u' | 'x' | 'X' => {
                        let value = value.unwrap_or_default();
                        let (number, whole) = integer(&value);
                        if !whole {
                            let value = process.quote(&value);
                            process.complain(format_args!("{value}: expected a numeric value"));
                            status = 1;
                        }
                        process.print(conversion.integer(number));
                    }
                    'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                        let value = value.unwrap_or_default();
                        let number = match value.trim_start().parse::<f64>() {
                            Ok(number) => number,
                            Err(_) if value.is_empty() => 0.0,
                            Err(_) => {
                                let (number, whole) = integer(&value);
                                if !whole {
                                    let value = process.quote(&value);
                                    process.complain(format_args!("{value}: expected a numeric value"));
                                    status = 1;
                                }
                                number as f64
                            }
                        };
                        process.print(conversion.float(number));
                    }
                    _ => {
                        process.complain("invalid conversion specification");
                        return Ok(Once::Stop(1));
                    }
                }
            }
            letter => {
                process.print(letter.to_string());
                left = &left[letter.len_utf8()..];
            }
        }
    }
    Ok(Once::Done(status))
}

/// An integer as strtoimax(3) reads it, `'x` too; whether all of the text was one.
fn integer(text: &str) -> (i128, bool) {
    if let Some(character) = text.strip_prefix(['\'', '"']) {
        return (character.chars().next().map_or(0, |letter| u32::from(letter).into()), true);
    }
    if text.is_empty() {
        return (0, true);
    }
    let trimmed = text.trim_start();
    let (negative, digits) = match trimmed.strip_prefix(['-', '+']) {
        Some(digits) => (trimmed.starts_with('-'), digits),
        None => (false, trimmed),
    };
    let (base, digits) = match digits {
        _ if digits.starts_with("0x") || digits.starts_with("0X") => (16, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let length = digits.chars().take_while(|digit| digit.is_digit(base)).count();
    let value = i128::from_str_radix(&digits[..length], base).unwrap_or(0);
    let value = value.clamp(0, if negative { 1 << 63 } else { u64::MAX.into() });
    let whole = length > 0 && length == digits.len() || base == 8 && digits.is_empty();
    (if negative { -value } else { value }, whole)
}

/// Whose escapes are meant: they differ in how an octal number is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// `\NNN`.
    Format,
    /// `\0NNN` (and `\NNN`): `%b`, `echo -e`.
    Argument,
}

/// The escape at the start of `text`: its bytes, its length, and whether it is `\c`.
fn escape(text: &[u8], kind: Escapes) -> (Vec<u8>, usize, bool) {
    let one = |byte: u8| (vec![byte], 2, false);
    match text.get(1) {
        None => (vec![b'\\'], 1, false),
        Some(b'a') => one(7),
        Some(b'b') => one(8),
        Some(b'c') => (Vec::new(), 2, true),
        Some(b'e') => one(27),
        Some(b'f') => one(12),
        Some(b'n') => one(10),
        Some(b'r') => one(13),
        Some(b't') => one(9),
        Some(b'v') => one(11),
        Some(b'\\') => one(b'\\'),
        Some(b'"') if kind == Escapes::Format => one(b'"'),
        Some(b'x') => {
            let digits = text[2..].iter().take(2).take_while(|digit| digit.is_ascii_hexdigit()).count();
            match digits {
                0 => (b"\\x".to_vec(), 2, false),
                _ => {
                    let value = text[2..2 + digits]
                        .iter()
                        .fold(0, |value, digit| value * 16 + char::from(*digit).to_digit(16).unwrap_or(0));
                    (vec![value as u8], 2 + digits, false)
                }
            }
        }
        Some(first @ b'0'..=b'7') => {
            let start = if kind == Escapes::Argument && *first == b'0' { 2 } else { 1 };
            let digits = text[start..].iter().take(3).take_while(|digit| (b'0'..=b'7').contains(*digit)).count();
            let value =
                text[start..start + digits].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
            (vec![value as u8], start + digits, false)
        }
        Some(b'u' | b'U') => {
            let most = if text[1] == b'u' { 4 } else { 8 };
            let digits = text[2..].iter().take(most).take_while(|digit| digit.is_ascii_hexdigit()).count();
            let value = text[2..2 + digits]
                .iter()
                .fold(0_u32, |value, digit| value.wrapping_mul(16) + char::from(*digit).to_digit(16).unwrap_or(0));
            let character = char::from_u32(value).unwrap_or('\u{fffd}');
            (character.to_string().into_bytes(), 2 + digits, false)
        }
        Some(other) => (vec![b'\\', *other], 2, false),
    }
}

/// A text with its escapes replaced, as `%b` and `echo -e` do; whether `\c` has ended it.
pub(super) fn unescaped(text: &str) -> (Vec<u8>, bool) {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let (made, used, ended) = escape(&bytes[at..], Escapes::Argument);
        out.extend(made);
        if ended {
            return (out, true);
        }
        at += used;
    }
    (out, false)
}
