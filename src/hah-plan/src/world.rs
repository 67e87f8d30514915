//! [`World`]: all that a maintainer script can see and change, which is the root in the making.
//!
//! There is no file system, no process, no clock and no randomness behind it.
//! Paths behave as the kernel's do with the tree as `/`: links are followed in every component, `..` goes up, and what
//! fails does so with the [`Errno`] that a program would have seen.
//!
//! | what a script meets | is |
//! |---|---|
//! | files, directories, links, devices | the merged tree and what earlier scripts did |
//! | time | the lock's epoch |
//! | `/proc`, `/sys`, `/run`, `/dev` | empty but for the devices of [`Device`]: as in a chroot where nothing is mounted |
//! | what a recipe has placed | there to be read; a script's change to it is dropped, since the recipe's is the last word |
//!
//! Every change is booked under the package, script and line of [`World::author`], so that `why /path` can tell.
//! Reading is bounded by [`Budget`], and so is everything that a script does.

mod errno;
mod path;
mod stat;
mod links;
mod accounts;
mod attributes;

use std::collections::{BTreeMap, BTreeSet};

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Node};

use crate::contents::Contents;
use crate::debconf::Debconf;
use crate::debian::PackageName;
use crate::effects::{Author, Effects, Ownership};
use crate::merge::{Origin, Provenance};
use crate::rootfs::{Content, Root, UnpackedPackage};

use accounts::LiveAccounts;
use links::Links;

pub use errno::Errno;
pub use path::Follow;
pub use stat::{Device, Stat};

/// What the scripts of one image may do altogether before they are stopped: a mistake must not become an endless build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Commands, words and loop turns that are still allowed.
    pub steps: u64,
    /// Bytes that may still be read, written or held by words.
    pub bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: 20_000_000, bytes: 4 << 30 }
    }
}

/// A trigger that a script has set off by dpkg-trigger(1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trigger {
    /// Its name, or the path of a file trigger.
    pub name: String,
    /// The package that sets it off.
    pub by: String,
}

/// The root in the making, as scripts see it.
pub struct World<'a> {
    /// The tree. Change it through the methods here, which keep `provenance` true.
    pub tree: Root,
    /// Where each path came from.
    pub provenance: Provenance,
    /// The packages that were merged, in order of name.
    pub packages: &'a [UnpackedPackage],
    /// Bytes of stored files.
    pub contents: &'a dyn Contents,
    /// The lock's epoch, seconds since 1970: the only time there is.
    pub epoch: u32,
    /// What `uname -m` says on a node: `aarch64`, `armv6l`, …
    pub machine: String,
    /// What scripts have asked for that is no file: accounts, alternatives, units, …
    pub effects: Effects,
    /// Users and groups; see [`crate::accounts`].
    pub accounts: LiveAccounts,
    /// Questions and answers; see [`crate::debconf`].
    pub debconf: Debconf,
    /// Packages whose `postinst configure` has ended well; all others are unpacked.
    pub configured: BTreeSet<PackageName>,
    /// What `dpkg-trigger` was called for.
    pub triggers: BTreeSet<Trigger>,
    /// Who runs the present command: the owner of what it makes. Root but below `su`, `runuser` and the like.
    pub acting: Ownership,
    /// Whose line is being evaluated.
    pub author: Option<Author>,
    /// Paths that scripts wanted to change although a recipe has placed them.
    pub kept: BTreeSet<(TreePath, Option<Author>)>,
    /// Who removed a path, so that `why` can tell of what is no longer there.
    pub removed: BTreeMap<TreePath, Author>,
    /// What is still allowed.
    pub budget: Budget,
    /// Programs and files of packages that the image stands in for (`[provides]`): scripts find them, although the tree
    /// has none.
    pub stand_ins: BTreeSet<TreePath>,
    /// How many names `mktemp` has given out: they have one answer in every build.
    pub temporary: u32,
    links: Links,
}

impl<'a> World<'a> {
    /// A world of `tree` alone, without packages.
    pub fn new(tree: Root, provenance: Provenance, contents: &'a dyn Contents, epoch: u32) -> Self {
        let links = Links::of(&tree);
        Self {
            tree,
            provenance,
            links,
            packages: &[],
            contents,
            epoch,
            machine: "aarch64".to_owned(),
            effects: Effects::default(),
            accounts: LiveAccounts::default(),
            debconf: Debconf::default(),
            configured: BTreeSet::new(),
            triggers: BTreeSet::new(),
            acting: Ownership::ROOT,
            author: None,
            kept: BTreeSet::new(),
            removed: BTreeMap::new(),
            budget: Budget::default(),
            stand_ins: BTreeSet::new(),
            temporary: 0,
        }
    }

