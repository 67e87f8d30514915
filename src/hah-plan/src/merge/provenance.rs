//! [`Provenance`]: which package, recipe or pass put a path into the root.

use std::collections::BTreeMap;
use std::fmt;

use hah_format::path::TreePath;

use crate::debian::PackageName;
use crate::effects::Author;
use crate::rootfs::Root;

/// Who put a path into the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A package ships it. Of a directory that several ship, the first in order of name.
    Package(PackageName),
    /// A recipe's artifact has it.
    Artifact(Box<str>),
    /// A recipe places it.
    Recipe(Box<str>),
    /// A maintainer script made it, at this line.
    Script(Author),
    /// A configuration pass made it.
    Configured(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(name) => write!(f, "package {name}"),
            Self::Artifact(name) => write!(f, "artifact {name}"),
            Self::Recipe(name) => write!(f, "recipe {name}"),
            Self::Script(author) => write!(f, "{author}"),
            Self::Configured(pass) => write!(f, "configuration pass {pass}"),
        }
    }
}

/// The origin of every path of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    origins: BTreeMap<TreePath, Origin>,
    /// The scripts that last changed mode, owner or attributes of what others have put there.
    touched: BTreeMap<TreePath, Author>,
}

impl Provenance {
    /// Who put `path` there.
    pub fn origin(&self, path: &TreePath) -> Option<&Origin> {
        self.origins.get(path)
    }

    /// The package that ships `path`, when one does.
    pub fn package(&self, path: &TreePath) -> Option<&PackageName> {
        match self.origin(path) {
            Some(Origin::Package(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether a recipe placed `path`, itself or as a part of an artifact.
    pub fn is_from_recipe(&self, path: &TreePath) -> bool {
        matches!(self.origin(path), Some(Origin::Recipe(_) | Origin::Artifact(_)))
    }

    /// All paths and their origins, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Origin)> {
        self.origins.iter()
    }

    /// Books `path` under `origin`, whoever had it before.
    pub fn claim(&mut self, path: TreePath, origin: Origin) {
        self.origins.insert(path, origin);
    }

    /// Books that a script has changed mode, owner or attributes of `path`.
    pub fn note(&mut self, path: TreePath, author: Author) {
        self.touched.insert(path, author);
    }

    /// The script that last changed mode, owner or attributes of `path`.
    pub fn touched(&self, path: &TreePath) -> Option<&Author> {
        self.touched.get(path)
    }

    /// Forgets who put `path` there.
    pub fn forget(&mut self, path: &TreePath) {
        self.origins.remove(path);
    }

    /// Books every path of `root` that nobody has claimed under `origin`, and forgets paths that are gone.
    pub fn claim_new(&mut self, root: &Root, origin: &Origin) {
        // Both are sorted, so one walk over both tells; after most passes little has changed.
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        let mut claimed = self.origins.keys().peekable();
        for (path, _) in root.iter() {
            while let Some(other) = claimed.next_if(|other| *other < path) {
                gone.push(other.clone());
            }
            if claimed.next_if(|other| *other == path).is_none() {
                new.push(path.clone());
            }
        }
        gone.extend(claimed.cloned());
        for path in gone {
            self.origins.remove(&path);
        }
        self.origins.extend(new.into_iter().map(|path| (path, origin.clone())));
    }
}
