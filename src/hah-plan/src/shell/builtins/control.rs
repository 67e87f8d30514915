//! `. eval exec exit return break continue trap cd pwd command type umask alias kill times`

use std::rc::Rc;

use crate::commands::Presence;
use crate::shell::external::{CONFMODULES, Found};
use crate::shell::parser::RESERVED;
use crate::shell::{Eval, Halt, PROCESS_ID, Shell, builtins};
use crate::world::{Errno, Follow};

/// A status that is given as an argument; without, the one there is. A number that C's `int` cannot hold is none.
fn status_of(shell: &mut Shell<'_, '_>, word: &str, args: &[String]) -> Result<u32, Halt> {
    match args.first() {
        None => Ok(shell.status),
        Some(text) => match text.parse::<u32>().ok().filter(|status| i32::try_from(*status).is_ok()) {
            Some(status) => Ok(status),
            None => Err(shell.die(&format!("{word}: Illegal number: {text}"))),
        },
    }
}

pub(super) fn exit(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = status_of(shell, "exit", args)?;
    Err(Halt::Exit)
}

pub(super) fn leave_function(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let status = status_of(shell, "return", args)?;
    // What a function gives is no process' status, and dash takes it as it is; bash does not.
    shell.status = if shell.bash { status & 0xff } else { status };
    Err(Halt::Return)
}

fn loops_of(shell: &mut Shell<'_, '_>, word: &str, args: &[String]) -> Result<u32, Halt> {
    let count = match args.first().map(|arg| arg.parse::<u32>()) {
        None => 1,
        Some(Ok(count)) if count > 0 => count,
        Some(_) => return Err(shell.die(&format!("{word}: Illegal number: {}", args[0]))),
    };
    shell.status = 0;
    Ok(count.min(shell.loops))
}

pub(super) fn leave_loops(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    match loops_of(shell, "break", args)? {
        0 => Ok(()),
        count => Err(Halt::Break(count)),
    }
}

pub(super) fn next_turn(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    match loops_of(shell, "continue", args)? {
        0 => Ok(()),
        count => Err(Halt::Continue(count)),
    }
}

pub(super) fn eval(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.deeper()?;
    let done = shell.inner_script(&args.join(" "));
    shell.calls -= 1;
    done
}

pub(super) fn exec(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    if args.is_empty() {
        return Ok(());
    }
    shell.external(args)?;
    // The shell is gone: nobody is left to run its trap.
    shell.traps.remove("EXIT");
    Err(Halt::Exit)
}

