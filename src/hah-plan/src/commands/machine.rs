//! Commands about the running machine, as in a chroot where nothing is mounted, no terminal is there and nothing runs.

mod df;

use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("which", which),
    Command::always("tty", tty),
    Command::always("tput", no_terminal),
    Command::always("stty", |process, _| {
        process.complain("'standard input': Inappropriate ioctl for device");
        Ok(1)
    }),
    Command::always("clear", no_terminal),
    Command::always("reset", no_terminal),
    Command::always("logger", logger),
    Command::always("getconf", getconf),
    Command::in_tree("kill", kill),
    Command::in_tree("ps", ps),
    Command::in_tree("who", |_, _| Ok(0)),
    Command::always("mount", mount),
    Command::always("umount", umount),
    Command::always("findmnt", |_, _| Ok(1)),
    Command::always("chattr", chattr),
    Command::always("lsattr", |process, _| process.unknown("on a tree that has no such attributes")),
    Command::always("df", df::df),
    Command::always("lscpu", |process, _| process.unknown("at build time: the machine is not known")),
    Command::always("dd", dd),
];

/// which(1) of debianutils: `-a`, `-s`. A native command without a file is found where PATH has its name.
fn which(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "a s", Order::Any)?;
    let mut status = u8::from(options.operands.is_empty());
    for name in &options.operands {
        let paths: Vec<String> = match name.contains('/') {
            true => vec![name.clone()],
            false => {
                let path = process.env.get("PATH").cloned().unwrap_or_default();
                path.split(':')
                    .map(|directory| format!("{}/{name}", if directory.is_empty() { "." } else { directory }))
                    .collect()
            }
        };
        let mut found = false;
        for path in paths {
            if process.stat(&path).is_ok_and(|stat| stat.is_file() && stat.is_executable())
                && (!found || options.has("a"))
            {
                found = true;
                if !options.has("s") {
                    process.print_line(path);
                }
            }
        }
        status |= u8::from(!found);
    }
    Ok(status)
}

fn tty(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "s,silent ,quiet", Order::Any)?;
    if options.given.is_empty() {
        process.print_line("not a tty");
    }
    Ok(1)
}

/// tput(1), clear(1): TERM is not set.
fn no_terminal(process: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    process.complain("No value for $TERM and no -T specified");
    Ok(2)
}

/// logger(1): nobody keeps a log while an image is built; with `-s` the text goes to standard error as well.
fn logger(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options =
        process.options(args, "s,stderr t,tag= p,priority= i e f,file= ,id=? n,server= u,socket=", Order::Any)?;
    if options.operands.is_empty() {
        process.take_stdin();
    }
    if options.has("s") {
        let text = format!("<13>{}: {}\n", options.value("t").unwrap_or("root"), options.operands.join(" "));
        process.stderr.extend_from_slice(text.as_bytes());
    }
    Ok(0)
}

/// getconf(1) of what is the same on every node.
fn getconf(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let wide = process.world.machine.contains("64");
    let value = match args.first().map(String::as_str) {
        Some("LONG_BIT" | "WORD_BIT") => {
            if wide && args[0] == "LONG_BIT" {
                "64"
            } else {
                "32"
            }
        }
        Some("ARG_MAX") => "2097152",
        Some("NAME_MAX") => "255",
        Some("PATH_MAX") => "4096",
        Some("CLK_TCK") => "100",
        Some("PATH") => "/bin:/usr/bin",
        other => return process.unknown(other.unwrap_or("without a name")),
    };
    process.print_line(value);
    Ok(0)
}

/// kill(1): nothing runs, so that no process has the number.
fn kill(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    if args.first().is_some_and(|arg| arg == "-l" || arg == "-L") {
        return process.unknown("-l");
    }
    for pid in args.iter().filter(|arg| arg.bytes().all(|byte| byte.is_ascii_digit())) {
        process.complain(format_args!("sending signal to {pid} failed: No such process"));
    }
    Ok(1)
}

