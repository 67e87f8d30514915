//! What must hold before a node starts, and before a generation is kept.

use hah_node::generation::Digest;
use hah_node::rollout::Baseline;

use super::Facts;
use crate::rollout::machine::Settings;
use crate::rollout::view::{Board, Cluster, Raft, Servers, Staged};
use crate::rollout::words::Unmet;

/// What keeps everybody from starting a generation, and calls off what is not on trial yet.
pub(super) fn ends_the_wait(settings: &Settings, board: &Board, generation: Digest) -> Option<Unmet> {
    if let Some(bad) = board.bad.get(&generation)
        && !settings.breaks_ignore_bad()
    {
        let (node, reason) = (bad.node.clone(), bad.reason.clone());
        return Some(Unmet::KnownBad { generation, node, reason });
    }
    let stop = board.stop.clone().filter(|_| !settings.breaks_ignore_stop());
    stop.map(Unmet::Stopped)
}

/// The first condition for a start that does not hold.
pub(super) fn start(facts: &Facts<'_>, cluster: &Cluster, wanted: Staged) -> Option<Unmet> {
    if !facts.local.clock {
        return Some(Unmet::Clock);
    }
    let pools = [
        ("Consul", Some(&cluster.consul), Some(facts.settings.consul)),
        ("Nomad", cluster.nomad.as_ref(), facts.settings.nomad),
    ];
    for (program, servers, expected) in pools {
        if let (Some(servers), Some(expected)) = (servers, expected)
            && let Some(unmet) = spares_one(facts, program, (servers, expected), (cluster.server, wanted))
        {
            return Some(unmet);
        }
    }
    if !cluster.member {
        return Some(Unmet::NoMember);
    }
    cluster.unseen.clone().map(Unmet::Targets)
}

/// Whether all servers are there, and one may go.
fn spares_one(
    facts: &Facts<'_>,
    program: &'static str,
    (servers, expected): (&Servers, u32),
    (is_server, wanted): (bool, Staged),
) -> Option<Unmet> {
    if !servers.leader {
        return Some(Unmet::NoLeader(program));
    }
    if !servers.missing.is_empty() {
        return Some(Unmet::Missing(program, servers.missing.clone()));
    }
    if servers.voters < expected {
        return Some(Unmet::TooFew(program, servers.voters, expected));
    }
    // Of one or two servers none may ever fail: a client's reboot is no matter, a server's is an outage.
    if expected < 3 {
        let consents = wanted.accept_outage || facts.settings.breaks_no_consent();
        return (is_server && !consents).then_some(Unmet::NeedsConsent(program));
    }
    match servers.tolerance {
        Some(0) => Some(Unmet::NoTolerance(program)),
        // A client's token may not ask Nomad.
        None if is_server || program == "Consul" => Some(Unmet::ToleranceUnknown(program)),
        Some(_) | None => None,
    }
}

/// What is worse than before, in words.
pub(super) fn gate(facts: &Facts<'_>, baseline: &Baseline) -> Option<String> {
    let local = facts.local;
    if local.rescue {
        return Some("the data partition cannot be used".to_owned());
    }
    if !local.started {
        return Some("the system is still starting".to_owned());
    }
    let failed: Vec<&str> = local.failed_units.difference(&baseline.failed_units).map(String::as_str).collect();
    if !failed.is_empty() {
        return Some(format!("units have failed: {}", failed.join(", ")));
    }
    if baseline.vault && !local.vault {
        return Some("Vault on this node does not answer".to_owned());
    }
    let cluster = match facts.cluster {
        Some(Ok(cluster)) => cluster,
        Some(Err(why)) => return Some(format!("the cluster cannot be asked: {why}")),
        None => return Some("the cluster was not asked".to_owned()),
    };
    if !cluster.member {
        return Some("this node is no living member of Consul".to_owned());
    }
    if !cluster.consul.leader {
        return Some("Consul has no leader".to_owned());
    }
    if behind(cluster.consul_raft, baseline.consul_index) {
        return Some("Consul's raft on this node has not caught up".to_owned());
    }
    if baseline.nomad && !cluster.nomad_well {
        return Some("Nomad on this node is not well".to_owned());
    }
    if behind(cluster.nomad_raft, baseline.nomad_index) {
        return Some("Nomad's raft on this node has not caught up".to_owned());
    }
    let dark: Vec<&str> = baseline.targets.difference(&cluster.targets).map(String::as_str).collect();
    if !dark.is_empty() {
        return Some(format!("Prometheus sees no target of this node that is up: {}", dark.join(", ")));
    }
    None
}

/// Whether a raft lacks what it had.
fn behind(raft: Option<Raft>, before: Option<u64>) -> bool {
    match (raft, before) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(raft), Some(before)) => raft.applied < before || !raft.in_touch,
    }
}
