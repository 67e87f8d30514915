//! Given all that a pass knows: the one thing that is to be done.
//!
//! What is begun comes first, and what it has become ([`Fate`]) says how it goes on:
//!
//! | fate of the generation | lock and errand | what is done |
//! |---|---|---|
//! | it runs on trial | | the gate: keep it, wait, or go back |
//! | it runs, and is kept | | undo all, unlock |
//! | the boot pointer names it | lock | wait for the reboot; ask again when it does not begin |
//! | it was started and does not run | | it did not last: remember, publish, stop the rollout; undo all, unlock |
//! | it waits on the card | lock, no errand | write the errand |
//! | | both | transfer, drain, maintenance; all still well: `trial`; reboot |
//! | | both, and something is wrong | call it off: undo all, unlock |
//! | | errand, no lock | somebody broke the lock: undo all |
//! | it is gone | | undo all, unlock |
//!
//! With nothing begun a node says what it wants, waits for its turn, and takes the lock.
//! Where nothing tells a crash before a step from one after it, the step can be done twice.

mod conditions;

use hah_node::generation::Digest;
use hah_node::rollout::{
    Bad, Baseline, ERRAND_VERSION, Errand, LOCK_SECONDS, LOCK_VERSION, Lock, Phase, Stage, Turn, Wish,
};

use super::machine::{Effect, Now, Settings};
use super::pace::{self, Millis};
use super::view::{Board, Cluster, Holder, Local, Maintenance, Placing, Staged, Whose};
use super::words::Unmet;
use conditions::{ends_the_wait, gate, start};

/// Why a generation did not last, where nobody has said more.
const DIED: &str = "it ended before it was kept, and the node came up in its last good generation";

/// What the agent remembers from pass to pass. Nothing that matters is lost with it.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Looks in a row that found a generation on trial well.
    pub(crate) looks: u32,
    /// When something was last asked for that may still happen.
    pub(crate) asked: Millis,
    /// Why the start is being called off.
    pub(crate) called_off: Option<String>,
    /// Until when no new start is made, and why.
    pub(crate) pause: Option<(Millis, String)>,
    /// Whether leadership was handed over, or tried to be.
    pub(crate) transferred: bool,
    /// What the board was when another's turn began, and since when it has not changed.
    pub(crate) turn: Option<((u64, usize), Millis)>,
    /// When the reboot was last asked for.
    pub(crate) rebooting: Option<Millis>,
    /// Whether the cluster was well in this errand: only for a mutation.
    pub(crate) was_well: bool,
}

impl Memory {
    /// Of an agent that has just started: a request of the one before it may still be on its way.
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            looks: 0,
            asked: now,
            called_off: None,
            pause: None,
            transferred: false,
            turn: None,
            rebooting: None,
            was_well: false,
        }
    }
}

/// All that a pass knows.
pub(crate) struct Facts<'f> {
    pub(crate) settings: &'f Settings,
    pub(crate) local: &'f Local,
    /// Consul's KV, or why not.
    pub(crate) board: Result<&'f Board, &'f str>,
    /// The cluster, or why not; nothing when it was not asked yet.
    pub(crate) cluster: Option<Result<&'f Cluster, &'f str>>,
    pub(crate) now: Now,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Ask for the cluster, and decide again.
    Look,
    /// Do this.
    Do(Stage, Effect),
    /// Nothing now.
    Wait(Stage, Unmet),
    /// Nothing at all.
    Rest,
}

/// What became of a generation on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Armed,
    Ended(Option<String>),
    Untried,
    Gone,
}

fn fate(settings: &Settings, local: &Local, generation: Digest) -> Fate {
    let ended = local.ended(generation);
    if local.running == Some(generation) {
        return Fate::Kept;
    }
    match (local.armed == Some(generation), ended) {
        (true, Some(_)) if settings.breaks_armed_is_ended() => Fate::Ended(None),
        (true, _) => Fate::Armed,
        (false, Some(ended)) if !settings.breaks_try_again() => Fate::Ended(ended.reason.clone()),
        (false, _) if local.staged.is_some_and(|staged| staged.generation == generation) => Fate::Untried,
        (false, _) => Fate::Gone,
    }
}

