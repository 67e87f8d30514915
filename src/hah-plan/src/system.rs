//! [`System`]: what an image is to be, with every parameter filled in and every template rendered.
//!
//! It is the end of the recipe's road (`RawRecipe → Recipe → System`) and the beginning of everyone else's: the resolver
//! reads its packages and suites, the merger its files, the configuration passes its users and units, the disk its board.
//! Every list is in a fixed order that depends on nothing but the sources: packages, suites and removals in the order in
//! which the recipes declare them (what is required comes first), everything else by path or name.
//!
//! [`crate::recipe::load`] makes one.

mod pattern;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hah_format::path::TreePath;

use crate::artifact::Artifact;
use crate::board::{Board, Table};
use crate::debconf::answers::Answer;
use crate::debian::{Architecture, PackageName};
use crate::nomad_job::JobError;

pub use pattern::{ParsePatternError, PathPattern};

/// One class of node, fully decided but for package versions.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    /// Name of the image: `lab`.
    pub image: String,
    /// One line for people.
    pub summary: String,
    /// The board that it boots on.
    pub board: Board,
    /// Partition table, which the board allows.
    pub table: Table,
    /// Architecture of its packages; never [`Architecture::All`].
    pub architecture: Architecture,
    /// Recipes that took part, in merge order: what is required stands before what requires it.
    pub recipes: Vec<String>,
    /// Where packages come from.
    pub suites: Vec<Suite>,
    /// Archives that are not Debian's, by name.
    pub archives: Vec<OwnArchive>,
    /// Packages asked for by name; the board's come first.
    pub packages: Vec<PackageRequest>,
    /// Packages that the image itself stands in for, because they exist only for maintainer scripts or package managers.
    pub provided: BTreeMap<PackageName, Provided>,
    /// Programs from release sites and own builds, by name.
    pub artifacts: Vec<Artifact>,
    /// Files to write, by path. Contents of recipe units, drop-ins and sysctl settings are among them.
    /// They take the place of a package's file of the same path.
    pub files: Vec<FileSpec>,
    /// Directories to make, by path, parents before children.
    pub directories: Vec<DirectorySpec>,
    /// Symbolic links to make, by path. They take the place of a package's entry of the same path.
    pub symlinks: Vec<SymlinkSpec>,
    /// Packages' paths to leave out.
    pub removes: Vec<RemoveSpec>,
    /// Users to declare, by name.
    pub users: Vec<UserSpec>,
    /// Groups to declare, by name.
    pub groups: Vec<GroupSpec>,
    /// What becomes of systemd units, by name. Their text, when a recipe gives it, is in [`System::files`].
    pub units: Vec<UnitSpec>,
    /// Nomad jobs, by name. Their texts are in [`System::files`].
    pub nomad_jobs: Vec<NomadJobSpec>,
    /// The kernel command line's words in order: the board's, the recipes', the image's. Stage 1's own keys are not among them.
    pub kernel_cmdline: Vec<String>,
    /// Directories of the root that stage 1 binds to `/var/lib/hah/persist`, by path.
    pub persist: Vec<TreePath>,
    /// What becomes of maintainer scripts that a build cannot evaluate, by package and script.
    pub scripts: Vec<ScriptChoice>,
    /// Additional fields of `/etc/os-release`.
    pub os_release: BTreeMap<String, String>,
    /// Answers to the questions of packages, by question.
    pub debconf: Vec<Answer>,
    /// Ids of accounts that packages add, where recipes give them one.
    pub ids: Ids,
    /// A node is called `PREFIX-SERIAL` until identity says otherwise.
    pub hostname_prefix: String,
    /// Size of the boot partition in bytes.
    pub boot_bytes: u64,
}

impl System {
    /// The ids that recipes declare, before those of the distribution's table.
    pub fn declared_ids(&self, table: &Ids) -> Ids {
        let mut ids = table.clone();
        ids.users.extend(self.ids.users.clone());
        ids.groups.extend(self.ids.groups.clone());
        ids.users.extend(self.users.iter().map(|user| (user.name.as_str().into(), user.uid)));
        ids.groups.extend(self.groups.iter().map(|group| (group.name.as_str().into(), group.gid)));
        ids
    }
}

