//! `passwd`, `chpasswd`, `chage`, `chsh`, `chfn`, and the tools that convert and check the files.
//!
//! A password is never made here: its hash would need a random salt, and it would be in every copy of the image.

use super::is_field;
use super::useradd::day_of;
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};

const BAD_CALL: u8 = 2;
const BAD_ARGUMENT: u8 = 6;
/// What passwd(1) and chage(1) say of a user that is not there.
const NO_USER: u8 = 1;

/// passwd(1) without a question: `-l`, `-u`, `-d`, `-e`, `-S` and the ages.
pub(super) fn passwd(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "a,all d,delete e,expire i,inactive= k,keep-tokens l,lock n,mindays= q,quiet S,status u,unlock \
        w,warndays= x,maxdays=";
    let options = process.options(args, spec, Order::Any)?;
    if options.has("a") || options.has("k") {
        return process.unknown("-a or -k");
    }
    let name = match options.operands.as_slice() {
        [name] => name.clone(),
        [] => "root".to_owned(),
        _ => return process.fail("expected one LOGIN", BAD_CALL),
    };
    if !options.given.iter().any(|given| given.name != "q") {
        return Err(Refusal::new(format!("`passwd {name}` asks for a password")));
    }
    let Some(mut user) = process.world.accounts()?.users.get(&name).cloned() else {
        return process.fail(format_args!("user '{name}' does not exist"), NO_USER);
    };
    for given in &options.given {
        let days = || given.text().parse::<i64>().ok().filter(|days| *days >= -1);
        let days_or_none = |days: i64| (days >= 0).then_some(days);
        match given.name {
            "l" if !user.password.starts_with('!') => user.password.insert(0, '!'),
            "u" => match user.password.strip_prefix('!') {
                Some("") => {
                    return process.fail(
                        "unlocking the password would result in a passwordless account.\nYou should set a password \
                         with usermod -p to unlock the password of this account.",
                        3,
                    );
                }
                Some(rest) => user.password = rest.to_owned(),
                None => {}
            },
            "d" => user.password.clear(),
            "e" => user.aging.changed = Some(0),
            "i" | "n" | "w" | "x" => {
                let Some(days) = days() else {
                    return process.fail(format_args!("invalid numeric argument '{}'", given.text()), BAD_ARGUMENT);
                };
                let field = match given.name {
                    "i" => &mut user.aging.inactive,
                    "n" => &mut user.aging.min,
                    "w" => &mut user.aging.warn,
                    _ => &mut user.aging.max,
                };
                *field = days_or_none(days);
            }
            _ => {}
        }
    }
    if options.has("S") {
        let state = match user.password.as_str() {
            "" => "NP",
            text if text.starts_with(['!', '*']) => "L",
            _ => "P",
        };
        let day = |day: Option<i64>| day.unwrap_or(-1);
        let aging = user.aging;
        let changed = aging.changed.map_or_else(|| "never".to_owned(), iso_day);
        let ages = [day(aging.min), day(aging.max), day(aging.warn), day(aging.inactive)];
        let ages: Vec<String> = ages.iter().map(i64::to_string).collect();
        process.print_line(format!("{name} {state} {changed} {}", ages.join(" ")));
    }
    process.change_accounts(|accounts| {
        accounts.users.insert(name, user);
        Ok(())
    })?;
    Ok(0)
}

/// The day as `YYYY-MM-DD`.
fn iso_day(day: i64) -> String {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    format!("{:04}-{month:02}-{day:02}", year + era * 400)
}

/// chpasswd(8) with `-e`: hashes that are hashes already.
pub(super) fn chpasswd(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "e,encrypted", Order::Any)?;
    if !options.has("e") || !options.operands.is_empty() {
        return Err(Refusal::new("`chpasswd` makes a password, which would be the same in every copy of the image"));
    }
    let text = String::from_utf8_lossy(&process.take_stdin()).into_owned();
    let mut hashes: Vec<(String, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((name, hash)) = line.split_once(':') else {
            return process.fail(format_args!("line {}: missing new password", number + 1), 1);
        };
        if !process.world.accounts()?.users.contains_key(name) {
            return process.fail(format_args!("line {}: user '{name}' does not exist", number + 1), 1);
        }
        if !is_field(hash) {
            return process.fail(format_args!("line {}: invalid password", number + 1), 1);
        }
        hashes.push((name.to_owned(), hash.to_owned()));
    }
    process.change_accounts(|accounts| {
        let day = accounts.day;
        for (name, hash) in hashes {
            if let Some(user) = accounts.users.get_mut(&name) {
                user.password = hash;
                user.aging.changed = Some(day);
            }
        }
        Ok(())
    })?;
    Ok(0)
}