/// Decides.
pub(crate) fn decide(facts: &Facts<'_>, memory: &mut Memory) -> Decision {
    let local = facts.local;
    if let (true, Some(running)) = (local.on_trial, local.running) {
        return on_trial(facts, memory, running);
    }
    memory.looks = 0;
    if local.rescue {
        return Decision::Wait(Stage::Idle, Unmet::Rescue);
    }
    let begun = local.errand.as_ref().map(|errand| errand.generation);
    let own = facts.own_lock().map(|(_, lock)| lock.generation);
    match begun.or(own) {
        Some(generation) => go_on(facts, memory, generation),
        None => begin(facts, memory),
    }
}

fn waits_for_board(facts: &Facts<'_>, stage: Stage) -> Decision {
    Decision::Wait(stage, Unmet::Board(facts.board.err().unwrap_or_default().to_owned()))
}

impl Facts<'_> {
    /// This node's lock, and its index.
    fn own_lock(&self) -> Option<(u64, &Lock)> {
        match &self.board.ok()?.lock {
            Holder::Node(index, lock) if lock.node == self.settings.node => Some((*index, lock)),
            _ => None,
        }
    }

    fn baseline(&self) -> Option<&Baseline> {
        self.local.errand.as_ref().map(|errand| &errand.baseline)
    }
}

/// The gate.
fn on_trial(facts: &Facts<'_>, memory: &mut Memory, running: Digest) -> Decision {
    let local = facts.local;
    if let Some(reason) = local.ended(running).and_then(|ended| ended.reason.clone()) {
        return go_back(facts, memory, running, reason);
    }
    if facts.cluster.is_none() {
        return Decision::Look;
    }
    // A generation that somebody started by hand is measured by what should be.
    let errand = local.errand.as_ref().filter(|errand| errand.generation == running);
    let expected = Baseline { nomad: facts.settings.nomad.is_some(), ..Baseline::default() };
    let wrong = gate(facts, errand.map_or(&expected, |errand| &errand.baseline));
    let wrong = wrong.filter(|_| !facts.settings.breaks_no_gate());
    match wrong {
        None => {
            memory.looks += 1;
            if memory.looks >= pace::GATE_LOOKS {
                return Decision::Do(Stage::Trial, Effect::Commit(running));
            }
            Decision::Wait(Stage::Trial, Unmet::Passing(memory.looks))
        }
        Some(wrong) if local.rescue || facts.now.boot >= pace::GATE && !facts.settings.breaks_no_deadline() => {
            go_back(facts, memory, running, wrong)
        }
        Some(wrong) => {
            memory.looks = 0;
            Decision::Wait(Stage::Trial, Unmet::Gate(wrong))
        }
    }
}

fn go_back(facts: &Facts<'_>, memory: &mut Memory, running: Digest, reason: String) -> Decision {
    if memory.rebooting.is_some_and(|asked| facts.now.boot < asked.saturating_add(pace::REBOOT)) {
        return Decision::Wait(Stage::Rebooting, Unmet::Gate(format!("going back: {reason}")));
    }
    memory.rebooting = Some(facts.now.boot);
    Decision::Do(Stage::Rebooting, Effect::RollBack(running, reason))
}

/// Goes on with what is begun.
fn go_on(facts: &Facts<'_>, memory: &mut Memory, generation: Digest) -> Decision {
    let Ok(board) = facts.board else {
        return match fate(facts.settings, facts.local, generation) {
            Fate::Armed => Decision::Wait(Stage::Rebooting, Unmet::Rebooting(generation)),
            Fate::Untried => waits_for_board(facts, Stage::Preparing),
            Fate::Kept | Fate::Ended(_) | Fate::Gone => waits_for_board(facts, Stage::Undoing),
        };
    };
    match fate(facts.settings, facts.local, generation) {
        Fate::Armed => reboot_again(facts, memory, generation),
        Fate::Ended(None) => Decision::Do(Stage::Undoing, Effect::Condemn(generation, DIED.to_owned())),
        Fate::Ended(Some(reason)) if !board.bad.contains_key(&generation) && !facts.settings.breaks_keep_quiet() => {
            let bad = Bad { node: facts.settings.node.clone(), reason, at: facts.now.wall };
            Decision::Do(Stage::Undoing, Effect::Publish(generation, Box::new(bad)))
        }
        Fate::Untried => match prepare(facts, memory, board, generation) {
            Ok(decision) => decision,
            Err(why) => {
                memory.called_off = Some(why);
                undo(facts, memory)
            }
        },
        Fate::Kept | Fate::Ended(Some(_)) | Fate::Gone => undo(facts, memory),
    }
}

