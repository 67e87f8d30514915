//! The offers of all suites, and which of them match a relation.
//!
//! Scanning notes where each stanza is; a stanza is read when a relation first reaches its package, which happens to a few
//! thousand of the hundred thousand. An offer's number never changes once given.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::debian::archive::{ArchiveError, Automatic, Candidate, Entry, Index, MultiArch};
use crate::debian::relation::{Alternatives, Qualifier, Relation};
use crate::debian::{PackageName, Version};
use crate::system::{Archive, SuiteUse};

use super::recommended::Recommendation;
use super::{Asker, Request, ResolveError, SuiteReason};

/// The `Packages` files of one suite.
#[derive(Clone, Debug)]
pub struct SuiteIndex<'a> {
    /// The suite's name.
    pub suite: &'a str,
    /// What its `Release` says of that.
    pub automatic: Automatic,
    /// Verified and decompressed `Packages` files, one of each component.
    pub packages: Vec<&'a str>,
}

/// One version of one package from one suite that the solver may choose.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) candidate: Candidate,
    /// Position in the request's suites.
    pub(super) suite: usize,
}

/// A relation that must hold in any case.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) name: PackageName,
    /// Any of these will do; the package `name` is the first of them.
    pub(super) wanted: Alternatives,
    pub(super) asker: Asker,
}

/// An entry of an index, not yet read.
#[derive(Clone, Copy, Debug)]
struct Raw<'a> {
    suite: usize,
    entry: Entry<'a>,
}

pub(super) struct Universe<'a> {
    request: &'a Request,
    keep: &'a BTreeMap<PackageName, Version>,
    /// Usable entries by name.
    raw: BTreeMap<&'a str, Vec<Raw<'a>>>,
    /// Which packages provide a name, in any version or suite.
    providers: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Where packages are pinned to, and by whom.
    pins: BTreeMap<PackageName, (usize, Asker)>,
    /// Packages that come from a suite because a pinned one does.
    pub(super) followers: BTreeMap<PackageName, (usize, SuiteReason)>,
    /// apt's priority of each suite; none for one that serves pins only.
    priorities: Vec<Option<u16>>,
    roots: Vec<Root>,
    /// Names asked for directly: a stand-in does not count for them.
    asked: BTreeSet<PackageName>,
    offers: Vec<Offer>,
    /// Offers by name, best first.
    by_name: BTreeMap<PackageName, Vec<usize>>,
}

/// What the suites have under a name that a relation did not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Had {
    pub(super) version: Version,
    pub(super) suite: usize,
}

impl Root {
    fn named(name: PackageName, asker: Asker) -> Self {
        Self { wanted: Alternatives(vec![Relation::to(name.clone())]), name, asker }
    }
}

