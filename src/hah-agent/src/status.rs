//! `hah-agent status`: what stage 1 did in this boot and how far the loop is, from their reports.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hah_node::address;
use hah_node::closing::{self, Rung, Status};
use hah_node::generation::Slot;
use hah_node::paths;
use hah_node::stage1::{DataAction, Report};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::closing::words::date;
use crate::console;
use crate::first_boot::{self, Places, Standing};

/// An agent that has not written for so many seconds does not run.
const STALE: u64 = 300;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// The reports as they are.
    Json,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is not a report of this agent's version: {source}", path = path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("there is no {} and no {}; was this node started by hah-agent?", paths::STAGE1_REPORT, closing::STATUS)]
    Nothing,
    #[error("the status cannot be written: {0}")]
    Write(serde_json::Error),
}

/// The reports, as `--json` prints them: stage 1's fields, and the others' below `address` and `loop`.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    stage1: Option<Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<address::Report>,
    r#loop: Option<Status>,
    /// What this node goes to, and how far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<hah_node::rollout::Status>,
    /// Packets of strangers that the firewall has dropped in this boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    strangers: Option<u64>,
    /// What the build left to this node.
    first_boot: Vec<Standing>,
}

/// Reads the words behind `status`; nothing when they make no sense. `--root` is for tests.
pub(crate) fn parse(words: &[&str]) -> Option<(Form, PathBuf)> {
    let root = PathBuf::from("/");
    match words {
        [] => Some((Form::Text, root)),
        ["--json"] => Some((Form::Json, root)),
        ["--root", root] => Some((Form::Text, PathBuf::from(root))),
        ["--json", "--root", root] => Some((Form::Json, PathBuf::from(root))),
        _ => None,
    }
}

/// Prints the status.
pub(crate) fn print(form: Form, root: &Path) -> Result<(), Error> {
    let whole = Whole {
        stage1: read(root, paths::STAGE1_REPORT)?,
        address: read(root, address::REPORT)?,
        r#loop: read(root, closing::STATUS)?,
        rollout: read(root, hah_node::rollout::STATUS)?,
        strangers: strangers(root),
        first_boot: first_boot::standings(&Places::below(root)),
    };
    if whole.stage1.is_none() && whole.address.is_none() && whole.r#loop.is_none() {
        return Err(Error::Nothing);
    }
    match form {
        Form::Text => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            console::print(&summary(&whole, now));
        }
        Form::Json => console::print(&format!("{}\n", serde_json::to_string(&whole).map_err(Error::Write)?)),
    }
    Ok(())
}

