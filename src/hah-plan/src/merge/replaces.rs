//! Which packages may take over files of which others: the `Replaces` fields (Debian Policy 7.6.1).

use std::collections::{BTreeMap, BTreeSet};

use super::MergeError;
use crate::debian::PackageName;
use crate::debian::binary::BinaryControl;
use crate::rootfs::UnpackedPackage;

/// Pairs of packages of this closure, the replacing one first, whose version restriction holds.
#[derive(Debug, Default)]
pub(super) struct Replacements {
    pairs: BTreeSet<(PackageName, PackageName)>,
}

impl Replacements {
    /// Reads every package's `Replaces`.
    pub(super) fn of(packages: &[&UnpackedPackage]) -> Result<Self, MergeError> {
        let by_name: BTreeMap<&PackageName, &UnpackedPackage> =
            packages.iter().map(|package| (&package.name, *package)).collect();
        let mut pairs = BTreeSet::new();
        for package in packages {
            let malformed = |reason: String| MergeError::Control { package: package.name.clone(), reason };
            let Some(control) = package.control.get("control") else { continue };
            let control = std::str::from_utf8(control).map_err(|error| malformed(error.to_string()))?;
            let control = BinaryControl::parse(control).map_err(|error| malformed(error.to_string()))?;
            for relation in control.replaces.iter().flat_map(|alternatives| &alternatives.0) {
                if by_name.get(&relation.name).is_some_and(|replaced| relation.admits(&replaced.version)) {
                    pairs.insert((package.name.clone(), relation.name.clone()));
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
