//! The fleet of `cluster.toml`: its nodes, and what each one's card gets.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hah_format::digest::Sha256;
use hah_node::identity::{FILE_MAX, Identity};
use hah_plan::cluster::{Cluster, Secrets};
use hah_plan::diagnostic::{Diagnostics, did_you_mean};
use hah_plan::system::System;
use zeroize::Zeroizing;

use super::ProjectError;
use super::{CLUSTER, Project, secrets};
use crate::advice::Advised;
use crate::programs::ssh::{KNOWN_HOSTS, Route};

/// The port of an SSH server that says nothing else, which the firewall of every node lets in.
const SSH_PORT: u16 = 22;
/// What the recipe `ssh` calls its part of sshd's configuration.
const SSHD_CONFIG: &str = "/etc/ssh/sshd_config.d/10-hah.conf";

/// A fleet, or a node of it, that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The project's files cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The project has no fleet.
    #[error("there is no {}", .0.display())]
    NoCluster(PathBuf),
    /// The fleet has no such node.
    #[error("cluster.toml has no node `{name}`")]
    NoNode {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// A fleet needs secrets, and none were made.
    #[error("{}, and there is no {}", if *closed { "the cluster is closed" } else { "the cluster wants secrets" }, secrets::FILE)]
    NoSecrets {
        /// Whether that is because strangers are kept out.
        closed: bool,
    },
    /// A secret is not made yet.
    #[error("secrets.age lacks {0}")]
    Lacking(String),
    /// A node would refuse its identity.
    #[error("the identity{} cannot be used: {flaw}", node.as_ref().map(|node| format!(" of {node}")).unwrap_or_default())]
    Flaw {
        /// Name of the node, when it is known.
        node: Option<String>,
        /// The cause, as whoever met it tells it.
        flaw: String,
    },
    /// An identity that does not fit into what a node reads.
    #[error("the identity has {0} bytes; a node reads at most {FILE_MAX}")]
    TooLarge(usize),
    /// An identity that is no JSON.
    #[error("the identity cannot be written")]
    Json(#[source] serde_json::Error),
}

impl Advised for FleetError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.hint(),
            Self::NoCluster(_) => Some("`hah-image init` writes one; docs/identity.md says what belongs in it".into()),
            Self::NoNode { hint, .. } => Some(hint.clone()),
            Self::NoSecrets { .. } => Some("make them: hah-image secrets init".into()),
            Self::Lacking(_) => {
                Some("`hah-image secrets update` makes what can be made, `hah-image secrets set` takes the rest".into())
            }
            Self::TooLarge(_) => Some("shorten its lists and certificates".into()),
            Self::Flaw { .. } | Self::Json(_) => None,
        }
    }

    fn diagnostics(&self) -> Option<&Diagnostics> {
        match self {
            Self::Project(error) => error.diagnostics(),
            _ => None,
        }
    }
}

