//! `adduser`, `addgroup`, `deluser`, `delgroup`: adduser(8), deluser(8), with the defaults of adduser.conf(5).
//!
//! Statuses are those of adduser 3.152: 11 exists, 12 does not exist, 13 is another kind, 21 the id is taken,
//! 31 a bad name, 51 and 53 a wrong call.

use std::collections::BTreeMap;

use hah_format::path::TreePath;

use super::home::NewHome;
use crate::accounts::{Accounts, Aging, Group, NOLOGIN, SYSTEM_IDS, Standing, User};
use crate::commands::options::{Options, Order};
use crate::commands::{Process, Refusal};

const EXISTS: u8 = 11;
const DOES_NOT_EXIST: u8 = 12;
const ANOTHER_KIND: u8 = 13;
const ID_IN_USE: u8 = 21;
const BAD_NAME: u8 = 31;
const RELATIVE_HOME: u8 = 32;
const GROUP_NOT_EMPTY: u8 = 41;
const NOT_A_MEMBER: u8 = 42;
const PRIMARY_GROUP: u8 = 43;
const WRONG_CALL: u8 = 51;
const EXCLUSIVE: u8 = 53;
const NOT_ROOT: u8 = 55;

const ADD: &str = ",add-extra-groups ,add_extra_groups ,allow-all-names ,allow-badname ,allow-bad-names ,comment= \
    c,conf= ,debug ,stdoutmsglevel= ,stderrmsglevel= ,logmsglevel= ,disabled-login ,disabled-password ,firstgid= \
    ,firstuid= ,force-badname ,gecos= ,gid= ,group ,home= ,ingroup= ,lastgid= ,lastuid= ,no-create-home q,quiet \
    ,shell= ,system ,uid= ,verbose";

const DELETE: &str = "q,quiet ,debug ,verbose ,system ,only-if-empty ,remove-home ,remove-all-files ,backup \
    ,backup-to= ,backup-suffix= ,no-preserve-root c,conf= ,group ,stdoutmsglevel= ,stderrmsglevel= ,logmsglevel= \
    ,force";

/// What adduser.conf(5) may set and we know.
const SETTINGS: [(&str, &str); 5] = [
    ("DSHELL", "/bin/bash"),
    ("DHOME", "/home"),
    ("SKEL", "/etc/skel"),
    ("DIR_MODE", "0700"),
    ("SYS_DIR_MODE", "0755"),
];

/// adduser(8), addgroup(8).
pub(super) fn adduser(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(&perl_words(args), ADD, Order::Any)?;
    for range in ["firstuid", "lastuid", "firstgid", "lastgid", "c"] {
        // The ranges and configurations that packages name are those that derived ids keep to anyhow.
        if options.has(range) && !matches!(range, "firstuid" | "lastuid" | "firstgid" | "lastgid") {
            return process.unknown(&format!("--{range}"));
        }
    }
    let is_addgroup = process.name.ends_with("addgroup");
    let system = options.has("system");
    let group_too = options.has("group");
    let name = match options.operands.as_slice() {
        [name] if !name.is_empty() => name.clone(),
        [user, group] if !is_addgroup && !system && !group_too => return add_to_group(process, user, group),
        [_, _] => return process.fatal("Specify only one name in this mode.", WRONG_CALL),
        _ => return process.fatal("Only one or two names allowed.", WRONG_CALL),
    };
    let makes_group = is_addgroup || (group_too && !system);
    if !makes_group
        && [group_too, options.has("ingroup"), options.has("gid")].iter().filter(|given| **given).count() > 1
    {
        return process.fatal("The --group, --ingroup, and --gid options are mutually exclusive.", EXCLUSIVE);
    }
    if let Some(reason) = bad_name(&name, &options) {
        process.stderr.extend_from_slice(format!("err: {reason}\n").as_bytes());
        return Ok(BAD_NAME);
    }
    if options.value("home").is_some_and(|home| !home.starts_with('/')) {
        return process.fatal("The home dir must be an absolute path.", RELATIVE_HOME);
    }
    let gid = number(process, &options, "gid")?;
    if makes_group {
        return add_group(process, &name, gid, if system { Standing::System } else { Standing::Person });
    }
    let uid = number(process, &options, "uid")?;
    match system {
        true => add_system_user(process, &name, (uid, gid), &options),
        false => add_person(process, &name, (uid, gid), &options),
    }
}

