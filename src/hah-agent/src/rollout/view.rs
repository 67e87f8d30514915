//! What a pass knows: of this node, of Consul's KV, of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use hah_node::generation::Digest;
use hah_node::rollout::{Bad, Errand, Lock, Wish};

/// This node, as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Local {
    /// What runs; nothing for a flashed image without a closure.
    pub(crate) running: Option<Digest>,
    /// Whether that is on trial: not kept yet.
    pub(crate) on_trial: bool,
    /// What the boot pointer starts next, if that is on trial then.
    pub(crate) armed: Option<Digest>,
    /// What is whole on the card, was never started, and is meant to be.
    pub(crate) staged: Option<Staged>,
    /// What was started and not kept. What runs on trial may be among them.
    pub(crate) ended: Vec<Ended>,
    /// Whether state is in memory, because the data partition cannot be used.
    pub(crate) rescue: bool,
    /// Whether the clock was set in this boot, and is later than the generation's epoch.
    pub(crate) clock: bool,
    /// Whether systemd has done what it does when it starts.
    pub(crate) started: bool,
    /// Units that have failed.
    pub(crate) failed_units: BTreeSet<String>,
    /// Whether a Vault on this node answers.
    pub(crate) vault: bool,
    /// What this node has begun.
    pub(crate) errand: Option<Errand>,
}

impl Local {
    /// Whether a generation was started here and not kept, and why, as far as somebody has said it.
    pub(crate) fn ended(&self, generation: Digest) -> Option<&Ended> {
        self.ended.iter().find(|one| one.generation == generation)
    }

    /// What this node goes to, if anything.
    pub(crate) fn wanted(&self) -> Option<Staged> {
        self.staged.filter(|staged| Some(staged.generation) != self.running)
    }
}

/// A generation that is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    /// Which.
    pub(crate) generation: Digest,
    /// Whether this node is to try it before any other.
    pub(crate) canary: bool,
    /// Whether a person has said that a cluster which cannot spare a server may be without it.
    pub(crate) accept_outage: bool,
}

/// A generation that was started and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Which.
    pub(crate) generation: Digest,
    /// Why it did not last; nothing when nobody has said it.
    pub(crate) reason: Option<String>,
}

/// What Consul's KV has of the rollout, read at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Board {
    /// Another one when anything has changed: the largest `ModifyIndex`, and how many keys there are.
    pub(crate) version: (u64, usize),
    /// The lock.
    pub(crate) lock: Holder,
    /// Why nobody starts.
    pub(crate) stop: Option<String>,
    /// What did not last, where and why.
    pub(crate) bad: BTreeMap<Digest, Bad>,
    /// Who wants to start what, by node.
    pub(crate) wishes: BTreeMap<String, Wish>,
}

/// The lock in Consul's KV.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Holder {
    /// It is free.
    #[default]
    Nobody,
    /// This one has it, with the `ModifyIndex` of its key.
    Node(u64, Lock),
    /// Something that this agent does not understand.
    Foreign(String),
}

/// The cluster and this node's part in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Consul's servers.
    pub(crate) consul: Servers,
    /// Nomad's, where this node has a Nomad.
    pub(crate) nomad: Option<Servers>,
    /// Whether this node is one of either.
    pub(crate) server: bool,
    /// Members that are alive.
    pub(crate) alive: BTreeSet<String>,
    /// Whether this node is one of them.
    pub(crate) member: bool,
    /// Consul's raft on this node, on a server.
    pub(crate) consul_raft: Option<Raft>,
    /// Nomad's.
    pub(crate) nomad_raft: Option<Raft>,
    /// Whether this node's Nomad agent says that it is well.
    pub(crate) nomad_well: bool,
    /// Whether Nomad places work here.
    pub(crate) placing: Placing,
    /// Whether this node is in maintenance for Consul.
    pub(crate) maintenance: Maintenance,
    /// Scrape jobs of which a target on this node is up, without those that Nomad places.
    pub(crate) targets: BTreeSet<String>,
    /// What Prometheus does not see as it should.
    pub(crate) unseen: Option<String>,
}

/// The servers of Consul or Nomad.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Servers {
    /// Whether they have a leader.
    pub(crate) leader: bool,
    /// How many may vote.
    pub(crate) voters: u32,
    /// Those that are known and not alive.
    pub(crate) missing: Vec<String>,
    /// How many may fail, as autopilot sees it; nothing where it may not be asked.
    pub(crate) tolerance: Option<u32>,
}

/// The raft of a server on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raft {
    /// Whether it leads.
    pub(crate) leads: bool,
    /// The last index that it has applied.
    pub(crate) applied: u64,
    /// Whether it hears from the leader.
    pub(crate) in_touch: bool,
}

/// Whether Nomad places work on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Placing {
    /// This node is no client of Nomad's, or its agent may not ask for a drain.
    #[default]
    NotOurs,
    /// It could not be asked.
    Unknown(String),
    /// It does.
    Eligible,
    /// It takes work away.
    Draining(Whose),
    /// It does not.
    Ineligible(Whose),
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// This agent: [`hah_node::rollout::MARK`] says so.
    Ours,
    /// Somebody else.
    Others,
}

/// Whether Consul calls this node unfit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Maintenance {
    /// It does not.
    #[default]
    Off,
    /// It does.
    On(Whose),
    /// It could not be asked.
    Unknown(String),
}
