//! readlink(1), realpath(1), basename(1), dirname(1), pathchk(1): paths as text and as places.

use super::operands::base_name;
use super::options::Order;
use super::{Command, Process, Refusal};
use crate::world::{Errno, Follow};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("readlink", readlink),
    Command::always("realpath", realpath),
    Command::always("basename", basename),
    Command::always("dirname", dirname),
    Command::always("pathchk", pathchk),
];

/// Which components of a path need not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// None: `-e`.
    None,
    /// The last: `-f`.
    Last,
    /// All: `-m`.
    All,
}

/// The absolute path of `path` with every link followed.
pub(super) fn canonical(process: &Process<'_, '_>, path: &str, missing: Missing) -> Result<String, Errno> {
    match process.world.resolve(&process.cwd, path, Follow::Yes) {
        Ok(real) if missing != Missing::None || process.world.stat_at(&real).is_ok() => Ok(real.to_string()),
        Ok(_) => Err(Errno::NotFound),
        Err(Errno::NotADirectory) if missing == Missing::Last && path.ends_with('/') => Err(Errno::NotADirectory),
        Err(error) if missing != Missing::All || path.is_empty() || error.is_final() => Err(error),
        // What is missing is taken by the word.
        Err(_) => {
            let absolute = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", process.cwd) };
            let mut reached = String::from("/");
            let mut is_there = true;
            for part in absolute.split('/').filter(|part| !part.is_empty() && *part != ".") {
                if part == ".." {
                    reached.truncate(reached.rfind('/').unwrap_or(0).max(1));
                    is_there = true;
                    continue;
                }
                let next = format!("{}/{part}", reached.trim_end_matches('/'));
                let found = if is_there { process.world.resolve(&process.cwd, &next, Follow::Yes).ok() } else { None };
                is_there =
                    found.as_ref().is_some_and(|real| process.world.stat_at(real).is_ok_and(|stat| stat.is_dir()));
                reached = found.map_or(next, |real| real.to_string());
            }
            Ok(reached)
        }
    }
}

/// The way from the directory `from` to `to`, both absolute and without links.
pub(super) fn relative(from: &str, to: &str) -> String {
    let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (from, to) = (parts(from), parts(to));
    let shared = from.iter().zip(&to).take_while(|(left, right)| left == right).count();
    let mut way: Vec<&str> = vec![".."; from.len() - shared];
    way.extend(to[shared..].iter().map(String::as_str));
    if way.is_empty() { ".".to_owned() } else { way.join("/") }
}

/// readlink(1): `-f -e -m -n -q -s -v -z`.
fn readlink(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec =
        "f,canonicalize e,canonicalize-existing m,canonicalize-missing n,no-newline q,quiet s,silent v,verbose z,zero";
    let options = process.options(args, spec, Order::Any)?;
    if options.operands.is_empty() {
        return process.missing_operand(1);
    }
    let how = options.given.iter().rev().find_map(|given| match given.name {
        "f" => Some(Missing::Last),
        "e" => Some(Missing::None),
        "m" => Some(Missing::All),
        _ => None,
    });
    let mut status = 0;
    for path in &options.operands {
        let answer = match how {
            Some(missing) => canonical(process, path, missing),
            None => process.lstat(path).and_then(|stat| match stat.kind {
                hah_format::tree::Kind::Symlink(target) => Ok(target.to_string()),
                _ => Err(Errno::Invalid),
            }),
        };
        match answer {
            Ok(answer) => {
                process.print(answer);
                match (options.has("z"), options.has("n") && options.operands.len() == 1) {
                    (true, _) => process.print("\0"),
                    (false, true) => {}
                    (false, false) => process.print("\n"),
                }
            }
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                if options.has("v") {
                    process.complain(format_args!("{path}: {error}"));
                }
                status = 1;
            }
        }
    }
    Ok(status)
}

