//! Merging: unpacked packages become one root, as dpkg would have laid them down, and recipes go on top.
//!
//! 1. **Aliases.** A path is led through the directory symlinks that packages ship (`/bin`, `/lib`, `/var/run`, …),
//!    so `/lib/x` and `/usr/lib/x` are one file, as they are on a system with merged `/usr`.
//! 2. **Diversions** move a path of every package but the diverting one (dpkg-divert(1)).
//! 3. **One owner.** Directories are shared, and the first package in order of name decides their mode and owner.
//!    Anything else that two packages ship is an error that names both, even when the bytes agree,
//!    unless one declares `Replaces` on the other (Debian Policy 7.6.1).
//! 4. **Artifacts** add what their recipes install. A file of a package in the same place is an error: of a program there is one.
//! 5. **Recipes** place files, directories and links over what is there; last, so a recipe replaces a conffile knowingly.
//!
//! [`remove`] comes later: maintainer scripts may want what the recipes do without.
//!
//! Hard links stay valid throughout: when the first name of a file goes, the next one becomes the file.

use std::collections::BTreeSet;

use hah_format::path::{PathError, TreePath};
use hah_format::tree::{Kind, Meta, Node, Owner, TreeError};

use crate::debian::PackageName;
use crate::effects::{Diversion, Sourced};
use crate::rootfs::{Content, Root, UnpackedArtifact, UnpackedPackage};
use crate::system::{RemoveSpec, System};

mod alias;
mod provenance;
mod replaces;

pub use provenance::{Origin, Provenance};

use alias::Aliases;
use replaces::Replacements;

/// Something that a recipe places in the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where, as the recipe spells it (aliases allowed).
    pub path: TreePath,
    /// What.
    pub node: Node<Content>,
    /// The recipe, for provenance.
    pub recipe: Box<str>,
}

/// What is merged.
#[derive(Clone, Copy, Debug)]
pub struct Ingredients<'a> {
    /// Packages; their order does not matter.
    pub packages: &'a [UnpackedPackage],
    /// Diversions that the packages' scripts declare.
    pub diversions: &'a [Sourced<Diversion>],
    /// Paths to do without. They go when the maintainer scripts have run ([`remove`]); what an artifact has at one takes
    /// its place.
    pub removes: &'a [RemoveSpec],
    /// Programs that are no packages.
    pub artifacts: &'a [UnpackedArtifact],
    /// What recipes place, later ones over earlier ones.
    pub placed: &'a [Placed],
}

/// A merged root.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The tree.
    pub root: Root,
    /// Where each path came from.
    pub provenance: Provenance,
}

/// Why packages do not make one root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Two packages ship one path.
    #[error("{path} is in both {first} and {second}, and neither replaces nor diverts the other's")]
    Conflict {
        /// The path, aliases resolved.
        path: TreePath,
        /// One package.
        first: PackageName,
        /// The other.
        second: PackageName,
    },
    /// An artifact and a package have one path.
    #[error("{path} is in {other} and in the artifact {artifact}")]
    Artifact {
        /// The path, aliases resolved.
        path: TreePath,
        /// Who has it already.
        other: Origin,
        /// The artifact.
        artifact: String,
    },
    /// A package's file has no place to stand.
    #[error("{from}: {source}")]
    Tree {
        /// The package or recipe.
        from: Origin,
        /// Why.
        #[source]
        source: TreeError,
    },
    /// A hard link to something that is not a file of the same package.
    #[error("{package}: {path} is a hard link to {target}, which is not a file of that package")]
    DanglingHardLink {
        /// The package.
        package: PackageName,
        /// The link.
        path: TreePath,
        /// What it names.
        target: TreePath,
    },
    /// Directory symlinks form a loop or lead to an invalid path.
    #[error("{package}: the directory of {path} cannot be found: {reason}")]
    Alias {
        /// The package.
        package: PackageName,
        /// The path, as shipped.
        path: TreePath,
        /// Why.
        reason: String,
    },
    /// A diversion's path cannot be one.
    #[error("{package}: malformed diversion: {reason}")]
    Diversion {
        /// The package.
        package: PackageName,
        /// Why.
        reason: String,
    },
    /// dpkg would not take the control file of a package.
    #[error("the control file of {package}: {reason}")]
    Control {
        /// The package.
        package: PackageName,
        /// Why.
        reason: String,
    },
}

