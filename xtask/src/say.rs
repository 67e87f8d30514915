//! What the person sees: results on standard output, talk on standard error. Nothing else prints.

use std::io::Write;

/// A result.
pub(crate) fn data(text: &str) {
    // A closed pipe is the reader's wish.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// What happens now.
pub(crate) fn step(text: &str) {
    problem(&format!("xtask: {text}"));
}

/// What went wrong.
pub(crate) fn problem(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}
