//! The real agent at the other end, on a card that is a directory.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use hah_node::generation::state::Generations;

use crate::archive::project::{BOARD, IMAGE, RECIPE, Run, Toy, digest};
use crate::archive::{elf, noise};
use crate::build::closure::{Generation, boot_file};
use crate::build::partition;
use crate::stack::agent;

/// Runs what the node is asked for, but for a reboot, with the card as its root; hangs up early when there is `cut`.
const FALSE_SSH: &str = r#"#!/bin/sh
while [ "$1" != hah-agent ]; do shift; done
shift
case "$*" in *--reboot*) echo 'no reboot here' >&2; exit 1 ;; esac
[ -e 'CARD/cut' ] && [ "$1" = receive ] && { rm 'CARD/cut'; dd bs=64k count=5000000 iflag=count_bytes 2>/dev/null | 'AGENT' "$@" --root 'CARD'; exit 255; }
exec 'AGENT' "$@" --root 'CARD'
"#;

/// A toy and its card, to which its first image was flashed.
struct Node {
    toy: Toy,
    card: PathBuf,
}

impl Node {
    fn new() -> Self {
        let toy = Toy::new();
        toy.build();
        let card = toy.path("card");
        for directory in
            ["boot/firmware/g0", "boot/firmware/hah", "run/hah", "dev", "var/lib/hah", "proc/sys/kernel/random"]
        {
            std::fs::create_dir_all(card.join(directory)).unwrap();
        }
        for name in ["hah/boot.txt", "g0/closure", "g0/kernel", "g0/initramfs", "g0/cmdline.txt"] {
            std::fs::write(card.join("boot/firmware").join(name), boot_file(&toy.image(), name)).unwrap();
        }
        partition(&toy.image(), "root", &card.join("dev/p2"));
        let closure = Generation::of(&toy.image()).closure;
        let report = serde_json::json!({
            "version": 1, "image": "toy", "image_id": "1", "disk": "vda", "disk_bytes": 1, "data": "p3",
            "data_bytes": 1, "flashed_root": "p2", "disk_id": closure.disk.to_string(), "generation": "0", "good": "0",
            "on_trial": false, "data_action": "kept", "seeded": 0, "hostname": "node", "new_machine_id": false,
            "steps": [], "warnings": [],
        });
        std::fs::write(card.join("run/hah/stage1.json"), report.to_string()).unwrap();
        let script = FALSE_SSH.replace("AGENT", &agent().to_string_lossy()).replace("CARD", &card.to_string_lossy());
        toy.write("bin/ssh", script);
        std::fs::set_permissions(toy.path("bin/ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { toy, card }
    }

    fn deploy(&self, args: &[&str]) -> Run {
        let mut command = self.toy.command(&[&["deploy", "hah@node"], args].concat());
        Run::of(command.env("PATH", format!("{}:/usr/bin:/bin", self.toy.path("bin").display())))
    }

    fn generations(&self) -> Generations {
        let output = std::process::Command::new(agent())
            .args(["generations", "--json", "--root"])
            .arg(&self.card)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn the_real_agent_takes_what_is_sent() {
    let node = Node::new();
    let run = node.deploy(&[]).succeeded();
    assert!(run.stderr.contains("already, as generation 0"), "{run}");
    // A changed line, and an agent that is too large for one transfer that is cut.
    node.toy.write("project/recipes/toy.toml", RECIPE.replace("default = \"hello\"", "default = \"goodbye\""));
    node.toy.write("agent", [elf::program(b"I am large"), noise(9_000_000, 9)].concat());
    node.toy.write("card/cut", "");
    let run = node.deploy(&["--stage"]).failed(1, &["cannot hear the sender: unexpected end of file"]);
    assert!(!run.stderr.contains("Staged"), "{run}");
    assert_eq!(node.generations().generations.len(), 1, "nothing half is visible");
    let run = node.deploy(&["--stage", "--json"]).succeeded();
    let results = run.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let staged = results.into_iter().find(|event| event["outcome"] == "staged").unwrap();
    // The agent is in the root and in the initramfs, 9 MB each, of which the first transfer brought at least 4 MiB.
    assert!(staged["slot"] == "1" && staged["sent"].as_u64().unwrap() < 15_000_000, "{staged}");
    // The same bytes as on a card that would be flashed now.
    let root = node.toy.path("root.squashfs");
    partition(&node.toy.image(), "root", &root);
    assert_eq!(digest(&node.card.join("var/lib/hah/generations/1/root.squashfs")), digest(&root));
    let boot = |name: &str| std::fs::read(node.card.join("boot/firmware").join(name)).unwrap();
    for name in ["kernel", "initramfs"] {
        assert!(boot(&format!("g1/{name}")) == boot_file(&node.toy.image(), &format!("g0/{name}")), "{name}");
    }
    assert_eq!(boot("g1/cmdline.txt"), b"quiet hah.generation=1\n");
    assert_eq!(boot("hah/boot.txt"), boot_file(&node.toy.image(), "hah/boot.txt"), "nothing is tried");
    // Armed for the next boot; a reboot itself would be this machine's.
    node.deploy(&["--at", "next-reboot"]).succeeded();
    assert_eq!(boot("hah/boot.txt"), b"os_prefix=g1/\n# hah good=0 trial=1\n");
    assert_eq!(node.generations().next.to_string(), "1");
}

#[test]
fn the_real_agent_refuses_what_is_not_for_it() {
    let node = Node::new();
    node.toy.write("project/recipes/boards/other.toml", BOARD);
    node.toy.write("project/images/other.toml", IMAGE.replace("board = \"toy\"", "board = \"other\""));
    let run = node.deploy(&["--image", "other", "--stage"]);
    run.failed(1, &["hah@node refuses the generation: this node is a toy (arm64), and the generation is for other"]);
    assert!(!node.card.join("boot/firmware/g1").exists());
}
