//! [`Failure`]: why a verb did not succeed, what to do next, and the exit code that says so to scripts.

use hah_plan::diagnostic::Diagnostics;

use crate::printer::Printer;
use crate::store::draft::place::PlaceError;

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

/// A verb's failure.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    /// What is wrong with the recipes, each with its place; shown instead of the message.
    diagnostics: Option<Diagnostics>,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, message: impl Into<String>, hint: Option<String>) -> Self {
        Self { exit, message: message.into(), hint, diagnostics: None }
    }

    /// Something that the user can fix.
    pub fn user(message: impl Into<String>, hint: Option<String>) -> Self {
        Self::new(Exit::User, message, hint)
    }

    /// An image that could not be built.
    pub fn build(message: impl Into<String>, hint: Option<String>) -> Self {
        Self::new(Exit::Build, message, hint)
    }

    /// The same failure, told as a part of something larger.
    pub fn within(self, larger: &str) -> Self {
        Self { message: format!("{larger}: {}", self.message), ..self }
    }

    /// An image that could not be built, unless the disk or its permissions are behind it.
    pub fn caused_by(error: &(dyn std::error::Error + 'static), hint: Option<String>) -> Self {
        match crate::store::system_error(error) {
            Some(cause) => std::io::Error::new(cause.kind(), error.to_string()).into(),
            None => Self::build(error.to_string(), hint),
        }
    }

    /// The same failure with other advice.
    pub fn advising(self, hint: String) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        self.exit as u8
    }

    /// What the exit code says.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Shows the failure.
    pub fn print(&self, printer: &Printer) {
        match &self.diagnostics {
            Some(diagnostics) => printer.diagnostics(diagnostics),
            None => printer.error(&self.message, self.hint.as_deref()),
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        let message = diagnostics.to_string();
        Self { diagnostics: Some(diagnostics), ..Self::user(message, None) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let place = error.get_ref().and_then(|source| source.downcast_ref::<PlaceError>());
        if let Some(place) = place {
            return place.into();
        }
        let hint = match error.kind() {
            std::io::ErrorKind::FileTooLarge => {
                Some("files here may not be that large: raise `ulimit -f`, or write elsewhere with -o")
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Some("the disk is full: free some space or write elsewhere with -o; nothing half-written was kept")
            }
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Some("the directory is not writable for you: choose another with -o or --cache-dir")
            }
            _ => None,
        };
        Self::user(error.to_string(), hint.map(str::to_owned))
    }
}

impl From<&PlaceError> for Failure {
    fn from(error: &PlaceError) -> Self {
        Self::user(error.to_string(), Some(error.hint()))
    }
}

impl From<PlaceError> for Failure {
    fn from(error: PlaceError) -> Self {
        (&error).into()
    }
}

impl From<crate::store::StoreError> for Failure {
    fn from(error: crate::store::StoreError) -> Self {
        // Of I/O errors, those have a hint that the person can do something about.
        match error.hint() {
            hint @ Some(_) if matches!(error, crate::store::StoreError::Damaged { .. }) => {
                Self::new(Exit::HashMismatch, error.to_string(), hint)
            }
            Some(hint) => Self::user(error.to_string(), Some(hint)),
            None => Self::build(error.to_string(), None),
        }
    }
}
