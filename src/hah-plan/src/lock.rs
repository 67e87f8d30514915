//! [`Lock`]: `hah.lock`, which pins every input of every image of a project.
//!
//! One file per project, TOML, committed. It is what a build needs and no more: where each package is, what its bytes are,
//! and why it is there. It is sorted and has one stanza for a thing and one line for a fact, so that a change is a small
//! diff; two runs write the same bytes.
//!
//! ```toml
//! version = 1
//!
//! [[archive]]                        # an index that was verified
//! suite = "trixie"
//! archive = "debian"
//! date = 2026-09-12T07:55:41Z        # the Release file's
//! inrelease = "…"                    # sha256
//! images = ["lab"]
//!
//! [[image]]
//! name = "lab"
//! architecture = "arm64"
//! request = "…"                      # digest of the request that this answers
//! epoch = 2026-09-12T07:55:41Z       # the newest date of the image's archives
//! askers = ["essential", "recipe base"]
//!
//! [[package]]
//! name = "systemd"
//! version = "257.13-1~deb13u1"
//! architecture = "arm64"
//! suite = "trixie"
//! archive = "debian"
//! path = "pool/main/s/systemd/systemd_257.13-1~deb13u1_arm64.deb"
//! size = 2921364                     # bytes
//! sha256 = "…"
//! images = ["lab"]
//! why = ["recipe base"]              # who asks for it by name; none: others need it
//! suite-why = ["…"]                  # why it is from this suite, when that is no matter of course: SuiteReason
//! needs = ["Depends: default-dbus-system-bus | dbus-system-bus -> dbus"]
//!
//! [[artifact]]                       # see crate::artifact
//! name = "nomad"
//! version = "2.0.4"
//! url = "https://releases.hashicorp.com/nomad/2.0.4/nomad_2.0.4_linux_arm64.zip"
//! size = 51234567                    # bytes
//! sha256 = "…"                       # from the checksum file, or the recipe; never from the download
//! verify = "openpgp"                 # or "sha256sums", "sha256"
//! signature = "hashicorp C874011F0AB405110D02105534365D9472D7468F"     # or "unsigned"
//! images = ["pi4-server"]
//! why = ["recipe nomad"]
//! ```
//!
//! `needs` holds the edges of the dependency graph at their foot, as Cargo.lock does: a package that comes or goes changes
//! its own stanza and those that need it, and not libc6's. The part behind `->` names what satisfies alternatives or a
//! virtual package. [`Lock::why`] and [`Lock::tree`] read the graph in either direction.
//!
//! Versions: `lock` asks the resolver to keep what [`Lock::keep`] names, and `update` leaves the named packages out of that.
//! A locked version that is gone from the indexes cannot be kept by a new resolution, because its relations are gone with
//! it; as long as the request does not change nothing is resolved, and the snapshot archive still has the file.

mod v1;
mod write;
mod graph;
mod diff;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hah_format::digest::Sha256;

use crate::artifact::{Artifact, Method, Verify};
use crate::debian::{Architecture, PackageName, Version};
use crate::resolve::{DependencyField, Resolution, SuiteReason};
use crate::system::Archive;

pub use diff::{ArtifactChange, Change, ChangeKind, diff, diff_artifacts};
pub use graph::{ArtifactReason, Chain, Tree, TreeLine};

/// The version that this program writes.
pub const VERSION: u32 = 1;
/// Longest lock in bytes that is read. A package takes about 700.
pub const MAX_LOCK: usize = 64 << 20;

/// A lock: all stanzas, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    archives: Vec<LockedArchive>,
    images: Vec<LockedImage>,
    packages: Vec<LockedPackage>,
    artifacts: Vec<LockedArtifact>,
}

/// An index of packages that was verified.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedArchive {
    /// The suite.
    pub suite: String,
    /// The archive that has it.
    pub archive: Archive,
    /// The `Release` file's date, in seconds since 1970 UTC.
    pub date: i64,
    /// Digest of the `InRelease` file.
    pub inrelease: Sha256,
    /// Fingerprint of the certificate that signed it, for an archive of one's own; Debian's keys are known.
    pub key: Option<String>,
    /// The images that were resolved from it. After a `lock` of one image alone, two of the same suite can be here.
    pub images: BTreeSet<String>,
}

