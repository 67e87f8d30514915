//! The nodes of a new project: their names, and which of the shipped images each gets.

use std::net::IpAddr;

use hah_node::host::Assigned;
use hah_plan::cluster::Role;

/// A node of a new project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its hostname.
    pub name: String,
    /// What it gets.
    pub kind: Kind,
    /// `192.168.1.10/24`; it asks DHCP without.
    pub address: Option<String>,
}

/// What a node is for which nobody says an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// The first one the lab's server, and each further one its client.
    Lab,
    /// A server of HashiCorp's programs.
    Server,
    /// A client of whatever the servers are.
    Client,
}

/// A shipped image that a project may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Consul, node_exporter and Prometheus, of Debian's packages.
    Lab,
    /// A client of it.
    LabClient,
    /// Consul, Nomad and Vault, of HashiCorp's releases, on 2 GB or more.
    Pi4Server,
    /// The same on 1 GB.
    Pi3Server,
    /// A client of them.
    PiClient,
}

/// Every kind.
pub const IMAGES: [Kind; 5] = [Kind::Lab, Kind::LabClient, Kind::Pi4Server, Kind::Pi3Server, Kind::PiClient];

/// Whose builds of Consul a node runs: the versions are too far apart for one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Debian,
    HashiCorp,
}

impl Kind {
    /// The image's name.
    pub fn image(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::LabClient => "lab-client",
            Self::Pi4Server => "pi4-server",
            Self::Pi3Server => "pi3-server",
            Self::PiClient => "pi-client",
        }
    }

    /// Whether it votes.
    pub fn is_server(self) -> bool {
        matches!(self, Self::Lab | Self::Pi4Server | Self::Pi3Server)
    }

    /// Its part in each program that it has, by the key of `cluster.toml`.
    pub(super) fn roles(self) -> Vec<(&'static str, Role)> {
        match self {
            Self::Lab => vec![("consul", Role::Server)],
            Self::LabClient => vec![("consul", Role::Client)],
            Self::Pi4Server | Self::Pi3Server => {
                vec![("consul", Role::Server), ("nomad", Role::Server), ("vault", Role::Server)]
            }
            Self::PiClient => vec![("consul", Role::Client), ("nomad", Role::Client)],
        }
    }

    /// A comment that says where its programs come from.
    pub(super) fn origin(self) -> &'static str {
        match self.built_by() {
            Origin::Debian => "# All of it is packaged by Debian.\n",
            Origin::HashiCorp => {
                "# Consul, Nomad and Vault are HashiCorp's releases, verified by their signatures. Without network, give each\n\
                 # from disk: `hah-image build IMAGE --input nomad=FILE`.\n"
            }
        }
    }

    fn built_by(self) -> Origin {
        match self {
            Self::Lab | Self::LabClient => Origin::Debian,
            Self::Pi4Server | Self::Pi3Server | Self::PiClient => Origin::HashiCorp,
        }
    }
}

/// Three servers, as many as a quorum that survives the loss of one, and a client.
pub fn fleet() -> Vec<Node> {
    [("pi4-1", Kind::Pi4Server), ("pi3-1", Kind::Pi3Server), ("pi3-2", Kind::Pi3Server), ("pi-1", Kind::PiClient)]
        .map(|(name, kind)| Node { name: name.to_owned(), kind, address: None })
        .to_vec()
}

/// Most nodes of a new project: each has an address in the comments, from 192.168.1.10.
const NODES_MAX: usize = 200;

/// Reads `NAME`, and after it `=IMAGE`, `=ADDRESS/PREFIX` or both. `there` are nodes that were read before.
///
/// # Errors
/// What is wrong, and what is expected.
pub fn parse_nodes<'t>(
    words: impl IntoIterator<Item = &'t str>,
    bare: Bare,
    there: Vec<Node>,
) -> Result<Vec<Node>, String> {
    let mut nodes = there;
    for word in words {
        let mut parts = word.split('=');
        let name = parts.next().unwrap_or_default();
        check_name(name)?;
        if nodes.iter().any(|node| node.name == name) {
            return Err(format!("there are two nodes `{name}`"));
        }
        let (mut kind, mut address) = (None, None);
        for part in parts {
            // No image has a `/` in its name, and no address is without its prefix.
            let is_address = part.contains('/') || part.parse::<IpAddr>().is_ok();
            match (is_address, kind, &address) {
                (true, _, None) => address = Some(part.to_owned()),
                (false, None, _) => kind = Some(image_kind(part)?),
                _ => return Err(format!("`{word}` is not NAME[=IMAGE][=ADDRESS/PREFIX]")),
            }
        }
        if let Some(address) = &address {
            check_address(name, address, &nodes)?;
        }
        let kind = kind.unwrap_or_else(|| bare.kind(&nodes));
        nodes.push(Node { name: name.to_owned(), kind, address });
    }
    Ok(nodes)
}

