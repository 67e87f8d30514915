//! `/etc/passwd`, `group`, `shadow` and `gshadow`, whole, from everything that declares a user or a group:
//!
//! 1. base-passwd's masters, whose ids are the same on every Debian system;
//! 2. sysusers.d(5) files of packages and recipes, in order of file name;
//! 3. accounts that maintainer scripts add with adduser;
//! 4. the recipes' own users and groups.
//!
//! **Ids are stable.** An id comes from the recipe that declares the name, else from the declaration itself, else from
//! the reviewed table (`recipes/debian/ids.toml`); a name without any is an error.
//! The rejected alternatives are counting upwards, where adding a package renumbers the others under the files of a node,
//! and hashing the name, which collides sooner or later in 800 ids and then does the same.
//!
//! Formats: passwd(5), group(5), shadow(5), gshadow(5). Entries are in order of id. Passwords were last changed on the epoch's day.

mod sysusers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Node, Owner};

use super::{ConfigureError, Problem, Target, path};
use crate::rootfs::Content;
use crate::scripts::Ids;
use crate::system::{Home, Password, UserSpec};
use sysusers::{Line, UserGroup, UserLine};

const NOLOGIN: &str = "/usr/sbin/nologin";

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let mut accounts = Accounts::default();
    masters(target, &mut accounts)?;
    let ids = declared_ids(target);
    for (at, line, declaration) in sysusers_lines(target)? {
        accounts.declare(declaration, &ids).map_err(|reason| ConfigureError::syntax(&at, line, reason))?;
    }
    scripts(target, &mut accounts, &ids)?;
    recipes(target, &mut accounts)?;
    accounts.check()?;
    write(target, &accounts)?;
    for user in target.system.users.iter().filter(|user| user.home_kind == Home::Created) {
        make_home(target, user)?;
    }
    Ok(())
}

/// The numeric ids of users and groups in `/etc/passwd` and `/etc/group`, by name; for writers that need numbers.
pub fn ids_of(passwd: &str, group: &str) -> Ids {
    let numbers = |text: &str| {
        text.lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                Some((fields.next()?.into(), fields.nth(1)?.parse().ok()?))
            })
            .collect::<BTreeMap<Box<str>, u32>>()
    };
    Ids { users: numbers(passwd), groups: numbers(group) }
}

/// An account as the four files hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
    gecos: String,
    home: String,
    shell: String,
    /// The password field of `shadow`.
    password: String,
    shadow: Shadow,
}

/// The fields of `shadow` behind the day of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shadow {
    /// As pwconv and useradd write them from login.defs.
    Login,
    /// Empty, as for system accounts.
    System,
    /// Expired since 1970-01-02: sysusers' `u!`.
    Expired,
}

impl Shadow {
    fn fields(self) -> &'static str {
        match self {
            Self::Login => "0:99999:7:::",
            Self::System => ":::::",
            Self::Expired => "::::1:",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    gid: u32,
    members: BTreeSet<String>,
    /// The password field of `gshadow`.
    password: &'static str,
}

#[derive(Debug, Default)]
struct Accounts {
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, Group>,
}

/// The ids of recipes, then those of the reviewed table.
fn declared_ids(target: &Target<'_>) -> Ids {
    let mut ids = target.effects.ids.clone();
    ids.users.extend(target.system.users.iter().map(|user| (user.name.as_str().into(), user.uid)));
    ids.groups.extend(target.system.groups.iter().map(|group| (group.name.as_str().into(), group.gid)));
    ids
}

fn no_id(what: &str, name: &str) -> String {
    format!("the {what} `{name}` has no declared id: give it one in recipes/debian/ids.toml, or in a recipe")
}

impl Accounts {
    fn declare(&mut self, declaration: Line, ids: &Ids) -> Result<(), String> {
        match declaration {
            Line::Group(name, gid) => self.group(&name, gid, ids, "!*").map(|_| ()),
            Line::User(user) => self.sysuser(user, ids),
            Line::Member(user, group) => {
                if !self.users.contains_key(&user) {
                    let line = UserLine {
                        name: user.clone(),
                        uid: None,
                        group: UserGroup::Own,
                        gecos: String::new(),
                        home: "/".to_owned(),
                        shell: None,
                        locked: false,
                    };
                    self.sysuser(line, ids)?;
                }
                self.group(&group, None, ids, "!*")?;
                self.add_member(&group, &user)
            }
        }
    }

