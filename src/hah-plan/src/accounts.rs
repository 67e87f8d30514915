//! [`Accounts`]: the users and groups of the root in the making, which `/etc/passwd`, `group`, `shadow` and `gshadow` show.
//!
//! They come from everything that declares one, in this order:
//!
//! 1. base-passwd's masters, whose ids are the same on every Debian system;
//! 2. the recipes' users and groups, as far as their groups are there already;
//! 3. maintainer scripts, each at its turn, by `adduser`, `useradd`, `systemd-sysusers`, … or by editing the files;
//! 4. sysusers.d(5) files of packages and recipes that no script has applied, in order of file name;
//! 5. the recipes again: theirs are the last words on everything but a fixed id.
//!
//! [`crate::world`] keeps the four files of the tree and this state in step while scripts run; the pass `users` does the rest.
//!
//! # Ids are stable
//!
//! Files on a node's data partition carry numbers, so a name must have the same id in every build of every image.
//! An id is, in this order,
//!
//! 1. the one that a recipe declares (`[[user]]`, `[[group]]`, `[ids]`) or the table of the distribution
//!    (`recipes/debian/ids.toml`, 100 to 199 and 900 to 999);
//! 2. the one that the declaration itself asks for (`adduser --uid`, a number in sysusers.d);
//! 3. derived from the name: [`automatic_id`], 200 to 899 for system accounts, 30000 to 39999 for others.
//!
//! A derived id depends on nothing but the name and the declared ids. So it is known at once, whatever runs later, and it
//! stays when packages come and go. The price: two names may want the same number, since 700 are few (10 names that
//! nobody has declared meet with a probability of 6 %). Then the second one is refused with words that say how to
//! declare an id for one of them. The rejected alternatives are counting upwards as on a node, or probing for the next
//! free number: both change the id of a name when a package is added that is configured earlier, and the files of a node
//! silently belong to somebody else.
//!
//! Formats: passwd(5), group(5), shadow(5), gshadow(5). Entries are in order of id. Passwords were last changed on the epoch's day.

mod ids;
mod files;
pub mod sysusers;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::system::Ids;
use sysusers::{Line, UserGroup, UserLine};

pub use files::{AccountFile, FILES};
pub use ids::{AUTOMATIC_PEOPLE, AUTOMATIC_SYSTEM, Standing, automatic_id};
pub use sources::{SysusersError, SysusersLine, When, sysusers_lines};

/// The shell of accounts that nobody logs in to.
pub const NOLOGIN: &str = "/usr/sbin/nologin";

/// The ids of system accounts that are given out as needed: adduser.conf(5), login.defs(5).
pub const SYSTEM_IDS: RangeInclusive<u32> = 100..=999;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Id of the primary group.
    pub gid: u32,
    /// Comment field.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// The password field of `shadow`.
    pub password: String,
    /// What `shadow` says about the password's age.
    pub aging: Aging,
}

/// The fields of shadow(5) behind the password: days, or days since 1970; `None` is an empty field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aging {
    /// Day of the last change.
    pub changed: Option<i64>,
    /// Days until it may be changed.
    pub min: Option<i64>,
    /// Days until it must be changed.
    pub max: Option<i64>,
    /// Days of warning before that.
    pub warn: Option<i64>,
    /// Days after that in which it is still taken.
    pub inactive: Option<i64>,
    /// Day on which the account expires.
    pub expire: Option<i64>,
}

impl Aging {
    /// As pwconv and useradd write it from login.defs.
    pub fn of_login(day: i64) -> Self {
        Self { min: Some(0), max: Some(99_999), warn: Some(7), ..Self::of_system(day) }
    }

    /// As it is for system accounts.
    pub fn of_system(day: i64) -> Self {
        Self { changed: Some(day), ..Self::default() }
    }
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Group id.
    pub gid: u32,
    /// Supplementary members.
    pub members: BTreeSet<String>,
    /// The password field of `gshadow`.
    pub password: String,
    /// The administrators in `gshadow`.
    pub administrators: BTreeSet<String>,
}

