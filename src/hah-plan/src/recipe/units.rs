//! Sizes and durations as people write them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes: `512 MiB`, `64KiB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A number of seconds: `90s`, `15m`, `36h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u64);

/// Not a size or duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseUnitError {
    /// Not a size.
    #[error("`{0}` is not a size: expected bytes or a whole number with KiB, MiB or GiB")]
    Size(String),
    /// Not a duration.
    #[error("`{0}` is not a duration: expected a whole number with s, m, h or d")]
    Duration(String),
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let bytes = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    // Parameters travel as TOML and minijinja integers, which are signed.
    (bytes <= i64::MAX as u64).then_some(bytes)
}

const SIZES: [(&str, u64); 5] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1)];
const DURATIONS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

impl FromStr for ByteSize {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, &SIZES).map(Self).ok_or_else(|| ParseUnitError::Size(text.chars().take(60).collect()))
    }
}

impl FromStr for Seconds {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, &DURATIONS).map(Self).ok_or_else(|| ParseUnitError::Duration(text.chars().take(60).collect()))
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
        for text in ["", "MiB", "1  MiB", "1 mib", "1.5 GiB", "-1", "99999999999 GiB", "18446744073709551615"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        for text in ["", "5", "s", "1w", "1 h 3m"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }
}
