//! [`Plan`]: what is to be made for some images, from what, under which keys. It is data, and everybody reads it.
//!
//! ```text
//! fetch ─→ pack ─────┬──────────────┐
//!            └→ kernel ─────────────┼─→ image ┄→ derived files, known when the image has been merged
//! fetch ─→ artifact ────────────────┘
//! ```
//!
//! [`plan`] computes it from [`System`]s and the [`Lock`] alone. `build` realises it, `--dry-run` prints it, `--check`
//! realises it twice, `gc` keeps what it needs. What several images need is one step.
//!
//! A step's [`Key`] is the SHA-256 of a hand-written, versioned, canonical encoding of everything that decides its bytes;
//! two steps with one key have the same bytes. All keys are made in [`keys`]. Which input reaches which key:
//!
//! | input | pack | artifact | kernel | derived | image |
//! |---|---|---|---|---|---|
//! | the .deb's or artifact's sha256 | x | x | of the board's packages | of the files that it reads | x |
//! | pack format version, path filter, block size, level | x | x | x | x | x |
//! | [`FORMAT_VERSION`] | | | x | x | x |
//! | the recipes' merged meaning ([`System`]) | | | the kernel's path | | x |
//! | the review table | | | | | x |
//! | epoch (the lock's archive date) | | | | | x |
//! | the agent's sha256, the board, the cluster's name | | | | | x |
//!
//! Nothing else is an input: not the project's path, the output's name, the mirror, the time, or the number of threads.

mod encoder;
pub mod key;
pub mod keys;
mod system;
pub mod packing;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hah_format::digest::Sha256;
use hah_format::pack::PackOptions;

use crate::artifact::{Artifact, Format};
use crate::board::{KernelCompression, VersionedPath};
use crate::debian::{Architecture, PackageName, Version};
use crate::lock::{Lock, LockedArtifact, LockedPackage};
use crate::system::{Archive, OwnArchive, System};

pub use key::{FORMAT_VERSION, Key, Lineage};
pub use order::StepState;

/// Steps in build order: a step stands behind its inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    steps: Vec<Derivation>,
}

/// One step: what it makes, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivation {
    /// The identity of what it makes.
    pub key: Key,
    /// What it makes.
    pub kind: StepKind,
    /// Keys of the steps whose outputs it takes.
    pub inputs: Vec<Key>,
}

/// What a step makes.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// A verified download.
    Fetch(FetchStep),
    /// The pack of a Debian package.
    Pack(PackStep),
    /// The pack of an artifact.
    Artifact(ArtifactStep),
    /// A gzipped kernel.
    Kernel(KernelStep),
    /// Files that derive from others of a merged root.
    Derived(DerivedStep),
    /// An image file and what stands beside it.
    Image(ImageStep),
}

/// A file that is known by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchStep {
    /// What people call it: `bash 5.2.37-2 (arm64)`.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// Where it may be found.
    pub source: FetchSource,
}

/// Where a file may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchSource {
    /// In a Debian archive.
    Archive {
        /// Which.
        archive: Archive,
        /// Path below its base.
        path: String,
        /// A time at which it had the file, in seconds since 1970.
        epoch: u32,
        /// Where that archive is, when it is none of Debian's.
        own: Option<OwnArchive>,
    },
    /// On a release site, or handed in.
    Release {
        /// The artifact's name.
        artifact: String,
        /// Where it is released; none for an own build.
        url: Option<String>,
        /// The name that mirrors are configured under.
        mirror: Option<String>,
    },
}

/// A Debian package to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackStep {
    /// Package name.
    pub name: PackageName,
    /// Version.
    pub version: Version,
    /// Architecture.
    pub architecture: Architecture,
    /// Digest of the .deb.
    pub sha256: Sha256,
    /// Size of the .deb in bytes.
    pub size: u64,
    /// How it is packed.
    pub options: PackOptions,
}

/// An artifact to be packed: every member of it, since images differ in what they take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactStep {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of its file.
    pub sha256: Sha256,
    /// Size of its file in bytes.
    pub size: u64,
    /// What kind of file it is.
    pub format: Format,
}

/// A kernel to be gzipped, of those packs that are the step's inputs.
///
/// Which pack has it is known when they are packed. One from a package that the board does not lead to is gzipped by the
/// image's own step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelStep {
    /// Where it is in its package.
    pub image: VersionedPath,
}

/// Files that derive from others of a merged root. It has no steps for inputs: its key names the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedStep {
    /// Which files.
    pub files: DerivedFiles,
}

/// Which files derive from others, and take long enough to be kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DerivedFiles {
    /// What depmod writes below this directory of `/usr/lib/modules`.
    ModuleIndex(String),
    /// udev's compiled hardware database.
    HardwareDatabase,
}

/// An image to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageStep {
    /// Its name.
    pub name: String,
    /// The time of everything in it, in seconds since 1970.
    pub epoch: u32,
    /// Its packages' packs, by package name. They are among the step's inputs, as the following are.
    pub packs: Vec<Key>,
    /// Its artifacts' packs, by artifact name.
    pub artifacts: Vec<Key>,
    /// Its gzipped kernel, when the board wants one.
    pub kernel: Option<Key>,
}

