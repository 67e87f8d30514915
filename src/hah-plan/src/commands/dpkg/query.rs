//! `dpkg-query`: which packages there are, how far they are, and which files are theirs.

use super::TROUBLE;
use super::format::{Piece, parse, render, value, value_of_name};
use super::status::{Detail, Known, State, state};
use crate::commands::{Process, Refusal};
use crate::debian::control::only_stanza;
use crate::rootfs::UnpackedPackage;

/// dpkg-query(1).
pub(super) fn dpkg_query(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut action: Option<&str> = None;
    let mut format = "${binary:Package}\t${Version}\n".to_owned();
    let mut operands: Vec<&str> = Vec::new();
    let mut left = args.iter().map(String::as_str);
    while let Some(arg) = left.next() {
        match arg {
            "-W" | "--show" => action = Some("-W"),
            "-s" | "--status" => action = Some("-s"),
            "-L" | "--listfiles" => action = Some("-L"),
            "-S" | "--search" => action = Some("-S"),
            "-l" | "--list" => action = Some("-l"),
            "--control-list" => action = Some("--control-list"),
            "-c" | "--control-path" | "--control-show" | "-p" | "--print-avail" => action = Some(arg),
            "-f" | "--showformat" => format = left.next().unwrap_or_default().to_owned(),
            "--no-pager" | "--load-avail" | "--admindir=/var/lib/dpkg" => {}
            "--" => operands.extend(left.by_ref()),
            _ if arg.starts_with("--showformat=") => format = arg["--showformat=".len()..].to_owned(),
            // `-Wf`, `-f'…'`, `-f=…`: letters may stand together.
            _ if arg.starts_with("-f") => format = arg[2..].trim_start_matches('=').to_owned(),
            "-Wf" | "-fW" => {
                action = Some("-W");
                format = left.next().unwrap_or_default().to_owned();
            }
            _ if arg.starts_with("-Wf") => {
                action = Some("-W");
                format = arg[3..].trim_start_matches('=').to_owned();
            }
            _ if arg.starts_with('-') => return process.unknown(arg),
            _ => operands.push(arg),
        }
    }
    let needs = |what: &str| format!("{what} needs at least one package name argument");
    match action {
        Some("-W") => show(process, &format, &operands),
        Some("-l") => list(process, &operands),
        Some("-s") if operands.is_empty() => {
            let all: Vec<&str> = process.world.packages.iter().map(|package| package.name.as_str()).collect();
            let found = status(process, &all);
            process.print_line("");
            found
        }
        Some("-s") => status(process, &operands),
        Some("-L") if operands.is_empty() => process.error(needs("--listfiles")),
        Some("-L") => list_files(process, &operands),
        Some("-S") if operands.is_empty() => process.error("--search needs at least one file name pattern argument"),
        Some("-S") => search(process, &operands),
        Some("--control-list") => control_list(process, &operands),
        Some("--control-show") => control_show(process, &operands),
        Some("-c" | "--control-path") if is_unknown(process, &operands) => {
            not_installed(process, operands.first().copied().unwrap_or_default())
        }
        Some(other) => process.unknown(&format!("{other}: dpkg's copies of scripts are not in an image, and it")),
        None => process.error("need an action option"),
    }
}

/// Whether the first operand names no package of the image.
fn is_unknown(process: &Process<'_, '_>, operands: &[&str]) -> bool {
    operands.first().is_some_and(|name| find(process.world.packages, name).is_empty())
}

/// Whether the shell's pattern `pattern` (`*`, `?`, `[…]`) matches all of `text`.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.first() {
        None => text.is_empty(),
        Some(b'*') => {
            let rest = &pattern[1..];
            (0..=text.len()).any(|start| matches(rest, text.get(start..).unwrap_or_default()))
        }
        Some(b'?') => !text.is_empty() && matches(&pattern[1..], &text[1..]),
        Some(b'[') => {
            let Some(end) = pattern.iter().skip(2).position(|byte| *byte == b']').map(|end| end + 2) else {
                return text.first() == Some(&b'[') && matches(&pattern[1..], &text[1..]);
            };
            let Some(first) = text.first() else { return false };
            let class = &pattern[1..end];
            let (negated, class) = match class.first() {
                Some(b'!' | b'^') => (true, &class[1..]),
                _ => (false, class),
            };
            class_has(class, *first) != negated && matches(&pattern[end + 1..], &text[1..])
        }
        Some(b'\\') if pattern.len() > 1 => text.first() == pattern.get(1) && matches(&pattern[2..], &text[1..]),
        Some(byte) => text.first() == Some(byte) && matches(&pattern[1..], &text[1..]),
    }
}

