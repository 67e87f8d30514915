//! A closed cluster: three real Consul servers that deny everything, and a Nomad with access control, real or a double.
//!
//! One story from power-on to a closed loop without anybody typing a token; then what strangers try, which must fail here
//! and succeed in an open cluster, so that the list can fail; then what was deleted, made again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hah_node::closing::{Rung, SetupMarker, Stage};
use hah_node::identity::{Identity, Secret, Setup, SetupTokens};
use serde_json::{Value, json};

use crate::agent::{Agent, scratch};
use crate::double::{self, NomadState, asked};
use crate::programs::{Running, oracle};
use crate::server::{Endpoints, Server};

/// Time of the agents runs so many times faster.
const HURRY: u32 = 5;
/// Elections and health checks take their time.
const SOON: Duration = Duration::from_secs(120);

const CONSUL_MANAGEMENT: &str = "c0c0c0c0-0000-4000-8000-000000000001";
const NOMAD_MANAGEMENT: &str = "c0c0c0c0-0000-4000-8000-000000000002";
/// What servers throw away.
const MANAGEMENT: [&str; 2] = [CONSUL_MANAGEMENT, NOMAD_MANAGEMENT];

/// A token that nobody else has: by kind and node.
fn token(kind: u8, node: usize) -> String {
    format!("c0c0c0c0-{kind:04}-4000-8000-{node:012}")
}

fn setup() -> Setup {
    let own = |node: usize| SetupTokens {
        agent: Some(Secret::new(token(1, node))),
        nomad: Some(Secret::new(token(2, node))),
        hah: Some(Secret::new(token(3, node))),
        submits: true,
        prometheus: None,
    };
    Setup {
        consul: Secret::new(CONSUL_MANAGEMENT),
        nomad: Some(Secret::new(NOMAD_MANAGEMENT)),
        nodes: (0..3).map(|node| (format!("n{}", node + 1), own(node))).collect(),
    }
}

/// Three nodes.
struct Cluster {
    directory: PathBuf,
    addresses: [String; 3],
    program: PathBuf,
    is_closed: bool,
    consul: Vec<Running>,
    nomad: Arc<Mutex<NomadState>>,
    _servers: Vec<Server>,
    agents: Vec<Agent>,
}

impl Cluster {
    fn start(name: &str, network: u8, is_closed: bool) -> Option<Self> {
        let program = oracle(&["consul"])?;
        let directory = scratch(name);
        let own = (std::process::id() % 250 + 1) as u8;
        let addresses = [1, 2, 3].map(|node| format!("127.{network}.{own}.{node}"));
        let nomad = NomadState { healthy: true, closed: is_closed, ..NomadState::default() };
        let nomad = Arc::new(Mutex::new(nomad));
        let servers = addresses.iter().map(|address| {
            let endpoints = Arc::new(Mutex::new(Endpoints::default()));
            double::nomad(&format!("{address}:4646"), endpoints, Arc::clone(&nomad))
        });
        let mut cluster = Self {
            _servers: servers.collect(),
            directory,
            addresses,
            program,
            is_closed,
            consul: Vec::new(),
            nomad,
            agents: Vec::new(),
        };
        for node in 0..3 {
            let running = cluster.start_consul(node);
            cluster.consul.push(running);
        }
        Some(cluster)
    }

