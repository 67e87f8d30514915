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
    let name = words.first().map(String::as_str).unwrap_or_default();
    let Some(command) = crate::commands::find(name.rsplit('/').next().unwrap_or_default()) else {
        return Err(Refusal::new(format!("`{}` starts another program", words.join(" "))));
    };
    let mut stdin = stdin;
    let mut child = Process {
        world: process.world,
        name: name.to_owned(),
        cwd: process.cwd.clone(),
        umask: process.umask,
        env: process.env,
        stdin: &mut stdin,
        stdout: Vec::new(),
        stderr: Vec::new(),
        assign: Vec::new(),
    };
    let status = (command.run)(&mut child, &words[1..])?;
    Ok(Finished { status, stdout: child.stdout, stderr: child.stderr })
}
