//! mkdir(1), rmdir(1), mkfifo(1), mknod(1), truncate(1), sync(1).

use hah_format::tree::{Kind, Meta, Node};

use super::mode::{ModeChange, parse_mode};
use crate::commands::operands::shell_quoted;
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};
use crate::world::Errno;

/// mkdir(1): `-p`, `-m MODE`, `-v`; `-Z` sets nothing, since SELinux is off.
pub(super) fn mkdir(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "p,parents m,mode= v,verbose Z", Order::Any)?;
    if options.operands.is_empty() {
        return process.missing_operand(1);
    }
    let mut mode = None;
    if let Some(text) = options.value("m") {
        match parse_mode(text) {
            Some(change) => mode = Some(change.apply(0o777 & !process.umask, true, process.umask)),
            None => {
                let text = process.quote(text);
                process.complain(format_args!("invalid mode {text}"));
                return Ok(1);
            }
        }
    }
    let mut status = 0;
    for path in &options.operands {
        let verbose = options.has("v");
        if !make_directory(process, path, mode, options.has("p"), verbose)? {
            status = 1;
        }
    }
    Ok(status)
}

/// Makes one directory, with its parents where `parents` says so.
fn make_directory(
    process: &mut Process<'_, '_>,
    path: &str,
    mode: Option<u16>,
    parents: bool,
    verbose: bool,
) -> Result<bool, Refusal> {
    let default = 0o777 & !process.umask;
    let mut made = Vec::new();
    let result = match parents {
        false => {
            process.world.make_dir(&process.cwd, path, mode.unwrap_or(default)).map(|()| made.push(path.to_owned()))
        }
        true => make_parents(process, path, mode.unwrap_or(default), &mut made),
    };
    if verbose {
        for path in made {
            let (name, path) = (process.name.rsplit('/').next().unwrap_or_default().to_owned(), shell_quoted(&path));
            process.print_line(format!("{name}: created directory {path}"));
        }
    }
    let what = format!("cannot create directory {}", process.quote(path));
    Ok(process.check(&what, result)?.is_some())
}

/// `mkdir -p`: missing parents get the mode that the mask leaves, and stay open to their owner.
pub(super) fn make_parents(
    process: &mut Process<'_, '_>,
    path: &str,
    mode: u16,
    made: &mut Vec<String>,
) -> Result<(), Errno> {
    let mut reached = if path.starts_with('/') { "/".to_owned() } else { String::new() };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() && path.is_empty() {
        return Err(Errno::NotFound);
    }
    for (index, part) in parts.iter().enumerate() {
        reached.push_str(part);
        let last = index + 1 == parts.len();
        let mode = if last { mode } else { 0o777 & !process.umask | 0o300 };
        match process.world.make_dir(&process.cwd, &reached, mode) {
            Ok(()) => made.push(reached.clone()),
            Err(Errno::Exists) if process.is_dir(&reached) => {}
            Err(Errno::Exists) => return Err(if last { Errno::Exists } else { Errno::NotADirectory }),
            Err(error) => return Err(error),
        }
        reached.push('/');
    }
    Ok(())
}

/// rmdir(1): `-p`, `-v`, `--ignore-fail-on-non-empty`.
pub(super) fn rmdir(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "p,parents v,verbose ,ignore-fail-on-non-empty", Order::Any)?;
    if options.operands.is_empty() {
        return process.missing_operand(1);
    }
    let mut status = 0;
    for path in &options.operands {
        let mut path = path.as_str();
        loop {
            let result = process.world.remove_dir(&process.cwd, path);
            if options.has("v") {
                process.print_line(format!("rmdir: removing directory, {}", shell_quoted(path)));
            }
            if options.has("ignore-fail-on-non-empty") && result == Err(Errno::NotEmpty) {
                break;
            }
            let what = format!("failed to remove {}", process.quote(path));
            if process.check(&what, result)?.is_none() {
                status = 1;
                break;
            }
            path = match path.trim_end_matches('/').rsplit_once('/') {
                Some((parent, _)) if options.has("p") && !parent.is_empty() => parent,
                _ => break,
            };
        }
    }
    Ok(status)
}

