//! The nodes of a new project: their names, and which of the shipped images each gets.

use hah_plan::cluster::Role;

/// A node of a new project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its hostname.
    pub name: String,
    /// What it gets.
    pub kind: Kind,
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
        .map(|(name, kind)| Node { name: name.to_owned(), kind })
        .to_vec()
}

/// Most nodes of a new project: each has an address in the comments, from 192.168.1.10.
const NODES_MAX: usize = 200;

/// Reads `NAME` or `NAME=IMAGE` of each word; a bare name is the lab's server, and each further one its client.
///
/// # Errors
/// What is wrong, and what is expected.
pub fn parse_nodes<'t>(words: impl IntoIterator<Item = &'t str>) -> Result<Vec<Node>, String> {
    let mut nodes: Vec<Node> = Vec::new();
    for word in words {
        let (name, image) = word.split_once('=').map_or((word, None), |(name, image)| (name, Some(image)));
        check_name(name)?;
        if nodes.iter().any(|node| node.name == name) {
            return Err(format!("there are two nodes `{name}`"));
        }
        let has_server = nodes.iter().any(|node| node.kind.is_server());
        let kind = match image {
            None if has_server => Kind::LabClient,
            None => Kind::Lab,
            Some(image) => {
                let known = || IMAGES.map(Kind::image).join(", ");
                let found = IMAGES.into_iter().find(|kind| kind.image() == image);
                found.ok_or_else(|| format!("there is no image `{image}` to begin with, expected {}", known()))?
            }
        };
        nodes.push(Node { name: name.to_owned(), kind });
    }
    check(&nodes)?;
    Ok(nodes)
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

fn check(nodes: &[Node]) -> Result<(), String> {
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
            let nodes = parse_nodes(text.split_whitespace()).unwrap();
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
        assert_eq!(parse_nodes(text.iter().map(String::as_str)).unwrap(), whole);
    }

    #[test]
    fn mistakes_are_explained() {
        let check = |text: &str, wanted: &str| assert_eq!(parse_nodes(text.split_whitespace()).unwrap_err(), wanted);
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
