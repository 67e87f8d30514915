//! A machine from power-on to its end: whether the guest has switched it off or wants to start again.
//!
//! QEMU runs with `-no-reboot`, since firmware chooses anew at every start, and the firmware is us. What the guest wanted
//! is in the `SHUTDOWN` event of QEMU's machine protocol (qemu documentation, `interop/qemu-qmp-ref`), which goes over a
//! socket pair: it has no path, which could be too long, and leaves nothing behind.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;

use super::{Prepared, QemuError, missing};
use crate::programs;

/// Longest message of the machine protocol that is read, in bytes.
const MESSAGE_MAX: u64 = 1 << 20;

/// How a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is off.
    Off,
    /// The guest has asked for a restart.
    Reboot,
    /// QEMU failed, or somebody killed it.
    Failed(ExitStatus),
}

/// Starts a machine on this terminal, and waits for its end.
///
/// # Errors
/// When QEMU cannot be started.
pub fn run(machine: &Prepared, extra: &[OsString]) -> Result<Ending, QemuError> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = programs::command(&machine.program);
    command.args(&machine.args);
    command.arg("-chardev").arg(format!("socket,id=hah-qmp,fd={}", theirs.as_raw_fd()));
    command.args(["-mon", "chardev=hah-qmp,mode=control"]).args(extra);
    // The child has it under the same number.
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty()).map_err(io::Error::from)?;
    let child = command.spawn();
    drop(theirs);
    let mut child = child.map_err(|error| missing(&machine.program, error))?;
    // Whatever is wrong with the protocol, the machine runs, and its end is waited for.
    let reason = shutdown_reason(&ours).ok().flatten();
    let status = child.wait()?;
    Ok(match reason.as_deref() {
        _ if !status.success() => Ending::Failed(status),
        Some("guest-reset" | "guest-panic" | "subsystem-reset") => Ending::Reboot,
        _ => Ending::Off,
    })
}

/// Follows the machine protocol to its end. The reason that the last `SHUTDOWN` event gave.
fn shutdown_reason(stream: &UnixStream) -> io::Result<Option<String>> {
    let (mut writer, mut reader) = (stream, BufReader::new(stream));
    let mut reason = None;
    let mut is_greeted = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        if io::Read::take(&mut reader, MESSAGE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(reason);
        }
        if !is_greeted {
            // Events come after this, and nothing is said before the greeting.
            writer.write_all(b"{\"execute\":\"qmp_capabilities\"}\n")?;
            is_greeted = true;
        }
        reason = reason_of(&line).or(reason);
    }
}

/// The reason of a `SHUTDOWN` event.
fn reason_of(message: &[u8]) -> Option<String> {
    let message: serde_json::Value = serde_json::from_slice(message).ok()?;
    (message.get("event")? == "SHUTDOWN").then_some(())?;
    Some(message.get("data")?.get("reason")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_shutdown_counts() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs
            .write_all(b"{\"QMP\": {}}\r\n{\"return\": {}}\r\n{\"event\": \"RTC_CHANGE\", \"data\": {}}\r\n")
            .unwrap();
        theirs.write_all(b"no JSON\r\n").unwrap();
        let shutdown = |reason: &str| {
            format!("{{\"event\": \"SHUTDOWN\", \"data\": {{\"guest\": true, \"reason\": \"{reason}\"}}}}\r\n")
        };
        theirs.write_all((shutdown("guest-shutdown") + &shutdown("guest-reset")).as_bytes()).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(shutdown_reason(&ours).unwrap().as_deref(), Some("guest-reset"));
        drop(ours);
        let mut said = String::new();
        io::Read::read_to_string(&mut theirs, &mut said).unwrap();
        assert_eq!(said, "{\"execute\":\"qmp_capabilities\"}\n");
    }
}
