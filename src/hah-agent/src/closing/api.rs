//! The machine's questions, as HTTP requests to the node's own agents.
//!
//! | question | requests |
//! |---|---|
//! | Consul | `/v1/status/leader`, `/v1/status/peers`, `/v1/agent/members` |
//! | Memory, Write | `/v1/kv/hah/loop?consistent`, `PUT /v1/kv/hah/loop?cas=N` |
//! | Nomad | `/v1/status/leader?stale`, `/v1/status/peers?stale`, `/v1/agent/members` |
//! | Parse | `POST /v1/jobs/parse`, for a job that is HCL |
//! | Job, Register | `/v1/job/ID`, `PUT /v1/jobs` with `EnforceIndex` |
//! | Health | `/v1/job/ID/deployment`, `…/allocations`; when nothing is placed `…/evaluations`, and `PUT …/plan` when it waits for a node |
//! | Prometheus | Consul's `/v1/health/service/NAME` and members; its `/-/ready` and `/api/v1/query?query=up` |
//! | Vault | `/v1/sys/health` |
//! | of the set-up | see [`set_up`] |
//!
//! Whatever goes wrong becomes [`Reply::Failed`] with a reason in words. `KnownLeader` in Nomad's replies is not read:
//! it is false when all is well.

mod set_up;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hah_node::closing::{self, Loop, Marker};
use hah_node::paths;
use hyper::Method;

use super::http::{self, Address, AddressError, Answer, Call, segment};
use super::judge;
use super::machine::{Intent, Question, Reply};
use super::reply::{self, Instance, JobFile, Member, Nonsense};
use super::view::{Monitoring, Registered};

/// For a request that reads.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// For a request that writes.
const WRITE_WITHIN: Duration = Duration::from_secs(15);
/// The longest token that is sent, in bytes.
const TOKEN_MAX: usize = 4096;
/// So many members are remembered with when they were last seen.
const MEMBERS_MAX: usize = 256;
/// So many instances of Prometheus are tried.
const INSTANCES_MAX: usize = 3;

/// The job that closes the loop, as the image has it.
#[derive(Debug)]
pub(crate) enum JobText {
    /// As `PUT /v1/jobs` takes it.
    Api(JobFile),
    /// As people write it: Nomad parses it.
    Hcl {
        /// The text.
        text: String,
        /// SHA-256 of the text, 64 hex digits: the version of a job that does not say its own.
        digest: String,
    },
}

impl From<&JobFile> for Intent {
    fn from(job: &JobFile) -> Self {
        Self { id: job.id.clone(), hah_job: job.hah_job.clone() }
    }
}

/// The programs around this agent.
pub(crate) struct Api {
    consul: Address,
    nomad: Option<Address>,
    /// Vault may talk TLS, which the agent does not: it is only beside.
    vault: Option<Result<Address, AddressError>>,
    job: Option<JobFile>,
    /// The job's HCL and its digest, until Nomad has parsed it.
    hcl: Option<(String, String)>,
    prometheus: closing::Prometheus,
    consul_token: PathBuf,
    nomad_token: PathBuf,
    /// Stands for `/`.
    root: PathBuf,
    /// This node's name.
    node: String,
    /// Timeouts are divided by this: 1 but in tests.
    hurry: u32,
    /// When each member was last seen alive, by name: seconds since 1970.
    seen: BTreeMap<String, u64>,
    /// Where Prometheus was last: still asked when Consul does not answer.
    last: Option<Address>,
}

