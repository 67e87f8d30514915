//! What the values of an identity may be.
//!
//! The rules keep every value inside the file that it is written into: no control characters, no quotes where a quote
//! would end something, lengths within what the program that reads it accepts.

use std::fmt;
use std::net::IpAddr;

use crate::host::{self, Assigned, Reason};

use super::{Alertmanager, Consul, Firewall, Identity, Interface, Nomad, Secret, Setup, Tls, VERSION, Vault, Wifi};

/// Most entries of a list.
const ENTRIES_MAX: usize = 64;
/// Most nodes and networks that a node knows of.
const PEERS_MAX: usize = 512;
/// Longest line of any kind, in bytes: an RSA key of 16384 bits fits.
const LINE_MAX: usize = 4096;
/// Longest certificate or key, in bytes.
const PEM_MAX: usize = 16 << 10;

/// What is wrong with an identity: the field and the reason, without the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// `consul.encrypt`.
    pub field: String,
    /// Completes "FIELD …".
    pub reason: Reason,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.reason)
    }
}

type Checked = Result<(), Flaw>;

fn require(field: &str, good: bool, reason: &'static str) -> Checked {
    if good { Ok(()) } else { Err(Flaw { field: field.to_owned(), reason }) }
}

impl Identity {
    /// The first thing that is wrong, if any.
    pub fn flaw(&self) -> Option<Flaw> {
        self.check().err()
    }

    fn check(&self) -> Checked {
        require("version", self.version == VERSION, "is not 1, the only one that is known")?;
        if let Some(name) = &self.hostname {
            obey("hostname", host::label(name))?;
        }
        if let Some(zone) = &self.timezone {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
            let good = zone.len() <= 64 && zone.split('/').all(|part| !part.is_empty() && part.chars().all(plain));
            require("timezone", good, "is not a name like Europe/Berlin")?;
        }
        if let Some(name) = &self.user.name {
            require("user.name", is_user(name), "is not a user name: up to 31 of a-z, 0-9, `_` and `-`")?;
        }
        if let Some(hash) = &self.user.password_hash {
            require("user.password_hash", is_crypt(hash.reveal()), "is not a crypt(5) hash, which begins with `$`")?;
        }
        list("ssh.authorized_keys", &self.ssh.authorized_keys, is_public_key, "is not a line of authorized_keys")?;
        self.wifi.as_ref().map_or(Ok(()), wifi)?;
        self.network.ethernet.as_ref().map_or(Ok(()), |found| interface("network.ethernet", found))?;
        self.network.wlan.as_ref().map_or(Ok(()), |found| interface("network.wlan", found))?;
        self.consul.as_ref().map_or(Ok(()), consul)?;
        self.nomad.as_ref().map_or(Ok(()), nomad)?;
        self.vault.as_ref().map_or(Ok(()), vault)?;
        alertmanager(&self.alertmanager)?;
        self.firewall.as_ref().map_or(Ok(()), firewall)?;
        list("release_keys", &self.release_keys, is_minisign_key, "is not a public key of minisign")?;
        self.setup.as_ref().map_or(Ok(()), setup)
    }
}

fn wifi(wifi: &Wifi) -> Checked {
    let Wifi { ssid, psk, country, hidden: _ } = wifi;
    require("wifi.ssid", (1..=32).contains(&ssid.len()) && !ssid.contains('\0'), "has not 1 to 32 bytes")?;
    require(
        "wifi.country",
        country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()),
        "is not two capital letters, like DE",
    )?;
    let Some(psk) = psk else { return Ok(()) };
    require("wifi.psk", is_psk(psk.reveal()), "is neither 8 to 63 printable ASCII characters nor 64 hex digits")
}

fn interface(field: &str, interface: &Interface) -> Checked {
    let Interface { addresses, gateway, dns } = interface;
    let mut assigned: Vec<Assigned> = Vec::new();
    each(&format!("{field}.addresses"), addresses, |text| {
        let address = Assigned::parse(text)?;
        if assigned.iter().any(|other| other.address == address.address) {
            return Err("is in the list twice");
        }
        assigned.push(address);
        Ok(())
    })?;
    if let Some(gateway) = gateway {
        let field = format!("{field}.gateway");
        require(&field, !addresses.is_empty(), "needs addresses: with DHCP the gateway comes from there")?;
        obey(&field, host::gateway(gateway, &assigned))?;
    }
    each(&format!("{field}.dns"), dns, host::name_server)
}

