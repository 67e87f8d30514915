//! The loop as a pure state machine: `(State, Event, now) → (State, Vec<Action>)`.
//!
//! One question is out at a time. A *pass* asks for the conditions in the order of the rungs until one does not hold,
//! then looks at Prometheus and Vault in any case, ends, and sleeps. What a pass finds is a fact about that moment; the
//! rung that is published follows at once upwards, and downwards when several passes in a row agree.
//!
//! Nothing here reads a clock: `now` is given. A reply is known by its question's number, so one that comes late or twice
//! is dropped; a question that stays without any is given up at its deadline.

mod messages;
mod mutation;
mod set_up;

use hah_node::closing::{Marker, Phase, Resubmit, Rung, Seen, SetupMarker};

use super::decide::{Age, Decision, decide};
use super::pace::{self, Jitter, Millis};
use super::view::{Health, Job, Memory, Monitoring, Quorum, Registered};
use super::words::{Note, Program, Unmet};
pub(crate) use messages::{Action, Event, Question, Replaces, Reply, Said};
#[cfg(test)]
pub(crate) use mutation::Mutation;
use set_up::{Part, Way};

/// What does not change while the agent runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// This node's name.
    pub(crate) node: String,
    /// How many Consul servers there should be.
    pub(crate) consul: u32,
    /// How many Nomad servers, on a node that has Nomad.
    pub(crate) nomad: Option<u32>,
    /// The image's job, unless Nomad has to parse it first.
    pub(crate) job: Option<Intent>,
    /// Whether the image's job is HCL, which is asked for with [`Question::Parse`].
    pub(crate) hcl: bool,
    /// Whether this node submits it.
    pub(crate) submit: bool,
    /// What to do when it is lost.
    pub(crate) resubmit: Resubmit,
    /// Whether there is a Vault to look at.
    pub(crate) vault: bool,
    /// Whether the cluster is closed: see [`set_up`].
    pub(crate) closed: bool,
    /// Whether this node had the secrets of the set-up when the agent started.
    pub(crate) holds: bool,
    /// What the model test breaks, to see that it would notice.
    #[cfg(test)]
    pub(crate) mutation: Option<Mutation>,
}

/// The job that closes the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    /// `Job.ID`.
    pub(crate) id: String,
    /// `Job.Meta.hah_job`.
    pub(crate) hah_job: String,
}

/// The two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// Monotonic, since the kernel started.
    pub(crate) boot: Millis,
    /// Seconds since 1970, as far as the node knows: for people, never for a decision.
    pub(crate) wall: u64,
}

/// All that the machine knows. It is lost when the agent ends, and nothing that matters is lost with it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The highest rung whose conditions hold.
    pub(crate) rung: Rung,
    /// When it was reached.
    pub(crate) since: Now,
    /// When each rung was first reached.
    pub(crate) reached: [Option<Millis>; Rung::ALL.len()],
    /// Changes of `rung`.
    pub(crate) transitions: u64,
    /// The first condition that does not hold, as the last pass found it.
    pub(crate) waiting: Option<Unmet>,
    /// What else the last pass noticed.
    pub(crate) notes: Vec<Note>,
    /// Prometheus, as the last pass saw it.
    pub(crate) seen: Seen,
    /// Vault, as the last pass saw it.
    pub(crate) vault: Option<String>,
    /// What the last pass read of the marker: version, and what became of it.
    pub(crate) remembered: Option<(String, Phase)>,
    /// What failed last.
    pub(crate) failure: Option<(u64, String)>,
    /// What Nomad made of the image's HCL.
    parsed: Option<Intent>,
    doing: Doing,
    next: u64,
    /// The latest time. It does not run backwards here: a clock that was set back goes on from where it was.
    clock: Millis,
    /// How far the clock was set back, in all.
    offset: Millis,
    jitter: Jitter,
    failures: u32,
    strikes: u32,
    /// The marker's `ModifyIndex`, since when it is that, and how many passes have read it.
    standing: Option<(u64, Millis, u32)>,
    /// When this agent last set out to submit.
    acted: Option<Millis>,
    /// How far this server's own set-up is.
    way: Way,
    /// When the marker that says so was written.
    way_since: Millis,
    /// Whether the loop's marker could not be read in the last pass.
    locked_out: bool,
    /// As `standing`, of the marker of the set-up.
    setup_standing: Option<(u64, Millis, u32)>,
    pass: Pass,
    /// What was said last: not again.
    said: Option<Unmet>,
}

