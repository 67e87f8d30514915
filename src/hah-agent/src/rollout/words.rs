//! What a rollout waits for, as sentences without their full stop.

use std::fmt;

use hah_node::generation::Digest;
use hah_node::rollout::{Phase, Turn};

/// Why nothing is done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// The agent has just started.
    Starting,
    /// The node's own state is not known.
    Local(String),
    /// Consul's KV does not answer.
    Board(String),
    /// The cluster cannot be asked.
    Cluster(String),
    /// Something could not be done.
    Failed(&'static str, String),
    /// The data partition cannot be used.
    Rescue,
    /// Somebody has set the boot pointer.
    ArmedByHand(Digest),
    /// The generation did not last here.
    EndedHere(Digest),
    /// It did not last somewhere.
    KnownBad { generation: Digest, node: String, reason: String },
    /// A person, or a generation that did not last, has stopped the rollout.
    Stopped(String),
    /// Another node has the lock.
    Held { node: String, generation: Digest, phase: Phase, overdue: bool },
    /// The lock is something else.
    Foreign(String),
    /// Another's turn.
    Turn(Turn, String),
    /// A start was called off.
    CalledOff(String),
    /// The clock cannot be right.
    Clock,
    /// No leader.
    NoLeader(&'static str),
    /// Servers that are not alive.
    Missing(&'static str, Vec<String>),
    /// Fewer than there should be.
    TooFew(&'static str, u32, u32),
    /// None may fail.
    NoTolerance(&'static str),
    /// It is not known whether one may fail.
    ToleranceUnknown(&'static str),
    /// The cluster cannot spare this server at all.
    NeedsConsent(&'static str),
    /// This node is no living member of Consul.
    NoMember,
    /// Prometheus does not see what it should.
    Targets(String),
    /// Nomad takes its work away.
    Draining,
    /// The node is to reboot.
    Rebooting(Digest),
    /// The gate.
    Gate(String),
    /// It has been fine so often.
    Passing(u32),
    /// What was asked for before may still happen.
    Settling,
}

impl Unmet {
    /// Whether it passes by itself while this node is drained: what ran here starts elsewhere.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Targets(_))
    }

    /// Whether people should look into it.
    pub(crate) fn is_trouble(&self) -> bool {
        matches!(self, Self::Local(_) | Self::Failed(..) | Self::Rescue | Self::Foreign(_))
            || matches!(self, Self::Held { overdue: true, .. })
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("the agent has just started"),
            Self::Local(why) => write!(f, "this node's generations cannot be read: {why}"),
            Self::Board(why) => write!(f, "waiting for Consul's KV: {why}"),
            Self::Cluster(why) => write!(f, "waiting for the cluster: {why}"),
            Self::Failed(what, why) => write!(f, "{what} failed: {why}"),
            Self::Rescue => f.write_str("the data partition cannot be used, so this node takes part in no rollout"),
            Self::ArmedByHand(generation) => {
                write!(f, "generation {} starts at the next reboot, as somebody wanted", generation.short())
            }
            Self::EndedHere(generation) => {
                write!(f, "generation {} was tried here and did not last", generation.short())
            }
            Self::KnownBad { generation, node, reason } => {
                write!(f, "generation {} did not last on {node}: {reason}", generation.short())
            }
            Self::Stopped(why) => write!(f, "the rollout is stopped: {why}"),
            Self::Held { node, generation, phase, overdue } => {
                let phase = match phase {
                    Phase::Preparing => "is preparing for",
                    Phase::Trial => "tries",
                };
                write!(f, "{node} {phase} generation {}", generation.short())?;
                if *overdue {
                    let hint = format!("if {node} does not come back, see docs/rollout.md for how to free its lock");
                    write!(f, ", and should have been done by now; {hint}")?;
                }
                Ok(())
            }
            Self::Foreign(why) => write!(f, "the lock hah/rollout/lock is not understood: {why}"),
            Self::Turn(Turn::Canary, node) => write!(f, "waiting for the canary {node} to go first"),
            Self::Turn(_, node) => write!(f, "waiting for {node} to go first"),
            Self::CalledOff(why) => write!(f, "called off: {why}"),
            Self::Clock => f.write_str("the clock is not set"),
            Self::NoLeader(program) => write!(f, "{program} has no leader"),
            Self::Missing(program, names) => write!(f, "servers of {program} are not alive: {}", names.join(", ")),
            Self::TooFew(program, found, expected) => write!(f, "{program} has {found} of {expected} servers"),
            Self::NoTolerance(program) => write!(f, "no server of {program} may fail now, says its autopilot"),
            Self::ToleranceUnknown(program) => {
                write!(f, "{program}'s autopilot does not say whether a server may fail; its token needs operator:read")
            }
            Self::NeedsConsent(program) => {
                write!(f, "{program} has too few servers to spare one; `--accept-outage` does it nevertheless")
            }
            Self::NoMember => f.write_str("this node is no living member of Consul"),
            Self::Targets(why) => write!(f, "Prometheus does not see everything: {why}"),
            Self::Draining => f.write_str("Nomad moves this node's work elsewhere"),
            Self::Rebooting(generation) => write!(f, "the node reboots into generation {}", generation.short()),
            Self::Gate(why) => write!(f, "on trial: {why}"),
            Self::Passing(looks) => write!(f, "on trial: all is well, {looks} looks in a row"),
            Self::Settling => f.write_str("waiting until nothing that was asked for can still happen"),
        }
    }
}
