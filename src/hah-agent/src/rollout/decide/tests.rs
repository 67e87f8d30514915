//! Decisions that the model's world has no room for.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::rollout::view::{Ended, Raft, Servers};

const NOW: Now = Now { boot: 60_000, wall: 1_796_000_000 };

fn settings() -> Settings {
    Settings { node: "n1".to_owned(), consul: 3, nomad: Some(3), mutation: None }
}

fn generation(name: u8) -> Digest {
    Digest([name; 32])
}

/// A server of three that may start generation 2.
fn local() -> Local {
    Local {
        running: Some(generation(1)),
        staged: Some(Staged { generation: generation(2), canary: false, accept_outage: false }),
        clock: true,
        started: true,
        ..Local::default()
    }
}

fn cluster() -> Cluster {
    let servers = Servers { leader: true, voters: 3, missing: Vec::new(), tolerance: Some(1) };
    let raft = Some(Raft { leads: false, applied: 10, in_touch: true });
    Cluster {
        consul: servers.clone(),
        nomad: Some(servers),
        server: true,
        alive: BTreeSet::from(["n1".to_owned(), "n2".to_owned()]),
        member: true,
        consul_raft: raft,
        nomad_raft: raft,
        nomad_well: true,
        placing: Placing::Eligible,
        maintenance: Maintenance::Off,
        targets: BTreeSet::from(["node".to_owned()]),
        unseen: None,
    }
}

fn board() -> Board {
    let wish = Wish { generation: generation(2), turn: Turn::Follower };
    Board { wishes: BTreeMap::from([("n1".to_owned(), wish)]), ..Board::default() }
}

fn decided(local: &Local, board: Result<&Board, &str>, cluster: Result<&Cluster, &str>) -> Decision {
    let facts = Facts { settings: &settings(), local, board, cluster: Some(cluster), now: NOW };
    decide(&facts, &mut Memory::new(0))
}

fn waits(decision: &Decision) -> String {
    match decision {
        Decision::Wait(_, unmet) => unmet.to_string(),
        other => panic!("{other:?}"),
    }
}

