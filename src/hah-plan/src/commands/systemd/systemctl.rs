//! systemctl(1) in a chroot: unit files are changed, commands to a manager are ignored.

use hah_format::path::TreePath;

use super::enablement::{Change, State};
use super::sysv;
use crate::commands::{Process, Refusal};
use crate::configure::units::{UnitName, search_path};
use crate::effects::{Manager, UnitAction};

/// Verbs that talk to a manager; systemctl ignores them in a chroot.
const IGNORED: &[&str] = &[
    "bind",
    "cancel",
    "cat",
    "clean",
    "condreload",
    "condrestart",
    "condstop",
    "daemon-reexec",
    "daemon-reload",
    "default",
    "edit",
    "emergency",
    "exit",
    "force-reload",
    "freeze",
    "halt",
    "help",
    "hibernate",
    "hybrid-sleep",
    "import-environment",
    "is-active",
    "is-failed",
    "isolate",
    "kexec",
    "kill",
    "list-automounts",
    "list-dependencies",
    "list-jobs",
    "list-machines",
    "list-paths",
    "list-sockets",
    "list-timers",
    "list-units",
    "log-level",
    "log-target",
    "mount-image",
    "poweroff",
    "reboot",
    "reload",
    "reload-or-restart",
    "reload-or-try-restart",
    "rescue",
    "reset-failed",
    "restart",
    "service-log-level",
    "service-log-target",
    "service-watchdogs",
    "set-environment",
    "set-property",
    "show",
    "show-environment",
    "sleep",
    "soft-reboot",
    "start",
    "status",
    "stop",
    "suspend",
    "suspend-then-hibernate",
    "switch-root",
    "thaw",
    "try-reload-or-restart",
    "try-restart",
    "unset-environment",
    "whoami",
];

/// Options that change nothing here.
const SILENT: &[&str] = &[
    "--no-reload",
    "--no-block",
    "--no-ask-password",
    "--no-pager",
    "--no-legend",
    "--no-wall",
    "--now",
    "--force",
    "-f",
    "--full",
    "-l",
    "--all",
    "-a",
    "--system",
    "--no-warn",
    "--wait",
    "--plain",
    "--value",
    "--show-types",
    "--marked",
];

/// Options with a value that change nothing here.
const SILENT_VALUES: &[&str] = &[
    "--property",
    "-p",
    "--state",
    "--type",
    "-t",
    "--lines",
    "-n",
    "--output",
    "-o",
    "--signal",
    "-s",
    "--kill-who",
    "--kill-whom",
    "--job-mode",
    "--timestamp",
    "--what",
    "--message",
];

/// How presets are followed: `--preset-mode`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PresetMode {
    Full,
    EnableOnly,
    DisableOnly,
}

struct Request<'a> {
    manager: Manager,
    is_quiet: bool,
    /// Whether the change would be forgotten at the next boot.
    is_runtime: bool,
    preset: PresetMode,
    words: Vec<&'a str>,
}

/// The command.
pub(super) fn systemctl(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let request = parse(process, arguments)?;
    let (verb, names) = request.words.split_first().map_or(("list-units", &[][..]), |(verb, names)| (*verb, names));
    if IGNORED.contains(&verb) {
        if !request.is_quiet {
            say(process, &format!("Running in chroot, ignoring command '{verb}'"));
        }
        return Ok(0);
    }
    match verb {
        "is-system-running" => {
            if !request.is_quiet {
                process.print_line("offline");
            }
            return Ok(1);
        }
        "get-default" => return get_default(process),
        "set-default" => {
            return match names {
                [name] => set_default(process, &request, name),
                _ => Ok(failed(process, "set-default takes one target")),
            };
        }
        "enable" | "disable" | "reenable" | "mask" | "unmask" | "preset" | "is-enabled" | "add-wants"
        | "add-requires" => {}
        _ => return process.unknown(verb),
    }
    let mut units: Vec<String> = Vec::new();
    for name in names {
        units.push(unit_name(process, name)?);
    }
    if units.is_empty() {
        return Ok(failed(process, "Too few arguments."));
    }
    // Links below /run are not for an image.
    if request.is_runtime && verb != "is-enabled" {
        return Ok(0);
    }
    if verb == "is-enabled" {
        return is_enabled(process, &request, &units);
    }
    if let "add-wants" | "add-requires" = verb {
        return add_dependency(process, &request, &units, verb.trim_start_matches("add-"));
    }
    let mut status = 0;
    for unit in &units {
        if matches!(verb, "enable" | "disable") && sysv::has_script(process, request.manager, unit) {
            let is_all = sysv::has_only_script(process, request.manager, unit)?;
            status = status.max(sysv::toggle(process, unit.trim_end_matches(".service"), verb)?);
            if is_all {
                continue;
            }
        }
        let done = match verb {
            "enable" => enable(process, &request, unit),
            "disable" => disable(process, &request, unit),
            "reenable" => match disable(process, &request, unit)? {
                0 => enable(process, &request, unit),
                status => Ok(status),
            },
            "mask" => mask(process, &request, unit),
            "unmask" => unmask(process, &request, unit),
            _ => preset(process, &request, unit),
        };
        status = status.max(done?);
    }
    Ok(status)
}

