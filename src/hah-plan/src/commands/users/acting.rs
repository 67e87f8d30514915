//! `su`, `runuser`, `setpriv`, `sudo`: another program, run as another user.
//!
//! What it makes belongs to that user. Nothing is refused for want of permission: the tree has none to check.

use std::collections::BTreeMap;

use hah_format::tree::Owner;

use super::group_name;
use crate::commands::{Finished, Process, Refusal};
use crate::effects::Ownership;
use crate::shell::launch;

/// su(1), runuser(1): `su [OPTIONS] [-] [USER [ARGUMENT…]]`, `runuser -u USER [--] COMMAND…`.
pub(super) fn su(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let (mut command, mut shell, mut user, mut group, mut login, mut keep) = (None, None, None, None, false, false);
    let mut operands: Vec<String> = Vec::new();
    let mut left = args.iter().peekable();
    while let Some(arg) = left.next() {
        let (flag, mut inline) = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
            _ => (arg.clone(), None),
        };
        let mut value = || inline.take().or_else(|| left.next().cloned());
        match flag.as_str() {
            "-" | "-l" | "--login" => login = true,
            "-c" | "--command" | "--session-command" => command = value(),
            "-s" | "--shell" => shell = value(),
            "-u" | "--user" => user = value(),
            "-g" | "--group" => group = value(),
            "-m" | "-p" | "--preserve-environment" => keep = true,
            "-f" | "--fast" => {}
            "--" => operands.extend(left.by_ref().cloned()),
            _ if flag.starts_with('-') => return process.unknown(arg),
            _ => {
                operands.push(arg.clone());
                // Behind the user everything is the shell's, or the command's with -u.
                if user.is_some() {
                    operands.extend(left.by_ref().cloned());
                }
            }
        }
    }
    let direct = user.is_some();
    let name = match user {
        Some(user) => user,
        None if operands.is_empty() => "root".to_owned(),
        None => operands.remove(0),
    };
    let Some(account) = process.world.accounts()?.users.get(&name).cloned() else {
        return process.fail(
            format_args!("user {name} does not exist or the user entry does not contain all the required fields"),
            1,
        );
    };
    let words: Vec<String> = match direct {
        true if operands.is_empty() => return process.unknown("-u without a command"),
        true => operands,
        false => {
            let default = if account.shell.is_empty() { "/bin/sh" } else { &account.shell };
            let mut words = vec![shell.unwrap_or_else(|| default.to_owned())];
            match command {
                Some(command) => words.extend(["-c".to_owned(), command]),
                None if operands.is_empty() => return process.unknown("without a command, which is a session and"),
                None => {}
            }
            words.extend(operands);
            words
        }
    };
    if words.first().is_some_and(|shell| matches!(shell.rsplit('/').next(), Some("nologin" | "false"))) {
        // They print a line and fail.
        return Ok(1);
    }
    let mut env = process.env.clone();
    if !keep && !direct {
        env.insert("HOME".to_owned(), account.home.clone());
        env.insert("SHELL".to_owned(), words.first().cloned().unwrap_or_default());
        if account.uid != 0 {
            env.insert("USER".to_owned(), name.clone());
            env.insert("LOGNAME".to_owned(), name.clone());
        }
    }
    if login {
        env.insert("PWD".to_owned(), account.home.clone());
    }
    let group = match group {
        None => None,
        Some(group) => match group_name(process.world.accounts()?, &group) {
            Some(group) => Some(group),
            None => return process.fail(format_args!("group {group} does not exist"), 1),
        },
    };
    let home = login.then_some(account.home.as_str());
    run_as(process, (&name, group.as_deref()), &words, (env, home))
}

