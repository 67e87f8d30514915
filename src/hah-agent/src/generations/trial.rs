//! A trial: begun, watched, and ended in one of two ways, exactly once.
//!
//! | what happens | what the next boot is | what is written |
//! |---|---|---|
//! | `try` | N, on trial | `N/tried`, then the pointer |
//! | the gate is passed, or `commit` | N | the pointer, then `N/kept` |
//! | the gate is not passed in time | the good one, at once | `N/failed`: why |
//! | anything dies, hangs or loses power | the good one | nothing: its `settle` sees `N/tried`, and N is bad |

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hah_node::generation::state::State;
use hah_node::generation::{KEPT, Slot, TRIAL_SECONDS, TRIED};
use hah_node::rollout::{ERRAND, ORDER, ORDER_VERSION, Order};
use rustix::system::RebootCommand;
use serde::{Deserialize, Serialize};

use super::gate::{self, Health, Verdict};
use super::shelf::{self, Places, Shelf};
use super::{Doing, Error, receive};
use crate::{console, durable, pointer};

/// Why a trial was given up, until the good generation has read it.
const FAILED: &str = "failed";
/// How often the gate is looked at.
const POLL: Duration = Duration::from_secs(3);
/// How much longer than the gate the guard waits, in seconds: it is for systems in which nothing else works.
const GUARD_EXTRA: u64 = 120;
/// A node says how it is with pauses; the gate wants to see it well this many times in a row.
const STEADY: u32 = 3;

/// [`TRIED`], as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tried {
    /// How the node was before.
    before: Health,
    /// How long the trial may last, in seconds.
    seconds: u64,
}

