//! From packs to an image: merge, configure, lay out, write.
//!
//! ```text
//! packs ─→ merge ─→ configure ─┬→ root    (squashfs)
//!                              ├→ initramfs (modules, agent, stage1.json)
//!                              └→ boot    (FAT: firmware, kernel, initramfs)
//!                                   └──────→ disk ─→ .img .bmap .sha256 .json .rpi-imager-manifest
//! ```
//!
//! Everything is decided before the first byte of the image is written: see [`root::layout`] and [`disk::write`].

use hah_node::disk::DiskId;
use hah_node::stage1::{self, Stage1};
use hah_plan::artifact::Artifact;
use hah_plan::artifact::fit::{self, Misfit};
use hah_plan::configure::{self, ConfigureError, Configured, ImageIdentity, Problem, Target};
use hah_plan::derivation::{Encoder, FORMAT_VERSION, Key, Lineage};
use hah_plan::lock::LockedArtifact;
use hah_plan::merge::{self, Ingredients};
use hah_plan::rootfs::Root;
use hah_plan::scripts::{self, Effects, ReviewTable, ScriptError};
use hah_plan::system::System;

use crate::build::packs::artifact_pack::ArtifactPack;
use crate::build::packs::{Input, PackSet};
use crate::failure::Failure;

pub mod boot;
pub mod disk;
pub mod initramfs;
pub mod root;
pub mod manifest;
pub mod imager;

/// What an image is made from.
pub struct Recipe<'a> {
    /// The recipes' meaning.
    pub system: &'a System,
    /// The name of the cluster that the image is for; empty without one. See [`Lineage`].
    pub cluster: &'a str,
    /// The locked packages, sorted by name.
    pub inputs: &'a [Input],
    /// The locked artifacts, sorted by name.
    pub artifacts: &'a [(Artifact, LockedArtifact)],
    /// Reviewed maintainer scripts.
    pub reviews: &'a ReviewTable,
    /// Digest of the review table's sources.
    pub reviews_digest: hah_format::digest::Sha256,
    /// How the packages are packed.
    pub options: &'a hah_format::pack::PackOptions,
    /// The agent's binary.
    pub agent: &'a [u8],
    /// The lock's epoch, seconds since 1970.
    pub epoch: u32,
}

impl Recipe<'_> {
    /// The disk's id, which stays the same from build to build.
    fn disk_id(&self) -> DiskId {
        Lineage::of(self.cluster, self.system).disk_id()
    }

    /// The image's key: everything that can reach its bytes. See [`hah_plan::derivation`].
    pub fn key(&self) -> Key {
        let mut encoder = Encoder::new("hah-image");
        encoder.number("format", u64::from(FORMAT_VERSION));
        hah_plan::derivation::system(&mut encoder, self.system);
        encoder.text("cluster", self.cluster);
        for input in self.inputs {
            encoder.list("input", [input.name.as_str(), input.version.as_str(), input.architecture.as_str()]);
            encoder.digest("pack", &crate::build::packs::key(&input.sha256, self.options).0);
        }
        for (artifact, locked) in self.artifacts {
            encoder.text("artifact", &artifact.name);
            encoder.digest("pack", &crate::build::packs::artifact_pack::key(&locked.sha256, artifact.format).0);
            encoder.text("signature", &locked.trust.to_string());
        }
        encoder.digest("reviews", &self.reviews_digest);
        encoder.digest("agent", &hah_format::digest::Sha256::of(self.agent));
        encoder.number("epoch", u64::from(self.epoch));
        encoder.finish()
    }
}

/// Merges the packages and runs the configuration passes.
pub fn configure(recipe: &Recipe<'_>, packs: &PackSet, key: &Key) -> Result<Configured, Failure> {
    let configured = with_target(recipe, packs, key, configure::configure)?
        .map_err(|error| Failure::build(error.to_string(), Some(error.hint())))?;
    fit(recipe.system, packs, &configured.root)?;
    Ok(configured)
}

/// The maintainer scripts that cannot be evaluated; empty when all can.
pub fn script_errors(recipe: &Recipe<'_>, packs: &PackSet, key: &Key) -> Result<Vec<ScriptError>, Failure> {
    match with_target(recipe, packs, key, configure::configure)? {
        Err(ConfigureError { problem: Problem::Scripts(errors), .. }) => Ok(errors),
        Err(error) => Err(Failure::build(error.to_string(), Some(error.hint()))),
        Ok(_) => Ok(Vec::new()),
    }
}