/// An image that was resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedImage {
    /// Its name.
    pub name: String,
    /// Architecture of its packages.
    pub architecture: Architecture,
    /// The request that the lock answers.
    pub request: Sha256,
    /// The newest date of its archives, in seconds since 1970 UTC: the time of everything in the image.
    pub epoch: u32,
    /// Who asks for packages by name: `recipe base`, `board virt`, `essential`.
    pub askers: BTreeSet<String>,
}

/// A package file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// Package name.
    pub name: PackageName,
    /// Version.
    pub version: Version,
    /// Architecture.
    pub architecture: Architecture,
    /// The suite that had it.
    pub suite: String,
    /// The archive of that suite.
    pub archive: Archive,
    /// Path below the archive: `pool/…`.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// Digest.
    pub sha256: Sha256,
    /// The images that have it.
    pub images: BTreeSet<String>,
    /// Who asks for it by name.
    pub why: BTreeSet<String>,
    /// Why it is from this suite, when it is neither pinned to it nor there of its own accord.
    pub suite_why: BTreeSet<SuiteReason>,
    /// What it depends on.
    pub needs: BTreeSet<LockedNeed>,
}

impl LockedPackage {
    /// What makes two stanzas the same package; stanzas stand in this order.
    fn key(&self) -> (&PackageName, Architecture, &Version, &str, &Sha256) {
        (&self.name, self.architecture, &self.version, &self.suite, &self.sha256)
    }
}

/// A dependency, and what satisfies it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedNeed {
    /// Which field says so.
    pub field: DependencyField,
    /// What it says.
    pub relation: String,
    /// The package that satisfies it.
    pub package: PackageName,
}

impl fmt::Display for LockedNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.relation)?;
        if plain_name(&self.relation) == Some(self.package.as_str()) {
            Ok(())
        } else {
            write!(f, " -> {}", self.package)
        }
    }
}

/// The name in a relation without alternatives.
fn plain_name(relation: &str) -> Option<&str> {
    let end = relation.find([' ', ':', '(', '[', '<']).unwrap_or(relation.len());
    relation.get(..end).filter(|_| !relation.contains('|'))
}

/// A program from a release site, or an own build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedArtifact {
    /// Its name in the recipe.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it is released; none for an own build that is handed in.
    pub url: Option<String>,
    /// Length in bytes.
    pub size: u64,
    /// Digest.
    pub sha256: Sha256,
    /// Who vouched for the digest when it was locked.
    pub trust: Trust,
    /// The images that have it.
    pub images: BTreeSet<String>,
    /// Who asks for it: `recipe nomad`.
    pub why: BTreeSet<String>,
}

/// Who vouches for a locked artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A signed checksum file.
    Signed {
        /// The key as the recipe names it: `hashicorp`.
        key: String,
        /// Fingerprint of its certificate, upper-case hex digits.
        fingerprint: String,
    },
    /// Nobody has signed anything.
    Unsigned(Method),
}

impl Trust {
    /// How it was verified.
    pub fn method(&self) -> Method {
        match self {
            Self::Signed { .. } => Method::OpenPgp,
            Self::Unsigned(method) => *method,
        }
    }
}

/// As the lock spells it: `hashicorp C874…`, or `unsigned`.
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed { key, fingerprint } => write!(f, "{key} {fingerprint}"),
            Self::Unsigned(_) => f.write_str("unsigned"),
        }
    }
}

impl LockedArtifact {
    /// Whether this is what `artifact` asks for: same release, same way of verifying it.
    pub fn answers(&self, artifact: &Artifact) -> bool {
        let trusted = match (&artifact.verify, &self.trust) {
            (Verify::OpenPgp { key, .. }, Trust::Signed { key: locked, .. }) => key.name() == locked,
            (Verify::Sha256Sums { .. }, Trust::Unsigned(Method::Sha256Sums)) => true,
            (Verify::Sha256(digest), Trust::Unsigned(Method::Sha256)) => *digest == self.sha256,
            _ => false,
        };
        let same = (&self.name, &self.version, &self.url) == (&artifact.name, &artifact.version, &artifact.url);
        trusted && same && self.why.contains(&asker(artifact))
    }
}

