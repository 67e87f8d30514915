//! Closing the loop: what the image tells `hah-agent loop`, and what the loop tells the rest of the world.
//!
//! | what | where | type |
//! |---|---|---|
//! | configuration, written by a recipe | [`CONFIG`] | [`Loop`] |
//! | what every agent of the cluster remembers | Consul KV [`MARKER_KEY`] | [`Marker`] |
//! | what this node's agent sees now | [`STATUS`] | [`Status`] |
//! | metrics, for node_exporter's textfile collector | [`Loop::textfile`] | [`metric`] |
//! | the login banner and the message of the day | [`ISSUE`], [`MOTD`] | text |
//!
//! The agent's own half is `hah_agent::closing`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The loop's configuration. A node without it has no loop.
pub const CONFIG: &str = "/etc/hah/loop.json";
/// [`Status`], on the `/run` tmpfs: it is this boot's.
pub const STATUS: &str = "/run/hah/loop.json";
/// One line for the login banner. The image has a link to it in `/etc/issue.d`, which every agetty reads; `/run/issue.d`
/// is read beside `/etc/issue` by some versions of util-linux only.
pub const ISSUE: &str = "/run/hah/hah.issue";
/// Where the image links [`ISSUE`] from.
pub const ISSUE_LINK: &str = "/etc/issue.d/hah.issue";
/// The same line for pam_motd(8).
pub const MOTD: &str = "/run/motd.d/hah";
/// ACL token for Consul's HTTP API, on tmpfs; optional.
pub const CONSUL_TOKEN: &str = "/run/hah/secrets/consul.token";
/// ACL token for Nomad's HTTP API, on tmpfs; optional.
pub const NOMAD_TOKEN: &str = "/run/hah/secrets/nomad.token";
/// Consul KV key of the [`Marker`].
pub const MARKER_KEY: &str = "hah/loop";
/// The service that every agent registers with its own Consul agent, with a TTL check.
pub const SERVICE: &str = "hah-agent";

/// The path of a job as HCL, by the path of its JSON: the image has it under this name, and no JSON of a job that only
/// Nomad can parse.
pub fn hcl_of(json: &str) -> Option<String> {
    json.strip_suffix(".json").map(|path| format!("{path}.nomad.hcl"))
}

/// Version of [`Loop`]; the agent refuses others, since image and agent are always built together.
pub const VERSION: u32 = 1;

/// The configuration of the loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loop {
    /// [`VERSION`].
    pub version: u32,
    /// The node's own Consul agent.
    pub consul: Servers,
    /// The node's own Nomad agent; `null` on a node without.
    pub nomad: Option<Servers>,
    /// The node's own Vault or OpenBao; `null` on a node without.
    pub vault: Option<Endpoint>,
    /// The job file that closes the loop: `NAME.json` as `PUT /v1/jobs` takes it, `{"Job": {…}}`, or HCL under any other
    /// name, which Nomad parses. Where the JSON is not there, [`hcl_of`] it is taken. `Job.Meta.hah_job` is the job's
    /// version; one that has none is told apart by the digest of its file.
    pub job: Option<String>,
    /// Whether this node hands the job to Nomad: on Nomad servers.
    pub submit: bool,
    /// What to do when the job is gone and nobody stopped it.
    pub resubmit: Resubmit,
    /// Whether the cluster is closed: its access control is set up before anything else.
    #[serde(default)]
    pub closed: bool,
    /// What the job is to bring up.
    pub prometheus: Prometheus,
    /// Where metrics go; `null` on a node without node_exporter.
    pub textfile: Option<String>,
}

/// An agent of a cluster that elects a leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Servers {
    /// `http://127.0.0.1:8500`: scheme, IP address (or `localhost`) and port.
    pub address: String,
    /// How many servers the cluster is meant to have.
    pub expect: u32,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// As [`Servers::address`].
    pub address: String,
}

/// Prometheus, as the rest of the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// Its name in Consul's catalog.
    pub service: String,
    /// Its port where the catalog has none.
    pub port: u16,
    /// Scrape jobs that must have a target that is up before the loop is closed.
    #[serde(default)]
    pub jobs: Vec<String>,
    /// Scrape jobs whose targets delay nothing.
    #[serde(default = "beside")]
    pub beside: Vec<String>,
}

