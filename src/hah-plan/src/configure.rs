//! Native configuration: what Debian's maintainer scripts and triggers would have done to the merged root, as pure passes.
//!
//! A [`Pass`] is a function from [`Target`] to [`Target`] that replaces one Debian tool; [`PASSES`] is their order, and the order is part of the contract:
//!
//! 1. directories exist before anything is put in them;
//! 2. maintainer scripts come next, since they place conffiles that later passes read; then goes what recipes do without;
//! 3. users, alternatives, units;
//! 4. files that are derived from what packages ship (PAM stacks, certificates, module index, hardware database);
//! 5. files that are derived from the image's own facts (os-release, fstab, host name);
//! 6. `ld.so.cache` and the dpkg database, which describe the result;
//! 7. [`check`], which changes nothing.
//!
//! A file that a recipe placed is never replaced by a pass that only supplies a default ([`Target::put_default`]).
//! Indexes (`ld.so.cache`, `modules.dep`, …) are always made anew: they describe the tree.
//!
//! Everything is deterministic: no clock (times are the lock's epoch), no randomness, no map order.

mod skeleton;
mod scripts;
mod removals;
mod first_boot;
pub mod users;
mod alternatives;
pub(crate) mod units;
mod mdns;
mod pam;
mod nsswitch;
mod shells;
mod ca;
pub mod depmod;
mod strings;
mod hwdb;
mod catalog;
mod fstab;
mod identity;
mod ldconfig;
mod dpkg;
mod check;

use std::fmt;

use hah_format::digest::Sha256;
use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Node, TreeError};
use hah_node::disk::DiskId;

use crate::contents::{Contents, ContentsError};
use crate::merge::{Origin, Provenance};
use crate::rootfs::{Content, Root, UnpackedPackage};
use crate::scripts::{Effects, ReviewTable, ScriptError};
use crate::system::System;

pub(crate) use ca::KEYSTORE_HOOK;

/// What makes this image itself: its names and the marks that derive from its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageIdentity {
    /// Name of the image: `lab`.
    pub name: String,
    /// Version as people read it: `13.7`.
    pub version: String,
    /// Digest of everything that went into the image.
    pub id: Sha256,
    /// The disk's mark, from which partitions are named.
    pub disk: DiskId,
}

/// The root in the making and all that passes may look at.
pub struct Target<'a> {
    /// The merged tree.
    pub root: Root,
    /// Where each path of `root` came from.
    pub provenance: Provenance,
    /// The packages that were merged, in order of name.
    pub packages: &'a [UnpackedPackage],
    /// What the recipes decide.
    pub system: &'a System,
    /// What the maintainer scripts ask for that is no file; the pass `scripts` fills it in.
    pub effects: Effects,
    /// Reviewed calls of programs of the target.
    pub reviews: &'a ReviewTable,
    /// Bytes and facts of stored files.
    pub contents: &'a dyn Contents,
    /// The image's names and marks.
    pub image: &'a ImageIdentity,
    /// The lock's epoch in seconds since 1970: the only time there is.
    pub epoch: u32,
}

/// One step of native configuration.
#[derive(Clone, Copy)]
pub struct Pass {
    /// Name, as provenance and messages spell it.
    pub name: &'static str,
    /// The Debian tool or script that this pass does the work of.
    pub replaces: &'static str,
    /// The work.
    pub run: fn(&mut Target<'_>) -> Result<(), ConfigureError>,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (instead of {})", self.name, self.replaces)
    }
}

