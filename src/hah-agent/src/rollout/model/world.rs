//! The simulated world, and one schedule of it.

mod card;
mod programs;
mod surprises;

use hah_node::generation::Digest;
use hah_node::rollout::{Bad, Lock, Phase, Stage, Wish};

use crate::rollout::machine::{Action, Effect, Event, Mutation, Now, Question, Reply, Settings, State, step};
use crate::rollout::pace::{self, Jitter, Millis};
use crate::rollout::view::Placing;
use crate::schedules::{Coverage, Verdict, broken};
use card::{Card, Power};

/// A request that is not lost arrives within this time.
pub(super) const ARRIVES_WITHIN: Millis = 25_000;
/// Questions of one agent in one minute.
pub(super) const ASKS_MAX: u32 = 200;
/// How long a calm world may take to come to rest: for each of five nodes a turn that passes and a trial that fails.
const REST_WITHIN: Millis = 5 * (pace::TURN + pace::GATE + 300_000);
/// Steps of a schedule: far more than any takes that sleeps at all.
const STEPS_MAX: u32 = 200_000;

/// What schedules have to visit, so that the invariants say something.
pub(super) const VISITED: [&str; 25] = [
    "an agent is mute",
    "kept",
    "went back at the gate",
    "ended in stage 1",
    "hung",
    "published",
    "power cut while rebooting",
    "power cut on trial",
    "power cut in the boot pointer",
    "agent killed with the lock",
    "holder died for ever",
    "lock broken",
    "called off",
    "stopped while preparing",
    "no quorum",
    "answer of a lock lost",
    "lock raced",
    "restaged",
    "pardoned",
    "turn: canary",
    "turn: client",
    "turn: follower",
    "turn: leader",
    "turn passed over",
    "with an outage",
];

/// What a generation is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Good,
    DiesInStage1,
    Hangs,
    NoNetwork,
    NoConsul,
    BrokenNomad,
    FailedUnit,
}

const KINDS: [Kind; 7] =
    [Kind::Good, Kind::DiesInStage1, Kind::Hangs, Kind::NoNetwork, Kind::NoConsul, Kind::BrokenNomad, Kind::FailedUnit];

/// Generations of a schedule: what was flashed, and two more.
const GENERATIONS: usize = 3;

pub(super) fn digest(generation: usize) -> Digest {
    Digest([generation as u8; 32])
}

pub(super) fn number(digest: Digest) -> usize {
    usize::from(digest.0[0])
}

pub(super) struct Node {
    settings: Settings,
    server: bool,
    card: Card,
    power: Power,
    /// Nothing while it is not running.
    agent: Option<State>,
    /// Replies to earlier processes are dropped.
    incarnation: u32,
    wake: Millis,
    booted: Millis,
    /// From then on what the generation starts is there, as far as it works.
    serves: Millis,
    /// Until then its network is cut.
    cut: Millis,
    /// Since when Consul does not see it; [`Millis::MAX`] while it does.
    missing: Millis,
    /// Whether it is down, or on trial, because its agent wanted that.
    on_purpose: bool,
    /// It will never come back.
    dead: bool,
    /// Its agent does not start any more; Consul does not notice.
    mute: bool,
    placing: Placing,
    drained: Millis,
    maintenance: bool,
    /// Trials of each generation.
    tries: [u32; GENERATIONS],
    /// Seconds that its wall clock is off.
    skew: i64,
    window: Millis,
    asks: u32,
}

enum Travel {
    Request(Question),
    Reply(Reply),
}

struct Flight {
    at: Millis,
    node: usize,
    incarnation: u32,
    number: u64,
    travel: Travel,
}

/// One run of the world.
pub(super) struct Schedule {
    pub(super) dice: Jitter,
    pub(super) now: Millis,
    pub(super) calm: bool,
    steps: u32,
    pub(super) nodes: Vec<Node>,
    flights: Vec<Flight>,
    index: u64,
    lock: Option<(u64, Lock)>,
    stop: Option<Millis>,
    bad: Vec<(Digest, Bad)>,
    wishes: Vec<(usize, Wish)>,
    leader: usize,
    /// Until then nobody leads.
    election: Millis,
    /// Whether Prometheus sees everything.
    seen: bool,
    pub(super) kinds: [Kind; GENERATIONS],
    /// How often a person has said that a generation may be tried again.
    pardons: [u32; GENERATIONS],
    /// Who tried it since.
    tried_by: [Vec<usize>; GENERATIONS],
    /// Reboots are quicker, and people are told more, in the simulation of a large cluster.
    pub(super) most_down: usize,
    /// Whether the agent that asks now is killed at once.
    kills_asker: bool,
    log: Option<String>,
}

