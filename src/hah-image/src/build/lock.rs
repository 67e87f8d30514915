//! Locking: from a system's request to pinned packages, by way of signed indexes.

use std::collections::BTreeMap;
use std::sync::Arc;

use fs_err as fs;
use hah_plan::debian::archive::Automatic;
use hah_plan::lock::{Lock, Update, VerifiedRelease};
use hah_plan::resolve::{self, Request, SuiteIndex};
use hah_plan::system::{Archive, Expiry, OwnArchive, System};

use crate::advice::Exit;
use crate::build::artifacts;
use crate::build::downloads::{self, Progress};
use crate::build::{Tools, fetch_failure};
use crate::clock;
use crate::failure::Failure;
use crate::fetch::{Keyring, ReleaseError, SuiteRequest, Trust, Validity, VerifiedIndex};
use crate::printer::Outcome;
use crate::project::{LOCK, Project};
use crate::store::{Access, Store};

/// Whether `lock` answers what `system` wants of packages and artifacts.
pub fn answers(lock: &Lock, system: &System) -> bool {
    has_packages(lock, system) && artifacts::are_locked(system, lock)
}

/// Whether `lock` answers what `system` wants of packages.
pub fn has_packages(lock: &Lock, system: &System) -> bool {
    lock.is_current_for(&system.image, &Request::from(system).digest())
}

/// That the project's lock is missing, or does not answer the recipes of these images: what mends it is the hint.
pub fn stale(project: &Project, images: &[&str]) -> Failure {
    let is_there = project.root().join(LOCK).exists();
    let noun = if images.len() == 1 { "image" } else { "images" };
    let none = if is_there { "" } else { ": there is no hah.lock yet" };
    Failure::user(
        format!("hah.lock does not answer the recipes of {noun} {}{none}", images.join(", ")),
        Some(format!("run `hah-image lock {}`", images.join(" "))),
    )
}

/// The project's lock as it is, if it answers the recipes of `image`. Nothing is written, and nobody is asked.
pub fn current(project: &Project, image: &str) -> Result<Lock, Failure> {
    let lock = project.lock()?.ok_or_else(|| stale(project, &[image]))?;
    if answers(&lock, &project.system(image, &[])?) { Ok(lock) } else { Err(stale(project, &[image])) }
}

/// The lock with an answer to `system`. Versions that `update` does not name stay, if the archive still has them.
pub fn pin_packages(tools: Tools<'_>, system: &System, old: &Lock, update: &Update) -> Result<Lock, Failure> {
    let store = Store::open(tools.settings.cache_dir()?, Access::Shared)?;
    let fetcher = downloads::fetcher(tools, &store, &system.archives)?;
    let now = clock::unix_now();
    let keyring = keyring(tools, now)?;
    let own = own_keyrings(system, now)?;
    let events = Progress::new(tools.printer);
    let mut indexes: BTreeMap<&str, Vec<VerifiedIndex>> = BTreeMap::new();
    for suite in &system.suites {
        // A key vouches for its own archive and for no other.
        let keyring = match &suite.archive {
            Archive::Own(name) => {
                own.get(name).ok_or_else(|| Failure::build(format!("nobody declares the archive `{name}`"), None))?
            }
            Archive::Debian | Archive::DebianSecurity => &keyring,
        };
        let trust = Trust { keyring, now };
        let request = SuiteRequest {
            archive: downloads::mirrored_as(&suite.archive),
            suite: suite.distribution().to_owned(),
            components: suite.components.clone(),
            architecture: system.architecture,
            validity: if suite.expired == Expiry::Allow { Validity::AllowExpired } else { Validity::Enforced },
            snapshot: None,
        };
        let verified = fetcher.suite(&request, trust, &events).map_err(|error| release_failure(&error, system))?;
        indexes.insert(&suite.name, verified);
    }
    events.done();
    let step = tools.printer.step("Resolving", system.image.clone(), None);
    let releases = releases(&indexes);
    let texts = texts(&indexes)?;
    let automatic = |suite: &str| {
        indexes.get(suite).and_then(|verified| verified.first()).map_or(Automatic::Yes, |index| index.automatic)
    };
    let suites: Vec<SuiteIndex<'_>> = texts
        .iter()
        .map(|(suite, packages)| SuiteIndex { suite, automatic: automatic(suite), packages: packages.clone() })
        .collect();
    let request = Request::from(system);
    let keep = old.keep(&system.image, system.architecture, update);
    let resolution = resolve::resolve(&request, &suites, &keep)
        .map_err(|error| Failure::user(error.to_string(), Some(error.hint())))?;
    let lock = old
        .with_image(&resolution, &releases)
        .map_err(|error| Failure::build(error.to_string(), Some(error.hint().to_owned())))?;
    let count = resolution.packages.len();
    step.done("Locked", &format!("image {}: {count} packages", system.image), Outcome::Made);
    Ok(lock)
}

