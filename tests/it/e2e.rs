//! The whole promise, in one sitting: three nodes are switched on, and nobody touches them.
//!
//! Real programs from one image in three QEMU machines on a network of their own: Debian's Consul, Prometheus and
//! node_exporter, and a Nomad and an OpenBao that somebody has built for arm64. `cargo xtask e2e` builds the image and runs
//! this in a network namespace; it takes the better part of an hour without KVM.

mod network;
mod cluster;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use cluster::{Cards, Cluster, NODES, name};
use network::Network;

/// Three machines share the processors of one, without KVM.
const FIRST_CLOSE: Duration = Duration::from_secs(45 * 60);
const CHANGE: Duration = Duration::from_secs(25 * 60);
/// The alert of a sealed server.
const SEALED: &str = "VaultSealed";
/// How long a stopped job must stay stopped to be believed.
const STAYS: Duration = Duration::from_secs(180);

#[test]
fn three_nodes_close_the_loop() {
    const TEST: &str = "three_nodes_close_the_loop";
    let Some(image) = std::env::var_os("HAH_E2E_IMAGE") else {
        println!("{TEST}: skipped, HAH_E2E_IMAGE names no image (`cargo xtask e2e` builds one)");
        return;
    };
    let network = Network::new();
    let cards = Cards::flash(&network, image.as_ref());
    let mut cluster = cards.switched_off();

    cluster.power_on();
    cluster.until("loop closed on every node", FIRST_CLOSE, all_closed);
    println!("time to close, from power-on: {:.0?}", cluster.uptime());
    cluster.until("every target of the three nodes is up", CHANGE, |cluster| {
        let prometheus = prometheus(cluster).map(|at| format!("prometheus {}", name(at)));
        let wanted: BTreeSet<String> = everything().into_iter().chain(prometheus).collect();
        targets(cluster).is_some_and(|up| up == wanted)
    });
    for number in 0..NODES {
        println!("{}", cluster.node(number).ssh("hah-agent status"));
        assert_eq!(cluster.node(number).ssh("systemctl is-system-running --wait"), "running");
    }
    let submitted = job(&mut cluster, 0);
    let index = submitted["JobModifyIndex"].clone();
    assert_eq!(submitted["Version"], 0);

    sealing_vault_is_vaults_affair(&mut cluster);
    a_stopped_server_opens_nothing(&mut cluster);
    a_partitioned_node_says_so(&mut cluster, &network);
    the_death_of_its_node_moves_prometheus(&mut cluster);
    a_power_cut_submits_nothing(&mut cluster, &index);
    a_stopped_job_stays_stopped(&mut cluster);
}

fn all_closed(cluster: &mut Cluster<'_>) -> bool {
    let on = cluster.on();
    let mut closed = true;
    for number in on {
        let status = cluster.the_loop(number);
        println!("{:6.0?} {}: {} {}", cluster.uptime(), name(number), status["state"], status["waiting"]);
        // What it waits for opens the loop if it lasts.
        closed &= status["state"] == "closed" && status["waiting"].is_null();
    }
    closed
}

/// Which node runs Prometheus, as Consul's catalog has it.
fn prometheus(cluster: &mut Cluster<'_>) -> Option<usize> {
    let asked = *cluster.on().first()?;
    let found = cluster.json(asked, "consul", "/v1/health/service/prometheus?passing")?;
    let node = found[0]["Node"]["Node"].as_str()?.to_owned();
    (0..NODES).find(|number| name(*number) == node)
}

/// Which node runs Prometheus, once everybody knows.
fn home(cluster: &mut Cluster<'_>) -> usize {
    cluster.find("the catalog has Prometheus", CHANGE, prometheus)
}