const NAMES: [&str; 5] = ["n0", "n1", "n2", "n3", "n4"];

impl Schedule {
    pub(super) fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let mut dice = Jitter(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let servers = [1, 3, 3, 3, 3, 5][dice.below(6) as usize];
        let count = servers.max([2, 3, 4, 4, 5][dice.below(5) as usize]);
        let mut kind = || if dice.below(2) == 0 { Kind::Good } else { KINDS[dice.below(7) as usize] };
        let kinds = [Kind::Good, kind(), kind()];
        let names = NAMES.iter().map(|name| (*name).to_owned()).take(count).collect();
        let mut schedule = Self::with(dice, names, servers, kinds);
        for node in 0..count {
            schedule.nodes[node].settings.mutation = mutation;
            if schedule.dice.below(8) != 0 {
                schedule.stage(node, 1);
            }
        }
        if schedule.dice.below(4) == 0 {
            let canary = schedule.dice.below(count as u64) as usize;
            if let Some(staged) = &mut schedule.nodes[canary].card.staged {
                staged.canary = true;
            }
        }
        schedule
    }

    /// A cluster of these nodes, the first ones servers, with nothing staged.
    pub(super) fn with(dice: Jitter, names: Vec<String>, servers: usize, kinds: [Kind; GENERATIONS]) -> Self {
        let mut schedule = Self {
            dice,
            now: 1 << 30,
            calm: false,
            steps: 0,
            nodes: Vec::with_capacity(names.len()),
            flights: Vec::with_capacity(16),
            index: 10,
            lock: None,
            stop: None,
            bad: Vec::new(),
            wishes: Vec::new(),
            leader: 0,
            election: 0,
            seen: true,
            kinds,
            pardons: [0; GENERATIONS],
            tried_by: [const { Vec::new() }; GENERATIONS],
            most_down: 0,
            kills_asker: false,
            log: None,
        };
        for (number, name) in names.into_iter().enumerate() {
            let expected = servers as u32;
            schedule.nodes.push(Node {
                settings: Settings { node: name, consul: expected, nomad: Some(expected), mutation: None },
                server: number < servers,
                card: Card::flashed(),
                power: Power::On,
                agent: None,
                incarnation: 0,
                wake: 0,
                booted: schedule.now - 100_000,
                serves: 0,
                cut: 0,
                missing: Millis::MAX,
                on_purpose: false,
                dead: false,
                mute: false,
                placing: Placing::Eligible,
                drained: 0,
                maintenance: false,
                tries: [0; GENERATIONS],
                skew: 0,
                window: 0,
                asks: 0,
            });
        }
        for node in 0..schedule.nodes.len() {
            schedule.start_agent(node);
        }
        schedule
    }

    /// The same schedule again, as text.
    pub(super) fn trace(mut self) -> String {
        self.log = Some(String::new());
        let verdict = self.run_to_end(&mut Coverage::default());
        format!("{:?}\n{}{verdict:?}", self.kinds, self.log.unwrap_or_default())
    }

