//! Somebody in the network who is none of the cluster's: on hosts of their own, a real Consul with the files of an image, its
//! firewall in the kernel, and a stranger who tries what he can.
//!
//! Every attempt is shown to succeed against an open cluster first, so that the list can fail; then to fail against a closed
//! one, and where the firewall lets him pass, since he is in a trusted network, against what is behind it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hah_node::identity::{Firewall, Identity};
use hah_plan::cluster::Secrets;
use serde_json::{Value, json};

use super::host::{Host, Switch, possible, until};
use super::{debian, render, system, write};
use crate::oracles::is_missing;

/// The agent's own text of the rules.
#[allow(dead_code, reason = "the agent uses the rest")]
#[path = "../../../src/hah-agent/src/identity/firewall.rs"]
mod firewall;

const SERVER: (&str, u8) = ("pi4", 1);
const FRIEND: (&str, u8) = ("pi3", 2);
const STRANGER: (&str, u8) = ("guest", 9);
/// The address of the server.
const ADDRESS: &str = "10.77.0.1";
/// Ports on which other programs of the stack would listen; something does, so that it can be reached.
const OTHERS: [u16; 5] = [22, 4646, 4647, 8200, 9100];

/// Three hosts: the cluster's one server, a node of the cluster, and a stranger.
struct Street {
    server: Host,
    friend: Host,
    stranger: Host,
    consul: PathBuf,
    /// Secrets of the cluster, when it has any.
    secrets: Option<Secrets>,
    _switch: Switch,
    _directory: tempfile::TempDir,
}

/// What a fleet says; the server and the friend are its nodes.
const CLUSTER: &str = "name = \"dc1\"\nsecurity = \"closed\"\nTRUSTED\n[nodes.pi4]\nimage = \"lab\"\nconsul = \"server\"\n\
    address = \"10.77.0.1/24\"\n[nodes.pi3]\nimage = \"lab-client\"\nconsul = \"client\"\naddress = \"10.77.0.2/24\"\n";

/// What keeps the stranger out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defence {
    /// Nothing.
    Open,
    /// Keys, certificates and tokens: the stranger is in a network that the cluster trusts.
    Trusting,
    /// The firewall, and those.
    Closed,
}

/// The identities of the cluster's nodes, and its secrets.
fn made(kind: Defence) -> (BTreeMap<String, Identity>, Secrets) {
    let trusted = if kind == Defence::Closed { "" } else { "network.trusted = [\"10.77.0.0/24\"]" };
    let text = CLUSTER.replace("TRUSTED", trusted);
    let cluster = hah_plan::recipe::load_cluster("cluster.toml", &text).unwrap_or_else(|flaws| panic!("{flaws}"));
    let mut secrets = Secrets::default();
    hah_image::project::secrets::complete(&cluster, &mut secrets, 1_795_600_000).unwrap();
    let identities =
        cluster.nodes.keys().map(|name| (name.clone(), cluster.identity(name, &secrets).unwrap())).collect();
    (identities, secrets)
}

impl Street {
    fn new(kind: Defence) -> Option<Self> {
        if !possible() || is_missing("nft") || is_missing("curl") || is_missing("systemd-socket-activate") {
            return None;
        }
        let consul = debian("consul")?;
        let directory = tempfile::Builder::new().prefix("hah-street").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let switch = Switch::new();
        let sets = ["consul.role=server"];
        let image = match kind {
            Defence::Open => system("whole", &sets),
            Defence::Trusting | Defence::Closed => closed(&sets),
        };
        let programs: [(&str, &Path); 1] = [("consul", &consul)];
        let host = |host| Host::new(host, &switch, (&image, &programs), directory.path());
        let (server, friend, stranger) = (host(SERVER), host(FRIEND), host(STRANGER));
        let made = (kind != Defence::Open).then(|| made(kind));
        let (identities, secrets) = made.unzip();
        let street =
            Self { server, friend, stranger, consul: consul.clone(), secrets, _switch: switch, _directory: directory };
        street.furnish(identities.as_ref().map(|identities| &identities[SERVER.0]));
        Some(street)
    }

