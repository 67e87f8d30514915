//! The node's address: the agent's choice, and a real Consul that gets it.

use std::path::Path;

use serde_json::Value;

use super::host::{AGENT, Host, Switch, possible, until};
use super::{debian, system};

/// A node with the files of `lab` and no address yet; `None` where there cannot be one.
fn lab(number: u8, check: impl FnOnce(&Host)) {
    if !possible() {
        return;
    }
    let (Some(consul), Some(_)) = (debian("consul"), debian("curl")) else { return };
    let system = system("lab", &[]);
    let programs: [(&str, &Path); 1] = [("consul", &consul)];
    let directory = tempfile::Builder::new().prefix("hah-address").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let switch = Switch::new();
    let host = Host::without_address(("hah-1234", number), &switch, (&system, &programs), directory.path());
    host.spawn("hah-address", &[AGENT, "address", "--hurry", "20"]);
    check(&host);
}

fn said(host: &Host) -> String {
    format!(
        "{}{}{}{}",
        host.console(),
        host.tail("hah-address"),
        host.tail("consul.service"),
        host.run(&["ip", "addr"])
    )
}

/// Waits until the agent has decided, and says what it decided and why.
#[track_caller]
fn decided(host: &Host) -> (String, String) {
    let ask = || {
        let report: Value = serde_json::from_str(&host.file("/run/hah/address.json")).ok()?;
        Some((report["address"].as_str()?.to_owned(), report["origin"].as_str()?.to_owned()))
    };
    until("the agent has decided", 60, ask, || said(host))
}

/// Starts Consul, which must be known by `address` and answer there.
#[track_caller]
fn consul_has(host: &Host, address: &str) {
    host.start("consul.service", &[]);
    until(
        "Consul has a leader",
        60,
        || host.get("http://127.0.0.1:8500/v1/status/leader").as_str().filter(|leader| !leader.is_empty()).map(drop),
        || said(host),
    );
    assert_eq!(host.get("http://127.0.0.1:8500/v1/agent/self")["Member"]["Addr"], address);
    let url = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    assert_eq!(host.http("GET", &format!("http://{url}:8500/v1/status/leader"), None).0, 200, "{}", said(host));
    assert_eq!(
        host.http("PUT", &format!("http://{url}:8500/v1/kv/x"), Some("y")).0,
        403,
        "the network changes nothing"
    );
}

#[test]
fn row_10_a_node_whose_only_address_is_public() {
    lab(7, |host| {
        host.ip("addr add 198.51.100.7/24 dev eth0");
        host.ip("route add default via 198.51.100.1");
        assert_eq!(decided(host), ("198.51.100.7".to_owned(), "default-route".to_owned()));
        consul_has(host, "198.51.100.7");
    });
}

#[test]
fn row_10_a_node_with_a_global_ipv6_address_only() {
    lab(7, |host| {
        host.ip("addr add 2001:db8:77::7/64 dev eth0 nodad");
        host.ip("-6 route add default via 2001:db8:77::1 dev eth0");
        assert_eq!(decided(host), ("2001:db8:77::7".to_owned(), "default-route-v6".to_owned()));
        consul_has(host, "2001:db8:77::7");
    });
}

#[test]
fn row_10_of_two_private_addresses_the_one_of_the_default_route() {
    lab(7, |host| {
        host.ip("addr add 10.77.0.7/24 dev eth0");
        host.ip("link add eth1 type veth peer name other");
        host.ip("link set other up");
        host.ip("link set eth1 up");
        host.ip("addr add 192.168.77.7/24 dev eth1");
        host.ip("route add default via 192.168.77.1");
        assert_eq!(decided(host).0, "192.168.77.7");
        consul_has(host, "192.168.77.7");
    });
}

#[test]
fn row_10_a_node_without_an_address_waits_and_says_so() {
    lab(7, |host| {
        until(
            "the console says what is waited for",
            30,
            || host.console().contains("waiting for an address: no interface has one").then_some(()),
            || said(host),
        );
        let status = host.run(&[AGENT, "status"]);
        assert!(status.contains("address    none\nwarning    waiting for an address"), "{status}");
        assert_eq!(host.file("/etc/consul.d/address.json"), "", "Consul's unit does not start without it");
        // Neither an address of the loopback nor a link-local one is one.
        host.ip("addr add 169.254.7.7/16 dev eth0");
        std::thread::sleep(std::time::Duration::from_secs(3));
        assert_eq!(host.file("/etc/consul.d/address.json"), "");
        host.ip("addr add 10.77.0.7/24 dev eth0");
        host.ip("route add default via 10.77.0.254");
        assert_eq!(decided(host).0, "10.77.0.7");
        consul_has(host, "10.77.0.7");
        let status = host.run(&[AGENT, "status"]);
        assert!(status.contains("address    10.77.0.7 (of the default route)"), "{status}");
    });
}

/// Neighbours: a network without a router; an identity that gives the node another address than the default route's.
#[test]
fn a_network_without_a_router() {
    lab(7, |host| {
        host.ip("addr add 10.77.0.7/24 dev eth0");
        assert_eq!(decided(host), ("10.77.0.7".to_owned(), "no-route".to_owned()));
        consul_has(host, "10.77.0.7");
    });
}
