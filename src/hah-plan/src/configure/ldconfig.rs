//! `/etc/ld.so.cache`, as ldconfig(8) writes it, and links from sonames to libraries that lack one.
//!
//! Directories: those of `/etc/ld.so.conf` in order, then `/lib` and `/usr/lib` (one directory since the `/usr` merge;
//! the first spelling names it in the cache). In each, `lib*.so*` and `ld-*.so*` that are shared objects.
//! [`cache`] has the file format. `glibc-hwcaps` subdirectories, whose variants Debian has for amd64 only, are not listed:
//! the loader then uses the plain library beside them.

mod cache;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use hah_format::elf::ElfFacts;
use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use super::{ConfigureError, Problem, Target, path};
use cache::Entry;

/// `ET_DYN`.
const SHARED_OBJECT: u16 = 3;
/// Nesting of `include` at most.
const INCLUDES_MAX: usize = 8;

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let mut entries = Vec::new();
    let mut seen = BTreeSet::new();
    for directory in directories(target)? {
        let spelled = path(&directory)?;
        let Some(real) = target.root.resolve(&spelled) else { continue };
        if !target.root.get(&real).is_some_and(Node::is_dir) || !seen.insert(real.clone()) {
            continue;
        }
        for library in libraries(target, &real)? {
            if !library.is_link {
                link(target, &real, &library)?;
            }
            entries.push(Entry {
                path: format!("{}/{}", directory.trim_end_matches('/'), library.soname),
                soname: library.soname,
                flags: library.flags,
            });
        }
    }
    if entries.is_empty() {
        return Ok(());
    }
    let generator = generator(target);
    let bytes = cache::encode(entries, &generator).ok_or_else(too_large)?;
    target.put(&path("etc/ld.so.cache")?, bytes)
}

fn too_large() -> ConfigureError {
    ConfigureError::invalid("the library cache would be larger than 2 GiB", "leave packages out")
}

/// What the target's own ldconfig signs its caches with.
fn generator(target: &Target<'_>) -> String {
    let libc = target.packages.iter().find(|package| package.name.as_str() == "libc-bin");
    let version = libc.map_or("unknown", |package| package.version.as_str());
    let release = version.split('-').next().unwrap_or_default();
    format!("ldconfig (Debian GLIBC {version}) stable release version {release}")
}

/// Library directories as they are spelled, in order.
fn directories(target: &Target<'_>) -> Result<Vec<String>, ConfigureError> {
    let mut out = Vec::new();
    read_conf(target, &path("etc/ld.so.conf")?, 0, &mut out)?;
    let suffixes = target.system.architecture.facts().map_or(&[""][..], |facts| facts.library_suffixes);
    for directory in ["/lib", "/usr/lib"] {
        out.extend(suffixes.iter().map(|suffix| format!("{directory}{suffix}")));
    }
    Ok(out)
}

fn read_conf(target: &Target<'_>, conf: &TreePath, depth: usize, out: &mut Vec<String>) -> Result<(), ConfigureError> {
    if depth > INCLUDES_MAX {
        return Err(ConfigureError::syntax(conf, 0, "`include` is nested too deeply"));
    }
    for (number, line) in target.read_text(conf)?.unwrap_or_default().lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        if line.is_empty() || word.eq_ignore_ascii_case("hwcap") {
            continue;
        }
        if word != "include" {
            out.push(line.to_owned());
            continue;
        }
        for pattern in rest.split([' ', '\t']).filter(|pattern| !pattern.is_empty()) {
            for included in expand(target, conf, pattern, number + 1)? {
                read_conf(target, &included, depth + 1, out)?;
            }
        }
    }
    Ok(())
}

/// Files that match a pattern with `*` in its last component, in byte order.
fn expand(target: &Target<'_>, conf: &TreePath, pattern: &str, line: usize) -> Result<Vec<TreePath>, ConfigureError> {
    let error = |error: hah_format::path::PathError| ConfigureError::syntax(conf, line, error.to_string());
    let whole = if pattern.starts_with('/') {
        TreePath::parse(pattern)
    } else {
        conf.parent().unwrap_or_else(TreePath::root).join(pattern)
    };
    let whole = whole.map_err(error)?;
    let directory = whole.parent().unwrap_or_else(TreePath::root);
    if directory.as_str().contains(['*', '?', '[']) || whole.name().contains(['?', '[']) {
        return Err(ConfigureError::syntax(conf, line, "only `*` in the last component can be read here"));
    }
    let found = target.root.entries(&directory).filter(|(at, _)| matches(whole.name(), at.name()));
    Ok(found.map(|(at, _)| at.clone()).collect())
}

