//! `Recommends`, for packages that are asked for with them: `{ name = "…", recommends = true }`.
//!
//! As `apt install --install-recommends` does on a machine that has the rest of the image already: what counts is what the
//! package recommends, and what every package recommends that is in the image only because of it. What the image has
//! anyway was installed without its recommendations and stays so. A recommendation that cannot be satisfied is passed
//! over, in words nowhere: it is not a dependency. One that something of the image satisfies asks for nothing more.

use std::collections::BTreeSet;

use crate::debian::PackageName;
use crate::debian::archive::Candidate;
use crate::debian::relation::{Alternatives, Qualifier, Relation};

use super::{Chosen, Request, Resolution, ResolveError};

/// One group of a `Recommends` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recommendation {
    /// The package that says so.
    pub(super) by: PackageName,
    /// The first alternative's name.
    pub(super) name: PackageName,
    /// The group.
    pub(super) wanted: Alternatives,
}

/// Answers a request with recommendations that must hold.
type Solve<'s> = dyn Fn(&Request, &[Recommendation]) -> Result<Resolution, ResolveError> + 's;

/// Finds packages for a request and for what is recommended, as far as that can be had.
pub(super) fn resolve(request: &Request, solve: &Solve<'_>) -> Result<Resolution, ResolveError> {
    let (asked, rest): (Vec<_>, Vec<_>) = request.packages.iter().cloned().partition(|package| package.recommends);
    let asked: BTreeSet<PackageName> = asked.into_iter().map(|package| package.name).collect();
    let anyway = solve(&Request { packages: rest, ..request.clone() }, &[])?;
    let anyway: BTreeSet<&PackageName> = anyway.packages.iter().map(|package| &package.candidate.name).collect();
    let counts =
        |package: &Chosen| asked.contains(&package.candidate.name) || !anyway.contains(&package.candidate.name);
    let mut held: Vec<Recommendation> = Vec::new();
    let mut tried: Vec<Recommendation> = Vec::new();
    let mut resolution = solve(request, &[])?;
    loop {
        let mut new: Vec<Recommendation> = Vec::new();
        for package in resolution.packages.iter().filter(|package| counts(package)) {
            for group in &package.candidate.recommends.0 {
                let Some(first) = group.0.iter().find(|one| one.applies_to(request.architecture)) else { continue };
                let by = package.candidate.name.clone();
                let one = Recommendation { by, name: first.name.clone(), wanted: group.clone() };
                if !tried.contains(&one) && !is_met(group, request, &resolution) {
                    tried.push(one.clone());
                    new.push(one);
                }
            }
        }
        if new.is_empty() {
            return Ok(resolution);
        }
        let all: Vec<Recommendation> = held.iter().chain(&new).cloned().collect();
        if let Some(found) = satisfied(solve(request, &all))? {
            (held, resolution) = (all, found);
            continue;
        }
        for one in new {
            held.push(one);
            match satisfied(solve(request, &held))? {
                Some(found) => resolution = found,
                None => drop(held.pop()),
            }
        }
    }
}

/// The resolution, nothing where there is none, or an error of the indexes.
fn satisfied(result: Result<Resolution, ResolveError>) -> Result<Option<Resolution>, ResolveError> {
    match result {
        Ok(resolution) => Ok(Some(resolution)),
        Err(ResolveError::Unsatisfiable { .. } | ResolveError::TooHard { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whether the image has something that satisfies the group.
fn is_met(group: &Alternatives, request: &Request, resolution: &Resolution) -> bool {
    group.0.iter().filter(|relation| relation.applies_to(request.architecture)).any(|relation| {
        request.provided.contains_key(&relation.name)
            || resolution.packages.iter().any(|package| serves(&package.candidate, relation))
    })
}

/// As the universe decides it; an architecture that is named is never met here, so that the solver decides.
fn serves(candidate: &Candidate, relation: &Relation) -> bool {
    let plain = matches!(relation.qualifier, None | Some(Qualifier::Native));
    plain && (super::universe::by_itself(candidate, relation) || super::universe::by_providing(candidate, relation))
}
