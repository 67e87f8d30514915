//! head(1) and tail(1).

use crate::commands::numbers::size;
use crate::commands::operands::lines_with_ends;
use crate::commands::options::{Options, Order};
use crate::commands::{Process, Refusal};

const SPEC: &str = "c,bytes= n,lines= q,quiet ,silent v,verbose z,zero-terminated f,follow=? F s= ,pid= ,retry";

/// The old spelling `-5`, `+5` as the new one.
fn modern(args: &[String], signs: &str) -> Vec<String> {
    let mut args = args.to_vec();
    if let Some(first) = args.first_mut() {
        let digits = first.strip_prefix(|sign: char| signs.contains(sign)).unwrap_or_default();
        if !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit()) {
            *first = match first.starts_with('+') {
                true => format!("-n+{digits}"),
                false => format!("-n{digits}"),
            };
        }
    }
    args
}

/// head(1): `-n [-]N`, `-c [-]N`, `-N`, `-q -v -z`.
pub(super) fn head(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(&modern(args, "-"), SPEC, Order::Any)?;
    if options.has("f") || options.has("F") {
        return process.unknown("-f");
    }
    part(process, &options, |text, end, count, by_bytes, sign| {
        let units = units(text, end, by_bytes);
        let kept = if sign == Some('-') { units.len().saturating_sub(count) } else { count.min(units.len()) };
        0..units[..kept].iter().sum()
    })
}

/// tail(1): `-n [+]N`, `-c [+]N`, `-N`, `+N`, `-q -v -z`. Following (`-f`) has nobody to follow.
pub(super) fn tail(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(&modern(args, "-+"), SPEC, Order::Any)?;
    if options.has("f") || options.has("F") {
        return process.unknown("-f");
    }
    part(process, &options, |text, end, count, by_bytes, sign| {
        let units = units(text, end, by_bytes);
        let skipped = match sign {
            Some('+') => count.saturating_sub(1).min(units.len()),
            _ => units.len() - count.min(units.len()),
        };
        units[..skipped].iter().sum()..text.len()
    })
}

/// Lengths of lines, or of bytes.
fn units(text: &[u8], end: u8, by_bytes: bool) -> Vec<usize> {
    match by_bytes {
        true => vec![1; text.len()],
        false => lines_with_ends(text, end).map(<[u8]>::len).collect(),
    }
}

fn part(
    process: &mut Process<'_, '_>,
    options: &Options,
    range: impl Fn(&[u8], u8, usize, bool, Option<char>) -> std::ops::Range<usize>,
) -> Result<u8, Refusal> {
    let given = options.given.iter().rev().find(|given| matches!(given.name, "n" | "c"));
    let (by_bytes, text) = given.map_or((false, "10"), |given| (given.name == "c", given.text()));
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.chars().next(), digits),
        None => (None, text),
    };
    let Some(count) = size(digits).and_then(|count| usize::try_from(count).ok()) else {
        let text = process.quote(text);
        process.complain(format_args!("invalid number of {}: {text}", if by_bytes { "bytes" } else { "lines" }));
        return Ok(1);
    };
    let end = if options.has("z") { 0 } else { b'\n' };
    let quiet = options.has("q") || options.has("silent");
    let titled = options.has("v") || options.operands.len() > 1 && !quiet;
    let standard = ["-".to_owned()];
    let names = if options.operands.is_empty() { &standard } else { options.operands.as_slice() };
    let (mut status, mut first) = (0, true);
    for name in names {
        // What head leaves of standard input is there for the next command only where it can seek: a pipe is drained.
        let read = match name.as_str() {
            "-" => Some(process.take_stdin()),
            _ => {
                let read = process.world.read(&process.cwd, name);
                let quoted = crate::commands::operands::shell_quoted(name);
                process.check(&format!("cannot open {quoted} for reading"), read)?
            }
        };
        let Some(bytes) = read else {
            status = 1;
            continue;
        };
        if titled {
            let shown = if name == "-" { "standard input" } else { name };
            process.print(format!("{}==> {shown} <==\n", if first { "" } else { "\n" }));
        }
        first = false;
        process.print(&bytes[range(&bytes, end, count, by_bytes, sign)]);
    }
    Ok(status)
}
