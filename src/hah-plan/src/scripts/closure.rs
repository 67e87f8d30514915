//! Tests only: the real packages of an image, when `HAH_TEST_DEBS` names a directory of .debs, and the repository's review table.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read packages from disk and ask foreign tools"
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use hah_format::deb::{self, Entry, Limits, Visitor};
use hah_format::digest::Sha256;
use hah_format::elf::ElfFacts;
use hah_format::kmod::ModuleFacts;
use hah_format::tree::{Kind, Node};

use hah_node::disk::DiskId;

use super::{Effects, ReviewTable, diversions, parse_table};
use crate::board::{Board, BootType, KernelCompression, KernelFiles, Table};
use crate::configure::{self, ImageIdentity, PASSES, Target};
use crate::contents::{Contents, ContentsError};
use crate::debian::{Architecture, PackageName};
use crate::merge::{self, Ingredients};
use crate::rootfs::{Content, Root, UnpackedPackage};
use crate::system::{Provided, System};

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
    parse_table(&borrowed)
        .unwrap_or_else(|errors| panic!("{}", errors.iter().map(|error| format!("{error}\n")).collect::<String>()))
}

/// Everything that a pass needs, of real packages.
pub(crate) struct Bench {
    pub(crate) packages: Vec<UnpackedPackage>,
    kept: Kept,
    pub(crate) system: System,
    reviews: ReviewTable,
    image: ImageIdentity,
}

impl Bench {
    /// The packages of `HAH_TEST_DEBS` with these names (all without any) and no recipe; `None` without that directory.
    pub(crate) fn of(wanted: &[&str]) -> Option<Self> {
        let (packages, kept) = packages(wanted)?;
        let reviews = table();
        let image = ImageIdentity {
            name: "test".to_owned(),
            version: "1".to_owned(),
            id: Sha256::of(b""),
            disk: DiskId::Mbr(1),
        };
        Some(Self { packages, kept, system: bare_system(), reviews, image })
    }

    /// The merged tree, ready for passes.
    pub(crate) fn target(&self) -> Target<'_> {
        let placed = merge::placements(&self.system);
        let diversions = diversions(&self.packages, &self.kept, &self.reviews);
        let merged = merge::merge(Ingredients {
            packages: &self.packages,
            diversions: &diversions,
            removes: &self.system.removes,
            artifacts: &[],
            placed: &placed,
        })
        .unwrap_or_else(|error| panic!("{error}"));
        Target {
            root: merged.root,
            provenance: merged.provenance,
            packages: &self.packages,
            system: &self.system,
            effects: Effects { ids: self.reviews.ids.clone(), ..Effects::default() },
            reviews: &self.reviews,
            contents: &self.kept,
            image: &self.image,
            epoch: 1_767_225_600,
        }
    }
}

impl Bench {
    /// The merged tree after the packages' scripts.
    pub(crate) fn scripted(&self) -> Target<'_> {
        let mut target = self.target();
        for pass in PASSES.iter().take_while(|pass| pass.name != "removals") {
            configure::run(pass, &mut target).unwrap_or_else(|error| panic!("{error}"));
        }
        target
    }
}

/// A system without recipes.
pub(crate) fn bare_system() -> System {
    System {
        image: "test".to_owned(),
        summary: String::new(),
        board: Board {
            name: "test".to_owned(),
            summary: String::new(),
            architecture: Architecture::Arm64,
            packages: Vec::new(),
            table: Table::Mbr,
            refused_tables: BTreeMap::new(),
            kernel: KernelFiles {
                image: "/boot/vmlinuz-VERSION".parse().unwrap(),
                modules: "/usr/lib/modules/VERSION".parse().unwrap(),
                device_trees: None,
                compression: KernelCompression::None,
            },
            firmware: Vec::new(),
            device_trees: Vec::new(),
            stage1_modules: Vec::new(),
            config_txt: None,
            boot_files: Vec::new(),
            boot_type: BootType::BasicData,
            microcode: Vec::new(),
            cmdline: Vec::new(),
            watchdog_seconds: None,
            processor_mhz: None,
            imager_devices: Vec::new(),
            machines: Vec::new(),
        },
        table: Table::Mbr,
        architecture: Architecture::Arm64,
        recipes: Vec::new(),
        suites: Vec::new(),
        packages: Vec::new(),
        provided: ["adduser", "debconf", "ucf"]
            .map(|name| {
                let provided = Provided { reason: "a test".to_owned(), recipe: "test".to_owned() };
                (name.parse().unwrap(), provided)
            })
            .into(),
        artifacts: Vec::new(),
        files: Vec::new(),
        directories: Vec::new(),
        symlinks: Vec::new(),
        removes: Vec::new(),
        users: Vec::new(),
        groups: Vec::new(),
        units: Vec::new(),
        archives: Vec::new(),
        nomad_jobs: Vec::new(),
        kernel_cmdline: Vec::new(),
        scripts: Vec::new(),
        persist: Vec::new(),
        os_release: BTreeMap::new(),
        debconf: Vec::new(),
        ids: super::Ids::default(),
        hostname_prefix: "test".to_owned(),
        boot_bytes: 0,
    }
}

/// A directory for a foreign tool, removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("hah-plan-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let at = self.0.join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, bytes).unwrap();
    }

    pub(crate) fn symlink(&self, path: &str, target: &str) {
        let at = self.0.join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, at).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.join(path)).unwrap()
    }

    /// Writes the files and links of `tree` for which `wanted` holds.
    pub(crate) fn unpack(&self, target: &Target<'_>, wanted: impl Fn(&str) -> bool) {
        for (path, node) in target.root.iter().filter(|(path, _)| wanted(path.as_str())) {
            match &node.kind {
                Kind::File(content) => self.write(path.as_str(), target.contents.bytes(content).unwrap_or_default()),
                Kind::Symlink(to) => self.symlink(path.as_str(), to),
                Kind::Dir => std::fs::create_dir_all(self.0.join(path.as_str())).unwrap(),
                _ => {}
            }
        }
    }

    /// All symbolic links below `dir`, with their targets, and files with their text.
    pub(crate) fn listing(&self, dir: &str) -> BTreeMap<String, String> {
        let (mut found, mut left) = (BTreeMap::new(), vec![self.0.join(dir)]);
        while let Some(at) = left.pop() {
            for entry in std::fs::read_dir(&at).into_iter().flatten() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&self.0).unwrap().to_str().unwrap().to_owned();
                if path.is_symlink() {
                    found.insert(name, std::fs::read_link(&path).unwrap().to_str().unwrap().to_owned());
                } else if path.is_dir() {
                    left.push(path);
                } else {
                    found.insert(name, String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned());
                }
            }
        }
        found
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a foreign tool; `false` and a printed line when it is not installed.
pub(crate) fn oracle(program: &str, arguments: &[&str]) -> bool {
    match std::process::Command::new(program).args(arguments).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{program} {arguments:?}: {said}");
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").is_err(), "{program} is not installed");
            println!("skipped: {program} is not installed");
            false
        }
        Err(error) => panic!("{program}: {error}"),
    }
}
