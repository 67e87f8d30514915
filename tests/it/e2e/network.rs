//! One virtual switch in a network namespace of the tests' own: a bridge, and a tap device for each node.
//!
//! `cargo xtask e2e` makes the namespace (`unshare --net`), so nothing here can reach another network, and all of it is
//! gone with the last process.

use std::net::Ipv4Addr;
use std::process::Command;

use super::cluster::NODES;
use crate::vm::Place;

/// The bridge, which has the address of the test.
const BRIDGE: &str = "hah0";
/// The test's own address: the nodes' default route, which leads no further.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Bits of the network's prefix.
pub(super) const PREFIX: u8 = 24;

/// The network of one cluster.
pub(super) struct Network {
    places: Vec<Place>,
}

impl Network {
    /// A network for the nodes: 10.77.0.11, 10.77.0.12, …
    pub(super) fn new() -> Self {
        let links = output(&["-o", "link"]);
        let others: Vec<&str> = links.lines().filter(|line| !line.contains(": lo:")).collect();
        assert!(others.is_empty(), "not in a namespace of its own, start it with `cargo xtask e2e`: {others:?}");
        ip(&["link", "set", "lo", "up"]);
        ip(&["link", "add", BRIDGE, "type", "bridge"]);
        ip(&["addr", "add", &format!("{HOST}/{PREFIX}"), "dev", BRIDGE]);
        ip(&["link", "set", BRIDGE, "up"]);
        let places = (0..u16::try_from(NODES).unwrap()).map(|number| {
            let tap = format!("hah-tap{number}");
            ip(&["tuntap", "add", &tap, "mode", "tap"]);
            ip(&["link", "set", &tap, "master", BRIDGE]);
            ip(&["link", "set", &tap, "up"]);
            let last = u8::try_from(11 + number).unwrap();
            Place { number, tap, address: Ipv4Addr::new(10, 77, 0, last) }
        });
        Self { places: places.collect() }
    }

    /// Where node `number` is connected.
    pub(super) fn place(&self, number: usize) -> Place {
        self.places[number].clone()
    }

    /// Pulls a node's cable.
    pub(super) fn disconnect(&self, number: usize) {
        ip(&["link", "set", &self.places[number].tap, "nomaster"]);
    }

    /// Plugs it in again.
    pub(super) fn connect(&self, number: usize) {
        ip(&["link", "set", &self.places[number].tap, "master", BRIDGE]);
    }
}

fn ip(words: &[&str]) {
    output(words);
}

fn output(words: &[&str]) -> String {
    let output = Command::new("ip").args(words).output().expect("iproute2 is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {said}", words.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
