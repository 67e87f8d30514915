//! rm(1) and unlink(1).

use crate::commands::operands::{base_name, shell_quoted};
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};
use crate::world::Errno;

/// rm(1): `-f -r -R -d -v`, `--one-file-system`. Questions (`-i`, `-I`) are not asked of anyone.
pub(super) fn rm(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "f,force r,recursive R d,dir v,verbose ,one-file-system ,preserve-root=? ,no-preserve-root";
    let options = process.options(args, spec, Order::Any)?;
    let (force, recursive) = (options.has("f"), options.has("r") || options.has("R"));
    if options.operands.is_empty() {
        return if force { Ok(0) } else { process.missing_operand(1) };
    }
    let mut status = 0;
    for path in &options.operands {
        process.step()?;
        let stat = match process.lstat(path) {
            Err(error) if force && crate::commands::accounts::is_missing(&error) => continue,
            stat => stat,
        };
        let quoted = shell_quoted(path);
        let Some(stat) = process.check(&format!("cannot remove {quoted}"), stat)? else {
            status = 1;
            continue;
        };
        if stat.is_dir() {
            if matches!(base_name(path), "." | "..") && recursive {
                process.complain(format_args!("refusing to remove '.' or '..' directory: skipping {quoted}"));
                status = 1;
                continue;
            }
            if stat.path.is_root() && recursive {
                process.complain("it is dangerous to operate recursively on '/'");
                process.complain("use --no-preserve-root to override this failsafe");
                status = 1;
                continue;
            }
        }
        let mut told = Vec::new();
        if options.has("v") {
            tell(process, path, stat.is_dir(), &mut told)?;
        }
        let result = match (stat.is_dir(), recursive, options.has("d")) {
            (true, true, _) => process.world.remove_all(&process.cwd, path),
            (true, false, true) => process.world.remove_dir(&process.cwd, path),
            (true, false, false) => Err(Errno::IsADirectory),
            (false, ..) => process.world.unlink(&process.cwd, path),
        };
        match process.check(&format!("cannot remove {quoted}"), result)? {
            Some(()) => told.iter().for_each(|line| process.print_line(line)),
            None => status = 1,
        }
    }
    Ok(status)
}

/// What `-v` says, children first.
fn tell(process: &mut Process<'_, '_>, path: &str, is_dir: bool, lines: &mut Vec<String>) -> Result<(), Refusal> {
    process.step()?;
    if !is_dir {
        lines.push(format!("removed {}", shell_quoted(path)));
        return Ok(());
    }
    for name in process.world.list(&process.cwd, path)? {
        let child = crate::commands::operands::in_directory(path, &name);
        let is_dir = process.lstat(&child)?.is_dir();
        tell(process, &child, is_dir, lines)?;
    }
    lines.push(format!("removed directory {}", shell_quoted(path)));
    Ok(())
}

/// unlink(1): unlink(2) and nothing more.
pub(super) fn unlink(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "", Order::Any)?;
    let [path] = options.operands.as_slice() else { return process.missing_operand(1) };
    let result = process.world.unlink(&process.cwd, path);
    let what = format!("cannot unlink {}", shell_quoted(path));
    Ok(u8::from(process.check(&what, result)?.is_none()))
}