    /// As a server of the images: what the recipe and stage 1 write for Debian's version.
    fn start_consul(&self, node: usize) -> Running {
        let directory = self.directory.join(format!("consul{node}"));
        std::fs::create_dir_all(directory.join("data")).unwrap();
        let address = &self.addresses[node];
        let mut config = json!({
            "node_name": format!("n{}", node + 1), "data_dir": directory.join("data"), "server": true,
            "bootstrap_expect": 3, "bind_addr": address, "client_addr": address, "retry_join": self.addresses,
            "retry_interval": "1s", "disable_update_check": true, "disable_host_node_id": true,
            "performance": { "raft_multiplier": 1 }, "rejoin_after_leave": true,
            "telemetry": { "prometheus_retention_time": "60s" },
            "encrypt": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        });
        let mut service = json!({ "name": "consul-agent", "port": 8500 });
        if self.is_closed {
            // Every server has the management token until it has been through the set-up.
            let tokens = json!({ "master": CONSUL_MANAGEMENT, "agent": token(1, node) });
            config["acl"] = json!({ "enabled": true, "default_policy": "deny", "tokens": tokens });
            service["token"] = json!(token(1, node));
        }
        config["service"] = service;
        let file = directory.join("consul.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(&self.program);
        command.arg("agent").arg(format!("-config-file={}", file.display()));
        Running::start(&mut command, &directory.join("log"))
    }

    fn consul(&self, node: usize) -> String {
        format!("http://{}:8500", self.addresses[node])
    }

    /// A node with its identity, as stage 1 leaves it.
    fn agent(&self, node: usize) -> Agent {
        let (name, address) = (format!("n{}", node + 1), &self.addresses[node]);
        let config = json!({
            "version": 1, "closed": self.is_closed,
            "consul": { "address": self.consul(node), "expect": 3 },
            "nomad": { "address": format!("http://{address}:4646"), "expect": 3 },
            "vault": null, "job": "/usr/share/hah/jobs/prometheus.json", "submit": true, "resubmit": "never",
            "prometheus": { "service": "prometheus", "port": 9090 },
            "textfile": null,
        });
        let agent = Agent::new(self.directory.join(&name), &name, HURRY, &config);
        let agent = agent.job(&json!({ "ID": "prometheus", "Meta": { "hah_job": "v1" } }));
        if self.is_closed {
            give_identity(&agent.root);
            let path = agent.root.join("run/hah/secrets/consul.token");
            std::fs::write(path, token(3, node)).unwrap();
        }
        agent
    }

    fn start_agents(&mut self) {
        for node in 0..3 {
            let mut agent = self.agent(node);
            agent.start();
            self.agents.push(agent);
        }
    }

    /// Every agent has handed the job over, or seen that another has; there is no Prometheus in this story.
    #[track_caller]
    fn all_submitted(&mut self) {
        for agent in &mut self.agents {
            agent.wait("through", SOON, |status| status.state >= Rung::JobHealthy);
        }
    }

    fn marker(&self) -> SetupMarker {
        let url = format!("{}/v1/kv/hah/setup?raw", self.consul(0));
        let (status, body) = asked("GET", &url, "", &[("X-Consul-Token", &token(3, 1))]);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// The identity on the data partition and what stage 1 makes of it in every boot.
fn give_identity(root: &Path) {
    let identity = Identity { version: 1, setup: Some(setup()), ..Identity::default() };
    for directory in ["var/lib/hah/identity", "run/hah/secrets"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::write(root.join("var/lib/hah/identity/node.json"), serde_json::to_vec(&identity).unwrap()).unwrap();
    std::fs::write(root.join("run/hah/secrets/setup.json"), serde_json::to_vec(&setup()).unwrap()).unwrap();
}

/// Every file below a directory that has this text in it.
fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
        {
            found.push(path);
        }
    }
    found
}

/// What a stranger on the network tries, without a token and with one that he made up: what, request, and whether it got
/// through.
fn strangers(cluster: &Cluster) -> Vec<(&'static str, bool)> {
    let consul = cluster.consul(1);
    let nomad = format!("http://{}:4646", cluster.addresses[1]);
    let service = json!({ "Node": "evil", "Address": "10.6.6.6",
        "Service": { "Service": "consul-agent", "Port": 6666 } })
    .to_string();
    let volume = json!({ "Volume": { "Name": "home", "HostPath": "/home/hah" } }).to_string();
    let job = json!({ "Job": { "ID": "evil", "TaskGroups": [] } }).to_string();
    let tries = [
        ("KV write", "PUT", format!("{consul}/v1/kv/evil"), "x".to_owned()),
        ("KV read of the loop's marker", "GET", format!("{consul}/v1/kv/hah/loop"), String::new()),
        ("a false node and service in the catalog", "PUT", format!("{consul}/v1/catalog/register"), service),
        (
            "a service of the agent",
            "PUT",
            format!("{consul}/v1/agent/service/register"),
            r#"{"Name":"evil"}"#.to_owned(),
        ),
        ("Consul's metrics", "GET", format!("{consul}/v1/agent/metrics?format=prometheus"), String::new()),
        ("the gossip key", "GET", format!("{consul}/v1/operator/keyring"), String::new()),
        ("the raft configuration", "GET", format!("{consul}/v1/operator/raft/configuration"), String::new()),
        ("a job", "PUT", format!("{nomad}/v1/jobs"), job),
        ("Nomad's jobs", "GET", format!("{nomad}/v1/jobs"), String::new()),
        ("/home/hah as a volume", "PUT", format!("{nomad}/v1/volume/host/register"), volume),
    ];
    let made_up = token(9, 9);
    let mut results = Vec::new();
    for (what, method, url, body) in &tries {
        let mut through = false;
        for headers in [vec![], vec![("X-Consul-Token", made_up.as_str()), ("X-Nomad-Token", made_up.as_str())]] {
            let (status, answer) = asked(method, url, body, &headers);
            println!("  {what}: {method} {url} → {status} {}", answer.lines().next().unwrap_or_default());
            through |= status == 200;
        }
        results.push((*what, through));
    }
    results
}

#[test]
fn a_closed_cluster_sets_itself_up_and_keeps_strangers_out() {
    let Some(mut cluster) = Cluster::start("closed", 21, true) else { return };
    let started = Instant::now();
    cluster.start_agents();
    cluster.all_submitted();
    println!("set up and submitted {:.1} s after everything was started", started.elapsed().as_secs_f64());
    println!("{}", cluster.agents[0].journal());

    // Once, by whoever was first; and every server's secrets have left it.
    assert_eq!(cluster.nomad.lock().unwrap().bootstraps, 1);
    assert_eq!(cluster.nomad.lock().unwrap().submissions, 1);
    let marker = cluster.marker();
    assert_eq!((marker.stage, marker.ready), (Stage::Done, true));
    for agent in &cluster.agents {
        for secret in MANAGEMENT {
            assert_eq!(files_with(&agent.root, secret), Vec::<PathBuf>::new(), "{secret} is still on the node");
        }
        let identity: Identity = serde_json::from_str(&agent.read("var/lib/hah/identity/node.json")).unwrap();
        assert_eq!((identity.version, identity.setup), (1, None));
        let made = agent.root.join("var/lib/hah/nomad.token");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&made).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", made.display());
    }

    // The nodes' own tokens do what they are for, and nothing else.
    let as_node = |kind: u8, method: &str, path: &str, body: &str| {
        asked(method, &format!("{}{path}", cluster.consul(0)), body, &[("X-Consul-Token", &token(kind, 0))]).0
    };
    assert_eq!(as_node(3, "PUT", "/v1/kv/hah/x", "1"), 200, "a server's agent writes the marker");
    assert_eq!(as_node(3, "PUT", "/v1/kv/other", "1"), 403);
    assert_eq!(as_node(2, "GET", "/v1/agent/self", ""), 200, "Nomad looks at its Consul");
    assert_eq!(as_node(2, "PUT", "/v1/kv/hah/x", "1"), 403);
    assert_eq!(as_node(1, "GET", "/v1/acl/tokens", ""), 403);
    // What a rollout needs of it.
    assert_eq!(as_node(3, "PUT", "/v1/kv/hah/rollout/lock?cas=0", "{}"), 200);
    assert_ne!(as_node(3, "GET", "/v1/operator/autopilot/health", ""), 403);
    assert_eq!(
        as_node(3, "PUT", "/v1/operator/autopilot/configuration", "{}"),
        403,
        "it reads the operator's, no more"
    );
    let keyring = format!("{}/v1/operator/keyring", cluster.consul(0));
    let (status, said) = asked("GET", &keyring, "", &[("X-Consul-Token", &token(3, 0))]);
    assert!(status != 200 && said.contains("denied by ACLs"), "the gossip key is not its business: {status} {said}");
    for enable in ["true", "false"] {
        assert_eq!(as_node(3, "PUT", &format!("/v1/agent/maintenance?enable={enable}"), ""), 200);
    }
    let other = format!("{}/v1/agent/maintenance?enable=true", cluster.consul(1));
    assert_eq!(asked("PUT", &other, "", &[("X-Consul-Token", &token(3, 0))]).0, 403, "no other node's maintenance");
    let node = |name: &str| json!({ "Node": name, "Address": "127.0.0.1" }).to_string();
    assert_eq!(as_node(1, "PUT", "/v1/catalog/register", &node("n2")), 403, "a node writes itself alone");
    // Names resolve for everybody, and the services of the configuration are in the catalog.
    let started = Instant::now();
    loop {
        let (_, body) = asked("GET", &format!("{}/v1/catalog/service/consul-agent", cluster.consul(2)), "", &[]);
        if serde_json::from_str::<Vec<Value>>(&body).is_ok_and(|nodes| nodes.len() == 3) {
            break;
        }
        assert!(started.elapsed() < SOON, "{body}");
        std::thread::sleep(Duration::from_millis(200));
    }
    for (what, through) in strangers(&cluster) {
        assert!(!through, "a stranger gets through: {what}");
    }
    let bootstrap = json!({ "BootstrapSecret": token(9, 9) }).to_string();
    let url = format!("http://{}:4646/v1/acl/bootstrap", cluster.addresses[2]);
    assert_eq!(asked("POST", &url, &bootstrap, &[]).0, 400, "who comes late bootstraps nothing");
    // Back on the first boot's state, nothing is done again.
    let before = cluster.nomad.lock().unwrap().tokens.len();
    for agent in &mut cluster.agents {
        agent.kill();
        agent.start();
    }
    cluster.all_submitted();
    assert_eq!(cluster.nomad.lock().unwrap().tokens.len(), before);
}

#[test]
fn an_open_cluster_lets_all_of_that_in() {
    let Some(mut cluster) = Cluster::start("open", 22, false) else { return };
    cluster.start_agents();
    cluster.all_submitted();
    for (what, through) in strangers(&cluster) {
        assert!(through, "the list of attempts proves nothing: {what} fails in an open cluster too");
    }
}

/// What somebody deleted is there again when a server gets its identity anew; nothing else is touched.
#[test]
fn what_was_deleted_is_made_again_by_a_server_with_a_new_identity() {
    let Some(mut cluster) = Cluster::start("deleted", 23, true) else { return };
    cluster.start_agents();
    cluster.all_submitted();
    let management = [("X-Consul-Token", CONSUL_MANAGEMENT)];
    let consul = cluster.consul(0);
    let tokens = || -> Vec<Value> {
        let (status, body) = asked("GET", &format!("{consul}/v1/acl/tokens"), "", &management);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    let agent_of_n2 = tokens().into_iter().find(|one| one["Description"] == "hah-agent on n2").unwrap();
    let own = json!({ "Description": "the person's own" }).to_string();
    assert_eq!(asked("PUT", &format!("{}/v1/acl/token", cluster.consul(0)), &own, &management).0, 200);
    let before = tokens().len();
    let path = format!("/v1/acl/token/{}", agent_of_n2["AccessorID"].as_str().unwrap());
    assert_eq!(asked("DELETE", &format!("{}{path}", cluster.consul(0)), "", &management).0, 200);
    let status = cluster.agents[1].wait("locked out", SOON, |status| {
        status.waiting.as_ref().is_some_and(|waiting| waiting.contains("make this node's token in Consul"))
    });
    assert!(status.waiting.unwrap().contains("hah-image flash --node"), "it says what helps");
    cluster.agents[0].kill();
    give_identity(&cluster.agents[0].root);
    cluster.agents[0].start();
    cluster.agents[1].wait("let in again", SOON, |status| status.waiting.is_none() || status.state >= Rung::JobHealthy);
    let started = Instant::now();
    while tokens().len() != before {
        assert!(started.elapsed() < SOON, "{:?}", tokens());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(tokens().iter().any(|one| one["Description"] == "the person's own"), "what is not ours stays");
    assert_eq!(cluster.nomad.lock().unwrap().bootstraps, 1);
}

/// Killed in the middle of every stage, a server goes on, or another does; all are through in the end.
#[test]
fn servers_that_are_killed_while_they_set_up() {
    let Some(mut cluster) = Cluster::start("killed", 24, true) else { return };
    cluster.start_agents();
    for round in 0..12 {
        let victim = round % 3;
        std::thread::sleep(Duration::from_millis(150 + 70 * round as u64));
        cluster.agents[victim].kill();
        cluster.agents[victim].start();
    }
    cluster.all_submitted();
    assert_eq!(cluster.nomad.lock().unwrap().bootstraps, 1);
    for agent in &cluster.agents {
        for secret in MANAGEMENT {
            assert_eq!(files_with(&agent.root, secret), Vec::<PathBuf>::new());
        }
    }
}

/// Somebody else was first: the servers say so, and throw nothing away.
#[test]
fn a_nomad_that_a_stranger_has_bootstrapped() {
    let Some(mut cluster) = Cluster::start("robbed", 25, true) else { return };
    let url = format!("http://{}:4646/v1/acl/bootstrap", cluster.addresses[2]);
    let body = json!({ "BootstrapSecret": token(9, 9) }).to_string();
    assert_eq!(asked("POST", &url, &body, &[]).0, 200, "the race that the firewall keeps strangers out of");
    cluster.start_agents();
    let status = cluster.agents[0].wait("told", SOON, |status| {
        let told =
            |text: &String| text.contains("bootstrapped with another management token") || text.contains("is setting");
        status.waiting.as_ref().is_some_and(told)
    });
    assert!(status.state < Rung::JobSubmitted);
    assert!(cluster.agents[0].root.join("run/hah/secrets/setup.json").exists());
}
