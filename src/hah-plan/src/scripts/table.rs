//! [`ReviewTable`]: what people found when they read the scripts that cannot be understood mechanically; `recipes/debian/*.toml`.
//!
//! ```toml
//! [[script]]
//! package = "consul"
//! kind = "postinst"                    # or "preinst"
//! sha256 = "…"                         # of the script's remainder, or a list of them; `hah-image review consul` prints it
//! summary = "adds the system user and gives it its state directory"
//! user = [{ name = "consul", home = "/var/lib/consul" }]
//! owner = [{ path = "/var/lib/consul", mode = "0700", user = "consul", group = "consul" }]
//! ```
//!
//! An entry declares effects, or names the native passes that do the work (`handled-by`), or says why there is nothing to do (`none`).
//! `[users]` and `[groups]` tables give stable ids to names for which packages leave the choice to the system.

use std::collections::BTreeMap;
use std::sync::Arc;

use hah_format::digest::Sha256;
use hah_format::path::TreePath;
use hah_format::tree::Owner;
use serde::Deserialize;
use toml::Spanned;

use super::effect::{
    Alternative, Diversion, Effect, Ids, Manager, Ownership, PathAction, PathEffect, ScriptKind, Slave, Statoverride,
    SystemUser, UnitAction, UnitEffect,
};

/// One review: shared by the hashes that it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// What the script does on a fresh install.
    pub summary: Box<str>,
    /// Its effects; empty when it has none.
    pub effects: Vec<Effect>,
}

/// The key of a review: package as it is reviewed, kind, digest of the remainder.
type Key = (Box<str>, ScriptKind, Sha256);

/// All reviews.
#[derive(Clone, Debug, Default)]
pub struct ReviewTable {
    reviews: BTreeMap<Key, Arc<Review>>,
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
        "the keys of a review entry are described in recipes/debian/README.md; `hah-image review PACKAGE` prints a ready entry"
            .to_owned()
    }
}

impl ReviewTable {
    pub(super) fn get(&self, package: &str, kind: ScriptKind, digest: Sha256) -> Option<&Review> {
        self.reviews.get(&(package.into(), kind, digest)).map(Arc::as_ref)
    }

    /// Whether some other text of this script was reviewed.
    pub(super) fn knows(&self, package: &str, kind: ScriptKind) -> bool {
        self.reviews.keys().any(|(name, found, _)| **name == *package && *found == kind)
    }

    /// Package, kind and review of every reviewed text, in order of package.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ScriptKind, &Sha256, &Review)> {
        self.reviews.iter().map(|((package, kind, digest), review)| (&**package, *kind, digest, review.as_ref()))
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
        for script in raw.script {
            let at = script.span().start;
            let script = script.into_inner();
            let (package, kind) = (script.package.clone(), script.kind);
            let digests = script.sha256.clone().into_list();
            match review(script) {
                Ok(review) => {
                    let review = Arc::new(review);
                    for digest in digests {
                        let key = (package.clone().into(), kind.into(), digest);
                        if table.reviews.insert(key, Arc::clone(&review)).is_some() {
                            errors.push(error(at, format!("{package}: the text {digest} is reviewed twice")));
                        }
                    }
                }
                Err(what) => errors.push(error(at, format!("{package}: {what}"))),
            }
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
    script: Vec<Spanned<RawScript>>,
    #[serde(default)]
    users: BTreeMap<String, Spanned<u32>>,
    #[serde(default)]
    groups: BTreeMap<String, Spanned<u32>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Preinst,
    Postinst,
}

impl From<RawKind> for ScriptKind {
    fn from(kind: RawKind) -> Self {
        match kind {
            RawKind::Preinst => Self::Preinst,
            RawKind::Postinst => Self::Postinst,
        }
    }
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
struct RawScript {
    package: String,
    kind: RawKind,
    sha256: OneOrMany<Sha256>,
    summary: String,
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

fn review(raw: RawScript) -> Result<Review, String> {
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
        return Err("`summary` must say what the script does on a fresh install".to_owned());
    }
    match (&raw.none, effects.is_empty()) {
        (None, true) => Err("no effect is declared and `none` does not say why".to_owned()),
        (Some(_), false) => Err("`none` stands beside declared effects".to_owned()),
        (Some(why), true) if why.trim().is_empty() => Err("`none` must say why the script has no effect".to_owned()),
        _ => Ok(Review { summary: raw.summary.into(), effects }),
    }
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
