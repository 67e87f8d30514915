//! The rollout as a pure state machine: `(State, Event, now) → (State, Vec<Action>)`.
//!
//! One question is out at a time. A *pass* reads the node's own state, Consul's KV and, where it matters, the cluster;
//! [`decide`] says what follows. When that is something to do, it is done and the next pass begins at once; else the
//! machine sleeps. Nothing here reads a clock, and a reply is known by its question's number.

mod messages;
mod mutation;

use hah_node::generation::Digest;
use hah_node::rollout::{Lock, Stage};

use super::decide::{Decision, Facts, Memory, decide};
use super::pace::{self, Jitter, Millis};
use super::view::{Board, Cluster, Holder, Local};
use super::words::Unmet;
pub(crate) use crate::closing::machine::Now;
pub(crate) use messages::{Action, Effect, Event, Question, Reply, Said};
#[cfg(test)]
pub(crate) use mutation::Mutation;

/// What does not change while the agent runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// This node's name.
    pub(crate) node: String,
    /// How many Consul servers there should be.
    pub(crate) consul: u32,
    /// How many Nomad servers, on a node that has Nomad.
    pub(crate) nomad: Option<u32>,
    /// What the model test breaks, to see that it would notice.
    #[cfg(test)]
    pub(crate) mutation: Option<Mutation>,
}

/// All that the machine knows. It is lost when the agent ends, and nothing that matters is lost with it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// What the node is at.
    pub(crate) stage: Stage,
    /// What it waits for.
    pub(crate) waiting: Option<Unmet>,
    /// What runs.
    pub(crate) running: Option<Digest>,
    /// What is to run.
    pub(crate) wanted: Option<Digest>,
    /// What did not last here.
    pub(crate) went_back: Vec<Digest>,
    /// Who has the lock, as the last pass saw it.
    pub(crate) lock: Option<Lock>,
    /// Why nobody starts, as the last pass saw it.
    pub(crate) stop: Option<String>,
    /// What failed last.
    pub(crate) failure: Option<String>,
    memory: Memory,
    doing: Doing,
    next: u64,
    /// The latest time. It does not run backwards here.
    clock: Millis,
    jitter: Jitter,
    failures: u32,
    rounds: u32,
    pass: Pass,
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
#[derive(Clone, Debug)]
enum Step {
    Local,
    Board,
    Cluster,
    Do(Effect),
}

/// What the running pass has read.
#[derive(Clone, Debug, Default)]
struct Pass {
    began: Millis,
    local: Option<Box<Local>>,
    board: Option<Result<Box<Board>, String>>,
    cluster: Option<Result<Box<Cluster>, String>>,
}

impl State {
    /// An agent that has just started.
    pub(crate) fn new(seed: u64, now: Now) -> Self {
        let mut jitter = Jitter(seed);
        let start = now.boot.saturating_add(jitter.below(2_000));
        Self {
            stage: Stage::Idle,
            waiting: Some(Unmet::Starting),
            running: None,
            wanted: None,
            went_back: Vec::new(),
            lock: None,
            stop: None,
            failure: None,
            memory: Memory::new(now.boot),
            doing: Doing::Sleeping(start),
            next: 0,
            clock: now.boot,
            jitter,
            failures: 0,
            rounds: 0,
            pass: Pass::default(),
            said: None,
        }
    }
}

