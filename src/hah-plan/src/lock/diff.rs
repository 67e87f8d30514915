//! What changed from one lock to the next, for `lock` and `update` to print.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hah_format::digest::Sha256;

use crate::debian::{PackageName, Version};

use super::{Lock, LockedArtifact, LockedPackage, Trust};

/// How a package changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is new.
    Added(Version),
    /// It is gone.
    Removed(Version),
    /// To a later version.
    Upgraded(Version, Version),
    /// To an earlier version.
    Downgraded(Version, Version),
    /// Same version, other bytes or other suite.
    Replaced(Version),
}

/// A package that changed, in some images alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which package.
    pub package: PackageName,
    /// How.
    pub kind: ChangeKind,
    /// The suite that it comes from now and why, when that is no matter of course.
    pub from: Option<String>,
    /// In which images.
    pub images: BTreeSet<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.package;
        match &self.kind {
            ChangeKind::Added(version) => write!(f, "+ {name} {version}")?,
            ChangeKind::Removed(version) => write!(f, "- {name} {version}")?,
            ChangeKind::Upgraded(from, to) => write!(f, "^ {name} {from} -> {to}")?,
            ChangeKind::Downgraded(from, to) => write!(f, "v {name} {from} -> {to}")?,
            ChangeKind::Replaced(version) => write!(f, "~ {name} {version} (other bytes or suite)")?,
        }
        if let Some(from) = &self.from {
            write!(f, " from {from}")?;
        }
        let images: Vec<&str> = self.images.iter().map(String::as_str).collect();
        write!(f, " ({})", images.join(", "))
    }
}

/// The packages that changed from `old` to `new`, by name.
pub fn diff(old: &Lock, new: &Lock) -> Vec<Change> {
    let (before, after) = (by_image(old), by_image(new));
    let mut changes: BTreeMap<(PackageName, ChangeKind, Option<String>), BTreeSet<String>> = BTreeMap::new();
    for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let kind = match (before.get(key), after.get(key)) {
            (None, Some(new)) => ChangeKind::Added(new.version.clone()),
            (Some(old), None) => ChangeKind::Removed(old.version.clone()),
            (Some(old), Some(new)) if new.version > old.version => {
                ChangeKind::Upgraded(old.version.clone(), new.version.clone())
            }
            (Some(old), Some(new)) if new.version < old.version => {
                ChangeKind::Downgraded(old.version.clone(), new.version.clone())
            }
            (Some(old), Some(new)) if (old.sha256, &old.suite) != (new.sha256, &new.suite) => {
                ChangeKind::Replaced(new.version.clone())
            }
            _ => continue,
        };
        let from = after.get(key).and_then(|package| origin(package));
        changes.entry((key.0.clone(), kind, from)).or_default().insert(key.1.to_owned());
    }
    changes.into_iter().map(|((package, kind, from), images)| Change { package, kind, from, images }).collect()
}

/// `trixie-backports: no other suite has it`, for a package whose suite is no matter of course.
fn origin(package: &LockedPackage) -> Option<String> {
    let reasons: Vec<String> = package.suite_why.iter().map(ToString::to_string).collect();
    (!reasons.is_empty()).then(|| format!("{}: {}", package.suite, reasons.join("; ")))
}

/// An artifact that changed, in some images alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactChange {
    /// Its name.
    pub name: String,
    /// What the old lock had: version and who vouched for it.
    pub old: Option<String>,
    /// What the new lock has.
    pub new: Option<String>,
    /// In which images.
    pub images: BTreeSet<String>,
}

impl fmt::Display for ArtifactChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match (&self.old, &self.new) {
            (None, Some(new)) => write!(f, "+ {name} {new}")?,
            (Some(old), None) => write!(f, "- {name} {old}")?,
            (Some(old), Some(new)) if old == new => write!(f, "~ {name} {new} (other bytes)")?,
            (Some(old), Some(new)) => write!(f, "~ {name} {old} -> {new}")?,
            (None, None) => f.write_str(name)?,
        }
        let images: Vec<&str> = self.images.iter().map(String::as_str).collect();
        write!(f, " ({})", images.join(", "))
    }
}

/// The artifacts that changed from `old` to `new`, by name.
pub fn diff_artifacts(old: &Lock, new: &Lock) -> Vec<ArtifactChange> {
    let table = |lock: &Lock| -> BTreeMap<(String, String), (Sha256, String)> {
        let told = |artifact: &LockedArtifact| match &artifact.trust {
            Trust::Signed { key, .. } => format!("{}, signed by {key}", artifact.version),
            Trust::Unsigned(method) => format!("{}, unsigned ({method})", artifact.version),
        };
        let pairs = lock.artifacts().iter().flat_map(|artifact| {
            let value = (artifact.sha256, told(artifact));
            artifact.images.iter().map(move |image| ((artifact.name.clone(), image.clone()), value.clone()))
        });
        pairs.collect()
    };
    let (before, after) = (table(old), table(new));
    let mut changes: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(key), after.get(key));
        if old == new {
            continue;
        }
        let text = |found: Option<&(Sha256, String)>| found.map(|(_, text)| text.clone());
        changes.entry((key.0.clone(), text(old), text(new))).or_default().insert(key.1.clone());
    }
    changes.into_iter().map(|((name, old, new), images)| ArtifactChange { name, old, new, images }).collect()
}

fn by_image(lock: &Lock) -> BTreeMap<(&PackageName, &str), &LockedPackage> {
    let pairs = lock
        .packages()
        .iter()
        .flat_map(|package| package.images.iter().map(move |image| ((&package.name, image.as_str()), package)));
    pairs.collect()
}
