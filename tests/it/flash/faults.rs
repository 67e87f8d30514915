//! The real program with faults that strace puts into its system calls: a reader that stumbles, a card that lies, fails, is
//! pulled, and a program that is killed.
//!
//! The engine's own tests have the finer cases; these ask whether the kernel's answers reach it.

use std::path::Path;

use super::{ROOM, built, check_bytes, digest, old_card, size};
use crate::archive::project::{PROGRAM, Run, Toy};
use crate::oracles::{is_missing, is_root};

/// Flashes the toy's image while strace interferes.
fn flash(toy: &Toy, card: &Path, faults: &[&str]) -> Run {
    let mut command = toy.around("strace");
    command.args(["-f", "-o"]).arg(toy.path("trace"));
    for fault in faults {
        command.args(["-e", &format!("inject={fault}")]);
    }
    Run::of(command.arg(PROGRAM).args(["flash", "toy", "--yes"]).arg(card))
}

/// Fails the test unless the card has no partition table.
#[track_caller]
fn assert_does_not_boot(card: &Path) {
    let bytes = std::fs::read(card).unwrap();
    assert!(bytes[..4096].iter().all(|byte| *byte == 0), "the first block is there");
}

#[test]
fn faults_on_the_way_to_the_card() {
    if is_missing("strace") {
        return;
    }
    let toy = built();
    let card = toy.path("card");
    old_card(&card, size(&toy.image()) + ROOM, 0xa5);
    let fine = |faults: &[&str], says: &[&str]| {
        let run = flash(&toy, &card, faults).succeeded();
        check_bytes(&toy.image(), &card, 0xa5);
        for text in says {
            assert!(run.stderr.contains(text), "it does not say `{text}`: {run}");
        }
    };
    // The first write takes the table away, the second and third wipe the ends, and the fourth begins with the image.
    fine(&["pwrite64:error=EIO:when=2..3"], &["Verified"]);
    fine(&["pwrite64:error=EIO:when=4..5"], &["Verified"]);
    // What was written is not what was meant: the memory is changed on its way.
    let lies = ["after one place was written again", "do not trust this card"];
    fine(&["pwrite64:poke_enter=@arg2=c0ffee:when=3"], &lies);
    fine(&["pwrite64:poke_enter=@arg2=c0ffee:when=5"], &lies);
    fine(&["pread64:error=EIO:when=5"], &["Verified"]);

    let fails = |faults: &[&str], says: &[&str]| {
        flash(&toy, &card, faults).failed(1, says);
        assert_does_not_boot(&card);
    };
    fails(&["pwrite64:error=EIO:when=2+"], &["cannot write at byte 4096", "try another reader"]);
    fails(&["pwrite64:error=EIO:when=5+"], &["cannot write at byte", "try another reader"]);
    // The memory stays changed, so what is written again reads back as it was written, and is wrong.
    fails(&["pwrite64:poke_enter=@arg2=c0ffee:when=5+"], &["does not keep what is written at byte", "throw it away"]);
    fails(&["fsync:error=EIO"], &["cannot finish writing"]);
    // Pulled: while writing, while reading back, and when all but the first block was there.
    for pulled in [
        "pwrite64:error=ENODEV:when=3+",
        "pwrite64:error=ENODEV:when=5+",
        "pread64:error=ENXIO:when=5+",
        "fsync:error=ENODEV",
    ] {
        fails(&[pulled], &["went away", "does not boot"]);
    }
    // The next one is whole again.
    fine(&[], &["Verified"]);
}

#[test]
fn a_flash_that_is_killed_leaves_no_half_booting_card() {
    if is_missing("strace") {
        return;
    }
    let toy = built();
    let card = toy.path("card");
    old_card(&card, size(&toy.image()) + ROOM, 0xa5);
    let image = digest(&toy.image());
    for fault in [
        "pwrite64:signal=KILL:when=3",
        "pwrite64:signal=KILL:when=5",
        "pread64:signal=KILL:when=5",
        "fsync:signal=KILL",
    ] {
        let run = flash(&toy, &card, &[fault]);
        assert_ne!(run.code, Some(0), "{run}");
        assert_does_not_boot(&card);
    }
    flash(&toy, &card, &[]).succeeded();
    check_bytes(&toy.image(), &card, 0xa5);
    assert_eq!(digest(&toy.image()), image);
}

#[test]
fn a_card_that_one_may_not_write() {
    if is_missing("setpriv") {
        return;
    }
    let toy = built();
    let card = toy.path("card");
    old_card(&card, size(&toy.image()) + ROOM, 0xa5);
    let before = digest(&card);
    let mut permissions = std::fs::metadata(&card).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&card, permissions).unwrap();
    let mut command = toy.command(&["flash", "toy", "--yes"]);
    if is_root() {
        // Root without the privilege to pass over permissions.
        command = toy.around("setpriv");
        command.args(["--bounding-set=-dac_override", "--inh-caps=-dac_override"]);
        command.arg(PROGRAM).args(["flash", "toy", "--yes"]);
    }
    Run::of(command.arg(&card)).failed(1, &["is not writable for you", "setfacl"]);
    assert_eq!(digest(&card), before);
}
