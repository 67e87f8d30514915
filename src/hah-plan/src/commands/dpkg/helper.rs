//! The small ones: `dpkg-trigger`, `dpkg-maintscript-helper`, `dpkg-realpath`, `dpkg-vendor`, `dpkg-architecture`,
//! `apt-config`, `lsb_release`.

use std::collections::BTreeMap;

use hah_format::path::TreePath;

use crate::commands::options::Order;
use crate::commands::{Process, Refusal};
use crate::debian::Architecture;
use crate::world::{Follow, Trigger};

/// dpkg-trigger(1). What is set off is booked; the packages that are interested run once, when all are configured.
pub(super) fn dpkg_trigger(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(
        args,
        ",check-supported ,await ,no-await ,by-package= ,no-act ,admindir= ,root=",
        Order::Any,
    )?;
    if options.has("check-supported") {
        return Ok(0);
    }
    if options.has("admindir") || options.has("root") {
        return process.unknown("--admindir or --root");
    }
    let [name] = options.operands.as_slice() else {
        return process.error("takes one argument, the trigger name");
    };
    if name.is_empty() || name.bytes().any(|byte| !(33..=126).contains(&byte)) {
        return process.error(format_args!("invalid trigger name '{name}': it has characters that are not printable"));
    }
    let by = match options.value("by-package") {
        Some(package) => package.to_owned(),
        None => match process.running_package() {
            Some(package) => package.to_string(),
            None => {
                return process.error("must be called from a maintainer script (or with a --by-package option)");
            }
        },
    };
    if !options.has("no-act") {
        process.world.triggers.insert(Trigger { name: name.clone(), by });
    }
    Ok(0)
}

/// dpkg-maintscript-helper(1). On a first installation nothing of an earlier version is there to be moved: without
/// an old version the real script does nothing either, but for what an interrupted upgrade would have left.
pub(super) fn dpkg_maintscript_helper(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let Some((command, rest)) = args.split_first() else {
        return process.error("missing command");
    };
    let needed = match command.as_str() {
        "supports" => {
            let known = ["rm_conffile", "mv_conffile", "symlink_to_dir", "dir_to_symlink"];
            if process.env.get("DPKG_MAINTSCRIPT_NAME").is_none_or(String::is_empty) {
                process.complain("warning: environment variable DPKG_MAINTSCRIPT_NAME is required");
                return Ok(1);
            }
            return Ok(u8::from(!rest.first().is_some_and(|name| known.contains(&name.as_str()))));
        }
        "rm_conffile" => 1,
        "mv_conffile" | "symlink_to_dir" | "dir_to_symlink" => 2,
        "--help" | "-?" | "help" | "--version" => return process.unknown(command),
        _ => return process.error(format_args!("command {command} is unknown")),
    };
    let Some(split) = rest.iter().position(|word| word == "--") else {
        return process.error("missing arguments after --");
    };
    let (parameters, script) = (&rest[..split], &rest[split + 1..]);
    if parameters.len() < needed {
        return process.error("a parameter is missing");
    }
    for path in parameters.iter().take(if command == "mv_conffile" { 2 } else { 1 }) {
        if !path.starts_with('/') {
            return process.error(format_args!("'{path}' is not an absolute path"));
        }
    }
    if script.first().is_none_or(String::is_empty) {
        return process.error("maintainer script parameters are missing");
    }
    // What follows another word is no version: of `triggered`, it is the triggers' names.
    let is_version = script.first().is_some_and(|word| ["install", "upgrade", "configure"].contains(&word.as_str()));
    match script.get(1).map(String::as_str) {
        Some(version) if is_version && !version.is_empty() => {
            return process.unknown(&format!("{command} for an upgrade from {version}"));
        }
        _ => {}
    }
    let top = TreePath::root();
    let backup = format!("{}.dpkg-backup", parameters[0].trim_end_matches('/'));
    if command.contains("symlink") && process.world.stat(&top, &backup, Follow::No).is_ok() {
        return process.unknown(&format!("{command} where {backup} is left of an upgrade"));
    }
    Ok(0)
}

/// dpkg-realpath(1): the path with every link followed; its last component need not be there.
pub(super) fn dpkg_realpath(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "z,zero ,root=", Order::Any)?;
    if options.value("root").is_some_and(|root| !matches!(root, "" | "/")) {
        return process.unknown("--root");
    }
    let [path] = options.operands.as_slice() else {
        return process.error("missing pathname");
    };
    let end: &[u8] = if options.has("z") { b"\0" } else { b"\n" };
    let real = match process.world.resolve(&process.cwd, path, Follow::Yes) {
        Ok(real) => real.to_string(),
        // As `realpath -m`: what is not there is taken by the word.
        Err(_) => crate::world::World::absolute(&process.cwd, path),
    };
    process.print(real);
    process.print(end);
    Ok(0)
}

/// The fields of a file of `KEY=value` lines, quotation marks taken away.
fn fields(process: &mut Process<'_, '_>, file: &str, separator: char) -> Result<BTreeMap<String, String>, Refusal> {
    let text = match process.world.read(&TreePath::root(), file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.is_final() => return Err(error.into()),
        Err(_) => String::new(),
    };
    Ok(text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(separator))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect())
}

