//! The agent as a process, with a directory for `/`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hah_node::closing::Status;
use serde_json::Value;

use crate::programs::Running;

/// One node's agent.
pub(crate) struct Agent {
    pub(crate) root: PathBuf,
    node: String,
    hurry: u32,
    running: Option<Running>,
}

impl Agent {
    /// Prepares a node: its configuration, its job file, its kernel log.
    pub(crate) fn new(root: PathBuf, node: &str, hurry: u32, config: &Value) -> Self {
        for directory in ["etc/hah", "dev", "run", "usr/share/hah/jobs"] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
        }
        std::fs::write(root.join("etc/hah/loop.json"), config.to_string()).unwrap();
        std::fs::write(root.join("dev/kmsg"), "").unwrap();
        Self { root, node: node.to_owned(), hurry, running: None }
    }

    pub(crate) fn job(self, job: &Value) -> Self {
        let file = serde_json::json!({ "Job": job });
        std::fs::write(self.root.join("usr/share/hah/jobs/prometheus.json"), file.to_string()).unwrap();
        self
    }

    pub(crate) fn start(&mut self) {
        let mut command = Command::new(program());
        command.arg("loop").arg("--root").arg(&self.root).args(["--node", &self.node]);
        command.args(["--hurry", &self.hurry.to_string()]).env_remove("NOTIFY_SOCKET");
        self.running = Some(Running::start(&mut command, &self.root.join("journal")));
    }

    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::is_running)
    }

    pub(crate) fn journal(&self) -> String {
        std::fs::read_to_string(self.root.join("journal")).unwrap_or_default()
    }

    /// What it says of itself, once it has.
    pub(crate) fn status(&self) -> Option<Status> {
        let text = std::fs::read(self.root.join("run/hah/loop.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Waits until its status is as wanted.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str, within: Duration, wanted: impl Fn(&Status) -> bool) -> Status {
        let started = Instant::now();
        loop {
            // Not one of a process before: of this one.
            let pid = self.running.as_ref().map(Running::pid);
            if let Some(status) = self.status().filter(|status| Some(status.pid) == pid && wanted(status)) {
                return status;
            }
            let alive = self.is_running();
            if !alive || started.elapsed() > within {
                panic!(
                    "{}: not {what} after {within:?} (running: {alive}): {:#?}\n{}",
                    self.node,
                    self.status(),
                    self.journal()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Processor time that the process has had.
    pub(crate) fn processor_time(&self) -> Duration {
        let pid = self.running.as_ref().unwrap().pid();
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// The most memory that the process has had resident, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let pid = self.running.as_ref().unwrap().pid();
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The output of `hah-agent status` for this node.
    pub(crate) fn status_text(&self, form: &[&str]) -> String {
        let mut command = Command::new(program());
        let output = command.arg("status").args(form).arg("--root").arg(&self.root).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The agent under test: `HAH_AGENT_HOST` names another build of it, for measurements.
fn program() -> PathBuf {
    let other = std::env::var_os("HAH_AGENT_HOST").map(PathBuf::from);
    other.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_hah-agent")))
}

/// A directory for one test, below cargo's own.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("closing").join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}
