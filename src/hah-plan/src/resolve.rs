//! Package resolution: from what recipes ask for to the set of packages that satisfies it, each with its reasons.
//!
//! [`Request`] + indexes → [`Resolution`], or a [`ResolveError`] that tells the story of the failure.
//!
//! The rules, which are those of Debian Policy 7 with apt's preferences:
//! - Essential packages, `Depends` and `Pre-Depends` are followed; `Recommends` are for packages that are asked for with
//!   them ([`recommended`]), and weaker fields are not.
//! - Of each package one version is a candidate: of the suites of highest priority that have the package, the newest.
//!   Priorities are apt's: 500, for a `NotAutomatic` suite 1, and 100 if it is also `ButAutomaticUpgrades`, so that
//!   declaring backports moves nothing. A version that the caller wants to keep (the lock's) is preferred while an index
//!   of that priority still has it. Older versions are never taken, for they lack fixes.
//! - A pin is apt's `install PACKAGE/SUITE`: the package comes from that suite, and so does a dependency that the
//!   candidate of its name does not satisfy and the suite's version does, and so on from there (`follow`). The
//!   alternative, `-t SUITE`, would take everything that the package reaches from that suite, the C library included.
//! - A pin-only suite serves the packages that are pinned to it, by name, and not their dependencies.
//! - Of alternatives the first that can be installed wins, unless another one is installed anyway.
//!   A package of that name comes before those that provide it; of these the most needed priority, then the name decides.
//! - What the image stands in for satisfies every relation to its name, in any version, and conflicts with nothing.
//!
//! `universe` knows which candidates match a relation, `follow` which of them a pin moves, `solver` chooses among them and
//! is complete, and `explain` tells what went wrong. The solver is our own: its choices follow the rules above, it gives the same answer in every run, and
//! it keeps a reason for every step. The alternative, resolvo, walks randomly seeded hash maps where it explains a conflict.

mod request;
mod universe;
mod follow;
mod solver;
mod recommended;
mod explain;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::debian::archive::{ArchiveError, Candidate};
use crate::debian::relation::Alternatives;
use crate::debian::{PackageName, Version};
use crate::system::Archive;

pub use explain::Line;
pub use request::Request;
pub use universe::SuiteIndex;

use recommended::Recommendation;
use solver::{Origin, Outcome, Solver};
use universe::Universe;

/// The packages of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// What was asked.
    pub request: Request,
    /// The packages, by name.
    pub packages: Vec<Chosen>,
    /// The stand-ins that some package of the image depends on, and these packages.
    pub stand_ins: BTreeMap<PackageName, BTreeSet<PackageName>>,
}

/// A package of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The package.
    pub candidate: Candidate,
    /// The suite that it comes from.
    pub suite: String,
    /// The archive of that suite.
    pub archive: Archive,
    /// Who asked for it by name: recipes, or its being essential. Empty when it is here as a dependency only.
    pub asked: Vec<Asker>,
    /// What it depends on, in field order.
    pub needs: Vec<Need>,
    /// Why it is from this suite, when it is neither pinned to it nor there of its own accord.
    pub suite_reason: Option<SuiteReason>,
}

/// Why a package comes from a suite that is not automatic, or not from the one that it would come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SuiteReason {
    /// No other suite has the package.
    Only,
    /// Something from the suite asks for a version that only the suite has.
    For {
        /// The package that asks.
        dependant: PackageName,
        /// In which field.
        field: DependencyField,
        /// What the field says.
        relation: String,
    },
}

impl fmt::Display for SuiteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => f.write_str("no other suite has it"),
            Self::For { dependant, field, relation } => write!(f, "{dependant} {field}: {relation}"),
        }
    }
}

/// Who asks for a package by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// It is `Essential: yes`.
    Essential,
    /// A recipe's name, or `board NAME`, or `image NAME`.
    Recipe(String),
    /// A package that recommends it, where recommendations count.
    Recommends(PackageName),
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Essential => f.write_str("essential"),
            Self::Recipe(name) if name.contains(' ') => f.write_str(name),
            Self::Recipe(name) => write!(f, "recipe {name}"),
            Self::Recommends(package) => write!(f, "{package} Recommends"),
        }
    }
}

/// The field that makes one package depend on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DependencyField {
    /// `Pre-Depends`
    PreDepends,
    /// `Depends`
    Depends,
}

impl fmt::Display for DependencyField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreDepends => "Pre-Depends",
            Self::Depends => "Depends",
        })
    }
}

/// What `candidate` depends on, group by group, in field order.
fn dependencies(candidate: &Candidate) -> impl Iterator<Item = (DependencyField, &Alternatives)> {
    let fields =
        [(DependencyField::PreDepends, &candidate.pre_depends), (DependencyField::Depends, &candidate.depends)];
    fields.into_iter().flat_map(|(field, groups)| groups.iter().map(move |group| (field, group)))
}

/// A dependency, and the package that satisfies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which field says so.
    pub field: DependencyField,
    /// What it says.
    pub alternatives: Alternatives,
    /// The package of the image that satisfies it.
    pub package: PackageName,
}

