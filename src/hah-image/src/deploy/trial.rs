//! A node's trial, followed from here: until it keeps the generation, has gone back, or takes too long.

use std::time::{Duration, Instant};

use hah_node::generation::state::Generations;
use hah_node::generation::{Digest, Slot};

use super::agent::generations;
use super::target::Target;
use super::{DeployError, agent};

/// Pauses between two questions: short at first, since a trial may be over already.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// How long a node that is back in another generation may take to say why.
const EXPLANATION: Duration = Duration::from_secs(120);

/// What a node's own words mean for a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It runs, and stays.
    Kept(Slot),
    /// It did not last there: why.
    Bad(String),
    /// It runs on trial.
    OnTrial,
    /// It is on the card, and does not run.
    Staged,
    /// The node does not have it.
    Absent,
}

impl Standing {
    /// How a generation stands on a node.
    pub fn of(id: Digest, told: &Generations) -> Self {
        let here = |slot: Slot| told.generations.iter().any(|one| one.slot == slot && one.id == Some(id));
        // What runs and is good was kept, whatever became of it once.
        match here(told.running) {
            true if told.on_trial => Self::OnTrial,
            true if told.good == told.running => Self::Kept(told.running),
            _ => match told.bad.iter().find(|bad| bad.id == id) {
                Some(bad) => Self::Bad(bad.reason.clone()),
                None if told.generations.iter().any(|one| one.id == Some(id)) => Self::Staged,
                None => Self::Absent,
            },
        }
    }
}

/// How a node comes to its trial, which is what it means when it runs another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'s> {
    /// It has been told to reboot, in the boot of this name if that is not over yet: in another boot it has gone back.
    Told(Option<&'s str>),
    /// Its rollout starts it in its own time: until then the node stays what it is, for as long as others are at it.
    InTurn,
}

/// Waits until the node has decided about a generation. `tell` hears what it is at.
///
/// # Errors
/// When the node goes back, or has not decided after `patience`.
pub fn follow(
    target: &Target,
    id: Digest,
    start: Start<'_>,
    patience: Duration,
    tell: &dyn Fn(&str),
) -> Result<Slot, DeployError> {
    let began = Instant::now();
    let went_back = |reason: String| DeployError::WentBack { node: target.name.clone(), reason };
    let mut pause = if start == Start::InTurn { PAUSE.1 } else { PAUSE.0 };
    let mut back_since: Option<Instant> = None;
    loop {
        let last = match generations(target) {
            Err(
                error @ (DeployError::Unreachable { .. } | DeployError::Command { .. } | DeployError::Stranger { .. }),
            ) => {
                // While it goes down and comes up, ssh and agent may fail in many ways.
                tell("away");
                back_since = None;
                error.to_string()
            }
            Err(error) => return Err(error),
            Ok(told) => match (Standing::of(id, &told), start) {
                (Standing::Kept(slot), _) => return Ok(slot),
                (Standing::Bad(reason), _) => return Err(went_back(reason)),
                (Standing::OnTrial, _) => {
                    tell("on trial");
                    "it is on trial".to_owned()
                }
                (Standing::Staged | Standing::Absent, Start::InTurn) => {
                    tell("waiting for its turn");
                    "it waits for its turn; `journalctl -u hah-agent` there says for what".to_owned()
                }
                (Standing::Staged | Standing::Absent, Start::Told(boot)) if boot == Some(told.boot_id.as_str()) => {
                    tell("going down");
                    "it has not rebooted".to_owned()
                }
                (Standing::Staged | Standing::Absent, Start::Told(_)) => {
                    tell("back in another generation");
                    let since = *back_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= EXPLANATION.min(patience) {
                        return Err(went_back("the node runs another generation and does not say why".to_owned()));
                    }
                    "it runs another generation".to_owned()
                }
            },
        };
        if began.elapsed() >= patience {
            let minutes = patience.as_secs() / 60;
            return Err(DeployError::Late { node: target.name.clone(), minutes, last });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Has a node try a generation that it has, and follows the trial.
///
/// It is asked anew what it runs: since the last question it may have rebooted, or somebody else may have begun.
///
/// # Errors
/// As [`follow`], and when the node does not begin.
pub fn run(target: &Target, id: Digest, patience: Duration, tell: &dyn Fn(&str)) -> Result<Slot, DeployError> {
    let before = generations(target)?;
    match Standing::of(id, &before) {
        Standing::Kept(slot) => Ok(slot),
        Standing::Bad(reason) => Err(DeployError::WentBack { node: target.name.clone(), reason }),
        Standing::OnTrial => follow(target, id, Start::Told(None), patience, tell),
        Standing::Staged | Standing::Absent => {
            agent::try_generation(target, id, agent::When::Now)?;
            follow(target, id, Start::Told(Some(&before.boot_id)), patience, tell)
        }
    }
}

#[cfg(test)]
mod tests {
    use hah_node::generation::state::{Bad, Generation, State};

    use super::*;

    #[test]
    fn a_node_s_words_are_understood() {
        let (mine, other) = (Digest([1; 32]), Digest([2; 32]));
        let slot = |name: u8| Slot::new(name).unwrap();
        let told = |running: u8, good: u8, on_trial: bool, bad: &[Digest]| Generations {
            version: 1,
            hostname: "node".into(),
            boot_id: "boot".into(),
            running: slot(running),
            good: slot(good),
            on_trial,
            next: slot(good),
            generations: [(b'0', other), (b'1', mine)]
                .map(|(name, id)| Generation {
                    slot: slot(name),
                    id: Some(id),
                    image: "lab".into(),
                    board: "virt".into(),
                    key: None,
                    epoch: 0,
                    state: State::Staged,
                })
                .to_vec(),
            wants_signature: false,
            bad: bad.iter().map(|id| Bad { id: *id, reason: "why".into() }).collect(),
        };
        for (told, wanted) in [
            (told(b'0', b'0', false, &[]), Standing::Staged),
            (told(b'1', b'0', true, &[]), Standing::OnTrial),
            (told(b'1', b'1', false, &[]), Standing::Kept(slot(b'1'))),
            (told(b'1', b'0', false, &[]), Standing::Staged),
            (told(b'0', b'0', false, &[mine]), Standing::Bad("why".into())),
            (told(b'0', b'0', false, &[other]), Standing::Staged),
            (told(b'1', b'1', false, &[mine]), Standing::Kept(slot(b'1'))),
        ] {
            assert_eq!(Standing::of(mine, &told), wanted, "{told:?}");
        }
        assert_eq!(Standing::of(Digest([3; 32]), &told(b'0', b'0', false, &[])), Standing::Absent);
    }
}