/// The reboot was asked for, perhaps by an agent that has ended since. When it does not begin, it is asked for again, under
/// the conditions of the first time.
fn reboot_again(facts: &Facts<'_>, memory: &mut Memory, generation: Digest) -> Decision {
    let wait = |unmet| Decision::Wait(Stage::Rebooting, unmet);
    let asked = *memory.rebooting.get_or_insert(facts.now.boot);
    if facts.now.boot < asked.saturating_add(pace::REBOOT) || facts.own_lock().is_none() {
        return wait(Unmet::Rebooting(generation));
    }
    let cluster = match facts.cluster {
        None => return Decision::Look,
        Some(Ok(cluster)) => cluster,
        Some(Err(why)) => return wait(Unmet::Cluster(why.to_owned())),
    };
    let wanted = facts.local.wanted().filter(|wanted| wanted.generation == generation);
    let wanted = wanted.unwrap_or(Staged { generation, canary: false, accept_outage: false });
    if let Some(unmet) = start(facts, cluster, wanted) {
        return wait(unmet);
    }
    memory.rebooting = Some(facts.now.boot);
    Decision::Do(Stage::Rebooting, Effect::Try(generation))
}

/// From the lock to the reboot. An error calls it off.
fn prepare(facts: &Facts<'_>, memory: &mut Memory, board: &Board, generation: Digest) -> Result<Decision, String> {
    if let Some(why) = &memory.called_off {
        return Err(why.clone());
    }
    if facts.settings.breaks_unlock_early() && memory.was_well && facts.own_lock().is_none() {
        return Ok(Decision::Do(Stage::Rebooting, Effect::Try(generation)));
    }
    let Some((index, lock)) = facts.own_lock() else { return Err("the lock is not this node's any more".to_owned()) };
    let wanted = facts.local.wanted().filter(|wanted| wanted.generation == generation && generation == lock.generation);
    let Some(wanted) = wanted else { return Err("another generation is wanted".to_owned()) };
    if let Some(why) = ends_the_wait(facts.settings, board, generation) {
        return Err(why.to_string());
    }
    if facts.now.wall > lock.deadline {
        return Err("it took too long".to_owned());
    }
    let cluster = match facts.cluster {
        None => return Ok(Decision::Look),
        Some(Ok(cluster)) => cluster,
        Some(Err(why)) => return Ok(Decision::Wait(Stage::Preparing, Unmet::Cluster(why.to_owned()))),
    };
    let skip = facts.settings.breaks_no_second_look() && memory.was_well;
    match start(facts, cluster, wanted) {
        Some(unmet) if skip || unmet.passes() && facts.local.errand.is_some() => {
            if !skip {
                return Ok(Decision::Wait(Stage::Preparing, unmet));
            }
        }
        Some(unmet) => return Err(unmet.to_string()),
        None => memory.was_well = true,
    }
    let effect = |effect| Ok(Decision::Do(Stage::Preparing, effect));
    let Some(baseline) = facts.baseline() else { return effect(begin_errand(facts, cluster, generation)) };
    let leads = [cluster.consul_raft, cluster.nomad_raft].into_iter().flatten().any(|raft| raft.leads);
    if leads && !memory.transferred {
        memory.transferred = true;
        return effect(Effect::Transfer);
    }
    match &cluster.placing {
        Placing::Eligible if baseline.eligible => return effect(Effect::Drain),
        Placing::Draining(_) => return Ok(Decision::Wait(Stage::Preparing, Unmet::Draining)),
        Placing::Unknown(why) => {
            return Ok(Decision::Wait(Stage::Preparing, Unmet::Cluster(why.clone())));
        }
        Placing::NotOurs | Placing::Eligible | Placing::Ineligible(_) => {}
    }
    match &cluster.maintenance {
        Maintenance::Off => return effect(Effect::MaintenanceOn),
        Maintenance::Unknown(why) => {
            return Ok(Decision::Wait(Stage::Preparing, Unmet::Cluster(why.clone())));
        }
        Maintenance::On(_) => {}
    }
    if lock.phase == Phase::Preparing {
        let lock = Lock { phase: Phase::Trial, ..lock.clone() };
        return effect(Effect::Advance(index, Box::new(lock)));
    }
    if facts.settings.breaks_unlock_early() {
        return effect(Effect::Unlock(index));
    }
    memory.rebooting = Some(facts.now.boot);
    Ok(Decision::Do(Stage::Rebooting, Effect::Try(generation)))
}

