//! A tree on disk, as far as it is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use hah_format::digest::Sha256;

/// What is compared, by word of `explained.toml`: `type`, `mode`, `owner`, `group`, `target`, `content`, and the name of
/// each extended attribute.
pub(super) type Facts = BTreeMap<String, String>;

/// A file system, and who its numbers are.
pub(super) struct Tree {
    /// Absolute paths within the tree; the root itself is not among them.
    pub(super) nodes: BTreeMap<String, Facts>,
    root: std::path::PathBuf,
    /// Bytes of the files that are compared by their meaning, kept beyond the life of a scratch directory.
    kept: BTreeMap<String, Vec<u8>>,
    /// Every path that a package ships, by the names of the packages, as dpkg's database has them.
    owners: BTreeMap<String, BTreeSet<String>>,
    /// Names of the installed packages.
    pub(super) packages: BTreeSet<String>,
}

impl Tree {
    /// Reads the directory `root`.
    pub(super) fn read(root: &Path) -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            root: root.to_owned(),
            kept: BTreeMap::new(),
            owners: BTreeMap::new(),
            packages: BTreeSet::new(),
        };
        let names = |file: &str| {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            let entries = text.lines().filter_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?.to_owned();
                Some((fields.nth(1)?.parse().ok()?, name))
            });
            entries.collect::<BTreeMap<u32, String>>()
        };
        let (users, groups) = (names("etc/passwd"), names("etc/group"));
        tree.walk(root, &users, &groups);
        tree.read_lists();
        tree
    }

    fn walk(&mut self, directory: &Path, users: &BTreeMap<u32, String>, groups: &BTreeMap<u32, String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let at = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&at).unwrap();
            let kind = metadata.file_type();
            let path = format!("/{}", at.strip_prefix(&self.root).unwrap().display());
            let name = |id: u32, names: &BTreeMap<u32, String>| names.get(&id).cloned().unwrap_or(id.to_string());
            let mut facts = Facts::from([
                ("owner".to_owned(), name(metadata.uid(), users)),
                ("group".to_owned(), name(metadata.gid(), groups)),
            ]);
            let mut put = |what: &str, value: String| facts.insert(what.to_owned(), value);
            if kind.is_symlink() {
                put("type", "link".to_owned());
                put("target", std::fs::read_link(&at).unwrap().display().to_string());
            } else {
                put("mode", format!("{:o}", metadata.mode() & 0o7777));
                let word = match (kind.is_dir(), kind.is_file()) {
                    (true, _) => "directory".to_owned(),
                    (_, true) => "file".to_owned(),
                    _ => format!("device or pipe {:o} {:x}", metadata.mode() >> 12, metadata.rdev()),
                };
                put("type", word);
            }
            if kind.is_file() {
                let bytes = std::fs::read(&at).unwrap();
                put("content", Sha256::of(&bytes).to_string());
                if ["/etc/", "/var/lib/"].iter().any(|below| path.starts_with(below)) {
                    self.kept.insert(path.clone(), bytes);
                }
            }
            for (attribute, value) in attributes(&at) {
                facts.insert(attribute, value);
            }
            self.nodes.insert(path, facts);
            if kind.is_dir() {
                self.walk(&at, users, groups);
            }
        }
    }

    /// Reads dpkg's lists of files.
    fn read_lists(&mut self) {
        for entry in std::fs::read_dir(self.root.join("var/lib/dpkg/info")).unwrap() {
            let at = entry.unwrap().path();
            let Some(name) = at.file_name().and_then(|name| name.to_str()?.strip_suffix(".list")) else { continue };
            let name = name.split(':').next().unwrap().to_owned();
            for line in std::fs::read_to_string(&at).unwrap().lines() {
                self.owners.entry(line.to_owned()).or_default().insert(name.clone());
            }
            self.packages.insert(name);
        }
    }

    /// The packages that ship `path`, or whose entry in dpkg's database it is.
    pub(super) fn owners(&self, path: &str) -> BTreeSet<String> {
        if let Some(file) = path.strip_prefix("/var/lib/dpkg/info/") {
            let name = file.rsplit_once('.').map_or(file, |(name, _)| name).split(':').next().unwrap();
            return self.packages.iter().filter(|package| *package == name).cloned().collect();
        }
        self.owners.get(path).cloned().unwrap_or_default()
    }

    /// The bytes of a file below `/etc` or `/var/lib`.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.kept.get(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// Extended attributes in hexadecimal, by name.
fn attributes(at: &Path) -> Vec<(String, String)> {
    let mut names = vec![0; 4096];
    // A file system that has none says so; that is an answer.
    let length = rustix::fs::llistxattr(at, names.as_mut_slice()).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(at, std::ffi::OsStr::from_bytes(name), value.as_mut_slice()).unwrap();
        value[..length].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    names.map(|name| (String::from_utf8_lossy(name).into_owned(), value(name))).collect()
}