impl MergeError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Conflict { second, .. } => {
                format!("these two packages cannot be in one image; `hah-image why {second}` shows what asks for it")
            }
            Self::Artifact { artifact, .. } => {
                format!("drop the package, or install the artifact {artifact} elsewhere, for example below /usr/local")
            }
            Self::Tree { .. } => "two inputs disagree whether this is a directory; drop one of them".into(),
            Self::Diversion { .. } => "correct the reviewed entry of this package in recipes/debian".into(),
            Self::DanglingHardLink { .. } | Self::Alias { .. } | Self::Control { .. } => {
                "the package is malformed or damaged; try another version with `hah-image update PKG`".into()
            }
        }
    }
}

/// Merges packages and recipes into one root.
pub fn merge(ingredients: Ingredients<'_>) -> Result<Merged, MergeError> {
    let mut packages: Vec<&UnpackedPackage> = ingredients.packages.iter().collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    let mut merging = Merging {
        root: Root::new(),
        provenance: Provenance::default(),
        aliases: Aliases::of(&packages),
        replacements: Replacements::of(&packages)?,
        diversions: ingredients.diversions.iter().map(Detour::of).collect::<Result<_, _>>()?,
    };
    for package in packages {
        merging.add(package)?;
    }
    for artifact in ingredients.artifacts {
        merging.add_artifact(artifact, ingredients.removes)?;
    }
    for placed in ingredients.placed {
        merging.place(placed)?;
    }
    Ok(Merged { root: merging.root, provenance: merging.provenance })
}

/// A root of all packages in which the first one in order of name has each path: good for a look, not for an image.
pub(crate) fn draft(packages: &[UnpackedPackage]) -> Root {
    let mut sorted: Vec<&UnpackedPackage> = packages.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let aliases = Aliases::of(&sorted);
    let mut root = Root::new();
    for (shipped, node) in sorted.iter().flat_map(|package| package.tree.iter()) {
        let Ok(path) = aliases.lead(shipped) else { continue };
        let is_link_already = node.is_dir() && aliases.is_alias(&path);
        if root.contains(&path) || is_link_already {
            continue;
        }
        // What has no place is refused when the packages are merged.
        let _ = root.insert(path, node.clone());
    }
    root
}

struct Merging<'a> {
    root: Root,
    provenance: Provenance,
    aliases: Aliases,
    replacements: Replacements,
    diversions: Vec<Detour<'a>>,
}

/// A diversion with its paths parsed.
struct Detour<'a> {
    by: &'a str,
    from: TreePath,
    to: TreePath,
}

impl<'a> Detour<'a> {
    fn of(diversion: &'a Sourced<Diversion>) -> Result<Self, MergeError> {
        let parse = |text: &str| {
            TreePath::parse(text).map_err(|error| MergeError::Diversion {
                package: diversion.package.clone(),
                reason: error.to_string(),
            })
        };
        let what = &diversion.what;
        Ok(Self { by: &what.package, from: parse(&what.path)?, to: parse(&what.to)? })
    }
}

