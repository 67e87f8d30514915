//! `export readonly unset set shift local`

use super::is_name;
use crate::shell::{Eval, Halt, Shell, Variable};

/// `'value'`, to be read by a shell again.
pub(super) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\"'\"'"))
}

pub(super) fn export(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    attribute(shell, args, "export", |variable| &mut variable.exported)
}

pub(super) fn readonly(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    attribute(shell, args, "readonly", |variable| &mut variable.readonly)
}

fn attribute(shell: &mut Shell<'_, '_>, args: &[String], word: &str, of: fn(&mut Variable) -> &mut bool) -> Eval {
    let args = if args.first().is_some_and(|arg| arg == "--") { &args[1..] } else { args };
    if args.is_empty() || args[0] == "-p" {
        let mut text = String::new();
        for (name, variable) in &mut shell.variables {
            if *of(variable) {
                let value = variable.value.as_deref().map(|value| format!("={}", quoted(value))).unwrap_or_default();
                text.push_str(&format!("{word} {name}{value}\n"));
            }
        }
        shell.print(text.as_bytes())?;
    }
    for arg in args.iter().filter(|arg| *arg != "-p") {
        let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(name, value)| (name, Some(value)));
        if !is_name(name) {
            return Err(shell.die(&format!("{word}: {name}: bad variable name")));
        }
        if let Some(value) = value {
            shell.assign(name, value.to_owned())?;
        }
        *of(shell.variables.entry(name.to_owned()).or_default()) = true;
    }
    shell.status = 0;
    Ok(())
}

pub(super) fn unset(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let mut functions = false;
    for arg in args {
        match arg.as_str() {
            "-f" => functions = true,
            "-v" => functions = false,
            "--" => {}
            option if option.starts_with('-') => return Err(shell.die(&format!("unset: Illegal option {option}"))),
            name if functions => {
                shell.functions.remove(name);
            }
            name if !is_name(name) => return Err(shell.die(&format!("unset: {name}: bad variable name"))),
            name => {
                if shell.variables.get(name).is_some_and(|found| found.readonly) {
                    return Err(shell.die(&format!("unset: {name}: is read only")));
                }
                shell.variables.remove(name);
            }
        }
    }
    shell.status = 0;
    Ok(())
}

pub(super) fn set(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    if args.is_empty() {
        let mut text = String::new();
        for (name, variable) in &shell.variables {
            if let Some(value) = &variable.value {
                text.push_str(&format!("{name}={}\n", quoted(value)));
            }
        }
        shell.print(text.as_bytes())?;
    }
    shell.status = 0;
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        let on = match arg.chars().next() {
            Some('-') => true,
            Some('+') => false,
            _ => break,
        };
        at += 1;
        if arg == "--" {
            shell.positional = args[at..].to_vec();
            return Ok(());
        }
        if arg == "-" {
            break;
        }
        for letter in arg.chars().skip(1) {
            if letter == 'o' {
                let Some(name) = args.get(at) else { return print_options(shell, on) };
                at += 1;
                match shell.options.named(name) {
                    // Of bash, and of later versions of dash.
                    Some(option) if name != "pipefail" || shell.bash => *option = on,
                    _ => return Err(shell.die(&format!("set: Illegal option -o {name}"))),
                }
                continue;
            }
            match shell.options.letter(letter) {
                Some(option) => *option = on,
                // What concerns a terminal, or jobs, changes nothing here.
                None if "bhimsIEVk".contains(letter) => {}
                None => return Err(shell.die(&format!("set: Illegal option -{letter}"))),
            }
        }
    }
    if at < args.len() {
        shell.positional = args[at..].to_vec();
    }
    Ok(())
}

/// The options by name, in dash's order; those that concern a terminal are always off.
const OPTIONS: [&str; 18] = [
    "errexit",
    "noglob",
    "ignoreeof",
    "interactive",
    "monitor",
    "noexec",
    "stdin",
    "xtrace",
    "verbose",
    "vi",
    "emacs",
    "noclobber",
    "allexport",
    "notify",
    "nounset",
    "privileged",
    "nolog",
    "debug",
];

