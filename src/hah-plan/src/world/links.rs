//! [`Links`]: which names a file has besides the one under which the tree keeps it.
//!
//! The tree keeps a file under one name and the others as [`Kind::HardLink`] to it.
//! Here is the way back, so that nobody has to search the tree for it.

use std::collections::{BTreeMap, BTreeSet};

use hah_format::path::TreePath;
use hah_format::tree::Kind;

use crate::rootfs::Root;

/// The other names of each file that has some.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<TreePath, BTreeSet<TreePath>>);

impl Links {
    /// Those of `tree`.
    pub(super) fn of(tree: &Root) -> Self {
        let mut links = Self::default();
        for (path, node) in tree.iter() {
            if let Kind::HardLink(first) = &node.kind {
                links.add(first, path);
            }
        }
        links
    }

    /// The other names of the file that the tree keeps at `first`, in order.
    pub(super) fn of_file(&self, first: &TreePath) -> impl Iterator<Item = &TreePath> {
        self.0.get(first).into_iter().flatten()
    }

    /// `name` is another name of the file at `first`.
    pub(super) fn add(&mut self, first: &TreePath, name: &TreePath) {
        self.0.entry(first.clone()).or_default().insert(name.clone());
    }

    /// The name `at` goes away: of a file with several names, the next one becomes the file.
    pub(super) fn gone(&mut self, at: &TreePath, tree: &mut Root) {
        if let Some(Kind::HardLink(first)) = tree.get(at).map(|node| &node.kind)
            && let Some(names) = self.0.get_mut(first)
        {
            names.remove(at);
        }
        let Some(mut names) = self.0.remove(at) else { return };
        let Some(next) = names.pop_first() else { return };
        let kept = tree.get(at).cloned();
        if let (Some(kept), Some(node)) = (kept, tree.get_mut(&next)) {
            *node = kept;
        }
        self.point(names, &next, tree);
    }

    /// The name `from` has become `to`; the node itself is moved by the caller.
    pub(super) fn moved(&mut self, from: &TreePath, to: &TreePath, tree: &mut Root) {
        for names in self.0.values_mut() {
            if names.remove(from) {
                names.insert(to.clone());
            }
        }
        if let Some(names) = self.0.remove(from) {
            self.point(names, to, tree);
        }
    }

    fn point(&mut self, names: BTreeSet<TreePath>, first: &TreePath, tree: &mut Root) {
        for name in &names {
            if let Some(node) = tree.get_mut(name) {
                node.kind = Kind::HardLink(first.clone());
            }
        }
        if !names.is_empty() {
            self.0.insert(first.clone(), names);
        }
    }
}