/// An image that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The recipes' meaning.
    pub system: &'a System,
    /// What else decides its bytes. Whoever asks only what an image needs has none; the image's own key is then that of
    /// no image.
    pub surroundings: Option<Surroundings<'a>>,
}

/// What decides an image's bytes besides its recipes and the lock.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The name of the cluster that it is for; empty without one. See [`Lineage`].
    pub cluster: &'a str,
    /// Digest of the review table: [`keys::reviews`].
    pub reviews: Sha256,
    /// Digest of the agent's binary.
    pub agent: Sha256,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The lock does not know the image.
    #[error("image {image} is not locked")]
    NotLocked {
        /// Which.
        image: String,
    },
    /// The lock does not know an artifact of the image.
    #[error("artifact {artifact} of image {image} is not locked")]
    ArtifactNotLocked {
        /// Which image.
        image: String,
        /// Which artifact, with its version.
        artifact: String,
    },
    /// A step wants what no step makes.
    #[error("{step} wants {input}, and no step makes it")]
    MissingInput {
        /// The step.
        step: String,
        /// The key that is missing.
        input: Key,
    },
    /// Steps want each other.
    #[error("steps want each other: {}", steps.join(", "))]
    Cycle {
        /// The steps of the circle, and those that wait for it.
        steps: Vec<String>,
    },
}

impl PlanError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NotLocked { image } | Self::ArtifactNotLocked { image, .. } => {
                format!("run `hah-image lock {image}`")
            }
            Self::MissingInput { .. } | Self::Cycle { .. } => "please report this as a bug of hah-image".to_owned(),
        }
    }
}

