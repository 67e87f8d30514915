//! What maintainer scripts leave behind: real dpkg installs the very packages of an image into a directory of its own, and
//! the two trees are compared path by path.
//!
//! `cargo xtask oracle` makes both, as root and from the network, below the directory that `HAH_TEST_DPKG` names:
//! `GROUP.img` is ours, `GROUP/` is mmdebstrap's. The architecture is this machine's, so that dpkg can run the scripts.
//! Compared are type, mode, owner and group by name, link target, content, and extended attributes, which hold capabilities;
//! not times. `explained.toml` lists the differences that are right, each with its reason: a difference that no row
//! explains fails the test, and so does a row that explains nothing.

mod explained;
mod tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{is_missing, is_root};
use crate::build::{judge, partition};
use explained::Explanations;
use tree::Tree;

/// At most so many differences are shown.
const SHOWN: usize = 80;

/// One group of packages, installed twice.
struct Installed {
    group: String,
    ours: Tree,
    theirs: Tree,
}

/// What `HAH_TEST_DPKG` holds; nothing, with a line that says so, without it.
fn installed() -> Vec<Installed> {
    let Some(directory) = std::env::var_os("HAH_TEST_DPKG").filter(|directory| !directory.is_empty()) else {
        println!("skipped: HAH_TEST_DPKG names no directory; `cargo xtask oracle` makes one");
        return Vec::new();
    };
    if !is_root() || is_missing("unsquashfs") {
        return Vec::new();
    }
    let directory = PathBuf::from(directory);
    let entries = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let mut images: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "img")).collect();
    images.sort();
    assert!(!images.is_empty(), "{} has no image", directory.display());
    images.iter().map(|image| read(image)).collect()
}

fn read(image: &Path) -> Installed {
    let group = image.file_stem().unwrap().to_str().unwrap().to_owned();
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (squashfs, root) = (scratch.path().join("squashfs"), scratch.path().join("root"));
    partition(image, "root", &squashfs);
    judge(Command::new("unsquashfs").args(["-quiet", "-no-progress", "-d"]).arg(&root).arg(&squashfs));
    Installed { ours: Tree::read(&root), theirs: Tree::read(&image.with_extension("")), group }
}

#[test]
fn scripts_leave_what_dpkg_leaves() {
    let groups = installed();
    if groups.is_empty() {
        return;
    }
    let mut explanations = Explanations::read();
    let mut unexplained = Vec::new();
    let mut paths = 0;
    for Installed { group, ours, theirs } in &groups {
        let all: BTreeSet<&String> = ours.nodes.keys().chain(theirs.nodes.keys()).collect();
        paths += all.len();
        explanations.begin(group, ours, theirs);
        for path in all {
            let left = explanations.unexplained(path, ours, theirs);
            unexplained.extend(left.into_iter().map(|difference| format!("{group}: {difference}")));
        }
    }
    // A group on its own has not all that the rows are about.
    let has_usual = groups.iter().any(|installed| installed.group == "usual");
    let unused = if has_usual { explanations.unused() } else { Vec::new() };
    println!("{paths} paths of {} groups compared; {} rows explain differences", groups.len(), explanations.len());
    let count = unexplained.len();
    unexplained.truncate(SHOWN);
    assert!(count == 0, "{count} differences have no explanation:\n{}", unexplained.join("\n"));
    assert!(unused.is_empty(), "these rows of explained.toml explain nothing:\n{}", unused.join("\n"));
}
