//! Init scripts: update-rc.d(8) without insserv, invoke-rc.d(8), service(8).
//!
//! The links in `/etc/rc?.d` are made although systemd starts no native service by them: systemd-sysv-generator(8) reads
//! them for scripts that have no unit, and so do scripts that ask whether a service is enabled.
//!
//! ```text
//! /etc/rc2.d/S01NAME → ../init.d/NAME      Default-Start of the script's LSB header
//! /etc/rc0.d/K01NAME → ../init.d/NAME      Default-Stop
//! ```

use hah_format::path::TreePath;

use super::systemctl;
use crate::commands::{Process, Refusal};
use crate::effects::Manager;
use crate::world::{Errno, Follow};

/// Directories of run levels, in the order of a glob.
const LEVELS: [char; 8] = ['0', '1', '2', '3', '4', '5', '6', 'S'];

/// Why update-rc.d ends.
enum Stop {
    /// It says this and ends with status 1.
    Failed(String),
    /// We cannot go on.
    Refused(Refusal),
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        if error.is_final() { Self::Refused(error.into()) } else { Self::Failed(error.to_string()) }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

const USAGE: &str = "usage: update-rc.d [-f] <basename> remove
       update-rc.d [-f] <basename> defaults
       update-rc.d [-f] <basename> defaults-disabled
       update-rc.d <basename> disable|enable [S|2|3|4|5]
\t\t-f: force

The disable|enable API is not stable and might change in the future.
";

/// update-rc.d(8).
pub(super) fn update_rc_d(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let mut words = arguments.iter().map(String::as_str).peekable();
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        if option != "-f" {
            return Ok(usage(process, (option != "-h" && option != "--help").then_some("unknown option")));
        }
    }
    let words: Vec<&str> = words.collect();
    let [name, action, levels @ ..] = &words[..] else { return Ok(usage(process, Some("not enough arguments"))) };
    if is_there(process, "/usr/lib/insserv/insserv") && is_there(process, "/etc/insserv.conf") {
        return process.unknown("with insserv");
    }
    let skips_native = process.env.get("_SKIP_SYSTEMD_NATIVE").is_some_and(|value| value == "1");
    let done = match *action {
        "remove" => remove(process, name),
        "defaults" | "start" | "stop" => make(process, name, 'S'),
        "defaults-disabled" => make(process, name, 'K'),
        "enable" | "disable" => turn(process, name, action, levels).and_then(|()| match skips_native {
            true => Ok(()),
            false => Ok(systemctl::quietly(process, action, name).map(drop)?),
        }),
        _ => return Ok(usage(process, None)),
    };
    ended(process, done)
}

/// What systemd-sysv-install of Debian does: `update-rc.d NAME defaults`, then the verb, without systemctl.
pub(super) fn toggle(process: &mut Process<'_, '_>, name: &str, verb: &str) -> Result<u8, Refusal> {
    let done = make(process, name, 'S').and_then(|()| turn(process, name, verb, &[]));
    ended(process, done)
}

/// Whether a script of this name stands in `/etc/init.d` and no unit does.
pub(super) fn has_only_script(process: &Process<'_, '_>, manager: Manager, unit: &str) -> Result<bool, Refusal> {
    Ok(has_script(process, manager, unit) && !process.has_unit(manager, unit)? && !process.is_masked(manager, unit))
}

/// Whether systemctl would hand `unit` to systemd-sysv-install as well.
pub(super) fn has_script(process: &Process<'_, '_>, manager: Manager, unit: &str) -> bool {
    let Some(name) = unit.strip_suffix(".service") else { return false };
    manager == Manager::System
        && !process.env.contains_key("SYSTEMCTL_SKIP_SYSV")
        && is_there(process, &format!("/etc/init.d/{name}"))
}

/// Whether an init script is started at boot: `systemd-sysv-install is-enabled`.
pub(super) fn is_enabled(process: &Process<'_, '_>, name: &str) -> Result<bool, Refusal> {
    let links = links(process, name).map_err(refused)?;
    Ok(links.iter().any(|link| link.starts_with("/etc/rcS.d/S") || link.starts_with("/etc/rc5.d/S")))
}

