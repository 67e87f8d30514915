//! What is asked of systemd on a running node.

use std::collections::BTreeSet;
use std::io;
use std::process::{Command, Stdio};

/// What systemd says of itself (`running`, `degraded`, `starting`; empty where it says nothing), and its failed units.
pub(crate) fn health() -> (String, BTreeSet<String>) {
    let said = |arguments: &[&str]| {
        let output = Command::new("systemctl").args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    };
    let failed = said(&["list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"]);
    let failed = failed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    (said(&["is-system-running"]).trim().to_owned(), failed)
}

/// Whether the boot has ended, as [`health`] words it: well, or with units that failed.
pub(crate) fn has_started(system: &str) -> bool {
    matches!(system, "running" | "degraded")
}

/// Asks for a reboot.
pub(crate) fn reboot() -> io::Result<()> {
    let status = Command::new("systemctl").arg("reboot").stdin(Stdio::null()).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("systemctl reboot ended with {status}"))),
    }
}
