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
        until: None,
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
        ("192.168.1.10/24", "192.168.1.0/24"),
        ("192.168.1.10/24", "192.168.1.255/24"),
        ("192.168.1.10/24", "127.0.0.1/8"),
        ("192.168.1.10/24", "0.0.0.0/0"),
        ("192.168.1.10/24", "224.0.0.9/24"),
        ("192.168.1.10/24", "::ffff:192.168.1.10/120"),
        ("192.168.1.10/24", "192.168.1.1/24"),
        ("gateway = \"192.168.1.1\"", "gateway = \"192.168.2.1\""),
        ("gateway = \"192.168.1.1\"", "gateway = \"192.168.1.255\""),
        ("gateway = \"192.168.1.1\"", "gateway = \"224.0.0.1\""),
        ("dns = [\"192.168.1.1\"]", "dns = [\"192.168.1.1\", \"0.0.0.0\"]"),
        ("[nodes.pi3-b]", "[nodes.123]"),
        ("[nodes.pi3-b]", "[nodes.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]"),
        ("[nodes.pi3-b]", "[nodes.PI3-A]"),
        ("[nodes.pi3-b]", "[nodes.pi3-]"),
        ("name = \"home\"", "name = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""),
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
   ::: cluster.toml:24:11
    |
 24 | address = "192.168.1.10/24"
    |           ----------------- the other node's
    = hint: give one another
error: zero-a is connected by `wlan`, and the cluster names no network
   --> cluster.toml:28:8
    |
 28 | [nodes.zero-a]
    |        ^^^^^^
    = hint: add a table `[wifi]` with `ssid` and `country`
error: `192.168.1.10` is not ADDRESS/PREFIX, like 192.168.1.10/24
   --> cluster.toml:17:11
    |
 17 | address = "192.168.1.10"
    |           ^^^^^^^^^^^^^^
error: `192.168.1.0/24` is the address of the network itself, not of a host in it
   --> cluster.toml:17:11
    |
 17 | address = "192.168.1.0/24"
    |           ^^^^^^^^^^^^^^^^
error: `192.168.1.255/24` is the broadcast address of its network, not a host's
   --> cluster.toml:17:11
    |
 17 | address = "192.168.1.255/24"
    |           ^^^^^^^^^^^^^^^^^^
error: `127.0.0.1/8` is a loopback address, which no other node reaches
   --> cluster.toml:17:11
    |
 17 | address = "127.0.0.1/8"
    |           ^^^^^^^^^^^^^
error: `0.0.0.0/0` means every address, and is none
   --> cluster.toml:17:11
    |
 17 | address = "0.0.0.0/0"
    |           ^^^^^^^^^^^
error: `224.0.0.9/24` is a multicast address: a group's, not a host's
   --> cluster.toml:17:11
    |
 17 | address = "224.0.0.9/24"
    |           ^^^^^^^^^^^^^^
error: `::ffff:192.168.1.10/120` is an IPv4 address in IPv6's clothes: write it as IPv4
   --> cluster.toml:17:11
    |
 17 | address = "::ffff:192.168.1.10/120"
    |           ^^^^^^^^^^^^^^^^^^^^^^^^^
error: `192.168.1.1` as the gateway of pi4-a is the node's own address
   --> cluster.toml:11:11
    |
 11 | gateway = "192.168.1.1"
    |           ^^^^^^^^^^^^^
   ::: cluster.toml:17:11
    |
 17 | address = "192.168.1.1/24"
    |           ---------------- the node's address
    = hint: the gateway is the router's address in the network of the nodes
error: `192.168.2.1` as the gateway of pi3-a is outside the network of the node's address, so the node cannot reach it
   --> cluster.toml:11:11
    |
 11 | gateway = "192.168.2.1"
    |           ^^^^^^^^^^^^^
   ::: cluster.toml:24:11
    |
 24 | address = "192.168.1.11/24"
    |           ----------------- the node's address
    = hint: the gateway is the router's address in the network of the nodes

error: `192.168.2.1` as the gateway of pi4-a is outside the network of the node's address, so the node cannot reach it
   --> cluster.toml:11:11
    |
 11 | gateway = "192.168.2.1"
    |           ^^^^^^^^^^^^^
   ::: cluster.toml:17:11
    |
 17 | address = "192.168.1.10/24"
    |           ----------------- the node's address
    = hint: the gateway is the router's address in the network of the nodes
error: `192.168.1.255` as the gateway of pi3-a is the broadcast address of its network, not a host's
   --> cluster.toml:11:11
    |
 11 | gateway = "192.168.1.255"
    |           ^^^^^^^^^^^^^^^
   ::: cluster.toml:24:11
    |
 24 | address = "192.168.1.11/24"
    |           ----------------- the node's address
    = hint: the gateway is the router's address in the network of the nodes

error: `192.168.1.255` as the gateway of pi4-a is the broadcast address of its network, not a host's
   --> cluster.toml:11:11
    |
 11 | gateway = "192.168.1.255"
    |           ^^^^^^^^^^^^^^^
   ::: cluster.toml:17:11
    |
 17 | address = "192.168.1.10/24"
    |           ----------------- the node's address
    = hint: the gateway is the router's address in the network of the nodes
error: `224.0.0.1` is a multicast address: a group's, not a host's
   --> cluster.toml:11:11
    |
 11 | gateway = "224.0.0.1"
    |           ^^^^^^^^^^^
error: `0.0.0.0` means every address, and is none
   --> cluster.toml:12:23
    |
 12 | dns = ["192.168.1.1", "0.0.0.0"]
    |                       ^^^^^^^^^
error: `123` is a number, which programs take for an address: add a letter, as in `node-1`
   --> cluster.toml:27:8
    |
 27 | [nodes.123]
    |        ^^^
error: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is longer than 63 characters, the most that a host name may have
   --> cluster.toml:27:8
    |
 27 | [nodes.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]
    |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
error: `PI3-A` has capital letters: names of hosts are the same in capitals, so write it in small ones
   --> cluster.toml:27:8
    |
 27 | [nodes.PI3-A]
    |        ^^^^^
error: `pi3-` begins or ends with `-`
   --> cluster.toml:27:8
    |
 27 | [nodes.pi3-]
    |        ^^^^
error: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is longer than 63 characters, the most that a name may have
  --> cluster.toml:2:8
   |
 2 | name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
   |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
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

/// One address has many spellings, and none of them is a second address.
#[test]
fn row_11_two_nodes_with_one_address_spelled_differently() {
    let text = GOOD.replace("gateway = \"192.168.1.1\"\n", "");
    let text = text.replace("192.168.1.10/24", "fd00::a:10/64").replace("192.168.1.11/24", "fd00:0:0::A:0010/64");
    let said = load_cluster("cluster.toml", &text).unwrap_err().to_string();
    assert!(said.starts_with("error: pi4-a and pi3-a have the same address fd00::a:10"), "{said}");
}

#[test]
fn row_11_links_of_two_are_no_mistake() {
    for (one, other, gateway) in [
        ("192.168.1.0/31", "192.168.1.1/31", ""),
        ("10.0.0.7/32", "10.0.0.8/32", ""),
        ("fd00::/127", "fd00::1/127", ""),
        ("192.168.1.10/23", "192.168.0.255/23", "gateway = \"192.168.1.1\"\n"),
        ("fd00::10/64", "fd00::11/64", "gateway = \"fe80::1\"\n"),
    ] {
        let text = GOOD.replace("gateway = \"192.168.1.1\"\n", gateway);
        let text = text.replace("192.168.1.10/24", one).replace("192.168.1.11/24", other);
        load_cluster("cluster.toml", &text).unwrap_or_else(|said| panic!("{one} {other}: {said}"));
    }
}

/// `http://fd00::10:8200` is no URL, and Consul takes `fd00::10` for a name.
#[test]
fn servers_with_ipv6_are_joined_in_brackets() {
    let text = GOOD.replace("gateway = \"192.168.1.1\"\n", "").replace("192.168.1.10/24", "fd00::10/64");
    let cluster = load_cluster("cluster.toml", &text).unwrap();
    let identity = cluster.identity("pi4-a", &secrets()).unwrap();
    assert_eq!(identity.flaw(), None);
    let consul = identity.consul.unwrap();
    assert_eq!(consul.retry_join, ["192.168.1.11", "pi3-b.local", "[fd00::10]"]);
    assert_eq!(consul.advertise.as_deref(), Some("fd00::10"));
    assert_eq!(identity.vault.unwrap().retry_join, ["http://[fd00::10]:8200"]);
}

/// [`GOOD`] with strangers kept out.
fn closed_text() -> String {
    GOOD.replace("tls = true\n", "security = \"closed\"\n")
        .replace("[consul]\nacl = \"allow\"\n", "")
        .replace("dns = [", "trusted = [\"192.168.1.0/24\"]\nopen-ports = [80]\ndns = [")
}

#[test]
fn a_closed_fleet_decides_what_can_be_decided() {
    let cluster = load_cluster("cluster.toml", &closed_text()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(cluster.is_closed() && cluster.tls && cluster.wants_secrets());
    assert_eq!(cluster.acl, Some(Policy::Deny));
    let uuid = |digit: &str| Some(Secret::new([8, 4, 4, 4, 12].map(|length| digit.repeat(length)).join("-")));
    let mut secrets = secrets();
    secrets.consul_management = uuid("1");
    secrets.nomad_management = uuid("2");
    for (name, digit) in [("pi4-a", "3"), ("zero-a", "4")] {
        let own = secrets.nodes.get_mut(name).unwrap();
        (own.consul_agent_token, own.hah_consul_token, own.nomad_consul_token) =
            (uuid(digit), uuid(digit), uuid(digit));
    }
    let server = cluster.identity("pi4-a", &secrets).unwrap();
    assert_eq!(server.flaw(), None);
    let firewall = server.firewall.unwrap();
    assert_eq!(firewall.trusted, ["192.168.1.11", "192.168.1.10", "192.168.1.0/24"]);
    assert_eq!(firewall.open_ports, [80]);
    let consul = server.consul.unwrap();
    assert_eq!((consul.acl, consul.tokens.initial_management), (Some(Policy::Deny), None));
    assert_eq!(consul.tokens.agent, uuid("3"));
    assert!(server.nomad.unwrap().acl);
    assert_eq!(server.vault.unwrap().retry_join, ["https://192.168.1.10:8200"]);
    let setup = server.setup.unwrap();
    assert_eq!((Some(setup.consul), setup.nomad), (uuid("1"), uuid("2")));
    assert_eq!((setup.nodes["pi4-a"].submits, setup.nodes["zero-a"].submits), (true, false));
    assert_eq!((&setup.nodes["zero-a"].agent, &setup.nodes["zero-a"].nomad), (&uuid("4"), &None));

    let client = cluster.identity("zero-a", &secrets).unwrap();
    assert_eq!(client.flaw(), None);
    assert_eq!(client.setup, None, "clients hold nothing that opens the others");
    assert!(client.firewall.is_some());
    assert_eq!(client.consul.unwrap().tokens.hah, uuid("4"));
    let open = good().identity("pi4-a", &secrets).unwrap();
    assert_eq!((open.setup, open.firewall, open.nomad.unwrap().acl), (None, None, false));
}

#[test]
fn what_contradicts_a_closed_fleet() {
    let refused = |change: (&str, &str), parts: &[&str]| {
        let text = closed_text();
        assert!(text.contains(change.0), "{}", change.0);
        let said = load_cluster("cluster.toml", &text.replace(change.0, change.1)).unwrap_err().to_string();
        for part in parts {
            assert!(said.contains(part), "{part} in {said}");
        }
    };
    let here = "the cluster is closed here";
    refused(
        ("security = \"closed\"\n", "security = \"closed\"\ntls = false\n"),
        &["`tls` is not true, and the cluster is closed", here],
    );
    refused(
        ("[nodes.pi4-a]", "[consul]\nacl = \"allow\"\n[nodes.pi4-a]"),
        &["`consul.acl` is not \"deny\", and the cluster is closed", here],
    );
    refused(
        ("trusted = [\"192.168.1.0/24\"]\n", ""),
        &["would not let pi3-b in, which has no address", "would not let zero-a in", here],
    );
    refused(("192.168.1.0/24", "0.0.0.0/0"), &["is so large that strangers are in it"]);
    refused(("192.168.1.0/24", "192.168.1.7/24"), &["bits behind the prefix are set"]);
    refused(("closed", "shut"), &["`security` cannot be `shut`", "closed, open"]);
    refused(("open-ports = [80]", "open-ports = [0]"), &["expected 1 to 65535"]);
    let server = "[nodes.pi3-a]\nimage = \"pi3-server\"\naddress = \"192.168.1.11/24\"\nconsul = \"server\"\nnomad = \"client\"\n";
    refused((server, &server.replace("nomad = \"client\"\n", "")), &["pi3-a is a server of Consul and has no Nomad"]);
    let odd = "[nodes.odd]\nimage = \"x\"\naddress = \"192.168.1.12/24\"\nnomad = \"client\"\n[nodes.zero-a]";
    refused(("[nodes.zero-a]", odd), &["odd has Nomad and no Consul"]);
    // What agrees may be said.
    let said = closed_text().replace("security", "tls = true\nsecurity");
    load_cluster("cluster.toml", &said).unwrap_or_else(|problems| panic!("{problems}"));
}
