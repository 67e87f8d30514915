//! Which paths of a package are stored.
//!
//! Decided when a package is packed, so that what is left out costs nothing later.
//! Licences always stay: `/usr/share/doc/PACKAGE/copyright` and links that stand for a package's whole directory there.

use std::collections::BTreeSet;
use std::fmt;

use crate::path::TreePath;

/// What of the documentation to keep. The default keeps copyright files only.
///
/// `Display` is a stable text that tells apart any two of these; it is part of a pack's cache key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// `/usr/share/doc`, `doc-base`, `info`, `lintian`, `bug`.
    pub docs: Documents,
    /// `/usr/share/man`.
    pub man: Documents,
    /// `/usr/share/locale`.
    pub locales: Locales,
}

/// Whether a kind of documentation stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Documents {
    /// It is left out.
    #[default]
    Drop,
    /// It stays.
    Keep,
}

/// Which message catalogues stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Locales {
    /// None but what programs carry themselves.
    #[default]
    None,
    /// Those of these names, as directories of `/usr/share/locale` are called: `de`, `pt_BR`.
    Only(BTreeSet<String>),
    /// All.
    All,
}

impl Keep {
    /// Everything a package ships.
    pub fn everything() -> Self {
        Self { docs: Documents::Keep, man: Documents::Keep, locales: Locales::All }
    }

    /// Whether the entry at `path` is stored. Entries that are not regular files or directories are `links`.
    pub fn keeps(&self, path: &TreePath, entry: EntryKind) -> bool {
        let Some(rest) = path.as_str().strip_prefix("usr/share/") else {
            return true;
        };
        let mut parts = rest.splitn(3, '/');
        let (Some(place), Some(name)) = (parts.next(), parts.next()) else {
            return true;
        };
        match place {
            "doc" => {
                let licence = match (parts.next(), entry) {
                    (Some(file), _) => file == "copyright",
                    // `/usr/share/doc/libfoo1 -> libfoo-common`: the way to the copyright file (Policy 12.5).
                    (None, EntryKind::Symlink) => true,
                    (None, _) => false,
                };
                licence || self.docs == Documents::Keep
            }
            "doc-base" | "info" | "lintian" | "bug" => self.docs == Documents::Keep,
            "man" => self.man == Documents::Keep,
            "locale" => match &self.locales {
                Locales::None => false,
                Locales::Only(names) => names.contains(name),
                Locales::All => true,
            },
            _ => true,
        }
    }
}

/// What [`Keep::keeps`] has to know of an entry besides its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A symbolic link.
    Symlink,
    /// Anything else.
    Other,
}

impl fmt::Display for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "drop",
            Self::Keep => "keep",
        })
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docs={} man={} locales=", self.docs, self.man)?;
        match &self.locales {
            Locales::None => f.write_str("none"),
            Locales::All => f.write_str("all"),
            Locales::Only(names) => {
                f.write_str("only")?;
                names.iter().try_for_each(|name| write!(f, ":{name:?}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    #[test]
    fn licences_stay_and_documentation_goes() {
        let keep = Keep::default();
        for (text, kept) in [
            ("usr/share", true),
            ("usr/share/doc", true),
            ("usr/share/doc/curl", false),
            ("usr/share/doc/curl/copyright", true),
            ("usr/share/doc/curl/changelog.gz", false),
            ("usr/share/doc/curl/examples/copyright", false),
            ("usr/share/man", true),
            ("usr/share/man/man1/curl.1.gz", false),
            ("usr/share/info/dir", false),
            ("usr/share/lintian/overrides/curl", false),
            ("usr/share/bug/curl", false),
            ("usr/share/locale/de/LC_MESSAGES/curl.mo", false),
            ("usr/share/locales", true),
            ("usr/lib/locale/C.utf8/LC_CTYPE", true),
            ("etc/doc/x", true),
        ] {
            assert_eq!(keep.keeps(&path(text), EntryKind::Other), kept, "{text}");
            assert!(Keep::everything().keeps(&path(text), EntryKind::Other), "{text}");
        }
        assert!(keep.keeps(&path("usr/share/doc/libcurl4"), EntryKind::Symlink));
        assert!(!keep.keeps(&path("usr/share/doc/libcurl4/html"), EntryKind::Symlink));
    }

    #[test]
    fn some_locales_stay() {
        let keep = Keep { locales: Locales::Only(BTreeSet::from(["de".to_owned()])), ..Keep::default() };
        assert!(keep.keeps(&path("usr/share/locale/de/LC_MESSAGES/curl.mo"), EntryKind::Other));
        assert!(!keep.keeps(&path("usr/share/locale/fr"), EntryKind::Other));
        assert_eq!(keep.to_string(), "docs=drop man=drop locales=only:\"de\"");
    }

    #[test]
    fn the_id_tells_filters_apart() {
        let only = |names: &[&str]| Keep {
            locales: Locales::Only(names.iter().map(|name| (*name).to_owned()).collect()),
            ..Keep::default()
        };
        let all =
            [Keep::default(), Keep::everything(), only(&[]), only(&["a:b"]), only(&["a\":\"b"]), only(&["a", "b"])];
        let ids: BTreeSet<String> = all.iter().map(Keep::to_string).collect();
        assert_eq!(ids.len(), all.len());
    }
}
