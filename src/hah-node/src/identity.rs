//! Who a node is: `hah/node.json`, version 1, as `hah-image flash` writes it onto a card and stage 1 takes it from there.
//!
//! ```text
//! cluster.toml ┐                      card (FAT)               data partition                      every boot
//! secrets      ┴─ flash ─► hah/node.json ─ first boot ─► /var/lib/hah/identity/node.json (0600) ─► /etc, /run/hah/secrets
//!                             wiped ◄──────────┘
//! ```
//!
//! Everything is optional but the version: what a file leaves out, the image decides.
//! The types say the shape; [`Identity::flaw`] says what a value may be, for both sides alike, and never repeats a secret.
//! Unknown keys are errors: a key that does nothing is a misunderstanding.

mod check;
pub mod refusal;
mod secret;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use check::Flaw;
pub use secret::Secret;

/// The version that this crate describes.
pub const VERSION: u32 = 1;
/// Largest file that is read, in bytes. A node with three certificates needs about 10 KiB.
pub const FILE_MAX: usize = 64 << 10;

/// What [`Identity`] is read after: files of another version are refused by their number, not by what is new in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Probe {
    /// The file's version.
    pub version: u32,
}

/// A node's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// [`VERSION`].
    pub version: u32,
    /// The node's name: hostname, Consul's and Nomad's node name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Name below `/usr/share/zoneinfo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The person's account.
    #[serde(default, skip_serializing_if = "is_default")]
    pub user: User,
    /// The way in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ssh: Ssh,
    /// The wireless network to join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wifi: Option<Wifi>,
    /// Addresses by kind of interface.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: Network,
    /// What the image leaves open of Consul.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consul: Option<Consul>,
    /// What the image leaves open of Nomad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nomad: Option<Nomad>,
    /// What the image leaves open of Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<Vault>,
    /// Whom Alertmanager tells, on images that leave it open.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alertmanager: Alertmanager,
    /// Who reaches the node, on images that have a firewall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Firewall>,
    /// Who may give the node another system: public keys of minisign(1), as its key files have them, base64.
    ///
    /// Whoever is root on the node may do that anyway; with a key here a generation without its signature is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub release_keys: Vec<String>,
    /// What a server of a closed cluster needs until its access control is set up; the agent removes it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Setup>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Where alerts go. Such a URL is a password: whoever has it may send there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// URL that gets the alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Secret>,
    /// URL that gets the Watchdog, and complains when it stays away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Secret>,
}

/// The person's account. The image's own is `hah`, with id 1000.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Another name for the same account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// crypt(5) hash of the password; without one only keys log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<Secret>,
}

/// The SSH server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// Whether it runs; the image decides without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether a password may log in; the image decides without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_authentication: Option<bool>,
    /// Lines of authorized_keys, beside those of the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorized_keys: Vec<String>,
}

/// A wireless network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wifi {
    /// Its name: 1 to 32 bytes.
    pub ssid: String,
    /// Passphrase of 8 to 63 characters, or the 64 hex digits of a key; without one the network is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psk: Option<Secret>,
    /// Two letters (ISO 3166): which channels the radio may use.
    pub country: String,
    /// Whether the network does not announce its name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hidden: bool,
}

/// Addresses by kind of interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Every wired interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethernet: Option<Interface>,
    /// `wlan0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wlan: Option<Interface>,
}

/// An interface's addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// `192.168.1.10/24`; none means DHCP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Default route; only with addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Name servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
}

/// Certificates and key, PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Who is believed.
    pub ca: String,
    /// The node's certificate.
    pub cert: String,
    /// Its key.
    pub key: Secret,
}

/// Who reaches the node. SSH, mDNS, DHCP and ICMP are open to everybody; all else is for those whom this names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// Addresses and prefixes from which every port is reached: `192.168.1.10`, `192.168.1.0/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<String>,
    /// Ports, TCP and UDP, that everybody reaches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_ports: Vec<u16>,
}

/// The set-up of a closed cluster: who may do it, and which tokens it makes. Only servers have it, and only until they
/// have done it: `hah-agent loop` takes it out of the identity on the data partition then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Consul's management token: a UUID.
    pub consul: Secret,
    /// Nomad's management token: a UUID; for clusters with Nomad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nomad: Option<Secret>,
    /// The tokens that Consul is to know, by node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, SetupTokens>,
}

/// One node's tokens for Consul, UUIDs each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupTokens {
    /// Of the Consul agent itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Secret>,
    /// Of Nomad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nomad: Option<Secret>,
    /// Of hah-agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hah: Option<Secret>,
    /// Of Prometheus, where systemd runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Secret>,
    /// Whether the node submits the job that closes the loop, and so writes the cluster's marker.
    #[serde(default, skip_serializing_if = "is_default")]
    pub submits: bool,
}

/// What is decided where nothing says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Everything is allowed that no rule forbids.
    Allow,
    /// Everything is forbidden that no rule allows.
    Deny,
}

/// Consul.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consul {
    /// The datacenter's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// Whether the node votes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<bool>,
    /// How many servers elect the first leader; for servers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_expect: Option<u8>,
    /// Addresses of servers, or go-discover strings; tried for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry_join: Vec<String>,
    /// Address that the others are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// Address that the agent listens on for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<String>,
    /// Gossip key: 16, 24 or 32 bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt: Option<Secret>,
    /// Certificates of the RPC between agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Switches ACLs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<Policy>,
    /// ACL tokens.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tokens: ConsulTokens,
}

/// Consul's ACL tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsulTokens {
    /// The first management token; for servers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_management: Option<Secret>,
    /// What the agent itself uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Secret>,
    /// What requests without a token use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Secret>,
    /// What hah-agent uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hah: Option<Secret>,
    /// What Prometheus uses where systemd runs it; a job of Nomad's gets its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Secret>,
}

/// Nomad.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nomad {
    /// How many servers elect the first leader; for servers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_expect: Option<u8>,
    /// Address that the others are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// Gossip key of servers: 16, 24 or 32 bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt: Option<Secret>,
    /// Certificates of the RPC between agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Switches ACLs on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub acl: bool,
    /// Nomad's ACL tokens.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tokens: NomadTokens,
    /// The client's metadata, for constraints of jobs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
}

/// Tokens around Nomad.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NomadTokens {
    /// Nomad's own token for Consul.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consul: Option<Secret>,
    /// What hah-agent uses with Nomad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hah: Option<Secret>,
}

/// Vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// API addresses of the servers to join: `http://192.168.1.10:8200`; for servers only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry_join: Vec<String>,
    /// Certificates; the image's listener decides whether it uses them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// AppRole's role-id, for Vault Agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<Secret>,
    /// AppRole's response-wrapped secret-id, for Vault Agent: good once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped_secret_id: Option<Secret>,
}
