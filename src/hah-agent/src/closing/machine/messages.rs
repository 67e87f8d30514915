//! What goes into the machine and what comes out of it.

use hah_node::closing::{Marker, Rung, SetupMarker};

use super::Intent;
use crate::closing::pace::Millis;
use crate::closing::view::{Health, Job, Memory, Monitoring, Quorum, Registered, SetupMemory};

/// What happens to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Time has passed.
    Tick,
    /// The answer to the question of this number.
    Reply(u64, Reply),
}

/// Something that the driver is to find out, or to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Consul's leader and servers.
    Consul,
    /// The marker of the set-up.
    Setup,
    /// Write the marker of the set-up where it has this `ModifyIndex`.
    WriteSetup(u64, SetupMarker),
    /// Make Consul's policies and tokens, as far as they are missing.
    SetUpConsul,
    /// Make Nomad's management token and policies, and let Consul believe Nomad's jobs.
    SetUpNomad,
    /// Make this server's own token in Nomad, and let the secrets of the set-up leave the node.
    Finish,
    /// The marker.
    Memory,
    /// Write the marker where it has this `ModifyIndex`.
    Write(u64, Box<Marker>),
    /// Nomad's leader and servers.
    Nomad,
    /// What the job's HCL is, by Nomad's own parser.
    Parse,
    /// The job.
    Job,
    /// Submit the job where it has this `JobModifyIndex`.
    Register(u64),
    /// The job's evaluation, deployment and allocations.
    Health,
    /// Prometheus and its targets.
    Prometheus,
    /// Vault.
    Vault,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// To [`Question::Consul`] and [`Question::Nomad`].
    Quorum(Quorum),
    /// To [`Question::Memory`].
    Memory(Memory),
    /// To [`Question::Setup`].
    Setup(SetupMemory),
    /// To [`Question::SetUpConsul`], [`Question::SetUpNomad`] and [`Question::Finish`].
    Done,
    /// To any question of the set-up that needs its secrets: they have left this node.
    Gone,
    /// To [`Question::Write`] and [`Question::WriteSetup`]: whether the index was still the one.
    Written(bool),
    /// To [`Question::Parse`]; [`Registered::Refused`] is another answer to it.
    Parsed(Intent),
    /// To [`Question::Job`].
    Job(Option<Job>),
    /// To [`Question::Register`].
    Registered(Registered),
    /// To [`Question::Health`].
    Health(Health),
    /// To [`Question::Prometheus`].
    Prometheus(Monitoring),
    /// To [`Question::Vault`]: a sentence, and whether all is well.
    Vault(String, bool),
    /// To any: no answer, or none that makes sense.
    Failed(String),
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask, and send [`Event::Reply`] with this number.
    Ask(u64, Question),
    /// Send [`Event::Tick`] at this time, unless another action says another.
    Wake(Millis),
    /// Tell people.
    Say(Said),
    /// A pass has ended: publish the state.
    Publish,
}

/// What people are told, once each time that it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A rung was reached.
    Reached(Rung),
    /// Something that held does not hold any more.
    Fell(Rung),
    /// The first unmet condition is another one than before.
    Waiting(String),
    /// The job goes to Nomad now: its version, and whether it replaces one.
    Submitting(String, Replaces),
    /// A note that was not there in the pass before.
    Note(String),
}

/// See [`Said::Submitting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaces {
    /// The first one.
    Nothing,
    /// The version that is there.
    Older,
}
