//! Secrets that are made, completed, rotated and encrypted.

use super::super::fleet::fingerprint;
use std::fs;

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
        let text = std::process::Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&cert).output();
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
    let of = |secrets: &Secrets, node: &str| fingerprint(secrets, &cluster.identity(node, secrets).unwrap()).unwrap();
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
