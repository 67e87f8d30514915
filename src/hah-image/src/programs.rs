//! Other programs: the doorway through which any is started.
//!
//! A build starts none. `run` starts QEMU and qemu-img, `init` asks `ssh-add` for keys, downloads ask the program that apt's
//! configuration names for a proxy, and on a Mac `flash` asks `diskutil` for disks.

use std::ffi::OsStr;
use std::process::Command;

/// A program to be started, looked for in `PATH` unless it is a path.
#[expect(clippy::disallowed_methods, reason = "the doorway")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}
