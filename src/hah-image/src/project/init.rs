//! A new project: what a person says in three answers, as files.
//!
//! ```text
//! Answers ─► files() ─► cluster.toml, images/*.toml, hah-image.toml, .gitignore, schema/*.json
//! ```
//!
//! Pure but for [`keys`], which looks for SSH keys; [`crate::cli`] asks and writes. An image file is the shipped one with the
//! person's key, the number of servers, and every parameter that it does not set as a comment with its default.
//! Nothing of the machine, its clock or its user is in them, so that the same answers make the same bytes.

use hah_node::host;
use hah_plan::cluster::{Role, Security};
use hah_plan::diagnostic::Diagnostics;
use hah_plan::recipe::{self, quoted};

use crate::advice::{Advised, Exit};
use crate::project::{Project, shipped_image};

pub mod keys;
mod nodes;

pub use nodes::{Bare, IMAGES, Kind, Node, check_name, check_nodes, fleet, parse_nodes};

/// What the person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The cluster's name.
    pub name: String,
    /// The line of authorized_keys that logs in.
    pub key: Option<String>,
    /// The nodes, in the order in which they were named.
    pub nodes: Vec<Node>,
    /// Who gets in.
    pub security: Security,
    /// Networks that reach every port of a closed cluster; those of the nodes when some have no address and this is empty.
    pub trusted: Vec<String>,
    /// The way out for nodes with addresses; the first host of their network without.
    pub gateway: Option<String>,
}

/// The network of a closed cluster whose nodes have no addresses and of which nothing else is said.
pub const NETWORK: &str = "192.168.1.0/24";

impl Answers {
    /// One node of the lab shows what it can do, and changes nothing for whoever asks: it is open. Everything else is closed.
    pub fn security_of(nodes: &[Node]) -> Security {
        match nodes {
            [Node { kind: Kind::Lab, .. }] => Security::Open,
            _ => Security::Closed,
        }
    }

    /// What `trusted` is to say.
    ///
    /// Without addresses of its own a node is let in by its network alone.
    pub fn networks(&self) -> Vec<String> {
        let lacks_address = self.nodes.iter().any(|node| node.address.is_none());
        if !self.trusted.is_empty() || !lacks_address || self.security == Security::Open {
            return self.trusted.clone();
        }
        let mut networks: Vec<String> =
            self.nodes.iter().filter_map(|node| nodes::network_of(node.address.as_deref()?)).collect();
        networks.dedup();
        if networks.is_empty() { vec![NETWORK.to_owned()] } else { networks }
    }

    /// What `gateway` is to say: a guess only when there is one for all nodes.
    pub fn router(&self) -> Option<String> {
        if self.gateway.is_some() {
            return self.gateway.clone();
        }
        let mut guesses = self.nodes.iter().filter_map(|node| node.address.as_deref()).map(nodes::likely_gateway);
        let first = guesses.next()?;
        guesses.all(|guess| guess == first).then_some(first)?
    }

    /// What is wrong with the networks and the gateway.
    ///
    /// # Errors
    /// Which one, and what is expected.
    pub fn check(&self) -> Result<(), String> {
        check_nodes(&self.nodes)?;
        for prefix in &self.trusted {
            host::prefix(prefix).map_err(|reason| format!("`{prefix}` {reason}"))?;
        }
        if let Some(gateway) = &self.gateway {
            let mut addresses =
                self.nodes.iter().filter_map(|node| host::Assigned::parse(node.address.as_deref()?).ok()).peekable();
            if addresses.peek().is_none() {
                return Err("a gateway is for nodes with addresses: NAME=ADDRESS/PREFIX".to_owned());
            }
            for address in addresses {
                host::gateway(gateway, &[address])
                    .map_err(|reason| format!("the gateway `{gateway}` {reason} ({})", address.address))?;
            }
        }
        Ok(())
    }
}

/// A file of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Relative to the project.
    pub path: String,
    /// All of it.
    pub text: String,
}

const GITIGNORE: &str = "\
# Images, and the disks of virtual nodes.
/out/
# Cards of virtual nodes have the secrets of their node on them.
*.img
*.img.zst
*.qcow2
# A node's identity in plain text. secrets.age is encrypted, and belongs into the repository, as known_hosts does.
node.json
*.node.json
# Keys that open secrets.age.
key.txt
*.agekey
";

const SETTINGS: &str = r##"# Settings of this project. `hah-image config show` tells which count, and where each comes from.
# What is true of one machine only belongs into ~/.config/hah-image/config.toml, which has the same keys.

# Threads, and downloads at a time.
#jobs = 4
# Use only what is in the cache.
#offline = true

# Where packages and releases come from, before their own sites. Debian's is found in apt's configuration, if there is one.
#[mirrors]
#debian = "https://mirror.example/debian"
#hashicorp = "file:///srv/releases"
"##;

