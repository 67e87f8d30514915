//! From packs to an image: merge, configure, lay out, write.
//!
//! ```text
//! packs ─→ merge ─→ configure ─┬→ root    (squashfs)
//!                              ├→ initramfs (modules, agent, stage1.json)
//!                              └→ boot    (FAT: firmware, kernel, initramfs)
//!                                   └──────→ disk ─→ .img .bmap .closure .sha256 .json .rpi-imager-manifest
//! ```
//!
//! Everything is decided before the first byte of the image is written: see [`root::layout`] and [`disk::write`].

use std::time::Duration;

use hah_node::disk::DiskId;
use hah_node::stage1::{self, Stage1};
use hah_plan::artifact::Artifact;
use hah_plan::artifact::fit::{self, Misfit};
use hah_plan::configure::{self, ConfigureError, Configured, ImageIdentity, Problem, Target};
use hah_plan::lock::LockedArtifact;
use hah_plan::merge;
use hah_plan::plan::{Derivation, ImageStep, Key, Lineage, PackStep};
use hah_plan::rootfs::Root;
use hah_plan::scripts::{Effects, ReviewTable, ScriptError};
use hah_plan::system::System;

use crate::build::packs::PackSet;
use crate::build::packs::artifact_pack::ArtifactPack;
use crate::clock;
use crate::failure::Failure;

pub mod boot;
pub mod disk;
pub mod initramfs;
pub mod root;
pub mod closure;
pub mod manifest;
pub mod imager;

/// What an image is made from.
pub struct Assembly<'a> {
    /// The image's key.
    pub key: Key,
    /// Its step of the plan.
    pub image: &'a ImageStep,
    /// The step of its gzipped kernel, when the board wants one.
    pub kernel: Option<&'a Derivation>,
    /// The recipes' meaning.
    pub system: &'a System,
    /// The name of the cluster that the image is for; empty without one. See [`Lineage`].
    pub cluster: &'a str,
    /// The locked packages, sorted by name.
    pub packages: &'a [PackStep],
    /// The locked artifacts, sorted by name.
    pub artifacts: &'a [(Artifact, LockedArtifact)],
    /// Reviewed maintainer scripts.
    pub reviews: &'a ReviewTable,
    /// The agent's binary.
    pub agent: &'a [u8],
}

impl Assembly<'_> {
    /// The disk's id, which stays the same from build to build.
    fn disk_id(&self) -> DiskId {
        Lineage::of(self.cluster, self.system).disk_id()
    }

    /// The lock's epoch, in seconds since 1970.
    pub fn epoch(&self) -> u32 {
        self.image.epoch
    }
}

/// The pass that evaluates maintainer scripts.
const SCRIPTS: &str = "scripts";

/// Merges the packages and runs the configuration passes.
pub fn configure(assembly: &Assembly<'_>, packs: &PackSet) -> Result<Configured, Failure> {
    let configured = with_target(assembly, packs, configure::configure)?
        .map_err(|error| Failure::build(error.to_string(), Some(error.hint())))?;
    fit(assembly.system, packs, &configured.root)?;
    Ok(configured)
}

/// What became of the maintainer scripts of an image.
pub struct Evaluation {
    /// What they asked for.
    pub effects: Effects,
    /// Those that cannot be evaluated.
    pub errors: Vec<ScriptError>,
    /// What the pass `scripts` took.
    pub took: Duration,
}

/// Runs the configuration passes for what the scripts do, and times those.
///
/// # Errors
/// What stops another pass; scripts that cannot be evaluated are no error.
pub fn evaluate(assembly: &Assembly<'_>, packs: &PackSet) -> Result<Evaluation, Failure> {
    with_target(assembly, packs, |mut target| {
        let (mut errors, mut took) = (Vec::new(), Duration::ZERO);
        for pass in configure::PASSES {
            let (done, passed) = clock::timed(|| configure::run(pass, &mut target));
            if pass.name == SCRIPTS {
                took = passed;
            }
            match done {
                Ok(()) => {}
                // Without their work, what the other passes say means nothing.
                Err(ConfigureError { problem: Problem::Scripts(found), .. }) => {
                    errors = found;
                    break;
                }
                Err(error) => return Err(Failure::build(error.to_string(), Some(error.hint()))),
            }
        }
        if errors.is_empty() {
            fit(assembly.system, packs, &target.root)?;
        }
        Ok(Evaluation { effects: target.effects, errors, took })
    })?
}

