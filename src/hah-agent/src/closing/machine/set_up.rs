//! The set-up of a closed cluster, as part of a pass: after Consul's quorum its tokens, after Nomad's the rest.
//!
//! | marker \ this server | sees it first, or is back | is at it | waits |
//! |---|---|---|---|
//! | none, or another's `done` | **claim**, make Consul's part | | |
//! | its own | **claim**, make it all again | go on where it was, unless its token stops working | |
//! | another's, not `done` | go on without, if the tokens work already | | take over when it is old |
//!
//! A *holder* is a server whose identity has the secrets of the set-up. Each goes through it once, and what is there
//! already is looked at and left, so that two at once would do no harm; the claim spares them each other's failures.
//! When a holder is through, its secrets leave the node ([`Question::Finish`]). Nobody else does anything but wait until
//! its own token works.

use hah_node::closing::{Rung, SETUP_VERSION, SetupMarker, Stage};

use super::{Question, Reply, Run, Step};
use crate::closing::decide::Age;
use crate::closing::pace::{self, Millis};
use crate::closing::view::SetupMemory;
use crate::closing::words::Unmet;

/// How far this server's own way through the set-up is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// It holds no claim that it has acted upon.
    #[default]
    Before,
    /// Consul's part is done.
    Consul,
    /// All is made; its secrets have to go.
    Made,
    /// They are gone.
    Finished,
}

/// The step of the set-up that an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The marker, at the beginning.
    Look,
    /// The claim.
    Claim,
    /// Consul's part.
    Consul,
    /// The marker after a part, whose index is needed.
    Again(Stage),
    /// The marker, after this stage.
    Written(Stage),
    /// Nomad's part.
    Nomad,
    /// The secrets' end.
    Finish,
}