/// A Nomad job of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NomadJobSpec {
    /// As its recipe calls it, and its files.
    pub name: String,
    /// Why Nomad parses it on the node; nothing when the build made its JSON.
    pub on_node: Option<JobError>,
    /// The recipe that declared it.
    pub recipe: String,
}

/// One suite of one archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its name below `dists/`: `trixie`, `trixie-security`. One of an archive of one's own is `ARCHIVE/SUITE`.
    pub name: String,
    /// The archive that has it.
    pub archive: Archive,
    /// Components, in order: `main`, `non-free-firmware`. None in a flat archive, whose suite ends in `/`.
    pub components: Vec<String>,
    /// What to do when its `Valid-Until` has passed.
    pub expired: Expiry,
    /// Who may take packages from it.
    pub use_for: SuiteUse,
    /// The recipe that declared it first.
    pub recipe: String,
}

impl Suite {
    /// What the archive itself calls it, as in the lines of sources.list(5): `trixie`, `stable`, `./`.
    pub fn distribution(&self) -> &str {
        match &self.archive {
            Archive::Own(name) => {
                self.name.strip_prefix(&**name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&self.name)
            }
            Archive::Debian | Archive::DebianSecurity => &self.name,
        }
    }
}

/// An archive that a recipe adds: where it is, and whose signature counts there and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnArchive {
    /// Its name: `tailscale`.
    pub name: Arc<str>,
    /// Where it is, the most wanted first.
    pub uris: Vec<String>,
    /// The file of OpenPGP certificates that sign it.
    pub key: Arc<[u8]>,
    /// The recipe that declared it.
    pub recipe: String,
}

/// An archive, as mirrors are configured for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Archive {
    /// Debian's main archive.
    Debian,
    /// Debian's security archive.
    DebianSecurity,
    /// [`OwnArchive`] of this name.
    Own(Arc<str>),
}

impl Archive {
    /// Debian's archives.
    pub const ALL: [Archive; 2] = [Self::Debian, Self::DebianSecurity];

    /// The name that configuration and locks use.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Debian => "debian",
            Self::DebianSecurity => "debian-security",
            Self::Own(name) => name,
        }
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not the name of an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of an archive")]
pub struct ParseArchiveError(String);

impl FromStr for Archive {
    type Err = ParseArchiveError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(known) = Self::ALL.into_iter().find(|archive| archive.as_str() == text) {
            return Ok(known);
        }
        let is_name = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
        if is_name { Ok(Self::Own(text.into())) } else { Err(ParseArchiveError(text.to_owned())) }
    }
}

/// What to do with a suite whose `Valid-Until` has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It is an error: somebody may be replaying an old index.
    Refuse,
    /// It is known and accepted: the suite is archived and gets no more updates.
    Allow,
}

/// Who may take packages from a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuiteUse {
    /// Every package.
    Default,
    /// Only packages that a recipe pins to it by name (not even their dependencies).
    PinOnly,
}

/// A package that a recipe asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageRequest {
    /// Which package.
    pub name: PackageName,
    /// The suite that it must come from; any [`SuiteUse::Default`] suite without.
    pub suite: Option<String>,
    /// Whether what it recommends comes with it.
    pub recommends: bool,
    /// The recipe that asks, or `board NAME` or `image NAME`.
    pub recipe: String,
}

/// Why a package is not installed although others depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provided {
    /// The reason, for `why` and the SBOM.
    pub reason: String,
    /// The recipe that says so.
    pub recipe: String,
}

/// A file with known bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpec {
    /// Where.
    pub path: TreePath,
    /// Owner's name.
    pub user: String,
    /// Group's name.
    pub group: String,
    /// Permission bits, including set-id and sticky.
    pub mode: u16,
    /// Content.
    pub bytes: Vec<u8>,
    /// The recipe that wrote it.
    pub recipe: String,
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySpec {
    /// Where.
    pub path: TreePath,
    /// Owner's name.
    pub user: String,
    /// Group's name.
    pub group: String,
    /// Permission bits, including set-id and sticky.
    pub mode: u16,
    /// The recipe that asks for it.
    pub recipe: String,
}

