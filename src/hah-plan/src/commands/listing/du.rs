//! du(1) of file lengths.

use crate::commands::operands::{in_directory, shell_quoted};
use crate::commands::options::{Options, Order};
use crate::commands::{Process, Refusal};

/// du(1) with `-b` (`--apparent-size --block-size=1`): `-s -c -a -d`. What blocks a disk would take depends on the disk.
pub(super) fn du(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "a,all b,bytes c,total d,max-depth= s,summarize x,one-file-system k ,apparent-size h m";
    let options = process.options(args, spec, Order::Any)?;
    let unit = match (options.has("b"), options.has("apparent-size") && options.has("k")) {
        (true, _) => 1,
        (false, true) => 1024,
        _ => return process.unknown("without -b: what a file takes depends on the disk"),
    };
    let deepest = match (options.has("s"), options.value("d")) {
        (true, _) => 0,
        (false, Some(depth)) => depth.parse().map_or_else(|_| process.unknown("-d"), Ok)?,
        (false, None) => usize::MAX,
    };
    let mut operands = options.operands.clone();
    if operands.is_empty() {
        operands.push(".".to_owned());
    }
    let (mut status, mut total) = (0, 0);
    for path in &operands {
        let stat = process.lstat(path);
        match process.check(&format!("cannot access {}", shell_quoted(path)), stat)? {
            Some(_) => total += usage(process, path, &options, (deepest, unit), 0)?,
            None => status = 1,
        }
    }
    if options.has("c") {
        process.print_line(format!("{}\ttotal", total / unit));
    }
    Ok(status)
}

fn usage(
    process: &mut Process<'_, '_>,
    path: &str,
    options: &Options,
    (deepest, unit): (usize, u64),
    depth: usize,
) -> Result<u64, Refusal> {
    process.step()?;
    let stat = process.lstat(path)?;
    let mut size = stat.size;
    if stat.is_dir() {
        for name in process.world.list(&process.cwd, path)? {
            size += usage(process, &in_directory(path, &name), options, (deepest, unit), depth + 1)?;
        }
    }
    if depth == 0 || depth <= deepest && (stat.is_dir() || options.has("a")) {
        process.print_line(format!("{}\t{path}", size.div_ceil(unit)));
    }
    Ok(size)
}
