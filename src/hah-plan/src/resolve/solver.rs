//! The search: unit propagation, decisions in the order of the rules, and learning from conflicts.
//!
//! A variable is an offer, true when it is installed. Clauses are
//! ```text
//! root       a1 ∨ a2 ∨ …             somebody asks for a
//! depends    ¬p ∨ a1 ∨ b1 ∨ …        p depends on a | b
//! clash      ¬p ∨ ¬q                 p conflicts with or breaks q
//! one        ¬a1 ∨ ¬a2               one version of a package
//! learned    ¬d1 ∨ ¬d2 ∨ …           these decisions led to a conflict
//! ```
//! and come into being when their `p` is first chosen, so that only what is reached is ever looked at.
//! A conflict is traced back to the decisions behind it; the clause that forbids them together is learned, and the search
//! returns to the last decision but one. Every conflict excludes a set of decisions, so the search ends and is complete.

use crate::debian::relation::{Alternatives, Relation};

use super::explain::{self, Line};
use super::universe::Universe;
use super::{DependencyField, ResolveError, dependencies};

/// Most conflicts before the search is given up. Debian's suites need none to a few.
const MAX_CONFLICTS: usize = 4096;

/// Where a clause comes from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A root of the universe, by position.
    Root(usize),
    /// A dependency of the offer `owner`.
    Depends {
        /// Which offer.
        owner: usize,
        /// Which field of it.
        field: DependencyField,
        /// What the field says.
        alternatives: Alternatives,
    },
    /// The offer `owner` has a `Conflicts` or `Breaks` that matches `other`.
    Clash {
        /// Which offer.
        owner: usize,
        /// `Conflicts` or `Breaks`.
        field: &'static str,
        /// What the field says.
        relation: Relation,
        /// Which offer it matches.
        other: usize,
    },
    /// Two versions of one package.
    OneVersion,
    /// A lesson: its story is in [`Solver::story`].
    Learned(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) offer: usize,
    pub(super) installed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Clause {
    pub(super) origin: Origin,
    pub(super) literals: Vec<Literal>,
}

/// What is known of an offer at this point of the search.
#[derive(Clone, Copy, Debug)]
struct Assigned {
    installed: bool,
    level: usize,
    /// The clause that forced it, or that it was decided for.
    clause: usize,
    decided: bool,
}

pub(super) enum Outcome {
    Solved,
    Unsatisfiable(Vec<Line>),
    TooHard { tries: usize, story: Vec<Line> },
}

pub(super) struct Solver<'a> {
    universe: Universe<'a>,
    clauses: Vec<Clause>,
    /// Clauses by offer.
    occurs: Vec<Vec<usize>>,
    /// Offers whose clauses exist.
    expanded: Vec<bool>,
    assigned: Vec<Option<Assigned>>,
    trail: Vec<usize>,
    /// How much of the trail has been propagated.
    head: usize,
    level: usize,
    stories: Vec<Vec<Line>>,
}

impl<'a> Solver<'a> {
    pub(super) fn new(universe: Universe<'a>) -> Result<Self, ResolveError> {
        Ok(Self {
            universe,
            clauses: Vec::new(),
            occurs: Vec::new(),
            expanded: Vec::new(),
            assigned: Vec::new(),
            trail: Vec::new(),
            head: 0,
            level: 0,
            stories: Vec::new(),
        })
    }