/// `systemctl --root=/ --quiet VERB NAME` of update-rc.d, which has turned the script's links itself.
pub(super) fn quietly(process: &mut Process<'_, '_>, verb: &str, name: &str) -> Result<u8, Refusal> {
    if !process.world.exists(&TreePath::root(), "/usr/bin/systemctl") {
        return Ok(0);
    }
    let unit = unit_name(process, name)?;
    let request = Request { is_quiet: true, ..Request::of(Manager::System) };
    match verb {
        "enable" => enable(process, &request, &unit),
        _ => disable(process, &request, &unit),
    }
}

/// `systemctl --preset-mode=enable-only preset UNIT` of deb-systemd-helper.
pub(super) fn preset_enable_only(process: &mut Process<'_, '_>, manager: Manager, unit: &str) -> Result<u8, Refusal> {
    let request = Request { preset: PresetMode::EnableOnly, ..Request::of(manager) };
    let unit = unit_name(process, unit)?;
    preset(process, &request, &unit)
}

impl Request<'_> {
    fn of(manager: Manager) -> Self {
        Self { manager, is_quiet: false, is_runtime: false, preset: PresetMode::Full, words: Vec::new() }
    }
}

fn parse<'a>(process: &Process<'_, '_>, arguments: &'a [String]) -> Result<Request<'a>, Refusal> {
    let mut request = Request::of(Manager::System);
    let mut left = arguments.iter().map(String::as_str);
    while let Some(word) = left.next() {
        let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        match option {
            "--" => request.words.extend(left.by_ref()),
            _ if !word.starts_with('-') => request.words.push(word),
            "-q" | "--quiet" => request.is_quiet = true,
            "--runtime" => request.is_runtime = true,
            "--global" => request.manager = Manager::User,
            "--user" => request.manager = Manager::User,
            "--root" => match value.or_else(|| left.next()) {
                Some("" | "/") => {}
                _ => return process.unknown(word),
            },
            "--preset-mode" => {
                request.preset = match value.or_else(|| left.next()) {
                    Some("full") => PresetMode::Full,
                    Some("enable-only") => PresetMode::EnableOnly,
                    Some("disable-only") => PresetMode::DisableOnly,
                    _ => return process.unknown(word),
                };
            }
            _ if SILENT.contains(&option) => {}
            _ if SILENT_VALUES.contains(&option) => {
                if value.is_none() {
                    left.next();
                }
            }
            _ => return process.unknown(word),
        }
    }
    // A user's own manager is not there; its units are those of all users only with --global.
    let is_of_one_user =
        arguments.iter().any(|word| word == "--user") && !arguments.iter().any(|word| word == "--global");
    let changes = request.words.first().is_some_and(|verb| !IGNORED.contains(verb) && *verb != "is-system-running");
    if is_of_one_user && changes {
        return process.unknown("--user for root's own units");
    }
    Ok(request)
}

