//! Diversions, before there is a tree: a package that diverts a path does so in its `preinst`, so that dpkg lays down
//! the other packages' files elsewhere. [`crate::merge`] has to know before it merges.
//!
//! The `preinst` scripts that call dpkg-divert(1) are evaluated on a draft of the root, for their diversions alone.
//! They are evaluated again on the real one, and whatever is wrong with them is said then.

use super::install::{Configuration, evaluate};
use super::order::configure_order;
use super::table::ReviewTable;
use crate::effects::{Diversion, Sourced};
use crate::merge::{self, Provenance};
use crate::rootfs::{Contents, UnpackedPackage};
use crate::system::ScriptKind;
use crate::world::World;

/// The diversions that the packages' scripts declare, in order.
pub fn diversions(
    packages: &[UnpackedPackage],
    contents: &dyn Contents,
    reviews: &ReviewTable,
) -> Vec<Sourced<Diversion>> {
    let diverts = |package: &UnpackedPackage| {
        let text = package.control.get(ScriptKind::Preinst.member());
        text.is_some_and(|text| memchr::memmem::find(text, b"dpkg-divert").is_some())
    };
    if !packages.iter().any(diverts) {
        return Vec::new();
    }
    let mut world = World::new(merge::draft(packages), Provenance::default(), contents, 0);
    world.packages = packages;
    let configuration = Configuration { reviews, choices: &[] };
    for index in configure_order(packages).into_iter().filter(|&index| diverts(&packages[index])) {
        let _ = evaluate(&mut world, &packages[index], ScriptKind::Preinst, &["install"], configuration);
    }
    world.effects.sort();
    world.effects.diversions
}
