//! The boot partition's files: firmware, configuration, and one directory per generation with kernel, initramfs and
//! device trees.
//!
//! ```text
//! bootcode.bin start.elf fixup.dat start4.elf fixup4.dat    firmware, as the board lists it
//! config.txt                                                os_prefix=g0/ chooses the generation
//! cmdline.txt  kernel  initramfs  *.dtb                     the rescue copy: firmware drops a prefix that has no kernel
//! g0/cmdline.txt  g0/kernel  g0/initramfs  g0/*.dtb         generation 0
//! hah/README.txt                                            where `flash` puts a node's identity
//! ```
//!
//! Source: raspberrypi/documentation, `config_txt/boot.adoc` (os_prefix), `boot_folder.adoc`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use hah_format::digest::Sha256;
use hah_format::path::TreePath;
use hah_format::tree::Kind;
use hah_plan::board::KernelCompression;
use hah_plan::derivation::Encoder;
use hah_plan::rootfs::{Content, Contents as _, UnpackedPackage};
use hah_plan::system::System;

use crate::build::packs::PackSet;
use crate::failure::Failure;
use crate::store::{Bucket, Store, StoreError};

/// Directory of generation 0.
pub const GENERATION: &str = "g0";

/// Says what the directory is for, and makes it exist: `flash` puts a file into it and makes none.
const IDENTITY_README: &str = "\
This directory takes the identity of a node.\r
\r
`hah-image flash IMAGE DEVICE --identity FILE` writes node.json here. On its first boot\r
the node moves it to its data partition and wipes it from this one. A node.json that\r
is put here later replaces the identity that the node has, on its next boot.\r
Its keys are described in docs/identity.md of hah-image.\r
";

/// Level of gzip for the kernel; 9 takes three times as long and saves one percent.
const GZIP_LEVEL: u32 = 6;

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

/// Everything that goes onto the boot partition. `initramfs` is made by [`super::initramfs`].
pub fn files(system: &System, packs: &PackSet, kernel: Kernel, initramfs: Vec<u8>) -> Result<BootFiles, Failure> {
    let Kernel { version, bytes: kernel } = kernel;
    let board = &system.board;
    let mut files = BootFiles::new();
    for firmware in &board.firmware {
        files.insert(path(&firmware.name)?, read(packs, &firmware.path)?.into());
    }
    if let Some(config) = &board.config_txt {
        files.insert(path("config.txt")?, config.clone().into_bytes().into());
    }
    if let Some((directory, _)) = hah_node::paths::IDENTITY_ON_BOOT.rsplit_once('/') {
        files.insert(path(&format!("{directory}/README.txt"))?, IDENTITY_README.as_bytes().into());
    }
    let mut generation: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
    generation.insert("kernel".into(), kernel);
    generation.insert("initramfs".into(), initramfs.into());
    generation.insert("cmdline.txt".into(), format!("{}\n", system.kernel_cmdline.join(" ")).into_bytes().into());
    if let Some(directory) = &board.kernel.device_trees {
        let directory = directory.at(&version).map_err(|error| Failure::build(error.to_string(), None))?;
        for name in &board.device_trees {
            let tree = directory.join(name).map_err(|error| Failure::build(error.to_string(), None))?;
            generation.insert(name.clone(), read(packs, &tree)?.into());
        }
    }
    for (name, bytes) in generation {
        files.insert(path(&format!("{GENERATION}/{name}"))?, bytes.clone());
        files.insert(path(&name)?, bytes);
    }
    Ok(files)
}

/// Finds the kernel, and compresses it if the board wants that: once, and then it is in the store.
pub fn kernel(store: &Store, system: &System, packs: &PackSet) -> Result<Kernel, Failure> {
    let version = kernel_version(system, packs.packages())?;
    let at = system.board.kernel.image.at(&version).map_err(|error| Failure::build(error.to_string(), None))?;
    let bytes = match system.board.kernel.compression {
        KernelCompression::None => read(packs, &at)?,
        KernelCompression::Gzip => {
            let content = find(packs.packages(), &at)?;
            let key = gzip_key(&content.sha256());
            packs.use_derived(key);
            let path = store.realise(Bucket::Derived, &key, |file| {
                let bytes = packs.bytes(content).map_err(StoreError::make)?;
                // flate2's header has no name and no time unless asked for.
                let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::new(GZIP_LEVEL));
                gzip.write_all(&bytes).and_then(|()| gzip.finish().map(drop)).map_err(StoreError::make)
            })?;
            fs_err::read(path)?
        }
    };
    Ok(Kernel { version, bytes: bytes.into() })
}

/// Key of a gzipped kernel.
fn gzip_key(kernel: &Sha256) -> Sha256 {
    let mut encoder = Encoder::new("hah-gzip");
    encoder.digest("kernel", kernel);
    encoder.number("level", u64::from(GZIP_LEVEL));
    encoder.finish().0
}

/// The content of a path of some package, before any recipe removed it.
fn find<'a>(packages: &'a [UnpackedPackage], path: &TreePath) -> Result<&'a Content, Failure> {
    packages
        .iter()
        .find_map(|package| match &package.tree.get(path)?.kind {
            Kind::File(content) => Some(content),
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
    let content = find(packs.packages(), path)?;
    packs.bytes(content).map_err(|error| Failure::build(format!("{path}: {error}"), None))
}

fn path(text: &str) -> Result<TreePath, Failure> {
    TreePath::parse(text).map_err(|error| Failure::build(error.to_string(), None))
}