/// A unit's name as it was given: a path's last component, and a service without a suffix.
fn unit_name(process: &Process<'_, '_>, word: &str) -> Result<String, Refusal> {
    let name = match word.rsplit_once('/') {
        Some((directory, name)) => {
            let directory = directory.trim_start_matches('/');
            let known = |dir: &&&str| **dir == directory || dir.trim_start_matches("usr/") == directory;
            match search_path(Manager::System).iter().find(known) {
                Some(_) => name,
                None => return process.unknown(&format!("with {word}, which is in no directory of units,")),
            }
        }
        None => word,
    };
    if name.contains(['*', '?', '[']) {
        return process.unknown(&format!("with the pattern {name}"));
    }
    Ok(match UnitName::parse(name) {
        Some(_) => name.to_owned(),
        None => format!("{name}.service"),
    })
}

fn say(process: &mut Process<'_, '_>, line: &str) {
    process.stderr.extend_from_slice(line.as_bytes());
    process.stderr.push(b'\n');
}

fn failed(process: &mut Process<'_, '_>, line: &str) -> u8 {
    say(process, line);
    1
}

/// Says what was done, and leaves a package's wish for the pass.
fn told(process: &mut Process<'_, '_>, request: &Request<'_>, lines: &[String]) {
    if !request.is_quiet {
        lines.iter().for_each(|line| say(process, line));
    }
}

fn missing(
    process: &mut Process<'_, '_>,
    request: &Request<'_>,
    unit: &str,
    verb: &str,
) -> Result<Option<u8>, Refusal> {
    if process.is_masked(request.manager, unit) {
        let line = format!("Failed to {verb} unit: Unit /{}/{unit} is masked", search_path(request.manager)[0]);
        return Ok(Some(failed(process, &line)));
    }
    if !process.has_unit(request.manager, unit)? {
        return Ok(Some(failed(process, &format!("Failed to {verb} unit: Unit {unit} does not exist"))));
    }
    Ok(None)
}

fn enable(process: &mut Process<'_, '_>, request: &Request<'_>, unit: &str) -> Result<u8, Refusal> {
    if let Some(status) = missing(process, request, unit, "enable")? {
        return Ok(status);
    }
    let said = process.change_units(request.manager, Change::Enable(unit))?;
    if said.is_empty() && !process.is_installable(request.manager, unit)? && !request.is_quiet {
        say(process, "The unit files have no installation config (WantedBy=, RequiredBy=, UpheldBy=,");
        say(process, "Also=, or Alias= settings in the [Install] section, and DefaultInstance= for");
        say(process, "template units). This means they are not meant to be enabled or disabled using systemctl.");
    }
    told(process, request, &said);
    process.book_unit(request.manager, unit, Some(UnitAction::Enable));
    Ok(0)
}

fn disable(process: &mut Process<'_, '_>, request: &Request<'_>, unit: &str) -> Result<u8, Refusal> {
    // Of a masked unit systemctl sees no `[Install]` section.
    if process.is_masked(request.manager, unit) {
        return Ok(0);
    }
    if let Some(status) = missing(process, request, unit, "disable")? {
        return Ok(status);
    }
    let said = process.change_units(request.manager, Change::Disable(unit))?;
    told(process, request, &said);
    process.book_unit(request.manager, unit, Some(UnitAction::Disable));
    Ok(0)
}

fn mask(process: &mut Process<'_, '_>, request: &Request<'_>, unit: &str) -> Result<u8, Refusal> {
    if UnitName::parse(unit).is_none() {
        return Ok(failed(process, &format!("Failed to mask unit: Invalid unit name \"{unit}\".")));
    }
    let own = format!("/{}/{unit}", search_path(request.manager)[0]);
    let stat = process.world.stat(&TreePath::root(), &own, crate::world::Follow::No);
    if stat.is_ok_and(|stat| !stat.is_symlink()) {
        return Ok(failed(process, &format!("Failed to mask unit: File '{own}' already exists.")));
    }
    if !process.has_unit(request.manager, unit)? && !request.is_quiet {
        say(process, &format!("Unit {unit} does not exist, proceeding anyway."));
    }
    let said = process.change_units(request.manager, Change::Mask(unit))?;
    told(process, request, &said);
    process.book_unit(request.manager, unit, Some(UnitAction::Mask));
    Ok(0)
}