/// Vault may be sealed or absent: that is its own alert, not a loop that is open.
fn beside() -> Vec<String> {
    ["vault", "openbao"].map(str::to_owned).to_vec()
}

/// What to do when the job is gone and nobody stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resubmit {
    /// Say so.
    Never,
    /// Say so, and submit it again.
    IfLost,
}

/// How far the loop is: each state is reached when its condition and all conditions before it hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// The agent runs.
    Booted,
    /// Consul has a leader, and had as many servers as it should.
    ConsulQuorum,
    /// In a closed cluster: Consul knows every node's token, and what each may.
    SetUp,
    /// Nomad has a leader, and had as many servers as it should.
    NomadQuorum,
    /// Nomad has the job.
    JobSubmitted,
    /// The job's deployment succeeded and its allocation runs.
    JobHealthy,
    /// Prometheus is ready, and sees every live node.
    TargetsUp,
    /// The cluster remembers that it monitors itself.
    Closed,
}

impl Rung {
    /// All of them, from the first to the last.
    pub const ALL: [Self; 8] = [
        Self::Booted,
        Self::ConsulQuorum,
        Self::SetUp,
        Self::NomadQuorum,
        Self::JobSubmitted,
        Self::JobHealthy,
        Self::TargetsUp,
        Self::Closed,
    ];

    /// As in JSON and in the label `state` of [`metric::STATE`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Booted => "booted",
            Self::ConsulQuorum => "consul-quorum",
            Self::SetUp => "set-up",
            Self::NomadQuorum => "nomad-quorum",
            Self::JobSubmitted => "job-submitted",
            Self::JobHealthy => "job-healthy",
            Self::TargetsUp => "targets-up",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Version of [`Marker`]. An agent that meets a later one leaves it alone and submits nothing.
pub const MARKER_VERSION: u32 = 1;

/// What the cluster remembers of the job, changed by compare-and-set only.
///
/// ```text
/// (absent) ─claim─► submitting ─Nomad took it─► submitted ─the person stopped it─► stopped
///                        ▲                          │  ▲                              │
///                        └──newer version, or lost──┘  └───the person started it──────┘
/// ```
///
/// Nomad alone cannot remember: it forgets a stopped job after `job_gc_threshold`, 4 h, and a purged one at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// [`MARKER_VERSION`].
    pub version: u32,
    /// Nomad's id of the job: `prometheus`.
    pub job: String,
    /// `Job.Meta.hah_job` of what was submitted last, or is being submitted.
    pub hah_job: String,
    /// How far that is.
    pub phase: Phase,
    /// `JobModifyIndex` of what an agent wrote; 0 while it is unknown. A job that has another was changed by hand.
    pub index: u64,
    /// Versions that were submitted before this one, oldest first: an older image does not bring them back.
    #[serde(default)]
    pub past: Vec<String>,
    /// The node that wrote the marker.
    pub by: String,
    /// When the loop was closed for the first time: seconds since 1970, by the clock of the node that saw it.
    #[serde(default)]
    pub closed_at: Option<u64>,
    /// The node that saw it.
    #[serde(default)]
    pub closed_by: Option<String>,
}

/// Most entries that [`Marker::past`] keeps.
pub const PAST_MAX: usize = 32;

/// See [`Marker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// An agent has said that it will submit the job, and may have done it.
    Submitting,
    /// Nomad took the job.
    Submitted,
    /// The person stopped the job: it stays stopped.
    Stopped,
}

/// Consul KV key of the [`SetupMarker`].
pub const SETUP_KEY: &str = "hah/setup";
/// Version of [`SetupMarker`].
pub const SETUP_VERSION: u32 = 1;

/// How far the set-up of a closed cluster is, changed by compare-and-set only.
///
/// Every server goes through it once, one after the other: the first makes what the others find. So what somebody deleted
/// is there again when a server gets its identity anew.
///
/// ```text
/// (absent) ─► claimed ─tokens of Consul─► consul ─Nomad, its token, its jobs' tokens─► done ─the next server─► claimed
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupMarker {
    /// [`SETUP_VERSION`].
    pub version: u32,
    /// How far the server that wrote this is.
    pub stage: Stage,
    /// Whether any server got beyond `claimed` before: the nodes' tokens work.
    pub ready: bool,
    /// The node that wrote the marker.
    pub by: String,
}