/// `set -o` for a person, `set +o` for a shell.
fn print_options(shell: &mut Shell<'_, '_>, for_person: bool) -> Eval {
    let mut text = String::from(if for_person { "Current option settings\n" } else { "" });
    for name in OPTIONS {
        let on = shell.options.named(name).is_some_and(|on| *on);
        text.push_str(&match for_person {
            true => format!("{name:<16}{}\n", if on { "on" } else { "off" }),
            false => format!("set {}o {name}\n", if on { '-' } else { '+' }),
        });
    }
    shell.print(text.as_bytes())?;
    Ok(())
}

pub(super) fn shift(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    let count = match args.first().map(|arg| arg.parse::<usize>()) {
        None => 1,
        Some(Ok(count)) => count,
        Some(Err(_)) => return Err(shell.die(&format!("shift: Illegal number: {}", args[0]))),
    };
    if count > shell.positional.len() {
        return Err(shell.die("shift: can't shift that many"));
    }
    shell.positional.drain(..count);
    shell.status = 0;
    Ok(())
}

pub(super) fn local(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    if shell.hidden.is_empty() {
        return Err(shell.die("local: not in a function"));
    }
    let (attributes, args) = attributes(shell, "local", args)?;
    for arg in args {
        if arg == "-" {
            let options = shell.options;
            if let Some(frame) = shell.hidden.last_mut() {
                frame.options.get_or_insert(options);
            }
            continue;
        }
        let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(name, value)| (name, Some(value)));
        if !is_name(name) {
            return Err(shell.die(&format!("local: {name}: bad variable name")));
        }
        let before = shell.variables.get(name).cloned();
        if let Some(frame) = shell.hidden.last_mut() {
            frame.variables.push((name.to_owned(), before));
        }
        if shell.bash {
            shell.variables.remove(name);
        }
        // As in dash, a local variable begins with the value that it hides; in bash it begins without one.
        if let Some(value) = value {
            shell.assign(name, value.to_owned())?;
        } else {
            shell.variables.entry(name.to_owned()).or_default();
        }
        attributes.give(shell, name);
    }
    shell.status = 0;
    Ok(())
}

/// What bash's `local` and `declare` make of a variable.
#[derive(Clone, Copy, Default)]
struct Attributes {
    exported: bool,
    readonly: bool,
}

impl Attributes {
    fn give(self, shell: &mut Shell<'_, '_>, name: &str) {
        let Some(variable) = shell.variables.get_mut(name) else { return };
        variable.exported |= self.exported;
        variable.readonly |= self.readonly;
    }
}

/// The options `-r` and `-x` of bash, and the arguments behind them. dash has none.
fn attributes<'a>(
    shell: &mut Shell<'_, '_>,
    word: &str,
    mut args: &'a [String],
) -> Result<(Attributes, &'a [String]), Halt> {
    let mut attributes = Attributes::default();
    while let Some((option, rest)) = args.split_first().filter(|(first, _)| shell.bash && first.starts_with('-')) {
        if option.len() == 1 {
            break;
        }
        args = rest;
        if option == "--" {
            break;
        }
        for letter in option.chars().skip(1) {
            match letter {
                'r' => attributes.readonly = true,
                'x' => attributes.exported = true,
                _ => return shell.refuse(format!("`{word} {option}`")),
            }
        }
    }
    Ok((attributes, args))
}

/// bash's `declare`, for variables that hold a text.
pub(super) fn declare(shell: &mut Shell<'_, '_>, args: &[String]) -> Eval {
    if !shell.hidden.is_empty() {
        return local(shell, args);
    }
    let (attributes, args) = attributes(shell, "declare", args)?;
    for arg in args {
        let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(name, value)| (name, Some(value)));
        if !is_name(name) {
            return Err(shell.die(&format!("declare: {name}: bad variable name")));
        }
        match value {
            Some(value) => shell.assign(name, value.to_owned())?,
            None => drop(shell.variables.entry(name.to_owned()).or_default()),
        }
        attributes.give(shell, name);
    }
    shell.status = 0;
    Ok(())
}
