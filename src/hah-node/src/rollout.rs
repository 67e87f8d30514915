//! Rollouts: what the nodes of a cluster tell each other while one after the other tries its next generation.
//!
//! | what | where | type |
//! |---|---|---|
//! | who is at it | Consul KV [`LOCK_KEY`] | [`Lock`] |
//! | which nodes want to | Consul KV [`WISHES`]`NODE` | [`Wish`] |
//! | which generations did not last | Consul KV [`BAD`]`GENERATION` | [`Bad`] |
//! | that nobody starts | Consul KV [`STOP_KEY`] | text: why |
//! | what a node is to go to | [`ORDER`], on the node | [`Order`] |
//! | what a node has begun and must end | [`ERRAND`], on the node | [`Errand`] |
//! | what this node's agent sees now | [`STATUS`] | [`Status`] |
//! | metrics, in the loop's file | [`METRICS`] | [`metric`] |
//!
//! The lock is changed by compare-and-set only. No session holds it: a session falls during the very reboot that it would
//! guard. So the lock of a node that never comes back stays until a person breaks it.
//!
//! The agent's own half is `hah_agent::rollout`.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::generation::Digest;

/// Everything of a rollout in Consul's KV is below this.
pub const PREFIX: &str = "hah/rollout/";
/// Consul KV key of the [`Lock`].
pub const LOCK_KEY: &str = "hah/rollout/lock";
/// Consul KV key that keeps nodes from starting; its value says why.
pub const STOP_KEY: &str = "hah/rollout/stop";
/// Before the generation, the Consul KV key of a [`Bad`].
pub const BAD: &str = "hah/rollout/bad/";
/// Before the node's name, the Consul KV key of a [`Wish`].
pub const WISHES: &str = "hah/rollout/want/";
/// The [`Order`], on the data partition: whoever stages a generation writes it when the rollout is to start it.
pub const ORDER: &str = "/var/lib/hah/rollout-order.json";
/// The [`Errand`], on the data partition: it outlives the reboot.
pub const ERRAND: &str = "/var/lib/hah/rollout.json";
/// The [`Status`], on the `/run` tmpfs.
pub const STATUS: &str = "/run/hah/rollout.json";
/// The [`metric`]s, on the same tmpfs: the loop puts them into its own file.
pub const METRICS: &str = "/run/hah/rollout.prom";
/// With it Nomad's drains and Consul's maintenance are marked that a rollout began, and that it ends.
pub const MARK: &str = "hah rollout";
/// A generation must have passed its gate so many seconds after the kernel started, or the node goes back.
pub const GATE_SECONDS: u64 = 780;
/// A node has its lock for so many seconds before people are told that something is wrong.
pub const LOCK_SECONDS: u64 = 1800;

/// Version of [`Lock`]. An agent that meets another leaves it alone and starts nothing.
pub const LOCK_VERSION: u32 = 1;

/// The node that may be down, and how far it is.
///
/// ```text
/// (absent) ─create─► preparing ─drained, and all still well─► trial ─kept or gone back, and all undone─► (absent)
///                        └───────────────── called off, and all undone ──────────────────────────────────────▲
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// [`LOCK_VERSION`].
    pub version: u32,
    /// The node's name.
    pub node: String,
    /// What it goes to: the digest of a closure.
    pub generation: Digest,
    /// How far it is.
    pub phase: Phase,
    /// When the lock was taken: seconds since 1970, by the node's clock.
    pub since: u64,
    /// From then on people are told; nobody but them may break the lock.
    pub deadline: u64,
}

/// See [`Lock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The node is being drained, and may still call it off.
    Preparing,
    /// The node reboots into the generation, or runs it, or has gone back from it.
    Trial,
}

/// A node that wants to start a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Which.
    pub generation: Digest,
    /// Its turn.
    pub turn: Turn,
}

/// In which order nodes start, the first first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// It was named to try first.
    Canary,
    /// No server of Consul or Nomad.
    Client,
    /// A server that leads nothing.
    Follower,
    /// The leader of Consul or Nomad.
    Leader,
}

/// Why a generation did not last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bad {
    /// Where it was tried.
    pub node: String,
    /// Why it did not last, as a sentence without its full stop.
    pub reason: String,
    /// When: seconds since 1970, by the node's clock.
    pub at: u64,
}

/// Version of [`Order`].
pub const ORDER_VERSION: u32 = 1;

/// What a node is to go to. Without one a generation waits on the card until somebody starts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// [`ORDER_VERSION`].
    pub version: u32,
    /// Which; it counts once it is whole on the card, and as long as it was never started.
    pub generation: Digest,
    /// Whether this node is to try it before any other.
    #[serde(default)]
    pub canary: bool,
    /// Whether a cluster that cannot spare a server may be without it.
    #[serde(default)]
    pub accept_outage: bool,
}

