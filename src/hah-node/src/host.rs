//! Addresses and names of hosts: which ones a node, a gateway or a server may have, and why not.
//!
//! One home for both sides: `cluster.toml`, recipes' parameters, `flash --identity` and the node itself ask here.
//! A reason completes "`VALUE` …" or "FIELD …".
//!
//! | rule | source |
//! |---|---|
//! | names: letters, digits, `-`, at most 63 a label | RFC 1123 §2.1 |
//! | the first and the last address of an IPv4 network are no host's | RFC 1122 §3.2.1.3, RFC 919 |
//! | but for /31, whose two are, and /32 | RFC 3021 |
//! | the first address of an IPv6 network is any router's | RFC 4291 §2.6.1 |
//! | but for /127, whose two are hosts', and /128 | RFC 6164 |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why a value is refused: completes a sentence that begins with the value or its field.
pub type Reason = &'static str;

/// Asks whether a text is what its place wants.
pub type Rule = fn(&str) -> Result<(), Reason>;

/// systemd-resolved's own addresses (systemd-resolved.service(8)).
const RESOLVED: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 53), Ipv4Addr::new(127, 0, 0, 54)];
/// Longest name of a host, dots included (RFC 1035 §2.3.4).
const NAME_MAX: usize = 253;

const NOT_ASSIGNED: Reason = "is not ADDRESS/PREFIX, like 192.168.1.10/24";
const NOT_A_HOST: Reason = "is neither an IP address nor the name of a host";

/// An address of a node and the length of its network's prefix: `192.168.1.10/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The node's own.
    pub address: IpAddr,
    /// Bits, 1 to 32 or 128.
    prefix: u8,
}

impl Assigned {
    /// Reads `ADDRESS/PREFIX`; refuses what no host can have.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let (address, prefix) = text.split_once('/').ok_or(NOT_ASSIGNED)?;
        let plain = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let (address, prefix): (IpAddr, u8) = match (address.parse(), prefix.parse()) {
            (Ok(address), Ok(prefix)) if plain => (address, prefix),
            _ => return Err(NOT_ASSIGNED),
        };
        if prefix > width(address) {
            return Err(match address {
                IpAddr::V4(_) => "has a prefix of more than 32 bits",
                IpAddr::V6(_) => "has a prefix of more than 128 bits",
            });
        }
        unicast(address)?;
        if prefix == 0 {
            return Err("has a prefix of 0 bits: every address would be in the node's own network");
        }
        let assigned = Self { address, prefix };
        assigned.host_in_network(address)?;
        Ok(assigned)
    }

    /// Whether `other` lies in the same network.
    pub fn contains(self, other: IpAddr) -> bool {
        let network = |address: IpAddr| number(address) >> (width(address) - self.prefix);
        width(self.address) == width(other) && network(self.address) == network(other)
    }

    /// Refuses those addresses of the network that no host has.
    fn host_in_network(self, address: IpAddr) -> Result<(), Reason> {
        let bits = width(address).saturating_sub(self.prefix);
        // /31, /32, /127, /128: every address is a host's.
        if bits < 2 {
            return Ok(());
        }
        let mask = (1u128 << bits) - 1;
        match (address, number(address) & mask) {
            (IpAddr::V4(_), 0) => Err("is the address of the network itself, not of a host in it"),
            (IpAddr::V4(_), host) if host == mask => Err("is the broadcast address of its network, not a host's"),
            (IpAddr::V6(_), 0) => Err("is the first address of its network, which every router there answers to"),
            _ => Ok(()),
        }
    }
}

/// Bits of an address.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Refuses addresses that no other host can reach this one by.
pub fn unicast(address: IpAddr) -> Result<(), Reason> {
    if let IpAddr::V6(v6) = address
        && v6.to_ipv4_mapped().is_some()
    {
        return Err("is an IPv4 address in IPv6's clothes: write it as IPv4");
    }
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if is_link_local {
        return Err("is link-local: it means something else on every network, and programs cannot be given it");
    }
    somewhere(address)?;
    if address.is_loopback() {
        return Err("is a loopback address, which no other node reaches");
    }
    Ok(())
}