impl Api {
    /// The programs that the configuration names. Tokens are looked up below `root` when they are needed, since identity
    /// may come later, and may change.
    pub(crate) fn new(
        config: &Loop,
        job: Option<JobText>,
        (root, node): (&Path, &str),
        hurry: u32,
    ) -> Result<Self, AddressError> {
        let (job, hcl) = match job {
            Some(JobText::Api(job)) => (Some(job), None),
            Some(JobText::Hcl { text, digest }) => (None, Some((text, digest))),
            None => (None, None),
        };
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        Ok(Self {
            consul: Address::parse(&config.consul.address)?,
            nomad: config.nomad.as_ref().map(|nomad| Address::parse(&nomad.address)).transpose()?,
            vault: config.vault.as_ref().map(|vault| Address::parse(&vault.address)),
            job,
            hcl,
            prometheus: config.prometheus.clone(),
            consul_token: below(closing::CONSUL_TOKEN),
            nomad_token: below(closing::NOMAD_TOKEN),
            root: root.to_owned(),
            node: node.to_owned(),
            hurry,
            seen: BTreeMap::new(),
            last: None,
        })
    }

    /// Answers a question of the machine. `wall` is the time in seconds since 1970.
    pub(crate) async fn ask(&mut self, question: &Question, wall: u64) -> Reply {
        let answered = match question {
            Question::Consul => self.consul_quorum(wall).await,
            Question::Setup => self.setup_memory().await,
            Question::WriteSetup(cas, marker) => self.write_setup(*cas, marker).await,
            Question::SetUpConsul => self.set_up_consul().await,
            Question::SetUpNomad => self.set_up_nomad().await,
            Question::Finish => self.finish().await,
            Question::Memory => self.memory().await,
            Question::Write(cas, marker) => self.write(*cas, marker).await,
            Question::Nomad => self.nomad_quorum(wall).await,
            Question::Parse => self.parse().await,
            Question::Job => self.job().await,
            Question::Register(index) => self.register(*index).await,
            Question::Health => self.health().await,
            Question::Prometheus => Ok(self.prometheus().await),
            Question::Vault => self.vault().await,
        };
        answered.unwrap_or_else(|why| Reply::Failed(why.0))
    }

    async fn consul_quorum(&mut self, wall: u64) -> Result<Reply, Why> {
        let leader = reply::leader(&good(self.get_consul("/v1/status/leader").await?)?)?;
        let peers = reply::peers(&good(self.get_consul("/v1/status/peers").await?)?)?;
        // With an ACL that does not let us, the members are unknown, and nothing else is.
        let members = self.members().await.ok();
        Ok(Reply::Quorum(self.quorum((leader, &peers), members.as_deref(), wall)))
    }

    pub(crate) async fn members(&self) -> Result<Vec<Member>, Why> {
        Ok(reply::consul_members(&good(self.get_consul("/v1/agent/members").await?)?)?)
    }

    async fn nomad_quorum(&mut self, wall: u64) -> Result<Reply, Why> {
        // Stale reads are answered from what the server itself knows, at once, instead of after 5 s of hoping.
        let leader = self.get_nomad("/v1/status/leader?stale").await?;
        let leader = leader.status == 200 && reply::leader(&leader.body)?;
        let peers = self.get_nomad("/v1/status/peers?stale").await?;
        let peers = if peers.status == 200 { reply::peers(&peers.body)? } else { Vec::new() };
        let members = self.get_nomad("/v1/agent/members").await.ok().and_then(|answer| good(answer).ok());
        let members = members.and_then(|body| reply::nomad_members(&body).ok());
        Ok(Reply::Quorum(self.quorum((leader, &peers), members.as_deref(), wall)))
    }

    fn quorum(&mut self, status: (bool, &[String]), members: Option<&[Member]>, wall: u64) -> super::view::Quorum {
        for member in members.into_iter().flatten().filter(|member| member.alive) {
            if self.seen.len() < MEMBERS_MAX || self.seen.contains_key(&member.name) {
                self.seen.insert(member.name.clone(), wall);
            }
        }
        judge::quorum(status.0, status.1, members, |name| self.seen.get(name).copied())
    }

    async fn memory(&self) -> Result<Reply, Why> {
        let answer = self.get_consul(&format!("/v1/kv/{}?consistent", closing::MARKER_KEY)).await?;
        Ok(Reply::Memory(match answer.status {
            404 => super::view::Memory::Blank,
            _ => reply::memory(&good(answer)?)?,
        }))
    }

