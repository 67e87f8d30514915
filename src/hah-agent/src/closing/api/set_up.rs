//! The set-up of a closed cluster, as requests. Everything is looked at first and made only where it is missing or other
//! than wanted, so that it can be done again at any time, by any server; nothing is ever deleted.
//!
//! | question | requests |
//! |---|---|
//! | Setup, WriteSetup | `/v1/kv/hah/setup?consistent`, `PUT /v1/kv/hah/setup?cas=N` |
//! | SetUpConsul | `/v1/acl/policies`, `/v1/acl/policy/ID`, `/v1/acl/tokens`, and `PUT` of what is missing |
//! | SetUpNomad | Nomad's `/v1/acl/bootstrap`, `/v1/acl/policy/hah-agent`; Consul's auth method, role, binding rules |
//! | Finish | Nomad's `/v1/acl/token`; the identity on the data partition |
//!
//! Tokens of nodes have agreed secrets; their accessors, which are no secrets, derive from them ([`accessor`]).

use std::path::PathBuf;

use hah_node::closing::{self, SetupMarker};
use hah_node::identity::{Identity, Secret, Setup};
use hah_node::{paths, uuid};
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Api, Why, good, said, token};
use crate::closing::http::{self, Address, Answer, Call};
use crate::closing::machine::Reply;
use crate::closing::reply::{self, AclToken, BindingRule, Named};
use crate::closing::view::SetupMemory;
use crate::durable;

/// Consul's policies: name and rules.
const POLICIES: [(&str, &str); 6] = [
    ("hah-anonymous", "node_prefix \"\" { policy = \"read\" }\nservice_prefix \"\" { policy = \"read\" }\n"),
    ("hah-services", "service_prefix \"\" { policy = \"write\" }\n"),
    (
        "hah-nomad",
        "agent_prefix \"\" { policy = \"read\" }\nnode_prefix \"\" { policy = \"read\" }\n\
         service_prefix \"\" { policy = \"write\" }\n",
    ),
    (
        "hah-agent",
        "agent_prefix \"\" { policy = \"read\" }\nnode_prefix \"\" { policy = \"read\" }\n\
         service_prefix \"\" { policy = \"read\" }\nservice \"hah-agent\" { policy = \"write\" }\n\
         key_prefix \"hah/\" { policy = \"read\" }\n\
         key_prefix \"hah/rollout/\" { policy = \"write\" }\noperator = \"read\"\n",
    ),
    ("hah-server", "key_prefix \"hah/\" { policy = \"write\" }\n"),
    (
        "hah-prometheus",
        "agent_prefix \"\" { policy = \"read\" }\nnode_prefix \"\" { policy = \"read\" }\n\
         service_prefix \"\" { policy = \"read\" }\n",
    ),
];
/// The accessor of the token that stands for requests without one (Consul's API documentation, ACL).
const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";
/// What a server's agent may do in Nomad: submit the job that closes the loop, see how it is, and drain a node for a rollout.
const NOMAD_POLICY: &str = "namespace \"default\" { capabilities = [\"submit-job\", \"parse-job\", \"read-job\", \"list-jobs\"] }\n\
     host_volume \"prometheus\" { policy = \"write\" }\nhost_volume \"usr\" { policy = \"read\" }\n\
     host_volume \"hah-ca\" { policy = \"read\" }\nnode { policy = \"write\" }\nagent { policy = \"read\" }\n\
     operator { policy = \"read\" }\n";
/// Its name, in Nomad as in Consul.
const NOMAD_POLICY_NAME: &str = "hah-agent";
/// The auth method by which Consul believes Nomad's jobs; Nomad's agents log in to it by this name.
const AUTH_METHOD: &str = "nomad-workloads";
/// The role of the job that closes the loop.
const PROMETHEUS_ROLE: &str = "nomad-tasks-prometheus";
/// Which workload gets what: selector, kind and name of the binding.
const BINDINGS: [(&str, &str, &str); 2] = [
    ("\"nomad_service\" in value", "service", "${value.nomad_service}"),
    (
        "\"nomad_service\" not in value and value.nomad_namespace == default and value.nomad_job_id == prometheus",
        "role",
        PROMETHEUS_ROLE,
    ),
];

