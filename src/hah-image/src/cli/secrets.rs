//! `secrets`: what a cluster keeps to itself.

use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret as _, SecretString};
use clap::{Args, Subcommand, ValueEnum};
use hah_node::identity::Secret;
use hah_plan::cluster::{Cluster, NodeSecrets, Secrets};
use zeroize::Zeroizing;

use super::Context;
use crate::advice::Exit;
use crate::failure::Failure;
use crate::files;
use crate::project::Project;
use crate::project::fleet::{FleetError, cluster_of, no_such_node};
use crate::project::secrets::passphrase::{self, Weak};
use crate::project::secrets::{self, FILE, Key, Lock};

/// Longest value that `set` reads, in bytes.
const VALUE_MAX: u64 = 1 << 16;

/// What opens secrets.age.
#[derive(Debug, Clone, Args)]
pub(super) struct KeyArgs {
    /// A file of age keys (age-keygen) that opens secrets.age; or HAH_IMAGE_AGE_IDENTITY
    #[arg(long, value_name = "FILE")]
    age_identity: Option<PathBuf>,
    /// Read the passphrase of secrets.age from the first line of FILE; or HAH_IMAGE_PASSPHRASE; without, it is asked for
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Verbs of `secrets`.
#[derive(Debug, Subcommand)]
pub(super) enum SecretsVerb {
    /// Make what the cluster wants: gossip keys, an authority, certificates, tokens
    Init(NewArgs),
    /// Make what new or changed nodes lack, and forget those that are gone
    Update(KeyArgs),
    /// Make some of them anew; every card that holds them is to be flashed again
    Rotate(RotateArgs),
    /// Set one value, read from standard input or asked for
    Set(ValueArgs),
    /// Print one value
    Get(ValueArgs),
}

/// Arguments of `secrets init`.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// Take a passphrase that would be guessed
    #[arg(long)]
    weak_passphrase: bool,
}

/// Arguments of `secrets rotate`.
#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// Which
    #[arg(value_enum)]
    kind: Rotated,
    #[command(flatten)]
    key: KeyArgs,
}

/// What can be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rotated {
    /// The gossip keys of Consul and Nomad
    Gossip,
    /// The authority, and with it every certificate
    Ca,
    /// The certificates, by the same authority
    Certificates,
    /// Consul's management token; those of nodes are forgotten
    Tokens,
    /// The key that signs generations
    Release,
}

impl Rotated {
    fn kind(self) -> secrets::Kind {
        match self {
            Self::Gossip => secrets::Kind::Gossip,
            Self::Ca => secrets::Kind::Authority,
            Self::Certificates => secrets::Kind::Certificates,
            Self::Tokens => secrets::Kind::Tokens,
            Self::Release => secrets::Kind::Release,
        }
    }

    /// What else a running cluster needs, since it keeps the old ones in its data.
    fn besides(self) -> &'static str {
        match self {
            Self::Gossip => {
                "a running cluster keeps its keyring: change it there too, with `consul keyring` and \
                 `nomad operator gossip keyring`, before cards with the new keys boot"
            }
            Self::Ca => "nodes of the old authority and of the new one do not believe each other: flash all, then boot",
            Self::Certificates => "each node takes its new ones when its card is flashed again and boots",
            Self::Tokens => {
                "a cluster that was bootstrapped knows only its old token: make the new one there too, with \
                 `consul acl token create -secret`"
            }
            Self::Release => "a node believes the key of its identity: give it the new one before you rotate once more",
        }
    }
}

/// Arguments of `secrets set` and `secrets get`.
#[derive(Debug, Args)]
pub(super) struct ValueArgs {
    /// Which value
    #[arg(value_enum)]
    name: Name,
    /// Whose, for those that are a node's own
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
}

