//! `getent`(1): what the name services know, which on an image are the files of the tree.

use hah_format::path::TreePath;

use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[Command::always("getent", getent)];

/// The status for a key that nobody has.
const NOT_FOUND: u8 = 2;

/// getent(1). Host names are looked up in `/etc/hosts` only: a build asks no network.
fn getent(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut words: Vec<&str> = Vec::new();
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "-i" | "--no-idn" | "-A" | "--no-addrconfig" | "-sfiles" | "--service=files" => {}
            // Another service than nsswitch.conf's; `files` is what we read anyhow.
            "-s" | "--service" => match args.next() {
                Some("files") => {}
                other => return process.unknown(&format!("-s {}", other.unwrap_or_default())),
            },
            "--" => words.extend(args.by_ref()),
            _ if arg.starts_with('-') => return process.unknown(arg),
            _ => words.push(arg),
        }
    }
    let Some((database, keys)) = words.split_first() else {
        process.complain("wrong number of arguments");
        return Ok(1);
    };
    let entries = match *database {
        "passwd" | "group" | "shadow" | "gshadow" => accounts(process, database)?,
        "initgroups" => return initgroups(process, keys),
        "services" => services(process)?,
        "protocols" | "rpc" | "networks" => numbered(process, database)?,
        "hosts" | "ahosts" | "ahostsv4" | "ahostsv6" => hosts(process)?,
        "ethers" | "netgroup" | "aliases" => Vec::new(),
        unknown => {
            process.complain(format_args!("Unknown database: {unknown}"));
            return Ok(1);
        }
    };
    if matches!(*database, "ahosts" | "ahostsv4" | "ahostsv6") {
        return ahosts(process, &entries, database, keys);
    }
    if keys.is_empty() {
        for entry in &entries {
            process.print_line(&entry.line);
        }
        return Ok(0);
    }
    let mut status = 0;
    for key in keys {
        match entries.iter().find(|entry| entry.keys.iter().any(|known| known == key)) {
            Some(entry) => process.print_line(&entry.line),
            None => status = NOT_FOUND,
        }
    }
    Ok(status)
}

/// One entry of a database.
struct Entry {
    /// As getent prints it.
    line: String,
    /// What finds it.
    keys: Vec<String>,
}

fn accounts(process: &mut Process<'_, '_>, database: &str) -> Result<Vec<Entry>, Refusal> {
    let accounts = process.world.accounts()?;
    let mut entries: Vec<(u32, Entry)> = match database {
        "passwd" => accounts
            .users
            .iter()
            .map(|(name, user)| (user.uid, user.passwd_line(name), vec![name.clone(), user.uid.to_string()]))
            .map(|(id, line, keys)| (id, Entry { line, keys }))
            .collect(),
        "shadow" => accounts
            .users
            .iter()
            .map(|(name, user)| (user.uid, Entry { line: user.shadow_line(name), keys: vec![name.clone()] }))
            .collect(),
        "group" => accounts
            .groups
            .iter()
            .map(|(name, group)| (group.gid, group.group_line(name), vec![name.clone(), group.gid.to_string()]))
            .map(|(id, line, keys)| (id, Entry { line, keys }))
            .collect(),
        _ => accounts
            .groups
            .iter()
            .map(|(name, group)| (group.gid, Entry { line: group.gshadow_line(name), keys: vec![name.clone()] }))
            .collect(),
    };
    entries.sort_by_key(|(id, _)| *id);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// `initgroups USER`: the ids of the user's supplementary groups.
fn initgroups(process: &mut Process<'_, '_>, keys: &[&str]) -> Result<u8, Refusal> {
    if keys.is_empty() {
        process.complain("Enumeration not supported on initgroups");
        return Ok(3);
    }
    for key in keys {
        let mut line = format!("{key:<21}");
        for group in process.world.accounts()?.groups.values().filter(|group| group.members.contains(*key)) {
            line.push_str(&format!(" {}", group.gid));
        }
        process.print_line(line);
    }
    Ok(0)
}

/// The lines of a file of `/etc` without comments, as words.
fn lines(process: &mut Process<'_, '_>, file: &str) -> Result<Vec<Vec<String>>, Refusal> {
    let bytes = match process.world.read(&TreePath::root(), file) {
        Ok(bytes) => bytes,
        Err(error) if error.is_final() => return Err(error.into()),
        Err(_) => Vec::new(),
    };
    Ok(String::from_utf8_lossy(&bytes)
        .lines()
        .map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|words| words.len() > 1)
        .collect())
}

/// services(5): `http`, `http/tcp`, `80`, `80/tcp`.
fn services(process: &mut Process<'_, '_>) -> Result<Vec<Entry>, Refusal> {
    Ok(lines(process, "/etc/services")?
        .into_iter()
        .filter_map(|words| {
            let [name, port, aliases @ ..] = words.as_slice() else { return None };
            let (number, protocol) = port.split_once('/')?;
            let names = std::iter::once(name).chain(aliases).map(String::as_str).chain([number]);
            let keys = names.flat_map(|key| [key.to_owned(), format!("{key}/{protocol}")]).collect();
            Some(Entry { line: with_aliases(&format!("{name:<21} {port}"), aliases), keys })
        })
        .collect())
}

/// protocols(5), rpc(5), networks(5): a name, a number, aliases.
fn numbered(process: &mut Process<'_, '_>, database: &str) -> Result<Vec<Entry>, Refusal> {
    let width = if database == "rpc" { 15 } else { 21 };
    Ok(lines(process, &format!("/etc/{database}"))?
        .into_iter()
        .filter_map(|words| {
            let [name, number, aliases @ ..] = words.as_slice() else { return None };
            let line = with_aliases(&format!("{name:<width$} {number}"), aliases);
            Some(Entry { line, keys: words })
        })
        .collect())
}

fn with_aliases(start: &str, aliases: &[String]) -> String {
    std::iter::once(start).chain(aliases.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// hosts(5).
fn hosts(process: &mut Process<'_, '_>) -> Result<Vec<Entry>, Refusal> {
    Ok(lines(process, "/etc/hosts")?
        .into_iter()
        .filter_map(|words| {
            let [address, names @ ..] = words.as_slice() else { return None };
            Some(Entry { line: format!("{address:<15} {}", names.join(" ")), keys: words })
        })
        .collect())
}

/// `ahosts NAME`: each address three times, by kind of socket.
fn ahosts(process: &mut Process<'_, '_>, entries: &[Entry], database: &str, keys: &[&str]) -> Result<u8, Refusal> {
    let mut status = 0;
    for key in keys {
        let mut found = false;
        for entry in entries.iter().filter(|entry| entry.keys.iter().any(|known| known == key)) {
            let Some(address) = entry.keys.first() else { continue };
            let six = address.contains(':');
            if (database == "ahostsv4" && six) || (database == "ahostsv6" && !six) {
                continue;
            }
            found = true;
            for (kind, name) in [("STREAM", *key), ("DGRAM", ""), ("RAW", "")] {
                process.print_line(format!("{address:<15} {kind:<6} {name}"));
            }
        }
        if !found {
            status = NOT_FOUND;
        }
    }
    Ok(status)
}