    fn add_member(&mut self, group: &str, user: &str) -> Result<(), String> {
        let found = self.groups.get_mut(group).ok_or_else(|| format!("there is no group `{group}` for {user}"))?;
        found.members.insert(user.to_owned());
        Ok(())
    }

    /// The id of the group `name`, which is added when it is not there.
    fn group(&mut self, name: &str, gid: Option<u32>, ids: &Ids, password: &'static str) -> Result<u32, String> {
        if let Some(found) = self.groups.get(name) {
            return Ok(found.gid);
        }
        let gid = ids.groups.get(name).copied().or(gid).ok_or_else(|| no_id("group", name))?;
        self.groups.insert(name.to_owned(), Group { gid, members: BTreeSet::new(), password });
        Ok(gid)
    }

    fn sysuser(&mut self, line: UserLine, ids: &Ids) -> Result<(), String> {
        if self.users.contains_key(&line.name) {
            return Ok(());
        }
        let uid = ids.users.get(line.name.as_str()).copied().or(line.uid);
        let uid = uid.ok_or_else(|| no_id("user", &line.name))?;
        let gid = match &line.group {
            UserGroup::Own => self.group(&line.name, Some(uid), ids, "!*")?,
            UserGroup::Id(gid) => match self.groups.values().any(|group| group.gid == *gid) {
                true => *gid,
                false => return Err(format!("there is no group of id {gid} for {}", line.name)),
            },
            UserGroup::Name(name) => match self.groups.get(name) {
                Some(group) => group.gid,
                None => return Err(format!("there is no group `{name}` for {}", line.name)),
            },
        };
        let default_shell = if uid == 0 { "/bin/sh" } else { NOLOGIN };
        self.users.insert(
            line.name,
            User {
                uid,
                gid,
                gecos: line.gecos,
                home: line.home,
                shell: line.shell.unwrap_or_else(|| default_shell.to_owned()),
                password: "!*".to_owned(),
                shadow: if line.locked { Shadow::Expired } else { Shadow::System },
            },
        );
        Ok(())
    }

    /// No id twice, and there is a superuser.
    fn check(&self) -> Result<(), ConfigureError> {
        let twice = |what: &str, ids: Vec<(&String, u32)>| {
            let mut taken: BTreeMap<u32, &String> = BTreeMap::new();
            for (name, id) in ids {
                if let Some(other) = taken.insert(id, name) {
                    return Err(ConfigureError::invalid(
                        format!("the {what}s `{other}` and `{name}` both have the id {id}"),
                        "give one of them another id, in its recipe or in recipes/debian/ids.toml",
                    ));
                }
            }
            Ok(())
        };
        twice("user", self.users.iter().map(|(name, user)| (name, user.uid)).collect())?;
        twice("group", self.groups.iter().map(|(name, group)| (name, group.gid)).collect())?;
        match self.users.get("root") {
            Some(root) if root.uid == 0 => Ok(()),
            _ => Err(ConfigureError::invalid(
                "there is no user root of id 0",
                "every image needs base-passwd, or a sysusers.d file that declares root",
            )),
        }
    }
}

/// base-passwd's lists: `name:*:uid:gid:gecos:home:shell` and `name:*:gid:`.
fn masters(target: &Target<'_>, accounts: &mut Accounts) -> Result<(), ConfigureError> {
    let group_master = path("usr/share/base-passwd/group.master")?;
    for (number, line) in lines(target, &group_master)? {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields.as_slice() else {
            return Err(ConfigureError::syntax(&group_master, number, "expected 4 fields"));
        };
        let gid = gid.parse().map_err(|_| ConfigureError::syntax(&group_master, number, "the third field is no id"))?;
        let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
        accounts.groups.insert((*name).to_owned(), Group { gid, members, password: "*" });
    }
    let passwd_master = path("usr/share/base-passwd/passwd.master")?;
    for (number, line) in lines(target, &passwd_master)? {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, gecos, home, shell] = fields.as_slice() else {
            return Err(ConfigureError::syntax(&passwd_master, number, "expected 7 fields"));
        };
        let id = |text: &str| {
            text.parse().map_err(|_| ConfigureError::syntax(&passwd_master, number, format!("`{text}` is no id")))
        };
        accounts.users.insert(
            (*name).to_owned(),
            User {
                uid: id(uid)?,
                gid: id(gid)?,
                gecos: (*gecos).to_owned(),
                home: (*home).to_owned(),
                shell: (*shell).to_owned(),
                password: "*".to_owned(),
                shadow: Shadow::Login,
            },
        );
    }
    Ok(())
}

