//! The fault lane: neighbours that hang, lie and break off, and an agent that is killed at every state.
//!
//! Never wrong: not closed while a needed endpoint fails, and one submission. Never stuck: closed once it is well again.
//! Never spinning: bounded requests, processor time and memory.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hah_node::closing::{Marker, Phase, Rung};
use serde_json::{Value, json};

use crate::agent::{Agent, scratch};
use crate::double::{self, ConsulState, NomadState};
use crate::server::{Endpoints, Fault, Server};

/// Time runs so many times faster.
const HURRY: u32 = 40;
/// Enough for everything that has to come, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(40);
/// How long a faulty world is observed: half a minute of the agent's own time.
pub(crate) const OBSERVED: Duration = Duration::from_millis(800);
/// Requests in a second of the agent's own time: a pass of twenty after two seconds is half of it.
const RATE_MAX: f64 = 20.0;

/// A world of doubles, and one agent in it.
pub(crate) struct World {
    pub(crate) endpoints: Arc<Mutex<Endpoints>>,
    consul: Arc<Mutex<ConsulState>>,
    pub(crate) nomad: Arc<Mutex<NomadState>>,
    _servers: Vec<Server>,
    pub(crate) agent: Agent,
}

impl World {
    pub(crate) fn new(directory: &Path) -> Self {
        Self::at(directory, HURRY)
    }

    /// One whose time runs so many times faster.
    fn at(directory: &Path, hurry: u32) -> Self {
        let endpoints = Arc::new(Mutex::new(Endpoints::default()));
        let consul = Arc::new(Mutex::new(ConsulState::default()));
        let nomad = Arc::new(Mutex::new(NomadState { healthy: true, ..NomadState::default() }));
        let consul_server = double::consul(Arc::clone(&endpoints), Arc::clone(&consul));
        let nomad_server = double::nomad("127.0.0.1:0", Arc::clone(&endpoints), Arc::clone(&nomad));
        let prometheus = double::prometheus(Arc::clone(&endpoints));
        let vault = double::vault(Arc::clone(&endpoints));
        let port = prometheus.url().rsplit_once(':').unwrap().1.parse().unwrap();
        consul.lock().unwrap().prometheus = Some(port);
        let config = json!({
            "version": 1,
            "consul": { "address": consul_server.url(), "expect": 1 },
            "nomad": { "address": nomad_server.url(), "expect": 3 },
            "vault": { "address": vault.url() },
            "job": "/usr/share/hah/jobs/prometheus.json", "submit": true, "resubmit": "never",
            "prometheus": { "service": "prometheus", "port": 9090 },
            "textfile": "/run/hah/hah.prom",
        });
        let agent = Agent::new(directory.to_owned(), "n1", hurry, &config);
        let agent = agent.job(&json!({ "ID": "prometheus", "Meta": { "hah_job": "v1" } }));
        Self { endpoints, consul, nomad, _servers: vec![consul_server, nomad_server, prometheus, vault], agent }
    }

    pub(crate) fn faults(&self, faults: &[(&str, Fault)]) {
        let faults = faults.iter().map(|(prefix, fault)| ((*prefix).to_owned(), *fault)).collect();
        self.endpoints.lock().unwrap().faults = faults;
    }

    fn asked(&self) -> u64 {
        self.endpoints.lock().unwrap().asked.values().sum()
    }

    pub(crate) fn submissions(&self) -> u64 {
        self.nomad.lock().unwrap().submissions
    }

    pub(crate) fn marker(&self) -> Option<Marker> {
        let consul = self.consul.lock().unwrap();
        consul.kv.as_ref().map(|(_, value)| serde_json::from_slice(value).unwrap())
    }

    #[track_caller]
    pub(crate) fn closes(&mut self) {
        let status = self.agent.wait("closed", SOON, |status| status.state == Rung::Closed && status.waiting.is_none());
        assert!(status.prometheus.up && status.last_error.is_none_or(|error| !error.what.is_empty()));
        assert_eq!(self.submissions(), 1);
        let marker = self.marker().unwrap();
        assert_eq!((marker.phase, &*marker.hah_job), (Phase::Submitted, "v1"));
        assert!(marker.closed_at.is_some());
    }
}

/// An endpoint, the beginning of what is asked of it, and whether the loop closes without it.
const ENDPOINTS: [(&str, bool); 16] = [
    ("GET /v1/status/leader", false),
    ("GET /v1/status/peers", false),
    ("GET /v1/agent/members", true),
    ("GET /v1/kv/", false),
    ("PUT /v1/kv/", false),
    ("GET /v1/job/prometheus/deployment", false),
    ("GET /v1/job/prometheus/allocations", false),
    ("GET /v1/job/", false),
    ("PUT /v1/jobs", false),
    ("GET /v1/health/service/", false),
    ("PUT /v1/agent/", true),
    ("GET /-/ready", false),
    ("GET /api/v1/query", false),
    ("GET /v1/sys/health", true),
    ("GET /", false),
    ("PUT /", false),
];

