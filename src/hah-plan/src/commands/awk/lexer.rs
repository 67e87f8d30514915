//! From text to tokens.

use super::ProgramError;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A line end, which ends statements.
    Newline,
    Number(f64),
    /// With its escapes replaced.
    Text(Vec<u8>),
    /// `/…/`, without its slashes.
    Regex(Vec<u8>),
    /// A name; whether `(` stands right behind it.
    Name(String, bool),
    Word(&'static str),
    Builtin(&'static str),
    Sign(&'static str),
    End,
}

const WORDS: [&str; 18] = [
    "BEGIN", "END", "function", "func", "if", "else", "while", "for", "do", "break", "continue", "next", "nextfile",
    "exit", "return", "delete", "in", "getline",
];
const PRINTS: [&str; 2] = ["print", "printf"];
const BUILTINS: [&str; 24] = [
    "length", "substr", "index", "split", "sub", "gsub", "match", "sprintf", "sin", "cos", "atan2", "exp", "log",
    "sqrt", "int", "rand", "srand", "tolower", "toupper", "system", "close", "fflush", "systime", "strftime",
];
/// Longer signs first.
const SIGNS: [&str; 39] = [
    "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "==", "<=", ">=", "!=", "!~", ">>", "{", "}", "(", ")",
    "[", "]", ";", ",", "+", "-", "*", "/", "%", "^", "!", ">", "<", "|", "?", ":", "~", "$", "=",
];

/// Splits a program.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ProgramError> {
    let bytes = text.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &text[at..];
        match bytes[at] {
            b' ' | b'\t' | b'\r' => at += 1,
            b'\\' if rest.starts_with("\\\n") => at += 2,
            b'\\' if rest.starts_with("\\\r\n") => at += 3,
            b'#' => at += rest.find('\n').unwrap_or(rest.len()),
            b'\n' => {
                tokens.push(Token::Newline);
                at += 1;
            }
            b'"' => {
                let (value, used) = string(&bytes[at + 1..], b'"')?;
                tokens.push(Token::Text(value));
                at += used + 1;
            }
            b'/' if !ends_operand(tokens.last()) => {
                let (value, used) = regex(&bytes[at + 1..])?;
                tokens.push(Token::Regex(value));
                at += used + 1;
            }
            b'0'..=b'9' | b'.' => {
                let used = number_length(&bytes[at..]);
                if used == 0 {
                    return Err(ProgramError::Syntax("syntax error at or near .".to_owned()));
                }
                tokens.push(Token::Number(rest[..used].parse().unwrap_or(0.0)));
                at += used;
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                let used = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
                let name = &rest[..used];
                at += used;
                let known = |list: &[&'static str]| list.iter().copied().find(|word| *word == name);
                tokens.push(match (known(&WORDS), known(&PRINTS), known(&BUILTINS)) {
                    (Some("func"), ..) => Token::Word("function"),
                    (Some(word), ..) | (_, Some(word), _) => Token::Word(word),
                    (.., Some(builtin)) => Token::Builtin(builtin),
                    _ => Token::Name(name.to_owned(), bytes.get(at) == Some(&b'(')),
                });
            }
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => {
                    tokens.push(Token::Sign(sign));
                    at += sign.len();
                }
                None => {
                    let letter = rest.chars().next().unwrap_or(' ');
                    return Err(ProgramError::Syntax(format!("unexpected character '{letter}'")));
                }
            },
        }
    }
    tokens.push(Token::End);
    Ok(tokens)
}

/// Whether `/` after this token divides.
fn ends_operand(last: Option<&Token>) -> bool {
    matches!(
        last,
        Some(
            Token::Number(_)
                | Token::Text(_)
                | Token::Regex(_)
                | Token::Name(..)
                | Token::Builtin("length")
                | Token::Sign(")" | "]" | "$" | "++" | "--")
        )
    )
}

/// How long the decimal number at the start of `bytes` is; 0 when there is none.
pub(super) fn number_length(bytes: &[u8]) -> usize {
    let digits =
        |from: usize| bytes.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(0);
    let mut at = whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if whole + fraction == 0 {
            return 0;
        }
        at += 1 + fraction;
    } else if whole == 0 {
        return 0;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

/// A string up to its end, and how many bytes it took with it.
fn string(bytes: &[u8], end: u8) -> Result<(Vec<u8>, usize), ProgramError> {
    let mut at = 0;
    loop {
        match bytes.get(at) {
            None | Some(b'\n') => return Err(ProgramError::Syntax("runaway string constant".to_owned())),
            Some(byte) if *byte == end => return Ok((unescaped(&bytes[..at]), at + 1)),
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

fn regex(bytes: &[u8]) -> Result<(Vec<u8>, usize), ProgramError> {
    let (mut out, mut at, mut in_brackets) = (Vec::new(), 0, None::<usize>);
    loop {
        match bytes.get(at) {
            None | Some(b'\n') => return Err(ProgramError::Syntax("runaway regular expression".to_owned())),
            Some(b'/') if in_brackets.is_none() => return Ok((out, at + 1)),
            Some(b'\\') if bytes.get(at + 1) == Some(&b'/') => {
                out.push(b'/');
                at += 2;
                continue;
            }
            Some(b'\\') => {
                out.push(b'\\');
                out.extend(bytes.get(at + 1));
                at += 2;
                continue;
            }
            Some(b'[') if in_brackets.is_none() => in_brackets = Some(at),
            Some(b']') => {
                // `[]…]` and `[^]…]` have it as a member.
                let first = in_brackets.is_some_and(|open| at == open + 1 || at == open + 2 && bytes[open + 1] == b'^');
                if !first {
                    in_brackets = None;
                }
            }
            Some(_) => {}
        }
        out.extend(bytes.get(at));
        at += 1;
    }
}

/// The text of a string with its escapes replaced; an unknown one keeps its backslash.
pub(super) fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        if text[at] != b'\\' || at + 1 == text.len() {
            out.push(text[at]);
            at += 1;
            continue;
        }
        at += 2;
        match text[at - 1] {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'v' => out.push(11),
            byte @ (b'\\' | b'"') => out.push(byte),
            b'\n' => {}
            first @ b'0'..=b'7' => {
                let mut value = u32::from(first - b'0');
                let mut count = 1;
                while count < 3
                    && let Some(digit @ b'0'..=b'7') = text.get(at)
                {
                    value = value * 8 + u32::from(digit - b'0');
                    (at, count) = (at + 1, count + 1);
                }
                out.push(value as u8);
            }
            b'x' if text.get(at).is_some_and(u8::is_ascii_hexdigit) => {
                let digits = text[at..].iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
                let value = text[at..at + digits]
                    .iter()
                    .fold(0, |value, digit| value * 16 + char::from(*digit).to_digit(16).unwrap_or_default());
                at += digits;
                out.push(value as u8);
            }
            other => out.extend([b'\\', other]),
        }
    }
    out
}
