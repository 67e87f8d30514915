//! The driver with a real Consul, a double of Nomad and of Prometheus, and a card in memory.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hah_node::generation::Digest;
use hah_node::rollout::{Bad, ERRAND, LOCK_VERSION, Lock, MARK, Phase, STATUS, Stage, Status};
use serde_json::{Value, json};

use super::*;
use crate::closing::http::{Address, Call, send};
use crate::rollout::view::{Ended, Local, Staged};

#[allow(dead_code, clippy::disallowed_methods, reason = "shared with the loop's tests, which use all of it")]
#[path = "../../../tests/closing/programs.rs"]
mod programs;
#[allow(dead_code, reason = "shared with the loop's tests, which use all of it")]
#[path = "../../../tests/closing/server.rs"]
mod server;

/// Time runs so many times faster for the agent.
const HURRY: u32 = 10;
const SOON: Duration = Duration::from_secs(60);

/// A node's card, and what the test asks of it.
#[derive(Default)]
struct Card {
    local: Local,
    /// Set by the agent: the node is to reboot.
    rebooting: bool,
}

#[derive(Clone, Default)]
struct InMemory(Arc<Mutex<Card>>);

impl Generations for InMemory {
    fn look(&mut self) -> Result<Local, String> {
        Ok(self.0.lock().unwrap().local.clone())
    }

    fn start_trial(&mut self, generation: Digest) -> Result<(), String> {
        let mut card = self.0.lock().unwrap();
        card.local.armed = Some(generation);
        card.local.ended.push(Ended { generation, reason: None });
        card.rebooting = true;
        Ok(())
    }

    fn keep(&mut self, generation: Digest) -> Result<(), String> {
        let mut card = self.0.lock().unwrap();
        card.local.on_trial = false;
        card.local.ended.retain(|ended| ended.generation != generation);
        Ok(())
    }

    fn go_back(&mut self) -> Result<(), String> {
        self.0.lock().unwrap().rebooting = true;
        Ok(())
    }

    fn condemn(&mut self, generation: Digest, reason: &str) -> Result<(), String> {
        let mut card = self.0.lock().unwrap();
        card.local.ended.retain(|ended| ended.generation != generation);
        card.local.ended.push(Ended { generation, reason: Some(reason.to_owned()) });
        Ok(())
    }

    fn units(&mut self) -> (bool, BTreeSet<String>) {
        (true, BTreeSet::new())
    }
}

/// What the double of Nomad knows.
struct Nomad {
    eligible: bool,
    drained: Option<Value>,
    well: bool,
}

/// One node with its programs.
struct Bench {
    directory: PathBuf,
    address: String,
    nomad: Arc<Mutex<Nomad>>,
    card: InMemory,
    agent: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
    _servers: [server::Server; 2],
    _consul: programs::Running,
}

fn ask(method: hyper::Method, address: &str, path: &str, body: &str) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = Call {
        method,
        to: Address::parse(&format!("http://{address}")).unwrap(),
        path,
        token: None,
        body: body.as_bytes().to_vec(),
        within: Duration::from_secs(10),
    };
    match runtime.block_on(send(call)) {
        Ok(answer) => (answer.status, String::from_utf8(answer.body).unwrap()),
        Err(error) => (0, error.to_string()),
    }
}

