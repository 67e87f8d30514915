//! Every file of recipes/ and images/ is loaded, and every message has its snapshot.

#![expect(clippy::disallowed_methods, reason = "the shipped recipes are read from the repository")]

mod archives;
mod jobs;
mod line_ends;
mod messages;
mod schema;
mod closed;
mod shipped;

use super::*;

/// A project of these files.
fn project(files: &[(&str, &str)]) -> Sources {
    let mut sources = Sources::new();
    for (path, text) in files {
        sources.insert(path, path, *text);
    }
    sources
}
