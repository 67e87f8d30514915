#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests ask the machine's own ucf")]

use std::collections::BTreeMap;
use std::process::{Command as Program, Stdio};

use hah_format::path::TreePath;
use hah_format::tree::Node;

use crate::commands::bench::{refused, run, run_as, world};
use crate::rootfs::Content;
use crate::scripts::closure::Scratch;
use crate::world::World;

/// A step: a file that is written, one that is removed, or a command line; `@` is the scratch directory.
enum Step {
    Write(&'static str, &'static str),
    Remove(&'static str),
    Run(&'static str),
}

use Step::{Remove, Run, Write};

const STEPS: &[Step] = &[
    Write("new/a.conf", "one\n"),
    Run("ucf --state-dir @/state @/new/a.conf @/etc/a.conf"),
    Run("ucf --state-dir @/state @/new/a.conf @/etc/a.conf"),
    Write("new/a.conf", "two\n"),
    Run("ucf --state-dir @/state --three-way --debconf-ok @/new/a.conf @/etc/a.conf"),
    Run("ucf --state-dir @/state -three-way --debconf-ok @/new/a.conf @/etc/a.conf"),
    // Somebody has changed it, and a new version comes: the question that nobody answers.
    Write("etc/a.conf", "mine\n"),
    Write("new/a.conf", "three\n"),
    Run("ucf --state-dir @/state --debconf-ok @/new/a.conf @/etc/a.conf"),
    Write("new/a.conf", "mine\n"),
    Run("ucf --state-dir @/state @/new/a.conf @/etc/a.conf"),
    Remove("etc/a.conf"),
    Run("ucf --state-dir @/state @/new/a.conf @/etc/a.conf"),
    // A file without a record: like the new one, unlike it, or one of the known old ones.
    Write("new/b.conf", "b\n"),
    Write("etc/b.conf", "b\n"),
    Run("ucf --state-dir @/state @/new/b.conf @/etc/b.conf"),
    Write("new/c.conf", "c new\n"),
    Write("etc/c.conf", "c old\n"),
    Write("new/c.conf.md5sum", "2a7dde0a2d0fc9a1e4d5cd3f5bdc9d21  x\nOLDSUM  old\n"),
    Run("ucf --state-dir @/state @/new/c.conf @/etc/c.conf"),
    Write("new/d.conf", "d new\n"),
    Write("etc/d.conf", "d other\n"),
    Run("ucf --state-dir @/state --debconf-ok @/new/d.conf @/etc/d.conf"),
    Run("ucf --state-dir @/state @/new/none @/etc/none"),
    Run("ucf --state-dir @/state @/new/d.conf"),
    Run("ucfr --state-dir @/state pkg @/etc/a.conf"),
    Run("ucfr --state-dir @/state pkg @/etc/a.conf"),
    Run("ucfr --state-dir @/state other @/etc/a.conf"),
    Run("ucfr --state-dir @/state --force other @/etc/a.conf"),
    Run("ucfr --state-dir @/state pkg @/etc/b.conf"),
    Run("ucfr --state-dir @/state --purge pkg @/etc/a.conf"),
    Run("ucfr --state-dir @/state --purge other @/etc/a.conf"),
    Run("ucf --state-dir @/state --purge @/etc/b.conf"),
];

/// Status of the machine's own; `None` when it has none.
fn real(scratch: &Scratch, words: &[&str]) -> Option<u8> {
    let at = scratch.path();
    scratch.write(
        "debconf.conf",
        format!(
            "Config: c\nTemplates: t\n\nName: c\nDriver: File\nFilename: {at}/config.dat\n\n\
             Name: t\nDriver: File\nFilename: {at}/templates.dat\n"
        ),
    );
    let ran = Program::new(words[0])
        .args(&words[1..])
        .env("DEBCONF_SYSTEMRC", format!("{at}/debconf.conf"))
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output();
    match ran {
        Ok(output) => output.status.code().and_then(|code| u8::try_from(code).ok()),
        Err(_) => {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").is_err(), "{} is not installed", words[0]);
            println!("skipped: {} is not installed", words[0]);
            None
        }
    }
}

/// Records that only the history of ucf itself explains: 3.0052 numbers them otherwise than 3.0043.
fn is_old(name: &str) -> bool {
    name.rsplit_once("hashfile.").is_some_and(|(_, number)| number != "0")
}

/// The files of the tree below `dir`.
fn files(world: &World<'_>, dir: &str) -> BTreeMap<String, String> {
    let top = TreePath::parse(dir.trim_start_matches('/')).unwrap();
    world
        .tree
        .below(&top)
        .filter_map(|(path, node)| match &node.kind {
            hah_format::tree::Kind::File(content) => {
                let text = String::from_utf8(world.contents.bytes(content).unwrap()).unwrap();
                Some((path.as_str()[top.as_str().len() + 1..].to_owned(), text))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn files_and_records_are_those_of_the_real_ucf() {
    let scratch = Scratch::new("ucf");
    let top = TreePath::root();
    let mut tree = world(&[("usr/share/debconf/confmodule", "")]);
    let at = scratch.path().to_owned();
    for dir in ["new", "etc", "state"] {
        tree.make_dirs(&top, &format!("{at}/{dir}"), 0o755).unwrap();
        scratch.write(&format!("{dir}/.keep"), "");
    }
    let old = super::md5_hex(b"c old\n");
    for step in STEPS {
        match step {
            Write(path, text) => {
                let text = text.replace("OLDSUM", &old);
                scratch.write(path, &text);
                tree.write(&top, &format!("{at}/{path}"), 0o644, text.into_bytes()).unwrap();
            }
            Remove(path) => {
                std::fs::remove_file(format!("{at}/{path}")).unwrap();
                tree.unlink(&top, &format!("{at}/{path}")).unwrap();
            }
            Run(line) => {
                let line = line.replace('@', &at);
                let words: Vec<&str> = line.split(' ').collect();
                let Some(status) = real(&scratch, &words) else { return };
                let ours = run_as(&mut tree, Some("pkg"), &words, "").unwrap_or_else(|error| panic!("{line}: {error}"));
                assert_eq!(ours.status, status, "{line}: {}", ours.err);
                for dir in ["etc", "state"] {
                    let prefix = format!("{dir}/");
                    let theirs: BTreeMap<String, String> = scratch
                        .listing(dir)
                        .into_iter()
                        .filter(|(name, _)| !name.ends_with(".keep") && !is_old(name))
                        .map(|(name, text)| (name[prefix.len()..].to_owned(), text))
                        .collect();
                    let mut ours = files(&tree, &format!("{at}/{dir}"));
                    ours.retain(|name, _| !is_old(name));
                    assert_eq!(ours, theirs, "{line}");
                }
            }
        }
    }
}

#[test]
fn a_new_file_keeps_its_mode_and_a_recipes_file_stays() {
    let mut tree = world(&[("usr/share/p/new", "new\n"), ("etc/kept", "recipe's\n")]);
    let top = TreePath::root();
    tree.set_mode(&top, "/usr/share/p/new", 0o640).unwrap();
    tree.provenance.claim(TreePath::parse("etc/kept").unwrap(), crate::merge::Origin::Recipe("r".into()));
    assert_eq!(run(&mut tree, "ucf /usr/share/p/new /etc/fresh").status, 0);
    assert_eq!(tree.stat(&top, "/etc/fresh", crate::world::Follow::No).unwrap().meta.mode, 0o640);
    tree.put(TreePath::parse("usr/share/debconf/confmodule").unwrap(), Node::file(0o644, Content::inline(*b"")))
        .unwrap();
    assert_eq!(run(&mut tree, "ucf --debconf-ok /usr/share/p/new /etc/kept").status, 0);
    assert_eq!(tree.read(&top, "/etc/kept").unwrap(), b"recipe's\n");
    assert_eq!(run(&mut tree, "ucfr p /etc/fresh").status, 0);
    assert_eq!(run(&mut tree, "ucfq -w p").out, "/etc/fresh:p:Yes:No\n");
    assert!(refused(&mut tree, "ucf -n /usr/share/p/new /etc/x").contains("--no-action"));
}