/// The passes, in order.
pub const PASSES: &[Pass] = &[
    Pass { name: "skeleton", replaces: "the postinst of base-files", run: skeleton::run },
    Pass { name: "scripts", replaces: "the packages' config, preinst and postinst scripts", run: scripts::run },
    Pass { name: "removals", replaces: "dpkg's path-exclude", run: removals::run },
    Pass { name: "users", replaces: "update-passwd, systemd-sysusers, adduser, shadowconfig", run: users::run },
    Pass { name: "alternatives", replaces: "update-alternatives", run: alternatives::run },
    Pass { name: "first_boot", replaces: "what scripts do that belongs to one machine", run: first_boot::run },
    Pass { name: "units", replaces: "deb-systemd-helper, systemctl enable, disable and mask", run: units::run },
    Pass { name: "mdns", replaces: "nothing: Debian has no mDNS responder by default", run: mdns::run },
    Pass { name: "nsswitch", replaces: "the postinst of libc-bin, dh_installnss", run: nsswitch::run },
    Pass { name: "shells", replaces: "update-shells", run: shells::run },
    Pass { name: "pam", replaces: "pam-auth-update", run: pam::run },
    Pass { name: "ca", replaces: "update-ca-certificates", run: ca::run },
    Pass { name: "depmod", replaces: "depmod -a", run: depmod::run },
    Pass { name: "hwdb", replaces: "systemd-hwdb --usr update", run: hwdb::run },
    Pass { name: "catalog", replaces: "journalctl --update-catalog", run: catalog::run },
    Pass { name: "hostname", replaces: "the installer and the postinst of netbase", run: identity::hostname },
    Pass { name: "timezone", replaces: "the postinst of tzdata", run: identity::timezone },
    Pass { name: "locale", replaces: "update-locale", run: identity::locale },
    Pass { name: "fstab", replaces: "the installer", run: fstab::run },
    Pass { name: "os_release", replaces: "nothing: Debian has no image ids", run: identity::os_release },
    Pass { name: "machine_id", replaces: "systemd-machine-id-setup", run: identity::machine_id },
    Pass { name: "clock", replaces: "nothing: systemd's own build time would do", run: identity::clock },
    Pass { name: "updated", replaces: "systemd-update-done", run: identity::updated },
    Pass { name: "ldconfig", replaces: "ldconfig", run: ldconfig::run },
    Pass { name: "dpkg", replaces: "dpkg's own bookkeeping", run: dpkg::run },
    Pass { name: "check", replaces: "the first boot, as a test", run: check::run },
];

/// A configured root.
pub struct Configured {
    /// The tree that the image holds.
    pub root: Root,
    /// Where each path came from.
    pub provenance: Provenance,
    /// What the maintainer scripts asked for.
    pub effects: Effects,
}

/// Runs all [`PASSES`].
pub fn configure(mut target: Target<'_>) -> Result<Configured, ConfigureError> {
    for pass in PASSES {
        run(pass, &mut target)?;
    }
    Ok(Configured { root: target.root, provenance: target.provenance, effects: target.effects })
}

/// Runs one pass, names it in its error, and books what it added under its name.
pub fn run(pass: &Pass, target: &mut Target<'_>) -> Result<(), ConfigureError> {
    (pass.run)(target).map_err(|error| error.in_pass(pass.name))?;
    target.provenance.claim_new(&target.root, &Origin::Configured(pass.name));
    Ok(())
}

/// Why the root could not be configured.
#[derive(Debug, thiserror::Error)]
#[error("configuration pass `{pass}`{}: {problem}", at(path))]
pub struct ConfigureError {
    /// Name of the pass.
    pub pass: &'static str,
    /// The file concerned, where there is one.
    pub path: Option<TreePath>,
    /// What went wrong.
    #[source]
    pub problem: Problem,
}

fn at(path: &Option<TreePath>) -> String {
    path.as_ref().map_or_else(String::new, |path| format!(" at {path}"))
}

/// What can go wrong in a pass.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file's bytes could not be had.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// A node has no place to stand.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file is not what its format demands.
    #[error("line {line}: {reason}")]
    Syntax {
        /// Line, from 1; 0 for a binary file.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Maintainer scripts that cannot be evaluated.
    #[error("{}", listed(.0))]
    Scripts(Vec<ScriptError>),
    /// The tree lacks or contradicts something.
    #[error("{reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
        /// What to do next.
        hint: String,
    },
}

fn listed(errors: &[ScriptError]) -> String {
    let texts: Vec<String> = errors.iter().map(|error| format!("{error}\n hint: {}", error.hint())).collect();
    let scripts = if errors.len() == 1 { "one maintainer script" } else { "maintainer scripts" };
    format!("{scripts} cannot be evaluated ({}):\n\n{}", errors.len(), texts.join("\n\n"))
}

impl ConfigureError {
    /// A problem with the file at `path`.
    pub fn at(path: &TreePath, problem: impl Into<Problem>) -> Self {
        Self { pass: "", path: Some(path.clone()), problem: problem.into() }
    }

