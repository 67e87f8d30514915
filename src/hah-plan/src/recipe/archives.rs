//! `[[suite]]` and `[[archive]]`: where packages come from.

use super::document::Fields;
use super::model::{ArchiveEntry, Entry, SuiteEntry};
use super::parse::Parser;
use super::problem::{Located, Place, Problem, Report};
use crate::system::{Archive, Expiry, SuiteUse};

/// A `[[suite]]` without its condition.
pub(super) fn suite(fields: &mut Fields, report: &mut Report) -> Option<Located<SuiteEntry>> {
    let name = fields.text("name")?;
    let components: Vec<_> = fields.texts("components").into_iter().map(|text| text.value).collect();
    let suite = SuiteEntry {
        name: name.value.clone(),
        archive: fields.parsed("archive", report).map_or(Archive::Debian, |archive| archive.value),
        components: if components.is_empty() { vec!["main".to_owned()] } else { components },
        expired: fields.choice("expired", &[("refuse", Expiry::Refuse), ("allow", Expiry::Allow)])?,
        use_for: fields.choice("use", &[("default", SuiteUse::Default), ("pin-only", SuiteUse::PinOnly)])?,
    };
    // Names of suites and components become parts of URLs and paths.
    for (word, place) in suite.components.iter().map(|word| (word, &name.place)).chain([(&name.value, &name.place)]) {
        if !word.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric())) {
            let reason = format!("`{word}` cannot be the name of a suite or component");
            report.at(place, Problem::Invalid { reason, hint: "for example `trixie-updates`" });
            return None;
        }
    }
    Some(name.map(|_| suite))
}

impl Parser<'_> {
    pub(super) fn suite(&mut self, mut fields: Fields) -> Option<Entry<SuiteEntry>> {
        let suite = suite(&mut fields, self.report)?;
        Some(self.entry(suite, fields))
    }

    pub(super) fn archive(&mut self, mut fields: Fields) -> Option<Entry<ArchiveEntry>> {
        let name = fields.text("name");
        let key = fields.text("key").and_then(|path| self.source(&path));
        let (uris, suites) = (fields.texts("uris"), fields.texts("suites"));
        let components = fields.texts("components");
        let architectures = fields.texts("architectures").into_iter().map(|text| text.value).collect();
        let expired = fields.choice("expired", &[("refuse", Expiry::Refuse), ("allow", Expiry::Allow)]);
        let use_for = fields.choice("use", &[("default", SuiteUse::Default), ("pin-only", SuiteUse::PinOnly)]);
        let (name, key) = (name?, key?);
        let mut good = true;
        let mut refuse = |place: &Place, reason: String, hint: &'static str| {
            good = false;
            self.report.at(place, Problem::Invalid { reason, hint });
        };
        if !matches!(name.value.parse(), Ok(Archive::Own(_))) {
            let reason = format!("`{}` cannot be the name of an archive of your own", name.value);
            refuse(&name.place, reason, "small letters, digits and dashes, and not `debian`");
        }
        for (key, list) in [("uris", &uris), ("suites", &suites)] {
            if list.is_empty() {
                refuse(&name.place, format!("`{key}` is empty"), "");
            }
        }
        for uri in &uris {
            if !["http://", "https://", "file:///"].iter().any(|scheme| uri.value.starts_with(scheme)) {
                let reason = format!("`{}` is no address of an archive", uri.value);
                refuse(&uri.place, reason, "for example `https://download.docker.com/linux/debian`");
            }
        }
        // Names of suites and components become parts of URLs and paths.
        let plain = |text: &str| text.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()));
        let is_flat = |suite: &Located<String>| suite.value.ends_with('/');
        for suite in &suites {
            let path = suite.value.strip_suffix('/').unwrap_or(&suite.value);
            let is_root = is_flat(suite) && matches!(path, "" | ".");
            if !plain(path) && !is_root {
                refuse(
                    &suite.place,
                    format!("`{}` cannot be the name of a suite", suite.value),
                    "for example `stable`, or `./`",
                );
            }
            match (is_flat(suite), components.first()) {
                (true, Some(first)) => {
                    let reason = format!("the flat suite `{}` has no components", suite.value);
                    refuse(
                        &first.place,
                        reason,
                        "drop `components`, or give suites of either kind their own [[archive]]",
                    );
                }
                (false, None) => {
                    let reason = format!("the suite `{}` needs components", suite.value);
                    refuse(&suite.place, reason, "for example `components = [\"main\"]`; a flat suite ends in `/`");
                }
                _ => {}
            }
        }
        for component in components.iter().filter(|component| !plain(&component.value)) {
            refuse(
                &component.place,
                format!("`{}` cannot be the name of a component", component.value),
                "for example `main`",
            );
        }
        if !good {
            return None;
        }
        let values = |list: Vec<Located<String>>| list.into_iter().map(|text| text.value).collect::<Vec<_>>();
        let suites =
            values(suites).into_iter().map(|suite| if suite == "/" { "./".to_owned() } else { suite }).collect();
        let entry = ArchiveEntry {
            name: name.value.clone(),
            uris: values(uris),
            suites,
            components: values(components),
            key,
            architectures,
            expired: expired?,
            use_for: use_for?,
        };
        Some(self.entry(name.map(|_| entry), fields))
    }
}
