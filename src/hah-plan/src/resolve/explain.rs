//! The story of a failure: who asked, through which dependencies, and why each candidate is out.
//!
//! ```text
//! recipe base asks for foo
//!   foo 1.0 (trixie) Depends: bar (>= 2) | baz
//!     bar (>= 2): trixie has 1.5
//!     baz 3 (trixie) Conflicts: qux
//!       qux 1 (trixie) is needed:
//!         recipe web asks for qux
//! ```

use std::collections::BTreeSet;
use std::fmt;

use crate::debian::PackageName;
use crate::debian::relation::{Alternatives, Qualifier, Relation};

use super::Asker;
use super::solver::{Clause, Literal, Origin, Solver};
use super::universe::Had;

/// Most lines of a story.
const MAX_LINES: usize = 40;
/// Deepest indentation.
const MAX_DEPTH: usize = 14;
/// Most steps that a chain shows before it leaves out its middle.
const MAX_CHAIN: usize = 8;

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Indentation level.
    pub depth: usize,
    /// What it says.
    pub text: String,
    /// What the reader could do about it.
    pub advice: Option<Advice>,
}

/// A way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The package is in a suite that serves pinned packages only, or that is not automatic.
    Pin {
        /// Which package.
        package: PackageName,
        /// Which suite.
        suite: String,
    },
    /// There is a package of a similar name.
    Spelling(String),
    /// Two recipes ask for packages that exclude each other: who, and for what.
    Exclude([(Asker, PackageName); 2]),
}

/// What to do about a story.
pub(super) fn hint(story: &[Line]) -> String {
    match story.iter().find_map(|line| line.advice.as_ref()) {
        Some(Advice::Pin { package, suite }) => format!(
            "if you mean to take {package} from {suite}, ask for it in a recipe: {{ name = \"{package}\", suite = \"{suite}\" }}"
        ),
        Some(Advice::Spelling(name)) => format!("did you mean `{name}`?"),
        Some(Advice::Exclude([(first, one), (second, other)])) => format!(
            "leave out {first}, which brings {one}, or {second}, which brings {other}; a recipe may have a parameter that chooses"
        ),
        None => "drop one of the packages that the recipes ask for, or pin one to another suite".to_owned(),
    }
}

/// Writes lines with their indentation.
pub(super) struct Story<'a>(pub(super) &'a [Line]);

impl fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, line) in self.0.iter().enumerate() {
            let end = if position == 0 { "" } else { "\n" };
            write!(f, "{end}{:indent$}{}", "", line.text, indent = 2 + 2 * line.depth)?;
        }
        Ok(())
    }
}

/// Why the clause `violated` cannot hold, at this point of the search. The story begins at the offer `tried`, when there is
/// one: what led to it is told where the story is used.
pub(super) fn conflict(solver: &Solver<'_>, violated: usize, tried: Option<usize>) -> Vec<Line> {
    let mut teller =
        Teller { solver, tried, lines: Vec::new(), told: BTreeSet::new(), needed: tried.into_iter().collect() };
    let clause = solver.clause(violated);
    match &clause.origin {
        Origin::Root(root) => {
            let wanted = solver.universe().roots()[*root].wanted.clone();
            let relation = Relation::to(solver.universe().roots()[*root].name.clone());
            teller.say(0, teller.root(*root));
            let unknown = teller.solver.universe().available(&relation.name) == (Vec::new(), Vec::new());
            let similar = teller.solver.universe().similar(&relation.name).filter(|_| unknown);
            teller.why_none(&wanted, &clause.literals, 1);
            if let (Some(name), Some(line)) = (similar, teller.lines.last_mut()) {
                line.advice = Some(Advice::Spelling(name.to_owned()));
            }
        }
        Origin::Depends { owner, alternatives, .. } => {
            let depth = teller.chain(*owner, 0);
            teller.say(depth, teller.step(&clause.origin));
            teller.why_none(alternatives, &clause.literals, depth + 1);
        }
        Origin::Clash { owner, other, .. } => {
            let depth = teller.chain(*owner, 0);
            teller.clash(depth, teller.step(&clause.origin), [*owner, *other]);
            teller.needed(*other, depth + 1);
        }
        Origin::OneVersion => clause.literals.iter().for_each(|literal| teller.needed(literal.offer, 0)),
        Origin::Learned(story) => teller.lines.extend_from_slice(solver.story(*story)),
    }
    teller.lines
}

struct Teller<'s, 'a> {
    solver: &'s Solver<'a>,
    /// Where chains begin.
    tried: Option<usize>,
    lines: Vec<Line>,
    /// Offers whose failure has been told.
    told: BTreeSet<usize>,
    /// Offers whose need has been told.
    needed: BTreeSet<usize>,
}

impl Teller<'_, '_> {
    fn say(&mut self, depth: usize, text: String) {
        self.line(Line { depth, text, advice: None });
    }

