//! Where a person sees the rollout: the console, the journal, a file for `hah-agent status`, metrics.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hah_node::rollout::{METRICS, STATUS, STATUS_VERSION, Stage, Status, metric};

use super::machine::{Effect, Now, Said, State};
use crate::closing::driver::Options;
use crate::closing::publish::replace;
use crate::console;

/// Writes it all.
pub(crate) struct Publisher {
    node: String,
    status: PathBuf,
    kmsg: PathBuf,
    metrics: PathBuf,
    /// What could not be done, so that it is said once.
    failing: BTreeSet<PathBuf>,
}

impl Publisher {
    pub(crate) fn new(options: &Options, node: String) -> Self {
        Self {
            node,
            status: options.below(STATUS),
            kmsg: options.below("/dev/kmsg"),
            metrics: options.below(METRICS),
            failing: BTreeSet::new(),
        }
    }

    /// Tells people: the journal everything, the consoles what happens to the node.
    pub(crate) fn say(&mut self, state: &State, said: &Said) {
        let Some((text, loud)) = sentence(state, said) else { return };
        console::journal(&text);
        if loud {
            console::announce(&self.kmsg, &text);
        }
    }

    /// Writes status and metrics.
    pub(crate) fn publish(&mut self, state: &State, now: Now) {
        if let Ok(mut text) = serde_json::to_vec(&self.status_of(state, now)) {
            text.push(b'\n');
            self.write(&self.status.clone(), &text);
        }
        self.write(&self.metrics.clone(), metrics(state, now).as_bytes());
    }

    fn write(&mut self, path: &Path, content: &[u8]) {
        match replace(path, content) {
            Ok(()) => drop(self.failing.remove(path)),
            Err(error) if self.failing.insert(path.to_owned()) => {
                console::journal(&format!("cannot write {}: {error}", path.display()));
            }
            Err(_) => {}
        }
    }

    fn status_of(&self, state: &State, now: Now) -> Status {
        Status {
            version: STATUS_VERSION,
            node: self.node.clone(),
            pid: std::process::id(),
            at: now.wall,
            stage: state.stage,
            running: state.running,
            wanted: state.wanted,
            went_back: state.went_back.clone(),
            waiting: state.waiting.as_ref().map(ToString::to_string),
            lock: state.lock.clone(),
            stop: state.stop.clone(),
            last_error: state.failure.clone(),
        }
    }
}

/// What is said, as a sentence, and whether the consoles show it.
fn sentence(state: &State, said: &Said) -> Option<(String, bool)> {
    let wanted = || state.wanted.or(state.running).map(|one| one.short()).unwrap_or_default();
    let quiet = |text: String| Some((text, false));
    let loud = |text: String| Some((text, true));
    match said {
        Said::Stage(Stage::Waiting) => quiet(format!("generation {} waits for its turn", wanted())),
        Said::Stage(Stage::Preparing) => loud(format!("preparing for generation {}", wanted())),
        Said::Stage(Stage::Trial) => loud(format!("generation {} runs on trial", wanted())),
        Said::Stage(Stage::Idle | Stage::Rebooting | Stage::Undoing) => None,
        Said::Waiting(text) => quiet(format!("rollout: {text}")),
        Said::Done(effect) => match effect {
            Effect::Lock(_) => quiet("this node has the lock of the rollout".to_owned()),
            Effect::Unlock(_) => quiet("this node has given the lock of the rollout back".to_owned()),
            Effect::Transfer => quiet("handed over what this node leads".to_owned()),
            Effect::Drain => quiet("Nomad moves this node's work elsewhere".to_owned()),
            Effect::Eligible => quiet("Nomad places work on this node again".to_owned()),
            Effect::Try(generation) => loud(format!("rebooting into generation {}", generation.short())),
            Effect::Commit(generation) => loud(format!("generation {} is kept", generation.short())),
            Effect::RollBack(generation, reason) => loud(format!("generation {} goes: {reason}", generation.short())),
            Effect::Condemn(generation, reason) => {
                loud(format!("generation {} did not last here: {reason}", generation.short()))
            }
            Effect::Publish(generation, _) => {
                loud(format!("generation {} is bad for everybody, and the rollout is stopped", generation.short()))
            }
            Effect::Begin(_)
            | Effect::End
            | Effect::Wish(_)
            | Effect::Unwish
            | Effect::Advance(..)
            | Effect::MaintenanceOn
            | Effect::MaintenanceOff => None,
        },
    }
}

