//! A full disk, while downloading, packing, and writing the image.
//!
//! A small tmpfs is the full disk where the test may mount one; a limit on the size of files, which fails in the same
//! places with another error, is set everywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive::project::{PROGRAM, Run, Toy};

/// A tmpfs, unmounted when dropped.
pub(super) struct Small(PathBuf);

impl Small {
    /// Mounts `kib` KiB at `path`; `None` where that is not allowed.
    pub(super) fn mount(path: &Path, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={kib}k");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(path).output();
        if status.is_ok_and(|output| output.status.success()) {
            return Some(Self(path.to_owned()));
        }
        println!("skipped: no tmpfs can be mounted here");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// What is left on the full disk when the build has failed.
fn assert_clean(toy: &Toy, cache: &str) {
    assert_eq!(toy.names(&format!("{cache}/tmp")), [""; 0]);
    let partial: Vec<String> =
        toy.names("project/out").into_iter().filter(|name| name.starts_with('.') || name == "toy.img").collect();
    assert_eq!(partial, [""; 0]);
    toy.assert_nothing_half_written();
}

#[test]
fn full_while_downloading() {
    let toy = Toy::new();
    let Some(disk) = Small::mount(&toy.path("home/.cache"), 1_500) else { return };
    toy.run(&["build", "toy"]).failed(1, &["cannot write", "downloads/sha256", "the disk is full", "--cache-dir"]);
    assert_clean(&toy, "home/.cache/hah-image");
    drop(disk);
    toy.build();
}

#[test]
fn full_while_packing() {
    let toy = Toy::new();
    // The packages have 2.8 MB, and so have their packs.
    let Some(disk) = Small::mount(&toy.path("home/.cache"), 4_000) else { return };
    toy.run(&["build", "toy"]).failed(1, &["cannot pack", "the disk is full", "--cache-dir"]);
    assert_clean(&toy, "home/.cache/hah-image");
    drop(disk);
    toy.build();
}

#[test]
fn full_while_writing_the_image() {
    let toy = Toy::new();
    for kib in [500, 1_500, 3_000] {
        let Some(disk) = Small::mount(&toy.path("project/out"), kib) else { return };
        toy.run(&["build", "toy"]).failed(1, &["project/out", "the disk is full", "-o"]);
        assert_clean(&toy, "home/.cache/hah-image");
        drop(disk);
    }
    toy.build();
}

/// The program with files of at most `kib` KiB.
fn limited(toy: &Toy, kib: u32, args: &[&str]) -> Run {
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script, PROGRAM]).args(args).current_dir(toy.path("project"));
    command.env("HOME", toy.path("home")).env("HAH_IMAGE_OFFLINE", "1");
    Run::of(&mut command)
}

#[test]
fn files_that_may_not_grow() {
    let toy = Toy::new();
    let run = limited(&toy, 1_000, &["build", "toy"]);
    run.failed(1, &["cannot write", "downloads/sha256"]);
    assert_clean(&toy, "home/.cache/hah-image");
    let want = toy.build();
    std::fs::remove_dir_all(toy.path("home/.cache/hah-image/packs")).unwrap();
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    limited(&toy, 1_000, &["build", "toy"]).failed(1, &["cannot pack toy-data"]);
    assert_clean(&toy, "home/.cache/hah-image");
    limited(&toy, 10_000, &["build", "toy"]).failed(1, &["project/out/"]);
    assert_clean(&toy, "home/.cache/hah-image");
    assert_eq!(toy.build(), want);
}
