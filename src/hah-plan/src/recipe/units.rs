//! Sizes and durations as people write them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes: `512 MiB`, `64KiB`, `2T`, `4096`. Units are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A number of seconds: `90s`, `15m`, `36h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u64);

/// Not a size or duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseUnitError {
    /// Not a size.
    #[error("`{0}` is not a size: expected bytes or a whole number with KiB, MiB, GiB, TiB, PiB or EiB")]
    Size(String),
    /// More than can be counted.
    #[error("`{0}` is too large: sizes and durations end below 8 EiB and as many seconds")]
    TooLarge(String),
    /// Not a duration.
    #[error("`{0}` is not a duration: expected a whole number with s, m, h or d")]
    Duration(String),
}

/// `otherwise` is what the text is when it is no number with one of these units.
fn scaled(
    text: &str,
    units: &[(&str, u64)],
    otherwise: impl Fn(String) -> ParseUnitError,
) -> Result<u64, ParseUnitError> {
    let shown = || text.chars().take(60).collect();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
    let (Some(factor), false) = (factor, number.is_empty()) else { return Err(otherwise(shown())) };
    let scaled = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
    // Parameters travel as TOML and minijinja integers, which are signed.
    scaled.filter(|scaled| *scaled <= i64::MAX as u64).ok_or_else(|| ParseUnitError::TooLarge(shown()))
}

/// The first that divides a number is how it is shown, so the long forms stand first.
const SIZES: [(&str, u64); 14] = [
    ("EiB", 1 << 60),
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("", 1),
    ("E", 1 << 60),
    ("P", 1 << 50),
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
];
const DURATIONS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

impl FromStr for ByteSize {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, &SIZES, ParseUnitError::Size).map(Self)
    }
}

impl FromStr for Seconds {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, &DURATIONS, ParseUnitError::Duration).map(Self)
    }
}

/// In the largest unit that divides it.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZES.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) if !unit.is_empty() => write!(f, "{} {unit}", self.0 / factor),
            _ => write!(f, "{}", self.0),
        }
    }
}

/// In the largest unit that divides it.
impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DURATIONS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_round_trip() {
        for (text, bytes) in [("512 MiB", 512 << 20), ("1GiB", 1 << 30), ("4096", 4096), ("7 B", 7), ("0", 0)] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.0, bytes);
            assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        }
        for (text, seconds) in [("90s", 90), ("15m", 900), ("36h", 129_600), ("7d", 604_800), ("0s", 0)] {
            let duration: Seconds = text.parse().unwrap();
            assert_eq!(duration.0, seconds);
            assert_eq!(duration.to_string().parse::<Seconds>().unwrap(), duration);
        }
        for text in ["", "MiB", "1  MiB", "1 mib", "1 GB", "1.5 GiB", "-1", "1 ZiB"] {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert!(matches!(error, ParseUnitError::Size(_)), "{text}: {error}");
        }
        for text in ["", "5", "s", "1w", "1 h 3m"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_go_up_to_eib() {
        for (unit, power) in [("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50), ("E", 60)] {
            for text in [format!("2{unit}"), format!("2 {unit}"), format!("2{unit}iB"), format!("2 {unit}iB")] {
                assert_eq!(text.parse(), Ok(ByteSize(2 << power)), "{text}");
            }
            assert_eq!(ByteSize(2 << power).to_string(), format!("2 {unit}iB"));
        }
    }

    #[test]
    fn a_size_beyond_counting_is_an_error_of_its_own() {
        for text in ["8 EiB", "16E", "99999999999 GiB", "18446744073709551615", "99999999999999999999", "8192 PiB"] {
            assert_eq!(text.parse::<ByteSize>(), Err(ParseUnitError::TooLarge(text.to_owned())), "{text}");
        }
        assert_eq!("7 EiB".parse(), Ok(ByteSize(7 << 60)));
        assert!(matches!("9223372036854775807d".parse::<Seconds>(), Err(ParseUnitError::TooLarge(_))));
    }
}
