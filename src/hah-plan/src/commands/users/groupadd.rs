//! `groupadd`, `groupmod`, `groupdel`, `gpasswd`: groupadd(8), groupmod(8), groupdel(8), gpasswd(1).

use super::{is_field, is_shadow_name};
use crate::accounts::{Group, Standing};
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};

const BAD_CALL: u8 = 2;
const BAD_ARGUMENT: u8 = 3;
const ID_IN_USE: u8 = 4;
const NOT_FOUND: u8 = 6;
const PRIMARY_GROUP: u8 = 8;
const NAME_IN_USE: u8 = 9;

/// groupadd(8). Without an id of its own, a group gets the one that its name leads to.
pub(super) fn groupadd(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "f,force g,gid= K,key= o,non-unique p,password= r,system U,users=";
    let options = process.options(args, spec, Order::Any)?;
    let [name] = options.operands.as_slice() else {
        return process.fail("expected one GROUP", BAD_CALL);
    };
    if options.has("o") {
        return process.unknown("-o");
    }
    if !is_shadow_name(name) {
        return process.fail(format_args!("'{name}' is not a valid group name"), BAD_ARGUMENT);
    }
    let mut gid = match options.value("g").map(str::parse::<u32>) {
        None => None,
        Some(Ok(gid)) => Some(gid),
        Some(Err(_)) => return process.fail("invalid group ID", BAD_ARGUMENT),
    };
    let accounts = process.world.accounts()?;
    if accounts.groups.contains_key(name) {
        return match options.has("f") {
            true => Ok(0),
            false => process.fail(format_args!("group '{name}' already exists"), NAME_IN_USE),
        };
    }
    if let Some(taken) = gid.filter(|gid| accounts.group_of(*gid).is_some()) {
        if !options.has("f") {
            return process.fail(format_args!("GID '{taken}' already exists"), ID_IN_USE);
        }
        gid = None;
    }
    let members: Vec<String> =
        options.value("U").unwrap_or_default().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if let Some(unknown) = members.iter().find(|user| !accounts.users.contains_key(*user)) {
        return process.fail(format_args!("Invalid member username {unknown}"), BAD_ARGUMENT);
    }
    let password = options.value("p").unwrap_or("!").to_owned();
    if !is_field(&password) {
        return process.fail("invalid password", BAD_ARGUMENT);
    }
    let standing = if options.has("r") { Standing::System } else { Standing::Person };
    process.change_accounts(|accounts| {
        let gid = accounts.new_gid(name, gid, standing)?;
        let group = Group { members: members.into_iter().collect(), ..Group::new(gid, &password) };
        accounts.groups.insert(name.clone(), group);
        Ok(())
    })?;
    Ok(0)
}

/// groupmod(8).
pub(super) fn groupmod(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "a,append g,gid= n,new-name= o,non-unique p,password= U,users=", Order::Any)?;
    let [name] = options.operands.as_slice() else {
        return process.fail("expected one GROUP", BAD_CALL);
    };
    for option in ["g", "o"] {
        // Files would have to change their group with it.
        if options.has(option) {
            return process.unknown(&format!("-{option}"));
        }
    }
    let accounts = process.world.accounts()?;
    let Some(mut group) = accounts.groups.get(name).cloned() else {
        return process.fail(format_args!("group '{name}' does not exist"), NOT_FOUND);
    };
    let new_name = options.value("n").unwrap_or(name).to_owned();
    if new_name != *name && accounts.groups.contains_key(&new_name) {
        return process.fail(format_args!("group '{new_name}' already exists"), NAME_IN_USE);
    }
    if !is_shadow_name(&new_name) {
        return process.fail(format_args!("invalid group name '{new_name}'"), BAD_ARGUMENT);
    }
    if let Some(password) = options.value("p") {
        group.password = password.to_owned();
    }
    if let Some(users) = options.value("U") {
        let users: Vec<String> = users.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if let Some(unknown) = users.iter().find(|user| !accounts.users.contains_key(*user)) {
            return process.fail(format_args!("Invalid member username {unknown}"), BAD_ARGUMENT);
        }
        if !options.has("a") {
            group.members.clear();
        }
        group.members.extend(users);
    }
    process.change_accounts(|accounts| {
        accounts.groups.remove(name);
        accounts.groups.insert(new_name, group);
        Ok(())
    })?;
    Ok(0)
}

/// groupdel(8).
pub(super) fn groupdel(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "f,force", Order::Any)?;
    let [name] = options.operands.as_slice() else {
        return process.fail("expected one GROUP", BAD_CALL);
    };
    let accounts = process.world.accounts()?;
    let Some(group) = accounts.groups.get(name) else {
        return process.fail(format_args!("group '{name}' does not exist"), NOT_FOUND);
    };
    let gid = group.gid;
    if !options.has("f")
        && let Some((user, _)) = accounts.users.iter().find(|(_, user)| user.gid == gid)
    {
        let text = format!("cannot remove the primary group of user '{user}'");
        return process.fail(text, PRIMARY_GROUP);
    }
    process.change_accounts(|accounts| {
        accounts.groups.remove(name);
        Ok(())
    })?;
    Ok(0)
}

/// gpasswd(1), but for passwords, which it would ask for.
pub(super) fn gpasswd(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "a,add= d,delete= A,administrators= M,members= r,remove-password R,restrict";
    let options = process.options(args, spec, Order::Any)?;
    let [name] = options.operands.as_slice() else {
        return process.fail("expected one GROUP", BAD_CALL);
    };
    if options.given.is_empty() {
        return process.unknown(&format!("{name}, which asks for a password,"));
    }
    let accounts = process.world.accounts()?;
    let Some(mut group) = accounts.groups.get(name).cloned() else {
        return process.fail(format_args!("group '{name}' does not exist in /etc/group"), 1);
    };
    let mut said = String::new();
    for given in &options.given {
        let users: Vec<&str> = given.text().split(',').filter(|user| !user.is_empty()).collect();
        if given.name != "d"
            && let Some(unknown) = users.iter().find(|user| !accounts.users.contains_key(**user))
        {
            return process.fail(format_args!("user '{unknown}' does not exist"), BAD_ARGUMENT);
        }
        let users = users.into_iter().map(str::to_owned);
        match given.name {
            "a" => {
                said = format!("Adding user {} to group {name}", given.text());
                group.members.extend(users);
            }
            "d" => {
                said = format!("Removing user {} from group {name}", given.text());
                if !group.members.remove(given.text()) {
                    process.print_line(said);
                    let text = format!("user '{}' is not a member of '{name}'", given.text());
                    return process.fail(text, BAD_ARGUMENT);
                }
            }
            "A" => group.administrators = users.collect(),
            "M" => group.members = users.collect(),
            "r" => group.password = String::new(),
            _ => group.password = "!".to_owned(),
        }
    }
    if !said.is_empty() {
        process.print_line(said);
    }
    process.change_accounts(|accounts| {
        accounts.groups.insert(name.clone(), group);
        Ok(())
    })?;
    Ok(0)
}