/// A value by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Passphrase of the wireless network
    WifiPsk,
    /// crypt(5) hash of the password of `hah`
    PasswordHash,
    /// Consul's gossip key
    ConsulEncrypt,
    /// Nomad's gossip key
    NomadEncrypt,
    /// Consul's first management token
    ConsulManagement,
    /// Nomad's first management token
    NomadManagement,
    /// A node's Vault role-id
    VaultRoleId,
    /// A node's response-wrapped Vault secret-id
    VaultWrappedSecretId,
    /// URL to which a node's Alertmanager sends alerts
    AlertmanagerWebhook,
    /// URL to which a node's Alertmanager sends the Watchdog
    AlertmanagerHeartbeat,
    /// A node's Consul token for the agent itself
    ConsulAgentToken,
    /// A node's Nomad token for Consul
    NomadConsulToken,
    /// hah-agent's token for Consul on a node
    HahConsulToken,
    /// hah-agent's token for Nomad on a node
    HahNomadToken,
}

impl Name {
    fn text(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn slot(self) -> Slot {
        match self {
            Self::WifiPsk => Slot::Shared(|secrets| &mut secrets.wifi_psk),
            Self::PasswordHash => Slot::Shared(|secrets| &mut secrets.password_hash),
            Self::ConsulEncrypt => Slot::Shared(|secrets| &mut secrets.consul_encrypt),
            Self::NomadEncrypt => Slot::Shared(|secrets| &mut secrets.nomad_encrypt),
            Self::ConsulManagement => Slot::Shared(|secrets| &mut secrets.consul_management),
            Self::NomadManagement => Slot::Shared(|secrets| &mut secrets.nomad_management),
            Self::VaultRoleId => Slot::Own(|own| &mut own.vault_role_id),
            Self::VaultWrappedSecretId => Slot::Own(|own| &mut own.vault_wrapped_secret_id),
            Self::AlertmanagerWebhook => Slot::Own(|own| &mut own.alertmanager_webhook),
            Self::AlertmanagerHeartbeat => Slot::Own(|own| &mut own.alertmanager_heartbeat),
            Self::ConsulAgentToken => Slot::Own(|own| &mut own.consul_agent_token),
            Self::NomadConsulToken => Slot::Own(|own| &mut own.nomad_consul_token),
            Self::HahConsulToken => Slot::Own(|own| &mut own.hah_consul_token),
            Self::HahNomadToken => Slot::Own(|own| &mut own.hah_nomad_token),
        }
    }
}

/// Where a value is kept.
enum Slot {
    /// Once, for all nodes.
    Shared(fn(&mut Secrets) -> &mut Option<Secret>),
    /// Among those of each node.
    Own(fn(&mut NodeSecrets) -> &mut Option<Secret>),
}

impl ValueArgs {
    /// Where the value is in the secrets.
    fn place<'s>(&self, cluster: &Cluster, secrets: &'s mut Secrets) -> Result<&'s mut Option<Secret>, Failure> {
        let usage = |message: &str| Err(Failure::new(Exit::Usage, message, None));
        match (self.name.slot(), &self.node) {
            (Slot::Shared(at), None) => Ok(at(secrets)),
            (Slot::Shared(_), Some(_)) => usage("this value is the same for all nodes: leave out --node"),
            (Slot::Own(at), Some(node)) if cluster.nodes.contains_key(node) => {
                Ok(at(secrets.nodes.entry(node.clone()).or_default()))
            }
            (Slot::Own(_), Some(node)) => Err(no_such_node(cluster, node).into()),
            (Slot::Own(_), None) => usage("this value is a node's own: say whose with --node NAME"),
        }
    }

    /// As messages call it.
    fn shown(&self) -> String {
        let name = self.name.text();
        self.node.as_ref().map_or_else(|| name.clone(), |node| format!("{name} of {node}"))
    }
}

/// Runs a `secrets` verb.
pub(super) fn run(context: &Context, verb: &SecretsVerb) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let cluster = cluster_of(&project)?;
    match verb {
        SecretsVerb::Init(args) => init(context, &project, &cluster, args),
        SecretsVerb::Update(key) => change(context, &project, (&cluster, key), |secrets| {
            secrets::complete(&cluster, secrets, crate::clock::unix_now())
        }),
        SecretsVerb::Rotate(args) => rotate(context, &project, &cluster, args),
        SecretsVerb::Set(args) => set(context, &project, &cluster, args),
        SecretsVerb::Get(args) => get(context, &project, &cluster, args),
    }
}

