//! The fleet of `cluster.toml`: its nodes, and what each one's card gets.

use hah_node::identity::{FILE_MAX, Identity};
use hah_plan::cluster::{Cluster, Secrets};
use hah_plan::diagnostic::did_you_mean;

use super::{CLUSTER, Project, secrets};
use crate::failure::Failure;

/// A node of the fleet with all that its card gets.
pub struct FleetNode {
    /// Its name.
    pub name: String,
    /// The image that it runs.
    pub image: String,
    /// Who it is.
    pub identity: Identity,
    /// Changes when anything in the identity does; see [`secrets::fingerprint`].
    pub fingerprint: Option<String>,
}

impl FleetNode {
    /// Its first fixed address.
    pub fn address(&self) -> Option<&str> {
        let network = &self.identity.network;
        let interface = network.ethernet.as_ref().or(network.wlan.as_ref())?;
        interface.addresses.first().map(String::as_str)
    }
}

/// The project's fleet.
pub fn cluster_of(project: &Project) -> Result<Cluster, Failure> {
    project.cluster()?.ok_or_else(|| {
        Failure::user(
            format!("there is no {}", project.root().join(CLUSTER).display()),
            Some("`hah-image init` writes one; docs/identity.md says what belongs into it".into()),
        )
    })
}

/// A node of a fleet whose secrets are open.
pub fn fleet_node(cluster: &Cluster, opened: &Secrets, name: &str) -> Result<FleetNode, Failure> {
    if let Some(what) = secrets::missing(cluster, opened, name) {
        return Err(Failure::user(
            format!("secrets.age lacks {what}"),
            Some("`hah-image secrets update` makes what can be made, `hah-image secrets set` takes the rest".into()),
        ));
    }
    let (Some(identity), Some(member)) = (cluster.identity(name, opened), cluster.nodes.get(name)) else {
        return Err(no_such_node(cluster, name));
    };
    if let Some(flaw) = identity.flaw() {
        return Err(Failure::user(format!("the identity of {name} cannot be used: {flaw}"), None));
    }
    let fingerprint = secrets::fingerprint(opened, &identity)?;
    Ok(FleetNode { name: name.to_owned(), image: member.image.clone(), identity, fingerprint })
}

/// There is no such node.
pub fn no_such_node(cluster: &Cluster, name: &str) -> Failure {
    let names: Vec<&str> = cluster.nodes.keys().map(String::as_str).collect();
    let hint = did_you_mean(name, names.iter().copied())
        .map_or_else(|| format!("its nodes: {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
    Failure::user(format!("cluster.toml has no node `{name}`"), Some(hint))
}

/// `node.json`, as it goes onto a card.
pub fn node_json(identity: &Identity) -> Result<Vec<u8>, Failure> {
    if let Some(flaw) = identity.flaw() {
        return Err(Failure::user(format!("the identity cannot be used: {flaw}"), None));
    }
    let mut text = serde_json::to_vec_pretty(identity).map_err(|error| Failure::user(error.to_string(), None))?;
    text.push(b'\n');
    if text.len() > FILE_MAX {
        return Err(Failure::user(
            format!("the identity has {} bytes; a node reads at most {FILE_MAX}", text.len()),
            Some("shorten its lists and certificates".into()),
        ));
    }
    Ok(text)
}
