//! The key contract: whoever changes a byte of what is made changes the format version.
//!
//! The toy image goes through every writer: packs, squashfs, FAT, both partition tables, initramfs, gzip, block map,
//! manifest, and the files that derive from a merged root. Their digests are pinned in `contract.txt`, under the versions
//! that are part of every key. A program that makes other bytes under an old key would call a stale image up to date.

use hah_format::digest::Sha256;
use hah_format::pack;
use hah_plan::plan::FORMAT_VERSION;

use crate::archive::deb::Deb;
use crate::archive::project::{IMAGE, Toy, debs};

/// What was pinned.
const PINNED: &str = include_str!("contract.txt");

/// A package with sources of the hardware database.
fn hardware() -> Deb {
    Deb::new("udev", "257").file(
        "/usr/lib/udev/hwdb.d/20-toy.hwdb",
        0o644,
        "usb:v1D6Bp0001*\n ID_MODEL_FROM_DATABASE=Toy\n\nusb:v1D6Bp0002*\n ID_MODEL_FROM_DATABASE=Toy again\n",
    )
}

/// A line for each thing that is made: name and digest.
fn made() -> String {
    let toy = Toy::and(&[hardware()]);
    let mut lines = format!("format {FORMAT_VERSION}, packs {}\n", pack::FORMAT_VERSION);
    let mut add = |name: &str, bytes: &[u8]| lines.push_str(&format!("{name} {}\n", Sha256::of(bytes)));
    for table in ["gpt", "mbr"] {
        toy.write("project/images/toy.toml", format!("{IMAGE}\ntable = \"{table}\"\n"));
        toy.build();
        for extension in ["img", "bmap", "closure", "json"] {
            add(&format!("{table} {extension}"), &toy.read(&format!("project/out/toy.{extension}")));
        }
    }
    for (what, directory) in [("pack", "packs/v1"), ("derived", "derived/v1")] {
        let directory = format!("home/.cache/hah-image/{directory}");
        // Keys are part of the contract, so the files' names are, too.
        for name in toy.names(&directory) {
            let bytes = toy.read(&format!("{directory}/{name}"));
            add(&format!("{what} {}", &name[..16]), &bytes);
        }
    }
    lines
}

#[test]
fn whoever_changes_a_byte_changes_the_version() {
    let made = made();
    assert_eq!(
        made.lines().filter(|line| line.starts_with("derived ")).count(),
        3,
        "kernel, modules, hardware: {made}"
    );
    assert_eq!(made.lines().filter(|line| line.starts_with("pack ")).count(), debs().len() + 1);
    if made == PINNED {
        return;
    }
    let version = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let advice = match version(&made) == version(PINNED) {
        true => {
            "other bytes under the same version: raise FORMAT_VERSION of hah_plan::plan, or that of hah_format::pack when packs differ, and pin what is made then"
        }
        false => "a new version: put this into tests/it/build/contract.txt",
    };
    panic!("{advice}\n--- pinned\n{PINNED}--- made\n{made}");
}