impl Bare {
    fn kind(self, nodes: &[Node]) -> Kind {
        let has_server = nodes.iter().any(|node| node.kind.is_server());
        let of_debian = nodes.iter().any(|node| node.kind.built_by() == Origin::Debian);
        match self {
            Self::Lab if has_server => Kind::LabClient,
            Self::Lab => Kind::Lab,
            Self::Server => Kind::Pi4Server,
            Self::Client if of_debian => Kind::LabClient,
            Self::Client => Kind::PiClient,
        }
    }
}

fn image_kind(image: &str) -> Result<Kind, String> {
    let known = || IMAGES.map(Kind::image).join(", ");
    let found = IMAGES.into_iter().find(|kind| kind.image() == image);
    found.ok_or_else(|| format!("there is no image `{}` to begin with, expected {}", image.escape_debug(), known()))
}

/// What `cluster.toml` would say about an address, before there is one.
fn check_address(name: &str, text: &str, nodes: &[Node]) -> Result<(), String> {
    let address = Assigned::parse(text).map_err(|reason| format!("the address of {name}, `{text}`, {reason}"))?;
    let is_same = |node: &&Node| {
        let other = node.address.as_deref().and_then(|other| Assigned::parse(other).ok());
        other.is_some_and(|other| other.address == address.address)
    };
    match nodes.iter().find(is_same) {
        Some(node) => Err(format!("{} and {name} have the same address, {text}", node.name)),
        None => Ok(()),
    }
}

/// The network of an address, as a prefix: `192.168.1.0/24` of `192.168.1.10/24`.
pub(super) fn network_of(text: &str) -> Option<String> {
    let (address, prefix) = parts(text)?;
    Some(format!("{}/{prefix}", masked(address, prefix)))
}

fn parts(text: &str) -> Option<(IpAddr, u8)> {
    let address = Assigned::parse(text).ok()?.address;
    Some((address, text.split_once('/')?.1.parse().ok()?))
}

/// What addresses beside an IPv4 address have before their last number, and their prefix.
pub(super) fn neighbours(text: &str) -> Option<(String, String)> {
    let (address, prefix) = text.split_once('/')?;
    let (begin, _) = address.rsplit_once('.')?;
    Some((begin.to_owned(), prefix.to_owned()))
}

