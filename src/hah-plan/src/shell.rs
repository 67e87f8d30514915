//! The shell: POSIX sh with dash's semantics, whose system is a [`World`](crate::world::World).

use crate::commands::{Finished, Process, Refusal};

/// Runs another program for a command that starts one (`xargs`, `find -exec`, `env`, …), as execvp(3) would find it:
/// a native command, or a shell script of the tree.
///
/// It shares the world, the working directory, the mask and the exported variables of `process`.
///
/// # Errors
/// A [`Refusal`] when the program is neither.
pub fn launch(process: &mut Process<'_, '_>, words: &[String], stdin: Vec<u8>) -> Result<Finished, Refusal> {
    let _ = (process, stdin);
    Err(Refusal::new(format!("`{}` starts another program", words.join(" "))))
}

/// A script about to be evaluated.
#[derive(Clone, Debug)]
pub struct Script {
    /// `$0`.
    pub name: String,
    /// `$1`, …
    pub args: Vec<String>,
    /// Exported variables.
    pub env: std::collections::BTreeMap<String, String>,
    /// Working directory.
    pub cwd: hah_format::path::TreePath,
    /// Standard input.
    pub stdin: Vec<u8>,
}

/// Where and why evaluation ended.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// Line, from 1.
    pub line: u32,
    /// What stands there.
    pub what: String,
    /// The program of the target.
    pub program: Option<String>,
}

/// Evaluates a script.
pub fn run(
    world: &mut crate::world::World<'_>,
    text: &str,
    script: Script,
    programs: &dyn crate::commands::Programs,
) -> Result<Finished, Stopped> {
    let _ = (world, text, script, programs);
    Err(Stopped { line: 1, what: "stub".to_owned(), program: None })
}
