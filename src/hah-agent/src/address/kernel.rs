//! What addresses the kernel has, and which it would use.
//!
//! Connecting a UDP socket sends nothing and makes the kernel choose route and source address as it would for a packet:
//! metrics, preferred sources, RFC 6724 and the state of each IPv6 address are honoured without being repeated here.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;

use hah_node::host;

/// Somewhere else: an address of documentation (RFC 5737) and one of an unallocated block, which only a default route leads to.
const ELSEWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1))];
/// The port does not matter; it is "discard".
const PORT: u16 = 9;

/// `IFA_F_TEMPORARY` of linux/if_addr.h: made for privacy, and another tomorrow.
const TEMPORARY: u32 = 0x01;
/// `IFA_F_DADFAILED`, `IFA_F_DEPRECATED`, `IFA_F_TENTATIVE`.
const UNUSABLE: u32 = 0x08 | 0x20 | 0x40;

/// The addresses that others can reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The source of what leaves by IPv4's default route.
    pub(super) v4: Option<IpAddr>,
    /// The same with IPv6.
    pub(super) v6: Option<IpAddr>,
    /// Every address, those of the default routes included.
    pub(super) addresses: Vec<IpAddr>,
}

/// Looks. `fixed` are addresses to look for.
pub(super) fn look(fixed: &[IpAddr]) -> Seen {
    let inet6 = inet6(&fs::read_to_string("/proc/net/if_inet6").unwrap_or_default());
    let [v4, v6] = ELSEWHERE.map(source);
    let v6 = v6.map(|address| lasting(address, &inet6));
    let mut addresses: Vec<IpAddr> = [v4, v6].into_iter().flatten().collect();
    let routes = on_link(&fs::read_to_string("/proc/net/route").unwrap_or_default());
    let of_routes =
        routes.into_iter().filter(|(name, _)| !is_virtual(name)).filter_map(|(_, near)| source(near.into()));
    let of_inet6 =
        inet6.iter().filter(|found| found.flags & (TEMPORARY | UNUSABLE) == 0 && !is_virtual(&found.interface));
    let of_inet6 = of_inet6.map(|found| IpAddr::V6(found.address)).filter(|address| host::unicast(*address).is_ok());
    let of_fixed = fixed.iter().copied().filter(|address| UdpSocket::bind((*address, 0)).is_ok());
    for address in of_routes.chain(of_inet6).chain(of_fixed) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Seen { v4, v6, addresses }
}

/// The address that packets to `destination` would come from, if there is a route and others can reach that address.
fn source(destination: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match destination {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((destination, PORT)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    host::unicast(address).is_ok().then_some(address)
}

/// An IPv6 address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Inet6 {
    address: Ipv6Addr,
    interface: String,
    flags: u32,
}

/// Lines of `/proc/net/if_inet6`: address, index, prefix length, scope, flags in hex, and the interface's name.
fn inet6(text: &str) -> Vec<Inet6> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = Ipv6Addr::from_bits(u128::from_str_radix(words.next()?, 16).ok()?);
        let flags = u32::from_str_radix(words.nth(3)?, 16).ok()?;
        Some(Inet6 { address, interface: words.next()?.to_owned(), flags })
    };
    text.lines().filter_map(line).collect()
}

/// `address`, or where that is a temporary one, the lasting one beside it.
fn lasting(address: IpAddr, inet6: &[Inet6]) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let Some(found) = inet6.iter().find(|found| found.address == v6) else { return address };
    if found.flags & TEMPORARY == 0 {
        return address;
    }
    let network = |address: Ipv6Addr| address.to_bits() >> 64;
    let lasts = |other: &&Inet6| {
        other.interface == found.interface
            && other.flags & (TEMPORARY | UNUSABLE) == 0
            && network(other.address) == network(v6)
    };
    inet6.iter().find(lasts).map_or(address, |other| other.address.into())
}

/// The networks that IPv4 reaches without a router, from `/proc/net/route`: the interface's name, and an address there.
fn on_link(text: &str) -> Vec<(String, Ipv4Addr)> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // The kernel prints the bytes of the network as one number of the machine.
        let number = |index: usize| u32::from_str_radix(words.get(index)?, 16).ok().map(u32::from_be);
        let (destination, gateway, mask) = (number(1)?, number(2)?, number(7)?);
        let is_one_host = mask == u32::MAX;
        let near = if is_one_host { destination } else { destination | 1 };
        (destination != 0 && gateway == 0).then(|| Some((words.first()?.to_string(), Ipv4Addr::from_bits(near))))?
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// Whether an interface joins others of this machine or a tunnel: containers and jobs bring such, and no node is reached
/// by them.
fn is_virtual(interface: &str) -> bool {
    let path = Path::new("/sys/class/net").join(interface);
    interface == "lo" || ["bridge", "tun_flags"].iter().any(|mark| path.join(mark).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_as_the_kernel_lists_them() {
        let text = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fd000000000000000000000000000010 02 40 00 80     eth0\n\
                    20010db8000000010000000000000099 02 40 00 01     eth0\n\
                    20010db8000000010000000000000010 02 40 00 00     eth0\n\
                    fe80000000000000022048fffe1a2b3c 02 40 20 80     eth0\nnonsense\n";
        let found = inet6(text);
        assert_eq!(found.len(), 5);
        let lasts = |address: &str| lasting(address.parse().unwrap(), &found).to_string();
        assert_eq!(lasts("2001:db8:0:1::99"), "2001:db8:0:1::10", "a temporary address is another one tomorrow");
        assert_eq!(lasts("fd00::10"), "fd00::10");
        assert_eq!(lasts("fd00::11"), "fd00::11");
        let only = &found[2..3];
        assert_eq!(lasting("2001:db8:0:1::99".parse().unwrap(), only).to_string(), "2001:db8:0:1::99");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn networks_as_the_kernel_lists_them() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t0101A8C0\t0003\t0\t0\t1024\t00000000\t0\t0\t0\n\
                    eth0\t0001A8C0\t00000000\t0001\t0\t0\t1024\t00FFFFFF\t0\t0\t0\n\
                    eth1\t0700000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n\
                    eth1\t00000B0A\t0101A8C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\nx\n";
        let found = on_link(text);
        let near = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        assert_eq!(found, [("eth0".to_owned(), near("192.168.1.1")), ("eth1".to_owned(), near("10.0.0.7"))]);
    }

    #[test]
    fn nobody_is_reached_by_the_loopback() {
        assert_eq!(source(Ipv4Addr::LOCALHOST.into()), None);
        assert_eq!(source(Ipv6Addr::LOCALHOST.into()), None);
    }
}
