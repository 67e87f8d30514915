//! Loop devices: real block devices, as far as the kernel is concerned.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{ROOM, built, check_bytes, digest, flash, old_card, size};
use crate::archive::project::{BOARD, Run, Toy};
use crate::build::judge;
use crate::oracles::{is_missing, is_root};

/// A loop device over a file of the toy.
struct Loop {
    device: PathBuf,
}

impl Loop {
    /// None where this machine has no loop devices, which is then said.
    fn over(file: &Path) -> Option<Self> {
        Self::with_sectors(file, 512)
    }

    /// One whose logical sectors have so many bytes.
    fn with_sectors(file: &Path, bytes: u32) -> Option<Self> {
        if !is_root() || is_missing("losetup") {
            return None;
        }
        let mut losetup = Command::new("losetup");
        losetup.args(["--partscan", "--find", "--show", "--sector-size", &bytes.to_string()]);
        let output = losetup.arg(file).output().unwrap();
        if !output.status.success() {
            println!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        let device: PathBuf = String::from_utf8(output.stdout).unwrap().trim().into();
        // A test that was killed may have left the number write-protected.
        let _ = Command::new("blockdev").arg("--setrw").arg(&device).status();
        Some(Self { device })
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.device).status();
    }
}

/// A card of the image's size and what a node needs, and its device.
fn card(toy: &Toy, name: &str) -> Option<(PathBuf, Loop)> {
    let file = toy.path(name);
    old_card(&file, size(&toy.image()) + ROOM, 0xa5);
    let device = Loop::over(&file)?;
    Some((file, device))
}

#[test]
fn a_device_gets_the_mapped_blocks() {
    let toy = built();
    let Some((file, device)) = card(&toy, "card") else { return };
    flash(&toy, &device.device, &[]).succeeded();
    check_bytes(&toy.image(), &file, 0xa5);
    // By another name, as people give them.
    let link = toy.path("by-id-of-it");
    std::os::unix::fs::symlink(&device.device, &link).unwrap();
    toy.write("a.json", super::NODE);
    let run = flash(&toy, &link, &["--identity", "../a.json"]).succeeded();
    assert!(run.stderr.contains("as pi4-a"), "{run}");
    let shown = toy.run(&["flash", "toy", link.to_str().unwrap()]);
    shown.failed(2, &["this would erase", device.device.to_str().unwrap(), "loop device"]);
}

#[test]
fn what_is_in_use_is_refused() {
    let toy = built();
    let Some((_, device)) = card(&toy, "card") else { return };
    flash(&toy, &device.device, &[]).succeeded();
    let _ = Command::new("partx").arg("-u").arg(&device.device).status();
    // The root: few kernels lack squashfs.
    let partition = PathBuf::from(format!("{}p2", device.device.display()));
    if !partition.exists() {
        println!("skipped: no partitions on loop devices here");
        return;
    }
    flash(&toy, &partition, &[]).failed(1, &["is a partition of", "give the whole disk"]);
    let place = toy.path("mounted");
    std::fs::create_dir(&place).unwrap();
    if !Command::new("mount").args(["-o", "ro"]).arg(&partition).arg(&place).status().unwrap().success() {
        println!("skipped: cannot mount here");
        return;
    }
    let run = flash(&toy, &device.device, &[]);
    let listed = toy.run(&["flash", "toy"]);
    assert!(Command::new("umount").arg(&place).status().unwrap().success());
    run.failed(1, &["is mounted", "umount"]);
    assert!(listed.stderr.contains(&format!("not {}: it is mounted", device.device.display())), "{listed}");
    flash(&toy, &device.device, &[]).succeeded();
}

#[test]
fn what_another_holds_and_what_is_too_large() {
    let toy = built();
    let Some((file, device)) = card(&toy, "card") else { return };
    let before = digest(&file);
    flash(&toy, &device.device, &["--max-size", "1 MiB"]).failed(1, &["is larger than 1.0 MiB", "--max-size"]);
    let exclusive = rustix::fs::OFlags::EXCL.bits().cast_signed();
    let held = std::fs::File::options().read(true).custom_flags(exclusive).open(&device.device).unwrap();
    flash(&toy, &device.device, &[]).failed(1, &["is in use", "another flash"]);
    drop(held);
    assert_eq!(digest(&file), before);
}

