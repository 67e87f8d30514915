//! Three hosts with the files of `pi4-server`: Consul elects a leader, Nomad joins through it, OpenBao is initialised and
//! unsealed, Prometheus' job runs, and every target of every layer is up, by the name of its node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::host::{Host, Switch, possible, until};
use super::{debian, foreign, system, version};

const NAMES: [&str; 3] = ["pi4", "pi3a", "pi3b"];

#[test]
fn the_loop_closes_on_three_hosts() {
    if !possible() {
        return;
    }
    let Some(nomad) = foreign("nomad") else { return };
    let bao = foreign("bao");
    let (Some(consul), Some(prometheus), Some(exporter), Some(_)) =
        (debian("consul"), debian("prometheus"), debian("prometheus-node-exporter"), debian("curl"))
    else {
        return;
    };
    let vault = bao.as_deref().map_or_else(|| "without the layer of Vault".to_owned(), version);
    println!("{}, {}, {vault}", version(&consul), version(&nomad));
    // Debian's Consul and builds of one's own; the addresses; a pace for impatient people. Nothing else is different.
    let digest = format!("nomad.sha256={:064}", 0);
    let vault_digest = format!("vault.sha256={:064}", 0);
    let mut sets = vec![
        "consul.source=debian",
        "consul.retry-join=[\"10.77.0.1\", \"10.77.0.2\", \"10.77.0.3\"]",
        "nomad.source=own",
        &digest,
        "vault.source=own",
        &vault_digest,
        "vault.flavour=openbao",
        "vault.retry-join=[\"http://10.77.0.1:8200\", \"http://10.77.0.2:8200\", \"http://10.77.0.3:8200\"]",
        "telemetry.scrape-interval=5s",
        "nomad.reserved-disk=256 MiB",
    ];
    if bao.is_none() {
        sets.push("telemetry.layers=[\"nomad\"]");
    }
    let system = system("pi4-server", &sets);
    let mut programs: Vec<(&str, &Path)> = vec![
        ("consul", &consul),
        ("nomad", &nomad),
        ("prometheus", &prometheus),
        ("prometheus-node-exporter", &exporter),
    ];
    programs.extend(bao.as_deref().map(|bao| ("bao", bao)));
    let directory = tempfile::Builder::new().prefix("hah-stack").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let switch = Switch::new();
    let hosts: Vec<Host> = NAMES
        .into_iter()
        .zip(1..)
        .map(|host| Host::new(host, &switch, (&system, &programs), directory.path()))
        .collect();
    let first = &hosts[0];

    for host in &hosts {
        host.start("consul.service", &[]);
        host.start_with_defaults("prometheus-node-exporter");
    }
    let logs = |unit: &str| hosts.iter().map(|host| host.tail(unit)).collect::<String>();
    until(
        "Consul has a leader and three servers",
        120,
        || {
            let leader = first.get("http://127.0.0.1:8500/v1/status/leader");
            let peers = first.get("http://127.0.0.1:8500/v1/status/peers");
            (leader.as_str().is_some_and(|leader| !leader.is_empty()) && peers.as_array()?.len() == 3).then_some(())
        },
        || logs("consul.service"),
    );
    // Only the node itself changes anything.
    let (status, said) = first.http("PUT", "http://10.77.0.2:8500/v1/kv/x", Some("y"));
    assert_eq!(status, 403, "{said}");
    assert_eq!(first.http("PUT", "http://127.0.0.1:8500/v1/kv/x", Some("y")).0, 200);

    for host in &hosts {
        host.start("nomad.service", &[]);
    }
    if bao.is_some() {
        hosts.iter().for_each(|host| host.start("vault.service", &[]));
        unseal(&hosts, &|| logs("vault.service"));
    }
    until(
        "Nomad has a leader, and three clients that run exec tasks",
        180,
        || {
            let nodes = first.get("http://127.0.0.1:4646/v1/nodes");
            let is_ready = |node: &&Value| {
                node["Status"] == "ready"
                    && node["Drivers"]["exec"]["Healthy"] == true
                    && node["Drivers"]["raw_exec"]["Healthy"] != true
            };
            (nodes.as_array()?.iter().filter(is_ready).count() == 3).then_some(())
        },
        || logs("nomad.service"),
    );
    // A server that stalls is not taken for gone: without its vote, the next one to stop would leave no leader.
    for port in [8500, 4646] {
        let autopilot = first.get(&format!("http://127.0.0.1:{port}/v1/operator/autopilot/configuration"));
        assert_eq!(autopilot["MinQuorum"], 3, "{port}: {autopilot}");
    }

    let job = std::fs::read_to_string(first.directory.join("upper/usr/share/hah/jobs/prometheus.json")).unwrap();
    let (status, said) = first.http("PUT", "http://127.0.0.1:4646/v1/jobs", Some(&job));
    assert_eq!(status, 200, "{said}");
    let warnings = serde_json::from_str::<Value>(&said).unwrap()["Warnings"].clone();
    assert_eq!(warnings, "", "the job is submitted without a warning");

    let allocations = || {
        let found = first.get("http://127.0.0.1:4646/v1/job/prometheus/allocations");
        let states = serde_json::to_string_pretty(&found.pointer("/0/TaskStates")).unwrap_or_default();
        format!("{states}\n{}", logs("nomad.service"))
    };
    let (node, address) = until(
        "Prometheus is in Consul's catalog, and passes",
        180,
        || {
            let found = first.get("http://127.0.0.1:8500/v1/health/service/prometheus?passing");
            let found = found.get(0)?;
            let address = format!("{}:{}", found["Service"]["Address"].as_str()?, found["Service"]["Port"]);
            Some((found["Node"]["Node"].as_str()?.to_owned(), address))
        },
        allocations,
    );
    let mut expected: BTreeSet<(String, String)> = BTreeSet::from([("prometheus".to_owned(), node)]);
    let layers = ["node", "consul", "nomad"].into_iter().chain(bao.is_some().then_some("vault"));
    for layer in layers {
        expected.extend(NAMES.map(|name| (layer.to_owned(), name.to_owned())));
    }
    let targets = || {
        let answer = first.get(&format!("http://{address}/api/v1/targets?state=active"));
        answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default()
    };
    until(
        "every target of every layer is up",
        120,
        || {
            let targets = targets();
            let name = |target: &Value| {
                let label = |name: &str| target["labels"][name].as_str().unwrap_or_default().to_owned();
                (label("job"), label("instance"))
            };
            let up: BTreeSet<_> = targets.iter().filter(|target| target["health"] == "up").map(name).collect();
            (up == expected && targets.len() == expected.len()).then_some(())
        },
        || {
            let targets = targets();
            let shown = targets.iter().map(|target| {
                format!("{} {} {} {}\n", target["labels"], target["scrapeUrl"], target["health"], target["lastError"])
            });
            format!("{}{}", shown.collect::<String>(), allocations())
        },
    );

    // The rules that want metrics of a layer find them under the names that they ask for.
    let query = |expression: &str| {
        let mut command = first.command("curl");
        command.args([
            "-s",
            "-G",
            "--data-urlencode",
            &format!("query={expression}"),
            &format!("http://{address}/api/v1/query"),
        ]);
        let said = super::output(&mut command).stdout;
        let answer: Value = serde_json::from_slice(&said).unwrap();
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    };
    for metric in [
        "max(consul_autopilot_healthy) == 1",
        "max(consul_autopilot_failure_tolerance) == 1",
        "consul_runtime_sys_bytes",
        "count(up{job=\"consul\", role=\"server\"}) == 3",
        "max(nomad_nomad_autopilot_healthy) == 1",
        "max(nomad_nomad_autopilot_failure_tolerance) == 1",
        "count(nomad_raft_appliedIndex) == 3",
        "max(nomad_nomad_heartbeat_active) == 3",
        "count(nomad_client_uptime) == 3",
        "nomad_client_allocated_memory",
        "nomad_client_unallocated_memory",
        "nomad_nomad_blocked_evals_total_blocked",
        "nomad_nomad_broker_total_unacked",
        "nomad_nomad_plan_queue_depth",
        "nomad_nomad_job_summary_running{exported_job=\"prometheus\", task_group=\"prometheus\"}",
        "count(vault_core_unsealed == 1) == 3",
        "count(vault_core_active == 1) == 1",
        "prometheus_tsdb_head_samples_appended_total{type=\"float\"}",
        "prometheus_sd_file_read_errors_total",
        "node_timex_sync_status",
        "node_vmstat_oom_kill",
    ] {
        if metric.contains("vault") && bao.is_none() {
            continue;
        }
        until(metric, 60, || (!query(metric).is_empty()).then_some(()), String::new);
    }
    let rules = first.get(&format!("http://{address}/api/v1/rules"));
    let mut unhealthy = BTreeMap::new();
    for group in rules["data"]["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            if rule["health"] == "err" {
                unhealthy.insert(rule["name"].to_string(), rule["lastError"].clone());
            }
        }
    }
    assert!(unhealthy.is_empty(), "{unhealthy:#?}");
    until(
        "the Watchdog fires",
        60,
        || (!query("ALERTS{alertname=\"Watchdog\", alertstate=\"firing\"}").is_empty()).then_some(()),
        String::new,
    );

    // What stops is seen down under the name of its node, and not forgotten.
    hosts[2].run(&["pkill", "-f", "usr/bin/prometheus-node-exporter"]);
    until(
        "the exporter that was stopped is seen down",
        90,
        || (!query("up{job=\"node\", instance=\"pi3b\"} == 0").is_empty()).then_some(()),
        || format!("{:#?}", targets()),
    );
}