/// The project's files, in the order in which a person reads them.
///
/// # Errors
/// When a shipped image is not as this module expects, which its test would have found.
pub fn files(answers: &Answers) -> Result<Vec<NewFile>, InitError> {
    let mut files = vec![NewFile { path: "cluster.toml".to_owned(), text: cluster(answers) }];
    for kind in IMAGES.into_iter().filter(|kind| answers.nodes.iter().any(|node| node.kind == *kind)) {
        let path = format!("images/{}.toml", kind.image());
        files.push(NewFile { text: image(answers, kind)?, path });
    }
    files.push(NewFile { path: "hah-image.toml".to_owned(), text: SETTINGS.to_owned() });
    files.push(NewFile { path: ".gitignore".to_owned(), text: GITIGNORE.to_owned() });
    // The files' first lines name them, so that editors need no network.
    let schemas = [
        ("cluster", recipe::json_schema_cluster()),
        ("image", recipe::json_schema_image()),
        ("recipe", recipe::json_schema_recipe()),
    ];
    files.extend(
        schemas.map(|(kind, schema)| NewFile {
            path: format!("schema/{kind}.schema.json"),
            text: format!("{schema:#}\n"),
        }),
    );
    Ok(files)
}

/// `cluster.toml`.
fn cluster(answers: &Answers) -> String {
    let name = quoted(&answers.name);
    let key = answers.key.as_deref().map(quoted).unwrap_or_default();
    let security = match answers.security {
        Security::Closed => {
            "# Who gets in: \"closed\" to strangers, with access control, TLS and a firewall on every node, or \"open\". A closed cluster\n\
             # needs `hah-image secrets init`, and of every node an address, or its network in `trusted`; see docs/identity.md.\n\
             security = \"closed\"\n"
        }
        Security::Open => {
            "# Who gets in: \"closed\" to strangers, with access control, TLS and a firewall on every node, or \"open\". This one node is a\n\
             # demonstration, which lets everybody look and nobody change anything. Close it before you add another one: that takes\n\
             # `hah-image secrets init`, and of every node an address, or its network in `trusted`; see docs/identity.md.\n\
             security = \"open\"\n"
        }
    };
    let network = network(answers);
    let mut text = format!(
        r##"#:schema ./schema/cluster.schema.json
# The fleet: every node, and what its card gets besides the image. `hah-image flash IMAGE DEVICE --node NAME` reads it.
# It is safe to commit. What must stay secret is in secrets.age, which `hah-image secrets init` makes when there is need:
# encrypted with a passphrase, or for the public keys in `recipients = ["age1…"]` below `[secrets]`.

name = {name}
# Consul's and Nomad's datacenter; the name without.
#datacenter = {name}
# Time zone of every node; the image's without.
#timezone = "Europe/Berlin"
{security}# Whether the agents of Consul and of Nomad speak TLS with each other, as those of a closed cluster do anyway.
#tls = true

# Who logs in as `hah`: lines of authorized_keys.
[ssh]
authorized-keys = [{key}]

# The wireless network of nodes with `link = "wlan"`. Its passphrase is a secret.
#[wifi]
#ssid = "Kitchen"
#country = "DE"

{network}
# Whether Consul asks for tokens, which are secrets, as that of a closed cluster does: "allow" lets requests without one pass,
# "deny" does not.
#[consul]
#acl = "deny"
"##
    );
    let likely = answers.nodes.iter().find_map(|node| node.address.as_deref()).and_then(nodes::neighbours);
    let (begin, end) = likely.unwrap_or(("192.168.1".to_owned(), "24".to_owned()));
    for (host, node) in (10..).zip(&answers.nodes) {
        text.push_str(&format!("\n[nodes.{}]\nimage = {}\n", node.name, quoted(node.kind.image())));
        for (program, role) in node.kind.roles() {
            let role = if role == Role::Server { "server" } else { "client" };
            text.push_str(&format!("{program} = {}\n", quoted(role)));
        }
        match &node.address {
            Some(address) => text.push_str(&format!("address = {}\n", quoted(address))),
            None => text.push_str(&format!("#address = \"{begin}.{host}/{end}\"\n")),
        }
    }
    text
}

