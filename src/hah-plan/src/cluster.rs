//! A fleet: what `cluster.toml` says, what the secrets add, and the identity of each node that follows from both.
//!
//! Pure: [`crate::recipe::load_cluster`] reads the text, hah-image's `secrets` decrypts, and [`Cluster::identity`] combines.
//! Which value may live where is a table in `docs/identity.md`.

use std::collections::BTreeMap;

use hah_node::host;
use hah_node::identity::{
    Alertmanager, Consul, ConsulTokens, Firewall, Identity, Interface, Network, Nomad, NomadTokens, Policy, Secret,
    Setup, SetupTokens, Ssh, Tls, User, VERSION, Vault, Wifi,
};
use serde::{Deserialize, Serialize};

/// Version of [`Secrets`].
pub const SECRETS_VERSION: u32 = 1;

/// A fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Consul's and Nomad's datacenter.
    pub datacenter: String,
    /// Time zone of every node; the image's without.
    pub timezone: Option<String>,
    /// Lines of authorized_keys on every node.
    pub authorized_keys: Vec<String>,
    /// Who gets in. Without a word of it a fleet is as open as it was before there was a choice.
    pub security: Option<Security>,
    /// The wireless network; its passphrase is a secret.
    pub wifi: Option<WifiNetwork>,
    /// Default route of nodes with an address.
    pub gateway: Option<String>,
    /// Name servers of nodes with an address.
    pub dns: Vec<String>,
    /// Networks and addresses that reach every port of a closed fleet, beside its nodes.
    pub trusted: Vec<String>,
    /// Ports of a closed fleet that everybody reaches.
    pub open_ports: Vec<u16>,
    /// Consul's ACLs; `deny` in a closed fleet.
    pub acl: Option<Policy>,
    /// Whether agents of Consul and of Nomad speak TLS with each other, which they do in a closed fleet.
    pub tls: bool,
    /// Whom the secrets are encrypted for: age public keys; a passphrase without.
    pub recipients: Vec<String>,
    /// The nodes, by name.
    pub nodes: BTreeMap<String, Member>,
}

/// Who gets into a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Its own nodes, and whoever has a token: access control, TLS and a firewall everywhere.
    Closed,
    /// Whoever reaches its ports, but for what parameters forbid.
    Open,
}

/// A wireless network without its passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WifiNetwork {
    /// Its name.
    pub ssid: String,
    /// Country code.
    pub country: String,
    /// Whether it does not announce itself.
    pub hidden: bool,
}

/// A node of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The image that its card gets.
    pub image: String,
    /// `192.168.1.10/24`; DHCP without.
    pub address: Option<String>,
    /// What the address belongs to.
    pub link: Link,
    /// Its part in Consul.
    pub consul: Role,
    /// Its part in Nomad.
    pub nomad: Role,
    /// Its part in Vault.
    pub vault: Role,
    /// Nomad's metadata.
    pub meta: BTreeMap<String, String>,
}

/// How a node is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// By cable.
    Ethernet,
    /// By radio.
    Wlan,
}

/// A node's part in a program's cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It votes.
    Server,
    /// It asks the servers.
    Client,
    /// It has nothing to do with it.
    None,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPair {
    /// The certificate.
    pub cert: String,
    /// The key.
    pub key: Secret,
    /// Whom the certificate names: when that is no longer what the fleet says, another is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// When it ends: seconds since 1970. Those of before there was a limit to watch do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// The key that signs generations, as minisign(1) writes its halves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseKey {
    /// The line of the public key's file.
    pub public: String,
    /// The file of the secret key, which has no passphrase of its own.
    pub secret: Secret,
}

/// Everything that must not be read by others: the plain text of `secrets.age`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// [`SECRETS_VERSION`].
    pub version: u32,
    /// The wireless network's passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wifi_psk: Option<Secret>,
    /// crypt(5) hash of the password of `hah`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<Secret>,
    /// Consul's gossip key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consul_encrypt: Option<Secret>,
    /// Consul's first management token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consul_management: Option<Secret>,
    /// Nomad's gossip key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nomad_encrypt: Option<Secret>,
    /// Nomad's first management token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nomad_management: Option<Secret>,
    /// The one authority of a cluster of before each program had its own; it is used until it is rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<KeyPair>,
    /// Consul's authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consul_ca: Option<KeyPair>,
    /// Nomad's authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nomad_ca: Option<KeyPair>,
    /// Vault's authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_ca: Option<KeyPair>,
    /// Signs generations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseKey>,
    /// The public half of the key before: nodes that have not seen the new one yet believe it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub release_before: Vec<String>,
    /// Keys the fingerprints of identities in the record of flashed cards, so that nobody can guess secrets from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_key: Option<Secret>,
    /// By node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, NodeSecrets>,
}

