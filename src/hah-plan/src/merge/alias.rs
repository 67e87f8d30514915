//! Directory symlinks that packages ship, and where paths through them lead.

use std::collections::BTreeMap;

use hah_format::path::{PathError, TreePath};
use hah_format::tree::Kind;

use crate::rootfs::UnpackedPackage;

/// Symlinks followed for one path at most, as in Linux.
const LINKS_MAX: u32 = 40;

/// Symlinks that stand where some package's path has a directory component.
#[derive(Clone, Debug, Default)]
pub(super) struct Aliases {
    targets: BTreeMap<TreePath, Box<str>>,
}

impl Aliases {
    /// Collects them: every shipped symlink that another shipped path runs through or that is shipped as a directory too.
    pub(super) fn of(packages: &[&UnpackedPackage]) -> Self {
        let mut links: BTreeMap<TreePath, Box<str>> = BTreeMap::new();
        for package in packages {
            for (path, node) in package.tree.iter() {
                if let Kind::Symlink(target) = &node.kind {
                    links.entry(path.clone()).or_insert_with(|| target.clone());
                }
            }
        }
        // A package's own tree has a directory wherever its paths have a component.
        let mut targets = BTreeMap::new();
        for package in packages {
            for (path, node) in package.tree.iter() {
                if node.is_dir()
                    && let Some(target) = links.get(path)
                {
                    targets.insert(path.clone(), target.clone());
                }
            }
        }
        // The merged-/usr links lead even where no package of this closure uses the old spelling: recipes may.
        for (path, target) in links {
            if path.parent().is_some_and(|parent| parent.is_root()) {
                targets.insert(path, target);
            }
        }
        Self { targets }
    }

    /// Whether `path` is such a symlink.
    pub(super) fn is_alias(&self, path: &TreePath) -> bool {
        self.targets.contains_key(path)
    }

    /// `path` with the symlinks in its directory part followed; its last component stays as it is.
    pub(super) fn lead(&self, path: &TreePath) -> Result<TreePath, PathError> {
        let Some(parent) = path.parent() else { return Ok(path.clone()) };
        let mut left: Vec<String> = parent.components().rev().map(str::to_owned).collect();
        let mut at = TreePath::root();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_str() {
                "." => continue,
                ".." => {
                    at = at.parent().unwrap_or_else(TreePath::root);
                    continue;
                }
                _ => {}
            }
            let next = at.join(&part)?;
            let Some(target) = self.targets.get(&next) else {
                at = next;
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(PathError::TooLong(format!("{path} (symbolic links form a loop)")));
            }
            if target.starts_with('/') {
                at = TreePath::root();
            }
            left.extend(target.split('/').filter(|part| !part.is_empty()).rev().map(str::to_owned));
        }
        at.join(path.name())
    }
}