/// mkfifo(1): `-m MODE`.
pub(super) fn mkfifo(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "m,mode=", Order::Any)?;
    if options.operands.is_empty() {
        return process.missing_operand(1);
    }
    let mode = match special_mode(process, options.value("m"))? {
        Some(mode) => mode,
        None => return Ok(1),
    };
    let mut status = 0;
    for path in &options.operands {
        let node = Node { meta: Meta::root(mode), kind: Kind::Fifo };
        let result = process.world.create(&process.cwd, path, node);
        let what = format!("cannot create fifo {}", shell_quoted(path));
        if process.check(&what, result)?.is_none() {
            status = 1;
        }
    }
    Ok(status)
}

/// mknod(1): `NAME b|c|u MAJOR MINOR` and `NAME p`, with `-m MODE`.
pub(super) fn mknod(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "m,mode=", Order::Any)?;
    let words: Vec<&str> = options.operands.iter().map(String::as_str).collect();
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    };
    let (path, kind) = match words.as_slice() {
        [path, "p"] => (*path, Some(Kind::Fifo)),
        [path, "b", major, minor] => (*path, number(major).zip(number(minor)).map(|(a, b)| Kind::BlockDevice(a, b))),
        [path, "c" | "u", major, minor] => {
            (*path, number(major).zip(number(minor)).map(|(a, b)| Kind::CharDevice(a, b)))
        }
        _ => return process.missing_operand(1),
    };
    let Some(kind) = kind else {
        process.complain("invalid device number");
        return Ok(1);
    };
    let Some(mode) = special_mode(process, options.value("m"))? else { return Ok(1) };
    let result = process.world.create(&process.cwd, path, Node { meta: Meta::root(mode), kind });
    Ok(u8::from(process.check(path, result)?.is_none()))
}

fn special_mode(process: &mut Process<'_, '_>, text: Option<&str>) -> Result<Option<u16>, Refusal> {
    let Some(text) = text else { return Ok(Some(0o666 & !process.umask)) };
    let mode = parse_mode(text).map(|change: ModeChange| change.apply(0o666, false, process.umask));
    if mode.is_none() {
        process.complain("invalid mode");
    }
    Ok(mode)
}

/// truncate(1): `-s SIZE` with `+` and `-`, `-c`, `-r FILE`.
pub(super) fn truncate(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "s,size= c,no-create r,reference=", Order::Any)?;
    let mut reference = None;
    if let Some(path) = options.value("r") {
        let stat = process.stat(path);
        match process.check(&format!("cannot stat {}", shell_quoted(path)), stat)? {
            Some(stat) => reference = Some(stat.size),
            None => return Ok(1),
        }
    }
    let size = options.value("s").unwrap_or("+0");
    let (sign, digits) = match size.strip_prefix(['+', '-']) {
        Some(digits) => (size.chars().next(), digits),
        None => (None, size),
    };
    let Some(count) = crate::commands::numbers::size(digits) else {
        return process.unknown(&format!("--size={size}"));
    };
    let mut status = 0;
    for path in &options.operands {
        let old = match process.world.read(&process.cwd, path) {
            Ok(old) => old,
            Err(Errno::NotFound) if options.has("c") => continue,
            Err(Errno::NotFound) => Vec::new(),
            Err(error) => {
                process.check::<()>(&format!("cannot open {} for writing", shell_quoted(path)), Err(error))?;
                status = 1;
                continue;
            }
        };
        let base = reference.unwrap_or(old.len() as u64);
        let length = match sign {
            Some('+') => base.saturating_add(count),
            Some(_) => base.saturating_sub(count),
            None => count,
        };
        process.world.spend_bytes(length)?;
        let mut bytes = old;
        bytes.resize(usize::try_from(length).map_err(|_| Refusal::new("a file of that size"))?, 0);
        let written = process.write_file(path, &bytes);
        if process.check(&format!("cannot open {} for writing", shell_quoted(path)), written)?.is_none() {
            status = 1;
        }
    }
    Ok(status)
}

/// sync(1): nothing to do, what is written is in the tree.
pub(super) fn sync(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "d,data f,file-system", Order::Any)?;
    let mut status = 0;
    for path in &options.operands {
        let stat = process.stat(path);
        if process.check(&format!("error opening {}", shell_quoted(path)), stat)?.is_none() {
            status = 1;
        }
    }
    Ok(status)
}
