//! [`Reporter`]: whom the library tells what it does. The program's is the printer; a test's may be a list.

/// Somebody who wants to know.
pub trait Reporter: Sync {
    /// A step begins whose speed and end people wait for: `verb` as in "Writing", `subject` as in "/dev/sdb", `bytes` how
    /// many it will be, if that is known.
    fn transfer(&self, verb: &'static str, subject: &str, bytes: Option<u64>) -> Box<dyn RunningStep + '_>;

    /// A step begins that is over soon.
    fn step(&self, verb: &'static str, subject: &str) -> Box<dyn RunningStep + '_>;

    /// Something that may surprise later.
    fn warning(&self, message: &str);
}

/// A step under way. One that is dropped without [`RunningStep::done`] has failed; the error says why.
pub trait RunningStep {
    /// `bytes` more are done.
    fn advance(&self, bytes: u64);

    /// What it is at.
    fn set_message(&self, message: &str);

    /// Bytes per second so far, when `bytes` are done.
    fn speed(&self, bytes: u64) -> Option<u64>;

    /// It is over: `past` is the verb as in "Wrote", `summary` the rest of the sentence.
    fn done(self: Box<Self>, past: &str, summary: &str);
}