/// The machine.
pub(crate) fn step(settings: &Settings, state: State, event: Event, now: Now) -> (State, Vec<Action>) {
    let mut state = state;
    state.clock = state.clock.max(now.boot);
    let now = Now { boot: state.clock, ..now };
    let mut run = Run { settings, state, now, actions: Vec::new() };
    match (event, run.state.doing.clone()) {
        (Event::Tick, Doing::Sleeping(until)) if now.boot >= until => {
            run.state.rounds = 0;
            run.begin();
        }
        (Event::Tick, Doing::Asking { asked, step, .. }) if now.boot >= asked.saturating_add(pace::DEADLINE) => {
            run.answer(step, Reply::Failed("no answer at all".to_owned()));
        }
        (Event::Reply(number, reply), Doing::Asking { number: awaited, step, .. }) if number == awaited => {
            run.answer(step, reply);
        }
        // A tick too early, or the answer to a question that was given up or answered.
        _ => {}
    }
    let wake = match run.state.doing {
        Doing::Sleeping(until) => until,
        Doing::Asking { asked, .. } => asked.saturating_add(pace::DEADLINE),
    };
    run.actions.push(Action::Wake(wake));
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
        self.state.pass = Pass { began: self.now.boot, ..Pass::default() };
        self.ask(Step::Local, Question::Local);
    }

    fn ask(&mut self, step: Step, question: Question) {
        let number = self.state.next;
        self.state.next = number.wrapping_add(1);
        self.state.doing = Doing::Asking { number, asked: self.now.boot, step };
        self.actions.push(Action::Ask(number, question));
    }

    fn answer(&mut self, step: Step, reply: Reply) {
        match (step, reply) {
            (Step::Local, Reply::Local(local)) => {
                self.state.running = local.running;
                self.state.wanted = local.wanted().map(|staged| staged.generation);
                self.state.went_back =
                    local.ended.iter().filter(|ended| ended.reason.is_some()).map(|ended| ended.generation).collect();
                self.state.pass.local = Some(local);
                self.ask(Step::Board, Question::Board);
            }
            (Step::Local, Reply::Failed(why)) => self.fail(Unmet::Local(why)),
            (Step::Board, Reply::Board(board)) => {
                self.state.stop = board.stop.clone();
                self.state.lock = match &board.lock {
                    Holder::Node(_, lock) => Some(lock.clone()),
                    Holder::Nobody | Holder::Foreign(_) => None,
                };
                self.state.pass.board = Some(Ok(board));
                self.conclude();
            }
            (Step::Board, Reply::Failed(why)) => {
                self.state.pass.board = Some(Err(why));
                self.conclude();
            }
            (Step::Cluster, Reply::Cluster(cluster)) => {
                self.state.pass.cluster = Some(Ok(cluster));
                self.conclude();
            }
            (Step::Cluster, Reply::Failed(why)) => {
                self.state.pass.cluster = Some(Err(why));
                self.conclude();
            }
            (Step::Do(effect), reply) => self.done(effect, reply),
            // An answer to another question than the one that was asked would be the driver's mistake.
            (Step::Local | Step::Board | Step::Cluster, _) => {
                self.fail(Unmet::Local("an answer to another question".to_owned()));
            }
        }
    }

    fn conclude(&mut self) {
        let pass = std::mem::take(&mut self.state.pass);
        let Some(local) = &pass.local else { return self.begin() };
        let board = match &pass.board {
            Some(Ok(board)) => Ok(&**board),
            Some(Err(why)) => Err(why.as_str()),
            None => Err("there is none"),
        };
        let cluster = pass.cluster.as_ref().map(|cluster| cluster.as_deref().map_err(String::as_str));
        let facts = Facts { settings: self.settings, local, board, cluster, now: self.now };
        let before = self.state.memory.clone();
        let decision = decide(&facts, &mut self.state.memory);
        match decision {
            Decision::Look => {
                // It was no decision: the next one, with more to go by, is the pass's.
                self.state.memory = before;
                self.state.pass = pass;
                self.ask(Step::Cluster, Question::Cluster);
            }
            Decision::Rest => self.rest(Stage::Idle, None),
            Decision::Wait(stage, unmet) => self.rest(stage, Some(unmet)),
            Decision::Do(stage, effect) => {
                let binds = matches!(effect, Effect::Try(_) | Effect::Advance(..) | Effect::Lock(_) | Effect::Drain);
                let old = self.now.boot > pass.began.saturating_add(pace::FRESH);
                if binds && old && !self.settings.breaks_stale() {
                    self.state.memory = before;
                    return self.rest(stage, Some(Unmet::Cluster("the answers took too long".to_owned())));
                }
                self.enter(stage);
                if matches!(effect, Effect::Drain | Effect::MaintenanceOn) {
                    self.state.memory.asked = self.now.boot;
                }
                self.ask(Step::Do(effect.clone()), Question::Do(effect));
            }
        }
    }

    fn done(&mut self, effect: Effect, reply: Reply) {
        match reply {
            Reply::Done | Reply::Written(true) => {
                self.state.failures = 0;
                let reboots = matches!(effect, Effect::Try(_) | Effect::RollBack(..));
                self.actions.push(Action::Say(Said::Done(effect)));
                if reboots {
                    return self.rest(Stage::Rebooting, None);
                }
                self.again();
            }
            // Somebody was faster: what is there now says what follows.
            Reply::Written(false) => self.again(),
            Reply::Failed(why) => {
                // Handing over is a courtesy: Consul before 1.14 cannot, and Nomad wants more than this agent may.
                if effect == Effect::Transfer {
                    return self.again();
                }
                // What is not known to have happened may happen yet.
                self.state.memory.asked = self.now.boot;
                self.state.memory.rebooting = None;
                self.fail(Unmet::Failed(effect.name(), why));
            }
            Reply::Local(_) | Reply::Board(_) | Reply::Cluster(_) => {
                self.fail(Unmet::Failed(effect.name(), "an answer to another question".to_owned()));
            }
        }
    }

    fn again(&mut self) {
        self.state.rounds += 1;
        if self.state.rounds >= pace::ROUNDS {
            return self.rest(self.state.stage, None);
        }
        self.begin();
    }

    fn fail(&mut self, unmet: Unmet) {
        self.state.failures = self.state.failures.saturating_add(1);
        self.state.failure = Some(unmet.to_string());
        let stage = self.state.stage;
        let delay = pace::backoff(self.state.failures);
        self.sleep(stage, Some(unmet), delay);
    }

    fn rest(&mut self, stage: Stage, unmet: Option<Unmet>) {
        let delay = match (&unmet, stage) {
            (_, Stage::Idle) | (Some(Unmet::Held { .. } | Unmet::Stopped(_)), _) => pace::WATCH,
            _ => pace::LOOK,
        };
        self.sleep(stage, unmet, delay);
    }

    fn sleep(&mut self, stage: Stage, unmet: Option<Unmet>, delay: Millis) {
        self.enter(stage);
        if let Some(unmet) = &unmet
            && self.state.said.as_ref() != Some(unmet)
        {
            self.actions.push(Action::Say(Said::Waiting(unmet.to_string())));
        }
        if unmet.as_ref().is_some_and(Unmet::is_trouble) {
            self.state.failure = unmet.as_ref().map(ToString::to_string);
        }
        self.state.said = unmet.clone();
        self.state.waiting = unmet;
        let delay = if self.settings.breaks_no_sleep() { 0 } else { self.state.jitter.spread(delay) };
        self.state.doing = Doing::Sleeping(self.now.boot.saturating_add(delay));
        self.actions.push(Action::Publish);
    }

    fn enter(&mut self, stage: Stage) {
        if self.state.stage != stage {
            self.state.stage = stage;
            self.actions.push(Action::Say(Said::Stage(stage)));
        }
    }
}
