//! Doubles of Consul, Nomad, Prometheus and Vault: only the endpoints that the agent uses, with the answers that the real
//! programs gave. The contract tests keep Nomad's honest: they run against a real one, too, where there is one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::programs::Running;
use crate::server::{Answer, Endpoints, Request, Server};

/// A job in the double of Nomad.
pub(crate) struct Job {
    pub(crate) value: Value,
    pub(crate) index: u64,
    pub(crate) version: u64,
    pub(crate) stopped: bool,
}

/// Nomad's state, behind all its servers.
#[derive(Default)]
pub(crate) struct NomadState {
    pub(crate) job: Option<Job>,
    pub(crate) index: u64,
    /// How often a job was created or changed through `PUT /v1/jobs` with `EnforceIndex`.
    pub(crate) submissions: u64,
    /// What the job started, in tests that let it.
    pub(crate) task: Option<Running>,
    /// Whether the job's allocation runs, where nothing is started.
    pub(crate) healthy: bool,
    /// Where tasks have their files and which Consul they are registered with; without it nothing is started.
    pub(crate) runs: Option<(PathBuf, String)>,
    pub(crate) no_leader: bool,
    /// Whether requests to parse are refused, as with a token that may not.
    pub(crate) no_parse: bool,
    /// Whether access control is on.
    pub(crate) closed: bool,
    /// How often the bootstrap succeeded.
    pub(crate) bootstraps: u64,
    /// Tokens, the management token first, with their policies.
    pub(crate) tokens: Vec<(String, Vec<String>)>,
    pub(crate) policies: BTreeMap<String, Value>,
}

impl NomadState {
    /// Whether the job's allocation runs.
    fn runs_now(&mut self) -> bool {
        let wanted = self.job.as_ref().is_some_and(|job| !job.stopped);
        wanted && if self.runs.is_some() { self.task.as_mut().is_some_and(Running::is_running) } else { self.healthy }
    }

    /// As Nomad would: writes the templates, starts the command, registers the services.
    fn start_task(&mut self) {
        let (Some((directory, consul)), Some(job)) = (&self.runs, &self.job) else { return };
        self.task = None;
        let group = &job.value["TaskGroups"][0];
        let task = &group["Tasks"][0];
        let local = directory.join("local");
        std::fs::create_dir_all(&local).unwrap();
        for template in task["Templates"].as_array().into_iter().flatten() {
            let path = directory.join(template["DestPath"].as_str().unwrap());
            std::fs::write(path, template["EmbeddedTmpl"].as_str().unwrap()).unwrap();
        }
        let port = group["Networks"][0]["ReservedPorts"][0]["Value"].as_u64().unwrap();
        let expand = |text: &str| {
            let text = text.replace("${NOMAD_TASK_DIR}", local.to_str().unwrap());
            let text = text.replace("${NOMAD_ALLOC_DIR}", directory.to_str().unwrap());
            text.replace("${NOMAD_PORT_http}", &port.to_string())
        };
        let mut command = Command::new(task["Config"]["command"].as_str().unwrap());
        command.args(task["Config"]["args"].as_array().unwrap().iter().map(|word| expand(word.as_str().unwrap())));
        self.task = Some(Running::start(&mut command, &directory.join("task.log")));
        for service in group["Services"].as_array().into_iter().flatten() {
            let address = service["Address"].as_str().unwrap();
            let check =
                json!({ "HTTP": format!("http://{address}:{port}/-/ready"), "Interval": "1s", "Timeout": "1s" });
            let service = json!({ "Name": service["Name"], "Address": address, "Port": port, "Check": check });
            let (status, body) = request("PUT", &format!("{consul}/v1/agent/service/register"), &service.to_string());
            assert_eq!(status, 200, "{body}");
        }
    }

    fn stop_task(&mut self) {
        self.task = None;
        if let (Some((_, consul)), Some(job)) = (&self.runs, &self.job) {
            for service in job.value["TaskGroups"][0]["Services"].as_array().into_iter().flatten() {
                let name = service["Name"].as_str().unwrap();
                request("PUT", &format!("{consul}/v1/agent/service/deregister/{name}"), "");
            }
        }
    }

    pub(crate) fn kill_task(&mut self) {
        self.task = None;
    }

    pub(crate) fn restart_task(&mut self) {
        self.start_task();
    }
}

/// A double of a Nomad server. Several may share their state.
pub(crate) fn nomad(listen: &str, endpoints: Arc<Mutex<Endpoints>>, state: Arc<Mutex<NomadState>>) -> Server {
    Server::start(listen, endpoints, move |request| nomad_answer(request, &mut state.lock().unwrap()))
}

