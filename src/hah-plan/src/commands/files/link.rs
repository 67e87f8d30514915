//! ln(1) and link(1).

use super::copy::{Destination, destination};
use crate::commands::operands::{base_name, shell_quoted};
use crate::commands::options::Order;
use crate::commands::paths::relative;
use crate::commands::{Process, Refusal};
use crate::world::{Errno, Follow};

/// ln(1): `-s -f -n -r -t -T -v -L -P`. Backups are not.
pub(super) fn ln(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "s,symbolic f,force n,no-dereference r,relative t,target-directory= T,no-target-directory v,verbose \
        L,logical P,physical i,interactive";
    let mut options = process.options(args, spec, Order::Any)?;
    let mut operands = std::mem::take(&mut options.operands);
    let destination = match operands.as_slice() {
        // One operand is linked to from here.
        [_] if options.value("t").is_none() && !options.has("T") => Destination::Into(".".to_owned()),
        // A link to a directory is the thing to replace, not the place to go.
        [_, last] if options.has("n") && process.lstat(last).is_ok_and(|stat| stat.is_symlink()) => {
            let last = last.clone();
            operands.pop();
            Destination::Onto(last)
        }
        _ => match destination(process, &options, &mut operands)? {
            Some(destination) => destination,
            None => return Ok(1),
        },
    };
    let symbolic = options.has("s");
    let noun = if symbolic { "symbolic" } else { "hard" };
    let mut status = 0;
    for target in &operands {
        let path = match &destination {
            Destination::Into(directory) if directory == "." => base_name(target).to_owned(),
            _ => destination.of(target),
        };
        if !symbolic {
            let stat = process.lstat(target);
            let Some(stat) = process.check(&format!("failed to access {}", shell_quoted(target)), stat)? else {
                status = 1;
                continue;
            };
            if stat.is_dir() {
                process.complain(format_args!("{}: hard link not allowed for directory", target));
                status = 1;
                continue;
            }
        }
        if let Ok(old) = process.lstat(&path)
            && (options.has("f") || options.has("i"))
        {
            if options.has("i") {
                return process.unknown("-i on a file that is there");
            }
            if old.is_dir() {
                process.complain(format_args!("{}: cannot overwrite directory", path));
                status = 1;
                continue;
            }
            let same = !symbolic
                && process.lstat(target).is_ok_and(|target| process.world.is_same_file(&target.path, &old.path));
            if same {
                let (target, path) = (shell_quoted(target), shell_quoted(&path));
                process.complain(format_args!("{target} and {path} are the same file"));
                status = 1;
                continue;
            }
            let gone = process.world.unlink(&process.cwd, &path);
            process.check("cannot remove", gone)?;
        }
        let result = match symbolic {
            true => {
                let target = if options.has("r") { relative_target(process, target, &path)? } else { target.clone() };
                process.world.make_symlink(&process.cwd, &path, &target)
            }
            false if options.has("L") => {
                let real = process.stat(target)?.path.to_string();
                process.world.make_hard_link(&process.cwd, &real, &path)
            }
            false => process.world.make_hard_link(&process.cwd, target, &path),
        };
        let link = shell_quoted(&path);
        let what = match &result {
            Err(Errno::Exists) | Ok(()) => format!("failed to create {noun} link {link}"),
            Err(_) if symbolic => format!("failed to create {noun} link {link}"),
            Err(_) => format!("failed to create {noun} link {link} => {}", shell_quoted(target)),
        };
        match process.check(&what, result)? {
            None => status = 1,
            Some(()) if options.has("v") => {
                let arrow = if symbolic { "->" } else { "=>" };
                process.print_line(format!("{link} {arrow} {}", shell_quoted(target)));
            }
            Some(()) => {}
        }
    }
    Ok(status)
}

/// `ln -r`: from the link's real directory to the target, links of it followed.
fn relative_target(process: &Process<'_, '_>, target: &str, link: &str) -> Result<String, Refusal> {
    let directory = match link.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => ".",
    };
    let from = process.world.resolve(&process.cwd, directory, Follow::Yes)?;
    let to = crate::commands::paths::canonical(process, target, crate::commands::paths::Missing::All)?;
    Ok(relative(&format!("/{}", from.as_str()), &to))
}

/// link(1): link(2) and nothing more.
pub(super) fn link(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "", Order::Any)?;
    let [existing, path] = options.operands.as_slice() else { return process.missing_operand(1) };
    let result = process.world.make_hard_link(&process.cwd, existing, path);
    let what = format!("cannot create link {} to {}", shell_quoted(path), shell_quoted(existing));
    Ok(u8::from(process.check(&what, result)?.is_none()))
}
