//! Arbitrary text as a script of the shell, on a small world with a small budget.
//!
//! It ends, with a status or with the line at which it cannot go on, and the same way twice.

#![no_main]

use std::collections::BTreeMap;

use hah_format::path::TreePath;
use hah_format::tree::Node;
use hah_plan::commands::{Finished, Process, Programs, Refusal};
use hah_plan::contents::InlineOnly;
use hah_plan::merge::Provenance;
use hah_plan::rootfs::{Content, Root};
use hah_plan::shell::{Script, Stopped, run};
use hah_plan::world::{Budget, World};

/// No program is there.
struct Nothing;

impl Programs for Nothing {
    fn call(&self, _: &mut Process<'_, '_>, _: &[String]) -> Result<Option<u8>, Refusal> {
        Ok(None)
    }
}

fn evaluate(text: &str) -> (Result<Finished, Stopped>, Root) {
    let path = |text: &str| TreePath::parse(text).unwrap();
    let mut tree = Root::new();
    for directory in ["dev", "etc", "tmp", "usr/bin", "work/d"] {
        let _ = tree.insert(path(directory), Node::dir(0o755));
    }
    let file = |mode, text: &str| Node::file(mode, Content::inline(text.as_bytes()));
    let _ = tree.insert(path("work/f"), file(0o644, "one two\nthree\n"));
    let _ = tree.insert(path("work/s"), file(0o755, "#!/bin/sh\necho \"$@\"\n"));
    let _ = tree.insert(path("usr/bin/tool"), file(0o755, "\u{7f}ELF"));
    let mut world = World::new(tree, Provenance::default(), &InlineOnly, 1_700_000_000);
    world.budget = Budget { steps: 20_000, bytes: 8 << 20 };
    let script = Script {
        name: "script".to_owned(),
        args: vec!["configure".to_owned(), String::new()],
        env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        cwd: path("work"),
        stdin: b"in 1\nin 2\n".to_vec(),
    };
    let done = run(&mut world, text, script, &Nothing);
    (done, world.tree)
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (done, tree) = evaluate(text);
    if let Err(stopped) = &done {
        assert!(!stopped.what.is_empty());
        assert!((1..=text.matches('\n').count() + 2).contains(&(stopped.line as usize)), "{}", stopped.line);
    }
    assert_eq!(evaluate(text), (done, tree));
});
