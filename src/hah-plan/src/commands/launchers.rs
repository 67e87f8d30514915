//! Commands that run another one: env(1), nice(1), nohup(1), timeout(1), stdbuf(1), setsid(1), ionice(1), chroot(8) of `/`.

use std::collections::BTreeMap;

use super::options::Order;
use super::{Command, Process, Refusal};
use crate::shell;

pub(super) const COMMANDS: &[Command] = &[
    Command::always("env", env),
    Command::always("nice", nice),
    Command::always("ionice", |process, args| behind(process, args, "c,class= n,classdata= t,ignore")),
    Command::always("nohup", |process, args| behind(process, args, "")),
    Command::always("setsid", |process, args| behind(process, args, "c,ctty f,fork w,wait")),
    Command::always("stdbuf", |process, args| behind(process, args, "i,input= o,output= e,error=")),
    Command::always("timeout", timeout),
    Command::always("chroot", chroot),
    Command::always("sleep", sleep),
];

/// Runs `words` in the place of this command.
fn instead(process: &mut Process<'_, '_>, words: &[String]) -> Result<u8, Refusal> {
    let stdin = process.take_stdin();
    let finished = shell::launch(process, words, stdin)?;
    process.stdout.extend_from_slice(&finished.stdout);
    process.stderr.extend_from_slice(&finished.stderr);
    Ok(finished.status)
}

/// What changes nothing here, before a command.
fn behind(process: &mut Process<'_, '_>, args: &[String], spec: &'static str) -> Result<u8, Refusal> {
    let options = process.options(args, spec, Order::First)?;
    match options.operands.as_slice() {
        [] => process.missing_operand(125),
        words => instead(process, words),
    }
}

/// env(1): `-i -u NAME -C DIR -0 NAME=VALUE…`; without a command it prints the environment. `-S` is not.
fn env(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "i,ignore-environment u,unset= C,chdir= 0,null", Order::First)?;
    let mut words = options.operands.as_slice();
    let mut env = process.env.clone();
    // A lone `-` is `-i`.
    let bare = words.first().is_some_and(|word| word == "-");
    if bare {
        words = &words[1..];
    }
    if bare || options.has("i") {
        env = BTreeMap::new();
    }
    for given in options.given.iter().filter(|given| given.name == "u") {
        env.remove(given.text());
    }
    while let [first, rest @ ..] = words
        && let Some((name, value)) = first.split_once('=')
    {
        env.insert(name.to_owned(), value.to_owned());
        words = rest;
    }
    if words.is_empty() {
        for (name, value) in env {
            process.print(format!("{name}={value}"));
            process.print(if options.has("0") { "\0" } else { "\n" });
        }
        return Ok(0);
    }
    let mut cwd = process.cwd.clone();
    if let Some(directory) = options.value("C") {
        let stat = process.stat(directory);
        match process
            .check(&format!("cannot change directory to {}", super::operands::shell_quoted(directory)), stat)?
        {
            Some(stat) => cwd = stat.path,
            None => return Ok(125),
        }
    }
    let mut stdin = process.take_stdin();
    let mut nothing = Vec::new();
    let mut child = Process {
        world: process.world,
        name: process.name.clone(),
        cwd,
        umask: process.umask,
        env: &env,
        stdin: &mut nothing,
        stdout: Vec::new(),
        stderr: Vec::new(),
        assign: Vec::new(),
        programs: process.programs,
        calls: process.calls,
    };
    let finished = shell::launch(&mut child, words, std::mem::take(&mut stdin))?;
    process.stdout.extend_from_slice(&finished.stdout);
    process.stderr.extend_from_slice(&finished.stderr);
    Ok(finished.status)
}

/// nice(1): `-n N`, `-N`; alone it prints 0.
fn nice(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let args: Vec<String> = match args {
        [first, rest @ ..] if first.strip_prefix('-').is_some_and(|digits| digits.parse::<i32>().is_ok()) => {
            rest.to_vec()
        }
        args => args.to_vec(),
    };
    if args.is_empty() {
        process.print_line("0");
        return Ok(0);
    }
    behind(process, &args, "n,adjustment=")
}

/// timeout(1): nothing takes time here, so that the command runs to its end.
fn timeout(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "k,kill-after= s,signal= v,verbose ,preserve-status ,foreground";
    let options = process.options(args, spec, Order::First)?;
    match options.operands.as_slice() {
        [] | [_] => process.missing_operand(125),
        [_, words @ ..] => instead(process, words),
    }
}

/// chroot(8) into `/`, which is where everything is; other directories are refused.
fn chroot(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "", Order::First)?;
    match options.operands.as_slice() {
        [directory, words @ ..] if directory == "/" && !words.is_empty() => instead(process, words),
        _ => process.unknown("into another directory"),
    }
}

/// sleep(1): no time passes.
fn sleep(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    if args.is_empty() {
        return process.missing_operand(1);
    }
    for arg in args {
        let number = arg.trim_end_matches(['s', 'm', 'h', 'd']);
        if number != "infinity" && number.parse::<f64>().is_err() {
            let arg = process.quote(arg);
            process.complain(format_args!("invalid time interval {arg}"));
            return Ok(1);
        }
    }
    Ok(0)
}
