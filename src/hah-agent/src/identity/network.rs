//! What systemd-networkd and wpa_supplicant are told of an identity.

use std::net::IpAddr;

use hah_node::host::Assigned;
use hah_node::identity::{Identity, Interface, Wifi};

/// What `80-wired.network` of the image gains, as a drop-in: the interface's addresses instead of DHCP's.
///
/// Of a file's lists systemd keeps both, the file's and the drop-in's.
pub(crate) fn wired_drop_in(interface: &Interface) -> String {
    format!("# From the node's identity.\n[Network]\n{}", lines(interface))
}

/// A whole file for interfaces of one kind.
pub(crate) fn network_file(matches: &str, interface: &Interface) -> String {
    let dhcp = if interface.addresses.is_empty() { "DHCP=yes\n" } else { "" };
    format!(
        "# From the node's identity.\n[Match]\n{matches}\n\n[Link]\nRequiredForOnline=routable\n\n\
         [Network]\n{dhcp}IPv6AcceptRA=yes\nMulticastDNS=yes\nLLMNR=no\n{}\n[DHCPv4]\nUseDomains=yes\nClientIdentifier=mac\n",
        lines(interface)
    )
}

fn lines(interface: &Interface) -> String {
    let Interface { addresses, gateway, dns } = interface;
    let mut text = String::new();
    if !addresses.is_empty() {
        text.push_str("DHCP=no\n");
    }
    let keyed = addresses.iter().map(|address| ("Address", address));
    for (key, value) in
        keyed.chain(gateway.iter().map(|gateway| ("Gateway", gateway))).chain(dns.iter().map(|dns| ("DNS", dns)))
    {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

/// The addresses that the identity gives to the node.
pub(crate) fn fixed_addresses(identity: &Identity) -> Vec<IpAddr> {
    let interfaces = [&identity.network.ethernet, &identity.network.wlan].into_iter().flatten();
    let assigned = interfaces.flat_map(|interface| &interface.addresses);
    assigned.filter_map(|address| Assigned::parse(address).ok()).map(|assigned| assigned.address).collect()
}

/// The addresses that the identity itself knows of: those, and what others are told.
pub(crate) fn own_addresses(identity: &Identity) -> Vec<IpAddr> {
    let told = [
        identity.consul.as_ref().and_then(|consul| consul.advertise.as_deref()),
        identity.nomad.as_ref().and_then(|nomad| nomad.advertise.as_deref()),
    ];
    let told = told.into_iter().flatten().filter_map(|address| address.parse().ok());
    fixed_addresses(identity).into_iter().chain(told).collect()
}

/// The configuration of wpa_supplicant for one network (wpa_supplicant.conf(5)).
pub(crate) fn wpa_supplicant(wifi: &Wifi) -> String {
    let Wifi { ssid, psk, country, hidden } = wifi;
    // Hex digits without quotes are bytes: nothing in a name can end the line.
    let ssid: String = ssid.bytes().map(|byte| format!("{byte:02x}")).collect();
    let key = match psk.as_ref().map(|psk| psk.reveal()) {
        None => "key_mgmt=NONE".to_owned(),
        // A key; a passphrase has at most 63 characters.
        Some(psk) if psk.len() == 64 => format!("psk={psk}"),
        // Up to the last quote of the line, so that quotes within it do no harm.
        Some(psk) => format!("psk=\"{psk}\""),
    };
    let scan = if *hidden { "\n\tscan_ssid=1" } else { "" };
    format!(
        "# From the node's identity.\nctrl_interface=DIR=/run/wpa_supplicant GROUP=netdev\ncountry={country}\n\
         network={{\n\tssid={ssid}{scan}\n\t{key}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hah_node::identity::Secret;

    #[test]
    fn static_addresses() {
        let interface = Interface {
            addresses: vec!["192.168.1.10/24".into(), "fd00::10/64".into()],
            gateway: Some("192.168.1.1".into()),
            dns: vec!["192.168.1.1".into()],
        };
        assert_eq!(
            wired_drop_in(&interface),
            "# From the node's identity.\n[Network]\nDHCP=no\nAddress=192.168.1.10/24\nAddress=fd00::10/64\n\
             Gateway=192.168.1.1\nDNS=192.168.1.1\n"
        );
        assert!(!network_file("Type=wlan", &interface).contains("DHCP=yes"));
        assert!(network_file("Type=wlan", &Interface::default()).contains("\nDHCP=yes\n"));
    }

    #[test]
    fn networks() {
        let wifi = |psk: Option<&str>, hidden| {
            wpa_supplicant(&Wifi { ssid: "a\"b".into(), psk: psk.map(Secret::new), country: "DE".into(), hidden })
        };
        assert_eq!(
            wifi(Some("pass\"word"), false),
            "# From the node's identity.\nctrl_interface=DIR=/run/wpa_supplicant GROUP=netdev\ncountry=DE\n\
             network={\n\tssid=612262\n\tpsk=\"pass\"word\"\n}\n"
        );
        assert!(wifi(Some(&"0f".repeat(32)), true).contains("\n\tscan_ssid=1\n\tpsk=0f0f"));
        assert!(wifi(None, false).contains("\n\tkey_mgmt=NONE\n"));
    }
}
