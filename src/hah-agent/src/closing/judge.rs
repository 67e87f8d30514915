//! What answers amount to: is the job healthy, does Prometheus see everything? And if not, why, in words.

use std::net::{IpAddr, SocketAddr};

use hah_node::closing::Prometheus;

use super::reply::{Allocation, Deployment, Evaluation, Instance, Member, Placement, Target, Trial};
use super::view::{Health, Missing, Quorum, Targets};

/// The servers of a pool. `peers` are Raft's voters; `seen` tells when a member was last seen alive.
pub(crate) fn quorum(
    leader: bool,
    peers: &[String],
    members: Option<&[Member]>,
    seen: impl Fn(&str) -> Option<u64>,
) -> Quorum {
    let servers = || members.into_iter().flatten().filter(|member| member.server);
    let alive = servers().filter(|member| member.alive).count();
    let missing = servers().filter(|member| !member.alive);
    // Each server lists itself first; the sentence is to be the same on all of them.
    let mut voters: Vec<IpAddr> =
        peers.iter().filter_map(|peer| peer.parse::<SocketAddr>().ok()).map(|peer| peer.ip()).collect();
    voters.sort_unstable();
    let here: Vec<IpAddr> =
        servers().filter(|member| member.alive).filter_map(|member| member.address.parse().ok()).collect();
    let have_moved = !leader && !here.is_empty() && here.iter().all(|address| !voters.contains(address));
    Quorum {
        leader,
        peers: u32::try_from(peers.len()).unwrap_or(u32::MAX),
        moved_from: if have_moved { voters } else { Vec::new() },
        alive: members.map(|_| u32::try_from(alive).unwrap_or(u32::MAX)),
        missing: missing.map(|member| Missing { name: member.name.clone(), seen: seen(&member.name) }).collect(),
    }
}

/// The job: evaluation, then deployment, then allocation. Evaluations are needed only when there is no allocation.
pub(crate) fn health(
    deployment: Option<&Deployment>,
    allocations: &[Allocation],
    evaluations: &[Evaluation],
) -> Health {
    let wanted = || allocations.iter().filter(|allocation| allocation.desired_status == "run");
    let newest = wanted().max_by_key(|allocation| allocation.create_index);
    let running = wanted().filter(|allocation| allocation.client_status == "running");
    let running = running.max_by_key(|allocation| allocation.create_index);
    let status = deployment.map_or("", |deployment| &*deployment.status);
    let Some(running) = running else {
        return Health::Waits(match newest {
            Some(allocation) => not_running(allocation),
            None => not_placed(evaluations),
        });
    };
    match (status, running.deployment_status.healthy) {
        // A deployment that is over says nothing about what was rescheduled later; the allocation does.
        ("running" | "pending" | "blocked" | "initializing" | "unblocking" | "paused", None | Some(false)) => {
            Health::Waits(format!("its allocation on {} runs and is not yet healthy", running.node_name))
        }
        ("failed", _) => {
            let why = deployment.map(|deployment| deployment.status_description.trim()).unwrap_or_default();
            Health::Good(Some(format!("the job's deployment failed ({why}), and its allocation runs all the same")))
        }
        _ => Health::Good(None),
    }
}

fn not_running(allocation: &Allocation) -> String {
    let Allocation { node_name, client_status, client_description, .. } = allocation;
    let events = allocation.task_states.values().flatten().filter_map(|task| task.events.last());
    let event = events.map(|event| event.display_message.trim()).find(|text| !text.is_empty());
    let why = event.unwrap_or_else(|| client_description.trim());
    let state = if client_status.is_empty() { "pending" } else { client_status };
    match why {
        "" => format!("its allocation on {node_name} is {state}"),
        why => format!("its allocation on {node_name} is {state}: {}", shortened(why)),
    }
}

/// The evaluation that says how things are.
fn latest(evaluations: &[Evaluation]) -> Option<&Evaluation> {
    evaluations.iter().filter(|one| one.status != "canceled").max_by_key(|one| one.create_index)
}

/// Whether the job waits for a node. Nomad tries again whenever one comes or gets room, and keeps of each evaluation only
/// what it said first: why it waits *now* is to be asked anew.
pub(crate) fn is_blocked(evaluations: &[Evaluation]) -> bool {
    latest(evaluations).is_some_and(|evaluation| evaluation.status == "blocked")
}

/// The job waits for a node, and this is what a trial run of Nomad's scheduler says.
pub(crate) fn blocked(trial: &Trial) -> Health {
    let placement = trial.failed.values().flatten().next();
    Health::Waits(placement.map_or_else(|| "Nomad is about to place it".to_owned(), no_node))
}