/// dpkg-vendor(1), from `/etc/dpkg/origins/default`.
pub(super) fn dpkg_vendor(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, ",is= ,derives-from= ,query= ,vendor=", Order::Any)?;
    let origin = fields(process, "/etc/dpkg/origins/default", ':')?;
    let vendor = origin.get("Vendor").map_or("Debian", String::as_str).to_owned();
    if options.has("vendor") {
        return process.unknown("--vendor");
    }
    let same = |name: &str| name.eq_ignore_ascii_case(&vendor);
    if let Some(name) = options.value("is") {
        return Ok(u8::from(!same(name)));
    }
    if let Some(name) = options.value("derives-from") {
        let parent = origin.get("Parent").is_some_and(|parent| parent.eq_ignore_ascii_case(name));
        return Ok(u8::from(!same(name) && !parent));
    }
    match options.value("query") {
        None => process.error("need an action option"),
        Some(field) => match origin.iter().find(|(key, _)| key.eq_ignore_ascii_case(field)) {
            Some((_, value)) => {
                process.print_line(value);
                Ok(0)
            }
            None if field.eq_ignore_ascii_case("vendor") => {
                process.print_line(vendor);
                Ok(0)
            }
            None => Ok(1),
        },
    }
}

/// What dpkg-architecture(1) knows of an architecture: CPU, bits, endianness and GNU's name of the system.
fn architecture_facts(architecture: Architecture) -> Option<[(&'static str, &'static str); 9]> {
    let facts = architecture.facts()?;
    let dpkg = &facts.dpkg;
    Some([
        ("ARCH_ABI", dpkg.abi),
        ("ARCH_LIBC", "gnu"),
        ("ARCH_OS", "linux"),
        ("ARCH_CPU", dpkg.cpu),
        ("ARCH_BITS", dpkg.bits),
        ("ARCH_ENDIAN", "little"),
        ("GNU_CPU", dpkg.gnu_cpu),
        ("GNU_SYSTEM", dpkg.gnu_system),
        ("MULTIARCH", facts.multiarch),
    ])
}

/// dpkg-architecture(1) without a change of architecture: `-qVARIABLE`, `-l` not.
pub(super) fn dpkg_architecture(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "q,query= e,equal= i,is= L,list-known", Order::Any)?;
    let architecture = process.architecture()?;
    let Some(facts) = architecture_facts(architecture) else {
        return process.unknown(&format!("for {architecture}"));
    };
    if let Some(other) = options.value("e") {
        return Ok(u8::from(other != architecture.as_str()));
    }
    if let Some(wildcard) = options.value("i") {
        let cpu = facts[3].1;
        let is = [architecture.as_str(), "any", "linux-any"].contains(&wildcard) || wildcard == format!("any-{cpu}");
        return Ok(u8::from(!is));
    }
    let mut lines: Vec<(String, String)> = Vec::new();
    for machine in ["BUILD", "HOST", "TARGET"] {
        lines.push((format!("DEB_{machine}_ARCH"), architecture.to_string()));
        lines.push((format!("DEB_{machine}_GNU_TYPE"), facts[8].1.to_owned()));
        lines.extend(facts.iter().map(|(name, value)| (format!("DEB_{machine}_{name}"), (*value).to_owned())));
    }
    lines.sort();
    match options.value("q") {
        Some(name) => match lines.iter().find(|(known, _)| known == name) {
            Some((_, value)) => {
                process.print_line(value);
                Ok(0)
            }
            None => {
                process.complain(format_args!("error: {name} is not a supported variable name"));
                Ok(super::TROUBLE)
            }
        },
        None => {
            for (name, value) in lines {
                process.print_line(format!("{name}={value}"));
            }
            Ok(0)
        }
    }
}

/// apt-config(8): `shell` for settings that apt has by itself; its files are not read.
pub(super) fn apt_config(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    process.unknown(&args.join(" "))
}

/// lsb_release(1) of lsb-release-minimal: from os-release(5).
pub(super) fn lsb_release(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options =
        process.options(args, "a,all c,codename d,description i,id r,release s,short v,version h,help", Order::Any)?;
    if options.has("h") {
        return process.unknown("-h");
    }
    let mut os = fields(process, "/etc/os-release", '=')?;
    if os.is_empty() {
        os = fields(process, "/usr/lib/os-release", '=')?;
    }
    let get = |key: &str| os.get(key).filter(|value| !value.is_empty()).cloned();
    let id = get("ID").map_or_else(
        || "n/a".to_owned(),
        |id| match id.split_at_checked(1) {
            Some((first, rest)) => first.to_ascii_uppercase() + rest,
            None => id,
        },
    );
    let all = options.has("a");
    let short = options.has("s");
    let rows = [
        ("i", "Distributor ID", id),
        ("d", "Description", get("PRETTY_NAME").unwrap_or_else(|| "n/a".to_owned())),
        ("r", "Release", get("VERSION_ID").unwrap_or_else(|| "n/a".to_owned())),
        ("c", "Codename", get("VERSION_CODENAME").unwrap_or_else(|| "n/a".to_owned())),
    ];
    if all || options.has("v") || !rows.iter().any(|(option, ..)| options.has(option)) {
        process.stderr.extend_from_slice(b"No LSB modules are available.\n");
    }
    for (option, title, value) in rows {
        if all || options.has(option) {
            match short {
                true => process.print_line(value),
                false => process.print_line(format!("{title}:\t{value}")),
            }
        }
    }
    Ok(0)
}
