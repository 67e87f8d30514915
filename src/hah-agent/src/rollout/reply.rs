//! What Consul and Nomad answer to the rollout's questions, read. All of it is outside input.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hah_node::generation::Digest;
use hah_node::rollout::{BAD, Bad, LOCK_KEY, LOCK_VERSION, Lock, MARK, STOP_KEY, WISHES, Wish};
use serde::Deserialize;

use crate::closing::judge::shortened;
use crate::closing::reply::{Nonsense, or_default};
use crate::rollout::view::{Board, Holder, Maintenance, Placing, Raft, Whose};

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Nonsense> {
    Ok(serde_json::from_slice(body)?)
}

/// Consul's `/v1/kv/hah/rollout/?recurse`. What is not understood below `bad/` and `want/` counts as absent; a lock that is
/// not understood is somebody's.
pub(crate) fn board(body: &[u8]) -> Result<Board, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        key: String,
        modify_index: u64,
        #[serde(default, deserialize_with = "or_default")]
        value: String,
    }
    let entries: Option<Vec<Entry>> = read(body)?;
    let mut board = Board::default();
    for entry in entries.unwrap_or_default() {
        let value = STANDARD.decode(&entry.value).map_err(|_| Nonsense::Shape("a value is not base64"))?;
        board.version = (board.version.0.max(entry.modify_index), board.version.1 + 1);
        let key = entry.key.as_str();
        if key == LOCK_KEY {
            board.lock = holder(entry.modify_index, &value);
        } else if key == STOP_KEY {
            board.stop = Some(shortened(&String::from_utf8_lossy(&value)));
        } else if let Some(generation) = key.strip_prefix(BAD).and_then(|name| name.parse::<Digest>().ok()) {
            // Whatever a person writes there, the generation is bad.
            let bad = serde_json::from_slice(&value).unwrap_or_else(|_| Bad {
                node: "an unknown node".to_owned(),
                reason: shortened(&String::from_utf8_lossy(&value)),
                at: 0,
            });
            board.bad.insert(generation, bad);
        } else if let Some(node) = key.strip_prefix(WISHES)
            && let Ok(wish) = serde_json::from_slice::<Wish>(&value)
        {
            board.wishes.insert(node.to_owned(), wish);
        }
    }
    Ok(board)
}

fn holder(index: u64, value: &[u8]) -> Holder {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    match (serde_json::from_slice::<Version>(value), serde_json::from_slice::<Lock>(value)) {
        (Ok(Version { version: LOCK_VERSION }), Ok(lock)) => Holder::Node(index, lock),
        (Ok(Version { version: LOCK_VERSION }), Err(error)) => Holder::Foreign(format!("it is damaged: {error}")),
        (Ok(Version { version }), _) => Holder::Foreign(format!("it has version {version}; a newer image wrote it")),
        (Err(_), _) => Holder::Foreign("it is something else".to_owned()),
    }
}

/// What an agent of Consul or Nomad says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Myself {
    /// The server's raft; nothing on a client.
    pub(crate) raft: Option<Raft>,
    /// Nomad's id of the client; nothing where there is none.
    pub(crate) client: Option<String>,
}

/// `/v1/agent/self` of Consul (`Stats`) and Nomad (`stats`): every value is a string.
pub(crate) fn myself(body: &[u8]) -> Result<Myself, Nonsense> {
    #[derive(Deserialize)]
    struct Raw {
        #[serde(alias = "Stats", default, deserialize_with = "or_default")]
        stats: BTreeMap<String, Option<BTreeMap<String, String>>>,
    }
    let raw: Raw = read(body)?;
    let value = |group: &str, name: &str| raw.stats.get(group)?.as_ref()?.get(name).map(String::as_str);
    let raft = value("raft", "applied_index").map(|applied| {
        let applied = applied.parse().map_err(|_| Nonsense::Shape("the raft index is no number"))?;
        let leads = value("raft", "state") == Some("Leader");
        // `never`, `0` on the leader, or how long ago.
        let in_touch = leads || value("raft", "last_contact").is_some_and(|contact| contact != "never");
        Ok::<Raft, Nonsense>(Raft { leads, applied, in_touch })
    });
    Ok(Myself { raft: raft.transpose()?, client: value("client", "node_id").map(str::to_owned) })
}

/// `/v1/operator/autopilot/health` of Consul and Nomad, whose status is 429 where a server is not healthy: how many may fail.
pub(crate) fn tolerance(body: &[u8]) -> Result<u32, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Health {
        failure_tolerance: i64,
    }
    Ok(u32::try_from(read::<Health>(body)?.failure_tolerance).unwrap_or(0))
}

