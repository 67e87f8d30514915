//! dpkg and its companions: what scripts ask about versions and packages, and what they tell dpkg to remember.
//!
//! The database is [`World::packages`](crate::world::World::packages): every one of them is unpacked, and those in
//! [`World::configured`](crate::world::World::configured) are configured. What changes packages is refused: an image's
//! packages are decided when it is resolved.
//!
//! Manual pages: dpkg(1), dpkg-query(1), dpkg-divert(1), dpkg-statoverride(1), dpkg-trigger(1),
//! dpkg-maintscript-helper(1), dpkg-realpath(1), dpkg-vendor(1), dpkg-architecture(1), of dpkg 1.22.

mod status;
mod format;
mod query;
mod divert;
mod statoverride;
mod helper;

use std::cmp::Ordering;

use super::{Command, Process, Refusal};
use crate::debian::{Architecture, compare_texts};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("dpkg", dpkg),
    Command::always("dpkg-query", query::dpkg_query),
    Command::always("dpkg-divert", divert::dpkg_divert),
    Command::always("dpkg-statoverride", statoverride::dpkg_statoverride),
    Command::always("dpkg-trigger", helper::dpkg_trigger),
    Command::always("dpkg-maintscript-helper", helper::dpkg_maintscript_helper),
    Command::always("dpkg-realpath", helper::dpkg_realpath),
    Command::always("dpkg-deb", changes_packages),
    Command::always("dpkg-split", changes_packages),
    Command::in_tree("dpkg-vendor", helper::dpkg_vendor),
    Command::in_tree("dpkg-architecture", helper::dpkg_architecture),
    Command::in_tree("dpkg-preconfigure", nothing_to_ask),
    Command::in_tree("dpkg-reconfigure", changes_packages),
    Command::in_tree("apt", changes_packages),
    Command::in_tree("apt-get", changes_packages),
    Command::in_tree("apt-cache", changes_packages),
    Command::in_tree("apt-mark", changes_packages),
    Command::in_tree("apt-config", helper::apt_config),
    Command::in_tree("lsb_release", helper::lsb_release),
];

pub(super) use status::md5_hex;

/// dpkg's status for trouble; 1 is an answer.
const TROUBLE: u8 = 2;

impl Process<'_, '_> {
    /// Prints `NAME: error: text`, as dpkg's programs do, and is [`TROUBLE`].
    fn error(&mut self, text: impl std::fmt::Display) -> Result<u8, Refusal> {
        self.complain(format_args!("error: {text}"));
        Ok(TROUBLE)
    }

    /// The architecture of the image: that of its packages.
    pub(super) fn architecture(&self) -> Result<Architecture, Refusal> {
        let mut known = self.world.packages.iter().map(|package| package.architecture);
        known
            .find(|architecture| *architecture != Architecture::All)
            .ok_or_else(|| Refusal::new("no package of the image has an architecture"))
    }
}

/// dpkg(1): what asks. `--force-…`, `--no-pager`, `--admindir` of the root itself are taken.
fn dpkg(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let args: Vec<String> = args
        .iter()
        .filter(|arg| !arg.starts_with("--force-") && !arg.starts_with("--no-force-"))
        .filter(|arg| !matches!(arg.as_str(), "--no-pager" | "--admindir=/var/lib/dpkg" | "--root=" | "--root=/"))
        .cloned()
        .collect();
    let Some((action, rest)) = args.split_first() else {
        return process.error("need an action option");
    };
    let without_dashes: Vec<String> = match rest.first().map(String::as_str) {
        Some("--") => rest[1..].to_vec(),
        _ => rest.to_vec(),
    };
    match action.as_str() {
        "--compare-versions" => compare_versions(process, &without_dashes),
        "--print-architecture" => {
            let architecture = process.architecture()?;
            process.print_line(architecture.as_str());
            Ok(0)
        }
        "--print-foreign-architectures" => Ok(0),
        "--get-selections" => query::selections(process, &without_dashes),
        "--audit" | "-C" | "--yet-to-unpack" => Ok(0),
        "--version" => {
            let version = process.world.packages.iter().find(|package| package.name.as_str() == "dpkg");
            let version = version.map_or_else(|| "1.22".to_owned(), |package| package.version.to_string());
            let architecture = process.architecture()?;
            process.print_line(format!("Debian 'dpkg' package management program version {version} ({architecture})."));
            Ok(0)
        }
        "-s" | "--status" | "-L" | "--listfiles" | "-S" | "--search" | "-l" | "--list" | "-p" | "--print-avail" => {
            query::dpkg_query(process, &args)
        }
        _ => match action.split_once('-').map(|_| action.trim_start_matches('-')) {
            Some(name) if name.starts_with("validate-") => validate(process, name, &without_dashes),
            Some(name) if name.starts_with("assert-") => assert(process, name),
            _ if action.starts_with("-l") || action.starts_with("-s") || action.starts_with("-S") => {
                query::dpkg_query(process, &args)
            }
            _ => changes_packages(process, &args),
        },
    }
}

