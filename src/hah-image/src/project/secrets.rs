//! A cluster's secrets: made here, kept as `secrets.age` beside `cluster.toml`, in the clear only in memory.
//!
//! The file is [age](https://age-encryption.org/v1), armoured, for a passphrase or for the recipients that `cluster.toml`
//! names; age's own tools read and write it too. Its content is JSON: [`Secrets`].
//! Nothing here is printed, and no plain text is written to any file.

pub mod signing;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use base64::Engine as _;
use hah_node::identity::Secret;
use hah_plan::cluster::{Cluster, KeyPair, Link, Member, NodeSecrets, Role, SECRETS_VERSION, Secrets};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::files;
use crate::files::draft::Draft;
use crate::files::place::Place;

pub mod passphrase;

/// Name of the file.
pub const FILE: &str = "secrets.age";
/// Largest file that is read, in bytes.
const FILE_MAX: u64 = 4 << 20;
/// Certificates count from here: a Pi without network starts with the image's clock.
const NOT_BEFORE: (i32, u8, u8) = (2020, 1, 1);
/// How many years authorities last, and the certificates of fleets that are not closed.
const YEARS: i32 = 10;
/// How long a certificate of a closed fleet lasts, in seconds: a year.
const YEAR: u64 = 365 * 86_400;
/// A certificate that ends within this time, in seconds, is made anew by `secrets update`.
const RENEWED: u64 = 60 * 86_400;

/// What opens the file.
pub enum Key {
    /// A passphrase.
    Passphrase(SecretString),
    /// Keys of recipients.
    Identities(Vec<age::x25519::Identity>),
}

/// What the file is encrypted for.
pub enum Lock {
    /// A passphrase.
    Passphrase(SecretString),
    /// Public keys: `age1…`.
    Recipients(Vec<age::x25519::Recipient>),
}

/// Where the file of a project is.
pub fn path(project: &Path) -> PathBuf {
    project.join(FILE)
}

/// The encrypted file, if there is one.
pub fn read(project: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let file = match files::open(Place::of(&path(project))?.path()) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Whether a file wants a passphrase and no key.
pub fn wants_passphrase(file: &[u8]) -> Result<bool, Failure> {
    let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(file)).map_err(|error| unreadable(&error))?;
    Ok(decryptor.is_scrypt())
}

fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure::user(
        format!("{FILE} cannot be opened: {error}"),
        Some("is it the right passphrase or key file? `age -d secrets.age` opens it too".into()),
    )
}

/// Opens a file.
pub fn decrypt(file: &[u8], key: &Key) -> Result<Secrets, Failure> {
    let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(file)).map_err(|error| unreadable(&error))?;
    let mut plain = Zeroizing::new(Vec::new());
    let mut reader = match key {
        Key::Passphrase(passphrase) => {
            let identity = age::scrypt::Identity::new(passphrase.clone());
            decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
        }
        Key::Identities(identities) => {
            decryptor.decrypt(identities.iter().map(|identity| identity as &dyn age::Identity))
        }
    }
    .map_err(|error| unreadable(&error))?;
    (&mut reader).take(FILE_MAX).read_to_end(&mut plain).map_err(|error| unreadable(&error))?;
    // serde's messages may quote values.
    let secrets: Secrets = serde_json::from_slice(&plain).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        unreadable(&format!("its content is not what this version of hah-image writes ({place})"))
    })?;
    if secrets.version != SECRETS_VERSION {
        return Err(unreadable(&format!("it has version {}", secrets.version)));
    }
    Ok(secrets)
}

/// Encrypts.
pub fn encrypt(secrets: &Secrets, lock: &Lock) -> Result<Vec<u8>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::user(format!("cannot encrypt {FILE}: {error}"), None);
    let plain = Zeroizing::new(serde_json::to_vec_pretty(secrets).map_err(|error| failed(&error))?);
    let encryptor = match lock {
        Lock::Passphrase(passphrase) => age::Encryptor::with_user_passphrase(passphrase.clone()),
        Lock::Recipients(recipients) => {
            age::Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn age::Recipient))
                .map_err(|error| failed(&error))?
        }
    };
    let armor = age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(&plain)?;
    Ok(writer.finish()?.finish()?)
}

