//! The contract with the real programs: three Consul servers, three node_exporters, Prometheus, and Nomad.
//!
//! Each cluster lives on loopback addresses of its own, `127.A.B.1` to `.3`, so that the programs keep their usual ports.
//! The same story is told twice: with a double of Nomad that starts the real Prometheus, always, and with a real Nomad
//! where there is one. What Prometheus is told to do comes from the job, as on a node.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hah_node::closing::{Marker, Phase, Rung};
use serde_json::{Value, json};

use crate::agent::{Agent, scratch};
use crate::double::{self, NomadState, request};
use crate::programs::{Running, find, oracle};
use crate::server::{Endpoints, Server};

/// Time of the agents runs so many times faster.
const HURRY: u32 = 5;
/// Elections, health checks and scrapes take their time.
const SOON: Duration = Duration::from_secs(120);

/// Which Nomad.
enum Nomad {
    Double { state: Arc<Mutex<NomadState>>, _servers: Vec<Server> },
    Real { servers: Vec<Running> },
}

/// The programs of three nodes.
struct Cluster {
    directory: PathBuf,
    addresses: [String; 3],
    consul_program: PathBuf,
    prometheus: PathBuf,
    consul: [Option<Running>; 3],
    _exporters: Vec<Running>,
    nomad: Nomad,
    agents: Vec<Agent>,
}

impl Cluster {
    /// Starts everything but the agents; nothing when a program is missing.
    fn start(name: &str, network: u8, nomad: Option<&Path>) -> Option<Self> {
        let consul_program = oracle(&["consul"])?;
        let prometheus = oracle(&["prometheus"])?;
        let exporter = oracle(&["node_exporter", "prometheus-node-exporter"])?;
        let directory = scratch(name);
        // Another run of this test on the same machine has another process id.
        let own = (std::process::id() % 250 + 1) as u8;
        let addresses = [1, 2, 3].map(|node| format!("127.{network}.{own}.{node}"));
        let exporters = addresses.iter().enumerate().map(|(number, address)| {
            let mut command = Command::new(&exporter);
            // One collector: this is about targets, not about metrics.
            command.args(["--collector.disable-defaults", "--collector.loadavg"]);
            command.arg(format!("--web.listen-address={address}:9100"));
            Running::start(&mut command, &directory.join(format!("exporter{number}.log")))
        });
        let exporters = exporters.collect();
        let mut cluster = Self {
            nomad: Nomad::Real { servers: Vec::new() },
            directory,
            addresses,
            consul_program,
            prometheus,
            consul: [None, None, None],
            _exporters: exporters,
            agents: Vec::new(),
        };
        (0..3).for_each(|node| cluster.start_consul(node));
        cluster.nomad = match nomad {
            None => cluster.double(),
            Some(program) => Nomad::Real { servers: (0..3).map(|node| cluster.start_nomad(program, node)).collect() },
        };
        Some(cluster)
    }