/// Consul's `/v1/agent/checks`: the check `_node_maintenance` is there while the node is in maintenance.
pub(crate) fn maintenance(body: &[u8]) -> Result<Maintenance, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Check {
        #[serde(default, deserialize_with = "or_default")]
        notes: String,
    }
    let checks: BTreeMap<String, Check> = read(body)?;
    Ok(match checks.get("_node_maintenance") {
        None => Maintenance::Off,
        Some(check) if check.notes == MARK => Maintenance::On(Whose::Ours),
        Some(_) => Maintenance::On(Whose::Others),
    })
}

/// Consul's `/v1/agent/services`: names of services that Nomad registered for its jobs.
pub(crate) fn placed(body: &[u8]) -> Result<Vec<String>, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Service {
        #[serde(default, deserialize_with = "or_default")]
        service: String,
    }
    let services: BTreeMap<String, Service> = read(body)?;
    Ok(services.into_iter().filter(|(id, _)| id.starts_with("_nomad-task-")).map(|(_, one)| one.service).collect())
}

/// Nomad's `/v1/node/ID`: whether it places work there.
pub(crate) fn placing(body: &[u8]) -> Result<Placing, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Drain {
        #[serde(default, deserialize_with = "or_default")]
        meta: BTreeMap<String, String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Node {
        scheduling_eligibility: String,
        #[serde(default)]
        drain_strategy: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        last_drain: Option<Drain>,
    }
    let node: Node = read(body)?;
    let mark = node.last_drain.as_ref().and_then(|drain| drain.meta.get("message"));
    let whose = if mark.is_some_and(|mark| mark == MARK) { Whose::Ours } else { Whose::Others };
    Ok(match (node.drain_strategy, node.scheduling_eligibility.as_str()) {
        (Some(_), _) => Placing::Draining(whose),
        (None, "eligible") => Placing::Eligible,
        (None, _) => Placing::Ineligible(whose),
    })
}

/// Nomad's `/v1/agent/health`: whether all that this agent is, is well.
pub(crate) fn well(body: &[u8]) -> Result<bool, Nonsense> {
    #[derive(Deserialize)]
    struct Part {
        ok: bool,
    }
    let parts: BTreeMap<String, Part> = read(body)?;
    Ok(!parts.is_empty() && parts.values().all(|part| part.ok))
}

