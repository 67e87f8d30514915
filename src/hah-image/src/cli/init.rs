//! `init`: a new project.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use hah_node::host;
use hah_plan::cluster::Security;

use super::{Context, shell};
use crate::advice::Exit;
use crate::failure::Failure;
use crate::files;
use crate::printer::{Mode, Outcome};
use crate::project::init::{self, Answers, Bare, NewFile, Node, keys};

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where; made when it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// The cluster's name; the directory's without
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The public key that logs in: its file, or `none`; one of the agent's or of ~/.ssh without
    #[arg(long, value_name = "FILE")]
    ssh_key: Option<OsString>,
    /// A closed cluster of these servers, 1, 3, 5, 7 or 9; the image is pi4-server where none is named
    #[arg(long, value_name = "NAME[=IMAGE]=ADDRESS/PREFIX", num_args = 1.., conflicts_with_all = ["nodes", "cluster"])]
    servers: Vec<String>,
    /// Clients of --servers, with the image pi-client or lab-client
    #[arg(long, value_name = "NAME[=IMAGE]=ADDRESS/PREFIX", num_args = 1.., requires = "servers")]
    clients: Vec<String>,
    /// A node, with the image lab, lab-client, pi4-server, pi3-server or pi-client; repeatable
    #[arg(long = "node", value_name = "NAME[=IMAGE][=ADDRESS/PREFIX]", conflicts_with = "cluster")]
    nodes: Vec<String>,
    /// Begin with three servers and a client of HashiCorp's Consul, Nomad and Vault instead of one node of Debian's Consul
    #[arg(long)]
    cluster: bool,
    /// A network whose hosts reach every port of a closed cluster; repeatable; that of nodes without addresses, if they have one
    #[arg(long, value_name = "NETWORK/PREFIX")]
    trusted: Vec<String>,
    /// The router of nodes with addresses; the first host of their network without
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<String>,
    /// Ask nothing: what was not given is the default
    #[arg(short, long)]
    yes: bool,
}

/// The name of a cluster in a directory whose name is none.
const NAME: &str = "home";
/// The nodes of a project for which none are named.
const NODES: &str = "pi-1";
/// The word that stands for [`init::fleet`].
const FLEET: &str = "cluster";

/// Asks, and writes the project.
pub(super) fn run(context: &Context, args: &InitArgs) -> Result<u8, Failure> {
    let directory = context.directory.join(&args.project);
    let person = (!args.yes && context.printer.can_ask()).then_some(Person { context });
    let name = name(args, &directory, person.as_ref())?;
    let key = key(context, args, person.as_ref())?;
    let nodes = nodes(args, person.as_ref())?;
    // Whoever names servers wants a cluster, even of one.
    let security = if args.servers.is_empty() { Answers::security_of(&nodes) } else { Security::Closed };
    let mut answers =
        Answers { name, key, nodes, security, trusted: args.trusted.clone(), gateway: args.gateway.clone() };
    answers.check().map_err(usage)?;
    let is_guessed = answers.trusted.is_empty() && answers.networks() == [init::NETWORK];
    if let Some(person) = person.as_ref().filter(|_| is_guessed) {
        answers.trusted = vec![network(person)?];
    }
    let files = init::files(&answers)?;
    write(&directory, &shown(&args.project), &files)?;
    say(context, args, &answers, &files);
    Ok(0)
}

/// The network that nodes without addresses let in.
fn network(person: &Person<'_>) -> Result<String, Failure> {
    person.context.printer.say(
        "The cluster is closed to strangers. Its nodes ask DHCP for their addresses, so their network is let in: give it, as\n\
         your router calls it, or give the nodes addresses in cluster.toml.",
    );
    person.ask("Network of the nodes", init::NETWORK, |text| {
        host::prefix(text).map(|()| text.to_owned()).map_err(|reason| format!("`{}` {reason}", text.escape_debug()))
    })
}

/// Somebody who answers.
struct Person<'a> {
    context: &'a Context,
}