fn unmask(process: &mut Process<'_, '_>, request: &Request<'_>, unit: &str) -> Result<u8, Refusal> {
    let said = process.change_units(request.manager, Change::Unmask(unit))?;
    told(process, request, &said);
    process.book_unmasked(request.manager, unit);
    Ok(0)
}

fn preset(process: &mut Process<'_, '_>, request: &Request<'_>, unit: &str) -> Result<u8, Refusal> {
    if let Some(status) = missing(process, request, unit, "preset")? {
        return Ok(status);
    }
    let wanted = process.preset(request.manager, unit)?;
    let mut said = Vec::new();
    if wanted.is_empty() && request.preset != PresetMode::EnableOnly {
        said.extend(process.change_units(request.manager, Change::Disable(unit))?);
        process.book_unit(request.manager, unit, Some(UnitAction::Disable));
    } else if request.preset != PresetMode::DisableOnly {
        for name in &wanted {
            said.extend(process.change_units(request.manager, Change::Enable(name))?);
        }
        process.book_unit(request.manager, unit, Some(UnitAction::Preset));
    }
    told(process, request, &said);
    Ok(0)
}

fn is_enabled(process: &mut Process<'_, '_>, request: &Request<'_>, units: &[String]) -> Result<u8, Refusal> {
    let (mut is_any, mut is_missing) = (false, false);
    for unit in units {
        let (word, is_success) = match process.unit_state(request.manager, unit)? {
            State::NotFound if sysv::has_only_script(process, request.manager, unit)? => {
                match sysv::is_enabled(process, unit.trim_end_matches(".service"))? {
                    true => ("enabled", true),
                    false => ("disabled", false),
                }
            }
            state => {
                is_missing |= state == State::NotFound;
                (state.word(), state.is_success())
            }
        };
        is_any |= is_success;
        if !request.is_quiet {
            process.print_line(word);
        }
    }
    Ok(match (is_any, is_missing) {
        (true, _) => 0,
        (false, true) => 4,
        (false, false) => 1,
    })
}

fn add_dependency(
    process: &mut Process<'_, '_>,
    request: &Request<'_>,
    units: &[String],
    kind: &str,
) -> Result<u8, Refusal> {
    let Some((target, units)) = units.split_first() else { return Ok(1) };
    if !process.has_unit(request.manager, target)? {
        return Ok(failed(process, &format!("Failed to add dependency on unit: Unit {target} does not exist")));
    }
    for unit in units {
        let Some(file) = process.unit_file(request.manager, unit)? else {
            return Ok(failed(process, &format!("Failed to add dependency on unit: Unit {unit} does not exist")));
        };
        let at = format!("{}/{target}.{kind}/{unit}", search_path(request.manager)[0]);
        let at = TreePath::parse(&at).map_err(|error| Refusal::new(error.to_string()))?;
        let said = process.change_units(request.manager, Change::Link(at, file.to_string()))?;
        told(process, request, &said);
    }
    Ok(0)
}

const DEFAULT: &str = "default.target";

fn get_default(process: &mut Process<'_, '_>) -> Result<u8, Refusal> {
    match process.unit_file(Manager::System, DEFAULT)? {
        Some(file) => {
            process.print_line(file.name());
            Ok(0)
        }
        None => Ok(failed(process, "Failed to get default target: No such file or directory")),
    }
}

fn set_default(process: &mut Process<'_, '_>, request: &Request<'_>, name: &str) -> Result<u8, Refusal> {
    let name = match UnitName::parse(name) {
        Some(_) => name.to_owned(),
        None => format!("{name}.target"),
    };
    if !name.ends_with(".target") {
        return Ok(failed(process, &format!("Failed to set default unit: Unit name {name} is not valid.")));
    }
    let Some(file) = process.unit_file(Manager::System, &name)? else {
        return Ok(failed(process, &format!("Failed to set default unit: Unit {name} does not exist")));
    };
    let at = TreePath::parse(&format!("{}/{DEFAULT}", search_path(Manager::System)[0]))
        .map_err(|error| Refusal::new(error.to_string()))?;
    let said = process.change_units(Manager::System, Change::Link(at, file.to_string()))?;
    told(process, request, &said);
    Ok(0)
}
