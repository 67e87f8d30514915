//! The packages' maintainer scripts: see [`crate::scripts`].

use super::{ConfigureError, Problem, Target};
use crate::scripts::{self, Configuration};
use crate::world::World;

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let (root, provenance) = (std::mem::take(&mut target.root), std::mem::take(&mut target.provenance));
    let mut world = World::new(root, provenance, target.contents, target.epoch);
    world.packages = target.packages;
    world.effects.ids = target.reviews.ids.clone();
    let configuration = Configuration { reviews: target.reviews, choices: &target.system.scripts };
    let done = scripts::install(&mut world, configuration);
    target.root = world.tree;
    target.provenance = world.provenance;
    target.effects = world.effects;
    done.map_err(|errors| ConfigureError { pass: "", path: None, problem: Problem::Scripts(errors) })
}
