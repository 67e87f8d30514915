//! mv(1). There is one file system, so that every move is a rename(2).

use super::copy::destination;
use crate::commands::operands::shell_quoted;
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};
use crate::world::Errno;

/// mv(1): `-f -i -n -u -t -T -v`. Backups are not.
pub(super) fn mv(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "f,force i,interactive n,no-clobber u,update t,target-directory= T,no-target-directory v,verbose \
        ,strip-trailing-slashes Z,context";
    let mut options = process.options(args, spec, Order::Any)?;
    let mut operands = std::mem::take(&mut options.operands);
    let Some(destination) = destination(process, &options, &mut operands)? else { return Ok(1) };
    let how = options.given.iter().rev().find(|given| matches!(given.name, "f" | "i" | "n")).map(|given| given.name);
    let mut status = 0;
    for source in &operands {
        let source = match options.has("strip-trailing-slashes") {
            true => source.trim_end_matches('/'),
            false => source,
        };
        let to = destination.of(source);
        let stat = process.lstat(source);
        let Some(moved) = process.check(&format!("cannot stat {}", shell_quoted(source)), stat)? else {
            status = 1;
            continue;
        };
        let there = process.lstat(&to).ok();
        if let Some(there) = &there {
            if how == Some("n") || options.has("u") && there.meta.mtime >= moved.meta.mtime {
                continue;
            }
            if how == Some("i") {
                return process.unknown("-i on a file that is there");
            }
            if there.path == moved.path || !moved.is_dir() && process.world.is_same_file(&there.path, &moved.path) {
                let (from, to) = (shell_quoted(source), shell_quoted(&to));
                process.complain(format_args!("{from} and {to} are the same file"));
                status = 1;
                continue;
            }
        }
        let result = process.world.rename(&process.cwd, source, &to);
        if result.is_ok() && options.has("v") {
            process.print_line(format!("renamed {} -> {}", shell_quoted(source), shell_quoted(&to)));
        }
        if let Err(error) = result {
            if error.is_final() {
                return Err(error.into());
            }
            let (from, to) = (shell_quoted(source), shell_quoted(&to));
            match error {
                Errno::Invalid => {
                    process.complain(format_args!("cannot move {from} to a subdirectory of itself, {to}"))
                }
                Errno::IsADirectory => {
                    process.complain(format_args!("cannot overwrite directory {to} with non-directory {from}"));
                }
                Errno::NotADirectory if there.is_some() => {
                    process.complain(format_args!("cannot overwrite non-directory {to} with directory {from}"));
                }
                error => process.complain(format_args!("cannot move {from} to {to}: {error}")),
            }
            status = 1;
        }
    }
    Ok(status)
}
