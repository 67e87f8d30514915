//! chmod(1), chown(1), chgrp(1).

use hah_format::tree::Owner;

use super::mode::{ModeChange, parse_mode};
use crate::commands::accounts::{self, Account, Ownership, owner_spec};
use crate::commands::operands::{in_directory, shell_quoted};
use crate::commands::options::{Options, Order};
use crate::commands::{Process, Refusal};
use crate::world::{Follow, Stat};

/// chmod(1): octal and symbolic modes, `-R -f -c -v --reference`.
pub(super) fn chmod(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    // A mode may begin with `-`: `chmod -x file`.
    let mut ended = false;
    let is_mode = |arg: &String| {
        arg.len() > 1
            && arg.starts_with('-')
            && !arg.starts_with("--")
            && arg[1..].chars().all(|letter| "rwxXstugoa,=+-".contains(letter))
    };
    let (modes, rest): (Vec<String>, Vec<String>) = args.iter().cloned().partition(|arg| {
        ended |= arg == "--";
        !ended && is_mode(arg)
    });
    let spec = "R,recursive f,silent ,quiet c,changes v,verbose ,reference= ,preserve-root ,no-preserve-root";
    let mut options = process.options(&rest, spec, Order::Any)?;
    let change = match (options.value("reference"), modes.as_slice()) {
        (Some(reference), []) => {
            let stat = process.stat(reference);
            match process.check(&format!("failed to get attributes of {}", shell_quoted(reference)), stat)? {
                Some(stat) => ModeChange::Octal(stat.meta.mode, true),
                None => return Ok(1),
            }
        }
        (None, modes) => {
            let text = match modes {
                [] if options.operands.is_empty() => return process.missing_operand(1),
                [] => options.operands.remove(0),
                modes => modes.join(","),
            };
            match parse_mode(&text) {
                Some(change) => change,
                None => {
                    let text = process.quote(&text);
                    process.complain(format_args!("invalid mode: {text}"));
                    return Ok(1);
                }
            }
        }
        _ => return process.unknown("a mode beside --reference"),
    };
    if options.operands.is_empty() {
        return process.missing_operand(1);
    }
    let mut status = 0;
    for path in options.operands.clone() {
        let umask = process.umask;
        let mut visit = |process: &mut Process<'_, '_>, path: &str, stat: &Stat, depth: usize| {
            if stat.is_symlink() {
                // One below the operand is left alone; the operand's was followed.
                if depth == 0 && !options.has("f") {
                    process.complain(format_args!("cannot operate on dangling symlink {}", shell_quoted(path)));
                }
                return Ok(depth > 0);
            }
            let mode = change.apply(stat.meta.mode, stat.is_dir(), umask);
            let changed = process.world.set_mode(&process.cwd, path, mode);
            if process.check(&format!("changing permissions of {}", shell_quoted(path)), changed)?.is_none() {
                return Ok(false);
            }
            let (path, old) = (shell_quoted(path), stat.meta.mode);
            if mode != old && (options.has("c") || options.has("v")) {
                let (before, after) = (letters(old), letters(mode));
                process.print_line(format!("mode of {path} changed from {old:04o} ({before}) to {mode:04o} ({after})"));
            } else if options.has("v") {
                let letters = letters(mode);
                process.print_line(format!("mode of {path} retained as {mode:04o} ({letters})"));
            }
            Ok(true)
        };
        let walk =
            Walk { recursive: options.has("R"), follow: Follow::Yes, quiet: options.has("f") || options.has("quiet") };
        if !walk.from(process, &path, &mut visit)? {
            status = 1;
        }
    }
    Ok(status)
}

fn letters(mode: u16) -> String {
    crate::commands::listing::mode_letters(mode)
}

/// Going over operands and, where wanted, what is below them.
struct Walk {
    recursive: bool,
    /// Whether a link that is an operand is followed.
    follow: Follow,
    quiet: bool,
}

type Visit<'v> = dyn FnMut(&mut Process<'_, '_>, &str, &Stat, usize) -> Result<bool, Refusal> + 'v;

impl Walk {
    fn from(&self, process: &mut Process<'_, '_>, path: &str, visit: &mut Visit<'_>) -> Result<bool, Refusal> {
        let stat = match process.world.stat(&process.cwd, path, self.follow) {
            Err(error) if self.quiet && !error.is_final() => return Ok(false),
            Err(_) if process.lstat(path).is_ok() => process.lstat(path),
            stat => stat,
        };
        match process.check(&format!("cannot access {}", shell_quoted(path)), stat)? {
            Some(stat) => self.node(process, (path, 0), &stat, visit),
            None => Ok(false),
        }
    }

