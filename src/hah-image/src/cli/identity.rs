//! `identity`: what a node's card would get.

use clap::{Args, Subcommand};
use hah_node::identity::Identity;
use serde_json::Value;

use super::Context;
use super::secrets::{KeyArgs, open};
use crate::failure::Failure;
use crate::project::Project;
use crate::project::fleet::{FleetNode, cluster_of, fleet_node, no_such_node};

/// Verbs of `identity`.
#[derive(Debug, Subcommand)]
pub(super) enum IdentityVerb {
    /// Print a node's node.json, its secrets as dots
    Show(ShowArgs),
}

/// Arguments of `identity show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The node
    node: String,
    #[command(flatten)]
    key: KeyArgs,
}

/// Keys of node.json that hold secrets, whatever is below them.
const SECRET: [&str; 9] =
    ["password_hash", "psk", "encrypt", "key", "tokens", "role_id", "wrapped_secret_id", "alertmanager", "setup"];

/// Runs an `identity` verb.
pub(super) fn run(context: &Context, verb: &IdentityVerb) -> Result<u8, Failure> {
    let IdentityVerb::Show(args) = verb;
    let project = Project::open(&context.directory)?;
    let FleetNode { identity, .. } = of_node(context, &project, &args.node, &args.key)?;
    let text = redacted(&identity).map_err(|error| Failure::user(error.to_string(), None))?;
    context.printer.data(format!("{text:#}\n"));
    Ok(0)
}

/// A node of the project's fleet.
pub(super) fn of_node(context: &Context, project: &Project, name: &str, key: &KeyArgs) -> Result<FleetNode, Failure> {
    let cluster = cluster_of(project)?;
    if !cluster.nodes.contains_key(name) {
        return Err(no_such_node(&cluster, name).into());
    }
    Ok(fleet_node(project, &cluster, &open(context, project, &cluster, key)?, name)?)
}

/// An identity as JSON with dots for its secrets.
fn redacted(identity: &Identity) -> Result<Value, serde_json::Error> {
    fn dots(value: &mut Value) {
        match value {
            Value::Object(object) => object.values_mut().for_each(dots),
            Value::Null | Value::Bool(_) => {}
            other => *other = Value::String("…".to_owned()),
        }
    }
    fn walk(value: &mut Value) {
        if let Value::Object(object) = value {
            for (key, value) in object {
                if SECRET.contains(&key.as_str()) { dots(value) } else { walk(value) }
            }
        }
    }
    let mut value = serde_json::to_value(identity)?;
    walk(&mut value);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_shows() {
        // Every field of every kind; those with CANARY are secrets.
        let text = r#"{"version": 1, "hostname": "a", "user": {"name": "u", "password_hash": "CANARY"},
            "ssh": {"authorized_keys": ["ssh-ed25519 K"]}, "wifi": {"ssid": "s", "psk": "CANARY", "country": "DE"},
            "consul": {"encrypt": "CANARY", "acl": "allow", "tls": {"ca": "C", "cert": "D", "key": "CANARY"},
                "tokens": {"initial_management": "CANARY", "agent": "CANARY", "default": "CANARY", "hah": "CANARY"}},
            "nomad": {"encrypt": "CANARY", "tls": {"ca": "C", "cert": "D", "key": "CANARY"},
                "tokens": {"consul": "CANARY", "hah": "CANARY"}, "meta": {"m": "v"}},
            "vault": {"role_id": "CANARY", "wrapped_secret_id": "CANARY", "retry_join": ["http://x"]},
            "alertmanager": {"webhook": "CANARY", "heartbeat": "CANARY"}}"#;
        let identity: Identity = serde_json::from_str(text).unwrap();
        let shown = redacted(&identity).unwrap().to_string();
        assert!(!shown.contains("CANARY"), "{shown}");
        for kept in ["ssh-ed25519 K", "\"ca\":\"C\"", "\"m\":\"v\"", "http://x", "\"ssid\":\"s\""] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        // Debug shows what is no secret: a new secret of another type would be found here.
        assert!(!format!("{identity:?}").contains("CANARY"));
    }
}