fn nomad_answer(request: &Request, state: &mut NomadState) -> Answer {
    let stale = request.query.contains("stale");
    let words: Vec<&str> = request.path.trim_start_matches("/v1/").trim_start_matches('/').split('/').collect();
    if state.no_leader && !stale && words[0] != "agent" {
        return (500, "No cluster leader".to_owned());
    }
    let ok = |value: Value| (200, value.to_string());
    if let Some(answer) = acl_answer(request, &words, state) {
        return answer;
    }
    match (&*request.method, &*words) {
        ("GET", ["status", "leader"]) => ok(json!(if state.no_leader { "" } else { "127.0.0.1:4647" })),
        ("GET", ["status", "peers"]) => ok(json!(["127.0.0.1:4647", "127.0.0.2:4647", "127.0.0.3:4647"])),
        ("GET", ["agent", "members"]) => {
            let tags = json!({ "region": "global", "role": "nomad" });
            let member = |number: u8| {
                let (name, address) = (format!("n{number}.global"), format!("127.0.0.{number}"));
                json!({ "Name": name, "Addr": address, "Status": "alive", "Tags": tags })
            };
            ok(json!({ "ServerName": "n1", "Members": [member(1), member(2), member(3)] }))
        }
        ("PUT" | "POST", ["jobs", "parse"]) if state.no_parse => (403, "Permission denied".to_owned()),
        ("PUT" | "POST", ["jobs", "parse"]) => parse(request),
        ("PUT", ["jobs"]) => register(request, state),
        ("GET", ["job", _]) => match &state.job {
            None => (404, "job not found".to_owned()),
            Some(job) => {
                let mut value = job.value.clone();
                value["JobModifyIndex"] = json!(job.index);
                value["Version"] = json!(job.version);
                value["Stop"] = json!(job.stopped);
                value["Status"] = json!(if job.stopped { "dead" } else { "running" });
                ok(value)
            }
        },
        ("DELETE", ["job", _]) => {
            state.stop_task();
            state.index += 1;
            let index = state.index;
            if request.query.contains("purge=true") {
                state.job = None;
            } else if let Some(job) = &mut state.job {
                (job.index, job.version, job.stopped) = (index, job.version + 1, true);
            }
            ok(json!({ "EvalID": "e", "JobModifyIndex": index }))
        }
        ("GET", ["job", _, "deployment"]) => {
            let status = if state.runs_now() { "successful" } else { "running" };
            ok(if state.job.is_some() { json!({ "Status": status }) } else { Value::Null })
        }
        ("GET", ["job", _, "allocations"]) => {
            let status = if state.runs_now() { "running" } else { "pending" };
            let desired = if state.job.as_ref().is_some_and(|job| job.stopped) { "stop" } else { "run" };
            let allocation = json!({
                "ID": "a", "NodeName": "n1", "ClientStatus": status, "DesiredStatus": desired, "CreateIndex": 20,
                "DeploymentStatus": { "Healthy": true }, "TaskStates": null,
            });
            ok(if state.job.is_some() { json!([allocation]) } else { json!([]) })
        }
        ("GET", ["job", _, "evaluations"]) => ok(json!([])),
        ("GET", ["jobs"]) => ok(json!([])),
        ("PUT", ["volume", "host", "register"]) => ok(json!({ "Volume": { "ID": "v" } })),
        _ => (404, "Invalid URL".to_owned()),
    }
}