fn endpoint_with_fault(directory: &Path, endpoint: (&str, bool), fault: Fault) {
    let (prefix, closes_without) = endpoint;
    let case = format!("{prefix} {fault:?}");
    let mut world = World::new(directory);
    world.faults(&[(prefix, fault)]);
    let started = Instant::now();
    world.agent.start();
    if closes_without {
        world.closes();
    } else {
        std::thread::sleep(OBSERVED);
        let status = world.agent.wait("written", SOON, |_| true);
        // That a double's `/-/ready` is another JSON is nothing that a status of 200 does not outweigh.
        if (prefix, fault) != ("GET /-/ready", Fault::Garbage) && (prefix, fault) != ("GET /-/ready", Fault::OtherShape)
        {
            assert!(status.state < Rung::Closed && status.waiting.is_some(), "{case}: {status:#?}");
        }
    }
    assert!(world.submissions() <= 1, "{case}");
    // An idle machine closes the loop at once, and the climb alone is no rate.
    std::thread::sleep(OBSERVED.saturating_sub(started.elapsed()));
    let seconds = started.elapsed().as_secs_f64();
    let rate = world.asked() as f64 / (seconds * f64::from(HURRY));
    assert!(rate < RATE_MAX, "{case}: {rate:.1} requests in a second");
    // Time runs faster, so the processor does too; a spinning agent has all of it.
    let share = world.agent.processor_time().as_secs_f64() / seconds;
    assert!(share < 0.5, "{case}: {share:.2} of a processor");
    let memory = world.agent.peak_memory();
    assert!(memory < 24 << 10, "{case}: {memory} KiB resident");
    world.faults(&[]);
    world.closes();
}

#[test]
fn every_endpoint_with_every_fault() {
    let directory = scratch("every-endpoint");
    let cases: Vec<_> = ENDPOINTS.iter().flat_map(|endpoint| Fault::ALL.map(|fault| (*endpoint, fault))).collect();
    let next = Mutex::new(cases.iter().enumerate());
    // They wait most of the time.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some((number, (endpoint, fault))) = next.lock().unwrap().next() else { break };
                    endpoint_with_fault(&directory.join(number.to_string()), *endpoint, *fault);
                }
            });
        }
    });
    println!("{} cases", cases.len());
}

/// What keeps the agent at a rung: an endpoint that fails, which is the next condition.
const HELD_AT: [(Rung, &str); 6] = [
    (Rung::Booted, "GET /v1/kv/"),
    (Rung::ConsulQuorum, "GET /v1/status/leader?nomad"),
    (Rung::NomadQuorum, "PUT /v1/jobs"),
    (Rung::JobSubmitted, "GET /v1/job/prometheus/allocations"),
    (Rung::JobHealthy, "GET /api/v1/query"),
    (Rung::Closed, ""),
];

#[test]
fn killed_at_every_state() {
    for (rung, held_by) in HELD_AT {
        let mut world = World::new(&scratch("killed").join(rung.name()));
        match held_by {
            "" => {}
            "GET /v1/status/leader?nomad" => world.nomad.lock().unwrap().no_leader = true,
            endpoint => world.faults(&[(endpoint, Fault::Status(500))]),
        }
        for _ in 0..3 {
            world.agent.start();
            world.agent.wait(rung.name(), SOON, |status| status.state == rung);
            world.agent.kill();
        }
        world.faults(&[]);
        world.nomad.lock().unwrap().no_leader = false;
        world.agent.start();
        world.closes();
    }
}

#[test]
fn killed_at_any_moment() {
    for round in 0..4_u64 {
        let mut world = World::new(&scratch("storm").join(round.to_string()));
        for kill in 0..25 {
            world.agent.start();
            std::thread::sleep(Duration::from_millis((kill * 13 + round * 7) % 160));
            world.agent.kill();
            assert!(world.submissions() <= 1);
        }
        world.agent.start();
        world.closes();
    }
}

#[test]
fn leaders_that_come_and_go() {
    let mut world = World::new(&scratch("leaders"));
    world.consul.lock().unwrap().no_leader = true;
    world.agent.start();
    let status =
        world.agent.wait("waiting for Consul", SOON, |status| status.waiting.is_some() && status.transitions == 0);
    assert_eq!(status.state, Rung::Booted);
    world.consul.lock().unwrap().no_leader = false;
    world.nomad.lock().unwrap().no_leader = true;
    world.agent.wait("at Nomad", SOON, |status| {
        status.waiting.as_deref() == Some("waiting for Nomad to elect a leader among 3 servers")
    });
    world.nomad.lock().unwrap().no_leader = false;
    world.closes();
    // One election is no reason to call the loop open; a long one is.
    world.consul.lock().unwrap().no_leader = true;
    world.agent.wait("open", SOON, |status| status.state == Rung::Booted);
    world.consul.lock().unwrap().no_leader = false;
    world.closes();
}