fn not_placed(evaluations: &[Evaluation]) -> String {
    let Some(evaluation) = latest(evaluations) else { return "Nomad has not evaluated it yet".to_owned() };
    let placement = evaluation.failed.values().flatten().next();
    match (placement, &*evaluation.status) {
        (Some(placement), _) => no_node(placement),
        (None, "pending") => "Nomad is evaluating it".to_owned(),
        (None, "blocked") => "no node can run it yet".to_owned(),
        (None, "failed") => format!("its evaluation failed: {}", shortened(&evaluation.status_description)),
        (None, _) => "it has no allocation".to_owned(),
    }
}

fn no_node(placement: &Placement) -> String {
    let reasons = placement.constraint_filtered.keys().map(|constraint| format!("constraint {constraint}"));
    let exhausted = placement.dimension_exhausted.keys().map(|resource| format!("too little {resource}"));
    let reasons: Vec<String> = reasons.chain(exhausted).take(3).map(|reason| shortened(&reason)).collect();
    match (placement.nodes_evaluated, reasons.is_empty()) {
        (0, _) => "no Nomad client is ready to run it".to_owned(),
        (nodes, true) => format!("none of {nodes} nodes can run it"),
        (nodes, false) => format!("none of {nodes} nodes can run it ({})", reasons.join(", ")),
    }
}

/// Where Prometheus is to be asked: instances whose checks pass first, and then in the catalog's order.
pub(crate) fn candidates(instances: &[Instance]) -> Vec<&Instance> {
    let mut candidates: Vec<&Instance> = instances.iter().collect();
    candidates.sort_by_key(|instance| !instance.passing);
    candidates
}

/// Whether Prometheus sees what it should: every live node is scraped, and nothing is down but what is on dead nodes or
/// beside.
pub(crate) fn targets(config: &Prometheus, address: String, found: &[Target], members: &[Member]) -> Targets {
    let counts = |target: &&Target| {
        !config.beside.contains(&target.job) && (config.jobs.is_empty() || config.jobs.contains(&target.job))
    };
    let up = found.iter().filter(|target| target.up).count() as u64;
    let mut waits = None;
    let mut notes = Vec::new();
    if found.is_empty() {
        waits = Some("it has no targets yet".to_owned());
    }
    for job in &config.jobs {
        if !found.iter().any(|target| target.job == *job && target.up) {
            waits = waits.or_else(|| Some(format!("no target of the scrape job {job} is up")));
        }
    }
    for member in members.iter().filter(|member| member.alive) {
        if !found.iter().any(|target| target.up && is_on(target, member)) {
            waits = waits.or_else(|| Some(format!("no target on {} is up", member.name)));
        }
    }
    let mut down: Vec<&Target> = found.iter().filter(|target| !target.up).collect();
    down.sort_by(|a, b| (&a.job, &a.instance).cmp(&(&b.job, &b.instance)));
    for target in &down {
        let dead = members.iter().find(|member| !member.alive && is_on(target, member));
        let name = format!("{} on {}", target.job, target.instance);
        if dead.is_none() && counts(target) {
            waits = waits.or_else(|| Some(format!("the target {name} is down")));
        } else {
            notes.push(format!("the target {name} is down"));
        }
    }
    if notes.len() > 5 {
        let more = notes.len() - 4;
        notes.truncate(4);
        notes.push(format!("{more} more targets are down"));
    }
    Targets { address, up, down: down.len() as u64, waits, notes }
}