/// One relation of `--compare-versions`: what it makes of less, equal, greater, and of an empty version at the left,
/// at both sides, at the right; from dpkg's table.
const RELATIONS: [(&str, [bool; 6]); 17] = {
    const Y: bool = true;
    const N: bool = false;
    [
        ("le", [Y, Y, N, Y, Y, N]),
        ("lt", [Y, N, N, Y, N, N]),
        ("eq", [N, Y, N, N, Y, N]),
        ("ne", [Y, N, Y, Y, N, Y]),
        ("ge", [N, Y, Y, N, Y, Y]),
        ("gt", [N, N, Y, N, N, Y]),
        ("le-nl", [Y, Y, N, N, Y, Y]),
        ("lt-nl", [Y, N, N, N, N, Y]),
        ("ge-nl", [N, Y, Y, Y, Y, N]),
        ("gt-nl", [N, N, Y, Y, N, N]),
        ("<", [Y, Y, N, Y, Y, N]),
        ("<=", [Y, Y, N, Y, Y, N]),
        ("<<", [Y, N, N, Y, N, N]),
        ("=", [N, Y, N, N, Y, N]),
        (">", [N, Y, Y, N, Y, Y]),
        (">=", [N, Y, Y, N, Y, Y]),
        (">>", [N, N, Y, N, N, Y]),
    ]
};

fn compare_versions(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let [left, relation, right] = args else {
        return process.error("--compare-versions takes three arguments: <version> <relation> <version>");
    };
    let Some((_, answers)) = RELATIONS.iter().find(|(name, _)| name == relation) else {
        return process.error("--compare-versions bad relation");
    };
    let [less, equal, greater, left_empty, both_empty, right_empty] = *answers;
    // dpkg takes `<unknown>` for an empty version as well.
    let (left, right) = (known(left), known(right));
    let both = if left.is_empty() || right.is_empty() { ("0", "0") } else { (left, right) };
    for text in [left, right].into_iter().filter(|text| !text.is_empty()) {
        if let Err((text, why)) = compare_texts(text, text) {
            return process.error(format_args!("version '{text}' has bad syntax: {why}"));
        }
    }
    let answer = match (left.is_empty(), right.is_empty()) {
        (true, true) => both_empty,
        (true, false) => left_empty,
        (false, true) => right_empty,
        (false, false) => match compare_texts(both.0, both.1) {
            Ok(Ordering::Less) => less,
            Ok(Ordering::Equal) => equal,
            Ok(Ordering::Greater) => greater,
            Err((text, why)) => return process.error(format_args!("version '{text}' has bad syntax: {why}")),
        },
    };
    Ok(u8::from(!answer))
}

fn known(version: &str) -> &str {
    if version == "<unknown>" { "" } else { version }
}

/// `--validate-pkgname`, `--validate-trigname`, `--validate-archname`, `--validate-version`.
fn validate(process: &mut Process<'_, '_>, what: &str, args: &[String]) -> Result<u8, Refusal> {
    let [text] = args else {
        return process.error(format_args!("--{what} takes one argument"));
    };
    let name = |text: &str| {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+._".contains(&byte));
        first && rest
    };
    let problem = match what {
        "validate-pkgname" if !name(text) => Some(format!("package name '{text}' is invalid")),
        "validate-archname"
            if text.is_empty()
                || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                || text.starts_with('-') =>
        {
            Some(format!("architecture name '{text}' is invalid"))
        }
        "validate-trigname" if text.is_empty() || text.bytes().any(|byte| !(33..=126).contains(&byte)) => {
            Some(format!("trigger name '{text}' is invalid"))
        }
        "validate-version" => match compare_texts(text, text) {
            Ok(_) => None,
            Err((_, why)) => Some(format!("version '{text}' has bad syntax: {why}")),
        },
        "validate-pkgname" | "validate-archname" | "validate-trigname" => None,
        _ => return process.unknown(&format!("--{what}")),
    };
    match problem {
        None => Ok(0),
        Some(problem) => {
            process.complain(format_args!("error: {problem}"));
            Ok(1)
        }
    }
}

/// `--assert-FEATURE`: what dpkg of trixie can do.
fn assert(process: &mut Process<'_, '_>, what: &str) -> Result<u8, Refusal> {
    match what {
        "assert-support-predepends"
        | "assert-working-epoch"
        | "assert-long-filenames"
        | "assert-multi-conrep"
        | "assert-multi-arch"
        | "assert-versioned-provides"
        | "assert-protected-field" => Ok(0),
        _ => process.error(format_args!("unknown --{what}")),
    }
}

/// Programs that install, remove or read archives: not in a build.
fn changes_packages(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let name = process.name.rsplit('/').next().unwrap_or_default();
    let words: Vec<&str> = std::iter::once(name).chain(args.iter().map(String::as_str)).collect();
    Err(Refusal::new(format!(
        "`{}` changes or fetches packages; those of an image are decided when it is resolved",
        words.join(" ")
    )))
}

/// dpkg-preconfigure(8): questions are answered by defaults and recipes when the `config` scripts run.
fn nothing_to_ask(_: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    Ok(0)
}

#[cfg(test)]
mod tests;
