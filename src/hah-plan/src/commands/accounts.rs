//! Users and groups as coreutils ask for them: from `/etc/passwd` and `/etc/group` of the tree.

use hah_format::path::TreePath;
use hah_format::tree::Owner;

use super::Refusal;
use crate::world::{Errno, World};

/// One line of a user or group file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Its name.
    pub(super) name: String,
    /// Its number.
    pub(super) id: u32,
    /// The fields after the number: of a user the primary group's number first, of a group its members.
    pub(super) rest: Vec<String>,
}

/// The users that there are, in the file's order; `root` is always one.
pub(super) fn users(world: &mut World<'_>) -> Result<Vec<Account>, Refusal> {
    accounts(world, "/etc/passwd", ["0", "root", "/root", "/bin/bash"].as_slice())
}

/// The groups that there are; `root` is always one.
pub(super) fn groups(world: &mut World<'_>) -> Result<Vec<Account>, Refusal> {
    accounts(world, "/etc/group", [""].as_slice())
}

fn accounts(world: &mut World<'_>, file: &str, root: &[&str]) -> Result<Vec<Account>, Refusal> {
    let text = match world.read(&TreePath::root(), file) {
        Ok(text) => text,
        Err(error) if error.is_final() => return Err(error.into()),
        Err(_) => Vec::new(),
    };
    let text = String::from_utf8_lossy(&text);
    let mut found: Vec<Account> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':').map(str::to_owned);
            let name = fields.next().filter(|name| !name.is_empty())?;
            let id = fields.nth(1)?.parse().ok()?;
            Some(Account { name, id, rest: fields.collect() })
        })
        .collect();
    if !found.iter().any(|account| account.name == "root") {
        let rest = root.iter().map(|field| (*field).to_owned()).collect();
        found.insert(0, Account { name: "root".to_owned(), id: 0, rest });
    }
    Ok(found)
}

/// Whether chown(1) finds a user of this name.
pub(super) fn accounts_know_user(world: &mut World<'_>, name: &str) -> Result<bool, Refusal> {
    Ok(users(world)?.iter().any(|account| account.name == name))
}

/// Whether chgrp(1) finds a group of this name.
pub(super) fn accounts_know_group(world: &mut World<'_>, name: &str) -> Result<bool, Refusal> {
    Ok(groups(world)?.iter().any(|account| account.name == name))
}

/// The name of an owner, or `None` for a number that nobody has.
pub(super) fn name_of(owner: &Owner, known: &[Account]) -> Option<String> {
    match owner {
        Owner::Id(id) => known.iter().find(|account| account.id == *id).map(|account| account.name.clone()),
        Owner::Name(name) => Some(name.to_string()),
    }
}

/// The number of an owner.
///
/// # Errors
/// A name that is not in the tree's file: its number is decided later.
pub(super) fn id_of(owner: &Owner, known: &[Account]) -> Result<u32, Refusal> {
    match owner {
        Owner::Id(id) => Ok(*id),
        Owner::Name(name) => match known.iter().find(|account| account.name == **name) {
            Some(account) => Ok(account.id),
            None => Err(Refusal::new(format!("the number of the owner {name} is not known yet"))),
        },
    }
}

/// Whether two owners are the same, one being a name and the other a number perhaps.
pub(super) fn is_same(left: &Owner, right: &Owner, known: &[Account]) -> bool {
    left == right || id_of(left, known).is_ok_and(|id| id_of(right, known) == Ok(id))
}

/// Owner and group of `USER:GROUP`, `USER:`, `:GROUP`, `USER.GROUP`; each `None` where it is to stay.
///
/// # Errors
/// `Err(Ok(message))` for what chown(1) complains of.
pub(super) fn owner_spec(world: &mut World<'_>, text: &str) -> Result<Result<Ownership, String>, Refusal> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        // The old spelling, where no user has a name with a dot.
        None => match text.split_once('.') {
            Some((user, group)) if !accounts_know_user(world, text)? => (user, Some(group)),
            _ => (text, None),
        },
    };
    let mut wanted = Ownership::default();
    if !user.is_empty() {
        if user.parse::<u32>().is_err() && !accounts_know_user(world, user)? {
            return Ok(Err(format!("invalid user: ‘{text}’")));
        }
        wanted.user = Some(Owner::parse(user));
    }
    match group {
        None => {}
        // `USER:` is the user's own group.
        Some("") if !user.is_empty() => {
            let all = users(world)?;
            let id = wanted.user.as_ref().and_then(|user| id_of(user, &all).ok());
            let Some(account) = all.iter().find(|account| Some(account.id) == id) else {
                return Ok(Err(format!("invalid spec: ‘{text}’")));
            };
            let number: u32 = account.rest.first().and_then(|field| field.parse().ok()).unwrap_or(0);
            let name = groups(world)?.into_iter().find(|group| group.id == number).map(|group| group.name);
            wanted.group = Some(name.map_or(Owner::Id(number), |name| Owner::parse(&name)));
        }
        Some("") => {}
        Some(group) => {
            if group.parse::<u32>().is_err() && !accounts_know_group(world, group)? {
                return Ok(Err(format!("invalid group: ‘{text}’")));
            }
            wanted.group = Some(Owner::parse(group));
        }
    }
    Ok(Ok(wanted))
}

/// Who is to own a file; `None` where it is to stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ownership {
    /// The user.
    pub(super) user: Option<Owner>,
    /// The group.
    pub(super) group: Option<Owner>,
}

/// Whether an error is that something is not there.
pub(super) fn is_missing(error: &Errno) -> bool {
    matches!(error, Errno::NotFound | Errno::NotADirectory)
}
