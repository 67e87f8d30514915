//! update-alternatives(1): the command line of [`Registry`].
//!
//! Links and records change at once. `--config` and `--all` would ask somebody, and directories of one's own
//! (`--altdir`, `--admindir`, `--instdir`, `--root`) are not those of the image: both are refused.

use super::{Command, Process, Refusal};
use crate::alternatives::{Group, Loudness, Mode, Registry, Stop, check_name, check_path};
use crate::effects::{Alternative, Slave};

pub(super) const COMMANDS: &[Command] = &[Command::always("update-alternatives", update_alternatives)];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Install(Alternative),
    Remove(String, String),
    RemoveAll(String),
    Set(String, String),
    Auto(String),
    Display(String),
    Query(String),
    List(String),
    Config(String),
    GetSelections,
    SetSelections,
}

impl Action {
    fn option(&self) -> &'static str {
        match self {
            Self::Install(_) => "install",
            Self::Remove(..) => "remove",
            Self::RemoveAll(_) => "remove-all",
            Self::Set(..) => "set",
            Self::Auto(_) => "auto",
            Self::Display(_) => "display",
            Self::Query(_) => "query",
            Self::List(_) => "list",
            Self::Config(_) => "config",
            Self::GetSelections => "get-selections",
            Self::SetSelections => "set-selections",
        }
    }
}

/// Why the arguments are not taken.
enum Wrong {
    /// The tool ends with status 2 and `update-alternatives: TEXT` with how to get help.
    Usage(String),
    /// The tool ends with status 2 and `update-alternatives: error: TEXT`.
    Error(String),
    /// We do not know it.
    Unknown(String),
}

impl From<Stop> for Wrong {
    fn from(stop: Stop) -> Self {
        Self::Error(stop.to_string())
    }
}

/// The parsed command line.
#[derive(Default)]
struct Request {
    action: Option<Action>,
    force: bool,
    skip_auto: bool,
    loudness: Loudness,
}

fn update_alternatives(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let request = match parse(arguments) {
        Ok(request) => request,
        Err(Wrong::Usage(what)) => {
            process.complain(format_args!("{what}\n\nUse 'update-alternatives --help' for program usage information."));
            return Ok(2);
        }
        Err(Wrong::Error(what)) => {
            process.complain(format_args!("error: {what}"));
            return Ok(2);
        }
        Err(Wrong::Unknown(what)) => return process.unknown(&what),
    };
    let Some(action) = request.action else { return process.unknown("without a command") };
    let selections = if action == Action::SetSelections { process.take_stdin() } else { Vec::new() };
    let mut registry = Registry::of(process.world);
    registry.force = request.force;
    registry.loudness = request.loudness;
    let mut out = String::new();
    let done = match &action {
        Action::Install(offer) => registry.install(offer),
        Action::Remove(name, path) => registry.remove(name, path),
        Action::RemoveAll(name) => registry.remove_all(name),
        Action::Set(name, path) => registry.set(name, path),
        Action::Auto(name) => registry.set_auto(name),
        Action::Display(name) => show(&mut registry, name, display).map(|text| out = text),
        Action::Query(name) => show(&mut registry, name, query).map(|text| out = text),
        Action::List(name) => show(&mut registry, name, list).map(|text| out = text),
        Action::Config(name) => match registry.require(name) {
            Ok(group) if group.choices.is_empty() => {
                out = format!("There is no program which provides {name}.\nNothing to configure.\n");
                registry.settle(name)
            }
            Ok(group) if request.skip_auto && group.mode == Mode::Auto => {
                show(&mut registry, name, display).map(|text| out = text).and_then(|()| registry.settle(name))
            }
            Ok(_) => return process.unknown("--config, which asks somebody,"),
            Err(stop) => Err(stop),
        },
        Action::GetSelections => get_selections(&mut registry).map(|text| out = text),
        Action::SetSelections => set_selections(&mut registry, &String::from_utf8_lossy(&selections)),
    };
    let (said, warned) = (registry.said, registry.warned);
    for line in said {
        process.print_line(format!("update-alternatives: {line}"));
    }
    process.print(out);
    for line in warned {
        process.complain(format_args!("warning: {line}"));
    }
    match done {
        Ok(()) => Ok(0),
        Err(Stop::Failed(what)) => {
            process.complain(format_args!("error: {what}"));
            Ok(2)
        }
        Err(Stop::Final(error)) => Err(error.into()),
    }
}

