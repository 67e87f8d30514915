//! `kill -9` at many points: whatever was under way, the next build ends as if nothing had happened.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::archive::project::{PROGRAM, Toy};
use crate::oracles;

/// Nothing half-written is there, and the next build leaves nothing else behind and makes `want`.
fn recovers(toy: &Toy, want: &str, point: &str) {
    let out = toy.path("project/out");
    if toy.image().exists() {
        assert_eq!(crate::archive::project::digest(&toy.image()), want, "killed {point}");
    }
    assert_eq!(toy.build(), want, "killed {point}");
    toy.assert_nothing_half_written();
    let leftovers: Vec<String> = ["project/out", "project", "home/.cache/hah-image/built", "home/.cache/hah-image/tmp"]
        .into_iter()
        .flat_map(|directory| toy.names(directory))
        .filter(|name| name.starts_with('.') || name.contains(".part") || (name.len() > 64 && !name.ends_with(".json")))
        .collect();
    assert_eq!(leftovers, [""; 0], "killed {point}");
    // The next point starts from nothing again.
    std::fs::remove_dir_all(out).unwrap();
    std::fs::remove_dir_all(toy.cache()).unwrap();
    std::fs::remove_file(toy.path("project/hah.lock")).unwrap();
}

fn undisturbed(toy: &Toy) -> (String, Duration) {
    let start = Instant::now();
    let want = toy.build();
    let took = start.elapsed();
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    std::fs::remove_dir_all(toy.cache()).unwrap();
    std::fs::remove_file(toy.path("project/hah.lock")).unwrap();
    (want, took)
}

#[test]
fn at_any_time() {
    let toy = Toy::new();
    let (want, took) = undisturbed(&toy);
    for tenth in [1, 3, 5, 6, 7, 8, 9] {
        let mut child = toy.command(&["build", "toy"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(took * tenth / 10);
        child.kill().unwrap();
        child.wait().unwrap();
        recovers(&toy, &want, &format!("after {tenth} tenths of {took:?}"));
    }
}

/// Every name appears by a rename, so the moments around renames matter most.
/// strace kills at the Nth one: lock, downloads, packs, kernel, and last what stands beside the image, the image and its record.
#[test]
fn at_every_kind_of_rename() {
    if oracles::is_missing("strace") {
        return;
    }
    let toy = Toy::new();
    let (want, _) = undisturbed(&toy);
    let mut count = 1;
    loop {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=/^rename"]);
        command.args(["-e", &format!("inject=/^rename:signal=KILL:when={count}")]);
        command.arg(PROGRAM).args(["build", "toy"]).current_dir(toy.path("project"));
        command.env("HOME", toy.path("home")).env("HAH_IMAGE_OFFLINE", "1");
        let output = command.output().unwrap();
        if output.status.success() {
            break;
        }
        recovers(&toy, &want, &format!("at rename {count}"));
        // Downloads and packs are many of a kind; the last ones are each of its own.
        count += if (3..17).contains(&count) { 4 } else { 1 };
        assert!(count < 100, "a build has no end: {output:?}");
    }
    assert!(count > 17, "only {count} renames were seen");
}

/// In the middle of several images: those that stand are whole, and the next build makes the rest.
#[test]
fn inside_a_build_of_several_images() {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let toy = Toy::new();
    crate::build::several::fleet(&toy, &NAMES);
    let build = || toy.command(&["build", "a", "b", "c"]);
    let digests = || {
        let image = |name: &str| toy.path("project/out").join(format!("{name}.img"));
        NAMES.map(|name| image(name).exists().then(|| crate::archive::project::digest(&image(name))))
    };
    let clear = || {
        std::fs::remove_dir_all(toy.path("project/out")).unwrap();
        std::fs::remove_dir_all(toy.cache()).unwrap();
        std::fs::remove_file(toy.path("project/hah.lock")).unwrap();
    };
    let start = Instant::now();
    crate::archive::project::Run::of(&mut build()).succeeded();
    let (want, took) = (digests(), start.elapsed());
    let mut some_but_not_all = 0;
    for tenth in [3, 5, 6, 7, 8, 9] {
        clear();
        let mut child = build().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(took * tenth / 10);
        child.kill().unwrap();
        child.wait().unwrap();
        let found = digests();
        for (found, want) in found.iter().zip(&want).filter(|(found, _)| found.is_some()) {
            assert_eq!(found, want, "killed after {tenth} tenths of {took:?}");
        }
        let count = found.iter().flatten().count();
        some_but_not_all += usize::from((1..3).contains(&count));
        crate::archive::project::Run::of(&mut build()).succeeded();
        assert_eq!(digests(), want, "killed after {tenth} tenths of {took:?}");
        toy.assert_nothing_half_written();
        let leftovers: Vec<String> = ["project/out", "home/.cache/hah-image/tmp"]
            .into_iter()
            .flat_map(|directory| toy.names(directory))
            .filter(|name| name.starts_with('.') || name.contains(".part") || name.len() > 64)
            .collect();
        assert_eq!(leftovers, [""; 0], "killed after {tenth} tenths of {took:?}");
    }
    println!("killed {some_but_not_all} times between the first image and the last");
}
