//! Where a person sees the loop: console, login banner, message of the day, journal, `systemctl status`, Consul's
//! catalog, metrics, and the file behind `hah-agent status`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hah_node::closing::{Failure, ISSUE, Loop, MOTD, Phase, Reached, Rung, STATUS, STATUS_VERSION, Status, metric};
use sd_notify::NotifyState;

use super::driver::{Options, tell_systemd};
use super::ends::{CertificateEnd, certificates, image_epoch};
use super::machine::{Now, Replaces, Said, State};
use crate::console;

/// Labels `program` and `kind` (`cert`, `ca`): seconds since 1970.
const CERTIFICATE_EXPIRY: &str = "hah_certificate_expiry_timestamp_seconds";
/// Seconds since 1970.
const IMAGE_EPOCH: &str = "hah_image_epoch_timestamp_seconds";

/// agetty shows the banner again when this file is touched: agetty(8), `--reload`.
const AGETTY_RELOAD: &str = "/run/agetty.reload";

/// Writes it all.
pub(crate) struct Publisher {
    node: String,
    job: Option<String>,
    status: PathBuf,
    issue: PathBuf,
    motd: PathBuf,
    reload: PathBuf,
    kmsg: PathBuf,
    textfile: Option<PathBuf>,
    /// Where the node's certificates and the image are: `/`.
    root: PathBuf,
    /// What the rollout adds to it.
    rollout: PathBuf,
    /// The banner as it was written last.
    banner: String,
    /// What could not be done, so that it is said once.
    failing: BTreeSet<String>,
}

impl Publisher {
    pub(crate) fn new(options: &Options, config: &Loop, node: String) -> Self {
        let job = config.job.as_deref().and_then(|path| Path::new(path).file_stem());
        Self {
            node,
            job: job.map(|stem| stem.to_string_lossy().into_owned()),
            status: options.below(STATUS),
            issue: options.below(ISSUE),
            motd: options.below(MOTD),
            reload: options.below(AGETTY_RELOAD),
            kmsg: options.below("/dev/kmsg"),
            textfile: config.textfile.as_ref().map(|path| options.below(path)),
            root: options.root.clone(),
            rollout: options.below(hah_node::rollout::METRICS),
            banner: String::new(),
            failing: BTreeSet::new(),
        }
    }

    /// Tells people: the journal everything, the consoles what they wait for.
    pub(crate) fn say(&mut self, state: &State, said: &Said) {
        let text = sentence(state, said);
        console::journal(&text);
        if matches!(said, Said::Reached(_) | Said::Fell(_)) {
            console::announce(&self.kmsg, &text);
        }
    }

    /// Writes status, metrics and banner.
    pub(crate) fn publish(&mut self, state: &State, now: Now) {
        let status = self.status_of(state, now);
        if let Ok(mut text) = serde_json::to_vec(&status) {
            text.push(b'\n');
            self.write(&self.status.clone(), &text);
        }
        if let Some(path) = self.textfile.clone() {
            // A link leads to a tmpfs: a file that changes twice a minute is not for the card.
            let path = fs::read_link(&path).unwrap_or(path);
            // The rollout's metrics need no file and no link of their own in the image.
            let rollout = fs::read_to_string(&self.rollout).unwrap_or_default();
            self.write(&path, (metrics(state, now) + &ending(&self.root) + &rollout).as_bytes());
        }
        let banner = banner(state);
        tell_systemd(&[NotifyState::Status(&banner)]);
        if banner != self.banner {
            // agetty takes a backslash for the beginning of a code.
            self.write(&self.issue.clone(), format!("{}\n\n", banner.replace('\\', "/")).as_bytes());
            self.write(&self.motd.clone(), format!("  {banner}\n\n").as_bytes());
            self.banner = banner;
            // Where there is no agetty, nobody reads the banner either.
            let _ = touch(&self.reload);
        }
    }

    /// The state and text of the TTL check.
    pub(crate) fn check(&self, state: &State) -> (bool, String) {
        (state.rung == Rung::Closed, banner(state))
    }