fn class_has(class: &[u8], byte: u8) -> bool {
    let mut rest = class;
    while let Some(first) = rest.first() {
        match rest {
            [from, b'-', to, ..] => {
                if (*from..=*to).contains(&byte) {
                    return true;
                }
                rest = &rest[3..];
            }
            _ => {
                if *first == byte {
                    return true;
                }
                rest = &rest[1..];
            }
        }
    }
    false
}

/// The packages that `pattern` names: `NAME`, `NAME:ARCH`, or with wildcards.
fn find<'a>(packages: &'a [UnpackedPackage], pattern: &str) -> Vec<&'a UnpackedPackage> {
    let (name, architecture) = match pattern.split_once(':') {
        Some((name, architecture)) => (name, Some(architecture)),
        None => (pattern, None),
    };
    packages
        .iter()
        .filter(|package| matches(name.as_bytes(), package.name.as_str().as_bytes()))
        .filter(|package| match architecture {
            None | Some("any" | "native" | "") => true,
            Some(architecture) => matches(architecture.as_bytes(), package.architecture.as_str().as_bytes()),
        })
        .collect()
}

/// Something that a pattern has found.
#[derive(Clone, Copy)]
enum Hit<'a> {
    /// A package of the image.
    Package(&'a UnpackedPackage),
    /// A name that a relation of one of them has: dpkg knows it, as not installed.
    Name(&'a str),
}

impl Hit<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Package(package) => package.name.as_str(),
            Self::Name(name) => name,
        }
    }
}

/// What the patterns find, in order of name, and the patterns that find nothing.
fn found<'a>(process: &Process<'_, 'a>, patterns: &[&str]) -> (Vec<Hit<'a>>, Vec<String>) {
    let packages = process.world.packages;
    if patterns.is_empty() {
        return (packages.iter().map(Hit::Package).collect(), Vec::new());
    }
    let (mut all, mut missing) = (Vec::new(), Vec::new());
    for pattern in patterns {
        let mut some: Vec<Hit<'a>> = find(packages, pattern).into_iter().map(Hit::Package).collect();
        let wild = pattern.contains(['*', '?', '[']);
        if some.is_empty() || wild {
            some.extend(spoken_of(packages, pattern, wild).into_iter().map(Hit::Name));
        }
        if some.is_empty() {
            missing.push((*pattern).to_owned());
        }
        all.extend(some);
    }
    all.sort_by(|a, b| a.name().cmp(b.name()));
    all.dedup_by(|a, b| a.name() == b.name());
    (all, missing)
}

const RELATIONS: [&str; 9] =
    ["Depends", "Pre-Depends", "Recommends", "Suggests", "Enhances", "Breaks", "Conflicts", "Replaces", "Provides"];

/// Names of other packages in the relations of `packages` that match `pattern`.
fn spoken_of<'a>(packages: &'a [UnpackedPackage], pattern: &str, wild: bool) -> Vec<&'a str> {
    let name = pattern.split(':').next().unwrap_or_default();
    let mut names = Vec::new();
    for package in packages {
        let text = package.control.get("control").and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        // Most control files do not have the name at all.
        if !wild && !text.contains(name) {
            continue;
        }
        let Ok(stanza) = only_stanza(text) else { continue };
        for relation in RELATIONS.iter().filter_map(|field| stanza.get(field)) {
            names.extend(relation.split([',', '|']).filter_map(|one| {
                let word = one.trim_start().split([' ', '(', '[', ':', '\n']).next()?;
                matches(name.as_bytes(), word.as_bytes()).then_some(word)
            }));
        }
    }
    names.retain(|name| !name.is_empty() && !packages.iter().any(|package| package.name.as_str() == *name));
    names
}

fn show(process: &mut Process<'_, '_>, format: &str, patterns: &[&str]) -> Result<u8, Refusal> {
    let pieces = match parse(format) {
        Ok(pieces) => pieces,
        Err(why) => {
            process.complain(format_args!("error in show format: {why}"));
            return Ok(TROUBLE);
        }
    };
    let (packages, missing) = found(process, patterns);
    let conffiles = pieces.iter().any(|piece| match piece {
        Piece::Field(name, _) => name.eq_ignore_ascii_case("Conffiles"),
        Piece::Text(_) => false,
    });
    let detail = if conffiles { Detail::Conffiles } else { Detail::Fields };
    for hit in packages {
        let text = match hit {
            Hit::Package(package) => {
                let known = Known::of(process, package, detail)?;
                render(&pieces, &|name| value(name, &known))
            }
            Hit::Name(package) => render(&pieces, &|name| value_of_name(name, package)),
        };
        process.print(text);
    }
    complain_of(process, &missing)
}

