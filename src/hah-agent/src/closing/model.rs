//! The model test: up to five machines in a simulated world, under random schedules.
//!
//! The world has a linearisable KV store, a Nomad that enforces indices, a Prometheus that comes up with the job, and a
//! person. Requests are lost or arrive late, by at most [`ARRIVES_WITHIN`]; replies are lost, late or doubled; leaders
//! come and go; agents crash and come back, perhaps with a newer image; clocks jump; Nomad forgets stopped jobs; Nomad's
//! or Consul's state is wiped. Then the world is calm, and every agent must come to rest where it should.
//!
//! Invariants, each with the mutations of the machine that must break it ([`mutations`]):
//! - **once**: an intended version is effectively submitted at most once, and once more for each time it was lost;
//! - **stopped**: what the person stopped is never brought back, nor what they purged unless `if-lost` says so;
//! - **forward**: in a calm world every agent gets to the end of the loop, or to the sentence that says why not, and of a
//!   closed cluster's servers none keeps the secrets of the set-up;
//! - **set-up**: in a closed cluster nobody sets up what another has claimed;
//! - **stripped**: no server throws the secrets of the set-up away before all is made with them;
//! - **bounded**: no delay is longer than [`pace::LONGEST`] and a quarter;
//! - **idle**: no agent asks more than [`ASKS_MAX`] questions in a minute.
//!
//! What is not claimed: a person who purges the job within the half minute in which a submission is still on its way, or
//! creates the job by hand in that time. Nomad forgets a purged job, so nothing could tell.

mod world;

use hah_node::closing::Rung;

use super::machine::Mutation;
use crate::schedules::{self, Coverage, Verdict};
use world::Schedule;

/// How many schedules a test run explores.
const SCHEDULES: u64 = 1_000_000;

/// The schedule of a seed, with the machine as it is or broken on purpose.
fn play(mutation: Option<Mutation>) -> impl Fn(u64, &mut Coverage) -> Result<(), Verdict> + Sync {
    move |seed, seen| Schedule::new(seed, mutation).run(seen)
}

#[test]
fn no_schedule_breaks_an_invariant() {
    let wanted = Rung::ALL.map(Rung::name).into_iter().chain(world::VISITED);
    schedules::hold(SCHEDULES, wanted, &play(None), |seed| Schedule::new(seed, None).trace());
}

/// Every invariant notices the mutations that it is there for.
mod mutations {
    use super::*;

    #[track_caller]
    fn check(mutation: Mutation, invariants: &[&str]) {
        schedules::notice(mutation, invariants, SCHEDULES, &play(Some(mutation)));
    }

    #[test]
    fn a_submission_that_overwrites() {
        check(Mutation::NotEnforced, &["once", "stopped"]);
    }

    #[test]
    fn a_submission_without_a_claim() {
        check(Mutation::SkipClaim, &["once", "stopped"]);
    }

    #[test]
    fn claims_taken_over_at_once() {
        check(Mutation::NoPatience, &["once", "stopped", "set-up"]);
    }

    #[test]
    fn versions_that_come_back() {
        check(Mutation::IgnorePast, &["once"]);
    }

    #[test]
    fn a_stopped_job_is_like_any_other() {
        check(Mutation::IgnoreStop, &["stopped"]);
    }

    #[test]
    fn a_stop_that_nobody_remembers() {
        check(Mutation::ForgetStop, &["stopped"]);
    }

    #[test]
    fn waiting_for_a_lost_answer() {
        check(Mutation::NoDeadline, &["forward", "idle"]);
    }

    #[test]
    fn a_claim_whose_writer_died() {
        check(Mutation::NoTakeOver, &["forward"]);
    }

    #[test]
    fn a_set_up_without_a_claim() {
        check(Mutation::SkipSetUpClaim, &["set-up"]);
    }

    #[test]
    fn secrets_that_go_too_early() {
        check(Mutation::FinishEarly, &["stripped"]);
    }

    #[test]
    fn secrets_that_stay() {
        check(Mutation::KeepSecrets, &["forward"]);
    }

    #[test]
    fn delays_without_bound() {
        check(Mutation::NoBound, &["bounded"]);
    }

    #[test]
    fn passes_without_sleep() {
        check(Mutation::NoSleep, &["idle"]);
    }
}
