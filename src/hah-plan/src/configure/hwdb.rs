//! `/usr/lib/udev/hwdb.bin`, as `systemd-hwdb --usr update` compiles it from `hwdb.d/*.hwdb` (hwdb(7)).
//!
//! Files of `/etc/udev/hwdb.d` and `/usr/lib/udev/hwdb.d` are read in order of name; one in `/etc` hides its namesake.
//! A record is one line or more with a pattern, then lines ` KEY=VALUE`. Malformed lines are passed over, as systemd does.
//! [`database`] has the file format; the bytes are systemd's own.

mod database;

use std::collections::BTreeMap;

use hah_format::path::TreePath;
use hah_format::tree::Node;

use super::{ConfigureError, Target, path};
use crate::contents::NamedFiles;
use crate::plan::keys::DerivedKey;
use crate::plan::{Derivation, DerivedFiles};
use database::{Database, Source};

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let mut files: BTreeMap<String, TreePath> = BTreeMap::new();
    for directory in ["etc/udev/hwdb.d", "usr/lib/udev/hwdb.d"] {
        let directory = path(directory)?;
        for (at, _) in target.root.entries(&directory).filter(|(at, _)| at.name().ends_with(".hwdb")) {
            files.entry(at.name().to_owned()).or_insert_with(|| at.clone());
        }
    }
    if files.is_empty() {
        return Ok(());
    }
    let mut failed = None;
    let derived = target.contents.derived(&step(target, &files), &mut || match compile(target, &files) {
        Ok(bytes) => Some(NamedFiles::from([(NAME.to_owned(), bytes)])),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let at = path("usr/lib/udev/hwdb.bin")?;
    let derived = derived.map_err(|error| ConfigureError::at(&at, error))?;
    match derived.and_then(|mut files| files.remove(NAME)) {
        Some(content) => target.put_node(&at, Node::file(0o444, content)),
        None => Ok(()),
    }
}

/// The compiled database's name.
const NAME: &str = "hwdb.bin";

/// The step of the database. Its key names all that decides it: its sources, and the systemd that it says it was made by.
fn step(target: &Target<'_>, files: &BTreeMap<String, TreePath>) -> Derivation {
    let mut key = DerivedKey::new(DerivedFiles::HardwareDatabase, &tool_version(target).to_string());
    for at in files.values() {
        // Of two namesakes one counts, and it says where it is.
        key.file(at.as_str(), target.content(at).map(|content| content.sha256()));
    }
    key.finish()
}

fn compile(target: &Target<'_>, files: &BTreeMap<String, TreePath>) -> Result<Vec<u8>, ConfigureError> {
    let mut database = Database::default();
    let mut priority = 0u16;
    for at in files.values() {
        let Some(bytes) = target.read(at)? else { continue };
        // An empty file, or a link to /dev/null, hides its namesake and is nothing itself.
        if bytes.is_empty() {
            continue;
        }
        priority = priority.saturating_add(1);
        import(&mut database, &at.to_string(), priority, &bytes).map_err(|line| {
            ConfigureError::syntax(at, line, "a NUL byte, or a line too long for the hardware database")
        })?;
    }
    Ok(database.encode(tool_version(target)))
}

/// The release of the image's own systemd.
fn tool_version(target: &Target<'_>) -> u64 {
    let udev = target.packages.iter().find(|package| ["udev", "systemd"].contains(&package.name.as_str()));
    let digits = |version: &str| version.split(|letter: char| !letter.is_ascii_digit()).next().map(str::to_owned);
    udev.and_then(|package| digits(package.version.as_str())).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Bytes of one line at most (`LONG_LINE_MAX` of systemd).
const LINE_MAX: usize = 1 << 20;

/// Where in a record the reader is.
enum State {
    /// Between records.
    Outside,
    /// Behind a pattern.
    Patterns,
    /// Behind a property.
    Properties,
}

/// Adds the records of one file, `name` as it is on the target. The error is the line that cannot be in a database.
fn import(database: &mut Database, name: &str, priority: u16, bytes: &[u8]) -> Result<(), usize> {
    let mut state = State::Outside;
    let mut patterns: Vec<&[u8]> = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.contains(&0) || line.len() > LINE_MAX {
            return Err(number + 1);
        }
        if line.starts_with(b"#") {
            continue;
        }
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let end = line.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
        let line = &line[..end];
        match state {
            State::Outside if line.is_empty() || line.starts_with(b" ") => {}
            State::Outside => {
                patterns.push(line);
                state = State::Patterns;
            }
            State::Patterns | State::Properties if line.is_empty() => {
                patterns.clear();
                state = State::Outside;
            }
            State::Patterns if !line.starts_with(b" ") => patterns.push(line),
            // A record that goes on with something else than a property ends there.
            State::Properties if !line.starts_with(b" ") => {
                patterns.clear();
                state = State::Outside;
            }
            State::Patterns | State::Properties => {
                state = State::Properties;
                let source = Source { file: name, line: number as u32 + 1, priority };
                if let Some((key, value)) = property(line) {
                    patterns.iter().for_each(|pattern| database.insert(pattern, (key, value), source));
                }
            }
        }
    }
    Ok(())
}

/// As `isspace` in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The key with one space before it, and the value.
fn property(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = line.iter().position(|byte| *byte == b'=')?;
    let (mut key, value) = (&line[..equals], &line[equals + 1..]);
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    while is_blank(key.first()) && is_blank(key.get(1)) {
        key = &key[1..];
    }
    (key.len() > 1).then_some((key, value))
}

#[cfg(test)]
pub(in crate::configure) mod tests;
