//! [`Tree`]: a root file system as data.
//!
//! A tree is a sorted map from [`TreePath`] to [`Node`] and always holds the root directory.
//! It is generic over what a regular file holds, so the same type serves a .deb's listing, the merged root, and the writers.
//! Owners are names until the end: ids exist only once the user database of the whole image is known.
//!
//! Invariants, kept by [`Tree::insert`]: every parent of a node is in the tree and is a directory.
//! A [`Kind::HardLink`] names another path of the same tree; writers resolve it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::path::TreePath;

/// Who owns a file: a name to be looked up in the image's own user database, or a number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// A numeric id; `Id(0)` is root.
    Id(u32),
    /// A user or group name.
    Name(Box<str>),
}

impl Owner {
    /// The superuser, or its group.
    pub const ROOT: Owner = Owner::Id(0);

    /// `root` and `` become [`Owner::ROOT`]; digits an id; everything else a name.
    pub fn parse(text: &str) -> Self {
        match text {
            "" | "root" => Self::ROOT,
            _ => text.parse().map_or_else(|_| Self::Name(text.into()), Self::Id),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(0) => f.write_str("root"),
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Everything about an inode but its kind and data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Permission bits, `0o7777`.
    pub mode: u16,
    /// Owning user.
    pub user: Owner,
    /// Owning group.
    pub group: Owner,
    /// Modification time in seconds since 1970.
    pub mtime: u32,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<Box<str>, Vec<u8>>,
}

impl Meta {
    /// Owned by root, without xattrs, at time 0 (writers clamp and set times).
    pub fn root(mode: u16) -> Self {
        Self { mode, user: Owner::ROOT, group: Owner::ROOT, mtime: 0, xattrs: BTreeMap::new() }
    }
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind<C> {
    /// A directory.
    Dir,
    /// A regular file with its content.
    File(C),
    /// A symbolic link and its target, as written.
    Symlink(Box<str>),
    /// Another name of the regular file at this path.
    HardLink(TreePath),
    /// A character device: major, minor.
    CharDevice(u32, u32),
    /// A block device: major, minor.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

impl<C> Kind<C> {
    /// The word that messages use.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Dir => "directory",
            Self::File(_) => "file",
            Self::Symlink(_) => "symbolic link",
            Self::HardLink(_) => "hard link",
            Self::CharDevice(..) => "character device",
            Self::BlockDevice(..) => "block device",
            Self::Fifo => "named pipe",
        }
    }
}

/// One inode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node<C> {
    /// Mode, owner, time, xattrs.
    pub meta: Meta,
    /// Kind and data.
    pub kind: Kind<C>,
}

impl<C> Node<C> {
    /// A root-owned directory.
    pub fn dir(mode: u16) -> Self {
        Self { meta: Meta::root(mode), kind: Kind::Dir }
    }

    /// A root-owned regular file.
    pub fn file(mode: u16, content: C) -> Self {
        Self { meta: Meta::root(mode), kind: Kind::File(content) }
    }

    /// A root-owned symbolic link.
    pub fn symlink(target: &str) -> Self {
        Self { meta: Meta::root(0o777), kind: Kind::Symlink(target.into()) }
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir)
    }
}

/// Why a node cannot stand where it was put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Something that is not a directory stands in the way.
    #[error("{path} cannot be created: {parent} is a {noun}, not a directory")]
    NotADirectory {
        /// The path that was to be created.
        path: TreePath,
        /// The ancestor in the way.
        parent: TreePath,
        /// What the ancestor is.
        noun: &'static str,
    },
    /// A directory would be replaced by something else although it has entries.
    #[error("{path} is a directory with entries and cannot be replaced by a {noun}")]
    DirectoryNotEmpty {
        /// The directory.
        path: TreePath,
        /// What was to replace it.
        noun: &'static str,
    },
}

/// A root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree<C> {
    nodes: BTreeMap<TreePath, Node<C>>,
}

impl<C> Default for Tree<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> Tree<C> {
    /// An empty tree: a root directory of mode 0755.
    pub fn new() -> Self {
        Self { nodes: BTreeMap::from([(TreePath::root(), Node::dir(0o755))]) }
    }

    /// Puts `node` at `path`, replacing what was there, and creates missing parents as root-owned 0755 directories.
    pub fn insert(&mut self, path: TreePath, node: Node<C>) -> Result<Option<Node<C>>, TreeError> {
        self.ensure_parents(&path)?;
        if !node.is_dir() && self.nodes.get(&path).is_some_and(Node::is_dir) && self.has_entries(&path) {
            return Err(TreeError::DirectoryNotEmpty { path, noun: node.kind.noun() });
        }
        Ok(self.nodes.insert(path, node))
    }

    /// Creates missing ancestors of `path`.
    fn ensure_parents(&mut self, path: &TreePath) -> Result<(), TreeError> {
        let mut missing = Vec::new();
        for parent in path.ancestors() {
            match self.nodes.get(&parent) {
                Some(node) if node.is_dir() => break,
                Some(node) => {
                    return Err(TreeError::NotADirectory { path: path.clone(), parent, noun: node.kind.noun() });
                }
                None => missing.push(parent),
            }
        }
        self.nodes.extend(missing.into_iter().map(|parent| (parent, Node::dir(0o755))));
        Ok(())
    }

