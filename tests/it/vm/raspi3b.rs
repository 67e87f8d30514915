//! The image as built, on QEMU's Raspberry Pi 3B: its own kernel, device tree and initramfs, from SD through stage 1
//! into systemd.

use std::time::Duration;

use super::image;
use super::machine::{LOGIN, Node, STAGE1_DONE, STAGE1_STARTS};

/// One emulated core does the work of both a board and its SD host.
const PATIENCE: Duration = Duration::from_secs(1200);

#[test]
fn the_image_boots_on_a_raspberry_pi_3b() {
    let Some(image) = image::as_built("the_image_boots_on_a_raspberry_pi_3b") else { return };
    // An SD card's size is a power of two in QEMU.
    let node = Node::new(&image, "raspi3b", "raspi3b", 4);
    let vm = node.boot();
    let starts = vm.wait_for(STAGE1_STARTS, PATIENCE);
    let done = vm.wait_for(STAGE1_DONE, PATIENCE);
    let systemd = vm.wait_for("Welcome to ", PATIENCE);
    let login = vm.wait_for(LOGIN, PATIENCE);
    println!("stage 1 from {starts:.0?} to {done:.0?}, systemd at {systemd:.0?}, login at {login:.0?} (without KVM)");
    let console = vm.pull_the_plug();
    let made = console.lines().find(|line| line.contains("first boot: making the data partition"));
    assert!(made.is_some_and(|line| line.trim_end().ends_with("on mmcblk0")), "{console}");
    assert!(!console.contains("hah: cannot"), "{console}");
}
