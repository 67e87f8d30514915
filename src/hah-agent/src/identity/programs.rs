//! What Consul, Nomad and Vault are told of an identity: a fragment of configuration each, merged by the program after the
//! image's own, and the files of certificates and tokens that it names.
//!
//! Consul and Nomad merge fragments key by key. Vault takes the last `storage` whole, so its fragment repeats the image's.

use std::borrow::Cow;
use std::net::IpAddr;

use hah_node::host::in_url;
use hah_node::identity::{Alertmanager, Consul, Identity, Nomad, Policy, Secret, Setup, Tls, Vault};
use hah_node::paths::{SECRETS, SETUP};
use serde_json::{Map, Value, json};

/// Which spelling of TLS and ACL settings Consul understands; see [`hah_node::paths::CONSUL_DIALECT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsulDialect {
    /// Before 1.11 and 1.12: settings of TLS at the top, the first token is the `master`.
    Old,
    /// `tls {}` and `initial_management`.
    New,
}

impl ConsulDialect {
    /// From the text of the image's file.
    pub(crate) fn parse(text: &str) -> Self {
        let mut numbers = text.trim().split('.').map_while(|number| number.parse::<u32>().ok());
        match (numbers.next(), numbers.next()) {
            (Some(1), Some(minor)) if minor < 12 => Self::Old,
            _ => Self::New,
        }
    }
}

/// A file below [`SECRETS`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SecretFile<'i> {
    /// `consul/key.pem`.
    pub(crate) name: String,
    pub(crate) content: Cow<'i, str>,
    /// Whose it is: the program, by its user's name.
    pub(crate) program: &'static str,
}

/// Every secret file of an identity.
pub(crate) fn secret_files(identity: &Identity) -> Vec<SecretFile<'_>> {
    let mut files = Vec::new();
    if let Some(consul) = &identity.consul {
        pem("consul", consul.tls.as_ref(), &mut files);
        token("consul", "consul.token", consul.tokens.hah.as_ref(), &mut files);
        token("prometheus", "prometheus/consul_token", consul.tokens.prometheus.as_ref(), &mut files);
    }
    if let Some(nomad) = &identity.nomad {
        pem("nomad", nomad.tls.as_ref(), &mut files);
        token("nomad", "nomad.token", nomad.tokens.hah.as_ref(), &mut files);
    }
    if let Some(vault) = &identity.vault {
        pem("vault", vault.tls.as_ref(), &mut files);
        token("vault", "vault/role-id", vault.role_id.as_ref(), &mut files);
        token("vault", "vault/wrapped-secret-id", vault.wrapped_secret_id.as_ref(), &mut files);
    }
    let Alertmanager { webhook, heartbeat } = &identity.alertmanager;
    token("prometheus", "alertmanager/webhook", webhook.as_ref(), &mut files);
    token("prometheus", "alertmanager/heartbeat", heartbeat.as_ref(), &mut files);
    let setup = identity.setup.as_ref().and_then(|setup| serde_json::to_string(setup).ok());
    let name = SETUP.strip_prefix(SECRETS).unwrap_or(SETUP).trim_start_matches('/').to_owned();
    files.extend(setup.map(|setup| SecretFile { name, content: Cow::Owned(setup), program: "root" }));
    files
}

/// Whose certificates the programs of an identity believe: the program and the authority, PEM. No secrets.
pub(crate) fn authorities(identity: &Identity) -> Vec<(&'static str, &str)> {
    let consul = identity.consul.as_ref().and_then(|consul| consul.tls.as_ref());
    let nomad = identity.nomad.as_ref().and_then(|nomad| nomad.tls.as_ref());
    let vault = identity.vault.as_ref().and_then(|vault| vault.tls.as_ref());
    let all = [("consul", consul), ("nomad", nomad), ("vault", vault)];
    all.into_iter().filter_map(|(program, tls)| Some((program, tls?.ca.as_str()))).collect()
}

fn pem<'i>(program: &'static str, tls: Option<&'i Tls>, files: &mut Vec<SecretFile<'i>>) {
    let Some(Tls { ca, cert, key }) = tls else { return };
    for (name, content) in [("ca", ca.as_str()), ("cert", cert), ("key", key.reveal())] {
        files.push(SecretFile { name: format!("{program}/{name}.pem"), content: content.into(), program });
    }
}