/// See [`SetupMarker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// A server has said that it will go through the set-up.
    Claimed,
    /// Consul's part is done.
    Consul,
    /// All of it is.
    Done,
}

/// Metric names, in the order of the file.
pub mod metric {
    /// Label `state`; 1 for the state that the loop is in, 0 for the others.
    pub const STATE: &str = "hah_loop_state";
    /// 1 when the loop is closed.
    pub const CLOSED: &str = "hah_loop_closed";
    /// 1 when this node got an answer from Prometheus' `/-/ready`.
    pub const PROMETHEUS_UP: &str = "hah_prometheus_up";
    /// Scrape targets that are up, as Prometheus told this node.
    pub const TARGETS_UP: &str = "hah_prometheus_targets_up";
    /// Scrape targets that are down.
    pub const TARGETS_DOWN: &str = "hah_prometheus_targets_down";
    /// Changes of state since the agent started.
    pub const TRANSITIONS: &str = "hah_loop_transitions_total";
    /// Seconds from the start of the kernel to the closed loop; absent until then.
    pub const SECONDS_TO_CLOSE: &str = "hah_loop_seconds_to_close";
    /// When something last failed that should not.
    pub const LAST_ERROR: &str = "hah_loop_last_error_timestamp_seconds";
    /// When the agent last looked: an agent that hangs stops counting.
    pub const LAST_PASS: &str = "hah_loop_last_pass_timestamp_seconds";
}

/// Version of [`Status`].
pub const STATUS_VERSION: u32 = 1;

/// What this node's agent sees, as [`STATUS`] and in `hah-agent status --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`STATUS_VERSION`].
    pub version: u32,
    /// The node's name.
    pub node: String,
    /// The process that wrote this.
    pub pid: u32,
    /// When it was written: seconds since 1970.
    pub at: u64,
    /// How far the loop is.
    pub state: Rung,
    /// Since when: seconds since 1970.
    pub since: u64,
    /// The first condition that does not hold, as a sentence without its full stop; `null` when the loop is closed.
    pub waiting: Option<String>,
    /// What else a person should know, as sentences: a stopped job, targets that are down, a sealed Vault.
    pub notes: Vec<String>,
    /// When each state was first reached in this boot.
    pub reached: Vec<Reached>,
    /// The job: its version and what became of it.
    pub job: Option<String>,
    /// Prometheus, as this node sees it.
    pub prometheus: Seen,
    /// Vault, as this node sees it: `unsealed, active`.
    pub vault: Option<String>,
    /// Changes of state since the agent started.
    pub transitions: u64,
    /// What failed last that should not.
    pub last_error: Option<Failure>,
}

/// One state of this boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Which.
    pub state: Rung,
    /// When: milliseconds since the kernel started.
    pub at_ms: u64,
}

/// Prometheus, as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Whether it answered `/-/ready`.
    pub up: bool,
    /// Where it was looked for: `192.168.1.16:9090`.
    pub address: Option<String>,
    /// Scrape targets that are up.
    pub targets_up: u64,
    /// Scrape targets that are down.
    pub targets_down: u64,
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When: seconds since 1970.
    pub at: u64,
    /// What, as a sentence without its full stop.
    pub what: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for rung in Rung::ALL {
            let json = serde_json::to_value(rung).unwrap();
            assert_eq!(json.as_str(), Some(rung.name()));
        }
    }

    #[test]
    fn the_configuration_that_docs_show_is_read() {
        let text = r#"{"version":1,"consul":{"address":"http://127.0.0.1:8500","expect":3},
            "nomad":{"address":"http://127.0.0.1:4646","expect":3},"vault":null,
            "job":"/usr/share/hah/jobs/prometheus.json","submit":true,"resubmit":"if-lost",
            "prometheus":{"service":"prometheus","port":9090},
            "textfile":"/var/lib/prometheus/node-exporter/hah.prom"}"#;
        let config: Loop = serde_json::from_str(text).unwrap();
        assert_eq!((config.version, config.resubmit), (VERSION, Resubmit::IfLost));
        assert_eq!(config.prometheus.beside, ["vault", "openbao"]);
        let misspelt = text.replace("resubmit", "resumbit");
        let message = serde_json::from_str::<Loop>(&misspelt).unwrap_err().to_string();
        assert!(message.starts_with("unknown field `resumbit`"), "{message}");
    }
}