/// Nothing is said that would allow it, and nobody is there to ask: this machine's disks are safe whatever is wrong.
#[test]
fn what_this_machine_runs_from() {
    let toy = built();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let sources: BTreeSet<&str> = mounts
        .lines()
        .filter(|line| matches!(line.split(' ').nth(4), Some("/" | "/boot" | "/boot/efi" | "/home" | "/usr" | "/var")))
        .filter_map(|line| line.split(" - ").nth(1)?.split(' ').nth(1))
        .filter(|source| std::fs::metadata(source).is_ok_and(|found| found.file_type().is_block_device()))
        .collect();
    if sources.is_empty() {
        println!("skipped: this machine's root is no disk");
    }
    for source in sources {
        let run = toy.run(&["flash", "toy", source, "--allow-fixed", "--max-size", "1000000 GiB"]);
        assert_eq!(run.code, Some(1), "{run}");
        let said = ["is what this system runs from", "is a partition of", "is in use", "is mounted"];
        assert!(said.iter().any(|text| run.stderr.contains(text)), "{run}");
    }
}

#[test]
fn one_sector_too_small_and_write_protected() {
    let toy = built();
    let file = toy.path("small");
    old_card(&file, size(&toy.image()) - 512, 0xa5);
    let Some(device) = Loop::over(&file) else { return };
    let before = digest(&file);
    flash(&toy, &device.device, &[]).failed(1, &["is too small", "512 too few"]);
    assert!(Command::new("blockdev").arg("--setro").arg(&device.device).status().unwrap().success());
    let protected = flash(&toy, &device.device, &[]);
    // The kernel keeps the flag for the next file that gets this device.
    assert!(Command::new("blockdev").arg("--setrw").arg(&device.device).status().unwrap().success());
    protected.failed(1, &["is write-protected"]);
    assert_eq!(digest(&file), before);
}

/// The kernel would find the image's partitions eight times as far away.
#[test]
fn a_disk_with_sectors_of_4096_bytes_is_refused() {
    for table in ["mbr", "gpt"] {
        let toy = Toy::new();
        let board = BOARD.replace("default = \"gpt\"", &format!("default = \"{table}\""));
        toy.write("project/recipes/boards/toy.toml", board);
        toy.build();
        for bytes in [1024, 2048, 4096] {
            let file = toy.path("disk");
            old_card(&file, size(&toy.image()) + ROOM, 0xa5);
            let Some(device) = Loop::with_sectors(&file, bytes) else { return };
            let before = digest(&file);
            let says = format!("has sectors of {bytes} bytes");
            flash(&toy, &device.device, &[]).failed(1, &[&says, "count in sectors of 512", "512e"]);
            let listed = toy.run(&["flash", "toy"]);
            assert!(listed.stderr.contains(&format!("not {}: it {says}", device.device.display())), "{listed}");
            assert_eq!(digest(&file), before);
        }
    }
}

#[test]
fn a_device_without_room_for_a_node_s_data_is_refused() {
    let toy = built();
    let file = toy.path("card");
    old_card(&file, size(&toy.image()), 0xa5);
    let Some(device) = Loop::over(&file) else { return };
    let before = digest(&file);
    flash(&toy, &device.device, &[]).failed(1, &["is too small: the image fits", "32.0 MiB", "use a larger card"]);
    assert_eq!(digest(&file), before);
}

/// As on a file, but past the page cache, where everything is in whole sectors.
#[test]
fn the_ends_of_a_device_are_wiped() {
    if is_missing("sgdisk") || is_missing("wipefs") {
        return;
    }
    let toy = built();
    let file = toy.path("card");
    old_card(&file, size(&toy.image()) + ROOM + 512, 0xa5);
    let Some(device) = Loop::over(&file) else { return };
    judge(Command::new("sgdisk").args(["--clear", "--new=1:2048:+20M"]).arg(&device.device));
    flash(&toy, &device.device, &[]).succeeded();
    check_bytes(&toy.image(), &file, 0xa5);
}

#[test]
fn two_cards_at_once() {
    let toy = built();
    let (Some((first, one)), Some((second, two))) = (card(&toy, "first"), card(&toy, "second")) else { return };
    let start = |device: &Loop| {
        let mut command = toy.command(&["flash", "toy"]);
        command.arg(&device.device).arg("--yes").stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let running = [start(&one), start(&two)];
    for child in running {
        Run::from(child.wait_with_output().unwrap()).succeeded();
    }
    check_bytes(&toy.image(), &first, 0xa5);
    check_bytes(&toy.image(), &second, 0xa5);
}
