//! A new router: the addresses of all servers change at once.

use std::path::Path;

use serde_json::Value;

use super::host::{AGENT, Host, Switch, possible, until};
use super::{debian, system};

const NAMES: [&str; 3] = ["pi4", "pi3a", "pi3b"];

/// Three servers of Consul that join each other by `join`, with the agents of a node; `check` gets them when they have a
/// leader and a key.
fn three_servers(join: &str, check: impl FnOnce(&[Host])) {
    if !possible() {
        return;
    }
    let (Some(consul), Some(_)) = (debian("consul"), debian("curl")) else { return };
    let join = format!("consul.retry-join={join}");
    let system = system("lab", &["consul.bootstrap-expect=3", &join]);
    let programs: [(&str, &Path); 1] = [("consul", &consul)];
    let directory = tempfile::Builder::new().prefix("hah-renumber").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let switch = Switch::new();
    switch.ip("addr add 10.78.0.254/24 dev br0");
    let hosts: Vec<Host> = (NAMES.into_iter().zip(1..))
        .map(|host| Host::new(host, &switch, (&system, &programs), directory.path()))
        .collect();
    for host in &hosts {
        name_by_mdns(host, 77);
        host.spawn("hah-address", &[AGENT, "address", "--hurry", "20"]);
        host.start("consul.service", &[]);
    }
    has_a_leader(&hosts, 77);
    assert_eq!(hosts[0].http("PUT", "http://127.0.0.1:8500/v1/kv/kept", Some("yes")).0, 200);
    check(&hosts);
}

/// What mDNS would answer in the network `10.NETWORK.0.0/24`.
fn name_by_mdns(host: &Host, network: u8) {
    let names = NAMES.into_iter().zip(1..).map(|(name, number)| format!("10.{network}.0.{number} {name}.local\n"));
    let text = format!("127.0.0.1 localhost\n{}", names.collect::<String>());
    let path = host.directory.join("hosts");
    std::fs::write(&path, text).unwrap();
    host.run(&["cp", path.to_str().unwrap(), "/etc/hosts"]);
}

fn logs(hosts: &[Host]) -> String {
    let of = |host: &Host| format!("{}{}{}", host.console(), host.tail("hah-address"), host.tail("consul.service"));
    hosts.iter().map(of).collect()
}

/// Waits until every server sees three voters with addresses of the network, and one that leads.
#[track_caller]
fn has_a_leader(hosts: &[Host], network: u8) {
    let prefix = format!("10.{network}.0.");
    until(
        "a leader, and three servers under their present addresses",
        240,
        || {
            hosts
                .iter()
                .all(|host| {
                    let leader = host.get("http://127.0.0.1:8500/v1/status/leader");
                    let raft = host.get("http://127.0.0.1:8500/v1/operator/raft/configuration");
                    let voters = raft["Servers"].as_array().cloned().unwrap_or_default();
                    let here =
                        |voter: &&Value| voter["Address"].as_str().is_some_and(|address| address.starts_with(&prefix));
                    leader.as_str().is_some_and(|leader| leader.starts_with(&prefix))
                        && voters.iter().filter(here).count() == 3
                })
                .then_some(())
        },
        || {
            let raft = hosts[0].http("GET", "http://127.0.0.1:8500/v1/operator/raft/configuration?stale", None).1;
            format!("{raft}\n{}", logs(hosts))
        },
    );
}

/// The router's DHCP gives every host another address; the agents notice, and what they ask systemd for is done.
fn renumber(hosts: &[Host], network: u8) {
    for (host, number) in hosts.iter().zip(1..) {
        host.ip("addr flush dev eth0 scope global");
        host.ip(&format!("addr add 10.{network}.0.{number}/24 dev eth0"));
        host.ip(&format!("route add default via 10.{network}.0.254"));
        name_by_mdns(host, network);
    }
    for host in hosts {
        until(
            "the agent asks for a restart of Consul",
            60,
            || host.file("/run/systemctl").contains("try-restart consul.service").then_some(()),
            || logs(hosts),
        );
        assert!(host.console().contains(&format!("this node's address is now 10.{network}.0.")), "{}", host.console());
    }
    restart(hosts);
}

/// Stops Consul everywhere, as systemd does it, and starts it again.
fn restart(hosts: &[Host]) {
    let consul = ["-f", "^/usr/bin/consul"];
    let runs = |host: &Host| host.command("pgrep").args(consul).output().unwrap().status.success();
    for host in hosts {
        host.command("pkill").arg("-INT").args(consul).output().unwrap();
    }
    // The unit's TimeoutStopSec.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while hosts.iter().any(runs) {
        if std::time::Instant::now() > end {
            for host in hosts {
                host.command("pkill").arg("-KILL").args(consul).output().unwrap();
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    hosts.iter().for_each(|host| host.start("consul.service", &[]));
}

/// Servers that join by name find each other again, and Consul asks its members, and not its old configuration, where the
/// voters are.
#[test]
fn row_20_three_servers_that_join_by_name_are_renumbered_at_once() {
    three_servers("[\"pi4.local\", \"pi3a.local\", \"pi3b.local\"]", |hosts| {
        renumber(hosts, 78);
        has_a_leader(hosts, 78);
        let kept = hosts[2].http("GET", "http://127.0.0.1:8500/v1/kv/kept?raw", None);
        assert_eq!(kept, (200, "yes".to_owned()), "what the cluster knew, it still knows");
    });
}

/// Servers whose join lists name the old addresses do not find each other; the agent says it on the console, and the join
/// list of a new identity is all that Consul needs.
#[test]
fn row_20_three_servers_that_join_by_address_are_renumbered_at_once() {
    three_servers("[\"10.77.0.1\", \"10.77.0.2\", \"10.77.0.3\"]", |hosts| {
        renumber(hosts, 78);
        for host in hosts {
            host.spawn("hah-agent", &[AGENT, "loop", "--hurry", "10"]);
        }
        let wanted = "every server here has another address than before, and Consul looks for them at 10.77.0.1";
        for host in hosts {
            let status = || host.run(&[AGENT, "status"]);
            until(
                "the agent says what is stuck",
                120,
                || (status().contains(wanted) && status().contains("renumber-servers.md")).then_some(()),
                || format!("{}{}{}", status(), host.tail("hah-agent"), logs(hosts)),
            );
        }
        for host in hosts {
            let identity = r#"{"retry_join": ["10.78.0.1", "10.78.0.2", "10.78.0.3"]}"#;
            std::fs::write(host.directory.join("identity"), identity).unwrap();
            host.run(&["cp", host.directory.join("identity").to_str().unwrap(), "/etc/consul.d/identity.json"]);
        }
        restart(hosts);
        has_a_leader(hosts, 78);
        let kept = hosts[2].http("GET", "http://127.0.0.1:8500/v1/kv/kept?raw", None);
        assert_eq!(kept, (200, "yes".to_owned()), "what the cluster knew, it still knows");
    });
}