fn begin_errand(facts: &Facts<'_>, cluster: &Cluster, generation: Digest) -> Effect {
    let local = facts.local;
    let baseline = Baseline {
        failed_units: local.failed_units.clone(),
        vault: local.vault,
        consul_index: cluster.consul_raft.map(|raft| raft.applied),
        nomad_index: cluster.nomad_raft.map(|raft| raft.applied),
        nomad: cluster.nomad_well,
        targets: cluster.targets.clone(),
        // A drain in this agent's name that is not undone yet is no person's wish.
        eligible: !matches!(cluster.placing, Placing::Ineligible(Whose::Others) | Placing::Draining(Whose::Others)),
    };
    Effect::Begin(Box::new(Errand { version: ERRAND_VERSION, generation, baseline }))
}

/// Undoes what this agent did to the node, gives the lock back, and ends the errand, in this order.
fn undo(facts: &Facts<'_>, memory: &mut Memory) -> Decision {
    let stage = Stage::Undoing;
    let wait = |unmet| Decision::Wait(stage, unmet);
    let cluster = match facts.cluster {
        None => return Decision::Look,
        Some(Ok(cluster)) => cluster,
        Some(Err(why)) => return wait(Unmet::Cluster(why.to_owned())),
    };
    if !facts.settings.breaks_forget_undo() {
        match &cluster.placing {
            Placing::Draining(Whose::Ours) | Placing::Ineligible(Whose::Ours) => {
                return Decision::Do(stage, Effect::Eligible);
            }
            Placing::Unknown(why) => return wait(Unmet::Cluster(why.clone())),
            Placing::NotOurs | Placing::Eligible | Placing::Draining(_) | Placing::Ineligible(_) => {}
        }
        match &cluster.maintenance {
            Maintenance::On(Whose::Ours) => return Decision::Do(stage, Effect::MaintenanceOff),
            Maintenance::Unknown(why) => return wait(Unmet::Cluster(why.clone())),
            Maintenance::Off | Maintenance::On(Whose::Others) => {}
        }
    }
    if facts.now.boot < memory.asked.saturating_add(pace::QUIET) && !facts.settings.breaks_no_quiet() {
        return wait(Unmet::Settling);
    }
    if let Some((index, _)) = facts.own_lock()
        && !(facts.settings.breaks_keep_lock() && memory.called_off.is_some())
    {
        return Decision::Do(stage, Effect::Unlock(index));
    }
    if let Some(why) = memory.called_off.take() {
        memory.pause = Some((facts.now.boot.saturating_add(pace::RETRY), why));
    }
    memory.transferred = false;
    memory.rebooting = None;
    memory.was_well = false;
    if facts.local.errand.is_some() {
        return Decision::Do(stage, Effect::End);
    }
    Decision::Rest
}

