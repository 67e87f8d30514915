//! Where a path leads: path_resolution(7) with the tree as the root.

use hah_format::path::{NAME_MAX, TreePath};
use hah_format::tree::Kind;

use super::{Errno, World};

/// Most symbolic links on one way, as in Linux.
const LINKS_MAX: usize = 40;

/// Whether a symbolic link in the last component is followed. In the others it always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// As stat(2) and open(2) do.
    Yes,
    /// As lstat(2), unlink(2) and rename(2) do.
    No,
}

impl World<'_> {
    /// The real path of `path`, read from `cwd` when it is relative; its last component need not be there.
    ///
    /// # Errors
    /// [`Errno::NotFound`] for a missing directory on the way or an empty path, [`Errno::NotADirectory`] when something else
    /// stands there, or when `path` ends in a slash and is a file; [`Errno::Loop`] after 40 links.
    pub fn resolve(&self, cwd: &TreePath, path: &str, last: Follow) -> Result<TreePath, Errno> {
        if path.is_empty() {
            return Err(Errno::NotFound);
        }
        let mut at = if path.starts_with('/') { TreePath::root() } else { cwd.clone() };
        let wants_dir = path.ends_with('/');
        let mut left: Vec<String> = parts(path);
        let mut links = 0;
        while let Some(part) = left.pop() {
            match self.tree.get(&at) {
                Some(node) if node.is_dir() => {}
                Some(_) => return Err(Errno::NotADirectory),
                None => return Err(Errno::NotFound),
            }
            if part == ".." {
                at = at.parent().unwrap_or_else(TreePath::root);
                continue;
            }
            if part.len() > NAME_MAX {
                return Err(Errno::NameTooLong);
            }
            let next = at.join(&part).map_err(|_| Errno::NameTooLong)?;
            match self.tree.get(&next).map(|node| &node.kind) {
                Some(Kind::Symlink(target)) if !left.is_empty() || last == Follow::Yes || wants_dir => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::Loop);
                    }
                    if target.starts_with('/') {
                        at = TreePath::root();
                    }
                    left.extend(parts(target));
                }
                _ => at = next,
            }
        }
        match self.tree.get(&at) {
            Some(node) if wants_dir && !node.is_dir() => Err(Errno::NotADirectory),
            _ => Ok(at),
        }
    }

    /// `path` as an absolute path in the shell's sense: `cwd` before a relative one, `.` and `..` taken by the word.
    pub fn absolute(cwd: &TreePath, path: &str) -> String {
        let mut out: Vec<&str> = if path.starts_with('/') { Vec::new() } else { cwd.components().collect() };
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    out.pop();
                }
                _ => out.push(part),
            }
        }
        format!("/{}", out.join("/"))
    }
}

/// The components, last first.
fn parts(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}
