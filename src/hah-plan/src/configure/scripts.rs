//! The packages' maintainer scripts: see [`crate::scripts`].

use super::{ConfigureError, Problem, Target};
use crate::debconf::{Debconf, answers};
use crate::scripts::{self, Configuration};
use crate::system::System;
use crate::world::World;

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let (root, provenance) = (std::mem::take(&mut target.root), std::mem::take(&mut target.provenance));
    let mut world = World::new(root, provenance, target.contents, target.epoch);
    world.packages = target.packages;
    world.effects.ids = target.reviews.ids.clone();
    world.machine = target.system.architecture.machine().to_owned();
    let configuration = Configuration { reviews: target.reviews, choices: &target.system.scripts };
    let done = install(&mut world, target.system, configuration);
    target.root = world.tree;
    target.provenance = world.provenance;
    target.effects = world.effects;
    done
}

fn install(world: &mut World<'_>, system: &System, configuration: Configuration<'_>) -> Result<(), ConfigureError> {
    let answers = answers::check(&system.debconf, world.packages).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(|error| format!("{error}\n hint: {}", error.hint())).collect();
        ConfigureError::invalid(texts.join("\n"), "answers of recipes must fit the questions of the image's packages")
    })?;
    world.debconf = Debconf::new(answers);
    world.start_accounts(system, &configuration.reviews.ids)?;
    scripts::install(world, configuration)
        .map_err(|errors| ConfigureError { pass: "", path: None, problem: Problem::Scripts(errors) })?;
    Ok(world.finish_accounts()?)
}