/// A symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymlinkSpec {
    /// Where.
    pub path: TreePath,
    /// What it holds, verbatim.
    pub target: String,
    /// The recipe that asks for it.
    pub recipe: String,
}

/// Paths of packages that stay out of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveSpec {
    /// Which paths. A directory that matches goes with all that is in it.
    pub pattern: PathPattern,
    /// Which of them stay all the same.
    pub except: Vec<PathPattern>,
    /// The recipe that says so.
    pub recipe: String,
}

impl RemoveSpec {
    /// Whether `path` is to be left out. Directories above an excepted path must be kept by the caller.
    pub fn removes(&self, path: &TreePath) -> bool {
        self.pattern.matches_or_contains(path) && !self.except.iter().any(|kept| kept.matches_or_contains(path))
    }
}

/// A user account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    /// Login name.
    pub name: String,
    /// Stable, declared id.
    pub uid: u32,
    /// Primary group's name.
    pub group: String,
    /// Supplementary groups' names, sorted.
    pub groups: Vec<String>,
    /// Home directory.
    pub home: TreePath,
    /// Who makes the home directory.
    pub home_kind: Home,
    /// Login shell.
    pub shell: String,
    /// The GECOS field.
    pub comment: String,
    /// How a password logs in.
    pub password: Password,
    /// The recipe that declares it.
    pub recipe: String,
}

/// Who makes a user's home directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// The image has it, mode 0700, owned by the user, with copies of `/etc/skel`.
    Created,
    /// Something else, or nothing.
    Absent,
}

/// A user's password, as the shadow file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// No password logs in (`!*`, as sysusers writes it); keys do.
    Locked,
    /// A crypt(5) hash.
    Hash(String),
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// Its name.
    pub name: String,
    /// Stable, declared id.
    pub gid: u32,
    /// The recipe that declares it.
    pub recipe: String,
}

/// What becomes of a systemd unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitSpec {
    /// `consul.service`.
    pub name: String,
    /// Its state.
    pub state: UnitState,
    /// The recipe that says so.
    pub recipe: String,
}

/// State of a unit, as systemctl would set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitState {
    /// Enabled by its `[Install]` section, whatever presets say.
    Enabled,
    /// Not enabled, whatever presets and maintainer scripts say.
    Disabled,
    /// Linked to `/dev/null`.
    Masked,
}

/// Numeric ids of users and groups that have none of their own, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// User ids.
    pub users: BTreeMap<Box<str>, u32>,
    /// Group ids.
    pub groups: BTreeMap<Box<str>, u32>,
}

/// What a recipe says about one script: the person's way out, which is named in build output and manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScriptChoice {
    /// The package.
    pub package: PackageName,
    /// Which of its scripts.
    pub kind: ScriptKind,
    /// What happens to it.
    pub action: ScriptAction,
    /// Why, in the person's words.
    pub reason: Box<str>,
    /// The recipe that says so.
    pub recipe: Box<str>,
}

/// What happens to a script that is not evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScriptAction {
    /// Nothing: it does not run, here or on the node.
    Skip,
    /// The node runs it, once, on its first boot.
    FirstBoot,
}

impl ScriptAction {
    /// As recipes spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::FirstBoot => "first-boot",
        }
    }
}

/// Which maintainer script. `prerm` and `postrm` never run while a package is installed for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScriptKind {
    /// Runs before the files are unpacked, as `preinst install`.
    Preinst,
    /// Asks debconf's questions, as `config configure ''`.
    Config,
    /// Runs when everything is unpacked, as `postinst configure ''`.
    Postinst,
}

impl ScriptKind {
    /// All kinds, in the order in which they run.
    pub const ALL: [ScriptKind; 3] = [Self::Preinst, Self::Config, Self::Postinst];

    /// The control archive's member.
    pub fn member(self) -> &'static str {
        match self {
            Self::Preinst => "preinst",
            Self::Config => "config",
            Self::Postinst => "postinst",
        }
    }
}

impl fmt::Display for ScriptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.member())
    }
}
