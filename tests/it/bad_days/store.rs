//! The store: what is collected, what is found corrupt, what cannot be had offline, and who may not write.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use crate::archive::deb::Deb;
use crate::archive::project::{PROGRAM, RECIPE, Run, Toy, debs};

const PACKS: &str = "home/.cache/hah-image/packs/v1";
const DOWNLOADS: &str = "home/.cache/hah-image/downloads/sha256";
/// `nobody`.
const NOBODY: u32 = 65_534;

#[test]
fn gc_keeps_what_is_needed_and_removes_the_rest() {
    let toy = Toy::and(&[Deb::new("passing", "1").file("/usr/bin/passing", 0o755, "by")]);
    let first = toy.build();
    toy.write("project/recipes/toy.toml", RECIPE);
    let second = toy.build();
    assert_ne!(first, second);
    let before = toy.names(PACKS);
    assert!(toy.run(&["gc", "--dry-run"]).succeeded().stderr.contains("would remove"));
    assert_eq!(toy.names(PACKS), before);
    toy.run(&["gc"]).succeeded();
    assert_eq!((before.len(), toy.names(PACKS).len()), (debs().len() + 1, debs().len()));
    assert_eq!(toy.names(DOWNLOADS).len(), debs().len());
    // Without the archive: everything that the build needs is there.
    std::fs::remove_dir_all(toy.path("archive/pool")).unwrap();
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    assert_eq!(toy.build(), second);
}

#[test]
fn gc_forgets_projects_that_are_gone() {
    let toy = Toy::new();
    toy.build();
    std::fs::remove_file(toy.path("project/hah.lock")).unwrap();
    toy.run(&["gc"]).succeeded();
    assert_eq!((toy.names(PACKS).len(), toy.names(DOWNLOADS).len()), (0, 0));
}