/// The first host of an IPv4 network, which is where a home's router is nearly always.
pub(super) fn likely_gateway(text: &str) -> Option<String> {
    let (IpAddr::V4(own), prefix) = parts(text)? else { return None };
    let IpAddr::V4(network) = masked(IpAddr::V4(own), prefix) else { return None };
    let first = std::net::Ipv4Addr::from_bits(network.to_bits().checked_add(1)?);
    (prefix < 31 && first != own).then(|| first.to_string())
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4(std::net::Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6(std::net::Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// What names of clusters and nodes look like: a name in DNS that needs no quotes in TOML.
///
/// # Errors
/// What is expected.
pub fn check_name(name: &str) -> Result<(), String> {
    let starts = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if starts && name.len() <= 63 && name.chars().all(plain) && !name.ends_with('-') {
        return Ok(());
    }
    Err(format!("`{}` is no name: lower-case letters, digits and `-`, at most 63", name.escape_debug()))
}

/// What nodes must not be together.
///
/// # Errors
/// What is wrong, and what is expected.
pub fn check_nodes(nodes: &[Node]) -> Result<(), String> {
    let Some(first) = nodes.first() else { return Err("there is no node".to_owned()) };
    if nodes.len() > NODES_MAX {
        return Err(format!("{} nodes; {NODES_MAX} at most", nodes.len()));
    }
    if let Some(other) = nodes.iter().find(|node| node.kind.built_by() != first.kind.built_by()) {
        return Err(format!(
            "{} and {} cannot be in one cluster: Debian's Consul and HashiCorp's are years apart",
            first.kind.image(),
            other.kind.image()
        ));
    }
    match nodes.iter().filter(|node| node.kind.is_server()).count() {
        0 => Err("no node is a server: name one with the image lab, pi4-server or pi3-server".to_owned()),
        1 | 3 | 5 | 7 | 9 => Ok(()),
        servers => Err(format!(
            "{servers} nodes are servers, expected 1, 3, 5, 7 or 9: let one be a client, with the image lab-client or pi-client"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_nodes() {
        let kinds = |text: &str| -> Vec<(String, Kind)> {
            let nodes = parse_nodes(text.split_whitespace(), Bare::Lab, Vec::new()).unwrap();
            nodes.into_iter().map(|node| (node.name, node.kind)).collect()
        };
        let named = |pairs: &[(&str, Kind)]| -> Vec<(String, Kind)> {
            pairs.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect()
        };
        assert_eq!(kinds("pi-1"), named(&[("pi-1", Kind::Lab)]));
        assert_eq!(kinds("a b c"), named(&[("a", Kind::Lab), ("b", Kind::LabClient), ("c", Kind::LabClient)]));
        assert_eq!(kinds("a=pi3-server z=pi-client"), named(&[("a", Kind::Pi3Server), ("z", Kind::PiClient)]));
        let whole = fleet();
        let text: Vec<String> = whole.iter().map(|node| format!("{}={}", node.name, node.kind.image())).collect();
        assert_eq!(parse_nodes(text.iter().map(String::as_str), Bare::Lab, Vec::new()).unwrap(), whole);
    }

    #[test]
    fn words_with_addresses() {
        let servers = ["a=192.168.1.10/24", "b=pi3-server=192.168.1.11/24", "c=192.168.1.12/24=pi3-server"];
        let servers = parse_nodes(servers, Bare::Server, Vec::new()).unwrap();
        let kinds: Vec<Kind> = servers.iter().map(|node| node.kind).collect();
        assert_eq!(kinds, [Kind::Pi4Server, Kind::Pi3Server, Kind::Pi3Server]);
        assert_eq!(servers[2].address.as_deref(), Some("192.168.1.12/24"));
        let all = parse_nodes(["d=fd00::4/64", "e"], Bare::Client, servers).unwrap();
        assert_eq!((all[3].kind, all[4].kind, &all[4].address), (Kind::PiClient, Kind::PiClient, &None));
        let lab = parse_nodes(["a=lab=10.0.0.1/8"], Bare::Server, Vec::new()).unwrap();
        assert_eq!(parse_nodes(["b"], Bare::Client, lab).unwrap()[1].kind, Kind::LabClient);
    }

    #[test]
    fn mistakes_in_addresses_are_explained() {
        let check = |text: &str, wanted: &str| {
            let said = parse_nodes(text.split_whitespace(), Bare::Server, Vec::new()).unwrap_err();
            assert!(said.contains(wanted), "{wanted}: {said}");
        };
        check("a=192.168.1.10", "the address of a, `192.168.1.10`, ");
        check("a=192.168.1.0/24", "the address of a, `192.168.1.0/24`, ");
        check("a=127.0.0.1/8", "the address of a, `127.0.0.1/8`, ");
        check("a=192.168.1.999/24", "the address of a, `192.168.1.999/24`, ");
        check("a=10.0.0.1/8 b=10.0.0.1/24", "a and b have the same address, 10.0.0.1/24");
        check("a=fd00::1/64 b=fd00:0::1/64", "a and b have the same address");
        check("a=10.0.0.1/8=10.0.0.2/8", "is not NAME[=IMAGE][=ADDRESS/PREFIX]");
        check("a=lab=lab", "is not NAME[=IMAGE][=ADDRESS/PREFIX]");
    }

    #[test]
    fn networks_and_routers() {
        for (address, network, gateway) in [
            ("192.168.1.10/24", "192.168.1.0/24", Some("192.168.1.1")),
            ("10.1.2.3/8", "10.0.0.0/8", Some("10.0.0.1")),
            ("192.168.1.130/25", "192.168.1.128/25", Some("192.168.1.129")),
            ("192.168.1.1/24", "192.168.1.0/24", None),
            ("10.0.0.3/31", "10.0.0.2/31", None),
            ("fd00:1:2:3::4/64", "fd00:1:2:3::/64", None),
        ] {
            assert_eq!(network_of(address).as_deref(), Some(network));
            assert_eq!(likely_gateway(address).as_deref(), gateway, "{address}");
        }
    }

    #[test]
    fn mistakes_are_explained() {
        let read = |text: &str| {
            let nodes = parse_nodes(text.split_whitespace(), Bare::Lab, Vec::new())?;
            check_nodes(&nodes)
        };
        let check = |text: &str, wanted: &str| assert_eq!(read(text).unwrap_err(), wanted);
        check("", "there is no node");
        check("Pi", "`Pi` is no name: lower-case letters, digits and `-`, at most 63");
        check("\u{1b}[1m", "`\\u{1b}[1m` is no name: lower-case letters, digits and `-`, at most 63");
        check("pi-", "`pi-` is no name: lower-case letters, digits and `-`, at most 63");
        check("a a", "there are two nodes `a`");
        check(
            "a=pi5",
            "there is no image `pi5` to begin with, expected lab, lab-client, pi4-server, pi3-server, pi-client",
        );
        check(
            "a=lab b=pi-client",
            "lab and pi-client cannot be in one cluster: Debian's Consul and HashiCorp's are years apart",
        );
        check("a=pi-client", "no node is a server: name one with the image lab, pi4-server or pi3-server");
        check(
            "a=lab b=lab",
            "2 nodes are servers, expected 1, 3, 5, 7 or 9: let one be a client, with the image lab-client or pi-client",
        );
    }
}