/// Access control as the real one answers it: what it refuses, and its own endpoints.
fn acl_answer(request: &Request, words: &[&str], state: &mut NomadState) -> Option<Answer> {
    if !state.closed {
        return None;
    }
    let refused = || Some((403, "Permission denied".to_owned()));
    let ok = |value: Value| Some((200, value.to_string()));
    let body = || serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    let given = request.headers.get("x-nomad-token");
    let known = given.and_then(|given| state.tokens.iter().find(|(secret, _)| secret == given)).cloned();
    let is_management = known.as_ref().is_some_and(|(_, policies)| policies.is_empty());
    match (&*request.method, words) {
        ("PUT" | "POST", ["acl", "bootstrap"]) if !state.tokens.is_empty() => {
            Some((400, "ACL bootstrap already done (reset index: 7)".to_owned()))
        }
        ("PUT" | "POST", ["acl", "bootstrap"]) => {
            let secret = body()["BootstrapSecret"].as_str()?.to_owned();
            state.bootstraps += 1;
            state.tokens.push((secret.clone(), Vec::new()));
            ok(json!({ "AccessorID": "m", "SecretID": secret, "Type": "management" }))
        }
        // No token is needed for these (seen: status/leader and agent/health answer without).
        ("GET", ["status", _]) => None,
        ("GET", [".well-known", "jwks.json"]) => ok(json!({ "keys": [] })),
        _ if given.is_some() && known.is_none() => Some((403, "ACL token not found".to_owned())),
        ("GET", ["acl", "token", "self"]) if known.is_some() => ok(json!({ "AccessorID": "x" })),
        ("PUT" | "POST", ["acl", "policy", name]) if is_management => {
            state.policies.insert((*name).to_owned(), body());
            Some((200, String::new()))
        }
        ("GET", ["acl", "policy", name]) if is_management => match state.policies.get(*name) {
            Some(policy) => ok(policy.clone()),
            None => Some((404, "ACL policy not found".to_owned())),
        },
        ("PUT" | "POST", ["acl", "token"]) if is_management => {
            let policies = body()["Policies"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            let secret = format!("d0d0d0d0-0000-4000-8000-{:012}", state.tokens.len());
            state.tokens.push((secret.clone(), policies));
            ok(json!({ "AccessorID": "t", "SecretID": secret }))
        }
        (_, ["acl", ..]) => refused(),
        // A node's agent registers volumes, and nobody else but a management token.
        (_, ["volume", ..]) if !is_management => refused(),
        _ if known.is_none() => refused(),
        _ => None,
    }
}

/// Nomad's parser, for the one form of text that it is asked with here: `job "NAME" {`, then `group "g" {}`, and `meta` with
/// `hah_job` perhaps. What the real one makes of HCL is for the contract tests and for `tests/it/stack`.
fn parse(request: &Request) -> Answer {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return (400, "invalid JSON".to_owned());
    };
    let text = body["JobHCL"].as_str().unwrap_or_default();
    if text.is_empty() {
        return (400, "Job spec is empty".to_owned());
    }
    let quoted_after = |word: &str| Some(text.split_once(word)?.1.split('"').nth(1)?.to_owned());
    let Some(name) = quoted_after("job \"").and(quoted_after("job ")) else {
        return (400, "Failed to parse job: input.hcl:1,1-1: Missing job block; A job block is required".to_owned());
    };
    if text.matches('{').count() != text.matches('}').count() {
        return (400, "Failed to parse job: input.hcl:1,1-1: Unclosed configuration block".to_owned());
    }
    let meta = quoted_after("hah_job").map(|version| json!({ "hah_job": version }));
    // As the real one has it: fields that the text does not say are null, unless it is told to fill them in.
    assert_eq!(body["Canonicalize"], json!(false));
    let group = json!({ "Name": "g", "Count": null, "Tasks": null });
    (
        200,
        json!({ "ID": name, "Name": name, "Type": null, "Meta": meta, "TaskGroups": [group], "Stop": null })
            .to_string(),
    )
}

fn register(request: &Request, state: &mut NomadState) -> Answer {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return (400, "invalid JSON".to_owned());
    };
    let enforced = body["JobModifyIndex"].as_u64().unwrap_or(0);
    let conflict = |why: String| (500, format!("rpc error: Enforcing job modify index {enforced}: {why}"));
    if body["EnforceIndex"] == json!(true) {
        match &state.job {
            Some(_) if enforced == 0 => return conflict("job already exists".to_owned()),
            Some(job) if job.index != enforced => {
                return conflict(format!("job exists with conflicting job modify index: {}", job.index));
            }
            None if enforced != 0 => return conflict("job does not exist".to_owned()),
            _ => {}
        }
        state.submissions += 1;
    }
    state.index = (state.index + 1).max(10);
    let version = state.job.as_ref().map_or(0, |job| job.version + 1);
    state.job = Some(Job { value: body["Job"].clone(), index: state.index, version, stopped: false });
    state.start_task();
    (200, json!({ "EvalID": "e", "JobModifyIndex": state.index, "Warnings": "", "KnownLeader": false }).to_string())
}

/// The state of a double of Consul.
#[derive(Default)]
pub(crate) struct ConsulState {
    pub(crate) kv: Option<(u64, Vec<u8>)>,
    index: u64,
    /// Where the service `prometheus` is.
    pub(crate) prometheus: Option<u16>,
    pub(crate) no_leader: bool,
    pub(crate) registered: bool,
    /// Status and output of the agent's check.
    pub(crate) check: Option<(String, String)>,
    /// A token that every request must have.
    pub(crate) token: Option<String>,
}