impl Bench {
    /// Nothing when there is no Consul.
    fn start() -> Option<Self> {
        let program = programs::oracle(&["consul"])?;
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp/rollout");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(directory.join("dev")).unwrap();
        std::fs::write(directory.join("dev/kmsg"), "").unwrap();
        let address = format!("127.91.{}.1", std::process::id() % 250 + 1);
        let mut command = std::process::Command::new(program);
        command.args(["agent", "-dev", "-node", "n1", "-grpc-port", "-1", "-bind", &address, "-client", &address]);
        let consul = programs::Running::start(&mut command, &directory.join("consul.log"));
        let nomad = Arc::new(Mutex::new(Nomad { eligible: true, drained: None, well: true }));
        let endpoints = || Arc::new(Mutex::new(server::Endpoints::default()));
        let state = Arc::clone(&nomad);
        let servers = [
            server::Server::start(&format!("{address}:4646"), endpoints(), move |request| {
                nomad_answer(request, &mut state.lock().unwrap())
            }),
            server::Server::start(&format!("{address}:9090"), endpoints(), |request| match &*request.path {
                "/-/ready" => (200, String::new()),
                _ => {
                    let up = |job: &str| json!({ "metric": { "job": job, "instance": "n1" }, "value": [1.0, "1"] });
                    let data = json!({ "resultType": "vector", "result": [up("node"), up("prometheus")] });
                    (200, json!({ "status": "success", "data": data }).to_string())
                }
            }),
        ];
        let bench = Self {
            directory,
            address,
            nomad,
            card: InMemory::default(),
            agent: None,
            _servers: servers,
            _consul: consul,
        };
        bench.until("Consul leads", || bench.consul(hyper::Method::GET, "/v1/status/leader", "").1.len() > 4);
        let service = json!({ "Name": "prometheus", "Port": 9090, "Address": bench.address }).to_string();
        bench.until("Consul takes a service", || {
            bench.consul(hyper::Method::PUT, "/v1/agent/service/register", &service).0 == 200
        });
        Some(bench)
    }

    fn consul(&self, method: hyper::Method, path: &str, body: &str) -> (u16, String) {
        ask(method, &format!("{}:8500", self.address), path, body)
    }

    fn key(&self, key: &str) -> Option<String> {
        let (status, body) = self.consul(hyper::Method::GET, &format!("/v1/kv/hah/rollout/{key}"), "");
        let found: Value = if status == 200 { serde_json::from_str(&body).unwrap() } else { return None };
        Some(String::from_utf8(STANDARD.decode(found[0]["Value"].as_str().unwrap()).unwrap()).unwrap())
    }

    fn lock(&self) -> Option<Lock> {
        self.key("lock").map(|text| serde_json::from_str(&text).unwrap())
    }

    fn put(&self, key: &str, value: &str) {
        assert_eq!(self.consul(hyper::Method::PUT, &format!("/v1/kv/hah/rollout/{key}"), value).1.trim(), "true");
    }

    fn delete(&self, key: &str) {
        self.consul(hyper::Method::DELETE, &format!("/v1/kv/hah/rollout/{key}"), "");
    }

    fn in_maintenance(&self) -> bool {
        self.consul(hyper::Method::GET, "/v1/agent/checks", "").1.contains("_node_maintenance")
    }