fn consul(consul: &Consul) -> Checked {
    let Consul {
        datacenter,
        server,
        bootstrap_expect,
        retry_join,
        advertise,
        bind,
        encrypt,
        tls: material,
        acl,
        tokens,
    } = consul;
    if let Some(name) = datacenter {
        let good = (1..=63).contains(&name.len()) && name.bytes().all(is_datacenter);
        require("consul.datacenter", good, "is not 1 to 63 of a-z, 0-9, `_` and `-`")?;
    }
    expect("consul.bootstrap_expect", *bootstrap_expect)?;
    let is_client = *server == Some(false);
    require("consul.bootstrap_expect", !is_client || bootstrap_expect.is_none(), "is for servers only")?;
    each(
        "consul.retry_join",
        retry_join,
        |text| if is_line(text) { host::join(text) } else { Err("is not one line") },
    )?;
    advertised("consul.advertise", advertise.as_deref())?;
    // A program may well listen on every address, or on one that is for this network only.
    optional("consul.bind", bind.as_deref(), |text| text.parse::<IpAddr>().is_ok(), "is not an IP address")?;
    secret("consul.encrypt", encrypt.as_ref(), is_gossip_key, "is not 16, 24 or 32 bytes in base64")?;
    material.as_ref().map_or(Ok(()), |found| tls("consul.tls", found))?;
    let all = [
        ("consul.tokens.initial_management", &tokens.initial_management),
        ("consul.tokens.agent", &tokens.agent),
        ("consul.tokens.default", &tokens.default),
        ("consul.tokens.hah", &tokens.hah),
        ("consul.tokens.prometheus", &tokens.prometheus),
    ];
    for (field, token) in all {
        secret(field, token.as_ref(), is_token, "is not a token: printable characters without blanks")?;
        require(field, token.is_none() || acl.is_some(), "needs consul.acl")?;
    }
    Ok(())
}

fn nomad(nomad: &Nomad) -> Checked {
    let Nomad { bootstrap_expect, advertise, encrypt, tls: material, acl: _, tokens, meta } = nomad;
    expect("nomad.bootstrap_expect", *bootstrap_expect)?;
    advertised("nomad.advertise", advertise.as_deref())?;
    secret("nomad.encrypt", encrypt.as_ref(), is_gossip_key, "is not 16, 24 or 32 bytes in base64")?;
    material.as_ref().map_or(Ok(()), |found| tls("nomad.tls", found))?;
    for (field, token) in [("nomad.tokens.consul", &tokens.consul), ("nomad.tokens.hah", &tokens.hah)] {
        secret(field, token.as_ref(), is_token, "is not a token: printable characters without blanks")?;
    }
    require("nomad.meta", meta.len() <= ENTRIES_MAX, "has more than 64 entries")?;
    for (key, value) in meta {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let good = (1..=128).contains(&key.len()) && key.bytes().all(plain);
        require("nomad.meta", good, "has a key with other characters than letters, digits, `_`, `.` and `-`")?;
        require(&format!("nomad.meta.{key}"), is_line(value), "is not one line of text")?;
    }
    Ok(())
}

fn vault(vault: &Vault) -> Checked {
    let Vault { retry_join, tls: material, role_id, wrapped_secret_id } = vault;
    each("vault.retry_join", retry_join, |text| if is_line(text) { host::url(text) } else { Err("is not one line") })?;
    material.as_ref().map_or(Ok(()), |found| tls("vault.tls", found))?;
    for (field, token) in [("vault.role_id", role_id), ("vault.wrapped_secret_id", wrapped_secret_id)] {
        secret(field, token.as_ref(), is_token, "is not printable characters without blanks")?;
    }
    Ok(())
}

fn alertmanager(alertmanager: &Alertmanager) -> Checked {
    let Alertmanager { webhook, heartbeat } = alertmanager;
    let is_url = |text: &str| is_token(text) && host::url(text).is_ok();
    for (field, url) in [("alertmanager.webhook", webhook), ("alertmanager.heartbeat", heartbeat)] {
        secret(field, url.as_ref(), is_url, "is not a URL like https://example.org/hook")?;
    }
    Ok(())
}

