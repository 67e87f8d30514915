//! Configuration passes over a tree that the input describes as [`crate::sections`]: paths and contents.
//!
//! Paths below `DEBIAN/` are members of the one package's control archive. The system is a bare one on the board `virt`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use hah_format::digest::Sha256;
use hah_format::elf::{self, ElfFacts};
use hah_format::kmod::{self, ModuleFacts};
use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};
use hah_node::disk::DiskId;
use hah_plan::configure::{self, ImageIdentity, PASSES, Target};
use hah_plan::contents::{Contents, ContentsError};
use hah_plan::debian::{Architecture, PackageName};
use hah_plan::merge::Provenance;
use hah_plan::recipe::{self, Sources};
use hah_plan::rootfs::{Content, Root, UnpackedPackage};
use hah_plan::scripts::{
    self, Configuration, Effects, Manager, ReviewTable, ScriptError, Sourced, UnitAction, UnitEffect,
};
use hah_plan::system::System;
use hah_plan::world::{Budget, World};

use crate::sections;

/// Most files of an input.
const FILES_MAX: usize = 64;

/// The reviewed ids of users and groups.
pub static TABLE: LazyLock<ReviewTable> = LazyLock::new(|| {
    scripts::parse_table(&[("ids.toml", include_str!("../../recipes/debian/ids.toml"))]).unwrap_or_default()
});

/// The bare system.
static SYSTEM: LazyLock<System> = LazyLock::new(|| {
    let mut sources = Sources::new();
    sources.insert("recipes/boards/virt.toml", "virt", include_str!("../../recipes/boards/virt.toml"));
    sources.insert("recipes/none.toml", "none", "summary = \"Nothing.\"\n[[suite]]\nname = \"trixie\"\n");
    sources.insert("images/bare.toml", "bare", "summary = \"Bare.\"\nboard = \"virt\"\nrecipes = [\"none\"]\n");
    recipe::load(&sources, "bare", &[]).unwrap_or_else(|problems| panic!("{problems}"))
});

/// The files' bytes and what is known of them.
#[derive(Default)]
struct Kept {
    bytes: BTreeMap<Sha256, Vec<u8>>,
    elf: BTreeMap<Sha256, ElfFacts>,
    modules: BTreeMap<Sha256, ModuleFacts>,
}

impl Contents for Kept {
    fn read(&self, sha256: &Sha256) -> Result<Vec<u8>, ContentsError> {
        let missing = || ContentsError { sha256: *sha256, reason: "it is not there".to_owned() };
        self.bytes.get(sha256).cloned().ok_or_else(missing)
    }

    fn elf(&self, sha256: &Sha256) -> Option<&ElfFacts> {
        self.elf.get(sha256)
    }

    fn module(&self, sha256: &Sha256) -> Option<&ModuleFacts> {
        self.modules.get(sha256)
    }
}

/// A package of the input's files; `None` when it is more than 64 of them or one has no place.
pub fn package(input: &[u8]) -> Option<UnpackedPackage> {
    Some(unpack(input)?.0)
}

fn unpack(input: &[u8]) -> Option<(UnpackedPackage, Kept)> {
    let (mut tree, mut kept, mut control) = (Root::new(), Kept::default(), BTreeMap::new());
    let files = sections::split(input);
    if files.len() > FILES_MAX {
        return None;
    }
    for (name, bytes) in files {
        if let Some(member) = name.strip_prefix("DEBIAN/") {
            control.insert(member.to_owned(), bytes.to_vec());
            continue;
        }
        // `path -> target` is a symbolic link.
        let (name, target) = match name.split_once(" -> ") {
            Some((name, target)) => (name, Some(target)),
            None => (name, None),
        };
        let path = TreePath::parse(name).ok()?;
        let sha256 = Sha256::of(bytes);
        if let Some(facts) = kmod::inspect(path.as_str(), bytes) {
            kept.modules.insert(sha256, facts);
        } else if let Some(facts) = elf::inspect(bytes) {
            kept.elf.insert(sha256, facts);
        }
        kept.bytes.insert(sha256, bytes.to_vec());
        let node = match target {
            Some(target) if !target.is_empty() && !target.contains('\0') => Node::symlink(target),
            _ => Node::file(0o644, Content::Stored { sha256, size: bytes.len() as u64 }),
        };
        tree.insert(path, node).ok()?;
    }
    let name: PackageName = "fuzzed".parse().ok()?;
    let package =
        UnpackedPackage { name, version: "1".parse().ok()?, architecture: Architecture::Arm64, control, tree };
    Some((package, kept))
}

/// What the scripts of a package leave.
pub struct Evaluated {
    /// The tree.
    pub root: Root,
    /// What they asked for.
    pub effects: Effects,
    /// Those that could not be evaluated.
    pub errors: Vec<ScriptError>,
}

/// Evaluates the scripts of the input's package under a table of reviews, within a small budget.
pub fn scripts(input: &[u8], table: &ReviewTable) -> Option<Evaluated> {
    let (package, kept) = unpack(input)?;
    Some(evaluate(&[package], &kept, table))
}

fn evaluate(packages: &[UnpackedPackage], kept: &Kept, table: &ReviewTable) -> Evaluated {
    let mut world = World::new(packages[0].tree.clone(), Provenance::default(), kept, 1_767_225_600);
    world.packages = packages;
    world.effects.ids = table.ids.clone();
    world.budget = Budget { steps: 20_000, bytes: 8 << 20 };
    let done = scripts::install(&mut world, Configuration { reviews: table, choices: &[] });
    Evaluated { root: world.tree, effects: world.effects, errors: done.err().unwrap_or_default() }
}

/// Runs the named passes over the input's tree, twice from the start, and returns what came of it.
///
/// # Panics
/// When a pass panics, or the two runs differ.
pub fn run(input: &[u8], passes: &[&str]) -> Option<Root> {
    let (package, kept) = unpack(input)?;
    let packages = [package];
    let Evaluated { root: scripted, mut effects, .. } = evaluate(&packages, &kept, &TABLE);
    // Every unit that is shipped is asked for.
    for directory in ["usr/lib/systemd/system", "usr/lib/systemd/user"] {
        let manager = if directory.ends_with("user") { Manager::User } else { Manager::System };
        let directory = TreePath::parse(directory).ok()?;
        effects.units.extend(packages[0].tree.entries(&directory).map(|(path, _)| {
            let what = UnitEffect { manager, unit: path.name().into(), action: UnitAction::Enable };
            Sourced { what, package: packages[0].name.clone() }
        }));
    }
    let image =
        ImageIdentity { name: "fuzz".to_owned(), version: "1".to_owned(), id: Sha256::of(b""), disk: DiskId::Mbr(1) };
    let once = || {
        let mut target = Target {
            root: scripted.clone(),
            provenance: Provenance::default(),
            packages: &packages,
            system: &SYSTEM,
            effects: effects.clone(),
            reviews: &TABLE,
            contents: &kept,
            image: &image,
            epoch: 1_767_225_600,
        };
        for pass in PASSES.iter().filter(|pass| passes.contains(&pass.name)) {
            if let Err(error) = configure::run(pass, &mut target) {
                crate::says_something(&error, &error.hint());
                return Err(error.to_string());
            }
        }
        Ok(target.root)
    };
    let first = once();
    assert_eq!(first, once());
    first.ok()
}

/// The text that a pass wrote at `path`.
pub fn text(root: &Root, path: &str) -> Option<String> {
    match &root.get(&TreePath::parse(path).ok()?)?.kind {
        Kind::File(Content::Inline(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}