fn token<'i>(program: &'static str, name: &str, token: Option<&'i Secret>, files: &mut Vec<SecretFile<'i>>) {
    files.extend(token.map(|token| SecretFile { name: name.to_owned(), content: token.reveal().into(), program }));
}

/// The token by which Consul puts services of its own configuration into the catalog, where requests without a token may
/// not: the agent's own.
fn services_token(consul: &Consul) -> Option<&Secret> {
    let asks = consul.acl == Some(Policy::Deny) && consul.tokens.default.is_none();
    consul.tokens.agent.as_ref().filter(|_| asks)
}

/// A file of Consul's configuration with [`services_token`] in its services, for versions that have no such setting;
/// nothing when it has no services.
pub(crate) fn consul_services(consul: &Consul, file: &Value, dialect: ConsulDialect) -> Option<Value> {
    let token = services_token(consul).filter(|_| dialect == ConsulDialect::Old)?;
    let mut file = file.as_object()?.clone();
    let mut found = false;
    let mut add = |service: &mut Value| {
        if let Some(service) = service.as_object_mut() {
            service.entry("token").or_insert_with(|| token.reveal().into());
            found = true;
        }
    };
    file.get_mut("service").into_iter().for_each(&mut add);
    file.get_mut("services").and_then(Value::as_array_mut).into_iter().flatten().for_each(&mut add);
    found.then_some(Value::Object(file))
}

/// `identity.json` for Consul. A server that is to set the cluster up brings the management token in.
pub(crate) fn consul(consul: &Consul, setup: Option<&Setup>, hostname: &str, dialect: ConsulDialect) -> Value {
    let Consul { datacenter, server, bootstrap_expect, retry_join, advertise, bind, encrypt, tls, acl, tokens } =
        consul;
    let mut fragment = Map::new();
    put(&mut fragment, "node_name", Some(hostname));
    put(&mut fragment, "datacenter", datacenter.as_deref());
    put(&mut fragment, "server", *server);
    put(&mut fragment, "bootstrap_expect", *bootstrap_expect);
    // Consul takes an IPv6 address without brackets for a name.
    let joined = |host: &String| host.parse().map_or_else(|_| host.clone(), in_url);
    let retry_join: Vec<String> = retry_join.iter().map(joined).collect();
    put(&mut fragment, "retry_join", (!retry_join.is_empty()).then_some(retry_join));
    put(&mut fragment, "advertise_addr", advertise.as_deref());
    put(&mut fragment, "bind_addr", bind.as_deref());
    put(&mut fragment, "encrypt", encrypt.as_ref().map(Secret::reveal));
    if tls.is_some() {
        let [ca, cert, key] = pem_paths("consul");
        match dialect {
            ConsulDialect::New => put(
                &mut fragment,
                "tls",
                Some(json!({"internal_rpc": {"ca_file": ca, "cert_file": cert, "key_file": key,
                    "verify_incoming": true, "verify_outgoing": true, "verify_server_hostname": true}})),
            ),
            ConsulDialect::Old => {
                for (name, path) in [("ca_file", ca), ("cert_file", cert), ("key_file", key)] {
                    put(&mut fragment, name, Some(path));
                }
                for name in ["verify_incoming_rpc", "verify_outgoing", "verify_server_hostname"] {
                    put(&mut fragment, name, Some(true));
                }
            }
        }
    }
    if let Some(policy) = acl {
        let first = if dialect == ConsulDialect::New { "initial_management" } else { "master" };
        let management = setup.filter(|_| *server == Some(true)).map(|setup| &setup.consul);
        let services = services_token(consul).filter(|_| dialect == ConsulDialect::New);
        let mut known = Map::new();
        for (name, token) in [
            (first, tokens.initial_management.as_ref().or(management)),
            ("agent", tokens.agent.as_ref()),
            ("default", tokens.default.as_ref()),
            ("config_file_service_registration", services),
        ] {
            put(&mut known, name, token.map(Secret::reveal));
        }
        let policy = if *policy == Policy::Deny { "deny" } else { "allow" };
        let mut acl = Map::new();
        put(&mut acl, "enabled", Some(true));
        put(&mut acl, "default_policy", Some(policy));
        put(&mut acl, "enable_token_persistence", Some(true));
        put(&mut acl, "tokens", (!known.is_empty()).then_some(known));
        put(&mut fragment, "acl", Some(acl));
    }
    Value::Object(fragment)
}

