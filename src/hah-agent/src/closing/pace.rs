//! Every delay and deadline of the loop, in milliseconds of the monotonic clock, and the jitter.
//!
//! The numbers depend on each other:
//!
//! ```text
//! an HTTP request ends         ≤ 15 s    http::TIMEOUT; what it asked for may happen a little later: ≤ 25 s
//! a claim is acted upon        ≤ 15 s    CLAIM_FRESH, or not at all
//! an agent tries again itself  ≥ 30 s    OWN_PATIENCE    >  25 s
//! another agent takes over     ≥ 60 s    PATIENCE        >  15 s + 25 s
//! ```
//!
//! So no two submissions of one version are on their way at once; see `closing::model` for what that is good for.

/// Milliseconds.
pub(crate) type Millis = u64;

/// The delay after the first pass that got nowhere; it doubles from pass to pass.
pub(crate) const FIRST: Millis = 2_000;
/// The longest delay, before jitter.
pub(crate) const LONGEST: Millis = 30_000;
/// The delay between looks at a closed loop, before jitter.
pub(crate) const WATCH: Millis = 30_000;
/// The delay after a look that found a closed loop open, before jitter.
pub(crate) const STRIKE: Millis = 5_000;
/// So many passes in a row must miss a condition that held, before it counts as lost.
pub(crate) const STRIKES: u32 = 3;
/// A question without an answer is given up: longer than the driver takes for any.
pub(crate) const DEADLINE: Millis = 60_000;
/// A claim is submitted at once or not at all.
pub(crate) const CLAIM_FRESH: Millis = 15_000;
/// How long an agent waits after a submission whose fate it does not know.
pub(crate) const OWN_PATIENCE: Millis = 30_000;
/// How long another's claim must have stood, unchanged, before it is taken over.
pub(crate) const PATIENCE: Millis = 60_000;
/// And in how many passes it must have been seen: a clock that jumps is not patience.
pub(crate) const PATIENCE_PASSES: u32 = 3;
/// How often one pass reads marker and job again after it changed one of them.
pub(crate) const ROUNDS: u32 = 4;

/// The delay after pass number `failures` (from 0) that made no progress.
pub(crate) fn backoff(failures: u32) -> Millis {
    FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST)
}

/// A sequence of numbers that look random and depend on the seed only (SplitMix64).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jitter(pub(crate) u64);

impl Jitter {
    /// The delay, moved by up to a quarter in either direction.
    pub(crate) fn spread(&mut self, delay: Millis) -> Millis {
        let quarter = delay / 4;
        delay - quarter + self.below(2 * quarter + 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The high half of the product: no bias worth the name, and no division.
        ((u128::from(mixed) * u128::from(bound.max(1))) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_bound_and_stay_there() {
        let delays: Vec<Millis> = (0..7).map(backoff).collect();
        assert_eq!(delays, [2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(backoff(u32::MAX), LONGEST);
    }

    #[test]
    fn jitter_stays_within_a_quarter_and_comes_from_the_seed() {
        let mut jitter = Jitter(7);
        let spread: Vec<Millis> = (0..1000).map(|_| jitter.spread(1000)).collect();
        assert!(spread.iter().all(|delay| (750..=1250).contains(delay)));
        assert!(spread.iter().any(|delay| *delay < 800) && spread.iter().any(|delay| *delay > 1200));
        assert_eq!(Jitter(7).spread(1000), Jitter(7).spread(1000));
        assert_ne!(Jitter(7).spread(1_000_000), Jitter(8).spread(1_000_000));
        assert_eq!(jitter.spread(0), 0);
    }
}
