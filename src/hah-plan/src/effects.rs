//! [`Effect`]: what a maintainer script does to a fresh image, as data; and [`Effects`], all of them, sorted.

use std::collections::BTreeSet;
use std::fmt;

use hah_format::path::TreePath;
use hah_format::tree::Owner;

use crate::accounts::Accounts;
use crate::debian::PackageName;
use crate::system::{Ids, ScriptChoice, ScriptKind};

/// Owning user and group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ownership {
    /// Owning user.
    pub user: Owner,
    /// Owning group.
    pub group: Owner,
}

impl Ownership {
    /// `root:root`.
    pub const ROOT: Ownership = Ownership { user: Owner::ROOT, group: Owner::ROOT };
}

/// What happens at a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathAction {
    /// A directory, unless something is there.
    Directory {
        /// Permission bits.
        mode: u16,
        /// Owner of a directory that is made.
        owner: Ownership,
    },
    /// A file with this text, unless something is there.
    File {
        /// Text.
        content: Box<str>,
        /// Permission bits.
        mode: u16,
        /// Owner of a file that is made.
        owner: Ownership,
    },
    /// A copy of another file of the image, unless something is there.
    Copy {
        /// The file to copy, with its mode and owner.
        from: TreePath,
    },
    /// A symbolic link, unless something is there.
    Symlink {
        /// Target, as written.
        target: Box<str>,
    },
    /// Mode and owner of what is there; nothing to do when nothing is.
    Owner {
        /// Permission bits, when they change.
        mode: Option<u16>,
        /// Owner.
        owner: Ownership,
    },
    /// File capabilities, as setcap(8) spells them: `cap_net_raw=ep`.
    Capability(Box<str>),
    /// What is there goes away.
    Remove,
}

/// One change of the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathEffect {
    /// What happens.
    pub action: PathAction,
    /// Where.
    pub path: TreePath,
}

/// A system user that a script adds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SystemUser {
    /// Login name.
    pub name: Box<str>,
    /// Primary group; `None` is a group of the user's own name.
    pub group: Option<Box<str>>,
    /// Home directory, which is not created.
    pub home: Box<str>,
    /// Login shell.
    pub shell: Box<str>,
    /// Comment field.
    pub gecos: Box<str>,
}

/// A link group's offer, as `update-alternatives --install` takes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alternative {
    /// Name of the group, which is the name of the link below `/etc/alternatives`.
    pub name: Box<str>,
    /// The generic name: `/usr/bin/pager`.
    pub link: Box<str>,
    /// What it may point at.
    pub path: Box<str>,
    /// Priority; the highest wins.
    pub priority: i32,
    /// Links that follow the group's choice.
    pub slaves: Vec<Slave>,
}

/// A slave link of an [`Alternative`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slave {
    /// Name of the link below `/etc/alternatives`.
    pub name: Box<str>,
    /// The generic name.
    pub link: Box<str>,
    /// What it points at when the master points at this offer.
    pub path: Box<str>,
}

/// Which systemd manager a unit belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manager {
    /// `systemctl --system`.
    System,
    /// `systemctl --global`, the units of every user's manager.
    User,
}

/// What is done to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnitAction {
    /// As [`UnitAction::Enable`], unless a preset says otherwise: `deb-systemd-helper enable` on a first installation.
    Preset,
    /// Links of its `[Install]` section: `systemctl enable`.
    Enable,
    /// No links.
    Disable,
    /// A link to `/dev/null`.
    Mask,
}

/// A unit's enablement as a package wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitEffect {
    /// Whose unit.
    pub manager: Manager,
    /// Name with suffix: `ssh.service`.
    pub unit: Box<str>,
    /// What is done.
    pub action: UnitAction,
}

/// A service that dh_installnss adds to a line of `/etc/nsswitch.conf`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NssService {
    /// `hosts`, `passwd`, …
    pub database: Box<str>,
    /// The service with its action: `resolve [!UNAVAIL=return]`.
    pub service: Box<str>,
    /// Where.
    pub position: NssPosition,
}

/// Where an [`NssService`] goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NssPosition {
    /// First in the line.
    First,
    /// Before the first of these services that is there.
    Before(Box<str>),
    /// Behind this service.
    After(Box<str>),
    /// Last in the line.
    Last,
}

/// An entry of dpkg-divert(1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diversion {
    /// The diverted path.
    pub path: Box<str>,
    /// Where other packages' files go instead.
    pub to: Box<str>,
    /// The package whose files are not diverted.
    pub package: Box<str>,
}