/// No resolution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// An index is damaged.
    #[error("the package index of {suite}: {error}")]
    Index {
        /// Whose index.
        suite: String,
        /// What is wrong with it.
        error: ArchiveError,
    },
    /// An index was not handed in.
    #[error("there is no package index for the suite {suite}")]
    NoIndex {
        /// The suite.
        suite: String,
    },
    /// A pin to a suite that the image does not have.
    #[error("{asker} asks for {package} from {suite}, which is not among the image's suites")]
    NoSuite {
        /// Who pins.
        asker: Asker,
        /// What.
        package: PackageName,
        /// Where to.
        suite: String,
    },
    /// Two recipes pin the same package differently.
    #[error("{first} asks for {package} from {first_suite}, and {second} asks for it from {second_suite}")]
    TwoPins {
        /// The package.
        package: PackageName,
        /// Who pins it first.
        first: Asker,
        /// Where to.
        first_suite: String,
        /// Who pins it otherwise.
        second: Asker,
        /// Where to.
        second_suite: String,
    },
    /// There is no set of packages that fulfils the request.
    #[error("the packages of the image `{image}` do not go together:\n{}", explain::Story(.story))]
    Unsatisfiable {
        /// Which image.
        image: String,
        /// Why, as an indented text.
        story: Vec<Line>,
    },
    /// The search went on for too long.
    #[error("gave up on the packages of the image `{image}` after {tries} dead ends; the last one was:\n{}", explain::Story(.story))]
    TooHard {
        /// Which image.
        image: String,
        /// Number of dead ends.
        tries: usize,
        /// The last of them.
        story: Vec<Line>,
    },
}

impl ResolveError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Index { error, .. } => error.hint().to_owned(),
            Self::NoIndex { suite } => format!("fetch the index of {suite} first; `hah-image lock` does"),
            Self::NoSuite { suite, .. } => {
                format!("declare the suite `{suite}` in a recipe of this image, or drop the pin")
            }
            Self::TwoPins { package, .. } => format!("pin {package} in one recipe only"),
            Self::Unsatisfiable { story, .. } | Self::TooHard { story, .. } => explain::hint(story),
        }
    }
}

/// Finds the packages for `request`, preferring the versions of `keep`. `indexes` holds the suites of the request, in any
/// order; the order of the request's suites decides which one a version comes from that several of them have.
pub fn resolve(
    request: &Request,
    indexes: &[SuiteIndex<'_>],
    keep: &BTreeMap<PackageName, Version>,
) -> Result<Resolution, ResolveError> {
    let solve = |request: &Request, more: &[Recommendation]| solve(request, indexes, keep, more);
    if request.packages.iter().any(|package| package.recommends) {
        return recommended::resolve(request, &solve);
    }
    solve(request, &[])
}

/// The packages for `request` and for `more`.
fn solve(
    request: &Request,
    indexes: &[SuiteIndex<'_>],
    keep: &BTreeMap<PackageName, Version>,
    more: &[Recommendation],
) -> Result<Resolution, ResolveError> {
    let universe = Universe::new(request, indexes, keep, more)?;
    let mut solver = Solver::new(universe)?;
    match solver.run()? {
        Outcome::Solved => {}
        Outcome::Unsatisfiable(story) => {
            return Err(ResolveError::Unsatisfiable { image: request.image.clone(), story });
        }
        Outcome::TooHard { tries, story } => {
            return Err(ResolveError::TooHard { image: request.image.clone(), tries, story });
        }
    }
    Ok(harvest(request, &solver))
}

/// Reads the packages and their reasons off a solved solver.
fn harvest(request: &Request, solver: &Solver<'_>) -> Resolution {
    let mut chosen: BTreeMap<usize, Chosen> = BTreeMap::new();
    for id in solver.chosen() {
        let offer = solver.universe().offer(id);
        let suite = &request.suites[offer.suite];
        chosen.insert(
            id,
            Chosen {
                candidate: offer.candidate.clone(),
                suite: suite.name.clone(),
                archive: suite.archive.clone(),
                asked: Vec::new(),
                needs: Vec::new(),
                suite_reason: solver.universe().suite_reason(offer),
            },
        );
    }
    for (origin, satisfier) in solver.satisfied() {
        match origin {
            Origin::Root(root) => {
                let asker = solver.universe().roots()[*root].asker.clone();
                if let Some(chosen) = chosen.get_mut(&satisfier) {
                    chosen.asked.push(asker);
                }
            }
            Origin::Depends { owner, field, alternatives } => {
                let package = solver.universe().offer(satisfier).candidate.name.clone();
                if let Some(chosen) = chosen.get_mut(owner) {
                    chosen.needs.push(Need { field: *field, alternatives: alternatives.clone(), package });
                }
            }
            Origin::Clash { .. } | Origin::OneVersion | Origin::Learned(_) => {}
        }
    }
    let mut stand_ins: BTreeMap<PackageName, BTreeSet<PackageName>> = BTreeMap::new();
    for id in solver.chosen() {
        let candidate = &solver.universe().offer(id).candidate;
        for name in solver.universe().stand_ins_of(candidate) {
            stand_ins.entry(name).or_default().insert(candidate.name.clone());
        }
    }
    let mut packages: Vec<Chosen> = chosen.into_values().collect();
    packages.sort_by(|left, right| left.candidate.name.cmp(&right.candidate.name));
    for package in &mut packages {
        package.asked.sort();
        package.asked.dedup();
    }
    Resolution { request: request.clone(), packages, stand_ins }
}

#[cfg(test)]
mod tests;
