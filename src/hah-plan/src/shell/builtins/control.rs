//! `. eval exec exit return break continue trap cd pwd command type umask alias kill times`

use crate::commands::Presence;
use crate::shell::external::{CONFMODULES, Found};
use crate::shell::{Eval, Halt, PROCESS_ID, Shell, builtins};
use crate::world::{Errno, Follow, World};

/// A status that is given as an argument; without, the one there is.
fn status_of(shell: &mut Shell<'_, '_>, word: &str, args: &[String]) -> Result<u8, Halt> {
    match args.first() {
        None => Ok(shell.status),
        // Of a greater number, a process gives its parent the last eight bits.
        Some(text) => match text.parse::<u32>() {
            Ok(status) => Ok((status & 0xff) as u8),
            Err(_) => Err(shell.die(&format!("{word}: Illegal number: {text}"))),
        },
    }
}

pub(super) fn exit(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = status_of(shell, "exit", args)?;
    Err(Halt::Exit)
}

pub(super) fn leave_function(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = status_of(shell, "return", args)?;
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
    shell.status = 0;
    let done = shell.inner_script(&args.join(" "));
    shell.calls -= 1;
    done
}

pub(super) fn exec(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let args = if args.first().is_some_and(|arg| arg == "--") { &args[1..] } else { args };
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
    shell.status = 0;
    let done = shell.inner_script(&text);
    shell.calls -= 1;
    match done {
        Err(Halt::Return) => Ok(()),
        other => other,
    }
}

pub(super) fn trap(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let args = if args.first().is_some_and(|arg| arg == "--") { &args[1..] } else { args };
    shell.status = 0;
    let Some((action, conditions)) = args.split_first() else {
        let text: String = shell
            .traps
            .iter()
            .map(|(name, action)| format!("trap -- '{}' {name}\n", action.replace('\'', "'\"'\"'")))
            .collect();
        shell.print(text.as_bytes())?;
        return Ok(());
    };
    let resets = action == "-" || action.parse::<u32>().is_ok();
    let conditions = if action.parse::<u32>().is_ok() || conditions.is_empty() { args } else { conditions };
    for condition in conditions {
        let name = match condition.trim_start_matches("SIG") {
            "0" | "EXIT" => "EXIT".to_owned(),
            other => other.to_owned(),
        };
        // Signals never come; what is to be done about them is kept for `trap` alone.
        if resets {
            shell.traps.remove(&name);
        } else {
            shell.traps.insert(name, action.clone());
        }
    }
    Ok(())
}

pub(super) fn pwd(shell: &mut Shell<'_, '_>, _: &[String]) -> Eval {
    let text = shell.directory() + "\n";
    shell.status = u8::from(!shell.print(text.as_bytes())?);
    Ok(())
}

pub(super) fn cd(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let target = args.iter().find(|arg| !matches!(arg.as_str(), "-L" | "-P" | "--"));
    let (target, tell) = match target.map(String::as_str) {
        None => (shell.value("HOME").unwrap_or_else(|| "/".to_owned()), false),
        Some("-") => (shell.value("OLDPWD").unwrap_or_default(), true),
        Some(target) => (target.to_owned(), false),
    };
    // `..` is taken by the word, as a shell does with -L.
    let logical = World::absolute(&shell.cwd, &target);
    let found = shell.world.stat(&shell.cwd, &logical, Follow::Yes);
    let stat = match shell.final_only(found)? {
        Ok(stat) if stat.is_dir() => stat,
        _ => {
            shell.complain(&format!("cd: can't cd to {target}"));
            shell.status = 2;
            return Ok(());
        }
    };
    let old = shell.directory();
    shell.cwd = stat.path;
    shell.assign("OLDPWD", old)?;
    let new = shell.directory();
    shell.assign("PWD", new.clone())?;
    if tell {
        shell.print((new + "\n").as_bytes())?;
    }
    shell.status = 0;
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
        for name in args {
            describe(shell, name, verbose)?;
        }
        return Ok(());
    }
    if let Some(builtin) = builtins::special(name).or_else(|| builtins::regular(name)) {
        return builtin(shell, &args[1..]);
    }
    shell.external(args)
}

pub(super) fn type_of(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    shell.status = 0;
    for name in args {
        describe(shell, name, true)?;
    }
    Ok(())
}

fn describe(shell: &mut Shell<'_, '_>, name: &str, verbose: bool) -> Eval {
    let (short, long) = if shell.functions.contains_key(name) {
        (name.to_owned(), "a shell function".to_owned())
    } else if builtins::special(name).is_some() {
        (name.to_owned(), "a special shell builtin".to_owned())
    } else if builtins::regular(name).is_some() {
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
            Some(mask) if mask <= 0o777 => shell.umask = mask,
            _ => return Err(shell.die(&format!("umask: Illegal mode: {text}"))),
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

pub(super) fn alias(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    match args.is_empty() {
        true => {
            shell.status = 0;
            Ok(())
        }
        false => shell.refuse("an alias"),
    }
}

pub(super) fn kill(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    if args.iter().any(|arg| *arg == PROCESS_ID.to_string()) {
        return shell.refuse("a script that sends itself a signal");
    }
    shell.complain("kill: No such process");
    shell.status = 1;
    Ok(())
}

pub(super) fn times(shell: &mut Shell<'_, '_>, _: &[String]) -> Eval {
    shell.print(b"0m0.000000s 0m0.000000s\n0m0.000000s 0m0.000000s\n")?;
    shell.status = 0;
    Ok(())
}
