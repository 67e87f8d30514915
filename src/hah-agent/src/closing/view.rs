//! What the loop knows of the world: the answers to its questions, reduced to what decides.

use std::net::IpAddr;

use hah_node::closing::{Marker, SetupMarker};

/// A server that is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Its name in the gossip pool.
    pub(crate) name: String,
    /// When this node last saw it alive: seconds since 1970; nothing when that was before the agent started.
    pub(crate) seen: Option<u64>,
}

/// The servers of Consul or Nomad.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quorum {
    /// Whether there is a leader.
    pub(crate) leader: bool,
    /// Members of the Raft cluster.
    pub(crate) peers: u32,
    /// Servers that gossip calls alive, where it could be asked.
    pub(crate) alive: Option<u32>,
    /// Servers that it knows and does not see.
    pub(crate) missing: Vec<Missing>,
    /// Where Raft looks for the voters, when it has no leader and no server that is here is at one of these addresses:
    /// they were all given others.
    pub(crate) moved_from: Vec<IpAddr>,
}

/// The marker in Consul's KV store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// There is none.
    Blank,
    /// This one, and the `ModifyIndex` of its key.
    Known(u64, Box<Marker>),
    /// One that this agent does not understand: of a later version, or no marker at all.
    Foreign(String),
}

/// The marker of the set-up in Consul's KV store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SetupMemory {
    /// Consul does not know the token that was sent, or lets it read nothing.
    NoToken(String),
    /// There is none.
    Blank,
    /// This one, and the `ModifyIndex` of its key.
    Known(u64, SetupMarker),
    /// One that this agent does not understand.
    Foreign(String),
}

/// The job in Nomad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// `JobModifyIndex`.
    pub(crate) index: u64,
    /// `Version`: 0 until somebody changes the job.
    pub(crate) version: u64,
    /// `Stop`: the person stopped it.
    pub(crate) stopped: bool,
    /// `Meta.hah_job`; empty for a job that is not ours.
    pub(crate) hah_job: String,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// Nomad took it.
    Accepted,
    /// The job is there, or has changed, or has gone: somebody was faster. Not a failure.
    Conflict,
    /// Nomad does not want it: no permission, not a job.
    Refused(String),
}

/// The job's evaluation, deployment and allocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// An allocation runs. The sentence, if any, is worth knowing.
    Good(Option<String>),
    /// What it waits for.
    Waits(String),
}

/// Prometheus, through Consul's catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Monitoring {
    /// It is not there, or does not answer, or is not ready: why, and where it should be.
    Down(String, Option<String>),
    /// It is ready.
    Up(Box<Targets>),
}

/// What Prometheus scrapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    /// Where Prometheus is: address and port.
    pub(crate) address: String,
    /// Targets that are up.
    pub(crate) up: u64,
    /// Targets that are down.
    pub(crate) down: u64,
    /// The first condition that its targets do not meet.
    pub(crate) waits: Option<String>,
    /// What is down without keeping the loop open.
    pub(crate) notes: Vec<String>,
}