/// Merges the packages and hands the root in the making to `then`.
fn with_target<T>(assembly: &Assembly<'_>, packs: &PackSet, then: impl FnOnce(Target<'_>) -> T) -> Result<T, Failure> {
    let system = assembly.system;
    let packages = packs.packages();
    let placed = merge::placements(system);
    let artifacts = packs.artifacts().iter().map(ArtifactPack::unpacked).collect::<Result<Vec<_>, _>>()?;
    let merged =
        packs.merged(assembly.reviews).and_then(|merged| merged.complete(&artifacts, &system.removes, &placed));
    let merged = merged.map_err(|error| Failure::build(error.to_string(), Some(error.hint())))?;
    let (mut root, mut provenance) = (merged.root, merged.provenance);
    initramfs::install_agent(&mut root, assembly.agent)?;
    provenance.claim_new(&root, &merge::Origin::Recipe("first-boot".into()));
    let Assembly { key, .. } = assembly;
    let image = ImageIdentity { name: system.image.clone(), version: key.short(), id: key.0, disk: assembly.disk_id() };
    let target = Target {
        root,
        provenance,
        packages,
        system,
        contents: packs,
        image: &image,
        effects: Effects::default(),
        reviews: assembly.reviews,
        epoch: assembly.epoch(),
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
    /// The closure's text.
    pub closure: Vec<u8>,
    /// The disk.
    pub spec: disk::DiskSpec,
}

/// Lays out root and boot partition.
pub fn parts(assembly: &Assembly<'_>, packs: &PackSet, root: Root, kernel: boot::Kernel) -> Result<Parts, Failure> {
    let system = assembly.system;
    let directory =
        system.board.kernel.modules.at(&kernel.version).map_err(|error| Failure::build(error.to_string(), None))?;
    let modules = initramfs::modules(&root, packs, &directory, &system.board.stage1_modules)?;
    let config = stage1(assembly, modules.names.clone());
    let (boot, root) = rayon::join(
        || {
            let mut archives = initramfs::Initramfs::default();
            archives.push(&initramfs::microcode(&system.board.microcode, packs, assembly.epoch())?);
            archives.push(&initramfs::configuration(&config, assembly.epoch())?);
            archives.push(&initramfs::archive(&modules, assembly.agent, assembly.epoch())?);
            let files = boot::files(system, packs, kernel, &archives.bytes)?;
            let described = closure::boot_files(&files, &archives)?;
            Ok::<_, Failure>((files, described))
        },
        || {
            let root = root::layout(root, packs, assembly.epoch())?;
            let chunks = closure::root_chunks(&root)?;
            Ok::<_, Failure>((root, chunks))
        },
    );
    let ((mut boot, boot_files), (root, root_chunks)) = (boot?, root?);
    let closure = closure::render(assembly, root_chunks, boot_files)?;
    boot.insert(boot::closure_path()?, closure.as_slice().into());
    let spec = disk::DiskSpec {
        id: assembly.disk_id(),
        boot_type: system.board.boot_type,
        boot_bytes: system.boot_bytes,
        key: assembly.key,
        epoch: assembly.epoch(),
    };
    Ok(Parts { root, boot, closure, spec })
}

fn stage1(assembly: &Assembly<'_>, modules: Vec<String>) -> Stage1 {
    let system = assembly.system;
    Stage1 {
        version: stage1::VERSION,
        image: format!("{} ({})", system.image, assembly.key.short()),
        image_id: assembly.key.to_string(),
        disk: assembly.disk_id(),
        modules,
        epoch: u64::from(assembly.epoch()),
        persist: system.persist.iter().map(ToString::to_string).collect(),
        hostname_prefix: system.hostname_prefix.clone(),
    }
}