impl Person<'_> {
    /// Asks until the answer is one; an empty one is `default`.
    fn ask<T>(&self, question: &str, default: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, Failure> {
        loop {
            let answer = self.context.printer.ask(&format!("{question} [{default}]:"))?;
            match read(if answer.is_empty() { default } else { &answer }) {
                Ok(value) => return Ok(value),
                // The end of the input is an empty answer, so that this ends.
                Err(reason) if answer.is_empty() => return Err(Failure::user(reason, None)),
                Err(reason) => self.context.printer.say(&reason),
            }
        }
    }
}

fn usage(reason: String) -> Failure {
    Failure::new(Exit::Usage, reason, None)
}

fn name(args: &InitArgs, directory: &Path, person: Option<&Person<'_>>) -> Result<String, Failure> {
    let read = |name: &str| init::check_name(name).map(|()| name.to_owned());
    if let Some(name) = &args.name {
        return read(name).map_err(usage);
    }
    let absolute = std::path::absolute(directory)?;
    let own = absolute.file_name().and_then(|name| name.to_str()).filter(|name| init::check_name(name).is_ok());
    let default = own.unwrap_or(NAME);
    match person {
        Some(person) => person.ask("Name of the cluster", default, read),
        None => Ok(default.to_owned()),
    }
}

fn key(context: &Context, args: &InitArgs, person: Option<&Person<'_>>) -> Result<Option<String>, Failure> {
    let read = |file: &OsStr| match file.to_str() {
        Some("none") => Ok(None),
        _ => keys::read(&home(context, file)).map(Some),
    };
    if let Some(file) = &args.ssh_key {
        return read(file).map_err(|reason| Failure::user(reason, Some("`ssh-keygen -t ed25519` makes a key".into())));
    }
    let found = keys::find(&context.settings.environment);
    let Some(person) = person else { return Ok(found.into_iter().next().map(|key| key.line)) };
    if found.is_empty() {
        context.printer.say("There is no SSH key in an agent or in ~/.ssh; `ssh-keygen -t ed25519` makes one.");
        return person.ask("File of the public key that logs in", "none", |file| read(OsStr::new(file)));
    }
    context.printer.say("The SSH key that logs in:");
    for (number, key) in (1..).zip(&found) {
        context.printer.say(&format!("  {number}  {} ({})", keys::shown(&key.line), key.origin));
    }
    person.ask("Its number, a file, or none", "1", |answer| match answer.parse::<usize>() {
        Ok(number) => match number.checked_sub(1).and_then(|index| found.get(index)) {
            Some(key) => Ok(Some(key.line.clone())),
            None => Err(format!("there is no key {number}")),
        },
        Err(_) => read(OsStr::new(answer)),
    })
}

/// A path as a person types it at a prompt, where no shell replaces `~`.
fn home(context: &Context, file: &OsStr) -> PathBuf {
    match (Path::new(file).strip_prefix("~"), &context.settings.environment.home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(file),
    }
}

fn nodes(args: &InitArgs, person: Option<&Person<'_>>) -> Result<Vec<Node>, Failure> {
    let read = |text: &str| match text {
        FLEET => Ok(init::fleet()),
        text => {
            let words = text.split([' ', ',']).filter(|word| !word.is_empty());
            let nodes = init::parse_nodes(words, Bare::Lab, Vec::new())?;
            init::check_nodes(&nodes).map(|()| nodes)
        }
    };
    let named =
        |words: &[String], bare, there| init::parse_nodes(words.iter().map(String::as_str), bare, there).map_err(usage);
    match person {
        _ if args.cluster => Ok(init::fleet()),
        _ if !args.servers.is_empty() => {
            let servers = named(&args.servers, Bare::Server, Vec::new())?;
            if let Some(client) = servers.iter().find(|node| !node.kind.is_server()) {
                return Err(usage(format!("{} is among --servers, and its image is a client's", client.name)));
            }
            let nodes = named(&args.clients, Bare::Client, servers.clone())?;
            match nodes[servers.len()..].iter().find(|node| node.kind.is_server()) {
                Some(server) => Err(usage(format!("{} is among --clients, and its image is a server's", server.name))),
                None => Ok(nodes),
            }
        }
        _ if !args.nodes.is_empty() => named(&args.nodes, Bare::Lab, Vec::new()),
        None => read(NODES).map_err(usage),
        Some(person) => {
            person.context.printer.say(
                "The nodes, each NAME, NAME=IMAGE or NAME=IMAGE=ADDRESS/PREFIX. lab and lab-client are made of Debian's packages;\n\
                 pi4-server, pi3-server and pi-client also of HashiCorp's releases. `cluster` stands for three of those servers\n\
                 and a client. One lab alone shows what it can do to everybody; anything else is closed to strangers.",
            );
            person.ask("Nodes", NODES, read)
        }
    }
}

