//! A package's own files while its `preinst install` runs: dpkg unpacks them afterwards (Policy 6.6).
//!
//! Scripts ask for them: squid's makes a link "to the yet-to-be-unpacked profile" only when there is none.
//! What comes first in an installation, the essential packages and what they need, is unpacked before any script runs.

use hah_format::path::TreePath;
use hah_format::tree::{Node, TreeError};

use super::order::control_text;
use crate::rootfs::{Content, UnpackedPackage};
use crate::world::World;

/// What is not there yet, parents before children.
pub(super) struct Packed(Vec<(TreePath, Node<Content>)>);

/// How many packages at the beginning of `order` are unpacked before the first script runs.
pub(super) fn bootstrapped(packages: &[UnpackedPackage], order: &[usize]) -> usize {
    let is_essential = |index: &usize| control_text(&packages[*index]).lines().any(|line| line == "Essential: yes");
    order.iter().rposition(is_essential).map_or(0, |last| last + 1)
}

/// Takes away what `package` alone has put into the tree: its files and links, and the directories that are empty then.
pub(super) fn pack(world: &mut World<'_>, package: &UnpackedPackage) -> Packed {
    let mut packed = Vec::new();
    let paths: Vec<&TreePath> = package.tree.iter().map(|(path, _)| path).collect();
    for path in paths.into_iter().rev().filter(|path| !path.is_root()) {
        let at = real_path(world, path);
        let is_its_own = world.provenance.package(&at) == Some(&package.name);
        let Some(node) = world.tree.get(&at).filter(|_| is_its_own) else { continue };
        if node.is_dir() && world.tree.below(&at).next().is_some() {
            continue;
        }
        packed.push((at.clone(), node.clone()));
        world.tree.remove(&at);
    }
    packed.reverse();
    Packed(packed)
}

/// Puts it all back. A directory that is there by now stays as it is, and so does a link to one; everything else is replaced.
pub(super) fn unpack(world: &mut World<'_>, packed: Packed, package: &UnpackedPackage) -> Result<(), TreeError> {
    for (path, node) in packed.0 {
        let at = real_path(world, &path);
        let there = world.tree.resolve(&at).and_then(|found| world.tree.get(&found));
        if node.is_dir() && there.is_some_and(Node::is_dir) {
            continue;
        }
        world.tree.insert(at.clone(), node)?;
        world.provenance.claim(at, crate::merge::Origin::Package(package.name.clone()));
    }
    Ok(())
}

/// The path with the links in its directory followed.
fn real_path(world: &World<'_>, path: &TreePath) -> TreePath {
    let directory = path.parent().and_then(|parent| world.tree.resolve(&parent));
    directory.and_then(|directory| directory.join(path.name()).ok()).unwrap_or_else(|| path.clone())
}