    /// A problem of the tree as a whole.
    pub fn invalid(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { pass: "", path: None, problem: Problem::Invalid { reason: reason.into(), hint: hint.into() } }
    }

    /// Line `line` (from 1; 0 for a binary file) of `path` is malformed.
    pub fn syntax(path: &TreePath, line: usize, reason: impl Into<String>) -> Self {
        Self::at(path, Problem::Syntax { line, reason: reason.into() })
    }

    fn in_pass(mut self, pass: &'static str) -> Self {
        self.pass = pass;
        self
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match &self.problem {
            Problem::Contents(_) => {
                "the store is damaged: `hah-image store verify` finds and drops the broken pack".into()
            }
            Problem::Tree(_) => "`hah-image why PATH` shows which package or recipe put it there".into(),
            Problem::Syntax { .. } => {
                "a package ships a file that this pass cannot read: `hah-image why PATH` names it; please report it"
                    .into()
            }
            Problem::Scripts(_) => "docs/how-to/add-a-package.md has the ways on".into(),
            Problem::Invalid { hint, .. } => hint.clone(),
        }
    }
}

impl From<TreeError> for ConfigureError {
    fn from(error: TreeError) -> Self {
        Self { pass: "", path: None, problem: error.into() }
    }
}

impl From<ContentsError> for ConfigureError {
    fn from(error: ContentsError) -> Self {
        Self { pass: "", path: None, problem: error.into() }
    }
}

impl Target<'_> {
    /// The bytes of the regular file at `path`, following links; `None` when there is none.
    pub fn read(&self, path: &TreePath) -> Result<Option<Vec<u8>>, ConfigureError> {
        let Some(content) = self.content(path) else { return Ok(None) };
        self.contents.bytes(content).map(Some).map_err(|error| ConfigureError::at(path, error))
    }

    /// The bytes of the file at `path` as UTF-8.
    pub fn read_text(&self, path: &TreePath) -> Result<Option<String>, ConfigureError> {
        let Some(bytes) = self.read(path)? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| ConfigureError::syntax(path, 0, "the file is not UTF-8"))
    }

    /// The content of the regular file that `path` leads to, through symbolic and hard links.
    pub fn content(&self, path: &TreePath) -> Option<&Content> {
        content_of(&self.root, path)
    }

    /// Puts a root-owned file of mode 0644 at `path`, replacing what is there.
    pub fn put(&mut self, path: &TreePath, bytes: impl Into<Vec<u8>>) -> Result<(), ConfigureError> {
        self.put_node(path, Node::file(0o644, Content::inline(bytes)))
    }

    /// Puts `node` at `path`, dated at the epoch, replacing what is there.
    pub fn put_node(&mut self, path: &TreePath, node: Node<Content>) -> Result<(), ConfigureError> {
        let node = Node { meta: Meta { mtime: self.epoch, ..node.meta }, kind: node.kind };
        self.root.insert(path.clone(), node)?;
        self.provenance.forget(path);
        Ok(())
    }

    /// [`Target::put`] unless something is there already: a recipe's or a package's own file wins.
    pub fn put_default(&mut self, path: &TreePath, bytes: impl Into<Vec<u8>>) -> Result<(), ConfigureError> {
        if self.root.contains(path) { Ok(()) } else { self.put(path, bytes) }
    }
}

/// The content of the regular file that `path` leads to in `root`, through symbolic and hard links.
fn content_of<'r>(root: &'r Root, path: &TreePath) -> Option<&'r Content> {
    let resolved = root.resolve(path)?;
    match &root.get(&resolved)?.kind {
        Kind::File(content) => Some(content),
        Kind::HardLink(first) => match &root.get(first)?.kind {
            Kind::File(content) => Some(content),
            _ => None,
        },
        _ => None,
    }
}

/// The tree path that `text` spells; for paths that this crate's own code names.
pub(crate) fn path(text: &str) -> Result<TreePath, ConfigureError> {
    TreePath::parse(text).map_err(|error| ConfigureError::invalid(error.to_string(), "this is a bug in hah-image"))
}

#[cfg(test)]
mod tests;
