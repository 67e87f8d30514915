//! The clock: no Pi keeps time without power, so it starts no earlier than the image, the last write to the data
//! partition, or the last time that timesyncd saved. systemd-timesyncd does the rest when there is a network.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::console;

/// Where systemd-timesyncd touches a file when the clock is right, below `/var`.
const TIMESYNC: &str = "var/lib/systemd/timesync/clock";
/// A saved time further ahead of the image than this is damage, not time (systemd's own limit: 15 years).
const AHEAD_MAX: Duration = Duration::from_secs(15 * 366 * 86_400);

/// Sets the clock to `floor` when it is before it. Times are since 1970.
pub(crate) fn not_before(floor: Duration) {
    let now = u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0);
    let Ok(seconds) = i64::try_from(floor.as_secs()) else { return };
    if now < floor.as_secs()
        && let Err(error) = clock_settime(ClockId::Realtime, Timespec { tv_sec: seconds, tv_nsec: 0 })
    {
        console::warn(&format!("cannot set the clock: {error}"));
    }
}

/// Sets the clock to a time that was saved, if it is later than now and believable for an image of `epoch`.
pub(crate) fn not_before_saved(saved: Duration, epoch: Duration) {
    if saved <= epoch.saturating_add(AHEAD_MAX) {
        not_before(saved);
    }
}

/// Sets the clock to the time at which timesyncd last saved it.
pub(crate) fn not_before_last_shutdown(root: &Path, epoch: Duration) {
    let saved = fs::metadata(root.join(TIMESYNC)).and_then(|metadata| metadata.modified());
    if let Ok(Ok(saved)) = saved.map(|time| time.duration_since(std::time::UNIX_EPOCH)) {
        not_before_saved(saved, epoch);
    }
}
