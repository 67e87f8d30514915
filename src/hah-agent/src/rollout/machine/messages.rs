//! What goes into the machine and what comes out of it.

use hah_node::generation::Digest;
use hah_node::rollout::{Bad, Errand, Lock, Stage, Wish};

use crate::rollout::pace::Millis;
use crate::rollout::view::{Board, Cluster, Local};

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
    /// This node's own state.
    Local,
    /// Everything of the rollout in Consul's KV, read consistently.
    Board,
    /// The cluster and this node's part in it.
    Cluster,
    /// Do this.
    Do(Effect),
}

/// Something that is done. All but the compare-and-sets may be done again at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Write down on the data partition what is begun; it is on the medium when this is answered.
    Begin(Box<Errand>),
    /// Remove that.
    End,
    /// Say in Consul's KV what this node wants.
    Wish(Wish),
    /// That it wants nothing.
    Unwish,
    /// Create the lock where there is none.
    Lock(Box<Lock>),
    /// Change the lock where it has this `ModifyIndex`.
    Advance(u64, Box<Lock>),
    /// Remove the lock where it has this `ModifyIndex`.
    Unlock(u64),
    /// Hand over what this node leads, where the programs can.
    Transfer,
    /// Nomad: move this node's work elsewhere.
    Drain,
    /// Nomad: place work here again.
    Eligible,
    /// Consul: nobody is to use this node's services.
    MaintenanceOn,
    /// Consul: they may.
    MaintenanceOff,
    /// Remember that this generation is tried, set the boot pointer, and reboot.
    Try(Digest),
    /// Keep what runs.
    Commit(Digest),
    /// Remember why what runs does not last, and reboot into the last good generation.
    RollBack(Digest, String),
    /// Remember why a generation did not last.
    Condemn(Digest, String),
    /// Say so in Consul's KV, and stop the rollout.
    Publish(Digest, Box<Bad>),
}

impl Effect {
    /// What it is, for the sentence that says that it failed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Begin(_) => "writing down what this node begins",
            Self::End => "removing what this node had begun",
            Self::Wish(_) | Self::Unwish => "saying what this node wants",
            Self::Lock(_) | Self::Advance(..) | Self::Unlock(_) => "changing the lock",
            Self::Transfer => "handing over what this node leads",
            Self::Drain => "asking Nomad to drain this node",
            Self::Eligible => "asking Nomad to use this node again",
            Self::MaintenanceOn | Self::MaintenanceOff => "changing Consul's maintenance of this node",
            Self::Try(_) => "rebooting into the trial",
            Self::Commit(_) => "keeping the generation",
            Self::RollBack(..) => "going back",
            Self::Condemn(..) | Self::Publish(..) => "remembering that the generation did not last",
        }
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// To [`Question::Local`].
    Local(Box<Local>),
    /// To [`Question::Board`].
    Board(Box<Board>),
    /// To [`Question::Cluster`].
    Cluster(Box<Cluster>),
    /// To [`Question::Do`]: it is done.
    Done,
    /// To a compare-and-set: whether the index was still the one.
    Written(bool),
    /// To any: it is not done, or nobody knows.
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
    /// The node is at something else than before.
    Stage(Stage),
    /// This is done.
    Done(Effect),
    /// The first unmet condition is another one than before.
    Waiting(String),
}