impl Secrets {
    /// The authority that a program's certificates come from: its own, or the one that the cluster had for all.
    pub fn authority<'s>(&'s self, own: Option<&'s KeyPair>) -> Option<&'s KeyPair> {
        own.or(self.ca.as_ref())
    }
}

/// One node's secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSecrets {
    /// For Consul.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consul: Option<KeyPair>,
    /// For Nomad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nomad: Option<KeyPair>,
    /// For Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<KeyPair>,
    /// Consul's token for the agent itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consul_agent_token: Option<Secret>,
    /// Nomad's token for Consul.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nomad_consul_token: Option<Secret>,
    /// hah-agent's token for Consul.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hah_consul_token: Option<Secret>,
    /// Prometheus' token for Consul, where systemd runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus_consul_token: Option<Secret>,
    /// hah-agent's token for Nomad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hah_nomad_token: Option<Secret>,
    /// Where Alertmanager sends alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager_webhook: Option<Secret>,
    /// Where Alertmanager sends the Watchdog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager_heartbeat: Option<Secret>,
    /// AppRole's role-id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_role_id: Option<Secret>,
    /// AppRole's wrapped secret-id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_wrapped_secret_id: Option<Secret>,
}

impl NodeSecrets {
    /// The tokens that a closed cluster's set-up makes of this node, for those programs that it has.
    fn set_up(&self, member: &Member) -> SetupTokens {
        let has = |role: Role| role != Role::None;
        SetupTokens {
            agent: self.consul_agent_token.clone().filter(|_| has(member.consul)),
            nomad: self.nomad_consul_token.clone().filter(|_| has(member.nomad)),
            hah: self.hah_consul_token.clone().filter(|_| has(member.consul)),
            prometheus: self.prometheus_consul_token.clone().filter(|_| member.consul == Role::Server),
            submits: member.nomad == Role::Server,
        }
    }
}

/// Where the value of a program's field comes from, for its part of [`Member`].
type Part = fn(&Member) -> Role;

impl Cluster {
    /// Names of the nodes that have `role` by `part`.
    fn having(&self, part: Part, role: Role) -> impl Iterator<Item = (&String, &Member)> {
        self.nodes.iter().filter(move |(_, member)| part(member) == role)
    }

    /// How others reach a node, as it stands before a port: its address, or its name by mDNS.
    fn host(name: &str, member: &Member) -> String {
        match member.address.as_deref().and_then(|address| address.split('/').next()) {
            Some(address) => address.parse().map_or_else(|_| address.to_owned(), host::in_url),
            None => format!("{name}.local"),
        }
    }

    fn servers(&self, part: Part) -> Vec<String> {
        self.having(part, Role::Server).map(|(name, member)| Self::host(name, member)).collect()
    }

    /// Whether strangers are kept out.
    pub fn is_closed(&self) -> bool {
        self.security == Some(Security::Closed)
    }

    /// Whether any value of the secrets is wanted: without them a fleet can be flashed that needs none.
    pub fn wants_secrets(&self) -> bool {
        self.tls || self.wifi.is_some() || self.acl.is_some()
    }

    /// Whether nodes gossip with each other, which they do in the clear without secrets.
    pub fn wants_gossip(&self) -> bool {
        let gossips = |member: &&Member| member.consul != Role::None || member.nomad != Role::None;
        self.nodes.values().filter(gossips).count() > 1
    }

    /// The identity of the node `name`; none when the fleet has no such node.
    pub fn identity(&self, name: &str, secrets: &Secrets) -> Option<Identity> {
        let member = self.nodes.get(name)?;
        let nothing = NodeSecrets::default();
        let own = secrets.nodes.get(name).unwrap_or(&nothing);
        let wifi = self.wifi.as_ref().filter(|_| member.link == Link::Wlan).map(|network| Wifi {
            ssid: network.ssid.clone(),
            psk: secrets.wifi_psk.clone(),
            country: network.country.clone(),
            hidden: network.hidden,
        });
        let fixed = member.address.as_ref().map(|address| Interface {
            addresses: vec![address.clone()],
            gateway: self.gateway.clone(),
            dns: self.dns.clone(),
        });
        let (ethernet, wlan) = match member.link {
            Link::Ethernet => (fixed, None),
            Link::Wlan => (None, fixed),
        };
        Some(Identity {
            version: VERSION,
            hostname: Some(name.to_owned()),
            timezone: self.timezone.clone(),
            user: User { name: None, password_hash: secrets.password_hash.clone() },
            ssh: Ssh { authorized_keys: self.authorized_keys.clone(), ..Ssh::default() },
            wifi,
            network: Network { ethernet, wlan },
            consul: self.consul(member, secrets, own),
            nomad: self.nomad(member, secrets, own),
            vault: self.vault(member, secrets, own),
            alertmanager: Alertmanager {
                webhook: own.alertmanager_webhook.clone(),
                heartbeat: own.alertmanager_heartbeat.clone(),
            },
            firewall: self.is_closed().then(|| self.firewall()),
            release_keys: (secrets.release.iter().map(|key| key.public.clone()))
                .chain(secrets.release_before.iter().cloned())
                .collect(),
            setup: self.setup(member, secrets),
        })
    }