    /// Says once that Consul does not take the check.
    pub(crate) fn reported(&mut self, failure: Option<String>) {
        const WHAT: &str = "the agent's check in Consul cannot be updated";
        match failure {
            Some(why) if self.failing.insert(WHAT.to_owned()) => console::journal(&format!("{WHAT}: {why}")),
            Some(_) => {}
            None => drop(self.failing.remove(WHAT)),
        }
    }

    fn write(&mut self, path: &Path, content: &[u8]) {
        let what = format!("cannot write {}", path.display());
        match replace(path, content) {
            Ok(()) => drop(self.failing.remove(&what)),
            Err(error) if self.failing.insert(what.clone()) => console::journal(&format!("{what}: {error}")),
            Err(_) => {}
        }
    }

    fn status_of(&self, state: &State, now: Now) -> Status {
        let job = state.remembered.as_ref().map(|(version, phase)| {
            let phase = match phase {
                Phase::Submitting => "being submitted",
                Phase::Submitted => "submitted",
                Phase::Stopped => "stopped by hand",
            };
            format!("{} {version}, {phase}", self.job.as_deref().unwrap_or("prometheus"))
        });
        let reached = Rung::ALL.into_iter().zip(state.reached);
        Status {
            version: STATUS_VERSION,
            node: self.node.clone(),
            pid: std::process::id(),
            at: now.wall,
            state: state.rung,
            since: state.since.wall,
            waiting: state.waiting.as_ref().map(ToString::to_string),
            notes: state.notes.iter().map(ToString::to_string).collect(),
            reached: reached.filter_map(|(state, at)| Some(Reached { state, at_ms: at? })).collect(),
            job,
            prometheus: state.seen.clone(),
            vault: state.vault.clone(),
            transitions: state.transitions,
            last_error: state.failure.as_ref().map(|(at, what)| Failure { at: *at, what: what.clone() }),
        }
    }
}

/// What is said, as a sentence of the journal.
fn sentence(state: &State, said: &Said) -> String {
    let waiting = || state.waiting.as_ref().map(ToString::to_string).unwrap_or_default();
    let address = state.seen.address.as_deref().unwrap_or("an unknown address");
    match said {
        Said::Reached(rung) => match rung {
            Rung::Booted => "the agent has started".to_owned(),
            Rung::ConsulQuorum => "Consul has a leader".to_owned(),
            Rung::SetUp => "the cluster is closed: Consul knows every node's token".to_owned(),
            Rung::NomadQuorum => "Nomad has a leader".to_owned(),
            Rung::JobSubmitted => "Nomad has the job".to_owned(),
            Rung::JobHealthy => "the job runs".to_owned(),
            Rung::TargetsUp => {
                format!(
                    "Prometheus on {address} is ready and sees every node: {} targets are up",
                    state.seen.targets_up
                )
            }
            Rung::Closed => match state.reached.get(Rung::Closed as usize).copied().flatten() {
                Some(first) if first == state.since.boot => {
                    format!("the loop is closed, {} s after the kernel started", first / 1000)
                }
                _ => "the loop is closed again".to_owned(),
            },
        },
        Said::Fell(rung) => format!("the loop is open again ({rung}): {}", waiting()),
        Said::Waiting(text) => text.clone(),
        Said::Submitting(version, Replaces::Nothing) => format!("handing the job to Nomad, version {version}"),
        Said::Submitting(version, Replaces::Older) => format!("updating the job in Nomad to version {version}"),
        Said::Note(text) => text.clone(),
    }
}

/// One line for people who look at the node.
fn banner(state: &State) -> String {
    let prometheus = match (&state.seen.address, state.seen.up) {
        (Some(address), true) => format!("Prometheus on http://{address} sees {} targets", state.seen.targets_up),
        _ => "Prometheus does not answer".to_owned(),
    };
    match (&state.waiting, state.rung) {
        (None, Rung::Closed) => format!("The loop is closed: {prometheus}."),
        (None, rung) => format!("The loop is open ({rung})."),
        (Some(waiting), Rung::Closed) => format!("The loop is closed, but: {waiting}."),
        (Some(waiting), rung) => format!("The loop is open ({rung}): {waiting}."),
    }
}