fn read<T: DeserializeOwned>(root: &Path, path: &str) -> Result<Option<T>, Error> {
    let path = root.join(path.trim_start_matches('/'));
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|source| Error::Parse { path, source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// What nft(8) says in JSON, once a minute; nothing while it is at it, and on a node without a firewall.
fn strangers(root: &Path) -> Option<u64> {
    let text = fs::read(root.join(paths::FIREWALL_COUNT.trim_start_matches('/'))).ok()?;
    let said: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let counters = said.get("nftables")?.as_array()?.iter().filter_map(|entry| entry.get("counter"));
    let mut counters = counters.filter(|counter| counter.get("name").is_some_and(|name| name == "strangers"));
    counters.next()?.get("packets")?.as_u64()
}

/// Names on the left, values on the right.
#[derive(Default)]
struct Table(String);

impl Table {
    fn line(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{name:<10} {value}");
    }
}

fn summary(whole: &Whole, now: u64) -> String {
    let mut table = Table::default();
    if let Some(report) = &whole.stage1 {
        stage1(&mut table, report);
    }
    if let Some(report) = &whole.address {
        the_address(&mut table, report);
    }
    if let Some(status) = &whole.r#loop {
        the_loop(&mut table, status, now);
    }
    if let Some(status) = &whole.rollout {
        the_rollout(&mut table, status, now);
    }
    if let Some(packets) = whole.strangers {
        table.line("firewall", &format!("{packets} packets of strangers dropped"));
    }
    for task in &whole.first_boot {
        let standing = match (&task.done, &task.failed) {
            (Some(at), _) => format!("done {}", date(*at)),
            (None, Some(failed)) => format!("failed {} times, last {}: {}", failed.times, date(failed.at), failed.why),
            (None, None) => "not yet".to_owned(),
        };
        table.line("first boot", &format!("{}: {}: {standing}", task.name, task.summary));
    }
    table.0
}

fn stage1(table: &mut Table, report: &Report) {
    let gib = |bytes: u64| format!("{}.{} GiB", bytes >> 30, ((bytes % (1 << 30)) * 10) >> 30);
    let data = match report.data_action {
        DataAction::Created => "made in this boot",
        DataAction::Remade => "made in this boot, after a first boot that was cut short",
        DataAction::Kept => "kept",
        DataAction::Grown => "kept and enlarged",
    };
    table.line("node", &report.hostname);
    table.line("image", &report.image);
    let (slot, good) = (report.generation, report.good);
    match (report.on_trial, slot == good) {
        (true, _) => table.line("generation", &format!("{slot}, on trial: {good} starts next unless it is kept")),
        (false, false) => table.line("generation", &format!("{slot}: {good}, which was good, did not start")),
        // What everybody has who never updated is no news.
        (false, true) if slot != Slot::FLASHED => table.line("generation", &slot.to_string()),
        (false, true) => {}
    }
    table.line("disk", &format!("{} ({})", report.disk, gib(report.disk_bytes)));
    table.line("data", &format!("{} ({}), {data}", report.data, gib(report.data_bytes)));
    if report.seeded > 0 {
        table.line("filled", &format!("{} files from the image", report.seeded));
    }
    if let Some(last) = report.steps.last() {
        table.line(
            "stage 1",
            &format!("done {}.{:03} s after the kernel started", last.at_ms / 1000, last.at_ms % 1000),
        );
    }
    for warning in &report.warnings {
        table.line("warning", warning);
    }
}

fn the_rollout(table: &mut Table, status: &hah_node::rollout::Status, now: u64) {
    use hah_node::rollout::Stage;
    let stale = now > status.at.saturating_add(STALE);
    // Of a node that runs what it should there is no news.
    if status.stage == Stage::Idle && status.waiting.is_none() && status.went_back.is_empty() && !stale {
        return;
    }
    let goes_to = status.wanted.map(|wanted| format!(", to generation {}", wanted.short())).unwrap_or_default();
    let when = if stale { format!(", as of {}", date(status.at)) } else { String::new() };
    table.line("rollout", &format!("{}{goes_to}{when}", status.stage));
    if let Some(waiting) = &status.waiting {
        table.line("why", waiting);
    }
    for generation in &status.went_back {
        table.line("went back", &format!("from generation {}", generation.short()));
    }
}

fn the_address(table: &mut Table, report: &address::Report) {
    let origin = report.origin.map(|origin| format!(" ({origin})")).unwrap_or_default();
    match report.address {
        Some(address) => table.line("address", &format!("{address}{origin}")),
        None => table.line("address", "none"),
    }
    if let Some(waiting) = &report.waiting {
        table.line("warning", waiting);
    }
}

fn the_loop(table: &mut Table, status: &Status, now: u64) {
    let state = match status.state {
        Rung::Closed => "closed".to_owned(),
        rung => format!("open ({rung})"),
    };
    table.line("loop", &format!("{state} since {}", date(status.since)));
    if now > status.at.saturating_add(STALE) {
        table.line(
            "warning",
            &format!("the agent has not looked since {}; is hah-agent.service running?", date(status.at)),
        );
    }
    if let Some(waiting) = &status.waiting {
        table.line("why", waiting);
    }
    for reached in &status.reached {
        let (seconds, millis) = (reached.at_ms / 1000, reached.at_ms % 1000);
        table.line("", &format!("{seconds:>5}.{millis:03} s  {}", reached.state));
    }
    if let Some(job) = &status.job {
        table.line("job", job);
    }
    let seen = &status.prometheus;
    let address = seen.address.as_deref().map(|address| format!(" on http://{address}")).unwrap_or_default();
    let prometheus = match seen.up {
        true => format!("ready{address}; targets: {} up, {} down", seen.targets_up, seen.targets_down),
        false => format!("does not answer{address}"),
    };
    table.line("prometheus", &prometheus);
    if let Some(vault) = &status.vault {
        table.line("vault", vault);
    }
    for note in &status.notes {
        table.line("note", note);
    }
    if let Some(error) = &status.last_error {
        table.line("last error", &format!("{}: {}", date(error.at), error.what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hah_node::closing::{Failure, Reached, STATUS_VERSION, Seen};
    use hah_node::stage1::{REPORT_VERSION, Step};

    fn report() -> Report {
        Report {
            flashed_root: "mmcblk0p2".into(),
            disk_id: "1234abcd".into(),
            generation: hah_node::generation::Slot::FLASHED,
            good: hah_node::generation::Slot::FLASHED,
            on_trial: false,
            rescue: false,
            version: REPORT_VERSION,
            image: "lab 13.7 (1a2b3c4d)".to_owned(),
            image_id: "1a".repeat(32),
            disk: "mmcblk0".to_owned(),
            disk_bytes: 32 << 30,
            data: "mmcblk0p3".to_owned(),
            data_bytes: (31 << 30) + (1 << 29),
            data_action: DataAction::Created,
            seeded: 12,
            hostname: "hah-abcdef01".to_owned(),
            new_machine_id: true,
            identity: hah_node::stage1::IdentityOrigin::None,
            steps: vec![Step { name: "identity".to_owned(), at_ms: 4021 }],
            warnings: vec!["cannot load the module x.ko.xz: Exec format error".to_owned()],
        }
    }

    fn status() -> Status {
        Status {
            version: STATUS_VERSION,
            node: "hah-abcdef01".to_owned(),
            pid: 312,
            at: 1_795_602_727,
            state: Rung::ConsulQuorum,
            since: 1_795_602_607,
            waiting: Some("waiting for Nomad: 2 of 3 servers are here; pi3-b has not been seen".to_owned()),
            notes: vec!["Vault is sealed".to_owned()],
            reached: vec![
                Reached { state: Rung::Booted, at_ms: 12_034 },
                Reached { state: Rung::ConsulQuorum, at_ms: 30_500 },
            ],
            job: None,
            prometheus: Seen::default(),
            vault: Some("sealed".to_owned()),
            transitions: 1,
            last_error: Some(Failure { at: 1_795_602_600, what: "waiting for Consul on this node: …".to_owned() }),
        }
    }

    fn tasks() -> Vec<Standing> {
        let failed = hah_node::first_boot::Failed { at: 1_795_602_600, why: "no room".to_owned(), times: 2 };
        let task = |name: &str, summary: &str, done, failed| Standing {
            name: name.to_owned(),
            summary: summary.to_owned(),
            done,
            failed,
        };
        vec![
            task("ssl-cert", "makes a key", Some(1_795_602_600), None),
            task("postgresql", "makes a database", None, Some(failed)),
        ]
    }

    #[test]
    fn a_rollout_is_told_when_there_is_something_to_tell() {
        use hah_node::rollout::Stage;
        let mut rollout = hah_node::rollout::Status {
            version: hah_node::rollout::STATUS_VERSION,
            node: "pi4".to_owned(),
            pid: 312,
            at: 1_795_602_727,
            stage: Stage::Waiting,
            running: None,
            wanted: Some(hah_node::generation::Digest([0xab; 32])),
            went_back: vec![hah_node::generation::Digest([0xcd; 32])],
            waiting: Some("waiting for pi3 to go first".to_owned()),
            lock: None,
            stop: None,
            last_error: None,
        };
        let told = |rollout: &hah_node::rollout::Status, now| {
            let mut table = Table::default();
            the_rollout(&mut table, rollout, now);
            table.0
        };
        assert_eq!(
            told(&rollout, 1_795_602_730),
            "rollout    waiting, to generation abababab\n\
             why        waiting for pi3 to go first\n\
             went back  from generation cdcdcdcd\n"
        );
        (rollout.stage, rollout.waiting, rollout.wanted) = (Stage::Idle, None, None);
        rollout.went_back.clear();
        assert_eq!(told(&rollout, 1_795_602_730), "");
        assert!(told(&rollout, 1_795_603_730).starts_with("rollout    idle, as of 2026-11-25 "));
    }

    #[test]
    fn a_summary_names_what_a_person_asks_for() {
        let whole = Whole {
            stage1: Some(report()),
            address: None,
            r#loop: Some(status()),
            rollout: None,
            strangers: None,
            first_boot: tasks(),
        };
        assert_eq!(
            summary(&whole, 1_795_602_730),
            "node       hah-abcdef01\n\
             image      lab 13.7 (1a2b3c4d)\n\
             disk       mmcblk0 (32.0 GiB)\n\
             data       mmcblk0p3 (31.5 GiB), made in this boot\n\
             filled     12 files from the image\n\
             stage 1    done 4.021 s after the kernel started\n\
             warning    cannot load the module x.ko.xz: Exec format error\n\
             loop       open (consul-quorum) since 2026-11-25 10:30:07 UTC\n\
             why        waiting for Nomad: 2 of 3 servers are here; pi3-b has not been seen\n\
            \x20             12.034 s  booted\n\
            \x20             30.500 s  consul-quorum\n\
             prometheus does not answer\n\
             vault      sealed\n\
             note       Vault is sealed\n\
             last error 2026-11-25 10:30:00 UTC: waiting for Consul on this node: …\n\
             first boot ssl-cert: makes a key: done 2026-11-25 10:30:00 UTC\n\
             first boot postgresql: makes a database: failed 2 times, last 2026-11-25 10:30:00 UTC: no room\n"
        );
        let late = summary(&whole, 1_795_602_727 + 301);
        assert!(late.contains("the agent has not looked since 2026-11-25 10:32:07 UTC"), "{late}");
    }

    #[test]
    fn json_keeps_what_stage_1_said_and_adds_the_loop() {
        let whole = Whole {
            stage1: Some(report()),
            address: None,
            r#loop: Some(status()),
            rollout: None,
            strangers: None,
            first_boot: Vec::new(),
        };
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::from_value::<Status>(value["loop"].clone()).unwrap(), status());
        let alone = serde_json::to_string(&Whole {
            stage1: Some(report()),
            address: None,
            r#loop: None,
            rollout: None,
            strangers: None,
            first_boot: Vec::new(),
        })
        .unwrap();
        assert!(alone.ends_with("\"loop\":null,\"first_boot\":[]}"), "{alone}");
    }

    #[test]
    fn what_nft_counts() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("run/hah/firewall.json");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        assert_eq!(strangers(root.path()), None);
        let counter = |name: &str, packets: u64| {
            format!(
                r#"{{"counter":{{"family":"inet","name":"{name}","table":"hah","handle":1,"packets":{packets},"bytes":9}}}}"#
            )
        };
        let said = format!(
            r#"{{"nftables":[{{"metainfo":{{"version":"1.1.3"}}}},{},{}]}}"#,
            counter("other", 3),
            counter("strangers", 12)
        );
        for (text, wanted) in [(said.as_str(), Some(12)), ("", None), ("{}", None), (r#"{"nftables":[]}"#, None)] {
            fs::write(&file, text).unwrap();
            assert_eq!(strangers(root.path()), wanted, "{text}");
        }
    }
}
