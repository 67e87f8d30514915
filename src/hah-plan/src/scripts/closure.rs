//! Tests only: the real packages of an image, when `HAH_TEST_DEBS` names a directory of .debs, and the repository's review table.

#![expect(clippy::disallowed_methods, reason = "tests read packages and the review table from disk")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use hah_format::deb::{self, Entry, Limits, Visitor};
use hah_format::digest::Sha256;
use hah_format::elf::ElfFacts;
use hah_format::kmod::ModuleFacts;
use hah_format::tree::{Kind, Node};

use super::{ReviewTable, parse_table};
use crate::debian::{Architecture, PackageName};
use crate::rootfs::{Content, Contents, ContentsError, Root, UnpackedPackage};

/// Files up to this many bytes can be read back in tests.
const KEPT_BYTES: u64 = 1 << 20;

/// Small files' bytes by digest.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) BTreeMap<Sha256, Vec<u8>>);

impl Contents for Kept {
    fn read(&self, sha256: &Sha256) -> Result<Vec<u8>, ContentsError> {
        self.0.get(sha256).cloned().ok_or_else(|| ContentsError { sha256: *sha256, reason: "not kept".to_owned() })
    }
    fn elf(&self, _: &Sha256) -> Option<&ElfFacts> {
        None
    }
    fn module(&self, _: &Sha256) -> Option<&ModuleFacts> {
        None
    }
}

#[derive(Default)]
struct Unpack {
    control: BTreeMap<String, Vec<u8>>,
    tree: Root,
    kept: BTreeMap<Sha256, Vec<u8>>,
}

impl Visitor for Unpack {
    fn control(&mut self, name: &str, bytes: Vec<u8>) -> std::io::Result<()> {
        self.control.insert(name.to_owned(), bytes);
        Ok(())
    }

    fn entry(&mut self, entry: Entry, content: &mut dyn Read) -> std::io::Result<()> {
        let kind = match entry.kind {
            Kind::File(size) if size <= KEPT_BYTES => {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes)?;
                let sha256 = Sha256::of(&bytes);
                self.kept.insert(sha256, bytes);
                Kind::File(Content::Stored { sha256, size })
            }
            Kind::File(size) => Kind::File(Content::Stored { sha256: Sha256::from_bytes([0; 32]), size }),
            Kind::Dir => Kind::Dir,
            Kind::Symlink(target) => Kind::Symlink(target),
            Kind::HardLink(target) => Kind::HardLink(target),
            Kind::CharDevice(major, minor) => Kind::CharDevice(major, minor),
            Kind::BlockDevice(major, minor) => Kind::BlockDevice(major, minor),
            Kind::Fifo => Kind::Fifo,
        };
        self.tree.insert(entry.path, Node { meta: entry.meta, kind }).unwrap();
        Ok(())
    }
}

/// The packages of `HAH_TEST_DEBS` in order of name, or `None` and a printed line without it.
pub(crate) fn packages(wanted: &[&str]) -> Option<(Vec<UnpackedPackage>, Kept)> {
    let Ok(dir) = std::env::var("HAH_TEST_DEBS") else {
        assert!(std::env::var("HAH_REQUIRE_ORACLES").is_err(), "HAH_TEST_DEBS names no directory of packages");
        println!("skipped: HAH_TEST_DEBS names no directory of packages");
        return None;
    };
    let (mut packages, mut kept) = (Vec::new(), Kept::default());
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let name = file.split('_').next().unwrap();
        if !file.ends_with(".deb") || !(wanted.is_empty() || wanted.contains(&name)) {
            continue;
        }
        let mut unpack = Unpack::default();
        let bytes = std::fs::read(&path).unwrap();
        deb::read(&bytes[..], &Limits::default(), &mut unpack).unwrap_or_else(|error| panic!("{file}: {error}"));
        kept.0.append(&mut unpack.kept);
        let control = String::from_utf8(unpack.control["control"].clone()).unwrap();
        let field = |key: &str| {
            control.lines().find_map(|line| line.strip_prefix(key)).map(str::trim).unwrap_or_default().to_owned()
        };
        packages.push(UnpackedPackage {
            name: field("Package:").parse::<PackageName>().unwrap(),
            version: field("Version:").parse().unwrap(),
            architecture: field("Architecture:").parse::<Architecture>().unwrap(),
            control: unpack.control,
            tree: unpack.tree,
        });
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Some((packages, kept))
}

/// The repository's review table.
pub(crate) fn table() -> ReviewTable {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/debian"));
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = format!("recipes/debian/{}", path.file_name().unwrap().to_str().unwrap());
            sources.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    sources.sort();
    let borrowed: Vec<(&str, &str)> = sources.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    parse_table(&borrowed).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(|error| format!("{error}\n")).collect::<String>())
    })
}