/// `JOB INSTANCE` of every target that is up.
fn targets(cluster: &mut Cluster<'_>) -> Option<BTreeSet<String>> {
    let at = prometheus(cluster)?;
    let found = cluster.json(at, "prometheus", "/api/v1/query?query=up")?;
    let results = found["data"]["result"].as_array()?;
    let up = results.iter().filter(|result| result["value"][1] == "1").map(|result| {
        let label = |name: &str| result["metric"][name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", label("job"), label("instance"))
    });
    Some(up.collect())
}

/// What every node has. Vault is sealed until somebody has initialised it, and answers all the same.
fn everything() -> Vec<String> {
    let of = |job| (0..NODES).map(move |number| format!("{job} {}", name(number)));
    ["consul", "node", "nomad", "vault"].into_iter().flat_map(of).collect()
}

/// The job as Nomad has it.
fn job(cluster: &mut Cluster<'_>, number: usize) -> Value {
    let what = format!("Nomad on {} has the job", name(number));
    cluster.find(&what, CHANGE, |cluster| cluster.json(number, "nomad", "/v1/job/prometheus"))
}

/// A person initialises OpenBao and unseals all of it; later one server is sealed again.
fn sealing_vault_is_vaults_affair(cluster: &mut Cluster<'_>) {
    let made = vault(cluster, 0, "PUT", "init", r#"{"secret_shares":1,"secret_threshold":1}"#);
    let (key, token) = (made["keys"][0].as_str().unwrap().to_owned(), made["root_token"].as_str().unwrap().to_owned());
    for number in 0..NODES {
        cluster.until(&format!("{} is unsealed", name(number)), CHANGE, |cluster| {
            // The others find the active one in Consul and join it, which takes them a while.
            let unsealed = vault(cluster, number, "PUT", "unseal", &format!(r#"{{"key":"{key}"}}"#));
            unsealed["sealed"] == false
        });
    }
    cluster.until("no server is said to be sealed", CHANGE, |cluster| {
        alerting(cluster).is_some_and(|alerts| !alerts.contains(SEALED))
    });

    // The first one that was unsealed leads; only the leader can be told to seal itself.
    let number = 0;
    let seal = format!("curl -sS -X PUT -H 'X-Vault-Token: {token}' http://127.0.0.1:8200/v1/sys/seal");
    cluster.node(number).ssh(&seal);
    let health = vault(cluster, number, "GET", "health", "");
    assert_eq!(health["sealed"], true, "{health}");
    cluster.until("the sealed server's alert fires", CHANGE, |cluster| {
        alerting(cluster).is_some_and(|alerts| alerts.contains(SEALED))
    });
    // Whatever a busy host makes late, Vault is not what anybody waits for.
    cluster.until("the loop is closed beside a sealed Vault", CHANGE, |cluster| {
        for number in 0..NODES {
            let waiting = cluster.the_loop(number)["waiting"].to_string();
            assert!(!waiting.to_lowercase().contains("vault"), "{}: {waiting}", name(number));
        }
        let others = |target: &&String| !target.starts_with("vault ");
        let up = targets(cluster).is_some_and(|up| everything().iter().filter(others).all(|one| up.contains(one)));
        up && all_closed(cluster)
    });
    vault(cluster, number, "PUT", "unseal", &format!(r#"{{"key":"{key}"}}"#));
}

/// What a node's OpenBao answers.
fn vault(cluster: &mut Cluster<'_>, number: usize, method: &str, path: &str, body: &str) -> Value {
    let url = format!("http://127.0.0.1:8200/v1/sys/{path}");
    let (_, text) = cluster.node(number).ssh_status(&format!("curl -sS -X {method} -d '{body}' {url}"));
    serde_json::from_str(&text).unwrap_or_default()
}

/// The names of the alerts that fire.
fn alerting(cluster: &mut Cluster<'_>) -> Option<BTreeSet<String>> {
    let at = prometheus(cluster)?;
    let found = cluster.json(at, "prometheus", "/api/v1/alerts")?;
    let firing = found["data"]["alerts"].as_array()?.iter().filter(|alert| alert["state"] == "firing");
    Some(firing.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect())
}

fn a_stopped_server_opens_nothing(cluster: &mut Cluster<'_>) {
    let with = home(cluster);
    let stopped = (0..NODES).find(|number| *number != with).unwrap();
    cluster.node(stopped).ssh("sudo systemctl stop nomad consul");
    std::thread::sleep(Duration::from_secs(90));
    cluster.until("the others are closed without a server", CHANGE, |cluster| {
        let others = (0..NODES).filter(|number| *number != stopped);
        others.into_iter().all(|number| cluster.the_loop(number)["state"] == "closed")
    });
    cluster.node(stopped).ssh("sudo systemctl start consul nomad");
    cluster.until("a stopped server is back", CHANGE, all_closed);
}

fn a_partitioned_node_says_so(cluster: &mut Cluster<'_>, network: &Network) {
    let with = home(cluster);
    let alone = (0..NODES).find(|number| *number != with).unwrap();
    let before = cluster.node(alone).console().len();
    network.disconnect(alone);
    cluster.until("a node without its cable says what it misses", CHANGE, |cluster| {
        let console = cluster.node(alone).console();
        let said = console.get(before..).unwrap_or_default();
        said.contains("waiting for Consul") || said.contains("waiting for Nomad")
    });
    let console = cluster.node(alone).console();
    println!("{}", console.get(before..).unwrap_or_default().trim());
    network.connect(alone);
    cluster.until("the node with its cable is back", CHANGE, all_closed);
}

fn the_death_of_its_node_moves_prometheus(cluster: &mut Cluster<'_>) {
    let dead = home(cluster);
    cluster.pull_the_plug(dead);
    cluster.until("Prometheus runs on another node", CHANGE, |cluster| {
        prometheus(cluster).is_some_and(|number| number != dead)
    });
    cluster.until("its targets are up again", CHANGE, |cluster| {
        let alive = |target: &String| !target.ends_with(&name(dead));
        targets(cluster).is_some_and(|up| everything().iter().filter(|one| alive(one)).all(|one| up.contains(one)))
    });
    cluster.switch_on(dead);
    cluster.until("the dead node is back", CHANGE, all_closed);
}

fn a_power_cut_submits_nothing(cluster: &mut Cluster<'_>, index: &Value) {
    (0..NODES).for_each(|number| cluster.pull_the_plug(number));
    cluster.power_on();
    cluster.until("the loop is closed after a power cut of all", FIRST_CLOSE, all_closed);
    let found = job(cluster, 0);
    assert_eq!((&found["JobModifyIndex"], &found["Version"]), (index, &Value::from(0)), "no second submission");
}

fn a_stopped_job_stays_stopped(cluster: &mut Cluster<'_>) {
    cluster.node(0).ssh("nomad job stop -detach prometheus");
    cluster.until("the agents know that the job was stopped", CHANGE, |cluster| {
        (0..NODES).all(|number| cluster.the_loop(number)["waiting"].as_str().is_some_and(|why| why.contains("stopped")))
    });
    cluster.node(1).ssh("sudo systemctl restart hah-agent");
    std::thread::sleep(STAYS);
    for number in 0..NODES {
        assert_eq!(job(cluster, number)["Stop"], true, "the job stays stopped");
    }
    println!("{}", cluster.node(2).ssh("hah-agent status"));
}
