//! What schedules have to visit, so that the invariants say something.

use super::Coverage;
use crate::closing::machine::State;
use crate::closing::words::{Note, Unmet};

/// What else than rungs has to be visited.
pub(in crate::closing::model) const VISITED: [&str; 29] = [
    "conflict",
    "claim lost",
    "claimed by another",
    "not submitted yet",
    "stopped",
    "lost",
    "lost, others submit",
    "resubmitted",
    "updated",
    "newer elsewhere",
    "changed by hand",
    "foreign marker",
    "foreign marker, no job",
    "taken over",
    "no leader",
    "too few servers",
    "job waits",
    "Prometheus down",
    "targets down",
    "fell",
    "person started it again",
    "forgotten by Nomad",
    "five agents",
    "went back",
    "set-up taken over",
    "set up again",
    "secrets gone",
    "not set up yet",
    "set up by another",
];

/// What a pass that has ended has seen.
pub(super) fn visit(state: &State, seen: &mut Coverage) {
    seen.add(state.rung.name());
    match &state.waiting {
        Some(Unmet::Claimed(_)) => seen.add("claimed by another"),
        Some(Unmet::NotSubmitted) => seen.add("not submitted yet"),
        Some(Unmet::Stopped) => seen.add("stopped"),
        Some(Unmet::Lost) => seen.add("lost"),
        Some(Unmet::LostElsewhere) => seen.add("lost, others submit"),
        Some(Unmet::Foreign(_)) => seen.add("foreign marker, no job"),
        Some(Unmet::Quorum(_, _, quorum)) if quorum.leader => seen.add("too few servers"),
        Some(Unmet::Quorum(..)) => seen.add("no leader"),
        Some(Unmet::Job(_)) => seen.add("job waits"),
        Some(Unmet::Prometheus(_)) => seen.add("Prometheus down"),
        Some(Unmet::Targets(_)) => seen.add("targets down"),
        Some(Unmet::NotSetUp(_)) => seen.add("not set up yet"),
        Some(Unmet::SettingUp(_)) => seen.add("set up by another"),
        _ => {}
    }
    for note in &state.notes {
        match note {
            Note::Newer(_) => seen.add("newer elsewhere"),
            Note::ChangedByHand => seen.add("changed by hand"),
            Note::WentBack(..) => seen.add("went back"),
            Note::Foreign(_) => seen.add("foreign marker"),
            _ => {}
        }
    }
}
