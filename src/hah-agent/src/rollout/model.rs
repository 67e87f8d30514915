//! The model test: up to five nodes in a simulated world, under random schedules.
//!
//! The world has Consul's servers with a linearisable KV, which answers while a majority of them is there; Nomad's drains;
//! boot pointers and cards that outlive the power; and a person. Requests are lost or arrive late, by at most
//! [`ARRIVES_WITHIN`]; replies are lost, late or doubled; agents are killed; nodes lose power at any moment, also within
//! the writing of the boot pointer, or for ever; leaders come and go; clocks are wrong; nodes are cut off; generations die
//! in stage 1, hang, come up without network, without Consul, with a broken Nomad, or with a unit that fails; another
//! generation is staged in the middle. Then the world is calm, a person clears up what only a person may, and every node
//! must come to rest where it should.
//!
//! Invariants, each with the mutations of the machine that must break it ([`mutations`]):
//! - **one**: never are two nodes down on purpose, or on trial, at once;
//! - **servers**: no server goes while another one is known to be missing, nor the one that cannot be spared;
//! - **bad-once**: one node tries a generation that is bad, and no other;
//! - **once**: no node tries a generation twice, unless a person says so;
//! - **gate**: what is kept is good;
//! - **just**: what has not started yet is not condemned;
//! - **stop**: nobody reboots into a trial while the stop key is there;
//! - **undone**: drains and maintenance are ended, and no lock is left;
//! - **forward**: in a calm world every node that wants a good generation runs it;
//! - **idle**: no agent asks more than [`ASKS_MAX`] questions in a minute.
//!
//! What is not claimed: a person who breaks the lock of a node that is not dead; a power cut during the trial of a good
//! generation, which nothing tells from the generation's fault: it counts as bad until a person says otherwise.

mod world;
mod figures;

use super::machine::Mutation;
use crate::schedules::{self, Coverage, Verdict};
use world::Schedule;

/// How many schedules a test run explores; `HAH_ROLLOUT_SCHEDULES` says another number.
const SCHEDULES: u64 = 40_000;
/// How many a mutation may need to be noticed.
const FOR_MUTATIONS: u64 = 400_000;

/// The schedule of a seed, with the machine as it is or broken on purpose.
fn play(mutation: Option<Mutation>) -> impl Fn(u64, &mut Coverage) -> Result<(), Verdict> + Sync {
    move |seed, seen| Schedule::new(seed, mutation).run(seen)
}

#[allow(clippy::disallowed_methods, reason = "the environment says how long the test may take")]
fn schedules() -> u64 {
    std::env::var("HAH_ROLLOUT_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(SCHEDULES)
}

#[test]
fn no_schedule_breaks_an_invariant() {
    schedules::hold(schedules(), world::VISITED, &play(None), |seed| Schedule::new(seed, None).trace());
}

/// Every invariant notices the mutations that it is there for.
mod mutations {
    use super::*;

    #[track_caller]
    fn check(mutation: Mutation, invariants: &[&str]) {
        schedules::notice(mutation, invariants, FOR_MUTATIONS, &play(Some(mutation)));
    }

    #[test]
    fn a_start_without_the_lock() {
        check(Mutation::SkipLock, &["one"]);
    }

    #[test]
    fn a_lock_that_is_given_back_before_the_reboot() {
        check(Mutation::UnlockEarly, &["one"]);
    }

    #[test]
    fn a_lock_that_is_taken_over() {
        check(Mutation::TakeOver, &["one"]);
    }

    #[test]
    fn a_reboot_that_has_not_begun_counts_as_an_end() {
        check(Mutation::ArmedIsEnded, &["just"]);
    }

    #[test]
    fn a_cluster_that_is_not_looked_at_again() {
        check(Mutation::NoSecondLook, &["servers"]);
    }

    #[test]
    fn answers_from_long_ago() {
        check(Mutation::Stale, &["servers", "stop", "one"]);
    }

    #[test]
    fn a_server_that_cannot_be_spared() {
        check(Mutation::NoConsent, &["servers"]);
    }

    #[test]
    fn a_bad_list_that_nobody_reads() {
        check(Mutation::IgnoreBad, &["bad-once"]);
    }

    #[test]
    fn a_bad_generation_that_nobody_hears_of() {
        check(Mutation::KeepQuiet, &["bad-once"]);
    }

    #[test]
    fn a_generation_that_is_tried_again() {
        check(Mutation::TryAgain, &["once", "one", "bad-once"]);
    }

    #[test]
    fn a_gate_that_is_open() {
        check(Mutation::NoGate, &["gate"]);
    }

    #[test]
    fn a_gate_without_a_deadline() {
        check(Mutation::NoDeadline, &["forward"]);
    }

    #[test]
    fn a_stop_key_that_nobody_reads() {
        check(Mutation::IgnoreStop, &["stop"]);
    }

    #[test]
    fn a_node_that_stays_drained() {
        check(Mutation::ForgetUndo, &["undone"]);
    }

    #[test]
    fn a_drain_that_arrives_late() {
        check(Mutation::NoQuiet, &["undone"]);
    }

    #[test]
    fn a_turn_that_never_comes() {
        check(Mutation::NoPatience, &["forward"]);
    }

    #[test]
    fn a_lock_that_is_kept() {
        check(Mutation::KeepLock, &["forward", "idle", "undone"]);
    }

    #[test]
    fn passes_without_sleep() {
        check(Mutation::NoSleep, &["idle"]);
    }
}