/// The table `[network]`, of which some lines may be comments.
fn network(answers: &Answers) -> String {
    let (router, trusted) = (answers.router(), answers.networks());
    let listed = |values: &[String]| values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", ");
    let active = |is_said: bool| if is_said { "" } else { "#" };
    let table = active(router.is_some() || !trusted.is_empty());
    let gateway = router.as_deref().unwrap_or("192.168.1.1");
    let commented = active(router.is_some());
    let open = active(!trusted.is_empty());
    let networks = if trusted.is_empty() { quoted(NETWORK) } else { listed(&trusted) };
    let (gateway, dns) = (quoted(gateway), quoted(gateway));
    format!(
        r##"# What nodes with an address of their own share; without an address a node asks DHCP, and is found as NAME.local.
{table}[network]
{commented}gateway = {gateway}
{commented}dns = [{dns}]
# Who reaches every port of a closed cluster beside its nodes, and which ports everybody reaches beside SSH.
{open}trusted = [{networks}]
#open-ports = [80, 443]
"##
    )
}

/// `images/NAME.toml` of a kind.
fn image(answers: &Answers, kind: Kind) -> Result<String, InitError> {
    let name = kind.image();
    let broken = || InitError::Shipped(name);
    let shipped = shipped_image(name).ok_or_else(broken)?;
    let servers = answers.nodes.iter().filter(|node| node.kind.is_server()).count();
    // The file's own comments speak of the shipped image.
    let body = shipped.lines().skip_while(|line| line.is_empty() || line.starts_with('#'));
    let body: Vec<String> = body
        .map(|line| match line.split_once(" = ") {
            Some((key, _)) if key.ends_with(".bootstrap-expect") => format!("{key} = {servers}"),
            _ => line.to_owned(),
        })
        .collect();
    let params = body.iter().position(|line| line == "[params]").ok_or_else(broken)?;
    let begin = body[..params].iter().rposition(String::is_empty).ok_or_else(broken)?;
    let (what, params) = body.split_at(begin);

    let names: Vec<&str> =
        answers.nodes.iter().filter(|node| node.kind == kind).map(|node| node.name.as_str()).collect();
    let mut text = format!(
        "#:schema ../schema/image.schema.json\n\
         # What the card of {} is made of: `hah-image build {name}` makes out/{name}.img.\n\
         # Every node of this kind has the same image. Names, addresses and secrets are not in it: see ../cluster.toml.\n",
        names.join(", "),
    );
    text.push_str(kind.origin());
    text.push_str(&format!("\n{}\n{OWN}{}\n", what.join("\n"), params.join("\n")));
    text.push_str(
        "\n# Who logs in as `hah` on a node without an identity, such as the one that `hah-image run` boots.\n",
    );
    text.push_str(&match &answers.key {
        Some(key) => format!("ssh.authorized-keys = [{}]\n", quoted(key)),
        None => "#ssh.authorized-keys = [\"ssh-ed25519 AAAA… you@laptop\"]\n".to_owned(),
    });
    text.push_str(
        "\n# All else that the recipes let an image decide, with its default: take away the `#` and change it.\n",
    );
    text.push_str(&parameters(name, &text)?);
    Ok(text)
}

/// What an image may have besides recipes.
const OWN: &str = r##"
# More of your own. The recipes that hah-image ships are listed by `hah-image reference recipes`; a file of your own in
# ../recipes/ is one more.
#packages = ["htop"]
#
#[[file]]
#path = "/etc/profile.d/mine.sh"
#content = "alias ll='ls -l'\n"
"##;

/// The parameters of the image `name` that `text` does not set yet, as comments.
fn parameters(name: &str, text: &str) -> Result<String, InitError> {
    let project = Project::shipped();
    let mut out = String::new();
    for recipe in recipe::parameters(project.sources(), name)? {
        let left = |parameter: &&recipe::Parameter| {
            let line = format!("{} = ", parameter.name);
            !text.lines().any(|found| found.trim_start_matches('#').starts_with(&line))
        };
        let mut parameters = recipe.parameters.iter().filter(left).peekable();
        if parameters.peek().is_some() {
            out.push_str(&format!("\n# {}: {}\n", recipe.recipe, recipe.summary));
        }
        for parameter in parameters {
            let allowed = parameter.allowed.as_ref().map(|allowed| format!(" ({allowed})")).unwrap_or_default();
            let default = parameter.default.as_deref().unwrap_or("\"\"");
            out.push_str(&format!("# {}{allowed}\n#{} = {default}\n", parameter.doc, parameter.name));
        }
    }
    Ok(out)
}

/// A project that cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The shipped recipes make no sense.
    #[error(transparent)]
    Recipes(#[from] Diagnostics),
    /// A shipped image lacks what is changed in it.
    #[error("the shipped image {0} is not what init expects")]
    Shipped(&'static str),
}

impl Advised for InitError {
    fn exit(&self) -> Exit {
        match self {
            Self::Recipes(_) => Exit::User,
            Self::Shipped(_) => Exit::Build,
        }
    }

    fn diagnostics(&self) -> Option<&Diagnostics> {
        match self {
            Self::Recipes(diagnostics) => Some(diagnostics),
            Self::Shipped(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
