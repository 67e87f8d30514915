//! What the model tests share: random schedules, explored on all processors, and what is known of them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What schedules have visited.
#[derive(Default)]
pub(crate) struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub(crate) fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }
}

/// An invariant that did not hold.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

/// The verdict on a schedule that breaks an invariant.
pub(crate) fn broken(invariant: &'static str, what: impl Into<String>) -> Verdict {
    Verdict { invariant, what: what.into() }
}

/// Plays the schedule of a seed.
pub(crate) type Play<'p> = &'p (dyn Fn(u64, &mut Coverage) -> Result<(), Verdict> + Sync);

/// Plays schedules, on all processors, until one breaks an invariant; returns that one, and what was visited.
fn explore(schedules: u64, play: Play<'_>) -> (Option<(u64, Verdict)>, Coverage) {
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
                        if let Err(verdict) = play(seed, &mut seen) {
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

/// No schedule breaks an invariant, and together they visit all of `wanted`. `trace` tells one step by step.
#[track_caller]
pub(crate) fn hold(
    schedules: u64,
    wanted: impl IntoIterator<Item = &'static str>,
    play: Play<'_>,
    trace: impl FnOnce(u64) -> String,
) {
    let started = std::time::Instant::now();
    let (broken, coverage) = explore(schedules, play);
    if let Some((seed, verdict)) = broken {
        panic!("schedule {seed} breaks `{}`: {}\n{}", verdict.invariant, verdict.what, trace(seed));
    }
    println!("{schedules} schedules in {:.1} s; visited:", started.elapsed().as_secs_f64());
    for (what, times) in &coverage.0 {
        println!("{times:>12}  {what}");
    }
    let missed: Vec<&str> = wanted.into_iter().filter(|what| !coverage.0.contains_key(what)).collect();
    assert!(missed.is_empty(), "never visited: {missed:?}");
}

/// Some schedule of a machine that is broken on purpose breaks one of these invariants, and no other before it.
#[track_caller]
pub(crate) fn notice(mutation: impl Debug, invariants: &[&str], schedules: u64, play: Play<'_>) {
    let (broken, _) = explore(schedules, play);
    let Some((seed, verdict)) = broken else { panic!("{mutation:?} is not noticed") };
    println!("{mutation:?}: schedule {seed} breaks `{}`: {}", verdict.invariant, verdict.what);
    assert!(invariants.contains(&verdict.invariant), "{mutation:?} breaks `{}`", verdict.invariant);
}
