//! `echo printf`, as dash has them; in scripts of bash, its `echo`.

mod float;

use crate::shell::{Eval, Shell, arithmetic, bash};

/// What an escape in a text gives.
enum Escaped {
    Bytes(Vec<u8>),
    /// `\c`: nothing more is printed.
    Stop,
}

/// `text` with its escapes replaced. `leading_zero` is for `echo` and `%b`, where an octal number begins with 0.
fn unescape(text: &str, leading_zero: bool) -> (Vec<u8>, bool) {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (escaped, length) = escape(&bytes[at..], leading_zero);
        at += length;
        match escaped {
            Escaped::Bytes(bytes) => out.extend(bytes),
            Escaped::Stop => return (out, true),
        }
    }
    (out, false)
}

/// What stands behind a backslash, and how many bytes of it belong to it.
fn escape(rest: &[u8], leading_zero: bool) -> (Escaped, usize) {
    let octal = |digits: &[u8]| {
        let count = digits.iter().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
        let value = digits[..count].iter().fold(0u32, |value, digit| value * 8 + u32::from(digit - b'0'));
        (value as u8, count)
    };
    let one = |byte: u8| (Escaped::Bytes(vec![byte]), 1);
    match rest.first() {
        Some(b'a') => one(7),
        Some(b'b') => one(8),
        Some(b'c') if leading_zero => (Escaped::Stop, 1),
        Some(b'f') => one(12),
        Some(b'n') => one(b'\n'),
        Some(b'r') => one(b'\r'),
        Some(b't') => one(b'\t'),
        Some(b'v') => one(11),
        Some(b'e') => one(0x1b),
        Some(b'\\') => one(b'\\'),
        Some(b'0') if leading_zero => {
            let (value, count) = octal(&rest[1..]);
            (Escaped::Bytes(vec![value]), count + 1)
        }
        Some(b'0'..=b'7') => {
            let (value, count) = octal(rest);
            (Escaped::Bytes(vec![value]), count)
        }
        _ => (Escaped::Bytes(vec![b'\\']), 0),
    }
}

pub(super) fn echo(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let (newline, escapes, args) = match args.first().map(String::as_str) {
        _ if shell.bash => bash::echo_options(args),
        Some("-n") => (false, true, &args[1..]),
        _ => (true, true, args),
    };
    let text = args.join(" ");
    let (mut out, stopped) = if escapes { unescape(&text, true) } else { (text.into_bytes(), false) };
    if newline && !stopped {
        out.push(b'\n');
    }
    shell.status = u32::from(!shell.print(&out)?);
    Ok(())
}

/// A conversion of a format.
struct Conversion {
    flags: String,
    width: Option<usize>,
    precision: Option<usize>,
    kind: char,
}

/// The arguments of `printf`, and whether any was not what its conversion wants.
struct Arguments<'a> {
    left: std::slice::Iter<'a, String>,
    wrong: Vec<String>,
}

impl Arguments<'_> {
    fn text(&mut self) -> String {
        self.left.next().cloned().unwrap_or_default()
    }

    /// A number of C, or a quote and a character, whose code it is.
    fn number(&mut self) -> i64 {
        let Some(text) = self.left.next().filter(|text| !text.is_empty()) else { return 0 };
        if let Some(character) = text.strip_prefix(['\'', '"']) {
            return character.chars().next().map_or(0, |c| i64::from(u32::from(c)));
        }
        let trimmed = text.trim_start();
        let (sign, digits) = match trimmed.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        if digits == "9223372036854775808" && sign < 0 {
            return i64::MIN;
        }
        if let Some(number) = arithmetic::number(digits) {
            // Beyond the range, it is the range's end and a complaint.
            if number == i64::MAX && digits.trim_start_matches('0') != i64::MAX.to_string() && !digits.starts_with("0x")
            {
                self.wrong.push(text.clone());
            }
            return number.wrapping_mul(sign);
        }
        self.wrong.push(text.clone());
        // What can be read of it counts.
        let radix_digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        arithmetic::number(&radix_digits).unwrap_or(0).wrapping_mul(sign)
    }
}

impl Arguments<'_> {
    fn float(&mut self) -> f64 {
        let Some(text) = self.left.next().filter(|text| !text.is_empty()) else { return 0.0 };
        if let Some(character) = text.strip_prefix(['\'', '"']) {
            return character.bytes().next().map_or(0.0, f64::from);
        }
        let trimmed = text.trim_start();
        // The longest beginning that is a number counts.
        let ends = (1..=trimmed.len()).rev().filter(|end| trimmed.is_char_boundary(*end));
        let found = ends.take(400).find_map(|end| Some((end, trimmed[..end].parse::<f64>().ok()?)));
        let (end, number) = found.unwrap_or((0, 0.0));
        if end < trimmed.len() {
            self.wrong.push(text.clone());
        }
        number
    }
}

pub(super) fn printf(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let args = if args.first().is_some_and(|arg| arg == "--") { &args[1..] } else { args };
    if shell.bash && args.first().is_some_and(|arg| arg.starts_with("-v")) {
        return shell.refuse("`printf -v` of bash");
    }
    let Some((format, rest)) = args.split_first() else {
        return Err(shell.die("printf: usage: printf format [arg ...]"));
    };
    let mut arguments = Arguments { left: rest.iter(), wrong: Vec::new() };
    let mut out = Vec::new();
    loop {
        let before = arguments.left.len();
        let stopped = match format_once(format, &mut arguments, &mut out) {
            Ok(stopped) => stopped,
            Err(what) => {
                shell.print(&out)?;
                return Err(shell.die(&format!("printf: {what}")));
            }
        };
        shell.spend_bytes(out.len())?;
        // The format is used again for what is left, as long as it takes any.
        if stopped || arguments.left.len() == 0 || arguments.left.len() == before {
            break;
        }
    }
    let printed = shell.print(&out)?;
    for wrong in &arguments.wrong {
        shell.complain(&format!("printf: {wrong}: expected numeric value"));
    }
    shell.status = u32::from(!printed || !arguments.wrong.is_empty());
    Ok(())
}