/// `identity.json` for Nomad.
pub(crate) fn nomad(nomad: &Nomad, hostname: &str) -> Value {
    let Nomad { bootstrap_expect, advertise, encrypt, tls, acl, tokens, meta } = nomad;
    let mut fragment = Map::new();
    put(&mut fragment, "name", Some(hostname));
    let mut server = Map::new();
    put(&mut server, "bootstrap_expect", *bootstrap_expect);
    put(&mut server, "encrypt", encrypt.as_ref().map(Secret::reveal));
    put(&mut fragment, "server", (!server.is_empty()).then_some(server));
    let advertise = advertise.as_deref().map(|address| json!({"http": address, "rpc": address, "serf": address}));
    put(&mut fragment, "advertise", advertise);
    if tls.is_some() {
        let [ca, cert, key] = pem_paths("nomad");
        let tls = json!({"rpc": true, "http": false, "ca_file": ca, "cert_file": cert, "key_file": key,
            "verify_server_hostname": true});
        put(&mut fragment, "tls", Some(tls));
    }
    put(&mut fragment, "acl", acl.then(|| json!({"enabled": true})));
    put(&mut fragment, "consul", tokens.consul.as_ref().map(|token| json!({"token": token.reveal()})));
    put(&mut fragment, "client", (!meta.is_empty()).then(|| json!({"meta": meta})));
    Value::Object(fragment)
}

/// `identity.json` for Vault, or nothing when there is nothing to say. `image` is the image's own configuration.
///
/// A node does not join itself: a Vault that tries stays sealed and says so for ever.
pub(crate) fn vault(
    vault: &Vault,
    hostname: &str,
    own: &[IpAddr],
    image: Option<&Value>,
) -> Result<Option<Value>, String> {
    let Vault { retry_join, tls, role_id: _, wrapped_secret_id: _ } = vault;
    let raft = image.and_then(|image| block(image.get("storage")?)?.get("raft")).and_then(block);
    let Some(raft) = raft else {
        let problem = "the image's Vault has no `storage.raft`, so there is nothing to join";
        return if retry_join.is_empty() { Ok(None) } else { Err(problem.to_owned()) };
    };
    let [ca, cert, key] = pem_paths("vault");
    let is_own = |host: &str| match host.parse() {
        Ok(address) => own.contains(&address),
        Err(_) => host.trim_end_matches('.').trim_end_matches(".local").eq_ignore_ascii_case(hostname),
    };
    // A fleet that is open leaves TLS to its images, and its identities cannot know what those chose.
    let talks_tls = image.is_some_and(listens_by_tls);
    let leaders: Vec<Value> = retry_join
        .iter()
        .filter(|url| !host(url).is_some_and(is_own))
        .map(|url| match url.strip_prefix("http://") {
            Some(rest) if talks_tls => format!("https://{rest}"),
            _ => url.clone(),
        })
        .map(|url| match tls {
            Some(_) if url.starts_with("https:") => json!({"leader_api_addr": url, "leader_ca_cert_file": ca,
                "leader_client_cert_file": cert, "leader_client_key_file": key}),
            _ => json!({"leader_api_addr": url}),
        })
        .collect();
    let mut raft = raft.clone();
    put(&mut raft, "node_id", Some(hostname));
    put(&mut raft, "retry_join", (!leaders.is_empty()).then_some(leaders));
    Ok(Some(json!({"storage": {"raft": raft}})))
}

/// Whether the listeners of a Vault have a certificate, as the image configures them.
fn listens_by_tls(image: &Value) -> bool {
    let listeners = match image.get("listener") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    listeners.iter().filter_map(|item| block(item.get("tcp")?)).any(|tcp| tcp.contains_key("tls_cert_file"))
}

/// A block of HCL in JSON: an object, or a list with one.
fn block(value: &Value) -> Option<&Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        Value::Array(items) => items.first()?.as_object(),
        _ => None,
    }
}

/// The host of a URL, without brackets.
fn host(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next(),
    }
}

fn pem_paths(program: &str) -> [String; 3] {
    ["ca", "cert", "key"].map(|name| format!("{SECRETS}/{program}/{name}.pem"))
}

