//! What Consul, Nomad, Prometheus and Vault answer, read. All of it is outside input: every field may be missing, null or
//! absurd, and unknown ones are ignored, since these programs add some with every version.
//!
//! The shapes are those of the programs' HTTP API documentation; the functions are named after what they read.

#[path = "reply/acl.rs"] // fuzz/ includes this file by its path, and would look beside it.
mod acl;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hah_node::closing::{MARKER_VERSION, Marker};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::view::{Job, Memory};
pub(crate) use acl::{
    AclToken, BindingRule, Named, acl_tokens, binding_rules, datacenter, named, rules, secret_id, setup_memory,
};

/// Why an answer makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Nonsense {
    /// It is no JSON, or of another shape.
    #[error("the answer makes no sense: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON and not an answer.
    #[error("the answer makes no sense: {0}")]
    Shape(&'static str),
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Nonsense> {
    Ok(serde_json::from_slice(body)?)
}

/// `null` is as good as absent: Go writes empty lists and maps so.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// `/v1/status/leader` of Consul and Nomad: whether there is one.
pub(crate) fn leader(body: &[u8]) -> Result<bool, Nonsense> {
    Ok(!read::<String>(body)?.is_empty())
}

/// `/v1/status/peers` of Consul and Nomad: `ADDRESS:PORT` of every voter, as Raft remembers it.
pub(crate) fn peers(body: &[u8]) -> Result<Vec<String>, Nonsense> {
    let peers: Option<Vec<String>> = read(body)?;
    Ok(peers.unwrap_or_default())
}

/// A member of a gossip pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) alive: bool,
    pub(crate) server: bool,
}

/// serf's `StatusAlive` and `StatusLeft`.
const SERF_ALIVE: i64 = 1;
const SERF_LEFT: i64 = 3;

/// Consul's `/v1/agent/members`; those that left are no members.
pub(crate) fn consul_members(body: &[u8]) -> Result<Vec<Member>, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Raw {
        #[serde(default, deserialize_with = "or_default")]
        name: String,
        #[serde(default, deserialize_with = "or_default")]
        addr: String,
        #[serde(default, deserialize_with = "or_default")]
        status: i64,
        #[serde(default, deserialize_with = "or_default")]
        tags: BTreeMap<String, String>,
    }
    let raw: Option<Vec<Raw>> = read(body)?;
    let members = raw.unwrap_or_default().into_iter().filter(|member| member.status != SERF_LEFT);
    Ok(members
        .map(|member| Member {
            name: member.name,
            address: member.addr,
            alive: member.status == SERF_ALIVE,
            server: member.tags.get("role").is_some_and(|role| role == "consul"),
        })
        .collect())
}

/// Nomad's `/v1/agent/members`: servers only.
pub(crate) fn nomad_members(body: &[u8]) -> Result<Vec<Member>, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Raw {
        #[serde(default, deserialize_with = "or_default")]
        name: String,
        #[serde(default, deserialize_with = "or_default")]
        addr: String,
        #[serde(default, deserialize_with = "or_default")]
        status: String,
        #[serde(default, deserialize_with = "or_default")]
        tags: BTreeMap<String, String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Pool {
        #[serde(default, deserialize_with = "or_default")]
        members: Vec<Raw>,
    }
    let pool: Pool = read(body)?;
    let members = pool.members.into_iter().filter(|member| member.status != "left");
    Ok(members
        .map(|member| {
            // `pi3-b.global`: the region is the same for all.
            let region = member.tags.get("region").map(|region| format!(".{region}")).unwrap_or_default();
            let name = member.name.strip_suffix(&region).unwrap_or(&member.name).to_owned();
            Member { name, address: member.addr, alive: member.status == "alive", server: true }
        })
        .collect())
}

/// Consul's `/v1/kv/KEY`: index and value; nothing where there is no key.
fn kv_entry(body: &[u8]) -> Result<Option<(u64, Vec<u8>)>, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        modify_index: u64,
        #[serde(default, deserialize_with = "or_default")]
        value: String,
    }
    let entries: Vec<Entry> = read(body)?;
    let Some(entry) = entries.into_iter().next() else { return Ok(None) };
    let value = STANDARD.decode(&entry.value).map_err(|_| Nonsense::Shape("the value is not base64"))?;
    Ok(Some((entry.modify_index, value)))
}