/// Perl's Getopt::Long takes long options behind one dash as well, and no value for `--gecos` where an option follows.
fn perl_words(args: &[String]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (index, arg) in args.iter().enumerate() {
        let word = match arg.strip_prefix('-') {
            Some(name) if name.len() > 1 && !name.starts_with('-') => format!("--{name}"),
            _ => arg.clone(),
        };
        let next = args.get(index + 1);
        match matches!(word.as_str(), "--gecos" | "--comment") && next.is_none_or(|next| next.starts_with("--")) {
            true => words.push(format!("{word}=")),
            false => words.push(word),
        }
    }
    words
}

fn number(process: &Process<'_, '_>, options: &Options, name: &str) -> Result<Option<u32>, Refusal> {
    match options.value(name).map(str::parse) {
        None => Ok(None),
        Some(Ok(id)) => Ok(Some(id)),
        Some(Err(_)) => process.unknown(&format!("--{name} {}", options.value(name).unwrap_or_default())),
    }
}

/// Why adduser refuses a name: `SYS_NAME_REGEX`, `NAME_REGEX` and what no option turns off.
fn bad_name(name: &str, options: &Options) -> Option<&'static str> {
    let word = |extra: &[u8]| {
        let body = name.strip_suffix('$').unwrap_or(name);
        body.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
    };
    let first = name.bytes().next().unwrap_or_default();
    if name.strip_prefix('-').unwrap_or(name).bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("To avoid ambiguity with numerical UIDs, usernames which resemble numbers are not allowed.");
    }
    if matches!(name, "." | "..") {
        return Some("Usernames must not be a single or a double period.");
    }
    if name.len() > 32 {
        return Some("Usernames must be no more than 32 bytes in length.");
    }
    if b"-+~".contains(&first) || name.contains(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '/')) {
        return Some("To avoid problems, the username must not contain unusual characters.");
    }
    let underscore = options.has("system") && first == b'_';
    if (first.is_ascii_alphabetic() || underscore) && word(b"_-") {
        return None;
    }
    let all = options.has("allow-all-names");
    let bad = all || ["allow-badname", "allow-bad-names", "force-badname"].iter().any(|option| options.has(option));
    let ieee = (first.is_ascii_alphanumeric() || b"_.".contains(&first)) && word(b"_.-");
    match (ieee || all) && bad {
        true => None,
        false => {
            Some("Please enter a username matching the regular expression configured via the NAME_REGEX variable.")
        }
    }
}

fn is_system(id: u32) -> bool {
    SYSTEM_IDS.contains(&id)
}

fn add_to_group(process: &mut Process<'_, '_>, user: &str, group: &str) -> Result<u8, Refusal> {
    let accounts = process.world.accounts()?;
    if !accounts.users.contains_key(user) {
        return process.fatal(format_args!("The user `{user}' does not exist."), DOES_NOT_EXIST);
    }
    if !accounts.groups.contains_key(group) {
        return process.fatal(format_args!("The group `{group}' does not exist."), DOES_NOT_EXIST);
    }
    process.change_accounts(|accounts| accounts.add_member(group, user))?;
    Ok(0)
}

