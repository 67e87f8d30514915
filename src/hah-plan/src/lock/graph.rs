//! The dependency graph of a lock: `why` reads it from a package to those who asked, `tree` from those who asked down.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use crate::debian::{PackageName, Version};
use crate::resolve::SuiteReason;

use super::{Lock, LockedArtifact, LockedNeed, LockedPackage, Trust};

/// Most lines of a tree. Repeated branches are cut, so that a tree has about as many lines as there are dependencies.
const MAX_TREE: usize = 100_000;

/// Why a package is in an image: who asks for what, and the dependencies from there to the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Which image.
    pub image: String,
    /// `recipe base`, `board virt`, `essential`.
    pub asker: String,
    /// What is asked for: the first package of the way.
    pub asked: PackageName,
    /// The way: whose dependency, and which. Empty when the package itself is asked for.
    pub links: Vec<(PackageName, LockedNeed)>,
    /// The package.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// The suite that it comes from.
    pub suite: String,
    /// Why it is from that suite, when that is no matter of course.
    pub suite_why: BTreeSet<SuiteReason>,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (image {}): ", self.package, self.version, self.image)?;
        match self.asker.as_str() {
            "essential" => write!(f, "{} is essential", self.asked)?,
            asker => write!(f, "{asker} asks for {}", self.asked)?,
        }
        for (position, (dependant, need)) in self.links.iter().enumerate() {
            write!(f, "\n{:indent$}{dependant} {need}", "", indent = 2 + 2 * position)?;
        }
        for reason in &self.suite_why {
            write!(f, "\n  from {}: {reason}", self.suite)?;
        }
        Ok(())
    }
}

/// One line of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeLine {
    /// 0 for those who ask, 1 for what they ask for, and so on.
    pub depth: usize,
    /// Who asks, or the package's name.
    pub name: String,
    /// The package's or artifact's version; none for those who ask.
    pub version: Option<String>,
    /// Whether its dependencies are not shown because they have been shown above.
    pub repeated: bool,
    /// Whether it is the last of its siblings.
    pub last: bool,
}

/// The packages of an image by who asked for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its lines, parents before children.
    pub lines: Vec<TreeLine>,
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whether the branch at each depth goes on below.
        let mut open: Vec<bool> = Vec::new();
        for line in &self.lines {
            open.truncate(line.depth);
            for (depth, goes_on) in open.iter().enumerate().skip(1) {
                f.write_str(match (depth, goes_on) {
                    (_, true) => "│   ",
                    (_, false) => "    ",
                })?;
            }
            if line.depth > 0 {
                f.write_str(if line.last { "└── " } else { "├── " })?;
            }
            f.write_str(&line.name)?;
            if let Some(version) = &line.version {
                write!(f, " {version}")?;
            }
            writeln!(f, "{}", if line.repeated { " (*)" } else { "" })?;
            open.push(!line.last);
        }
        Ok(())
    }
}

/// The packages of one image.
struct Graph<'a> {
    packages: BTreeMap<&'a PackageName, &'a LockedPackage>,
    askers: &'a BTreeSet<String>,
}

impl<'a> Graph<'a> {
    fn of(lock: &'a Lock, image: &'a str) -> Option<Self> {
        let askers = &lock.image(image)?.askers;
        Some(Self { packages: lock.packages_of(image).map(|package| (&package.name, package)).collect(), askers })
    }

    fn asked_by(&self, asker: &str) -> Vec<&'a PackageName> {
        let asked = self.packages.iter().filter(|(_, package)| package.why.contains(asker));
        asked.map(|(name, _)| *name).collect()
    }

    /// The dependencies of a package that are in this image, one of each package.
    fn needs(&self, name: &PackageName) -> Vec<&'a LockedNeed> {
        let mut seen = BTreeSet::new();
        let all = self.packages.get(name).into_iter().flat_map(|package| &package.needs);
        all.filter(|need| self.packages.contains_key(&need.package) && seen.insert(&need.package)).collect()
    }
}

/// An artifact of an image, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactReason<'a> {
    /// Which image.
    pub image: &'a str,
    /// Who asks: `recipe nomad`.
    pub asker: &'a str,
    /// The artifact.
    pub artifact: &'a LockedArtifact,
}

impl fmt::Display for ArtifactReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, asker, artifact } = self;
        write!(f, "{} {} (image {image}): {asker} has it as an artifact, ", artifact.name, artifact.version)?;
        match &artifact.trust {
            Trust::Signed { key, fingerprint } => write!(f, "signed by {key} ({fingerprint})"),
            Trust::Unsigned(method) => write!(f, "unsigned: {}", method.unsigned_because().unwrap_or_default()),
        }
    }
}