/// Refuses addresses that are no single host's, wherever it may be.
fn somewhere(address: IpAddr) -> Result<(), Reason> {
    let v4 = |test: fn(Ipv4Addr) -> bool| matches!(address, IpAddr::V4(address) if test(address));
    if address.is_unspecified() {
        return Err("means every address, and is none");
    }
    if address.is_multicast() {
        return Err("is a multicast address: a group's, not a host's");
    }
    if v4(|address| address.is_broadcast()) {
        return Err("is the broadcast address of every network, not a host's");
    }
    if v4(|address| address.octets()[0] == 0) {
        return Err("begins with 0, and such addresses are no host's");
    }
    if v4(|address| address.octets()[0] >= 240) {
        return Err("is in the block that is reserved for ever (240.0.0.0/4)");
    }
    Ok(())
}

/// A network, or one address of it: `192.168.1.0/24`, `fd00::/64`, `192.168.1.10`.
pub fn prefix(text: &str) -> Result<(), Reason> {
    const NOT_A_PREFIX: Reason = "is neither ADDRESS nor NETWORK/PREFIX, like 192.168.1.0/24";
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse().map_or(Err(NOT_A_PREFIX), unicast);
    };
    let plain = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let (address, prefix): (IpAddr, u8) = match (address.parse(), prefix.parse()) {
        (Ok(address), Ok(prefix)) if plain && prefix <= width(address) => (address, prefix),
        _ => return Err(NOT_A_PREFIX),
    };
    // Shorter than any network that somebody has to himself: 10.0.0.0/8, fd00::/8.
    if prefix < 8 {
        return Err("is so large that strangers are in it");
    }
    if number(address).trailing_zeros() < u32::from(width(address) - prefix) && number(address) != 0 {
        return Err("is not the address of a network: bits behind the prefix are set");
    }
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return Err("is no network that other hosts are in");
    }
    Ok(())
}

/// The default route of a host with these addresses.
pub fn gateway(text: &str, addresses: &[Assigned]) -> Result<(), Reason> {
    let gateway: IpAddr = text.parse().map_err(|_| "is not an IP address")?;
    // IPv6 routers announce themselves by a link-local address; it is reached whatever the prefix.
    if let IpAddr::V6(v6) = gateway
        && v6.is_unicast_link_local()
    {
        let is_reached = addresses.is_empty() || addresses.iter().any(|assigned| assigned.address.is_ipv6());
        return if is_reached { Ok(()) } else { Err("is an IPv6 address, and the node has none") };
    }
    unicast(gateway)?;
    if addresses.is_empty() {
        return Ok(());
    }
    if addresses.iter().any(|assigned| assigned.address == gateway) {
        return Err("is the node's own address");
    }
    match addresses.iter().find(|assigned| assigned.contains(gateway)) {
        None => Err("is outside the network of the node's address, so the node cannot reach it"),
        // An IPv6 router may well be known by the address that all routers of a network share.
        Some(_) if gateway.is_ipv6() => Ok(()),
        Some(assigned) => assigned.host_in_network(gateway),
    }
}

/// The name of a node: one label of a host name, in lower case.
pub fn label(text: &str) -> Result<(), Reason> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.is_empty() {
        return Err("is empty");
    }
    if !text.bytes().all(plain) {
        return Err("has other characters than a-z, 0-9 and `-`");
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("has capital letters: names of hosts are the same in capitals, so write it in small ones");
    }
    if text.len() > 63 {
        return Err("is longer than 63 characters, the most that a host name may have");
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("begins or ends with `-`");
    }
    if is_number(text) {
        return Err("is a number, which programs take for an address: add a letter, as in `node-1`");
    }
    if text == "localhost" {
        return Err("is every host's name for itself");
    }
    Ok(())
}

