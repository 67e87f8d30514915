//! Tests only: a small tree, once as a [`World`] and once on disk, so that a native command and the real tool can do
//! the same to both.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the real tools are the oracles")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use super::{Finished, Process, Refusal, find};
use crate::merge::Provenance;
use crate::rootfs::{Content, Root};
use crate::scripts::closure::{Kept, Scratch};
use crate::world::World;

/// What stands at a path of a test's tree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'a> {
    Dir(u16),
    File(u16, &'a str),
    Link(&'a str),
}

/// The tree of a test.
pub(crate) struct Playground {
    pub(crate) world: World<'static>,
    pub(crate) env: BTreeMap<String, String>,
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

impl Playground {
    pub(crate) fn of(entries: &[(&str, Entry<'_>)]) -> Self {
        let mut tree = Root::new();
        for (at, entry) in entries {
            let node = match entry {
                Entry::Dir(mode) => Node::dir(*mode),
                Entry::File(mode, text) => Node::file(*mode, Content::inline(text.as_bytes())),
                Entry::Link(to) => Node::symlink(to),
            };
            tree.insert(path(at), node).unwrap();
        }
        let contents: &'static Kept = Box::leak(Box::new(Kept::default()));
        let env = BTreeMap::from([("DPKG_MAINTSCRIPT_PACKAGE".to_owned(), "test".to_owned())]);
        Self { world: World::new(tree, Provenance::default(), contents, 1_700_000_000), env }
    }

    /// Runs a native command; the first word is its name.
    pub(crate) fn try_run(&mut self, words: &[&str], stdin: &str) -> Result<Finished, Refusal> {
        let command = find(words[0]).unwrap_or_else(|| panic!("no command {}", words[0]));
        let arguments: Vec<String> = words[1..].iter().map(|word| (*word).to_owned()).collect();
        let mut stdin = stdin.as_bytes().to_vec();
        let mut process = Process {
            world: &mut self.world,
            name: words[0].to_owned(),
            cwd: TreePath::root(),
            umask: 0o022,
            env: &self.env,
            stdin: &mut stdin,
            stdout: Vec::new(),
            stderr: Vec::new(),
            assign: Vec::new(),
            programs: None,
            calls: 0,
        };
        let status = (command.run)(&mut process, &arguments)?;
        Ok(Finished { status, stdout: process.stdout, stderr: process.stderr })
    }

    pub(crate) fn run(&mut self, words: &[&str]) -> Finished {
        self.try_run(words, "").unwrap_or_else(|refusal| panic!("{words:?}: {refusal}"))
    }

    /// Runs a command and gives its status and both outputs as text.
    pub(crate) fn said(&mut self, words: &[&str]) -> (u8, String, String) {
        text(&self.run(words))
    }

    /// Every path with its kind, mode and text: `f 644 text`, `d 755`, `l target`.
    pub(crate) fn listing(&mut self) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for (at, node) in self.world.tree.iter().filter(|(at, _)| !at.is_root()) {
            let mode = node.meta.mode;
            let shown = match &node.kind {
                Kind::Dir => format!("d {mode:o}"),
                Kind::Symlink(to) => format!("l {to}"),
                Kind::File(content) => {
                    let bytes = self.world.contents.bytes(content).unwrap();
                    format!("f {mode:o} {}", String::from_utf8_lossy(&bytes))
                }
                other => other.noun().to_owned(),
            };
            out.insert(at.as_str().to_owned(), shown);
        }
        out
    }

    pub(crate) fn link(&self, at: &str) -> Option<String> {
        match self.world.tree.get(&path(at)).map(|node| &node.kind) {
            Some(Kind::Symlink(to)) => Some(to.to_string()),
            _ => None,
        }
    }

    pub(crate) fn text(&mut self, at: &str) -> Option<String> {
        self.world.read(&TreePath::root(), &format!("/{at}")).ok().map(|bytes| String::from_utf8(bytes).unwrap())
    }
}

/// Status, standard output, standard error.
pub(crate) fn text(finished: &Finished) -> (u8, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (finished.status, text(&finished.stdout), text(&finished.stderr))
}

/// The same tree on disk.
pub(crate) fn on_disk(name: &str, entries: &[(&str, Entry<'_>)]) -> Scratch {
    let scratch = Scratch::new(name);
    for (at, entry) in entries {
        let place = format!("{}/{at}", scratch.path());
        match entry {
            Entry::Dir(mode) => {
                std::fs::create_dir_all(&place).unwrap();
                std::fs::set_permissions(&place, std::fs::Permissions::from_mode(u32::from(*mode))).unwrap();
            }
            Entry::File(mode, text) => {
                scratch.write(at, text);
                std::fs::set_permissions(&place, std::fs::Permissions::from_mode(u32::from(*mode))).unwrap();
            }
            Entry::Link(to) => scratch.symlink(at, to),
        }
    }
    scratch
}

/// [`Playground::listing`] of a directory on disk.
pub(crate) fn disk_listing(scratch: &Scratch) -> BTreeMap<String, String> {
    let top = scratch.path().to_owned();
    let (mut found, mut left) = (BTreeMap::new(), vec![std::path::PathBuf::from(&top)]);
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let at = entry.unwrap().path();
            let name = at.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
            let meta = std::fs::symlink_metadata(&at).unwrap();
            let mode = meta.permissions().mode() & 0o7777;
            let shown = if meta.is_symlink() {
                format!("l {}", std::fs::read_link(&at).unwrap().to_str().unwrap())
            } else if meta.is_dir() {
                left.push(at.clone());
                format!("d {mode:o}")
            } else {
                format!("f {mode:o} {}", String::from_utf8_lossy(&std::fs::read(&at).unwrap()))
            };
            found.insert(name, shown);
        }
    }
    found
}

/// Runs a real tool; `None` and a printed line when it is not installed, which fails with `HAH_REQUIRE_ORACLES`.
pub(crate) fn real(words: &[&str], env: &[(&str, &str)]) -> Option<Finished> {
    let mut command = std::process::Command::new(words[0]);
    command.args(&words[1..]).env("LC_ALL", "C").envs(env.iter().copied()).current_dir("/");
    match command.output() {
        Ok(output) => Some(Finished {
            status: output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255),
            stdout: output.stdout,
            stderr: output.stderr,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").is_err(), "{} is not installed", words[0]);
            println!("skipped: {} is not installed", words[0]);
            None
        }
        Err(error) => panic!("{words:?}: {error}"),
    }
}
