//! What Consul and Nomad answer about access control, and the marker of the set-up.

use hah_node::closing::{SETUP_VERSION, SetupMarker};
use hah_node::identity::Secret;
use serde::Deserialize;

use super::super::view::SetupMemory;
use super::{Nonsense, kv_entry, or_default, read};

/// Consul's `/v1/kv/KEY`: the marker of the set-up.
pub(crate) fn setup_memory(body: &[u8]) -> Result<SetupMemory, Nonsense> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Some((index, value)) = kv_entry(body)? else { return Ok(SetupMemory::Blank) };
    Ok(match (serde_json::from_slice::<Version>(&value), serde_json::from_slice::<SetupMarker>(&value)) {
        (Ok(Version { version: SETUP_VERSION }), Ok(marker)) => SetupMemory::Known(index, marker),
        (Ok(Version { version: SETUP_VERSION }), Err(error)) => SetupMemory::Foreign(format!("it is damaged: {error}")),
        (Ok(Version { version }), _) => {
            SetupMemory::Foreign(format!("it has version {version}; a newer image wrote it"))
        }
        (Err(_), _) => SetupMemory::Foreign("it is something else".to_owned()),
    })
}

/// A policy, a role or an auth method of Consul in a list of them. Auth methods have no id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Named {
    #[serde(rename = "ID", default, deserialize_with = "or_default")]
    pub(crate) id: String,
    #[serde(rename = "Name", default, deserialize_with = "or_default")]
    pub(crate) name: String,
}

/// Consul's lists of policies, roles and auth methods.
pub(crate) fn named(body: &[u8]) -> Result<Vec<Named>, Nonsense> {
    Ok(read::<Option<Vec<Named>>>(body)?.unwrap_or_default())
}

/// The rules of a policy, of Consul or of Nomad.
pub(crate) fn rules(body: &[u8]) -> Result<String, Nonsense> {
    #[derive(Deserialize)]
    struct Policy {
        #[serde(rename = "Rules", default, deserialize_with = "or_default")]
        rules: String,
    }
    Ok(read::<Policy>(body)?.rules)
}

/// Consul's `/v1/agent/self`: its datacenter.
pub(crate) fn datacenter(body: &[u8]) -> Result<String, Nonsense> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "Datacenter")]
        datacenter: String,
    }
    #[derive(Deserialize)]
    struct Agent {
        #[serde(rename = "Config")]
        config: Config,
    }
    Ok(read::<Agent>(body)?.config.datacenter)
}

/// A token of Consul, without its secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AclToken {
    pub(crate) accessor: String,
    /// Names.
    pub(crate) policies: Vec<String>,
    /// Names of the nodes that it may write.
    pub(crate) nodes: Vec<String>,
}

/// Consul's `/v1/acl/tokens`.
pub(crate) fn acl_tokens(body: &[u8]) -> Result<Vec<AclToken>, Nonsense> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Node {
        #[serde(default, deserialize_with = "or_default")]
        node_name: String,
    }
    #[derive(Deserialize)]
    struct Raw {
        #[serde(rename = "AccessorID", default, deserialize_with = "or_default")]
        accessor: String,
        #[serde(rename = "Policies", default, deserialize_with = "or_default")]
        policies: Vec<Named>,
        #[serde(rename = "NodeIdentities", default, deserialize_with = "or_default")]
        nodes: Vec<Node>,
    }
    let raw: Option<Vec<Raw>> = read(body)?;
    let token = |raw: Raw| AclToken {
        accessor: raw.accessor,
        policies: raw.policies.into_iter().map(|policy| policy.name).collect(),
        nodes: raw.nodes.into_iter().map(|node| node.node_name).collect(),
    };
    Ok(raw.unwrap_or_default().into_iter().map(token).collect())
}

/// A binding rule of Consul.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct BindingRule {
    #[serde(rename = "Selector", default, deserialize_with = "or_default")]
    pub(crate) selector: String,
    #[serde(rename = "BindType", default, deserialize_with = "or_default")]
    pub(crate) kind: String,
    #[serde(rename = "BindName", default, deserialize_with = "or_default")]
    pub(crate) name: String,
}

/// Consul's `/v1/acl/binding-rules`.
pub(crate) fn binding_rules(body: &[u8]) -> Result<Vec<BindingRule>, Nonsense> {
    Ok(read::<Option<Vec<BindingRule>>>(body)?.unwrap_or_default())
}

/// Nomad's answer to a new token: its secret.
pub(crate) fn secret_id(body: &[u8]) -> Result<Secret, Nonsense> {
    #[derive(Deserialize)]
    struct Token {
        #[serde(rename = "SecretID")]
        secret: Secret,
    }
    // serde's message may quote what it does not like.
    let token: Token = serde_json::from_slice(body).map_err(|_| Nonsense::Shape("it has no SecretID"))?;
    Ok(token.secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hah_node::closing::Stage;

    #[test]
    fn markers_of_the_set_up() {
        let check = |value: &str| {
            let body = format!(r#"[{{"ModifyIndex":7,"Value":"{}"}}]"#, STANDARD.encode(value));
            setup_memory(body.as_bytes()).unwrap()
        };
        let marker = SetupMarker { version: 1, stage: Stage::Consul, ready: true, by: "n1".to_owned() };
        assert_eq!(check(&serde_json::to_string(&marker).unwrap()), SetupMemory::Known(7, marker));
        for (text, wanted) in
            [(r#"{"version":2}"#, "it has version 2; a newer image wrote it"), ("x", "it is something else")]
        {
            assert_eq!(check(text), SetupMemory::Foreign(wanted.to_owned()));
        }
        assert!(matches!(check(r#"{"version":1}"#), SetupMemory::Foreign(why) if why.starts_with("it is damaged")));
        assert_eq!(setup_memory(b"[]").unwrap(), SetupMemory::Blank);
        assert!(setup_memory(b"{}").is_err());
    }

    #[test]
    fn tokens_without_their_secrets() {
        let body = br#"[{"AccessorID":"a","Policies":[{"ID":"1","Name":"p"}],"NodeIdentities":[{"NodeName":"n",
            "Datacenter":"dc"}],"Hash":"x"},{"AccessorID":"b","Policies":null}]"#;
        let found = acl_tokens(body).unwrap();
        assert_eq!((&*found[0].accessor, &*found[0].policies[0], &*found[0].nodes[0]), ("a", "p", "n"));
        assert_eq!(found[1], AclToken { accessor: "b".to_owned(), ..AclToken::default() });
        assert_eq!(acl_tokens(b"null").unwrap(), []);
        let wrong = secret_id(br#"{"SecretID":["canary"]}"#).unwrap_err().to_string();
        assert!(!wrong.contains("canary"), "{wrong}");
    }
}