fn refused(stop: Stop) -> Refusal {
    match stop {
        Stop::Failed(what) => Refusal::new(what),
        Stop::Refused(refusal) => refusal,
    }
}

fn ended(process: &mut Process<'_, '_>, done: Result<(), Stop>) -> Result<u8, Refusal> {
    match done {
        Ok(()) => Ok(0),
        Err(Stop::Failed(what)) => {
            process.stderr.extend_from_slice(format!("update-rc.d: error: {what}\n").as_bytes());
            Ok(1)
        }
        Err(Stop::Refused(refusal)) => Err(refusal),
    }
}

fn usage(process: &mut Process<'_, '_>, what: Option<&str>) -> u8 {
    if let Some(what) = what {
        process.stderr.extend_from_slice(format!("update-rc.d: error: {what}\n").as_bytes());
    }
    process.stderr.extend_from_slice(USAGE.as_bytes());
    1
}

fn is_there(process: &Process<'_, '_>, path: &str) -> bool {
    process.world.exists(&TreePath::root(), path)
}

/// The links of a script, in order: `/etc/rc?.d/[SK][0-9][0-9]NAME`.
fn links(process: &Process<'_, '_>, name: &str) -> Result<Vec<String>, Stop> {
    let mut found = Vec::new();
    for level in LEVELS {
        let directory = format!("/etc/rc{level}.d");
        let entries = match process.world.list(&TreePath::root(), &directory) {
            Ok(entries) => entries,
            Err(Errno::NotFound | Errno::NotADirectory) => continue,
            Err(error) => return Err(error.into()),
        };
        found
            .extend(entries.iter().filter(|entry| is_link_of(entry, name)).map(|entry| format!("{directory}/{entry}")));
    }
    Ok(found)
}

fn is_link_of(entry: &str, name: &str) -> bool {
    let Some(mark) = entry.strip_suffix(name) else { return false };
    let mark = mark.as_bytes();
    mark.len() == 3 && b"SK".contains(&mark[0]) && mark[1].is_ascii_digit() && mark[2].is_ascii_digit()
}

fn remove(process: &mut Process<'_, '_>, name: &str) -> Result<(), Stop> {
    for link in links(process, name)? {
        process.world.unlink(&TreePath::root(), &link)?;
    }
    Ok(())
}