fn put(object: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text))
    }

    fn tls() -> Option<Tls> {
        Some(Tls { ca: "CA".into(), cert: "CERT".into(), key: Secret::new("KEY") })
    }

    #[test]
    fn dialects() {
        for (text, wanted) in [
            ("1.8\n", ConsulDialect::Old),
            ("1.8.7", ConsulDialect::Old),
            ("1.12", ConsulDialect::New),
            ("2.0", ConsulDialect::New),
            ("", ConsulDialect::New),
            ("new", ConsulDialect::New),
        ] {
            assert_eq!(ConsulDialect::parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_consul_server() {
        let settings = Consul {
            datacenter: Some("home".into()),
            server: Some(true),
            bootstrap_expect: Some(3),
            retry_join: vec!["10.0.0.1".into(), "fd00::1".into(), "pi4.local".into()],
            advertise: Some("10.0.0.2".into()),
            encrypt: secret("GOSSIP"),
            tls: tls(),
            acl: Some(Policy::Allow),
            tokens: hah_node::identity::ConsulTokens { initial_management: secret("FIRST"), ..Default::default() },
            ..Consul::default()
        };
        let new = consul(&settings, None, "a", ConsulDialect::New);
        assert_eq!(new["node_name"], "a");
        assert_eq!(new["retry_join"], json!(["10.0.0.1", "[fd00::1]", "pi4.local"]));
        assert_eq!(new["tls"]["internal_rpc"]["key_file"], "/run/hah/secrets/consul/key.pem");
        assert_eq!(new["acl"]["tokens"], json!({"initial_management": "FIRST"}));
        assert_eq!(new["acl"]["default_policy"], "allow");
        let old = consul(&settings, None, "a", ConsulDialect::Old);
        assert_eq!(old["key_file"], "/run/hah/secrets/consul/key.pem");
        assert_eq!((&old["verify_outgoing"], old.get("tls")), (&json!(true), None));
        assert_eq!(old["acl"]["tokens"], json!({"master": "FIRST"}));
        assert_eq!(consul(&Consul::default(), None, "a", ConsulDialect::New), json!({"node_name": "a"}));
    }

    #[test]
    fn a_server_that_sets_a_closed_cluster_up() {
        let tokens = hah_node::identity::ConsulTokens { agent: secret("AGENT"), ..Default::default() };
        let settings = Consul { server: Some(true), acl: Some(Policy::Deny), tokens, ..Consul::default() };
        let setup = Setup { consul: Secret::new("M"), ..Setup::default() };
        let new = consul(&settings, Some(&setup), "a", ConsulDialect::New);
        let wanted = json!({"initial_management": "M", "agent": "AGENT", "config_file_service_registration": "AGENT"});
        assert_eq!(new["acl"]["tokens"], wanted);
        let old = consul(&settings, Some(&setup), "a", ConsulDialect::Old);
        assert_eq!(old["acl"]["tokens"], json!({"master": "M", "agent": "AGENT"}));
        let after = consul(&settings, None, "a", ConsulDialect::Old);
        assert_eq!(after["acl"]["tokens"], json!({"agent": "AGENT"}));
        let client = Consul { server: Some(false), ..settings.clone() };
        assert_eq!(consul(&client, Some(&setup), "a", ConsulDialect::Old)["acl"]["tokens"], json!({"agent": "AGENT"}));

        let file = json!({"services": [{"name": "a"}, {"name": "b", "token": "OWN"}], "service": {"name": "c"}});
        let wanted = json!({"services": [{"name": "a", "token": "AGENT"}, {"name": "b", "token": "OWN"}],
            "service": {"name": "c", "token": "AGENT"}});
        assert_eq!(consul_services(&settings, &file, ConsulDialect::Old), Some(wanted));
        assert_eq!(consul_services(&settings, &file, ConsulDialect::New), None);
        assert_eq!(consul_services(&settings, &json!({"datacenter": "x"}), ConsulDialect::Old), None);
        let open = Consul { acl: Some(Policy::Allow), ..settings };
        assert_eq!(consul_services(&open, &file, ConsulDialect::Old), None);
    }

    #[test]
    fn a_nomad_server() {
        let settings = Nomad {
            bootstrap_expect: Some(3),
            advertise: Some("10.0.0.2".into()),
            encrypt: secret("GOSSIP"),
            meta: [("board".to_owned(), "pi4".to_owned())].into(),
            tls: tls(),
            ..Nomad::default()
        };
        let fragment = nomad(&settings, "a");
        assert_eq!(fragment["server"], json!({"bootstrap_expect": 3, "encrypt": "GOSSIP"}));
        assert_eq!(fragment["advertise"]["rpc"], "10.0.0.2");
        assert_eq!(fragment["tls"]["ca_file"], "/run/hah/secrets/nomad/ca.pem");
        assert_eq!(fragment["client"]["meta"]["board"], "pi4");
        assert_eq!(nomad(&Nomad::default(), "a"), json!({"name": "a"}));
    }

    /// The identities of an open fleet say http, since the image decides; a Vault that asked so would never join.
    #[test]
    fn a_vault_that_talks_tls_joins_by_tls() {
        let storage = json!([{"raft": [{"path": "/var/lib/vault"}]}]);
        let settings = Vault { retry_join: vec!["http://10.0.0.1:8200".into()], tls: tls(), ..Vault::default() };
        let joined = |listener: Value| {
            let image = json!({"storage": storage, "listener": listener});
            vault(&settings, "b", &[], Some(&image)).unwrap().unwrap()["storage"]["raft"]["retry_join"][0].clone()
        };
        let tcp = json!({"address": "127.0.0.1:8200", "tls_cert_file": "/run/hah/secrets/vault/cert.pem"});
        for listener in [json!([{"tcp": tcp}]), json!({"tcp": tcp}), json!([{"tcp": [tcp]}])] {
            let leader = joined(listener);
            assert_eq!(leader["leader_api_addr"], "https://10.0.0.1:8200");
            assert_eq!(leader["leader_ca_cert_file"], "/run/hah/secrets/vault/ca.pem");
        }
        let plain = joined(json!([{"tcp": {"address": "127.0.0.1:8200", "tls_disable": true}}]));
        assert_eq!(plain, json!({"leader_api_addr": "http://10.0.0.1:8200"}));
    }

    #[test]
    fn a_vault_joins_the_others() {
        let image = json!({"storage": [{"raft": [{"path": "/var/lib/vault", "performance_multiplier": 5}]}]});
        let settings = Vault {
            retry_join: vec![
                "http://10.0.0.1:8200".into(),
                "http://10.0.0.2:8200".into(),
                "https://[fd00::3]:8200".into(),
                "http://b.local:8200".into(),
            ],
            tls: tls(),
            ..Vault::default()
        };
        let own = ["10.0.0.2".parse().unwrap()];
        let fragment = vault(&settings, "b", &own, Some(&image)).unwrap().unwrap();
        let raft = &fragment["storage"]["raft"];
        assert_eq!((&raft["path"], &raft["node_id"]), (&json!("/var/lib/vault"), &json!("b")));
        assert_eq!(raft["retry_join"].as_array().unwrap().len(), 2);
        assert_eq!(raft["retry_join"][0], json!({"leader_api_addr": "http://10.0.0.1:8200"}));
        assert_eq!(raft["retry_join"][1]["leader_ca_cert_file"], "/run/hah/secrets/vault/ca.pem");
        assert!(vault(&settings, "b", &[], Some(&json!({}))).is_err());
        assert_eq!(vault(&Vault::default(), "b", &[], None), Ok(None));
    }

    #[test]
    fn files_of_secrets() {
        let mut identity = Identity { version: 1, ..Identity::default() };
        assert_eq!(secret_files(&identity), []);
        identity.alertmanager.webhook = secret("https://example.org/HOOK");
        identity.vault = Some(Vault { role_id: secret("ROLE"), tls: tls(), ..Vault::default() });
        let consul = Consul {
            tokens: hah_node::identity::ConsulTokens { hah: secret("T"), ..Default::default() },
            ..Consul::default()
        };
        identity.consul = Some(consul);
        let names: Vec<String> = secret_files(&identity).into_iter().map(|file| file.name).collect();
        assert_eq!(
            names,
            [
                "consul.token",
                "vault/ca.pem",
                "vault/cert.pem",
                "vault/key.pem",
                "vault/role-id",
                "alertmanager/webhook"
            ]
        );
    }
}