/// A node of the fleet with all that its card gets.
pub struct FleetNode {
    /// Its name.
    pub name: String,
    /// The image that it runs.
    pub image: String,
    /// Who it is.
    pub identity: Identity,
    /// Changes when anything in the identity does; see [`fingerprint`].
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
pub fn cluster_of(project: &Project) -> Result<Cluster, FleetError> {
    project.cluster()?.ok_or_else(|| FleetError::NoCluster(project.root().join(CLUSTER)))
}

/// Refuses a project whose closed fleet has no secrets yet: its images ask everybody for tokens and certificates, and no card
/// would have any.
pub fn check_secrets_exist(project: &Project) -> Result<(), FleetError> {
    let is_closed = project.cluster()?.is_some_and(|cluster| cluster.is_closed());
    let file = secrets::path(project.root());
    if is_closed && crate::files::symlink_metadata(&file).is_err() {
        return Err(FleetError::NoSecrets { closed: true });
    }
    Ok(())
}

/// The images that a project is about: its own, and those that its cluster names. Where there are none of either, those
/// that the lock has: somebody builds shipped images. None at all when there is no lock either.
pub fn every_image(project: &Project) -> Result<BTreeSet<String>, ProjectError> {
    let mut images: BTreeSet<String> = project.own_images().clone();
    if let Some(cluster) = project.cluster()? {
        images.extend(cluster.nodes.into_values().map(|node| node.image));
    }
    if images.is_empty() {
        let lock = project.lock()?.unwrap_or_default();
        images.extend(lock.images().iter().map(|image| image.name.clone()));
    }
    Ok(images)
}

/// A node of a fleet whose secrets are open.
pub fn fleet_node(project: &Project, cluster: &Cluster, opened: &Secrets, name: &str) -> Result<FleetNode, FleetError> {
    if let Some(what) = secrets::missing(cluster, opened, name) {
        return Err(FleetError::Lacking(what));
    }
    let (Some(mut identity), Some(member)) = (cluster.identity(name, opened), cluster.nodes.get(name)) else {
        return Err(no_such_node(cluster, name));
    };
    // The firewall knows port 22; an image whose SSH server listens elsewhere would shut everybody out.
    if let Some(firewall) = &mut identity.firewall
        && let Some(port) = project.system(&member.image, &[]).ok().and_then(|system| ssh_port(&system))
        && port != SSH_PORT
        && !firewall.open_ports.contains(&port)
    {
        firewall.open_ports.push(port);
    }
    if let Some(flaw) = identity.flaw() {
        return Err(FleetError::Flaw { node: Some(name.to_owned()), flaw: flaw.to_string() });
    }
    let fingerprint = fingerprint(opened, &identity)?;
    Ok(FleetNode { name: name.to_owned(), image: member.image.clone(), identity, fingerprint })
}

/// There is no such node.
pub fn no_such_node(cluster: &Cluster, name: &str) -> FleetError {
    let names: Vec<&str> = cluster.nodes.keys().map(String::as_str).collect();
    let hint = did_you_mean(name, names.iter().copied())
        .map_or_else(|| format!("its nodes: {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
    FleetError::NoNode { name: name.to_owned(), hint }
}

/// The way to a node of the fleet, for whoever runs something there.
pub fn route_to(project: &Project, cluster: &Cluster, name: &str) -> Result<Route, FleetError> {
    let member = cluster.nodes.get(name).ok_or_else(|| no_such_node(cluster, name))?;
    let address = member.address.as_deref().and_then(|address| address.split('/').next());
    Ok(Route {
        node: name.to_owned(),
        host: address.map_or_else(|| format!("{name}.local"), str::to_owned),
        port: ssh_port(&project.system(&member.image, &[])?).unwrap_or(SSH_PORT),
        known_hosts: project.root().join(KNOWN_HOSTS),
        options: Vec::new(),
    })
}

/// The port that an image's SSH server listens on, as its configuration says.
fn ssh_port(system: &System) -> Option<u16> {
    let file = system.files.iter().find(|file| file.path.to_string() == SSHD_CONFIG)?;
    let text = String::from_utf8_lossy(&file.bytes);
    text.lines().find_map(|line| line.trim().strip_prefix("Port ")?.trim().parse().ok())
}

/// `node.json`, as it goes onto a card.
pub fn node_json(identity: &Identity) -> Result<Vec<u8>, FleetError> {
    if let Some(flaw) = identity.flaw() {
        return Err(FleetError::Flaw { node: None, flaw: flaw.to_string() });
    }
    let mut text = serde_json::to_vec_pretty(identity).map_err(FleetError::Json)?;
    text.push(b'\n');
    if text.len() > FILE_MAX {
        return Err(FleetError::TooLarge(text.len()));
    }
    Ok(text)
}

/// Changes when anything in an identity does, and tells nothing else about it: its digest, keyed by a secret of the
/// cluster, since a digest alone would let anybody try passphrases. None when the secrets are older than that key.
pub fn fingerprint(secrets: &Secrets, identity: &Identity) -> Result<Option<String>, FleetError> {
    let key = match &secrets.record_key {
        Some(key) => key.reveal(),
        // A fleet without secrets has none to guess.
        None if secrets.version == 0 => "",
        None => return Ok(None),
    };
    let mut bytes = Zeroizing::new(format!("hah-image identity\n{key}\n").into_bytes());
    bytes.extend(Zeroizing::new(node_json(identity)?).iter());
    Ok(Some(Sha256::of(&bytes).to_string()[..32].to_owned()))
}
