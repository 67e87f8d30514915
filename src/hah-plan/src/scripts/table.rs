//! [`ReviewTable`]: what people found out about programs of the target that maintainer scripts start; `recipes/debian/*.toml`.
//!
//! ```toml
//! [[program]]
//! package = "ssl-cert"                              # whose script calls it
//! command = "make-ssl-cert generate-default-snakeoil *"
//! summary = "makes a key and a certificate of this host"
//! first-boot = true
//! ```
//!
//! Scripts are evaluated, so what is reviewed is a call and not a script: the words of the command line, where `*` stands
//! for any part of a word, and as the last word for any further ones. A new version of a package that makes the same call
//! needs no new review.
//!
//! A script whose whole work the image itself does is named whole, with `kind` instead of `command`:
//!
//! ```toml
//! [[script]]
//! package = "raspi-firmware"
//! kind = "postinst"
//! summary = "copies the firmware to the boot partition"
//! none = "the image writer makes the boot partition"
//! ```
//!
//! An entry declares the call's effects, or names the native passes that do the work (`handled-by`), or says why there is
//! nothing to do (`none`), or that it belongs to the node's first boot (`first-boot`: `true`, or the words of the command
//! that the node runs instead).
//! `[users]` and `[groups]` tables give stable ids to names for which packages leave the choice to the system.

use std::collections::BTreeMap;

use hah_format::path::TreePath;
use hah_format::tree::Owner;
use serde::Deserialize;
use toml::Spanned;

use crate::effects::{
    Alternative, Diversion, Effect, Manager, Ownership, PathAction, PathEffect, Slave, Statoverride, SystemUser,
    UnitAction, UnitEffect,
};
use crate::system::{Ids, ScriptKind};

/// One reviewed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// The package whose script makes the call.
    pub package: Box<str>,
    /// The words of the command line; see the module.
    pub command: Vec<Box<str>>,
    /// What the call does on a fresh install.
    pub summary: Box<str>,
    /// Its effects; empty when it has none.
    pub effects: Vec<Effect>,
    /// What it prints.
    pub stdout: Box<str>,
    /// Its exit status.
    pub status: u8,
    /// What the node runs on its first boot instead, if anything; empty for the very call.
    pub first_boot: Option<Vec<String>>,
}

impl Review {
    fn is_same_call(&self, other: &Self) -> bool {
        self.package == other.package && self.command == other.command
    }

    /// Whether this is about `argv`, called by a script of `package`. The program counts without its directory.
    fn covers(&self, package: &str, argv: &[String]) -> bool {
        if !matches(&self.package, package) {
            return false;
        }
        let mut words = argv.iter();
        for (index, pattern) in self.command.iter().enumerate() {
            if index > 0 && index + 1 == self.command.len() && **pattern == *"*" {
                return true;
            }
            let Some(word) = words.next() else { return false };
            let word = if index == 0 { word.rsplit('/').next().unwrap_or_default() } else { word.as_str() };
            if !matches(pattern, word) {
                return false;
            }
        }
        words.next().is_none()
    }
}

/// One script that is not evaluated, since the image itself does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptReview {
    /// The package.
    pub package: Box<str>,
    /// Which of its scripts.
    pub kind: ScriptKind,
    /// What the script does on a fresh install.
    pub summary: Box<str>,
    /// The native passes that do its work; empty when `none` says why there is nothing to do.
    pub handled_by: Vec<Box<str>>,
}

/// Whether `word` is `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, word: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == word };
    let Some(mut left) = word.strip_prefix(head) else { return false };
    let Some((middle, tail)) = rest.rsplit_once('*') else { return left.ends_with(rest) };
    for part in middle.split('*') {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(tail)
}

/// All reviews.
#[derive(Clone, Debug, Default)]
pub struct ReviewTable {
    reviews: Vec<Review>,
    scripts: Vec<ScriptReview>,
    /// Stable ids of system users and groups.
    pub ids: Ids,
}

