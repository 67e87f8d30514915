//! What an error of this program knows besides its text: what to do next, and how the program ends because of it.
//!
//! Every module has an error of its own, which keeps its cause as a source and implements [`Advised`]. It becomes text once:
//! in `cli`, where the printer shows the chain of causes and the hint.

use std::error::Error;
use std::io;

use hah_plan::diagnostic::Diagnostics;

use crate::files::place::PlaceError;
use crate::files::{FileError, writing_hint};

/// Exit codes, as documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The user can fix it: a recipe, a flag, a full disk.
    User = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// An input could not be turned into an image.
    Build = 100,
    /// Bytes are not what the lock or a signature says.
    HashMismatch = 102,
    /// Two builds of the same inputs differ.
    NotReproducible = 104,
}

/// An error that a person will read.
pub trait Advised: Error + Send + Sync + 'static {
    /// What to do next, if there is anything to say.
    fn hint(&self) -> Option<String> {
        None
    }

    /// How the program ends.
    fn exit(&self) -> Exit {
        Exit::User
    }

    /// What is wrong with the recipes, each with its place; shown instead of the text.
    fn diagnostics(&self) -> Option<&Diagnostics> {
        None
    }
}

impl Advised for Diagnostics {
    fn diagnostics(&self) -> Option<&Diagnostics> {
        Some(self)
    }
}

impl Advised for FileError {
    fn hint(&self) -> Option<String> {
        FileError::hint(self).map(str::to_owned)
    }
}

impl Advised for PlaceError {
    fn hint(&self) -> Option<String> {
        Some(PlaceError::hint(self))
    }
}

/// An error of the operating system. Those that passed the doorways know what was done to which file.
impl Advised for io::Error {
    fn hint(&self) -> Option<String> {
        let inner = self.get_ref();
        if let Some(place) = inner.and_then(|inner| inner.downcast_ref::<PlaceError>()) {
            return Some(place.hint());
        }
        if let Some(file) = inner.and_then(|inner| inner.downcast_ref::<FileError>()) {
            return file.hint().map(str::to_owned);
        }
        writing_hint(self.kind()).map(str::to_owned)
    }
}

/// An error and its causes in one sentence. A cause that the text before it tells already is not told twice.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}
