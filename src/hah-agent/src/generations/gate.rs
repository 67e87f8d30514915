//! The gate: whether a system on trial is as good as the one before it.

use std::collections::BTreeSet;
use std::fs;

use hah_node::address;
use hah_node::closing::{self, Rung, Status};
use serde::{Deserialize, Serialize};

use super::shelf::Places;
use crate::systemd;

/// How a node was, or is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Health {
    /// What systemd says of itself: `running`, `degraded`, `starting`.
    pub(super) system: String,
    /// Units that failed.
    pub(super) failed: BTreeSet<String>,
    /// Whether the node has an address.
    pub(super) has_address: bool,
    /// How far the loop was, on a node that has one.
    pub(super) rung: Option<Rung>,
}

/// What the gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As good as before, or better.
    Pass,
    /// Not yet, for this reason: a sentence without its full stop.
    Wait(String),
}

/// Compares a system on trial with the one before it.
pub(super) fn judge(before: &Health, now: &Health) -> Verdict {
    let wait = |reason: String| Verdict::Wait(reason);
    if !systemd::has_started(&now.system) {
        return wait(format!("systemd says {}", if now.system.is_empty() { "nothing" } else { &now.system }));
    }
    let failed: Vec<&str> = now.failed.difference(&before.failed).map(String::as_str).collect();
    if !failed.is_empty() {
        return wait(format!("units failed that had not: {}", failed.join(", ")));
    }
    if before.has_address && !now.has_address {
        return wait("the node has no address, and had one".to_owned());
    }
    let place = |rung: Rung| Rung::ALL.iter().position(|other| *other == rung);
    match (before.rung, now.rung) {
        (Some(before), None) => wait(format!("the agent says nothing of the loop, which was at {}", before.name())),
        (Some(before), Some(now)) if place(now) < place(before) => {
            wait(format!("the loop is at {}, and was at {}", now.name(), before.name()))
        }
        _ => Verdict::Pass,
    }
}

/// How the node is now.
pub(super) fn look(places: &Places) -> Health {
    let (system, failed) = systemd::health();
    let read = |path: &str| fs::read(places.at(path)).ok();
    let address = read(address::REPORT).and_then(|text| serde_json::from_slice::<address::Report>(&text).ok());
    let status = read(closing::STATUS).and_then(|text| serde_json::from_slice::<Status>(&text).ok());
    Health {
        system,
        failed,
        has_address: address.is_some_and(|report| report.address.is_some()),
        rung: status.map(|status| status.state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Health {
        Health { system: "running".into(), failed: BTreeSet::new(), has_address: true, rung: Some(Rung::ALL[7]) }
    }

    #[test]
    fn as_good_as_before_passes() {
        assert_eq!(judge(&healthy(), &healthy()), Verdict::Pass);
        let lame = Health { failed: BTreeSet::from(["x.service".to_owned()]), system: "degraded".into(), ..healthy() };
        assert_eq!(judge(&lame, &lame), Verdict::Pass, "what had failed before is not this generation's fault");
        assert_eq!(judge(&lame, &healthy()), Verdict::Pass);
        let poor = Health { has_address: false, rung: None, ..healthy() };
        assert_eq!(judge(&poor, &healthy()), Verdict::Pass);
    }

    #[test]
    fn what_is_worse_waits() {
        for (worse, reason) in [
            (Health { system: "starting".into(), ..healthy() }, "systemd says starting"),
            (Health { system: String::new(), ..healthy() }, "systemd says nothing"),
            (
                Health { system: "degraded".into(), failed: BTreeSet::from(["consul.service".into()]), ..healthy() },
                "units failed that had not: consul.service",
            ),
            (Health { has_address: false, ..healthy() }, "the node has no address, and had one"),
            (Health { rung: Some(Rung::ALL[1]), ..healthy() }, "the loop is at"),
            (Health { rung: None, ..healthy() }, "the agent says nothing of the loop"),
        ] {
            match judge(&healthy(), &worse) {
                Verdict::Wait(said) => assert!(said.starts_with(reason), "{said}"),
                Verdict::Pass => panic!("{worse:?} passed"),
            }
        }
    }
}
