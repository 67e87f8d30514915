//! What `lock` is about, and what becomes of it when one image cannot be locked.

use crate::archive::elf;
use crate::archive::project::{IMAGE, RECIPE, Toy};
use crate::archive::release::{Release, TOOL, toy_with};

/// The images that a lock has.
fn locked(toy: &Toy, path: &str) -> Vec<String> {
    let lock: toml::Table = String::from_utf8(toy.read(path)).unwrap().parse().unwrap();
    let images = lock["image"].as_array().unwrap().iter();
    images.map(|image| image["name"].as_str().unwrap().to_owned()).collect()
}

/// A new project whose image can be had from the toy's archive.
fn fresh(toy: &Toy) {
    toy.run(&["init", "../fresh", "--yes"]).succeeded();
    toy.write("fresh/images/lab.toml", IMAGE);
    for file in ["recipes/toy.toml", "recipes/boards/toy.toml", "hah-image.toml"] {
        toy.write(&format!("fresh/{file}"), toy.read(&format!("project/{file}")));
    }
}

/// It locked the shipped images that the project does not have, failed at a vendor's site, and wrote no lock.
#[test]
fn init_lock_lock_check() {
    let toy = Toy::new();
    fresh(&toy);
    toy.run(&["-C", "../fresh", "lock", "--check"])
        .failed(1, &["image lab", "there is no hah.lock", "hah-image lock lab"]);
    toy.run(&["-C", "../fresh", "lock"]).succeeded();
    assert_eq!(locked(&toy, "fresh/hah.lock"), ["lab"]);
    toy.run(&["-C", "../fresh", "lock", "--check"]).succeeded();
    let before = toy.read("fresh/hah.lock");
    toy.run(&["-C", "../fresh", "lock"]).succeeded();
    assert_eq!(toy.read("fresh/hah.lock"), before);
}

#[test]
fn lock_check_is_true_after_a_build() {
    let toy = Toy::new();
    fresh(&toy);
    toy.run(&["-C", "../fresh", "build", "lab"]).succeeded();
    toy.run(&["-C", "../fresh", "lock", "--check"]).succeeded();
}

/// A project with images `toy`, and `far` whose artifact cannot be had.
fn with_one_far_away() -> Toy {
    let toy = toy_with(TOOL);
    toy.write("project/recipes/near.toml", RECIPE);
    toy.write("project/images/near.toml", IMAGE.replace("[\"toy\"]", "[\"near\"]"));
    toy
}

#[test]
fn what_one_image_cannot_have_does_not_take_the_lock_from_the_others() {
    let toy = with_one_far_away();
    let run = toy.run(&["lock"]).failed(1, &["image toy: nobody vouches for tool 1.0", "1 of 2 images", "toy"]);
    assert!(run.stderr.contains("the others are as they should be"), "{run}");
    assert_eq!(locked(&toy, "project/hah.lock"), ["near"]);
    toy.run(&["lock", "--check"]).failed(1, &["recipes of image toy", "hah-image lock toy"]);
    toy.run(&["lock", "--check", "near"]).succeeded();
    toy.run(&["build", "near", "--locked"]).succeeded();
    // One alone is told as itself.
    let run = toy.run(&["lock", "toy"]).failed(1, &["nobody vouches for tool 1.0"]);
    assert!(!run.stderr.contains("images"), "{run}");
    // With the site back the rest is locked, and what was locked stays.
    Release::new("1.0", elf::program(b"tool")).write(&toy.path("releases"));
    let mirror = format!("--mirror=acme=file://{}", toy.path("releases").display());
    toy.run(&[&mirror, "lock"]).succeeded();
    assert_eq!(locked(&toy, "project/hah.lock"), ["near", "toy"]);
    toy.run(&["lock", "--check"]).succeeded();
    // An image that is locked already keeps its lock when it cannot be had any more.
    let before = toy.read("project/hah.lock");
    toy.write("project/images/toy.toml", "board = \"nowhere\"\n");
    toy.run(&["lock"]).failed(1, &["1 of 2 images could not be locked: toy"]);
    assert_eq!(toy.read("project/hah.lock"), before);
    toy.run(&["update"]).failed(1, &["1 of 2 images could not be locked: toy"]);
    let events = toy.run(&["--json", "lock"]);
    assert!(events.code == Some(1) && events.stdout.lines().last().unwrap().contains("\"error\""), "{events}");
}

/// The cluster's images count, also those that the project has not itself.
#[test]
fn lock_is_about_the_images_that_the_cluster_names() {
    let toy = Toy::new();
    toy.write("project/cluster.toml", "name = \"toy\"\n[nodes.a]\nimage = \"toy\"\n[nodes.b]\nimage = \"lab\"\n");
    // The toy's archive has nothing of the shipped image.
    let run = toy.run(&["lock"]);
    assert!(run.code != Some(0) && run.stderr.contains("1 of 2 images could not be locked: lab"), "{run}");
    assert_eq!(locked(&toy, "project/hah.lock"), ["toy"]);
    toy.run(&["lock", "--check"]).failed(1, &["recipes of image lab"]);
}

#[test]
fn a_project_without_images_locks_what_it_has_locked() {
    let toy = Toy::new();
    toy.write("empty/hah-image.toml", toy.read("project/hah-image.toml"));
    toy.run(&["-C", "../empty", "lock"]).failed(1, &["no image of its own", "lab"]);
    toy.run(&["-C", "../empty", "lock", "--check"]).failed(1, &["no image of its own"]);
    assert_eq!(toy.names("empty"), ["hah-image.toml"]);
}
