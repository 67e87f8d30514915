//! Other programs: the doorway through which any is started.
//!
//! A build starts none. `run` starts QEMU and qemu-img, `init` asks `ssh-add` for keys, downloads ask the program that apt's
//! configuration names for a proxy, and on a Mac `flash` asks `diskutil` for disks. Whatever goes to a running node goes
//! through [`ssh`].

use std::ffi::OsStr;
use std::io;
use std::net::TcpListener;
use std::process::Command;

pub mod ssh;

/// A program to be started, looked for in `PATH` unless it is a path.
#[expect(clippy::disallowed_methods, reason = "the doorway")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// A port of this machine's loopback for another program to listen on: `wanted` when it is free, or any other.
///
/// # Errors
/// When there is no free port.
#[expect(clippy::disallowed_methods, reason = "asks which port is free, and listens on none")]
pub fn free_port(wanted: u16) -> io::Result<u16> {
    let free = |port| Ok(TcpListener::bind(("127.0.0.1", port))?.local_addr()?.port());
    free(wanted).or_else(|_: io::Error| free(0))
}