    fn has_entries(&self, path: &TreePath) -> bool {
        self.below(path).next().is_some()
    }

    /// The node at `path`. Symbolic links are not followed; see [`Tree::resolve`].
    pub fn get(&self, path: &TreePath) -> Option<&Node<C>> {
        self.nodes.get(path)
    }

    /// The node at `path`, to be changed in place.
    pub fn get_mut(&mut self, path: &TreePath) -> Option<&mut Node<C>> {
        self.nodes.get_mut(path)
    }

    /// Whether anything stands at `path`.
    pub fn contains(&self, path: &TreePath) -> bool {
        self.nodes.contains_key(path)
    }

    /// Removes `path` and everything below it; returns how many nodes went. The root stays.
    pub fn remove(&mut self, path: &TreePath) -> usize {
        let doomed: Vec<TreePath> =
            self.below(path).map(|(path, _)| path.clone()).chain((!path.is_root()).then(|| path.clone())).collect();
        doomed.iter().filter(|path| self.nodes.remove(*path).is_some()).count()
    }

    /// All nodes, parents before children, in byte order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node<C>)> {
        self.nodes.iter()
    }

    /// All nodes, to be changed in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&TreePath, &mut Node<C>)> {
        self.nodes.iter_mut()
    }

    /// Everything strictly below `path`, in order.
    pub fn below<'a>(&'a self, path: &'a TreePath) -> impl Iterator<Item = (&'a TreePath, &'a Node<C>)> {
        let prefix = if path.is_root() { String::new() } else { format!("{}/", path.as_str()) };
        self.nodes
            .range(first_below(&prefix)..)
            .skip_while({
                let prefix = prefix.clone();
                move |(path, _)| path.as_str() < prefix.as_str()
            })
            .take_while(move |(path, _)| path.as_str().starts_with(&prefix))
            .filter(move |(found, _)| *found != path)
    }

    /// The direct entries of the directory `path`, in order. What is below them costs nothing.
    pub fn entries<'a>(&'a self, path: &'a TreePath) -> impl Iterator<Item = (&'a TreePath, &'a Node<C>)> {
        let prefix = if path.is_root() { String::new() } else { format!("{}/", path.as_str()) };
        let mut rest = self.nodes.range(first_below(&prefix)..);
        std::iter::from_fn(move || {
            loop {
                let (found, node) = rest.next()?;
                let Some(name) = found.as_str().strip_prefix(&prefix) else {
                    match found.as_str() < prefix.as_str() {
                        true => continue,
                        false => return None,
                    }
                };
                match name.split_once('/') {
                    None if name.is_empty() => {}
                    None => return Some((found, node)),
                    // Behind all that is below this entry: `0` is the character after `/`.
                    Some((entry, _)) => {
                        if let Ok(behind) = TreePath::parse(&format!("{prefix}{entry}0")) {
                            rest = self.nodes.range(behind..);
                        }
                    }
                }
            }
        })
    }

    /// Follows symbolic links in every component, as the kernel would with this tree as the root.
    ///
    /// `None` when something is missing or links form a loop (40 links at most, as in Linux).
    pub fn resolve(&self, path: &TreePath) -> Option<TreePath> {
        let mut left: Vec<String> = path.components().rev().map(str::to_owned).collect();
        let mut at = TreePath::root();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == "." {
                continue;
            }
            if part == ".." {
                at = at.parent().unwrap_or_else(TreePath::root);
                continue;
            }
            let next = at.join(&part).ok()?;
            match &self.nodes.get(&next)?.kind {
                Kind::Symlink(target) => {
                    links += 1;
                    if links > 40 {
                        return None;
                    }
                    if target.starts_with('/') {
                        at = TreePath::root();
                    }
                    left.extend(target.split('/').filter(|part| !part.is_empty()).rev().map(str::to_owned));
                }
                _ => at = next,
            }
        }
        Some(at)
    }

    /// How many nodes there are, the root included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() <= 1
    }

    /// The same tree with other file contents.
    pub fn map<D>(self, mut content: impl FnMut(&TreePath, C) -> D) -> Tree<D> {
        let nodes = self
            .nodes
            .into_iter()
            .map(|(path, node)| {
                let kind = match node.kind {
                    Kind::File(data) => Kind::File(content(&path, data)),
                    Kind::Dir => Kind::Dir,
                    Kind::Symlink(target) => Kind::Symlink(target),
                    Kind::HardLink(target) => Kind::HardLink(target),
                    Kind::CharDevice(major, minor) => Kind::CharDevice(major, minor),
                    Kind::BlockDevice(major, minor) => Kind::BlockDevice(major, minor),
                    Kind::Fifo => Kind::Fifo,
                };
                (path, Node { meta: node.meta, kind })
            })
            .collect();
        Tree { nodes }
    }
}