fn complain_of(process: &mut Process<'_, '_>, missing: &[String]) -> Result<u8, Refusal> {
    for pattern in missing {
        process.stderr.extend_from_slice(format!("dpkg-query: no packages found matching {pattern}\n").as_bytes());
    }
    Ok(u8::from(!missing.is_empty()))
}

/// `-l`: columns as wide as what is in them, as where no terminal is.
fn list(process: &mut Process<'_, '_>, patterns: &[&str]) -> Result<u8, Refusal> {
    let (packages, missing) = found(process, patterns);
    let mut rows = Vec::new();
    for hit in packages {
        rows.push(match hit {
            Hit::Package(package) => {
                let known = Known::of(process, package, Detail::Fields)?;
                let cells = [
                    known.binary_name(),
                    package.version.to_string(),
                    package.architecture.to_string(),
                    known.summary().to_owned(),
                ];
                (format!("i{}", known.state.letter()), cells)
            }
            Hit::Name(name) => {
                let cells = [name, "<none>", "<none>", "(no description available)"];
                ("un".to_owned(), cells.map(str::to_owned))
            }
        });
    }
    if rows.is_empty() {
        return complain_of(process, &missing);
    }
    let least = [14, 12, 12, 33];
    let widths = [0, 1, 2, 3].map(|column| {
        let longest = rows.iter().map(|(_, cells)| cells.get(column).map_or(0, |cell| cell.chars().count()));
        longest.max().unwrap_or(0).max(least.get(column).copied().unwrap_or(0))
    });
    let [name, version, architecture, summary] = widths;
    let rule = |width: usize| "=".repeat(width);
    process.print_line("Desired=Unknown/Install/Remove/Purge/Hold");
    process.print_line("| Status=Not/Inst/Conf-files/Unpacked/halF-conf/Half-inst/trig-aWait/Trig-pend");
    process.print_line("|/ Err?=(none)/Reinst-required (Status,Err: uppercase=bad)");
    process.print_line(format!(
        "||/ {:<name$} {:<version$} {:<architecture$} Description",
        "Name", "Version", "Architecture"
    ));
    process.print_line(format!("+++-{}-{}-{}-{}", rule(name), rule(version), rule(architecture), rule(summary)));
    for (letter, [a, b, c, d]) in rows {
        process.print_line(format!("{letter}  {a:<name$} {b:<version$} {c:<architecture$} {d}"));
    }
    complain_of(process, &missing)
}

/// `dpkg --get-selections`.
pub(super) fn selections(process: &mut Process<'_, '_>, patterns: &[String]) -> Result<u8, Refusal> {
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let (packages, missing) = found(process, &patterns);
    for hit in packages {
        let Hit::Package(package) = hit else { continue };
        let name = Known::of(process, package, Detail::Fields)?.binary_name();
        let tabs = 6usize.saturating_sub(name.len() / 8).max(1);
        process.print_line(format!("{name}{}install", "\t".repeat(tabs)));
    }
    for pattern in &missing {
        process.complain(format_args!("no packages found matching {pattern}"));
    }
    Ok(0)
}

fn status(process: &mut Process<'_, '_>, names: &[&str]) -> Result<u8, Refusal> {
    let mut failed = false;
    for (index, name) in names.iter().enumerate() {
        let packages = process.world.packages;
        let Some(package) = find(packages, name).into_iter().next() else {
            process.stderr.extend_from_slice(
                format!(
                    "dpkg-query: package '{name}' is not installed and no information is available\n\
                     Use dpkg --info (= dpkg-deb --info) to examine archive files.\n"
                )
                .as_bytes(),
            );
            failed = true;
            continue;
        };
        if index > 0 {
            process.print_line("");
        }
        let known = Known::of(process, package, Detail::Conffiles)?;
        for (name, value) in &known.fields {
            let first = if name == "Conffiles" { "\n" } else { " " };
            process.print_line(format!("{name}:{first}{value}"));
        }
    }
    Ok(u8::from(failed))
}

/// Every path that `package` ships; the root is `/.`.
pub(super) fn listing(package: &UnpackedPackage) -> Vec<String> {
    let paths = package.tree.iter().filter(|(path, _)| !path.is_root()).map(|(path, _)| path.to_string());
    std::iter::once("/.".to_owned()).chain(paths).collect()
}