/// Goes through the format once; true when `\c` ended everything.
fn format_once(format: &str, arguments: &mut Arguments<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
    let bytes = format.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' => {
                let (escaped, length) = escape(&bytes[at..], false);
                at += length;
                if let Escaped::Bytes(bytes) = escaped {
                    out.extend(bytes);
                }
            }
            b'%' if bytes.get(at) == Some(&b'%') => {
                at += 1;
                out.push(b'%');
            }
            b'%' => {
                let rest = format.get(at..).unwrap_or_default();
                let (conversion, length) = conversion(rest, arguments)?;
                at += length;
                if convert(&conversion, arguments, out)? {
                    return Ok(true);
                }
            }
            byte => out.push(byte),
        }
    }
    Ok(false)
}

fn conversion(text: &str, arguments: &mut Arguments<'_>) -> Result<(Conversion, usize), String> {
    let characters: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut flags = String::new();
    while let Some(c) = characters.get(at).filter(|c| "-+ #0".contains(**c)) {
        flags.push(*c);
        at += 1;
    }
    let number = |at: &mut usize, arguments: &mut Arguments<'_>| -> Option<i64> {
        if characters.get(*at) == Some(&'*') {
            *at += 1;
            return Some(arguments.number());
        }
        let start = *at;
        while characters.get(*at).is_some_and(char::is_ascii_digit) {
            *at += 1;
        }
        characters[start..*at].iter().collect::<String>().parse().ok()
    };
    let width = number(&mut at, arguments);
    let mut precision = None;
    if characters.get(at) == Some(&'.') {
        at += 1;
        precision = Some(number(&mut at, arguments).unwrap_or(0));
    }
    if width.is_some_and(|width| width < 0) {
        flags.push('-');
    }
    let kind = *characters.get(at).ok_or("missing format character")?;
    // More than a line has is a mistake.
    let limit = |number: i64| usize::try_from(number.unsigned_abs().min(1 << 16)).unwrap_or_default();
    let precision = precision.filter(|precision| *precision >= 0).map(limit);
    let length = characters[..=at].iter().map(|c| c.len_utf8()).sum();
    Ok((Conversion { flags, width: width.map(limit), precision, kind }, length))
}

/// Adds one converted argument; true when `\c` in it ended everything.
fn convert(conversion: &Conversion, arguments: &mut Arguments<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
    let Conversion { flags, width, precision, kind } = conversion;
    let mut stopped = false;
    let (sign, mut body, numeric) = match kind {
        's' | 'b' => {
            let mut bytes = arguments.text().into_bytes();
            if *kind == 'b' {
                (bytes, stopped) = unescape(&String::from_utf8_lossy(&bytes), true);
            }
            bytes.truncate(precision.unwrap_or(bytes.len()));
            (String::new(), bytes, false)
        }
        'c' => {
            let text = arguments.text();
            // Of nothing, it is the byte 0 that ends every text.
            (String::new(), vec![text.bytes().next().unwrap_or(0)], false)
        }
        'd' | 'i' => {
            let number = arguments.number();
            let sign = match number < 0 {
                true => "-",
                false if flags.contains('+') => "+",
                false if flags.contains(' ') => " ",
                false => "",
            };
            (sign.to_owned(), number.unsigned_abs().to_string().into_bytes(), true)
        }
        'u' => (String::new(), (arguments.number() as u64).to_string().into_bytes(), true),
        'o' => {
            let digits = format!("{:o}", arguments.number());
            let zero = flags.contains('#') && !digits.starts_with('0');
            (String::new(), if zero { format!("0{digits}") } else { digits }.into_bytes(), true)
        }
        'x' | 'X' => {
            let number = arguments.number();
            let digits = if *kind == 'x' { format!("{number:x}") } else { format!("{number:X}") };
            let prefix = if flags.contains('#') && number != 0 { format!("0{kind}") } else { String::new() };
            (prefix, digits.into_bytes(), true)
        }
        'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
            let number = arguments.float();
            let sign = match number.is_sign_negative() {
                true => "-",
                false if flags.contains('+') => "+",
                false if flags.contains(' ') => " ",
                false => "",
            };
            (sign.to_owned(), float::format(number.abs(), *kind, *precision).into_bytes(), true)
        }
        _ => return Err(format!("%{kind}: invalid directive")),
    };
    let whole = matches!(kind, 'd' | 'i' | 'u' | 'o' | 'x' | 'X');
    if let (true, Some(precision)) = (whole, precision) {
        while body.len() < *precision {
            body.insert(0, b'0');
        }
        if *precision == 0 && body == b"0" {
            body.clear();
        }
    }
    let missing = width.unwrap_or(0).saturating_sub(sign.len() + body.len());
    let (left, zero) = (flags.contains('-'), flags.contains('0') && numeric && !(whole && precision.is_some()));
    if !left && !zero {
        out.extend(std::iter::repeat_n(b' ', missing));
    }
    out.extend(sign.as_bytes());
    if zero && !left {
        out.extend(std::iter::repeat_n(b'0', missing));
    }
    out.extend(body);
    if left {
        out.extend(std::iter::repeat_n(b' ', missing));
    }
    Ok(stopped)
}
