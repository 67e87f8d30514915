//! A closed cluster in the simulated world: tokens that work when a server has made them, secrets that leave the servers.

use hah_node::closing::{SetupMarker, Stage};

use super::{Coverage, Schedule, Travel, Verdict, broken};
use crate::closing::machine::{Question, Reply};
use crate::closing::pace::Millis;
use crate::closing::view::SetupMemory;

/// For so long after somebody interfered, what was asked before may arrive and look wrong.
const DUST_SETTLES: Millis = 120_000;

/// What access control has come to.
#[derive(Default)]
pub(super) struct Gate {
    /// The marker, with its index.
    setup: Option<(u64, SetupMarker)>,
    /// Whether Consul knows the nodes' tokens.
    tokens: bool,
    /// Whether Nomad has its management token, and Consul believes Nomad's jobs.
    nomad: bool,
    /// Until when the invariants say nothing.
    disturbed: Millis,
}

impl Schedule {
    /// Whether a request is let through: nothing for an open cluster's, a refusal for one without a token that works.
    pub(super) fn keep_out(&self, agent: usize, question: &Question) -> Option<Reply> {
        let gate = self.gate.as_ref()?;
        let refused = match question {
            Question::Memory | Question::Write(..) => !gate.tokens,
            Question::Parse | Question::Job | Question::Register(_) | Question::Health => !self.agents[agent].token,
            _ => false,
        };
        refused.then(|| Reply::Failed("it says: Permission denied (status 403)".to_owned()))
    }

    /// The set-up's own questions.
    pub(super) fn set_up(&mut self, agent: usize, question: &Question, seen: &mut Coverage) -> Result<Reply, Verdict> {
        let node = self.agents[agent].settings.node.clone();
        let holds = self.agents[agent].holds;
        let index = self.index + 1;
        let leaders = (self.consul.0, self.nomad.0);
        let (now, jumps) = (self.now, self.clocks_jump);
        let Some(gate) = &mut self.gate else { return Ok(Reply::Failed(String::new())) };
        let calm = now >= gate.disturbed && !jumps;
        let claimed = gate.setup.as_ref().is_some_and(|(_, marker)| marker.by == node);
        match question {
            _ if !leaders.0 => return Ok(Reply::Failed(String::new())),
            Question::Setup if !holds && !gate.tokens => return Ok(Reply::Setup(SetupMemory::NoToken(String::new()))),
            Question::Setup => {
                return Ok(Reply::Setup(match &gate.setup {
                    None => SetupMemory::Blank,
                    Some((index, marker)) => SetupMemory::Known(*index, marker.clone()),
                }));
            }
            _ if !holds => return Ok(Reply::Gone),
            Question::WriteSetup(cas, marker) => {
                let before = gate.setup.as_ref();
                if *cas != before.map_or(0, |(index, _)| *index) {
                    return Ok(Reply::Written(false));
                }
                if before.is_some_and(|(_, before)| before.by != marker.by && before.stage != Stage::Done) {
                    seen.add("set-up taken over");
                }
                gate.setup = Some((index, marker.clone()));
                self.index = index;
                return Ok(Reply::Written(true));
            }
            Question::SetUpConsul | Question::SetUpNomad if !claimed && calm => {
                return Err(broken("set-up", format!("{node} sets up what another has claimed, or nobody")));
            }
            Question::SetUpConsul => {
                if gate.tokens {
                    seen.add("set up again");
                }
                gate.tokens = true;
            }
            _ if !leaders.1 => return Ok(Reply::Failed(String::new())),
            Question::SetUpNomad => gate.nomad = true,
            Question::Finish => {
                if calm && !(gate.tokens && gate.nomad) {
                    return Err(broken("stripped", format!("{node} has thrown away what makes the tokens")));
                }
                self.agents[agent].holds = false;
                self.agents[agent].token = true;
                seen.add("secrets gone");
            }
            _ => return Ok(Reply::Failed(String::new())),
        }
        Ok(Reply::Done)
    }

    /// Somebody deletes tokens, or all of Consul; a server gets its identity anew, as its status says.
    pub(super) fn undo(&mut self, number: usize) {
        let all = self.dice.below(2) == 0;
        let until = self.now + DUST_SETTLES;
        let Some(gate) = &mut self.gate else { return };
        if !self.agents[number].settings.submit {
            return;
        }
        gate.tokens = false;
        gate.disturbed = until;
        if all {
            gate.setup = None;
        }
        self.agents[number].holds = true;
        // That one happens on the node itself, and what was under way there has ended.
        let is_finish = |travel: &Travel| matches!(travel, Travel::Request(Question::Finish, _));
        self.flights.retain(|flight| flight.agent != number || !is_finish(&flight.travel));
        self.note(|| format!("tokens are deleted, and n{number} has its secrets again"));
        self.start(number);
    }

    /// Whether all is made, and the secrets are where they belong.
    pub(super) fn gate_is_shut(&self) -> bool {
        let made = self.gate.as_ref().is_none_or(|gate| gate.tokens && gate.nomad);
        made && (self.gate.is_none() || self.agents.iter().all(|agent| !agent.holds))
    }
}
