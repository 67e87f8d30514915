//! `useradd`, `usermod`, `userdel`: useradd(8), usermod(8), userdel(8), with Debian's login.defs(5).
//!
//! Statuses: 2 a wrong call, 3 a bad argument, 4 the id is taken, 6 no such user or group, 9 the name is taken,
//! 12 the home directory, 19 a bad name.

use hah_format::path::TreePath;

use super::home::NewHome;
use super::subordinate::{Range, Subordinate};
use super::{group_id, group_name, is_field, is_shadow_name};
use crate::accounts::{Accounts, Aging, SYSTEM_IDS, Standing, User};
use crate::commands::options::{Options, Order};
use crate::commands::{Process, Refusal};

const BAD_CALL: u8 = 2;
const BAD_ARGUMENT: u8 = 3;
const ID_IN_USE: u8 = 4;
const NOT_FOUND: u8 = 6;
const NAME_IN_USE: u8 = 9;
const HOME: u8 = 12;
const BAD_NAME: u8 = 19;

const ADD: &str = ",badname b,base-dir= c,comment= d,home-dir= ,home= e,expiredate= f,inactive= g,gid= G,groups= \
    k,skel= K,key= l,no-log-init m,create-home M,no-create-home N,no-user-group o,non-unique p,password= r,system \
    s,shell= u,uid= U,user-group F,add-subids-for-system";

/// useradd(8). Without an id of its own, a user gets the one that its name leads to.
pub(super) fn useradd(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, ADD, Order::Any)?;
    let [name] = options.operands.as_slice() else {
        return process.fail("expected one LOGIN", BAD_CALL);
    };
    if !is_shadow_name(name) {
        return process.fail(format_args!("invalid user name '{name}'"), BAD_NAME);
    }
    let accounts = process.world.accounts()?;
    if accounts.users.contains_key(name) {
        return process.fail(format_args!("user '{name}' already exists"), NAME_IN_USE);
    }
    let own_group = !options.has("g") && !options.has("N");
    if own_group && accounts.groups.contains_key(name) {
        let text = format!("group {name} exists - if you want to add this user to that group, use -g.");
        return process.fail(text, NAME_IN_USE);
    }
    let gid = match options.value("g") {
        None => None,
        Some(text) => match group_id(accounts, text) {
            Some(gid) => Some(gid),
            None => return process.fail(format_args!("group '{text}' does not exist"), NOT_FOUND),
        },
    };
    let groups = match supplementary(accounts, &options) {
        Ok(groups) => groups,
        Err(group) => return process.fail(format_args!("group '{group}' does not exist"), NOT_FOUND),
    };
    let uid = match options.value("u").map(str::parse::<u32>) {
        None => None,
        Some(Ok(uid)) => Some(uid),
        Some(Err(_)) => return process.fail("invalid user ID", BAD_ARGUMENT),
    };
    if let Some(uid) = uid.filter(|uid| accounts.user_of(*uid).is_some()) {
        if options.has("o") {
            return process.unknown("-o");
        }
        return process.fail(format_args!("UID {uid} is not unique"), ID_IN_USE);
    }
    let system = options.has("r");
    let standing = if system { Standing::System } else { Standing::Person };
    let base = options.value("b").unwrap_or("/home");
    let home = options.value("d").or_else(|| options.value("home"));
    let home = home.map_or_else(|| format!("{base}/{name}"), str::to_owned);
    let shell = options.value("s").unwrap_or("/bin/sh").to_owned();
    let gecos = options.value("c").unwrap_or_default().to_owned();
    let password = options.value("p").unwrap_or("!").to_owned();
    for text in [&home, &shell, &gecos, &password] {
        if !is_field(text) {
            return process.fail(format_args!("invalid field '{text}'"), BAD_ARGUMENT);
        }
    }
    let day = accounts.day;
    let aging = if system { Aging::of_system(day) } else { Aging::of_login(day) };
    let aging = match aged(aging, &options) {
        Some(aging) => aging,
        None => return process.fail("invalid date or numeric argument", BAD_ARGUMENT),
    };
    let (uid, group) = process.change_accounts(|accounts| {
        let uid = accounts.new_uid(name, uid, standing)?;
        let gid = match gid {
            Some(gid) => gid,
            None if own_group => {
                let gid = accounts.new_gid(name, Some(uid), standing)?;
                accounts.groups.insert(name.clone(), crate::accounts::Group::new(gid, "!"));
                gid
            }
            // GROUP of /etc/default/useradd.
            None => group_id(accounts, "users").unwrap_or(100),
        };
        let home = home.clone();
        accounts.users.insert(name.clone(), User { uid, gid, gecos, home, shell, password, aging });
        for group in &groups {
            accounts.add_member(group, name)?;
        }
        Ok((uid, accounts.group_of(gid).map_or_else(|| gid.to_string(), |(group, _)| group.to_owned())))
    })?;
    if !system && !SYSTEM_IDS.contains(&uid) {
        process.add_new_subordinate_ids(name)?;
    }
    if !options.has("m") || process.world.exists(&TreePath::root(), &home) {
        return Ok(0);
    }
    let skel = Some(options.value("k").unwrap_or("/etc/skel"));
    // HOME_MODE of Debian's login.defs.
    match process.make_home(&NewHome { path: &home, mode: 0o700, user: name, group: &group, skel })? {
        true => Ok(0),
        false => Ok(HOME),
    }
}