/// A `*` matches any letters; a hidden file must be named as such.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A library of one directory.
#[derive(Clone, Debug)]
struct Library {
    name: String,
    soname: String,
    is_link: bool,
    flags: i32,
}

/// For each soname of the directory the library that has it: rather a file than a link, rather a newer one than an older.
fn libraries(target: &mut Target<'_>, directory: &TreePath) -> Result<Vec<Library>, ConfigureError> {
    let mut found: BTreeMap<String, Library> = BTreeMap::new();
    let mut stale = Vec::new();
    for (at, node) in target.root.entries(directory) {
        let name = at.name();
        if node.is_dir() || !is_library(name) {
            continue;
        }
        let is_link = matches!(node.kind, Kind::Symlink(_));
        let Some(content) = target.content(at) else {
            if is_link && name.contains(".so.") && target.root.resolve(at).is_none() {
                stale.push(at.clone());
            }
            continue;
        };
        let Some(facts) = target.contents.elf(&content.sha256()) else { continue };
        if facts.elf_type != SHARED_OBJECT {
            continue;
        }
        let soname = facts.soname.clone().unwrap_or_else(|| name.to_owned());
        // Only links that the linkers look for are links; others are one more name of the library.
        let is_link = is_link && (name == soname || (name.ends_with(".so") && soname.starts_with(name)));
        let soname = if is_link { name.to_owned() } else { soname };
        if soname.contains('/') || soname.is_empty() {
            return Err(ConfigureError::syntax(at, 0, format!("`{soname}` cannot be the name of a library")));
        }
        let library = Library { name: name.to_owned(), soname: soname.clone(), is_link, flags: flags(facts) };
        let is_better = found.get(&soname).is_none_or(|other| {
            (!is_link && other.is_link) || (is_link == other.is_link && compare(&other.name, name) == Ordering::Less)
        });
        if is_better {
            found.insert(soname, library);
        }
    }
    for at in stale {
        target.root.remove(&at);
    }
    Ok(found.into_values().collect())
}

/// Names that are looked into.
fn is_library(name: &str) -> bool {
    let named = (name.starts_with("lib") || name.starts_with("ld-")) && name.contains(".so");
    let special = name.starts_with("ld.so.") || name.starts_with("ld64.so.");
    let temporary = name.ends_with(".dpkg-new") || name.ends_with(".dpkg-tmp") || name.contains(';');
    (named || special) && !temporary
}

/// Kind and machine, as dl-cache.h spells them.
fn flags(facts: &ElfFacts) -> i32 {
    const LIBC6: i32 = 0x3;
    match facts.machine {
        // AArch64.
        183 if facts.is_64 => LIBC6 | 0x0a00,
        // ARM: hard and soft float; unmarked files fit both.
        40 if facts.flags & 0x400 != 0 => LIBC6 | 0x0900,
        40 if facts.flags & 0x200 != 0 => LIBC6 | 0x0b00,
        // x86-64, but for its 32-bit pointers.
        62 if facts.is_64 => LIBC6 | 0x0300,
        _ => LIBC6,
    }
}

/// The link from its soname to the library, unless something is there.
fn link(target: &mut Target<'_>, directory: &TreePath, library: &Library) -> Result<(), ConfigureError> {
    let invalid = |error: hah_format::path::PathError| {
        ConfigureError::at(directory, Problem::Syntax { line: 0, reason: error.to_string() })
    };
    let (from, to) =
        (directory.join(&library.soname).map_err(invalid)?, directory.join(&library.name).map_err(invalid)?);
    let is_right = target.root.resolve(&from).is_some_and(|found| Some(found) == target.root.resolve(&to));
    let may_replace = target.root.get(&from).is_none_or(|node| matches!(node.kind, Kind::Symlink(_)));
    if is_right || !may_replace {
        return Ok(());
    }
    target.put_node(&from, Node::symlink(&library.name))
}

/// Versions in library names compare as numbers.
fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    let number = |bytes: &mut &[u8]| {
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value =
            bytes[..digits].iter().fold(0u64, |all, digit| all.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
        *bytes = &bytes[digits..];
        value
    };
    while let Some(first) = left.first() {
        let order = match (first.is_ascii_digit(), right.first().is_some_and(u8::is_ascii_digit)) {
            (true, true) => number(&mut left).cmp(&number(&mut right)),
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {
                let order = Some(first).cmp(&right.first());
                left = &left[1..];
                right = right.get(1..).unwrap_or_default();
                order
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    if right.is_empty() { Ordering::Equal } else { Ordering::Less }
}

#[cfg(test)]
mod tests;