/// An entry of dpkg-statoverride(1), which is also applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statoverride {
    /// The path.
    pub path: TreePath,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub owner: Ownership,
}

/// One thing that a script does on a fresh image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// A change of the tree.
    Path(PathEffect),
    /// A system user.
    User(SystemUser),
    /// A system group.
    Group(Box<str>),
    /// An alternative.
    Alternative(Alternative),
    /// A unit's enablement.
    Unit(UnitEffect),
    /// A name service.
    Nss(NssService),
    /// A diversion.
    Diversion(Diversion),
    /// A mode and owner that dpkg is to keep.
    Statoverride(Statoverride),
    /// A native pass of this name does the script's work.
    HandledBy(Box<str>),
    /// What only the machine itself can do: the node does it, once.
    FirstBoot(FirstBoot),
}

/// A command that a script cannot run in a build, since its result belongs to one machine: a key, a certificate, a
/// database. The node runs it once, before the package's services start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FirstBoot {
    /// Program and arguments.
    pub command: Vec<String>,
    /// What it does, for people.
    pub summary: Box<str>,
}

/// How the maintainer scripts of an image were dealt with, for manifest and build output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Scripts that were evaluated to their end.
    pub evaluated: u32,
    /// Calls of programs of the target that a review stood in for, with its summary, in the order of the calls.
    pub reviewed: Vec<Sourced<(Vec<String>, Box<str>)>>,
    /// What recipes decided about scripts that the image has.
    pub choices: Vec<ScriptChoice>,
}

/// What one package's scripts do, with the package's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sourced<T> {
    /// What is done.
    pub what: T,
    /// The package that wants it.
    pub package: PackageName,
}

/// What all maintainer scripts of an image do, sorted and without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// System users.
    pub users: Vec<Sourced<SystemUser>>,
    /// System groups.
    pub groups: Vec<Sourced<Box<str>>>,
    /// Alternatives.
    pub alternatives: Vec<Sourced<Alternative>>,
    /// Units.
    pub units: Vec<Sourced<UnitEffect>>,
    /// Name services.
    pub nss: Vec<Sourced<NssService>>,
    /// Diversions.
    pub diversions: Vec<Sourced<Diversion>>,
    /// Modes and owners.
    pub statoverrides: Vec<Sourced<Statoverride>>,
    /// What nodes do on their first boot, in the order in which scripts asked for it.
    pub first_boot: Vec<Sourced<FirstBoot>>,
    /// Scripts that ran to their end, and on what terms.
    pub report: Report,
    /// Names of native passes that the reviewed scripts rely on.
    pub handled_by: BTreeSet<Box<str>>,
    /// Ids that the review table declares.
    pub ids: Ids,
    /// The accounts when the last script has run; `None` when no script was evaluated.
    pub accounts: Option<Accounts>,
}

impl Effects {
    /// Adds what a script of `package` does.
    pub(crate) fn add(&mut self, package: &PackageName, effect: Effect) {
        fn sourced<T>(package: &PackageName, what: T) -> Sourced<T> {
            Sourced { what, package: package.clone() }
        }
        match effect {
            // Done to the tree at once: see `scripts::apply`.
            Effect::Path(_) => {}
            Effect::User(what) => self.users.push(sourced(package, what)),
            Effect::Group(what) => self.groups.push(sourced(package, what)),
            Effect::Alternative(what) => self.alternatives.push(sourced(package, what)),
            Effect::Unit(what) => self.units.push(sourced(package, what)),
            Effect::Nss(what) => self.nss.push(sourced(package, what)),
            Effect::Diversion(what) => self.diversions.push(sourced(package, what)),
            Effect::Statoverride(what) => self.statoverrides.push(sourced(package, what)),
            Effect::HandledBy(pass) => {
                self.handled_by.insert(pass);
            }
            Effect::FirstBoot(what) => self.first_boot.push(sourced(package, what)),
        }
    }

    /// Puts everything in its order.
    pub(super) fn sort(&mut self) {
        fn tidy<T: Ord>(list: &mut Vec<T>) {
            list.sort();
            list.dedup();
        }
        tidy(&mut self.users);
        tidy(&mut self.groups);
        tidy(&mut self.alternatives);
        tidy(&mut self.units);
        tidy(&mut self.nss);
        tidy(&mut self.diversions);
        tidy(&mut self.statoverrides);
    }
}

/// Whose doing something is: a line of a package's script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Author {
    /// The package.
    pub package: PackageName,
    /// Which of its scripts.
    pub script: ScriptKind,
    /// Line of the script, from 1.
    pub line: u32,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}, line {}", self.script, self.package, self.line)
    }
}
