//! Maintainer scripts: read, never run.
//!
//! The build executes no byte of the target, so what `preinst` and `postinst` would do must be known beforehand.
//! `prerm` and `postrm` do not matter: an image is a first installation, and they run only on upgrade and removal (Policy 6.5).
//!
//! Each script goes through these states:
//!
//! `text → sections + remainder → effects (understood | reviewed) | error`
//!
//! 1. [`split`]: debhelper's marked sections are evaluated; what is left is the remainder.
//! 2. [`fresh`]: a remainder of which a first installation reaches only known commands is understood.
//!    This covers empty skeletons and plain `update-alternatives` calls.
//! 3. [`table`]: any other remainder must have been reviewed; its digest is looked up.
//! 4. Otherwise the script is an error, which shows it and says how to review it. Nothing is skipped.
//!
//! The triggers of packages (`interest` in their `triggers` file) need no reading here: `postinst triggered` does again what
//! `postinst configure` did, for files of other packages, and the passes see all packages' files at once.

mod shell;
mod fresh;
mod split;
mod effect;
mod table;
#[cfg(test)]
pub(crate) mod closure;

use std::fmt::Write as _;

use hah_format::digest::Sha256;

use crate::debian::{PackageName, Version};
use crate::rootfs::UnpackedPackage;
use fresh::Installed;
use split::{Script, reviewed_name};

pub use effect::{
    Alternative, Author, Diversion, Effect, Effects, Ids, Manager, NssPosition, NssService, Ownership, PathAction,
    PathEffect, ScriptKind, Slave, Sourced, Statoverride, SystemUser, UnitAction, UnitEffect,
};
pub use table::{Review, ReviewTable, TableError, parse_table};

/// Lines of an unreviewed script that an error shows.
const SHOWN_LINES: usize = 24;

/// A script that is neither understood nor reviewed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {kind} script of {package} {version} has not been reviewed: {what} (line {line}) is more than we can read\n{excerpt}"
)]
pub struct ScriptError {
    /// The package.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// Which script.
    pub kind: ScriptKind,
    /// Line of the script at which reading ended, from 1.
    pub line: usize,
    /// What stands there.
    pub what: String,
    /// The key that a review would have.
    pub sha256: Sha256,
    /// Whether another text of the same script was reviewed.
    pub reviewed_before: bool,
    /// The remainder's first lines.
    pub excerpt: String,
}

impl ScriptError {
    /// What to do next.
    pub fn hint(&self) -> String {
        let package = &self.package;
        let how = format!(
            "`hah-image review {package}` prints the script and a ready entry; declare there what it does on a fresh image"
        );
        match self.reviewed_before {
            true => {
                format!("an earlier text was reviewed: when only upgrades changed, add {} to it; {how}", self.sha256)
            }
            false => format!("{how}, and put it into recipes/debian/ of the project"),
        }
    }
}

/// What the maintainer scripts of `packages` do on a fresh image.
///
/// Errors are collected: one for each script that is neither understood nor reviewed.
pub fn effects(packages: &[UnpackedPackage], table: &ReviewTable) -> Result<Effects, Vec<ScriptError>> {
    let installed = Installed::of(packages);
    let mut effects = Effects { ids: table.ids.clone(), ..Effects::default() };
    let mut errors = Vec::new();
    for package in packages {
        for (kind, text) in scripts(package) {
            let script = Script::split(&package.name, kind, &text, &installed);
            let digest = script.digest();
            let found = match table.get(&reviewed_name(&package.name), kind, digest) {
                Some(review) => Ok(review.effects.clone()),
                None => script.remainder_effects(&package.name, kind, &installed),
            };
            match found {
                Ok(found) => {
                    script.generated.into_iter().chain(found).for_each(|effect| effects.add(&package.name, effect));
                }
                Err(found) => errors.push(ScriptError {
                    package: package.name.clone(),
                    version: package.version.clone(),
                    kind,
                    line: found.line,
                    what: found.what,
                    sha256: digest,
                    reviewed_before: table.knows(&reviewed_name(&package.name), kind),
                    excerpt: excerpt(&script.remainder()),
                }),
            }
        }
    }
    effects.sort();
    if errors.is_empty() { Ok(effects) } else { Err(errors) }
}

/// The scripts of `package` that a first installation runs, with bytes that are not UTF-8 replaced.
fn scripts(package: &UnpackedPackage) -> impl Iterator<Item = (ScriptKind, String)> {
    ScriptKind::ALL.into_iter().filter_map(|kind| {
        let bytes = package.control.get(kind.member())?;
        Some((kind, String::from_utf8_lossy(bytes).into_owned()))
    })
}

fn excerpt(remainder: &str) -> String {
    let lines: Vec<&str> = remainder.lines().collect();
    let mut out = String::new();
    for line in lines.iter().take(SHOWN_LINES) {
        let clipped: String = line.chars().take(100).collect();
        let _ = writeln!(out, "    | {clipped}");
    }
    if lines.len() > SHOWN_LINES {
        let _ = writeln!(out, "    | … {} more lines", lines.len() - SHOWN_LINES);
    }
    out
}

/// A ready entry for each script of `package` that must be reviewed: TOML to fill in, the script's remainder above it as comments.
///
/// Empty when the package has no script, or only such as are understood.
pub fn review_entry(package: &UnpackedPackage) -> String {
    let installed = Installed::of(std::slice::from_ref(package));
    let mut out = String::new();
    for (kind, text) in scripts(package) {
        let script = Script::split(&package.name, kind, &text, &installed);
        if script.remainder_effects(&package.name, kind, &installed).is_ok() {
            continue;
        }
        let _ = writeln!(out, "# {} of {} {}, without what is understood:", kind, package.name, package.version);
        for line in script.remainder().lines() {
            let _ = writeln!(
                out,
                "#   {}",
                line.escape_debug().to_string().replace("\\t", "\t").replace("\\\"", "\"").replace("\\'", "'")
            );
        }
        let _ = writeln!(out, "[[script]]");
        let _ = writeln!(out, "package = \"{}\"", reviewed_name(&package.name));
        let _ = writeln!(out, "kind = \"{kind}\"");
        let _ = writeln!(out, "sha256 = \"{}\"", script.digest());
        let _ = writeln!(out, "summary = \"\" # what it does on a fresh install");
        let _ =
            writeln!(out, "none = \"\"    # why it has no effect on a fresh image, or declare its effects instead\n");
    }
    out
}

#[cfg(test)]
mod tests;
