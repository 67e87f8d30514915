//! Where a build and its neighbours write: regular files and new ones, and never a device, a FIFO or a directory.

use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::archive::project::{Run, Toy, digest};
use crate::oracles::is_root;

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn build_to(toy: &Toy, output: &str, more: &[&str]) -> Run {
    toy.run(&[&["build", "toy", "-o", output], more].concat())
}

/// Nothing was fetched, locked or made.
#[track_caller]
fn assert_nothing_was_done(toy: &Toy) {
    assert!(!toy.path("project/hah.lock").exists(), "it was locked");
    assert!(toy.names("home/.cache/hah-image/packs/v1").is_empty() && toy.names("project/out").is_empty());
}

#[test]
fn an_output_that_is_a_device_is_refused_before_anything_is_built() {
    if !is_root() {
        return;
    }
    let toy = Toy::new();
    // The number of a loop device that nobody has: only ever looked at.
    let node = toy.path("project/card");
    if mknodat(CWD, &node, FileType::BlockDevice, Mode::RUSR, makedev(7, 250)).is_err() {
        println!("skipped: no device nodes here");
        return;
    }
    symlink("card", toy.path("project/link")).unwrap();
    for output in ["card", "link", "./card", "../project/link"] {
        build_to(&toy, output, &[]).failed(1, &["is a block device", "hah-image flash"]);
    }
    // A device's name that nobody has is a slip, and no file.
    build_to(&toy, "/dev/no-such-disk", &[]).failed(1, &["would be a new file in /dev", "hah-image flash"]);
    assert!(std::fs::symlink_metadata(&node).unwrap().file_type().is_block_device());
    assert!(!Path::new("/dev/no-such-disk").exists());
    assert_nothing_was_done(&toy);
}

#[test]
fn an_output_that_is_a_fifo_is_refused_before_anything_is_built() {
    let toy = Toy::new();
    fifo(&toy.path("project/pipe"));
    symlink("pipe", toy.path("project/link")).unwrap();
    symlink("no-such-directory/", toy.path("project/directory")).unwrap();
    build_to(&toy, "pipe", &[]).failed(1, &["pipe is a FIFO"]);
    build_to(&toy, "link", &[]).failed(1, &["link is a FIFO"]);
    build_to(&toy, "/dev/stdout", &[]).failed(1, &["/dev/stdout is a FIFO"]);
    build_to(&toy, "directory", &[]).failed(1, &["is a directory"]);
    toy.write("project/file", "");
    build_to(&toy, "file/toy.img", &[]).failed(1, &["is below", "not a directory"]);
    assert_nothing_was_done(&toy);
}

#[test]
fn what_stands_beside_an_image_is_checked_first_too() {
    for (name, more) in [
        ("x.bmap", &[][..]),
        ("x.closure", &[]),
        ("x.sha256", &[]),
        ("x.json", &[]),
        ("x.rpi-imager-manifest", &[]),
        ("x.img.zst", &["--compress", "zst"]),
    ] {
        let toy = Toy::new();
        fifo(&toy.path(&format!("project/{name}")));
        build_to(&toy, "x.img", more).failed(1, &[&format!("{name} is a FIFO")]);
        assert_nothing_was_done(&toy);
    }
    let toy = Toy::new();
    build_to(&toy, "x.json", &[]).failed(2, &["would be the same file"]);
    assert_nothing_was_done(&toy);
}

#[test]
fn a_link_is_written_through_and_stays() {
    let toy = Toy::new();
    std::fs::create_dir(toy.path("large-disk")).unwrap();
    std::fs::create_dir(toy.path("project/out")).unwrap();
    symlink("../../large-disk/toy.img", toy.image()).unwrap();
    toy.run(&["build", "toy"]).succeeded();
    assert!(std::fs::symlink_metadata(toy.image()).unwrap().is_symlink());
    assert_eq!(toy.names("large-disk"), ["toy.img"]);
    let first = digest(&toy.path("large-disk/toy.img"));
    let again = toy.run(&["build", "toy"]).succeeded();
    assert!(again.stderr.contains("is up to date"), "{again}");
    assert_eq!(digest(&toy.image()), first);
}

