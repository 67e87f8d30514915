//! The printer as whom the library tells what it does.

use crate::printer::{Outcome, Printer, Step};
use crate::reporter::{Reporter, RunningStep};

impl Reporter for Printer {
    fn transfer(&self, verb: &'static str, subject: &str, bytes: Option<u64>) -> Box<dyn RunningStep + '_> {
        Box::new(Printer::transfer(self, verb, subject, bytes))
    }

    fn step(&self, verb: &'static str, subject: &str) -> Box<dyn RunningStep + '_> {
        Box::new(Printer::step(self, verb, subject, None))
    }

    fn warning(&self, message: &str) {
        Printer::warning(self, message);
    }
}

impl RunningStep for Step<'_> {
    fn advance(&self, bytes: u64) {
        Step::advance(self, bytes);
    }

    fn set_message(&self, message: &str) {
        Step::set_message(self, message);
    }

    fn speed(&self, bytes: u64) -> Option<u64> {
        Step::speed(self, bytes)
    }

    fn done(self: Box<Self>, past: &str, summary: &str) {
        Step::done(*self, past, summary, Outcome::Made);
    }
}
