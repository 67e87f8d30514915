//! Maintainer scripts: evaluated, never run.
//!
//! A build executes no byte of the target, and yet knows what every package's scripts do on a first installation:
//! [`crate::shell`] evaluates them, [`crate::commands`] stands in for the programs that they call, and the
//! [`World`](crate::world::World) that both see and change is the root in the making.
//!
//! | step | is |
//! |---|---|
//! | order | dependencies before dependents, as dpkg configures ([`order`]) |
//! | `preinst install` | of every package, before anything is configured, while its own files are not there ([`unpack`]) |
//! | `config configure`, `postinst configure ''` | of every package in turn; debconf answers with recipes' values or defaults |
//! | `postinst triggered …` | once, for what dpkg-trigger(1) was called for |
//!
//! `prerm` and `postrm` do not matter: an image is a first installation, and they run only on upgrade and removal (Policy 6.5).
//! File triggers (`interest /usr/share/…`) need no run of their own: all files are there before the first `postinst`.
//!
//! A script that reaches a program of the target which has no native stand-in, or anything else that cannot be evaluated,
//! is an error with its line, unless the call was reviewed ([`table`]) or a recipe says what to do about the script
//! ([`ScriptChoice`]). Nothing is skipped in silence.

mod order;
mod table;
mod apply;
mod unpack;
mod install;
mod survey;
#[cfg(test)]
pub(crate) mod closure;

use crate::debian::{PackageName, Version};

pub use crate::effects::{
    Alternative, Author, Diversion, Effect, Effects, FirstBoot, Manager, NssPosition, NssService, Ownership,
    PathAction, PathEffect, Report, Slave, Sourced, Statoverride, SystemUser, UnitAction, UnitEffect,
};
pub use crate::system::{Ids, ScriptAction, ScriptChoice, ScriptKind};
pub use install::{Configuration, INFO, install};
pub use order::dependents;
pub use survey::diversions;
pub use table::{Review, ReviewTable, ScriptReview, TableError, parse_table};

/// A script that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} script of {package} {version} cannot be evaluated: {what} (line {line})\n    | {excerpt}")]
pub struct ScriptError {
    /// The package.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// Which script.
    pub kind: ScriptKind,
    /// Line of the script at which evaluation ended, from 1.
    pub line: u32,
    /// What stands there.
    pub what: String,
    /// The command line of the target's program that would have to run, where that is the reason.
    pub program: Option<String>,
    /// The line, as it stands in the script.
    pub excerpt: String,
}

impl ScriptError {
    /// What to do next.
    pub fn hint(&self) -> String {
        let Self { package, kind, .. } = self;
        let choice = format!(
            "[[script]] package = \"{package}\", kind = \"{kind}\", action = \"first-boot\" (or \"skip\"), reason = \"…\""
        );
        match &self.program {
            Some(_) => format!(
                "`hah-image review {package}` prints an entry in which you say what the program does; or a recipe says {choice}"
            ),
            None => format!("a recipe may leave the script to the node's first boot, or out: {choice}"),
        }
    }

    /// A review to fill in, for a script that stopped at a program of the target.
    pub fn review_entry(&self) -> Option<String> {
        let program = self.program.as_ref()?;
        let quoted = |text: &str| toml::Value::from(text).to_string();
        Some(format!(
            "# line {} of the {} of {} {}:\n#   {}\n[[program]]\npackage = {}\ncommand = {}\nsummary = \"\" # what it does on a \
             fresh install\nnone = \"\"    # why it has no effect on a fresh image, or declare its effects instead\n",
            self.line,
            self.kind,
            self.package,
            self.version,
            self.excerpt.escape_debug(),
            quoted(self.package.as_str()),
            quoted(program),
        ))
    }
}

#[cfg(test)]
mod tests;