fn lines(target: &Target<'_>, at: &TreePath) -> Result<Vec<(usize, String)>, ConfigureError> {
    let text = target.read_text(at)?.unwrap_or_default();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    Ok(lines.map(|(index, line)| (index + 1, line.to_owned())).collect())
}

/// The lines of all sysusers.d files, by file name; one in `/etc` takes the place of its namesake in `/usr/lib`.
fn sysusers_lines(target: &Target<'_>) -> Result<Vec<(TreePath, usize, Line)>, ConfigureError> {
    let mut files: BTreeMap<String, TreePath> = BTreeMap::new();
    for dir in ["usr/lib/sysusers.d", "etc/sysusers.d"] {
        let dir = path(dir)?;
        for (at, _) in target.root.entries(&dir).filter(|(at, _)| at.name().ends_with(".conf")) {
            files.insert(at.name().to_owned(), at.clone());
        }
    }
    let mut found = Vec::new();
    for at in files.into_values() {
        // A link to /dev/null stands for nothing.
        let Some(text) = target.read_text(&at)? else { continue };
        let parsed = sysusers::parse(&text).map_err(|(line, what)| ConfigureError::syntax(&at, line, what))?;
        found.extend(parsed.into_iter().map(|(line, declaration)| (at.clone(), line, declaration)));
    }
    // systemd-sysusers makes groups before the users that want them.
    found.sort_by_key(|(_, _, line)| match line {
        Line::Group(..) => 0,
        Line::User(_) => 1,
        Line::Member(..) => 2,
    });
    Ok(found)
}

fn scripts(target: &Target<'_>, accounts: &mut Accounts, ids: &Ids) -> Result<(), ConfigureError> {
    let of = |package: &dyn std::fmt::Display, reason: String| {
        ConfigureError::invalid(
            format!("package {package}: {reason}"),
            "system accounts of packages get their ids in recipes/debian/ids.toml",
        )
    };
    for group in &target.effects.groups {
        accounts.group(&group.what, None, ids, "!").map_err(|reason| of(&group.package, reason))?;
    }
    for user in &target.effects.users {
        let (package, user) = (&user.package, &user.what);
        if accounts.users.contains_key(&*user.name) {
            continue;
        }
        let uid = ids.users.get(&user.name).copied().ok_or_else(|| of(package, no_id("user", &user.name)))?;
        let group = user.group.as_ref().unwrap_or(&user.name);
        let gid = accounts.group(group, Some(uid), ids, "!").map_err(|reason| of(package, reason))?;
        accounts.users.insert(
            user.name.to_string(),
            User {
                uid,
                gid,
                gecos: user.gecos.to_string(),
                home: user.home.to_string(),
                shell: user.shell.to_string(),
                password: "!".to_owned(),
                shadow: Shadow::System,
            },
        );
    }
    Ok(())
}

/// Recipes add accounts, and change those of packages: theirs are the last words on everything but a fixed id.
fn recipes(target: &Target<'_>, accounts: &mut Accounts) -> Result<(), ConfigureError> {
    let of = |recipe: &str, reason: String| {
        ConfigureError::invalid(format!("recipe {recipe}: {reason}"), "correct the recipe's users and groups")
    };
    for spec in &target.system.groups {
        sysusers::check_name(&spec.name).map_err(|reason| of(&spec.recipe, reason))?;
        let group = Group { gid: spec.gid, members: BTreeSet::new(), password: "!" };
        let found = accounts.groups.entry(spec.name.clone()).or_insert(group);
        if found.gid != spec.gid {
            let reason =
                format!("the group `{}` has the id {} on every Debian system, not {}", spec.name, found.gid, spec.gid);
            return Err(of(&spec.recipe, reason));
        }
    }
    for spec in &target.system.users {
        sysusers::check_name(&spec.name).map_err(|reason| of(&spec.recipe, reason))?;
        let fields = [spec.comment.as_str(), spec.home.as_str(), spec.shell.as_str(), password(&spec.password)];
        if let Some(field) = fields.into_iter().find(|field| field.contains([':', '\n'])) {
            return Err(of(&spec.recipe, format!("`{field}` of `{}` cannot stand in a passwd file", spec.name)));
        }
        if let Some(found) = accounts.users.get(&spec.name)
            && found.uid != spec.uid
        {
            let reason =
                format!("the user `{}` has the id {} on every Debian system, not {}", spec.name, found.uid, spec.uid);
            return Err(of(&spec.recipe, reason));
        }
        if spec.group == spec.name && !accounts.groups.contains_key(&spec.group) {
            let group = Group { gid: spec.uid, members: BTreeSet::new(), password: "!" };
            accounts.groups.insert(spec.group.clone(), group);
        }
        let gid = match accounts.groups.get(&spec.group) {
            Some(group) => group.gid,
            None => return Err(of(&spec.recipe, format!("there is no group `{}` for {}", spec.group, spec.name))),
        };
        accounts.users.insert(
            spec.name.clone(),
            User {
                uid: spec.uid,
                gid,
                gecos: spec.comment.clone(),
                home: spec.home.to_string(),
                shell: spec.shell.clone(),
                password: password(&spec.password).to_owned(),
                shadow: Shadow::Login,
            },
        );
        for group in &spec.groups {
            accounts.add_member(group, &spec.name).map_err(|reason| of(&spec.recipe, reason))?;
        }
    }
    Ok(())
}

