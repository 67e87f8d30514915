//! The one doorway to the clock.
//!
//! Nothing that reads it may reach an output byte: it judges the validity of signatures and draws progress.

use std::time::{Duration, Instant, SystemTime};

/// Seconds since 1970, now.
#[expect(clippy::disallowed_methods, reason = "this is the doorway")]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// How long `work` takes, beside what it gives.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}
