//! This node: its generations, its units, its errand and its order.
//!
//! What a card has and how a trial begins and ends is the business of `hah-agent generations`; [`Generations`] is what the
//! rollout needs of it, and [`Card`] has it from there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hah_node::generation::state::{self, State};
use hah_node::generation::{self, Digest};
use hah_node::rollout::{ERRAND, ERRAND_VERSION, Errand, ORDER, ORDER_VERSION, Order};
use serde::de::DeserializeOwned;

use super::view::{Ended, Local, Staged};
use crate::generations::{self, Places};
use crate::{durable, systemd};

/// What the rollout needs of a node's generations. Every function may block, and may be called again after a crash.
pub(crate) trait Generations {
    /// The fields of [`Local`] that are about generations.
    fn look(&mut self) -> Result<Local, String>;
    /// Marks a generation as tried, has the boot pointer name it, and reboots; again, when it does already.
    fn start_trial(&mut self, generation: Digest) -> Result<(), String>;
    /// Keeps the generation that is on trial.
    fn keep(&mut self, generation: Digest) -> Result<(), String>;
    /// Reboots into the last good generation; that the running one did not last is written already.
    fn go_back(&mut self) -> Result<(), String>;
    /// Writes why a generation did not last, unless that is written.
    fn condemn(&mut self, generation: Digest, reason: &str) -> Result<(), String>;
    /// Whether the system has started, and which of its units have failed.
    fn units(&mut self) -> (bool, BTreeSet<String>);
}

/// This node.
pub(crate) struct Node<G> {
    generations: G,
    root: PathBuf,
    has_vault: bool,
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// A file of JSON; nothing where there is none.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

impl<G: Generations> Node<G> {
    pub(crate) fn new(generations: G, root: &Path, has_vault: bool) -> Self {
        Self { generations, root: root.to_owned(), has_vault }
    }

    /// All of it, as it is now. `vault` says whether the node's Vault answers.
    pub(crate) fn look(&mut self, vault: bool) -> Result<Local, String> {
        let path = below(&self.root, ERRAND);
        let errand: Option<Errand> = read(&path)?;
        if errand.as_ref().is_some_and(|errand| errand.version != ERRAND_VERSION) {
            return Err(format!("{} was written by another version of the agent", path.display()));
        }
        let local = self.generations.look()?;
        let (started, failed_units) = self.generations.units();
        Ok(Local { errand, started, failed_units, vault, ..local })
    }

    /// Whether there is a Vault on this node.
    pub(crate) fn has_vault(&self) -> bool {
        self.has_vault
    }

    pub(crate) fn generations(&mut self) -> &mut G {
        &mut self.generations
    }

    /// Writes the errand; it is on the medium afterwards.
    pub(crate) fn begin(&self, errand: &Errand) -> Result<(), String> {
        let path = below(&self.root, ERRAND);
        let text = serde_json::to_vec(errand).map_err(|error| error.to_string())?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        durable::write(&path, &text, 0o644).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Removes it.
    pub(crate) fn end(&self) -> Result<(), String> {
        let path = below(&self.root, ERRAND);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{}: {error}", path.display())),
            _ => Ok(()),
        }
    }
}

/// The generations of this node, as the agent's other verbs have them.
pub(crate) struct Card {
    root: PathBuf,
    places: Places,
}

impl Card {
    pub(crate) fn below(root: &Path) -> Self {
        Self { root: root.to_owned(), places: Places::below(root) }
    }

    /// Whether the clock can be right: set by the network where something sets it, and no earlier than the generation.
    fn clock(&self, epoch: u32) -> bool {
        let timesync = below(&self.root, "/run/systemd/timesync");
        let is_set = !timesync.exists() || timesync.join("synchronized").exists();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        is_set && now >= u64::from(epoch)
    }
}

impl Generations for Card {
    fn look(&mut self) -> Result<Local, String> {
        let told = generations::told(&self.places).map_err(|error| error.to_string())?;
        let order: Option<Order> = read(&below(&self.root, ORDER))?;
        let order = order.filter(|order| order.version == ORDER_VERSION);
        let local = known(&told, order.as_ref());
        let epoch =
            |generation: Digest| told.generations.iter().find(|one| one.id == Some(generation)).map(|one| one.epoch);
        let clock = self.clock(local.staged.and_then(|staged| epoch(staged.generation)).unwrap_or(0));
        Ok(Local { rescue: below(&self.root, generation::RESCUE).exists(), clock, ..local })
    }

    fn start_trial(&mut self, generation: Digest) -> Result<(), String> {
        generations::arm(&self.places, &generation.to_string()).map_err(|error| error.to_string())?;
        systemd::reboot().map_err(|error| error.to_string())
    }