/// With nothing begun: the way to the lock.
fn begin(facts: &Facts<'_>, memory: &mut Memory) -> Decision {
    let node = &facts.settings.node;
    memory.called_off = None;
    memory.transferred = false;
    memory.rebooting = None;
    memory.was_well = false;
    let turn = memory.turn.take();
    let wanted = facts.local.wanted();
    let Ok(board) = facts.board else {
        return match wanted {
            Some(_) => waits_for_board(facts, Stage::Waiting),
            None => Decision::Rest,
        };
    };
    let own = board.wishes.get(node);
    let no_more = |unmet: Option<Unmet>| match (own, unmet) {
        (Some(_), _) => Decision::Do(Stage::Idle, Effect::Unwish),
        (None, Some(unmet)) => Decision::Wait(Stage::Idle, unmet),
        (None, None) => Decision::Rest,
    };
    let Some(wanted) = wanted else { return no_more(None) };
    let generation = wanted.generation;
    if facts.local.ended(generation).is_some() && !facts.settings.breaks_try_again() {
        return no_more(Some(Unmet::EndedHere(generation)));
    }
    let wait = |unmet| Decision::Wait(Stage::Waiting, unmet);
    match ends_the_wait(facts.settings, board, generation) {
        Some(unmet @ Unmet::KnownBad { .. }) => return no_more(Some(unmet)),
        Some(unmet) => return wait(unmet),
        None => {}
    }
    if let Some(armed) = facts.local.armed {
        return wait(Unmet::ArmedByHand(armed));
    }
    let breaks = facts.settings.breaks_take_over() || facts.settings.breaks_skip_lock();
    if let Holder::Node(_, lock) = &board.lock
        && own.is_some_and(|wish| wish.generation == generation)
        && !breaks
    {
        // A hundred nodes that wait do not ask for the cluster.
        return wait(held(facts, lock));
    }
    let cluster = match facts.cluster {
        None => return Decision::Look,
        Some(Ok(cluster)) => cluster,
        Some(Err(why)) => return wait(Unmet::Cluster(why.to_owned())),
    };
    let unmet = start(facts, cluster, wanted);
    if let Some(unmet @ Unmet::NeedsConsent(_)) = unmet {
        // It will never start as it is: others need not wait for it.
        return no_more(Some(unmet));
    }
    let wish = Wish { generation, turn: turn_of(cluster, wanted) };
    if own != Some(&wish) {
        return Decision::Do(Stage::Waiting, Effect::Wish(wish));
    }
    match &board.lock {
        Holder::Nobody => {}
        Holder::Foreign(why) => return wait(Unmet::Foreign(why.clone())),
        Holder::Node(index, lock) => {
            let overdue = facts.now.wall > lock.deadline;
            if facts.settings.breaks_take_over() && overdue {
                return Decision::Do(Stage::Waiting, Effect::Advance(*index, Box::new(new_lock(facts, generation))));
            }
            if !facts.settings.breaks_skip_lock() {
                return wait(held(facts, lock));
            }
            return match facts.local.clock {
                true => Decision::Do(Stage::Rebooting, Effect::Try(generation)),
                false => wait(Unmet::Clock),
            };
        }
    }
    match &memory.pause {
        Some((until, why)) if facts.now.boot < *until => return wait(Unmet::CalledOff(why.clone())),
        _ => memory.pause = None,
    }
    if let Some(unmet) = unmet {
        return wait(unmet);
    }
    if let Some((other, earlier)) = first_before(board, cluster, wish.turn, node) {
        let since = turn.filter(|(version, _)| *version == board.version).map_or(facts.now.boot, |(_, since)| since);
        memory.turn = Some((board.version, since));
        let patient = facts.now.boot < since.saturating_add(pace::TURN) || facts.settings.breaks_no_patience();
        // The canary is there so that nobody goes before it.
        if patient || earlier == Turn::Canary {
            return wait(Unmet::Turn(earlier, other.to_owned()));
        }
    }
    Decision::Do(Stage::Waiting, Effect::Lock(Box::new(new_lock(facts, generation))))
}

fn held(facts: &Facts<'_>, lock: &Lock) -> Unmet {
    let overdue = facts.now.wall > lock.deadline;
    Unmet::Held { node: lock.node.clone(), generation: lock.generation, phase: lock.phase, overdue }
}

fn new_lock(facts: &Facts<'_>, generation: Digest) -> Lock {
    Lock {
        version: LOCK_VERSION,
        node: facts.settings.node.clone(),
        generation,
        phase: Phase::Preparing,
        since: facts.now.wall,
        deadline: facts.now.wall.saturating_add(LOCK_SECONDS),
    }
}

fn turn_of(cluster: &Cluster, wanted: Staged) -> Turn {
    let leads = [cluster.consul_raft, cluster.nomad_raft].into_iter().flatten().any(|raft| raft.leads);
    match (wanted.canary, cluster.server, leads) {
        (true, _, _) => Turn::Canary,
        (_, false, _) => Turn::Client,
        (_, true, false) => Turn::Follower,
        (_, true, true) => Turn::Leader,
    }
}

/// A living node whose turn is earlier and that can start.
fn first_before<'b>(board: &'b Board, cluster: &Cluster, turn: Turn, node: &str) -> Option<(&'b str, Turn)> {
    let others = board.wishes.iter().filter(|(name, wish)| {
        *name != node && wish.turn < turn && cluster.alive.contains(*name) && !board.bad.contains_key(&wish.generation)
    });
    others.min_by_key(|(_, wish)| wish.turn).map(|(name, wish)| (name.as_str(), wish.turn))
}

#[cfg(test)]
mod tests;