/// Writes the encrypted file, whole or not at all.
pub fn write(project: &Path, file: &[u8]) -> Result<(), Failure> {
    let mut draft = Draft::of(&Place::of(&path(project))?)?;
    draft.write(file)?;
    // Nobody can make an authority's key again that a power cut took.
    draft.file().sync_all()?;
    draft.publish(&path(project))?;
    Ok(())
}

/// Reads a file of age keys: `AGE-SECRET-KEY-1…` lines, comments and blank lines.
pub fn identities(path: &Path) -> Result<Vec<age::x25519::Identity>, Failure> {
    let text = Zeroizing::new(files::read_to_string(path)?);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let wrong = |_| {
        Failure::user(
            format!("{}: not a file of age keys", path.display()),
            Some("`age-keygen -o FILE` makes one; its public key goes into cluster.toml".into()),
        )
    };
    lines.map(|line| line.parse::<age::x25519::Identity>().map_err(wrong)).collect()
}

/// Reads public keys.
pub fn recipients(keys: &[String]) -> Result<Vec<age::x25519::Recipient>, Failure> {
    let wrong = |key: &str| {
        Failure::user(
            format!("`{key}` is not an age public key"),
            Some("they look like age1…, from `age-keygen -y`".into()),
        )
    };
    keys.iter().map(|key| key.parse().map_err(|_| wrong(key))).collect()
}

/// Adds what a cluster wants and the secrets lack; what is there and still right stays. Says what was done.
///
/// A certificate is not right any more when the node's names or addresses are others than those it was made for.
/// `now` is in seconds since 1970.
pub fn complete(cluster: &Cluster, secrets: &mut Secrets, now: u64) -> Result<Vec<String>, Failure> {
    let mut done = Vec::new();
    secrets.version = SECRETS_VERSION;
    let any = |part: fn(&Member) -> Role| cluster.nodes.values().any(|member| part(member) != Role::None);
    if secrets.consul_encrypt.is_none() && any(|member| member.consul) {
        secrets.consul_encrypt = Some(random_key()?);
        done.push("Consul's gossip key".to_owned());
    }
    if secrets.nomad_encrypt.is_none() && any(|member| member.nomad) {
        secrets.nomad_encrypt = Some(random_key()?);
        done.push("Nomad's gossip key".to_owned());
    }
    if secrets.consul_management.is_none() && cluster.acl.is_some() {
        secrets.consul_management = Some(token()?);
        done.push("Consul's management token".to_owned());
    }
    if cluster.is_closed() {
        choose_tokens(cluster, secrets, &mut done)?;
    }
    if secrets.release.is_none() && cluster.is_closed() {
        secrets.release = Some(signing::make()?);
        done.push("the key that signs generations".to_owned());
    }
    if secrets.record_key.is_none() {
        secrets.record_key = Some(random_key()?);
        done.push("the key of the record of flashed cards".to_owned());
    }
    if cluster.tls {
        certify(cluster, secrets, now, &mut done)?;
    }
    let gone: Vec<String> = secrets.nodes.keys().filter(|name| !cluster.nodes.contains_key(*name)).cloned().collect();
    for name in gone {
        secrets.nodes.remove(&name);
        done.push(format!("nothing of {name} any more"));
    }
    Ok(done)
}

/// The tokens of a closed cluster, which its own set-up makes known to Consul and Nomad.
fn choose_tokens(cluster: &Cluster, secrets: &mut Secrets, done: &mut Vec<String>) -> Result<(), Failure> {
    let has_nomad = cluster.nodes.values().any(|member| member.nomad == Role::Server);
    if secrets.nomad_management.is_none() && has_nomad {
        secrets.nomad_management = Some(token()?);
        done.push("Nomad's management token".to_owned());
    }
    for (name, member) in &cluster.nodes {
        let own = secrets.nodes.entry(name.clone()).or_default();
        // Where there is no Nomad, systemd runs Prometheus, on a server.
        let runs_prometheus = !has_nomad && member.consul == Role::Server;
        for (what, wanted, slot) in [
            ("agent token", member.consul != Role::None, &mut own.consul_agent_token),
            ("Nomad token for Consul", member.nomad != Role::None, &mut own.nomad_consul_token),
            ("hah-agent token for Consul", member.consul != Role::None, &mut own.hah_consul_token),
            ("Prometheus token for Consul", runs_prometheus, &mut own.prometheus_consul_token),
        ] {
            if wanted && slot.is_none() {
                *slot = Some(token()?);
                done.push(format!("the {what} of {name}"));
            }
        }
    }
    Ok(())
}

