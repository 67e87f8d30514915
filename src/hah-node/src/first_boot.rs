//! First-boot tasks: what a package's scripts would have done in a build if it did not belong to one machine: keys,
//! certificates, databases.
//!
//! | what | where | type |
//! |---|---|---|
//! | a task, written by the builder | [`TASKS`]`/NAME.json` | [`Task`] |
//! | that it is done, and what it left below `/etc` | [`STATE`]`/NAME/` | [`Done`] in `done.json`, copies in `etc/` |
//! | that it has begun | [`STATE`]`/NAME/begun.json` | [`Begun`] |
//! | that it failed | [`STATE`]`/NAME/failed.json` | [`Failed`] |
//!
//! A task runs once in a card's life. What it leaves below `/etc`, which every boot derives anew, stage 1 puts back at each
//! boot, before systemd and its generators read it.
//! Its unit is `hah-first-boot-NAME.service`, ordered before the services that want the result.

use serde::{Deserialize, Serialize};

/// Tasks of the image: a file for each, named after the task.
pub const TASKS: &str = "/usr/lib/hah/first-boot";
/// What became of them, on the data partition: a directory for each.
pub const STATE: &str = "/var/lib/hah/first-boot";
/// Version of [`Task`]; the agent refuses others, since image and agent are always built together.
pub const VERSION: u32 = 2;

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// [`VERSION`].
    pub version: u32,
    /// The package whose script asked for it.
    pub package: String,
    /// What it does, for people.
    pub summary: String,
    /// Program and arguments, not empty.
    pub command: Vec<String>,
    /// The directory on the data partition in which an attempt that was cut short is undone, for a command that takes what
    /// it finds half-made for somebody's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub makes_in: Option<String>,
}

/// A task whose first attempt has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// What was in [`Task::makes_in`] before, down to [`BEGUN_DEPTH`] names deep; it stays whatever happens.
    pub before: Vec<String>,
}

/// How deep [`Task::makes_in`] is looked at: `17/main` of PostgreSQL is two names deep.
pub const BEGUN_DEPTH: usize = 2;

/// A task that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// When, in seconds since 1970 by the node's clock.
    pub at: u64,
    /// Paths below `/etc` that it removed.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// A task that failed, and is tried again at the next boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// When, in seconds since 1970 by the node's clock.
    pub at: u64,
    /// Why, in a sentence.
    pub why: String,
    /// How often in a row.
    pub times: u32,
}

/// The unit of the task `name`.
pub fn unit(name: &str) -> String {
    format!("hah-first-boot-{name}.service")
}