    async fn write(&self, cas: u64, marker: &Marker) -> Result<Reply, Why> {
        let body = serde_json::to_vec(marker).map_err(|error| Why(error.to_string()))?;
        let path = format!("/v1/kv/{}?cas={cas}", closing::MARKER_KEY);
        Ok(Reply::Written(reply::written(&good(self.put_consul(&path, body).await?)?)?))
    }

    /// Hands the job's HCL to Nomad's parser, which knows every word of its version.
    async fn parse(&mut self) -> Result<Reply, Why> {
        let Some((text, digest)) = &self.hcl else { return Err(Why("the job is no HCL".to_owned())) };
        let body = serde_json::json!({ "JobHCL": text, "Canonicalize": false }).to_string();
        let answer = self.call(self.nomad_address()?, Method::POST, "/v1/jobs/parse", body.into_bytes()).await?;
        match answer.status {
            // A token that may not is mended without a new image.
            400..=499 if answer.status != 403 && answer.status != 429 => {
                Ok(Reply::Registered(Registered::Refused(said(&answer))))
            }
            _ => {
                let job = reply::parsed_job(&good(answer)?, digest)?;
                let intent = Intent::from(&job);
                self.job = Some(job);
                Ok(Reply::Parsed(intent))
            }
        }
    }

    async fn job(&self) -> Result<Reply, Why> {
        let answer = self.get_nomad(&format!("/v1/job/{}", self.job_id())).await?;
        Ok(Reply::Job(match answer.status {
            404 => None,
            _ => Some(reply::job(&good(answer)?)?),
        }))
    }