#[derive(Clone, Debug)]
enum Doing {
    /// Nothing until then.
    Sleeping(Millis),
    /// Waiting for the answer to this question, asked then.
    Asking { number: u64, asked: Millis, step: Step },
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Consul,
    SetUp(Part),
    Memory,
    Nomad,
    Parse,
    Job,
    Claim(u64),
    Register,
    Record,
    Health,
    Prometheus,
    Close,
    Vault,
}

/// What the running pass has found.
#[derive(Clone, Debug)]
struct Pass {
    rung: Rung,
    unmet: Option<Unmet>,
    notes: Vec<Note>,
    memory: Memory,
    /// Consul's servers, until the marker tells whether they have to be complete.
    consul: Quorum,
    rounds: u32,
    /// Whether the marker has been counted as seen in this pass.
    counted: bool,
    /// The marker of the set-up with its index, and whether its writer can still be at it.
    setup: Option<(u64, SetupMarker)>,
    setup_age: Age,
    /// Whether Nomad's quorum has been looked at.
    late: bool,
}

impl Default for Pass {
    fn default() -> Self {
        Self {
            rung: Rung::Booted,
            unmet: None,
            notes: Vec::new(),
            memory: Memory::Blank,
            consul: Quorum::default(),
            rounds: 0,
            counted: false,
            setup: None,
            setup_age: Age::Fresh,
            late: false,
        }
    }
}

impl State {
    /// An agent that has just started. Agents with different seeds do not act at the same moment.
    pub(crate) fn new(seed: u64, now: Now) -> Self {
        let mut jitter = Jitter(seed);
        let start = now.boot.saturating_add(jitter.below(pace::FIRST));
        let mut reached = [None; Rung::ALL.len()];
        if let Some(booted) = reached.first_mut() {
            *booted = Some(now.boot);
        }
        Self {
            rung: Rung::Booted,
            since: now,
            reached,
            transitions: 0,
            waiting: Some(Unmet::Starting),
            notes: Vec::new(),
            seen: Seen::default(),
            vault: None,
            remembered: None,
            failure: None,
            parsed: None,
            doing: Doing::Sleeping(start),
            next: 0,
            clock: now.boot,
            offset: 0,
            jitter,
            failures: 0,
            strikes: 0,
            standing: None,
            acted: None,
            way: Way::Before,
            way_since: 0,
            locked_out: false,
            setup_standing: None,
            pass: Pass::default(),
            said: None,
        }
    }
}

/// The machine.
pub(crate) fn step(settings: &Settings, state: State, event: Event, now: Now) -> (State, Vec<Action>) {
    let mut state = state;
    let given = now.boot.saturating_add(state.offset);
    state.offset = state.offset.saturating_add(state.clock.saturating_sub(given));
    state.clock = state.clock.max(given);
    let now = Now { boot: state.clock, ..now };
    let mut run = Run { settings, state, now, actions: Vec::new() };
    match (event, run.state.doing.clone()) {
        (Event::Tick, Doing::Sleeping(until)) if now.boot >= until => run.begin(),
        (Event::Tick, Doing::Asking { asked, step, .. })
            if now.boot >= asked.saturating_add(pace::DEADLINE) && !settings.breaks_no_deadline() =>
        {
            run.answer(step, asked, Reply::Failed("no answer at all".to_owned()));
        }
        (Event::Reply(number, reply), Doing::Asking { number: awaited, asked, step }) if number == awaited => {
            run.answer(step, asked, reply);
        }
        // A tick too early, or the answer to a question that was given up or answered.
        _ => {}
    }
    let wake = match run.state.doing {
        Doing::Sleeping(until) => until,
        Doing::Asking { asked, .. } => asked.saturating_add(pace::DEADLINE),
    };
    run.actions.push(Action::Wake(wake.saturating_sub(run.state.offset)));
    (run.state, run.actions)
}

/// One step.
struct Run<'s> {
    settings: &'s Settings,
    state: State,
    now: Now,
    actions: Vec<Action>,
}

