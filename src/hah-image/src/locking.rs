//! Locking: from a system's request to pinned packages, by way of signed indexes.

use std::collections::BTreeMap;

use hah_plan::lock::{Lock, Update, VerifiedRelease};
use hah_plan::resolve::{self, Request, SuiteIndex};
use hah_plan::system::{Expiry, System};

use crate::build::{Tools, fetch_failure};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::fetch::{Keyring, Mode, ReleaseError, SuiteRequest, Trust, Validity, VerifiedIndex};
use crate::fetching::{self, Progress};
use crate::printer::Outcome;
use crate::store::{Access, Store};

/// The lock with an answer to `system`. Versions that `update` does not name stay, if the archive still has them.
pub fn lock(tools: Tools<'_>, system: &System, old: &Lock, update: &Update) -> Result<Lock, Failure> {
    let store = Store::open(&tools.settings.cache_dir.value, Access::Shared)?;
    let fetcher = fetching::fetcher(tools, &store)?;
    if fetcher.options().mode == Mode::Offline {
        return Err(Failure::user(
            format!("image {} must be locked, and locking asks the archives", system.image),
            Some("run `hah-image lock` once without --offline".into()),
        ));
    }
    let keyring = Keyring::debian().map_err(|error| Failure::build(error.to_string(), None))?;
    let trust = Trust { keyring: &keyring, now: clock::unix_now() };
    let events = Progress::new(tools.printer);
    let mut indexes: BTreeMap<&str, Vec<VerifiedIndex>> = BTreeMap::new();
    for suite in &system.suites {
        let request = SuiteRequest {
            archive: suite.archive.as_str().to_owned(),
            suite: suite.name.clone(),
            components: suite.components.clone(),
            architecture: system.architecture,
            validity: if suite.expired == Expiry::Allow { Validity::AllowExpired } else { Validity::Enforced },
            snapshot: None,
        };
        let verified = fetcher.suite(&request, trust, &events).map_err(|error| release_failure(&error))?;
        indexes.insert(&suite.name, verified);
    }
    events.done();
    let step = tools.printer.step("Resolving", system.image.clone(), None);
    let releases = releases(&indexes);
    let texts = texts(&indexes)?;
    let suites: Vec<SuiteIndex<'_>> =
        texts.iter().map(|(suite, packages)| SuiteIndex { suite, packages: packages.clone() }).collect();
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
            Some(VerifiedRelease { suite: (*suite).to_owned(), inrelease: first.release_sha256, date: first.date })
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

fn release_failure(error: &ReleaseError) -> Failure {
    match error {
        ReleaseError::Fetch(error) => fetch_failure(error),
        _ => Failure::new(Exit::Build, error.to_string(), error.hint()),
    }
}