    /// What stage 1 makes of the server's identity, and what systemd starts.
    fn furnish(&self, identity: Option<&Identity>) {
        let server = &self.server;
        let upper = server.directory.join("upper");
        if let Some(identity) = identity {
            let consul = identity.consul.as_ref().unwrap();
            // Debian's Consul 1.8 has its own words for tokens.
            let management = self.management().unwrap();
            let agent = consul.tokens.agent.as_ref().unwrap().reveal();
            let fragment = json!({"node_name": SERVER.0, "encrypt": consul.encrypt.as_ref().unwrap().reveal(),
                "acl": {"tokens": {"master": management, "agent": agent}}});
            write(&upper.join("etc/consul.d/identity.json"), fragment.to_string().as_bytes());
            let tls = consul.tls.as_ref().unwrap();
            server.run(&["mkdir", "-p", "/run/hah/secrets/consul"]);
            for (name, text) in [("ca", &*tls.ca), ("cert", &*tls.cert), ("key", tls.key.reveal())] {
                let file = server.directory.join(name);
                write(&file, text.as_bytes());
                server.run(&["cp", file.to_str().unwrap(), &format!("/run/hah/secrets/consul/{name}.pem")]);
            }
            let Firewall { trusted, open_ports } = identity.firewall.clone().unwrap();
            let rules = firewall::ruleset(&Firewall { trusted, open_ports });
            write(&upper.join("etc/hah/firewall.nft"), rules.as_bytes());
            // As hah-firewall.service does, and before anything listens.
            server.run(&["nft", "--file", "/etc/hah/firewall.nft"]);
        }
        server.start("consul.service", &[]);
        for port in OTHERS {
            let listen = format!("{ADDRESS}:{port}");
            server.spawn(
                &format!("listener-{port}"),
                &["systemd-socket-activate", "--accept", "--listen", &listen, "/bin/cat"],
            );
        }
        until(
            "Consul has a leader",
            60,
            || {
                let leader = server.get("http://127.0.0.1:8500/v1/status/leader");
                leader.as_str().is_some_and(|leader| !leader.is_empty()).then_some(())
            },
            || server.tail("consul.service"),
        );
    }

    /// An agent of the stranger's own, which joins the server and serves him on his loopback.
    fn intrude(&self, name: &str, more: &Value) {
        let mut config = json!({"node_name": name, "data_dir": format!("/run/{name}"), "retry_join": [format!("{ADDRESS}:8301")],
            "retry_interval": "1s", "bind_addr": self.stranger.address, "client_addr": "127.0.0.1", "datacenter": "dc1",
            "disable_update_check": true, "disable_host_node_id": true});
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        let file = self.stranger.directory.join(format!("{name}.json"));
        write(&file, config.to_string().as_bytes());
        let file = format!("-config-file={}", file.display());
        self.stranger.spawn(name, &[self.consul.to_str().unwrap(), "agent", &file]);
    }

    /// The token that may do everything.
    fn management(&self) -> Option<&str> {
        Some(self.secrets.as_ref()?.consul_management.as_ref()?.reveal())
    }

