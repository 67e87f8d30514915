//! [`Script`]: a maintainer script taken apart into the sections that debhelper generated and the remainder that a person wrote.
//!
//! debhelper marks its sections (debhelper(7), `#DEBHELPER#`):
//!
//! ```text
//! # Automatically added by dh_installsystemd/13.24.2
//! …
//! # End automatically added section
//! ```
//!
//! A section that is understood is taken out; one that is not stays in the remainder.
//! The remainder's digest is the key of a review. It is taken over the remaining lines without trailing blanks and empty lines,
//! so that a new debhelper or a version that changes nothing keeps the key.
//! Comments are kept: a here-document may consist of them.

use hah_format::digest::Sha256;

use super::effect::{Effect, NssPosition, NssService, ScriptKind};
use super::fresh::{Fresh, Installed};
use super::shell::{self, ShellError};
use crate::debian::PackageName;

const BEGIN: &str = "# Automatically added by ";
const END: &str = "# End automatically added section";

/// A script whose generated sections have been read.
pub(super) struct Script {
    /// What the generated sections do.
    pub(super) generated: Vec<Effect>,
    /// The script with understood sections blanked, so that lines keep their numbers.
    text: String,
    /// The kernel release in the package's name, which stands in its scripts too.
    release: Option<String>,
}

impl Script {
    /// Takes `text` apart.
    pub(super) fn split(package: &PackageName, kind: ScriptKind, text: &str, installed: &Installed) -> Self {
        let (mut generated, mut rest) = (Vec::new(), String::new());
        let lines: Vec<&str> = text.lines().collect();
        let mut at = 0;
        while at < lines.len() {
            let section = lines[at].strip_prefix(BEGIN).and_then(|tool| {
                // A mark without its end is no section; looking further would be quadratic in the marks.
                let is_mark = |line: &&str| *line == END || line.starts_with(BEGIN);
                let length = 1 + lines[at + 1..].iter().position(is_mark)?;
                if lines[at + length] != END {
                    return None;
                }
                let body = lines.get(at + 1..at + length)?;
                Some((tool, body, length + 1))
            });
            let understood = section.and_then(|(tool, body, length)| {
                let effects = match tool.split('/').next() {
                    Some("dh_installnss") => name_services(body)?,
                    _ => {
                        let list = shell::parse(&(body.join("\n") + "\n")).ok()?;
                        Fresh::new(package, kind, installed).run(&list).ok()?
                    }
                };
                Some((effects, length))
            });
            match understood {
                Some((effects, length)) => {
                    generated.extend(effects);
                    rest.extend(std::iter::repeat_n('\n', length));
                    at += length;
                }
                None => {
                    rest.push_str(lines[at].trim_end());
                    rest.push('\n');
                    at += 1;
                }
            }
        }
        let release = release_of(package).map(str::to_owned);
        Self { generated, text: rest, release }
    }

    /// What the remainder does, when all of it that a fresh install reaches is understood.
    pub(super) fn remainder_effects(
        &self,
        package: &PackageName,
        kind: ScriptKind,
        installed: &Installed,
    ) -> Result<Vec<Effect>, ShellError> {
        let first = self.text.lines().next().unwrap_or_default();
        let interpreter = first.strip_prefix("#!").map(|line| line.split_whitespace().next().unwrap_or_default());
        if !interpreter.is_some_and(|path| matches!(path, "/bin/sh" | "/bin/bash" | "/bin/dash" | "/usr/bin/sh")) {
            return Err(ShellError { line: 1, what: format!("the interpreter `{first}`") });
        }
        Fresh::new(package, kind, installed).run(&shell::parse(&self.text)?)
    }

    /// The remainder as it is hashed.
    pub(super) fn remainder(&self) -> String {
        let mut out = String::new();
        for line in self.text.lines().filter(|line| !line.is_empty()) {
            match line.strip_prefix(BEGIN) {
                // The tool's version is no part of what was reviewed.
                Some(tool) => out.extend([BEGIN, tool.split('/').next().unwrap_or_default()]),
                None => out.push_str(line),
            }
            out.push('\n');
        }
        match &self.release {
            Some(release) => out.replace(release.as_str(), "RELEASE"),
            None => out,
        }
    }

    /// The key of a review.
    pub(super) fn digest(&self) -> Sha256 {
        Sha256::of(self.remainder().as_bytes())
    }
}

/// The kernel release in the name of a kernel package: `6.12.117+deb13-arm64`.
fn release_of(package: &PackageName) -> Option<&str> {
    let release = ["linux-image-", "linux-headers-"].iter().find_map(|prefix| package.as_str().strip_prefix(prefix))?;
    (release.starts_with(|first: char| first.is_ascii_digit()) && release.contains('.')).then_some(release)
}

/// The name under which a package is reviewed: that of a kernel has `RELEASE` for its release, so that it outlives updates.
pub(super) fn reviewed_name(package: &PackageName) -> String {
    match release_of(package) {
        Some(release) => package.as_str().replace(release, "RELEASE"),
        None => package.to_string(),
    }
}

/// dh_installnss(1) explains each of its edits: `# Installing hosts/resolve[!UNAVAIL=return] from PKG in position before=dns`.
/// The edit itself is a sed program that is not read; there must be one for each explanation and nothing else that writes.
fn name_services(body: &[&str]) -> Option<Vec<Effect>> {
    let mut effects = Vec::new();
    let (mut edits, mut markers) = (0, 0);
    for line in body.iter().map(|line| line.trim()) {
        if let Some(rest) = line.strip_prefix("# Installing ") {
            let (what, rest) = rest.split_once(" from ")?;
            let (_, position) = rest.split_once(" in position ")?;
            let (database, service) = what.split_once('/')?;
            let position = match position.split_once('=') {
                None if position == "first" => NssPosition::First,
                None if position == "last" => NssPosition::Last,
                Some(("before", other)) => NssPosition::Before(other.into()),
                Some(("after", other)) => NssPosition::After(other.into()),
                _ => return None,
            };
            let service = match service.split_once('[') {
                Some((name, action)) => format!("{name} [{action}"),
                None => service.to_owned(),
            };
            effects.push(Effect::Nss(NssService { database: database.into(), service: service.into(), position }));
            continue;
        }
        match line.split_whitespace().next() {
            None | Some("#" | "if" | "fi") => {}
            Some("sed") => edits += 1,
            Some("touch" | "rm") if line.contains("-will-install") => markers += 1,
            Some(word) if word.starts_with('#') => {}
            Some(_) => return None,
        }
    }
    (edits == effects.len() && markers <= 1).then_some(effects)
}
