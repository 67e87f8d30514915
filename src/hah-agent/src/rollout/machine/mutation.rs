//! The ways to break the machine that the model test must notice. Outside of tests they do not exist.

use super::Settings;
use crate::breaks::breaks;

/// One way to break it.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Starts while another node has the lock.
    SkipLock,
    /// Gives the lock back before the reboot.
    UnlockEarly,
    /// Takes the lock of a node whose deadline has passed.
    TakeOver,
    /// Takes a reboot that has not begun for a trial that has ended.
    ArmedIsEnded,
    /// Looks at the cluster before the drain only.
    NoSecondLook,
    /// Acts on what was seen long ago.
    Stale,
    /// Takes a server away that cannot be spared.
    NoConsent,
    /// Does not read the bad list.
    IgnoreBad,
    /// Does not say that a generation did not last.
    KeepQuiet,
    /// Starts a generation again that did not last here.
    TryAgain,
    /// Keeps whatever runs.
    NoGate,
    /// Waits for the gate for ever.
    NoDeadline,
    /// Does not read the stop key.
    IgnoreStop,
    /// Ends the errand with the node still drained.
    ForgetUndo,
    /// Calls it undone while requests are still on their way.
    NoQuiet,
    /// Waits for others without bound.
    NoPatience,
    /// Leaves the lock of a start that was called off.
    KeepLock,
    /// Does not sleep.
    NoSleep,
}

breaks! {
    breaks_skip_lock = SkipLock,
    breaks_unlock_early = UnlockEarly,
    breaks_take_over = TakeOver,
    breaks_armed_is_ended = ArmedIsEnded,
    breaks_no_second_look = NoSecondLook,
    breaks_stale = Stale,
    breaks_no_consent = NoConsent,
    breaks_ignore_bad = IgnoreBad,
    breaks_keep_quiet = KeepQuiet,
    breaks_try_again = TryAgain,
    breaks_no_gate = NoGate,
    breaks_no_deadline = NoDeadline,
    breaks_ignore_stop = IgnoreStop,
    breaks_forget_undo = ForgetUndo,
    breaks_no_quiet = NoQuiet,
    breaks_no_patience = NoPatience,
    breaks_keep_lock = KeepLock,
    breaks_no_sleep = NoSleep,
}