impl Group {
    /// A group without members.
    pub fn new(gid: u32, password: &str) -> Self {
        Self { gid, members: BTreeSet::new(), password: password.to_owned(), administrators: BTreeSet::new() }
    }
}

/// What is wrong with an account that is to be made or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// There is no such user.
    #[error("there is no user `{0}`")]
    NoUser(String),
    /// There is no such group.
    #[error("there is no group `{0}`")]
    NoGroup(String),
    /// Two names would have the same id.
    #[error("the {what}s `{first}` and `{second}` both get the id {id}")]
    SameId {
        /// `user` or `group`.
        what: &'static str,
        /// The one that has it.
        first: String,
        /// The one that wants it.
        second: String,
        /// The id.
        id: u32,
    },
    /// A name or a text that the files cannot hold.
    #[error("{0}")]
    Malformed(String),
    /// A file of the tree cannot be read.
    #[error("/{file}, line {line}: {reason}")]
    File {
        /// Which one: `etc/passwd`.
        file: &'static str,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The tree cannot be read or written.
    #[error("{0}")]
    Tree(String),
    /// A recipe's declaration contradicts another.
    #[error("recipe {recipe}: {reason}")]
    Recipe {
        /// The recipe.
        recipe: String,
        /// What is wrong.
        reason: String,
    },
}

impl AccountError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::SameId { what, second, .. } => format!(
                "give one of them an id of its own, in `[ids.{what}s]` of a recipe: {second} = NUMBER (100 to 199 and 900 to 989 are meant for it)"
            ),
            Self::Recipe { .. } => "correct the recipe's users and groups".to_owned(),
            Self::NoUser(name) => format!("declare the user {name} in a recipe"),
            Self::NoGroup(name) => format!("declare the group {name} in a recipe"),
            Self::Malformed(_) | Self::File { .. } | Self::Tree(_) => {
                "`hah-image why /etc/passwd` names what has changed the file; please report it".to_owned()
            }
        }
    }
}

/// All users and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Users by name.
    pub users: BTreeMap<String, User>,
    /// Groups by name.
    pub groups: BTreeMap<String, Group>,
    /// The ids that recipes and the distribution's table declare.
    pub declared: Ids,
    /// The epoch's day since 1970, on which every password was changed last.
    pub day: i64,
}

impl Accounts {
    /// No accounts; `epoch` in seconds since 1970.
    pub fn new(declared: Ids, epoch: u32) -> Self {
        Self { declared, day: i64::from(epoch / 86_400), ..Self::default() }
    }

    /// The user with this id; the first by name when there are more.
    pub fn user_of(&self, uid: u32) -> Option<(&str, &User)> {
        self.users.iter().find(|(_, user)| user.uid == uid).map(|(name, user)| (name.as_str(), user))
    }

    /// The group with this id; the first by name when there are more.
    pub fn group_of(&self, gid: u32) -> Option<(&str, &Group)> {
        self.groups.iter().find(|(_, group)| group.gid == gid).map(|(name, group)| (name.as_str(), group))
    }

    /// The names of the groups that `user` is in, the primary one first, then in order of id.
    pub fn groups_of(&self, user: &str) -> Vec<(&str, u32)> {
        let primary = self.users.get(user).map(|user| user.gid);
        let mut found: Vec<(&str, u32)> = self
            .groups
            .iter()
            .filter(|(_, group)| Some(group.gid) == primary || group.members.contains(user))
            .map(|(name, group)| (name.as_str(), group.gid))
            .collect();
        found.sort_by_key(|(_, gid)| (Some(*gid) != primary, *gid));
        found
    }

    /// Makes the group `name` unless it is there, and says its id. `gid` is what the declaration asks for.
    pub fn ensure_group(&mut self, name: &str, gid: Option<u32>, password: &str) -> Result<u32, AccountError> {
        if let Some(found) = self.groups.get(name) {
            return Ok(found.gid);
        }
        let gid = self.gid_for(name, gid)?;
        self.groups.insert(name.to_owned(), Group::new(gid, password));
        Ok(gid)
    }

