//! Offers of reviewed scripts, through [`Registry`]: the record that interpreted scripts have left is what they are added to.

use super::{ConfigureError, Target};
use crate::alternatives::{Loudness, Registry, Stop};
use crate::world::World;

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let effects = target.effects.clone();
    if effects.alternatives.is_empty() {
        return Ok(());
    }
    let root = std::mem::take(&mut target.root);
    let provenance = std::mem::take(&mut target.provenance);
    let mut world = World::new(root, provenance, target.contents, target.epoch);
    world.packages = target.packages;
    let mut registry = Registry::of(&mut world);
    registry.loudness = Loudness::Quiet;
    let done = effects.alternatives.iter().try_for_each(|entry| match registry.offer(&entry.what) {
        Ok(()) => Ok(()),
        Err(Stop::Failed(reason)) => Err(ConfigureError::invalid(
            format!("package {}: {reason}", entry.package),
            "two packages disagree about a link group; leave one of them out",
        )),
        Err(Stop::Final(error)) => {
            Err(ConfigureError::invalid(error.to_string(), "`hah-image store verify` may tell more"))
        }
    });
    target.root = world.tree;
    target.provenance = world.provenance;
    done
}

#[cfg(test)]
mod tests;