/// Merges the packages and hands the root in the making to `then`.
fn with_target<T>(
    recipe: &Recipe<'_>,
    packs: &PackSet,
    key: &Key,
    then: impl FnOnce(Target<'_>) -> T,
) -> Result<T, Failure> {
    let system = recipe.system;
    let packages = packs.packages();
    let diversions = scripts::diversions(packages, packs, recipe.reviews);
    let placed = merge::placements(system);
    let artifacts = packs.artifacts().iter().map(ArtifactPack::unpacked).collect::<Result<Vec<_>, _>>()?;
    let merged = merge::merge(Ingredients {
        packages,
        diversions: &diversions,
        removes: &system.removes,
        artifacts: &artifacts,
        placed: &placed,
    })
    .map_err(|error| Failure::build(error.to_string(), Some(error.hint())))?;
    let (mut root, mut provenance) = (merged.root, merged.provenance);
    initramfs::install_agent(&mut root, recipe.agent)?;
    provenance.claim_new(&root, &merge::Origin::Recipe("first-boot".into()));
    let image = ImageIdentity { name: system.image.clone(), version: key.short(), id: key.0, disk: recipe.disk_id() };
    let target = Target {
        root,
        provenance,
        packages,
        system,
        contents: packs,
        image: &image,
        effects: Effects::default(),
        reviews: recipe.reviews,
        epoch: recipe.epoch,
    };
    Ok(then(target))
}

/// Refuses programs of artifacts that the board or the image cannot run.
fn fit(system: &System, packs: &PackSet, root: &Root) -> Result<(), Failure> {
    let (mut problems, mut hints) = (Vec::new(), Vec::new());
    for pack in packs.artifacts() {
        for (path, program) in pack.programs()? {
            let misfits = match program {
                Some(program) => fit::check(&program, system.architecture, root),
                None => vec![Misfit::Damaged],
            };
            for misfit in misfits {
                problems.push(format!("artifact {}: {path}: {misfit}", pack.artifact));
                hints.push(misfit.hint());
            }
        }
    }
    hints.dedup();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::build(problems.join("\n"), Some(hints.join("\n       ")))),
    }
}

/// The parts of the disk, decided and not yet written.
pub struct Parts {
    /// The squashfs.
    pub root: root::RootImage,
    /// The boot partition's files.
    pub boot: boot::BootFiles,
    /// The disk.
    pub spec: disk::DiskSpec,
}

/// Lays out root and boot partition.
pub fn parts(
    recipe: &Recipe<'_>,
    packs: &PackSet,
    root: Root,
    kernel: boot::Kernel,
    key: Key,
) -> Result<Parts, Failure> {
    let system = recipe.system;
    let directory =
        system.board.kernel.modules.at(&kernel.version).map_err(|error| Failure::build(error.to_string(), None))?;
    let modules = initramfs::modules(&root, packs, &directory, &system.board.stage1_modules)?;
    let config = stage1(recipe, &key, modules.names.clone());
    let (boot, root) = rayon::join(
        || {
            let archive = initramfs::archive(&config, &modules, recipe.agent, recipe.epoch)?;
            boot::files(system, packs, kernel, archive)
        },
        || root::layout(root, packs, recipe.epoch),
    );
    let (boot, root) = (boot?, root?);
    let spec = disk::DiskSpec { id: recipe.disk_id(), boot_bytes: system.boot_bytes, key, epoch: recipe.epoch };
    Ok(Parts { root, boot, spec })
}

fn stage1(recipe: &Recipe<'_>, key: &Key, modules: Vec<String>) -> Stage1 {
    let system = recipe.system;
    Stage1 {
        version: stage1::VERSION,
        image: format!("{} ({})", system.image, key.short()),
        image_id: key.to_string(),
        disk: recipe.disk_id(),
        modules,
        epoch: u64::from(recipe.epoch),
        persist: system.persist.iter().map(ToString::to_string).collect(),
        hostname_prefix: system.hostname_prefix.clone(),
    }
}
