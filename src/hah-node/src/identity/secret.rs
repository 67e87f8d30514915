//! [`Secret`]: a text that no message, log or debug output shows, and that does not outlive its owner in memory.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret text. Serialised as it is, since that is what a node needs; everywhere else it is dots.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: the one way to it, so that a search finds every use.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        // So that the compiler does not leave out the writes to memory that is about to be freed.
        std::hint::black_box(bytes.as_slice());
    }
}