/// setpriv(1): ids change what is made; capabilities and the like mean nothing here.
pub(super) fn setpriv(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let (mut user, mut group) = (None, None);
    let mut left = args.iter();
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = left.next() {
        let (flag, inline) = match arg.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        match flag {
            "--reuid" | "--regid" | "--ruid" | "--euid" | "--rgid" | "--egid" | "--groups" => {
                let Some(value) = inline.or_else(|| left.next().cloned()) else { return process.unknown(arg) };
                match flag {
                    "--reuid" | "--euid" => user = Some(value),
                    "--regid" | "--egid" => group = Some(value),
                    _ => {}
                }
            }
            "--init-groups" | "--clear-groups" | "--keep-groups" | "--no-new-privs" | "--nnp" | "--reset-env" => {}
            "--" => words.extend(left.by_ref().cloned()),
            _ if arg.starts_with('-') => return process.unknown(arg),
            _ => {
                words.push(arg.clone());
                words.extend(left.by_ref().cloned());
            }
        }
    }
    if words.is_empty() {
        return process.unknown("without a command");
    }
    let user = user.unwrap_or_else(|| "root".to_owned());
    let env = process.env.clone();
    run_as(process, (&user, group.as_deref()), &words, (env, None))
}

/// sudo(8): root may do everything without a password.
pub(super) fn sudo(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let (mut user, mut group, mut home) = ("root".to_owned(), None, false);
    let mut left = args.iter();
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = left.next() {
        match arg.as_str() {
            "-u" | "--user" => user = left.next().cloned().unwrap_or_default(),
            "-g" | "--group" => group = left.next().cloned(),
            "-n" | "--non-interactive" | "-E" | "--preserve-env" => {}
            "-H" | "--set-home" => home = true,
            "--" => words.extend(left.by_ref().cloned()),
            _ if arg.starts_with("--user=") => user = arg["--user=".len()..].to_owned(),
            _ if arg.starts_with("-u") && arg.len() > 2 => user = arg[2..].to_owned(),
            _ if arg.starts_with('-') => return process.unknown(arg),
            _ => {
                words.push(arg.clone());
                words.extend(left.by_ref().cloned());
            }
        }
    }
    let mut env = process.env.clone();
    while let Some((name, value)) = words.first().and_then(|word| word.split_once('=')) {
        env.insert(name.to_owned(), value.to_owned());
        words.remove(0);
    }
    if words.is_empty() {
        return process.unknown("without a command");
    }
    let Some(account) = process.world.accounts()?.users.get(user.trim_start_matches('#')).cloned() else {
        return process.fail(format_args!("unknown user {user}"), 1);
    };
    env.insert("USER".to_owned(), user.clone());
    env.insert("LOGNAME".to_owned(), user.clone());
    if home || account.uid != 0 {
        env.insert("HOME".to_owned(), account.home);
    }
    run_as(process, (&user, group.as_deref()), &words, (env, None))
}

/// Runs `words` with this environment, in this directory, so that what it makes belongs to the user.
fn run_as(
    process: &mut Process<'_, '_>,
    (user, group): (&str, Option<&str>),
    words: &[String],
    (env, home): (BTreeMap<String, String>, Option<&str>),
) -> Result<u8, Refusal> {
    let accounts = process.world.accounts()?;
    let account = match user.parse::<u32>() {
        Ok(uid) => accounts.user_of(uid).map(|(_, account)| account),
        Err(_) => accounts.users.get(user),
    };
    let primary = account.and_then(|account| accounts.group_of(account.gid)).map(|(name, _)| name.to_owned());
    let group = group.map(str::to_owned).or(primary).unwrap_or_else(|| "root".to_owned());
    let acting = Ownership { user: Owner::parse(user), group: Owner::parse(&group) };
    let cwd = match home {
        Some(home) => {
            process.world.resolve(&process.cwd, home, crate::world::Follow::Yes).unwrap_or(process.cwd.clone())
        }
        None => process.cwd.clone(),
    };
    let stdin = process.take_stdin();
    let before = std::mem::replace(&mut process.world.acting, acting);
    let mut rest = Vec::new();
    let mut child = Process {
        world: &mut *process.world,
        name: process.name.clone(),
        cwd,
        umask: process.umask,
        env: &env,
        stdin: &mut rest,
        stdout: Vec::new(),
        stderr: Vec::new(),
        assign: Vec::new(),
        programs: process.programs,
        calls: process.calls,
    };
    let finished = launch(&mut child, words, stdin);
    process.world.acting = before;
    let Finished { status, stdout, stderr } = finished?;
    process.print(stdout);
    process.stderr.extend_from_slice(&stderr);
    Ok(status)
}
