//! The boot partition's files: firmware, configuration, and one directory per generation with kernel, initramfs and
//! device trees.
//!
//! ```text
//! bootcode.bin start.elf fixup.dat start4.elf fixup4.dat    firmware, as the board lists it
//! config.txt                                                os_prefix=g0/ chooses the generation: the boot pointer
//! hah/boot.txt                                              the same, where there is neither config.txt nor loader.conf
//! cmdline.txt  kernel  initramfs  *.dtb                     the rescue copy: firmware drops a prefix that has no kernel
//! EFI/BOOT/BOOTX64.EFI  loader/…                            instead of these, on a PC: systemd-boot and its entries
//! g0/cmdline.txt  g0/kernel  g0/initramfs  g0/*.dtb         generation 0
//! g0/closure                                                its description, which the builder adds last
//! hah/README.txt                                            where `flash` puts a node's identity
//! ```
//!
//! Source: raspberrypi/documentation, `config_txt/boot.adoc` (os_prefix), `boot_folder.adoc`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use hah_format::path::TreePath;
use hah_format::tree::Kind;
use hah_node::generation::{Slot, pointer};
use hah_node::stage1;
use hah_plan::board::{Board, BootFile, CMDLINE, KernelCompression};
use hah_plan::contents::{Contents as _, NamedFiles};
use hah_plan::plan::Derivation;
use hah_plan::plan::keys::KERNEL_GZIP_LEVEL;
use hah_plan::rootfs::{Content, UnpackedPackage};
use hah_plan::system::System;

use super::Assembly;
use crate::build::packs::{PackSet, Stored, pack_derived};
use crate::failure::Failure;
use crate::printer::Outcome;
use crate::store::{Bucket, Store};

/// Directory of generation 0.
pub const GENERATION: &str = "g0";
/// The boot loader's entry for generation 0, where it has one for each.
const LOADER_ENTRY: &str = "loader/entries/g0.conf";
/// Where the pointer is when no file of the firmware's holds it.
const OWN_POINTER: (&str, &str) = ("hah/boot.txt", "os_prefix=g0/\n");

/// Says what the directory is for, and makes it exist: `flash` puts a file into it and makes none.
const IDENTITY_README: &str = "\
This directory takes the identity of a node.\r
\r
`hah-image flash IMAGE DEVICE --identity FILE` writes node.json here. On its first boot\r
the node moves it to its data partition and wipes it from this one. A node.json that\r
is put here later replaces the identity that the node has, on its next boot.\r
Its keys are described in docs/identity.md of hah-image.\r
";

/// Name of the gzipped kernel in its pack.
const GZIPPED: &str = "kernel.gz";

/// Files of the boot partition by path.
pub type BootFiles = BTreeMap<TreePath, Arc<[u8]>>;

/// The kernel, as it goes onto the boot partition.
pub struct Kernel {
    /// Its version, which names the directories of modules and device trees.
    pub version: String,
    bytes: Arc<[u8]>,
}

/// The one kernel among the packages: its version.
fn kernel_version(system: &System, packages: &[UnpackedPackage]) -> Result<String, Failure> {
    let pattern = &system.board.kernel.image;
    let mut versions: Vec<&str> =
        packages.iter().flat_map(|package| package.tree.iter()).filter_map(|(path, _)| pattern.version(path)).collect();
    versions.sort_unstable();
    versions.dedup();
    match versions[..] {
        [version] => Ok(version.to_owned()),
        [] => Err(Failure::build(
            format!("board {}: no package ships a kernel at {pattern}", system.board.name),
            Some("the board file's `packages` must name a kernel package".into()),
        )),
        _ => Err(Failure::build(
            format!("board {}: more than one kernel: {}", system.board.name, versions.join(", ")),
            Some("keep one kernel package in the recipes".into()),
        )),
    }
}

/// The boot loader's entry of the generation in `slot`, of a board that has such entries.
pub fn loader_entry(system: &System, slot: &str) -> Option<String> {
    let entry = system.board.boot_files.iter().find(|file| file.name.as_str() == LOADER_ENTRY)?;
    let cmdline = format!("{} {}={slot}", system.kernel_cmdline.join(" "), stage1::CMDLINE_GENERATION);
    Some(entry.content.replace(GENERATION, &format!("g{slot}")).replace(CMDLINE, &cmdline))
}

/// Puts the boot pointer into the file that firmware or boot loader reads.
fn put_pointer(board: &Board, files: &mut BootFiles) -> Result<(), Failure> {
    let mut texts = Vec::new();
    for (name, before) in pointer::FILES {
        texts.push((path(name)?, before));
    }
    if !texts.iter().any(|(path, _)| files.contains_key(path)) {
        let (name, text) = OWN_POINTER;
        files.insert(path(name)?, text.as_bytes().into());
    }
    for (path, before) in texts {
        let Some(bytes) = files.get_mut(&path) else { continue };
        let equipped = pointer::equip(&String::from_utf8_lossy(bytes), before).map_err(|error| {
            Failure::build(
                format!("board {}: {path} chooses no generation: {error}", board.name),
                Some(format!(
                    "in the board file, give {path} a line `{before}0…` within its first {} bytes",
                    pointer::SECTOR - pointer::Pointer::keeping(Slot::FLASHED).line().len() - 1
                )),
            )
        })?;
        *bytes = equipped.into_bytes().into();
    }
    Ok(())
}

