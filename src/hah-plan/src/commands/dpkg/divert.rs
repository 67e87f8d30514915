//! `dpkg-divert`: another place for a file of other packages.
//!
//! On a node the diverting package's preinst runs before its files are unpacked. Here every file is in the tree already,
//! so a diversion puts both where they would end: that of the other package at the diverted path, that of the diverting
//! package at the path itself.

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use super::query::matches;
use crate::commands::{Process, Refusal};
use crate::debian::PackageName;
use crate::effects::{Diversion, Sourced};
use crate::merge::Origin;
use crate::rootfs::{Content, UnpackedPackage};
use crate::world::Follow;

/// What the command line asks for.
#[derive(Default)]
struct Wanted {
    action: Option<&'static str>,
    to: Option<String>,
    /// A package, or `:` for a local diversion.
    package: Option<String>,
    rename: bool,
    quiet: bool,
    test: bool,
    files: Vec<String>,
}

/// dpkg-divert(1).
pub(super) fn dpkg_divert(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut wanted = Wanted::default();
    let mut warned = true;
    let mut left = args.iter();
    while let Some(arg) = left.next() {
        let (flag, inline) = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (arg.as_str(), None),
        };
        let mut value = || inline.clone().or_else(|| left.next().cloned());
        match flag {
            "--add" => wanted.action = Some("add"),
            "--remove" => wanted.action = Some("remove"),
            "--list" => wanted.action = Some("list"),
            "--listpackage" => wanted.action = Some("listpackage"),
            "--truename" => wanted.action = Some("truename"),
            "--divert" => wanted.to = value(),
            "--package" => wanted.package = value(),
            "--local" => wanted.package = Some(":".to_owned()),
            "--rename" => (wanted.rename, warned) = (true, false),
            "--no-rename" => (wanted.rename, warned) = (false, false),
            "--quiet" => wanted.quiet = true,
            "--test" => wanted.test = true,
            "--admindir" | "--instdir" | "--root" => {
                let value = value().unwrap_or_default();
                if !matches!(value.as_str(), "" | "/" | "/var/lib/dpkg") {
                    return process.unknown(arg);
                }
            }
            "--" => wanted.files.extend(left.by_ref().cloned()),
            _ if arg.starts_with('-') => return process.unknown(arg),
            _ => wanted.files.push(arg.clone()),
        }
    }
    let action = wanted.action.unwrap_or("add");
    if action == "list" {
        return list(process, &wanted.files);
    }
    let [file] = wanted.files.as_slice() else {
        return process.error(format_args!("--{action} needs a single argument"));
    };
    let file = file.clone();
    if matches!(action, "add" | "remove") {
        if warned && !wanted.quiet {
            process.complain(
                "warning: please specify --no-rename explicitly, the default will change to --rename in 1.20.x",
            );
        }
        if !file.starts_with('/') {
            return process.error(format_args!("filename \"{file}\" is not absolute"));
        }
        if file.contains('\n') {
            return process.error("file may not contain newlines");
        }
    }
    let found = process.world.effects.diversions.iter().find(|entry| *entry.what.path == *file);
    let found = found.map(|entry| entry.what.clone());
    match action {
        "listpackage" => {
            match found {
                Some(entry) if &*entry.package == ":" => process.print_line("LOCAL"),
                Some(entry) => process.print_line(&*entry.package),
                None => {}
            }
            Ok(0)
        }
        "truename" => {
            process.print_line(found.map_or(file, |entry| entry.to.to_string()));
            Ok(0)
        }
        "remove" => remove(process, &wanted, &file, found),
        _ => add(process, &wanted, &file, found),
    }
}

fn describe(package: Option<&str>, path: &str, to: Option<&str>) -> String {
    let to = to.map_or_else(String::new, |to| format!(" to {to}"));
    match package {
        Some(":") => format!("local diversion of {path}{to}"),
        Some(package) => format!("diversion of {path}{to} by {package}"),
        None => format!("any diversion of {path}{to}"),
    }
}

impl Diversion {
    fn described(&self) -> String {
        describe(Some(&self.package), &self.path, Some(&self.to))
    }
}

fn list(process: &mut Process<'_, '_>, patterns: &[String]) -> Result<u8, Refusal> {
    let lines: Vec<String> = process
        .world
        .effects
        .diversions
        .iter()
        .filter(|entry| {
            let Diversion { path, to, package } = &entry.what;
            patterns.is_empty()
                || patterns
                    .iter()
                    .any(|pattern| [path, to, package].iter().any(|text| matches(pattern.as_bytes(), text.as_bytes())))
        })
        .map(|entry| entry.what.described())
        .collect();
    for line in lines {
        process.print_line(line);
    }
    Ok(0)
}

impl Process<'_, '_> {
    /// The package whose script runs: by the environment, else by the author.
    pub(in crate::commands) fn running_package(&self) -> Option<PackageName> {
        let named = self.env.get("DPKG_MAINTSCRIPT_PACKAGE").and_then(|name| name.parse().ok());
        named.or_else(|| self.world.author.as_ref().map(|author| author.package.clone()))
    }
}