fn releases(indexes: &BTreeMap<&str, Vec<VerifiedIndex>>) -> Vec<VerifiedRelease> {
    indexes
        .iter()
        .filter_map(|(suite, verified)| {
            let first = verified.first()?;
            Some(VerifiedRelease {
                suite: (*suite).to_owned(),
                inrelease: first.release_sha256,
                key: first.key.clone(),
                date: first.date,
            })
        })
        .collect()
}

fn texts<'a>(indexes: &'a BTreeMap<&str, Vec<VerifiedIndex>>) -> Result<Vec<(&'a str, Vec<&'a str>)>, Failure> {
    indexes
        .iter()
        .map(|(suite, verified)| {
            let packages: Result<Vec<&str>, _> =
                verified.iter().map(|index| std::str::from_utf8(&index.packages)).collect();
            let packages = packages
                .map_err(|error| Failure::build(format!("the package index of {suite} is not UTF-8: {error}"), None))?;
            Ok((*suite, packages))
        })
        .collect()
}

/// Debian's keys, and those of the settings, judged at `now` in seconds since 1970.
fn keyring(tools: Tools<'_>, now: u64) -> Result<Keyring, Failure> {
    let mut keyring = Keyring::debian(now).map_err(|error| Failure::build(error.to_string(), None))?;
    for more in &tools.settings.keyrings {
        let bytes = fs::read(&more.value)?;
        keyring.add(&bytes, now).map_err(|error| {
            Failure::user(
                format!("{}: {error}", more.value.display()),
                Some("export the archive's public key with `gpg --export`, armoured or not".into()),
            )
        })?;
    }
    Ok(keyring)
}

/// The keys of archives that are not Debian's, each for its own.
fn own_keyrings(system: &System, now: u64) -> Result<BTreeMap<Arc<str>, Keyring>, Failure> {
    let ring = |archive: &OwnArchive| {
        let keyring = Keyring::load(&[&archive.key], now).map_err(|error| {
            Failure::user(
                format!("the key of the archive `{}` ({}): {error}", archive.name, archive.recipe),
                Some("take the key file from the archive's own installation guide, armoured or not".into()),
            )
        })?;
        Ok((archive.name.clone(), keyring))
    };
    system.archives.iter().map(ring).collect()
}

fn release_failure(error: &ReleaseError, system: &System) -> Failure {
    match error {
        // With --offline a directory will do as a mirror, but there is none.
        ReleaseError::NoRelease { .. } if error.wants_network() => Failure::user(
            format!("image {} must be locked, and locking asks the archives", system.image),
            Some(
                "run `hah-image lock` once without --offline, or name a local mirror with --mirror debian=file:///DIR"
                    .into(),
            ),
        ),
        ReleaseError::Fetch(error) => fetch_failure(error),
        _ if error.is_tampered() => Failure::new(Exit::HashMismatch, error.to_string(), error.hint()),
        _ => Failure::new(Exit::Build, error.to_string(), error.hint()),
    }
}