    fn node(
        &self,
        process: &mut Process<'_, '_>,
        (path, depth): (&str, usize),
        stat: &Stat,
        visit: &mut Visit<'_>,
    ) -> Result<bool, Refusal> {
        process.step()?;
        let mut well = visit(process, path, stat, depth)?;
        if self.recursive && stat.is_dir() {
            for name in process.world.list(&process.cwd, path)? {
                let child = in_directory(path, &name);
                let stat = process.lstat(&child)?;
                well &= self.node(process, (&child, depth + 1), &stat, visit)?;
            }
        }
        Ok(well)
    }
}

const OWNER_SPEC: &str = "R,recursive f,silent ,quiet c,changes v,verbose h,no-dereference ,dereference ,from= \
    ,reference= H L P ,preserve-root ,no-preserve-root";

/// chown(1): `USER[:GROUP]`, `USER.GROUP`, `:GROUP`, `-R -h -f -c -v -H -P --from --reference`.
pub(super) fn chown(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    change_owners(process, args, "")
}

/// chgrp(1): as [`chown`], of the group alone.
pub(super) fn chgrp(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    change_owners(process, args, ":")
}

fn change_owners(process: &mut Process<'_, '_>, args: &[String], prefix: &str) -> Result<u8, Refusal> {
    let mut options = process.options(args, OWNER_SPEC, Order::Any)?;
    for refused in ["L", "v"] {
        if options.has(refused) {
            return process.unknown(&format!("-{refused}"));
        }
    }
    let wanted = match options.value("reference") {
        Some(reference) => {
            let stat = process.stat(reference);
            let what = format!("failed to get attributes of {}", shell_quoted(reference));
            let Some(stat) = process.check(&what, stat)? else { return Ok(1) };
            let user = prefix.is_empty().then(|| stat.meta.user.clone());
            Ownership { user, group: Some(stat.meta.group) }
        }
        None if options.operands.is_empty() => return process.missing_operand(1),
        None => {
            let text = options.operands.remove(0);
            match owner_spec(process.world, &format!("{prefix}{text}"))? {
                Ok(wanted) => wanted,
                Err(message) => {
                    process.complain(message.replacen("‘:", "‘", usize::from(!prefix.is_empty())));
                    return Ok(1);
                }
            }
        }
    };
    let from = match options.value("from").map(str::to_owned) {
        Some(text) => match owner_spec(process.world, &text)? {
            Ok(from) => Some(from),
            Err(message) => {
                process.complain(message);
                return Ok(1);
            }
        },
        None => None,
    };
    if options.operands.is_empty() {
        return process.missing_operand(1);
    }
    let change =
        Change { users: accounts::users(process.world)?, groups: accounts::groups(process.world)?, wanted, from };
    let mut status = 0;
    for path in options.operands.clone() {
        if !change.apply(process, &options, &path)? {
            status = 1;
        }
    }
    Ok(status)
}

struct Change {
    users: Vec<Account>,
    groups: Vec<Account>,
    wanted: Ownership,
    from: Option<Ownership>,
}

impl Change {
    fn apply(&self, process: &mut Process<'_, '_>, options: &Options, path: &str) -> Result<bool, Refusal> {
        let recursive = options.has("R");
        // `-R` does not follow links; without it they are followed unless `-h` is given.
        let follow = match recursive && !options.has("H") || options.has("h") {
            true => Follow::No,
            false => Follow::Yes,
        };
        let walk = Walk { recursive, follow, quiet: options.has("f") || options.has("quiet") };
        walk.from(process, path, &mut |process, path, stat, _| {
            if let Some(from) = &self.from
                && !self.is_from(from, stat)
            {
                return Ok(true);
            }
            let follow = if stat.is_symlink() { Follow::No } else { Follow::Yes };
            let owner = (self.wanted.user.clone(), self.wanted.group.clone());
            let changes = owner.0.as_ref().is_some_and(|user| *user != stat.meta.user)
                || owner.1.as_ref().is_some_and(|group| *group != stat.meta.group);
            let changed = process.world.set_owner(&process.cwd, path, follow, owner);
            let what = format!("changing ownership of {}", shell_quoted(path));
            if process.check(&what, changed)?.is_none() {
                return Ok(false);
            }
            // As the kernel does, even where the owner stays: a file loses its set-id bits.
            if !stat.is_dir() && !stat.is_symlink() && stat.meta.mode & 0o6000 != 0 {
                let group_bit = if stat.meta.mode & 0o010 != 0 { 0o2000 } else { 0 };
                let mode = stat.meta.mode & !(0o4000 | group_bit);
                process.world.set_mode(&process.cwd, path, mode)?;
            }
            if changes && options.has("c") {
                return process.unknown("-c");
            }
            Ok(true)
        })
    }

    fn is_from(&self, from: &Ownership, stat: &Stat) -> bool {
        let same = |wanted: &Option<Owner>, found: &Owner, known: &[Account]| {
            wanted.as_ref().is_none_or(|wanted| accounts::is_same(wanted, found, known))
        };
        same(&from.user, &stat.meta.user, &self.users) && same(&from.group, &stat.meta.group, &self.groups)
    }
}
