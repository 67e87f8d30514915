//! Debian versions.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version `[EPOCH:]UPSTREAM[-REVISION]`, ordered as dpkg orders (deb-version(7)).
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: Box<str>,
}

/// Not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a Debian version: {1}")]
pub struct ParseVersionError(String, &'static str);

impl Version {
    /// The version as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn parts(&self) -> (u64, &str, &str) {
        let (epoch, rest) = match self.text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, &*self.text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream, revision)
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |why| Err(ParseVersionError(text.chars().take(80).collect(), why));
        let rest = match text.split_once(':') {
            Some((epoch, _)) if epoch.parse::<u32>().is_err() => return error("the epoch is not a number"),
            Some((_, rest)) => rest,
            None => text,
        };
        if rest.is_empty() || text.len() > 256 {
            return error("it is empty or too long");
        }
        if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte)) {
            return error("only letters, digits and `.+-~:` may occur");
        }
        Ok(Self { text: text.into() })
    }
}

impl TryFrom<String> for Version {
    type Error = ParseVersionError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text.into()
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (self.parts(), other.parts());
        left.0.cmp(&right.0).then_with(|| compare_part(left.1, right.1)).then_with(|| compare_part(left.2, right.2))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// How two texts compare as versions, where they may have what a package's version may not: `dpkg --compare-versions`.
///
/// # Errors
/// What dpkg takes for bad syntax: the text, and why.
pub fn compare_texts<'a>(left: &'a str, right: &'a str) -> Result<Ordering, (&'a str, &'static str)> {
    let (a, b) = (lenient_parts(left)?, lenient_parts(right)?);
    Ok(a.0.cmp(&b.0).then_with(|| compare_part(a.1, b.1)).then_with(|| compare_part(a.2, b.2)))
}

/// Epoch, upstream version and revision, as dpkg's `parseversion` takes them apart.
fn lenient_parts(text: &str) -> Result<(u64, &str, &str), (&str, &'static str)> {
    let trimmed = text.trim_matches([' ', '\t', '\n']);
    if trimmed.is_empty() {
        return Err((text, "version string is empty"));
    }
    if trimmed.contains(|c: char| c.is_ascii_whitespace()) {
        return Err((text, "version string has embedded spaces"));
    }
    let (epoch, rest) = match trimmed.split_once(':') {
        None => (0, trimmed),
        Some(("", _)) => return Err((text, "epoch in version is empty")),
        Some((epoch, rest)) => match epoch.parse::<i64>() {
            Err(_) => return Err((text, "epoch in version is not number")),
            Ok(number) if number < 0 => return Err((text, "epoch in version is negative")),
            Ok(number) if number > i64::from(i32::MAX) => return Err((text, "epoch in version is too big")),
            Ok(number) => (number.unsigned_abs(), rest),
        },
    };
    if rest.is_empty() {
        return Err((text, "nothing after colon in version number"));
    }
    let (upstream, revision) = match rest.rsplit_once('-') {
        Some((_, "")) => return Err((text, "revision number is empty")),
        Some((upstream, revision)) => (upstream, revision),
        None => (rest, ""),
    };
    if upstream.is_empty() {
        return Err((text, "version number is empty"));
    }
    Ok((epoch, upstream, revision))
}

/// dpkg's `verrevcmp`: runs of non-digits by the order `~ < end < letters < others`, then runs of digits as numbers.
fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        while left.first().is_some_and(|b| !b.is_ascii_digit()) || right.first().is_some_and(|b| !b.is_ascii_digit()) {
            let order = weight(left.first()).cmp(&weight(right.first()));
            if order != Ordering::Equal {
                return order;
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let (a, b) = (take_number(&mut left), take_number(&mut right));
        let order = a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

/// Cuts the digits off the front, without leading zeros.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    *text = rest;
    let zeros = number.iter().take_while(|byte| **byte == b'0').count();
    &number[zeros..]
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_dpkgs() {
        let table = [
            ("1.0", "1.0", Ordering::Equal),
            ("1.0~rc1", "1.0", Ordering::Less),
            ("1.0~~", "1.0~~a", Ordering::Less),
            ("1:0.9", "2.0", Ordering::Greater),
            ("1.2-1", "1.2-1+b1", Ordering::Less),
            ("1.10", "1.9", Ordering::Greater),
            ("1.0+a", "1.0a", Ordering::Greater),
            ("0", "00", Ordering::Equal),
            ("1.0-1~deb13u1", "1.0-1", Ordering::Less),
            ("2.41-12+deb13u4", "2.41-12", Ordering::Greater),
        ];
        for (left, right, want) in table {
            let (l, r) = (left.parse::<Version>().unwrap(), right.parse::<Version>().unwrap());
            assert_eq!(l.cmp(&r), want, "{left} {right}");
            assert_eq!(r.cmp(&l), want.reverse(), "{right} {left}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        for text in ["", "a:1", "1 2", "1_2", ":1", "1:"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