/// Has the next boot try a generation.
pub(crate) fn arm(places: &Places, name: &str) -> Result<Slot, Error> {
    if places.is_rescue() {
        return Err(Error::Rescue);
    }
    let _turn = super::turn(places)?;
    let shelf = Shelf::read(places)?;
    let entry = shelf.find(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
    let (slot, Some((id, closure))) = (entry.slot, &entry.described) else {
        return Err(Error::Unknown(name.to_owned()));
    };
    if let Some(reason) = shelf::why_bad(places, *id) {
        return Err(Error::Bad { slot, reason });
    }
    receive::verify(places, &shelf, slot, closure)?;
    let mut found = pointer::read(&places.boot)?;
    if found.pointer.good == slot || entry.state == State::Kept || slot == Slot::FLASHED {
        // Known to be good: what starts is what stays.
        found.write(hah_node::generation::pointer::Pointer::keeping(slot))?;
        return Ok(slot);
    }
    let tried = Tried { before: gate::look(places), seconds: TRIAL_SECONDS };
    let path = places.directory(slot).join(TRIED);
    let text = serde_json::to_vec(&tried).map_err(Error::Answer)?;
    durable::write(&path, &text, 0o644).doing(|| format!("write {}", path.display()))?;
    let trying = found.pointer.trying(slot);
    found.write(trying)?;
    Ok(slot)
}

/// Has the rollout try a generation, when the cluster can spare this node: see [`crate::rollout`].
pub(super) fn order(places: &Places, name: &str, canary: bool, accept_outage: bool) -> Result<Slot, Error> {
    if places.is_rescue() {
        return Err(Error::Rescue);
    }
    let shelf = Shelf::read(places)?;
    let entry = shelf.find(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
    let slot = entry.slot;
    let id = entry.id().ok_or_else(|| Error::Unknown(name.to_owned()))?;
    if let Some(reason) = shelf::why_bad(places, id) {
        return Err(Error::Bad { slot, reason });
    }
    if !matches!(entry.state, State::Staged) {
        let text = format!(
            "generation {slot} was started before: a rollout starts what is new; `hah-agent generations try {slot}`"
        );
        return Err(Error::Refused(text));
    }
    let order = Order { version: ORDER_VERSION, generation: id, canary, accept_outage };
    let path = places.at(ORDER);
    let text = serde_json::to_vec(&order).map_err(Error::Answer)?;
    durable::write(&path, &text, 0o644).doing(|| format!("write {}", path.display()))?;
    Ok(slot)
}

/// Keeps what is on trial.
pub(crate) fn commit(places: &Places) -> Result<Slot, Error> {
    let report = places.report()?;
    let slot = report.generation;
    if !report.on_trial {
        return Err(Error::NotOnTrial(slot));
    }
    let mut found = pointer::read(&places.boot)?;
    found.write(hah_node::generation::pointer::Pointer::keeping(slot))?;
    mark(places.directory(slot).join(KEPT))?;
    mark(places.settled())?;
    Ok(slot)
}

fn mark(path: PathBuf) -> Result<(), Error> {
    durable::write(&path, b"", 0o644).doing(|| format!("write {}", path.display()))
}

/// Goes back: to the generation that is named, else to the one before, else to what was flashed.
pub(super) fn roll_back(places: &Places, name: Option<&str>) -> Result<Slot, Error> {
    let _turn = super::turn(places)?;
    let shelf = Shelf::read(places)?;
    let running = shelf.report.generation;
    let slot = match name {
        Some(name) => shelf.find(name).ok_or_else(|| Error::Unknown(name.to_owned()))?.slot,
        None => {
            let others = shelf.entries.iter().filter(|entry| entry.slot != running);
            let kept = others.filter(|entry| matches!(entry.state, State::Kept | State::Flashed));
            let newest =
                kept.max_by_key(|entry| (entry.described.as_ref().map(|(_, closure)| closure.epoch), entry.slot));
            newest.ok_or_else(|| Error::Refused("there is no other generation that was kept".to_owned()))?.slot
        }
    };
    if let Some(entry) = shelf.entries.iter().find(|entry| entry.slot == slot) {
        if !matches!(entry.state, State::Kept | State::Flashed) {
            return Err(Error::Refused(format!(
                "generation {slot} was never kept: `hah-agent generations try {slot}`"
            )));
        }
        if let Some((_, closure)) = &entry.described {
            receive::verify(places, &shelf, slot, closure)?;
        }
    }
    pointer::read(&places.boot)?.write(hah_node::generation::pointer::Pointer::keeping(slot))?;
    Ok(slot)
}

/// hah-generation.service: decides a trial, and tells what became of one that did not last.
pub(super) fn settle(places: &Places) -> Result<(), Error> {
    let shelf = Shelf::read(places)?;
    condemn(places, &shelf)?;
    if let Some(entry) = shelf.current()
        && entry.state == State::Tried
        && shelf.report.good == entry.slot
    {
        // It was kept, and the power went before that was written down.
        mark(places.directory(entry.slot).join(KEPT))?;
    }
    if !shelf.report.on_trial || places.settled().exists() {
        return Ok(());
    }
    let slot = shelf.report.generation;
    if places.at(ERRAND).exists() {
        // The rollout began this trial: it asks the cluster too, and what ends it at the latest is the guard.
        console::journal(&format!("generation {slot} is on trial, and the rollout decides"));
        return Ok(());
    }
    let tried = read_tried(places, slot);
    let before = tried.before;
    let end = Instant::now() + Duration::from_secs(tried.seconds);
    let (mut seen, mut last) = (0, String::new());
    loop {
        match gate::judge(&before, &gate::look(places)) {
            Verdict::Pass => {
                seen += 1;
                if seen >= STEADY {
                    commit(places)?;
                    console::announce(&places.at("/dev/kmsg"), &format!("generation {slot} is kept"));
                    return Ok(());
                }
            }
            Verdict::Wait(reason) => {
                seen = 0;
                if reason != last {
                    console::journal(&format!("generation {slot} on trial: {reason}"));
                    last = reason;
                }
                // A person may have kept it meanwhile.
                if places.settled().exists() {
                    return Ok(());
                }
            }
        }
        if Instant::now() >= end {
            let path = places.directory(slot).join(FAILED);
            let reason = format!("the gate was not passed in {} s: {last}", tried.seconds);
            durable::write(&path, reason.as_bytes(), 0o644).doing(|| format!("write {}", path.display()))?;
            console::announce(&places.at("/dev/kmsg"), &format!("generation {slot} goes: {reason}"));
            return super::reboot();
        }
        std::thread::sleep(POLL);
    }
}

fn read_tried(places: &Places, slot: Slot) -> Tried {
    let text = fs::read(places.directory(slot).join(TRIED)).unwrap_or_default();
    let tried: Tried = serde_json::from_slice(&text).unwrap_or_default();
    Tried { seconds: if tried.seconds == 0 { TRIAL_SECONDS } else { tried.seconds.min(86_400) }, ..tried }
}

/// Whatever was tried, is not kept, and does not run now, did not last.
pub(super) fn condemn(places: &Places, shelf: &Shelf) -> Result<(), Error> {
    let pointer = pointer::read(&places.boot)?.pointer;
    for entry in shelf.entries.iter().filter(|entry| entry.state == State::Tried) {
        let slot = entry.slot;
        if slot == shelf.report.generation || slot == pointer.good || pointer.trial == Some(slot) {
            continue;
        }
        let Some(id) = entry.id() else { continue };
        let failed = fs::read_to_string(places.directory(slot).join(FAILED)).ok();
        let reason = failed.unwrap_or_else(|| "it was started, and ended before it was kept".to_owned());
        if shelf::condemn(places, id, &reason)? {
            console::announce(
                &places.at("/dev/kmsg"),
                &format!("generation {slot} did not last, and is not tried again: {reason}"),
            );
        }
    }
    Ok(())
}

/// What stage 1 starts in a trial: reboots when nobody has kept it in time, whatever systemd does.
pub(super) fn guard(places: &Places) -> Result<(), Error> {
    let report = places.report()?;
    let seconds = read_tried(places, report.generation).seconds.saturating_add(GUARD_EXTRA);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        std::thread::sleep(POLL);
        if places.settled().exists() {
            return Ok(());
        }
    }
    console::announce(&places.at("/dev/kmsg"), "nobody has kept this generation: rebooting into the good one");
    rustix::fs::sync();
    rustix::system::reboot(RebootCommand::Restart).doing(|| "reboot".to_owned())
}
