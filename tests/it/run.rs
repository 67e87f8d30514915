//! `run` plays the firmware: before each start it reads the boot pointer of the node's own disk.
//!
//! QEMU is a script here, which does what a guest would: it changes the pointer on its disk, and asks for a restart.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive::project::{BOARD, Run, Toy};
use crate::bad_days::paths::MACHINE;
use crate::build::judge;
use crate::oracles;

/// Notes its arguments in `args.N`, puts slot `slots[N]` into the pointer, and ends as `endings[N]` says.
const GUEST: &str = r#"#!/bin/bash
PATH=/usr/sbin:/usr/bin:/bin
cd "${0%/*}"
number=$(cat count 2>/dev/null || echo 0)
echo $((number + 1)) >count
printf '%s\n' "$@" >args.$number
for word; do case $word in socket,id=hah-qmp,fd=*) fd=${word##*=} ;; esac; done
echo '{"QMP": {"version": {}}}' >&$fd
read -r command <&$fd
[ "$command" = '{"execute":"qmp_capabilities"}' ] || exit 9
echo '{"return": {}}' >&$fd
slots=(SLOTS) endings=(ENDINGS)
qemu-io -f qcow2 -c "write -P 0x3${slots[$number]} PLACE 1" DISK >/dev/null || exit 8
case ${endings[$number]} in
crash) exit 1 ;;
*) echo '{"event": "SHUTDOWN", "data": {"guest": true, "reason": "'${endings[$number]}'"}}' >&$fd ;;
esac
"#;

/// A toy whose image has a second generation, and that has been told what its guest will do.
struct Node {
    toy: Toy,
    bin: PathBuf,
}