/// Something wrong in the review table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}:{line}: {what}")]
pub struct TableError {
    /// The file.
    pub source_name: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl TableError {
    /// What to do next.
    pub fn hint(&self) -> String {
        "recipes/debian/README.md describes the keys of a review; `hah-image review PACKAGE` prints a ready entry"
            .to_owned()
    }
}

impl ReviewTable {
    /// The review of this call by a script of `package`; the first one that covers it.
    pub fn get(&self, package: &str, argv: &[String]) -> Option<&Review> {
        self.reviews.iter().find(|review| review.covers(package, argv))
    }

    /// The review of a whole script.
    pub fn script(&self, package: &str, kind: ScriptKind) -> Option<&ScriptReview> {
        self.scripts.iter().find(|review| matches(&review.package, package) && review.kind == kind)
    }

    /// Every review of a script, in the order of the files.
    pub fn scripts(&self) -> impl Iterator<Item = &ScriptReview> {
        self.scripts.iter()
    }

    /// Every review of a call, in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = &Review> {
        self.reviews.iter()
    }
}

/// Parses the table from its files, given as name and text. All errors are collected, one syntax error per file.
pub fn parse_table(sources: &[(&str, &str)]) -> Result<ReviewTable, Vec<TableError>> {
    let (mut table, mut errors) = (ReviewTable::default(), Vec::new());
    for (name, text) in sources {
        let error =
            |at: usize, what: String| TableError { source_name: (*name).to_owned(), line: line_at(text, at), what };
        let raw: RawTable = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(found) => {
                errors.push(error(found.span().map_or(0, |span| span.start), found.message().to_owned()));
                continue;
            }
        };
        for program in raw.program {
            let at = program.span().start;
            let program = program.into_inner();
            let package = program.package.clone();
            match review(program) {
                Ok(review) if table.reviews.iter().any(|other| other.is_same_call(&review)) => {
                    errors.push(error(at, format!("{package}: this call is reviewed twice")));
                }
                Ok(review) => table.reviews.push(review),
                Err(what) => errors.push(error(at, format!("{package}: {what}"))),
            }
        }
        for script in raw.script {
            let at = script.span().start;
            let script = script.into_inner();
            let (package, kind) = (script.package.clone(), ScriptKind::from(script.kind));
            if table.scripts.iter().any(|other| *other.package == *package && other.kind == kind) {
                errors.push(error(at, format!("{package}: its {kind} is reviewed twice")));
                continue;
            }
            let handled_by: Vec<Box<str>> =
                script.handled_by.map(OneOrMany::into_list).unwrap_or_default().into_iter().map(Into::into).collect();
            let summary = script.summary.into();
            match (&script.none, handled_by.is_empty()) {
                (Some(why), true) if !why.trim().is_empty() => {}
                (None, false) => {}
                _ => {
                    let what = "either `none` says why there is nothing to do, or `handled-by` names passes";
                    errors.push(error(at, format!("{package}: {what}")));
                    continue;
                }
            }
            table.scripts.push(ScriptReview { package: package.into(), kind, summary, handled_by });
        }
        for (ids, raw) in [(&mut table.ids.users, raw.users), (&mut table.ids.groups, raw.groups)] {
            for (name, id) in raw {
                let at = id.span().start;
                let id = id.into_inner();
                if ids.values().any(|taken| *taken == id) {
                    errors.push(error(at, format!("the id {id} of {name} is given twice")));
                }
                if !(100..1000).contains(&id) {
                    errors.push(error(at, format!("the id {id} of {name} is not one of a system user (100 to 999)")));
                }
                ids.insert(name.into(), id);
            }
        }
    }
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    #[serde(default)]
    program: Vec<Spanned<RawProgram>>,
    #[serde(default)]
    script: Vec<Spanned<RawScript>>,
    #[serde(default)]
    users: BTreeMap<String, Spanned<u32>>,
    #[serde(default)]
    groups: BTreeMap<String, Spanned<u32>>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_list(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawProgram {
    package: String,
    command: String,
    summary: String,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    status: u8,
    #[serde(default)]
    first_boot: Option<RawFirstBoot>,
    none: Option<String>,
    handled_by: Option<OneOrMany<String>>,
    #[serde(default)]
    directory: Vec<RawDirectory>,
    #[serde(default)]
    file: Vec<RawFile>,
    #[serde(default)]
    copy: Vec<RawCopy>,
    #[serde(default)]
    symlink: Vec<RawSymlink>,
    #[serde(default)]
    owner: Vec<RawOwner>,
    #[serde(default)]
    statoverride: Vec<RawStatoverride>,
    #[serde(default)]
    capability: Vec<RawCapability>,
    #[serde(default)]
    remove: Vec<TreePath>,
    #[serde(default)]
    user: Vec<RawUser>,
    #[serde(default)]
    group: Vec<String>,
    #[serde(default)]
    alternative: Vec<RawAlternative>,
    #[serde(default)]
    enable: Vec<String>,
    #[serde(default)]
    disable: Vec<String>,
    #[serde(default)]
    mask: Vec<String>,
    #[serde(default)]
    diversion: Vec<RawDiversion>,
}

/// `true`, or the words of another command.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawFirstBoot {
    Whether(bool),
    Words(Vec<String>),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Preinst,
    Config,
    Postinst,
}