    /// Adds `user` to the members of `group`.
    pub fn add_member(&mut self, group: &str, user: &str) -> Result<(), AccountError> {
        let found = self.groups.get_mut(group).ok_or_else(|| AccountError::NoGroup(group.to_owned()))?;
        found.members.insert(user.to_owned());
        Ok(())
    }

    /// Removes a user, its memberships, and the group of its name when nobody else is in it: `USERGROUPS_ENAB`.
    pub fn remove_user(&mut self, name: &str) {
        let Some(user) = self.users.remove(name) else { return };
        for group in self.groups.values_mut() {
            group.members.remove(name);
            group.administrators.remove(name);
        }
        let alone = |group: &Group| {
            group.gid == user.gid
                && group.members.is_empty()
                && !self.users.values().any(|other| other.gid == group.gid)
        };
        if self.groups.get(name).is_some_and(alone) {
            self.groups.remove(name);
        }
    }

    /// Does what a line of sysusers.d says. What is there already stays as it is.
    pub fn declare(&mut self, declaration: Line) -> Result<(), AccountError> {
        match declaration {
            Line::Group(name, gid) => match self.ensure_group(&name, gid, "!*") {
                Err(AccountError::SameId { .. }) if gid.is_some() => self.ensure_group(&name, None, "!*").map(|_| ()),
                made => made.map(|_| ()),
            },
            Line::User(user) => self.declare_user(user),
            Line::Member(user, group) => {
                if !self.users.contains_key(&user) {
                    self.declare_user(UserLine::of(&user))?;
                }
                self.ensure_group(&group, None, "!*")?;
                self.add_member(&group, &user)
            }
        }
    }

    fn declare_user(&mut self, line: UserLine) -> Result<(), AccountError> {
        if self.users.contains_key(&line.name) {
            return Ok(());
        }
        let uid = match self.uid_for(&line.name, line.uid) {
            // As systemd-sysusers: a number that somebody has is a wish that does not come true.
            Err(AccountError::SameId { .. }) if line.uid.is_some() => self.uid_for(&line.name, None)?,
            found => found?,
        };
        let gid = match &line.group {
            UserGroup::Own => self.ensure_group(&line.name, Some(uid), "!*")?,
            UserGroup::Id(gid) => self
                .group_of(*gid)
                .map(|(_, group)| group.gid)
                .ok_or_else(|| AccountError::Malformed(format!("there is no group of id {gid} for {}", line.name)))?,
            UserGroup::Name(name) => {
                self.groups.get(name).map(|group| group.gid).ok_or_else(|| AccountError::NoGroup(name.clone()))?
            }
        };
        let default_shell = if uid == 0 { "/bin/sh" } else { NOLOGIN };
        let aging = Aging::of_system(self.day);
        self.users.insert(
            line.name,
            User {
                uid,
                gid,
                gecos: line.gecos,
                home: line.home,
                shell: line.shell.unwrap_or_else(|| default_shell.to_owned()),
                password: "!*".to_owned(),
                // Expired since 1970-01-02: `u!`.
                aging: Aging { expire: line.locked.then_some(1), ..aging },
            },
        );
        Ok(())
    }

    /// No id twice, and there is a superuser.
    pub fn check(&self) -> Result<(), AccountError> {
        fn twice<'a>(what: &'static str, ids: impl Iterator<Item = (&'a String, u32)>) -> Result<(), AccountError> {
            let mut taken: BTreeMap<u32, &String> = BTreeMap::new();
            for (name, id) in ids {
                if let Some(other) = taken.insert(id, name) {
                    return Err(AccountError::SameId { what, first: other.clone(), second: name.clone(), id });
                }
            }
            Ok(())
        }
        twice("user", self.users.iter().map(|(name, user)| (name, user.uid)))?;
        twice("group", self.groups.iter().map(|(name, group)| (name, group.gid)))?;
        match self.users.get("root") {
            Some(root) if root.uid == 0 => Ok(()),
            _ => Err(AccountError::NoUser("root".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
