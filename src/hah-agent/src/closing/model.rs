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

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hah_node::closing::Rung;

use super::machine::Mutation;
use world::{Schedule, Verdict};

/// How many schedules a test run explores.
const SCHEDULES: u64 = 1_000_000;

/// What schedules have visited.
#[derive(Default)]
struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }
}

/// Runs schedules, on all processors, until one breaks an invariant; returns that one, and what was visited.
fn explore(schedules: u64, mutation: Option<Mutation>) -> (Option<(u64, Verdict)>, Coverage) {
    const BATCH: u64 = 256;
    let next = AtomicU64::new(0);
    let broken: Mutex<Option<(u64, Verdict)>> = Mutex::new(None);
    let coverage = Mutex::new(Coverage::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut seen = Coverage::default();
                'batches: loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= schedules || broken.lock().unwrap().is_some() {
                        break;
                    }
                    for seed in first..(first + BATCH).min(schedules) {
                        if let Err(verdict) = Schedule::new(seed, mutation).run(&mut seen) {
                            let mut broken = broken.lock().unwrap();
                            if broken.as_ref().is_none_or(|(known, _)| seed < *known) {
                                *broken = Some((seed, verdict));
                            }
                            break 'batches;
                        }
                    }
                }
                coverage.lock().unwrap().merge(&seen);
            });
        }
    });
    (broken.into_inner().unwrap(), coverage.into_inner().unwrap())
}

#[test]
fn no_schedule_breaks_an_invariant() {
    let started = std::time::Instant::now();
    let (broken, coverage) = explore(SCHEDULES, None);
    if let Some((seed, verdict)) = broken {
        let trace = Schedule::new(seed, None).trace();
        panic!("schedule {seed} breaks `{}`: {}\n{trace}", verdict.invariant, verdict.what);
    }
    println!("{SCHEDULES} schedules in {:.1} s; visited:", started.elapsed().as_secs_f64());
    for (what, times) in &coverage.0 {
        println!("{times:>12}  {what}");
    }
    let wanted = Rung::ALL.map(Rung::name).into_iter().chain(world::VISITED);
    let missed: Vec<&str> = wanted.filter(|what| !coverage.0.contains_key(what)).collect();
    assert!(missed.is_empty(), "never visited: {missed:?}");
}

/// Every invariant notices the mutations that it is there for.
mod mutations {
    use super::*;

    #[track_caller]
    fn check(mutation: Mutation, invariants: &[&str]) {
        let (broken, _) = explore(SCHEDULES, Some(mutation));
        let Some((seed, verdict)) = broken else { panic!("{mutation:?} is not noticed") };
        println!("{mutation:?}: schedule {seed} breaks `{}`: {}", verdict.invariant, verdict.what);
        assert!(invariants.contains(&verdict.invariant), "{mutation:?} breaks `{}`", verdict.invariant);
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