    /// The device of a path that has one although the tree does not.
    pub fn device(path: &TreePath) -> Option<Device> {
        match path.as_str() {
            "dev/null" => Some(Device::Null),
            "dev/zero" => Some(Device::Zero),
            "dev/full" => Some(Device::Full),
            "dev/random" | "dev/urandom" => Some(Device::Random),
            _ => None,
        }
    }

    /// What stands at `path`, read from `cwd` when it is relative: stat(2), or lstat(2) with [`Follow::No`].
    pub fn stat(&self, cwd: &TreePath, path: &str, follow: Follow) -> Result<Stat, Errno> {
        let real = self.resolve(cwd, path, follow)?;
        self.stat_at(&real)
    }

    /// Whether something stands at `path`, links followed: `[ -e path ]`.
    pub fn exists(&self, cwd: &TreePath, path: &str) -> bool {
        self.stat(cwd, path, Follow::Yes).is_ok()
    }

    /// What stands at the real path `at`.
    pub fn stat_at(&self, at: &TreePath) -> Result<Stat, Errno> {
        let Some(node) = self.tree.get(at) else {
            if self.stand_ins.contains(at) {
                let (path, meta) = (at.clone(), Meta::root(0o755));
                return Ok(Stat { path, meta, kind: Kind::File(()), size: 0, links: 1 });
            }
            let Some(device) = Self::device(at) else { return Err(Errno::NotFound) };
            let minor = match device {
                Device::Null => 3,
                Device::Zero => 5,
                Device::Full => 7,
                Device::Random => 8,
            };
            let kind = Kind::CharDevice(1, minor);
            return Ok(Stat { path: at.clone(), meta: Meta::root(0o666), kind, size: 0, links: 1 });
        };
        let file = self.file_of(at);
        let links = match node.kind {
            Kind::File(_) | Kind::HardLink(_) => 1 + self.other_names(&file).count() as u64,
            _ => 1,
        };
        let node = self.tree.get(&file).ok_or(Errno::NotFound)?;
        let (kind, size) = match &node.kind {
            Kind::File(content) => (Kind::File(()), content.size()),
            Kind::Symlink(target) => (Kind::Symlink(target.clone()), target.len() as u64),
            // What a disk says of a small directory: no script asks for more, but `[ -s dir ]` holds.
            Kind::Dir => (Kind::Dir, 4096),
            Kind::HardLink(first) => (Kind::HardLink(first.clone()), 0),
            Kind::CharDevice(major, minor) => (Kind::CharDevice(*major, *minor), 0),
            Kind::BlockDevice(major, minor) => (Kind::BlockDevice(*major, *minor), 0),
            Kind::Fifo => (Kind::Fifo, 0),
        };
        Ok(Stat { path: at.clone(), meta: node.meta.clone(), kind, size, links })
    }

    /// What the regular file at `path` holds, links followed; its bytes are not fetched.
    pub fn content(&self, cwd: &TreePath, path: &str) -> Result<Content, Errno> {
        let real = self.resolve(cwd, path, Follow::Yes)?;
        match self.tree.get(&self.file_of(&real)).map(|node| &node.kind) {
            Some(Kind::File(content)) => Ok(content.clone()),
            Some(Kind::Dir) => Err(Errno::IsADirectory),
            Some(_) => Err(Errno::Invalid),
            None => match Self::device(&real) {
                Some(Device::Null | Device::Full) => Ok(Content::inline([])),
                Some(Device::Zero) => Err(Errno::Invalid),
                Some(Device::Random) => Err(Errno::Random),
                None => Err(Errno::NotFound),
            },
        }
    }

    /// The bytes of the regular file at `path`, links followed.
    pub fn read(&mut self, cwd: &TreePath, path: &str) -> Result<Vec<u8>, Errno> {
        let real = self.resolve(cwd, path, Follow::Yes)?;
        let real = self.file_of(&real);
        match self.tree.get(&real).map(|node| &node.kind) {
            Some(Kind::File(content)) => {
                let content = content.clone();
                self.spend_bytes(content.size())?;
                self.contents.bytes(&content).map_err(|error| Errno::Unreadable(error.to_string()))
            }
            Some(Kind::Dir) => Err(Errno::IsADirectory),
            Some(_) => Err(Errno::Invalid),
            None => match Self::device(&real) {
                Some(Device::Null | Device::Full) => Ok(Vec::new()),
                Some(Device::Zero) => Err(Errno::Invalid),
                Some(Device::Random) => Err(Errno::Random),
                None => Err(Errno::NotFound),
            },
        }
    }