    pub(super) fn universe(&self) -> &Universe<'a> {
        &self.universe
    }

    pub(super) fn clause(&self, id: usize) -> &Clause {
        &self.clauses[id]
    }

    pub(super) fn story(&self, id: usize) -> &[Line] {
        &self.stories[id]
    }

    /// Whether the offer is installed, if that is known.
    pub(super) fn value(&self, offer: usize) -> Option<bool> {
        self.assigned.get(offer).copied().flatten().map(|assigned| assigned.installed)
    }

    /// The clause that an offer's value comes from.
    pub(super) fn cause(&self, offer: usize) -> Option<usize> {
        self.assigned.get(offer).copied().flatten().map(|assigned| assigned.clause)
    }

    /// The installed offers that need `offer`, as far as something else does not serve them.
    pub(super) fn dependants(&self, offer: usize) -> impl Iterator<Item = usize> + '_ {
        self.occurs.get(offer).into_iter().flatten().filter_map(move |clause| match self.clauses.get(*clause)?.origin {
            Origin::Depends { owner, .. } if owner != offer && self.value(owner) == Some(true) => Some(owner),
            _ => None,
        })
    }

    /// The installed offers, in the order in which they were chosen.
    pub(super) fn chosen(&self) -> impl Iterator<Item = usize> + '_ {
        self.trail.iter().copied().filter(|offer| self.value(*offer) == Some(true))
    }

    /// Every root and every dependency of an installed offer, and the first listed offer that satisfies it.
    pub(super) fn satisfied(&self) -> impl Iterator<Item = (&Origin, usize)> {
        self.clauses.iter().filter(|clause| self.is_active(clause)).filter_map(|clause| {
            let literal =
                clause.literals.iter().find(|literal| literal.installed && self.holds(**literal) == Some(true))?;
            Some((&clause.origin, literal.offer))
        })
    }

    /// Runs to the end.
    pub(super) fn run(&mut self) -> Result<Outcome, ResolveError> {
        let mut conflict = self.add_roots()?;
        loop {
            if conflict.is_none() {
                conflict = self.propagate()?;
            }
            match conflict.take() {
                Some(clause) => {
                    let decisions = self.decisions_behind(clause);
                    let story = explain::conflict(self, clause, decisions.last().map(|(_, offer)| *offer));
                    if decisions.is_empty() {
                        return Ok(Outcome::Unsatisfiable(story));
                    }
                    if self.stories.len() == MAX_CONFLICTS {
                        return Ok(Outcome::TooHard { tries: MAX_CONFLICTS, story });
                    }
                    conflict = self.learn(decisions, story);
                }
                None => match self.next_decision() {
                    Some((offer, clause)) => {
                        self.level += 1;
                        self.assign(Literal { offer, installed: true }, clause, true);
                    }
                    None => return Ok(Outcome::Solved),
                },
            }
        }
    }

    /// Adds the clauses of the roots; returns one that is violated.
    fn add_roots(&mut self) -> Result<Option<usize>, ResolveError> {
        for root in 0..self.universe.roots().len() {
            let architecture = self.universe.request().architecture;
            let mut offers: Vec<usize> = Vec::new();
            for relation in self.universe.roots()[root].wanted.clone().0 {
                if relation.applies_to(architecture) {
                    offers.extend(self.universe.matching(&relation)?);
                }
            }
            let literals = offers.into_iter().map(|offer| Literal { offer, installed: true }).collect();
            if let Some(violated) = self.add(Clause { origin: Origin::Root(root), literals }) {
                return Ok(Some(violated));
            }
        }
        Ok(None)
    }

    /// Draws every consequence; returns a clause that is violated.
    fn propagate(&mut self) -> Result<Option<usize>, ResolveError> {
        while let Some(offer) = self.trail.get(self.head).copied() {
            self.head += 1;
            if self.value(offer) == Some(true) && !self.expanded[offer] {
                self.expanded[offer] = true;
                if let Some(violated) = self.expand(offer)? {
                    return Ok(Some(violated));
                }
            }
            for position in 0..self.occurs[offer].len() {
                if let Some(violated) = self.examine(self.occurs[offer][position]) {
                    return Ok(Some(violated));
                }
            }
        }
        Ok(None)
    }

    /// Adds the clauses that follow from installing `owner`; returns one that is violated. All of them are added in any
    /// case: an offer is expanded once.
    fn expand(&mut self, owner: usize) -> Result<Option<usize>, ResolveError> {
        let candidate = self.universe.offer(owner).candidate.clone();
        let architecture = self.universe.request().architecture;
        let no = Literal { offer: owner, installed: false };
        let mut violated = None;
        for (field, group) in dependencies(&candidate) {
            let counting: Vec<&Relation> =
                group.0.iter().filter(|relation| relation.applies_to(architecture)).collect();
            if counting.is_empty() || counting.iter().any(|relation| self.universe.is_stood_in(&relation.name)) {
                continue;
            }
            let mut literals = vec![no];
            for relation in counting {
                for offer in self.universe.matching(relation)? {
                    let yes = Literal { offer, installed: true };
                    if !literals.contains(&yes) {
                        literals.push(yes);
                    }
                }
            }
            // A package that provides what it depends on satisfies itself.
            if literals.iter().skip(1).all(|literal| literal.offer != owner) {
                let origin = Origin::Depends { owner, field, alternatives: group.clone() };
                violated = violated.or(self.add(Clause { origin, literals }));
            }
        }
        for (field, groups) in [("Conflicts", &candidate.conflicts), ("Breaks", &candidate.breaks)] {
            for relation in groups.iter().flat_map(|group| &group.0) {
                if !relation.applies_to(architecture) || self.universe.is_stood_in(&relation.name) {
                    continue;
                }
                for other in self.universe.matching(relation)? {
                    // A package does not conflict with itself by what it provides (Policy 7.4).
                    if self.universe.offer(other).candidate.name == candidate.name {
                        continue;
                    }
                    let origin = Origin::Clash { owner, field, relation: relation.clone(), other };
                    let literals = vec![no, Literal { offer: other, installed: false }];
                    violated = violated.or(self.add(Clause { origin, literals }));
                }
            }
        }
        Ok(violated)
    }

    /// Adds a clause, with what it says now; returns it when it is violated.
    fn add(&mut self, clause: Clause) -> Option<usize> {
        self.make_room();
        let id = self.clauses.len();
        for literal in &clause.literals {
            self.occurs[literal.offer].push(id);
        }
        self.clauses.push(clause);
        self.examine(id)
    }

    /// Gives new offers their place, and forbids two versions of one package.
    fn make_room(&mut self) {
        let known = self.occurs.len();
        self.occurs.resize(self.universe.offers(), Vec::new());
        self.expanded.resize(self.universe.offers(), false);
        self.assigned.resize(self.universe.offers(), None);
        for offer in known.max(1)..self.universe.offers() {
            // The offers of one name are numbered in a row, and there are at most two.
            if self.universe.offer(offer - 1).candidate.name == self.universe.offer(offer).candidate.name {
                let literals = [offer - 1, offer].map(|offer| Literal { offer, installed: false }).to_vec();
                let id = self.clauses.len();
                self.occurs[offer - 1].push(id);
                self.occurs[offer].push(id);
                self.clauses.push(Clause { origin: Origin::OneVersion, literals });
            }
        }
    }

    fn holds(&self, literal: Literal) -> Option<bool> {
        self.value(literal.offer).map(|installed| installed == literal.installed)
    }

    /// Assigns the only open literal of a clause that nothing else satisfies; returns the clause when it is violated.
    fn examine(&mut self, id: usize) -> Option<usize> {
        let mut open = None;
        for literal in &self.clauses[id].literals {
            match self.holds(*literal) {
                Some(true) => return None,
                Some(false) => {}
                None if open.is_some() => return None,
                None => open = Some(*literal),
            }
        }
        match open {
            Some(literal) => {
                self.assign(literal, id, false);
                None
            }
            None => Some(id),
        }
    }

    fn assign(&mut self, literal: Literal, clause: usize, decided: bool) {
        self.assigned[literal.offer] =
            Some(Assigned { installed: literal.installed, level: self.level, clause, decided });
        self.trail.push(literal.offer);
    }

    /// The decisions that a violated clause follows from, with their levels.
    fn decisions_behind(&self, violated: usize) -> Vec<(usize, usize)> {
        let mut seen = vec![false; self.assigned.len()];
        let mut decisions = Vec::new();
        let mut open: Vec<usize> = self.clauses[violated].literals.iter().map(|literal| literal.offer).collect();
        while let Some(offer) = open.pop() {
            let Some(assigned) = self.assigned[offer].filter(|_| !std::mem::replace(&mut seen[offer], true)) else {
                continue;
            };
            if assigned.decided {
                decisions.push((assigned.level, offer));
            } else {
                open.extend(self.clauses[assigned.clause].literals.iter().map(|literal| literal.offer));
            }
        }
        decisions.sort_unstable();
        decisions
    }

    /// Forbids `decisions`, of which there is at least one, together, and returns to where that is news.
    fn learn(&mut self, decisions: Vec<(usize, usize)>, story: Vec<Line>) -> Option<usize> {
        let back_to = decisions.iter().rev().nth(1).map_or(0, |(level, _)| *level);
        while let Some(offer) = self.trail.last().copied() {
            if self.assigned[offer].is_some_and(|assigned| assigned.level <= back_to) {
                break;
            }
            self.assigned[offer] = None;
            self.trail.pop();
        }
        self.level = back_to;
        self.head = self.head.min(self.trail.len());
        let literals = decisions.iter().map(|(_, offer)| Literal { offer: *offer, installed: false }).collect();
        self.stories.push(story);
        self.add(Clause { origin: Origin::Learned(self.stories.len() - 1), literals })
    }

    /// Whether a clause asks for something now: a root, or a dependency of an installed offer.
    fn is_active(&self, clause: &Clause) -> bool {
        match &clause.origin {
            Origin::Root(_) => true,
            Origin::Depends { owner, .. } => self.value(*owner) == Some(true),
            Origin::Clash { .. } | Origin::OneVersion | Origin::Learned(_) => false,
        }
    }

    /// What to install next, and for which clause: the best version of what has no alternative, else the first
    /// alternative of the oldest open clause. Without the first rule an alternative would be chosen before it is known
    /// that another one is installed anyway.
    fn next_decision(&self) -> Option<(usize, usize)> {
        let mut alternative = None;
        for (id, clause) in self.clauses.iter().enumerate() {
            let met = clause.literals.iter().any(|literal| self.holds(*literal) == Some(true));
            if met || !self.is_active(clause) {
                continue;
            }
            let mut open = clause.literals.iter().filter(|literal| self.holds(**literal).is_none());
            let Some(first) = open.next() else { continue };
            let name = |literal: &Literal| &self.universe.offer(literal.offer).candidate.name;
            if open.all(|literal| name(literal) == name(first)) {
                return Some((first.offer, id));
            }
            alternative = alternative.or(Some((first.offer, id)));
        }
        alternative
    }
}
