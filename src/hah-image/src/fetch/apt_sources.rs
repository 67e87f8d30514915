//! The mirrors that the host itself uses, from apt's sources (sources.list(5)).
//!
//! Both forms are read: one-line `deb [options] URI suite …` in `*.list` and deb822 stanzas in `*.sources`.
//! Only the URI matters, and only when its path says which archive it is: it ends in `/debian` or `/debian-security`.
//! This is a convenience, so what cannot be understood is passed over; everything fetched is verified anyway.

#![cfg_attr(
    not(test),
    expect(clippy::disallowed_methods, reason = "also compiled into fuzz targets, without the doorway")
)]

use std::path::{Path, PathBuf};

use hah_plan::debian::control::stanzas;

/// A source of one of the archives that are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `debian` or `debian-security`.
    pub archive: String,
    /// The URI.
    pub base: String,
    /// The file that names it.
    pub file: PathBuf,
}

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The sources named below `directory`, in apt's order: `sources.list`, then `sources.list.d` by name.
pub fn read(directory: &Path) -> Vec<Found> {
    let mut files = vec![directory.join("sources.list")];
    if let Ok(entries) = std::fs::read_dir(directory.join("sources.list.d")) {
        let mut more: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        more.sort();
        files.extend(more);
    }
    let mut found = Vec::new();
    for file in files {
        let small = std::fs::metadata(&file).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_FILE);
        let Some(text) = small.then(|| std::fs::read_to_string(&file).ok()).flatten() else { continue };
        found.extend(named_in(&file, &text));
    }
    found
}

/// The sources that `text` names, in the form that the file's name says it has.
pub(crate) fn named_in(file: &Path, text: &str) -> Vec<Found> {
    let uris = match file.extension().and_then(|extension| extension.to_str()) {
        Some("list") => one_line(text),
        Some("sources") => deb822(text),
        _ => Vec::new(),
    };
    let found = |base: String| {
        let archive = archive_of(&base)?.to_owned();
        Some(Found { archive, base, file: file.to_owned() })
    };
    uris.into_iter().filter_map(found).collect()
}

/// Which archive a URI is of.
fn archive_of(uri: &str) -> Option<&str> {
    let name = uri.trim_end_matches('/').rsplit('/').next()?;
    matches!(name, "debian" | "debian-security").then_some(name)
}

fn one_line(text: &str) -> Vec<String> {
    let uri = |line: &str| {
        let rest = line.trim().strip_prefix("deb")?;
        let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        rest.split_whitespace().next().map(str::to_owned)
    };
    text.lines().filter_map(uri).collect()
}

fn deb822(text: &str) -> Vec<String> {
    // A comment may stand inside a stanza and does not end it, so the line goes as a whole.
    let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect();
    let mut uris = Vec::new();
    for stanza in stanzas(&text).map_while(Result::ok) {
        let words = |name| stanza.get(name).unwrap_or_default().split_whitespace().map(str::to_owned);
        let enabled = !matches!(stanza.get("Enabled"), Some("no" | "false" | "0" | "off" | "without" | "disable"));
        if enabled && words("Types").any(|kind| kind == "deb") {
            uris.extend(words("URIs"));
        }
    }
    uris
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let lists = dir.path().join("sources.list.d");
        std::fs::create_dir(&lists).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write(
            "sources.list",
            "# deb http://no.example/debian x main\n\
             deb-src http://no.example/debian x main\n\
             deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian/ bookworm main\n\
             debian nonsense\n\
             deb http://a.example/debian-security bookworm-security main\n\
             deb https://vendor.example/apt stable main\n",
        );
        write(
            "sources.list.d/debian.sources",
            "Types: deb deb-src\n# a comment inside\nURIs: http://b.example/debian\n http://c.example/debian\n\
             Suites: trixie\nComponents: main\n\n\nEnabled: no\nTypes: deb\nURIs: http://no.example/debian\n\n\
             Types: deb-src\nURIs: http://no.example/debian\n",
        );
        write("sources.list.d/broken.sources", "no field\n");
        write("sources.list.d/ignored.save", "deb http://no.example/debian x main\n");
        let found: Vec<(String, String)> =
            read(dir.path()).into_iter().map(|found| (found.archive, found.base)).collect();
        let pair = |archive: &str, base: &str| (archive.to_owned(), base.to_owned());
        assert_eq!(
            found,
            [
                pair("debian", "http://a.example/debian/"),
                pair("debian-security", "http://a.example/debian-security"),
                pair("debian", "http://b.example/debian"),
                pair("debian", "http://c.example/debian"),
            ]
        );
    }

    #[test]
    fn a_host_without_apt_has_none() {
        assert_eq!(read(Path::new("/nonexistent")), []);
    }
}
