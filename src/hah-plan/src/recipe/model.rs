//! Recipes and images after parsing: every word checked, nothing yet merged, filled in or rendered.

use std::collections::BTreeMap;
use std::sync::Arc;

use hah_format::path::TreePath;

use super::document::Item;
use super::params::Param;
use super::problem::{Located, Place};
use super::sources::Sources;
use crate::artifact::{Format, VendorKey};
use crate::board::Table;
use crate::debian::{Architecture, PackageName};
use crate::scripts::{ScriptAction, ScriptKind};
use crate::system::{Archive, Expiry, Home, PathPattern, SuiteUse, UnitState};

/// `recipes/NAME.toml`.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) requires: Vec<Located<String>>,
    pub(super) params: BTreeMap<String, Param>,
    pub(super) body: Body,
}

/// `images/NAME.toml`.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) board: Option<Located<String>>,
    pub(super) recipes: Vec<Located<String>>,
    pub(super) settings: Vec<Assignment>,
    pub(super) table: Option<Located<Table>>,
    pub(super) boot_bytes: u64,
    pub(super) hostname_prefix: String,
    pub(super) body: Body,
}

/// `RECIPE.PARAMETER = VALUE`.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) recipe: Located<String>,
    pub(super) param: Located<String>,
    pub(super) value: Item,
}

/// What recipes and images both may say.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) packages: Vec<Entry<Package>>,
    pub(super) provides: Vec<Entry<(PackageName, String)>>,
    pub(super) suites: Vec<Entry<SuiteEntry>>,
    pub(super) archives: Vec<Entry<ArchiveEntry>>,
    pub(super) artifacts: Vec<Entry<Artifact>>,
    pub(super) files: Vec<Entry<File>>,
    pub(super) directories: Vec<Entry<Directory>>,
    pub(super) symlinks: Vec<Entry<Symlink>>,
    pub(super) removes: Vec<Entry<Remove>>,
    pub(super) users: Vec<Entry<User>>,
    pub(super) groups: Vec<Entry<Group>>,
    pub(super) units: Vec<Entry<Unit>>,
    pub(super) nomad_jobs: Vec<Entry<NomadJob>>,
    pub(super) sysctl: Vec<Entry<Sysctl>>,
    pub(super) cmdline: Vec<Entry<Template>>,
    pub(super) scripts: Vec<Entry<Script>>,
    pub(super) persist: Vec<Entry<TreePath>>,
    pub(super) os_release: Vec<Entry<(String, String)>>,
    pub(super) debconf: Vec<Entry<(String, Setting)>>,
    pub(super) user_ids: Vec<Entry<(String, u32)>>,
    pub(super) group_ids: Vec<Entry<(String, u32)>>,
}

/// An answer to a package's question, before its type is known.
#[derive(Debug)]
pub(super) enum Setting {
    Boolean(bool),
    Number(i64),
    Text(Template),
    List(Vec<Template>),
}

/// One entry of a body.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) value: T,
    /// Where messages point: the entry's name.
    pub(super) place: Place,
    /// The entry counts only if this expression is true.
    pub(super) when: Option<Template>,
    pub(super) replace: Replace,
}

/// Whether an entry may take an earlier one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    Refuse,
    Earlier,
}

/// A template or an expression.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) source: String,
    /// The TOML string or the file that holds it.
    pub(super) place: Place,
    /// Where `source` begins in the file, when it stands there without escapes.
    pub(super) offset: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Content {
    Verbatim(Vec<u8>),
    Template(Template),
}

#[derive(Clone, Debug)]
pub(super) struct Package {
    pub(super) name: PackageName,
    pub(super) suite: Option<Located<String>>,
    pub(super) recommends: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct SuiteEntry {
    pub(super) name: String,
    pub(super) archive: Archive,
    pub(super) components: Vec<String>,
    pub(super) expired: Expiry,
    pub(super) use_for: SuiteUse,
}

/// An archive that is not Debian's.
#[derive(Clone, Debug)]
pub(super) struct ArchiveEntry {
    pub(super) name: String,
    pub(super) uris: Vec<String>,
    pub(super) suites: Vec<String>,
    pub(super) components: Vec<String>,
    pub(super) key: Arc<[u8]>,
    /// Those that it has; empty for all.
    pub(super) architectures: Vec<String>,
    pub(super) expired: Expiry,
    pub(super) use_for: SuiteUse,
}

#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) mode: u16,
    pub(super) owner: String,
    pub(super) group: String,
}

#[derive(Debug)]
pub(super) struct Artifact {
    pub(super) name: String,
    pub(super) version: Template,
    pub(super) url: Option<Template>,
    pub(super) mirror: Option<String>,
    /// What the vendor calls an architecture; `None` when as Debian does.
    pub(super) arch: Option<BTreeMap<Architecture, String>>,
    pub(super) unavailable: BTreeMap<Architecture, String>,
    pub(super) verify: Verify,
    pub(super) format: Option<Format>,
    pub(super) installs: Vec<Install>,
}

/// Who vouches for an artifact, with the templates of what that takes.
#[derive(Debug)]
pub(super) enum Verify {
    OpenPgp { checksums: Template, signature: Template, key: VendorKey },
    Sha256Sums { checksums: Template },
    Sha256 { sha256: Template },
}

#[derive(Debug)]
pub(super) struct Install {
    pub(super) member: Option<Template>,
    pub(super) path: TreePath,
    pub(super) access: Access,
    /// Where messages point: the path.
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) path: TreePath,
    pub(super) access: Access,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: TreePath,
    pub(super) access: Access,
}

#[derive(Debug)]
pub(super) struct Symlink {
    pub(super) path: TreePath,
    pub(super) target: Template,
}

#[derive(Debug)]
pub(super) struct Remove {
    pub(super) pattern: PathPattern,
    pub(super) except: Vec<PathPattern>,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) group: String,
    pub(super) groups: Vec<String>,
    pub(super) home: TreePath,
    pub(super) home_kind: Home,
    pub(super) shell: String,
    pub(super) comment: String,
    pub(super) password_hash: Option<Template>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) gid: u32,
}

#[derive(Debug)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) state: Option<UnitState>,
    pub(super) content: Option<Content>,
    pub(super) drop_ins: Vec<Entry<DropIn>>,
}

#[derive(Debug)]
pub(super) struct DropIn {
    pub(super) name: String,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) struct NomadJob {
    pub(super) name: String,
    pub(super) content: Content,
    /// What relative names of files in it mean.
    pub(super) beside: Beside,
}

/// A directory of the project.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    /// Its path in the project.
    pub(super) directory: String,
    pub(super) sources: Sources,
}

impl Beside {
    /// The text of the file that `path`, relative to the directory, names.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut parts: Vec<&str> = self.directory.split('/').collect();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        String::from_utf8(self.sources.bytes(&parts.join("/"))?.to_vec()).ok()
    }
}

#[derive(Debug)]
pub(super) struct Sysctl {
    pub(super) name: String,
    pub(super) value: Template,
}

/// What becomes of a maintainer script that a build cannot evaluate.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) package: PackageName,
    pub(super) kind: ScriptKind,
    pub(super) action: ScriptAction,
    pub(super) reason: String,
}
