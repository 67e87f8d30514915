//! What a pin moves besides its package: apt's `install PACKAGE/SUITE` (apt-get(8); `SetCandidateRelease` in apt's code).
//!
//! A dependency of a pinned package stays with the candidate of its name when that satisfies it. When it does not, and the
//! pin's suite has a version that does, the name moves to that suite, and its own dependencies are looked at in the same
//! way. This goes on until nothing moves any more: a candidate that another move has broken moves, too.
//! Beyond apt, a package of the suite that provides what is asked for may move as well.
//! The solver then chooses among candidates as if nothing had happened, so a move that does not help is told like any
//! other conflict. What moved, and for whom, is a [`SuiteReason`] and ends up in the lock.

use std::collections::BTreeSet;

use crate::debian::PackageName;
use crate::debian::relation::{Alternatives, Relation};

use super::universe::Universe;
use super::{ResolveError, SuiteReason, dependencies};

impl Universe<'_> {
    /// Moves what the pins need from their suites. Each package moves once at most, so this ends.
    pub(super) fn follow(&mut self) -> Result<(), ResolveError> {
        // A suite that serves pins only keeps to that.
        let open = self.pinned().filter(|(_, suite)| self.priority(*suite).is_some());
        let mut open: Vec<(PackageName, usize)> = open.map(|(name, suite)| (name.clone(), suite)).collect();
        let mut known: BTreeSet<PackageName> = open.iter().map(|(name, _)| name.clone()).collect();
        loop {
            let before = self.followers.len();
            let mut at = 0;
            while let Some((owner, suite)) = open.get(at).cloned() {
                at += 1;
                for id in self.named(&owner)? {
                    let candidate = self.offer(id).candidate.clone();
                    for (field, group) in dependencies(&candidate) {
                        if let Some(moved) = self.moves_for(group, suite)? {
                            let reason =
                                SuiteReason::For { dependant: owner.clone(), field, relation: group.to_string() };
                            self.followers.insert(moved.clone(), (suite, reason));
                            self.forget(&moved);
                        }
                        // What is from the suite by now needs looking at, too.
                        for relation in &group.0 {
                            for id in self.matching(relation)? {
                                let offer = self.offer(id);
                                if offer.suite == suite && known.insert(offer.candidate.name.clone()) {
                                    open.push((offer.candidate.name.clone(), suite));
                                }
                            }
                        }
                    }
                }
            }
            if self.followers.len() == before {
                return Ok(());
            }
        }
    }

    /// The package that has to move to `suite` so that `group` can be satisfied, if there is need and one that helps.
    fn moves_for(&mut self, group: &Alternatives, suite: usize) -> Result<Option<PackageName>, ResolveError> {
        let architecture = self.request().architecture;
        let counting: Vec<Relation> =
            group.0.iter().filter(|relation| relation.applies_to(architecture)).cloned().collect();
        if counting.is_empty() || counting.iter().any(|relation| self.is_stood_in(&relation.name)) {
            return Ok(None);
        }
        for relation in &counting {
            for id in self.matching(relation)? {
                if self.is_content(id, None)? {
                    return Ok(None);
                }
            }
        }
        // One that asks for more than there is comes after one that does not.
        let mut second = None;
        for relation in &counting {
            let names = [relation.name.clone()].into_iter().chain(self.all_providers_of(&relation.name));
            for name in names {
                if self.pin_of(&name).is_some() || self.follower(&name).is_some() || self.is_stood_in(&name) {
                    continue;
                }
                if self.named(&name)?.iter().any(|id| self.offer(*id).suite == suite) {
                    continue;
                }
                for id in self.read_best(&name, Some(suite))? {
                    if !self.satisfies(&self.offer(id).candidate, relation) {
                        continue;
                    }
                    if self.is_content(id, Some(suite))? {
                        return Ok(Some(name));
                    }
                    second = second.or(Some(name.clone()));
                }
            }
        }
        Ok(second)
    }

    /// Whether each dependency of the offer `id` has something that satisfies it: a candidate, or a version of `suite`.
    fn is_content(&mut self, id: usize, suite: Option<usize>) -> Result<bool, ResolveError> {
        let architecture = self.request().architecture;
        let candidate = self.offer(id).candidate.clone();
        for (_, group) in dependencies(&candidate) {
            let mut met = group.0.iter().all(|relation| !relation.applies_to(architecture));
            for relation in group.0.iter().filter(|relation| relation.applies_to(architecture)) {
                met = met
                    || self.is_stood_in(&relation.name)
                    || self.satisfies(&candidate, relation)
                    || !self.matching(relation)?.is_empty();
                if let (false, Some(suite)) = (met, suite) {
                    let offers = self.read_best(&relation.name, Some(suite))?;
                    met = offers.into_iter().any(|id| self.satisfies(&self.offer(id).candidate, relation));
                }
            }
            if !met {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