fn list_files(process: &mut Process<'_, '_>, names: &[&str]) -> Result<u8, Refusal> {
    let mut failed = false;
    for (index, name) in names.iter().enumerate() {
        let packages = process.world.packages;
        let package = find(packages, name).into_iter().next();
        let Some(package) = package.filter(|package| state(process.world, package) != State::HalfInstalled) else {
            process.stderr.extend_from_slice(
                format!(
                    "dpkg-query: package '{name}' is not installed\n\
                     Use dpkg --contents (= dpkg-deb --contents) to list archive files contents.\n"
                )
                .as_bytes(),
            );
            failed = true;
            continue;
        };
        if index > 0 {
            process.print_line("");
        }
        for path in listing(package) {
            process.print_line(&path);
            let diverted = process.world.effects.diversions.iter().find(|entry| *entry.what.path == *path);
            let Some(diversion) = diverted.map(|entry| entry.what.clone()) else { continue };
            match &*diversion.package {
                ":" => process.print_line(format!("locally diverted to: {}", diversion.to)),
                by if by == package.name.as_str() => {
                    process.print_line(format!("package diverts others to: {}", diversion.to));
                }
                by => process.print_line(format!("diverted by {by} to: {}", diversion.to)),
            }
        }
    }
    Ok(u8::from(failed))
}

/// `-S`: a pattern that begins with a slash is the whole path, another one a part of it.
fn search(process: &mut Process<'_, '_>, patterns: &[&str]) -> Result<u8, Refusal> {
    let mut failed = false;
    for pattern in patterns {
        let wild = pattern.contains(['*', '?', '[', '\\']);
        let whole = match (wild, pattern.starts_with('/')) {
            (_, false) => format!("*{pattern}*"),
            // dpkg takes trailing slashes away.
            (false, true) => pattern.trim_end_matches('/').to_owned(),
            (true, true) => (*pattern).to_owned(),
        };
        let mut owners: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
        for package in process.world.packages {
            let mut name = None;
            for (path, _) in package.tree.iter().filter(|(path, _)| !path.is_root()) {
                let path = path.to_string();
                let hit = if wild || !pattern.starts_with('/') {
                    matches(whole.as_bytes(), path.as_bytes())
                } else {
                    path == whole
                };
                if hit {
                    let name: &mut String = match &mut name {
                        Some(name) => name,
                        none => none.insert(Known::of(process, package, Detail::Fields)?.binary_name()),
                    };
                    owners.entry(path).or_default().push(name.clone());
                }
            }
        }
        for (path, names) in &owners {
            process.print_line(format!("{}: {path}", names.join(", ")));
        }
        let diversions: Vec<_> = process.world.effects.diversions.iter().map(|entry| entry.what.clone()).collect();
        let mut diverted = false;
        for diversion in diversions {
            for path in [&diversion.path, &diversion.to] {
                if matches(whole.as_bytes(), path.as_bytes()) {
                    diverted = true;
                    let by = match &*diversion.package {
                        ":" => "local diversion".to_owned(),
                        package => format!("diversion by {package}"),
                    };
                    process.print_line(format!("{by} from: {}", diversion.path));
                    process.print_line(format!("{by} to: {}", diversion.to));
                    break;
                }
            }
        }
        if owners.is_empty() && !diverted {
            process
                .stderr
                .extend_from_slice(format!("dpkg-query: no path found matching pattern {pattern}\n").as_bytes());
            failed = true;
        }
    }
    Ok(u8::from(failed))
}

/// The control files of a package that the image keeps or that scripts may read.
fn control_list(process: &mut Process<'_, '_>, names: &[&str]) -> Result<u8, Refusal> {
    let [name] = names else { return process.error("--control-list takes one package name argument") };
    let Some(package) = find(process.world.packages, name).into_iter().next() else {
        return not_installed(process, name);
    };
    for member in package.control.keys().filter(|member| *member != "control") {
        process.print_line(member);
    }
    Ok(0)
}

fn control_show(process: &mut Process<'_, '_>, names: &[&str]) -> Result<u8, Refusal> {
    let [name, member] = names else {
        return process.error("--control-show takes exactly two arguments");
    };
    let Some(package) = find(process.world.packages, name).into_iter().next() else {
        return not_installed(process, name);
    };
    match package.control.get(*member) {
        Some(bytes) => {
            process.print(bytes);
            Ok(0)
        }
        None => process.error(format_args!("control file '{member}' does not exist")),
    }
}

fn not_installed(process: &mut Process<'_, '_>, name: &str) -> Result<u8, Refusal> {
    process.complain(format_args!("package '{name}' is not installed"));
    Ok(if name.is_empty() { TROUBLE } else { 1 })
}