impl Merging<'_> {
    fn add(&mut self, package: &UnpackedPackage) -> Result<(), MergeError> {
        // Hard links come second: their target is known then.
        let is_link = |node: &Node<Content>| matches!(node.kind, Kind::HardLink(_));
        for (shipped, node) in package.tree.iter().filter(|(_, node)| !is_link(node)) {
            let path = self.place_of(shipped, package)?;
            if node.is_dir() {
                self.add_directory(path, node, package)?;
            } else {
                self.add_other(path, node.clone(), package)?;
            }
        }
        for (shipped, node) in package.tree.iter() {
            let Kind::HardLink(target) = &node.kind else { continue };
            let path = self.place_of(shipped, package)?;
            let dangling = || MergeError::DanglingHardLink {
                package: package.name.clone(),
                path: path.clone(),
                target: target.clone(),
            };
            let Some(Kind::File(content)) = package.tree.get(target).map(|node| &node.kind) else {
                return Err(dangling());
            };
            let first = self.place_of(target, package)?;
            // Another package may have replaced the first name; then this one becomes a file of its own.
            let still_ours = self.provenance.package(&first) == Some(&package.name);
            let kind = if still_ours { Kind::HardLink(first) } else { Kind::File(content.clone()) };
            self.add_other(path, Node { meta: node.meta.clone(), kind }, package)?;
        }
        Ok(())
    }

    /// Where a package's path goes.
    fn place_of(&self, shipped: &TreePath, package: &UnpackedPackage) -> Result<TreePath, MergeError> {
        let alias = |error: PathError| MergeError::Alias {
            package: package.name.clone(),
            path: shipped.clone(),
            reason: error.to_string(),
        };
        let path = self.aliases.lead(shipped).map_err(alias)?;
        Ok(self
            .diversions
            .iter()
            .find(|detour| detour.by != package.name.as_str() && (detour.from == path || detour.from == *shipped))
            .map_or(path, |detour| detour.to.clone()))
    }

    fn add_directory(
        &mut self,
        path: TreePath,
        node: &Node<Content>,
        package: &UnpackedPackage,
    ) -> Result<(), MergeError> {
        match self.root.get(&path) {
            // A directory that another package ships as a symlink to a directory is that symlink (dpkg does the same).
            Some(found) if matches!(found.kind, Kind::Symlink(_)) && self.aliases.is_alias(&path) => Ok(()),
            // Made as a missing parent, or the root itself: nobody has decided its mode yet.
            Some(found) if found.is_dir() && self.provenance.origin(&path).is_some() => Ok(()),
            _ if self.aliases.is_alias(&path) => Ok(()),
            Some(found) if !found.is_dir() => {
                let first = self.provenance.package(&path).unwrap_or(&package.name).clone();
                Err(MergeError::Conflict { path, first, second: package.name.clone() })
            }
            _ => self.insert(path, node.clone(), Origin::Package(package.name.clone())),
        }
    }

    fn add_other(&mut self, path: TreePath, node: Node<Content>, package: &UnpackedPackage) -> Result<(), MergeError> {
        if let Some(Origin::Package(owner)) = self.provenance.origin(&path)
            && *owner != package.name
        {
            let owner = owner.clone();
            if self.replacements.replaces(&owner, &package.name) {
                return Ok(());
            }
            if !self.replacements.replaces(&package.name, &owner) {
                return Err(MergeError::Conflict { path, first: owner, second: package.name.clone() });
            }
            self.release(&path);
        }
        self.insert(path, node, Origin::Package(package.name.clone()))
    }

    fn insert(&mut self, path: TreePath, node: Node<Content>, origin: Origin) -> Result<(), MergeError> {
        self.root.insert(path.clone(), node).map_err(|source| MergeError::Tree { from: origin.clone(), source })?;
        self.provenance.claim(path, origin);
        Ok(())
    }

    fn add_artifact(&mut self, artifact: &UnpackedArtifact, removes: &[RemoveSpec]) -> Result<(), MergeError> {
        for (spelled, node) in artifact.tree.iter().filter(|(_, node)| !node.is_dir()) {
            let path = self.aliases.lead(spelled).unwrap_or_else(|_| spelled.clone());
            let gives_way = removes.iter().any(|remove| remove.removes(&path));
            if gives_way {
                self.release(&path);
            } else if let Some(other) = self.provenance.origin(&path) {
                let (other, artifact) = (other.clone(), artifact.name.clone());
                return Err(MergeError::Artifact { path, other, artifact });
            }
            self.insert(path, node.clone(), Origin::Artifact(artifact.name.as_str().into()))?;
        }
        Ok(())
    }

    /// Prepares for the file at `path` to go: when it has other names, the first of them becomes the file.
    fn release(&mut self, path: &TreePath) {
        release(&mut self.root, path);
    }

    fn place(&mut self, placed: &Placed) -> Result<(), MergeError> {
        let origin = Origin::Recipe(placed.recipe.clone());
        let path = self.aliases.lead(&placed.path).unwrap_or_else(|_| placed.path.clone());
        if !placed.node.is_dir() {
            self.release(&path);
        } else if let Some(found) = self.root.get(&path)
            && !found.is_dir()
        {
            let (parent, noun) = (path.clone(), found.kind.noun());
            return Err(MergeError::Tree { from: origin, source: TreeError::NotADirectory { path, parent, noun } });
        }
        self.insert(path, placed.node.clone(), origin)
    }
}