/// As a sequence of (path, node) in order.
impl<C: Serialize> Serialize for Tree<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.nodes)
    }
}

/// Every node passes [`Tree::insert`], so that what was written elsewhere keeps the invariants too. A directory above a
/// node is never implied: a few kilobytes of deep paths would make gigabytes of them.
impl<'de, C: Deserialize<'de>> Deserialize<'de> for Tree<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nodes<C>(std::marker::PhantomData<C>);

        impl<'de, C: Deserialize<'de>> Visitor<'de> for Nodes<C> {
            type Value = Tree<C>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("paths and nodes in order")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut nodes: A) -> Result<Tree<C>, A::Error> {
                let mut tree = Tree::new();
                let mut last: Option<TreePath> = None;
                while let Some((path, node)) = nodes.next_element::<(TreePath, Node<C>)>()? {
                    if last.as_ref().is_some_and(|last| *last >= path) {
                        return Err(A::Error::custom(format_args!("{path} is out of order")));
                    }
                    if path.is_root() && !node.is_dir() {
                        return Err(A::Error::custom("the root is not a directory"));
                    }
                    if path.parent().is_some_and(|parent| !tree.contains(&parent)) {
                        return Err(A::Error::custom(format_args!("{path} comes without its directory")));
                    }
                    last = Some(path.clone());
                    tree.insert(path, node).map_err(A::Error::custom)?;
                }
                Ok(tree)
            }
        }

        deserializer.deserialize_seq(Nodes(std::marker::PhantomData))
    }
}

/// Where the entries of a directory begin; `prefix` is its path and a slash. Between `a` and `a/…` may sort `a-b`, so that
/// a name that no other is less than stands for the first one.
fn first_below(prefix: &str) -> TreePath {
    TreePath::parse(&format!("{prefix}\u{1}")).unwrap_or_else(|_| TreePath::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn sample() -> Tree<u8> {
        let mut tree = Tree::new();
        tree.insert(path("usr/bin/sh"), Node::file(0o755, 1)).unwrap();
        tree.insert(path("usr/bin-x/y"), Node::file(0o644, 2)).unwrap();
        tree.insert(path("bin"), Node::symlink("usr/bin")).unwrap();
        tree.insert(path("loop"), Node::symlink("loop")).unwrap();
        tree
    }

    #[test]
    fn parents_are_made() {
        let tree = sample();
        assert!(tree.get(&path("usr/bin")).unwrap().is_dir());
        assert_eq!(tree.len(), 8);
    }

    /// The names sort so that what is below `a` stands between `a-b` and `a0`.
    #[test]
    fn entries_are_the_direct_ones_and_pass_over_what_is_below() {
        let mut tree = Tree::<()>::new();
        for path in ["d", "d-e", "d-e/f", "d/a", "d/a-b", "d/a/x", "d/a/x/y", "d/a0", "d/a0/z", "d/b", "e"] {
            tree.insert(TreePath::parse(path).unwrap(), Node::dir(0o755)).unwrap();
        }
        let names = |at: &str| {
            let at = TreePath::parse(at).unwrap();
            tree.entries(&at).map(|(path, _)| path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("d"), ["/d/a", "/d/a-b", "/d/a0", "/d/b"]);
        assert_eq!(names("/"), ["/d", "/d-e", "/e"]);
        assert_eq!(names("d/a"), ["/d/a/x"]);
        assert_eq!(names("d/b"), [""; 0]);
    }

    #[test]
    fn below_is_by_component() {
        let tree = sample();
        let (usr, bin) = (path("usr"), path("usr/bin"));
        let names = |at: &TreePath| tree.below(at).map(|(p, _)| p.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&bin), ["/usr/bin/sh"]);
        assert_eq!(names(&usr), ["/usr/bin", "/usr/bin-x", "/usr/bin-x/y", "/usr/bin/sh"]);
        assert_eq!(tree.entries(&usr).count(), 2);
        assert_eq!(tree.below(&TreePath::root()).count(), 7);
    }

    #[test]
    fn links_resolve_like_the_kernel() {
        let tree = sample();
        assert_eq!(tree.resolve(&path("bin/sh")), Some(path("usr/bin/sh")));
        assert_eq!(tree.resolve(&path("loop")), None);
        assert_eq!(tree.resolve(&path("bin/none")), None);
    }

    #[test]
    fn a_file_cannot_be_a_parent() {
        let mut tree = sample();
        let error = tree.insert(path("usr/bin/sh/x"), Node::file(0o644, 3)).unwrap_err();
        assert_eq!(error.to_string(), "/usr/bin/sh/x cannot be created: /usr/bin/sh is a file, not a directory");
        assert!(tree.insert(path("usr"), Node::file(0o644, 3)).is_err());
    }

    #[test]
    fn remove_takes_the_subtree() {
        let mut tree = sample();
        assert_eq!(tree.remove(&path("usr/bin")), 2);
        assert!(tree.contains(&path("usr/bin-x/y")));
    }
}
