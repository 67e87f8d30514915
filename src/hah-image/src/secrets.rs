//! A cluster's secrets: made here, kept as `secrets.age` beside `cluster.toml`, in the clear only in memory.
//!
//! The file is [age](https://age-encryption.org/v1), armoured, for a passphrase or for the recipients that `cluster.toml`
//! names; age's own tools read and write it too. Its content is JSON: [`Secrets`].
//! Nothing here is printed, and no plain text is written to any file.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use base64::Engine as _;
use fs_err as fs;
use hah_format::digest::Sha256;
use hah_node::identity::{Identity, Secret};
use hah_plan::cluster::{Cluster, KeyPair, Link, Member, NodeSecrets, Role, SECRETS_VERSION, Secrets};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::draft::Draft;
use crate::draft::place::Place;
use crate::failure::Failure;

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
    let file = match fs::File::open(Place::of(&path(project))?.path()) {
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
    let text = Zeroizing::new(fs::read_to_string(path)?);
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
}

/// Forgets what is of a kind, and makes it anew. Says what was done.
pub fn rotate(cluster: &Cluster, secrets: &mut Secrets, kind: Kind, now: u64) -> Result<Vec<String>, Failure> {
    let mut lost = Vec::new();
    match kind {
        Kind::Gossip => (secrets.consul_encrypt, secrets.nomad_encrypt) = (None, None),
        Kind::Authority => {
            (secrets.ca, secrets.consul_ca, secrets.nomad_ca, secrets.vault_ca) = (None, None, None, None);
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

/// Changes when anything in an identity does, and tells nothing else about it: its digest, keyed by a secret of the
/// cluster, since a digest alone would let anybody try passphrases. None when the secrets are older than that key.
pub fn fingerprint(secrets: &Secrets, identity: &Identity) -> Result<Option<String>, Failure> {
    let key = match &secrets.record_key {
        Some(key) => key.reveal(),
        // A fleet without secrets has none to guess.
        None if secrets.version == 0 => "",
        None => return Ok(None),
    };
    let mut bytes = Zeroizing::new(format!("hah-image identity\n{key}\n").into_bytes());
    bytes.extend(Zeroizing::new(crate::flash::card::node_json(identity)?).iter());
    Ok(Some(Sha256::of(&bytes).to_string()[..32].to_owned()))
}

#[derive(Clone, Copy)]
struct Years {
    until: i32,
}

impl Years {
    fn from(now: u64) -> Self {
        // A clock that is beyond all years is as good as one that was never set.
        Self { until: i32::try_from(crate::calendar::year(now)).unwrap_or(1970) + YEARS }
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
    let number = u128::from_be_bytes(random::<16>()?) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = Zeroizing::new(format!("{number:032x}"));
    Ok(Secret::new([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")))
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
mod tests {
    use super::*;

    const CLUSTER: &str = "name = \"home\"\ntls = true\nconsul.acl = \"allow\"\n\
        [nodes.a]\nimage = \"x\"\nconsul = \"server\"\nnomad = \"server\"\naddress = \"10.0.0.1/24\"\n\
        [nodes.b]\nimage = \"x\"\nconsul = \"client\"\n";
    /// 2026-11-25.
    const NOW: u64 = 1_795_600_000;

    fn cluster(text: &str) -> Cluster {
        hah_plan::recipe::load_cluster("cluster.toml", text).unwrap()
    }

    fn made() -> Secrets {
        let mut secrets = Secrets::default();
        complete(&cluster(CLUSTER), &mut secrets, NOW).unwrap();
        secrets
    }

    #[test]
    fn what_a_cluster_wants() {
        let cluster = cluster(CLUSTER);
        let mut secrets = made();
        for name in ["a", "b"] {
            let identity = cluster.identity(name, &secrets).unwrap();
            assert_eq!(identity.flaw(), None, "{name}");
            assert_eq!(missing(&cluster, &secrets, name), None);
        }
        let before = secrets.clone();
        assert_eq!(complete(&cluster, &mut secrets, NOW).unwrap(), [""; 0], "what is there stays");
        assert_eq!(secrets, before);
        let more = self::cluster(&format!("{CLUSTER}[nodes.c]\nimage = \"x\"\nconsul = \"client\"\n"));
        assert_eq!(missing(&more, &secrets, "c").as_deref(), Some("a certificate of c for consul"));
        assert_eq!(complete(&more, &mut secrets, NOW).unwrap(), ["c's certificate for consul"]);
        assert_eq!(secrets.consul_ca, before.consul_ca);
        assert_eq!(complete(&cluster, &mut secrets, NOW).unwrap(), ["nothing of c any more"]);
    }

    /// A certificate for names that the node has no longer would be refused by the others.
    #[test]
    fn another_address_is_another_certificate() {
        let (mut secrets, before) = (made(), made());
        let moved = cluster(&CLUSTER.replace("10.0.0.1", "10.0.0.2"));
        let wanted = "a certificate of a for consul with its present names";
        assert_eq!(missing(&moved, &secrets, "a").as_deref(), Some(wanted));
        let done = complete(&moved, &mut secrets, NOW).unwrap();
        assert_eq!(done, ["a's certificate for consul", "a's certificate for nomad"]);
        assert_eq!(missing(&moved, &secrets, "a"), None);
        assert_ne!(secrets.nodes["a"], before.nodes["a"]);
        let server = cluster(&CLUSTER.replace("nomad = \"server\"\n", ""));
        assert_eq!(complete(&server, &mut secrets, NOW).unwrap(), ["a's certificate for consul"]);
        assert_eq!(secrets.nodes["a"].nomad, None);
    }

    #[test]
    fn each_kind_is_rotated_by_itself() {
        let cluster = cluster(CLUSTER);
        let mut before = made();
        before.wifi_psk = Some(Secret::new("correct horse"));
        before.nodes.get_mut("b").unwrap().consul_agent_token = Some(Secret::new("t"));
        let rotated = |kind: Kind| {
            let mut after = before.clone();
            let done = rotate(&cluster, &mut after, kind, NOW).unwrap();
            assert_eq!(after.wifi_psk, before.wifi_psk);
            assert_eq!(missing(&cluster, &after, "a"), None);
            (after, done)
        };
        let (gossip, done) = rotated(Kind::Gossip);
        assert_eq!(done, ["Consul's gossip key", "Nomad's gossip key"]);
        assert_ne!((&gossip.consul_encrypt, &gossip.nomad_encrypt), (&before.consul_encrypt, &before.nomad_encrypt));
        assert_eq!((&gossip.consul_ca, &gossip.nodes), (&before.consul_ca, &before.nodes));
        let (certificates, _) = rotated(Kind::Certificates);
        assert_eq!((&certificates.nomad_ca, &certificates.consul_encrypt), (&before.nomad_ca, &before.consul_encrypt));
        assert_ne!(certificates.nodes["a"].nomad, before.nodes["a"].nomad);
        let (authority, done) = rotated(Kind::Authority);
        assert_eq!(done.len(), 5, "{done:?}");
        assert!(authority.consul_ca != before.consul_ca && authority.nomad_ca != before.nomad_ca);
        assert_ne!(authority.consul_ca, authority.nomad_ca, "what one program believes, another does not");
        assert_eq!(authority.nodes["b"].consul_agent_token, before.nodes["b"].consul_agent_token);
        let (tokens, done) = rotated(Kind::Tokens);
        assert_eq!(done, ["Consul's management token", "no agent token of b until you set one"]);
        assert_ne!(tokens.consul_management, before.consul_management);
        assert_eq!(tokens.nodes["b"].consul_agent_token, None);
    }

    #[test]
    fn openssl_believes_the_certificates() {
        if std::process::Command::new("openssl").arg("version").output().is_err() {
            assert!(std::env::vars().all(|(key, _)| key != "HAH_REQUIRE_ORACLES"), "openssl is missing");
            return;
        }
        let mut secrets = made();
        // Its authority stays when the cluster is renamed, and goes on signing.
        let renamed = cluster(&CLUSTER.replace("name = \"home\"", "name = \"house\"\ndatacenter = \"home\""));
        rotate(&renamed, &mut secrets, Kind::Certificates, NOW).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let own = &secrets.nodes["a"];
        for (name, pair, authority, host) in [
            ("consul", &own.consul, &secrets.consul_ca, "server.home.consul"),
            ("nomad", &own.nomad, &secrets.nomad_ca, "server.global.nomad"),
        ] {
            let ca = put("ca.pem", &authority.as_ref().unwrap().cert);
            let cert = put(name, &pair.as_ref().unwrap().cert);
            for purpose in ["sslserver", "sslclient"] {
                let mut openssl = std::process::Command::new("openssl");
                openssl.args(["verify", "-x509_strict", "-purpose", purpose, "-verify_hostname", host, "-CAfile"]);
                let output = openssl.arg(&ca).arg(&cert).output().unwrap();
                assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            }
            let text =
                std::process::Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&cert).output();
            let text = String::from_utf8(text.unwrap().stdout).unwrap();
            assert!(text.contains("IP Address:10.0.0.1") && text.contains("2036"), "{text}");
        }
    }

    /// A closed cluster of the same nodes.
    fn closed() -> Cluster {
        let text = CLUSTER.replace("tls = true\nconsul.acl = \"allow\"\n", "security = \"closed\"\n");
        let text = text.replace("consul = \"client\"\n", "consul = \"client\"\naddress = \"10.0.0.2/24\"\n");
        cluster(&text)
    }

    #[test]
    fn a_closed_cluster_has_every_token_before_it_runs() {
        let cluster = closed();
        let mut secrets = Secrets::default();
        let done = complete(&cluster, &mut secrets, NOW).unwrap();
        for what in [
            "Consul's management token",
            "Nomad's management token",
            "the agent token of a",
            "the Nomad token for Consul of a",
            "the hah-agent token for Consul of b",
        ] {
            assert!(done.iter().any(|line| line == what), "{what} in {done:?}");
        }
        for name in ["a", "b"] {
            assert_eq!(missing(&cluster, &secrets, name), None);
            assert_eq!(cluster.identity(name, &secrets).unwrap().flaw(), None, "{name}");
        }
        let setup = cluster.identity("a", &secrets).unwrap().setup.unwrap();
        assert_eq!(Some(&setup.consul), secrets.consul_management.as_ref());
        assert!(setup.nodes["b"].agent.is_some() && setup.nodes["b"].nomad.is_none());
        let mut tokens: Vec<&str> = [&secrets.consul_management, &secrets.nomad_management]
            .into_iter()
            .chain(secrets.nodes.values().flat_map(|own| [&own.consul_agent_token, &own.hah_consul_token]))
            .map(|token| token.as_ref().unwrap().reveal())
            .collect();
        tokens.sort_unstable();
        let count = tokens.len();
        tokens.dedup();
        assert_eq!(tokens.len(), count, "no two are the same");
        // Rotated, they are made anew, and nobody is asked to set one.
        let before = secrets.clone();
        let done = rotate(&cluster, &mut secrets, Kind::Tokens, NOW).unwrap();
        assert!(done.iter().all(|line| !line.contains("until you set one")), "{done:?}");
        assert_ne!(secrets.nodes["b"].consul_agent_token, before.nodes["b"].consul_agent_token);
        assert_eq!(missing(&cluster, &secrets, "a"), None);
    }

    /// The tokens of a node that comes later reach Consul by a server, whose identity lacks them until then.
    #[test]
    fn a_server_is_not_flashed_without_the_tokens_of_all() {
        let cluster = closed();
        let mut secrets = Secrets::default();
        complete(&cluster, &mut secrets, NOW).unwrap();
        secrets.nodes.get_mut("b").unwrap().hah_consul_token = None;
        let wanted = Some("the hah-agent token for Consul of b".to_owned());
        assert_eq!((missing(&cluster, &secrets, "a"), missing(&cluster, &secrets, "b")), (wanted.clone(), wanted));
        secrets.nodes.get_mut("a").unwrap().hah_consul_token = None;
        complete(&cluster, &mut secrets, NOW).unwrap();
        assert_eq!(missing(&cluster, &secrets, "a"), None);
    }

    #[test]
    fn certificates_of_a_closed_cluster_last_a_year_and_are_renewed_in_time() {
        let cluster = closed();
        let mut secrets = Secrets::default();
        complete(&cluster, &mut secrets, NOW).unwrap();
        let pair = secrets.nodes["a"].consul.clone().unwrap();
        assert_eq!(pair.until, Some(NOW + YEAR));
        assert!(pair.names.contains(&"a.node.home.consul".to_owned()), "{:?}", pair.names);
        assert_eq!(complete(&cluster, &mut secrets, NOW + YEAR - RENEWED).unwrap(), [""; 0]);
        let done = complete(&cluster, &mut secrets, NOW + YEAR - RENEWED + 1).unwrap();
        assert_eq!(done.len(), 3, "{done:?}");
        assert_ne!(secrets.nodes["a"].consul.as_ref().unwrap(), &pair);
        let open = self::cluster(CLUSTER);
        let mut secrets = made();
        assert_eq!(secrets.nodes["a"].consul.as_ref().unwrap().until, None);
        assert_eq!(complete(&open, &mut secrets, NOW + 5 * YEAR).unwrap(), [""; 0], "as it was before");
    }

    /// The one authority of before goes on signing until somebody rotates it: a fleet that runs is not torn in two.
    #[test]
    fn the_authority_of_an_older_secrets_file_stays() {
        let open = cluster(CLUSTER);
        let mut secrets = made();
        secrets.ca = secrets.consul_ca.take();
        (secrets.nomad_ca, secrets.vault_ca) = (None, None);
        secrets.nodes.values_mut().for_each(forget_certificates);
        complete(&open, &mut secrets, NOW).unwrap();
        assert_eq!((&secrets.consul_ca, &secrets.nomad_ca), (&None, &None));
        let identity = open.identity("a", &secrets).unwrap();
        let ca = secrets.ca.as_ref().unwrap().cert.clone();
        assert_eq!((identity.consul.unwrap().tls.unwrap().ca, identity.nomad.unwrap().tls.unwrap().ca), (ca.clone(), ca));
        rotate(&open, &mut secrets, Kind::Authority, NOW).unwrap();
        assert!(secrets.ca.is_none() && secrets.consul_ca.is_some() && secrets.nomad_ca.is_some());
    }

    #[test]
    fn encrypted_for_a_key_and_for_a_passphrase() {
        let secrets = made();
        let key = age::x25519::Identity::generate();
        let file = encrypt(&secrets, &Lock::Recipients(vec![key.to_public()])).unwrap();
        assert!(file.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
        assert!(!wants_passphrase(&file).unwrap());
        assert_eq!(decrypt(&file, &Key::Identities(vec![key])).unwrap(), secrets);
        let other = Key::Identities(vec![age::x25519::Identity::generate()]);
        assert!(decrypt(&file, &other).unwrap_err().message().contains("cannot be opened"));

        let phrase = || SecretString::from("correct horse".to_owned());
        let file = encrypt(&secrets, &Lock::Passphrase(phrase())).unwrap();
        assert!(wants_passphrase(&file).unwrap());
        assert_eq!(decrypt(&file, &Key::Passphrase(phrase())).unwrap(), secrets);
        assert!(decrypt(&file, &Key::Passphrase(SecretString::from("wrong".to_owned()))).is_err());
        for bad in [&b""[..], b"-----BEGIN AGE ENCRYPTED FILE-----\n", &file[..file.len() / 2]] {
            assert!(decrypt(bad, &Key::Passphrase(phrase())).is_err());
        }
    }

    #[test]
    fn a_fingerprint_follows_the_identity_and_the_key() {
        let (cluster, mut secrets) = (cluster(CLUSTER), made());
        let of =
            |secrets: &Secrets, node: &str| fingerprint(secrets, &cluster.identity(node, secrets).unwrap()).unwrap();
        let (a, b) = (of(&secrets, "a"), of(&secrets, "b"));
        assert_eq!(a.as_ref().map(String::len), Some(32));
        assert!(a != b && a == of(&secrets, "a"));
        secrets.record_key = Some(random_key().unwrap());
        assert_ne!(of(&secrets, "a"), a);
        secrets.record_key = None;
        assert_eq!(of(&secrets, "a"), None, "of older secrets");
        assert!(of(&Secrets::default(), "a").is_some(), "without any");
    }

    #[test]
    fn tokens_are_uuids() {
        let token = token().unwrap();
        assert_eq!(token.reveal().len(), 36);
        assert_eq!(&token.reveal()[14..15], "4");
        assert_ne!(token, self::token().unwrap());
    }
}
