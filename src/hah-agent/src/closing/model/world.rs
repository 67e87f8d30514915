//! The simulated world, and one schedule of it.

mod gate;
mod surprises;
mod visited;

use hah_node::closing::{Marker, Phase, Resubmit, Rung};

use crate::closing::machine::{Action, Event, Intent, Mutation, Now, Question, Reply, Said, Settings, State, step};
use crate::closing::pace::{self, Jitter, Millis};
use crate::closing::view::{Health, Job, Memory, Monitoring, Quorum, Registered, Targets};
use crate::closing::words::Unmet;
use crate::schedules::{Coverage, Verdict, broken};
pub(super) use visited::VISITED;
use visited::visit;

/// A request that is not lost arrives within this time.
pub(super) const ARRIVES_WITHIN: Millis = 25_000;
/// Questions of one agent in one minute.
pub(super) const ASKS_MAX: u32 = 150;
/// How long a calm world may take to come to rest.
const REST_WITHIN: Millis = 600_000;
/// Steps of a schedule: far more than any takes that sleeps at all.
const STEPS_MAX: u32 = 20_000;

struct Agent {
    settings: Settings,
    /// Which of [`VERSIONS`] its image has.
    version: usize,
    /// Nothing while it is not running.
    state: Option<State>,
    /// Replies to earlier processes are dropped.
    incarnation: u32,
    wake: Millis,
    /// Added to the world's time.
    clock: i64,
    window: Millis,
    asks: u32,
    /// Whether its disk has the secrets of the set-up.
    holds: bool,
    /// Whether Nomad knows its token.
    token: bool,
}

struct SimJob {
    index: u64,
    version: u64,
    stopped: bool,
    hah_job: String,
    healthy_at: Millis,
}

enum Travel {
    /// A request on its way, with the version of the job that its sender had.
    Request(Question, usize),
    /// A reply on its way.
    Reply(Reply),
}

struct Flight {
    at: Millis,
    agent: usize,
    incarnation: u32,
    number: u64,
    travel: Travel,
}

/// One run of the world.
pub(super) struct Schedule {
    dice: Jitter,
    now: Millis,
    calm: bool,
    steps: u32,
    agents: Vec<Agent>,
    flights: Vec<Flight>,
    kv: Option<(u64, Memory)>,
    index: u64,
    consul: (bool, u32),
    nomad: (bool, u32),
    targets: bool,
    job: Option<SimJob>,
    /// What the person wants to be gone.
    forbidden: bool,
    /// The job was purged before anybody noticed that it had been stopped, or started again: both ends are right.
    unnoticed: bool,
    /// Effective submissions of each of [`VERSIONS`].
    effective: [u32; 3],
    lost: u32,
    resubmit: Resubmit,
    clocks_jump: bool,
    /// A person who purges what several slow servers submit: one in four schedules, since that is where it gets narrow.
    narrow: bool,
    /// In a closed cluster.
    gate: Option<gate::Gate>,
    log: Option<String>,
}

const VERSIONS: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 5] = ["n0", "n1", "n2", "n3", "n4"];

fn intent(version: usize) -> Intent {
    Intent { id: "p".to_owned(), hah_job: VERSIONS[version].to_owned() }
}