fn firewall(firewall: &Firewall) -> Checked {
    let Firewall { trusted, open_ports } = firewall;
    require("firewall.trusted", trusted.len() <= PEERS_MAX, "has more than 512 entries")?;
    for (number, text) in trusted.iter().enumerate() {
        obey(&format!("firewall.trusted[{number}]"), host::prefix(text))?;
    }
    require("firewall.open_ports", open_ports.len() <= ENTRIES_MAX, "has more than 64 entries")?;
    require("firewall.open_ports", !open_ports.contains(&0), "has port 0, which no packet is for")
}

fn setup(setup: &Setup) -> Checked {
    let Setup { consul, nomad, nodes } = setup;
    let reason = "is not a UUID";
    require("setup.consul", is_uuid(consul.reveal()), reason)?;
    secret("setup.nomad", nomad.as_ref(), is_uuid, reason)?;
    require("setup.nodes", nodes.len() <= PEERS_MAX, "has more than 512 entries")?;
    for (name, own) in nodes {
        obey("setup.nodes", host::label(name))?;
        let tokens = [("agent", &own.agent), ("nomad", &own.nomad), ("hah", &own.hah), ("prometheus", &own.prometheus)];
        for (part, token) in tokens {
            secret(&format!("setup.nodes.{name}.{part}"), token.as_ref(), is_uuid, reason)?;
        }
    }
    Ok(())
}

/// As Consul and Nomad take it for a chosen token: 8-4-4-4-12 lower-case hex digits.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    let plain = |byte: u8| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(plain)
}

fn tls(field: &str, tls: &Tls) -> Checked {
    for (part, text) in [("ca", tls.ca.as_str()), ("cert", &tls.cert), ("key", tls.key.reveal())] {
        require(&format!("{field}.{part}"), is_pem(text), "is not PEM")?;
    }
    Ok(())
}

fn list(field: &str, items: &[String], good: impl Fn(&str) -> bool, reason: &'static str) -> Checked {
    require(field, items.len() <= ENTRIES_MAX, "has more than 64 entries")?;
    for (number, item) in items.iter().enumerate() {
        require(&format!("{field}[{number}]"), good(item), reason)?;
    }
    Ok(())
}

/// Asks of each item by itself.
fn each(field: &str, items: &[String], mut ask: impl FnMut(&str) -> Result<(), Reason>) -> Checked {
    require(field, items.len() <= ENTRIES_MAX, "has more than 64 entries")?;
    items.iter().enumerate().try_for_each(|(number, item)| obey(&format!("{field}[{number}]"), ask(item)))
}

fn obey(field: &str, asked: Result<(), Reason>) -> Checked {
    asked.map_err(|reason| Flaw { field: field.to_owned(), reason })
}

/// An address that others are told.
fn advertised(field: &str, address: Option<&str>) -> Checked {
    let Some(text) = address else { return Ok(()) };
    let address: IpAddr = text.parse().map_err(|_| Flaw { field: field.to_owned(), reason: "is not an IP address" })?;
    obey(field, host::unicast(address))
}

fn optional(field: &str, text: Option<&str>, good: impl Fn(&str) -> bool, reason: &'static str) -> Checked {
    require(field, text.is_none_or(good), reason)
}

fn secret(field: &str, text: Option<&Secret>, good: impl Fn(&str) -> bool, reason: &'static str) -> Checked {
    optional(field, text.map(Secret::reveal), good, reason)
}

fn expect(field: &str, number: Option<u8>) -> Checked {
    require(field, number.is_none_or(|number| (1..=9).contains(&number)), "is not 1 to 9")
}

/// What useradd accepts on Debian.
fn is_user(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    text.len() <= 31 && first && text.bytes().all(plain)
}

fn is_crypt(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"$./=,_-".contains(&byte);
    text.starts_with('$') && (4..=256).contains(&text.len()) && text.bytes().all(plain)
}

/// Options, type, key, comment: at least a type and a key, on one line.
fn is_public_key(text: &str) -> bool {
    is_line(text) && !text.starts_with('#') && text.split_whitespace().count() >= 2
}

