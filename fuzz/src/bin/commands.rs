//! grep, sed, awk, find, expr, printf and tr with arguments of any kind: the first line is the program's name, the second
//! and those up to an empty line are its arguments, the rest is standard input.
//!
//! Whatever they are, the command ends within its budget with a status or a refusal, and says the same twice.

#![no_main]

use std::collections::BTreeMap;

use hah_format::path::TreePath;
use hah_format::tree::Node;
use hah_plan::commands::{self, Process};
use hah_plan::contents::InlineOnly;
use hah_plan::merge::Provenance;
use hah_plan::rootfs::{Content, Root};
use hah_plan::world::{Budget, World};

const NAMES: [&str; 12] =
    ["grep", "egrep", "sed", "awk", "find", "expr", "printf", "tr", "sort", "cut", "diff", "xargs"];

fn run(name: &str, args: &[String], input: &[u8]) -> (Option<u8>, Vec<u8>, Vec<u8>, String) {
    let mut tree = Root::new();
    let path = |text: &str| TreePath::parse(text).unwrap();
    let _ = tree.insert(path("work/f"), Node::file(0o644, Content::inline(input.to_vec())));
    let _ = tree.insert(path("work/d/g"), Node::file(0o600, Content::inline(b"one two\nthree\n".to_vec())));
    let mut world = World::new(tree, Provenance::default(), &InlineOnly, 1_700_000_000);
    world.budget = Budget { steps: 200_000, bytes: 16 << 20 };
    let env = BTreeMap::from([("LC_ALL".to_owned(), "C.UTF-8".to_owned())]);
    let mut stdin = input.to_vec();
    let mut process = Process {
        world: &mut world,
        name: name.to_owned(),
        cwd: path("work"),
        umask: 0o022,
        env: &env,
        stdin: &mut stdin,
        stdout: Vec::new(),
        stderr: Vec::new(),
        assign: Vec::new(),
        programs: None,
        calls: 0,
    };
    let Some(command) = commands::find(name) else { return (None, Vec::new(), Vec::new(), String::new()) };
    let (status, refusal) = match (command.run)(&mut process, args) {
        Ok(status) => (Some(status), String::new()),
        Err(refusal) => {
            hah_fuzz::says_something(&refusal, "a refusal");
            (None, refusal.to_string())
        }
    };
    (status, process.stdout, process.stderr, refusal)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (head, stdin) = text.split_once("\n\n").unwrap_or((text, "one two\nthree=4 # five\n"));
    let mut lines = head.split('\n');
    let Some(name) = lines.next().and_then(|name| NAMES.iter().find(|known| **known == name)) else { return };
    let args: Vec<String> = lines.map(|line| line.replace('\u{1}', "\n")).collect();
    assert_eq!(run(name, &args, stdin.as_bytes()), run(name, &args, stdin.as_bytes()));
});
