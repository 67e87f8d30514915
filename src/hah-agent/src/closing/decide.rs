//! Given what the cluster remembers and what Nomad has: what is to be done with the job?
//!
//! | marker \ job | there | stopped | not there |
//! |---|---|---|---|
//! | none | remember it | remember it as stopped | **claim, submit** |
//! | submitting | it came true: remember it | remember it as stopped | take over when the claim is old |
//! | submitted | follow; **claim, update** when this image's version is new | remember it as stopped | lost: say so, or **claim, submit** |
//! | stopped | the person started it: remember | leave it | leave it |
//!
//! A claim is a marker `submitting`, written by compare-and-set on the marker that this decision rests on. Only the
//! writer of a claim submits, and only at once. So a submission never rests on a marker that somebody has replaced:
//! an agent that slept through submission, stop and purge cannot bring the job back.

use hah_node::closing::{MARKER_VERSION, Marker, PAST_MAX, Phase, Resubmit};

use super::machine::{Intent, Settings};
use super::view::{Job, Memory};
use super::words::{Note, Unmet};

/// How long the marker has stood as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Whoever wrote it may still be at it.
    Fresh,
    /// Nobody is.
    Old,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The job is there: look how it is. With what a person should know.
    Follow(Option<Note>),
    /// Write this claim where the marker has this index, then submit against this `JobModifyIndex`.
    Claim {
        /// The marker's `ModifyIndex`; 0 when there is none.
        cas: u64,
        /// What to write.
        marker: Box<Marker>,
    },
    /// Write this marker where the marker has this index.
    Record {
        /// As above.
        cas: u64,
        /// What to write.
        marker: Box<Marker>,
    },
    /// Nothing can be done now.
    Wait(Unmet),
}

/// Decides.
pub(crate) fn decide(settings: &Settings, intent: &Intent, memory: &Memory, job: Option<&Job>, age: Age) -> Decision {
    let (cas, marker) = match memory {
        Memory::Blank => (0, None),
        Memory::Known(index, marker) if marker.job == intent.id => (*index, Some(&**marker)),
        Memory::Known(_, marker) => return foreign(format!("it is about the job {}", marker.job), job),
        Memory::Foreign(why) => return foreign(why.clone(), job),
    };
    match (marker, job) {
        (_, Some(job)) if job.stopped && !settings.breaks_ignore_stop() => stopped(settings, intent, cas, marker, job),
        (None, Some(job)) => Decision::Record { cas, marker: Box::new(found(settings, intent, job)) },
        (Some(marker), Some(job)) => there(settings, intent, (cas, marker), job, age),
        (None, None) if settings.submit => {
            Decision::Claim { cas, marker: Box::new(claim(settings, intent, Vec::new(), 0)) }
        }
        (None, None) => Decision::Wait(Unmet::NotSubmitted),
        (Some(marker), None) => absent(settings, intent, (cas, marker), age),
    }
}

/// A marker that this agent must not touch: it submits nothing.
fn foreign(why: String, job: Option<&Job>) -> Decision {
    match job {
        Some(job) if job.stopped => Decision::Wait(Unmet::Stopped),
        Some(_) => Decision::Follow(Some(Note::Foreign(why))),
        None => Decision::Wait(Unmet::Foreign(why)),
    }
}

fn stopped(settings: &Settings, intent: &Intent, cas: u64, marker: Option<&Marker>, job: &Job) -> Decision {
    match marker {
        Some(marker) if marker.phase == Phase::Stopped => Decision::Wait(Unmet::Stopped),
        Some(_) if settings.breaks_forget_stop() => Decision::Wait(Unmet::Stopped),
        Some(marker) => {
            let marker = Marker { phase: Phase::Stopped, by: settings.node.clone(), ..marker.clone() };
            Decision::Record { cas, marker: Box::new(marker) }
        }
        None => {
            let marker = Marker { phase: Phase::Stopped, ..found(settings, intent, job) };
            Decision::Record { cas, marker: Box::new(marker) }
        }
    }
}

/// A job that nobody remembers: the marker was lost, or the person was first.
fn found(settings: &Settings, intent: &Intent, job: &Job) -> Marker {
    Marker {
        version: MARKER_VERSION,
        job: intent.id.clone(),
        hah_job: job.hah_job.clone(),
        phase: Phase::Submitted,
        index: as_written(job),
        past: Vec::new(),
        by: settings.node.clone(),
        closed_at: None,
        closed_by: None,
    }
}

/// The index that an agent wrote, as far as the job itself tells: its first version and ours, or 0.
fn as_written(job: &Job) -> u64 {
    if job.version == 0 && !job.hah_job.is_empty() { job.index } else { 0 }
}