/// 42 bytes that begin with `Ed`, in base64.
fn is_minisign_key(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    text.len() == 56 && text.starts_with("RW") && text.bytes().all(is_base64)
}

fn is_psk(text: &str) -> bool {
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex || (printable && (8..=63).contains(&text.len()))
}

fn is_line(text: &str) -> bool {
    (1..=LINE_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_token(text: &str) -> bool {
    (1..=LINE_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_datacenter(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
}

fn is_gossip_key(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    // 16, 24 and 32 bytes.
    matches!((digits.len(), text.len()), (22, 24) | (32, 32) | (43, 44)) && digits.bytes().all(plain)
}

fn is_pem(text: &str) -> bool {
    let printable = text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte));
    text.len() <= PEM_MAX && printable && text.starts_with("-----BEGIN ") && text.trim_end().ends_with("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Identity), wanted: Option<&str>) {
        let mut identity = Identity { version: VERSION, ..Identity::default() };
        change(&mut identity);
        assert_eq!(identity.flaw().map(|flaw| flaw.to_string()).as_deref(), wanted);
    }

    fn some(text: &str) -> Option<Secret> {
        Some(Secret::new(text))
    }

    #[test]
    fn webhooks_are_urls_and_are_not_repeated() {
        for (url, is_good) in [
            ("https://hooks.example.org/T0/canary?x=%20", true),
            ("http://192.168.1.5:8080/canary", true),
            ("canary", false),
            ("ftp://canary/", false),
            ("https://a/canary b", false),
            ("https://a/canary\nb", false),
        ] {
            for field in ["alertmanager.webhook", "alertmanager.heartbeat"] {
                let url = some(url);
                let alertmanager = match field {
                    "alertmanager.webhook" => Alertmanager { webhook: url, heartbeat: None },
                    _ => Alertmanager { webhook: None, heartbeat: url },
                };
                let wanted = format!("{field} is not a URL like https://example.org/hook");
                check(|identity| identity.alertmanager = alertmanager, (!is_good).then_some(wanted.as_str()));
            }
        }
    }

    #[test]
    fn what_is_good() {
        check(|_| {}, None);
        check(
            |identity| {
                identity.hostname = Some("pi4-a".into());
                identity.timezone = Some("America/Argentina/Buenos_Aires".into());
                identity.user.name = Some("pi".into());
                identity.user.password_hash = some("$6$salt$hash./");
                identity.ssh.authorized_keys = vec!["ssh-ed25519 AAAA you@laptop".into()];
                identity.wifi = Some(Wifi {
                    ssid: "Küche \"2\"".into(),
                    psk: some("correct horse"),
                    country: "DE".into(),
                    hidden: true,
                });
                identity.network.ethernet = Some(Interface {
                    addresses: vec!["192.168.1.10/24".into(), "fd00::10/64".into()],
                    gateway: Some("192.168.1.1".into()),
                    dns: vec!["192.168.1.1".into(), "fd00::1".into()],
                });
                identity.consul = Some(Consul {
                    server: Some(true),
                    bootstrap_expect: Some(3),
                    encrypt: some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
                    acl: Some(Policy::Deny),
                    ..Consul::default()
                });
            },
            None,
        );
    }

    use super::super::Policy;

    #[test]
    fn what_is_not() {
        check(|identity| identity.version = 2, Some("version is not 1, the only one that is known"));
        check(|identity| identity.hostname = Some("a-".into()), Some("hostname begins or ends with `-`"));
        check(
            |identity| identity.hostname = Some("123".into()),
            Some("hostname is a number, which programs take for an address: add a letter, as in `node-1`"),
        );
        for zone in ["", "/etc", "../etc", "a//b", "a b"] {
            check(|identity| identity.timezone = Some(zone.into()), Some("timezone is not a name like Europe/Berlin"));
        }
        check(
            |identity| identity.ssh.authorized_keys = vec!["ssh-ed25519 AAAA".into(), "a\nb c".into()],
            Some("ssh.authorized_keys[1] is not a line of authorized_keys"),
        );
        check(
            |identity| identity.user.password_hash = some("secret:0:0"),
            Some("user.password_hash is not a crypt(5) hash, which begins with `$`"),
        );
        let wifi = |ssid: &str, psk: &str, country: &str| {
            let found = Wifi { ssid: ssid.into(), psk: some(psk), country: country.into(), hidden: false };
            move |identity: &mut Identity| identity.wifi = Some(found)
        };
        check(wifi("", "12345678", "DE"), Some("wifi.ssid has not 1 to 32 bytes"));
        check(wifi("x", "12345678", "de"), Some("wifi.country is not two capital letters, like DE"));
        for psk in ["1234567", "1234567\n", &"x".repeat(64)] {
            check(
                wifi("x", psk, "DE"),
                Some("wifi.psk is neither 8 to 63 printable ASCII characters nor 64 hex digits"),
            );
        }
        let ethernet = |addresses: &[&str], gateway: &str, dns: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let gateway = Some(gateway.to_owned()).filter(|text| !text.is_empty());
            let found = Interface { addresses: texts(addresses), gateway, dns: texts(dns) };
            move |identity: &mut Identity| identity.network.ethernet = Some(found)
        };
        check(
            ethernet(&["192.168.1.10"], "", &[]),
            Some("network.ethernet.addresses[0] is not ADDRESS/PREFIX, like 192.168.1.10/24"),
        );
        check(
            ethernet(&["192.168.1.10/24", "192.168.1.255/24"], "", &[]),
            Some("network.ethernet.addresses[1] is the broadcast address of its network, not a host's"),
        );
        check(
            ethernet(&["fd00::a/64", "fd00:0:0::000a/64"], "", &[]),
            Some("network.ethernet.addresses[1] is in the list twice"),
        );
        check(
            ethernet(&["192.168.1.10/24"], "192.168.2.1", &[]),
            Some("network.ethernet.gateway is outside the network of the node's address, so the node cannot reach it"),
        );
        check(
            ethernet(&["192.168.1.10/24"], "192.168.1.1", &["192.168.1.1", "ff02::fb"]),
            Some("network.ethernet.dns[1] is a multicast address: a group's, not a host's"),
        );
        check(
            |identity| {
                identity.network.wlan = Some(Interface { gateway: Some("10.0.0.1".into()), ..Interface::default() });
            },
            Some("network.wlan.gateway needs addresses: with DHCP the gateway comes from there"),
        );
        let consul = |found: Consul| move |identity: &mut Identity| identity.consul = Some(found);
        check(
            consul(Consul { server: Some(false), bootstrap_expect: Some(3), ..Consul::default() }),
            Some("consul.bootstrap_expect is for servers only"),
        );
        check(
            consul(Consul { retry_join: vec!["pi4.local".into(), "10.0.0.0.1".into()], ..Consul::default() }),
            Some("consul.retry_join[1] is not an IP address, and a host name does not end in a number"),
        );
        check(
            consul(Consul { advertise: Some("0.0.0.0".into()), ..Consul::default() }),
            Some("consul.advertise means every address, and is none"),
        );
        check(consul(Consul { bind: Some("0.0.0.0".into()), ..Consul::default() }), None);
        check(
            |identity| {
                let retry_join = vec!["http://fd00::1:8200".into()];
                identity.vault = Some(Vault { retry_join, ..Vault::default() });
            },
            Some("vault.retry_join[0] has an IPv6 address without brackets: write http://[fd00::10]:8200"),
        );
        check(
            consul(Consul { encrypt: some("short"), ..Consul::default() }),
            Some("consul.encrypt is not 16, 24 or 32 bytes in base64"),
        );
        let tokens = super::super::ConsulTokens { agent: some("abc"), ..Default::default() };
        check(consul(Consul { tokens, ..Consul::default() }), Some("consul.tokens.agent needs consul.acl"));
    }

    #[test]
    fn nothing_shows_a_secret() {
        let mut identity = Identity { version: VERSION, ..Identity::default() };
        identity.user.password_hash = some("canary:1");
        let consul = Consul { encrypt: some("canary:2"), ..Consul::default() };
        identity.consul = Some(consul);
        let flaw = identity.flaw().map(|flaw| flaw.to_string()).unwrap_or_default();
        assert!(!format!("{identity:?} {flaw}").contains("canary"));
    }
}