fn parse(arguments: &[String]) -> Result<Request, Wrong> {
    let mut request = Request::default();
    let mut left = arguments.iter().map(String::as_str);
    while let Some(word) = left.next() {
        let option = word.strip_prefix("--").ok_or_else(|| Wrong::Error(format!("unknown argument '{word}'")))?;
        let mut take = |what: &str| {
            let found: Vec<&str> = left.by_ref().take(what.split(' ').count()).collect();
            match found.len() == what.split(' ').count() {
                true => Ok(found),
                false => Err(Wrong::Usage(format!("--{option} needs {what}"))),
            }
        };
        let action = match option {
            "quiet" => {
                request.loudness = Loudness::Quiet;
                continue;
            }
            "verbose" | "debug" => {
                request.loudness = Loudness::Verbose;
                continue;
            }
            "force" => {
                request.force = true;
                continue;
            }
            "skip-auto" => {
                request.skip_auto = true;
                continue;
            }
            // No log is written anywhere.
            "log" => {
                if left.next().is_none() {
                    return Err(Wrong::Usage("--log needs a <file> argument".to_owned()));
                }
                continue;
            }
            "slave" => {
                let Some(Action::Install(offer)) = &mut request.action else {
                    return Err(Wrong::Usage("--slave only allowed with --install".to_owned()));
                };
                let words = take("<link> <name> <path>")?;
                let slave = slave(offer, words[0], words[1], words[2])?;
                offer.slaves.push(slave);
                continue;
            }
            "install" => Action::Install(offer(&take("<link> <name> <path> <priority>")?)?),
            "remove" | "set" => {
                let words = take("<name> <path>")?;
                check_name(words[0])?;
                check_path(words[1])?;
                let (name, path) = (words[0].to_owned(), words[1].to_owned());
                if option == "set" { Action::Set(name, path) } else { Action::Remove(name, path) }
            }
            "display" | "query" | "auto" | "config" | "list" | "remove-all" => {
                let words = take("<name>")?;
                check_name(words[0])?;
                let name = words[0].to_owned();
                match option {
                    "display" => Action::Display(name),
                    "query" => Action::Query(name),
                    "auto" => Action::Auto(name),
                    "config" => Action::Config(name),
                    "list" => Action::List(name),
                    _ => Action::RemoveAll(name),
                }
            }
            "get-selections" => Action::GetSelections,
            "set-selections" => Action::SetSelections,
            "all" | "altdir" | "admindir" | "instdir" | "root" | "help" | "version" => {
                return Err(Wrong::Unknown(word.to_owned()));
            }
            _ => return Err(Wrong::Usage(format!("unknown option '{word}'"))),
        };
        if let Some(other) = &request.action {
            let what = format!("two commands specified: --{} and --{}", other.option(), action.option());
            return Err(Wrong::Usage(what));
        }
        request.action = Some(action);
    }
    match request.action {
        Some(_) => Ok(request),
        None => Err(Wrong::Usage(
            "need --display, --query, --list, --get-selections, --config, --set, --set-selections, --install, \
             --remove, --all, --remove-all or --auto"
                .to_owned(),
        )),
    }
}

fn offer(words: &[&str]) -> Result<Alternative, Wrong> {
    let [link, name, path, priority] = words else { return Err(Wrong::Usage(String::new())) };
    if link == path {
        return Err(Wrong::Usage(format!("<link> '{link}' is the same as <path>")));
    }
    // As strtol(3): blanks and a plus sign may stand before the digits.
    let digits = priority.trim_start();
    let number: i128 = digits.parse().map_err(|_| Wrong::Usage(format!("priority '{priority}' must be an integer")))?;
    let priority = i32::try_from(number).map_err(|_| Wrong::Usage(format!("priority '{priority}' is out of range")))?;
    Ok(Alternative { name: (*name).into(), link: (*link).into(), path: (*path).into(), priority, slaves: Vec::new() })
}