impl<'a> Universe<'a> {
    pub(super) fn new(
        request: &'a Request,
        indexes: &[SuiteIndex<'a>],
        keep: &'a BTreeMap<PackageName, Version>,
        more: &[Recommendation],
    ) -> Result<Self, ResolveError> {
        let mut universe = Self {
            request,
            keep,
            raw: BTreeMap::new(),
            providers: BTreeMap::new(),
            pins: BTreeMap::new(),
            followers: BTreeMap::new(),
            priorities: Vec::new(),
            roots: Vec::new(),
            asked: request.packages.iter().map(|package| package.name.clone()).collect(),
            offers: Vec::new(),
            by_name: BTreeMap::new(),
        };
        for (position, suite) in request.suites.iter().enumerate() {
            let mut found = indexes.iter().filter(|index| index.suite == suite.name).peekable();
            let Some(first) = found.peek() else {
                return Err(ResolveError::NoIndex { suite: suite.name.clone() });
            };
            universe.priorities.push((suite.use_for == SuiteUse::Default).then(|| first.automatic.priority()));
            for text in found.flat_map(|index| &index.packages) {
                universe.scan(position, text)?;
            }
        }
        universe.pin()?;
        universe.root();
        universe.roots.extend(more.iter().map(|one| Root {
            name: one.name.clone(),
            wanted: one.wanted.clone(),
            asker: Asker::Recommends(one.by.clone()),
        }));
        universe.follow()?;
        // What was looked up on the way may have moved.
        universe.offers.clear();
        universe.by_name.clear();
        Ok(universe)
    }

    fn scan(&mut self, suite: usize, text: &'a str) -> Result<(), ResolveError> {
        let index = Index::scan(text).map_err(|error| self.broken(suite, error))?;
        let architecture = self.request.architecture.as_str();
        for entry in index.entries {
            if entry.architecture != architecture && entry.architecture != "all" {
                continue;
            }
            if let Err(problem) = entry.name.parse::<PackageName>() {
                return Err(self.broken(suite, entry.stanza.error(problem.to_string()).into()));
            }
            self.raw.entry(entry.name).or_default().push(Raw { suite, entry });
            for provided in entry.provides.unwrap_or_default().split(',') {
                // The name only: the version is read with the candidate.
                let end = provided.trim_ascii_start().find([' ', '\t', '\n', '(', ':']);
                let name = provided.trim_ascii_start();
                let name = end.and_then(|end| name.get(..end)).unwrap_or(name);
                if !name.is_empty() {
                    self.providers.entry(name).or_default().insert(entry.name);
                }
            }
        }
        Ok(())
    }

    fn broken(&self, suite: usize, error: ArchiveError) -> ResolveError {
        ResolveError::Index { suite: self.suite_name(suite).to_owned(), error }
    }

    fn pin(&mut self) -> Result<(), ResolveError> {
        for package in &self.request.packages {
            let Some(wanted) = &package.suite else { continue };
            let asker = Asker::Recipe(package.recipe.clone());
            let Some(suite) = self.request.suites.iter().position(|suite| suite.name == *wanted) else {
                return Err(ResolveError::NoSuite { asker, package: package.name.clone(), suite: wanted.clone() });
            };
            match self.pins.get(&package.name) {
                Some((other, first)) if *other != suite => {
                    return Err(ResolveError::TwoPins {
                        package: package.name.clone(),
                        first: first.clone(),
                        first_suite: self.suite_name(*other).to_owned(),
                        second: asker,
                        second_suite: wanted.clone(),
                    });
                }
                Some(_) => {}
                None => {
                    self.pins.insert(package.name.clone(), (suite, asker));
                }
            }
        }
        Ok(())
    }

    /// Essential packages first: everything else may rely on them without a dependency (Policy 3.8).
    fn root(&mut self) {
        let automatic = Some(Automatic::Yes.priority());
        // What is essential is Debian's to say.
        let is_debian = |suite: usize| {
            self.request.suites.get(suite).is_some_and(|suite| !matches!(suite.archive, Archive::Own(_)))
        };
        let is_essential =
            |raw: &Raw<'_>| raw.entry.essential && self.priority(raw.suite) == automatic && is_debian(raw.suite);
        let essential = self.raw.iter().filter(|(_, raw)| raw.iter().any(is_essential));
        let names = essential.filter_map(|(name, _)| name.parse::<PackageName>().ok());
        let wanted = names.filter(|name| !self.is_stood_in(name));
        self.roots = wanted.map(|name| Root::named(name, Asker::Essential)).collect();
        for package in &self.request.packages {
            self.roots.push(Root::named(package.name.clone(), Asker::Recipe(package.recipe.clone())));
        }
    }

    /// apt's priority of a suite's versions; none when it serves only what is pinned to it.
    pub(super) fn priority(&self, suite: usize) -> Option<u16> {
        self.priorities.get(suite).copied().flatten()
    }

    /// The packages that are pinned to a suite, and to which.
    pub(super) fn pinned(&self) -> impl Iterator<Item = (&PackageName, usize)> {
        self.pins.iter().map(|(name, (suite, _))| (name, *suite))
    }

    pub(super) fn request(&self) -> &'a Request {
        self.request
    }