/// Everything that goes onto the boot partition but the closure. `initramfs` is made by [`super::initramfs`].
pub fn files(system: &System, packs: &PackSet, kernel: Kernel, initramfs: &[u8]) -> Result<BootFiles, Failure> {
    let Kernel { version, bytes: kernel } = kernel;
    let board = &system.board;
    let mut files = BootFiles::new();
    for firmware in &board.firmware {
        files.insert(path(&firmware.name)?, read(packs, &firmware.path)?.into());
    }
    if let Some(config) = &board.config_txt {
        files.insert(path("config.txt")?, config.clone().into_bytes().into());
    }
    let cmdline = system.kernel_cmdline.join(" ");
    for BootFile { name, content } in &board.boot_files {
        files.insert(name.clone(), content.replace(CMDLINE, &cmdline).into_bytes().into());
    }
    put_pointer(board, &mut files)?;
    if let Some((directory, _)) = hah_node::paths::IDENTITY_ON_BOOT.rsplit_once('/') {
        files.insert(path(&format!("{directory}/README.txt"))?, IDENTITY_README.as_bytes().into());
    }
    let mut generation: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
    generation.insert("kernel".into(), kernel);
    generation.insert("initramfs".into(), initramfs.into());
    generation.insert("cmdline.txt".into(), format!("{cmdline}\n").into_bytes().into());
    if let Some(directory) = &board.kernel.device_trees {
        let directory = directory.at(&version).map_err(|error| Failure::build(error.to_string(), None))?;
        for name in &board.device_trees {
            let tree = directory.join(name).map_err(|error| Failure::build(error.to_string(), None))?;
            generation.insert(name.clone(), read(packs, &tree)?.into());
        }
    }
    for (name, bytes) in generation {
        files.insert(path(&format!("{GENERATION}/{name}"))?, bytes.clone());
        // Firmware falls back on it; a boot loader with entries of its own does not.
        if board.boot_files.is_empty() {
            files.insert(path(&name)?, bytes);
        }
    }
    Ok(files)
}

/// Finds the kernel, and compresses it if the board wants that.
///
/// A kernel that the plan knows, because it is from a package that the board leads to, is compressed once, and then it is in
/// the store. Any other is compressed now.
pub fn kernel(assembly: &Assembly<'_>, store: &Store, packs: &PackSet) -> Result<(Kernel, Option<Outcome>), Failure> {
    let system = assembly.system;
    let version = kernel_version(system, packs.packages())?;
    let at = system.board.kernel.image.at(&version).map_err(|error| Failure::build(error.to_string(), None))?;
    let (package, content) = find(packs.packages(), &at)?;
    let bytes = || packs.bytes(content).map_err(|error| Failure::build(format!("{at}: {error}"), None));
    let (bytes, outcome) = match (system.board.kernel.compression, assembly.kernel) {
        (KernelCompression::None, _) => (bytes()?, None),
        (KernelCompression::Gzip, Some(step)) if is_of(assembly, step, package) => {
            let found = Stored::open(store.path(Bucket::Derived, &step.key.0)).ok();
            match found.and_then(|stored| stored.intact_file(GZIPPED)) {
                Some(gzipped) => (gzipped, Some(Outcome::Cached)),
                None => {
                    let gzipped = gzip(&bytes()?)?;
                    // Not whole, or it would have been found.
                    store.remove(Bucket::Derived, &step.key.0)?;
                    pack_derived(store, &step.key, &NamedFiles::from([(GZIPPED.to_owned(), gzipped.clone())]))?;
                    (gzipped, Some(Outcome::Made))
                }
            }
        }
        (KernelCompression::Gzip, _) => (gzip(&bytes()?)?, None),
    };
    Ok((Kernel { version, bytes: bytes.into() }, outcome))
}

/// Whether the package at this index is among those that `step` takes its kernel from.
fn is_of(assembly: &Assembly<'_>, step: &Derivation, package: usize) -> bool {
    assembly.image.packs.get(package).is_some_and(|pack| step.inputs.contains(pack))
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    // flate2's header has no name and no time unless asked for.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(KERNEL_GZIP_LEVEL));
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
}

/// The first package that has a file at a path, and the file's content, before any recipe removed it.
fn find<'a>(packages: &'a [UnpackedPackage], path: &TreePath) -> Result<(usize, &'a Content), Failure> {
    packages
        .iter()
        .enumerate()
        .find_map(|(index, package)| match &package.tree.get(path)?.kind {
            Kind::File(content) => Some((index, content)),
            _ => None,
        })
        .ok_or_else(|| {
            Failure::build(
                format!("no package ships {path}, which the board wants on the boot partition"),
                Some("the board file and the packages do not fit together: check its `firmware`, `device-trees` and `packages`".into()),
            )
        })
}

fn read(packs: &PackSet, path: &TreePath) -> Result<Vec<u8>, Failure> {
    let (_, content) = find(packs.packages(), path)?;
    packs.bytes(content).map_err(|error| Failure::build(format!("{path}: {error}"), None))
}

/// Where the closure of generation 0 is.
pub fn closure_path() -> Result<TreePath, Failure> {
    path(&format!("{GENERATION}/{}", hah_node::generation::CLOSURE))
}

fn path(text: &str) -> Result<TreePath, Failure> {
    TreePath::parse(text).map_err(|error| Failure::build(error.to_string(), None))
}
