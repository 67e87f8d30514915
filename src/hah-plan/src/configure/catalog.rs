//! `/var/lib/systemd/catalog/database`, the explanations of `journalctl -x`, as `journalctl --update-catalog` compiles them.
//!
//! Source files are `*.catalog` (systemd's "Journal Message Catalogs"): an entry is a line `-- ID [LANGUAGE]`, headers,
//! an empty line and a text; `NAME.LANGUAGE.catalog` gives all its entries that language.
//! The database (source: `catalog.c` of systemd), little-endian:
//!
//! ```text
//!  0  "RHHHKSLP"  0:u32  0:u32  size of this header:u64 = 40  number of items:u64  size of an item:u64 = 56
//! 40  items, sorted: id:16 bytes  language, NUL-padded:32 bytes  offset into the strings:u64
//!     strings
//! ```

use std::collections::BTreeMap;

use hah_format::path::TreePath;

use super::strings::Strings;
use super::{ConfigureError, Target, path};

/// Entries of one file at most.
const ENTRIES_MAX: usize = 10_000;
/// Bytes for a language, its NUL included.
const LANGUAGE: usize = 32;

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let mut files: BTreeMap<String, TreePath> = BTreeMap::new();
    for directory in ["usr/local/lib/systemd/catalog", "usr/lib/systemd/catalog"] {
        let directory = path(directory)?;
        for (at, _) in target.root.entries(&directory).filter(|(at, _)| at.name().ends_with(".catalog")) {
            files.entry(at.name().to_owned()).or_insert_with(|| at.clone());
        }
    }
    let mut catalog = Catalog::default();
    for at in files.values() {
        let Some(text) = target.read_text(at)? else { continue };
        catalog.import(at.name(), &text).map_err(|(line, reason)| ConfigureError::syntax(at, line, reason))?;
    }
    if catalog.places.is_empty() {
        return Ok(());
    }
    target.put(&path("var/lib/systemd/catalog/database")?, catalog.encode())
}

/// An entry's name.
type Key = ([u8; 16], String);

/// Entries in the order in which they came first; the strings depend on it.
#[derive(Default)]
struct Catalog {
    entries: Vec<String>,
    places: BTreeMap<Key, usize>,
}

