//! Whoever only asks changes nothing: the lock is taken as it is, and nothing is written into the project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::archive::project::{BOARD, RECIPE, Toy};

const MACHINE: &str = "\n[[machine]]\nname = \"toy\"\nprogram = \"qemu\"\nargs = []\nmemory = \"1 GiB\"\ndisk = \"virtio\"\nnetwork = \"virtio\"\n";

/// Those that read the lock.
const OF_THE_LOCK: [&[&str]; 8] = [
    &["why", "libtoy1"],
    &["why", "libtoy1", "--image", "toy"],
    &["why", "/usr/bin/toy", "--image", "toy"],
    &["tree", "toy"],
    &["review", "toy-tool", "--image", "toy"],
    &["build", "toy", "--dry-run"],
    &["build", "toy", "--locked"],
    &["lock", "--check"],
];

/// The others.
const OTHERS: [&[&str]; 16] = [
    &["identity", "show", "a"],
    &["update", "--dry-run"],
    &["config", "show"],
    &["doctor"],
    &["store", "path"],
    &["store", "verify"],
    &["gc", "--dry-run"],
    &["gc"],
    &["schema", "image"],
    &["reference", "recipes"],
    &["completions", "fish"],
    &["man"],
    &["run", "toy", "--dry-run"],
    &["run", "toy", "--dry-run", "--fresh"],
    &["run", "toy", "--dry-run", "--node", "3"],
    &["flash", "toy"],
];

/// Every path of the project with its time and its bytes.
fn snapshot(toy: &Toy) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    fn walk(path: &Path, found: &mut BTreeMap<PathBuf, (SystemTime, Vec<u8>)>) {
        let metadata = std::fs::symlink_metadata(path).unwrap();
        let bytes = match metadata.is_dir() {
            // A changed directory shows in its time.
            true => Vec::new(),
            // The image is large, and its time tells enough.
            false if metadata.len() > 1 << 20 => Vec::new(),
            false => std::fs::read(path).unwrap(),
        };
        found.insert(path.to_owned(), (metadata.modified().unwrap(), bytes));
        if metadata.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&toy.path("project"), &mut found);
    found
}

fn toy() -> Toy {
    let toy = Toy::new();
    toy.write("project/recipes/boards/toy.toml", [BOARD, MACHINE].concat());
    toy.write("project/cluster.toml", "name = \"toy\"\n[nodes.a]\nimage = \"toy\"\n");
    toy
}

/// `why /usr/bin/bash` after an edit of the image rewrote hah.lock.
#[test]
fn why_after_an_edit_does_not_rewrite_the_lock() {
    let toy = toy();
    toy.build();
    toy.write("project/recipes/toy.toml", RECIPE.replace("\"toy-daemon\"", "\"toy-daemon\", \"toy-data\""));
    let before = snapshot(&toy);
    for args in OF_THE_LOCK.iter().filter(|args| !args.contains(&"--locked")) {
        toy.run(args).failed(1, &["hah.lock does not answer the recipes of image toy", "run `hah-image lock toy`"]);
        assert_eq!(snapshot(&toy), before, "{args:?}");
    }
    // The command of the hint mends it.
    toy.run(&["lock", "toy"]).succeeded();
    for args in OF_THE_LOCK.iter().filter(|args| !args.contains(&"--locked")) {
        toy.run(args).succeeded();
    }
}

#[test]
fn without_a_lock_asking_makes_none() {
    let toy = toy();
    let before = snapshot(&toy);
    for args in OF_THE_LOCK {
        toy.run(args).failed(1, &["no hah.lock", "hah-image lock"]);
        assert_eq!(snapshot(&toy), before, "{args:?}");
    }
}

#[test]
fn asking_writes_nothing() {
    let toy = toy();
    toy.build();
    // A node's disk, which `run --fresh` would begin anew.
    toy.write("project/out/toy.run/toy-0/disk.qcow2", "precious");
    let before = snapshot(&toy);
    for args in OF_THE_LOCK.iter().chain(&OTHERS) {
        let run = toy.run(args);
        // Without a device `flash` lists those that may be meant, and fails.
        assert_eq!(run.code, Some(if args[0] == "flash" { 2 } else { 0 }), "{args:?}: {run}");
        assert_eq!(snapshot(&toy), before, "{args:?}");
    }
    let mut json: Vec<&str> = vec!["--json"];
    json.extend(OF_THE_LOCK[2]);
    toy.run(&json).succeeded();
    assert_eq!(snapshot(&toy), before);
}

/// A parameter of the command line may want another lock than the project's, which `lock` alone would not mend.
#[test]
fn a_dry_run_with_another_parameter() {
    let toy = toy();
    toy.write(
        "project/recipes/toy.toml",
        RECIPE
            .replace("\"toy-tool\", ", "\"toy-tool\", { name = \"toy-data\", when = \"level == 9\" }, ")
            .replace("\"toy-daemon\"]", "]"),
    );
    toy.run(&["lock"]).succeeded();
    let before = snapshot(&toy);
    toy.run(&["build", "toy", "--dry-run", "--set", "toy.level=4"]).succeeded();
    toy.run(&["build", "toy", "--dry-run", "--set", "toy.level=9"]).failed(1, &["--set changes", "images/toy.toml"]);
    assert_eq!(snapshot(&toy), before);
}
