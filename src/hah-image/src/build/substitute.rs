//! Who may have the output of a step, so that it need not be made: archives and release sites, and another store.

use std::collections::BTreeMap;
use std::sync::Arc;

use hah_plan::plan::{Derivation, FetchSource, FetchStep, Key, StepKind};
use hah_plan::system::OwnArchive;

use super::downloads::{self, mirrored_as};
use super::{Tools, artifacts};
use crate::failure::Failure;
use crate::fetch::{Item, Source};
use crate::files::draft;
use crate::store::{Bucket, Store};

/// Somebody who may have outputs.
pub trait Substituter {
    /// Puts into `store` what it has of `wanted`, verified. Returns what it should have had and could not give, and why;
    /// what it knows nothing of is left to others.
    fn substitute(&self, tools: Tools<'_>, store: &Store, wanted: &[&Derivation]) -> Vec<(Key, Arc<Failure>)>;
}

/// The archives and release sites that downloads come from, and their mirrors.
pub struct Upstream;

impl Substituter for Upstream {
    fn substitute(&self, tools: Tools<'_>, store: &Store, wanted: &[&Derivation]) -> Vec<(Key, Arc<Failure>)> {
        let (mut packages, mut releases, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        let mut archives: BTreeMap<String, &OwnArchive> = BTreeMap::new();
        for step in wanted {
            let StepKind::Fetch(FetchStep { name, size, source }) = &step.kind else { continue };
            let (name, size, sha256) = (name.clone(), Some(*size), step.key.0);
            match source {
                FetchSource::Archive { archive, path, epoch, own } => {
                    if let Some(own) = own {
                        // Two images may know one archive at different places: all of them are asked.
                        archives.insert(format!("{} {}", own.name, own.uris.join(" ")), own);
                    }
                    let (archive, snapshot) = (mirrored_as(archive), Some(u64::from(*epoch)));
                    let source = Source::Debian { archive, path: path.clone(), snapshot };
                    packages.push(Item { name, sha256, size, source });
                }
                FetchSource::Release { artifact, url: None, .. } => {
                    failures.push((step.key, Arc::new(artifacts::handed_in_only(artifact, &name))));
                }
                FetchSource::Release { url: Some(url), mirror, .. } => {
                    let source = Source::Release { mirror: mirror.clone(), url: url.clone() };
                    releases.push(Item { name, sha256, size, source });
                }
            }
        }
        let archives: Vec<OwnArchive> = archives.into_values().cloned().collect();
        let fetched = downloads::fetch_packages(tools, store, &packages, &archives);
        failures.extend(lacking(store, &packages, fetched));
        let fetched = artifacts::fetch_releases(tools, store, &releases);
        failures.extend(lacking(store, &releases, fetched));
        failures
    }
}

/// The items that are not in the store, all for the one reason.
fn lacking(store: &Store, items: &[Item], result: Result<(), Failure>) -> Vec<(Key, Arc<Failure>)> {
    let Err(failure) = result else { return Vec::new() };
    let failure = Arc::new(failure);
    let missing = items.iter().filter(|item| !store.contains(Bucket::Downloads, &item.sha256));
    missing.map(|item| (Key(item.sha256), failure.clone())).collect()
}

/// The downloads of another store on this machine.
pub struct DownloadsOf<'a>(pub &'a Store);

impl Substituter for DownloadsOf<'_> {
    fn substitute(&self, _: Tools<'_>, store: &Store, wanted: &[&Derivation]) -> Vec<(Key, Arc<Failure>)> {
        let mut failures = Vec::new();
        for step in wanted.iter().filter(|step| matches!(step.kind, StepKind::Fetch(_))) {
            let theirs = self.0.path(Bucket::Downloads, &step.key.0);
            let ours = store.path(Bucket::Downloads, &step.key.0);
            if theirs.exists()
                && let Err(error) = draft::link_or_copy(&theirs, &ours)
            {
                failures.push((step.key, Arc::new(error.into())));
            }
        }
        failures
    }
}