    /// Says that two offers exclude each other, with advice when two who are not the same want them.
    fn clash(&mut self, depth: usize, text: String, offers: [usize; 2]) {
        let [first, second] = offers.map(|offer| self.wanted_by(offer));
        let advice = match (first, second) {
            (Some(first), Some(second)) if first.0 != second.0 => Some(Advice::Exclude([first, second])),
            _ => None,
        };
        self.line(Line { depth, text, advice });
    }

    /// The recipe that the offer is there for, and what it asks for by name.
    fn wanted_by(&self, offer: usize) -> Option<(Asker, PackageName)> {
        let mut seen = BTreeSet::new();
        let mut at = Some(offer);
        while let Some(offer) = at.filter(|offer| seen.insert(*offer)) {
            let root = self.solver.universe().roots().iter().find(|root| {
                root.name == self.solver.universe().offer(offer).candidate.name
                    && matches!(root.asker, Asker::Recipe(_))
            });
            if let Some(root) = root {
                return Some((root.asker.clone(), root.name.clone()));
            }
            at = match self.solver.cause(offer).map(|clause| &self.solver.clause(clause).origin) {
                Some(Origin::Depends { owner, .. }) if *owner != offer => Some(*owner),
                _ => self.solver.dependants(offer).next(),
            };
        }
        None
    }

