//! A job that is HCL: Nomad parses it before it is submitted.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hah_node::closing::Rung;
use serde_json::{Value, json};

use crate::agent::{Agent, scratch};
use crate::double::{self, NomadState, request};
use crate::faults::{OBSERVED, SOON, World};
use crate::programs::{Running, find};
use crate::server::{Endpoints, Fault};

const JSON: &str = "usr/share/hah/jobs/prometheus.json";
const HCL: &str = "usr/share/hah/jobs/prometheus.nomad.hcl";
/// With a variable, which the build leaves to Nomad.
const JOB: &str =
    "variable \"dc\" {\n  default = \"dc1\"\n}\njob \"prometheus\" {\n  datacenters = [var.dc]\n  group \"g\" {}\n}\n";
/// `sha256sum` of it.
const DIGEST: &str = "1e6e1e56c310ed4837a074b4aba71857a80815bf2b75ce5221a8e0ceb4bd5442";

/// A world whose image has this HCL and no JSON.
fn world(name: &str, text: &str) -> World {
    let world = World::new(&scratch(name));
    std::fs::remove_file(world.agent.root.join(JSON)).unwrap();
    std::fs::write(world.agent.root.join(HCL), text).unwrap();
    world
}

fn with_version(version: &str) -> String {
    JOB.replace("group", &format!("meta {{\n    hah_job = \"{version}\"\n  }}\n  group"))
}

#[track_caller]
fn is_closed(agent: &mut Agent) {
    agent.wait("closed", SOON, |status| status.state == Rung::Closed && status.waiting.is_none());
}

#[test]
fn a_job_that_does_not_say_its_version_has_its_text_s() {
    let mut world = world("hcl", JOB);
    world.agent.start();
    is_closed(&mut world.agent);
    assert_eq!(world.submissions(), 1);
    assert_eq!(world.marker().unwrap().hah_job, DIGEST);
    let job = world.nomad.lock().unwrap().job.as_ref().unwrap().value.clone();
    assert_eq!((&job["ID"], &job["Meta"]), (&json!("prometheus"), &json!({ "hah_job": DIGEST })));
    // Another start parses it again and submits nothing.
    world.agent.kill();
    world.agent.start();
    is_closed(&mut world.agent);
    assert_eq!(world.submissions(), 1);
    // Another text is another version.
    world.agent.kill();
    std::fs::write(world.agent.root.join(HCL), format!("# Newer.\n{JOB}")).unwrap();
    world.agent.start();
    world.agent.wait("updated", SOON, |status| {
        status.state == Rung::Closed && status.job.as_ref().is_some_and(|job| !job.contains(DIGEST))
    });
    assert_eq!(world.submissions(), 2);
    assert_eq!(world.marker().unwrap().past, [DIGEST]);
}

#[test]
fn a_job_s_own_version_counts() {
    let mut world = world("hcl-version", &with_version("v1"));
    world.agent.start();
    world.closes();
}

#[test]
fn the_configuration_may_name_hcl() {
    let mut world = world("hcl-named", &with_version("v1"));
    let file = world.agent.root.join("etc/hah/loop.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("prometheus.json", "prometheus.nomad.hcl")).unwrap();
    world.agent.start();
    world.closes();
}

#[test]
fn json_without_a_version_has_its_text_s() {
    let mut world = World::new(&scratch("json-version"));
    std::fs::write(world.agent.root.join(JSON), "{\"Job\": {\"ID\": \"prometheus\"}}").unwrap();
    world.agent.start();
    is_closed(&mut world.agent);
    assert_eq!(world.marker().unwrap().hah_job.len(), 64);
}

#[test]
fn what_nomad_does_not_parse_is_said_and_not_submitted() {
    let mut world = world("hcl-refused", "job \"prometheus\" {\n");
    world.agent.start();
    world.agent.wait("told", SOON, |status| {
        let said = status.waiting.as_deref().unwrap_or_default();
        said.starts_with("Nomad does not take the job: it says: Failed to parse job: ")
            && status.state == Rung::NomadQuorum
    });
    assert_eq!(world.submissions(), 0);
    world.agent.kill();
    std::fs::write(world.agent.root.join(HCL), with_version("v1")).unwrap();
    world.agent.start();
    world.closes();
}

#[test]
fn a_token_that_may_not_parse_is_waited_for() {
    let mut world = world("hcl-token", &with_version("v1"));
    world.nomad.lock().unwrap().no_parse = true;
    world.agent.start();
    world.agent.wait("told", SOON, |status| {
        status.waiting.as_ref().is_some_and(|waiting| waiting.contains("the agent's token does not allow that"))
    });
    world.nomad.lock().unwrap().no_parse = false;
    world.closes();
}

#[test]
fn no_fault_of_the_parser_submits_anything() {
    for fault in Fault::ALL {
        let mut world = world("hcl-faults", &with_version("v1"));
        world.faults(&[("POST /v1/jobs/parse", fault)]);
        world.agent.start();
        std::thread::sleep(OBSERVED);
        let status = world.agent.wait("written", SOON, |_| true);
        assert!(status.state < Rung::Closed && world.submissions() == 0, "{fault:?}: {status:#?}");
        assert!(world.endpoints.lock().unwrap().asked.values().sum::<u64>() < 1000, "{fault:?}");
        world.faults(&[]);
        world.closes();
    }
}

/// The parser, asked as the agent asks, and as it may be asked wrongly.
fn ask_parser(nomad: &str) -> Vec<(u16, Value)> {
    [JOB, &with_version("v1"), "", "job \"prometheus\" {\n", "locals {}"]
        .map(|text| {
            let body = json!({ "JobHCL": text, "Canonicalize": false }).to_string();
            let (status, answer) = request("POST", &format!("{nomad}/v1/jobs/parse"), &body);
            let job: Value = serde_json::from_str(&answer).unwrap_or_default();
            // All that the agent reads of it, and how it is refused.
            let said = if status == 200 { "" } else { answer.split(':').next().unwrap_or_default() };
            (status, json!({ "ID": job["ID"], "Meta": job["Meta"], "Stop": job["Stop"], "said": said.trim() }))
        })
        .to_vec()
}

/// What a real Nomad answers is in the double.
#[test]
fn the_double_s_parser_answers_as_nomad_s() {
    let state = Arc::new(Mutex::new(NomadState::default()));
    let server = double::nomad("127.0.0.1:0", Arc::new(Mutex::new(Endpoints::default())), state);
    let answers = ask_parser(&server.url());
    assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200, 400, 400, 400]);
    assert_eq!(answers[1].1["Meta"], json!({ "hah_job": "v1" }));
    let Some(nomad) = find(&["nomad"]) else { return println!("skipped: no nomad in HAH_E2E_BIN or on the path") };
    let directory = scratch("parser");
    let config = json!({
        "data_dir": directory.join("data"), "bind_addr": "127.83.0.1", "disable_update_check": true,
        "advertise": { "http": "127.83.0.1", "rpc": "127.83.0.1", "serf": "127.83.0.1" },
        "server": { "enabled": true, "bootstrap_expect": 1 },
    });
    let file = directory.join("nomad.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = Command::new(nomad);
    command.arg("agent").arg(format!("-config={}", file.display())).env_remove("AWS_CA_BUNDLE");
    let _running = Running::start(&mut command, &directory.join("log"));
    let address = "http://127.83.0.1:4646";
    let started = Instant::now();
    while request("GET", &format!("{address}/v1/status/leader"), "").0 != 200 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{}",
            std::fs::read_to_string(directory.join("log")).unwrap()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(ask_parser(address), answers);
}