/// The text format of Prometheus, as node_exporter's textfile collector reads it.
fn metrics(state: &State, now: Now) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, String)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value: String| vec![(String::new(), value)];
    let flag = |on: bool| u8::from(on).to_string();
    let states = Rung::ALL.map(|rung| (format!("{{state=\"{rung}\"}}"), flag(rung == state.rung)));
    family(metric::STATE, "gauge", "Which state the loop is in.", &states);
    family(metric::CLOSED, "gauge", "Whether the loop is closed.", &one(flag(state.rung == Rung::Closed)));
    family(metric::PROMETHEUS_UP, "gauge", "Whether this node sees a ready Prometheus.", &one(flag(state.seen.up)));
    family(metric::TARGETS_UP, "gauge", "Scrape targets that are up.", &one(state.seen.targets_up.to_string()));
    family(metric::TARGETS_DOWN, "gauge", "Scrape targets that are down.", &one(state.seen.targets_down.to_string()));
    family(
        metric::TRANSITIONS,
        "counter",
        "Changes of state since the agent started.",
        &one(state.transitions.to_string()),
    );
    if let Some(at) = state.reached.get(Rung::Closed as usize).copied().flatten() {
        let seconds = format!("{}.{:03}", at / 1000, at % 1000);
        family(metric::SECONDS_TO_CLOSE, "gauge", "From the start of the kernel to the closed loop.", &one(seconds));
    }
    let failed = state.failure.as_ref().map_or(0, |(at, _)| *at);
    family(metric::LAST_ERROR, "gauge", "When something last failed that should not.", &one(failed.to_string()));
    family(metric::LAST_PASS, "gauge", "When the agent last looked.", &one(now.wall.to_string()));
    text
}

/// The metrics of what ends or grows old. Certificates change when the node boots, and reading a handful of small files of a
/// tmpfs twice a minute costs nothing.
fn ending(root: &Path) -> String {
    let mut text = String::new();
    let ends = certificates(root);
    if !ends.is_empty() {
        let _ = writeln!(text, "# HELP {CERTIFICATE_EXPIRY} When a certificate of the node's identity ends.");
        let _ = writeln!(text, "# TYPE {CERTIFICATE_EXPIRY} gauge");
    }
    for CertificateEnd { program, kind, at } in ends {
        let _ = writeln!(text, "{CERTIFICATE_EXPIRY}{{program=\"{program}\",kind=\"{kind}\"}} {at}");
    }
    if let Some(at) = image_epoch(root) {
        let _ = writeln!(text, "# HELP {IMAGE_EPOCH} The date of the lock that the running image was built from.");
        let _ = writeln!(text, "# TYPE {IMAGE_EPOCH} gauge\n{IMAGE_EPOCH} {at}");
    }
    text
}

/// Replaces a file that everybody may read. Not flushed: all of these are for the running system.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = crate::durable::unfinished(path);
    let open = || fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&unfinished);
    let mut file = match (open(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(parent)?;
            open()?
        }
        (file, _) => file?,
    };
    file.write_all(content)?;
    fs::rename(&unfinished, path)
}