fn add_group(process: &mut Process<'_, '_>, name: &str, gid: Option<u32>, standing: Standing) -> Result<u8, Refusal> {
    let accounts = process.world.accounts()?;
    if let Some(found) = accounts.groups.get(name) {
        let found = found.gid;
        // A declared id stands in for the one that was asked for.
        let declared = accounts.declared.groups.get(name) == Some(&found);
        return match standing {
            Standing::Person => process.fatal(format_args!("The group `{name}' already exists."), EXISTS),
            Standing::System if gid.is_some_and(|gid| gid != found) && !declared => {
                process.stderr.extend_from_slice(
                    format!("err: The group `{name}' already exists, but has a different GID. Exiting.\n").as_bytes(),
                );
                Ok(ANOTHER_KIND)
            }
            Standing::System if is_system(found) => Ok(0),
            Standing::System => {
                process.stderr.extend_from_slice(
                    format!("err: The group `{name}' already exists and is not a system group. Exiting.\n").as_bytes(),
                );
                Ok(ANOTHER_KIND)
            }
        };
    }
    if let Some(gid) = gid.filter(|gid| accounts.group_of(*gid).is_some()) {
        return process.fatal(format_args!("The GID `{gid}' is already in use."), ID_IN_USE);
    }
    process.change_accounts(|accounts| {
        let gid = accounts.new_gid(name, gid, standing)?;
        accounts.groups.insert(name.to_owned(), Group::new(gid, "!"));
        Ok(())
    })?;
    Ok(0)
}

fn add_system_user(
    process: &mut Process<'_, '_>,
    name: &str,
    (uid, gid): (Option<u32>, Option<u32>),
    options: &Options,
) -> Result<u8, Refusal> {
    let settings = settings(process)?;
    let accounts = process.world.accounts()?;
    if let Some(found) = accounts.users.get(name) {
        let found = found.uid;
        if !is_system(found) {
            let text = format!("The user `{name}' already exists, but is not a system user. Exiting.");
            return process.fatal(text, ANOTHER_KIND);
        }
        let declared = accounts.declared.users.get(name) == Some(&found);
        if uid.is_some_and(|uid| uid != found) && !declared {
            let text = format!("The user `{name}' already exists with a different UID. Exiting.");
            return process.fatal(text, ANOTHER_KIND);
        }
        return Ok(0);
    }
    let group = match primary_group(accounts, options, gid, name) {
        Ok(group) => group,
        Err((text, status)) => return process.fatal(text, status),
    };
    if let Some(uid) = uid.filter(|uid| accounts.user_of(*uid).is_some()) {
        // useradd's status 4 goes through adduser as its own failure.
        return process.fatal(format_args!("`/usr/sbin/useradd -u {uid} {name}' returned error code 4. Exiting."), 82);
    }
    let home = options.value("home").filter(|home| !home.is_empty()).unwrap_or("/nonexistent").to_owned();
    let shell = options.value("shell").filter(|shell| !shell.is_empty()).unwrap_or(NOLOGIN).to_owned();
    let gecos = gecos(options);
    let group = process.change_accounts(|accounts| {
        let uid = accounts.new_uid(name, uid, Standing::System)?;
        let (group, gid) = match group {
            Primary::Own => (name.to_owned(), accounts.ensure_group(name, Some(uid), "!")?),
            Primary::Existing(group, gid) => (group, gid),
        };
        let aging = Aging::of_system(accounts.day);
        let user = User { uid, gid, gecos, home: home.clone(), shell, password: "!".to_owned(), aging };
        accounts.users.insert(name.to_owned(), user);
        Ok(group)
    })?;
    let mode = octal(&settings, "SYS_DIR_MODE");
    make_home(process, options, &NewHome { path: &home, mode, user: name, group: &group, skel: None })
}

/// The primary group of a new user.
enum Primary {
    /// A new one of the user's name.
    Own,
    /// One that is there: name and id.
    Existing(String, u32),
}

fn primary_group(
    accounts: &Accounts,
    options: &Options,
    gid: Option<u32>,
    name: &str,
) -> Result<Primary, (String, u8)> {
    if options.has("group") {
        return Ok(match accounts.groups.get(name) {
            Some(group) => Primary::Existing(name.to_owned(), group.gid),
            None => Primary::Own,
        });
    }
    if let Some(group) = options.value("ingroup") {
        return match accounts.groups.get(group) {
            Some(found) => Ok(Primary::Existing(group.to_owned(), found.gid)),
            None => Err((format!("The group `{group}' does not exist."), DOES_NOT_EXIST)),
        };
    }
    let gid = gid.unwrap_or_else(|| accounts.groups.get("nogroup").map_or(65_534, |group| group.gid));
    match accounts.group_of(gid) {
        Some((group, _)) => Ok(Primary::Existing(group.to_owned(), gid)),
        None => Err((format!("No group with GID {gid} found."), DOES_NOT_EXIST)),
    }
}