fn slave(offer: &Alternative, link: &str, name: &str, path: &str) -> Result<Slave, Wrong> {
    let wrong = |what: String| Err(Wrong::Usage(what));
    if link == path {
        return wrong(format!("<link> '{link}' is the same as <path>"));
    }
    if *offer.name == *name {
        return wrong(format!("<name> '{name}' is both primary and slave"));
    }
    if *offer.link == *link {
        return wrong(format!("<link> '{link}' is both primary and slave"));
    }
    if offer.slaves.iter().any(|other| *other.name == *name) {
        return wrong(format!("duplicate slave <name> '{name}'"));
    }
    if offer.slaves.iter().any(|other| *other.link == *link) {
        return wrong(format!("duplicate slave <link> '{link}'"));
    }
    Ok(Slave { name: name.into(), link: link.into(), path: path.into() })
}

fn show(registry: &mut Registry<'_, '_>, name: &str, how: fn(&Group, Option<&str>) -> String) -> Result<String, Stop> {
    let group = registry.require(name)?;
    let current = registry.current(name)?;
    Ok(how(&group, current.as_deref()))
}

fn display(group: &Group, current: Option<&str>) -> String {
    let mut out = vec![format!("{} - {} mode", group.name, group.mode)];
    out.push(match group.best(current) {
        Some(best) => format!("  link best version is {}", best.path),
        None => "  link best version not available".to_owned(),
    });
    out.push(match current {
        Some(current) => format!("  link currently points to {current}"),
        None => "  link currently absent".to_owned(),
    });
    out.push(format!("  link {} is {}", group.name, group.link));
    out.extend(group.followers.iter().map(|follower| format!("  slave {} is {}", follower.name, follower.link)));
    for choice in &group.choices {
        out.push(format!("{} - priority {}", choice.path, choice.priority));
        for follower in &group.followers {
            out.extend(choice.file(&follower.name).map(|file| format!("  slave {}: {file}", follower.name)));
        }
    }
    lines(&out)
}

fn query(group: &Group, current: Option<&str>) -> String {
    let mut out = vec![format!("Name: {}", group.name), format!("Link: {}", group.link)];
    if !group.followers.is_empty() {
        out.push("Slaves:".to_owned());
        out.extend(group.followers.iter().map(|follower| format!(" {} {}", follower.name, follower.link)));
    }
    out.push(format!("Status: {}", group.mode));
    out.extend(group.best(current).map(|best| format!("Best: {}", best.path)));
    out.push(format!("Value: {}", current.unwrap_or("none")));
    for choice in &group.choices {
        out.push(String::new());
        out.push(format!("Alternative: {}", choice.path));
        out.push(format!("Priority: {}", choice.priority));
        if !group.followers.is_empty() {
            out.push("Slaves:".to_owned());
            for follower in &group.followers {
                out.extend(choice.file(&follower.name).map(|file| format!(" {} {file}", follower.name)));
            }
        }
    }
    lines(&out)
}

fn list(group: &Group, _: Option<&str>) -> String {
    group.choices.iter().map(|choice| format!("{}\n", choice.path)).collect()
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn get_selections(registry: &mut Registry<'_, '_>) -> Result<String, Stop> {
    let mut out = String::new();
    for group in registry.load_all()? {
        let current = registry.current(&group.name)?.unwrap_or_default();
        out.push_str(&format!("{:<30} {:<8} {current}\n", group.name, group.mode.to_string()));
    }
    Ok(out)
}

fn set_selections(registry: &mut Registry<'_, '_>, text: &str) -> Result<(), Stop> {
    for line in text.split_inclusive('\n') {
        let Some(line) = line.strip_suffix('\n') else {
            return Err(Stop::Failed(
                "line too long or not terminated while trying to read <standard input>".to_owned(),
            ));
        };
        let mut words = line.splitn(2, [' ', '\t']);
        let name = words.next().unwrap_or_default();
        let rest = words.next().unwrap_or_default().trim_start_matches([' ', '\t']);
        match rest.split_once([' ', '\t']).map(|(status, choice)| (status, choice.trim_start_matches([' ', '\t']))) {
            Some((status, choice)) if !choice.is_empty() => registry.select(name, status, choice)?,
            _ => registry.said.push(format!("skip invalid selection line: {line}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