    async fn register(&self, index: u64) -> Result<Reply, Why> {
        let job = self.job.as_ref().map_or("null", |file| &*file.job);
        let body = format!(r#"{{"Job":{job},"EnforceIndex":true,"JobModifyIndex":{index}}}"#);
        let answer = self.call(self.nomad_address()?, Method::PUT, "/v1/jobs", body.into_bytes()).await?;
        Ok(match answer.status {
            200 => Reply::Registered(Registered::Accepted),
            _ if reply::is_conflict(&answer.body) => Reply::Registered(Registered::Conflict),
            // 5xx is an election, a keyring that is not ready, a leader that has just gone.
            400..=499 if answer.status != 429 => Reply::Registered(Registered::Refused(said(&answer))),
            _ => Reply::Failed(said(&answer)),
        })
    }

    async fn health(&self) -> Result<Reply, Why> {
        let id = self.job_id();
        let deployment = reply::deployment(&good(self.get_nomad(&format!("/v1/job/{id}/deployment")).await?)?)?;
        let allocations = reply::allocations(&good(self.get_nomad(&format!("/v1/job/{id}/allocations")).await?)?)?;
        let evaluations = if allocations.iter().any(|allocation| allocation.desired_status == "run") {
            Vec::new()
        } else {
            reply::evaluations(&good(self.get_nomad(&format!("/v1/job/{id}/evaluations")).await?)?)?
        };
        if judge::is_blocked(&evaluations)
            && let Some(trial) = self.trial().await
        {
            return Ok(Reply::Health(judge::blocked(&trial)));
        }
        Ok(Reply::Health(judge::health(deployment.as_ref(), &allocations, &evaluations)))
    }

    /// Why the job has no node, as Nomad's scheduler sees it now. Nothing when it does not say, which its evaluations make
    /// up for.
    async fn trial(&self) -> Option<reply::Trial> {
        let job = &self.job.as_ref()?.job;
        let body = format!(r#"{{"Job":{job},"Diff":false}}"#);
        let path = format!("/v1/job/{}/plan", self.job_id());
        let answer = self.call(self.nomad_address().ok()?, Method::PUT, &path, body.into_bytes()).await.ok()?;
        reply::trial(&good(answer).ok()?).ok()
    }

    async fn prometheus(&mut self) -> Reply {
        let found = self.find_prometheus().await;
        let mut first = None;
        for address in &found.1 {
            match self.ask_prometheus(*address).await {
                Ok(targets) => {
                    self.last = Some(*address);
                    return Reply::Prometheus(Monitoring::Up(Box::new(targets)));
                }
                Err(why) => first = first.or(Some((why, *address))),
            }
        }
        let (why, address) = match (first, found.0) {
            (Some((why, address)), _) => (why.0, Some(address.to_string())),
            (None, Err(why)) => (format!("Consul does not say where it is: {}", why.0), None),
            (None, Ok(())) => (format!("Consul knows no service {}", self.prometheus.service), None),
        };
        Reply::Prometheus(Monitoring::Down(why, address))
    }

    /// Where Prometheus may be, best first, and what kept Consul from telling.
    pub(crate) async fn find_prometheus(&self) -> (Result<(), Why>, Vec<Address>) {
        match self.instances().await {
            Ok(instances) => {
                let candidates = judge::candidates(&instances).into_iter();
                let addresses = candidates.filter_map(|one| {
                    Some(Address::new(one.address.parse::<IpAddr>().ok()?, one.port.unwrap_or(self.prometheus.port)))
                });
                (Ok(()), addresses.take(INSTANCES_MAX).collect())
            }
            Err(why) => (Err(why), self.last.into_iter().collect()),
        }
    }

    async fn instances(&self) -> Result<Vec<Instance>, Why> {
        let path = format!("/v1/health/service/{}?stale", segment(&self.prometheus.service));
        Ok(reply::instances(&good(self.get_consul(&path).await?)?)?)
    }

    async fn ask_prometheus(&self, address: Address) -> Result<super::view::Targets, Why> {
        let found = self.targets(address).await?;
        let members = self.members().await.unwrap_or_default();
        Ok(judge::targets(&self.prometheus, address.to_string(), &found, &members))
    }

    /// What a Prometheus that is ready scrapes.
    pub(crate) async fn targets(&self, address: Address) -> Result<Vec<reply::Target>, Why> {
        let ready = self.call(address, Method::GET, "/-/ready", Vec::new()).await?;
        if ready.status != 200 {
            return Err(Why(format!("it is not ready: {}", said(&ready))));
        }
        let answer = self.call(address, Method::GET, "/api/v1/query?query=up", Vec::new()).await?;
        Ok(reply::targets(&good(answer)?)?)
    }

    async fn vault(&self) -> Result<Reply, Why> {
        let address = match &self.vault {
            Some(Ok(address)) => *address,
            Some(Err(AddressError::Tls(_))) => {
                return Ok(Reply::Vault("not looked at, since it talks TLS only".to_owned(), true));
            }
            Some(Err(error)) => return Err(Why(error.to_string())),
            None => return Ok(Reply::Vault("absent".to_owned(), true)),
        };
        let answer = self.call(address, Method::GET, "/v1/sys/health", Vec::new()).await?;
        let (text, well) = match answer.status {
            200 => ("unsealed, active", true),
            429 | 473 => ("unsealed, standby", true),
            472 => ("a disaster recovery secondary", true),
            474 => ("a standby that cannot reach the active node", false),
            501 => ("not initialised", false),
            503 => ("sealed", false),
            530 => ("removed from its cluster", false),
            _ => return Err(Why(said(&answer))),
        };
        Ok(Reply::Vault(text.to_owned(), well))
    }

    /// Whether Vault answers, with whatever. One that talks TLS only is not looked at, and never does.
    pub(crate) async fn vault_answers(&self) -> Result<bool, Why> {
        let Some(Ok(address)) = &self.vault else { return Ok(false) };
        Ok(self.call(*address, Method::GET, "/v1/sys/health", Vec::new()).await.is_ok())
    }

    /// Tells Consul how this agent is: service `hah-agent` with a TTL check, registered when it is not there.
    pub(crate) async fn report(&self, passing: bool, text: &str) -> Result<(), Why> {
        let status = if passing { "passing" } else { "warning" };
        let update = serde_json::json!({ "Status": status, "Output": text }).to_string();
        let path = format!("/v1/agent/check/update/{CHECK}");
        if self.put_consul(&path, update.clone().into_bytes()).await?.status == 200 {
            return Ok(());
        }
        // Consul has lost its data directory, or never knew it.
        let service = serde_json::json!({
            "ID": closing::SERVICE,
            "Name": closing::SERVICE,
            "Check": { "CheckID": CHECK, "Name": "the loop is closed", "TTL": TTL, "Status": status, "Notes": text },
        });
        good(self.put_consul("/v1/agent/service/register", service.to_string().into_bytes()).await?)?;
        good(self.put_consul(&path, update.into_bytes()).await?)?;
        Ok(())
    }

    fn job_id(&self) -> String {
        self.job.as_ref().map(|file| segment(&file.id)).unwrap_or_default()
    }

    pub(crate) fn nomad_address(&self) -> Result<Address, Why> {
        self.nomad.ok_or_else(|| Why("this node has no Nomad".to_owned()))
    }

    pub(crate) async fn get_consul(&self, path: &str) -> Result<Answer, Why> {
        self.call(self.consul, Method::GET, path, Vec::new()).await
    }

    pub(crate) async fn put_consul(&self, path: &str, body: Vec<u8>) -> Result<Answer, Why> {
        self.call(self.consul, Method::PUT, path, body).await
    }

    pub(crate) async fn call_consul(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Answer, Why> {
        self.call(self.consul, method, path, body).await
    }

    pub(crate) async fn get_nomad(&self, path: &str) -> Result<Answer, Why> {
        self.call(self.nomad_address()?, Method::GET, path, Vec::new()).await
    }

    pub(crate) async fn call(&self, to: Address, method: Method, path: &str, body: Vec<u8>) -> Result<Answer, Why> {
        let (header, file) = if to == self.consul {
            ("X-Consul-Token", Some(&self.consul_token))
        } else if Some(to) == self.nomad {
            ("X-Nomad-Token", Some(&self.nomad_token))
        } else {
            ("", None)
        };
        // A server of a closed cluster has made its own.
        let made = || token(&self.root.join(paths::NOMAD_TOKEN_MADE.trim_start_matches('/')));
        let token = file.and_then(|file| token(file)).or_else(|| made().filter(|_| Some(to) == self.nomad));
        let within = if method == Method::GET { READ_WITHIN } else { WRITE_WITHIN } / self.hurry;
        let token = token.as_deref().map(|token| (header, token));
        http::send(Call { method, to, path, token, body, within }).await.map_err(|error| Why(error.to_string()))
    }
}

/// Id of the TTL check.
const CHECK: &str = "hah-agent-loop";
/// Longer than any pass takes while Consul itself answers.
const TTL: &str = "180s";

/// The token in a file, or nothing: without ACLs there is none.
fn token(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let token = text.trim();
    (!token.is_empty() && token.len() <= TOKEN_MAX).then(|| token.to_owned())
}

/// Why a question has no answer, in words.
#[derive(Debug)]
pub(crate) struct Why(pub(crate) String);

impl From<Nonsense> for Why {
    fn from(nonsense: Nonsense) -> Self {
        Self(judge::shortened(&nonsense.to_string()))
    }
}

/// The body of a good answer.
pub(crate) fn good(answer: Answer) -> Result<Vec<u8>, Why> {
    if answer.status == 200 { Ok(answer.body) } else { Err(Why(said(&answer))) }
}

/// What the program said when it did not do what it was asked for.
pub(crate) fn said(answer: &Answer) -> String {
    let text = judge::shortened(&String::from_utf8_lossy(&answer.body));
    match (answer.status, &*text) {
        (403, text) => format!("it says: {text} (status 403); the agent's token does not allow that, or is missing"),
        (status, "") => format!("it answers with status {status}"),
        (status, text) => format!("it says: {text} (status {status})"),
    }
}