fn add_person(
    process: &mut Process<'_, '_>,
    name: &str,
    (uid, gid): (Option<u32>, Option<u32>),
    options: &Options,
) -> Result<u8, Refusal> {
    if !options.has("disabled-password") && !options.has("disabled-login") {
        return process.unknown("without --disabled-password or --disabled-login, which asks for a password and");
    }
    if !options.has("gecos") && !options.has("comment") {
        return process.unknown("without --comment, which asks for a name and");
    }
    let settings = settings(process)?;
    let accounts = process.world.accounts()?;
    if accounts.users.contains_key(name) {
        return process.fatal(format_args!("The user `{name}' already exists."), EXISTS);
    }
    let group = match options.has("ingroup") || gid.is_some() {
        true => match primary_group(accounts, options, gid, name) {
            Ok(group) => group,
            Err((text, status)) => return process.fatal(text, status),
        },
        false if accounts.groups.contains_key(name) => {
            return process.fatal(format_args!("The group `{name}' already exists."), EXISTS);
        }
        false => Primary::Own,
    };
    if let Some(uid) = uid.filter(|uid| accounts.user_of(*uid).is_some()) {
        return process.fatal(format_args!("The UID {uid} is already in use."), ID_IN_USE);
    }
    let text = |key: &str| settings.get(key).cloned().unwrap_or_default();
    let home = options.value("home").map_or_else(|| format!("{}/{name}", text("DHOME")), str::to_owned);
    let default_shell = if options.has("disabled-login") { NOLOGIN.to_owned() } else { text("DSHELL") };
    let shell = options.value("shell").map_or(default_shell, str::to_owned);
    let gecos = gecos(options);
    let group = process.change_accounts(|accounts| {
        let uid = accounts.new_uid(name, uid, Standing::Person)?;
        let (group, gid) = match group {
            Primary::Own => {
                let gid = accounts.new_gid(name, Some(uid), Standing::Person)?;
                accounts.groups.insert(name.to_owned(), Group::new(gid, "!"));
                (name.to_owned(), gid)
            }
            Primary::Existing(group, gid) => (group, gid),
        };
        let aging = Aging::of_login(accounts.day);
        let user = User { uid, gid, gecos, home: home.clone(), shell, password: "!".to_owned(), aging };
        accounts.users.insert(name.to_owned(), user);
        if group != "users" && accounts.groups.contains_key("users") {
            accounts.add_member("users", name)?;
        }
        Ok(group)
    })?;
    let skel = text("SKEL");
    let mode = octal(&settings, "DIR_MODE");
    make_home(process, options, &NewHome { path: &home, mode, user: name, group: &group, skel: Some(&skel) })
}

fn gecos(options: &Options) -> String {
    options.value("comment").or_else(|| options.value("gecos")).unwrap_or_default().to_owned()
}

fn make_home(process: &mut Process<'_, '_>, options: &Options, home: &NewHome<'_>) -> Result<u8, Refusal> {
    let nonexistent = home.path == "/nonexistent" || home.path.starts_with("/nonexistent/");
    if nonexistent || options.has("no-create-home") || process.world.exists(&TreePath::root(), home.path) {
        return Ok(0);
    }
    match process.make_home(home)? {
        true => Ok(0),
        false => Ok(82),
    }
}

/// The settings of adduser.conf(5): `KEY=value`, quotation marks allowed.
fn settings(process: &mut Process<'_, '_>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut settings: BTreeMap<String, String> =
        SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let text = match process.world.read(&TreePath::root(), "/etc/adduser.conf") {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.is_final() => return Err(error.into()),
        Err(_) => String::new(),
    };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((key, value)) = line.split_once('=') else { continue };
        match settings.get_mut(key.trim()) {
            Some(slot) => *slot = value.trim().trim_matches(['"', '\'']).to_owned(),
            None => return Err(Refusal::new(format!("`{}` in /etc/adduser.conf is not known", key.trim()))),
        }
    }
    Ok(settings)
}