    fn status(&self) -> Option<Status> {
        let text = std::fs::read(self.directory.join(STATUS.trim_start_matches('/'))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn waits_for(&self, text: &str) -> bool {
        self.status().and_then(|status| status.waiting).is_some_and(|waiting| waiting.contains(text))
    }

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < SOON, "not in time: {what}; {:#?}", self.status());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn start_agent(&mut self) {
        let config: Loop = serde_json::from_value(json!({
            "version": 1, "consul": { "address": format!("http://{}:8500", self.address), "expect": 1 },
            "nomad": { "address": format!("http://{}:4646", self.address), "expect": 1 }, "vault": null, "job": null,
            "submit": false, "resubmit": "never", "prometheus": { "service": "prometheus", "port": 9090 },
            "textfile": "/run/hah/hah.prom",
        }))
        .unwrap();
        let options = Options { root: self.directory.clone(), node: None, hurry: HURRY };
        let card = self.card.clone();
        let ended = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let api = Api::new(&config, None, (&options.root, "n1"), HURRY).unwrap();
            let programs = Programs::new(api, &config, "n1", HURRY);
            let publisher = Publisher::new(&options, "n1".to_owned());
            let node = Node::new(card, &options.root, false);
            let settings = settings(&config, "n1");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut drive = pin!(drive(&settings, node, programs, publisher, HURRY));
                poll_fn(|context| match over.load(Ordering::Relaxed) {
                    true => Poll::Ready(()),
                    false => drive.as_mut().poll(context),
                })
                .await;
            });
        });
        self.agent = Some((ended, thread));
    }

    fn stop_agent(&mut self) {
        if let Some((ended, thread)) = self.agent.take() {
            ended.store(true, Ordering::Relaxed);
            thread.join().unwrap();
        }
    }

    /// Waits until the agent wants a reboot, and reboots: into what the boot pointer names, or into `good`.
    fn reboots(&mut self, good: Digest) {
        self.until("a reboot", || self.card.0.lock().unwrap().rebooting);
        self.stop_agent();
        {
            let mut card = self.card.0.lock().unwrap();
            card.rebooting = false;
            let armed = card.local.armed.take();
            card.local.running = Some(armed.unwrap_or(good));
            card.local.on_trial = armed.is_some();
        }
        self.start_agent();
    }

    fn stage(&self, generation: Digest, accept_outage: bool) {
        self.card.0.lock().unwrap().local.staged = Some(Staged { generation, canary: false, accept_outage });
    }

    /// All is undone, and nobody has the lock.
    fn comes_to_rest(&self) {
        self.until("rest", || self.lock().is_none() && !self.directory.join(ERRAND.trim_start_matches('/')).exists());
        assert!(self.nomad.lock().unwrap().eligible);
        assert!(!self.in_maintenance());
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some((ended, _)) = &self.agent {
            ended.store(true, Ordering::Relaxed);
        }
    }
}

/// As Nomad 2.0.6 answers.
fn nomad_answer(request: &server::Request, state: &mut Nomad) -> server::Answer {
    let ok = |value: Value| (200, value.to_string());
    match (&*request.method, &*request.path) {
        ("GET", "/v1/status/leader") => ok(json!("127.0.0.1:4647")),
        ("GET", "/v1/status/peers") => ok(json!(["127.0.0.1:4647"])),
        ("GET", "/v1/agent/members") => {
            let member =
                json!({ "Name": "n1.global", "Addr": "127.0.0.1", "Status": "alive", "Tags": { "region": "global" } });
            ok(json!({ "ServerName": "n1", "Members": [member] }))
        }
        ("GET", "/v1/operator/autopilot/health") => ok(json!({ "Healthy": true, "FailureTolerance": 0 })),
        ("GET", "/v1/agent/health") => {
            let part = json!({ "ok": state.well, "message": "" });
            ok(json!({ "client": part, "server": part }))
        }
        ("GET", "/v1/agent/self") => ok(json!({ "stats": {
            "raft": { "applied_index": "10", "last_contact": "0", "state": "Leader" },
            "client": { "node_id": "ff654936-e7e9-b1db-711f-79635486d125" },
        } })),
        ("GET", "/v1/operator/raft/configuration") => {
            ok(json!({ "Servers": [{ "ID": "98583308", "Leader": true, "Voter": true }] }))
        }
        ("GET", path) if path.starts_with("/v1/node/") => ok(json!({
            "DrainStrategy": null, "SchedulingEligibility": if state.eligible { "eligible" } else { "ineligible" },
            "LastDrain": state.drained.as_ref().map(|drained| json!({ "Meta": drained["Meta"], "Status": "complete" })),
        })),
        ("PUT", path) if path.ends_with("/drain") => {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            state.eligible = body["MarkEligible"] == json!(true);
            if !body["DrainSpec"].is_null() {
                state.drained = Some(body);
            }
            ok(json!({ "NodeModifyIndex": 11 }))
        }
        _ => (404, "Invalid URL".to_owned()),
    }
}

