//! One file of `/usr/share/pam-configs`.

use std::collections::{BTreeMap, BTreeSet};

/// Lines of one profile at most.
const LINES_MAX: usize = 1000;

/// Which block of a stack a profile's lines stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// One of these must succeed.
    Primary,
    /// All of these run.
    Additional,
}

/// A parsed profile.
#[derive(Debug)]
pub(super) struct Profile {
    /// Its file name.
    pub(super) name: String,
    /// Higher stands first.
    pub(super) priority: i64,
    /// `Default: yes`.
    pub(super) by_default: bool,
    /// Profiles that cannot be enabled beside it.
    pub(super) conflicts: BTreeSet<String>,
    fields: BTreeMap<String, String>,
}

impl Profile {
    /// Parses; `None` for a profile of the removed module pam_tally, which pam-auth-update ignores. Errors have their line.
    pub(super) fn parse(name: &str, text: &str) -> Result<Option<Self>, (usize, String)> {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut current = String::new();
        for (number, line) in text.lines().enumerate() {
            if number >= LINES_MAX {
                return Err((number + 1, "the profile is longer than 1000 lines".into()));
            }
            if let Some((field, value)) = field(line) {
                current = field.strip_suffix("-Final").unwrap_or(field).to_owned();
                fields.insert(current.clone(), value.to_owned());
                continue;
            }
            let line = line.trim();
            let Some(value) = fields.get_mut(&current) else {
                return Err((number + 1, "a line before the first field".into()));
            };
            if !line.is_empty() {
                if !value.is_empty() {
                    value.push('\n');
                }
                value.push_str(line);
            }
            if value.contains("pam_tally") {
                return Ok(None);
            }
        }
        if fields.get("Session-Interactive-Only").map(|value| value.trim()) != Some("yes") {
            for suffix in ["-Type", "", "-Initial"] {
                if let Some(value) = fields.get(&format!("Session{suffix}")).cloned() {
                    fields.insert(format!("Session-noninteractive{suffix}"), value);
                }
            }
        }
        let get = |field: &str| fields.get(field).map_or("", |value| value.trim());
        let priority = get("Priority").parse().unwrap_or(0);
        let by_default = get("Default") == "yes";
        let conflicts = get("Conflicts").split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Ok(Some(Self { name: name.to_owned(), priority, by_default, conflicts, fields }))
    }

    /// The block of `stack` that it has lines for.
    pub(super) fn block(&self, stack: &str) -> Option<Block> {
        match self.fields.get(&format!("{}-Type", capital(stack)))?.trim() {
            "Primary" => Some(Block::Primary),
            "Additional" => Some(Block::Additional),
            _ => None,
        }
    }

    /// Its lines in `stack`.
    pub(super) fn lines(&self, stack: &str, is_first: bool) -> Vec<&str> {
        let name = capital(stack);
        let initial = is_first.then(|| self.fields.get(&format!("{name}-Initial"))).flatten();
        let lines = initial.filter(|lines| !lines.is_empty()).or_else(|| self.fields.get(&name));
        lines.map_or_else(Vec::new, |lines| lines.split('\n').filter(|line| !line.is_empty()).collect())
    }
}

/// `Name: value`; the name has no space, and something white follows the colon.
fn field(line: &str) -> Option<(&str, &str)> {
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    let name = line[..end].strip_suffix(':')?;
    (!name.is_empty()).then(|| (name, line[end..].trim()))
}

/// `session-noninteractive` is `Session-noninteractive` in a profile.
fn capital(stack: &str) -> String {
    let mut letters = stack.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}