    /// The nodes trust each other, by their addresses, and whom else the fleet names.
    fn firewall(&self) -> Firewall {
        let mut trusted: Vec<String> = self.nodes.values().filter_map(Self::advertise).collect();
        trusted.extend(self.trusted.iter().cloned());
        Firewall { trusted, open_ports: self.open_ports.clone() }
    }

    /// What servers of a closed fleet set up; any one of them may be the first.
    fn setup(&self, member: &Member, secrets: &Secrets) -> Option<Setup> {
        let serves = [member.consul, member.nomad].contains(&Role::Server);
        if !self.is_closed() || !serves || member.consul == Role::None {
            return None;
        }
        let consul = secrets.consul_management.clone()?;
        let has_nomad = self.having(|member| member.nomad, Role::Server).next().is_some();
        let own = |(name, member): (&String, &Member)| Some((name.clone(), secrets.nodes.get(name)?.set_up(member)));
        Some(Setup {
            consul,
            nomad: secrets.nomad_management.clone().filter(|_| has_nomad),
            nodes: self.nodes.iter().filter_map(own).collect(),
        })
    }

    fn advertise(member: &Member) -> Option<String> {
        member.address.as_ref().and_then(|address| address.split('/').next()).map(str::to_owned)
    }

    fn tls(&self, authority: Option<&KeyPair>, pair: Option<&KeyPair>) -> Option<Tls> {
        let (ca, pair) = (authority?, pair?);
        self.tls.then(|| Tls { ca: ca.cert.clone(), cert: pair.cert.clone(), key: pair.key.clone() })
    }

    fn consul(&self, member: &Member, secrets: &Secrets, own: &NodeSecrets) -> Option<Consul> {
        let is_server = match member.consul {
            Role::Server => true,
            Role::Client => false,
            Role::None => return None,
        };
        let servers = self.servers(|member| member.consul);
        let with_acl = |token: &Option<Secret>| token.clone().filter(|_| self.acl.is_some());
        Some(Consul {
            datacenter: Some(self.datacenter.clone()),
            server: Some(is_server),
            bootstrap_expect: is_server.then(|| u8::try_from(servers.len()).unwrap_or(u8::MAX)),
            retry_join: servers,
            advertise: Self::advertise(member),
            bind: None,
            encrypt: secrets.consul_encrypt.clone(),
            tls: self.tls(secrets.authority(secrets.consul_ca.as_ref()), own.consul.as_ref()),
            acl: self.acl,
            tokens: ConsulTokens {
                // In a closed fleet it is part of the set-up, and goes with it.
                initial_management: with_acl(&secrets.consul_management).filter(|_| is_server && !self.is_closed()),
                agent: with_acl(&own.consul_agent_token),
                default: None,
                hah: with_acl(&own.hah_consul_token),
                prometheus: with_acl(&own.prometheus_consul_token).filter(|_| is_server),
            },
        })
    }

    fn nomad(&self, member: &Member, secrets: &Secrets, own: &NodeSecrets) -> Option<Nomad> {
        let is_server = match member.nomad {
            Role::Server => true,
            Role::Client => false,
            Role::None => return None,
        };
        let servers = self.having(|member| member.nomad, Role::Server).count();
        Some(Nomad {
            bootstrap_expect: is_server.then(|| u8::try_from(servers).unwrap_or(u8::MAX)),
            advertise: Self::advertise(member),
            encrypt: secrets.nomad_encrypt.clone().filter(|_| is_server),
            tls: self.tls(secrets.authority(secrets.nomad_ca.as_ref()), own.nomad.as_ref()),
            acl: self.is_closed(),
            tokens: NomadTokens { consul: own.nomad_consul_token.clone(), hah: own.hah_nomad_token.clone() },
            meta: member.meta.clone(),
        })
    }

    fn vault(&self, member: &Member, secrets: &Secrets, own: &NodeSecrets) -> Option<Vault> {
        let servers = self.servers(|member| member.vault);
        // Whether the listeners of an open fleet talk TLS is up to its images.
        let scheme = if self.is_closed() { "https" } else { "http" };
        let retry_join = match member.vault {
            Role::Server => servers.iter().map(|host| format!("{scheme}://{host}:8200")).collect(),
            Role::Client => Vec::new(),
            Role::None => return None,
        };
        Some(Vault {
            retry_join,
            tls: self.tls(secrets.authority(secrets.vault_ca.as_ref()), own.vault.as_ref()),
            role_id: own.vault_role_id.clone(),
            wrapped_secret_id: own.vault_wrapped_secret_id.clone(),
        })
    }
}