/// A double of a Consul agent.
pub(crate) fn consul(endpoints: Arc<Mutex<Endpoints>>, state: Arc<Mutex<ConsulState>>) -> Server {
    Server::start("127.0.0.1:0", endpoints, move |request| consul_answer(request, &mut state.lock().unwrap()))
}

fn consul_answer(request: &Request, state: &mut ConsulState) -> Answer {
    if state.token.is_some() && state.token.as_ref() != request.headers.get("x-consul-token") {
        return (403, "Permission denied".to_owned());
    }
    let ok = |value: Value| (200, value.to_string());
    match (&*request.method, &*request.path) {
        ("GET", "/v1/status/leader") => ok(json!(if state.no_leader { "" } else { "127.0.0.1:8300" })),
        ("GET", "/v1/status/peers") => ok(json!(["127.0.0.1:8300"])),
        ("GET", "/v1/agent/members") => {
            let tags = json!({ "role": "consul" });
            ok(json!([{ "Name": "n1", "Addr": "127.0.0.1", "Status": 1, "Tags": tags }]))
        }
        (_, "/v1/kv/hah/loop") if state.no_leader => (500, "No cluster leader".to_owned()),
        ("GET", "/v1/kv/hah/loop") => match &state.kv {
            None => (404, String::new()),
            Some((index, value)) => ok(json!([{ "ModifyIndex": index, "Value": STANDARD.encode(value) }])),
        },
        ("PUT", "/v1/kv/hah/loop") => {
            let cas = request.query.strip_prefix("cas=").and_then(|cas| cas.parse().ok()).unwrap_or(u64::MAX);
            let current = state.kv.as_ref().map_or(0, |(index, _)| *index);
            if cas == current {
                state.index += 1;
                state.kv = Some((state.index, request.body.clone()));
            }
            ok(json!(cas == current))
        }
        ("GET", "/v1/health/service/prometheus") => ok(match state.prometheus {
            None => json!([]),
            Some(port) => json!([{
                "Node": { "Node": "n1", "Address": "127.0.0.1" }, "Service": { "Address": "", "Port": port },
                "Checks": [{ "Status": "passing" }],
            }]),
        }),
        ("PUT", "/v1/agent/service/register") => {
            state.registered = true;
            (200, String::new())
        }
        ("PUT", "/v1/agent/check/update/hah-agent-loop") if state.registered => {
            let check: Value = serde_json::from_slice(&request.body).unwrap();
            let text = |key: &str| check[key].as_str().unwrap().to_owned();
            state.check = Some((text("Status"), text("Output")));
            (200, String::new())
        }
        ("PUT", "/v1/agent/check/update/hah-agent-loop") => (500, "CheckID does not have associated TTL".to_owned()),
        _ => (404, "Invalid URL".to_owned()),
    }
}

/// A double of Prometheus that sees one node.
pub(crate) fn prometheus(endpoints: Arc<Mutex<Endpoints>>) -> Server {
    Server::start("127.0.0.1:0", endpoints, |request| match &*request.path {
        "/-/ready" => (200, "Prometheus Server is Ready.\n".to_owned()),
        "/api/v1/query" => {
            let series = json!({ "metric": { "job": "node", "instance": "n1" }, "value": [1.0, "1"] });
            (200, json!({ "status": "success", "data": { "resultType": "vector", "result": [series] } }).to_string())
        }
        _ => (404, String::new()),
    })
}

/// A double of a sealed Vault.
pub(crate) fn vault(endpoints: Arc<Mutex<Endpoints>>) -> Server {
    Server::start("127.0.0.1:0", endpoints, |_| (503, json!({ "sealed": true }).to_string()))
}

/// One request of the test itself: status and body; status 0 when there is no answer.
pub(crate) fn request(method: &str, url: &str, body: &str) -> (u16, String) {
    asked(method, url, body, &[])
}

/// The same with headers.
pub(crate) fn asked(method: &str, url: &str, body: &str, headers: &[(&str, &str)]) -> (u16, String) {
    use std::io::{Read, Write};
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let Ok(mut stream) = std::net::TcpStream::connect(authority) else { return (0, String::new()) };
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head =
        format!("{method} /{path} HTTP/1.0\r\nHost: {authority}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    let mut answer = Vec::new();
    if stream.write_all(head.as_bytes()).is_err() || stream.read_to_end(&mut answer).is_err() {
        return (0, String::new());
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}
