//! The PAM stacks, as pam-auth-update of libpam-runtime makes them on a fresh system.
//!
//! Packages describe what they want in `/usr/share/pam-configs/NAME` (the format is the UbuntuPAMConfig one that
//! pam-auth-update(8) refers to). Profiles with `Default: yes`, and those that a script turned on, are sorted by falling priority and set into the templates
//! `/usr/share/pam/common-TYPE` between the marks of the `Primary` and the `Additional` block; the result is
//! `/etc/pam.d/common-TYPE`. What was chosen is kept in `/var/lib/pam`, where a later pam-auth-update looks.

mod profile;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{ConfigureError, Target, path};
use profile::{Block, Profile};

/// The stacks: name of the files, and the word that begins a line of `pam.d`.
const STACKS: [(&str, &str); 5] = [
    ("auth", "auth"),
    ("account", "account"),
    ("password", "password"),
    ("session", "session"),
    ("session-noninteractive", "session"),
];

const PRIMARY_MARK: &str = "# here are the per-package modules (the \"Primary\" block)";
const FALLBACK_MARK: &str = "# here's the fallback if no module succeeds";
const ADDITIONAL_MARK: &str = "# and here are more per-package modules (the \"Additional\" block)";
const END_MARK: &str = "# end of pam-auth-update config";

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let profiles = profiles(target)?;
    let chosen = chosen(&profiles, &target.effects.pam);
    for (stack, kind) in STACKS {
        let template = path(&format!("usr/share/pam/common-{stack}"))?;
        let Some(text) = target.read_text(&template)? else { continue };
        let at = path(&format!("etc/pam.d/common-{stack}"))?;
        let stack = Stack { name: stack, kind, chosen: &chosen };
        let made = stack.fill(&text).map_err(|reason| ConfigureError::syntax(&template, 0, reason))?;
        if !target.provenance.is_from_recipe(&at) {
            target.put(&at, made)?;
        }
        target.put(&path(&format!("var/lib/pam/{}", stack.name))?, stack.record())?;
    }
    if !profiles.is_empty() {
        let seen: String = profiles.iter().map(|profile| format!("{}\n", profile.name)).collect();
        target.put(&path("var/lib/pam/seen")?, seen)?;
    }
    Ok(())
}

/// All profiles, highest priority first, and of equal ones the last name first.
fn profiles(target: &Target<'_>) -> Result<Vec<Profile>, ConfigureError> {
    let directory = path("usr/share/pam-configs")?;
    let mut profiles = Vec::new();
    for (at, _) in target.root.entries(&directory) {
        let name = at.name();
        if name.ends_with('~') || (name.starts_with('#') && name.ends_with('#')) {
            continue;
        }
        let Some(text) = target.read_text(at)? else { continue };
        let profile = Profile::parse(name, &text).map_err(|(line, reason)| ConfigureError::syntax(at, line, reason))?;
        profiles.extend(profile);
    }
    profiles.sort_by(|a, b| (b.priority, &b.name).cmp(&(a.priority, &a.name)));
    Ok(profiles)
}

/// The enabled ones, without those that a higher one conflicts with. What a script said of a profile comes before its
/// default.
fn chosen<'p>(profiles: &'p [Profile], said: &BTreeMap<Box<str>, bool>) -> Vec<&'p Profile> {
    let is_on = |profile: &&Profile| said.get(profile.name.as_str()).copied().unwrap_or(profile.by_default);
    let mut chosen: Vec<&Profile> = profiles.iter().filter(is_on).collect();
    let mut at = 0;
    while let Some(profile) = chosen.get(at).copied() {
        chosen.retain(|other| !profile.conflicts.contains(&other.name));
        at += 1;
    }
    chosen
}

struct Stack<'a> {
    name: &'a str,
    kind: &'a str,
    chosen: &'a [&'a Profile],
}

impl Stack<'_> {
    /// The lines of one block, a profile's `-Initial` ones when it stands first.
    fn modules(&self, block: Block) -> Vec<(&str, Vec<&str>)> {
        let members = self.chosen.iter().filter(|profile| profile.block(self.name) == Some(block));
        members
            .enumerate()
            .map(|(place, profile)| (profile.name.as_str(), profile.lines(self.name, place == 0)))
            .collect()
    }

    /// The template with both blocks filled.
    fn fill(&self, template: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut skip_to: Option<&str> = None;
        let mut marks = 0;
        for line in template.lines() {
            if let Some(mark) = skip_to {
                if !line.starts_with(mark) {
                    continue;
                }
                skip_to = None;
                marks += 1;
            }
            let _ = writeln!(out, "{line}");
            if marks == 0 && line.starts_with(PRIMARY_MARK) {
                self.write(Block::Primary, &mut out)?;
                skip_to = Some(FALLBACK_MARK);
                marks += 1;
            } else if marks == 2 && line.starts_with(ADDITIONAL_MARK) {
                self.write(Block::Additional, &mut out)?;
                skip_to = Some(END_MARK);
                marks += 1;
            }
        }
        if marks == 4 { Ok(out) } else { Err("the template lacks the marks of pam-auth-update".into()) }
    }

    fn write(&self, block: Block, out: &mut String) -> Result<(), String> {
        let modules = self.modules(block);
        let mut left: usize = modules.iter().map(|(_, lines)| lines.len()).sum();
        if block == Block::Primary && left == 0 {
            let _ = writeln!(out, "{}\t[default=1]\t\t\tpam_permit.so", self.kind);
        }
        // Nothing follows the last module of the additional block, so a jump may go no further than to it.
        if block == Block::Additional {
            left = left.saturating_sub(1);
        }
        for line in modules.iter().flat_map(|(_, lines)| lines) {
            let (control, options) =
                split_options(line).ok_or_else(|| format!("`{line}` is not a line of a PAM stack"))?;
            let control = control.replace("end", &left.to_string());
            let options: Vec<&str> = options.split_ascii_whitespace().collect();
            let _ = writeln!(out, "{}\t{control} {}", self.kind, options.join(" "));
            left = left.saturating_sub(1);
        }
        Ok(())
    }

    /// What `/var/lib/pam` remembers.
    fn record(&self) -> String {
        let mut out = String::new();
        let primary = self.modules(Block::Primary);
        if primary.is_empty() {
            out.push_str("Module: null\n[default=1]\t\t\tpam_permit.so\n");
        }
        for (name, lines) in primary.iter().chain(&self.modules(Block::Additional)) {
            if !lines.is_empty() {
                let _ = writeln!(out, "Module: {name}\n{}", lines.join("\n"));
            }
        }
        out
    }
}

/// `[success=end default=ignore]\tpam_unix.so nullok` becomes control with module, and options.
fn split_options(line: &str) -> Option<(&str, &str)> {
    let control = match line.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => line.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?,
    };
    let after = line.get(control..)?;
    let module = after.trim_start();
    if control == 0 || module.len() == after.len() || module.is_empty() {
        return None;
    }
    let start = line.len() - module.len();
    let end = module.find(char::is_whitespace).map_or(line.len(), |length| start + length);
    Some((&line[..end], &line[end..]))
}

#[cfg(test)]
mod tests;