/// The project's directory, in a sentence.
fn shown(project: &Path) -> String {
    if project == Path::new(".") { "this directory".to_owned() } else { project.display().to_string() }
}

/// Writes every file, or none; what is there stays as it is.
fn write(directory: &Path, shown: &str, files: &[NewFile]) -> Result<(), Failure> {
    let there: Vec<&str> = files
        .iter()
        .filter(|file| files::symlink_metadata(directory.join(&file.path)).is_ok())
        .map(|file| file.path.as_str())
        .collect();
    if !there.is_empty() {
        return Err(Failure::user(
            format!("{shown} has {} already", there.join(", ")),
            Some("init overwrites nothing: name a directory that is empty or not there yet".into()),
        ));
    }
    let mut made = Vec::new();
    let result = files.iter().try_for_each(|file| {
        let path = directory.join(&file.path);
        files::create_directory(path.parent().unwrap_or(directory))?;
        // Not even what came into being a moment ago is overwritten.
        let mut new = crate::files::draft::create_new(&path)?;
        made.push(path);
        new.write_all(file.text.as_bytes())
    });
    if result.is_err() {
        for path in &made {
            // Best effort: the error that is reported is the first one.
            let _ = files::remove(path);
        }
    }
    result.map_err(|error: io::Error| Failure::from(error).advising("the directory must be writable".into()))
}

fn say(context: &Context, args: &InitArgs, answers: &Answers, files: &[NewFile]) {
    let printer = &context.printer;
    let directory = args.project.display();
    for file in files {
        let step = printer.step("Creating", &file.path, None);
        let path = args.project.join(&file.path);
        step.done("Created", &path.strip_prefix(".").unwrap_or(&path).display().to_string(), Outcome::Made);
    }
    if answers.key.is_none() {
        printer.warning("nobody can log in yet: put an SSH key into cluster.toml and the images");
    }
    let enter = (args.project != Path::new(".")).then(|| format!("cd {}", shell::shown(args.project.as_os_str())));
    match answers.security {
        Security::Open => {
            let image = answers.nodes.first().map_or("lab", |node| node.kind.image());
            let enter = enter.map(|enter| format!("{enter} && ")).unwrap_or_default();
            printer
                .note(&format!("look at cluster.toml and images/{image}.toml, then: {enter}hah-image build {image}"));
        }
        Security::Closed => say_closed(context, args, answers, enter),
    }
    printer.result(|| {
        serde_json::json!({"event": "result", "project": directory.to_string(), "name": answers.name,
            "security": if answers.security == Security::Closed { "closed" } else { "open" },
            "nodes": answers.nodes.iter().map(|node| &node.name).collect::<Vec<_>>(),
            "files": files.iter().map(|file| &file.path).collect::<Vec<_>>()})
    });
    if printer.mode() == Mode::Quiet {
        printer.path(&args.project);
    }
}

/// What was guessed, and the commands that lead to the cards.
fn say_closed(context: &Context, args: &InitArgs, answers: &Answers, enter: Option<String>) {
    let printer = &context.printer;
    if let (None, Some(router)) = (&answers.gateway, answers.router()) {
        printer.note(&format!("cluster.toml takes {router} for the router: change `gateway` if it is another"));
    }
    if args.trusted.is_empty() && !answers.networks().is_empty() {
        let networks = answers.networks().join(", ");
        printer.note(&format!(
            "nodes without addresses are let in from {networks}: change `trusted` in cluster.toml if that is not their network"
        ));
    }
    printer.note("the cluster is closed to strangers; look at cluster.toml and images/, then, one after the other:");
    let verbs = ["secrets init", "build --all", "flash --fleet"].map(|verb| format!("hah-image {verb}"));
    for command in enter.into_iter().chain(verbs) {
        printer.say(&format!("  {command}"));
    }
}