    pub(super) fn suite_name(&self, suite: usize) -> &'a str {
        self.request.suites.get(suite).map_or("?", |suite| &suite.name)
    }

    pub(super) fn roots(&self) -> &[Root] {
        &self.roots
    }

    pub(super) fn offer(&self, id: usize) -> &Offer {
        &self.offers[id]
    }

    pub(super) fn offers(&self) -> usize {
        self.offers.len()
    }

    /// The suite that `name` is pinned to, and who does so.
    pub(super) fn pin_of(&self, name: &PackageName) -> Option<(&'a str, &Asker)> {
        self.pins.get(name).map(|(suite, asker)| (self.suite_name(*suite), asker))
    }

    /// The suite that `name` comes from because something pinned does, and why.
    pub(super) fn follower(&self, name: &PackageName) -> Option<(&'a str, &SuiteReason)> {
        self.followers.get(name).map(|(suite, reason)| (self.suite_name(*suite), reason))
    }

    /// Why `offer` is from its suite, when that is no matter of course.
    pub(super) fn suite_reason(&self, offer: &Offer) -> Option<SuiteReason> {
        let name = &offer.candidate.name;
        if self.pins.contains_key(name) {
            return None;
        }
        let followed = self.followers.get(name).map(|(_, reason)| reason.clone());
        followed.or_else(|| (self.priority(offer.suite) < Some(Automatic::Yes.priority())).then_some(SuiteReason::Only))
    }

    /// Whether the image stands in for `name`.
    pub(super) fn is_stood_in(&self, name: &PackageName) -> bool {
        self.request.provided.contains_key(name) && !self.asked.contains(name)
    }

    /// The stand-ins that `candidate` depends on.
    pub(super) fn stand_ins_of(&self, candidate: &Candidate) -> BTreeSet<PackageName> {
        let groups = candidate.pre_depends.iter().chain(candidate.depends.iter());
        let names = groups.flat_map(|group| &group.0).map(|relation| &relation.name);
        names.filter(|name| self.is_stood_in(name)).cloned().collect()
    }

    /// Forgets the offers of `name`: it comes from elsewhere now.
    pub(super) fn forget(&mut self, name: &PackageName) {
        self.by_name.remove(name);
    }

    /// The offers of the package `name`, best first: the version to keep, then the newest.
    pub(super) fn named(&mut self, name: &PackageName) -> Result<Vec<usize>, ResolveError> {
        if let Some(known) = self.by_name.get(name) {
            return Ok(known.clone());
        }
        let pinned = self.pins.get(name).map(|(suite, _)| *suite);
        let from = pinned.or_else(|| self.followers.get(name).map(|(suite, _)| *suite));
        let found = self.read_best(name, from)?;
        self.by_name.insert(name.clone(), found.clone());
        Ok(found)
    }

    /// Reads the best versions of `name` in the suite `from`, or else in the suites of highest priority that have one.
    pub(super) fn read_best(&mut self, name: &PackageName, from: Option<usize>) -> Result<Vec<usize>, ResolveError> {
        let raw = self.raw.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let top = raw.iter().filter_map(|raw| self.priority(raw.suite)).max();
        let counts = |raw: &&Raw<'a>| match from {
            Some(suite) => raw.suite == suite,
            None => top.is_some() && self.priority(raw.suite) == top,
        };
        let mut newest: Option<(Version, Raw<'a>)> = None;
        let mut kept: Option<(Version, Raw<'a>)> = None;
        for raw in raw.iter().filter(counts) {
            let version = self.version(raw)?;
            if kept.is_none() && self.keep.get(name) == Some(&version) {
                kept = Some((version.clone(), *raw));
            }
            if newest.as_ref().is_none_or(|(best, _)| version > *best) {
                newest = Some((version, *raw));
            }
        }
        // Both are the same stanza when the newest version is the one to keep.
        let newest = newest.filter(|(version, _)| kept.as_ref().is_none_or(|(kept, _)| kept != version));
        let mut found = Vec::new();
        for (_, raw) in kept.into_iter().chain(newest) {
            let candidate = raw.entry.candidate().map_err(|error| self.broken(raw.suite, error))?;
            found.push(self.offers.len());
            self.offers.push(Offer { candidate, suite: raw.suite });
        }
        Ok(found)
    }

    fn version(&self, raw: &Raw<'a>) -> Result<Version, ResolveError> {
        raw.entry.version.parse().map_err(|problem| {
            let line = raw.entry.stanza.line();
            let error = ArchiveError::Field { line, field: "Version", problem: format!("{problem}") };
            self.broken(raw.suite, error)
        })
    }

    /// The offers that satisfy `relation`, best first.
    pub(super) fn matching(&mut self, relation: &Relation) -> Result<Vec<usize>, ResolveError> {
        let mut found = self.named(&relation.name)?;
        let mut provided = Vec::new();
        for name in self.providers.get(relation.name.as_str()).cloned().unwrap_or_default() {
            if let Ok(name) = name.parse::<PackageName>()
                && name != relation.name
                && !self.is_stood_in(&name)
            {
                provided.extend(self.named(&name)?);
            }
        }
        // Stable: two versions of one provider stay in order.
        provided.sort_by(|left, right| {
            let key = |id: usize| {
                let Offer { candidate, suite } = &self.offers[id];
                (Reverse(self.priority(*suite)), candidate.priority, &candidate.name)
            };
            key(*left).cmp(&key(*right))
        });
        found.extend(provided);
        found.retain(|id| self.satisfies(&self.offers[*id].candidate, relation));
        Ok(found)
    }

    pub(super) fn satisfies(&self, candidate: &Candidate, relation: &Relation) -> bool {
        let architecture = match &relation.qualifier {
            None | Some(Qualifier::Native) => true,
            // dpkg: only `Multi-Arch: allowed` serves `:any`, whatever the architecture.
            Some(Qualifier::Any) => candidate.multi_arch == MultiArch::Allowed,
            Some(Qualifier::Architecture(name)) => name == self.request.architecture.as_str(),
        };
        architecture && (by_itself(candidate, relation) || by_providing(candidate, relation))
    }

    /// What the suites have under `name`, newest first: those whose versions are candidates, and the others.
    pub(super) fn available(&self, name: &PackageName) -> (Vec<Had>, Vec<Had>) {
        let raw = self.raw.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let mut all: Vec<Had> =
            raw.iter().filter_map(|raw| Some(Had { version: self.version(raw).ok()?, suite: raw.suite })).collect();
        all.sort_by(|left, right| right.version.cmp(&left.version).then(left.suite.cmp(&right.suite)));
        all.dedup();
        let top = all.iter().filter_map(|had| self.priority(had.suite)).max();
        all.into_iter().partition(|had| top.is_some() && self.priority(had.suite) == top)
    }

    /// The packages that provide `name` in some version or suite, by name.
    pub(super) fn all_providers_of(&self, name: &PackageName) -> Vec<PackageName> {
        let providers = self.providers.get(name.as_str()).into_iter().flatten();
        providers.filter_map(|provider| provider.parse().ok()).filter(|provider| provider != name).collect()
    }

    /// The first packages that provide `name` in some version or suite.
    pub(super) fn providers_of(&self, name: &PackageName) -> Vec<&'a str> {
        let providers = self.providers.get(name.as_str()).into_iter().flatten();
        providers.copied().filter(|provider| *provider != name.as_str()).take(3).collect()
    }

    /// A package with a name that is a slip away from `name`.
    pub(super) fn similar(&self, name: &PackageName) -> Option<&'a str> {
        let near = |known: &&'a str| (strsim::osa_distance(known, name.as_str()), *known);
        let limit = (name.as_str().len() / 4).max(1);
        self.raw.keys().map(near).filter(|(distance, _)| *distance <= limit).min().map(|(_, known)| known)
    }
}

pub(super) fn by_itself(candidate: &Candidate, relation: &Relation) -> bool {
    candidate.name == relation.name && relation.admits(&candidate.version)
}

/// A provision without a version satisfies only relations without one (Policy 7.5).
pub(super) fn by_providing(candidate: &Candidate, relation: &Relation) -> bool {
    let provided = candidate.provides.iter().flat_map(|group| &group.0);
    provided.filter(|provided| provided.name == relation.name).any(|provided| {
        match (&relation.constraint, &provided.constraint) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(provided)) => wanted.admits(&provided.version),
        }
    })
}
