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

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::machine::Mutation;
use world::{Schedule, Verdict};

/// How many schedules a test run explores; `HAH_ROLLOUT_SCHEDULES` says another number.
const SCHEDULES: u64 = 40_000;
/// How many a mutation may need to be noticed.
const FOR_MUTATIONS: u64 = 400_000;

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
    const BATCH: u64 = 64;
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

#[allow(clippy::disallowed_methods, reason = "the environment says how long the test may take")]
fn schedules() -> u64 {
    std::env::var("HAH_ROLLOUT_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(SCHEDULES)
}

#[test]
fn no_schedule_breaks_an_invariant() {
    let started = std::time::Instant::now();
    let schedules = schedules();
    let (broken, coverage) = explore(schedules, None);
    if let Some((seed, verdict)) = broken {
        let trace = Schedule::new(seed, None).trace();
        panic!("schedule {seed} breaks `{}`: {}\n{trace}", verdict.invariant, verdict.what);
    }
    println!("{schedules} schedules in {:.1} s; visited:", started.elapsed().as_secs_f64());
    for (what, times) in &coverage.0 {
        println!("{times:>12}  {what}");
    }
    let missed: Vec<&str> = world::VISITED.into_iter().filter(|what| !coverage.0.contains_key(what)).collect();
    assert!(missed.is_empty(), "never visited: {missed:?}");
}

/// Every invariant notices the mutations that it is there for.
mod mutations {
    use super::*;

    #[track_caller]
    fn check(mutation: Mutation, invariants: &[&str]) {
        let (broken, _) = explore(FOR_MUTATIONS, Some(mutation));
        let Some((seed, verdict)) = broken else { panic!("{mutation:?} is not noticed") };
        println!("{mutation:?}: schedule {seed} breaks `{}`: {}", verdict.invariant, verdict.what);
        assert!(invariants.contains(&verdict.invariant), "{mutation:?} breaks `{}`", verdict.invariant);
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
