//! The initramfs: what every build changes, and then what few do.
//!
//! ```text
//! microcode     cpio, where the board has any; the kernel looks for it at the start
//! configuration cpio: /hah/stage1.json, which names the build
//! the rest      cpio, compressed with zstd: the agent as /init, and the modules that stage 1 loads
//! ```
//!
//! The kernel unpacks archives one after the other, compressed or not; one that is not begins at a multiple of 4 bytes, as
//! every cpio of ours ends (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeMap;
use std::sync::Arc;

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node, Tree};
use hah_node::stage1::Stage1;
use hah_node::{paths, stage1};
use hah_plan::board::Microcode;
use hah_plan::contents::Contents as _;
use hah_plan::rootfs::{Content, Root, UnpackedPackage};

use crate::build::packs::PackSet;
use crate::failure::Failure;

/// zstd level of the archive.
const LEVEL: i32 = 12;

/// Kernel modules by load order, and their files.
pub struct Modules {
    /// File names, in the order in which stage 1 loads them.
    pub names: Vec<String>,
    /// Their bytes as the kernel package ships them.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Finds `wanted` modules and what they depend on, in the configured root's own `modules.dep`.
pub fn modules(root: &Root, packs: &PackSet, directory: &TreePath, wanted: &[String]) -> Result<Modules, Failure> {
    let index = Index::read(root, packs, directory)?;
    let mut result = Modules { names: Vec::new(), files: BTreeMap::new() };
    for name in wanted {
        let name = canonical(name);
        if index.builtin.contains(&name) {
            continue;
        }
        let Some(path) = index.by_name.get(&name) else {
            return Err(Failure::build(
                format!("the board wants the kernel module `{name}`, which {directory} does not have"),
                Some("correct `stage1-modules` in the board file, or choose another kernel package".into()),
            ));
        };
        // modules.dep lists the nearest dependency first; what must be loaded first comes last.
        let dependencies = index.dependencies.get(path).map(Vec::as_slice).unwrap_or_default();
        for path in dependencies.iter().rev().chain([path]) {
            let file = path.rsplit('/').next().unwrap_or(path).to_owned();
            if result.files.contains_key(&file) {
                continue;
            }
            let at = directory.join(path).map_err(|error| Failure::build(error.to_string(), None))?;
            result.files.insert(file.clone(), read(root, packs, &at)?);
            result.names.push(file);
        }
    }
    Ok(result)
}

/// `modules.dep` and `modules.builtin`, parsed.
struct Index {
    by_name: BTreeMap<String, String>,
    dependencies: BTreeMap<String, Vec<String>>,
    builtin: std::collections::BTreeSet<String>,
}

impl Index {
    fn read(root: &Root, packs: &PackSet, directory: &TreePath) -> Result<Self, Failure> {
        let text = |name: &str| -> Result<String, Failure> {
            let path = directory.join(name).map_err(|error| Failure::build(error.to_string(), None))?;
            Ok(String::from_utf8_lossy(&read(root, packs, &path)?).into_owned())
        };
        let mut index = Self {
            by_name: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            builtin: std::collections::BTreeSet::new(),
        };
        for line in text("modules.dep")?.lines() {
            if let Some((path, dependencies)) = line.split_once(':') {
                index.by_name.insert(module_name(path), path.to_owned());
                index
                    .dependencies
                    .insert(path.to_owned(), dependencies.split_whitespace().map(str::to_owned).collect());
            }
        }
        index.builtin.extend(text("modules.builtin")?.lines().map(module_name));
        Ok(index)
    }
}

/// `kernel/fs/nls/nls_cp437.ko.xz` → `nls_cp437`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    canonical(file.split(".ko").next().unwrap_or(file))
}

/// Module names treat `-` and `_` alike.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

fn read(root: &Root, packs: &PackSet, path: &TreePath) -> Result<Vec<u8>, Failure> {
    match root.get(path).map(|node| &node.kind) {
        Some(Kind::File(content)) => {
            packs.bytes(content).map_err(|error| Failure::build(format!("{path}: {error}"), None))
        }
        _ => Err(Failure::build(format!("{path} is missing from the root file system"), None)),
    }
}

/// The kernel's directory of microcode, in an archive of its own, not compressed, before the initramfs.
const MICROCODE: &str = "/kernel/x86/microcode";

