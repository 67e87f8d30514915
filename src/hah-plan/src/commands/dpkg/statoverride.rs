//! `dpkg-statoverride`: owner and mode that a path keeps, whatever a package ships.

use hah_format::path::TreePath;
use hah_format::tree::Owner;

use super::TROUBLE;
use super::query::matches;
use crate::commands::{Process, Refusal};
use crate::effects::{Ownership, Sourced, Statoverride};
use crate::system::ScriptKind;
use crate::world::Follow;

/// dpkg-statoverride(1).
pub(super) fn dpkg_statoverride(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let (mut action, mut update, mut quiet, mut force_add, mut force_remove) = (None, false, false, false, false);
    let mut operands: Vec<String> = Vec::new();
    let mut left = args.iter();
    while let Some(arg) = left.next() {
        match arg.as_str() {
            "--add" | "--remove" | "--list" => action = Some(arg.trim_start_matches('-').to_owned()),
            "--update" => update = true,
            "--quiet" => quiet = true,
            "--force" | "--force-all" => (force_add, force_remove) = (true, true),
            "--force-statoverride-add" => force_add = true,
            "--force-statoverride-remove" => force_remove = true,
            _ if arg.starts_with("--force-") || arg.starts_with("--no-force-") => {}
            "--admindir" | "--instdir" | "--root" => {
                left.next();
                return process.unknown(arg);
            }
            "--" => operands.extend(left.by_ref().cloned()),
            _ if arg.starts_with('-') => return process.unknown(arg),
            _ => operands.push(arg.clone()),
        }
    }
    match (action.as_deref(), operands.as_slice()) {
        (Some("list"), patterns) => list(process, patterns),
        (Some("add"), [user, group, mode, path]) => {
            let forced = Forced { add: force_add, quiet };
            add(process, [user, group, mode, path], update, forced)
        }
        (Some("add"), _) => process.error("--add needs four arguments"),
        (Some("remove"), [path]) => {
            let path = normal(path);
            let before = process.world.effects.statoverrides.len();
            process.world.effects.statoverrides.retain(|entry| entry.what.path.to_string() != path);
            if process.world.effects.statoverrides.len() != before {
                return Ok(0);
            }
            if !quiet {
                process.complain("warning: no override present");
            }
            Ok(if force_remove { 0 } else { TROUBLE })
        }
        (Some("remove"), _) => process.error("--remove needs a single argument"),
        _ => process.error("need an action option"),
    }
}

struct Forced {
    add: bool,
    quiet: bool,
}

/// Without the slashes at the end.
fn normal(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

fn list(process: &mut Process<'_, '_>, patterns: &[String]) -> Result<u8, Refusal> {
    let patterns: Vec<String> = patterns.iter().map(|pattern| normal(pattern)).collect();
    let lines: Vec<String> = process
        .world
        .effects
        .statoverrides
        .iter()
        .map(|entry| &entry.what)
        .filter(|entry| {
            let path = entry.path.to_string();
            patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern.as_bytes(), path.as_bytes()))
        })
        .map(|entry| format!("{} {} {:o} {}", entry.owner.user, entry.owner.group, entry.mode, entry.path))
        .collect();
    let none = lines.is_empty();
    for line in lines {
        process.print_line(line);
    }
    Ok(u8::from(none))
}

fn add(
    process: &mut Process<'_, '_>,
    [user, group, mode, path]: [&String; 4],
    update: bool,
    forced: Forced,
) -> Result<u8, Refusal> {
    let path = normal(path);
    let Ok(at) = TreePath::parse(&path) else {
        return process.error(format_args!("path '{path}' is not a path"));
    };
    let Some(mode) = u16::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777) else {
        return process.error(format_args!("invalid statoverride mode {mode}"));
    };
    let accounts = process.world.accounts()?;
    let numbered = |text: &str| text.strip_prefix('#').map(str::parse::<u32>);
    let user = match numbered(user) {
        Some(Ok(id)) => Owner::Id(id),
        Some(Err(_)) => return process.error(format_args!("invalid statoverride uid {user}")),
        None if accounts.users.contains_key(user) => Owner::parse(user),
        None => return process.error(format_args!("user '{user}' does not exist")),
    };
    let group = match numbered(group) {
        Some(Ok(id)) => Owner::Id(id),
        Some(Err(_)) => return process.error(format_args!("invalid statoverride gid {group}")),
        None if accounts.groups.contains_key(group) => Owner::parse(group),
        None => return process.error(format_args!("group '{group}' does not exist")),
    };
    let known = process.world.effects.statoverrides.iter().position(|entry| entry.what.path == at);
    if let Some(index) = known {
        if !forced.add {
            return process.error(format_args!("an override for '{path}' already exists; aborting"));
        }
        if !forced.quiet {
            let text =
                format!("warning: an override for '{path}' already exists, but --force specified so will be ignored");
            process.complain(text);
        }
        process.world.effects.statoverrides.remove(index);
    }
    let owner = Ownership { user, group };
    let Some(package) = process.running_package() else {
        return Err(Refusal::new("an override outside of a maintainer script"));
    };
    let what = Statoverride { path: at, mode, owner: owner.clone() };
    process.world.effects.statoverrides.push(Sourced { what, package });
    // What a preinst registers is in force when the package's files are unpacked.
    let unpacked_later = process.world.author.as_ref().is_some_and(|author| author.script == ScriptKind::Preinst);
    if update || unpacked_later {
        let top = TreePath::root();
        if process.world.stat(&top, &path, Follow::Yes).is_err() {
            if update && !forced.quiet {
                process.complain(format_args!("warning: --update given but {path} does not exist"));
            }
            return Ok(0);
        }
        let owned = process.world.set_owner(&top, &path, Follow::Yes, (Some(owner.user), Some(owner.group)));
        process.check(&path, owned)?;
        let moded = process.world.set_mode(&top, &path, mode);
        process.check(&path, moded)?;
    }
    Ok(0)
}