/// A token of Consul as it should be.
struct Wanted {
    accessor: String,
    /// Nothing for the anonymous token, which has one.
    secret: Option<Secret>,
    description: String,
    policies: Vec<&'static str>,
    /// The node that it may write.
    node: Option<String>,
}

impl Wanted {
    fn is(&self, found: &AclToken) -> bool {
        let nodes: Vec<&str> = found.nodes.iter().map(String::as_str).collect();
        let mut policies: Vec<&str> = found.policies.iter().map(String::as_str).collect();
        let mut wanted = self.policies.clone();
        policies.sort_unstable();
        wanted.sort_unstable();
        policies == wanted && nodes == self.node.as_deref().into_iter().collect::<Vec<&str>>()
    }

    fn body(&self, datacenter: &str) -> Value {
        let policies: Vec<Value> = self.policies.iter().map(|name| json!({ "Name": name })).collect();
        let mut body = json!({ "AccessorID": self.accessor, "Description": self.description, "Policies": policies });
        if let (Some(object), Some(secret)) = (body.as_object_mut(), &self.secret) {
            object.insert("SecretID".to_owned(), secret.reveal().into());
        }
        if let (Some(object), Some(node)) = (body.as_object_mut(), &self.node) {
            object.insert("NodeIdentities".to_owned(), json!([{ "NodeName": node, "Datacenter": datacenter }]));
        }
        body
    }
}

/// The accessor of a token with a chosen secret: a UUID that tells nothing about it.
pub(crate) fn accessor(secret: &Secret) -> String {
    let digest = Sha256::new_with_prefix("hah accessor\n").chain_update(secret.reveal()).finalize();
    uuid::text(uuid::of_digest(digest.into()))
}

/// Every token that a cluster wants.
fn wanted(setup: &Setup) -> Vec<Wanted> {
    let mut wanted = vec![Wanted {
        accessor: ANONYMOUS.to_owned(),
        secret: None,
        description: "Anonymous Token: resolves names".to_owned(),
        policies: vec!["hah-anonymous"],
        node: None,
    }];
    for (name, own) in &setup.nodes {
        let hah: &[&str] = if own.submits { &["hah-agent", "hah-server"] } else { &["hah-agent"] };
        let kinds = [
            ("Consul agent", &own.agent, &["hah-services"][..], true),
            ("Nomad", &own.nomad, &["hah-nomad"][..], false),
            // Its own node's maintenance.
            ("hah-agent", &own.hah, hah, true),
            ("Prometheus", &own.prometheus, &["hah-prometheus"][..], false),
        ];
        for (what, secret, policies, writes_node) in kinds {
            wanted.extend(secret.as_ref().map(|secret| Wanted {
                accessor: accessor(secret),
                secret: Some(secret.clone()),
                description: format!("{what} on {name}"),
                policies: policies.to_vec(),
                node: writes_node.then(|| name.clone()),
            }));
        }
    }
    wanted
}

/// Who asks whom.
struct Caller<'a> {
    api: &'a Api,
    to: Address,
    header: &'static str,
    token: &'a str,
}

impl Caller<'_> {
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Why> {
        let within = super::WRITE_WITHIN / self.api.hurry;
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let call = Call { method, to: self.to, path, token: Some((self.header, self.token)), body, within };
        http::send(call).await.map_err(|error| Why(error.to_string()))
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>, Why> {
        good(self.send(Method::GET, path, None).await?)
    }

    async fn put(&self, path: &str, body: &Value) -> Result<Vec<u8>, Why> {
        good(self.send(Method::PUT, path, Some(body)).await?)
    }

    /// The id of the thing of this name in a list, if it is there.
    async fn id(&self, list: &str, name: &str) -> Result<Option<String>, Why> {
        let found = reply::named(&self.get(list).await?)?;
        Ok(found.into_iter().find(|one| one.name == name).map(|one| one.id))
    }
}