impl Catalog {
    /// Adds the entries of a file. Errors have their line.
    fn import(&mut self, file: &str, text: &str) -> Result<(), (usize, String)> {
        let default = language_of(file).unwrap_or_default();
        let mut current: Option<(Key, String)> = None;
        let mut after_empty = true;
        for (number, line) in text.lines().enumerate() {
            let error = |reason: &str| Err((number + 1, reason.to_owned()));
            if line.is_empty() {
                after_empty = true;
                continue;
            }
            if line.starts_with(['#', ';']) {
                continue;
            }
            if after_empty && let Some((id, language)) = begin(line) {
                if let Some((key, body)) = current.take() {
                    if body.is_empty() {
                        return error("the entry before has no text");
                    }
                    self.add(key, body);
                }
                let language = language.unwrap_or(default);
                if (!language.is_empty() && language.len() < 2) || language.len() >= LANGUAGE {
                    return error("a language has 2 to 31 letters");
                }
                if self.places.len() >= ENTRIES_MAX {
                    return error("there are more than 10000 entries");
                }
                current = Some(((id, language.to_owned()), String::new()));
                after_empty = false;
                continue;
            }
            let Some((_, body)) = &mut current else { return error("a text before the first entry") };
            if after_empty {
                body.push('\n');
            }
            body.push_str(line);
            body.push('\n');
            after_empty = false;
        }
        match current {
            Some((_, body)) if body.is_empty() => Err((text.lines().count(), "the last entry has no text".into())),
            Some((key, body)) => {
                self.add(key, body);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A second entry of one name adds its headers before the first's, and its text, if it has one, replaces it.
    fn add(&mut self, key: Key, body: String) {
        match self.places.get(&key) {
            Some(place) => {
                let old = &mut self.entries[*place];
                let ((headers, text), (old_headers, old_text)) = (parts(&body), parts(old));
                *old = [headers, old_headers, if text.is_empty() { old_text } else { text }].concat();
            }
            None => {
                self.places.insert(key, self.entries.len());
                self.entries.push(body);
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut strings = Strings::default();
        let offsets: Vec<usize> = self.entries.iter().map(|entry| strings.add(entry.as_bytes())).collect();
        let mut out = b"RHHHKSLP".to_vec();
        out.extend([0; 8]);
        for word in [40, self.places.len() as u64, 56] {
            out.extend(word.to_le_bytes());
        }
        for ((id, language), place) in &self.places {
            out.extend(id);
            let mut padded = [0; LANGUAGE];
            padded[..language.len()].copy_from_slice(language.as_bytes());
            out.extend(padded);
            out.extend((offsets[*place] as u64).to_le_bytes());
        }
        out.extend(strings.bytes());
        out
    }
}

/// `be` of `systemd.be.catalog`.
fn language_of(file: &str) -> Option<&str> {
    let (_, language) = file.strip_suffix(".catalog")?.rsplit_once('.')?;
    (!language.is_empty() && language.len() < LANGUAGE).then_some(language)
}

/// The id and the language of a line that begins an entry.
fn begin(line: &str) -> Option<([u8; 16], Option<&str>)> {
    let rest = line.strip_prefix("-- ")?;
    let (id, rest) = rest.split_at_checked(32)?;
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    if !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let id = u128::from_str_radix(id, 16).ok()?.to_be_bytes();
    Some((id, (!rest.is_empty()).then(|| rest.trim())))
}

/// Headers, and the text with the empty line before it.
fn parts(entry: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some(end) = entry[at..].find('\n') {
        if end == 0 {
            break;
        }
        at += end + 1;
    }
    entry.split_at(at)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "journalctl itself is the oracle")]

    use super::*;
    use crate::scripts::closure::{Scratch, oracle};

    const FILES: &[(&str, &str)] = &[
        (
            "a.catalog",
            "# comment\n\n-- f77379a8490b408bbe5f6940505a777b\nSubject: Started\nDefined-By: systemd\n\nText one.\n\nText two.\n\
             ; not this\n-- not an id\n\n-- d93fb3c9c24d451a97cea615ce59c00b de\nSubject: Halt\n\nText two.\n",
        ),
        ("a.be@latin.catalog", "-- f77379a8490b408bbe5f6940505a777b\nSubject: Zapuščany\n\nTekst.\n"),
        (
            "b.catalog",
            "-- f77379a8490b408bbe5f6940505a777b\nSupport: here\n\n-- 00000000000000000000000000000001\nX: y\n",
        ),
    ];

    #[test]
    fn the_database_is_journalctls() {
        let (mut catalog, scratch) = (Catalog::default(), Scratch::new("catalog"));
        let files: BTreeMap<&str, &str> = FILES.iter().copied().collect();
        for (name, text) in &files {
            catalog.import(name, text).unwrap();
            scratch.write(&format!("usr/lib/systemd/catalog/{name}"), text);
        }
        if oracle("journalctl", &["--root", scratch.path(), "--update-catalog"]) {
            let theirs = std::fs::read(format!("{}/var/lib/systemd/catalog/database", scratch.path())).unwrap();
            assert_eq!(String::from_utf8_lossy(&catalog.encode()), String::from_utf8_lossy(&theirs));
            assert!(catalog.encode() == theirs);
        }
    }

    #[test]
    fn malformed_catalogs_have_their_line() {
        let id = "-- 00000000000000000000000000000001";
        for (text, line) in [("text\n", 1), (id, 1), (&format!("{id} x\n"), 1), (&format!("{id}\n\n{id}\n"), 3)] {
            assert_eq!(Catalog::default().import("x.catalog", text).unwrap_err().0, line, "{text}");
        }
    }
}
