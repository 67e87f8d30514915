//! [`Failure`]: why a verb did not succeed, what to do next, and the exit code that says so to scripts.

use hah_plan::diagnostic::Diagnostics;

use crate::advice::{Advised, Exit, chain};
use crate::files::system_error;
use crate::printer::Printer;

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
        match system_error(error) {
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

impl<E: Advised> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            exit: error.exit(),
            message: chain(&error),
            hint: error.hint(),
            diagnostics: error.diagnostics().cloned(),
        }
    }
}