/// Whether a target is on a node: its instance is the node's name or address, with or without a port.
pub(crate) fn is_on(target: &Target, member: &Member) -> bool {
    let instance = &*target.instance;
    let host = match instance.rsplit_once(':') {
        _ if instance.parse::<IpAddr>().is_ok() => instance,
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => instance,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let first = host.split_once('.').map_or(host, |(first, _)| first);
    !host.is_empty() && (host == member.address || host == member.name || first == member.name)
}

/// At most a line of somebody else's text.
pub(crate) fn shortened(text: &str) -> String {
    const LETTERS: usize = 160;
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let line = line.trim();
    if line.chars().count() <= LETTERS {
        return line.to_owned();
    }
    line.chars().take(LETTERS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closing::reply;

    #[test]
    fn row_20_servers_that_all_have_other_addresses() {
        let member = |name: &str, address: &str, alive| Member {
            name: name.to_owned(),
            address: address.to_owned(),
            alive,
            server: true,
        };
        let peers = ["10.77.0.1:8300".to_owned(), "10.77.0.2:8300".to_owned(), "[fd00::3]:8300".to_owned()];
        let moved = |leader, peers: &[String], members: &[Member]| {
            let found = quorum(leader, peers, Some(members), |_| None).moved_from;
            found.iter().map(IpAddr::to_string).collect::<Vec<String>>()
        };
        let new = [member("a", "10.78.0.1", true), member("b", "10.78.0.2", true), member("c", "10.77.0.2", false)];
        assert_eq!(moved(false, &peers, &new), ["10.77.0.1", "10.77.0.2", "fd00::3"]);
        assert_eq!(moved(true, &peers, &new), [""; 0], "a leader: they have found each other");
        let one = [member("a", "10.78.0.1", true), member("c", "fd00:0::3", true)];
        assert_eq!(moved(false, &peers, &one), [""; 0], "one is where it was");
        assert_eq!(moved(false, &[], &new), [""; 0], "the first start");
        assert_eq!(moved(false, &peers, &[]), [""; 0]);
        assert_eq!(moved(false, &peers, &[member("a", "", true)]), [""; 0], "nobody says where it is");
    }

    #[track_caller]
    fn check_health(deployment: &str, allocations: &str, evaluations: &str, wanted: Result<&str, &str>) {
        let deployment = reply::deployment(deployment.as_bytes()).unwrap();
        let allocations = reply::allocations(allocations.as_bytes()).unwrap();
        let evaluations = reply::evaluations(evaluations.as_bytes()).unwrap();
        let found = health(deployment.as_ref(), &allocations, &evaluations);
        let wanted = match wanted {
            Ok("") => Health::Good(None),
            Ok(note) => Health::Good(Some(note.to_owned())),
            Err(why) => Health::Waits(why.to_owned()),
        };
        assert_eq!(found, wanted);
    }

    #[test]
    fn healths() {
        let running = r#"[{"NodeName":"pi4","ClientStatus":"running","DesiredStatus":"run","CreateIndex":5,
            "DeploymentStatus":{"Healthy":true}},
            {"NodeName":"pi3","ClientStatus":"lost","DesiredStatus":"stop","CreateIndex":3}]"#;
        check_health(r#"{"Status":"successful"}"#, running, "null", Ok(""));
        check_health("null", running, "[]", Ok(""));
        let unknown = running.replace(r#"{"Healthy":true}"#, "null");
        let wanted = "its allocation on pi4 runs and is not yet healthy";
        check_health(r#"{"Status":"running"}"#, &unknown, "[]", Err(wanted));
        // It was rescheduled after its deployment had ended.
        check_health(r#"{"Status":"successful"}"#, &unknown, "[]", Ok(""));
        let wanted =
            "the job's deployment failed (Failed due to progress deadline), and its allocation runs all the same";
        let failed = r#"{"Status":"failed","StatusDescription":"Failed due to progress deadline"}"#;
        check_health(failed, running, "[]", Ok(wanted));
        let pending = r#"[{"NodeName":"pi4","ClientStatus":"pending","DesiredStatus":"run",
            "TaskStates":{"prometheus":{"Events":[{"DisplayMessage":"Task received"},
            {"DisplayMessage":"Downloading\nArtifacts"}]},"other":null}}]"#;
        let wanted = "its allocation on pi4 is pending: Downloading Artifacts";
        check_health(r#"{"Status":"running"}"#, pending, "[]", Err(wanted));
    }

    #[test]
    fn unplaced_jobs() {
        let check = |evaluations: &str, wanted| check_health("null", "[]", evaluations, Err(wanted));
        check("[]", "Nomad has not evaluated it yet");
        check(r#"[{"Status":"pending","CreateIndex":3}]"#, "Nomad is evaluating it");
        let filtered = r#"[{"Status":"pending","CreateIndex":3},{"Status":"blocked","CreateIndex":9,"FailedTGAllocs":
            {"prometheus":{"NodesEvaluated":2,"ConstraintFiltered":{"${attr.cpu.arch} = arm64":2},
            "DimensionExhausted":null}}}]"#;
        check(filtered, "none of 2 nodes can run it (constraint ${attr.cpu.arch} = arm64)");
        check(
            r#"[{"Status":"complete","FailedTGAllocs":{"prometheus":{"NodesEvaluated":0}}}]"#,
            "no Nomad client is ready to run it",
        );
        check(
            r#"[{"Status":"failed","StatusDescription":"maximum attempts"}]"#,
            "its evaluation failed: maximum attempts",
        );
    }

    #[test]
    fn a_blocked_job_waits_for_what_nomad_says_now() {
        // As Nomad 2.0 has it: the blocked evaluation keeps the reasons of the time before any client was there.
        let evaluations = reply::evaluations(
            br#"[{"Status":"complete","CreateIndex":12,"FailedTGAllocs":{"prometheus":{"NodesEvaluated":0}}},
            {"Status":"blocked","CreateIndex":13,"FailedTGAllocs":{"prometheus":{"NodesEvaluated":0}}}]"#,
        );
        assert!(is_blocked(&evaluations.unwrap()));
        assert!(!is_blocked(&reply::evaluations(br#"[{"Status":"complete","CreateIndex":12}]"#).unwrap()));
        let check = |body: &str, wanted: &str| {
            assert_eq!(blocked(&reply::trial(body.as_bytes()).unwrap()), Health::Waits(wanted.to_owned()));
        };
        check(
            r#"{"FailedTGAllocs":{"prometheus":{"NodesEvaluated":3,"DimensionExhausted":{"cpu":3}}},"Diff":null}"#,
            "none of 3 nodes can run it (too little cpu)",
        );
        check(r#"{"FailedTGAllocs":null}"#, "Nomad is about to place it");
    }

    fn member(name: &str, address: &str, alive: bool) -> Member {
        Member { name: name.to_owned(), address: address.to_owned(), alive, server: true }
    }

    fn target(job: &str, instance: &str, up: bool) -> Target {
        Target { job: job.to_owned(), instance: instance.to_owned(), up }
    }

    #[track_caller]
    fn check_targets(found: &[Target], members: &[Member], waits: Option<&str>, notes: &[&str]) {
        let config = Prometheus {
            service: "prometheus".to_owned(),
            port: 9090,
            jobs: Vec::new(),
            beside: vec!["vault".to_owned()],
        };
        let judged = targets(&config, "10.0.0.1:9090".to_owned(), found, members);
        assert_eq!(
            (judged.waits.as_deref(), judged.notes),
            (waits, notes.iter().map(|note| (*note).to_owned()).collect())
        );
    }

    #[test]
    fn every_live_node_is_scraped() {
        let members = [member("pi4", "10.0.0.1", true), member("pi3", "10.0.0.2", true)];
        check_targets(&[], &members, Some("it has no targets yet"), &[]);
        let pi4 = target("node", "pi4", true);
        check_targets(std::slice::from_ref(&pi4), &members, Some("no target on pi3 is up"), &[]);
        for instance in ["pi3", "pi3:9100", "10.0.0.2", "10.0.0.2:9100", "pi3.station:9100"] {
            check_targets(&[pi4.clone(), target("node", instance, true)], &members, None, &[]);
        }
        check_targets(&[pi4.clone(), target("node", "pi31", true)], &members, Some("no target on pi3 is up"), &[]);
        let v6 = [member("pi4", "fd00::1", true)];
        check_targets(&[target("node", "[fd00::1]:9100", true)], &v6, None, &[]);
        check_targets(&[target("node", "fd00::1", true)], &v6, None, &[]);
    }

    #[test]
    fn what_is_down_counts_unless_its_node_is() {
        let pi4 = member("pi4", "10.0.0.1", true);
        let up = target("node", "pi4", true);
        let down = target("nomad", "pi3", false);
        let dead = [pi4.clone(), member("pi3", "10.0.0.2", false)];
        check_targets(&[up.clone(), down.clone()], &dead, None, &["the target nomad on pi3 is down"]);
        let alone = std::slice::from_ref(&pi4);
        check_targets(&[up.clone(), down], alone, Some("the target nomad on pi3 is down"), &[]);
        let vault = target("vault", "pi4", false);
        check_targets(&[up, vault], alone, None, &["the target vault on pi4 is down"]);
    }

    #[test]
    fn jobs_that_are_wanted() {
        let config = Prometheus {
            service: String::new(),
            port: 0,
            jobs: vec!["node".to_owned(), "nomad".to_owned()],
            beside: Vec::new(),
        };
        let found = [target("node", "pi4", true), target("mine", "nas", false)];
        let judged = targets(&config, String::new(), &found, &[]);
        assert_eq!(judged.waits.as_deref(), Some("no target of the scrape job nomad is up"));
        let found = [target("node", "pi4", true), target("nomad", "pi4", true), target("mine", "nas", false)];
        let judged = targets(&config, String::new(), &found, &[]);
        assert_eq!((judged.waits, judged.up, judged.down), (None, 2, 1));
    }

    #[test]
    fn texts_are_cut_between_letters() {
        assert_eq!(shortened(" a\r\nb "), "a  b");
        assert_eq!(shortened(&"ü".repeat(500)).chars().count(), 161);
    }
}