/// Without Nomad: one node with the files of `lab`, whose Prometheus goes by DNS. Consul answers on port 53 here, where
/// resolved does on a node.
#[test]
fn the_lab_node_watches_itself() {
    if !possible() {
        return;
    }
    let (Some(consul), Some(prometheus), Some(exporter), Some(_)) =
        (debian("consul"), debian("prometheus"), debian("prometheus-node-exporter"), debian("curl"))
    else {
        return;
    };
    let system = system("lab", &["telemetry.scrape-interval=5s"]);
    let programs: [(&str, &Path); 3] =
        [("consul", &consul), ("prometheus", &prometheus), ("prometheus-node-exporter", &exporter)];
    let directory = tempfile::Builder::new().prefix("hah-lab").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let switch = Switch::new();
    let host = Host::new(("hah-1234", 1), &switch, (&system, &programs), directory.path());
    host.start("consul.service", &["-dns-port=53"]);
    host.start_with_defaults("prometheus-node-exporter");
    host.start_with_defaults("prometheus");
    let expected: BTreeSet<(String, String)> =
        ["node", "consul", "prometheus"].map(|layer| (layer.to_owned(), "hah-1234".to_owned())).into();
    let found = || {
        let answer = host.get("http://127.0.0.1:9090/api/v1/targets?state=active");
        let targets = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        let label = |target: &Value, name: &str| target["labels"][name].as_str().unwrap_or_default().to_owned();
        let up = targets.iter().filter(|target| target["health"] == "up");
        up.map(|target| (label(target, "job"), label(target, "instance"))).collect::<BTreeSet<_>>()
    };
    until(
        "every target is up",
        120,
        || (found() == expected).then_some(()),
        || format!("{:?}\n{}{}", found(), host.tail("consul.service"), host.tail("prometheus")),
    );
}

/// Initialises the first server with one key share, and unseals all of them once they have joined.
fn unseal(hosts: &[Host], log: &dyn Fn() -> String) {
    let url = |host: &Host, path: &str| format!("http://{}:8200/v1/sys/{path}", host.address);
    let body = json!({ "secret_shares": 1, "secret_threshold": 1 }).to_string();
    let first = &hosts[0];
    let key = until(
        "the first Vault server is initialised",
        90,
        || match first.http("PUT", &url(first, "init"), Some(&body)) {
            (200, said) => serde_json::from_str::<Value>(&said).ok()?["keys"][0].as_str().map(str::to_owned),
            _ => None,
        },
        log,
    );
    for host in hosts {
        until(
            &format!("Vault on {} is unsealed", host.name),
            120,
            || {
                host.http("PUT", &url(host, "unseal"), Some(&json!({ "key": key }).to_string()));
                // 429 is a standby.
                matches!(host.http("GET", &url(host, "health"), None).0, 200 | 429).then_some(())
            },
            log,
        );
    }
}
