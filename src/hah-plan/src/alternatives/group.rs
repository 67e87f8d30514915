//! [`Group`]: one link group as dpkg keeps it in `/var/lib/dpkg/alternatives/NAME`.
//!
//! ```text
//! auto                                  mode: auto or manual
//! /usr/bin/pager                        the generic name
//! pager.1.gz                            each slave in order of name: its name,
//! /usr/share/man/man1/pager.1.gz        its generic name
//!                                       (empty line)
//! /usr/bin/less                         each choice in order of path: its path,
//! 77                                    its priority,
//! /usr/share/man/man1/less.1.gz         a line for each slave, empty when it has none
//!                                       (empty line)
//! ```

use std::collections::BTreeMap;
use std::fmt;

/// Who chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The highest priority has the name.
    Auto,
    /// Somebody has chosen.
    Manual,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
        })
    }
}

/// A link that follows the group's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Follower {
    /// Its name below `/etc/alternatives`.
    pub(crate) name: String,
    /// Its generic name.
    pub(crate) link: String,
    /// Whether the running command has added or renamed it; not kept in the record.
    pub(crate) is_updated: bool,
}

/// What the generic name may point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The file.
    pub(crate) path: String,
    /// The highest wins in automatic mode.
    pub(crate) priority: i32,
    /// Files of followers by name; empty when this choice has none for it.
    pub(crate) files: BTreeMap<String, String>,
}

impl Choice {
    /// The file of the follower `name`.
    pub(crate) fn file(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str).filter(|file| !file.is_empty())
    }
}

/// A link group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its name, of the record and of the link below `/etc/alternatives`.
    pub(crate) name: String,
    /// Who chooses.
    pub(crate) mode: Mode,
    /// The generic name.
    pub(crate) link: String,
    /// Links that follow, in order of name once they were saved.
    pub(crate) followers: Vec<Follower>,
    /// Choices, in order of path once they were saved.
    pub(crate) choices: Vec<Choice>,
    /// Whether the record must be written anew.
    pub(crate) is_changed: bool,
}

impl Group {
    /// Reads a record. An error is what update-alternatives says of it behind "corrupt: ".
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut lines = text.split_inclusive('\n');
        let mut next = |what: &str| match lines.next() {
            Some(line) => line
                .strip_suffix('\n')
                .map(str::to_owned)
                .ok_or_else(|| format!("line not terminated while trying to read {what}")),
            None => Err(format!("cannot read file '{what}': unexpected end of file")),
        };
        let mode = match next("status")?.as_str() {
            "auto" => Mode::Auto,
            "manual" => Mode::Manual,
            _ => return Err("invalid status".to_owned()),
        };
        let link = next("master link")?;
        let mut group =
            Self { name: name.to_owned(), mode, link, followers: Vec::new(), choices: Vec::new(), is_changed: false };
        loop {
            let name = next("slave name")?;
            if name.is_empty() {
                break;
            }
            if group.follower(&name).is_some() {
                return Err(format!("duplicate slave name {name}"));
            }
            let link = next("slave link")?;
            if link == group.link {
                return Err(format!("slave link same as main link {link}"));
            }
            if group.followers.iter().any(|other| other.link == link) {
                return Err(format!("duplicate slave link {link}"));
            }
            group.followers.push(Follower { name, link, is_updated: false });
        }
        loop {
            let path = next("master file")?;
            if path.is_empty() {
                return Ok(group);
            }
            if group.choice(&path).is_some() {
                return Err(format!("duplicate path {path}"));
            }
            let text = next("priority")?;
            let priority = text.trim_start().parse().map_err(|_| format!("priority of {path}: {text}"))?;
            let mut files = BTreeMap::new();
            for follower in &group.followers {
                files.insert(follower.name.clone(), next("slave file")?);
            }
            group.choices.push(Choice { path, priority, files });
        }
    }

    /// The follower of this name.
    pub(crate) fn follower(&self, name: &str) -> Option<&Follower> {
        self.followers.iter().find(|follower| follower.name == name)
    }

    /// The choice of this path.
    pub(crate) fn choice(&self, path: &str) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.path == path)
    }

    /// Adds a choice, or puts it in the place of its namesake.
    pub(super) fn add(&mut self, choice: Choice) {
        match self.choices.iter_mut().find(|other| other.path == choice.path) {
            Some(other) => *other = choice,
            None => self.choices.push(choice),
        }
        self.is_changed = true;
    }

    /// Adds a follower, or gives the one of its name the new link.
    pub(super) fn follow(&mut self, follower: &Follower) {
        match self.followers.iter_mut().find(|other| other.name == follower.name) {
            Some(other) => *other = follower.clone(),
            None => self.followers.push(follower.clone()),
        }
    }

    /// Changes who chooses.
    pub(super) fn set_mode(&mut self, mode: Mode) {
        self.is_changed |= self.mode != mode;
        self.mode = mode;
    }

    /// The choice of the highest priority: of equals `current`, else the first.
    pub(crate) fn best(&self, current: Option<&str>) -> Option<&Choice> {
        let first = current.and_then(|current| self.choice(current)).or(self.choices.first())?;
        Some(self.choices.iter().fold(first, |best, other| if other.priority > best.priority { other } else { best }))
    }

    /// Drops followers for which no choice has a file, and puts everything in its order.
    pub(super) fn tidy(&mut self) {
        let choices = &self.choices;
        self.followers.retain(|follower| choices.iter().any(|choice| choice.file(&follower.name).is_some()));
        self.followers.sort_by(|a, b| a.name.cmp(&b.name));
        self.choices.sort_by(|a, b| a.path.cmp(&b.path));
    }
}

/// The record.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.mode, self.link)?;
        for follower in &self.followers {
            writeln!(f, "{}\n{}", follower.name, follower.link)?;
        }
        writeln!(f)?;
        for choice in &self.choices {
            writeln!(f, "{}\n{}", choice.path, choice.priority)?;
            for follower in &self.followers {
                writeln!(f, "{}", choice.file(&follower.name).unwrap_or_default())?;
            }
        }
        writeln!(f)
    }
}