    fn line(&mut self, line: Line) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        } else if self.lines.len() == MAX_LINES {
            self.lines.push(Line { depth: 0, text: "…".to_owned(), advice: None });
        }
    }

    fn offer(&self, id: usize) -> String {
        let offer = self.solver.universe().offer(id);
        let suite = self.solver.universe().suite_name(offer.suite);
        format!("{} {} ({suite})", offer.candidate.name, offer.candidate.version)
    }

    fn root(&self, root: usize) -> String {
        let universe = self.solver.universe();
        let root = &universe.roots()[root];
        match universe.pin_of(&root.name) {
            Some((suite, asker)) if *asker == root.asker => {
                format!("{} asks for {} from {suite}", root.asker, root.name)
            }
            _ if root.asker == Asker::Essential => format!("{} is essential", root.name),
            _ => format!("{} asks for {}", root.asker, root.name),
        }
    }

    /// What a clause says.
    fn step(&self, origin: &Origin) -> String {
        match origin {
            Origin::Root(root) => self.root(*root),
            Origin::Depends { owner, field, alternatives } => format!("{} {field}: {alternatives}", self.offer(*owner)),
            Origin::Clash { owner, field, relation, .. } => format!("{} {field}: {relation}", self.offer(*owner)),
            Origin::OneVersion | Origin::Learned(_) => String::new(),
        }
    }

    /// The way from a recipe to the installed `offer`, one step a line, each one deeper; returns the next depth.
    fn chain(&mut self, offer: usize, depth: usize) -> usize {
        // Clauses, and which of their literals they led to.
        let mut steps: Vec<(&Clause, usize)> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut at = Some(offer);
        while let Some(offer) = at.filter(|offer| self.tried != Some(*offer) && seen.insert(*offer)) {
            let Some(clause) = self.solver.cause(offer).map(|clause| self.solver.clause(clause)) else { break };
            steps.push((clause, offer));
            at = match clause.origin {
                Origin::Depends { owner, .. } => Some(owner),
                _ => None,
            };
        }
        steps.reverse();
        let left_out = steps.len().saturating_sub(MAX_CHAIN);
        let gap = MAX_CHAIN / 2..MAX_CHAIN / 2 + left_out;
        let mut depth = depth;
        for (position, (clause, offer)) in steps.into_iter().enumerate() {
            if !gap.contains(&position) {
                self.say(depth, self.step(&clause.origin));
                depth += 1;
                if let Origin::Depends { alternatives, .. } = &clause.origin {
                    self.why_not_earlier(alternatives, &clause.literals, (offer, depth));
                }
            } else if position == gap.start {
                self.say(depth, format!("… {left_out} more"));
                depth += 1;
            }
        }
        depth
    }

    /// Why the alternatives before `chosen` were passed over, when it is not the first.
    fn why_not_earlier(&mut self, alternatives: &Alternatives, literals: &[Literal], (chosen, depth): (usize, usize)) {
        let universe = self.solver.universe();
        let serves = |relation: &&Relation| universe.satisfies(&universe.offer(chosen).candidate, relation);
        let passed_over = alternatives.0.iter().take_while(|relation| !serves(relation)).cloned().collect::<Vec<_>>();
        self.why_none(&Alternatives(passed_over), literals, depth);
    }

    /// Who needs the installed `offer`; told once.
    fn needed(&mut self, offer: usize, depth: usize) {
        if self.needed.insert(offer) {
            self.say(depth, format!("{} is needed:", self.offer(offer)));
            self.chain(offer, depth + 1);
        }
    }

    /// Why nothing satisfies `alternatives`, of which `literals` are the offers that would.
    fn why_none(&mut self, alternatives: &Alternatives, literals: &[Literal], depth: usize) {
        let architecture = self.solver.universe().request().architecture;
        for relation in alternatives.0.iter().filter(|relation| relation.applies_to(architecture)) {
            let offers: Vec<usize> =
                literals.iter().filter(|literal| literal.installed).map(|literal| literal.offer).collect();
            let universe = self.solver.universe();
            let matching: Vec<usize> =
                offers.into_iter().filter(|id| universe.satisfies(&universe.offer(*id).candidate, relation)).collect();
            if matching.is_empty() {
                self.missing(relation, depth);
            }
            for offer in matching {
                self.why_not(offer, depth);
            }
        }
    }

    /// Why `offer` cannot be installed.
    fn why_not(&mut self, offer: usize, depth: usize) {
        let name = self.offer(offer);
        if self.lines.len() > MAX_LINES {
            return;
        }
        if depth > MAX_DEPTH || !self.told.insert(offer) {
            self.say(depth, format!("{name} cannot be installed, as told"));
            return;
        }
        let Some(clause) = self.solver.cause(offer).map(|clause| self.solver.clause(clause)) else {
            self.say(depth, name);
            return;
        };
        match &clause.origin {
            Origin::Depends { alternatives, .. } => {
                self.say(depth, self.step(&clause.origin));
                self.why_none(alternatives, &clause.literals, depth + 1);
            }
            Origin::Clash { owner, other, .. } if *owner == offer => {
                self.clash(depth, self.step(&clause.origin), [*owner, *other]);
                self.needed(*other, depth + 1);
            }
            Origin::Clash { owner, other, .. } => {
                let text = format!("{name} is excluded by {}", self.step(&clause.origin));
                self.clash(depth, text, [*owner, *other]);
                self.needed(*owner, depth + 1);
            }
            Origin::OneVersion => {
                self.say(depth, format!("{name} is not the version that is needed elsewhere"));
                let other = clause.literals.iter().map(|literal| literal.offer).find(|other| *other != offer);
                if let Some(other) = other {
                    self.needed(other, depth + 1);
                }
            }
            Origin::Learned(story) => {
                let story = self.solver.story(*story);
                // A story that begins with this offer needs no heading.
                let begins = story.first().is_some_and(|line| line.text.starts_with(&format!("{name} ")));
                let deeper = if begins {
                    depth
                } else {
                    self.say(depth, format!("{name} leads to a contradiction:"));
                    depth + 1
                };
                for line in story {
                    let mut line = line.clone();
                    line.depth = (line.depth + deeper).min(MAX_DEPTH + MAX_CHAIN);
                    self.line(line);
                }
            }
            Origin::Root(_) => self.say(depth, name),
        }
    }

    /// Why no offer matches `relation` at all.
    fn missing(&mut self, relation: &Relation, depth: usize) {
        let universe = self.solver.universe();
        let (default, pin_only) = universe.available(&relation.name);
        let has = |had: &Had| format!("{} has {}", universe.suite_name(had.suite), had.version);
        let (mut says, mut advice) = (Vec::new(), None);
        if let Some((suite, asker)) = universe.pin_of(&relation.name) {
            says.push(format!("{asker} pins it to {suite}"));
            says.extend(default.iter().chain(&pin_only).map(has));
        } else if let Some((suite, reason)) = universe.follower(&relation.name) {
            says.push(format!("it is taken from {suite} for {reason}"));
            says.extend(default.iter().chain(&pin_only).map(has));
        } else {
            says.extend(default.iter().map(has));
            for had in &pin_only {
                let suite = universe.suite_name(had.suite);
                if relation.admits(&had.version) {
                    says.push(match universe.priority(had.suite) {
                        None => format!("{}, but serves only packages that a recipe pins to it", has(had)),
                        Some(_) => format!("{}, but is not automatic: a recipe must pin a package to it", has(had)),
                    });
                    advice = Some(Advice::Pin { package: relation.name.clone(), suite: suite.to_owned() });
                } else {
                    says.push(has(had));
                }
            }
        }
        let providers = universe.providers_of(&relation.name);
        if !providers.is_empty() {
            let why = if relation.constraint.is_some() { "not in that version" } else { "not in the default suites" };
            says.push(format!("provided by {}, but {why}", providers.join(", ")));
        }
        let fits = default.first().is_some_and(|had| relation.admits(&had.version));
        match &relation.qualifier {
            Some(Qualifier::Architecture(name)) if name != universe.request().architecture.as_str() => {
                says.push(format!("the image is {}", universe.request().architecture));
            }
            Some(Qualifier::Any) if fits => says.push("it is not `Multi-Arch: allowed`".to_owned()),
            _ => {}
        }
        if says.is_empty() {
            says.push("no suite has a package of that name".to_owned());
        }
        self.line(Line { depth, text: format!("{relation}: {}", says.join("; ")), advice });
    }
}