/// chage(1).
pub(super) fn chage(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "d,lastday= E,expiredate= I,inactive= m,mindays= M,maxdays= W,warndays=";
    let options = process.options(args, spec, Order::Any)?;
    let [name] = options.operands.as_slice() else {
        return process.fail("expected one LOGIN", BAD_CALL);
    };
    if options.given.is_empty() {
        return process.unknown(&format!("{name}, which asks for every field,"));
    }
    let Some(mut user) = process.world.accounts()?.users.get(name).cloned() else {
        return process.fail(format_args!("user '{name}' does not exist in /etc/passwd"), NO_USER);
    };
    for given in &options.given {
        let value = match given.text() {
            "-1" => Some(None),
            text if matches!(given.name, "d" | "E") => day_of(text).map(Some),
            text => text.parse::<i64>().ok().filter(|days| *days >= 0).map(Some),
        };
        let Some(value) = value else {
            return process.fail(format_args!("invalid date or number '{}'", given.text()), BAD_CALL);
        };
        let field = match given.name {
            "d" => &mut user.aging.changed,
            "E" => &mut user.aging.expire,
            "I" => &mut user.aging.inactive,
            "m" => &mut user.aging.min,
            "M" => &mut user.aging.max,
            _ => &mut user.aging.warn,
        };
        *field = value;
    }
    process.change_accounts(|accounts| {
        accounts.users.insert(name.clone(), user);
        Ok(())
    })?;
    Ok(0)
}

/// chsh(1) with `-s`.
pub(super) fn chsh(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "s,shell=", Order::Any)?;
    let (Some(shell), [name]) = (options.value("s"), options.operands.as_slice()) else {
        return process.unknown("without a shell or a user");
    };
    if !process.world.accounts()?.users.contains_key(name) {
        return process.fail(format_args!("user '{name}' does not exist"), 1);
    }
    if !is_field(shell) {
        return process.fail(format_args!("Invalid entry: {shell}"), 1);
    }
    process.change_accounts(|accounts| {
        if let Some(user) = accounts.users.get_mut(name) {
            user.shell = shell.to_owned();
        }
        Ok(())
    })?;
    Ok(0)
}

/// chfn(1): full name, room, work and home phone are the first four parts of the comment field, other ones the fifth.
pub(super) fn chfn(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "f,full-name= h,home-phone= o,other= r,room= w,work-phone=";
    let options = process.options(args, spec, Order::Any)?;
    let [name] = options.operands.as_slice() else { return process.unknown("without a user") };
    if options.given.is_empty() {
        return process.unknown(&format!("{name}, which asks for every field,"));
    }
    let Some(mut user) = process.world.accounts()?.users.get(name).cloned() else {
        return process.fail(format_args!("user '{name}' does not exist"), 1);
    };
    let mut parts: Vec<String> = user.gecos.splitn(5, ',').map(str::to_owned).collect();
    parts.resize(5, String::new());
    for given in &options.given {
        let is_list = given.name == "o";
        if !is_field(given.text()) || (!is_list && given.text().contains([',', '='])) {
            return process.fail(format_args!("invalid field: '{}'", given.text()), 1);
        }
        let index = match given.name {
            "f" => 0,
            "r" => 1,
            "w" => 2,
            "h" => 3,
            _ => 4,
        };
        if let Some(part) = parts.get_mut(index) {
            *part = given.text().to_owned();
        }
    }
    user.gecos = parts.join(",").trim_end_matches(',').to_owned();
    process.change_accounts(|accounts| {
        accounts.users.insert(name.clone(), user);
        Ok(())
    })?;
    Ok(0)
}

/// newusers(8) takes passwords in the clear.
pub(super) fn newusers(_: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    Err(Refusal::new("`newusers` makes passwords, which would be the same in every copy of the image"))
}

/// vipw(8), vigr(8) start an editor.
pub(super) fn editor(process: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    process.unknown("(an editor, which asks a person)")
}

/// What is always so on an image: files are whole, shadow is in use, base-passwd's accounts are there.
pub(super) fn nothing(_: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    Ok(0)
}

/// shadowconfig(8): `on` is how it is.
pub(super) fn shadowconfig(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    match args.first().map(String::as_str) {
        Some("on") => Ok(0),
        other => process.unknown(other.unwrap_or_default()),
    }
}

/// pwunconv(8), grpunconv(8) would put password hashes where everybody reads them.
pub(super) fn unconvert(process: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    process.unknown("(passwords outside of the shadow file)")
}
