//! `cluster.toml`.

use super::super::kinds::{
    ADDRESS, AGE_KEY, COUNTRY, DATACENTER, GATEWAY, HOST, LINE, NAME, NAME_SERVER, PREFIX, PUBLIC_KEY, ZONE,
};
use super::{Object, Shape, optional, required};

static FLEET_NODE: Object = Object {
    name: "a node",
    keys: &[&[
        required("image", Shape::Text(&NAME), "The image that its card gets."),
        optional("address", Shape::Text(&ADDRESS), "Its address, such as `192.168.1.10/24`; DHCP without."),
        optional("link", Shape::Choice(&["ethernet", "wlan"]), "How it is connected; `ethernet` without."),
        optional("consul", Shape::Choice(&["none", "server", "client"]), "Its part in Consul; `none` without."),
        optional("nomad", Shape::Choice(&["none", "server", "client"]), "Its part in Nomad; `none` without."),
        optional("vault", Shape::Choice(&["none", "server", "client"]), "Its part in Vault; `none` without."),
        optional("meta", Shape::Named(&LINE, &Shape::Text(&LINE)), "Metadata of the Nomad client, for constraints."),
    ]],
};

static FLEET_SSH: Object = Object {
    name: "[ssh]",
    keys: &[&[optional(
        "authorized-keys",
        Shape::List(&Shape::Text(&PUBLIC_KEY)),
        "Public keys that log in as `hah`, each a line of authorized_keys.",
    )]],
};

static FLEET_WIFI: Object = Object {
    name: "[wifi]",
    keys: &[&[
        required("ssid", Shape::Text(&LINE), "Name of the network; its passphrase is in the secrets."),
        required("country", Shape::Text(&COUNTRY), "Two capital letters: which channels the radios may use."),
        optional("hidden", Shape::Boolean, "Whether the network does not announce its name."),
    ]],
};

static FLEET_NETWORK: Object = Object {
    name: "[network]",
    keys: &[&[
        optional("gateway", Shape::Text(&GATEWAY), "Default route of nodes with an address."),
        optional("dns", Shape::List(&Shape::Text(&NAME_SERVER)), "Name servers of nodes with an address."),
        optional(
            "trusted",
            Shape::List(&Shape::Text(&PREFIX)),
            "Networks and addresses that reach every port of a closed fleet, beside its nodes: `192.168.1.0/24`.",
        ),
        optional(
            "open-ports",
            Shape::List(&Shape::Integer(1, 65_535)),
            "Ports of a closed fleet that everybody reaches, beside SSH: those of your own services.",
        ),
    ]],
};

static FLEET_CONSUL: Object = Object {
    name: "[consul]",
    keys: &[&[optional(
        "acl",
        Shape::Choice(&["off", "allow", "deny"]),
        "Whether Consul asks for tokens, and what it does without one; `off` without.",
    )]],
};

static FLEET_SECRETS: Object = Object {
    name: "[secrets]",
    keys: &[&[optional(
        "recipients",
        Shape::List(&Shape::Text(&AGE_KEY)),
        "Whom secrets.age is encrypted for; a passphrase without.",
    )]],
};

/// `cluster.toml`.
pub(in crate::recipe) static CLUSTER: Object = Object {
    name: "cluster.toml",
    keys: &[&[
        required("name", Shape::Text(&NAME), "The cluster's name."),
        optional("datacenter", Shape::Text(&DATACENTER), "Consul's and Nomad's datacenter; the name without."),
        optional("timezone", Shape::Text(&ZONE), "Time zone of every node; the image's without."),
        optional(
            "security",
            Shape::Choice(&["closed", "open"]),
            "Who gets in: `closed` to strangers, with access control, TLS and a firewall, or `open`; open without.",
        ),
        optional(
            "tls",
            Shape::Boolean,
            "Whether the agents of Consul and of Nomad speak TLS with each other; they do in a closed fleet.",
        ),
        optional("ssh", Shape::Table(&FLEET_SSH), "The way in."),
        optional("wifi", Shape::Table(&FLEET_WIFI), "The wireless network."),
        optional("network", Shape::Table(&FLEET_NETWORK), "What nodes with an address share."),
        optional("consul", Shape::Table(&FLEET_CONSUL), "Consul."),
        optional("secrets", Shape::Table(&FLEET_SECRETS), "How the secrets are kept."),
        required(
            "nodes",
            Shape::Named(&HOST, &Shape::Table(&FLEET_NODE)),
            "The nodes by name, which is their hostname.",
        ),
    ]],
};
