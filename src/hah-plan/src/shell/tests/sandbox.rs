//! One script, run by the machine's dash in an empty directory and by ours in a tree that has the same directory.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "dash is the oracle")]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use crate::merge::Provenance;
use crate::rootfs::{Content, Root};
use crate::scripts::closure::{Kept, Scratch};
use crate::shell::{NoPrograms, Script, Stopped, run};
use crate::world::World;

/// Exported variables, for both.
const ENVIRONMENT: [(&str, &str); 3] = [("HOME", "/root"), ("LC_ALL", "C"), ("PATH", "/usr/bin:/bin")];

/// Programs that scripts of the corpus call, which the tree must have.
const PROGRAMS: [&str; 14] =
    ["awk", "env", "false", "id", "ls", "md5sum", "nice", "seq", "sh", "sort", "true", "uname", "which", "xargs"];

/// What can be seen of a script that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u8,
    pub(super) stdout: String,
    /// Whether anything was complained of. The words are not compared.
    pub(super) complained: bool,
    /// What stands in the directory: kind, mode, content.
    pub(super) files: BTreeMap<String, String>,
}

/// Whether there is no dash: then the test is skipped, and fails with `HAH_REQUIRE_ORACLES`.
pub(super) fn dash_is_missing() -> bool {
    let there = Command::new("dash").args(["-c", ":"]).status().is_ok_and(|status| status.success());
    if !there {
        assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "dash is missing");
        println!("skipped: no dash");
    }
    !there
}

/// How ours differs from dash on `text`; `None` when it does not. `name` is that of a directory for it alone.
pub(super) fn difference(name: &str, text: &str) -> Option<String> {
    let scratch = Scratch::new(&format!("shell-{name}"));
    scratch.write("script", text);
    let directory = format!("{}/box", scratch.path());
    std::fs::create_dir(&directory).unwrap();
    let dash = in_dash(&scratch, &directory);
    let ours = in_ours(&scratch, &directory, text);
    let _ = std::fs::remove_dir_all(scratch.path());
    match ours {
        Ok(ours) if ours == dash => None,
        Ok(ours) => Some(format!("  dash: {dash:?}\n  ours: {ours:?}")),
        // What dash says of text that is no shell, and what it has done before, is for the person who wrote it.
        Err(stopped) if stopped.what.starts_with("a syntax error") && dash.status == 2 && dash.complained => None,
        Err(stopped) => Some(format!("  dash: {dash:?}\n  ours: line {}: {}", stopped.line, stopped.what)),
    }
}

fn in_dash(scratch: &Scratch, directory: &str) -> Seen {
    let output = Command::new("dash")
        .args(["-c", "ulimit -t 5; umask 022; exec dash \"$0\"", &format!("{}/script", scratch.path())])
        .env_clear()
        .envs(ENVIRONMENT)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut files = crate::commands::playground::disk_listing(scratch);
    files.retain(|path, _| path.starts_with("box/"));
    Seen {
        status: output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        complained: !output.stderr.is_empty(),
        files: files.into_iter().map(|(path, shown)| (path["box/".len()..].to_owned(), shown)).collect(),
    }
}

fn in_ours(scratch: &Scratch, directory: &str, text: &str) -> Result<Seen, Stopped> {
    let directory = TreePath::parse(directory.trim_start_matches('/')).unwrap();
    let kept = Kept::default();
    let mut root = Root::new();
    let mut above: Vec<TreePath> = std::iter::successors(directory.parent(), TreePath::parent).collect();
    above.extend(["dev", "etc", "tmp", "usr", "usr/bin"].map(|path| TreePath::parse(path).unwrap()));
    above.push(directory.clone());
    above.sort();
    above.dedup();
    for path in above.into_iter().filter(|path| !path.is_root()) {
        root.insert(path, Node::dir(0o755)).unwrap();
    }
    root.insert(TreePath::parse("bin").unwrap(), Node::symlink("usr/bin")).unwrap();
    for program in PROGRAMS {
        let path = TreePath::parse(&format!("usr/bin/{program}")).unwrap();
        root.insert(path, Node::file(0o755, Content::inline(*b"\x7fELF"))).unwrap();
    }
    let passwd = Content::inline(*b"root:x:0:0:root:/root:/bin/bash\n");
    root.insert(TreePath::parse("etc/passwd").unwrap(), Node::file(0o644, passwd)).unwrap();
    let mut world = World::new(root, Provenance::default(), &kept, 1_700_000_000);
    world.budget.steps = 1_000_000;
    world.budget.bytes = 64 << 20;
    let script = Script {
        name: format!("{}/script", scratch.path()),
        args: Vec::new(),
        env: ENVIRONMENT.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        cwd: directory.clone(),
        stdin: Vec::new(),
    };
    let finished = run(&mut world, text, script, &NoPrograms)?;
    let mut files = BTreeMap::new();
    for (path, node) in world.tree.below(&directory) {
        let mode = node.meta.mode;
        let file = world.file_of(path);
        let shown = match &world.tree.get(&file).unwrap().kind {
            Kind::Dir => format!("d {mode:o}"),
            Kind::Symlink(to) => format!("l {to}"),
            Kind::File(content) => {
                format!("f {mode:o} {}", String::from_utf8_lossy(&world.contents.bytes(content).unwrap()))
            }
            other => other.noun().to_owned(),
        };
        files.insert(path.as_str()[directory.as_str().len() + 1..].to_owned(), shown);
    }
    Ok(Seen {
        status: finished.status,
        stdout: String::from_utf8_lossy(&finished.stdout).into_owned(),
        complained: !finished.stderr.is_empty(),
        files,
    })
}