impl Run<'_> {
    fn begin(&mut self) {
        self.state.pass = Pass::default();
        self.ask(Step::Consul, Question::Consul);
    }

    fn ask(&mut self, step: Step, question: Question) {
        let number = self.state.next;
        self.state.next = number.wrapping_add(1);
        self.state.doing = Doing::Asking { number, asked: self.now.boot, step };
        self.actions.push(Action::Ask(number, question));
    }

    fn answer(&mut self, step: Step, asked: Millis, reply: Reply) {
        match (step, reply) {
            (Step::Consul, Reply::Quorum(quorum)) if quorum.leader => {
                self.state.pass.consul = quorum;
                self.set_up_first();
            }
            (Step::SetUp(part), reply) => self.set_up(part, asked, reply),
            (Step::Consul, Reply::Quorum(quorum)) => {
                self.unmet(Unmet::Quorum(Program::Consul, self.settings.consul, quorum));
            }
            (Step::Consul, Reply::Failed(why)) => self.unmet(Unmet::Silent(Program::Consul, why)),
            (Step::Memory, Reply::Memory(memory)) => self.memory(memory),
            (Step::Nomad, Reply::Quorum(quorum)) => self.nomad(quorum),
            (Step::Parse, Reply::Parsed(intent)) => {
                self.state.parsed = Some(intent);
                self.ask(Step::Job, Question::Job);
            }
            (Step::Job, Reply::Job(job)) => self.job(asked, job.as_ref()),
            (Step::Claim(index), Reply::Written(true)) => self.claimed(asked, index),
            (Step::Record, Reply::Written(true)) => self.again(),
            (Step::Claim(_) | Step::Record, Reply::Written(false)) => self.again(),
            // Somebody else did it, or it is done: marker and job tell.
            (Step::Register, Reply::Registered(Registered::Accepted | Registered::Conflict)) => self.again(),
            (Step::Parse | Step::Register, Reply::Registered(Registered::Refused(why))) => {
                self.unmet(Unmet::Refused(why))
            }
            (Step::Health, Reply::Health(Health::Good(note))) => {
                self.reach(Rung::JobHealthy);
                self.state.pass.notes.extend(note.map(Note::Seen));
                self.prometheus();
            }
            (Step::Health, Reply::Health(Health::Waits(why))) => self.unmet(Unmet::Job(why)),
            (Step::Prometheus, Reply::Prometheus(monitoring)) => self.targets(monitoring),
            (Step::Prometheus, Reply::Failed(why)) => self.targets(Monitoring::Down(why, None)),
            (Step::Close, Reply::Written(true)) => {
                self.reach(Rung::Closed);
                self.vault();
            }
            // The next pass tries again; the loop is closed but for the cluster's knowing it.
            (Step::Close, Reply::Written(false)) => self.vault_after(Unmet::Busy),
            (Step::Close, Reply::Failed(why)) => self.vault_after(Unmet::Marker(why)),
            (Step::Vault, Reply::Vault(text, well)) => {
                if !well {
                    self.state.pass.notes.push(Note::Seen(format!("Vault is {text}")));
                }
                self.state.vault = Some(text);
                self.end();
            }
            (Step::Vault, Reply::Failed(why)) => {
                self.state.pass.notes.push(Note::Seen(format!("Vault does not answer: {why}")));
                self.state.vault = Some("silent".to_owned());
                self.end();
            }
            // A node that does not submit may have a token that does not read the marker, and can do without.
            (Step::Memory, Reply::Failed(_)) if !self.settings.submit => self.memory(Memory::Blank),
            (Step::Memory | Step::Claim(_) | Step::Record, Reply::Failed(why)) => {
                self.locked_out();
                self.unmet(Unmet::Marker(why));
            }
            (Step::Nomad | Step::Parse | Step::Job | Step::Register | Step::Health, Reply::Failed(why)) => {
                self.unmet(Unmet::Silent(Program::Nomad, why));
            }
            // An answer to another question than the one that was asked would be the driver's mistake.
            (_, _) => self.unmet(Unmet::Busy),
        }
    }

    /// Too few servers matter only before the cluster has ever had a job: afterwards a leader is enough.
    fn suffices(&self, quorum: &Quorum, expect: u32) -> bool {
        quorum.leader && (quorum.peers >= expect || self.state.pass.memory != Memory::Blank)
    }

    fn memory(&mut self, memory: Memory) {
        let pass = &mut self.state.pass;
        let index = match &memory {
            Memory::Known(index, _) => *index,
            Memory::Blank | Memory::Foreign(_) => 0,
        };
        self.state.standing = match self.state.standing {
            Some((known, since, passes)) if known == index => Some((known, since, passes + u32::from(!pass.counted))),
            _ => Some((index, self.now.boot, 1)),
        };
        pass.counted = true;
        self.state.remembered = match &memory {
            Memory::Known(_, marker) => Some((marker.hah_job.clone(), marker.phase)),
            Memory::Blank | Memory::Foreign(_) => None,
        };
        pass.memory = memory;
        let quorum = std::mem::take(&mut pass.consul);
        if pass.rounds == 0 && !self.suffices(&quorum, self.settings.consul) {
            return self.unmet(Unmet::Quorum(Program::Consul, self.settings.consul, quorum));
        }
        self.reach(Rung::ConsulQuorum);
        self.reach_set_up();
        match self.settings.nomad {
            None => {
                if self.state.pass.rounds > 0 || !self.set_up_rest() {
                    self.prometheus();
                }
            }
            Some(_) if self.state.pass.rounds > 0 => self.ask(Step::Job, Question::Job),
            Some(_) => self.ask(Step::Nomad, Question::Nomad),
        }
    }

    fn nomad(&mut self, quorum: Quorum) {
        let expect = self.settings.nomad.unwrap_or_default();
        if !self.suffices(&quorum, expect) {
            return self.unmet(Unmet::Quorum(Program::Nomad, expect, quorum));
        }
        self.reach(Rung::NomadQuorum);
        if !self.set_up_rest() {
            self.after_nomad();
        }
    }

    /// The job that closes the loop, as far as it is known.
    fn intent(&self) -> Option<&Intent> {
        self.settings.job.as_ref().or(self.state.parsed.as_ref())
    }

    fn job(&mut self, asked: Millis, job: Option<&Job>) {
        let Some(intent) = self.intent() else { return self.prometheus() };
        let decision = decide(self.settings, intent, &self.state.pass.memory, job, self.age(asked));
        match decision {
            Decision::Follow(note) => self.follow(note),
            // A node that does not submit does not write either, and needs no permission to.
            Decision::Record { .. } if !self.settings.submit => match job {
                Some(job) if job.stopped => self.unmet(Unmet::Stopped),
                _ => self.follow(None),
            },
            Decision::Wait(unmet) => self.unmet(unmet),
            Decision::Claim { .. } | Decision::Record { .. } if self.state.pass.rounds >= pace::ROUNDS => {
                self.unmet(Unmet::Busy);
            }
            Decision::Claim { cas, marker } => {
                let index = marker.index;
                self.state.acted = Some(self.now.boot);
                if self.settings.breaks_skip_claim() {
                    return self.claimed(self.now.boot, index);
                }
                self.ask(Step::Claim(index), Question::Write(cas, marker));
            }
            Decision::Record { cas, marker } => self.ask(Step::Record, Question::Write(cas, marker)),
        }
    }

    fn follow(&mut self, note: Option<Note>) {
        self.reach(Rung::JobSubmitted);
        self.state.pass.notes.extend(note);
        self.ask(Step::Health, Question::Health);
    }

    /// Whether the marker's writer can still be at it. What counts is when the question for the job was asked: an answer
    /// from before says nothing.
    fn age(&self, asked: Millis) -> Age {
        let Memory::Known(_, marker) = &self.state.pass.memory else { return Age::Fresh };
        let old = match (self.state.acted, self.state.standing) {
            (Some(acted), _) if marker.by == self.settings.node && marker.phase == Phase::Submitting => {
                asked >= acted.saturating_add(pace::OWN_PATIENCE)
            }
            (_, Some((_, since, passes))) => {
                asked >= since.saturating_add(pace::PATIENCE) && passes >= pace::PATIENCE_PASSES
            }
            (_, None) => false,
        };
        let old = (old || self.settings.breaks_no_patience()) && !self.settings.breaks_no_take_over();
        if old { Age::Old } else { Age::Fresh }
    }

    fn claimed(&mut self, asked: Millis, index: u64) {
        if self.now.boot > asked.saturating_add(pace::CLAIM_FRESH) {
            return self.unmet(Unmet::Marker("it took too long to write".to_owned()));
        }
        self.state.acted = Some(self.now.boot);
        if let Some(version) = self.intent().map(|intent| intent.hah_job.clone()) {
            let replaces = if index == 0 { Replaces::Nothing } else { Replaces::Older };
            self.actions.push(Action::Say(Said::Submitting(version, replaces)));
        }
        self.ask(Step::Register, Question::Register(self.settings.enforced(index)));
    }

    /// Reads marker and job once more, since one of them has changed.
    fn again(&mut self) {
        self.state.pass.rounds += 1;
        self.ask(Step::Memory, Question::Memory);
    }

    fn targets(&mut self, monitoring: Monitoring) {
        let targets = match monitoring {
            Monitoring::Down(why, address) => {
                self.state.seen = Seen { address, ..Seen::default() };
                return self.vault_after(Unmet::Prometheus(why));
            }
            Monitoring::Up(targets) => *targets,
        };
        self.state.seen =
            Seen { up: true, address: Some(targets.address), targets_up: targets.up, targets_down: targets.down };
        self.state.pass.notes.extend(targets.notes.into_iter().map(Note::Seen));
        if let Some(why) = targets.waits {
            return self.vault_after(Unmet::Targets(why));
        }
        // Without Nomad, or without a job of its own, a node knows the rungs between by what they lead to.
        let through = self.settings.nomad.is_none() || self.settings.job.is_none() && !self.settings.hcl;
        if self.state.pass.unmet.is_some() || self.state.pass.rung < Rung::JobHealthy && !through {
            return self.vault();
        }
        self.reach(Rung::TargetsUp);
        match &self.state.pass.memory {
            Memory::Known(index, marker) if marker.closed_at.is_none() && self.settings.submit && !through => {
                let marker = Marker {
                    closed_at: Some(self.now.wall),
                    closed_by: Some(self.settings.node.clone()),
                    ..(**marker).clone()
                };
                self.ask(Step::Close, Question::Write(*index, Box::new(marker)));
            }
            _ => {
                self.reach(Rung::Closed);
                self.vault();
            }
        }
    }

    fn prometheus(&mut self) {
        self.ask(Step::Prometheus, Question::Prometheus);
    }

    /// Notes the first unmet condition, and goes on with what is looked at in any case.
    fn unmet(&mut self, unmet: Unmet) {
        self.note_unmet(unmet);
        self.prometheus();
    }

    fn vault_after(&mut self, unmet: Unmet) {
        self.note_unmet(unmet);
        self.vault();
    }

    fn note_unmet(&mut self, unmet: Unmet) {
        if matches!(unmet, Unmet::Silent(..) | Unmet::Marker(_) | Unmet::Refused(_) | Unmet::SetUp(_)) {
            self.state.failure = Some((self.now.wall, unmet.to_string()));
        }
        self.state.pass.unmet.get_or_insert(unmet);
    }

    fn vault(&mut self) {
        if self.settings.vault { self.ask(Step::Vault, Question::Vault) } else { self.end() }
    }

    /// The pass knows that this rung's conditions hold. Upwards that counts at once.
    fn reach(&mut self, rung: Rung) {
        self.state.pass.rung = self.state.pass.rung.max(rung);
        if self.state.pass.rung > self.state.rung {
            self.state.failures = 0;
            self.move_to(self.state.pass.rung);
        }
    }

    fn move_to(&mut self, rung: Rung) {
        let up = rung > self.state.rung;
        self.state.rung = rung;
        self.state.since = self.now;
        self.state.transitions += 1;
        self.state.strikes = 0;
        if up {
            // What it waited for has come, and what it waits for now is not known yet.
            self.state.waiting = None;
            if let Some(first) = self.state.reached.get_mut(rung as usize) {
                first.get_or_insert(self.now.boot);
            }
            self.actions.push(Action::Say(Said::Reached(rung)));
        } else {
            self.actions.push(Action::Say(Said::Fell(rung)));
        }
    }

    /// Ends the pass: draws the conclusions, and sleeps.
    fn end(&mut self) {
        let pass = std::mem::take(&mut self.state.pass);
        let mut delay = if pass.unmet.is_none() { pace::WATCH } else { self.settings.backoff(self.state.failures) };
        if pass.unmet.is_some() {
            self.state.failures = self.state.failures.saturating_add(1);
        } else {
            self.state.failures = 0;
        }
        if pass.rung < self.state.rung {
            self.state.strikes += 1;
            // That the job was stopped or has gone is no hiccup.
            let certain = matches!(pass.unmet, Some(Unmet::Stopped | Unmet::Lost | Unmet::LostElsewhere));
            if certain || self.state.strikes >= pace::STRIKES {
                self.move_to(pass.rung);
            } else {
                delay = pace::STRIKE;
            }
        } else {
            self.state.strikes = 0;
        }
        for note in &pass.notes {
            if !self.state.notes.contains(note) {
                self.actions.push(Action::Say(Said::Note(note.to_string())));
            }
        }
        if let Some(unmet) = &pass.unmet
            && self.state.said.as_ref() != Some(unmet)
        {
            self.actions.push(Action::Say(Said::Waiting(unmet.to_string())));
        }
        self.state.said = pass.unmet.clone();
        self.state.waiting = pass.unmet;
        self.state.notes = pass.notes;
        let delay = self.settings.slept(self.state.jitter.spread(delay));
        self.state.doing = Doing::Sleeping(self.now.boot.saturating_add(delay));
        self.actions.push(Action::Publish);
    }
}
