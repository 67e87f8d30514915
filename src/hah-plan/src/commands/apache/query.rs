//! a2query(1): what is enabled, and who did it.

use hah_format::path::TreePath;

use super::{CONF, CONFIG, MODULE, Object, SITE, STATE};
use crate::commands::{Process, Refusal};
use crate::world::Errno;

/// Statuses of a2query.
const NOT_FOUND: u8 = 1;
const OFF_BY_ADMIN: u8 = 32;
const OFF_BY_MAINTENANCE: u8 = 33;

/// a2query(1) for what is enabled; versions are the server's to tell.
pub(super) fn a2query(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (mut is_quiet, mut asked) = (false, Vec::new());
    let mut words = arguments.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        match word {
            "-q" => is_quiet = true,
            "-m" | "-s" | "-c" => {
                let object = match word {
                    "-m" => MODULE,
                    "-s" => SITE,
                    _ => CONFIG,
                };
                asked.push((object, words.next().unwrap_or_default().to_owned()));
            }
            "-M" => asked.push((Object { noun: "mpm", ..MODULE }, String::new())),
            other => return process.unknown(other),
        }
    }
    let names = |process: &Process<'_, '_>, object: Object| -> Result<Option<Vec<String>>, Refusal> {
        match process.world.list(&TreePath::root(), &format!("{CONF}/{}-enabled", object.dir)) {
            Ok(names) => {
                Ok(Some(names.iter().filter_map(|name| name.strip_suffix(object.suffix)).map(str::to_owned).collect()))
            }
            Err(error) if error.is_final() => Err(error.into()),
            Err(_) => Ok(None),
        }
    };
    let fail = |process: &mut Process<'_, '_>, line: String, status: u8| {
        if !is_quiet {
            process.stderr.extend_from_slice(format!("{line}\n").as_bytes());
        }
        Ok(status)
    };
    let Some(modules) = names(process, MODULE)? else {
        return fail(process, format!("{CONF}/mods-enabled: {}", Errno::NotFound), 1);
    };
    let mpms: Vec<&str> = modules
        .iter()
        .filter_map(|name| name.strip_prefix("mpm_").filter(|mpm| ["event", "worker", "prefork"].contains(mpm)))
        .collect();
    if mpms.len() > 1 {
        let line = "There is more than one MPM loaded. Do not proceed due to undefined results";
        return fail(process, line.to_owned(), 1);
    }
    for (object, pattern) in asked {
        if object.noun == "mpm" {
            if !is_quiet {
                process.print_line(mpms.first().copied().unwrap_or("invalid"));
            }
            continue;
        }
        let pattern = pattern.strip_prefix("mod").unwrap_or(&pattern).replacen(object.suffix, "", 1);
        let Some(mut found) = names(process, object)? else {
            return fail(process, format!("{CONF}/{}-enabled: {}", object.dir, Errno::NotFound), 1);
        };
        found.retain(|name| pattern.is_empty() || *name == pattern);
        let by = |process: &Process<'_, '_>, state: &str, name: &str| {
            ["maint", "admin"].into_iter().find(|who| {
                process.world.exists(&TreePath::root(), &format!("{STATE}/{}/{state}_by_{who}/{name}", object.noun))
            })
        };
        let spelled = |who: Option<&str>| match who {
            Some("maint") => "maintainer script",
            Some(_) => "site administrator",
            None => "unknown",
        };
        for name in &found {
            let line = format!("{name} (enabled by {})", spelled(by(process, "enabled", name)));
            if !is_quiet {
                process.print_line(line);
            }
        }
        if found.is_empty() {
            let who = by(process, "disabled", &pattern);
            let status = match who {
                Some("maint") => OFF_BY_MAINTENANCE,
                Some(_) => OFF_BY_ADMIN,
                None => NOT_FOUND,
            };
            let mut line = format!("No {} matches {pattern}", object.noun);
            if who.is_some() {
                line.push_str(&format!(" (disabled by {})", spelled(who)));
            }
            return fail(process, line, status);
        }
    }
    Ok(0)
}