impl From<RawKind> for ScriptKind {
    fn from(kind: RawKind) -> Self {
        match kind {
            RawKind::Preinst => Self::Preinst,
            RawKind::Config => Self::Config,
            RawKind::Postinst => Self::Postinst,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawScript {
    package: String,
    kind: RawKind,
    summary: String,
    none: Option<String>,
    handled_by: Option<OneOrMany<String>>,
}

fn root() -> String {
    "root".to_owned()
}

/// Permission bits, written as octal digits in a string.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Mode(u16);

impl TryFrom<String> for Mode {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match u16::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 && (3..=4).contains(&text.len()) => Ok(Self(mode)),
            _ => Err(format!("`{text}` is not a mode: expected three or four octal digits, as in \"0755\"")),
        }
    }
}

fn mode_0755() -> Mode {
    Mode(0o755)
}

fn mode_0644() -> Mode {
    Mode(0o644)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDirectory {
    path: TreePath,
    #[serde(default = "mode_0755")]
    mode: Mode,
    #[serde(default = "root")]
    user: String,
    #[serde(default = "root")]
    group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    path: TreePath,
    content: String,
    #[serde(default = "mode_0644")]
    mode: Mode,
    #[serde(default = "root")]
    user: String,
    #[serde(default = "root")]
    group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCopy {
    from: TreePath,
    to: TreePath,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSymlink {
    path: TreePath,
    target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOwner {
    path: TreePath,
    mode: Option<Mode>,
    #[serde(default = "root")]
    user: String,
    #[serde(default = "root")]
    group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatoverride {
    path: TreePath,
    mode: Mode,
    #[serde(default = "root")]
    user: String,
    #[serde(default = "root")]
    group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCapability {
    path: TreePath,
    capability: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    name: String,
    group: Option<String>,
    home: Option<String>,
    shell: Option<String>,
    #[serde(default)]
    gecos: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlternative {
    name: String,
    link: String,
    path: String,
    priority: i32,
    #[serde(default)]
    slaves: Vec<RawSlave>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlave {
    name: String,
    link: String,
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDiversion {
    path: String,
    to: String,
    package: String,
}

fn ownership(user: &str, group: &str) -> Ownership {
    Ownership { user: Owner::parse(user), group: Owner::parse(group) }
}

fn review(raw: RawProgram) -> Result<Review, String> {
    let at = |path: TreePath, action: PathAction| Effect::Path(PathEffect { action, path });
    let unit = |action: UnitAction| {
        move |unit: String| Effect::Unit(UnitEffect { manager: Manager::System, unit: unit.into(), action })
    };
    let mut effects: Vec<Effect> = Vec::new();
    effects.extend(
        raw.directory.into_iter().map(|dir| {
            at(dir.path, PathAction::Directory { mode: dir.mode.0, owner: ownership(&dir.user, &dir.group) })
        }),
    );
    effects.extend(raw.file.into_iter().map(|file| {
        let owner = ownership(&file.user, &file.group);
        at(file.path, PathAction::File { content: file.content.into(), mode: file.mode.0, owner })
    }));
    effects.extend(raw.copy.into_iter().map(|copy| at(copy.to, PathAction::Copy { from: copy.from })));
    effects
        .extend(raw.symlink.into_iter().map(|link| at(link.path, PathAction::Symlink { target: link.target.into() })));
    effects.extend(raw.owner.into_iter().map(|owner| {
        let mode = owner.mode.map(|mode| mode.0);
        at(owner.path, PathAction::Owner { mode, owner: ownership(&owner.user, &owner.group) })
    }));
    effects.extend(raw.statoverride.into_iter().map(|stat| {
        let owner = ownership(&stat.user, &stat.group);
        Effect::Statoverride(Statoverride { path: stat.path, mode: stat.mode.0, owner })
    }));
    effects
        .extend(raw.capability.into_iter().map(|file| at(file.path, PathAction::Capability(file.capability.into()))));
    effects.extend(raw.remove.into_iter().map(|path| at(path, PathAction::Remove)));
    effects.extend(raw.user.into_iter().map(|user| {
        Effect::User(SystemUser {
            name: user.name.into(),
            group: user.group.map(Into::into),
            home: user.home.unwrap_or_else(|| "/nonexistent".to_owned()).into(),
            shell: user.shell.unwrap_or_else(|| "/usr/sbin/nologin".to_owned()).into(),
            gecos: user.gecos.into(),
        })
    }));
    effects.extend(raw.group.into_iter().map(|group| Effect::Group(group.into())));
    effects.extend(raw.alternative.into_iter().map(alternative));
    effects.extend(raw.enable.into_iter().map(unit(UnitAction::Enable)));
    effects.extend(raw.disable.into_iter().map(unit(UnitAction::Disable)));
    effects.extend(raw.mask.into_iter().map(unit(UnitAction::Mask)));
    effects.extend(raw.diversion.into_iter().map(|entry| {
        Effect::Diversion(Diversion { path: entry.path.into(), to: entry.to.into(), package: entry.package.into() })
    }));
    let passes = raw.handled_by.map(OneOrMany::into_list).unwrap_or_default();
    effects.extend(passes.into_iter().map(|pass| Effect::HandledBy(pass.into())));
    if raw.summary.trim().is_empty() {
        return Err("`summary` must say what the call does on a fresh install".to_owned());
    }
    let command: Vec<Box<str>> = raw.command.split_whitespace().map(Into::into).collect();
    if command.first().is_none_or(|program| program.starts_with('*')) {
        return Err("`command` must begin with the program's name".to_owned());
    }
    let first_boot = match raw.first_boot {
        None | Some(RawFirstBoot::Whether(false)) => None,
        Some(RawFirstBoot::Whether(true)) => Some(Vec::new()),
        Some(RawFirstBoot::Words(words)) => Some(words),
    };
    match (&raw.none, effects.is_empty() && first_boot.is_none()) {
        (None, true) => return Err("no effect is declared and `none` does not say why".to_owned()),
        (Some(_), false) => return Err("`none` stands beside declared effects".to_owned()),
        (Some(why), true) if why.trim().is_empty() => {
            return Err("`none` must say why the call has no effect".to_owned());
        }
        _ => {}
    }
    Ok(Review {
        package: raw.package.into(),
        command,
        summary: raw.summary.into(),
        effects,
        stdout: raw.stdout.into(),
        status: raw.status,
        first_boot,
    })
}

fn alternative(raw: RawAlternative) -> Effect {
    let mut slaves: Vec<Slave> = raw
        .slaves
        .into_iter()
        .map(|slave| Slave { name: slave.name.into(), link: slave.link.into(), path: slave.path.into() })
        .collect();
    slaves.sort();
    Effect::Alternative(Alternative {
        name: raw.name.into(),
        link: raw.link.into(),
        path: raw.path.into(),
        priority: raw.priority,
        slaves,
    })
}
