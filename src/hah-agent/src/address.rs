//! `hah-agent address`: which of its addresses the node gives to Consul, Nomad and Vault. It is decided here and nowhere
//! else: the programs' own templates know private IPv4 addresses only.
//!
//! ```text
//!  identity's addresses ┐
//!  default routes       ┼─► decide ─► address ─► /etc/PROGRAM.d/address.json, /run/hah/address.json ─► units start
//!  addresses            ┘     ▲                                                                           │
//!                             └──────────── look again; another one: write, restart the units ◄──────────┘
//! ```
//!
//! - [`kernel`]: what addresses there are;
//! - [`decide`]: which one it is, and when it is another: pure;
//! - [`render`]: the files that depend on it.
//!
//! Units that need the address are ordered after hah-address.service, which is up when there is one.

mod decide;
mod kernel;
mod render;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hah_node::address::{REPORT, REPORT_VERSION, Report};
use hah_node::paths;
use sd_notify::NotifyState;

use crate::{console, durable, identity};
use decide::{Chosen, Decider, Wish};

/// How often to look. A look costs a handful of system calls.
const LOOK: Duration = Duration::from_secs(2);
/// How long a node may have no address before the console says so.
const PATIENCE: Duration = Duration::from_secs(10);
const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// How `hah-agent address` was called. Everything but the defaults is for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Stands for `/` before every path that is read or written.
    root: PathBuf,
    /// Time runs so many times faster.
    hurry: u32,
    /// Ends when there is an address.
    once: bool,
}

impl Options {
    /// Reads the words behind `address`; nothing when they make no sense.
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let mut options = Self { root: PathBuf::from("/"), hurry: 1, once: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--once" => options.once = true,
                "--root" => options.root = PathBuf::from(words.next()?),
                "--hurry" => options.hurry = words.next()?.parse().ok().filter(|times| (1..=1000).contains(times))?,
                _ => return None,
            }
        }
        Some(options)
    }

    fn below(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// Why the address reaches nobody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot write {path}: {source}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
}

/// Decides, and follows what changes, until the process is ended.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let start = Instant::now();
    let fixed = fixed_addresses(options);
    let report = options.below(REPORT);
    // After a restart of the agent the programs still run with what it wrote.
    let before = std::fs::read(&report).ok().and_then(|text| serde_json::from_slice::<Report>(&text).ok());
    let mut decider = Decider::new(before.and_then(|report| Some((report.origin?, report.address?))));
    let mut is_written = false;
    let mut said = None;
    loop {
        let now = start.elapsed().saturating_mul(options.hurry);
        let seen = kernel::look(&fixed);
        let wish = decider.look(now, &seen, &fixed);
        if let Wish::Take(chosen) = wish {
            let is_other = decider.current().is_some_and(|(_, old)| old != chosen.1);
            let units = render::all(&options.root, chosen.1)?;
            decider.take(chosen);
            is_written = false;
            if is_other {
                announce(options, &format!("this node's address is now {} ({})", chosen.1, chosen.0));
                restart(&units);
            }
        }
        if let (Some(chosen), false) = (decider.current(), is_written) {
            render::all(&options.root, chosen.1)?;
            write_report(&report, Some(chosen), None)?;
            tell(&[NotifyState::Ready, NotifyState::Status(&format!("{} ({})", chosen.1, chosen.0))]);
            is_written = true;
            said = None;
        }
        if options.once && is_written {
            return Ok(());
        }
        let problem = decider.problem(&seen, &fixed);
        if problem != said && (now >= PATIENCE || decider.current().is_some()) {
            write_report(&report, decider.current(), problem.as_deref())?;
            if let Some(problem) = &problem {
                announce(options, problem);
                tell(&[NotifyState::Status(problem)]);
            }
            said = problem;
        }
        std::thread::sleep(LOOK / options.hurry);
    }
}

/// The addresses that the identity gives to this node.
fn fixed_addresses(options: &Options) -> Vec<IpAddr> {
    let text = std::fs::read(options.below(paths::IDENTITY)).unwrap_or_default();
    // What is wrong with an identity, stage 1 has said.
    identity::parse(&text).map(|identity| identity::network::fixed_addresses(&identity)).unwrap_or_default()
}

fn write_report(path: &Path, current: Option<Chosen>, waiting: Option<&str>) -> Result<(), Error> {
    let report = Report {
        version: REPORT_VERSION,
        address: current.map(|(_, address)| address),
        origin: current.map(|(origin, _)| origin),
        waiting: waiting.map(str::to_owned),
    };
    let text = serde_json::to_vec(&report).unwrap_or_default();
    let write = || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        durable::write(path, &text, 0o644)
    };
    write().map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Says it on every console, and in the journal.
fn announce(options: &Options, text: &str) {
    console::journal(text);
    console::announce(&options.below("/dev/kmsg"), text);
}

/// Restarts those of the units that run: what they listen on is gone. Those that wait for the address start by themselves.
fn restart(units: &[String]) {
    let mut command = Command::new(SYSTEMCTL);
    command.args(["--no-block", "try-restart"]).args(units).stdin(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => console::journal(&format!("systemctl cannot restart {}: {status}", units.join(", "))),
        Err(error) => console::journal(&format!("cannot run {SYSTEMCTL}: {error}")),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let parse = |words: &str| Options::parse(&words.split_whitespace().collect::<Vec<&str>>());
        assert_eq!(parse(""), Some(Options { root: "/".into(), hurry: 1, once: false }));
        assert_eq!(parse("--root /x --hurry 20 --once"), Some(Options { root: "/x".into(), hurry: 20, once: true }));
        for bad in ["--root", "--hurry 0", "--hurry fast", "now"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
