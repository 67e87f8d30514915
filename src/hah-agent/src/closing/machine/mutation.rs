//! The ways to break the machine that the model test must notice. Outside of tests they do not exist.

use super::Settings;
use crate::breaks::breaks;
use crate::closing::pace::{self, Millis};

/// One way to break it.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Submits whatever there is.
    NotEnforced,
    /// Submits without having claimed.
    SkipClaim,
    /// Takes a claim over at once.
    NoPatience,
    /// Brings back versions that were replaced.
    IgnorePast,
    /// Sees no difference between a stopped job and a running one.
    IgnoreStop,
    /// Does not remember that a job was stopped.
    ForgetStop,
    /// Waits for an answer for ever.
    NoDeadline,
    /// Never takes a claim over.
    NoTakeOver,
    /// Doubles the delay for ever.
    NoBound,
    /// Does not sleep.
    NoSleep,
    /// Sets the cluster up without having claimed it.
    SkipSetUpClaim,
    /// Throws the secrets of the set-up away before all is made.
    FinishEarly,
    /// Keeps them.
    KeepSecrets,
}

breaks! {
    breaks_skip_claim = SkipClaim,
    breaks_no_patience = NoPatience,
    breaks_ignore_past = IgnorePast,
    breaks_ignore_stop = IgnoreStop,
    breaks_forget_stop = ForgetStop,
    breaks_no_deadline = NoDeadline,
    breaks_no_take_over = NoTakeOver,
    breaks_not_enforced = NotEnforced,
    breaks_no_bound = NoBound,
    breaks_no_sleep = NoSleep,
    breaks_skip_set_up_claim = SkipSetUpClaim,
    breaks_finish_early = FinishEarly,
    breaks_keep_secrets = KeepSecrets,
}

impl Settings {
    pub(super) fn enforced(&self, index: u64) -> u64 {
        if self.breaks_not_enforced() { u64::MAX } else { index }
    }

    pub(super) fn backoff(&self, failures: u32) -> Millis {
        if self.breaks_no_bound() { pace::FIRST << failures.min(30) } else { pace::backoff(failures) }
    }

    pub(super) fn slept(&self, delay: Millis) -> Millis {
        if self.breaks_no_sleep() { 0 } else { delay }
    }
}