/// The project's secrets, opened; none when the fleet wants none and has none.
pub(super) fn open(context: &Context, project: &Project, cluster: &Cluster, key: &KeyArgs) -> Result<Secrets, Failure> {
    if cluster.security.is_none() && cluster.wants_gossip() {
        context.printer.note(
            "cluster.toml does not say `security`, so the cluster is open: whoever reaches its ports may use them; \
             docs/identity.md says how to close it",
        );
    }
    match secrets::read(project.root())? {
        Some(file) => secrets::decrypt(&file, &key_for(context, &file, key)?),
        None if cluster.wants_secrets() => Err(FleetError::NoSecrets { closed: cluster.is_closed() }.into()),
        None => {
            if cluster.wants_gossip() {
                let text =
                    format!("there is no {FILE}: the gossip between nodes is not encrypted; `hah-image secrets init`");
                context.printer.warning(&text);
            }
            Ok(Secrets::default())
        }
    }
}

fn key_for(context: &Context, file: &[u8], args: &KeyArgs) -> Result<Key, Failure> {
    if secrets::wants_passphrase(file)? {
        return Ok(Key::Passphrase(ask_passphrase(context, args, "Passphrase of secrets.age:")?));
    }
    match args.age_identity.as_ref().or(context.settings.environment.age_identity.as_ref()) {
        Some(path) => Ok(Key::Identities(secrets::identities(path)?)),
        None => Err(Failure::new(
            Exit::Usage,
            format!("{FILE} is encrypted for keys"),
            Some("name the file with yours: --age-identity FILE, or HAH_IMAGE_AGE_IDENTITY".into()),
        )),
    }
}

/// From a file, the environment or the terminal; never from the command line, which others can read.
fn ask_passphrase(context: &Context, args: &KeyArgs, question: &str) -> Result<SecretString, Failure> {
    if let Some(path) = &args.passphrase_file {
        let text = Zeroizing::new(files::read_to_string(path)?);
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            return Err(Failure::user(format!("{}: its first line is empty", path.display()), None));
        }
        return Ok(SecretString::from(line.to_owned()));
    }
    if let Some(phrase) = &context.settings.environment.passphrase {
        return Ok(SecretString::from(phrase.reveal().to_owned()));
    }
    if !context.printer.can_ask() {
        return Err(Failure::new(
            Exit::Usage,
            "the passphrase cannot be asked for: this is not a terminal",
            Some("--passphrase-file FILE or HAH_IMAGE_PASSPHRASE says it; a file for age keys needs none".into()),
        ));
    }
    Ok(SecretString::from(context.printer.ask_secret(question)?.to_string()))
}

/// What a new file is encrypted for: the recipients of cluster.toml, or a passphrase.
fn new_lock(context: &Context, cluster: &Cluster, args: &NewArgs) -> Result<Lock, Failure> {
    if !cluster.recipients.is_empty() {
        return Ok(Lock::Recipients(secrets::recipients(&cluster.recipients)?));
    }
    let NewArgs { key: args, weak_passphrase } = args;
    let phrase = ask_passphrase(context, args, "New passphrase for secrets.age:")?;
    match passphrase::weigh(&phrase, cluster) {
        Err(Weak::Guessed { .. }) if *weak_passphrase => {}
        weighed => weighed?,
    }
    let was_asked = args.passphrase_file.is_none() && context.settings.environment.passphrase.is_none();
    if was_asked && ask_passphrase(context, args, "The same again:")?.expose_secret() != phrase.expose_secret() {
        return Err(Failure::user("the two differ; nothing was written", None));
    }
    Ok(Lock::Passphrase(phrase))
}

/// The lock of a file that is there: the same as before, unless cluster.toml names recipients by now.
fn same_lock(cluster: &Cluster, key: Key) -> Result<Lock, Failure> {
    match key {
        _ if !cluster.recipients.is_empty() => Ok(Lock::Recipients(secrets::recipients(&cluster.recipients)?)),
        Key::Passphrase(phrase) => Ok(Lock::Passphrase(phrase)),
        Key::Identities(identities) => {
            Ok(Lock::Recipients(identities.iter().map(age::x25519::Identity::to_public).collect()))
        }
    }
}