/// What the recipes place: directories first, so that files find their parents' modes decided.
pub fn placements(system: &System) -> Vec<Placed> {
    let meta = |mode: u16, user: &str, group: &str| Meta {
        user: Owner::parse(user),
        group: Owner::parse(group),
        ..Meta::root(mode)
    };
    let directories = system.directories.iter().map(|spec| Placed {
        path: spec.path.clone(),
        node: Node { meta: meta(spec.mode, &spec.user, &spec.group), kind: Kind::Dir },
        recipe: spec.recipe.as_str().into(),
    });
    let files = system.files.iter().map(|spec| Placed {
        path: spec.path.clone(),
        node: Node {
            meta: meta(spec.mode, &spec.user, &spec.group),
            kind: Kind::File(Content::inline(spec.bytes.clone())),
        },
        recipe: spec.recipe.as_str().into(),
    });
    let symlinks = system.symlinks.iter().map(|spec| Placed {
        path: spec.path.clone(),
        node: Node::symlink(&spec.target),
        recipe: spec.recipe.as_str().into(),
    });
    directories.chain(files).chain(symlinks).collect()
}

/// Removes what recipes do without. What a recipe has placed itself stays.
pub fn remove(root: &mut Root, provenance: &mut Provenance, removes: &[RemoveSpec]) {
    let (mut doomed, mut kept) = (Vec::new(), BTreeSet::new());
    for (path, _) in root.iter() {
        if removes.iter().any(|remove| remove.removes(path)) && !provenance.is_from_recipe(path) {
            doomed.push(path.clone());
        } else {
            kept.extend(path.ancestors());
        }
    }
    // Doomed names of files that stay go first, so that none of them can become the file.
    let is_link =
        |root: &Root, path: &TreePath| matches!(root.get(path).map(|node| &node.kind), Some(Kind::HardLink(_)));
    for path in doomed.iter().filter(|path| is_link(root, path)).cloned().collect::<Vec<_>>() {
        provenance.forget(&path);
        root.remove(&path);
    }
    let linked: BTreeSet<TreePath> = root
        .iter()
        .filter_map(|(_, node)| match &node.kind {
            Kind::HardLink(first) => Some(first.clone()),
            _ => None,
        })
        .collect();
    for path in doomed.iter().filter(|path| linked.contains(path)) {
        release(root, path);
    }
    for path in doomed.iter().filter(|path| !kept.contains(path)) {
        provenance.forget(path);
        root.remove(path);
    }
}

/// Before the file at `path` is removed or replaced: the first of its other names becomes the file, the rest follow it.
pub(crate) fn release(root: &mut Root, path: &TreePath) {
    let Some(Kind::File(content)) = root.get(path).map(|node| node.kind.clone()) else { return };
    let mut heir: Option<TreePath> = None;
    for (name, node) in root.iter_mut() {
        if !matches!(&node.kind, Kind::HardLink(target) if target == path) {
            continue;
        }
        node.kind = match &heir {
            None => {
                heir = Some(name.clone());
                Kind::File(content.clone())
            }
            Some(heir) => Kind::HardLink(heir.clone()),
        };
    }
}

#[cfg(test)]
mod tests;