impl Api {
    fn below(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// What is to be set up, as long as it is on this node.
    fn held(&self) -> Result<Option<Setup>, Why> {
        let path = self.below(paths::SETUP);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                // serde's message may quote a secret.
                .map_err(|error| Why(format!("{}: line {} is not as stage 1 writes it", path.display(), error.line()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Why(format!("{}: {error}", path.display()))),
        }
    }

    fn consul_as<'a>(&'a self, token: &'a Secret) -> Caller<'a> {
        Caller { api: self, to: self.consul, header: "X-Consul-Token", token: token.reveal() }
    }

    /// The marker of the set-up.
    pub(super) async fn setup_memory(&self) -> Result<Reply, Why> {
        let path = format!("/v1/kv/{}?consistent", closing::SETUP_KEY);
        let answer = match self.held()? {
            Some(setup) => self.consul_as(&setup.consul).send(Method::GET, &path, None).await?,
            None => self.get_consul(&path).await?,
        };
        Ok(Reply::Setup(match answer.status {
            404 => SetupMemory::Blank,
            401 | 403 => SetupMemory::NoToken(said(&answer)),
            _ => reply::setup_memory(&good(answer)?)?,
        }))
    }

    /// Writes it where it has this index.
    pub(super) async fn write_setup(&self, cas: u64, marker: &SetupMarker) -> Result<Reply, Why> {
        let Some(setup) = self.held()? else { return Ok(Reply::Gone) };
        let body = serde_json::to_value(marker).map_err(|error| Why(error.to_string()))?;
        let path = format!("/v1/kv/{}?cas={cas}", closing::SETUP_KEY);
        Ok(Reply::Written(reply::written(&self.consul_as(&setup.consul).put(&path, &body).await?)?))
    }

    /// Policies and tokens of Consul.
    pub(super) async fn set_up_consul(&self) -> Result<Reply, Why> {
        let Some(setup) = self.held()? else { return Ok(Reply::Gone) };
        let consul = self.consul_as(&setup.consul);
        for (name, rules) in POLICIES {
            let body = json!({ "Name": name, "Description": "hah-image", "Rules": rules });
            match consul.id("/v1/acl/policies", name).await? {
                Some(id) if reply::rules(&consul.get(&format!("/v1/acl/policy/{id}")).await?)? == rules => {}
                Some(id) => drop(consul.put(&format!("/v1/acl/policy/{id}"), &body).await?),
                None => drop(consul.put("/v1/acl/policy", &body).await?),
            }
        }
        let datacenter = reply::datacenter(&consul.get("/v1/agent/self").await?)?;
        let wanted = wanted(&setup);
        let found = reply::acl_tokens(&consul.get("/v1/acl/tokens").await?)?;
        for token in &wanted {
            match found.iter().find(|found| found.accessor == token.accessor) {
                Some(found) if token.is(found) => {}
                Some(_) => {
                    let path = format!("/v1/acl/token/{}", token.accessor);
                    consul.put(&path, &token.body(&datacenter)).await?;
                }
                None => drop(consul.put("/v1/acl/token", &token.body(&datacenter)).await?),
            }
        }
        let found = reply::acl_tokens(&consul.get("/v1/acl/tokens").await?)?;
        match wanted.iter().find(|token| !found.iter().any(|one| one.accessor == token.accessor && token.is(one))) {
            None => Ok(Reply::Done),
            Some(token) => Err(Why(format!("Consul took the token \"{}\" and does not have it", token.description))),
        }
    }

    /// Nomad's management token and policy; and what Consul gives to Nomad's jobs.
    pub(super) async fn set_up_nomad(&self) -> Result<Reply, Why> {
        let Some(setup) = self.held()? else { return Ok(Reply::Gone) };
        let Some(secret) = &setup.nomad else { return Ok(Reply::Done) };
        let nomad = self.nomad_as(secret)?;
        let answer = nomad.send(Method::POST, "/v1/acl/bootstrap", Some(&json!({ "BootstrapSecret": secret }))).await?;
        let done = answer.status == 400 && String::from_utf8_lossy(&answer.body).contains("already done");
        if !done {
            good(answer)?;
        }
        if nomad.send(Method::GET, "/v1/acl/token/self", None).await?.status == 403 {
            let why = "Nomad was bootstrapped with another management token than that of this node's identity; \
                       `nomad acl bootstrap` says how to reset it";
            return Err(Why(why.to_owned()));
        }
        let path = format!("/v1/acl/policy/{NOMAD_POLICY_NAME}");
        let policy = json!({ "Name": NOMAD_POLICY_NAME, "Description": "hah-image", "Rules": NOMAD_POLICY });
        good(nomad.send(Method::POST, &path, Some(&policy)).await?)?;
        if reply::rules(&nomad.get(&path).await?)? != NOMAD_POLICY {
            return Err(Why(format!("Nomad took the policy {NOMAD_POLICY_NAME} and does not have it")));
        }
        self.believe_workloads(&setup.consul).await?;
        Ok(Reply::Done)
    }

    /// Consul's auth method for workload identities of Nomad, the role of the loop's job, and who gets what.
    async fn believe_workloads(&self, management: &Secret) -> Result<(), Why> {
        let consul = self.consul_as(management);
        let claims = ["nomad_namespace", "nomad_job_id", "nomad_task", "nomad_service"];
        let claims: Value = claims.into_iter().map(|claim| (claim.to_owned(), Value::from(claim))).collect();
        // On 127.0.0.1, so that every server asks the Nomad of its own node, whatever its address. Consul asks at once.
        let keys = format!("http://{}/.well-known/jwks.json", self.nomad_address()?);
        let config = json!({ "JWKSURL": keys, "JWTSupportedAlgs": ["RS256"],
            "BoundAudiences": ["consul.io"], "ClaimMappings": claims });
        let method = json!({ "Name": AUTH_METHOD, "Type": "jwt", "Description": "hah-image", "Config": config });
        let known = reply::named(&consul.get("/v1/acl/auth-methods").await?)?;
        let path = if known.iter().any(|one: &Named| one.name == AUTH_METHOD) {
            format!("/v1/acl/auth-method/{AUTH_METHOD}")
        } else {
            "/v1/acl/auth-method".to_owned()
        };
        consul.put(&path, &method).await?;
        let role =
            json!({ "Name": PROMETHEUS_ROLE, "Description": "hah-image", "Policies": [{ "Name": "hah-prometheus" }] });
        let path = match consul.id("/v1/acl/roles", PROMETHEUS_ROLE).await? {
            Some(id) => format!("/v1/acl/role/{id}"),
            None => "/v1/acl/role".to_owned(),
        };
        consul.put(&path, &role).await?;
        let rules = format!("/v1/acl/binding-rules?authmethod={AUTH_METHOD}");
        let found = reply::binding_rules(&consul.get(&rules).await?)?;
        for (selector, kind, name) in BINDINGS {
            let is_it = |rule: &BindingRule| rule.selector == selector && rule.kind == kind && rule.name == name;
            if !found.iter().any(is_it) {
                let rule = json!({ "AuthMethod": AUTH_METHOD, "Description": "hah-image", "Selector": selector,
                    "BindType": kind, "BindName": name });
                consul.put("/v1/acl/binding-rule", &rule).await?;
            }
        }
        match reply::binding_rules(&consul.get(&rules).await?)?.len() {
            count if count >= BINDINGS.len() => Ok(()),
            _ => Err(Why("Consul took the binding rules and does not have them".to_owned())),
        }
    }

    fn nomad_as<'a>(&'a self, token: &'a Secret) -> Result<Caller<'a>, Why> {
        Ok(Caller { api: self, to: self.nomad_address()?, header: "X-Nomad-Token", token: token.reveal() })
    }

    /// Makes this server's own token in Nomad, unless it has one that works; then takes the secrets off the node.
    pub(super) async fn finish(&self) -> Result<Reply, Why> {
        let Some(setup) = self.held()? else { return Ok(Reply::Gone) };
        if let (Some(management), Some(_)) = (&setup.nomad, self.nomad) {
            self.own_nomad_token(management).await?;
        }
        let failed =
            |path: &std::path::Path, error: &dyn std::fmt::Display| Why(format!("{}: {error}", path.display()));
        let identity = self.below(paths::IDENTITY);
        match std::fs::read(&identity) {
            Ok(text) => {
                let known: Identity = serde_json::from_slice(&text)
                    .map_err(|error| Why(format!("{}: line {} is no identity's", identity.display(), error.line())))?;
                let stripped = Identity { setup: None, ..known };
                let text = serde_json::to_vec_pretty(&stripped).map_err(|error| failed(&identity, &error))?;
                durable::write(&identity, &text, 0o600).map_err(|error| failed(&identity, &error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&identity, &error)),
        }
        let held = self.below(paths::SETUP);
        std::fs::remove_file(&held).map_err(|error| failed(&held, &error))?;
        Ok(Reply::Done)
    }

    async fn own_nomad_token(&self, management: &Secret) -> Result<(), Why> {
        let path = self.below(paths::NOMAD_TOKEN_MADE);
        if let Some(made) = token(&path) {
            let made = Secret::new(made);
            if self.nomad_as(&made)?.send(Method::GET, "/v1/acl/token/self", None).await?.status == 200 {
                return Ok(());
            }
        }
        let name = format!("hah-agent on {}", self.node);
        let body = json!({ "Name": name, "Type": "client", "Policies": [NOMAD_POLICY_NAME] });
        let answer = self.nomad_as(management)?.send(Method::POST, "/v1/acl/token", Some(&body)).await?;
        let secret = reply::secret_id(&good(answer)?)?;
        durable::write(&path, secret.reveal().as_bytes(), 0o600)
            .map_err(|error| Why(format!("{}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hah_node::identity::SetupTokens;

    #[test]
    fn accessors_are_uuids_that_follow_from_the_secret() {
        let secret = |text: &str| accessor(&Secret::new(text));
        let first = secret("11111111-1111-4111-8111-111111111111");
        assert_eq!(first, secret("11111111-1111-4111-8111-111111111111"));
        assert_ne!(first, secret("11111111-1111-4111-8111-111111111112"));
        assert_eq!(first.split('-').map(str::len).collect::<Vec<usize>>(), [8, 4, 4, 4, 12]);
        assert_eq!(first.get(14..15), Some("8"));
    }

    #[test]
    fn every_node_gets_the_tokens_that_it_has() {
        let token = |text: &str| Some(Secret::new(text));
        let server =
            SetupTokens { agent: token("a"), nomad: token("n"), hah: token("h"), submits: true, prometheus: None };
        let client = SetupTokens { agent: token("b"), hah: token("i"), ..SetupTokens::default() };
        let setup = Setup { nodes: [("s".to_owned(), server), ("c".to_owned(), client)].into(), ..Setup::default() };
        let found: Vec<(String, Vec<&str>, Option<String>)> =
            wanted(&setup).into_iter().map(|one| (one.description, one.policies, one.node)).collect();
        let expected = [
            ("Anonymous Token: resolves names", vec!["hah-anonymous"], None),
            ("Consul agent on c", vec!["hah-services"], Some("c")),
            ("hah-agent on c", vec!["hah-agent"], Some("c")),
            ("Consul agent on s", vec!["hah-services"], Some("s")),
            ("Nomad on s", vec!["hah-nomad"], None),
            ("hah-agent on s", vec!["hah-agent", "hah-server"], Some("s")),
        ];
        let expected: Vec<(String, Vec<&str>, Option<String>)> = expected
            .into_iter()
            .map(|(what, policies, node)| (what.to_owned(), policies, node.map(str::to_owned)))
            .collect();
        assert_eq!(found, expected);
    }
}