impl Schedule {
    pub(super) fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let mut dice = Jitter(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let narrow = dice.below(4) == 0;
        let resubmit = if narrow || dice.below(2) == 0 { Resubmit::Never } else { Resubmit::IfLost };
        let count = if narrow { 3 } else { [1, 2, 2, 3, 3, 3, 4, 5][dice.below(8) as usize] };
        let clocks_jump = !narrow && dice.below(4) == 0;
        let mixed = !narrow && dice.below(3) == 0;
        let closed = !narrow && dice.below(3) == 0;
        let agents = (0..count)
            .map(|number| {
                let version = if mixed { dice.below(2) as usize } else { 0 };
                let settings = Settings {
                    node: NAMES[number].to_owned(),
                    consul: 3,
                    nomad: if !narrow && number > 0 && dice.below(8) == 0 { None } else { Some(3) },
                    // Every other image has HCL, which the world's Nomad parses.
                    job: (number % 2 == 0).then(|| intent(version)),
                    hcl: number % 2 == 1,
                    submit: narrow || number == 0 || dice.below(4) != 0,
                    resubmit,
                    vault: false,
                    closed,
                    holds: false,
                    mutation,
                };
                let submit = settings.submit && settings.nomad.is_some();
                // A client of a closed cluster has no token that reads the job.
                let knows = submit || !closed;
                let job = settings.job.clone().filter(|_| knows);
                let settings = Settings { submit, job, hcl: settings.hcl && knows, ..settings };
                let holds = closed && submit;
                Agent {
                    settings,
                    version,
                    state: None,
                    incarnation: 0,
                    wake: 0,
                    clock: 0,
                    window: 0,
                    asks: 0,
                    holds,
                    token: false,
                }
            })
            .collect();
        Self {
            dice,
            now: 1 << 30,
            calm: false,
            steps: 0,
            agents,
            flights: Vec::with_capacity(16),
            kv: None,
            index: 10,
            consul: (true, 3),
            nomad: (true, 3),
            targets: true,
            job: None,
            forbidden: false,
            unnoticed: false,
            effective: [0; 3],
            lost: 0,
            resubmit,
            clocks_jump,
            narrow,
            gate: closed.then(gate::Gate::default),
            log: None,
        }
    }

    /// The same schedule again, as text.
    pub(super) fn trace(mut self) -> String {
        self.log = Some(String::new());
        let verdict = self.run_to_end(&mut Coverage::default());
        format!("{}{verdict:?}", self.log.unwrap_or_default())
    }