fn octal(settings: &BTreeMap<String, String>, key: &str) -> u16 {
    settings.get(key).and_then(|text| u16::from_str_radix(text, 8).ok()).unwrap_or(0o755)
}

/// deluser(8), delgroup(8).
pub(super) fn deluser(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(&perl_words(args), DELETE, Order::Any)?;
    for files in ["remove-home", "remove-all-files", "backup", "backup-to", "c"] {
        if options.has(files) {
            return process.unknown(&format!("--{files}"));
        }
    }
    match options.operands.as_slice() {
        [user, group] => delete_from_group(process, user, group),
        [name] if process.name.ends_with("delgroup") || options.has("group") => delete_group(process, name, &options),
        [name] => delete_user(process, name, &options),
        _ => process.fatal("Only one or two names allowed.", WRONG_CALL),
    }
}

fn delete_from_group(process: &mut Process<'_, '_>, user: &str, group: &str) -> Result<u8, Refusal> {
    let accounts = process.world.accounts()?;
    let Some(account) = accounts.users.get(user) else {
        return process.fatal(format_args!("The user `{user}' does not exist."), DOES_NOT_EXIST);
    };
    let Some(found) = accounts.groups.get(group) else {
        return process.fatal(format_args!("The group `{group}' does not exist."), DOES_NOT_EXIST);
    };
    if account.gid == found.gid {
        return process.fatal("You may not remove the user from their primary group.", PRIMARY_GROUP);
    }
    if !found.members.contains(user) {
        let text = format!("The user `{user}' is not a member of group `{group}'.");
        return process.fatal(text, NOT_A_MEMBER);
    }
    process.change_accounts(|accounts| {
        if let Some(group) = accounts.groups.get_mut(group) {
            group.members.remove(user);
        }
        Ok(())
    })?;
    Ok(0)
}

fn delete_group(process: &mut Process<'_, '_>, name: &str, options: &Options) -> Result<u8, Refusal> {
    let accounts = process.world.accounts()?;
    let Some(group) = accounts.groups.get(name) else {
        return match options.has("system") {
            true => Ok(0),
            false => process.fatal(format_args!("The group `{name}' does not exist."), DOES_NOT_EXIST),
        };
    };
    if options.has("system") && !is_system(group.gid) {
        return process.fatal(format_args!("The group `{name}' is not a system group. Exiting."), ANOTHER_KIND);
    }
    if options.has("only-if-empty") && !group.members.is_empty() {
        return process.fatal(format_args!("The group `{name}' is not empty!"), GROUP_NOT_EMPTY);
    }
    let gid = group.gid;
    if let Some((user, _)) = accounts.users.iter().find(|(_, user)| user.gid == gid) {
        let text = format!("`{user}' still has `{name}' as their primary group!");
        return process.fatal(text, GROUP_NOT_EMPTY);
    }
    process.change_accounts(|accounts| {
        accounts.groups.remove(name);
        Ok(())
    })?;
    Ok(0)
}

fn delete_user(process: &mut Process<'_, '_>, name: &str, options: &Options) -> Result<u8, Refusal> {
    let accounts = process.world.accounts()?;
    let Some(user) = accounts.users.get(name) else {
        return match options.has("system") {
            true => Ok(0),
            false => process.fatal(format_args!("The user `{name}' does not exist."), DOES_NOT_EXIST),
        };
    };
    if options.has("system") && !is_system(user.uid) {
        return process.fatal(format_args!("The user `{name}' is not a system user. Exiting."), ANOTHER_KIND);
    }
    if user.uid == 0 && !options.has("no-preserve-root") {
        return process.fatal("WARNING: You are just about to delete the root account (uid 0).", NOT_ROOT);
    }
    process.change_accounts(|accounts| {
        accounts.remove_user(name);
        Ok(())
    })?;
    process.remove_subordinate_ids(name)?;
    Ok(0)
}
