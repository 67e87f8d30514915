//! Modes, owners, times and extended attributes of what is in a [`World`].

use hah_format::path::TreePath;
use hah_format::tree::{Meta, Owner};

use super::{Errno, Follow, World};

impl World<'_> {
    /// Changes permission bits, links followed: chmod(2).
    pub fn set_mode(&mut self, cwd: &TreePath, path: &str, mode: u16) -> Result<(), Errno> {
        self.change(cwd, path, Follow::Yes, |meta| meta.mode = mode & 0o7777)
    }

    /// Changes the owner, the group or both: chown(2), lchown(2) with [`Follow::No`].
    pub fn set_owner(
        &mut self,
        cwd: &TreePath,
        path: &str,
        follow: Follow,
        owner: (Option<Owner>, Option<Owner>),
    ) -> Result<(), Errno> {
        self.change(cwd, path, follow, |meta| {
            let (user, group) = owner;
            meta.user = user.unwrap_or_else(|| meta.user.clone());
            meta.group = group.unwrap_or_else(|| meta.group.clone());
            // As the kernel does for files that are executed: the new owner did not give these away.
            meta.xattrs.remove("security.capability");
        })
    }

    /// Dates what stands at `path`, in seconds since 1970: utimensat(2).
    pub fn set_time(&mut self, cwd: &TreePath, path: &str, follow: Follow, mtime: u32) -> Result<(), Errno> {
        self.change(cwd, path, follow, |meta| meta.mtime = mtime)
    }

    /// Sets an extended attribute: setxattr(2); removes it without a value.
    pub fn set_attribute(
        &mut self,
        cwd: &TreePath,
        path: &str,
        name: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), Errno> {
        self.change(cwd, path, Follow::Yes, |meta| match value {
            Some(value) => {
                meta.xattrs.insert(name.into(), value);
            }
            None => {
                meta.xattrs.remove(name);
            }
        })
    }

    fn change(
        &mut self,
        cwd: &TreePath,
        path: &str,
        follow: Follow,
        change: impl FnOnce(&mut Meta),
    ) -> Result<(), Errno> {
        let real = self.resolve(cwd, path, follow)?;
        let file = self.file_of(&real);
        if self.tree.get(&file).is_none() {
            return if Self::device(&file).is_some() { Ok(()) } else { Err(Errno::NotFound) };
        }
        if self.is_kept(&file) {
            return Ok(());
        }
        let Some(node) = self.tree.get_mut(&file) else { return Err(Errno::NotFound) };
        change(&mut node.meta);
        let meta = node.meta.clone();
        // A hard link carries a copy of its file's attributes.
        for other in self.other_names(&file).cloned().collect::<Vec<_>>() {
            if let Some(node) = self.tree.get_mut(&other) {
                node.meta = meta.clone();
            }
        }
        if let Some(author) = self.author.clone() {
            self.provenance.note(file, author);
        }
        Ok(())
    }
}