#[test]
fn a_node_with_a_real_consul() {
    let Some(mut bench) = Bench::start() else { return };
    let [flashed, good, bad, last] = [1, 2, 3, 4].map(|name| Digest([name; 32]));
    {
        let mut card = bench.card.0.lock().unwrap();
        card.local = Local { running: Some(flashed), clock: true, ..Local::default() };
    }

    // A server that cannot be spared waits for a person's word, and for the end of a stop.
    bench.put("stop", "lunch");
    bench.stage(good, false);
    bench.start_agent();
    bench.until("stopped", || bench.waits_for("the rollout is stopped: lunch"));
    bench.delete("stop");
    bench.until("consent", || bench.waits_for("Consul has too few servers to spare one"));
    assert_eq!((bench.lock(), bench.key("want/n1")), (None, None));

    // Another node has the lock and does not come back: people are told, and only they free it.
    let ghost = Lock {
        version: LOCK_VERSION,
        node: "ghost".to_owned(),
        generation: good,
        phase: Phase::Trial,
        since: 1,
        deadline: 2,
    };
    bench.put("lock", &serde_json::to_string(&ghost).unwrap());
    bench.stage(good, true);
    bench.until("the ghost is told of", || {
        bench.waits_for("ghost tries generation 02020202") && bench.waits_for("see docs/rollout.md")
    });
    assert_eq!(bench.lock(), Some(ghost));
    bench.delete("lock");

    // It drains, tries, and keeps.
    bench.until("a reboot", || bench.card.0.lock().unwrap().rebooting);
    let lock = bench.lock().unwrap();
    assert_eq!((&*lock.node, lock.generation, lock.phase), ("n1", good, Phase::Trial));
    assert!(bench.in_maintenance());
    {
        let nomad = bench.nomad.lock().unwrap();
        assert!(!nomad.eligible);
        let drained = nomad.drained.as_ref().unwrap();
        assert_eq!(drained["Meta"]["message"], json!(MARK));
        assert_eq!(drained["DrainSpec"], json!({ "Deadline": 300_000_000_000_u64, "IgnoreSystemJobs": true }));
    }
    bench.reboots(flashed);
    bench.comes_to_rest();
    bench.until("idle", || bench.status().is_some_and(|status| status.stage == Stage::Idle && status.wanted.is_none()));
    assert_eq!(bench.status().unwrap().running, Some(good));
    assert_eq!((bench.key("want/n1"), bench.key("stop")), (None, None));
    let metrics = std::fs::read_to_string(bench.directory.join("run/hah/rollout.prom")).unwrap();
    assert!(metrics.contains("\nhah_rollout_phase{phase=\"idle\"} 1\n"), "{metrics}");

    // A generation with a broken Nomad goes back once, is bad for everybody, and the rollout is stopped.
    bench.stage(bad, true);
    bench.until("a reboot", || bench.card.0.lock().unwrap().rebooting);
    bench.nomad.lock().unwrap().well = false;
    bench.reboots(good);
    bench.until("it gives up", || bench.card.0.lock().unwrap().rebooting);
    bench.nomad.lock().unwrap().well = true;
    bench.reboots(good);
    bench.comes_to_rest();
    let told: Bad = serde_json::from_str(&bench.key(&format!("bad/{bad}")).unwrap()).unwrap();
    assert_eq!((&*told.node, &*told.reason), ("n1", "Nomad on this node is not well"));
    assert_eq!(bench.key("stop").unwrap(), "generation 03030303 did not last on n1: Nomad on this node is not well");
    bench.until("it stays", || bench.waits_for("generation 03030303 was tried here and did not last"));
    assert!(!bench.card.0.lock().unwrap().rebooting);

    // A person lets it go on, and stops it while the node is being prepared: it is called off, and undone.
    bench.delete("stop");
    bench.nomad.lock().unwrap().eligible = true;
    bench.stage(last, true);
    bench.until("it prepares", || bench.lock().is_some());
    bench.put("stop", "wait");
    let stopped_in_time = || bench.lock().is_none() || bench.card.0.lock().unwrap().rebooting;
    bench.until("called off", stopped_in_time);
    if !bench.card.0.lock().unwrap().rebooting {
        bench.comes_to_rest();
        bench.until("stopped", || bench.waits_for("the rollout is stopped: wait"));
    }
    bench.stop_agent();
}