/// The archive with the processor's updates, to go before [`archive`]; empty where the board has none.
///
/// The files of the package are joined as they are: each is a row of updates with headers of their own.
pub fn microcode(updates: &[Microcode], packs: &PackSet, epoch: u32) -> Result<Vec<u8>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::build(format!("microcode: {error}"), None);
    if updates.is_empty() {
        return Ok(Vec::new());
    }
    let mut tree: Tree<Arc<[u8]>> = Tree::new();
    for Microcode { name, directory } in updates {
        let mut joined = Vec::new();
        for (path, content) in packs.packages().iter().flat_map(|package| files_in(package, directory)) {
            let bytes = packs.bytes(content);
            joined.extend(bytes.map_err(|error| Failure::build(format!("{path}: {error}"), None))?);
        }
        if joined.is_empty() {
            return Err(Failure::build(
                format!("no package ships files in {directory}, of which the board makes {name}"),
                Some("correct `microcode` in the board file, or add the package that has them".into()),
            ));
        }
        let path = TreePath::parse(&format!("{MICROCODE}/{name}")).map_err(|error| failed(&error))?;
        tree.insert(path, Node::file(0o644, joined.into())).map_err(|error| failed(&error))?;
    }
    let mut plain = Vec::new();
    hah_format::cpio::write(&tree, epoch, &mut plain).map_err(|error| failed(&error))?;
    Ok(plain)
}

/// The regular files of a package that are in `directory` itself, in the order of their names.
fn files_in<'a>(
    package: &'a UnpackedPackage,
    directory: &'a TreePath,
) -> impl Iterator<Item = (&'a TreePath, &'a Content)> {
    package.tree.entries(directory).filter_map(|(path, node)| match &node.kind {
        Kind::File(content) => Some((path, content)),
        _ => None,
    })
}

/// An initramfs: archives, one after the other.
#[derive(Default)]
pub struct Initramfs {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where each archive begins, in bytes.
    pub borders: Vec<usize>,
}

impl Initramfs {
    /// Appends an archive, unless it is empty.
    pub fn push(&mut self, archive: &[u8]) {
        if !archive.is_empty() {
            self.borders.push(self.bytes.len());
            self.bytes.extend_from_slice(archive);
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::build(format!("initramfs: {error}"), None)
}

/// The archive with stage 1's configuration, not compressed. `epoch` (seconds since 1970) is every entry's time.
pub fn configuration(config: &Stage1, epoch: u32) -> Result<Vec<u8>, Failure> {
    let json = serde_json::to_vec(config).map_err(|error| failed(&error))?;
    let path = TreePath::parse(paths::STAGE1_CONFIG).map_err(|error| failed(&error))?;
    let mut tree: Tree<Arc<[u8]>> = Tree::new();
    tree.insert(path, Node::file(0o644, json.into())).map_err(|error| failed(&error))?;
    let mut plain = Vec::new();
    hah_format::cpio::write(&tree, epoch, &mut plain).map_err(|error| failed(&error))?;
    Ok(plain)
}

/// The archive with agent and modules. `epoch` (seconds since 1970) is every entry's time.
pub fn archive(modules: &Modules, agent: &[u8], epoch: u32) -> Result<Vec<u8>, Failure> {
    let mut tree: Tree<Arc<[u8]>> = Tree::new();
    let mut put = |path: &str, node: Node<Arc<[u8]>>| -> Result<(), Failure> {
        let path = TreePath::parse(path).map_err(|error| failed(&error))?;
        tree.insert(path, node).map(drop).map_err(|error| failed(&error))
    };
    for directory in stage1::INITRAMFS_DIRECTORIES {
        put(directory, Node::dir(0o755))?;
    }
    for (path, major, minor) in stage1::INITRAMFS_NODES {
        put(path, Node { meta: hah_format::tree::Meta::root(0o600), kind: Kind::CharDevice(major, minor) })?;
    }
    put("init", Node::file(0o755, agent.into()))?;
    for (name, bytes) in &modules.files {
        put(&format!("{}/{name}", paths::STAGE1_MODULES), Node::file(0o644, bytes.as_slice().into()))?;
    }
    let mut plain = Vec::new();
    hah_format::cpio::write(&tree, epoch, &mut plain).map_err(|error| failed(&error))?;
    zstd::bulk::compress(&plain, LEVEL).map_err(|error| failed(&error))
}

/// Puts the agent where the units look for it.
pub fn install_agent(root: &mut Root, agent: &[u8]) -> Result<(), Failure> {
    let path = TreePath::parse(paths::AGENT).map_err(|error| Failure::build(error.to_string(), None))?;
    root.insert(path, Node::file(0o755, Content::inline(agent)))
        .map(drop)
        .map_err(|error| Failure::build(error.to_string(), None))
}