impl Node {
    /// `None` when a program is missing.
    fn new(slots: &str, endings: &str) -> Option<Self> {
        if ["qemu-img", "qemu-io", "mmd", "mcopy", "bash"].into_iter().any(oracles::is_missing) {
            return None;
        }
        let toy = Toy::new();
        toy.write("project/recipes/boards/toy.toml", [BOARD, MACHINE].concat());
        toy.build();
        let volume = format!("{}@@4M", toy.image().display());
        toy.write("cmdline", "of=g1\n");
        judge(Command::new("mmd").args(["-i", &volume, "::g1"]));
        for (from, to) in [("cmdline", "cmdline.txt"), ("agent", "kernel"), ("agent", "initramfs")] {
            judge(Command::new("mcopy").args(["-i", &volume]).arg(toy.path(from)).arg(format!("::g1/{to}")));
        }
        let image = std::fs::read(toy.image()).unwrap();
        let line = b"os_prefix=g0/\n# hah good=0";
        let place = image.windows(line.len()).position(|window| window == line).unwrap() + "os_prefix=g".len();
        let disk = toy.path("project/out/toy.run/toy-0/disk.qcow2");
        let guest = GUEST.replace("SLOTS", slots).replace("ENDINGS", endings);
        let guest = guest.replace("PLACE", &place.to_string()).replace("DISK", &format!("'{}'", disk.display()));
        let bin = toy.path("bin");
        for (name, text) in [
            ("qemu-system-aarch64", guest.as_str()),
            ("qemu-img", "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/bin exec qemu-img \"$@\"\n"),
        ] {
            toy.write(&format!("bin/{name}"), text);
            std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Some(Self { toy, bin })
    }

    fn run(&self, args: &[&str]) -> Run {
        Run::of(self.toy.command(&[&["run", "toy"], args].concat()).env("PATH", &self.bin))
    }

    /// The kernel's command line of each start.
    fn command_lines(&self) -> Vec<String> {
        let args = |number: u32| std::fs::read_to_string(self.bin.join(format!("args.{number}"))).ok();
        let lines = (0..).map_while(args);
        lines.map(|args| args.lines().skip_while(|word| *word != "-append").nth(1).unwrap().to_owned()).collect()
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn a_reboot_starts_what_the_pointer_names() {
    let Some(node) = Node::new("1 7 0", "guest-reset guest-panic guest-shutdown") else { return };
    let said = node.run(&[]).succeeded().stderr;
    assert_eq!(node.command_lines(), ["quiet", "of=g1", "quiet"]);
    assert!(said.contains("node 0 reboots: generation 1\n"), "{said}");
    assert!(said.contains("node 0 reboots: the rescue copy"), "there is no g7: {said}");
    // Switched on again, it is the same node.
    std::fs::remove_file(node.bin.join("count")).unwrap();
    let line = node.run(&["--prepare"]).succeeded().stdout;
    assert!(line.contains("quiet") && !node.bin.join("count").exists(), "{line}");
    assert_eq!(text(&node.toy.path("project/out/toy.run/toy-0/cmdline.txt")), "quiet");
}

#[test]
fn once_ends_with_the_first_reboot_and_prepare_shows_the_next_start() {
    let Some(node) = Node::new("1 1", "guest-reset guest-shutdown") else { return };
    node.run(&["--once"]).succeeded();
    assert_eq!(node.command_lines(), ["quiet"]);
    let line = node.run(&["--prepare"]).succeeded().stdout;
    assert!(line.contains("of=g1"), "{line}");
    assert_eq!(text(&node.toy.path("project/out/toy.run/toy-0/cmdline.txt")), "of=g1");
    assert!(!node.toy.path("project/out/toy.run/toy-0/boot.fat").exists());
    let line = node.run(&["--dry-run"]).succeeded().stdout;
    assert!(line.contains("quiet"), "of a first start, which needs no disk: {line}");
}

/// A crash of QEMU is no reboot: starting again would go on for ever.
#[test]
fn a_machine_that_fails_is_not_started_again() {
    let Some(node) = Node::new("0 0", "crash guest-shutdown") else { return };
    node.run(&[]).failed(1, &["qemu-system-aarch64 ended with exit status: 1"]);
    assert_eq!(node.command_lines().len(), 1);
}

/// A build gives the image's name to another file; a node that reboots then would have found it below its own writes.
#[test]
fn a_node_keeps_the_image_that_it_began_with() {
    let Some(node) = Node::new("1 0", "guest-reset guest-shutdown") else { return };
    node.run(&["--once"]).succeeded();
    let (base, before) = (node.toy.path("project/out/toy.run/toy-0/base.img"), node.toy.image());
    let digest = crate::archive::project::digest(&base);
    node.toy.write("agent", crate::archive::elf::program(b"I am another agent"));
    node.toy.build();
    assert_eq!(crate::archive::project::digest(&base), digest);
    assert_ne!(crate::archive::project::digest(&before), digest);
}

/// A kernel of six instructions, on the real machine: what a guest asks of its firmware, QEMU tells.
#[test]
fn qemu_tells_a_reboot_from_a_power_off() {
    use hah_image::qemu::Prepared;
    use hah_image::qemu::power::{self, Ending};
    if oracles::is_missing("qemu-system-aarch64") {
        return;
    }
    let there = tempfile::tempdir().unwrap();
    let kernel = there.path().join("kernel");
    // PSCI: SYSTEM_OFF is 0x8400_0008, SYSTEM_RESET is 0x8400_0009 (Arm DEN0022, 5.1).
    for (number, wanted) in [(8, Ending::Off), (9, Ending::Reboot)] {
        // It counts down first, as long as QEMU's protocol may take to be heard.
        let count: [u32; 3] = [0xd2a4_0001, 0xf100_0421, 0x54ff_ffe1];
        let call: [u32; 3] = [0x5280_0000 | number << 5, 0x72b0_8000, 0xd400_0002];
        std::fs::write(&kernel, [count, call].concat().iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
            .unwrap();
        let words = "-M virt -cpu cortex-a53 -m 64M -display none -serial null -monitor none -no-reboot -kernel";
        let mut args: Vec<std::ffi::OsString> = words.split(' ').map(Into::into).collect();
        args.push(kernel.clone().into());
        let program = "qemu-system-aarch64".to_owned();
        let machine = Prepared { program, args, forwards: Vec::new(), fresh: false, generation: None };
        assert_eq!(power::run(&machine, &[]).unwrap(), wanted);
    }
}