pub(super) fn dot(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let args = if args.first().is_some_and(|arg| arg == "--") { &args[1..] } else { args };
    let Some(file) = args.first() else {
        shell.status = 0;
        return Ok(());
    };
    if CONFMODULES.contains(&file.as_str()) {
        // Under debconf, a script's standard output is a protocol; here its commands are native, and 3 is what 1 was.
        shell.status = 0;
        return Ok(());
    }
    let path = match file.contains('/') {
        true => Some(file.clone()),
        false => {
            let path = shell.value("PATH").unwrap_or_default();
            let mut candidates = path.split(':').map(|dir| format!("{dir}/{file}"));
            candidates.find(|path| shell.world.stat(&shell.cwd, path, Follow::Yes).is_ok_and(|stat| stat.is_file()))
        }
    };
    let Some(path) = path else { return Err(shell.die(&format!(".: {file}: not found"))) };
    let read = shell.world.read(&shell.cwd, &path);
    let bytes = match shell.final_only(read)? {
        Ok(bytes) => bytes,
        Err(Errno::NotFound) => return Err(shell.die(&format!(".: cannot open {path}: No such file"))),
        Err(error) => return Err(shell.die(&format!(".: cannot open {path}: {error}"))),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    shell.deeper()?;
    // In dash, `set -e` counts in a file that is read even where the `.` stands in a condition.
    let conditions = std::mem::take(&mut shell.conditions);
    let done = shell.inner_script(&text);
    shell.conditions = conditions;
    shell.calls -= 1;
    match done {
        Err(Halt::Return) => Ok(()),
        other => other,
    }
}

/// The names of signals by number; those without a name have their number.
const SIGNALS: [&str; 32] = [
    "EXIT", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "16", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
    "IO", "PWR", "SYS",
];

/// The number of a signal that is given by its name or number.
fn signal(text: &str) -> Option<usize> {
    let by_number = text.parse::<usize>().ok().filter(|number| *number < SIGNALS.len());
    by_number.or_else(|| SIGNALS.iter().position(|name| name.eq_ignore_ascii_case(text)))
}

pub(super) fn trap(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let args = if args.first().is_some_and(|arg| arg == "--") { &args[1..] } else { args };
    shell.status = 0;
    let Some((action, conditions)) = args.split_first() else {
        let quoted = |action: &str| super::variables::quoted(action);
        let known = SIGNALS.iter().filter_map(|name| Some((name, shell.traps.get(*name)?)));
        let text: String = known.map(|(name, action)| format!("trap -- {} {name}\n", quoted(action))).collect();
        shell.print(text.as_bytes())?;
        return Ok(());
    };
    let number = action.parse::<u32>().is_ok();
    let resets = action == "-" || number || conditions.is_empty();
    let conditions = if number || conditions.is_empty() { args } else { conditions };
    for condition in conditions {
        let Some(number) = signal(condition) else {
            shell.complain(&format!("trap: {condition}: bad trap"));
            shell.status = 1;
            continue;
        };
        let name = SIGNALS[number];
        // Signals never come; what is to be done about them is kept for `trap` alone.
        if resets {
            shell.traps.remove(name);
        } else {
            shell.traps.insert(name.to_owned(), action.clone());
        }
    }
    Ok(())
}

pub(super) fn pwd(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let physical = args.iter().rev().find(|arg| matches!(arg.as_str(), "-L" | "-P")).is_some_and(|arg| arg == "-P");
    let text = if physical { format!("/{}\n", shell.cwd.as_str()) } else { format!("{}\n", shell.logical) };
    shell.status = u32::from(!shell.print(text.as_bytes())?);
    Ok(())
}

/// `target` as seen from the directory `from`, by the words alone: `..` takes away what stands before it.
fn joined(from: &str, target: &str) -> String {
    let whole = if target.starts_with('/') { target.to_owned() } else { format!("{from}/{target}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    // Two slashes at the beginning stay two (POSIX.1-2017, 4.13).
    let root = if target.starts_with("//") && !whole.starts_with("///") { "//" } else { "/" };
    format!("{root}{}", parts.join("/"))
}

pub(super) fn cd(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let (mut physical, mut args) = (false, args);
    while let Some(option @ ("-L" | "-P" | "--")) = args.first().map(String::as_str) {
        physical = if option == "--" { physical } else { option == "-P" };
        args = &args[1..];
        if option == "--" {
            break;
        }
    }
    let (target, mut tell) = match args.first().map(String::as_str) {
        None => (shell.value("HOME").unwrap_or_default(), false),
        Some("-") => (shell.value("OLDPWD").unwrap_or_default(), true),
        Some(target) => (target.to_owned(), false),
    };
    let mut prefixes = vec![String::new()];
    let first = target.split('/').next().unwrap_or_default();
    if !target.starts_with('/') && !matches!(first, "." | "..") {
        let path = shell.value("CDPATH").unwrap_or_default();
        prefixes = path.split(':').map(str::to_owned).chain([String::new()]).collect();
    }
    for prefix in prefixes {
        let path = if prefix.is_empty() { target.clone() } else { format!("{prefix}/{target}") };
        let logical = if path.is_empty() { shell.logical.clone() } else { joined(&shell.logical, &path) };
        // Without -P, `..` is taken by the words.
        let place = if physical { path } else { logical.clone() };
        let found = shell.world.stat(&shell.cwd, &place, Follow::Yes);
        let Some(stat) = shell.final_only(found)?.ok().filter(|stat| stat.is_dir()) else { continue };
        let old = std::mem::replace(&mut shell.logical, logical);
        shell.cwd = stat.path;
        if physical {
            shell.logical = format!("/{}", shell.cwd.as_str());
        }
        shell.assign("OLDPWD", old)?;
        let new = shell.logical.clone();
        shell.assign("PWD", new.clone())?;
        tell |= !prefix.is_empty();
        if tell {
            shell.print((new + "\n").as_bytes())?;
        }
        shell.status = 0;
        return Ok(());
    }
    shell.complain(&format!("cd: can't cd to {target}"));
    shell.status = 2;
    Ok(())
}

pub(super) fn command(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let (mut args, mut tell) = (args, None);
    while let Some(option @ ("-v" | "-V" | "-p" | "--")) = args.first().map(String::as_str) {
        tell = if matches!(option, "-v" | "-V") { Some(option == "-V") } else { tell };
        args = &args[1..];
    }
    let Some(name) = args.first() else {
        shell.status = 0;
        return Ok(());
    };
    if let Some(verbose) = tell {
        shell.status = 0;
        return describe(shell, name, verbose);
    }
    match builtins::special(shell, name).or_else(|| builtins::regular(shell, name)) {
        // An error of a special built-in ends nothing else either.
        Some(builtin) => match builtin(shell, &args[1..]) {
            Err(Halt::Error) => Ok(()),
            done => done,
        },
        None => shell.external(args),
    }
}

pub(super) fn type_of(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = 0;
    for name in args {
        describe(shell, name, true)?;
    }
    Ok(())
}

fn describe(shell: &mut Shell<'_, '_>, name: &str, verbose: bool) -> Eval {
    let (short, long) = if RESERVED.contains(&name) {
        (name.to_owned(), "a shell keyword".to_owned())
    } else if let Some(text) = shell.aliases.get(name) {
        (format!("alias {name}={}", super::variables::quoted(text)), format!("an alias for {text}"))
    } else if shell.functions.contains_key(name) {
        (name.to_owned(), "a shell function".to_owned())
    } else if builtins::special(shell, name).is_some() || name == "local" {
        (name.to_owned(), "a special shell builtin".to_owned())
    } else if builtins::regular(shell, name).is_some() {
        (name.to_owned(), "a shell builtin".to_owned())
    } else {
        match shell.find(name) {
            Found::Native(command, path) if command.presence == Presence::Always || !path.is_empty() => {
                (path.clone(), path)
            }
            Found::File(path) => (path.clone(), path),
            _ => {
                if verbose {
                    shell.print(format!("{name}: not found\n").as_bytes())?;
                }
                shell.status = 127;
                return Ok(());
            }
        }
    };
    let text = if verbose { format!("{name} is {long}\n") } else { short + "\n" };
    shell.print(text.as_bytes())?;
    Ok(())
}

pub(super) fn umask(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = 0;
    let args = if args.first().is_some_and(|arg| arg == "--") { &args[1..] } else { args };
    match args.first().map(String::as_str) {
        None => {
            let text = format!("{:04o}\n", shell.umask);
            shell.print(text.as_bytes())?;
        }
        Some("-S") => {
            let allowed = !shell.umask;
            let word = |shift: u16| {
                let bits = allowed >> shift;
                [(4, 'r'), (2, 'w'), (1, 'x')]
                    .iter()
                    .filter(|(bit, _)| bits & bit != 0)
                    .map(|(_, c)| *c)
                    .collect::<String>()
            };
            let text = format!("u={},g={},o={}\n", word(6), word(3), word(0));
            shell.print(text.as_bytes())?;
        }
        Some(text) => match u16::from_str_radix(text, 8).ok().or_else(|| symbolic(shell.umask, text)) {
            Some(mask) => shell.umask = mask & 0o777,
            None => return Err(shell.die(&format!("umask: Illegal mode: {text}"))),
        },
    }
    Ok(())
}

/// A mask from what is to be allowed: `u=rwx,go=`.
fn symbolic(mask: u16, text: &str) -> Option<u16> {
    let mut allowed = !mask & 0o777;
    for clause in text.split(',') {
        let at = clause.find(['=', '+', '-'])?;
        let (who, rest) = clause.split_at(at);
        let mut places = 0;
        for letter in who.chars() {
            places |= match letter {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                'a' => 0o777,
                _ => return None,
            };
        }
        let places = if who.is_empty() { 0o777 } else { places };
        let mut bits = 0;
        for letter in rest[1..].chars() {
            bits |= match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                // The permissions of another.
                'u' => ((allowed >> 6) & 7) * 0o111,
                'g' => ((allowed >> 3) & 7) * 0o111,
                'o' => (allowed & 7) * 0o111,
                _ => return None,
            };
        }
        allowed = match rest.chars().next() {
            Some('=') => allowed & !places | bits & places,
            Some('+') => allowed | bits & places,
            _ => allowed & !(bits & places),
        };
    }
    Some(!allowed & 0o777)
}

/// Where dash keeps an alias, which is the order in which it lists them.
fn alias_slot(name: &str) -> u32 {
    let first = name.bytes().next().unwrap_or_default();
    name.bytes().fold(u32::from(first) << 4, |sum, byte| sum.wrapping_add(u32::from(byte))) % 39
}

pub(super) fn alias(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = 0;
    let shown = |name: &str, text: &str| format!("{name}={}\n", super::variables::quoted(text));
    if args.is_empty() {
        let mut all: Vec<(&String, &String)> = shell.aliases.iter().collect();
        all.sort_by_key(|(name, _)| alias_slot(name));
        let text: String = all.into_iter().map(|(name, text)| shown(name, text)).collect();
        shell.print(text.as_bytes())?;
        return Ok(());
    }
    for arg in args {
        // The first character is never the `=` of a definition.
        let equals = arg.char_indices().skip(1).find(|(_, c)| *c == '=').map(|(at, _)| at);
        match equals {
            Some(at) => {
                shell.spend_bytes(arg.len())?;
                Rc::make_mut(&mut shell.aliases).insert(arg[..at].to_owned(), arg[at + 1..].to_owned());
            }
            None => match shell.aliases.get(arg).map(|text| shown(arg, text)) {
                Some(text) => drop(shell.print(text.as_bytes())?),
                None => {
                    shell.complain(&format!("alias: {arg} not found"));
                    shell.status = 1;
                }
            },
        }
    }
    Ok(())
}

pub(super) fn unalias(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = 0;
    for arg in args {
        if arg == "-a" {
            Rc::make_mut(&mut shell.aliases).clear();
            break;
        }
        if Rc::make_mut(&mut shell.aliases).remove(arg).is_none() {
            shell.complain(&format!("unalias: {arg} not found"));
            shell.status = 1;
        }
    }
    Ok(())
}

pub(super) fn hash(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = 0;
    for name in args.iter().filter(|arg| *arg != "-r") {
        let known = shell.functions.contains_key(name)
            || builtins::special(shell, name).or_else(|| builtins::regular(shell, name)).is_some()
            || matches!(shell.find(name), Found::Native(..) | Found::File(_));
        if !known {
            shell.complain(&format!("hash: {name}: not found"));
            shell.status = 1;
        }
    }
    Ok(())
}

pub(super) fn no_job(shell: &mut Shell<'_, '_>, _: &[String]) -> Eval {
    Err(shell.die("no current job"))
}

pub(super) fn wait(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = 0;
    if args.is_empty() {
        shell.jobs.wait_for_all();
    }
    for arg in args {
        let Ok(id) = arg.parse() else { return Err(shell.die(&format!("wait: Illegal number: {arg}"))) };
        shell.status = shell.jobs.wait_for(id).unwrap_or(127);
    }
    Ok(())
}

pub(super) fn kill(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let own = PROCESS_ID.to_string();
    shell.status = 0;
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => return Err(shell.die("kill: usage: kill [-s sigspec | -signum | -sigspec] [pid | job]...")),
        ["-l"] => {
            let text: String =
                SIGNALS.iter().map(|name| format!("{}\n", if *name == "EXIT" { "0" } else { name })).collect();
            shell.print(text.as_bytes())?;
        }
        ["-l", status, ..] => {
            // Of a program that a signal has ended, the status is 128 more.
            let name = status
                .parse::<usize>()
                .ok()
                .and_then(|status| SIGNALS.get(if status > 128 { status - 128 } else { status }));
            let Some(name) = name else {
                return Err(shell.die(&format!("kill: invalid signal number or exit status: {status}")));
            };
            shell.print(format!("{name}\n").as_bytes())?;
        }
        // Whether it is there.
        ["-0", ids @ ..] if ids.iter().all(|id| *id == own) => {}
        words if words.contains(&own.as_str()) => return shell.refuse("a script that sends itself a signal"),
        _ => {
            shell.complain("kill: No such process");
            shell.status = 1;
        }
    }
    Ok(())
}

pub(super) fn times(shell: &mut Shell<'_, '_>, _: &[String]) -> Eval {
    shell.print(b"0m0.000000s 0m0.000000s\n0m0.000000s 0m0.000000s\n")?;
    shell.status = 0;
    Ok(())
}