/// The authorities and the certificates of [`complete`].
fn certify(cluster: &Cluster, secrets: &mut Secrets, now: u64, done: &mut Vec<String>) -> Result<(), Failure> {
    let authorities = authorities(cluster, secrets, now, done)?;
    for (name, member) in &cluster.nodes {
        let own = secrets.nodes.entry(name.clone()).or_default();
        let pairs = [&mut own.consul, &mut own.nomad, &mut own.vault];
        for ((subject, pair), ca) in Subject::all(cluster, name, member).into_iter().zip(pairs).zip(&authorities) {
            let Some(ca) = ca.as_ref().filter(|_| subject.role != Role::None) else {
                *pair = None;
                continue;
            };
            if pair.as_ref().is_none_or(|pair| subject.outgrew(pair) || ends_soon(pair, now)) {
                *pair = Some(subject.certificate(ca, now)?);
                done.push(format!("{name}'s certificate for {}", subject.program));
            }
        }
    }
    Ok(())
}

/// Whether a certificate is to be renewed.
fn ends_soon(pair: &KeyPair, now: u64) -> bool {
    pair.until.is_some_and(|until| until < now.saturating_add(RENEWED))
}

/// Who signs for Consul, Nomad and Vault, as far as any node has them: an authority each; or the one that a cluster of
/// before has for all.
fn authorities(
    cluster: &Cluster,
    secrets: &mut Secrets,
    now: u64,
    done: &mut Vec<String>,
) -> Result<[Option<KeyPair>; 3], Failure> {
    if let Some(ca) = &secrets.ca {
        return Ok([(); 3].map(|()| Some(ca.clone())));
    }
    let Secrets { consul_ca, nomad_ca, vault_ca, nodes, .. } = secrets;
    type Part = (&'static str, fn(&Member) -> Role, fn(&mut NodeSecrets) -> &mut Option<KeyPair>);
    let parts: [Part; 3] = [
        ("Consul", |member| member.consul, |own| &mut own.consul),
        ("Nomad", |member| member.nomad, |own| &mut own.nomad),
        ("Vault", |member| member.vault, |own| &mut own.vault),
    ];
    for ((program, part, own), slot) in parts.into_iter().zip([&mut *consul_ca, nomad_ca, vault_ca]) {
        if slot.is_some() || cluster.nodes.values().all(|member| part(member) == Role::None) {
            continue;
        }
        *slot = Some(authority(cluster, program, Years::from(now))?);
        done.push(format!("the authority of {program}"));
        // What another authority signed is worth nothing.
        nodes.values_mut().for_each(|node| *own(node) = None);
    }
    Ok([consul_ca.clone(), nomad_ca.clone(), vault_ca.clone()])
}

fn forget_certificates(own: &mut NodeSecrets) {
    (own.consul, own.nomad, own.vault) = (None, None, None);
}

/// What can be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The gossip keys of Consul and Nomad.
    Gossip,
    /// The authority, and with it every certificate.
    Authority,
    /// The certificates, by the same authority.
    Certificates,
    /// Consul's management token, and the tokens of nodes that were made with it.
    Tokens,
    /// The key that signs generations.
    Release,
}