/// Makes the links that the script's header asks for, those of Default-Start with the letter `start`.
fn make(process: &mut Process<'_, '_>, name: &str, start: char) -> Result<(), Stop> {
    if !links(process, name)?.is_empty() {
        return Ok(());
    }
    let (starts, stops) = levels_of(process, &format!("/etc/init.d/{name}"))?;
    let all = starts.into_iter().map(|level| (level, start)).chain(stops.into_iter().map(|level| (level, 'K')));
    for (level, letter) in all {
        let root = TreePath::root();
        let directory = format!("/etc/rc{level}.d");
        process.world.make_dirs(&root, &directory, 0o755)?;
        match process.world.make_symlink(&root, &format!("{directory}/{letter}01{name}"), &format!("../init.d/{name}"))
        {
            Ok(()) | Err(Errno::Exists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Default-Start and Default-Stop of a script's LSB header.
fn levels_of(process: &mut Process<'_, '_>, script: &str) -> Result<(Vec<String>, Vec<String>), Stop> {
    let text = match process.world.read(&TreePath::root(), script) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.is_final() => return Err(error.into()),
        Err(_) => return Err(Stop::Failed(format!("unable to read {script}"))),
    };
    let (mut starts, mut stops, mut is_inside) = (Vec::new(), Vec::new(), false);
    for line in text.lines() {
        match line.trim_end() {
            "### BEGIN INIT INFO" => is_inside = true,
            "### END INIT INFO" => break,
            line if is_inside => {
                let list = |rest: &str| rest.split_whitespace().map(str::to_owned).collect();
                if let Some(rest) = line.strip_prefix("# Default-Start:") {
                    starts = list(rest);
                } else if let Some(rest) = line.strip_prefix("# Default-Stop:") {
                    stops = list(rest);
                }
            }
            _ => {}
        }
    }
    Ok((starts, stops))
}

/// Turns the script's links on or off, in its Default-Start levels or those that are named.
fn turn(process: &mut Process<'_, '_>, name: &str, verb: &str, levels: &[&str]) -> Result<(), Stop> {
    let headers = [format!("/etc/insserv/overrides/{name}"), format!("/etc/init.d/{name}")];
    let header = headers.iter().find(|path| {
        let stat = process.world.stat(&TreePath::root(), path, Follow::Yes);
        stat.is_ok_and(|stat| stat.is_file() && stat.size > 0)
    });
    let Some(header) = header else { return Err(Stop::Failed(format!("cannot find a LSB script for {name}"))) };
    let mut wanted: Vec<String> = levels.iter().map(|level| (*level).to_owned()).collect();
    if wanted.is_empty() {
        wanted = levels_of(process, header)?.0;
        if wanted.is_empty() {
            return Err(Stop::Failed(format!("{name} Default-Start contains no runlevels, aborting.")));
        }
    }
    let all = links(process, name)?;
    let mut chosen: Vec<&String> = Vec::new();
    for level in &wanted {
        if !["S", "2", "3", "4", "5"].contains(&level.as_str()) {
            let line = format!("update-rc.d: warning: {verb} action will have no effect on runlevel {level}\n");
            process.stderr.extend_from_slice(line.as_bytes());
            continue;
        }
        chosen.extend(all.iter().filter(|link| link.starts_with(&format!("/etc/rc{level}.d/"))));
    }
    if chosen.is_empty() {
        return Err(Stop::Failed("no runlevel symlinks to modify, aborting!".to_owned()));
    }
    let (old, new) = if verb == "disable" { ("/S", "/K") } else { ("/K", "/S") };
    for link in chosen {
        if let Some((directory, rest)) = link.rsplit_once(old).filter(|(_, rest)| !rest.contains('/')) {
            process.world.rename(&TreePath::root(), link, &format!("{directory}{new}{rest}"))?;
        }
    }
    Ok(())
}

/// invoke-rc.d(8): nothing is started. A script that is not there is complained of, as on a node.
pub(super) fn invoke_rc_d(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let mut words = Vec::new();
    for word in arguments {
        match word.as_str() {
            "--quiet" | "--force" | "--try-anyway" | "--disclose-deny" | "--no-fallback" | "--skip-systemd-native" => {}
            // Whatever is asked for would be allowed.
            "--query" => return Ok(104),
            other if other.starts_with('-') => return process.unknown(other),
            other => words.push(other),
        }
    }
    let [name, _, ..] = &words[..] else {
        process.stderr.extend_from_slice(b"invoke-rc.d: syntax error: missing required parameter\n");
        return Ok(103);
    };
    let unit = format!("{name}.service");
    if !is_there(process, &format!("/etc/init.d/{name}"))
        && !process.has_unit(Manager::System, &unit)?
        && !process.is_masked(Manager::System, &unit)
    {
        let line = format!("invoke-rc.d: unknown initscript, /etc/init.d/{name} not found.\n");
        process.stderr.extend_from_slice(line.as_bytes());
        return Ok(100);
    }
    Ok(0)
}

/// service(8): nothing is started, and nothing runs.
pub(super) fn service(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| *word != "--no-pager").collect();
    match &words[..] {
        ["--status-all"] => Ok(0),
        [option, ..] if option.starts_with('-') => process.unknown(option),
        [name, action, ..] => {
            let unit = format!("{name}.service");
            if !is_there(process, &format!("/etc/init.d/{name}")) && !process.has_unit(Manager::System, &unit)? {
                process.stderr.extend_from_slice(format!("{name}: unrecognized service\n").as_bytes());
                return Ok(1);
            }
            // LSB: 3 is "program is not running".
            Ok(if *action == "status" { 3 } else { 0 })
        }
        _ => {
            process.stderr.extend_from_slice(
                b"Usage: service < option > | --status-all | [ service_name [ command | --full-restart ] ]\n",
            );
            Ok(1)
        }
    }
}