/// The text format of Prometheus, as node_exporter's textfile collector reads it.
fn metrics(state: &State, now: Now) -> String {
    let mut text = String::new();
    let mut family = |name: &str, help: &str, samples: &[(String, String)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value: u64| vec![(String::new(), value.to_string())];
    let flag = |on: bool| u8::from(on).to_string();
    let stages = Stage::ALL.map(|stage| (format!("{{phase=\"{stage}\"}}"), flag(stage == state.stage)));
    let named = |generation: Option<hah_node::generation::Digest>| {
        format!("{{generation=\"{}\"}}", generation.map(|one| one.to_string()).unwrap_or_default())
    };
    family(metric::PHASE, "What the node is at.", &stages);
    family(metric::RUNNING, "The generation that runs.", &[(named(state.running), "1".to_owned())]);
    let wanted = [(named(state.wanted), flag(state.wanted.is_some()))];
    family(metric::WANTED, "The generation that is to run and does not yet.", &wanted);
    family(metric::WENT_BACK, "Generations that did not last on this node.", &one(state.went_back.len() as u64));
    family(metric::STOPPED, "Whether the rollout is stopped.", &one(u64::from(state.stop.is_some())));
    let overdue = state.lock.as_ref().is_some_and(|lock| now.wall > lock.deadline);
    family(metric::OVERDUE, "Whether a node has the lock for longer than it should.", &one(u64::from(overdue)));
    family(metric::LAST_PASS, "When the agent last looked.", &one(now.wall));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use hah_node::generation::Digest;
    use hah_node::rollout::{LOCK_VERSION, Lock, Phase};

    #[test]
    fn metrics_and_sentences() {
        let now = Now { boot: 5, wall: 1_796_002_000 };
        let mut state = State::new(1, now);
        state.stage = Stage::Waiting;
        state.running = Some(Digest([0xaa; 32]));
        state.wanted = Some(Digest([0xbb; 32]));
        state.went_back = vec![Digest([0xcc; 32])];
        state.lock = Some(Lock {
            version: LOCK_VERSION,
            node: "pi4".to_owned(),
            generation: Digest([0xbb; 32]),
            phase: Phase::Trial,
            since: 1_796_000_000,
            deadline: 1_796_001_800,
        });
        let text = metrics(&state, now);
        for line in [
            "hah_rollout_phase{phase=\"waiting\"} 1",
            "hah_rollout_phase{phase=\"idle\"} 0",
            &format!("hah_rollout_generation_running{{generation=\"{}\"}} 1", "aa".repeat(32)),
            &format!("hah_rollout_generation_wanted{{generation=\"{}\"}} 1", "bb".repeat(32)),
            "hah_rollout_went_back 1",
            "hah_rollout_stopped 0",
            "hah_rollout_lock_overdue 1",
            "hah_rollout_last_pass_timestamp_seconds 1796002000",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
        state.wanted = None;
        assert!(metrics(&state, now).contains("\nhah_rollout_generation_wanted{generation=\"\"} 0\n"));
        let told = sentence(&state, &Said::Done(Effect::Commit(Digest([0xbb; 32]))));
        assert_eq!(told, Some(("generation bbbbbbbb is kept".to_owned(), true)));
        assert_eq!(sentence(&state, &Said::Done(Effect::End)), None);
    }
}
