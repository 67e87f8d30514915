//! Archives that must not be believed.

use crate::archive::project::{RECIPE, Toy, debs};
use crate::archive::signer::Signer;
use crate::archive::{Publication, SUITE};

const PAST: &str = "Sun, 22 Jun 2025 15:06:40 UTC";

fn toy(publication: Publication) -> Toy {
    Toy::with(&debs(), &publication)
}

/// Nothing of such an archive is locked, fetched or built.
#[track_caller]
fn refused(toy: &Toy, code: i32, says: &[&str]) {
    toy.run(&["build", "toy"]).failed(code, says);
    assert_eq!(toy.names("project"), ["hah-image.toml", "images", "recipes"]);
    assert_eq!(toy.names("home/.cache/hah-image/packs/v1"), [""; 0]);
}

#[test]
fn expired() {
    let toy = toy(Publication { valid_until: Some(PAST), ..Publication::default() });
    refused(&toy, 100, &["expired on 2025-06-22", "expired = \"allow\""]);
    toy.write("project/recipes/toy.toml", RECIPE.replace("name = \"toy\"\n", "name = \"toy\"\nexpired = \"allow\"\n"));
    toy.build();
}

#[test]
fn not_signed() {
    refused(&toy(Publication { signer: None, ..Publication::default() }), 100, &["not signed"]);
}

#[test]
fn signed_by_a_stranger() {
    let toy = toy(Publication { signer: Some(Signer::new(2)), ..Publication::default() });
    refused(&toy, 100, &["signed by unknown keys", "--keyring"]);
    toy.write("stranger.gpg", Signer::new(2).public());
    toy.run(&["--keyring", &toy.path("stranger.gpg").to_string_lossy(), "build", "toy"]).succeeded();
}

#[test]
fn changed_after_it_was_signed() {
    let toy = Toy::new();
    let path = format!("archive/dists/{SUITE}/InRelease");
    let text = String::from_utf8(toy.read(&path)).unwrap();
    toy.write(&path, text.replace("Label: Toys", "Label: Boys"));
    refused(&toy, 102, &["TAMPERED", "Toy archive 1"]);
}

#[test]
fn another_suite_under_this_name() {
    refused(&toy(Publication { suite: "tiger", ..Publication::default() }), 100, &["for the suite tiger"]);
}

#[test]
fn an_index_that_is_not_the_signed_one() {
    let toy = Toy::new();
    let path = format!("archive/dists/{SUITE}/main/binary-arm64/Packages.gz");
    let mut bytes = toy.read(&path);
    *bytes.last_mut().unwrap() ^= 1;
    toy.write(&path, bytes);
    refused(&toy, 102, &["index of toy main arm64", "WRONG BYTES"]);
}

#[test]
fn a_keyring_that_is_none() {
    let toy = Toy::new();
    toy.write("archive/key.gpg", "not a key");
    refused(&toy, 1, &["key.gpg", "OpenPGP", "gpg --export"]);
    std::fs::remove_file(toy.path("archive/key.gpg")).unwrap();
    refused(&toy, 1, &["key.gpg"]);
}
