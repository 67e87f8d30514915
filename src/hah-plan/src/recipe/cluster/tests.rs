use super::super::load_cluster;
use super::*;
use crate::cluster::{KeyPair, NodeSecrets, SECRETS_VERSION};
use hah_node::identity::Secret;

const GOOD: &str = r#"
name = "home"
timezone = "Europe/Berlin"
tls = true
[ssh]
authorized-keys = ["ssh-ed25519 AAAA me"]
[wifi]
ssid = "Küche"
country = "DE"
[network]
gateway = "192.168.1.1"
dns = ["192.168.1.1"]
[consul]
acl = "allow"
[nodes.pi4-a]
image = "pi4-server"
address = "192.168.1.10/24"
consul = "server"
nomad = "server"
vault = "server"
meta = { board = "pi4" }
[nodes.pi3-a]
image = "pi3-server"
address = "192.168.1.11/24"
consul = "server"
nomad = "client"
[nodes.pi3-b]
image = "pi3-server"
consul = "server"
nomad = "client"
[nodes.zero-a]
image = "pi-client"
link = "wlan"
consul = "client"
"#;

fn good() -> Cluster {
    load_cluster("cluster.toml", GOOD).unwrap()
}

#[track_caller]
fn wrong(change: (&str, &str)) -> String {
    assert!(GOOD.contains(change.0), "{}", change.0);
    load_cluster("cluster.toml", &GOOD.replacen(change.0, change.1, 1)).unwrap_err().to_string()
}

fn secrets() -> Secrets {
    let pair = |name: &str| KeyPair {
        cert: format!("-----BEGIN {name}-----\nA\n-----END {name}-----\n"),
        key: Secret::new(format!("-----BEGIN KEY {name}-----\nA\n-----END KEY {name}-----\n")),
        names: Vec::new(),
    };
    let own = NodeSecrets { consul: Some(pair("CONSUL")), nomad: Some(pair("NOMAD")), ..NodeSecrets::default() };
    Secrets {
        version: SECRETS_VERSION,
        wifi_psk: Some(Secret::new("correct horse")),
        consul_encrypt: Some(Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        consul_management: Some(Secret::new("MANAGEMENT")),
        nomad_encrypt: Some(Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        ca: Some(pair("CA")),
        nodes: [("pi4-a".to_owned(), own.clone()), ("zero-a".to_owned(), own)].into(),
        ..Secrets::default()
    }
}

#[test]
fn identities_follow() {
    let cluster = good();
    assert!(cluster.wants_secrets());
    let server = cluster.identity("pi4-a", &secrets()).unwrap();
    assert_eq!(server.flaw(), None);
    assert_eq!(server.hostname.as_deref(), Some("pi4-a"));
    assert_eq!(server.network.ethernet.as_ref().unwrap().gateway.as_deref(), Some("192.168.1.1"));
    assert_eq!(server.wifi, None, "a node with a cable does not learn the passphrase");
    let consul = server.consul.unwrap();
    assert_eq!((consul.server, consul.bootstrap_expect), (Some(true), Some(3)));
    assert_eq!(consul.retry_join, ["192.168.1.11", "pi3-b.local", "192.168.1.10"]);
    assert_eq!(consul.advertise.as_deref(), Some("192.168.1.10"));
    assert_eq!(consul.tokens.initial_management, Some(Secret::new("MANAGEMENT")));
    assert!(consul.tls.is_some());
    let nomad = server.nomad.unwrap();
    assert_eq!((nomad.bootstrap_expect, nomad.meta["board"].as_str()), (Some(1), "pi4"));
    assert_eq!(server.vault.unwrap().retry_join, ["http://192.168.1.10:8200"]);

    let client = cluster.identity("zero-a", &secrets()).unwrap();
    assert_eq!(client.flaw(), None);
    assert_eq!(client.wifi.as_ref().unwrap().psk, Some(Secret::new("correct horse")));
    assert_eq!((client.nomad, client.vault), (None, None));
    let consul = client.consul.unwrap();
    assert_eq!((consul.server, consul.bootstrap_expect), (Some(false), None));
    assert_eq!(consul.tokens.initial_management, None, "clients hold no management token");
    assert_eq!(cluster.identity("nobody", &secrets()), None);
}

#[test]
fn mistakes() {
    let changes = [
        ("timezone", "timezome"),
        ("192.168.1.11/24", "192.168.1.10/24"),
        ("[wifi]\nssid = \"Küche\"\ncountry = \"DE\"\n", ""),
        ("192.168.1.10/24", "192.168.1.10"),
        ("address = \"192.168.1.11/24\"\nconsul = \"server\"", "consul = \"client\""),
        ("nomad = \"server\"", "nomad = \"client\""),
        ("consul = \"client\"", "consul = \"boss\""),
        ("image = \"pi-client\"\n", ""),
        ("country = \"DE\"", "country = \"de\""),
        ("Europe/Berlin", "../etc"),
        ("ssh-ed25519 AAAA me", "AAAA"),
    ];
    let messages: String = changes.into_iter().map(|change| format!("{}\n", wrong(change))).collect();
    insta::assert_snapshot!(messages, @r#"
error: unknown key `timezome` in cluster.toml
  --> cluster.toml:3:1
   |
 3 | timezome = "Europe/Berlin"
   | ^^^^^^^^
   = hint: did you mean `timezone`?
error: pi4-a and pi3-a have the same address 192.168.1.10
   --> cluster.toml:17:11
    |
 17 | address = "192.168.1.10/24"
    |           ^^^^^^^^^^^^^^^^^
   ::: cluster.toml:22:8
    |
 22 | [nodes.pi3-a]
    |        ----- the other node
    = hint: give one another
error: zero-a is connected by `wlan`, and the cluster names no network
   --> cluster.toml:28:8
    |
 28 | [nodes.zero-a]
    |        ^^^^^^
    = hint: add a table `[wifi]` with `ssid` and `country`
error: pi4-a would have an identity that is refused: network.ethernet.addresses[0] is not ADDRESS/PREFIX, like 192.168.1.10/24
   --> cluster.toml:17:11
    |
 17 | address = "192.168.1.10"
    |           ^^^^^^^^^^^^^^
    = hint: see docs/identity.md
error: 2 nodes are servers of consul, expected 1, 3, 5, 7 or 9
  --> cluster.toml:1:1
   |
 1 | 
   | ^
   = hint: an even number tolerates no more failures than one less
error: 3 nodes are clients of nomad and none is a server
  --> cluster.toml:1:1
   |
 1 | 
   | ^
   = hint: let one or three nodes be servers
error: `consul` cannot be `boss`
   --> cluster.toml:34:10
    |
 34 | consul = "boss"
    |          ^^^^^^
    = hint: expected one of: none, server, client
error: a node needs `image`
   --> cluster.toml:31:1
    |
 31 | [nodes.zero-a]
    | ^^^^^^^^^^^^^^
    = hint: add `image`: The image that its card gets.
error: `de` is not a country: two capital letters, like DE
  --> cluster.toml:9:11
   |
 9 | country = "de"
   |           ^^^^
error: `../etc` is not a time zone such as Europe/Berlin
  --> cluster.toml:3:12
   |
 3 | timezone = "../etc"
   |            ^^^^^^^^
error: `AAAA` is not a line of authorized_keys: type, key, comment
  --> cluster.toml:6:20
   |
 6 | authorized-keys = ["AAAA"]
   |                    ^^^^^^
"#);
}