fn password(password: &Password) -> &str {
    match password {
        Password::Locked => "!*",
        Password::Hash(hash) => hash,
    }
}

fn write(target: &mut Target<'_>, accounts: &Accounts) -> Result<(), ConfigureError> {
    let day = target.epoch / 86_400;
    let mut users: Vec<(&String, &User)> = accounts.users.iter().collect();
    users.sort_by_key(|(_, user)| user.uid);
    let mut groups: Vec<(&String, &Group)> = accounts.groups.iter().collect();
    groups.sort_by_key(|(_, group)| group.gid);

    let (mut passwd, mut shadow) = (String::new(), String::new());
    for (name, user) in users {
        let User { uid, gid, gecos, home, shell, password, shadow: fields } = user;
        let _ = writeln!(passwd, "{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}");
        let _ = writeln!(shadow, "{name}:{password}:{day}:{}", fields.fields());
    }
    let (mut group, mut gshadow) = (String::new(), String::new());
    for (name, Group { gid, members, password }) in groups {
        let members = members.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let _ = writeln!(group, "{name}:x:{gid}:{members}");
        let _ = writeln!(gshadow, "{name}:{password}::{members}");
    }

    let secret = Meta { group: Owner::Name("shadow".into()), ..Meta::root(0o640) };
    for (at, text, meta) in [
        ("etc/passwd", passwd, Meta::root(0o644)),
        ("etc/group", group, Meta::root(0o644)),
        ("etc/shadow", shadow, secret.clone()),
        ("etc/gshadow", gshadow, secret),
    ] {
        let at = path(at)?;
        if target.provenance.is_from_recipe(&at) {
            let problem = Problem::Invalid {
                reason: "a recipe places this file, which is made from all declared users and groups".to_owned(),
                hint: "declare users and groups in the recipe instead".to_owned(),
            };
            return Err(ConfigureError::at(&at, problem));
        }
        target.put_node(&at, Node { meta, kind: Kind::File(Content::inline(text)) })?;
    }
    Ok(())
}

/// The home directory of a recipe's user, with copies of what `/etc/skel` holds, as `useradd --create-home` makes it.
fn make_home(target: &mut Target<'_>, user: &UserSpec) -> Result<(), ConfigureError> {
    let own = |meta: Meta| Meta { user: Owner::parse(&user.name), group: Owner::parse(&user.group), ..meta };
    let undecided = target.provenance.origin(&user.home).is_none();
    if undecided || !target.root.contains(&user.home) {
        target.put_node(&user.home, Node { meta: own(Meta::root(0o700)), kind: Kind::Dir })?;
    }
    let skel = path("etc/skel")?;
    let copies: Vec<(String, Node<Content>)> = target
        .root
        .below(&skel)
        .filter_map(|(at, node)| {
            let kind = match &node.kind {
                Kind::HardLink(_) => Kind::File(target.content(at)?.clone()),
                kind => kind.clone(),
            };
            Some((at.as_str()[skel.as_str().len()..].to_owned(), Node { meta: own(node.meta.clone()), kind }))
        })
        .collect();
    for (rest, node) in copies {
        let at =
            user.home.join(&rest).map_err(|error| ConfigureError::invalid(error.to_string(), "shorten the path"))?;
        if !target.root.contains(&at) {
            target.put_node(&at, node)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
