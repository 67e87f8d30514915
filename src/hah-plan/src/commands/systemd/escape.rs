//! systemd-escape(1): strings as parts of unit names.

use crate::commands::{Process, Refusal};

/// What is done to each word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Escape,
    Unescape,
    Mangle,
}

/// The command.
pub(super) fn systemd_escape(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (mut way, mut is_path, mut suffix, mut template) = (Way::Escape, false, None, None);
    let mut words = Vec::new();
    let mut left = arguments.iter().map(String::as_str);
    while let Some(word) = left.next() {
        let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        match option {
            "--" => words.extend(left.by_ref()),
            "-u" | "--unescape" => way = Way::Unescape,
            "-m" | "--mangle" => way = Way::Mangle,
            "-p" | "--path" => is_path = true,
            "--suffix" => suffix = value.or_else(|| left.next()),
            "--template" => template = value.or_else(|| left.next()),
            _ if word.starts_with('-') && word.len() > 1 => return process.unknown(word),
            _ => words.push(word),
        }
    }
    if words.is_empty() {
        process.stderr.extend_from_slice(b"Not enough arguments.\n");
        return Ok(1);
    }
    if way == Way::Mangle && (is_path || template.is_some()) || (way == Way::Unescape && template.is_some()) {
        return process.unknown("with these options together");
    }
    let mut out = Vec::new();
    for word in words {
        let made = match way {
            Way::Escape if is_path => escape_path(word),
            Way::Escape => Some(escape(word)),
            Way::Unescape if is_path => unescape(word).map(|text| format!("/{}", text.trim_start_matches('/'))),
            Way::Unescape => unescape(word),
            Way::Mangle => return process.unknown("--mangle"),
        };
        let Some(made) = made else {
            process.stderr.extend_from_slice(format!("Failed to escape string: Invalid argument: {word}\n").as_bytes());
            return Ok(1);
        };
        out.push(match (template, suffix) {
            (Some(template), _) => match template.split_once("@.") {
                Some((prefix, kind)) => format!("{prefix}@{made}.{kind}"),
                None => {
                    process.stderr.extend_from_slice(format!("Failed to replace instance in {template}\n").as_bytes());
                    return Ok(1);
                }
            },
            (None, Some(suffix)) => format!("{made}.{suffix}"),
            (None, None) => made,
        });
    }
    process.print_line(out.join(" "));
    Ok(0)
}

/// `/` becomes `-`; what has no place in a unit's name, and a leading dot, becomes `\xNN`.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b'.' if index == 0 => out.push_str("\\x2e"),
            b':' | b'_' | b'.' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

/// The path without doubled, leading and trailing slashes; `/` alone is `-`.
fn escape_path(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return None;
    }
    Some(if parts.is_empty() { "-".to_owned() } else { escape(&parts.join("/")) })
}

fn unescape(text: &str) -> Option<String> {
    let (mut out, mut left) = (Vec::new(), text.as_bytes());
    while let Some((byte, rest)) = left.split_first() {
        left = rest;
        match byte {
            b'-' => out.push(b'/'),
            b'\\' => {
                let digits = left.strip_prefix(b"x").and_then(|rest| rest.get(..2))?;
                out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                left = left.get(3..)?;
            }
            _ => out.push(*byte),
        }
    }
    String::from_utf8(out).ok()
}