/// Version of [`Errand`].
pub const ERRAND_VERSION: u32 = 1;

/// What a node has begun: written before it changes anything, removed when all is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// [`ERRAND_VERSION`].
    pub version: u32,
    /// What it goes to: the digest of a closure.
    pub generation: Digest,
    /// How the node was before.
    pub baseline: Baseline,
}

/// How a node was before it started: its next generation must be no worse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Units that had failed.
    pub failed_units: BTreeSet<String>,
    /// The last index of Consul's raft log, on a server.
    pub consul_index: Option<u64>,
    /// The same of Nomad's.
    pub nomad_index: Option<u64>,
    /// Whether this node's Nomad agent was well.
    pub nomad: bool,
    /// Whether its Vault answered at all; sealed is no worse than unsealed, since a person unseals.
    pub vault: bool,
    /// Scrape jobs of which a target on this node was up, without those that Nomad places.
    pub targets: BTreeSet<String>,
    /// Whether Nomad placed work here: a node that somebody else drained stays drained.
    pub eligible: bool,
}

/// Version of [`Status`].
pub const STATUS_VERSION: u32 = 1;

/// What this node's agent knows of the rollout, as [`STATUS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`STATUS_VERSION`].
    pub version: u32,
    /// The node's name.
    pub node: String,
    /// The process that wrote this.
    pub pid: u32,
    /// When it was written: seconds since 1970.
    pub at: u64,
    /// What it is at.
    pub stage: Stage,
    /// What runs; nothing for a flashed image without a closure.
    pub running: Option<Digest>,
    /// What is wanted and does not run yet.
    pub wanted: Option<Digest>,
    /// What did not last on this node.
    pub went_back: Vec<Digest>,
    /// What it waits for, as a sentence without its full stop.
    pub waiting: Option<String>,
    /// Who has the lock.
    pub lock: Option<Lock>,
    /// Why nobody starts.
    pub stop: Option<String>,
    /// What failed last that should not.
    pub last_error: Option<String>,
}

/// What a node is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It runs what it should.
    Idle,
    /// It wants to start a generation, and waits for its turn.
    Waiting,
    /// It has the lock, and is being drained.
    Preparing,
    /// It reboots.
    Rebooting,
    /// It runs a generation that has not passed its gate.
    Trial,
    /// It has kept a generation or gone back, or called it off, and undoes what it did for it.
    Undoing,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Waiting, Self::Preparing, Self::Rebooting, Self::Trial, Self::Undoing];

    /// As in JSON and in the label `phase` of [`metric::PHASE`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Preparing => "preparing",
            Self::Rebooting => "rebooting",
            Self::Trial => "trial",
            Self::Undoing => "undoing",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Metric names, in the order of the file.
pub mod metric {
    /// Label `phase`; 1 for the one that the node is in, 0 for the others.
    pub const PHASE: &str = "hah_rollout_phase";
    /// Label `generation`; always 1.
    pub const RUNNING: &str = "hah_rollout_generation_running";
    /// Label `generation`, empty where none is wanted; 1 when it is another than the running one.
    pub const WANTED: &str = "hah_rollout_generation_wanted";
    /// Generations that did not last on this node.
    pub const WENT_BACK: &str = "hah_rollout_went_back";
    /// 1 when a person has stopped the rollout, or a generation that did not last has.
    pub const STOPPED: &str = "hah_rollout_stopped";
    /// 1 when the lock's deadline has passed.
    pub const OVERDUE: &str = "hah_rollout_lock_overdue";
    /// When the agent last looked.
    pub const LAST_PASS: &str = "hah_rollout_last_pass_timestamp_seconds";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for stage in Stage::ALL {
            assert_eq!(serde_json::to_value(stage).unwrap().as_str(), Some(stage.name()));
        }
        assert!(Turn::Canary < Turn::Client && Turn::Client < Turn::Follower && Turn::Follower < Turn::Leader);
    }

    #[test]
    fn the_lock_that_docs_show_is_read() {
        let text = format!(
            r#"{{"version":1,"node":"pi4","generation":"{}","phase":"trial","since":1796000000,"deadline":1796001800}}"#,
            "0f".repeat(32)
        );
        let lock: Lock = serde_json::from_str(&text).unwrap();
        assert_eq!((lock.phase, lock.generation.short().as_str()), (Phase::Trial, "0f0f0f0f"));
        assert_eq!(serde_json::to_string(&lock).unwrap(), text);
        for bad in [text.replace("0f0f0f", "0F0f0f"), text.replace("0f0f0f", ""), text.replace("trial", "eaten")] {
            assert!(serde_json::from_str::<Lock>(&bad).is_err(), "{bad}");
        }
    }
}