    fn start_consul(&mut self, node: usize) {
        let directory = self.directory.join(format!("consul{node}"));
        std::fs::create_dir_all(directory.join("data")).unwrap();
        let address = &self.addresses[node];
        let check = json!({ "HTTP": format!("http://{address}:9100/"), "Interval": "2s" });
        let config = json!({
            "node_name": format!("n{}", node + 1), "data_dir": directory.join("data"), "server": true,
            "bootstrap_expect": 3, "bind_addr": address, "client_addr": address, "retry_join": self.addresses,
            "retry_interval": "1s", "disable_update_check": true, "disable_host_node_id": true,
            "performance": { "raft_multiplier": 1 }, "rejoin_after_leave": true,
            "service": { "name": "node-exporter", "port": 9100, "address": address, "check": check },
        });
        let file = directory.join("consul.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(&self.consul_program);
        command.arg("agent").arg(format!("-config-file={}", file.display()));
        self.consul[node] = Some(Running::start(&mut command, &directory.join("log")));
    }

    fn double(&self) -> Nomad {
        let task = self.directory.join("task");
        std::fs::create_dir_all(&task).unwrap();
        let state = NomadState { runs: Some((task, self.consul_url(0))), ..NomadState::default() };
        let state = Arc::new(Mutex::new(state));
        let servers = self.addresses.iter().map(|address| {
            let endpoints = Arc::new(Mutex::new(Endpoints::default()));
            double::nomad(&format!("{address}:4646"), endpoints, Arc::clone(&state))
        });
        Nomad::Double { _servers: servers.collect(), state }
    }

    /// Server and client in one, as on the nodes of the lab.
    fn start_nomad(&self, program: &Path, node: usize) -> Running {
        let directory = self.directory.join(format!("nomad{node}"));
        std::fs::create_dir_all(directory.join("data")).unwrap();
        let address = &self.addresses[node];
        // Off-cloud machines answer none of these, and a proxy that does stops the agent.
        let clouds = "env_aws,env_gce,env_azure,env_digitalocean,env_openstack";
        let config = json!({
            "name": format!("n{}", node + 1), "data_dir": directory.join("data"), "bind_addr": address,
            "advertise": { "http": address, "rpc": address, "serf": address },
            "server": { "enabled": true, "bootstrap_expect": 3 },
            "client": {
                "enabled": true, "network_interface": "lo", "options": { "fingerprint.denylist": clouds },
                "reserved": { "memory": 64 },
            },
            "consul": { "address": format!("{address}:8500") },
            "plugin": { "raw_exec": { "config": { "enabled": true } } },
            "disable_update_check": true,
        });
        let file = directory.join("nomad.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(program);
        command.arg("agent").arg(format!("-config={}", file.display())).env_remove("AWS_CA_BUNDLE");
        Running::start(&mut command, &directory.join("log"))
    }

    fn consul_url(&self, node: usize) -> String {
        format!("http://{}:8500", self.addresses[node])
    }

    fn nomad_url(&self) -> String {
        format!("http://{}:4646", self.addresses[0])
    }

    /// The job, in the form that both Nomads take.
    fn job(&self, version: &str) -> Value {
        let address = &self.addresses[0];
        // Not Consul's discovery, which Debian's Prometheus is built without.
        let nodes = self.addresses.each_ref().map(|address| format!("'{address}:9100'")).join(", ");
        let scrape = format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs:\n\
             - job_name: prometheus\n  static_configs: [{{targets: ['{address}:9090']}}]\n\
             - job_name: node\n  static_configs: [{{targets: [{nodes}]}}]\n"
        );
        let second = 1_000_000_000_u64;
        json!({
            "ID": "prometheus", "Name": "prometheus", "Type": "service", "Datacenters": ["*"],
            "Meta": { "hah_job": version },
            // On the first node, where it can listen on the address that the scrape configuration names.
            "Constraints": [{ "LTarget": "${node.unique.name}", "RTarget": "n1", "Operand": "=" }],
            "Update": { "MinHealthyTime": second, "HealthyDeadline": 60 * second, "ProgressDeadline": 120 * second },
            "TaskGroups": [{
                "Name": "prometheus", "Count": 1,
                "RestartPolicy": { "Attempts": 10, "Interval": 60 * second, "Delay": second, "Mode": "delay" },
                "Networks": [{ "Mode": "host", "ReservedPorts": [{ "Label": "http", "Value": 9090 }] }],
                "Services": [{
                    "Name": "prometheus", "PortLabel": "http", "Provider": "consul", "Address": address,
                    "Checks": [{
                        "Name": "ready", "Type": "http", "Path": "/-/ready", "Interval": 2 * second,
                        "Timeout": second,
                    }],
                }],
                "Tasks": [{
                    "Name": "prometheus", "Driver": "raw_exec",
                    "Config": {
                        "command": self.prometheus,
                        "args": [
                            "--config.file=${NOMAD_TASK_DIR}/prometheus.yml",
                            "--storage.tsdb.path=${NOMAD_ALLOC_DIR}/tsdb",
                            format!("--web.listen-address={address}:${{NOMAD_PORT_http}}"),
                        ],
                    },
                    "Templates": [{ "DestPath": "local/prometheus.yml", "EmbeddedTmpl": scrape, "ChangeMode": "noop" }],
                    "Resources": { "CPU": 100, "MemoryMB": 128 },
                }],
            }],
        })
    }

    fn start_agents(&mut self) {
        for node in 0..3 {
            let address = &self.addresses[node];
            let config = json!({
                "version": 1,
                "consul": { "address": format!("http://{address}:8500"), "expect": 3 },
                "nomad": { "address": format!("http://{address}:4646"), "expect": 3 },
                "vault": null,
                "job": "/usr/share/hah/jobs/prometheus.json", "submit": true, "resubmit": "never",
                "prometheus": { "service": "prometheus", "port": 9090, "jobs": ["prometheus", "node"] },
                "textfile": "/run/hah/hah.prom",
            });
            let name = format!("n{}", node + 1);
            let agent = Agent::new(self.directory.join(&name), &name, HURRY, &config);
            let mut agent = agent.job(&self.job("v1"));
            agent.start();
            self.agents.push(agent);
        }
    }

    #[track_caller]
    fn all_closed(&mut self) {
        for agent in &mut self.agents {
            agent.wait("closed", SOON, |status| status.state == Rung::Closed && status.waiting.is_none());
        }
    }

    fn marker(&self) -> Marker {
        let (_, body) = request("GET", &format!("{}/v1/kv/hah/loop", self.consul_url(1)), "");
        let entries: Value = serde_json::from_str(&body).unwrap();
        serde_json::from_slice(&STANDARD.decode(entries[0]["Value"].as_str().unwrap()).unwrap()).unwrap()
    }

    /// Nomad's own word on the job.
    fn job_in_nomad(&self) -> Value {
        let (status, body) = request("GET", &format!("{}/v1/job/prometheus", self.nomad_url()), "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Ends Prometheus itself, as the kernel would when memory is short.
    fn kill_prometheus(&mut self) {
        match &self.nomad {
            Nomad::Double { state, .. } => state.lock().unwrap().kill_task(),
            Nomad::Real { .. } => {
                let listen = format!("--web.listen-address={}:9090", self.addresses[0]);
                for entry in std::fs::read_dir("/proc").unwrap() {
                    let path = entry.unwrap().path();
                    let command = std::fs::read_to_string(path.join("cmdline")).unwrap_or_default();
                    let mut words = command.split('\0');
                    if words.next().is_some_and(|program| Path::new(program) == self.prometheus)
                        && words.any(|word| word == listen)
                    {
                        let pid = path.file_name().unwrap().to_str().unwrap().to_owned();
                        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
                    }
                }
            }
        }
    }

    /// Says what Prometheus' death looked like from every node, and lets it come back.
    fn prometheus_dies_and_returns(&mut self) {
        match &self.nomad {
            Nomad::Double { .. } => {
                self.kill_prometheus();
                for agent in &mut self.agents {
                    let status =
                        agent.wait("told", SOON, |status| !status.prometheus.up && status.state < Rung::Closed);
                    assert!(agent.read("run/hah/hah.prom").contains("\nhah_prometheus_up 0\n"), "{status:?}");
                    assert!(agent.read("dev/kmsg").contains("the loop is open again"), "{status:?}");
                }
                let Nomad::Double { state, .. } = &self.nomad else { unreachable!() };
                state.lock().unwrap().restart_task();
            }
            // Nomad starts it again within seconds: the agents may not even notice.
            Nomad::Real { .. } => self.kill_prometheus(),
        }
        self.all_closed();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Nomad::Real { servers } = &mut self.nomad {
            // What raw_exec started outlives its agent.
            request("DELETE", &format!("http://{}:4646/v1/job/prometheus?purge=true", self.addresses[0]), "");
            std::thread::sleep(Duration::from_secs(3));
            servers.clear();
            self.kill_prometheus();
        }
    }
}

/// From nothing to a closed loop, and what becomes of it.
fn story(name: &str, network: u8, nomad: Option<&Path>) {
    let Some(mut cluster) = Cluster::start(name, network, nomad) else { return };
    let started = Instant::now();
    cluster.start_agents();
    cluster.all_closed();
    println!("{name}: closed {:.1} s after everything was started", started.elapsed().as_secs_f64());
    println!("{}", cluster.agents[0].journal());
    println!("{}", cluster.agents[0].status_text(&[]));

    // Once, and remembered.
    let job = cluster.job_in_nomad();
    assert_eq!(job["Version"], 0, "{job}");
    let index = job["JobModifyIndex"].clone();
    let marker = cluster.marker();
    assert_eq!((marker.phase, json!(marker.index), &*marker.hah_job), (Phase::Submitted, index.clone(), "v1"));
    assert!(marker.closed_at.is_some());
    let submitted = cluster.agents.iter().filter(|agent| agent.journal().contains("handing the job to Nomad"));
    assert!(submitted.count() >= 1);
    // Where other programs see it.
    let started = Instant::now();
    loop {
        let (_, body) = request("GET", &format!("{}/v1/health/service/hah-agent?passing", cluster.consul_url(2)), "");
        if serde_json::from_str::<Vec<Value>>(&body).unwrap().len() == 3 {
            break;
        }
        assert!(started.elapsed() < SOON, "{body}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let up = "http://".to_owned() + &cluster.addresses[0] + ":9090/api/v1/query?query=count(up==1)";
    let (_, body) = request("GET", &up, "");
    assert!(body.contains(r#""4"]"#), "{body}");

    // A power cut of all agents: closed again, and nothing is submitted.
    for agent in &mut cluster.agents {
        agent.kill();
        agent.start();
    }
    cluster.all_closed();
    assert_eq!(cluster.job_in_nomad()["JobModifyIndex"], index);

    cluster.prometheus_dies_and_returns();
    assert_eq!(cluster.job_in_nomad()["JobModifyIndex"], index);

    // One server of Consul stops: its node says what is missing, the others stay.
    cluster.consul[2] = None;
    let last = &mut cluster.agents[2];
    let status = last.wait("told", SOON, |status| status.state == Rung::Booted);
    assert!(status.waiting.unwrap().starts_with("waiting for Consul on this node: it does not listen on"));
    for agent in &mut cluster.agents[..2] {
        assert_eq!(agent.status().unwrap().state, Rung::Closed);
    }
    cluster.start_consul(2);
    cluster.all_closed();

    // The person stops the job, and nobody brings it back.
    let url = format!("{}/v1/job/prometheus", cluster.nomad_url());
    assert_eq!(request("DELETE", &url, "").0, 200);
    let stopped = cluster.job_in_nomad();
    assert_eq!(stopped["Stop"], true);
    for agent in &mut cluster.agents {
        agent.wait("stopped", SOON, |status| {
            status.waiting.as_deref() == Some("the job was stopped by hand and stays stopped")
        });
    }
    for agent in &mut cluster.agents {
        agent.kill();
        agent.start();
    }
    // A minute of the agents' time.
    std::thread::sleep(Duration::from_secs(60) / HURRY);
    assert_eq!(cluster.job_in_nomad()["JobModifyIndex"], stopped["JobModifyIndex"]);
    assert_eq!(cluster.marker().phase, Phase::Stopped);
    println!("{}", cluster.agents[1].status_text(&[]));

    // The person starts it again.
    let again = json!({ "Job": cluster.job("v1") }).to_string();
    let (status, body) = request("PUT", &format!("{}/v1/jobs", cluster.nomad_url()), &again);
    assert_eq!(status, 200, "{body}");
    cluster.all_closed();
    assert_eq!(cluster.marker().phase, Phase::Submitted);

    // And purges it: with `never` that is the end.
    assert_eq!(request("DELETE", &format!("{url}?purge=true"), "").0, 200);
    for agent in &mut cluster.agents {
        agent.wait("lost", SOON, |status| {
            status.waiting.as_ref().is_some_and(|waiting| waiting.starts_with("the job has gone from Nomad"))
        });
    }
    std::thread::sleep(Duration::from_secs(60) / HURRY);
    assert_eq!(request("GET", &url, "").0, 404);
}

#[test]
fn with_a_double_of_nomad() {
    story("double", 81, None);
}

#[test]
fn with_a_real_nomad() {
    let Some(nomad) = find(&["nomad"]) else { return println!("skipped: no nomad in HAH_E2E_BIN or on the path") };
    let version = Command::new(&nomad).arg("version").output().unwrap();
    println!("{}", String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default());
    story("nomad", 82, Some(&nomad));
}