/// Consul's `/v1/kv/KEY`: the marker. A key without a value counts as a marker that is not ours.
pub(crate) fn memory(body: &[u8]) -> Result<Memory, Nonsense> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Some((index, value)) = kv_entry(body)? else { return Ok(Memory::Blank) };
    Ok(match (serde_json::from_slice::<Version>(&value), serde_json::from_slice::<Marker>(&value)) {
        (Ok(Version { version: MARKER_VERSION }), Ok(marker)) => Memory::Known(index, Box::new(marker)),
        (Ok(Version { version: MARKER_VERSION }), Err(error)) => Memory::Foreign(format!("it is damaged: {error}")),
        (Ok(Version { version }), _) => Memory::Foreign(format!("it has version {version}; a newer image wrote it")),
        (Err(_), _) => Memory::Foreign("it is something else".to_owned()),
    })
}

/// Consul's answer to `PUT /v1/kv/KEY?cas=…`.
pub(crate) fn written(body: &[u8]) -> Result<bool, Nonsense> {
    read(body)
}

/// Nomad's `/v1/job/ID`.
pub(crate) fn job(body: &[u8]) -> Result<Job, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Raw {
        job_modify_index: u64,
        #[serde(default, deserialize_with = "or_default")]
        version: u64,
        #[serde(default, deserialize_with = "or_default")]
        stop: bool,
        #[serde(default, deserialize_with = "or_default")]
        meta: BTreeMap<String, String>,
    }
    let mut raw: Raw = read(body)?;
    let hah_job = raw.meta.remove(HAH_JOB).unwrap_or_default();
    Ok(Job { index: raw.job_modify_index, version: raw.version, stopped: raw.stop, hah_job })
}

/// The key in `Job.Meta`.
const HAH_JOB: &str = "hah_job";

/// Whether a refused submission only means that somebody was faster. Nomad says so with status 500 and this text; a
/// follower puts `rpc error: ` before it.
pub(crate) fn is_conflict(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("Enforcing job modify index")
}

/// The image's job file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobFile {
    /// `Job.ID`.
    pub(crate) id: String,
    /// `Job.Meta.hah_job`.
    pub(crate) hah_job: String,
    /// The value of `Job`, as it stands in the file.
    pub(crate) job: String,
}

/// Reads the job file: `{"Job": {…}}`. A job that does not say its version is given `own` as `Meta.hah_job`.
pub(crate) fn job_file(text: &[u8], own: &str) -> Result<JobFile, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct File<'a> {
        #[serde(borrow)]
        job: &'a RawValue,
    }
    let file: File<'_> = read(text)?;
    with_version(file.job.get(), own)
}

/// Reads what Nomad's `/v1/jobs/parse` made of a job: the job itself. `own` is as for [`job_file`].
pub(crate) fn parsed_job(body: &[u8], own: &str) -> Result<JobFile, Nonsense> {
    let job: &RawValue = read(body)?;
    with_version(job.get(), own)
}

fn with_version(job: &str, own: &str) -> Result<JobFile, Nonsense> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "ID")]
        id: String,
        #[serde(rename = "Meta", default, deserialize_with = "or_default")]
        meta: BTreeMap<String, String>,
    }
    let Named { id, mut meta } = serde_json::from_str(job)?;
    if id.is_empty() {
        return Err(Nonsense::Shape("the job needs an ID"));
    }
    if let Some(hah_job) = meta.get(HAH_JOB).filter(|version| !version.is_empty()) {
        return Ok(JobFile { id, hah_job: hah_job.clone(), job: job.to_owned() });
    }
    meta.insert(HAH_JOB.to_owned(), own.to_owned());
    let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_str(job)?;
    let meta = serde_json::value::to_raw_value(&meta)?;
    fields.insert("Meta", &meta);
    Ok(JobFile { id, hah_job: own.to_owned(), job: serde_json::to_string(&fields)? })
}

