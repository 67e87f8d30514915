//! What happens to the world: leaders and agents that come and go, and a person.

use hah_node::closing::{Phase, Resubmit};

use super::{Schedule, Travel, VERSIONS};
use crate::closing::machine::Question;
use crate::closing::view::Memory;
use crate::schedules::Coverage;

impl Schedule {
    /// Something happens.
    pub(super) fn surprise(&mut self, seen: &mut Coverage) {
        let number = self.dice.below(self.agents.len() as u64) as usize;
        match self.dice.below(22) {
            0 => self.consul = (!self.consul.0, 3),
            1 => self.nomad = (!self.nomad.0, 3),
            2 => {
                self.consul = (true, 3);
                self.nomad = (true, 3);
            }
            3 | 4 => {
                self.agents[number].state = None;
                self.note(|| format!("n{number} crashes"));
            }
            5 => {
                self.agents[number].state = None;
                self.start(number);
            }
            6 => {
                let version = self.dice.below(3) as usize;
                let to = VERSIONS[version];
                self.note(|| format!("n{number} gets the image with {to}"));
                self.agents[number].version = version;
                if let Some(intent) = &mut self.agents[number].settings.job {
                    intent.hah_job = to.to_owned();
                }
                self.start(number);
            }
            7 => self.targets = !self.targets,
            8..=10 => self.stop(),
            11 => self.start_again(seen),
            12 => self.edit(),
            19 => self.revert(),
            13..=15 => self.purge(),
            16 => self.forget(seen),
            17 if self.dice.below(4) == 0 => {
                self.index += 1;
                self.kv = Some((self.index, Memory::Foreign(String::new())));
                self.note(|| "somebody overwrites the marker".to_owned());
            }
            20 => self.undo(number),
            18 if self.clocks_jump => {
                let jump = [-3_600_000, -5_000, 5_000, 100_000, 3_600_000][self.dice.below(5) as usize];
                self.agents[number].clock += jump;
                self.note(|| format!("n{number}'s clock jumps by {jump} ms"));
                self.agents[number].wake = self.now;
            }
            _ => {
                if let Some(job) = &mut self.job {
                    job.healthy_at = self.now + self.dice.below(60_000);
                }
            }
        }
    }

    fn stop(&mut self) {
        let Some(job) = &mut self.job else { return };
        if !job.stopped {
            self.index += 1;
            job.index = self.index;
            job.version += 1;
            job.stopped = true;
            self.forbidden = true;
            self.note(|| "the person stops the job".to_owned());
        }
    }

    fn start_again(&mut self, seen: &mut Coverage) {
        let Some(job) = &mut self.job else { return };
        if job.stopped {
            self.index += 1;
            job.index = self.index;
            job.version += 1;
            job.stopped = false;
            self.forbidden = false;
            seen.add("person started it again");
            self.note(|| "the person starts the job again".to_owned());
        }
    }

    fn edit(&mut self) {
        let Some(job) = &mut self.job else { return };
        self.index += 1;
        job.index = self.index;
        job.version += 1;
        self.note(|| "the person edits the job".to_owned());
    }

    /// `auto_revert`.
    fn revert(&mut self) {
        let Some(job) = &mut self.job else { return };
        if job.hah_job != VERSIONS[0] && !job.stopped && self.effective[0] > 0 {
            self.index += 1;
            job.index = self.index;
            job.version += 1;
            job.hah_job = VERSIONS[0].to_owned();
            self.note(|| "Nomad goes back to a".to_owned());
        }
    }

    /// Whether a submission is on its way; see the module's last paragraph.
    fn is_submitting(&self) -> bool {
        self.flights.iter().any(|flight| matches!(flight.travel, Travel::Request(Question::Register(_), _)))
    }

    /// What the cluster remembers.
    fn phase(&self) -> Option<Phase> {
        match &self.kv {
            Some((_, Memory::Known(_, marker))) => Some(marker.phase),
            _ => None,
        }
    }

    pub(super) fn purge(&mut self) {
        let remembered = matches!(self.phase(), Some(Phase::Submitted | Phase::Stopped));
        if self.job.is_none() || !remembered || self.is_submitting() || self.clocks_jump {
            return;
        }
        let stopped = self.job.as_ref().is_some_and(|job| job.stopped);
        self.job = None;
        if self.resubmit == Resubmit::Never || stopped && self.phase() == Some(Phase::Stopped) {
            self.forbidden = true;
        } else {
            self.forbidden = false;
            self.unnoticed = stopped || self.phase() == Some(Phase::Stopped);
            self.lost += 1;
        }
        self.note(|| "the job is purged".to_owned());
    }

    /// Four hours after it was stopped, which somebody has noticed, Nomad forgets the job; nothing is on its way then.
    fn forget(&mut self, seen: &mut Coverage) {
        let stopped = self.job.as_ref().is_some_and(|job| job.stopped);
        let noticed = self.phase() == Some(Phase::Stopped)
            || self.resubmit == Resubmit::Never && self.phase() == Some(Phase::Submitted);
        // With `ForgetStop` nobody notices: four hours are enough for an agent that does.
        let long_enough = self.agents.iter().any(|agent| agent.settings.breaks_forget_stop());
        if stopped && (noticed || long_enough && self.phase() == Some(Phase::Submitted)) {
            self.job = None;
            self.flights.clear();
            seen.add("forgotten by Nomad");
            self.note(|| "Nomad forgets the job".to_owned());
        }
    }
}