fn add(process: &mut Process<'_, '_>, wanted: &Wanted, file: &str, found: Option<Diversion>) -> Result<u8, Refusal> {
    let top = TreePath::root();
    let to = wanted.to.clone().unwrap_or_else(|| format!("{file}.distrib"));
    if to == file {
        return process.error(format_args!("cannot divert file '{file}' to itself"));
    }
    let running = process.running_package();
    let package = wanted
        .package
        .clone()
        .or_else(|| running.as_ref().map(PackageName::to_string))
        .unwrap_or_else(|| ":".to_owned());
    if process.world.stat(&top, file, Follow::No).is_ok_and(|stat| stat.is_dir()) {
        return process.error("cannot divert directories");
    }
    let diversion = Diversion { path: file.into(), to: to.as_str().into(), package: package.as_str().into() };
    let clash = process
        .world
        .effects
        .diversions
        .iter()
        .find(|entry| *entry.what.to == *file || *entry.what.path == *to || *entry.what.to == *to)
        .map(|entry| entry.what.clone());
    if let Some(other) = found.or(clash) {
        if other == diversion {
            if !wanted.quiet {
                process.print_line(format!("Leaving '{}'", other.described()));
            }
            return Ok(0);
        }
        return process.error(format_args!("'{}' clashes with '{}'", diversion.described(), other.described()));
    }
    if !wanted.quiet {
        process.print_line(format!("Adding '{}'", diversion.described()));
    }
    if wanted.test {
        return Ok(0);
    }
    if wanted.rename {
        move_aside(process, &diversion)?;
    }
    if let Some(package) = running.or_else(|| package.parse().ok()) {
        process.world.effects.diversions.push(Sourced { what: diversion, package });
    } else {
        return Err(Refusal::new("a local diversion outside of a maintainer script"));
    }
    Ok(0)
}

/// The files go where they would be if the diversion had been there before they were unpacked.
fn move_aside(process: &mut Process<'_, '_>, diversion: &Diversion) -> Result<(), Refusal> {
    let top = TreePath::root();
    let Ok(from) = process.world.resolve(&top, &diversion.path, Follow::No) else { return Ok(()) };
    let Ok(to) = process.world.resolve(&top, &diversion.to, Follow::No) else { return Ok(()) };
    let packages = process.world.packages;
    let mut own: Option<Node<Content>> = None;
    let mut others: Option<(PackageName, Node<Content>)> = None;
    for package in packages {
        let Some(node) = shipped(process, package, &from) else { continue };
        match package.name.as_str() == &*diversion.package {
            true => own = Some(node),
            false => others = Some((package.name.clone(), node)),
        }
    }
    let world = &mut *process.world;
    let is_own = world.provenance.package(&from).is_some_and(|name| name.as_str() == &*diversion.package);
    if world.tree.contains(&from) && !is_own {
        let moved = world.rename(&top, &from.to_string(), &to.to_string());
        process.check(&format!("cannot rename '{from}' to '{to}'"), moved)?;
    } else if let Some((_, node)) = &others
        && !world.tree.contains(&to)
    {
        let put = world.put(to.clone(), node.clone());
        process.check(&format!("cannot create '{to}'"), put)?;
    }
    let world = &mut *process.world;
    if let (Some((name, _)), true) = (others, world.tree.contains(&to)) {
        world.provenance.claim(to, Origin::Package(name));
    }
    if let Some(node) = own
        && !world.tree.contains(&from)
    {
        let put = world.put(from.clone(), node);
        process.check(&format!("cannot create '{from}'"), put)?;
        if let Ok(name) = diversion.package.parse() {
            process.world.provenance.claim(from, Origin::Package(name));
        }
    }
    Ok(())
}

/// What `package` ships at the real path `at`, whatever link of `/` its archive goes through.
fn shipped(process: &Process<'_, '_>, package: &UnpackedPackage, at: &TreePath) -> Option<Node<Content>> {
    let names = std::iter::once(at.clone())
        .chain(at.as_str().strip_prefix("usr/").and_then(|rest| TreePath::parse(rest).ok()))
        .filter(|name| process.world.resolve(&TreePath::root(), &name.to_string(), Follow::No).as_ref() == Ok(at));
    let node = names.filter_map(|name| package.tree.get(&name)).next()?;
    let kind = match &node.kind {
        Kind::HardLink(first) => package.tree.get(first)?.kind.clone(),
        Kind::Dir => return None,
        kind => kind.clone(),
    };
    Some(Node { meta: node.meta.clone(), kind })
}

fn remove(process: &mut Process<'_, '_>, wanted: &Wanted, file: &str, found: Option<Diversion>) -> Result<u8, Refusal> {
    let running = process.running_package().map(|name| name.to_string());
    let package = wanted.package.clone().or(running);
    let asked = describe(package.as_deref(), file, wanted.to.as_deref());
    let Some(found) = found else {
        if !wanted.quiet {
            process.print_line(format!("No diversion '{asked}', none removed."));
        }
        return Ok(0);
    };
    if let Some(to) = &wanted.to
        && **to != *found.to
    {
        let text = format!("mismatch on divert-to\n  when removing '{asked}'\n  found '{}'", found.described());
        return process.error(text);
    }
    if let Some(package) = &package
        && **package != *found.package
    {
        // dpkg leaves a local diversion when a package wants its own away.
        let text = format!("mismatch on package\n  when removing '{asked}'\n  found '{}'", found.described());
        return process.error(text);
    }
    if !wanted.quiet {
        process.print_line(format!("Removing '{}'", found.described()));
    }
    if wanted.test {
        return Ok(0);
    }
    process.world.effects.diversions.retain(|entry| entry.what != found);
    let top = TreePath::root();
    if wanted.rename && process.world.stat(&top, &found.to, Follow::No).is_ok() {
        if process.world.stat(&top, file, Follow::No).is_ok() {
            let text =
                format!("rename involves overwriting '{file}' with\n  different file '{}', not allowed", found.to);
            return process.error(text);
        }
        let moved = process.world.rename(&top, &found.to, file);
        process.check(&format!("cannot rename '{}' to '{file}'", found.to), moved)?;
    }
    Ok(0)
}
