//! ls(1) into a pipe: one name a line, in byte order.

use hah_format::tree::Kind;

use super::{kind_letter, mode_letters};
use crate::commands::accounts;
use crate::commands::date::format_time;
use crate::commands::operands::{in_directory, shell_quoted};
use crate::commands::options::{Options, Order};
use crate::commands::{Process, Refusal};
use crate::world::Stat;

const SPEC: &str = "1 a,all A,almost-all d,directory F,classify=? L,dereference H R,recursive S U f b,escape \
    g h,human-readable i,inode k l n,numeric-uid-gid o p q r,reverse s t v w= x ,color=? ,group-directories-first \
    G,no-group ,time-style= ,full-time N,literal";

/// ls(1): `-1 -a -A -d -L -R -r -S -t -U -i -l -n -g -o -F -p -v`, `--color` never shows.
///
/// Sizes in `-l` are in bytes; `-h`, blocks (`-s`) and columns (`-C`) are not.
pub(super) fn ls(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, SPEC, Order::Any)?;
    for refused in ["s", "h", "x", "q", "b", "f"] {
        if options.has(refused) {
            return process.unknown(&format!("-{refused}"));
        }
    }
    if options.value("color") == Some("always") || options.has("full-time") || options.has("time-style") {
        return process.unknown("--color=always, --full-time or --time-style");
    }
    let mut operands = options.operands.clone();
    if operands.is_empty() {
        operands.push(".".to_owned());
    }
    let (mut files, mut directories, mut status) = (Vec::new(), Vec::new(), 0);
    for path in &operands {
        let long = options.given.iter().any(|given| matches!(given.name, "l" | "n" | "g" | "o" | "F"));
        let followed = process.stat(path);
        // A link to a directory is listed, unless its own line is wanted.
        let found = match followed {
            Ok(stat) if options.has("L") || options.has("H") || !options.has("d") && !long && stat.is_dir() => Ok(stat),
            _ => process.lstat(path),
        };
        match process.check(&format!("cannot access {}", shell_quoted(path)), found)? {
            None => status = 2,
            Some(stat) if stat.is_dir() && !options.has("d") => directories.push((path.clone(), stat)),
            Some(stat) => files.push((path.clone(), stat)),
        }
    }
    sort(&mut files, &options);
    sort(&mut directories, &options);
    let listed_files = !files.is_empty();
    for (name, stat) in &files {
        line(process, name, stat, &options)?;
    }
    let titled = operands.len() > 1 || options.has("R");
    for (index, (path, _)) in directories.iter().enumerate() {
        if index > 0 || listed_files {
            process.print("\n");
        }
        directory(process, path, &options, titled)?;
    }
    Ok(status)
}

fn directory(process: &mut Process<'_, '_>, path: &str, options: &Options, titled: bool) -> Result<(), Refusal> {
    process.step()?;
    if titled {
        process.print_line(format!("{path}:"));
    }
    let mut entries = Vec::new();
    let all = options.given.iter().rev().find(|given| matches!(given.name, "a" | "A")).map(|given| given.name);
    if all == Some("a") {
        for name in [".", ".."] {
            entries.push((name.to_owned(), process.stat(&in_directory(path, name))?));
        }
    }
    for name in process.world.list(&process.cwd, path)? {
        if name.starts_with('.') && all.is_none() {
            continue;
        }
        let child = in_directory(path, &name);
        let stat = match process.stat(&child) {
            Ok(stat) if options.has("L") => stat,
            _ => process.lstat(&child)?,
        };
        entries.push((name, stat));
    }
    sort(&mut entries, options);
    if options.given.iter().any(|given| matches!(given.name, "l" | "n" | "g" | "o")) {
        let blocks: u64 = entries.iter().map(|(_, stat)| stat.size.div_ceil(4096) * 4).sum();
        process.print_line(format!("total {blocks}"));
    }
    for (name, stat) in &entries {
        line(process, name, stat, options)?;
    }
    if options.has("R") {
        for (name, stat) in entries.iter().filter(|(name, stat)| stat.is_dir() && !matches!(name.as_str(), "." | ".."))
        {
            debug_assert!(stat.is_dir());
            process.print("\n");
            directory(process, &in_directory(path, name), options, true)?;
        }
    }
    Ok(())
}

fn sort(entries: &mut [(String, Stat)], options: &Options) {
    let by =
        options.given.iter().rev().find(|given| matches!(given.name, "t" | "S" | "U" | "v")).map(|given| given.name);
    match by {
        Some("U") => return,
        Some("v") => {
            entries.sort_by(|left, right| crate::commands::sort::version_order(left.0.as_bytes(), right.0.as_bytes()))
        }
        _ => entries.sort_by(|left, right| left.0.as_bytes().cmp(right.0.as_bytes())),
    }
    match by {
        Some("t") => entries.sort_by_key(|(_, stat)| std::cmp::Reverse(stat.meta.mtime)),
        Some("S") => entries.sort_by_key(|(_, stat)| std::cmp::Reverse(stat.size)),
        _ => {}
    }
    if options.has("r") {
        entries.reverse();
    }
    if options.has("group-directories-first") {
        entries.sort_by_key(|(_, stat)| !stat.is_dir());
    }
}

/// One line. Columns of the long form are separated by single blanks: their widths depend on neighbours in ls, and
/// scripts split at white space.
fn line(process: &mut Process<'_, '_>, name: &str, stat: &Stat, options: &Options) -> Result<(), Refusal> {
    let mut out = String::new();
    if options.has("i") {
        out.push_str(&format!("{} ", super::stat::inode(process, stat)));
    }
    let long = options.given.iter().any(|given| matches!(given.name, "l" | "n" | "g" | "o"));
    if long {
        let (users, groups) = (accounts::users(process.world)?, accounts::groups(process.world)?);
        let name_of = |owner, known: &[accounts::Account]| match options.has("n") {
            true => accounts::id_of(owner, known).map(|id| id.to_string()),
            false => Ok(accounts::name_of(owner, known).unwrap_or_else(|| owner.to_string())),
        };
        out.push_str(&format!("{}{} {} ", kind_letter(stat), mode_letters(stat.meta.mode), stat.links));
        if !options.has("g") {
            out.push_str(&format!("{} ", name_of(&stat.meta.user, &users)?));
        }
        if !options.has("o") && !options.has("G") {
            out.push_str(&format!("{} ", name_of(&stat.meta.group, &groups)?));
        }
        match &stat.kind {
            Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => {
                out.push_str(&format!("{major}, {minor} "))
            }
            _ => out.push_str(&format!("{} ", stat.size)),
        }
        let now = i64::from(process.world.epoch);
        let recent = now - i64::from(stat.meta.mtime) < 31_556_952 / 2;
        let form = if recent { "%b %e %H:%M" } else { "%b %e  %Y" };
        out.push_str(&format_time(form, i64::from(stat.meta.mtime)).unwrap_or_default());
        out.push(' ');
    }
    out.push_str(name);
    if let (true, Kind::Symlink(target)) = (long, &stat.kind) {
        out.push_str(&format!(" -> {target}"));
    } else if stat.is_dir() && (options.has("p") || options.has("F")) {
        out.push('/');
    } else if options.has("F") {
        out.push_str(match stat.kind {
            Kind::Symlink(_) => "@",
            Kind::Fifo => "|",
            Kind::File(()) | Kind::HardLink(_) if stat.is_executable() => "*",
            _ => "",
        });
    }
    process.print_line(out);
    Ok(())
}
