//! Who reaches the node, as nft(8) reads it.
//!
//! | from | reaches |
//! |---|---|
//! | the node itself, and answers to it | everything |
//! | the cluster's nodes, and networks that it trusts | everything |
//! | everybody | SSH, mDNS, DHCP's answers, ICMP, and the ports that the cluster opens |
//!
//! What is published by address translation (bridge networks of jobs) passes by `forward` and not by `input`; the same
//! counts there for connections from outside.
//! The whole table is replaced in one transaction: at no time is there none.

use std::net::IpAddr;

use hah_node::identity::Firewall;

/// Loaded before the network is up; the image has one of the same name that trusts nobody.
pub(crate) const FILE: &str = "hah/firewall.nft";

/// What everybody reaches, and answers.
const INPUT: [&str; 6] = [
    "ct state established,related accept",
    "iif \"lo\" accept",
    "meta l4proto { icmp, icmpv6 } accept",
    "udp sport 67 udp dport 68 accept",
    "udp dport { 546, 5353 } accept",
    "tcp dport 22 accept",
];
/// What was not published is nobody's business here.
const FORWARD: [&str; 2] = ["ct state established,related accept", "ct status & dnat != dnat accept"];
const TRUSTED: [&str; 2] = ["ip saddr @trusted4 accept", "ip6 saddr @trusted6 accept"];

/// The text of [`FILE`].
pub(crate) fn ruleset(firewall: &Firewall) -> String {
    let Firewall { trusted, open_ports } = firewall;
    let is_v6 = |text: &&String| {
        let address = text.split('/').next().unwrap_or_default();
        address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6())
    };
    let (v6, v4): (Vec<&String>, Vec<&String>) = trusted.iter().partition(is_v6);
    let mut text = String::from(
        "# From the node's identity.\ntable inet hah\ndelete table inet hah\ntable inet hah {\n  counter strangers { }\n",
    );
    for (name, kind, elements) in [("trusted4", "ipv4_addr", v4), ("trusted6", "ipv6_addr", v6)] {
        text.push_str(&format!("  set {name} {{\n    type {kind}; flags interval; auto-merge;\n"));
        if !elements.is_empty() {
            let elements: Vec<&str> = elements.iter().map(|text| text.as_str()).collect();
            text.push_str(&format!("    elements = {{ {} }}\n", elements.join(", ")));
        }
        text.push_str("  }\n");
    }
    let ports: Vec<String> = open_ports.iter().map(u16::to_string).collect();
    let (mut open, mut published) = (Vec::new(), Vec::new());
    if !ports.is_empty() {
        let ports = ports.join(", ");
        open.push(format!("meta l4proto {{ tcp, udp }} th dport {{ {ports} }} accept"));
        published.push(format!("meta l4proto {{ tcp, udp }} ct original proto-dst {{ {ports} }} accept"));
    }
    for (name, policy, first, own, last) in [
        ("input", "drop", &INPUT[..], &open, "counter name strangers"),
        ("forward", "accept", &FORWARD[..], &published, "ct state new counter name strangers drop"),
    ] {
        text.push_str(&format!("  chain {name} {{\n    type filter hook {name} priority filter; policy {policy};\n"));
        let own = own.iter().map(String::as_str);
        for line in first.iter().copied().chain(own).chain(TRUSTED).chain([last]) {
            text.push_str(&format!("    {line}\n"));
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firewall(trusted: &[&str], open_ports: &[u16]) -> Firewall {
        Firewall { trusted: trusted.iter().map(|text| (*text).to_owned()).collect(), open_ports: open_ports.to_vec() }
    }

    #[test]
    fn the_cluster_and_its_networks_are_let_in() {
        let text = ruleset(&firewall(&["192.168.1.10", "10.1.0.0/16", "fd00::/64"], &[80, 443]));
        assert!(
            text.contains("type ipv4_addr; flags interval; auto-merge;\n    elements = { 192.168.1.10, 10.1.0.0/16 }")
        );
        assert!(text.contains("type ipv6_addr; flags interval; auto-merge;\n    elements = { fd00::/64 }"));
        assert!(text.contains("    meta l4proto { tcp, udp } th dport { 80, 443 } accept\n"));
        assert!(text.contains("hook input priority filter; policy drop;"));
        let strangers = text.find("counter name strangers").unwrap();
        for accepted in ["tcp dport 22", "ip saddr @trusted4", "ip6 saddr @trusted6", "th dport"] {
            assert!(text.find(accepted).unwrap() < strangers, "{accepted} comes too late");
        }
    }

    #[test]
    fn a_cluster_of_nobody_trusts_nobody() {
        let text = ruleset(&firewall(&[], &[]));
        assert!(!text.contains("elements") && !text.contains("th dport") && !text.contains("proto-dst"), "{text}");
    }

    /// The kernel's own judge, in a network of its own; where nft(8) is missing, and nobody requires it, a skip.
    #[test]
    fn nft_takes_the_ruleset() {
        let texts = [
            ruleset(&firewall(&[], &[])),
            ruleset(&firewall(&["192.168.1.10", "192.168.1.10/32", "192.168.1.0/24", "fd00::/64", "fd00::1"], &[80])),
            include_str!("../../../../recipes/network/firewall.nft").to_owned(),
        ];
        for text in texts {
            let mut nft = std::process::Command::new("unshare");
            nft.args(["--net", "nft", "--check", "--file", "-"]).stdin(std::process::Stdio::piped());
            nft.stderr(std::process::Stdio::piped());
            let Ok(mut child) = nft.spawn() else { return println!("skipped: no unshare") };
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            if said.contains("failed to execute nft") || said.contains("Operation not permitted") {
                return println!("skipped: {said}");
            }
            assert!(output.status.success(), "{said}\n{text}");
        }
    }
}