    /// Writes a regular file, whole: what is there keeps its mode and owner, a new one gets `mode`, root and the epoch.
    pub fn write(&mut self, cwd: &TreePath, path: &str, mode: u16, bytes: Vec<u8>) -> Result<(), Errno> {
        self.spend_bytes(bytes.len() as u64)?;
        self.write_content(cwd, path, mode, Content::inline(bytes))
    }

    /// As [`World::write`], with what another file holds.
    pub fn write_content(&mut self, cwd: &TreePath, path: &str, mode: u16, content: Content) -> Result<(), Errno> {
        let real = self.resolve(cwd, path, Follow::Yes)?;
        let real = self.file_of(&real);
        match self.tree.get(&real) {
            Some(node) if node.is_dir() => return Err(Errno::IsADirectory),
            Some(_) => {}
            None => match Self::device(&real) {
                Some(Device::Full) => return Err(Errno::NoSpace),
                Some(_) => return Ok(()),
                None if path.ends_with('/') => return Err(Errno::IsADirectory),
                None => self.require_dir(&real)?,
            },
        }
        if self.is_kept(&real) {
            return Ok(());
        }
        let meta = self.tree.get(&real).map_or_else(|| self.own(mode), |node| node.meta.clone());
        self.put(real, Node { meta, kind: Kind::File(content) })
    }

    /// Adds `bytes` to the end of a regular file, which is made when it is not there.
    pub fn append(&mut self, cwd: &TreePath, path: &str, mode: u16, bytes: &[u8]) -> Result<(), Errno> {
        let mut all = match self.read(cwd, path) {
            Ok(all) => all,
            Err(Errno::NotFound) => Vec::new(),
            Err(error) => return Err(error),
        };
        all.extend_from_slice(bytes);
        self.write(cwd, path, mode, all)
    }

    /// Makes a directory: mkdir(2). Its parent must be there.
    pub fn make_dir(&mut self, cwd: &TreePath, path: &str, mode: u16) -> Result<(), Errno> {
        let meta = self.own(mode);
        self.create(cwd, path, Node { meta, kind: Kind::Dir })
    }

