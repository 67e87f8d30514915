//! `/etc/passwd`, `group`, `shadow` and `gshadow`, whole; and the home directories of the recipes' users.
//!
//! Where accounts come from, in which order, and why ids are stable is told in [`crate::accounts`]. What scripts did is
//! there already ([`Effects::accounts`](crate::scripts::Effects)); this pass adds what sysusers.d, reviewed scripts and
//! recipes declare, and writes the files.

use std::collections::BTreeMap;

use hah_format::tree::{Kind, Meta, Node, Owner};

use super::{ConfigureError, Problem, Target, path};
use crate::accounts::{AccountError, Accounts, Aging, FILES, SysusersLine, User, When, sysusers_lines};
use crate::rootfs::Content;
use crate::scripts::Ids;
use crate::system::{Home, UserSpec};

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let mut accounts = match &target.effects.accounts {
        Some(accounts) => accounts.clone(),
        None => {
            let declared = target.system.declared_ids(&target.effects.ids);
            let mut accounts = Accounts::new(declared, target.epoch);
            accounts
                .add_masters(&mut |at| target.read_text(at).map_err(|error| AccountError::Tree(error.to_string())))?;
            accounts
        }
    };
    let lines = sysusers_lines(&target.root, &mut |at| {
        target.read_text(at).map_err(|error| AccountError::Tree(error.to_string()))
    })
    .map_err(|error| ConfigureError::syntax(&error.file, error.line, error.reason))?;
    for SysusersLine { file, line, declaration } in lines {
        accounts.declare(declaration).map_err(|error| {
            let problem = Problem::Invalid { reason: format!("line {line}: {error}"), hint: error.hint() };
            ConfigureError::at(&file, problem)
        })?;
    }
    reviewed_scripts(target, &mut accounts)?;
    accounts.add_recipes(target.system, When::Last)?;
    accounts.check()?;
    write(target, &accounts)?;
    for user in target.system.users.iter().filter(|user| user.home_kind == Home::Created) {
        make_home(target, user)?;
    }
    Ok(())
}

impl From<AccountError> for ConfigureError {
    fn from(error: AccountError) -> Self {
        Self::invalid(error.to_string(), error.hint())
    }
}

/// What the table of reviews says that scripts add.
fn reviewed_scripts(target: &Target<'_>, accounts: &mut Accounts) -> Result<(), ConfigureError> {
    let of = |package: &dyn std::fmt::Display, error: AccountError| {
        ConfigureError::invalid(format!("package {package}: {error}"), error.hint())
    };
    for group in &target.effects.groups {
        accounts.ensure_group(&group.what, None, "!").map_err(|error| of(&group.package, error))?;
    }
    for user in &target.effects.users {
        let (package, user) = (&user.package, &user.what);
        if accounts.users.contains_key(&*user.name) {
            continue;
        }
        let uid = accounts.uid_for(&user.name, None).map_err(|error| of(package, error))?;
        let group = user.group.as_ref().unwrap_or(&user.name);
        let gid = accounts.ensure_group(group, Some(uid), "!").map_err(|error| of(package, error))?;
        let account = User {
            uid,
            gid,
            gecos: user.gecos.to_string(),
            home: user.home.to_string(),
            shell: user.shell.to_string(),
            password: "!".to_owned(),
            aging: Aging::of_system(accounts.day),
        };
        accounts.users.insert(user.name.to_string(), account);
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

fn write(target: &mut Target<'_>, accounts: &Accounts) -> Result<(), ConfigureError> {
    for file in FILES {
        let at = path(file.path())?;
        if target.provenance.is_from_recipe(&at) {
            let problem = Problem::Invalid {
                reason: "a recipe places this file, which is made from all declared users and groups".to_owned(),
                hint: "declare users and groups in the recipe instead".to_owned(),
            };
            return Err(ConfigureError::at(&at, problem));
        }
        let meta = match file.is_secret() {
            true => Meta { group: Owner::Name("shadow".into()), ..Meta::root(0o640) },
            false => Meta::root(0o644),
        };
        target.put_node(&at, Node { meta, kind: Kind::File(Content::inline(accounts.text(file))) })?;
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
