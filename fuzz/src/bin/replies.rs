//! What Consul, Nomad and Prometheus answer to the loop: whatever is read is judged, in bounded words.
//!
//! An input is one answer, or several with a line `---` between them.

#![no_main]
#![allow(dead_code, reason = "the agent's modules, compiled in from their source, have more than this asks for")]

#[path = "../../../src/hah-agent/src/closing/judge.rs"]
mod judge;
#[path = "../../../src/hah-agent/src/closing/reply.rs"]
mod reply;
#[path = "../../../src/hah-agent/src/closing/view.rs"]
mod view;

use hah_node::closing::{Loop, Marker, Prometheus, Status};
use view::{Health, Memory};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let answers: Vec<&[u8]> = text.split("\n---\n").take(4).map(str::as_bytes).collect();
    let (mut members, mut instances, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut deployment, mut allocations, mut evaluations) = (None, Vec::new(), Vec::new());
    let mut trials = Vec::new();
    for answer in &answers {
        let _ = reply::leader(answer);
        let _ = reply::peers(answer);
        let _ = reply::written(answer);
        let _ = reply::job(answer);
        let _ = reply::is_conflict(answer);
        members.extend(reply::consul_members(answer).unwrap_or_default());
        members.extend(reply::nomad_members(answer).unwrap_or_default());
        instances.extend(reply::instances(answer).unwrap_or_default());
        targets.extend(reply::targets(answer).unwrap_or_default());
        deployment = reply::deployment(answer).ok().flatten().or(deployment);
        allocations.extend(reply::allocations(answer).unwrap_or_default());
        evaluations.extend(reply::evaluations(answer).unwrap_or_default());
        trials.extend(reply::trial(answer));
        memory(answer);
        access_control(answer);
        for file in [reply::job_file(answer, "own"), reply::parsed_job(answer, "own")].into_iter().flatten() {
            assert!(!file.id.is_empty() && !file.hah_job.is_empty());
            // It goes into the body of a request as it is.
            serde_json::from_str::<serde_json::Value>(&file.job).unwrap();
        }
        if let Ok(config) = serde_json::from_slice::<Loop>(answer) {
            let written = serde_json::to_vec(&config).unwrap();
            assert_eq!(serde_json::from_slice::<Loop>(&written).unwrap(), config);
        }
        if let Ok(status) = serde_json::from_slice::<Status>(answer) {
            let written = serde_json::to_vec(&status).unwrap();
            assert_eq!(serde_json::from_slice::<Status>(&written).unwrap(), status);
        }
    }
    judge::is_blocked(&evaluations);
    let blocked = trials.iter().map(judge::blocked);
    for health in blocked.chain([judge::health(deployment.as_ref(), &allocations, &evaluations)]) {
        match health {
            Health::Good(_) => assert!(!allocations.is_empty()),
            Health::Waits(why) => assert!(!why.is_empty()),
        }
    }
    let peers = answers.iter().find_map(|answer| reply::peers(answer).ok()).unwrap_or_default();
    let quorum = judge::quorum(peers.len() % 2 == 0, &peers, Some(&members), |_| None);
    assert!(quorum.moved_from.len() <= peers.len());
    assert!(quorum.alive.unwrap_or(0) as usize + quorum.missing.len() <= members.len());
    assert_eq!(judge::candidates(&instances).len(), instances.len());
    let config = Prometheus {
        service: String::new(),
        port: 9090,
        jobs: targets.first().map(|target| target.job.clone()).into_iter().collect(),
        beside: targets.last().map(|target| target.job.clone()).into_iter().collect(),
    };
    let judged = judge::targets(&config, String::new(), &targets, &members);
    assert_eq!((judged.up + judged.down) as usize, targets.len());
    assert!(judged.notes.len() <= 5);
    let short = judge::shortened(text);
    assert!(short.chars().count() <= 161 && !short.contains('\n'));
});

fn memory(answer: &[u8]) {
    if let Ok(Memory::Known(_, marker)) = reply::memory(answer) {
        let written = serde_json::to_vec(&*marker).unwrap();
        assert_eq!(serde_json::from_slice::<Marker>(&written).unwrap(), *marker);
    }
}

/// What Consul and Nomad say of access control.
fn access_control(answer: &[u8]) {
    let named: Vec<reply::Named> = reply::named(answer).unwrap_or_default();
    let tokens: Vec<reply::AclToken> = reply::acl_tokens(answer).unwrap_or_default();
    let bindings: Vec<reply::BindingRule> = reply::binding_rules(answer).unwrap_or_default();
    // An entry has at least two bytes.
    for entries in [named.len(), tokens.len(), bindings.len()] {
        assert!(entries <= answer.len() / 2);
    }
    let _ = reply::setup_memory(answer);
    let _ = reply::rules(answer);
    let _ = reply::datacenter(answer);
    let _ = reply::secret_id(answer);
}
