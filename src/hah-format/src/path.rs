//! [`TreePath`]: a path inside a root file system.
//!
//! A tree path is relative to the root, uses `/`, is UTF-8 (Debian Policy 10.10), and is normal: no empty, `.` or `..`
//! component, no NUL, no component over 255 bytes, no path over 4095.
//! The root itself is the empty path. Ordering is by bytes, so a directory sorts before what is in it.

use std::fmt;
use std::str::FromStr;

/// Longest name of one directory entry, in bytes (`NAME_MAX`; squashfs allows 256).
pub const NAME_MAX: usize = 255;
/// Longest path, in bytes (`PATH_MAX` less the NUL).
pub const PATH_MAX: usize = 4095;

/// A normal, relative path inside a root file system. The root is the empty path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Box<str>);

/// Why a path may not enter a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A `..` component.
    #[error("`{0}` climbs out of the tree with `..`")]
    Parent(String),
    /// A NUL byte.
    #[error("`{0}` contains a NUL byte")]
    Nul(String),
    /// Not UTF-8.
    #[error("`{0}` is not UTF-8, which Debian Policy 10.10 requires of file names")]
    NotUtf8(String),
    /// A component or the path is too long.
    #[error("`{0}…` is too long: a name has at most 255 bytes and a path 4095")]
    TooLong(String),
}

impl TreePath {
    /// The root directory.
    pub fn root() -> Self {
        Self("".into())
    }

    /// Parses a path as archives spell it: leading `/` and `./`, doubled slashes and a trailing slash are dropped.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.contains('\0') {
            return Err(PathError::Nul(text.replace('\0', "\\0")));
        }
        let mut out = String::with_capacity(text.len());
        for part in text.split('/') {
            match part {
                "" | "." => continue,
                ".." => return Err(PathError::Parent(text.to_owned())),
                _ if part.len() > NAME_MAX => return Err(PathError::TooLong(clip(text))),
                _ => {}
            }
            if !out.is_empty() {
                out.push('/');
            }
            out.push_str(part);
        }
        if out.len() > PATH_MAX {
            return Err(PathError::TooLong(clip(text)));
        }
        Ok(Self(out.into()))
    }

    /// [`TreePath::parse`] of raw bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(_) => Err(PathError::NotUtf8(bytes.escape_ascii().to_string())),
        }
    }

    /// The path without a leading slash; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The directory that holds this entry; `None` for the root.
    pub fn parent(&self) -> Option<TreePath> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or("", |(parent, _)| parent).into()))
    }

    /// Every proper ancestor, nearest first, ending with the root.
    pub fn ancestors(&self) -> impl Iterator<Item = TreePath> + use<> {
        std::iter::successors(self.parent(), TreePath::parent)
    }

    /// This directory's entry `relative` (which may have several components).
    pub fn join(&self, relative: &str) -> Result<Self, PathError> {
        Self::parse(&format!("{}/{relative}", self.0))
    }

    /// Whether this path is `other` or lies below it, by components.
    pub fn starts_with(&self, other: &TreePath) -> bool {
        other.is_root() || self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }
}

fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}

/// With the leading slash that people expect.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TreePath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl serde::Serialize for TreePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TreePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_spellings_are_normalised() {
        for (text, want) in
            [("./usr/bin/sh", "usr/bin/sh"), ("/etc/", "etc"), ("usr//lib/./x", "usr/lib/x"), (".", ""), ("./", "")]
        {
            assert_eq!(TreePath::parse(text).unwrap().as_str(), want, "{text}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        assert!(matches!(TreePath::parse("a/../../etc"), Err(PathError::Parent(_))));
        assert!(matches!(TreePath::parse("a\0b"), Err(PathError::Nul(_))));
        assert!(matches!(TreePath::parse(&"a".repeat(256)), Err(PathError::TooLong(_))));
        assert!(matches!(TreePath::parse(&"a/".repeat(3000)), Err(PathError::TooLong(_))));
        assert!(matches!(TreePath::from_bytes(b"caf\xe9"), Err(PathError::NotUtf8(_))));
    }

    #[test]
    fn family() {
        let path = TreePath::parse("usr/lib/x").unwrap();
        assert_eq!((path.name(), path.parent().unwrap().as_str()), ("x", "usr/lib"));
        assert_eq!(path.ancestors().map(|p| p.to_string()).collect::<Vec<_>>(), ["/usr/lib", "/usr", "/"]);
        assert!(path.starts_with(&TreePath::parse("usr").unwrap()));
        assert!(!path.starts_with(&TreePath::parse("us").unwrap()));
        assert_eq!(TreePath::root().parent(), None);
    }
}