impl Lock {
    /// Why the artifact `name` is there, for each image that has one of that name.
    pub fn why_artifact<'a>(&'a self, name: &str) -> Vec<ArtifactReason<'a>> {
        let named = self.artifacts().iter().filter(|artifact| artifact.name == name);
        let reasons = named.flat_map(|artifact| {
            artifact
                .images
                .iter()
                .flat_map(move |image| artifact.why.iter().map(move |asker| ArtifactReason { image, asker, artifact }))
        });
        reasons.collect()
    }

    /// Why `package` is there: for each image and each asker that leads to it the shortest way.
    pub fn why(&self, package: &PackageName) -> Vec<Chain> {
        let mut chains = Vec::new();
        for image in self.images() {
            let Some(graph) = Graph::of(self, &image.name) else { continue };
            let Some(found) = graph.packages.get(package) else { continue };
            for asker in graph.askers {
                if let Some((asked, links)) = shortest(&graph, asker, package) {
                    chains.push(Chain {
                        image: image.name.clone(),
                        asker: asker.clone(),
                        asked,
                        links,
                        package: package.clone(),
                        version: found.version.clone(),
                        suite: found.suite.clone(),
                        suite_why: found.suite_why.clone(),
                    });
                }
            }
        }
        chains
    }

    /// The packages of an image, by who asked for them, down to `depth` levels of dependencies.
    /// None when the lock has no such image.
    pub fn tree(&self, image: &str, depth: usize) -> Option<Tree> {
        let graph = Graph::of(self, image)?;
        let mut lines = Vec::new();
        let mut shown = BTreeSet::new();
        let artifacts: Vec<&LockedArtifact> = self.artifacts_of(image).collect();
        let askers = artifacts.iter().flat_map(|artifact| &artifact.why).chain(graph.askers);
        for asker in askers.collect::<BTreeSet<_>>() {
            lines.push(TreeLine { depth: 0, name: asker.clone(), version: None, repeated: false, last: false });
            // A stack instead of recursion: the depth is the archive's choice.
            let mut open: Vec<(usize, &PackageName, bool)> = Vec::new();
            let asked: Vec<&LockedArtifact> =
                artifacts.iter().copied().filter(|artifact| artifact.why.contains(asker)).collect();
            push_level(&mut open, 1, graph.asked_by(asker));
            if let (false, Some((.., last))) = (asked.is_empty(), open.first_mut()) {
                *last = false;
            }
            while let Some((level, name, last)) = open.pop() {
                let Some(package) = graph.packages.get(name) else { continue };
                let needs: Vec<&PackageName> = match level > depth {
                    true => Vec::new(),
                    false => graph.needs(name).into_iter().map(|need| &need.package).collect(),
                };
                let repeated = !needs.is_empty() && !shown.insert(name);
                let version = Some(package.version.to_string());
                lines.push(TreeLine { depth: level, name: name.to_string(), version, repeated, last });
                if !repeated {
                    push_level(&mut open, level + 1, needs);
                }
                if lines.len() >= MAX_TREE {
                    return Some(Tree { lines });
                }
            }
            lines.extend(asked.iter().enumerate().map(|(position, artifact)| TreeLine {
                depth: 1,
                name: format!("{} (artifact)", artifact.name),
                version: Some(artifact.version.clone()),
                repeated: false,
                last: position + 1 == asked.len(),
            }));
        }
        Some(Tree { lines })
    }
}

/// Pushes siblings so that they are popped in order.
fn push_level<'a>(open: &mut Vec<(usize, &'a PackageName, bool)>, level: usize, names: Vec<&'a PackageName>) {
    let count = names.len();
    open.extend(names.into_iter().enumerate().rev().map(|(position, name)| (level, name, position + 1 == count)));
}

/// What is asked for, and the dependencies from there.
type Way = (PackageName, Vec<(PackageName, LockedNeed)>);

/// The shortest way from what `asker` asks for to `package`; of equals the first in name order.
fn shortest(graph: &Graph<'_>, asker: &str, package: &PackageName) -> Option<Way> {
    let mut from: BTreeMap<&PackageName, Option<(&PackageName, &LockedNeed)>> = BTreeMap::new();
    let mut open = VecDeque::new();
    for name in graph.asked_by(asker) {
        from.insert(name, None);
        open.push_back(name);
    }
    while let Some(name) = open.pop_front() {
        if name == package {
            break;
        }
        for need in graph.needs(name) {
            if !from.contains_key(&need.package) {
                from.insert(&need.package, Some((name, need)));
                open.push_back(&need.package);
            }
        }
    }
    let mut links = Vec::new();
    let mut at = package;
    while let Some((dependant, need)) = from.get(at)? {
        links.push(((*dependant).clone(), (*need).clone()));
        at = dependant;
    }
    links.reverse();
    Some((at.clone(), links))
}