fn touch(path: &Path) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_modified(std::time::SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closing::words::{Note, Unmet};
    use hah_node::closing::{Prometheus, Resubmit, Seen, Servers};

    fn closed() -> State {
        let mut state = State::new(1, Now { boot: 21_500, wall: 1_795_602_000 });
        state.rung = Rung::Closed;
        state.waiting = None;
        state.since.boot = 74_250;
        state.reached[Rung::Closed as usize] = Some(74_250);
        state.transitions = 6;
        state.seen = Seen { up: true, address: Some("10.0.0.1:9090".to_owned()), targets_up: 23, targets_down: 1 };
        state
    }

    const NOW: Now = Now { boot: 80_000, wall: 1_795_602_727 };

    #[test]
    fn banners() {
        let mut state = closed();
        assert_eq!(banner(&state), "The loop is closed: Prometheus on http://10.0.0.1:9090 sees 23 targets.");
        state.waiting = Some(Unmet::Prometheus("no answer from 10.0.0.1:9090 in 10 s".to_owned()));
        assert_eq!(
            banner(&state),
            "The loop is closed, but: waiting for Prometheus: no answer from 10.0.0.1:9090 in 10 s."
        );
        state.rung = Rung::NomadQuorum;
        state.waiting = Some(Unmet::Stopped);
        assert_eq!(banner(&state), "The loop is open (nomad-quorum): the job was stopped by hand and stays stopped.");
    }

    #[test]
    fn the_journal_reads_as_a_story() {
        let mut state = closed();
        let told: Vec<String> = [
            Said::Reached(Rung::ConsulQuorum),
            Said::Waiting(Unmet::NotSubmitted.to_string()),
            Said::Submitting("3f2a".to_owned(), Replaces::Nothing),
            Said::Reached(Rung::TargetsUp),
            Said::Reached(Rung::Closed),
            Said::Note(Note::ChangedByHand.to_string()),
        ]
        .iter()
        .map(|said| sentence(&state, said))
        .collect();
        assert_eq!(
            told,
            [
                "Consul has a leader",
                "waiting for a Nomad server to submit the job",
                "handing the job to Nomad, version 3f2a",
                "Prometheus on 10.0.0.1:9090 is ready and sees every node: 23 targets are up",
                "the loop is closed, 74 s after the kernel started",
                "the job was changed by hand, so a newer version in a newer image will not replace it",
            ]
        );
        state.since.boot = 960_000;
        assert_eq!(sentence(&state, &Said::Reached(Rung::Closed)), "the loop is closed again");
    }

    #[test]
    fn everything_is_written_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let options = Options { root: root.path().to_owned(), node: None, hurry: 1 };
        let servers = Servers { address: "http://127.0.0.1:8500".to_owned(), expect: 1 };
        let config = Loop {
            version: hah_node::closing::VERSION,
            consul: servers,
            nomad: None,
            vault: None,
            job: None,
            submit: false,
            resubmit: Resubmit::Never,
            closed: false,
            prometheus: Prometheus { service: "prometheus".to_owned(), port: 9090, jobs: vec![], beside: vec![] },
            textfile: Some("/var/lib/prometheus/node-exporter/hah.prom".to_owned()),
        };
        let textfile = options.below("/var/lib/prometheus/node-exporter/hah.prom");
        let target = root.path().join("tmpfs/hah.prom");
        fs::create_dir_all(textfile.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&target, &textfile).unwrap();
        let certificate = root.path().join("run/hah/secrets/consul/cert.pem");
        fs::create_dir_all(certificate.parent().unwrap()).unwrap();
        fs::write(certificate, include_str!("ends/cert.pem")).unwrap();
        fs::create_dir_all(root.path().join("usr/lib")).unwrap();
        fs::write(root.path().join("usr/lib/clock-epoch"), "").unwrap();
        let mut publisher = Publisher::new(&options, &config, "pi4".to_owned());
        let rollout = options.below(hah_node::rollout::METRICS);
        fs::create_dir_all(rollout.parent().unwrap()).unwrap();
        fs::write(&rollout, "hah_rollout_stopped 0\n").unwrap();
        publisher.publish(&closed(), NOW);
        assert!(fs::symlink_metadata(&textfile).unwrap().is_symlink());
        let metrics = fs::read_to_string(&target).unwrap();
        for line in [
            "hah_loop_state{state=\"closed\"} 1",
            "hah_loop_state{state=\"booted\"} 0",
            "hah_loop_closed 1",
            "hah_prometheus_up 1",
            "hah_loop_seconds_to_close 74.250",
            "hah_loop_last_error_timestamp_seconds 0",
            "hah_rollout_stopped 0",
        ] {
            assert!(metrics.lines().any(|one| one == line), "{line} in {metrics}");
        }
        for begin in [
            "hah_certificate_expiry_timestamp_seconds{program=\"consul\",kind=\"cert\"} 18",
            "hah_image_epoch_timestamp_seconds 1",
        ] {
            assert!(metrics.lines().any(|one| one.starts_with(begin)), "{begin} in {metrics}");
        }
        let status: Status = serde_json::from_slice(&fs::read(options.below(STATUS)).unwrap()).unwrap();
        assert_eq!((status.state, &*status.node, status.reached.len()), (Rung::Closed, "pi4", 2));
        assert!(fs::read_to_string(options.below(ISSUE)).unwrap().starts_with("The loop is closed: "));
        assert!(options.below(AGETTY_RELOAD).exists());
        assert!(publisher.failing.is_empty());
    }
}
