//! `ui`: a tunnel to a program of the cluster, for a browser.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use clap::{Args, ValueEnum};
use hah_node::identity::Secret;
use hah_plan::cluster::{Cluster, Member, Role, Secrets};

use super::Context;
use super::secrets::{KeyArgs, open};
use super::ssh::{SshOptions, code};
use crate::advice::Exit;
use crate::failure::Failure;
use crate::programs;
use crate::programs::ssh::SshError;
use crate::project::Project;
use crate::project::fleet::cluster_of;

/// Arguments of `ui`.
#[derive(Debug, Args)]
pub(super) struct UiArgs {
    /// Whose user interface
    #[arg(value_enum)]
    program: Ui,
    /// The node to go through; the first one that serves it without
    #[arg(value_name = "NODE")]
    node: Option<String>,
    /// Print the management token on standard output, and the address on standard error
    #[arg(long)]
    token: bool,
    /// Port of this machine; that of the program without, or a free one when it is taken
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    #[command(flatten)]
    options: SshOptions,
    #[command(flatten)]
    key: KeyArgs,
}

/// A program with pages for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ui {
    /// The catalog, keys and values
    Consul,
    /// Jobs and nodes
    Nomad,
    /// Secrets
    Vault,
    /// Metrics and alerts
    Prometheus,
    /// Alerts and silences
    Alertmanager,
}

impl Ui {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn port(self) -> u16 {
        match self {
            Self::Consul => 8500,
            Self::Nomad => 4646,
            Self::Vault => 8200,
            Self::Prometheus => 9090,
            Self::Alertmanager => 9093,
        }
    }

    /// Where the node finds it: on itself, or wherever Consul says that it runs at the moment.
    fn remote(self) -> String {
        let host = match self {
            Self::Consul | Self::Nomad | Self::Vault => "127.0.0.1",
            Self::Prometheus => "prometheus.service.consul",
            Self::Alertmanager => "alertmanager.service.consul",
        };
        format!("{host}:{}", self.port())
    }

    /// The part that a node has in it.
    fn part(self, member: &Member) -> Role {
        match self {
            Self::Nomad => member.nomad,
            Self::Vault => member.vault,
            // Any agent resolves names.
            Self::Consul | Self::Prometheus | Self::Alertmanager => member.consul,
        }
    }

    /// Vault's listeners of a closed cluster talk TLS on the loopback, too.
    fn scheme(self, cluster: &Cluster) -> &'static str {
        if self == Self::Vault && cluster.is_closed() { "https" } else { "http" }
    }

    /// The token that may do everything.
    fn token(self, secrets: &Secrets) -> Result<Option<&Secret>, Failure> {
        let none = |hint: &str| {
            let text = format!("there is no token of {} among the cluster's secrets", self.name());
            Err(Failure::new(Exit::Usage, text, Some(hint.to_owned())))
        };
        match self {
            Self::Consul => Ok(secrets.consul_management.as_ref()),
            Self::Nomad => Ok(secrets.nomad_management.as_ref()),
            Self::Vault => none("log in with what `vault operator init` gave you, or as its policies let you"),
            Self::Prometheus | Self::Alertmanager => none("it asks for none: leave out --token"),
        }
    }
}

/// Opens the tunnel, and holds it until it is ended.
pub(super) fn run(context: &Context, args: &UiArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let cluster = cluster_of(&project)?;
    let ui = args.program;
    let node = match &args.node {
        Some(node) => node.clone(),
        None => serving(ui, &cluster)?,
    };
    let route = args.options.route(context, &node)?;
    let token = if args.token { Some(token(context, &project, &cluster, args)?) } else { None };
    let local = match args.port {
        Some(port) => port,
        None => programs::free_port(ui.port())?,
    };
    let url = format!("{}://localhost:{local}/", ui.scheme(&cluster));
    let mut ssh = route
        .tunnel(local, &ui.remote())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(SshError::from)?;
    // Nothing can be read when it ends without the tunnel: it has said why.
    let mut line = String::new();
    let is_open = match ssh.stdout.take() {
        Some(output) => BufReader::new(output).read_line(&mut line)? > 0,
        None => false,
    };
    if !is_open {
        let ended = code(ssh.wait()?);
        return Err(Failure::user(
            format!("there is no tunnel by {node} to {} ({}): ssh ended with {ended}", ui.name(), ui.remote()),
            Some("another node may do: name it after the program; `-o` gives ssh an option".into()),
        ));
    }
    let printer = &context.printer;
    match &token {
        Some(token) => {
            printer.say(&format!("{} by {node}: {url}", ui.name()));
            printer.data(format!("{}\n", token.reveal()));
            // What holds the clipboard reads to the end.
            printer.end_data()?;
        }
        None => {
            printer.data(format!("{url}\n"));
        }
    }
    if ui.scheme(&cluster) == "https" {
        printer
            .say("The browser does not know the cluster's authority, and will say so; the tunnel itself is encrypted.");
    }
    printer.say("Ctrl-C closes it.");
    Ok(code(ssh.wait()?))
}

/// The first node that serves it, or has a part in it at least.
fn serving(ui: Ui, cluster: &Cluster) -> Result<String, Failure> {
    let having = |role: Role| cluster.nodes.iter().find(|(_, member)| ui.part(member) == role);
    let found = having(Role::Server).or_else(|| having(Role::Client).filter(|_| ui != Ui::Vault));
    found.map(|(name, _)| name.clone()).ok_or_else(|| {
        Failure::user(
            format!("cluster.toml names no node with a part in {}", ui.name()),
            Some("name the node to go through: hah-image ui PROGRAM NODE".into()),
        )
    })
}

fn token(context: &Context, project: &Project, cluster: &Cluster, args: &UiArgs) -> Result<Secret, Failure> {
    // A question for the passphrase would be asked in vain.
    args.program.token(&Secrets::default())?;
    let secrets = open(context, project, cluster, &args.key)?;
    let name = args.program.name();
    args.program.token(&secrets)?.cloned().ok_or_else(|| {
        Failure::user(
            format!("secrets.age has no token of {name}: an open cluster asks for none"),
            Some(format!("leave out --token, or `hah-image secrets set {name}-management`")),
        )
    })
}