    pub(super) fn run(mut self, seen: &mut Coverage) -> Result<(), Verdict> {
        self.run_to_end(seen)
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push_str(&format!("{:>9.3} {}\n", self.now as f64 / 1000.0, text()));
        }
    }

    fn run_to_end(&mut self, seen: &mut Coverage) -> Result<(), Verdict> {
        if self.agents.len() == 5 {
            seen.add("five agents");
        }
        for agent in 0..self.agents.len() {
            if self.dice.below(8) != 0 {
                self.start(agent);
            }
        }
        if !self.narrow && self.dice.below(3) == 0 {
            self.consul = (self.dice.below(2) == 0, 2);
        }
        if !self.narrow && self.dice.below(3) == 0 {
            self.nomad = (self.dice.below(2) == 0, 2);
        }
        for _ in 0..if self.narrow { 12 } else { 2 + self.dice.below(7) } {
            let until = match self.narrow {
                true => self.now + 500 + self.dice.below(2_000),
                false => self.now + [50, 1_000, 3_000, 10_000, 40_000][self.dice.below(5) as usize],
            };
            self.play(until, seen)?;
            match self.dice.below(4) {
                0..2 if self.narrow => self.purge(),
                2 if self.narrow => {}
                _ => self.surprise(seen),
            }
        }
        // Most of what there is to find is found by then; the way to rest is long.
        if self.dice.below(3) != 0 {
            return Ok(());
        }
        self.rest(seen)
    }

    /// Calm: everything runs and nothing is lost. Every agent comes to rest.
    fn rest(&mut self, seen: &mut Coverage) -> Result<(), Verdict> {
        self.note(|| "calm".to_owned());
        self.calm = true;
        self.consul = (true, 3);
        self.nomad = (true, 3);
        self.targets = true;
        for agent in 0..self.agents.len() {
            if self.agents[agent].state.is_none() {
                self.start(agent);
            }
        }
        let until = self.now + REST_WITHIN;
        while self.now < until {
            self.play((self.now + 10_000).min(until), seen)?;
            if self.at_rest() {
                return Ok(());
            }
        }
        let states: Vec<String> = self.agents.iter().filter_map(|agent| agent.state.as_ref()).map(describe).collect();
        Err(broken("forward", format!("the world has been calm for ten minutes, and: {}", states.join("; "))))
    }

    fn at_rest(&self) -> bool {
        if !self.gate_is_shut() {
            return false;
        }
        let job = self.job.as_ref().is_some_and(|job| !job.stopped);
        let gone = self.forbidden || self.unnoticed;
        let foreign = matches!(self.kv, Some((_, Memory::Foreign(_))));
        if job && matches!(&self.kv, Some((_, Memory::Known(_, marker))) if marker.phase == Phase::Submitting) {
            return false;
        }
        self.agents.iter().filter_map(|agent| agent.state.as_ref()).all(|state| match (&state.waiting, job) {
            (None, true) => state.rung == Rung::Closed,
            (Some(Unmet::Stopped | Unmet::Lost), false) => gone && state.rung < Rung::JobSubmitted,
            (Some(Unmet::Foreign(_)), false) => foreign,
            // Agents without Nomad see only that there is no Prometheus.
            (Some(Unmet::Prometheus(_)), false) => gone || foreign,
            _ => false,
        })
    }

    fn start(&mut self, number: usize) {
        let seed = self.dice.below(u64::MAX);
        let now = self.clock(number);
        let agent = &mut self.agents[number];
        agent.settings.holds = agent.holds;
        agent.state = Some(State::new(seed, now));
        agent.incarnation += 1;
        agent.wake = self.now;
        agent.window = self.now;
        agent.asks = 0;
        self.note(|| format!("n{number} starts"));
    }

    fn clock(&mut self, number: usize) -> Now {
        let boot = self.now.saturating_add_signed(self.agents[number].clock);
        Now { boot, wall: if self.clocks_jump { self.dice.below(1 << 40) } else { self.now / 1000 } }
    }

    /// Lets the world run until this time.
    fn play(&mut self, until: Millis, seen: &mut Coverage) -> Result<(), Verdict> {
        loop {
            let flight = self.flights.iter().enumerate().min_by_key(|(_, flight)| flight.at);
            let flight = flight.map(|(position, flight)| (flight.at, position));
            let running = self.agents.iter().enumerate().filter(|(_, agent)| agent.state.is_some());
            let wake = running.map(|(number, agent)| (agent.wake, number)).min();
            let (at, is_flight, which) = match (flight, wake) {
                (Some((at, position)), Some((wake, _))) if at <= wake => (at, true, position),
                (_, Some((wake, number))) => (wake, false, number),
                (Some((at, position)), None) => (at, true, position),
                (None, None) => (u64::MAX, false, 0),
            };
            if at > until {
                self.now = until;
                return Ok(());
            }
            self.now = self.now.max(at);
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(broken("idle", format!("{STEPS_MAX} steps in {} s", self.now / 1000)));
            }
            if is_flight {
                let flight = self.flights.swap_remove(which);
                self.land(flight, seen)?;
            } else {
                self.event(which, Event::Tick, seen)?;
            }
        }
    }

    fn land(&mut self, flight: Flight, seen: &mut Coverage) -> Result<(), Verdict> {
        let Flight { agent, incarnation, number, travel, .. } = flight;
        match travel {
            Travel::Request(question, version) => {
                let reply = self.serve(agent, &question, version, seen)?;
                if self.calm {
                    self.fly(1, agent, incarnation, (number, Travel::Reply(reply)));
                    return Ok(());
                }
                match self.dice.below(16) {
                    0 | 1 if self.narrow => {
                        let delay = self.dice.below(pace::CLAIM_FRESH);
                        self.fly(delay, agent, incarnation, (number, Travel::Reply(reply)));
                    }
                    0 => {}
                    1 => {
                        for _ in 0..2 {
                            let delay = self.dice.below(20_000);
                            self.fly(delay, agent, incarnation, (number, Travel::Reply(reply.clone())));
                        }
                    }
                    2 => {
                        let delay = self.dice.below(90_000);
                        self.fly(delay, agent, incarnation, (number, Travel::Reply(reply)));
                    }
                    3 => self.fly(5, agent, incarnation, (number, Travel::Reply(Reply::Failed(String::new())))),
                    _ => {
                        let delay = 1 + self.dice.below(1_500);
                        self.fly(delay, agent, incarnation, (number, Travel::Reply(reply)));
                    }
                }
                Ok(())
            }
            Travel::Reply(reply) if self.agents[agent].incarnation == incarnation => {
                self.event(agent, Event::Reply(number, reply), seen)
            }
            Travel::Reply(_) => Ok(()),
        }
    }

    fn fly(&mut self, delay: Millis, agent: usize, incarnation: u32, what: (u64, Travel)) {
        let (number, travel) = what;
        self.flights.push(Flight { at: self.now + delay, agent, incarnation, number, travel });
    }

    fn event(&mut self, number: usize, event: Event, seen: &mut Coverage) -> Result<(), Verdict> {
        let now = self.clock(number);
        let Some(state) = self.agents[number].state.take() else { return Ok(()) };
        let (state, actions) = step(&self.agents[number].settings, state, event, now);
        let published = actions.contains(&Action::Publish);
        for action in actions {
            match action {
                Action::Ask(id, question) => self.ask(number, id, question)?,
                Action::Wake(at) => {
                    let delay = at.saturating_sub(now.boot);
                    let longest = if published { pace::LONGEST + pace::LONGEST / 4 } else { pace::DEADLINE };
                    if delay > longest {
                        return Err(broken("bounded", format!("n{number} sleeps for {delay} ms")));
                    }
                    self.agents[number].wake = self.now + delay;
                }
                Action::Say(said) => self.said(number, &said, seen),
                Action::Publish => visit(&state, seen),
            }
        }
        self.agents[number].state = Some(state);
        Ok(())
    }

    fn ask(&mut self, number: usize, id: u64, question: Question) -> Result<(), Verdict> {
        self.note(|| format!("n{number} asks {id} {question:?}"));
        let now = self.now;
        let agent = &mut self.agents[number];
        if now >= agent.window + 60_000 {
            agent.window = now;
            agent.asks = 0;
        }
        agent.asks += 1;
        if agent.asks > ASKS_MAX {
            return Err(broken("idle", format!("n{number} asked {ASKS_MAX} questions within a minute")));
        }
        let incarnation = agent.incarnation;
        let delay = match self.dice.below(16) {
            _ if self.calm => 1,
            // What writes is what is slow.
            0..4 if self.narrow && matches!(question, Question::Register(_)) => self.dice.below(ARRIVES_WITHIN),
            _ if self.narrow => self.dice.below(300),
            0 => return Ok(()),
            1 => self.dice.below(ARRIVES_WITHIN),
            _ => self.dice.below(300),
        };
        let version = self.agents[number].version;
        self.fly(delay, number, incarnation, (id, Travel::Request(question, version)));
        Ok(())
    }

    fn said(&mut self, number: usize, said: &Said, seen: &mut Coverage) {
        self.note(|| format!("n{number} says {said:?}"));
        if matches!(said, Said::Fell(_)) {
            seen.add("fell");
        }
    }

    /// The programs answer.
    fn serve(
        &mut self,
        agent: usize,
        question: &Question,
        version: usize,
        seen: &mut Coverage,
    ) -> Result<Reply, Verdict> {
        let quorum = |(leader, peers): (bool, u32)| Quorum { leader, peers, alive: Some(peers), ..Quorum::default() };
        let refused = || Reply::Failed(String::new());
        if let Some(reply) = self.keep_out(agent, question) {
            return Ok(reply);
        }
        let reply = match question {
            Question::Setup
            | Question::WriteSetup(..)
            | Question::SetUpConsul
            | Question::SetUpNomad
            | Question::Finish => self.set_up(agent, question, seen)?,
            Question::Consul => Reply::Quorum(quorum(self.consul)),
            Question::Nomad => Reply::Quorum(quorum(self.nomad)),
            Question::Memory | Question::Write(..) if !self.consul.0 => refused(),
            Question::Parse | Question::Job | Question::Register(_) | Question::Health if !self.nomad.0 => refused(),
            Question::Memory => Reply::Memory(match &self.kv {
                None => Memory::Blank,
                Some((_, memory)) => memory.clone(),
            }),
            Question::Write(cas, marker) => self.write(*cas, marker, seen),
            Question::Parse => Reply::Parsed(intent(version)),
            Question::Job => Reply::Job(self.job.as_ref().map(|job| Job {
                index: job.index,
                version: job.version,
                stopped: job.stopped,
                hah_job: job.hah_job.clone(),
            })),
            Question::Register(enforced) => self.register((agent, version), *enforced, seen)?,
            Question::Health => match &self.job {
                Some(job) if self.now >= job.healthy_at => Reply::Health(Health::Good(None)),
                _ => Reply::Health(Health::Waits(String::new())),
            },
            Question::Prometheus => match &self.job {
                Some(job) if self.now >= job.healthy_at && !job.stopped => {
                    let waits = (!self.targets).then(String::new);
                    Reply::Prometheus(Monitoring::Up(Box::new(Targets { waits, up: 1, ..Targets::default() })))
                }
                _ => Reply::Prometheus(Monitoring::Down(String::new(), None)),
            },
            Question::Vault => Reply::Vault(String::new(), true),
        };
        self.note(|| format!("n{agent}: {question:?} is answered {reply:?}"));
        Ok(reply)
    }

    fn write(&mut self, cas: u64, marker: &Marker, seen: &mut Coverage) -> Reply {
        let current = self.kv.as_ref().map_or(0, |(index, _)| *index);
        if cas != current {
            if marker.phase == Phase::Submitting {
                seen.add("claim lost");
            }
            return Reply::Written(false);
        }
        if let Some((_, Memory::Known(_, before))) = &self.kv
            && before.phase == Phase::Submitting
            && marker.phase == Phase::Submitting
            && before.by != marker.by
        {
            seen.add("taken over");
        }
        self.index += 1;
        self.kv = Some((self.index, Memory::Known(self.index, Box::new(marker.clone()))));
        Reply::Written(true)
    }

    fn register(&mut self, sender: (usize, usize), enforced: u64, seen: &mut Coverage) -> Result<Reply, Verdict> {
        let (agent, which) = sender;
        let current = self.job.as_ref().map_or(0, |job| job.index);
        if enforced != u64::MAX && enforced != current {
            seen.add("conflict");
            return Ok(Reply::Registered(Registered::Conflict));
        }
        self.index += 1;
        let version = match &self.job {
            Some(job) => {
                seen.add("updated");
                job.version + 1
            }
            None => 0,
        };
        let gone = self.forbidden || self.job.as_ref().is_some_and(|job| job.stopped);
        self.job = Some(SimJob {
            index: self.index,
            version,
            stopped: false,
            hah_job: VERSIONS[which].to_owned(),
            healthy_at: self.now + self.dice.below(20_000),
        });
        self.effective[which] += 1;
        self.note(|| format!("n{agent} has submitted {}", VERSIONS[which]));
        if gone {
            return Err(broken("stopped", format!("n{agent} brought back what the person had stopped")));
        }
        if self.effective[which] > 1 {
            seen.add("resubmitted");
        }
        if self.effective[which] > 1 + self.lost {
            let times = self.effective[which];
            return Err(broken("once", format!("version {} was submitted {times} times", VERSIONS[which])));
        }
        Ok(Reply::Registered(Registered::Accepted))
    }
}

fn describe(state: &State) -> String {
    format!("{} ({:?})", state.rung, state.waiting)
}