/// The plan of `images`, as `lock` pins their inputs.
///
/// # Errors
/// When the lock does not answer one of the images.
pub fn plan(images: &[Wanted<'_>], lock: &Lock) -> Result<Plan, PlanError> {
    let mut list = StepList::default();
    for wanted in images {
        list.image(wanted, lock)?;
    }
    Plan::new(list.steps)
}

/// Steps in the making.
#[derive(Default)]
struct StepList {
    steps: Vec<Derivation>,
    known: BTreeSet<Key>,
}

impl StepList {
    /// Adds a step, unless another image has it already.
    fn add(&mut self, step: Derivation) -> Key {
        let key = step.key;
        if self.known.insert(key) {
            self.steps.push(step);
        }
        key
    }

    fn image(&mut self, wanted: &Wanted<'_>, lock: &Lock) -> Result<(), PlanError> {
        let system = wanted.system;
        let name = system.image.as_str();
        let locked = lock.image(name).ok_or_else(|| PlanError::NotLocked { image: name.to_owned() })?;
        let epoch = locked.epoch;
        let options = packing::of_packages(system);
        let mut locked: Vec<&LockedPackage> = lock.packages_of(name).collect();
        locked.sort_by(|a, b| a.name.cmp(&b.name));
        let packages: Vec<(&LockedPackage, Key)> =
            locked.into_iter().map(|package| (package, self.package(package, system, &options, epoch))).collect();
        let mut artifacts: Vec<(&LockedArtifact, Key)> = Vec::new();
        for artifact in &system.artifacts {
            let locked = lock.artifact_for(name, artifact).ok_or_else(|| PlanError::ArtifactNotLocked {
                image: name.to_owned(),
                artifact: artifact.to_string(),
            })?;
            artifacts.push((locked, self.artifact(artifact, locked)));
        }
        let kernel = match system.board.kernel.compression {
            KernelCompression::Gzip => Some(self.kernel(system, &packages)),
            KernelCompression::None => None,
        };
        let parts = keys::ImageParts { packages: &packages, artifacts: &artifacts, kernel, epoch };
        let key = keys::image(wanted, &parts);
        let packs: Vec<Key> = packages.iter().map(|(_, pack)| *pack).collect();
        let artifacts: Vec<Key> = artifacts.iter().map(|(_, pack)| *pack).collect();
        let inputs = [packs.as_slice(), artifacts.as_slice(), kernel.as_slice()].concat();
        let kind = StepKind::Image(ImageStep { name: name.to_owned(), epoch, packs, artifacts, kernel });
        self.add(Derivation { key, kind, inputs });
        Ok(())
    }

    /// The steps of a package; the key of its pack.
    fn package(&mut self, package: &LockedPackage, system: &System, options: &PackOptions, epoch: u32) -> Key {
        let LockedPackage { name, version, architecture, archive, path, size, sha256, .. } = package;
        let own = match archive {
            Archive::Own(archive) => system.archives.iter().find(|own| own.name == *archive).cloned(),
            Archive::Debian | Archive::DebianSecurity => None,
        };
        let fetch = self.add(Derivation {
            key: keys::fetch(sha256),
            kind: StepKind::Fetch(FetchStep {
                name: format!("{name} {version} ({architecture})"),
                size: *size,
                source: FetchSource::Archive { archive: archive.clone(), path: path.clone(), epoch, own },
            }),
            inputs: Vec::new(),
        });
        self.add(Derivation {
            key: keys::package_pack(sha256, options),
            kind: StepKind::Pack(PackStep {
                name: name.clone(),
                version: version.clone(),
                architecture: *architecture,
                sha256: *sha256,
                size: *size,
                options: options.clone(),
            }),
            inputs: vec![fetch],
        })
    }

    /// The steps of an artifact; the key of its pack.
    fn artifact(&mut self, artifact: &Artifact, locked: &LockedArtifact) -> Key {
        let (sha256, size) = (locked.sha256, locked.size);
        let fetch = self.add(Derivation {
            key: keys::fetch(&sha256),
            kind: StepKind::Fetch(FetchStep {
                name: artifact.to_string(),
                size,
                source: FetchSource::Release {
                    artifact: artifact.name.clone(),
                    url: artifact.url.clone(),
                    mirror: artifact.mirror.clone(),
                },
            }),
            inputs: Vec::new(),
        });
        let (name, version) = (artifact.name.clone(), artifact.version.clone());
        self.add(Derivation {
            key: keys::artifact_pack(&sha256, artifact.format),
            kind: StepKind::Artifact(ArtifactStep { name, version, sha256, size, format: artifact.format }),
            inputs: vec![fetch],
        })
    }

    /// The step of the kernel.
    fn kernel(&mut self, system: &System, packages: &[(&LockedPackage, Key)]) -> Key {
        let image = system.board.kernel.image.clone();
        let inputs = kernel_packs(&system.board.packages, packages);
        let key = keys::kernel(&image, &inputs);
        self.add(Derivation { key, kind: StepKind::Kernel(KernelStep { image }), inputs })
    }
}

/// The packs that may have the kernel: of what the board asks for by name, and of what that needs in exactly one version,
/// as `linux-image-arm64` needs `linux-image-6.12.94+deb13-arm64 (= 6.12.94-1)`.
fn kernel_packs(board: &[PackageName], packages: &[(&LockedPackage, Key)]) -> Vec<Key> {
    let by_name: BTreeMap<&PackageName, &(&LockedPackage, Key)> =
        packages.iter().map(|package| (&package.0.name, package)).collect();
    let mut found: BTreeSet<&PackageName> = BTreeSet::new();
    let mut next: Vec<&PackageName> = board.iter().collect();
    while let Some(name) = next.pop() {
        let Some((package, _)) = by_name.get(name) else { continue };
        if found.insert(&package.name) {
            let exact = package.needs.iter().filter(|need| need.relation.contains("(= "));
            next.extend(exact.map(|need| &need.package));
        }
    }
    found.iter().filter_map(|name| by_name.get(name)).map(|(_, pack)| *pack).collect()
}

/// The keys of every pack that there may be of a package, for when an image's recipes cannot be read.
pub fn every_package_pack(deb: &Sha256) -> impl Iterator<Item = Key> {
    packing::every_way().map(|options| keys::package_pack(deb, &options))
}

/// The keys of every pack that there may be of an artifact: the lock does not say its format.
pub fn every_artifact_pack(sha256: &Sha256) -> impl Iterator<Item = Key> {
    Format::ALL.into_iter().map(|format| keys::artifact_pack(sha256, format))
}

impl Derivation {
    /// The image's particulars, if it makes one.
    pub fn image(&self) -> Option<&ImageStep> {
        match &self.kind {
            StepKind::Image(image) => Some(image),
            _ => None,
        }
    }
}

impl StepKind {
    /// The word that events and plans use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "fetch",
            Self::Pack(_) => "pack",
            Self::Artifact(_) => "artifact",
            Self::Kernel(_) => "kernel",
            Self::Derived(_) => "derived",
            Self::Image(_) => "image",
        }
    }
}

/// `pack bash 5.2.37-2 (arm64)`.
impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        match &self.kind {
            StepKind::Fetch(FetchStep { name, .. }) => write!(f, " {name}"),
            StepKind::Pack(PackStep { name, version, architecture, .. }) => {
                write!(f, " {name} {version} ({architecture})")
            }
            StepKind::Artifact(ArtifactStep { name, version, .. }) => write!(f, " {name} {version}"),
            StepKind::Kernel(KernelStep { image }) => write!(f, " {image}"),
            StepKind::Derived(DerivedStep { files }) => write!(f, " {files}"),
            StepKind::Image(ImageStep { name, .. }) => write!(f, " {name}"),
        }
    }
}

impl fmt::Display for DerivedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModuleIndex(kernel) => write!(f, "module index of {kernel}"),
            Self::HardwareDatabase => f.write_str("hardware database"),
        }
    }
}

/// A step a line: its key, what it makes, and the keys of its inputs, all keys shortened.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{} {step}", step.key.short())?;
            for (index, input) in step.inputs.iter().enumerate() {
                write!(f, "{} {}", if index == 0 { " <-" } else { "" }, input.short())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