/// Forgets what is of a kind, and makes it anew. Says what was done.
pub fn rotate(cluster: &Cluster, secrets: &mut Secrets, kind: Kind, now: u64) -> Result<Vec<String>, Failure> {
    let mut lost = Vec::new();
    match kind {
        Kind::Gossip => (secrets.consul_encrypt, secrets.nomad_encrypt) = (None, None),
        Kind::Authority => {
            (secrets.ca, secrets.consul_ca, secrets.nomad_ca, secrets.vault_ca) = (None, None, None, None);
        }
        Kind::Release => {
            let before = secrets.release.take();
            // One back: what nodes have not seen replaced yet.
            secrets.release_before = before.into_iter().map(|key| key.public).collect();
            secrets.release = Some(signing::make()?);
            lost.push(
                "the key that signs generations; nodes believe the one before until they get the new one".to_owned(),
            );
        }
        Kind::Certificates => secrets.nodes.values_mut().for_each(forget_certificates),
        Kind::Tokens => {
            (secrets.consul_management, secrets.nomad_management) = (None, None);
            for (name, own) in &mut secrets.nodes {
                for (what, token) in [
                    ("agent token", &mut own.consul_agent_token),
                    ("Nomad token for Consul", &mut own.nomad_consul_token),
                    ("hah-agent token for Consul", &mut own.hah_consul_token),
                    ("Prometheus token for Consul", &mut own.prometheus_consul_token),
                    ("hah-agent token for Nomad", &mut own.hah_nomad_token),
                ] {
                    let made = cluster.is_closed() && what != "hah-agent token for Nomad";
                    let had = token.take().filter(|_| !made);
                    lost.extend(had.map(|_| format!("no {what} of {name} until you set one")));
                }
            }
        }
    }
    let mut done = complete(cluster, secrets, now)?;
    done.extend(lost);
    Ok(done)
}

/// What a node lacks to be flashed.
pub fn missing(cluster: &Cluster, secrets: &Secrets, name: &str) -> Option<String> {
    let member = cluster.nodes.get(name)?;
    if cluster.tls {
        let nothing = NodeSecrets::default();
        let own = secrets.nodes.get(name).unwrap_or(&nothing);
        let pairs = [&own.consul, &own.nomad, &own.vault];
        for (subject, pair) in Subject::all(cluster, name, member).into_iter().zip(pairs) {
            let what = format!("a certificate of {name} for {}", subject.program);
            match pair {
                _ if subject.role == Role::None => {}
                None => return Some(what),
                Some(pair) if subject.outgrew(pair) => return Some(format!("{what} with its present names")),
                Some(_) => {}
            }
        }
    }
    if member.link == Link::Wlan && secrets.wifi_psk.is_none() {
        return Some("the passphrase of the wireless network".to_owned());
    }
    if cluster.acl.is_some() && secrets.consul_management.is_none() {
        return Some("Consul's management token".to_owned());
    }
    cluster.is_closed().then(|| lacks_token(cluster, secrets, name)).flatten()
}

/// A token that a closed cluster's node lacks; of a server, which sets up the others', one of any node.
fn lacks_token(cluster: &Cluster, secrets: &Secrets, name: &str) -> Option<String> {
    let mut chosen = secrets.clone();
    let mut lacking = Vec::new();
    choose_tokens(cluster, &mut chosen, &mut lacking).ok()?;
    let member = cluster.nodes.get(name)?;
    let is_server = [member.consul, member.nomad].contains(&Role::Server);
    let concerns = |what: &&String| what.ends_with(&format!(" of {name}")) || is_server;
    lacking.iter().find(concerns).cloned()
}

#[derive(Clone, Copy)]
struct Years {
    until: i32,
}

impl Years {
    fn from(now: u64) -> Self {
        Self { until: crate::calendar::year(now) + YEARS }
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Failure::user("this machine gives no random bytes", None))?;
    Ok(bytes)
}

/// 32 bytes in base64, as gossip wants them.
fn random_key() -> Result<Secret, Failure> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(Secret::new(base64::engine::general_purpose::STANDARD.encode(bytes.as_slice())))
}

/// A token as Consul wants it: a random UUID.
fn token() -> Result<Secret, Failure> {
    let token = uuid::Builder::from_random_bytes(random()?).into_uuid();
    Ok(Secret::new(token.hyphenated().to_string()))
}

