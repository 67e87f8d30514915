//! seq(1) of whole numbers and decimal fractions.

use crate::commands::printf::parse_conversion;
use crate::commands::{Process, Refusal};

/// seq(1): `[FIRST [STEP]] LAST`, `-s`, `-w`, `-f FORMAT`.
pub(super) fn seq(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    // Negative numbers look like options.
    let (mut options, mut numbers) = (Vec::new(), Vec::new());
    let mut left = args.iter();
    while let Some(arg) = left.next() {
        if arg.len() > 1
            && arg.starts_with('-')
            && !arg[1..].starts_with(|first: char| first.is_ascii_digit() || first == '.')
        {
            options.push(arg.clone());
            if matches!(arg.as_str(), "-s" | "-f") {
                options.extend(left.next().cloned());
            }
        } else {
            numbers.push(arg.clone());
            numbers.extend(left.by_ref().cloned());
        }
    }
    let options =
        process.options(&options, "s,separator= w,equal-width f,format=", crate::commands::options::Order::Any)?;
    let (first, step, last) = match numbers.as_slice() {
        [last] => ("1", "1", last.as_str()),
        [first, last] => (first.as_str(), "1", last.as_str()),
        [first, step, last] => (first.as_str(), step.as_str(), last.as_str()),
        [] => return process.missing_operand(1),
        [_, _, _, extra, ..] => {
            let extra = process.quote(extra);
            process.complain(format_args!("extra operand {extra}"));
            return Ok(1);
        }
    };
    // Decimal fractions are whole numbers of their last digit.
    let places = |text: &str| text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let most = places(first).max(places(step)).max(places(last));
    if most > 9 {
        return process.unknown("of so many digits");
    }
    let mut scaled = [0_i128; 3];
    for (slot, text) in scaled.iter_mut().zip([first, step, last]) {
        let digits = text.replacen('.', "", 1) + &"0".repeat(most - places(text));
        match super::decimal(digits.trim_start_matches('+')) {
            Some(number) => *slot = number,
            None => {
                let text = process.quote(text);
                process.complain(format_args!("invalid floating point argument: {text}"));
                return Ok(1);
            }
        }
    }
    let [from, by, to] = scaled;
    if by == 0 {
        process.complain(format_args!("invalid Zero increment value: ‘{step}’"));
        return Ok(1);
    }
    let shown_places = places(first).max(places(step));
    let text_of = |number: i128| {
        let unit = 10_i128.pow(most as u32);
        let (whole, fraction) = (number.abs() / unit, number.abs() % unit);
        let sign = if number < 0 { "-" } else { "" };
        match shown_places {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}.{}", &format!("{fraction:0most$}")[..shown_places]),
        }
    };
    let format = match options.value("f") {
        None => None,
        Some(format) => {
            let start = format.find('%').unwrap_or(0);
            match parse_conversion(&format[start..]).filter(|(conversion, _)| "eEfFgG".contains(conversion.letter)) {
                Some((conversion, used)) => {
                    Some((format[..start].to_owned(), conversion, format[start + used..].to_owned()))
                }
                None => return process.unknown(&format!("-f '{format}'")),
            }
        }
    };
    let mut texts = Vec::new();
    let mut number = from;
    while if by > 0 { number <= to } else { number >= to } {
        process.step()?;
        texts.push(match &format {
            None => text_of(number),
            Some((before, conversion, after)) => {
                let value = text_of(number).parse().unwrap_or(0.0);
                format!("{before}{}{after}", String::from_utf8_lossy(&conversion.float(value)))
            }
        });
        number += by;
    }
    if options.has("w") {
        let width = texts.iter().map(String::len).max().unwrap_or(0);
        for text in &mut texts {
            let sign = text.len() - text.trim_start_matches('-').len();
            text.insert_str(sign, &"0".repeat(width - text.len()));
        }
    }
    if !texts.is_empty() {
        let separator = options.value("s").unwrap_or("\n").to_owned();
        process.print_line(texts.join(&separator));
    }
    Ok(0)
}
