//! Three nodes from one image: their cards, their power switches, and what can be asked of them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hah_node::identity::{self, Consul, Identity, Interface};
use serde_json::Value;

use super::network::{HOST, Network, PREFIX};
use crate::vm::{self, Image, Node, Vm};

/// Nodes of a cluster.
pub(super) const NODES: usize = 3;
/// Gigabytes of a card.
const CARD: u64 = 6;

/// The nodes, switched off.
pub(super) struct Cards {
    nodes: Vec<Node>,
}

impl Cards {
    /// Flashes a card for each node.
    pub(super) fn flash(network: &Network, image: &Path) -> Self {
        let directory = vm::directory().join("e2e");
        std::fs::create_dir_all(&directory).unwrap();
        let key = vm::key();
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let nodes = (0..NODES).map(|number| {
            let place = network.place(number);
            let card = directory.join(format!("{}.img", name(number)));
            let paper = directory.join(format!("{}.node.json", name(number)));
            let identity = who(number, place.address, network, public.trim());
            std::fs::write(&paper, serde_json::to_string_pretty(&identity).unwrap()).unwrap();
            let _ = std::fs::remove_file(&card);
            let mut flash = Command::new(env!("CARGO_BIN_EXE_hah-image"));
            run(flash.args(["--no-progress", "flash", "--yes", "--identity"]).arg(&paper).arg(image).arg(&card));
            // What says which board it is for.
            std::fs::copy(image.with_extension("json"), card.with_extension("json")).unwrap();
            let image = Image { path: card, key: Some(key.clone()) };
            Node::new(&image, "virt", &format!("e2e/{}", name(number)), CARD).at(place)
        });
        Self { nodes: nodes.collect() }
    }

    /// Every node, off.
    pub(super) fn switched_off(&self) -> Cluster<'_> {
        Cluster { cards: self, running: self.nodes.iter().map(|_| None).collect(), since: Instant::now() }
    }
}

/// What a card says of its node.
fn who(number: usize, address: Ipv4Addr, network: &Network, key: &str) -> Identity {
    let servers = (0..NODES).map(|number| network.place(number).address.to_string()).collect();
    let ethernet = Interface {
        addresses: vec![format!("{address}/{PREFIX}")],
        gateway: Some(HOST.to_string()),
        ..Interface::default()
    };
    Identity {
        version: identity::VERSION,
        hostname: Some(name(number)),
        ssh: identity::Ssh { authorized_keys: vec![key.to_owned()], ..identity::Ssh::default() },
        network: identity::Network { ethernet: Some(ethernet), ..identity::Network::default() },
        consul: Some(Consul { retry_join: servers, ..Consul::default() }),
        ..Identity::default()
    }
}

/// `pi-a`, `pi-b`, …
pub(super) fn name(number: usize) -> String {
    format!("pi-{}", char::from(b'a' + u8::try_from(number).unwrap()))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}{}", String::from_utf8_lossy(&output.stdout));
    println!("{}", said.trim_end());
}

/// The nodes of a cluster, on or off.
pub(super) struct Cluster<'c> {
    cards: &'c Cards,
    running: Vec<Option<Vm<'c>>>,
    since: Instant,
}

impl<'c> Cluster<'c> {
    /// Switches all of them on together.
    pub(super) fn power_on(&mut self) {
        self.since = Instant::now();
        (0..NODES).for_each(|number| self.switch_on(number));
    }

    /// Switches one on.
    pub(super) fn switch_on(&mut self, number: usize) {
        self.running[number] = Some(self.cards.nodes[number].boot());
    }

    /// Pulls one's plug.
    pub(super) fn pull_the_plug(&mut self, number: usize) {
        self.running[number] = None;
    }

    /// Since they were switched on together.
    pub(super) fn uptime(&self) -> Duration {
        self.since.elapsed()
    }

    /// A node that is on.
    pub(super) fn node(&mut self, number: usize) -> &mut Vm<'c> {
        self.running[number].as_mut().expect("the node is on")
    }

    /// The numbers of the nodes that are on.
    pub(super) fn on(&self) -> Vec<usize> {
        (0..NODES).filter(|number| self.running[*number].is_some()).collect()
    }

    /// What a node's agent says of the loop; nothing as long as it has said nothing.
    pub(super) fn the_loop(&mut self, number: usize) -> Value {
        let (_, text) = self.node(number).ssh_status("hah-agent status --json");
        serde_json::from_str::<Value>(&text).map_or(Value::Null, |status| status["loop"].clone())
    }

    /// JSON from a node's program.
    pub(super) fn json(&mut self, number: usize, service: &str, path: &str) -> Option<Value> {
        serde_json::from_str(&self.node(number).get(service, path).ok()?).ok()
    }

    /// Tries until it holds, and says how long that took.
    pub(super) fn until(&mut self, what: &str, limit: Duration, mut holds: impl FnMut(&mut Self) -> bool) {
        self.find(what, limit, |cluster| holds(cluster).then_some(()));
    }

    /// Tries until something is found, and says how long that took.
    pub(super) fn find<T>(&mut self, what: &str, limit: Duration, mut find: impl FnMut(&mut Self) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = find(self) {
                println!("{what}: after {:.0?}", started.elapsed());
                return found;
            }
            if started.elapsed() > limit {
                for number in self.on() {
                    let (_, status) = self.node(number).ssh_status("hah-agent status; systemctl --failed --no-legend");
                    println!("--- {}\n{status}", name(number));
                }
                panic!("{what}: not after {limit:?}");
            }
            std::thread::sleep(Duration::from_secs(5));
        }
    }
}
