//! Package names and architectures.

use std::fmt;
use std::str::FromStr;

use hah_node::architecture::Architecture as Facts;
use serde::{Deserialize, Serialize};

/// A Debian package name: at least two of `a-z 0-9 + - .`, the first a letter or digit (Policy 5.6.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageName(Box<str>);

/// Not a package name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a Debian package name: lower-case letters, digits, `+`, `-` and `.`, at least two, beginning with a letter or digit"
)]
pub struct ParseNameError(String);

impl PackageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageName {
    type Err = ParseNameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if text.len() >= 2 && text.len() <= 128 && first && text.bytes().all(ok) {
            Ok(Self(text.into()))
        } else {
            Err(ParseNameError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for PackageName {
    type Error = ParseNameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PackageName> for String {
    fn from(name: PackageName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The architectures that hah-image builds for, and `all`. What is known of each is a row of [`hah_node::architecture`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Architecture-independent.
    All,
    /// 64-bit ARM.
    Arm64,
    /// 32-bit soft-float ARM: the ARMv6 boards under Debian.
    Armel,
    /// 64-bit x86.
    Amd64,
}

/// An architecture that hah-image does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture `{0}`: expected {expected}", expected = Architecture::expected())]
pub struct ParseArchitectureError(String);

impl Architecture {
    /// Every value, [`Self::All`] first.
    const EVERY: [Self; 4] = [Self::All, Self::Arm64, Self::Armel, Self::Amd64];

    /// Debian's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Arm64 => "arm64",
            Self::Armel => "armel",
            Self::Amd64 => "amd64",
        }
    }

    /// What is known of it; `None` for [`Self::All`], which is no machine's.
    pub fn facts(self) -> Option<&'static Facts> {
        Facts::of_debian(self.as_str())
    }

    /// What `uname -m` says on a machine of it; packages of all architectures have none.
    pub fn machine(self) -> &'static str {
        self.facts().map_or("", |facts| facts.machine)
    }

    /// `` `all`, `arm64` or `amd64` ``.
    fn expected() -> String {
        let names = Self::EVERY.map(|architecture| format!("`{architecture}`"));
        let [first @ .., last] = &names;
        format!("{} or {last}", first.join(", "))
    }
}

impl FromStr for Architecture {
    type Err = ParseArchitectureError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::EVERY
            .into_iter()
            .find(|architecture| architecture.as_str() == text)
            .ok_or_else(|| ParseArchitectureError(text.to_owned()))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
