//! `%f %e %g`, as C writes them (printf(3)).

/// A number that is not negative.
pub(super) fn format(number: f64, kind: char, precision: Option<usize>) -> String {
    let digits = precision.unwrap_or(6);
    let text = match kind {
        _ if !number.is_finite() => if number.is_nan() { "nan" } else { "inf" }.to_owned(),
        'f' | 'F' => format!("{number:.digits$}"),
        'e' | 'E' => exponential(number, digits),
        _ => general(number, digits.max(1)),
    };
    if kind.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

/// One digit, a point, `digits` digits, and an exponent of two digits or more.
fn exponential(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `digits` digits, with an exponent where that is shorter, and no zeros at the end.
fn general(number: f64, digits: usize) -> String {
    let text = exponential(number, digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    let short = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match usize::try_from(power) {
        Ok(power) if power >= digits => format!("{}e{exponent}", short(mantissa)),
        Err(_) if power < -4 => format!("{}e{exponent}", short(mantissa)),
        _ => {
            let behind = usize::try_from(i64::try_from(digits).unwrap_or(i64::MAX) - 1 - i64::from(power)).unwrap_or(0);
            short(&format!("{number:.behind$}"))
        }
    }
}