/// Who asks for an artifact, as `why` has it.
pub fn asker(artifact: &Artifact) -> String {
    match artifact.recipe.contains(' ') {
        // `image lab` says it all.
        true => artifact.recipe.clone(),
        false => format!("recipe {}", artifact.recipe),
    }
}

/// An index that a resolution was made from: what becomes of it in the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedRelease {
    /// The suite.
    pub suite: String,
    /// Digest of the `InRelease` file.
    pub inrelease: Sha256,
    /// Fingerprint of the certificate that signed it.
    pub key: String,
    /// The `Release` file's date, in seconds since 1970 UTC.
    pub date: i64,
}

/// Which locked versions may move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// None: `lock`.
    Nothing,
    /// These: `update PKG…`.
    Packages(BTreeSet<PackageName>),
    /// All: `update`.
    Everything,
}

/// A lock that cannot be read or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Written by a later version of this program.
    #[error("hah.lock has version {found}; this hah-image reads version {VERSION}")]
    Newer {
        /// Its version.
        found: u64,
    },
    /// The text is not a lock.
    #[error("hah.lock:{line}: {problem}")]
    Text {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A suite of the resolution has no verified release.
    #[error("the image `{image}` was resolved from {suite}, whose release was not handed in")]
    NoRelease {
        /// Which image.
        image: String,
        /// Which suite.
        suite: String,
    },
    /// A release has a date that no image can have.
    #[error("the release of {suite} is dated {date} seconds after 1970, which is not between 1970 and 2106")]
    Date {
        /// Which suite.
        suite: String,
        /// Its date.
        date: i64,
    },
}

impl LockError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "use the hah-image that wrote it, or newer",
            Self::Text { problem, .. } if problem.contains("merge conflict") => {
                "take either side, then run `hah-image lock`"
            }
            Self::Text { .. } => "restore hah.lock from version control, or delete it and run `hah-image lock`",
            Self::NoRelease { .. } => "fetch the release of that suite, too",
            Self::Date { .. } => "the archive's clock was wrong; use another mirror or another snapshot",
        }
    }
}

