//! Every delay and deadline of the rollout, in milliseconds of the monotonic clock.
//!
//! ```text
//! a request that was given up may still arrive   ≤ 25 s    nothing is called undone before QUIET has passed
//! a look at the cluster is good for              ≤ 30 s    FRESH: the reboot rests on one that is no older
//! a generation has to pass its gate              ≤ 780 s   hah_node::rollout::GATE_SECONDS, since the kernel started
//! ```

use hah_node::rollout::GATE_SECONDS;

pub(crate) use crate::closing::pace::{Jitter, Millis};

/// Between looks of a node that wants nothing, before jitter.
pub(crate) const WATCH: Millis = 30_000;
/// Between looks of a node that waits for something, before jitter.
pub(crate) const LOOK: Millis = 10_000;
/// The longest delay after something failed, before jitter.
pub(crate) const LONGEST: Millis = 30_000;
/// A question without an answer is given up: longer than the driver takes for any.
pub(crate) const DEADLINE: Millis = 60_000;
/// So old may be what the decision to reboot rests on.
pub(crate) const FRESH: Millis = 30_000;
/// What was asked for before may still happen.
pub(crate) const QUIET: Millis = 30_000;
/// How long a reboot may take to begin, before it is asked for again.
pub(crate) const REBOOT: Millis = 180_000;
/// After a start was called off, until the next.
pub(crate) const RETRY: Millis = 60_000;
/// So long nodes whose turn it is may do nothing, before a later one goes first.
pub(crate) const TURN: Millis = 900_000;
/// When a generation must have passed its gate, since the kernel started.
pub(crate) const GATE: Millis = GATE_SECONDS * 1000;
/// So many looks in a row must find nothing wrong.
pub(crate) const GATE_LOOKS: u32 = 3;
/// Things that are done without sleep in between.
pub(crate) const ROUNDS: u32 = 24;

/// The delay after failure number `failures`, from 1.
pub(crate) fn backoff(failures: u32) -> Millis {
    1_000_u64.saturating_mul(1 << failures.min(10)).min(LONGEST)
}