/// realpath(1): `-e -m -s -q -z --relative-to --relative-base`.
fn realpath(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "e,canonicalize-existing m,canonicalize-missing s,strip ,no-symlinks P,physical L,logical q,quiet z,zero \
        ,relative-to= ,relative-base=";
    let options = process.options(args, spec, Order::Any)?;
    if options.has("L") {
        return process.unknown("-L");
    }
    if options.operands.is_empty() {
        return process.missing_operand(1);
    }
    let missing = match (options.has("e"), options.has("m")) {
        (true, _) => Missing::None,
        (false, true) => Missing::All,
        (false, false) => Missing::Last,
    };
    let by_word = options.has("s") || options.has("no-symlinks");
    let resolve = |process: &Process<'_, '_>, path: &str| match by_word {
        true => Ok(crate::world::World::absolute(&process.cwd, path)),
        false => canonical(process, path, missing),
    };
    let mut status = 0;
    for path in &options.operands {
        let answer = resolve(process, path).and_then(|real| {
            let below = |base: &str| {
                real == base || real.strip_prefix(base).is_some_and(|rest| rest.starts_with('/')) || base == "/"
            };
            let (to, base) = (options.value("relative-to"), options.value("relative-base"));
            let base = base.map(|base| resolve(process, base)).transpose()?;
            let to = to.map(|to| resolve(process, to)).transpose()?.or_else(|| base.clone());
            Ok(match (to, base) {
                (Some(_), Some(base)) if !below(&base) => real,
                (Some(to), _) => relative(&to, &real),
                (None, _) => real,
            })
        });
        match answer {
            Ok(answer) => {
                process.print(answer);
                process.print(if options.has("z") { "\0" } else { "\n" });
            }
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                if !options.has("q") {
                    process.complain(format_args!("{path}: {error}"));
                }
                status = 1;
            }
        }
    }
    Ok(status)
}

/// basename(1): `NAME [SUFFIX]`, `-a`, `-s SUFFIX`, `-z`.
fn basename(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "a,multiple s,suffix= z,zero", Order::First)?;
    let suffix = options.value("s").unwrap_or_default();
    let (names, suffix) = match options.operands.as_slice() {
        [] => return process.missing_operand(1),
        names if options.has("a") || options.has("s") => (names, suffix),
        [name] => (std::slice::from_ref(name), ""),
        [name, suffix] => (std::slice::from_ref(name), suffix.as_str()),
        [_, _, extra, ..] => {
            let extra = process.quote(extra);
            process.complain(format_args!("extra operand {extra}"));
            return Ok(1);
        }
    };
    for name in names {
        let base = base_name(name);
        let base = base.strip_suffix(suffix).filter(|rest| !rest.is_empty()).unwrap_or(base);
        process.print(base);
        process.print(if options.has("z") { "\0" } else { "\n" });
    }
    Ok(0)
}

/// dirname(1), `-z`.
fn dirname(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "z,zero", Order::Any)?;
    if options.operands.is_empty() {
        return process.missing_operand(1);
    }
    for name in &options.operands {
        let trimmed = name.trim_end_matches('/');
        let directory = match trimmed.rfind('/') {
            None if trimmed.is_empty() && !name.is_empty() => "/",
            None => ".",
            Some(slash) => match trimmed[..slash].trim_end_matches('/') {
                "" => "/",
                directory => directory,
            },
        };
        process.print(directory);
        process.print(if options.has("z") { "\0" } else { "\n" });
    }
    Ok(0)
}

/// pathchk(1): `-p -P`, for names in POSIX's portable characters and lengths.
fn pathchk(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "p P ,portability", Order::Any)?;
    let portable = options.has("p") || options.has("portability");
    let mut status = 0;
    for path in &options.operands {
        let is_portable = |letter: char| letter.is_ascii_alphanumeric() || "._-/".contains(letter);
        let too_long = path.len() > if portable { 255 } else { 4095 }
            || path.split('/').any(|part| part.len() > if portable { 14 } else { 255 });
        let dashed =
            (options.has("P") || options.has("portability")) && path.split('/').any(|part| part.starts_with('-'));
        if path.is_empty() || portable && !path.chars().all(is_portable) || too_long || dashed {
            let quoted = process.quote(path);
            process.complain(format_args!("{quoted} is no portable file name"));
            status = 1;
        }
    }
    Ok(status)
}