/// Nomad's `/v1/job/ID/deployment`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Deployment {
    /// `running`, `successful`, `failed`, …
    pub(crate) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) status_description: String,
}

/// Reads a deployment; a job may have none.
pub(crate) fn deployment(body: &[u8]) -> Result<Option<Deployment>, Nonsense> {
    read(body)
}

/// One of Nomad's `/v1/job/ID/allocations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Allocation {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) node_name: String,
    /// `pending`, `running`, `complete`, `failed`, `lost`, `unknown`.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) client_status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) client_description: String,
    /// `run`, `stop`, `evict`.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) desired_status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) create_index: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) deployment_status: AllocationHealth,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) task_states: BTreeMap<String, Option<Task>>,
}

/// `DeploymentStatus` of an allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AllocationHealth {
    /// Nothing while Nomad does not know.
    #[serde(default)]
    pub(crate) healthy: Option<bool>,
}

/// A task of an allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Task {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) events: Vec<TaskEvent>,
}

/// What happened to a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TaskEvent {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) display_message: String,
}

/// Reads the allocations of a job.
pub(crate) fn allocations(body: &[u8]) -> Result<Vec<Allocation>, Nonsense> {
    Ok(read::<Option<Vec<Allocation>>>(body)?.unwrap_or_default())
}

/// One of Nomad's `/v1/job/ID/evaluations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Evaluation {
    /// `pending`, `complete`, `blocked`, `failed`, `canceled`.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) status_description: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) create_index: u64,
    #[serde(default, rename = "FailedTGAllocs", deserialize_with = "or_default")]
    pub(crate) failed: BTreeMap<String, Option<Placement>>,
}

/// Why a group has no node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Placement {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) nodes_evaluated: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) constraint_filtered: BTreeMap<String, i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) dimension_exhausted: BTreeMap<String, i64>,
}

/// Reads the evaluations of a job.
pub(crate) fn evaluations(body: &[u8]) -> Result<Vec<Evaluation>, Nonsense> {
    Ok(read::<Option<Vec<Evaluation>>>(body)?.unwrap_or_default())
}

/// Nomad's `/v1/job/ID/plan`: what its scheduler would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Trial {
    #[serde(default, rename = "FailedTGAllocs", deserialize_with = "or_default")]
    pub(crate) failed: BTreeMap<String, Option<Placement>>,
}

/// Reads the plan of a job.
pub(crate) fn trial(body: &[u8]) -> Result<Trial, Nonsense> {
    read(body)
}

/// An instance of a service in Consul's catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) node: String,
    pub(crate) address: String,
    /// Nothing where the catalog has 0.
    pub(crate) port: Option<u16>,
    /// Whether all its checks pass.
    pub(crate) passing: bool,
}

