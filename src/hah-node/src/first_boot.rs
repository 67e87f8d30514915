//! First-boot tasks: what a package's scripts would have done in a build if it did not belong to one machine: keys,
//! certificates, databases.
//!
//! | what | where | type |
//! |---|---|---|
//! | a task, written by the builder | [`TASKS`]`/NAME.json` | [`Task`] |
//! | that it is done, and what it left below `/etc` | [`STATE`]`/NAME/` | [`Done`] in `done.json`, copies in `etc/` |
//! | that it failed | [`STATE`]`/NAME/failed.json` | [`Failed`] |
//!
//! A task runs once in a card's life. What it leaves below `/etc`, which every boot derives anew, is put back at each boot.
//! Its unit is `hah-first-boot-NAME.service`, ordered before the services that want the result.

use serde::{Deserialize, Serialize};

/// Tasks of the image: a file for each, named after the task.
pub const TASKS: &str = "/usr/lib/hah/first-boot";
/// What became of them, on the data partition: a directory for each.
pub const STATE: &str = "/var/lib/hah/first-boot";
/// Version of [`Task`]; the agent refuses others, since image and agent are always built together.
pub const VERSION: u32 = 1;

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
}

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