/// The job runs, or is to run.
fn there(settings: &Settings, intent: &Intent, known: (u64, &Marker), job: &Job, age: Age) -> Decision {
    let (cas, marker) = known;
    let ours = marker.hah_job == intent.hah_job;
    match marker.phase {
        Phase::Submitting => {
            let done = Marker { phase: Phase::Submitted, by: settings.node.clone(), ..marker.clone() };
            let done = if job.hah_job == marker.hah_job {
                Marker { index: job.index, ..done }
            } else if marker.index == 0 && as_written(job) != 0 {
                // Somebody else's claim came true first.
                Marker { index: job.index, hah_job: job.hah_job.clone(), ..done }
            } else if job.index == marker.index && age == Age::Fresh {
                return Decision::Follow(Some(Note::BeingUpdated(marker.hah_job.clone())));
            } else if job.index == marker.index && settings.submit && ours {
                // The claimed update never arrived.
                let past = marker.past.clone();
                return Decision::Claim { cas, marker: Box::new(claim(settings, intent, past, marker.index)) };
            } else if job.index == marker.index {
                // Nobody who has that version is left, perhaps: what runs is what counts.
                let mut past = marker.past.clone();
                past.retain(|version| *version != job.hah_job);
                Marker { hah_job: job.hah_job.clone(), past, ..done }
            } else {
                // Changed by hand while the update was on its way: the index no longer fits, and that is remembered.
                done
            };
            Decision::Record { cas, marker: Box::new(done) }
        }
        Phase::Stopped => {
            let marker = Marker { phase: Phase::Submitted, by: settings.node.clone(), ..marker.clone() };
            Decision::Record { cas, marker: Box::new(marker) }
        }
        Phase::Submitted if ours || !settings.submit => Decision::Follow(by_hand(marker, job)),
        Phase::Submitted if marker.past.contains(&intent.hah_job) && !settings.breaks_ignore_past() => {
            Decision::Follow(Some(Note::Newer(marker.hah_job.clone())))
        }
        Phase::Submitted if job.index != marker.index => Decision::Follow(by_hand(marker, job)),
        Phase::Submitted => {
            let past = with(&marker.past, &marker.hah_job);
            let claim = claim(settings, intent, past, marker.index);
            let claim = Marker { closed_at: marker.closed_at, closed_by: marker.closed_by.clone(), ..claim };
            Decision::Claim { cas, marker: Box::new(claim) }
        }
    }
}

fn by_hand(marker: &Marker, job: &Job) -> Option<Note> {
    (job.index != marker.index).then_some(Note::ChangedByHand)
}

/// The marker is there, the job is not.
fn absent(settings: &Settings, intent: &Intent, known: (u64, &Marker), age: Age) -> Decision {
    let (cas, marker) = known;
    let was_there = marker.phase != Phase::Submitting || marker.index != 0;
    let newer = marker.past.contains(&intent.hah_job);
    match marker.phase {
        Phase::Stopped => return Decision::Wait(Unmet::Stopped),
        Phase::Submitting if age == Age::Fresh => {
            return Decision::Wait(Unmet::Claimed(marker.by.clone()));
        }
        _ if was_there && settings.resubmit == Resubmit::Never => return Decision::Wait(Unmet::Lost),
        _ if !settings.submit && was_there => return Decision::Wait(Unmet::LostElsewhere),
        _ if !settings.submit => return Decision::Wait(Unmet::NotSubmitted),
        // A node with the newer image is to submit it, unless there is none.
        _ if newer && age == Age::Fresh => return Decision::Wait(Unmet::LostElsewhere),
        _ => {}
    }
    let mut past = if was_there { with(&marker.past, &marker.hah_job) } else { marker.past.clone() };
    if newer {
        // What this image has is the newest that is left.
        past.truncate(past.iter().position(|version| *version == intent.hah_job).unwrap_or(past.len()));
    }
    past.retain(|version| *version != intent.hah_job);
    Decision::Claim { cas, marker: Box::new(claim(settings, intent, past, 0)) }
}

/// A claim to submit this image's job in the place of the job that has the index.
fn claim(settings: &Settings, intent: &Intent, past: Vec<String>, index: u64) -> Marker {
    Marker {
        version: MARKER_VERSION,
        job: intent.id.clone(),
        hah_job: intent.hah_job.clone(),
        phase: Phase::Submitting,
        index,
        past,
        by: settings.node.clone(),
        closed_at: None,
        closed_by: None,
    }
}

/// The list with one more version at its end, the oldest dropped when it gets long.
fn with(past: &[String], version: &String) -> Vec<String> {
    let mut longer: Vec<String> = past.iter().filter(|known| *known != version).cloned().collect();
    longer.push(version.clone());
    let surplus = longer.len().saturating_sub(PAST_MAX);
    longer.drain(..surplus);
    longer
}
