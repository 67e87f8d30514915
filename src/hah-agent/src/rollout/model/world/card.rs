//! What outlives the power, and what happens when it comes and goes.

use hah_node::rollout::Errand;

use super::{Coverage, Kind, Schedule, Travel, digest, number};
use crate::rollout::machine::{Effect, Question};
use crate::rollout::pace::{self, Millis};
use crate::rollout::view::{Ended, Local, Staged};
use hah_node::generation::Digest;

/// A node's card.
pub(super) struct Card {
    pub(super) good: Digest,
    pub(super) running: Digest,
    pub(super) on_trial: bool,
    /// The boot pointer, while it names a trial.
    pub(super) armed: Option<Digest>,
    pub(super) staged: Option<Staged>,
    pub(super) ended: Vec<Ended>,
    pub(super) errand: Option<Errand>,
}

impl Card {
    pub(super) fn flashed() -> Self {
        let flashed = digest(0);
        Self {
            good: flashed,
            running: flashed,
            on_trial: false,
            armed: None,
            staged: None,
            ended: Vec::new(),
            errand: None,
        }
    }
}

/// Whether a node has power and runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    On,
    /// The system is there, and the agent starts then.
    Starting(Millis),
    /// It shuts down, and goes off then.
    Stopping(Millis),
    /// It starts then.
    Off(Millis),
    /// It hangs, and is started again then.
    Hanging(Millis),
    Dead,
}

impl Power {
    /// When something happens by itself.
    pub(super) fn changes(self) -> Option<Millis> {
        match self {
            Self::On | Self::Dead => None,
            Self::Starting(at) | Self::Stopping(at) | Self::Off(at) | Self::Hanging(at) => Some(at),
        }
    }
}

impl Schedule {
    /// Somebody stages a generation on a node; what waited there is replaced.
    pub(in crate::rollout::model) fn stage(&mut self, node: usize, generation: usize) {
        let accept_outage = self.servers() >= 3 || self.dice.below(2) == 0;
        let card = &mut self.nodes[node].card;
        if card.staged.is_some_and(|staged| staged.generation == digest(generation)) {
            return;
        }
        let known = card.ended.iter().any(|ended| ended.generation == digest(generation));
        if known || card.running == digest(generation) || card.good == digest(generation) {
            return;
        }
        // It may have been kept here, and left for another one: a person wants it again.
        self.nodes[node].tries[generation] = 0;
        let card = &mut self.nodes[node].card;
        card.staged = Some(Staged { generation: digest(generation), canary: false, accept_outage });
        self.note(|| format!("generation {generation} is staged on n{node}"));
    }

    /// What the node tells of itself.
    pub(super) fn local(&self, node: usize) -> Local {
        let node = &self.nodes[node];
        let card = &node.card;
        let kind = self.kinds[number(card.running)];
        let mut failed_units = std::collections::BTreeSet::new();
        if kind == Kind::FailedUnit {
            failed_units.insert("x.service".to_owned());
        }
        Local {
            running: Some(card.running),
            on_trial: card.on_trial,
            armed: card.armed,
            staged: card.staged,
            ended: card.ended.clone(),
            rescue: false,
            clock: node.skew > -1_000_000,
            started: self.now >= node.serves,
            failed_units,
            vault: false,
            errand: card.errand.clone(),
        }
    }

    /// The time has come for what happens by itself.
    pub(super) fn power(&mut self, number: usize, seen: &mut Coverage) {
        match self.nodes[number].power {
            Power::Starting(_) => {
                self.nodes[number].power = Power::On;
                self.start_agent(number);
                self.note(|| format!("n{number}'s agent starts"));
            }
            Power::Stopping(_) => self.turn_off(number, 2_000),
            Power::Off(_) => self.boot(number, seen),
            Power::Hanging(_) => self.turn_off(number, 1_000),
            Power::On | Power::Dead => {}
        }
    }

    /// The power goes, and comes back after a time.
    pub(super) fn turn_off(&mut self, number: usize, back: Millis) {
        self.kill_agent(number);
        // What its own Consul was asked for goes with it; what others were asked for may still happen.
        let is_own = |travel: &Travel| {
            matches!(travel, Travel::Request(Question::Do(Effect::MaintenanceOn | Effect::MaintenanceOff)))
        };
        self.flights.retain(|flight| flight.node != number || !is_own(&flight.travel));
        self.nodes[number].power = Power::Off(self.now + back);
    }

    fn boot(&mut self, index: usize, seen: &mut Coverage) {
        let now = self.now;
        let (slow, later) = (self.dice.below(30_000), self.dice.below(40_000));
        let node = &mut self.nodes[index];
        // Stage 1 sets the pointer back before anything else.
        let trial = node.card.armed.take();
        let running = trial.unwrap_or(node.card.good);
        node.booted = now;
        node.card.running = running;
        node.card.on_trial = trial.is_some();
        let kind = self.kinds[number(running)];
        match kind {
            Kind::DiesInStage1 => {
                seen.add("ended in stage 1");
                node.card.running = node.card.good;
                node.card.on_trial = false;
                node.power = Power::Off(now + 15_000);
            }
            Kind::Hangs => {
                seen.add("hung");
                node.power = Power::Hanging(now + pace::GATE + 120_000);
            }
            _ => {
                if trial.is_none() {
                    node.on_purpose = false;
                }
                node.power = Power::Starting(now + 5_000 + slow);
                node.serves = now + 10_000 + later;
            }
        }
        self.note(|| format!("n{index} boots {}", number(running)));
    }

    /// It shuts down and starts again, as its agent wanted.
    pub(super) fn reboot(&mut self, number: usize) {
        let slow = [1_000, 5_000, 20_000, 95_000][self.dice.below(4) as usize];
        let node = &mut self.nodes[number];
        if node.power == Power::On {
            node.power = Power::Stopping(self.now + slow);
        }
        node.on_purpose = true;
    }
}