#[test]
fn a_token_that_comes_later() {
    let mut world = World::new(&scratch("token"));
    world.consul.lock().unwrap().token = Some("s3cret".to_owned());
    world.agent.start();
    world.agent.wait("told", SOON, |status| {
        status.waiting.as_ref().is_some_and(|waiting| waiting.contains("the agent's token does not allow that"))
    });
    let secrets = world.agent.root.join("run/hah/secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(secrets.join("consul.token"), "s3cret\n").unwrap();
    world.closes();
}

#[test]
fn an_update_and_a_change_by_hand() {
    let mut world = World::new(&scratch("update"));
    world.agent.start();
    world.closes();
    world.agent.kill();
    // A newer image.
    let job = json!({ "Job": { "ID": "prometheus", "Meta": { "hah_job": "v2" } } });
    let file = world.agent.root.join("usr/share/hah/jobs/prometheus.json");
    std::fs::write(&file, job.to_string()).unwrap();
    world.agent.start();
    let is_v2 = |status: &hah_node::closing::Status| status.job.as_deref() == Some("prometheus v2, submitted");
    world.agent.wait("updated", SOON, |status| status.state == Rung::Closed && is_v2(status));
    assert_eq!(world.submissions(), 2);
    assert_eq!(world.marker().unwrap().past, ["v1"]);
    // The person changes the job, and a still newer image leaves it alone.
    {
        let mut nomad = world.nomad.lock().unwrap();
        nomad.index += 1;
        let index = nomad.index;
        let job = nomad.job.as_mut().unwrap();
        (job.index, job.version) = (index, job.version + 1);
    }
    world.agent.kill();
    std::fs::write(&file, job.to_string().replace("v2", "v3")).unwrap();
    world.agent.start();
    let status = world.agent.wait("told", SOON, |status| !status.notes.is_empty() && status.state == Rung::Closed);
    assert!(status.notes[0].starts_with("the job was changed by hand"), "{:?}", status.notes);
    assert_eq!(world.submissions(), 2);
}

#[test]
fn what_people_see() {
    let mut world = World::new(&scratch("seen"));
    world.agent.start();
    world.closes();
    // The next pass has looked at Vault, too.
    world.agent.wait("with Vault", SOON, |status| status.vault.as_deref() == Some("sealed"));
    let console = world.agent.read("dev/kmsg");
    let lines: Vec<&str> = console.lines().collect();
    assert!(lines[0].starts_with("<5>hah: Consul has a leader"), "{console}");
    assert!(lines.iter().any(|line| line.contains("the loop is closed, ")), "{console}");
    assert!(world.agent.read("run/hah/hah.issue").starts_with("The loop is closed: Prometheus on http://127.0.0.1:"));
    assert!(world.agent.read("run/motd.d/hah").contains("The loop is closed"));
    assert!(world.agent.read("run/hah/hah.prom").contains("hah_loop_closed 1\n"));
    let text = world.agent.status_text(&[]);
    assert!(text.starts_with("loop       closed since ") && text.contains("\nvault      sealed\n"), "{text}");
    let whole: Value = serde_json::from_str(&world.agent.status_text(&["--json"])).unwrap();
    assert_eq!(whole["loop"]["state"], "closed");
    let check = world.consul.lock().unwrap().check.clone().unwrap();
    assert!(check.0 == "passing" && check.1.starts_with("The loop is closed"), "{check:?}");
    let journal = world.agent.journal();
    println!("{journal}");
    assert!(journal.contains("handing the job to Nomad, version v1\n"), "{journal}");
}

/// What the agent costs a node that has nothing to do. A Pi 3's core is five to eight times slower than a server's: half a
/// per cent of it is 300 ms in a minute, and 40 ms here.
#[test]
fn a_minute_of_watching() {
    if std::env::var("HAH_TEST_FULL").as_deref() != Ok("1") {
        return println!("skipped: HAH_TEST_FULL is not 1");
    }
    let mut world = World::at(&scratch("idle"), 1);
    world.agent.start();
    world.closes();
    let (before, asked) = (world.agent.processor_time(), world.asked());
    std::thread::sleep(Duration::from_secs(60));
    let used = world.agent.processor_time() - before;
    let memory = world.agent.peak_memory();
    println!("{used:?} of processor time in a minute, {} requests, {memory} KiB resident", world.asked() - asked);
    assert!(used <= Duration::from_millis(40), "{used:?}");
    assert!(memory <= 10 << 10, "{memory} KiB");
}