fn no_certificate(error: rcgen::Error) -> Failure {
    Failure::user(format!("cannot make a certificate: {error}"), None)
}

/// The authority's own parameters: with its key and its name they bring it back, whatever the cluster is called by now.
fn authority_params(name: &str, years: Years) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut params, years);
    params
}

fn limit(params: &mut CertificateParams, years: Years) {
    let (year, month, day) = NOT_BEFORE;
    params.not_before = rcgen::date_time_ymd(year, month, day);
    params.not_after = rcgen::date_time_ymd(years.until, 1, 1);
}

fn authority(cluster: &Cluster, program: &str, years: Years) -> Result<KeyPair, Failure> {
    let name = format!("{} {program} authority", cluster.name);
    let key = rcgen::KeyPair::generate().map_err(no_certificate)?;
    let cert = authority_params(&name, years).self_signed(&key).map_err(no_certificate)?;
    Ok(KeyPair { cert: cert.pem(), key: Secret::new(key.serialize_pem()), names: vec![name], until: None })
}

/// Whom a certificate is for.
struct Subject<'c> {
    cluster: &'c Cluster,
    name: &'c str,
    member: &'c Member,
    program: &'static str,
    role: Role,
}

impl<'c> Subject<'c> {
    /// A node's part in each program, in the order of [`NodeSecrets`].
    fn all(cluster: &'c Cluster, name: &'c str, member: &'c Member) -> [Self; 3] {
        [("consul", member.consul), ("nomad", member.nomad), ("vault", member.vault)].map(|(program, role)| Self {
            cluster,
            name,
            member,
            program,
            role,
        })
    }

    /// Whether a certificate is for other names than the node has; a closed fleet's says when it ends.
    fn outgrew(&self, pair: &KeyPair) -> bool {
        pair.names != self.names() || self.cluster.is_closed() && pair.until.is_none()
    }

    fn certificate(&self, ca: &KeyPair, now: u64) -> Result<KeyPair, Failure> {
        let years = Years::from(now);
        let ca_key = rcgen::KeyPair::from_pem(ca.key.reveal()).map_err(no_certificate)?;
        let ca_name = ca.names.first().map(String::as_str).unwrap_or_default();
        let issuer = Issuer::new(authority_params(ca_name, years), ca_key);
        let names = self.names();
        let mut params = CertificateParams::new(names.clone()).map_err(no_certificate)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("{} {}", self.name, self.program));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Every agent is a client of the others as well.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        limit(&mut params, years);
        let until = self.cluster.is_closed().then(|| now.saturating_add(YEAR));
        if let Some(until) = until {
            let (year, month, day) = crate::calendar::year_month_day(until);
            params.not_after = rcgen::date_time_ymd(year, month, day);
        }
        let key = rcgen::KeyPair::generate().map_err(no_certificate)?;
        let cert = params.signed_by(&key, &issuer).map_err(no_certificate)?;
        Ok(KeyPair { cert: cert.pem(), key: Secret::new(key.serialize_pem()), names, until })
    }

    /// Names that the programs look for (`verify_server_hostname` wants the first), and addresses.
    fn names(&self) -> Vec<String> {
        let part = if self.role == Role::Server { "server" } else { "client" };
        let mut names = match self.program {
            "consul" => vec![format!("{part}.{}.consul", self.cluster.datacenter)],
            "nomad" => vec![format!("{part}.global.nomad")],
            // What Consul's catalog calls the node that leads, those that wait, and all that are unsealed.
            _ => ["active.vault", "standby.vault", "vault"].map(|name| format!("{name}.service.consul")).to_vec(),
        };
        let name = self.name;
        if self.cluster.is_closed() {
            // As Consul's DNS calls the node: to such a name alone Prometheus shows its token.
            names.push(format!("{name}.node.{}.consul", self.cluster.datacenter));
        }
        names.extend([name.to_owned(), format!("{name}.local"), "localhost".to_owned(), "127.0.0.1".to_owned()]);
        names.extend(self.member.address.as_ref().and_then(|address| address.split('/').next()).map(str::to_owned));
        names
    }
}

#[cfg(test)]
mod tests;
