//! Escapes of sed's patterns and replacements that stand for characters.

use std::iter::Peekable;
use std::str::Chars;

use super::script::ScriptError;

/// The character of `\a`, `\f`, `\r`, `\t`, `\v`.
pub(super) fn named(letter: char) -> Option<char> {
    Some(match letter {
        'a' => '\u{7}',
        'f' => '\u{c}',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        _ => return None,
    })
}

/// The character of `\xHH`, `\dNNN` or `\oNNN`, whose digits are what is `left`.
///
/// # Errors
/// When it has no digits, or is none of ASCII.
pub(super) fn numbered(escape: char, left: &mut Peekable<Chars<'_>>) -> Result<char, ScriptError> {
    let (base, most) = match escape {
        'x' => (16, 2),
        'd' => (10, 3),
        _ => (8, 3),
    };
    let (mut code, mut count) = (0, 0);
    while count < most
        && let Some(digit) = left.peek().and_then(|digit| digit.to_digit(base))
    {
        code = code * base + digit;
        left.next();
        count += 1;
    }
    let made = char::from_u32(code).filter(|made| count > 0 && made.is_ascii());
    made.ok_or_else(|| ScriptError::Refused(format!("\\{escape} of such a character")))
}

/// GNU's escapes for characters: `\t`, `\xHH`, … What they make is never special.
pub(super) fn with_escapes(text: &str) -> Result<String, ScriptError> {
    let mut out = String::new();
    let mut left = text.chars().peekable();
    while let Some(letter) = left.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match left.next() {
            Some(escape @ ('x' | 'd' | 'o')) => {
                let made = numbered(escape, &mut left)?;
                if "^$.*[]\\+?(){}|/".contains(made) {
                    return Err(ScriptError::Refused(format!("\\{escape} of a special character")));
                }
                out.push(made);
            }
            Some('c') => return Err(ScriptError::Refused("\\c".to_owned())),
            Some(other) => match named(other) {
                Some(made) => out.push(made),
                None => out.extend(['\\', other]),
            },
            None => out.push('\\'),
        }
    }
    Ok(out)
}