    pub(super) fn run(mut self, seen: &mut Coverage) -> Result<(), Verdict> {
        self.run_to_end(seen)
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push_str(&format!("{:>9.3} {}\n", (self.now - (1 << 30)) as f64 / 1000.0, text()));
        }
    }

    fn run_to_end(&mut self, seen: &mut Coverage) -> Result<(), Verdict> {
        for _ in 0..3 + self.dice.below(12) {
            let until = self.now + [500, 3_000, 10_000, 30_000, 90_000, 300_000][self.dice.below(6) as usize];
            self.play(until, seen)?;
            self.surprise(seen);
        }
        // Most of what there is to find is found by then; the way to rest is long.
        if self.dice.below(3) != 0 {
            return Ok(());
        }
        self.rest(seen)
    }

    /// Calm: nothing fails but bad generations, and a person clears up. Every node comes to rest.
    fn rest(&mut self, seen: &mut Coverage) -> Result<(), Verdict> {
        self.begin_calm();
        let until = self.now + REST_WITHIN;
        let mut quiet = 0;
        while self.now < until {
            self.play((self.now + 60_000).min(until), seen)?;
            self.clear_up(seen);
            // What was still on its way has arrived, and has changed nothing.
            quiet = if self.unrest().is_none() { quiet + 1 } else { 0 };
            if quiet > 1 {
                return Ok(());
            }
        }
        let (invariant, why) = self.unrest().unwrap_or(("forward", String::new()));
        let states: Vec<String> = self
            .nodes
            .iter()
            .map(|node| match &node.agent {
                Some(state) => format!("{} {} ({:?})", node.settings.node, state.stage, state.waiting),
                None => format!("{} has no agent", node.settings.node),
            })
            .collect();
        Err(broken(invariant, format!("calm for {} s, and {why}: {}", REST_WITHIN / 1000, states.join("; "))))
    }

    /// Starts a node's agent, or starts it again.
    pub(super) fn start_agent(&mut self, number: usize) {
        let seed = self.dice.below(u64::MAX);
        let now = self.clock(number);
        let at = self.now;
        let node = &mut self.nodes[number];
        node.agent = (!node.mute).then(|| State::new(seed, now));
        node.incarnation += 1;
        node.wake = at;
        node.window = at;
        node.asks = 0;
    }

    pub(super) fn kill_agent(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        node.agent = None;
        node.incarnation += 1;
    }

    fn clock(&self, number: usize) -> Now {
        let node = &self.nodes[number];
        Now { boot: self.now - node.booted, wall: (1_796_000_000 + self.now / 1000).saturating_add_signed(node.skew) }
    }

    /// Lets the world run until this time.
    pub(super) fn play(&mut self, until: Millis, seen: &mut Coverage) -> Result<(), Verdict> {
        loop {
            let flight = self.flights.iter().enumerate().min_by_key(|(_, flight)| flight.at);
            let flight = flight.map_or((Millis::MAX, 0), |(position, flight)| (flight.at, position));
            let nodes = self.nodes.iter().enumerate();
            let wake = nodes.clone().filter(|(_, node)| node.agent.is_some()).map(|(number, node)| (node.wake, number));
            let wake = wake.min().unwrap_or((Millis::MAX, 0));
            let power = nodes.filter_map(|(number, node)| Some((node.power.changes()?, number)));
            let power = power.min().unwrap_or((Millis::MAX, 0));
            let at = flight.0.min(wake.0).min(power.0);
            if at > until {
                self.now = until;
                return Ok(());
            }
            self.now = self.now.max(at);
            self.steps += 1;
            if self.steps > STEPS_MAX && self.nodes.len() <= NAMES.len() {
                return Err(broken("idle", format!("{STEPS_MAX} steps in {} s", (self.now - (1 << 30)) / 1000)));
            }
            if power.0 == at {
                self.power(power.1, seen);
            } else if flight.0 == at {
                let flight = self.flights.swap_remove(flight.1);
                self.land(flight, seen)?;
            } else {
                self.event(wake.1, Event::Tick, seen)?;
            }
            self.count_missing();
        }
    }

    fn land(&mut self, flight: Flight, seen: &mut Coverage) -> Result<(), Verdict> {
        let Flight { node, incarnation, number, travel, .. } = flight;
        match travel {
            Travel::Request(question) => {
                // A node answers itself, and only as long as it runs.
                let local = is_local(&question);
                if local && self.nodes[node].incarnation != incarnation {
                    return Ok(());
                }
                let reply = self.serve(node, &question, seen)?;
                if self.calm || local {
                    self.fly(1, node, incarnation, (number, Travel::Reply(reply)));
                    return Ok(());
                }
                match self.dice.below(20) {
                    0 => {
                        if matches!(question, Question::Do(Effect::Lock(_))) && reply == Reply::Written(true) {
                            seen.add("answer of a lock lost");
                        }
                    }
                    1 => {
                        for _ in 0..2 {
                            let delay = self.dice.below(20_000);
                            self.fly(delay, node, incarnation, (number, Travel::Reply(reply.clone())));
                        }
                    }
                    2 => {
                        let delay = self.dice.below(90_000);
                        self.fly(delay, node, incarnation, (number, Travel::Reply(reply)));
                    }
                    3 => self.fly(5, node, incarnation, (number, Travel::Reply(Reply::Failed(String::new())))),
                    _ => {
                        let delay = 1 + self.dice.below(1_500);
                        self.fly(delay, node, incarnation, (number, Travel::Reply(reply)));
                    }
                }
                Ok(())
            }
            Travel::Reply(reply) if self.nodes[node].incarnation == incarnation => {
                self.event(node, Event::Reply(number, reply), seen)
            }
            Travel::Reply(_) => Ok(()),
        }
    }

    fn fly(&mut self, delay: Millis, node: usize, incarnation: u32, what: (u64, Travel)) {
        let (number, travel) = what;
        self.flights.push(Flight { at: self.now + delay, node, incarnation, number, travel });
    }

    fn event(&mut self, number: usize, event: Event, seen: &mut Coverage) -> Result<(), Verdict> {
        let now = self.clock(number);
        let Some(state) = self.nodes[number].agent.take() else { return Ok(()) };
        let before = state.stage;
        let (state, actions) = step(&self.nodes[number].settings, state, event, now);
        if before == Stage::Preparing && state.stage == Stage::Undoing {
            seen.add("called off");
            if self.stop.is_some() {
                seen.add("stopped while preparing");
            }
        }
        for action in actions {
            match action {
                Action::Ask(id, question) => self.ask(number, id, question)?,
                Action::Wake(at) => self.nodes[number].wake = self.now + at.saturating_sub(now.boot),
                Action::Say(said) => self.note(|| format!("n{number} says {said:?}")),
                Action::Publish => {}
            }
        }
        self.nodes[number].agent = Some(state);
        if std::mem::take(&mut self.kills_asker) {
            self.note(|| format!("n{number}'s agent is killed, its request crawls, and somebody stops the rollout"));
            self.start_agent(number);
            self.index += 1;
            self.stop.get_or_insert(self.now);
        }
        Ok(())
    }

    fn ask(&mut self, number: usize, id: u64, question: Question) -> Result<(), Verdict> {
        if !matches!(question, Question::Local | Question::Board | Question::Cluster) {
            self.note(|| format!("n{number} asks {question:?}"));
        }
        let now = self.now;
        let node = &mut self.nodes[number];
        if now >= node.window + 60_000 {
            node.window = now;
            node.asks = 0;
        }
        node.asks += 1;
        if node.asks > ASKS_MAX {
            return Err(broken("idle", format!("n{number} asked {ASKS_MAX} questions within a minute")));
        }
        let incarnation = node.incarnation;
        let delay = match self.dice.below(20) {
            _ if is_local(&question) => 1,
            _ if self.calm => 1,
            0 => return Ok(()),
            1 => self.dice.below(ARRIVES_WITHIN),
            2 if matches!(question, Question::Do(Effect::Drain | Effect::MaintenanceOn)) => {
                self.kills_asker = true;
                ARRIVES_WITHIN - self.dice.below(5_000)
            }
            _ => self.dice.below(300),
        };
        self.fly(delay, number, incarnation, (id, Travel::Request(question)));
        Ok(())
    }

    /// Whether nobody holds the lock who could still be at it.
    fn lock_is_idle(&self) -> bool {
        self.lock
            .as_ref()
            .is_none_or(|(_, lock)| self.nodes.iter().all(|node| node.dead || node.settings.node != lock.node))
    }

    /// What is not as it should be in the end, if anything.
    fn unrest(&self) -> Option<(&'static str, String)> {
        if let Some((_, lock)) = &self.lock {
            let phase = if lock.phase == Phase::Trial { "tries" } else { "prepares" };
            return Some(("forward", format!("{} {phase}", lock.node)));
        }
        for (number, node) in self.nodes.iter().enumerate().filter(|(_, node)| !node.dead && !node.mute) {
            let name = &node.settings.node;
            if node.power != Power::On || node.card.on_trial || node.card.armed.is_some() {
                return Some(("forward", format!("{name} is not settled")));
            }
            if node.placing != Placing::Eligible || node.maintenance {
                return Some(("undone", format!("{name} is not used")));
            }
            if node.card.errand.is_some() {
                return Some(("undone", format!("{name} has not ended its errand")));
            }
            let Some(staged) = node.card.staged else { continue };
            let generation = crate::rollout::model::world::number(staged.generation);
            let spared = !node.server || self.servers() >= 3 || staged.accept_outage;
            if self.kinds[generation] == Kind::Good && spared {
                return Some(("forward", format!("{name} does not run what is good")));
            }
            if self.wishes.iter().any(|(wisher, _)| *wisher == number) && self.kinds[generation] != Kind::Good {
                let known = self.bad.iter().any(|(bad, _)| *bad == staged.generation);
                if known {
                    return Some(("forward", format!("{name} still wants what is bad")));
                }
            }
        }
        None
    }

    /// How many servers and clients do not run yet what they want.
    pub(super) fn remaining(&self) -> (usize, usize) {
        let left = |server: bool| {
            let nodes = self.nodes.iter().filter(|node| node.server == server);
            nodes.filter(|node| node.card.running == digest(0) || node.card.on_trial).count()
        };
        (left(true), left(false))
    }

    pub(super) fn servers(&self) -> usize {
        self.nodes.iter().filter(|node| node.server).count()
    }
}

/// What a node does by itself.
fn is_local(question: &Question) -> bool {
    match question {
        Question::Local => true,
        Question::Board | Question::Cluster => false,
        Question::Do(effect) => matches!(
            effect,
            Effect::Begin(_)
                | Effect::End
                | Effect::Try(_)
                | Effect::Commit(_)
                | Effect::RollBack(..)
                | Effect::Condemn(..)
        ),
    }
}
