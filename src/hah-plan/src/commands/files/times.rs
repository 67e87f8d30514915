//! touch(1). Now is the lock's epoch.

use crate::commands::date::{parse_date, parse_stamp};
use crate::commands::operands::shell_quoted;
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};
use crate::world::{Errno, Follow};

/// touch(1): `-a -m -c -h -r FILE -d DATE -t STAMP`. There is one time of a file; `-a` alone changes none.
pub(super) fn touch(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options =
        process.options(args, "a m c,no-create d,date= f h,no-dereference r,reference= t= ,time=", Order::Any)?;
    if options.operands.is_empty() {
        process.complain("missing file operand");
        return Ok(1);
    }
    let mut time = i64::from(process.world.epoch);
    if let Some(path) = options.value("r") {
        let stat = process.stat(path);
        match process.check(&format!("failed to get attributes of {}", shell_quoted(path)), stat)? {
            Some(stat) => time = stat.meta.mtime.into(),
            None => return Ok(1),
        }
    }
    if let Some(stamp) = options.value("t") {
        match parse_stamp(stamp, process.world.epoch) {
            Some(parsed) => time = parsed,
            None => {
                let stamp = process.quote(stamp);
                process.complain(format_args!("invalid date format {stamp}"));
                return Ok(1);
            }
        }
    }
    if let Some(text) = options.value("d") {
        time = parse_date(text, time).map_or_else(|| process.unknown(&format!("-d '{text}'")), Ok)?;
    }
    let Ok(time) = u32::try_from(time) else { return process.unknown("a time before 1970 or after 2106") };
    let access_only =
        options.has("a") && !options.has("m") || matches!(options.value("time"), Some("atime" | "access" | "use"));
    let follow = if options.has("h") { Follow::No } else { Follow::Yes };
    let mut status = 0;
    for path in &options.operands {
        let there = match process.world.stat(&process.cwd, path, follow) {
            Ok(_) => Ok(true),
            Err(Errno::NotFound) if options.has("c") || options.has("h") => continue,
            Err(Errno::NotFound) if !path.ends_with('/') => {
                process.world.write(&process.cwd, path, 0o666 & !process.umask, Vec::new()).map(|()| false)
            }
            Err(error) => Err(error),
        };
        let result = there.and_then(|there| match there && access_only {
            true => Ok(()),
            false => process.world.set_time(&process.cwd, path, follow, time),
        });
        if process.check(&format!("cannot touch {}", shell_quoted(path)), result)?.is_none() {
            status = 1;
        }
    }
    Ok(status)
}