impl Run<'_> {
    /// Whether this server has the set-up before it.
    fn holds(&self) -> bool {
        self.settings.holds && self.state.way < Way::Finished
    }

    /// After Consul has a leader.
    pub(super) fn set_up_first(&mut self) {
        if self.settings.closed {
            self.ask(Step::SetUp(Part::Look), Question::Setup);
        } else {
            self.ask(Step::Memory, Question::Memory);
        }
    }

    /// After Nomad has its quorum, or where there is no Nomad. Whether there was something to do.
    pub(super) fn set_up_rest(&mut self) -> bool {
        if !self.settings.closed || !self.holds() || self.settings.breaks_keep_secrets() {
            return false;
        }
        self.state.pass.late = true;
        match self.state.way {
            _ if self.settings.breaks_finish_early() => self.ask(Step::SetUp(Part::Finish), Question::Finish),
            Way::Before => match (self.state.pass.setup.clone(), self.state.pass.setup_age) {
                (Some((index, marker)), Age::Old) => self.claim_set_up(index, marker.ready),
                (Some((_, marker)), Age::Fresh) => self.unmet(Unmet::SettingUp(marker.by)),
                (None, _) => self.unmet(Unmet::Busy),
            },
            Way::Consul if self.now.boot <= self.state.way_since.saturating_add(pace::CLAIM_FRESH) => {
                self.ask(Step::SetUp(Part::Nomad), Question::SetUpNomad);
            }
            // Nomad was long in coming, and another may be about to take over.
            Way::Consul => match self.state.pass.setup.clone() {
                Some((index, marker)) => self.claim_set_up(index, marker.ready),
                None => self.unmet(Unmet::Busy),
            },
            Way::Made | Way::Finished => self.ask(Step::SetUp(Part::Finish), Question::Finish),
        }
        true
    }

    /// What follows Nomad's quorum, and whatever had to be set up in it.
    pub(super) fn after_nomad(&mut self) {
        if self.settings.nomad.is_none() {
            return self.prometheus();
        }
        match self.intent() {
            Some(_) => self.ask(Step::Job, Question::Job),
            None if self.settings.hcl => self.ask(Step::Parse, Question::Parse),
            None => self.prometheus(),
        }
    }

    /// An answer to a question of the set-up.
    pub(super) fn set_up(&mut self, part: Part, asked: Millis, reply: Reply) {
        match (part, reply) {
            (Part::Look, Reply::Setup(memory)) if !self.holds() => match memory {
                SetupMemory::NoToken(why) => self.unmet(Unmet::NotSetUp(why)),
                // The token works; who has taken the marker away does not matter.
                _ => self.ask(Step::Memory, Question::Memory),
            },
            (Part::Look, Reply::Setup(memory)) => self.look(asked, memory),
            (Part::Claim, Reply::Written(true)) if self.now.boot > asked.saturating_add(pace::CLAIM_FRESH) => {
                self.unmet(Unmet::Marker("it took too long to write".to_owned()));
            }
            (Part::Claim, Reply::Written(true)) => self.ask(Step::SetUp(Part::Consul), Question::SetUpConsul),
            (Part::Consul, Reply::Done) => self.ask(Step::SetUp(Part::Again(Stage::Consul)), Question::Setup),
            (Part::Nomad, Reply::Done) => self.ask(Step::SetUp(Part::Again(Stage::Done)), Question::Setup),
            (Part::Again(stage), Reply::Setup(SetupMemory::Known(index, marker)))
                if marker.by == self.settings.node && marker.stage < stage =>
            {
                let marker = SetupMarker { stage, ready: true, ..marker };
                self.ask(Step::SetUp(Part::Written(stage)), Question::WriteSetup(index, marker));
            }
            (Part::Written(Stage::Done), Reply::Written(true)) => {
                self.state.way = Way::Made;
                self.go_on();
            }
            (Part::Written(_), Reply::Written(true)) => {
                (self.state.way, self.state.way_since) = (Way::Consul, asked);
                self.go_on();
            }
            (Part::Finish, Reply::Done) => {
                self.state.way = Way::Finished;
                self.after_nomad();
            }
            // The answer to the question that did it was lost.
            (_, Reply::Gone) => {
                self.state.way = Way::Finished;
                self.unmet(Unmet::Busy);
            }
            (Part::Look | Part::Claim | Part::Again(_) | Part::Written(_), Reply::Failed(why)) => {
                self.unmet(Unmet::Marker(why));
            }
            (Part::Consul | Part::Nomad | Part::Finish, Reply::Failed(why)) => self.unmet(Unmet::SetUp(why)),
            // Another server has taken over.
            _ => self.unmet(Unmet::Busy),
        }
    }

    /// What a holder does about the marker.
    fn look(&mut self, asked: Millis, memory: SetupMemory) {
        let (index, marker) = match memory {
            SetupMemory::NoToken(why) => {
                let why = format!("Consul does not know the management token of this node's identity: {why}");
                return self.unmet(Unmet::SetUp(why));
            }
            SetupMemory::Foreign(why) => {
                let why = format!("this agent does not understand the marker hah/setup in Consul: {why}");
                return self.unmet(Unmet::SetUp(why));
            }
            SetupMemory::Blank => {
                self.state.setup_standing = None;
                return self.claim_set_up(0, false);
            }
            SetupMemory::Known(index, marker) => (index, marker),
        };
        self.state.setup_standing = match self.state.setup_standing {
            Some((known, since, passes)) if known == index => Some((known, since, passes + 1)),
            _ => Some((index, self.now.boot, 1)),
        };
        let age = self.setup_age(asked);
        (self.state.pass.setup, self.state.pass.setup_age) = (Some((index, marker.clone())), age);
        if marker.by == self.settings.node {
            // After a restart this server does not know how far it came; and its identity may be a new one.
            let here =
                matches!((self.state.way, marker.stage), (Way::Consul, Stage::Consul) | (Way::Made, Stage::Done));
            return if here {
                self.ask(Step::Memory, Question::Memory)
            } else {
                self.claim_set_up(index, marker.ready)
            };
        }
        self.state.way = Way::Before;
        match (marker.stage, age) {
            (Stage::Done, _) => self.claim_set_up(index, marker.ready),
            (Stage::Claimed, Age::Old) => self.claim_set_up(index, marker.ready),
            (Stage::Consul, Age::Old) if self.state.locked_out => self.claim_set_up(index, marker.ready),
            (Stage::Claimed, Age::Fresh) if !marker.ready => self.unmet(Unmet::SettingUp(marker.by)),
            // What is left of it is done when Nomad is there, by whoever is first then.
            (Stage::Claimed | Stage::Consul, _) => self.ask(Step::Memory, Question::Memory),
        }
    }

    /// The marker of the loop could not be read. A holder whose token was deleted makes it again.
    pub(super) fn locked_out(&mut self) {
        if self.holds() {
            (self.state.way, self.state.locked_out) = (Way::Before, true);
        }
    }

    fn claim_set_up(&mut self, index: u64, ready: bool) {
        self.state.way = Way::Before;
        if self.settings.breaks_skip_set_up_claim() {
            return self.ask(Step::SetUp(Part::Consul), Question::SetUpConsul);
        }
        let by = self.settings.node.clone();
        let marker = SetupMarker { version: SETUP_VERSION, stage: Stage::Claimed, ready, by };
        self.ask(Step::SetUp(Part::Claim), Question::WriteSetup(index, marker));
    }

    /// After a part is done and remembered: what comes next in this pass.
    fn go_on(&mut self) {
        if !self.state.pass.late {
            return self.ask(Step::Memory, Question::Memory);
        }
        if !self.set_up_rest() {
            self.after_nomad();
        }
    }

    fn setup_age(&self, asked: Millis) -> Age {
        let old = self.state.setup_standing.is_some_and(|(_, since, passes)| {
            asked >= since.saturating_add(pace::PATIENCE) && passes >= pace::PATIENCE_PASSES
        });
        let old = (old || self.settings.breaks_no_patience()) && !self.settings.breaks_no_take_over();
        if old { Age::Old } else { Age::Fresh }
    }

    /// The rung, once the marker of the loop could be read.
    pub(super) fn reach_set_up(&mut self) {
        self.state.locked_out = false;
        if self.settings.closed {
            self.reach(Rung::SetUp);
        }
    }
}
