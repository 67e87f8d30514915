//! Generations: how a node's next system is described, handed over and tried.
//!
//! A *generation* is what an image decides, without the disk around it: the root file system, and the boot files. It is
//! described by a [`closure::Closure`]. Where it lives on a card:
//!
//! ```text
//! boot   gN/kernel gN/initramfs gN/cmdline.txt gN/*.dtb      N is a slot: one character, `0` is what was flashed
//!        config.txt or loader/loader.conf                    the pointer: which slot starts next, see [`pointer`]
//! data   /var/lib/hah/generations/N/closure                  the description, written last: no closure, no generation
//!        /var/lib/hah/generations/N/root.squashfs            the root file system; generation 0 has partition 2 instead
//! ```
//!
//! A node takes a generation through `hah-agent receive`, whose two ends speak [`transfer`].

pub mod closure;
pub mod pointer;
pub mod transfer;
pub mod state;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where generations are kept on the data partition; the directories are called like their slots.
pub const DIRECTORY: &str = "/var/lib/hah/generations";
/// The closure of a generation, in its directory; of generation 0, on the boot partition below `g0`.
pub const CLOSURE: &str = "closure";
/// The closure's detached signature, beside it; absent when nobody signed.
pub const SIGNATURE: &str = "closure.minisig";
/// The root file system of a generation, in its directory.
pub const ROOT: &str = "root.squashfs";
/// There when the generation was started as a trial: written before the pointer names it, so that whoever comes up
/// afterwards in another one knows that this one did not last.
pub const TRIED: &str = "tried";
/// There when the generation was kept: it has passed a trial.
pub const KEPT: &str = "kept";
/// Why the generation did not last, in words; written by whoever finds out, and never removed with the generation's files:
/// it lies in [`BAD`].
pub const BAD: &str = "bad";
/// In [`DIRECTORY`]: what is being received, until it is a generation.
pub const INCOMING: &str = "incoming";
/// The layout of the data partition's state that this version writes, in [`LAYOUT_FILE`]: a decimal number.
///
/// Stage 1 of an older generation that finds a larger number leaves the data partition alone, as if it were broken.
pub const LAYOUT: u32 = 1;
/// Where [`LAYOUT`] is kept. Absent means 1.
pub const LAYOUT_FILE: &str = "/var/lib/hah/layout";
/// On a running node: there when this boot has no data partition, and state is in memory. Cluster servers do not start.
pub const RESCUE: &str = "/run/hah/rescue";
/// On a running node: there when this boot's generation was a trial and has been kept.
pub const SETTLED: &str = "/run/hah/settled";
/// How long a trial may last before the node goes back by itself, in seconds.
pub const TRIAL_SECONDS: u64 = 900;

/// A generation's place on a card: one character, `0` to `9` or `a` to `z`. `0` is what was flashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    /// What was flashed: the only generation that needs no data partition.
    pub const FLASHED: Self = Self(b'0');

    /// The slot with this character.
    pub fn new(name: u8) -> Option<Self> {
        (name.is_ascii_digit() || name.is_ascii_lowercase()).then_some(Self(name))
    }

    /// Every slot but [`Slot::FLASHED`], in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (b'1'..=b'9').chain(b'a'..=b'z').map(Self)
    }

    /// Its character.
    pub fn byte(self) -> u8 {
        self.0
    }

    /// Its directory on the boot partition: `g0`.
    pub fn boot_directory(self) -> String {
        format!("g{self}")
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_char(f, char::from(self.0))
    }
}

/// Not one character of `0` to `9` and `a` to `z`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no slot: one character, 0 to 9 or a to z", .0.escape_debug())]
pub struct ParseSlotError(String);

impl FromStr for Slot {
    type Err = ParseSlotError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            [name] => Self::new(*name),
            _ => None,
        }
        .ok_or_else(|| ParseSlotError(text.to_owned()))
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A SHA-256 digest, as 64 lower-case hex digits wherever it is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Digest {
    /// The first 8 digits, for people.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

/// Not 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest: 64 lower-case hex digits are wanted")]
pub struct ParseDigestError;

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(ParseDigestError);
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(ParseDigestError),
        };
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            if let [high, low] = *pair {
                *byte = value(high)? << 4 | value(low)?;
            }
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_one_character() {
        for name in "09az".bytes() {
            assert_eq!(char::from(name).to_string().parse::<Slot>().unwrap().byte(), name);
        }
        for bad in ["", "A", "10", "é", "-", " "] {
            assert!(bad.parse::<Slot>().is_err(), "{bad}");
        }
        assert_eq!(Slot::all().count(), 35);
        assert!(!Slot::all().any(|slot| slot == Slot::FLASHED));
    }

    #[test]
    fn digests_have_one_spelling() {
        let text = "00ff".repeat(16);
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        for bad in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace('f', "g")] {
            assert_eq!(bad.parse::<Digest>(), Err(ParseDigestError), "{bad}");
        }
    }
}