/// Consul's `/v1/health/service/NAME`.
pub(crate) fn instances(body: &[u8]) -> Result<Vec<Instance>, Nonsense> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Node {
        #[serde(default, deserialize_with = "or_default")]
        node: String,
        #[serde(default, deserialize_with = "or_default")]
        address: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Service {
        #[serde(default, deserialize_with = "or_default")]
        address: String,
        #[serde(default, deserialize_with = "or_default")]
        port: i64,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Check {
        #[serde(default, deserialize_with = "or_default")]
        status: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Raw {
        #[serde(default, deserialize_with = "or_default")]
        node: Node,
        #[serde(default, deserialize_with = "or_default")]
        service: Service,
        #[serde(default, deserialize_with = "or_default")]
        checks: Vec<Check>,
    }
    let raw: Option<Vec<Raw>> = read(body)?;
    Ok(raw
        .unwrap_or_default()
        .into_iter()
        .map(|raw| Instance {
            address: if raw.service.address.is_empty() { raw.node.address } else { raw.service.address },
            port: u16::try_from(raw.service.port).ok().filter(|port| *port != 0),
            passing: raw.checks.iter().all(|check| check.status == "passing"),
            node: raw.node.node,
        })
        .collect())
}

/// One target of Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) job: String,
    pub(crate) instance: String,
    pub(crate) up: bool,
}

/// Prometheus' `/api/v1/query?query=up`.
pub(crate) fn targets(body: &[u8]) -> Result<Vec<Target>, Nonsense> {
    #[derive(Deserialize)]
    struct Metric {
        #[serde(default)]
        job: String,
        #[serde(default)]
        instance: String,
    }
    #[derive(Deserialize)]
    struct Series {
        metric: Metric,
        /// Time and value; the value is a number in quotes.
        value: (f64, String),
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(default, deserialize_with = "or_default")]
        result: Vec<Series>,
    }
    #[derive(Deserialize)]
    struct Answer {
        status: String,
        data: Data,
    }
    let answer: Answer = read(body)?;
    if answer.status != "success" {
        return Err(Nonsense::Shape("the status is not `success`"));
    }
    let series = answer.data.result.into_iter();
    Ok(series
        .map(|one| Target { job: one.metric.job, instance: one.metric.instance, up: one.value.1 == "1" })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hah_node::closing::Phase;

    #[test]
    fn leaders_and_peers() {
        assert!(leader(br#""10.0.0.1:8300""#).unwrap());
        assert!(!leader(br#""""#).unwrap());
        assert_eq!(peers(br#"["10.0.0.1:8300","10.0.0.2:8300"]"#).unwrap(), ["10.0.0.1:8300", "10.0.0.2:8300"]);
        assert_eq!(peers(b"null").unwrap(), [""; 0]);
        for garbage in [&b""[..], b"No cluster leader", b"{}", b"\xff", b"\"", b"[1]"] {
            assert!(leader(garbage).is_err() && peers(garbage).is_err());
        }
    }

    #[test]
    fn members() {
        let consul = br#"[{"Name":"pi4","Addr":"10.0.0.1","Status":1,"Tags":{"role":"consul","dc":"dc1"}},
            {"Name":"zero","Addr":"10.0.0.9","Status":4,"Tags":{"role":"node"}},
            {"Name":"gone","Addr":"10.0.0.8","Status":3,"Tags":null}]"#;
        let members = consul_members(consul).unwrap();
        let names: Vec<&str> = members.iter().map(|member| &*member.name).collect();
        assert_eq!(names, ["pi4", "zero"]);
        assert!(members[0].alive && members[0].server && !members[1].alive && !members[1].server);
        let nomad = br#"{"ServerName":"pi4","Members":[
            {"Name":"pi4.global","Addr":"10.0.0.1","Status":"alive","Tags":{"region":"global"}},
            {"Name":"pi3-b.global","Addr":"10.0.0.3","Status":"failed","Tags":{"region":"global"}}]}"#;
        let members = nomad_members(nomad).unwrap();
        assert_eq!((&*members[1].name, members[1].alive, members[0].alive), ("pi3-b", false, true));
        assert!(consul_members(b"null").unwrap().is_empty());
        assert!(nomad_members(br#"{"Members":null}"#).unwrap().is_empty());
    }

    fn entry(value: &str) -> Vec<u8> {
        format!(r#"[{{"Key":"hah/loop","ModifyIndex":7,"Value":"{}"}}]"#, STANDARD.encode(value)).into_bytes()
    }

    #[test]
    fn markers() {
        let text = r#"{"version":1,"job":"prometheus","hah_job":"v1","phase":"submitted","index":12,"by":"pi4"}"#;
        let Memory::Known(7, marker) = memory(&entry(text)).unwrap() else { panic!() };
        assert_eq!((marker.phase, marker.index, marker.closed_at), (Phase::Submitted, 12, None));
        let foreign = |text: &str| match memory(&entry(text)).unwrap() {
            Memory::Foreign(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            foreign(&text.replace("\"version\":1", "\"version\":2")),
            "it has version 2; a newer image wrote it"
        );
        assert!(foreign(&text.replace("submitted", "eaten")).starts_with("it is damaged: unknown variant"));
        assert_eq!(foreign("hello"), "it is something else");
        assert_eq!(foreign(""), "it is something else");
        assert_eq!(memory(b"[]").unwrap(), Memory::Blank);
        assert!(memory(br#"[{"ModifyIndex":7,"Value":"?"}]"#).is_err());
    }

    #[test]
    fn jobs() {
        let found = job(br#"{"ID":"prometheus","Stop":true,"Version":3,"JobModifyIndex":41,"Meta":{"hah_job":"v1"}}"#);
        assert_eq!(found.unwrap(), Job { index: 41, version: 3, stopped: true, hah_job: "v1".to_owned() });
        let found = job(br#"{"JobModifyIndex":41,"Meta":null}"#).unwrap();
        assert!(!found.stopped && found.hah_job.is_empty());
        assert!(job(br#"{"ID":"prometheus"}"#).is_err());
        assert!(is_conflict(b"rpc error: Enforcing job modify index 0: job already exists"));
        assert!(!is_conflict(b"No cluster leader"));
    }

    #[test]
    fn a_job_without_a_version_has_the_one_of_its_text() {
        for text in [&br#"{"ID": "p", "Meta": null, "Type": "service"}"#[..], br#"{"ID": "p", "Type": "service"}"#] {
            let file = parsed_job(text, "own").unwrap();
            assert_eq!((&*file.id, &*file.hah_job), ("p", "own"));
            let job: serde_json::Value = serde_json::from_str(&file.job).unwrap();
            assert_eq!(job, serde_json::json!({ "ID": "p", "Meta": { "hah_job": "own" }, "Type": "service" }));
        }
        let other = job_file(br#"{"Job": {"ID": "p", "Meta": {"a": "b", "hah_job": ""}}}"#, "own").unwrap();
        assert_eq!(other.job, r#"{"ID":"p","Meta":{"a":"b","hah_job":"own"}}"#);
        let said = parsed_job(br#"{"ID": "p", "Meta": {"hah_job": "v1"}}"#, "own").unwrap();
        assert_eq!(&*said.hah_job, "v1");
        assert!(parsed_job(b"null", "own").is_err() && parsed_job(br#"{"ID":null}"#, "own").is_err());
    }

    #[test]
    fn job_files() {
        let text = br#"{"Job": {"ID": "prometheus", "Meta": {"hah_job": "v1"},  "Type": "service"}, "Other": 1}"#;
        let file = job_file(text, "own").unwrap();
        assert_eq!((&*file.id, &*file.hah_job), ("prometheus", "v1"));
        assert_eq!(file.job, r#"{"ID": "prometheus", "Meta": {"hah_job": "v1"},  "Type": "service"}"#);
        for bad in [&br#"{"Job":{"Type":"x"}}"#[..], br#"{"Job":{"ID":"","Meta":{"hah_job":"v"}}}"#, br#"{"job":{}}"#] {
            assert!(job_file(bad, "own").is_err());
        }
    }

    #[test]
    fn catalog_and_targets() {
        let found = br#"[{"Node":{"Node":"pi4","Address":"10.0.0.1"},"Service":{"Address":"","Port":9090},
            "Checks":[{"Status":"passing"},{"Status":"critical"}]},
            {"Node":{"Node":"pi3","Address":"10.0.0.2"},"Service":{"Address":"10.1.0.2","Port":0},"Checks":null}]"#;
        let found = instances(found).unwrap();
        assert_eq!((&*found[0].address, found[0].port, found[0].passing), ("10.0.0.1", Some(9090), false));
        assert_eq!((&*found[1].address, found[1].port, found[1].passing), ("10.1.0.2", None, true));
        let up = br#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"up","job":"node","instance":"pi4"},"value":[1.5,"1"]},
            {"metric":{"job":"vault"},"value":[1,"0"]}]}}"#;
        let found = targets(up).unwrap();
        assert!(found[0].up && found[0].instance == "pi4" && !found[1].up && found[1].instance.is_empty());
        assert!(targets(br#"{"status":"error","data":{}}"#).is_err());
    }
}