/// ps(1): the head of an empty list; a process that is asked for (`-p`, `-C`) is not there.
fn ps(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    if args.iter().any(|arg| arg.contains('o')) {
        return process.unknown("-o");
    }
    process.print_line("    PID TTY          TIME CMD");
    Ok(u8::from(!args.is_empty() && args.iter().any(|arg| matches!(arg.as_str(), "-p" | "-C" | "--pid" | "p"))))
}

/// mount(8): the list is empty; mounting is refused.
fn mount(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "l t,types= v", Order::Any)?;
    if options.operands.is_empty() { Ok(0) } else { process.unknown(&options.operands.join(" ")) }
}

/// umount(8): nothing is mounted.
fn umount(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "l,lazy f,force q,quiet R,recursive n r v", Order::Any)?;
    for path in &options.operands {
        if process.stat(path).is_err() {
            process.complain(format_args!("{path}: no mount point specified."));
        } else if !options.has("q") {
            process.complain(format_args!("{path}: not mounted."));
        }
    }
    Ok(if options.operands.is_empty() { 1 } else { 32 })
}

/// chattr(1): an image's root is read only, and its file system has none of these attributes.
fn chattr(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut status = 0;
    let is_mode = |arg: &&String| arg.starts_with(['+', '-', '=']);
    for path in args.iter().filter(|arg| !is_mode(arg)) {
        if process.lstat(path).is_err() {
            process.complain(format_args!("No such file or directory while trying to stat {path}"));
        } else {
            process.complain(format_args!("Operation not supported while reading flags on {path}"));
        }
        status = 1;
    }
    Ok(status)
}

/// dd(1) of whole files: `if= of= bs= count= skip= status=`, `conv=notrunc` with neither seek nor count.
fn dd(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let (mut input, mut output) = ("-".to_owned(), None);
    let (mut block, mut count, mut skip) = (512_u64, None, 0);
    let mut quiet = false;
    for arg in args {
        let Some((name, value)) = arg.split_once('=') else { return process.unknown(arg) };
        let number = || super::numbers::size(value);
        match (name, number()) {
            ("if", _) => input = value.to_owned(),
            ("of", _) => output = Some(value.to_owned()),
            ("bs" | "ibs", Some(number)) if number > 0 => block = number,
            ("count", Some(number)) => count = Some(number),
            ("skip", Some(number)) => skip = number,
            ("status", _) => quiet = value == "none",
            ("conv", _) if matches!(value, "fsync" | "fdatasync") => {}
            _ => return process.unknown(arg),
        }
    }
    let most = count.map(|count| count.saturating_mul(block));
    let from_zero = input == "/dev/zero";
    let bytes = match most {
        Some(most) if from_zero && skip == 0 => {
            process.world.spend_bytes(most)?;
            vec![0; usize::try_from(most).map_err(|_| Refusal::new("a file of that size"))?]
        }
        _ => match process.read_operand(&input)? {
            Some(bytes) => bytes,
            None => return Ok(1),
        },
    };
    let start = usize::try_from(skip.saturating_mul(block)).unwrap_or(usize::MAX).min(bytes.len());
    let end = most
        .and_then(|most| usize::try_from(most).ok())
        .map_or(bytes.len(), |most| start.saturating_add(most).min(bytes.len()));
    let part = &bytes[start..end];
    match output {
        Some(path) => {
            let written = process.write_file(&path, part);
            if process.check(&format!("failed to open '{path}'"), written)?.is_none() {
                return Ok(1);
            }
        }
        None => process.print(part),
    }
    if !quiet {
        let (whole, rest) = (part.len() as u64 / block, u64::from(!(part.len() as u64).is_multiple_of(block)));
        process.stderr.extend_from_slice(format!("{whole}+{rest} records in\n{whole}+{rest} records out\n").as_bytes());
    }
    Ok(0)
}
