//! Board files.

use super::packages::{BOARD_PACKAGE, BOARD_SUITE};
use super::{Object, Shape, optional, required};
use crate::recipe::kinds::{LINE, MEMBER, NAME, PACKAGE, PATH, PATTERN, REASON, SIZE, TEXT, VERSIONED, WORDS};

static BOARD_REMOVE: Object = Object {
    name: "a removal",
    keys: &[&[
        required("pattern", Shape::Text(&PATTERN), "Paths of packages to leave out."),
        optional("except", Shape::List(&Shape::Text(&PATTERN)), "Which of them stay."),
    ]],
};

static TABLES: Object = Object {
    name: "[tables]",
    keys: &[&[
        required("default", Shape::Choice(&["mbr", "gpt"]), "The partition table that an image gets."),
        optional(
            "refused",
            Shape::Named(&NAME, &Shape::Text(&REASON)),
            "Tables that do not boot, each with the reason.",
        ),
        optional(
            "boot-type",
            Shape::Choice(&["basic-data", "esp"]),
            "What a GPT says of the boot partition; `basic-data` without. UEFI boots from an `esp`.",
        ),
    ]],
};

static KERNEL_FILES: Object = Object {
    name: "[kernel]",
    keys: &[&[
        required("image", Shape::Text(&VERSIONED), "The kernel."),
        required("modules", Shape::Text(&VERSIONED), "The directory of its modules."),
        optional("device-trees", Shape::Text(&VERSIONED), "The directory of its device trees."),
        optional("compression", Shape::Choice(&["none", "gzip"]), "How the boot partition holds it; `none`."),
    ]],
};

static FIRMWARE: Object = Object {
    name: "a [[firmware]] entry",
    keys: &[&[
        required("path", Shape::Text(&PATH), "Where a package puts it."),
        required("name", Shape::Text(&LINE), "Its 8.3 name on the boot partition."),
    ]],
};

static BOOT_FILE: Object = Object {
    name: "a [[boot-file]] entry",
    keys: &[&[
        required("name", Shape::Text(&MEMBER), "Where it goes on the boot partition: `loader/loader.conf`."),
        required("content", Shape::Text(&TEXT), "Its text; the word CMDLINE stands for the kernel command line."),
    ]],
};

static MICROCODE: Object = Object {
    name: "a [[microcode]] entry",
    keys: &[&[
        required("name", Shape::Choice(&["GenuineIntel.bin", "AuthenticAMD.bin"]), "By which the kernel finds it."),
        required("directory", Shape::Text(&PATH), "Where a package puts the files that make it."),
    ]],
};

static STAGE1: Object = Object {
    name: "[stage1]",
    keys: &[&[required("modules", Shape::List(&Shape::Text(&LINE)), "Kernel modules to load, in order.")]],
};

static MACHINE: Object = Object {
    name: "a [[machine]] entry",
    keys: &[&[
        required("name", Shape::Text(&NAME), "What `hah-image run` calls it."),
        required("program", Shape::Text(&LINE), "The emulator."),
        required("args", Shape::List(&Shape::Text(&LINE)), "Arguments that choose machine and processor."),
        required("memory", Shape::Text(&SIZE), "Memory."),
        required("disk", Shape::Choice(&["virtio", "sd"]), "How the image is attached."),
        required("network", Shape::Choice(&["virtio", "usb"]), "The network device."),
        optional("console-serial", Shape::Integer(0, 7), "Which serial port the console is, from 0."),
        optional("device-tree", Shape::Text(&LINE), "The device tree to pass."),
        optional("cmdline", Shape::List(&Shape::Text(&WORDS)), "Words to append to the kernel command line."),
        optional(
            "without",
            Shape::List(&Shape::Text(&WORDS)),
            "Words of the image's command line to leave out: a console that the board has and the machine has not.",
        ),
        optional(
            "boot",
            Shape::Choice(&["direct", "uefi"]),
            "`direct`, the default: QEMU loads the kernel. `uefi`: firmware reads the disk, and `cmdline` reaches nobody.",
        ),
        optional("accelerated", Shape::Boolean, "Whether KVM may run it on the host's own processor."),
    ]],
};

static IMAGER_DEVICE: Object = Object {
    name: "an [[imager-device]] entry",
    keys: &[&[
        required("name", Shape::Text(&LINE), "What Raspberry Pi Imager calls it."),
        required("description", Shape::Text(&LINE), "Which models, in one line."),
        required("tag", Shape::Text(&WORDS), "By which Imager knows what boots on it: `pi4-64bit`."),
    ]],
};

/// `recipes/boards/NAME.toml`.
pub(in crate::recipe) static BOARD: Object = Object {
    name: "a board",
    keys: &[&[
        required("summary", Shape::Text(&LINE), "Which models, in one line."),
        required("architecture", Shape::Choice(&hah_node::architecture::DEBIAN_NAMES), "Architecture of the packages."),
        required(
            "packages",
            Shape::List(&Shape::Either(&Shape::Text(&PACKAGE), &Shape::Table(&BOARD_PACKAGE))),
            "Kernel and firmware packages: names, or `{ name, suite }`.",
        ),
        optional(
            "suite",
            Shape::List(&Shape::Table(&BOARD_SUITE)),
            "Suites that its packages come from, beside the recipes'.",
        ),
        optional("provides", Shape::Named(&PACKAGE, &Shape::Text(&REASON)), "As in a recipe."),
        optional(
            "remove",
            Shape::List(&Shape::Either(&Shape::Text(&PATTERN), &Shape::Table(&BOARD_REMOVE))),
            "Paths of packages to leave out of the root.",
        ),
        required("tables", Shape::Table(&TABLES), "Partition tables."),
        required("kernel", Shape::Table(&KERNEL_FILES), "Where the kernel package puts what boots."),
        optional(
            "firmware",
            Shape::List(&Shape::Table(&FIRMWARE)),
            "Files that the firmware wants on the boot partition.",
        ),
        optional("device-trees", Shape::List(&Shape::Text(&LINE)), "Device trees to put beside the kernel."),
        required("stage1", Shape::Table(&STAGE1), "Stage 1."),
        optional("config-txt", Shape::Text(&TEXT), "config.txt; lines of at most 98 characters."),
        optional("boot-file", Shape::List(&Shape::Table(&BOOT_FILE)), "Texts of a boot loader's own."),
        optional("microcode", Shape::List(&Shape::Table(&MICROCODE)), "Updates of the processor, for the initramfs."),
        optional("cmdline", Shape::List(&Shape::Text(&WORDS)), "Words of the kernel command line."),
        optional("watchdog-seconds", Shape::Integer(1, 900), "systemd's RuntimeWatchdogSec=; without, it stays off."),
        optional(
            "processor-mhz",
            Shape::Integer(1, 1_000_000),
            "Sum of the processors' clocks in MHz, for Nomad; only where the kernel has no cpufreq to tell it.",
        ),
        optional("machine", Shape::List(&Shape::Table(&MACHINE)), "QEMU machines that boot the images."),
        optional(
            "imager-device",
            Shape::List(&Shape::Table(&IMAGER_DEVICE)),
            "Devices in Raspberry Pi Imager that boot the images; without any, `build` writes no manifest for it.",
        ),
    ]],
};
