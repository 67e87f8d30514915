//! Escapes of sed's patterns that stand for characters.

use super::script::ScriptError;

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
            Some('a') => out.push('\u{7}'),
            Some('f') => out.push('\u{c}'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('v') => out.push('\u{b}'),
            Some(escape @ ('x' | 'd' | 'o')) => {
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
                match char::from_u32(code).filter(|made| count > 0 && made.is_ascii()) {
                    Some(made) => {
                        if "^$.*[]\\+?(){}|/".contains(made) {
                            return Err(ScriptError::Refused(format!("\\{escape} of a special character")));
                        }
                        out.push(made);
                    }
                    None => return Err(ScriptError::Refused(format!("\\{escape} of such a character"))),
                }
            }
            Some('c') => return Err(ScriptError::Refused("\\c".to_owned())),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    Ok(out)
}