    /// Makes a directory and its missing parents, which get mode 0755: `mkdir -p`. One that is there stays as it is.
    pub fn make_dirs(&mut self, cwd: &TreePath, path: &str, mode: u16) -> Result<(), Errno> {
        let mut reached = if path.starts_with('/') { "/".to_owned() } else { String::new() };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            reached.push_str(part);
            let mode = if index + 1 == parts.len() { mode } else { 0o755 };
            match self.make_dir(cwd, &reached, mode) {
                Ok(()) => {}
                Err(Errno::Exists) => {
                    if !self.stat(cwd, &reached, Follow::Yes)?.is_dir() {
                        return Err(if index + 1 == parts.len() { Errno::Exists } else { Errno::NotADirectory });
                    }
                }
                Err(error) => return Err(error),
            }
            reached.push('/');
        }
        Ok(())
    }

    /// Makes a symbolic link: symlink(2). Nothing may stand there.
    pub fn make_symlink(&mut self, cwd: &TreePath, path: &str, target: &str) -> Result<(), Errno> {
        let Node { meta, kind } = Node::symlink(target);
        let meta = Meta { mode: meta.mode, ..self.own(meta.mode) };
        self.create(cwd, path, Node { meta, kind })
    }

    /// Puts a new node: fails with [`Errno::Exists`] when something stands there, a dangling link included.
    pub fn create(&mut self, cwd: &TreePath, path: &str, node: Node<Content>) -> Result<(), Errno> {
        let real = self.resolve(cwd, path, Follow::No)?;
        if real.is_root() || self.tree.contains(&real) || Self::device(&real).is_some() {
            return Err(Errno::Exists);
        }
        if path.ends_with('/') && !node.is_dir() {
            return Err(Errno::NotFound);
        }
        self.require_dir(&real)?;
        self.put(real, node)
    }

    /// Gives the regular file at `existing` another name: link(2).
    pub fn make_hard_link(&mut self, cwd: &TreePath, existing: &str, path: &str) -> Result<(), Errno> {
        let first = self.resolve(cwd, existing, Follow::No)?;
        let first = self.file_of(&first);
        let meta = match self.tree.get(&first) {
            Some(node) if node.is_dir() => return Err(Errno::NotPermitted),
            // The tree has hard links of regular files only; a second link or device of the same kind is as good.
            Some(node) if !matches!(node.kind, Kind::File(_)) => {
                let node = node.clone();
                return self.create(cwd, path, node);
            }
            Some(node) => node.meta.clone(),
            None => return Err(Errno::NotFound),
        };
        self.create(cwd, path, Node { meta, kind: Kind::HardLink(first) })
    }

    /// Removes a name that is not a directory: unlink(2).
    pub fn unlink(&mut self, cwd: &TreePath, path: &str) -> Result<(), Errno> {
        let real = self.resolve(cwd, path, Follow::No)?;
        match self.tree.get(&real) {
            None => return Err(Errno::NotFound),
            Some(node) if node.is_dir() => return Err(Errno::IsADirectory),
            Some(_) => {}
        }
        if self.is_kept(&real) {
            return Ok(());
        }
        self.take(&real);
        Ok(())
    }

    /// Removes an empty directory: rmdir(2).
    pub fn remove_dir(&mut self, cwd: &TreePath, path: &str) -> Result<(), Errno> {
        let real = self.resolve(cwd, path, Follow::No)?;
        match self.tree.get(&real) {
            None => return Err(Errno::NotFound),
            Some(node) if !node.is_dir() => return Err(Errno::NotADirectory),
            Some(_) => {}
        }
        if real.is_root() || self.tree.below(&real).next().is_some() {
            return Err(Errno::NotEmpty);
        }
        if self.is_kept(&real) {
            return Ok(());
        }
        self.take(&real);
        Ok(())
    }

    /// Removes `path` and everything below it: `rm -r`. What a recipe has placed stays, with its parents.
    pub fn remove_all(&mut self, cwd: &TreePath, path: &str) -> Result<(), Errno> {
        let real = self.resolve(cwd, path, Follow::No)?;
        if !self.tree.contains(&real) {
            return Err(Errno::NotFound);
        }
        if real.is_root() {
            return Err(Errno::NotPermitted);
        }
        let mut doomed: Vec<TreePath> = self.tree.below(&real).map(|(path, _)| path.clone()).collect();
        doomed.insert(0, real);
        // Children before parents.
        for path in doomed.into_iter().rev() {
            if self.is_kept(&path) || self.tree.below(&path).next().is_some() {
                continue;
            }
            self.take(&path);
        }
        Ok(())
    }

    /// Renames: rename(2), which replaces a file, or an empty directory by a directory.
    pub fn rename(&mut self, cwd: &TreePath, from: &str, to: &str) -> Result<(), Errno> {
        let source = self.resolve(cwd, from, Follow::No)?;
        let target = self.resolve(cwd, to, Follow::No)?;
        let moved = self.tree.get(&source).ok_or(Errno::NotFound)?.is_dir();
        if source == target {
            return Ok(());
        }
        if target.starts_with(&source) {
            return Err(Errno::Invalid);
        }
        if to.ends_with('/') && !moved {
            return Err(Errno::NotADirectory);
        }
        self.require_dir(&target)?;
        match self.tree.get(&target) {
            Some(node) if node.is_dir() && !moved => return Err(Errno::IsADirectory),
            Some(node) if !node.is_dir() && moved => return Err(Errno::NotADirectory),
            Some(node) if node.is_dir() && self.tree.below(&target).next().is_some() => return Err(Errno::NotEmpty),
            _ => {}
        }
        if self.is_kept(&source) || self.is_kept(&target) {
            return Ok(());
        }
        if self.tree.contains(&target) {
            self.take(&target);
        }
        let mut moves = BTreeMap::new();
        for path in std::iter::once(&source).chain(self.tree.below(&source).map(|(path, _)| path)) {
            let rest = &path.as_str()[source.as_str().len()..];
            let new = TreePath::parse(&format!("{}{rest}", target.as_str())).map_err(|_| Errno::NameTooLong)?;
            moves.insert(path.clone(), new);
        }
        let nodes: Vec<(TreePath, Node<Content>)> =
            moves.keys().filter_map(|old| Some((old.clone(), self.tree.get(old)?.clone()))).collect();
        self.tree.remove(&source);
        for (old, node) in nodes {
            let new = moves.get(&old).cloned().ok_or(Errno::NotFound)?;
            self.links.moved(&old, &new, &mut self.tree);
            self.provenance.forget(&old);
            self.removed.extend(self.author.clone().map(|author| (old, author)));
            let kind = match node.kind {
                Kind::HardLink(first) => Kind::HardLink(moves.get(&first).cloned().unwrap_or(first)),
                kind => kind,
            };
            self.tree.insert(new.clone(), Node { meta: node.meta, kind }).map_err(|_| Errno::NotADirectory)?;
            self.book(new);
        }
        Ok(())
    }

    /// Names in a directory, in byte order.
    pub fn list(&self, cwd: &TreePath, path: &str) -> Result<Vec<String>, Errno> {
        let real = self.resolve(cwd, path, Follow::Yes)?;
        match self.tree.get(&real) {
            None => Err(Errno::NotFound),
            Some(node) if !node.is_dir() => Err(Errno::NotADirectory),
            Some(_) => Ok(self.tree.entries(&real).map(|(path, _)| path.name().to_owned()).collect()),
        }
    }

    /// Takes `count` steps off the budget.
    pub fn spend_steps(&mut self, count: u64) -> Result<(), Errno> {
        self.budget.steps = self.budget.steps.checked_sub(count).ok_or(Errno::Exhausted)?;
        Ok(())
    }

    /// Takes `count` bytes off the budget.
    pub fn spend_bytes(&mut self, count: u64) -> Result<(), Errno> {
        self.budget.bytes = self.budget.bytes.checked_sub(count).ok_or(Errno::Exhausted)?;
        Ok(())
    }

    /// Whether two real paths are names of the same file.
    pub fn is_same_file(&self, left: &TreePath, right: &TreePath) -> bool {
        self.file_of(left) == self.file_of(right)
    }

    /// Whether a recipe has placed the real path `at`; then a change to it is to be dropped, and this books it.
    pub fn is_kept(&mut self, at: &TreePath) -> bool {
        let kept = self.provenance.is_from_recipe(at);
        if kept {
            self.kept.insert((at.clone(), self.author.clone()));
        }
        kept
    }

    /// Puts `node` at the real path `at`, dated at the epoch, replacing what is there, and books it.
    ///
    /// For commands that make a node whole; what a recipe has placed is not protected here.
    pub fn put(&mut self, at: TreePath, node: Node<Content>) -> Result<(), Errno> {
        let node = Node { meta: Meta { mtime: self.epoch, ..node.meta }, kind: node.kind };
        // Other names of a file that is written anew see the new content; anything else takes the name away from them.
        if !matches!(node.kind, Kind::File(_))
            || matches!(self.tree.get(&at).map(|old| &old.kind), Some(Kind::HardLink(_)))
        {
            self.links.gone(&at, &mut self.tree);
        }
        if let Kind::HardLink(first) = &node.kind {
            self.links.add(first, &at);
        }
        self.tree.insert(at.clone(), node).map_err(|_| Errno::NotADirectory)?;
        self.book(at);
        Ok(())
    }

    /// The attributes of something new that the present command makes.
    pub fn own(&self, mode: u16) -> Meta {
        Meta { user: self.acting.user.clone(), group: self.acting.group.clone(), ..Meta::root(mode) }
    }

    fn book(&mut self, at: TreePath) {
        self.removed.remove(&at);
        match &self.author {
            Some(author) => self.provenance.claim(at, Origin::Script(author.clone())),
            None => self.provenance.forget(&at),
        }
    }

    /// The name under which the tree keeps the file whose real path is `at`: the same for all of its names.
    pub fn file_of(&self, at: &TreePath) -> TreePath {
        match self.tree.get(at).map(|node| &node.kind) {
            Some(Kind::HardLink(first)) => first.clone(),
            _ => at.clone(),
        }
    }

    /// The other names of the file that the tree keeps at `first`.
    fn other_names(&self, first: &TreePath) -> impl Iterator<Item = &TreePath> {
        self.links.of_file(first)
    }

    /// Takes one node out of the tree. Of a file with several names, the next one becomes the file.
    fn take(&mut self, at: &TreePath) {
        self.links.gone(at, &mut self.tree);
        self.tree.remove(at);
        self.provenance.forget(at);
        if let Some(author) = self.author.clone() {
            self.removed.insert(at.clone(), author);
        }
    }

    /// The directory of the real path `at` must be one.
    fn require_dir(&self, at: &TreePath) -> Result<(), Errno> {
        let Some(parent) = at.parent() else { return Err(Errno::Exists) };
        match self.tree.get(&parent) {
            Some(node) if node.is_dir() => Ok(()),
            Some(_) => Err(Errno::NotADirectory),
            None => Err(Errno::NotFound),
        }
    }
}

#[cfg(test)]
mod tests;