impl Lock {
    /// Reads a lock.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        v1::parse(text)
    }

    /// The archives, by suite.
    pub fn archives(&self) -> &[LockedArchive] {
        &self.archives
    }

    /// The images, by name.
    pub fn images(&self) -> &[LockedImage] {
        &self.images
    }

    /// The packages of all images, by name.
    pub fn packages(&self) -> &[LockedPackage] {
        &self.packages
    }

    /// The artifacts of all images, by name.
    pub fn artifacts(&self) -> &[LockedArtifact] {
        &self.artifacts
    }

    /// One image.
    pub fn image(&self, name: &str) -> Option<&LockedImage> {
        self.images.iter().find(|image| image.name == name)
    }

    /// The packages of one image, by name.
    pub fn packages_of<'a>(&'a self, image: &'a str) -> impl Iterator<Item = &'a LockedPackage> {
        self.packages.iter().filter(move |package| package.images.contains(image))
    }

    /// The archives of one image, by suite.
    pub fn archives_of<'a>(&'a self, image: &'a str) -> impl Iterator<Item = &'a LockedArchive> {
        self.archives.iter().filter(move |archive| archive.images.contains(image))
    }

    /// The artifacts of one image, by name.
    pub fn artifacts_of<'a>(&'a self, image: &'a str) -> impl Iterator<Item = &'a LockedArtifact> {
        self.artifacts.iter().filter(move |artifact| artifact.images.contains(image))
    }

    /// The locked artifact of `image` that answers `artifact`.
    pub fn artifact_for(&self, image: &str, artifact: &Artifact) -> Option<&LockedArtifact> {
        self.artifacts.iter().find(|locked| locked.images.contains(image) && locked.answers(artifact))
    }

    /// Whether the artifacts of `image` are locked: all of these and no others.
    pub fn has_artifacts(&self, image: &str, artifacts: &[Artifact]) -> bool {
        self.artifacts_of(image).count() == artifacts.len()
            && artifacts.iter().all(|artifact| self.artifact_for(image, artifact).is_some())
    }

    /// Whether the lock answers the request with this digest for `image`.
    pub fn is_current_for(&self, image: &str, request: &Sha256) -> bool {
        self.image(image).is_some_and(|locked| locked.request == *request)
    }

    /// The versions that a new resolution of `image` is to keep: its own, and for packages that are new to it those of the
    /// other images of the architecture, so that nodes of one fleet agree.
    pub fn keep(&self, image: &str, architecture: Architecture, update: &Update) -> BTreeMap<PackageName, Version> {
        let moves = |name: &PackageName| match update {
            Update::Nothing => false,
            Update::Packages(names) => names.contains(name),
            Update::Everything => true,
        };
        let fits = |package: &&LockedPackage| {
            let serves = |image: &String| self.image(image).is_some_and(|image| image.architecture == architecture);
            package.images.iter().any(serves) && !moves(&package.name)
        };
        let mut keep = BTreeMap::new();
        for package in self.packages.iter().filter(fits) {
            let version = keep.entry(package.name.clone()).or_insert_with(|| package.version.clone());
            if package.version > *version {
                version.clone_from(&package.version);
            }
        }
        for package in self.packages_of(image).filter(fits) {
            keep.insert(package.name.clone(), package.version.clone());
        }
        keep
    }

    /// The lock with a new answer for one image. `digest` is that of the resolution's request, and `releases` are the suites
    /// that it was resolved from. Stanzas of other images stay; what no image uses any more goes.
    pub fn with_image(
        &self,
        resolution: &Resolution,
        digest: Sha256,
        releases: &[VerifiedRelease],
    ) -> Result<Self, LockError> {
        let request = &resolution.request;
        let mut lock = self.forget(&request.image, Artifacts::Keep);
        let only = BTreeSet::from([request.image.clone()]);
        let mut epoch = 0;
        for suite in &request.suites {
            let release = releases
                .iter()
                .find(|release| release.suite == suite.name)
                .ok_or_else(|| LockError::NoRelease { image: request.image.clone(), suite: suite.name.clone() })?;
            let date = u32::try_from(release.date)
                .map_err(|_| LockError::Date { suite: suite.name.clone(), date: release.date })?;
            epoch = epoch.max(date);
            lock.archives.push(LockedArchive {
                suite: suite.name.clone(),
                archive: suite.archive.clone(),
                date: release.date,
                inrelease: release.inrelease,
                key: matches!(suite.archive, Archive::Own(_)).then(|| release.key.clone()),
                images: only.clone(),
            });
        }
        let askers = resolution.packages.iter().flat_map(|package| &package.asked).map(ToString::to_string).collect();
        lock.images.push(LockedImage {
            name: request.image.clone(),
            architecture: request.architecture,
            request: digest,
            epoch,
            askers,
        });
        for package in &resolution.packages {
            let need = |need: &crate::resolve::Need| LockedNeed {
                field: need.field,
                relation: need.alternatives.to_string(),
                package: need.package.clone(),
            };
            lock.packages.push(LockedPackage {
                name: package.candidate.name.clone(),
                version: package.candidate.version.clone(),
                architecture: package.candidate.architecture,
                suite: package.suite.clone(),
                archive: package.archive.clone(),
                path: package.candidate.filename.clone(),
                size: package.candidate.size,
                sha256: package.candidate.sha256,
                images: only.clone(),
                why: package.asked.iter().map(ToString::to_string).collect(),
                suite_why: package.suite_reason.iter().cloned().collect(),
                needs: package.needs.iter().map(need).collect(),
            });
        }
        lock.settle();
        Ok(lock)
    }

    /// The lock with other artifacts for one image.
    pub fn with_artifacts(&self, image: &str, artifacts: Vec<LockedArtifact>) -> Self {
        let mut lock = self.clone();
        for artifact in &mut lock.artifacts {
            artifact.images.remove(image);
        }
        let owned = |artifact| LockedArtifact { images: BTreeSet::from([image.to_owned()]), ..artifact };
        lock.artifacts.extend(artifacts.into_iter().map(owned));
        lock.settle();
        lock
    }

    /// The lock without one image.
    pub fn without_image(&self, image: &str) -> Self {
        let mut lock = self.forget(image, Artifacts::Drop);
        lock.settle();
        lock
    }

    /// Takes `image` out of every stanza, and out of the shared ones what only it said.
    fn forget(&self, image: &str, artifacts: Artifacts) -> Self {
        let mut lock = self.clone();
        lock.images.retain(|locked| locked.name != image);
        for archive in &mut lock.archives {
            archive.images.remove(image);
        }
        if artifacts == Artifacts::Drop {
            for artifact in &mut lock.artifacts {
                artifact.images.remove(image);
            }
        }
        let mut present: BTreeMap<String, BTreeSet<PackageName>> = BTreeMap::new();
        for package in &self.packages {
            for name in &package.images {
                present.entry(name.clone()).or_default().insert(package.name.clone());
            }
        }
        for package in lock.packages.iter_mut().filter(|package| package.images.contains(image)) {
            package.images.remove(image);
            let others = || package.images.iter();
            let asks = |name: &String, why: &String| self.image(name).is_some_and(|locked| locked.askers.contains(why));
            package.why.retain(|why| others().any(|name| asks(name, why)));
            let others_have =
                |name: &PackageName| others().any(|image| present.get(image).is_some_and(|all| all.contains(name)));
            package.suite_why.retain(|reason| match reason {
                SuiteReason::Only => true,
                SuiteReason::For { dependant, .. } => others_have(dependant),
            });
            package.needs.retain(|need| others_have(&need.package));
        }
        lock
    }

    /// Sorts, joins equal stanzas and drops unused ones.
    fn settle(&mut self) {
        self.images.sort_by(|left, right| left.name.cmp(&right.name));
        self.archives.retain(|archive| !archive.images.is_empty());
        self.archives.sort();
        self.archives.dedup_by(|next, kept| {
            let same = (&next.suite, &next.archive, next.date, next.inrelease, &next.key)
                == (&kept.suite, &kept.archive, kept.date, kept.inrelease, &kept.key);
            if same {
                kept.images.append(&mut next.images);
            }
            same
        });
        self.packages.retain(|package| !package.images.is_empty());
        self.packages.sort_by(|left, right| left.key().cmp(&right.key()));
        self.packages.dedup_by(|next, kept| {
            let same = next.key() == kept.key();
            if same {
                // A mirror's path may change; the newer answer was appended last and the sort is stable.
                std::mem::swap(&mut kept.path, &mut next.path);
                kept.images.append(&mut next.images);
                kept.why.append(&mut next.why);
                kept.suite_why.append(&mut next.suite_why);
                kept.needs.append(&mut next.needs);
            }
            same
        });
        self.artifacts.retain(|artifact| !artifact.images.is_empty());
        self.artifacts.sort_by(|left, right| artifact_key(left).cmp(&artifact_key(right)));
        self.artifacts.dedup_by(|next, kept| {
            let same = artifact_key(next) == artifact_key(kept);
            if same {
                std::mem::swap(&mut kept.trust, &mut next.trust);
                kept.images.append(&mut next.images);
            }
            same
        });
    }
}

/// What makes two stanzas the same artifact; stanzas stand in this order.
fn artifact_key(artifact: &LockedArtifact) -> impl Ord + use<'_> {
    let LockedArtifact { name, version, url, sha256, why, trust, .. } = artifact;
    (name, version, url, sha256, why, trust.method())
}

/// What becomes of the artifacts of an image that is taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Artifacts {
    Keep,
    Drop,
}

#[cfg(test)]
mod tests;