/// A lock that cannot be read may name anything, so nothing is removed.
#[test]
fn gc_stops_at_a_lock_that_it_cannot_read() {
    let toy = Toy::new();
    toy.build();
    toy.write("project/hah.lock", "version = 99\n");
    toy.run(&["gc"]).failed(1, &["hah.lock", "removes nothing"]);
    assert_eq!(toy.names(PACKS).len(), debs().len());
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_is_found_and_repaired() {
    let toy = Toy::new();
    let want = toy.build();
    for directory in [PACKS, DOWNLOADS] {
        let name = toy.names(directory).pop().unwrap();
        let path = toy.path(directory).join(&name);
        flip(&path);
        toy.run(&["store", "verify"]).failed(102, &["1 files were corrupt"]);
        assert!(!path.exists());
        toy.run(&["store", "verify"]).succeeded();
        std::fs::remove_dir_all(toy.path("project/out")).unwrap();
        assert_eq!(toy.build(), want, "after a flipped bit in {directory}/{name}");
    }
}

/// A power cut may leave an empty or short pack under its name.
#[test]
fn a_pack_without_its_end_is_made_anew() {
    let toy = Toy::new();
    let want = toy.build();
    for name in toy.names(PACKS) {
        let path = toy.path(PACKS).join(&name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    assert_eq!(toy.build(), want);
}

/// Mirrors that are not directories are not asked.
fn no_mirror(toy: &Toy) {
    let text = String::from_utf8(toy.read("project/hah-image.toml")).unwrap();
    let text: String =
        text.lines().filter(|line| !line.starts_with("debian = ")).map(|line| format!("{line}\n")).collect();
    toy.write("project/hah-image.toml", text);
}

#[test]
fn offline_with_nothing_in_the_cache() {
    let toy = Toy::new();
    let archive = String::from_utf8(toy.read("project/hah-image.toml")).unwrap();
    no_mirror(&toy);
    toy.run(&["build", "toy"]).failed(1, &["image toy must be locked", "--offline"]);
    toy.write("project/hah-image.toml", archive);
    toy.run(&["lock", "toy"]).succeeded();
    no_mirror(&toy);
    toy.run(&["build", "toy"])
        .failed(100, &["cannot fetch base-files 13", "not asked: --offline", "without --offline"]);
    assert_eq!(toy.names(DOWNLOADS).iter().filter(|name| name.len() == 64).count(), 1, "only the index");
}

#[test]
fn offline_with_everything_in_the_cache() {
    let toy = Toy::new();
    let want = toy.build();
    no_mirror(&toy);
    std::fs::remove_dir_all(toy.path("archive")).unwrap();
    toy.write("archive/key.gpg", "");
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    std::fs::remove_dir_all(toy.path(PACKS)).unwrap();
    assert_eq!(toy.build(), want);
}

#[test]
fn locked_with_a_stale_lock() {
    let toy = Toy::new();
    toy.run(&["build", "toy", "--locked"]).failed(1, &["hah.lock does not answer", "hah-image lock"]);
    toy.run(&["lock", "toy", "--check"]).failed(1, &["hah.lock does not answer"]);
    toy.run(&["lock", "toy"]).succeeded();
    toy.run(&["lock", "toy", "--check"]).succeeded();
    toy.run(&["build", "toy", "--locked"]).succeeded();
    let lock = toy.read("project/hah.lock");
    toy.write("project/recipes/toy.toml", RECIPE.replace("\"toy-daemon\"", "\"toy-daemon\", \"toy-data\""));
    toy.run(&["build", "toy", "--locked"]).failed(1, &["hah.lock does not answer"]);
    assert_eq!(toy.read("project/hah.lock"), lock);
}

#[test]
fn a_lock_that_is_damaged() {
    let toy = Toy::new();
    toy.build();
    let lock = String::from_utf8(toy.read("project/hah.lock")).unwrap();
    for damaged in [lock.replace("sha256", "sha265"), lock[..lock.len() / 2].to_owned(), "version = 99\n".into()] {
        toy.write("project/hah.lock", damaged);
        toy.run(&["build", "toy"]).failed(1, &["hah.lock", "hint: "]);
    }
}

/// The toy belongs to `nobody`, as far as a build writes; the command runs as `nobody`, where that can be done.
pub(crate) fn as_nobody(toy: &Toy, args: &[&str]) -> std::process::Command {
    let mut command = toy.command(args);
    if rustix::process::getuid().is_root() {
        std::fs::set_permissions(toy.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
        give_to_nobody(&toy.path("home"));
        // Where cargo puts programs, `nobody` may not look.
        let program = toy.path("hah-image");
        if !program.exists() {
            std::fs::copy(PROGRAM, &program).unwrap();
        }
        command = std::process::Command::new(program);
        command.args(args).current_dir(toy.path("project")).env_clear();
        command.env("HOME", toy.path("home")).env("PATH", "/nonexistent").env("HAH_IMAGE_OFFLINE", "1");
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Gives a tree to `nobody`, where that can be done.
pub(crate) fn give_to_nobody(path: &Path) {
    if !rustix::process::getuid().is_root() {
        return;
    }
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give_to_nobody(&entry.unwrap().path()));
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_read_only_output_directory() {
    let toy = Toy::new();
    toy.run(&["lock", "toy"]).succeeded();
    std::fs::create_dir(toy.path("project/out")).unwrap();
    set_mode(&toy.path("project/out"), 0o555);
    let run = Run::of(&mut as_nobody(&toy, &["build", "toy"]));
    // It is found before minutes of work, not after.
    run.failed(1, &["project/out", "ermission denied", "-o"]);
    assert_eq!(toy.names("project/out"), [""; 0]);
    assert_eq!(toy.names(PACKS), [""; 0]);
    let elsewhere = toy.path("home/toy.img");
    Run::of(&mut as_nobody(&toy, &["build", "toy", "-o", &elsewhere.to_string_lossy()])).succeeded();
    assert!(std::fs::metadata(elsewhere).unwrap().len() > 0);
    set_mode(&toy.path("project/out"), 0o755);
}

#[test]
fn a_read_only_cache() {
    let toy = Toy::new();
    std::fs::create_dir_all(toy.path("closed")).unwrap();
    set_mode(&toy.path("closed"), 0o555);
    let cache = toy.path("closed/cache");
    let run = Run::of(&mut as_nobody(&toy, &["--cache-dir", &cache.to_string_lossy(), "build", "toy"]));
    run.failed(1, &["closed/cache", "ermission denied", "--cache-dir"]);
}

#[test]
fn a_project_that_cannot_be_written() {
    let toy = Toy::new();
    let project = toy.path("project");
    set_mode(&project, 0o555);
    let mode = std::fs::metadata(&project).unwrap().mode();
    let run = Run::of(&mut as_nobody(&toy, &["lock", "toy"]));
    run.failed(1, &["hah.lock", "ermission denied"]);
    assert_eq!(std::fs::metadata(&project).unwrap().mode(), mode);
    set_mode(&project, 0o755);
}

/// Two builds of the same image, to the same place and to two places, from one cold cache.
#[test]
fn builds_at_once() {
    let toy = Toy::new();
    let want = {
        let other = Toy::new();
        other.build()
    };
    let outputs = ["out/toy.img", "out/toy.img", "out/a.img", "elsewhere/b.img"];
    let children: Vec<_> = outputs
        .iter()
        .map(|output| {
            let mut command = toy.command(&["build", "toy", "-o", output]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        Run::from(child.wait_with_output().unwrap()).succeeded();
    }
    for output in outputs {
        assert_eq!(crate::archive::project::digest(&toy.path("project").join(output)), want, "{output}");
    }
    toy.assert_nothing_half_written();
    assert!(toy.names("project/out").iter().all(|name| !name.starts_with('.')), "{:?}", toy.names("project/out"));
    assert_eq!(toy.names("home/.cache/hah-image/tmp"), [""; 0]);
}

/// A collection waits for builds and builds wait for it.
#[test]
fn a_build_and_gc_at_once() {
    let toy = Toy::new();
    toy.run(&["lock", "toy"]).succeeded();
    let piped = |args: &[&str]| {
        let mut command = toy.command(args);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    for _ in 0..3 {
        let children = [piped(&["build", "toy"]), piped(&["gc"]), piped(&["gc"])];
        for child in children {
            Run::from(child.wait_with_output().unwrap()).succeeded();
        }
        toy.assert_nothing_half_written();
        std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    }
}

/// Where the plan saw a pack there is a damaged one, or none any more, and its download is gone, too.
#[test]
fn a_pack_damaged_between_plan_and_use() {
    let toy = Toy::new();
    let want = toy.build();
    let damages: [fn(&Path); 4] = [
        |path| std::fs::write(path, b"").unwrap(),
        |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        },
        // In the manifest, at the end.
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            let at = bytes.len() - 140;
            bytes[at] ^= 1;
            std::fs::write(path, bytes).unwrap();
        },
        // From another version of the pack format, whole: the footer is version, lengths, digests, and its own digest.
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            let footer = bytes.len() - 128;
            bytes[footer + 8] ^= 0x40;
            let digest = hah_format::digest::Sha256::of(&bytes[footer..footer + 96]);
            bytes[footer + 96..].copy_from_slice(digest.as_bytes());
            std::fs::write(path, bytes).unwrap();
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        for directory in [PACKS, "home/.cache/hah-image/derived/v1"] {
            for name in toy.names(directory) {
                damage(&toy.path(directory).join(name));
            }
        }
        std::fs::remove_dir_all(toy.path(DOWNLOADS)).unwrap();
        std::fs::remove_dir_all(toy.path("project/out")).unwrap();
        let run = toy.run(&["build", "toy"]).succeeded();
        assert!(run.stderr.contains("Fetched") && run.stderr.contains("Packed"), "damage {number}: {run}");
        assert_eq!(crate::archive::project::digest(&toy.image()), want, "damage {number}");
        toy.assert_nothing_half_written();
    }
}

/// What another version of the program made has other names: it is not found, nothing of it is used, and `gc` takes it.
#[test]
fn a_store_of_another_format_version() {
    let toy = Toy::new();
    let want = toy.build();
    for directory in [PACKS, "home/.cache/hah-image/derived/v1"] {
        for name in toy.names(directory) {
            let (key, extension) = name.split_at(64);
            let other = hah_format::digest::Sha256::of(key.as_bytes());
            let path = toy.path(directory);
            // Not even readable as what it is called.
            std::fs::remove_file(path.join(&name)).unwrap();
            std::fs::write(path.join(format!("{other}{extension}")), b"of another version").unwrap();
        }
    }
    // The record of outputs is of a form that is not known.
    let record = toy.names("home/.cache/hah-image/outputs").remove(0);
    toy.write(&format!("home/.cache/hah-image/outputs/{record}"), "version = 9\n");
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    let run = toy.run(&["build", "toy"]).succeeded();
    assert!(run.stderr.contains(&format!("{} packages", debs().len())) && run.stderr.contains("Packed"), "{run}");
    assert_eq!(crate::archive::project::digest(&toy.image()), want);
    toy.run(&["gc"]).succeeded();
    assert_eq!(toy.names(PACKS).len(), debs().len());
    toy.assert_nothing_half_written();
}
