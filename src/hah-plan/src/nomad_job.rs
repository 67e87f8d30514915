//! Nomad jobs: from the language that people write to what the node hands to Nomad.
//!
//! The job specification is HCL and the API has other names for nearly everything in it (`max_parallel` is `MaxParallel`,
//! `size` of `ephemeral_disk` is `SizeMB`), durations in nanoseconds, and lists where blocks repeat. Whatever a Nomad
//! takes is taken, in one of two forms:
//!
//! | the job | becomes |
//! |---|---|
//! | literals, and words of [`spec`] | its HCL, and the JSON of `PUT /v1/jobs` that [`reader`] makes of it |
//! | `variable`, `locals`, functions, expressions, `dynamic`, words that [`spec`] does not have | its HCL alone, checked by [`verbatim`]: the node's Nomad parses it |
//!
//! The second form comes with the reason, line and word, since what a build did not understand it did not check either.
//!
//! Interpolations such as `${NOMAD_PORT_http}` are Nomad's to fill in when the task runs and are kept as they are.
//! `file("/…")` is the content of a file of the image, which is what `nomad job run` makes of it on a node; other paths are
//! of files beside the job, whose content takes the call's place, since a node has none. `filebase64` is treated likewise,
//! and `basename` and `dirname` of a literal are computed.
//!
//! Source: the job specification of Nomad's documentation, and the API's job structure in its "Jobs HTTP API" page. The
//! tests of `tests/it/stack` hold the result against a real Nomad.

mod spec;
mod here_document;
mod paths;
mod reader;
mod verbatim;

use hah_format::digest::Sha256;
use reader::{Reader, Stop};
use verbatim::Filled;

/// What stands in a job for the digest of the job: of its JSON or, without one, of its HCL; files included, with these
/// very words in it.
pub const DIGEST: &str = "HAH_JOB_DIGEST";

/// What is wrong with a job, or why it is left to Nomad.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the job: {message}")]
pub struct JobError {
    /// Line of the job's text, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
    /// What to do about it, if anything but the obvious.
    pub hint: Option<String>,
}

/// A job as files of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forms {
    /// The job as people write it; `nomad job run` takes it on a node.
    pub hcl: String,
    /// The same for the API, or why the node's Nomad has to make it.
    pub api: Api,
}

/// The body of `PUT /v1/jobs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Api {
    /// The build made it.
    Json(String),
    /// Nomad makes it on the node, of [`Forms::hcl`], because of this.
    OnNode(JobError),
}

/// The job `text` as files of the image, with the job's digest where it says [`DIGEST`]; `file` gives the content of the
/// image's files by absolute path, and of files beside the job by relative path.
///
/// # Errors
/// Text that no Nomad takes: no HCL, no job or several, a variable that nobody sets, a value of the wrong kind; and a file
/// that the image does not have.
pub fn forms(text: &str, file: &dyn Fn(&str) -> Option<String>) -> Result<Forms, JobError> {
    if text.trim_start().starts_with('{') {
        return verbatim::json_syntax(text).map(|reason| {
            let hcl = text.replace(DIGEST, &Sha256::of(text.as_bytes()).to_string());
            Forms { hcl, api: Api::OnNode(reason) }
        });
    }
    let body = here_document::as_written(text).map_err(|error| JobError {
        line: error.location().line(),
        message: format!("not HCL: {}", error.message()),
        hint: None,
    })?;
    let reader = Reader { text, file };
    verbatim::check(&reader, &body)?;
    match reader.document(&body) {
        Ok(json) => {
            let json = format!("{json:#}\n");
            let digest = Sha256::of(json.as_bytes()).to_string();
            let hcl = verbatim::with_files(&reader, &body, Filled::Relative)?;
            Ok(Forms { hcl: hcl.replace(DIGEST, &digest), api: Api::Json(json.replace(DIGEST, &digest)) })
        }
        Err(Stop::Wrong(error)) => Err(error),
        Err(Stop::Beyond(reason)) => {
            let hcl = verbatim::with_files(&reader, &body, Filled::All)?;
            let digest = Sha256::of(hcl.as_bytes()).to_string();
            Ok(Forms { hcl: hcl.replace(DIGEST, &digest), api: Api::OnNode(reason) })
        }
    }
}

#[cfg(test)]
mod tests;
