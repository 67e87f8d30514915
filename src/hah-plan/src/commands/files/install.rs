//! install(1): files with a mode and an owner, and directories.

use super::copy::{Destination, destination};
use super::make::make_parents;
use super::mode::parse_mode;
use crate::commands::accounts::{Ownership, owner_spec};
use crate::commands::operands::shell_quoted;
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};
use crate::world::{Errno, Follow};

const SPEC: &str = "b c C,compare d,directory D g,group= m,mode= o,owner= p,preserve-timestamps s,strip \
    t,target-directory= T,no-target-directory v,verbose Z";

/// install(1): `-d -D -m -o -g -p -C -t -T -v`; `-Z` sets nothing, since SELinux is off. Stripping (`-s`) would need the target's tools, backups are not.
pub(super) fn install(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut options = process.options(args, SPEC, Order::Any)?;
    for refused in ["s", "b"] {
        if options.has(refused) {
            return process.unknown(&format!("-{refused}"));
        }
    }
    let text = options.value("m").unwrap_or("0755");
    let Some(change) = parse_mode(text) else {
        let text = process.quote(text);
        process.complain(format_args!("invalid mode {text}"));
        return Ok(1);
    };
    let mut owner = Ownership::default();
    for (option, prefix, noun) in [("o", "", "user"), ("g", ":", "group")] {
        let Some(name) = options.value(option).map(str::to_owned) else { continue };
        match owner_spec(process.world, &format!("{prefix}{name}"))? {
            Ok(found) => {
                owner.user = found.user.or(owner.user);
                owner.group = found.group.or(owner.group);
            }
            Err(_) => {
                let name = process.quote(&name);
                process.complain(format_args!("invalid {noun} {name}"));
                return Ok(1);
            }
        }
    }
    let mut operands = std::mem::take(&mut options.operands);
    let mut status = 0;
    if options.has("d") {
        if operands.is_empty() {
            return process.missing_operand(1);
        }
        for path in &operands {
            let mut made = Vec::new();
            let result = install_directory(process, path, change.apply(0, true, 0), &owner, &mut made);
            if options.has("v") {
                for path in made {
                    process.print_line(format!("install: creating directory {}", shell_quoted(&path)));
                }
            }
            let what = format!("cannot create directory {}", shell_quoted(path));
            if process.check(&what, result)?.is_none() {
                status = 1;
            }
        }
        return Ok(status);
    }
    if options.has("D") {
        let directory = match (options.value("t"), operands.as_slice()) {
            (Some(directory), _) => Some(directory.to_owned()),
            (None, [_, to]) => to.trim_end_matches('/').rsplit_once('/').map(|(parent, _)| parent.to_owned()),
            _ => None,
        };
        if let Some(directory) = directory.filter(|directory| !directory.is_empty()) {
            let result = make_leading(process, &directory);
            let what = format!("cannot create directory {}", shell_quoted(&directory));
            if process.check(&what, result)?.is_none() {
                return Ok(1);
            }
        }
    }
    let Some(to) = destination(process, &options, &mut operands)? else { return Ok(1) };
    for source in &operands {
        let target = to.of(source);
        let job = Job {
            mode: change.apply(0, false, 0),
            owner: &owner,
            keep_time: options.has("p"),
            compare: options.has("C"),
        };
        if process.is_dir(source) {
            process.complain(format_args!("omitting directory {}", shell_quoted(source)));
            status = 1;
            continue;
        }
        if matches!(to, Destination::Onto(_)) && process.is_dir(&target) {
            process.complain(format_args!("cannot overwrite directory {} with non-directory", shell_quoted(&target)));
            return Ok(1);
        }
        let stat = process.stat(source);
        if process.check(&format!("cannot stat {}", shell_quoted(source)), stat)?.is_none() {
            status = 1;
            continue;
        }
        let result = install_file(process, source, &target, &job);
        let what = format!("cannot create regular file {}", shell_quoted(&target));
        match process.check(&what, result)? {
            None => status = 1,
            Some(true) if options.has("v") => {
                process.print_line(format!("{} -> {}", shell_quoted(source), shell_quoted(&target)));
            }
            Some(_) => {}
        }
    }
    Ok(status)
}

/// Leading directories of `-D`: mode 0755 whatever the mask is.
fn make_leading(process: &mut Process<'_, '_>, path: &str) -> Result<(), Errno> {
    let umask = std::mem::replace(&mut process.umask, 0o022);
    let result = make_parents(process, path, 0o755, &mut Vec::new());
    process.umask = umask;
    result
}

fn install_directory(
    process: &mut Process<'_, '_>,
    path: &str,
    mode: u16,
    owner: &Ownership,
    made: &mut Vec<String>,
) -> Result<(), Errno> {
    let umask = std::mem::replace(&mut process.umask, 0o022);
    let result = make_parents(process, path, mode, made);
    process.umask = umask;
    result?;
    process.world.set_owner(&process.cwd, path, Follow::Yes, (owner.user.clone(), owner.group.clone()))?;
    process.world.set_mode(&process.cwd, path, mode)
}

struct Job<'o> {
    mode: u16,
    owner: &'o Ownership,
    keep_time: bool,
    compare: bool,
}

/// Installs one file; whether anything had to be done.
fn install_file(process: &mut Process<'_, '_>, from: &str, to: &str, job: &Job<'_>) -> Result<bool, Errno> {
    let content = process.world.content(&process.cwd, from)?;
    let source = process.stat(from)?;
    let (world, cwd) = (&mut *process.world, &process.cwd);
    if let Ok(old) = world.stat(cwd, to, Follow::No) {
        if old.path == source.path {
            return Err(Errno::Exists);
        }
        let owner = job.owner;
        let user = owner.user.as_ref().is_none_or(|user| *user == old.meta.user);
        let group = owner.group.as_ref().is_none_or(|group| *group == old.meta.group);
        let unchanged = old.is_file() && old.meta.mode == job.mode && user && group;
        if job.compare && unchanged && world.content(cwd, to)?.sha256() == content.sha256() {
            return Ok(false);
        }
        world.unlink(cwd, to)?;
    }
    world.write_content(cwd, to, 0o600, content)?;
    world.set_owner(cwd, to, Follow::Yes, (job.owner.user.clone(), job.owner.group.clone()))?;
    world.set_mode(cwd, to, job.mode)?;
    if job.keep_time {
        world.set_time(cwd, to, Follow::Yes, source.meta.mtime)?;
    }
    Ok(true)
}
