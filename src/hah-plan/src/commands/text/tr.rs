//! tr(1). Like coreutils', it knows bytes, not characters.

use crate::commands::options::Order;
use crate::commands::{Process, Refusal};

/// tr(1): `-d -s -c -C -t`, ranges, classes, `[x*n]`, escapes.
pub(super) fn tr(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "c,complement C d,delete s,squeeze-repeats t,truncate-set1", Order::First)?;
    let (delete, squeeze) = (options.has("d"), options.has("s"));
    let complement = options.has("c") || options.has("C");
    let (first, second) = match options.operands.as_slice() {
        [] => return process.missing_operand(1),
        [first] if delete != squeeze => (first, None),
        [first, second] if !delete || squeeze => (first, Some(second)),
        [first] => {
            let first = process.quote(first);
            process.complain(format_args!("missing operand after {first}"));
            return Ok(1);
        }
        [_, second, ..] => {
            let second = process.quote(options.operands.get(2).unwrap_or(second));
            process.complain(format_args!("extra operand {second}"));
            return Ok(1);
        }
    };
    for text in [Some(first), second].into_iter().flatten() {
        if let Some(range) = reversed_range(text) {
            let range = process.quote(&range);
            process.complain(format_args!("range-endpoints of {range} are in reverse collating sequence order"));
            return Ok(1);
        }
    }
    let Some(mut from) = set(first, None) else { return process.unknown(&format!("'{first}'")) };
    if complement {
        from = (0..=255).filter(|byte| !from.contains(byte)).collect();
    }
    let to = match second {
        None => Vec::new(),
        Some(second) => {
            let case = (cased(first), cased(second));
            match set(second, (!delete).then_some(from.len())) {
                // Case classes stand opposite each other, letter by letter.
                Some(to) if matches!(case, (None, None) | (Some(_), _) | (_, Some(_))) => to,
                _ => return process.unknown(&format!("'{second}'")),
            }
        }
    };
    let translate = !delete && second.is_some();
    let mut table: Vec<u8> = (0..=255).collect();
    if translate {
        let Some(last) = to.last().copied() else {
            process.complain("when not truncating set1, string2 must be non-empty");
            return Ok(1);
        };
        for (index, byte) in from.iter().enumerate() {
            match to.get(index) {
                Some(new) => table[usize::from(*byte)] = *new,
                None if options.has("t") => {}
                None => table[usize::from(*byte)] = last,
            }
        }
    }
    let squeezed = if second.is_some() { &to } else { &from };
    let is_in = |set: &[u8]| {
        let mut member = [false; 256];
        set.iter().for_each(|byte| member[usize::from(*byte)] = true);
        member
    };
    let (deleted, squeezed) = (is_in(&from), is_in(squeezed));
    let mut out: Vec<u8> = Vec::new();
    for byte in process.take_stdin() {
        if delete && deleted[usize::from(byte)] {
            continue;
        }
        let byte = if translate { table[usize::from(byte)] } else { byte };
        if squeeze && squeezed[usize::from(byte)] && out.last() == Some(&byte) {
            continue;
        }
        out.push(byte);
    }
    process.print(out);
    Ok(0)
}

fn cased(set: &str) -> Option<&'static str> {
    ["[:lower:]", "[:upper:]"].into_iter().find(|class| set.contains(class))
}

/// A range of plain characters whose end comes before its start.
fn reversed_range(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let range = bytes.windows(3).find(|three| {
        let plain = three[0].is_ascii_alphanumeric() && three[2].is_ascii_alphanumeric();
        plain && three[1] == b'-' && three[2] < three[0]
    })?;
    // `a-z-b` is a range and two characters.
    let at = range.as_ptr() as usize - bytes.as_ptr() as usize;
    (at < 2 || bytes[at - 1] != b'-').then(|| String::from_utf8_lossy(range).into_owned())
}

/// The bytes of a set in order. `[x*]` fills up to `length`; without it, it is not known here.
fn set(text: &str, length: Option<usize>) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let (mut out, mut fill) = (Vec::new(), None);
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"[:")
            && let Some(end) = rest.windows(2).position(|pair| pair == b":]")
        {
            out.extend(class(std::str::from_utf8(&rest[2..end]).ok()?)?);
            at += end + 2;
            continue;
        }
        if rest.starts_with(b"[=") && rest.get(3..5) == Some(b"=]") {
            out.push(rest[2]);
            at += 5;
            continue;
        }
        if rest[0] == b'[' {
            let (byte, used) = one(&rest[1..]).unwrap_or((0, 1));
            if rest.get(1 + used) == Some(&b'*')
                && let Some(end) = rest.iter().position(|byte| *byte == b']').filter(|end| *end > 1 + used)
            {
                let digits = std::str::from_utf8(&rest[2 + used..end]).ok()?;
                let count = match digits.strip_prefix('0') {
                    _ if digits.is_empty() => 0,
                    Some(octal) if !octal.is_empty() => usize::from_str_radix(octal, 8).ok()?,
                    _ => digits.parse().ok()?,
                };
                if count == 0 {
                    if fill.is_some() || length.is_none() {
                        return None;
                    }
                    fill = Some((out.len(), byte));
                } else {
                    out.extend(std::iter::repeat_n(byte, count.min(1 << 16)));
                }
                at += end + 1;
                continue;
            }
        }
        let (start, used) = one(rest)?;
        at += used;
        if bytes.get(at) == Some(&b'-') && at + 1 < bytes.len() {
            let (end, used) = one(&bytes[at + 1..])?;
            if end < start {
                return None;
            }
            out.extend(start..=end);
            at += 1 + used;
        } else {
            out.push(start);
        }
    }
    if let Some((place, byte)) = fill {
        let missing = length?.saturating_sub(out.len());
        out.splice(place..place, std::iter::repeat_n(byte, missing));
    }
    Some(out)
}

/// One byte and how many it was written with.
fn one(bytes: &[u8]) -> Option<(u8, usize)> {
    let first = *bytes.first()?;
    if first != b'\\' {
        return Some((first, 1));
    }
    Some(match bytes.get(1) {
        None => (b'\\', 1),
        Some(b'n') => (b'\n', 2),
        Some(b't') => (b'\t', 2),
        Some(b'r') => (b'\r', 2),
        Some(b'a') => (7, 2),
        Some(b'b') => (8, 2),
        Some(b'f') => (12, 2),
        Some(b'v') => (11, 2),
        Some(b'0'..=b'7') => {
            let digits = bytes[1..].iter().take(3).take_while(|digit| (b'0'..=b'7').contains(*digit)).count();
            let value = bytes[1..=digits].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
            match u8::try_from(value) {
                Ok(value) => (value, 1 + digits),
                Err(_) => (u8::try_from(value / 8).ok()?, digits),
            }
        }
        Some(other) => (*other, 2),
    })
}

fn class(name: &str) -> Option<Vec<u8>> {
    let test: fn(&u8) -> bool = match name {
        "alnum" => u8::is_ascii_alphanumeric,
        "alpha" => u8::is_ascii_alphabetic,
        "blank" => |byte| matches!(byte, b' ' | b'\t'),
        "cntrl" => u8::is_ascii_control,
        "digit" => u8::is_ascii_digit,
        "graph" => u8::is_ascii_graphic,
        "lower" => u8::is_ascii_lowercase,
        "print" => |byte| byte.is_ascii_graphic() || *byte == b' ',
        "punct" => u8::is_ascii_punctuation,
        "space" => |byte| matches!(byte, b' ' | 9..=13),
        "upper" => u8::is_ascii_uppercase,
        "xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    };
    Some((0..=255).filter(test).collect())
}
