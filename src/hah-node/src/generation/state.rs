//! What a node says of its generations: `hah-agent generations --json`, and the answer of `hah-agent receive`.

use serde::{Deserialize, Serialize};

use super::{Digest, Slot};

/// Version of [`Generations`].
pub const VERSION: u32 = 1;

/// A node's generations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    /// [`VERSION`].
    pub version: u32,
    /// The node's name.
    pub hostname: String,
    /// This boot, as the kernel names it (`/proc/sys/kernel/random/boot_id`): another one after a reboot.
    pub boot_id: String,
    /// What runs now.
    pub running: Slot,
    /// What the node goes back to.
    pub good: Slot,
    /// Whether what runs now is on trial.
    pub on_trial: bool,
    /// What starts next.
    pub next: Slot,
    /// All that are on the card, by slot.
    pub generations: Vec<Generation>,
    /// Whether the node takes only what is signed by a key of its identity.
    #[serde(default)]
    pub wants_signature: bool,
    /// What did not last here.
    pub bad: Vec<Bad>,
}

impl Generations {
    /// What runs now.
    pub fn current(&self) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.slot == self.running)
    }
}

/// One generation of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Where it is.
    pub slot: Slot,
    /// The digest of its closure. Absent for a generation 0 without one.
    pub id: Option<Digest>,
    /// The image's name.
    pub image: String,
    /// The board's name.
    pub board: String,
    /// The image's key.
    pub key: Option<Digest>,
    /// The lock's epoch, in seconds since 1970.
    pub epoch: u32,
    /// What became of it.
    pub state: State,
}

/// What became of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It came with the card.
    Flashed,
    /// It is whole, and was never started.
    Staged,
    /// It was started, and is not decided.
    Tried,
    /// It has passed its trial.
    Kept,
}

/// A generation that did not last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bad {
    /// The digest of its closure.
    pub id: Digest,
    /// Why, in words.
    pub reason: String,
}

/// The answer to a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Where it is now.
    pub slot: Slot,
    /// Bytes that were copied from the card itself.
    pub copied: u64,
    /// Bytes that the sender gave.
    pub received: u64,
    /// Whether it was there already.
    pub was_there: bool,
}