/// A directory means the image in it, whether it is there or only ends like one.
#[test]
fn an_output_directory_has_the_image_in_it() {
    let toy = Toy::new();
    std::fs::create_dir(toy.path("there")).unwrap();
    for (output, place) in [("../there", "there"), ("../there/", "there"), ("../new/deeper/", "new/deeper")] {
        build_to(&toy, output, &[]).succeeded();
        let names = toy.names(place);
        assert_eq!(
            names,
            ["toy.bmap", "toy.closure", "toy.img", "toy.json", "toy.rpi-imager-manifest", "toy.sha256"],
            "{output}"
        );
    }
    toy.write("project/there.img/file", "");
    build_to(&toy, "there.img", &[]).succeeded();
    assert!(toy.path("project/there.img/toy.img").is_file());
}

#[test]
fn an_output_that_may_not_be_made_is_told_before_anything_is_built() {
    if crate::oracles::is_missing("setpriv") {
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let toy = Toy::new();
    std::fs::create_dir(toy.path("closed")).unwrap();
    std::fs::set_permissions(toy.path("closed"), std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = toy.around("setpriv");
    command.args(["--bounding-set=-dac_override", "--inh-caps=-dac_override"]).arg(crate::archive::project::PROGRAM);
    if !is_root() {
        command = toy.command(&[]);
    }
    let run = Run::of(command.args(["build", "toy", "-o", "../closed/x.img"]));
    run.failed(1, &["closed/x.img cannot be written", "ermission denied", "-o"]);
    assert_nothing_was_done(&toy);
}

/// The project's own files: the same rule, and no verb hangs on a FIFO that nobody fills.
#[test]
fn a_lock_a_record_and_secrets_are_regular_files() {
    let toy = Toy::new();
    let lock = toy.path("project/hah.lock");
    fifo(&lock);
    for verb in [&["build", "toy"][..], &["lock"], &["lock", "--check"], &["why", "toy-tool"]] {
        toy.run(verb).failed(1, &["hah.lock is a FIFO"]);
    }
    assert!(std::fs::symlink_metadata(&lock).unwrap().file_type().is_fifo());
    std::fs::remove_file(&lock).unwrap();
    // A lock that is kept elsewhere stays a link.
    symlink("../kept.lock", &lock).unwrap();
    toy.run(&["build", "toy"]).succeeded();
    assert!(std::fs::symlink_metadata(&lock).unwrap().is_symlink() && toy.path("kept.lock").is_file());

    toy.write("project/cluster.toml", "name = \"home\"\n[nodes.a]\nimage = \"toy\"\n");
    toy.write("phrase", "mitten plural gallery oxidize\n");
    fifo(&toy.path("project/secrets.age"));
    toy.run(&["secrets", "init", "--passphrase-file", "../phrase"]).failed(1, &["secrets.age is there already"]);
    toy.run(&["secrets", "update", "--passphrase-file", "../phrase"]).failed(1, &["secrets.age is a FIFO"]);
    std::fs::remove_file(toy.path("project/secrets.age")).unwrap();
    toy.run(&["secrets", "init", "--passphrase-file", "../phrase"]).succeeded();
    fifo(&toy.path("project/flashed.jsonl"));
    let flash = ["flash", "toy", "../card.img", "--node", "a", "--yes", "--passphrase-file", "../phrase"];
    toy.run(&flash).failed(1, &["flashed.jsonl is a FIFO"]);
    assert!(!toy.path("card.img").exists(), "before the card");
    assert!(std::fs::symlink_metadata(toy.path("project/flashed.jsonl")).unwrap().file_type().is_fifo());
}

/// `init` makes files and replaces none, whatever they are.
#[test]
fn init_replaces_nothing() {
    let toy = Toy::new();
    std::fs::create_dir(toy.path("new")).unwrap();
    fifo(&toy.path("new/cluster.toml"));
    toy.run(&["init", "../new", "--yes", "--ssh-key", "none"]).failed(1, &["has cluster.toml already"]);
    assert_eq!(toy.names("new"), ["cluster.toml"]);
}
