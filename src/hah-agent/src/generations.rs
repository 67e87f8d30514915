//! `hah-agent receive | generations | commit | rollback`: the node's next system, from its arrival to its stay.
//!
//! ```text
//!  receive ─► incoming ─► staged ─► try: tried, pointer N ─► reboot ─► stage 1 disarms the pointer
//!     │ verified                                                          │
//!     └ copied from this card, or sent                                    ▼
//!                                             kept ◄─ the gate is passed ─┴─ not in time, or it died ─► bad, once
//! ```
//!
//! What is on the card is [`shelf`]'s; how it arrives, [`receive`]'s; whether it stays, [`trial`]'s. Nothing here is
//! visible to a start of the machine before it is whole and on the medium, and every step can be cut short.

mod shelf;
mod incoming;
mod receive;
mod gate;
mod trial;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hah_node::generation::closure::ClosureError;
use hah_node::generation::{Digest, Slot, state};
use rustix::fs::{FlockOperation, flock};

use crate::{console, pointer, systemd};
use shelf::Shelf;
pub(crate) use shelf::{Places, condemn};
pub(crate) use trial::{arm, commit};

/// Why a verb does not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing}: {source}")]
    Io { doing: String, source: io::Error },
    #[error(transparent)]
    Pointer(#[from] pointer::Error),
    #[error(transparent)]
    Closure(#[from] ClosureError),
    #[error("{path} is not a report of this agent's version: {source}", path = path.display())]
    Report { path: PathBuf, source: serde_json::Error },
    #[error("the answer cannot be written: {0}")]
    Answer(serde_json::Error),
    #[error("another program of this node is changing generations: wait until it is done")]
    Busy,
    #[error("this node's state is in memory: its data partition cannot be used, so it takes no generation")]
    Rescue,
    #[error("there is no generation {0} here; `hah-agent generations` lists them")]
    Unknown(String),
    #[error("generation {slot} did not last here: {reason}")]
    Bad { slot: Slot, reason: String },
    #[error("generation {slot} is damaged: {what}; send it again")]
    Damaged { slot: Slot, what: String },
    #[error("{0}")]
    Refused(String),
    #[error("generation {0} is not on trial: there is nothing to keep")]
    NotOnTrial(Slot),
}

/// Adds to a system call's error what it was for.
trait Doing<T> {
    /// `doing` completes "cannot …".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { doing: doing(), source: source.into() })
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `receive`.
    Receive,
    /// `generations`, `generations --json`.
    List { json: bool },
    /// `generations try ID [--reboot]`.
    Try { name: String, reboot: bool },
    /// `generations order ID [--canary] [--accept-outage]`.
    Order { name: String, canary: bool, accept_outage: bool },
    /// `generations settle`: hah-generation.service.
    Settle,
    /// `generations guard`: what stage 1 starts in a trial.
    Guard,
    /// `commit`.
    Commit,
    /// `rollback [SLOT] [--reboot]`.
    Rollback { name: Option<String>, reboot: bool },
}

/// Reads the words of a command line; nothing when they make no sense. `--root DIR` at the end is for tests.
pub(crate) fn parse(words: &[&str]) -> Option<(Verb, PathBuf)> {
    let (words, root) = match words {
        [words @ .., "--root", root] => (words, PathBuf::from(root)),
        words => (words, PathBuf::from("/")),
    };
    let (words, reboot) = match words {
        [words @ .., "--reboot"] => (words, true),
        words => (words, false),
    };
    let verb = match words {
        ["generations", "try", name] => Verb::Try { name: (*name).to_owned(), reboot },
        ["rollback"] => Verb::Rollback { name: None, reboot },
        ["rollback", name] => Verb::Rollback { name: Some((*name).to_owned()), reboot },
        _ if reboot => return None,
        ["generations", "order", name, rest @ ..] => {
            let flags = ["--canary", "--accept-outage"];
            if rest.iter().any(|word| !flags.contains(word)) {
                return None;
            }
            let has = |flag: &str| rest.contains(&flag);
            Verb::Order { name: (*name).to_owned(), canary: has(flags[0]), accept_outage: has(flags[1]) }
        }
        ["receive"] => Verb::Receive,
        ["generations"] => Verb::List { json: false },
        ["generations", "--json"] => Verb::List { json: true },
        ["generations", "settle"] => Verb::Settle,
        ["generations", "guard"] => Verb::Guard,
        ["commit"] => Verb::Commit,
        _ => return None,
    };
    Some((verb, root))
}

/// Does what is asked for.
pub(crate) fn run(verb: &Verb, root: &Path) -> Result<(), Error> {
    let places = Places::below(root);
    match verb {
        Verb::Receive => receive::run(&places, &mut io::stdin().lock(), &mut io::stdout().lock()),
        Verb::List { json } => {
            let told = told(&places)?;
            let text = match json {
                true => serde_json::to_string(&told).map_err(Error::Answer)? + "\n",
                false => table(&told),
            };
            console::print(&text);
            Ok(())
        }
        Verb::Try { name, reboot } => {
            let slot = trial::arm(&places, name)?;
            console::print(&format!("generation {slot} is tried by the next boot\n"));
            if *reboot { self::reboot() } else { Ok(()) }
        }
        Verb::Order { name, canary, accept_outage } => {
            let slot = trial::order(&places, name, *canary, *accept_outage)?;
            console::print(&format!("generation {slot} is tried when the cluster can spare this node\n"));
            Ok(())
        }
        Verb::Settle => trial::settle(&places),
        Verb::Guard => trial::guard(&places),
        Verb::Commit => {
            let slot = trial::commit(&places)?;
            console::print(&format!("generation {slot} is kept\n"));
            Ok(())
        }
        Verb::Rollback { name, reboot } => {
            let slot = trial::roll_back(&places, name.as_deref())?;
            console::print(&format!("generation {slot} is the next boot's\n"));
            if *reboot { self::reboot() } else { Ok(()) }
        }
    }
}

/// What a node says of its generations.
pub(crate) fn told(places: &Places) -> Result<state::Generations, Error> {
    Shelf::read(places)?.told(places)
}

fn reboot() -> Result<(), Error> {
    systemd::reboot().doing(|| "reboot".to_owned())
}

/// How long a verb waits for its turn: for the end of the one before it, not for a transfer.
const TURN_WAIT: Duration = Duration::from_secs(3);

/// Keeps everybody else from changing generations until the file is closed.
fn turn(places: &Places) -> Result<File, Error> {
    std::fs::create_dir_all(&places.data).doing(|| format!("make {}", places.data.display()))?;
    let path = places.data.join("lock");
    let lock = File::create(&path).doing(|| format!("open {}", path.display()))?;
    let end = Instant::now() + TURN_WAIT;
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => std::thread::sleep(Duration::from_millis(50)),
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Busy),
            Err(error) => return Err(error).doing(|| format!("lock {}", path.display())),
        }
    }
}

/// The list for people.
fn table(told: &state::Generations) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for generation in &told.generations {
        let mark = if generation.slot == told.running { '*' } else { ' ' };
        let id = generation.id.map_or_else(|| "-".repeat(8), |id: Digest| id.short());
        let key = generation.key.map_or_else(|| "-".repeat(8), |key| key.short());
        let mut words = vec![match generation.state {
            state::State::Flashed => "flashed",
            state::State::Staged => "staged",
            state::State::Tried => "tried",
            state::State::Kept => "kept",
        }];
        if generation.slot == told.running {
            words.push(if told.on_trial { "runs on trial" } else { "runs" });
        }
        if generation.slot == told.good {
            words.push("good");
        }
        if generation.slot == told.next && told.next != told.running {
            words.push("next");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{mark} {}  {id}  {} ({key}) of {}  {}",
            generation.slot,
            generation.image,
            crate::closing::words::date(u64::from(generation.epoch)),
            words.join(", ")
        );
    }
    for bad in &told.bad {
        let _ = writeln!(text, "  bad  {}  {}", bad.id.short(), bad.reason);
    }
    text
}

#[cfg(test)]
mod tests;