fn init(context: &Context, project: &Project, cluster: &Cluster, args: &NewArgs) -> Result<u8, Failure> {
    let path = secrets::path(project.root());
    if path.exists() {
        return Err(Failure::user(
            format!("{} is there already", path.display()),
            Some("`hah-image secrets update` adds what new nodes lack".into()),
        ));
    }
    let lock = new_lock(context, cluster, args)?;
    let mut made = Secrets::default();
    let added = secrets::complete(cluster, &mut made, crate::clock::unix_now())?;
    secrets::write(project.root(), &secrets::encrypt(&made, &lock)?)?;
    report(context, &path, &added);
    if cluster.wifi.is_some() {
        context.printer.note("the wireless network's passphrase is still to be set: hah-image secrets set wifi-psk");
    }
    Ok(0)
}

fn rotate(context: &Context, project: &Project, cluster: &Cluster, args: &RotateArgs) -> Result<u8, Failure> {
    let code = change(context, project, (cluster, &args.key), |secrets| {
        secrets::rotate(cluster, secrets, args.kind.kind(), crate::clock::unix_now())
    })?;
    context.printer.note(args.kind.besides());
    Ok(code)
}

fn get(context: &Context, project: &Project, cluster: &Cluster, args: &ValueArgs) -> Result<u8, Failure> {
    args.place(cluster, &mut Secrets::default())?;
    let mut secrets = open(context, project, cluster, &args.key)?;
    let Some(value) = args.place(cluster, &mut secrets)? else {
        return Err(Failure::user(
            format!("{FILE} has no {}", args.shown()),
            Some("`hah-image secrets set` sets it".into()),
        ));
    };
    context.printer.data(format!("{}\n", value.reveal()));
    Ok(0)
}

fn set(context: &Context, project: &Project, cluster: &Cluster, args: &ValueArgs) -> Result<u8, Failure> {
    // What is wrong with the command line comes before any question.
    args.place(cluster, &mut Secrets::default())?;
    let text = if context.printer.can_ask() {
        context.printer.ask_secret(&format!("The {}:", args.shown()))?
    } else {
        let mut text = Zeroizing::new(String::new());
        std::io::Read::read_to_string(&mut std::io::Read::take(std::io::stdin(), VALUE_MAX), &mut text)?;
        text
    };
    let value = Secret::new(text.trim_end_matches(['\r', '\n']));
    change(context, project, (cluster, &args.key), |secrets| {
        *args.place(cluster, secrets)? = Some(value);
        for name in cluster.nodes.keys() {
            if let Some(flaw) = cluster.identity(name, secrets).and_then(|identity| identity.flaw()) {
                return Err(Failure::user(format!("{flaw}; nothing was changed"), None));
            }
        }
        Ok(vec![args.shown()])
    })
}

/// Opens, changes, encrypts for the same as before, and writes.
fn change(
    context: &Context,
    project: &Project,
    (cluster, args): (&Cluster, &KeyArgs),
    change: impl FnOnce(&mut Secrets) -> Result<Vec<String>, Failure>,
) -> Result<u8, Failure> {
    let path = secrets::path(project.root());
    let Some(file) = secrets::read(project.root())? else {
        return Err(Failure::user(format!("there is no {}", path.display()), Some("hah-image secrets init".into())));
    };
    let key = key_for(context, &file, args)?;
    let mut found = secrets::decrypt(&file, &key)?;
    let added = change(&mut found)?;
    if !added.is_empty() {
        secrets::write(project.root(), &secrets::encrypt(&found, &same_lock(cluster, key)?)?)?;
    }
    report(context, &path, &added);
    Ok(0)
}

fn report(context: &Context, path: &Path, added: &[String]) {
    for what in added {
        context.printer.note(&format!("{} now has {what}", path.display()));
    }
    if added.is_empty() {
        context.printer.note(&format!("{} is complete", path.display()));
    }
    context
        .printer
        .result(|| serde_json::json!({"event": "result", "file": path.display().to_string(), "added": added}));
}