fn effect(decision: Decision) -> Effect {
    match decision {
        Decision::Do(_, effect) => effect,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_condition_that_does_not_hold_is_said() {
    let taken = decided(&local(), Ok(&board()), Ok(&cluster()));
    assert!(matches!(effect(taken), Effect::Lock(lock) if lock.deadline == NOW.wall + LOCK_SECONDS));
    let why = |change: fn(&mut Cluster)| {
        let mut cluster = cluster();
        change(&mut cluster);
        waits(&decided(&local(), Ok(&board()), Ok(&cluster)))
    };
    assert_eq!(why(|cluster| cluster.consul.leader = false), "Consul has no leader");
    assert_eq!(why(|cluster| cluster.consul.missing = vec!["n2".to_owned()]), "servers of Consul are not alive: n2");
    assert_eq!(why(|cluster| cluster.consul.voters = 2), "Consul has 2 of 3 servers");
    assert_eq!(
        why(|cluster| cluster.consul.tolerance = Some(0)),
        "no server of Consul may fail now, says its autopilot"
    );
    assert!(why(|cluster| cluster.consul.tolerance = None).contains("its token needs operator:read"));
    assert_eq!(why(|cluster| cluster.nomad = Some(Servers::default())), "Nomad has no leader");
    assert_eq!(why(|cluster| cluster.member = false), "this node is no living member of Consul");
    assert_eq!(
        why(|cluster| cluster.unseen = Some("node on n2 is down".to_owned())),
        "Prometheus does not see everything: node on n2 is down"
    );
    let unset = Local { clock: false, ..local() };
    assert_eq!(waits(&decided(&unset, Ok(&board()), Ok(&cluster()))), "the clock is not set");
}

#[test]
fn a_client_whose_token_may_not_ask_nomad_starts_nevertheless() {
    let mut cluster = cluster();
    cluster.server = false;
    (cluster.consul_raft, cluster.nomad_raft) = (None, None);
    if let Some(nomad) = &mut cluster.nomad {
        nomad.tolerance = None;
    }
    let mut board = board();
    board.wishes.insert("n1".to_owned(), Wish { generation: generation(2), turn: Turn::Client });
    assert!(matches!(effect(decided(&local(), Ok(&board), Ok(&cluster))), Effect::Lock(_)));
}

#[test]
fn a_node_whose_state_is_in_memory_takes_part_in_nothing_and_goes_back_from_a_trial() {
    let rescue = Local { rescue: true, ..local() };
    assert!(waits(&decided(&rescue, Ok(&board()), Ok(&cluster()))).contains("takes part in no rollout"));
    let on_trial = Local { on_trial: true, running: Some(generation(2)), ..rescue };
    let went = effect(decided(&on_trial, Err("none"), Err("none")));
    assert_eq!(went, Effect::RollBack(generation(2), "the data partition cannot be used".to_owned()));
}

#[test]
fn a_trial_that_was_given_up_is_given_up_again_after_a_crash() {
    let ended = Ended { generation: generation(2), reason: Some("it was slow".to_owned()) };
    let local = Local { on_trial: true, running: Some(generation(2)), ended: vec![ended], ..local() };
    let went = effect(decided(&local, Ok(&board()), Ok(&cluster())));
    assert_eq!(went, Effect::RollBack(generation(2), "it was slow".to_owned()));
}

#[test]
fn a_lock_of_a_later_version_is_left_alone() {
    let mut board = board();
    board.lock = Holder::Foreign("it has version 2; a newer image wrote it".to_owned());
    let said = waits(&decided(&local(), Ok(&board), Ok(&cluster())));
    assert_eq!(said, "the lock hah/rollout/lock is not understood: it has version 2; a newer image wrote it");
}

#[test]
fn a_node_that_somebody_else_drained_stays_drained() {
    let mut board = board();
    let lock = Lock {
        version: LOCK_VERSION,
        node: "n1".to_owned(),
        generation: generation(2),
        phase: Phase::Preparing,
        since: NOW.wall,
        deadline: NOW.wall + LOCK_SECONDS,
    };
    board.lock = Holder::Node(5, lock);
    let mut cluster = cluster();
    cluster.placing = Placing::Ineligible(Whose::Others);
    let Effect::Begin(errand) = effect(decided(&local(), Ok(&board), Ok(&cluster))) else { panic!() };
    assert!(!errand.baseline.eligible);
    // On the way there nothing is drained, and in the end nothing is undone.
    let begun = Local { errand: Some(*errand), ..local() };
    assert_eq!(effect(decided(&begun, Ok(&board), Ok(&cluster))), Effect::MaintenanceOn);
    let kept = Local { running: Some(generation(2)), staged: None, ..begun };
    cluster.maintenance = Maintenance::On(Whose::Others);
    assert_eq!(effect(decided(&kept, Ok(&board), Ok(&cluster))), Effect::Unlock(5));
}

#[test]
fn each_thing_that_is_worse_than_before_fails_the_gate() {
    let baseline = Baseline {
        failed_units: BTreeSet::from(["old.service".to_owned()]),
        consul_index: Some(10),
        nomad_index: Some(10),
        nomad: true,
        vault: true,
        targets: BTreeSet::from(["node".to_owned()]),
        eligible: true,
    };
    let errand = Errand { version: ERRAND_VERSION, generation: generation(2), baseline };
    let fine = Local {
        on_trial: true,
        running: Some(generation(2)),
        staged: None,
        vault: true,
        failed_units: BTreeSet::from(["old.service".to_owned()]),
        errand: Some(errand),
        ..local()
    };
    let said = |change: fn(&mut Local, &mut Cluster)| {
        let (mut local, mut cluster) = (fine.clone(), cluster());
        change(&mut local, &mut cluster);
        waits(&decided(&local, Ok(&board()), Ok(&cluster)))
    };
    assert_eq!(said(|_, _| {}), "on trial: all is well, 1 looks in a row");
    for (change, why) in [
        (
            (|local, _| local.failed_units.extend(["x.service".to_owned()])) as fn(&mut Local, &mut Cluster),
            "units have failed: x.service",
        ),
        (|local, _| local.started = false, "the system is still starting"),
        (|local, _| local.vault = false, "Vault on this node does not answer"),
        (|_, cluster| cluster.member = false, "this node is no living member of Consul"),
        (|_, cluster| cluster.consul_raft = None, "Consul's raft on this node has not caught up"),
        (
            |_, cluster| cluster.consul_raft = Some(Raft { leads: false, applied: 9, in_touch: true }),
            "Consul's raft on this node has not caught up",
        ),
        (
            |_, cluster| cluster.nomad_raft = Some(Raft { leads: false, applied: 11, in_touch: false }),
            "Nomad's raft on this node has not caught up",
        ),
        (|_, cluster| cluster.nomad_well = false, "Nomad on this node is not well"),
        (|_, cluster| cluster.targets.clear(), "Prometheus sees no target of this node that is up: node"),
    ] {
        assert_eq!(said(change), format!("on trial: {why}"));
    }
}