fn supplementary(accounts: &Accounts, options: &Options) -> Result<Vec<String>, String> {
    let text = options.value("G").unwrap_or_default();
    text.split(',')
        .filter(|group| !group.is_empty())
        .map(|group| group_name(accounts, group).ok_or_else(|| group.to_owned()))
        .collect()
}

/// `-e` and `-f`: a day of expiry as days since 1970 or `YYYY-MM-DD`, empty for never; days of inactivity, -1 for none.
fn aged(mut aging: Aging, options: &Options) -> Option<Aging> {
    match options.value("e") {
        None => {}
        Some("" | "-1") => aging.expire = None,
        Some(text) => aging.expire = Some(day_of(text)?),
    }
    match options.value("f").map(str::parse::<i64>) {
        None => {}
        Some(Ok(days)) if days >= 0 => aging.inactive = Some(days),
        Some(Ok(-1)) => aging.inactive = None,
        Some(_) => return None,
    }
    Some(aging)
}

/// A day as days since 1970-01-01, from a number or `YYYY-MM-DD`.
pub(super) fn day_of(text: &str) -> Option<i64> {
    if let Ok(day) = text.parse::<i64>() {
        return (day >= 0).then_some(day);
    }
    let mut parts = text.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The civil calendar with years that begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

const MODIFY: &str = "a,append ,badname c,comment= d,home= e,expiredate= f,inactive= g,gid= G,groups= l,login= \
    L,lock m,move-home o,non-unique p,password= r,remove s,shell= u,uid= U,unlock v,add-subuids= V,del-subuids= \
    w,add-subgids= W,del-subgids=";

/// usermod(8).
pub(super) fn usermod(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, MODIFY, Order::Any)?;
    let [name] = options.operands.as_slice() else {
        return process.fail("expected one LOGIN", BAD_CALL);
    };
    // Files would have to change their owner with an id; and what is new has no ranges to give back.
    for option in ["o", "u", "V", "W"] {
        if options.has(option) {
            return process.unknown(&format!("-{option}"));
        }
    }
    if (options.has("a") || options.has("r")) && !options.has("G") {
        return process.fail("-a and -r are only allowed with the -G flag", BAD_CALL);
    }
    if [options.has("L"), options.has("U"), options.has("p")].iter().filter(|given| **given).count() > 1 {
        return process.fail("the -L, -p, and -U flags are exclusive", BAD_CALL);
    }
    let mut ranges = Vec::new();
    for (option, of, flags) in [("v", Subordinate::Users, "-v or -V"), ("w", Subordinate::Groups, "-w or -W")] {
        // usermod keeps them in the other order.
        for text in options.values(option).rev() {
            let Some(range) = Range::parse(text) else {
                let what = format!("invalid subordinate {} range '{text}'", of.noun());
                return process.fail(what, BAD_ARGUMENT);
            };
            if process.subordinate_ids(of)?.is_none() {
                let what = format!("{} does not exist, you cannot use the flags {flags}", of.path());
                return process.fail(what, BAD_CALL);
            }
            ranges.push((of, range));
        }
    }
    let accounts = process.world.accounts()?;
    let Some(user) = accounts.users.get(name) else {
        return process.fail(format_args!("user '{name}' does not exist"), NOT_FOUND);
    };
    let mut user = user.clone();
    if options.given.is_empty() {
        return process.fail("no changes", 0);
    }
    let groups = match supplementary(accounts, &options) {
        Ok(groups) => groups,
        Err(group) => return process.fail(format_args!("group '{group}' does not exist"), NOT_FOUND),
    };
    if let Some(text) = options.value("g") {
        match group_id(accounts, text) {
            Some(gid) => user.gid = gid,
            None => return process.fail(format_args!("group '{text}' does not exist"), NOT_FOUND),
        }
    }
    let new_name = options.value("l").unwrap_or(name).to_owned();
    if new_name != *name && accounts.users.contains_key(&new_name) {
        return process.fail(format_args!("user '{new_name}' already exists"), NAME_IN_USE);
    }
    if !is_shadow_name(&new_name) {
        return process.fail(format_args!("invalid user name '{new_name}'"), BAD_ARGUMENT);
    }
    let old_home = user.home.clone();
    for (option, field) in
        [("c", &mut user.gecos), ("d", &mut user.home), ("s", &mut user.shell), ("p", &mut user.password)]
    {
        if let Some(value) = options.value(option) {
            if !is_field(value) {
                return process.fail(format_args!("invalid field '{value}'"), BAD_ARGUMENT);
            }
            field.clear();
            field.push_str(value);
        }
    }
    user.aging = match aged(user.aging, &options) {
        Some(aging) => aging,
        None => return process.fail("invalid date or numeric argument", BAD_ARGUMENT),
    };
    if options.has("L") && !user.password.starts_with('!') {
        user.password.insert(0, '!');
    }
    if options.has("U") {
        match user.password.strip_prefix('!') {
            Some("") => {
                return process.fail(
                    "unlocking the user's password would result in a passwordless account.\n\
                     You should set a password with usermod -p to unlock this user's password.",
                    0,
                );
            }
            Some(rest) => user.password = rest.to_owned(),
            None => {}
        }
    }
    let home = user.home.clone();
    process.change_accounts(|accounts| {
        accounts.users.remove(name);
        accounts.users.insert(new_name.clone(), user);
        for (group, entry) in &mut accounts.groups {
            let was = entry.members.remove(name);
            let stays = match options.has("G") {
                false => was,
                true if options.has("a") => was || groups.contains(group),
                true if options.has("r") => was && !groups.contains(group),
                true => groups.contains(group),
            };
            if stays {
                entry.members.insert(new_name.clone());
            }
            if entry.administrators.remove(name) {
                entry.administrators.insert(new_name.clone());
            }
        }
        Ok(())
    })?;
    for (of, range) in ranges {
        process.add_subordinate_ids(of, &new_name, range)?;
    }
    let top = TreePath::root();
    if options.has("m") && home != old_home && process.world.exists(&top, &old_home) {
        let parent = home.rsplit_once('/').map_or("/", |(parent, _)| parent);
        if !parent.is_empty() {
            let made = process.world.make_dirs(&top, parent, 0o755);
            process.check(parent, made)?;
        }
        let moved = process.world.rename(&top, &old_home, &home);
        if process.check(&home, moved)?.is_none() {
            return Ok(HOME);
        }
    }
    Ok(0)
}

/// userdel(8). Files outside the home directory stay.
pub(super) fn userdel(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "f,force r,remove", Order::Any)?;
    let [name] = options.operands.as_slice() else {
        return process.fail("expected one LOGIN", BAD_CALL);
    };
    let Some(user) = process.world.accounts()?.users.get(name) else {
        return process.fail(format_args!("user '{name}' does not exist"), NOT_FOUND);
    };
    let home = user.home.clone();
    process.change_accounts(|accounts| {
        accounts.remove_user(name);
        Ok(())
    })?;
    process.remove_subordinate_ids(name)?;
    let top = TreePath::root();
    if options.has("r") && process.world.exists(&top, &home) && home != "/" {
        let removed = process.world.remove_all(&top, &home);
        if process.check(&home, removed)?.is_none() {
            return Ok(HOME);
        }
    }
    Ok(0)
}