    fn keep(&mut self, _generation: Digest) -> Result<(), String> {
        generations::commit(&self.places).map(drop).map_err(|error| error.to_string())
    }

    fn go_back(&mut self) -> Result<(), String> {
        // Stage 1 has set the pointer back already: any reboot leads to the last good generation.
        systemd::reboot().map_err(|error| error.to_string())
    }

    fn condemn(&mut self, generation: Digest, reason: &str) -> Result<(), String> {
        generations::condemn(&self.places, generation, reason).map(drop).map_err(|error| error.to_string())
    }

    fn units(&mut self) -> (bool, BTreeSet<String>) {
        let (system, failed) = systemd::health();
        (systemd::has_started(&system), failed)
    }
}

/// What a node says of its generations, in the rollout's terms.
fn known(told: &state::Generations, order: Option<&Order>) -> Local {
    let id = |slot| told.generations.iter().find(|one| one.slot == slot).and_then(|one| one.id);
    let tried = told.generations.iter().filter(|one| one.state == State::Tried && one.slot != told.running);
    let mut ended: Vec<Ended> =
        told.bad.iter().map(|bad| Ended { generation: bad.id, reason: Some(bad.reason.clone()) }).collect();
    for generation in tried.filter_map(|one| one.id) {
        if ended.iter().all(|known| known.generation != generation) {
            ended.push(Ended { generation, reason: None });
        }
    }
    // One that was tried stays on the order; that it has ended is what keeps it from starting.
    let is_whole = |order: &&Order| {
        let waits = |one: &state::Generation| matches!(one.state, State::Staged | State::Tried);
        told.generations.iter().any(|one| one.id == Some(order.generation) && waits(one))
    };
    Local {
        running: id(told.running),
        on_trial: told.on_trial,
        armed: if told.next == told.good || told.next == told.running { None } else { id(told.next) },
        staged: order.filter(is_whole).map(|order| Staged {
            generation: order.generation,
            canary: order.canary,
            accept_outage: order.accept_outage,
        }),
        ended,
        ..Local::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hah_node::generation::Slot;

    fn told(running: u8, next: u8, on_trial: bool, second: State) -> state::Generations {
        let slot = |name| Slot::new(name).unwrap();
        let one = |name: u8, state| state::Generation {
            slot: slot(name),
            id: Some(Digest([name; 32])),
            image: "lab".to_owned(),
            board: "virt".to_owned(),
            key: None,
            epoch: 0,
            state,
        };
        state::Generations {
            version: state::VERSION,
            hostname: "n1".to_owned(),
            boot_id: String::new(),
            running: slot(running),
            good: slot(b'0'),
            on_trial,
            next: slot(next),
            generations: vec![one(b'0', State::Flashed), one(b'1', second)],
            wants_signature: false,
            bad: Vec::new(),
        }
    }

    #[test]
    fn what_a_node_says_of_its_generations() {
        let (flashed, second) = (Digest([b'0'; 32]), Digest([b'1'; 32]));
        let order = Order { version: ORDER_VERSION, generation: second, canary: true, accept_outage: false };
        let local = known(&told(b'0', b'0', false, State::Staged), Some(&order));
        assert_eq!((local.running, local.armed, local.on_trial), (Some(flashed), None, false));
        assert_eq!(local.wanted(), Some(Staged { generation: second, canary: true, accept_outage: false }));
        assert!(local.ended.is_empty());
        // Staged for later: nobody has ordered it.
        assert_eq!(known(&told(b'0', b'0', false, State::Staged), None).wanted(), None);
        // The reboot has not begun yet.
        let local = known(&told(b'0', b'1', false, State::Tried), Some(&order));
        assert_eq!(local.armed, Some(second));
        // It runs on trial: it has not ended.
        let local = known(&told(b'1', b'0', true, State::Tried), Some(&order));
        assert_eq!((local.running, local.armed, local.on_trial), (Some(second), None, true));
        assert!(local.ended.is_empty() && local.wanted().is_none());
        // It was tried, and something else runs.
        let local = known(&told(b'0', b'0', false, State::Tried), Some(&order));
        assert_eq!(local.ended, [Ended { generation: second, reason: None }]);
        let mut bad = told(b'0', b'0', false, State::Tried);
        bad.bad.push(state::Bad { id: second, reason: "it hung".to_owned() });
        let local = known(&bad, Some(&order));
        assert_eq!(local.ended, [Ended { generation: second, reason: Some("it hung".to_owned()) }]);
        // A person went back to the flashed one after it was kept.
        assert_eq!(known(&told(b'0', b'0', false, State::Kept), Some(&order)).wanted(), None);
    }
}
