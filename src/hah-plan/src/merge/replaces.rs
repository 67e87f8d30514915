//! Which packages may take over files of which others: the `Replaces` fields (Debian Policy 7.6.1).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::MergeError;
use crate::debian::{PackageName, Version};
use crate::rootfs::UnpackedPackage;

/// Bytes of one `Replaces` field at most.
const FIELD_MAX: usize = 64 * 1024;

/// Pairs of packages of this closure, the replacing one first, whose version restriction holds.
#[derive(Debug, Default)]
pub(super) struct Replacements {
    pairs: BTreeSet<(PackageName, PackageName)>,
}

impl Replacements {
    /// Reads every package's `Replaces`.
    pub(super) fn of(packages: &[&UnpackedPackage]) -> Result<Self, MergeError> {
        let versions: BTreeMap<&str, &UnpackedPackage> =
            packages.iter().map(|package| (package.name.as_str(), *package)).collect();
        let mut pairs = BTreeSet::new();
        for package in packages {
            let malformed = |reason: String| MergeError::Replaces { package: package.name.clone(), reason };
            let Some(control) = package.control.get("control") else { continue };
            let field = field(control, "Replaces");
            if field.len() > FIELD_MAX {
                return Err(malformed("it is longer than 64 KiB".into()));
            }
            for relation in field.split(',').map(str::trim).filter(|relation| !relation.is_empty()) {
                let (name, restriction) = relation.split_once('(').map_or((relation, None), |(name, rest)| {
                    (name.trim(), Some(rest.trim_end_matches(')').trim()))
                });
                let name = name.split(':').next().unwrap_or(name);
                let Some(replaced) = versions.get(name) else { continue };
                let holds = restriction.map_or(Ok(true), |text| satisfies(&replaced.version, text)).map_err(malformed)?;
                if holds {
                    pairs.insert((package.name.clone(), replaced.name.clone()));
                }
            }
        }
        Ok(Self { pairs })
    }

    /// Whether `one`'s file wins over `other`'s.
    pub(super) fn replaces(&self, one: &PackageName, other: &PackageName) -> bool {
        self.pairs.contains(&(one.clone(), other.clone()))
    }
}

/// The value of one field of a control file, folded lines joined; empty when it is absent.
fn field(control: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(control);
    let mut value = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if inside {
                value.push_str(line);
            }
            continue;
        }
        inside = match line.split_once(':') {
            Some((found, rest)) if found.eq_ignore_ascii_case(name) => {
                value.push_str(rest);
                true
            }
            _ => false,
        };
    }
    value
}

/// Whether `version` satisfies `text`, such as `<< 2.1-3`.
fn satisfies(version: &Version, text: &str) -> Result<bool, String> {
    let split = text.find(|letter| !"<>=".contains(letter)).unwrap_or(text.len());
    let (operator, wanted) = text.split_at(split);
    let wanted: Version = wanted.trim().parse().map_err(|error| format!("{error}"))?;
    let order = version.cmp(&wanted);
    match operator {
        "<<" => Ok(order == Ordering::Less),
        "<=" | "<" => Ok(order != Ordering::Greater),
        "=" => Ok(order == Ordering::Equal),
        ">=" | ">" => Ok(order != Ordering::Less),
        ">>" => Ok(order == Ordering::Greater),
        _ => Err(format!("unknown operator in `{text}`")),
    }
}
