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
