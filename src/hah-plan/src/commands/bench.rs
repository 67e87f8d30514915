//! Tests only: a small world, and a command run in it.

use std::collections::BTreeMap;

use hah_format::path::TreePath;
use hah_format::tree::Node;

use super::{Process, Refusal, find};
use crate::contents::InlineOnly;
use crate::merge::Provenance;
use crate::rootfs::{Content, Root, UnpackedPackage};
use crate::world::World;

/// A tree of these files, mode 0644.
pub(crate) fn tree(files: &[(&str, &str)]) -> Root {
    let mut tree = Root::new();
    for (path, text) in files {
        tree.insert(TreePath::parse(path).unwrap(), Node::file(0o644, Content::inline(text.as_bytes()))).unwrap();
    }
    tree
}

/// A world of these files, at noon of 2026-01-01.
pub(crate) fn world(files: &[(&str, &str)]) -> World<'static> {
    World::new(tree(files), Provenance::default(), &InlineOnly, 1_767_268_800)
}

/// A package with this control file and these files.
pub(crate) fn package(control: &str, files: &[(&str, &str)]) -> UnpackedPackage {
    let field = |name: &str| {
        let found = control.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_else(|| panic!("{name} in {control}")).to_owned()
    };
    UnpackedPackage {
        name: field("Package").parse().unwrap(),
        version: field("Version").parse().unwrap(),
        architecture: field("Architecture").parse().unwrap(),
        control: BTreeMap::from([("control".to_owned(), control.as_bytes().to_vec())]),
        tree: tree(files),
    }
}

/// What a command left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) status: u8,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) assign: Vec<(String, String)>,
}

/// Runs a command line of words, as the postinst of `package` where one is named.
pub(crate) fn run_as(
    world: &mut World<'_>,
    package: Option<&str>,
    words: &[&str],
    stdin: &str,
) -> Result<Ran, Refusal> {
    let (name, args) = words.split_first().unwrap();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let mut env = BTreeMap::new();
    if let Some(package) = package {
        env.insert("DPKG_MAINTSCRIPT_PACKAGE".to_owned(), package.to_owned());
        env.insert("DPKG_MAINTSCRIPT_NAME".to_owned(), "postinst".to_owned());
    }
    let mut stdin = stdin.as_bytes().to_vec();
    let mut process = Process {
        world,
        name: (*name).to_owned(),
        cwd: TreePath::root(),
        umask: 0o022,
        env: &env,
        stdin: &mut stdin,
        stdout: Vec::new(),
        stderr: Vec::new(),
        assign: Vec::new(),
        programs: None,
        calls: 0,
    };
    let status = (find(name).unwrap_or_else(|| panic!("{name} is no command")).run)(&mut process, &args)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok(Ran { status, out: text(&process.stdout), err: text(&process.stderr), assign: process.assign.clone() })
}

/// Runs a command line, which blanks separate; `''` is an empty word. A refusal is a failure.
pub(crate) fn run(world: &mut World<'_>, line: &str) -> Ran {
    let words: Vec<&str> = line.split(' ').map(|word| if word == "''" { "" } else { word }).collect();
    run_as(world, Some("pkg"), &words, "").unwrap_or_else(|refusal| panic!("{line}: {refusal}"))
}

/// The words with which a command line is refused.
pub(crate) fn refused(world: &mut World<'_>, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match run_as(world, Some("pkg"), &words, "") {
        Err(refusal) => refusal.what,
        Ok(ran) => panic!("{line} is not refused: {ran:?}"),
    }
}

/// The text of a file.
pub(crate) fn read(world: &mut World<'_>, path: &str) -> String {
    String::from_utf8(world.read(&TreePath::root(), path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}