/// Whether inet_aton(3), and so most programs, would read a number: `123`, `0x7f`.
fn is_number(label: &str) -> bool {
    let digits = label.bytes().all(|byte| byte.is_ascii_digit());
    let hex = label.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits || hex
}

/// A name with or without dots, in capitals or not; a final dot is fine.
fn name(text: &str) -> Result<(), Reason> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() > NAME_MAX {
        return Err("is longer than 253 characters, the most that a host name may have");
    }
    // `_` is in names of services (RFC 2782), not of hosts; but people's resolvers have such hosts.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    for label in text.split('.') {
        if label.len() > 63 {
            return Err("has a part of more than 63 characters, the most that a part of a host name may have");
        }
        if label.is_empty() || label.starts_with('-') || label.ends_with('-') || !label.bytes().all(plain) {
            return Err(NOT_A_HOST);
        }
    }
    match text.rsplit('.').next().is_some_and(is_number) {
        true => Err("is not an IP address, and a host name does not end in a number"),
        false => Ok(()),
    }
}

/// Another host: its address, or its name.
pub fn host(text: &str) -> Result<(), Reason> {
    match text.parse::<IpAddr>() {
        Ok(address) => unicast(address),
        Err(_) => name(text),
    }
}

/// A server for names, as resolved.conf(5) has it: `ADDRESS[:PORT][%INTERFACE][#NAME]`.
pub fn name_server(text: &str) -> Result<(), Reason> {
    let (text, server) = text.split_once('#').map_or((text, None), |(text, server)| (text, Some(server)));
    let (text, interface) = text.split_once('%').map_or((text, None), |(text, name)| (text, Some(name)));
    server.map_or(Ok(()), name)?;
    let address = match (text.parse::<IpAddr>(), text.parse::<SocketAddr>()) {
        (Ok(address), _) => address,
        (_, Ok(socket)) => socket.ip(),
        _ => return Err("is not an IP address"),
    };
    if matches!(address, IpAddr::V4(v4) if RESOLVED.contains(&v4)) {
        return Err("is the node's own resolver, which would ask itself");
    }
    // A resolver on the node itself may well be what the person wants.
    match address.is_loopback() || interface.is_some() {
        true => somewhere(address),
        false => unicast(address),
    }
}

/// Whom to join: `HOST`, `HOST:PORT`, `[IPV6]:PORT`, or a go-discover string, `provider=… …`.
pub fn join(text: &str) -> Result<(), Reason> {
    match text.split_whitespace().any(|word| word.starts_with("provider=")) {
        true => Ok(()),
        false => host_and_port(text),
    }
}

/// The address of an API: `http://HOST:PORT`.
pub fn url(text: &str) -> Result<(), Reason> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let rest = rest.ok_or("is not a URL like http://192.168.1.10:8200")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.parse::<Ipv6Addr>().is_ok() || authority.matches(':').count() > 1 && !authority.starts_with('[') {
        return Err("has an IPv6 address without brackets: write http://[fd00::10]:8200");
    }
    host_and_port(authority)
}

fn host_and_port(text: &str) -> Result<(), Reason> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return unicast(address);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(NOT_A_HOST)?;
        let address: Ipv6Addr = address.parse().map_err(|_| "has no IPv6 address in its brackets")?;
        unicast(address.into())?;
        return match rest.strip_prefix(':') {
            Some(number) => port(number),
            None if rest.is_empty() => Ok(()),
            None => Err(NOT_A_HOST),
        };
    }
    match text.split_once(':') {
        Some((name, number)) => {
            host(name)?;
            port(number)
        }
        None => host(text),
    }
}

fn port(text: &str) -> Result<(), Reason> {
    match text.parse::<u16>() {
        Ok(1..) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        _ => Err("has a port that is not 1 to 65535"),
    }
}

/// An address as a URL and `HOST:PORT` have it: IPv6 in brackets (RFC 3986 §3.2.2).
pub fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests;