    /// What the server says to somebody who may ask everything.
    fn ask(&self, path: &str) -> String {
        let mut command = self.server.command("curl");
        command.args(["-s", "-m", "10", &format!("http://127.0.0.1:8500{path}")]);
        if let Some(token) = self.management() {
            command.args(["-H", &format!("X-Consul-Token: {token}")]);
        }
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    /// Whether the server gossips with a node, itself always included.
    fn has_member(&self, name: &str) -> bool {
        let said = self.ask("/v1/agent/members");
        let members: Vec<Value> = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let has = |name: &str| members.iter().any(|member| member["Name"] == name && member["Status"] == 1);
        assert!(has(SERVER.0), "{said}");
        has(name)
    }
}

/// The image of every recipe, as a closed cluster has it.
fn closed(sets: &[&str]) -> hah_plan::system::System {
    let sets = [
        sets,
        &["network.firewall=cluster", "consul.acl=deny", "consul.tls=true", "consul.http=tls", "nomad.acl=true"],
        &["nomad.tls=true", "vault.tls=true", "telemetry.vault-tls=true"],
    ];
    system("whole", &sets.concat())
}

/// Whether `from` gets a connection to a port of the server.
fn reaches(from: &Host, port: u16) -> bool {
    connects(from, ADDRESS, port)
}

/// Whether `from` gets a connection to a port of anybody.
fn connects(from: &Host, address: &str, port: u16) -> bool {
    let connect = format!("exec 3<>/dev/tcp/{address}/{port}");
    from.command("timeout").args(["2", "bash", "-c", &connect]).output().unwrap().status.success()
}

/// Ports of Consul: RPC, gossip, and the API.
const CONSUL: [u16; 3] = [8300, 8301, 8500];

#[test]
fn an_open_cluster_lets_a_stranger_in() {
    let Some(street) = Street::new(Defence::Open) else { return };
    let stranger = &street.stranger;
    for port in CONSUL.iter().chain(&OTHERS) {
        assert!(reaches(stranger, *port), "{port}");
    }
    // He joins, and by his own agent writes keys, services and nodes over the servers' RPC, which asks nobody.
    street.intrude("evil", &json!({}));
    until("the stranger's agent is a member", 40, || street.has_member("evil").then_some(()), || stranger.tail("evil"));
    until(
        "he writes a key by RPC",
        40,
        || (stranger.http("PUT", "http://127.0.0.1:8500/v1/kv/evil", Some("x")).0 == 200).then_some(()),
        || stranger.tail("evil"),
    );
    let service = json!({"Name": "consul-agent", "Port": 6666, "Tags": ["prometheus"]}).to_string();
    assert_eq!(stranger.http("PUT", "http://127.0.0.1:8500/v1/agent/service/register", Some(&service)).0, 200);
    until(
        "his service is one that Prometheus would scrape",
        40,
        || {
            let found = street.server.get("http://127.0.0.1:8500/v1/catalog/service/consul-agent");
            found.as_array()?.iter().any(|one| one["ServicePort"] == 6666).then_some(())
        },
        || stranger.tail("evil"),
    );
    assert_eq!(stranger.http("GET", &format!("http://{ADDRESS}:8500/v1/kv/evil?raw"), None), (200, "x".to_owned()));
}

#[test]
fn the_firewall_of_a_closed_cluster_keeps_a_stranger_out() {
    let Some(street) = Street::new(Defence::Closed) else { return };
    let (friend, stranger) = (&street.friend, &street.stranger);
    for port in [8300, 8301, 8501].iter().chain(&OTHERS) {
        assert!(reaches(friend, *port), "a node of the cluster reaches {port}");
        assert_eq!(reaches(stranger, *port), *port == 22, "a stranger and port {port}");
    }
    assert!(!reaches(friend, 8500), "the plain API is for the node itself");
    // A made-up source is no way in either: the answer goes to whom the address belongs.
    street.intrude("evil", &json!({}));
    for _ in 0..8 {
        assert!(!street.has_member("evil"));
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    let counter = street.server.run(&["nft", "list", "counter", "inet", "hah", "strangers"]);
    let packets = counter.split("packets ").nth(1).and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    assert!(packets.is_some_and(|packets| packets > 10), "{counter}");
    // What the server begins itself still works: it reaches others, and gets their answers.
    let listen = format!("{}:7777", stranger.address);
    stranger.spawn("listener", &["systemd-socket-activate", "--accept", "--listen", &listen, "/bin/cat"]);
    until(
        "the server reaches others",
        20,
        || connects(&street.server, &stranger.address, 7777).then_some(()),
        || stranger.tail("listener"),
    );
    // The rules are replaced whole: loaded again, they let in no more and no less.
    street.server.run(&["nft", "--file", "/etc/hah/firewall.nft"]);
    assert!(reaches(friend, 8300) && !reaches(stranger, 8300) && reaches(stranger, 22));
}

/// Without an identity a closed image trusts nobody at all.
#[test]
fn a_closed_image_without_an_identity_is_closed_to_all() {
    let Some(street) = Street::new(Defence::Open) else { return };
    let directory = tempfile::tempdir().unwrap();
    render(&closed(&[]), directory.path());
    let rules = directory.path().join("etc/hah/firewall.nft");
    assert!(reaches(&street.friend, 8300));
    street.server.run(&["nft", "--file", rules.to_str().unwrap()]);
    for (port, expected) in [(22, true), (8300, false), (8500, false), (4646, false)] {
        assert_eq!(reaches(&street.friend, port), expected, "{port}");
    }
}

/// Behind the firewall: somebody in a network that the cluster trusts.
#[test]
fn a_stranger_in_a_trusted_network_meets_keys_certificates_and_tokens() {
    let Some(street) = Street::new(Defence::Trusting) else { return };
    let stranger = &street.stranger;
    let gossip = street.secrets.as_ref().unwrap().consul_encrypt.as_ref().unwrap().reveal();
    assert!(
        reaches(stranger, 8300) && reaches(stranger, 8301) && reaches(stranger, 8501),
        "the firewall lets him pass"
    );
    assert!(!reaches(stranger, 8500));
    // Without the gossip key, with a wrong one, and as a server that would vote.
    street.intrude("evil", &json!({}));
    street.intrude(
        "wrong",
        &json!({"encrypt": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "ports": {"serf_lan": 8311, "http": 8510, "dns": -1, "server": 8310, "serf_wan": -1}}),
    );
    // Even with the key, which somebody may have read on a card: no certificate, no RPC, and no token, no node.
    street.intrude(
        "thief",
        &json!({"encrypt": gossip,
        "ports": {"serf_lan": 8321, "http": 8520, "dns": -1, "server": 8320, "serf_wan": -1}}),
    );
    for _ in 0..16 {
        for name in ["evil", "wrong"] {
            assert!(!street.has_member(name), "{name} has joined");
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    let register = json!({"Node": "evil", "Address": "10.77.0.9",
        "Service": {"Service": "consul-agent", "Port": 6666}})
    .to_string();
    let bootstrap = json!({"BootstrapSecret": "c0c0c0c0-0000-4000-8000-000000000009"}).to_string();
    let network = format!("https://{ADDRESS}:8501");
    let tries = [
        ("PUT", "/v1/kv/evil", Some("x")),
        ("GET", "/v1/kv/?keys", None),
        ("PUT", "/v1/catalog/register", Some(&*register)),
        ("PUT", "/v1/agent/service/register", Some("{\"Name\":\"evil\"}")),
        ("PUT", "/v1/agent/join/10.77.0.9", None),
        ("GET", "/v1/operator/keyring", None),
        ("GET", "/v1/operator/raft/configuration", None),
        ("GET", "/v1/agent/metrics?format=prometheus", None),
        ("GET", "/v1/acl/tokens", None),
        ("PUT", "/v1/acl/bootstrap", Some(&*bootstrap)),
        ("GET", "/v1/snapshot", None),
        ("PUT", "/v1/session/create", None),
        ("PUT", "/v1/event/fire/evil", None),
    ];
    // By the network, and by the agents of his own: what they cannot do themselves they ask the servers.
    for base in [&*network, "http://127.0.0.1:8500", "http://127.0.0.1:8510", "http://127.0.0.1:8520"] {
        for (method, path, body) in tries {
            if path.starts_with("/v1/agent/") && base != network {
                // That is his own agent, which he may tell what he likes.
                continue;
            }
            let mut command = stranger.command("curl");
            command.args(["-s", "-k", "-m", "20", "-X", method, "-w", "\n%{http_code}", &format!("{base}{path}")]);
            command.args(["-H", "X-Consul-Token: c0c0c0c0-0000-4000-8000-000000000009"]);
            if let Some(body) = body {
                command.args(["--data-binary", body]);
            }
            let said = String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned();
            println!("  {method} {base}{path} → {}", said.replace('\n', " "));
            let (text, status) = said.rsplit_once('\n').unwrap();
            // Keys that one may not see are no keys, and sessions of nobody are refused like them.
            let is_empty = text.trim().is_empty() || text.trim() == "[]" || text.trim() == "null";
            assert!(status != "200" || is_empty, "{method} {base}{path}: {said}");
        }
    }
    // Whoever has the gossip key gossips, and is seen: that is what the key is. Nothing of his is in the catalog besides.
    let services: BTreeMap<String, Vec<String>> = serde_json::from_str(&street.ask("/v1/catalog/services")).unwrap();
    for service in services.keys() {
        let found = street.ask(&format!("/v1/catalog/service/{service}"));
        assert!(!found.contains("10.77.0.9") && !found.contains("6666"), "{found}");
    }
    assert!(!street.ask("/v1/catalog/nodes").contains("evil"));
    let keys = street.ask("/v1/kv/?keys");
    assert!(!keys.contains("evil"), "{keys}");
    // What he lacks is the token alone, so that the list above proves something.
    let header = format!("X-Consul-Token: {}", street.management().unwrap());
    let mut command = stranger.command("curl");
    command.args(["-s", "-k", "-H", &header, "-o", "/dev/null", "-w", "%{http_code}"]);
    let output = command.arg(format!("{network}/v1/operator/raft/configuration")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200");
}