/// Nomad's `/v1/operator/raft/configuration`: the id of a voter that does not lead.
pub(crate) fn another_voter(body: &[u8]) -> Result<Option<String>, Nonsense> {
    #[derive(Deserialize)]
    struct Server {
        #[serde(rename = "ID")]
        id: String,
        #[serde(rename = "Leader", default)]
        leader: bool,
        #[serde(rename = "Voter", default)]
        voter: bool,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Configuration {
        #[serde(default, deserialize_with = "or_default")]
        servers: Vec<Server>,
    }
    let configuration: Configuration = read(body)?;
    Ok(configuration.servers.into_iter().find(|server| server.voter && !server.leader).map(|server| server.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hah_node::rollout::{Phase, Turn};
    use serde_json::json;

    fn entry(key: &str, index: u64, value: &str) -> serde_json::Value {
        json!({ "LockIndex": 0, "Key": key, "Flags": 0, "Value": STANDARD.encode(value), "CreateIndex": 1, "ModifyIndex": index })
    }

    #[test]
    fn boards() {
        let (good, bad) = ("0a".repeat(32), "0b".repeat(32));
        let lock = format!(
            r#"{{"version":1,"node":"pi4","generation":"{good}","phase":"trial","since":1796000000,"deadline":1796001800}}"#
        );
        let wish = format!(r#"{{"generation":"{good}","turn":"canary"}}"#);
        let written = json!([
            entry("hah/rollout/lock", 7, &lock),
            entry("hah/rollout/stop", 9, "lunch\n"),
            entry(&format!("hah/rollout/bad/{bad}"), 8, r#"{"node":"pi3","reason":"it died","at":5}"#),
            entry(&format!("hah/rollout/bad/{good}"), 3, "by hand"),
            entry("hah/rollout/bad/x", 3, ""),
            entry("hah/rollout/want/zero", 4, &wish),
            entry("hah/rollout/want/one", 4, "?"),
            entry("hah/rollout/", 2, ""),
        ]);
        let board = board(written.to_string().as_bytes()).unwrap();
        let Holder::Node(7, held) = &board.lock else { panic!("{board:?}") };
        assert_eq!((held.phase, &*held.node), (Phase::Trial, "pi4"));
        assert_eq!((board.stop.as_deref(), board.version), (Some("lunch"), (9, 8)));
        let reasons: Vec<&str> = board.bad.values().map(|bad| &*bad.reason).collect();
        assert_eq!(reasons, ["by hand", "it died"]);
        assert_eq!((board.wishes.len(), board.wishes["zero"].turn), (1, Turn::Canary));
        for (foreign, why) in [
            (lock.replace("\"version\":1", "\"version\":2"), "it has version 2; a newer image wrote it"),
            ("pi4".to_owned(), "it is something else"),
            (String::new(), "it is something else"),
        ] {
            let written = json!([entry("hah/rollout/lock", 7, &foreign)]).to_string();
            assert_eq!(super::board(written.as_bytes()).unwrap().lock, Holder::Foreign(why.to_owned()));
        }
        assert_eq!(super::board(b"null").unwrap(), Board::default());
        assert!(super::board(br#"[{"Key":"hah/rollout/lock","ModifyIndex":7,"Value":"?"}]"#).is_err());
        assert!(super::board(b"{}").is_err());
    }

    #[test]
    fn agents_of_themselves() {
        // As Consul 1.8.7 and Nomad 2.0.6 said it.
        let consul = br#"{"Config":{"Server":true},"Stats":{"raft":{"applied_index":"12","last_contact":"0","state":"Leader"}}}"#;
        let leads = Raft { leads: true, applied: 12, in_touch: true };
        assert_eq!(myself(consul).unwrap(), Myself { raft: Some(leads), client: None });
        let follower = |contact: &str| {
            let body = json!({ "stats": { "raft": { "applied_index": "9", "last_contact": contact, "state": "Follower" },
                "client": { "node_id": "ff65" }, "serf": null } });
            myself(body.to_string().as_bytes()).unwrap()
        };
        assert_eq!(follower("23.4ms").raft, Some(Raft { leads: false, applied: 9, in_touch: true }));
        assert!(!follower("never").raft.unwrap().in_touch);
        assert_eq!(follower("0").client.as_deref(), Some("ff65"));
        assert_eq!(myself(br#"{"Stats":{"runtime":{}}}"#).unwrap(), Myself::default());
        assert!(myself(br#"{"stats":{"raft":{"applied_index":"x"}}}"#).is_err() && myself(b"7").is_err());
    }

    #[test]
    fn drains_and_maintenance() {
        let node = |drain: &str, eligible: &str, message: &str| {
            let text = format!(
                r#"{{"DrainStrategy":{drain},"SchedulingEligibility":"{eligible}","LastDrain":{{"Meta":{{"message":"{message}"}}}}}}"#
            );
            placing(text.as_bytes()).unwrap()
        };
        assert_eq!(node("null", "ineligible", MARK), Placing::Ineligible(Whose::Ours));
        assert_eq!(node("{\"Deadline\":1}", "ineligible", MARK), Placing::Draining(Whose::Ours));
        assert_eq!(node("null", "ineligible", "new disk"), Placing::Ineligible(Whose::Others));
        assert_eq!(node("null", "eligible", MARK), Placing::Eligible);
        let never = br#"{"DrainStrategy":null,"SchedulingEligibility":"ineligible","LastDrain":null}"#;
        assert_eq!(placing(never).unwrap(), Placing::Ineligible(Whose::Others));
        assert_eq!(maintenance(b"{}").unwrap(), Maintenance::Off);
        let check = |notes: &str| format!(r#"{{"_node_maintenance":{{"Status":"critical","Notes":"{notes}"}}}}"#);
        assert_eq!(maintenance(check(MARK).as_bytes()).unwrap(), Maintenance::On(Whose::Ours));
        assert_eq!(maintenance(check("fan").as_bytes()).unwrap(), Maintenance::On(Whose::Others));
        assert!(well(br#"{"client":{"ok":true},"server":{"ok":true}}"#).unwrap());
        assert!(!well(br#"{"client":{"ok":true},"server":{"ok":false}}"#).unwrap() && !well(b"{}").unwrap());
        assert_eq!(tolerance(br#"{"Healthy":false,"FailureTolerance":0}"#).unwrap(), 0);
        assert_eq!(tolerance(br#"{"FailureTolerance":-1}"#).unwrap(), 0);
        let services = br#"{"_nomad-task-1-x":{"Service":"prometheus"},"node-exporter":{"Service":"node-exporter"}}"#;
        assert_eq!(placed(services).unwrap(), ["prometheus"]);
    }
}
