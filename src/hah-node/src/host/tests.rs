use super::*;

#[track_caller]
fn refused(check: impl Fn(&str) -> Result<(), Reason>, cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        let reason = check(text).expect_err(text);
        assert!(reason.contains(wanted), "{text}: {reason}");
    }
}

#[track_caller]
fn taken(check: impl Fn(&str) -> Result<(), Reason>, cases: &[&str]) {
    for text in cases {
        assert_eq!(check(text), Ok(()), "{text}");
    }
}

fn assigned(text: &str) -> Result<(), Reason> {
    Assigned::parse(text).map(drop)
}

#[test]
fn row_11_an_address_that_no_host_can_have_is_accepted() {
    refused(
        assigned,
        &[
            ("192.168.1.0/24", "the network itself"),
            ("10.0.0.0/8", "the network itself"),
            ("192.168.1.64/26", "the network itself"),
            ("192.168.1.252/30", "the network itself"),
            ("192.168.1.255/24", "the broadcast address of its network"),
            ("192.168.1.127/25", "the broadcast address of its network"),
            ("10.0.0.3/30", "the broadcast address of its network"),
            ("255.255.255.255/32", "broadcast address of every network"),
            ("127.0.0.1/8", "loopback"),
            ("127.8.8.8/32", "loopback"),
            ("::1/128", "loopback"),
            ("0.0.0.0/0", "means every address"),
            ("::/64", "means every address"),
            ("0.1.2.3/8", "begins with 0"),
            ("10.0.0.5/0", "prefix of 0 bits"),
            ("fd00::5/0", "prefix of 0 bits"),
            ("224.0.0.251/24", "multicast"),
            ("ff02::1/64", "multicast"),
            ("169.254.7.7/16", "link-local"),
            ("fe80::1/64", "link-local"),
            ("240.0.0.1/24", "reserved"),
            ("::ffff:192.168.1.10/120", "write it as IPv4"),
            ("fd00::/64", "every router"),
            ("2001:db8:0:1::/64", "every router"),
            ("fd00::4/126", "every router"),
            ("192.168.1.10/33", "more than 32 bits"),
            ("fd00::1/129", "more than 128 bits"),
            ("192.168.1.10", "ADDRESS/PREFIX"),
            ("192.168.001.010/24", "ADDRESS/PREFIX"),
            ("192.168.1/24", "ADDRESS/PREFIX"),
            ("fe80::1%eth0/64", "ADDRESS/PREFIX"),
            ("10.0.0.1/+8", "ADDRESS/PREFIX"),
            ("10.0.0.1/255.0.0.0", "ADDRESS/PREFIX"),
            ("10.0.0.1/8\n", "ADDRESS/PREFIX"),
        ],
    );
}

/// RFC 3021 and RFC 6164: a link of two has neither a network's nor a broadcast address.
#[test]
fn links_of_two_and_single_hosts_are_hosts() {
    taken(
        assigned,
        &[
            "192.168.1.0/31",
            "192.168.1.1/31",
            "192.168.1.255/31",
            "192.168.1.0/32",
            "192.168.1.255/32",
            "fd00::/127",
            "fd00::1/127",
            "fd00::/128",
            "192.168.1.10/24",
            "192.168.0.255/23",
            "192.168.1.0/23",
            "10.255.255.254/8",
            "203.0.113.6/29",
            "2001:db8::10/64",
            "fd00::ffff:ffff:ffff:ffff/64",
        ],
    );
}

#[test]
fn gateways() {
    let check = |text: &'static str, addresses: &'static [&'static str]| {
        let addresses: Vec<Assigned> = addresses.iter().map(|text| Assigned::parse(text).unwrap()).collect();
        gateway(text, &addresses)
    };
    for (text, addresses) in [
        ("192.168.1.1", ["192.168.1.10/24"].as_slice()),
        ("192.168.1.1", &["192.168.1.0/31"]),
        ("192.168.0.255", &["192.168.1.10/23"]),
        ("fd00::1", &["192.168.1.10/24", "fd00::10/64"]),
        ("fd00::", &["fd00::10/64"]),
        ("fe80::1", &["fd00::10/64"]),
        ("fe80::1", &["fd00::10/128"]),
        ("192.168.1.1", &[]),
    ] {
        assert_eq!(check(text, addresses), Ok(()), "{text} {addresses:?}");
    }
    for (text, addresses, wanted) in [
        ("192.168.2.1", ["192.168.1.10/24"].as_slice(), "outside the network"),
        ("192.168.1.1", &["192.168.1.10/32"], "outside the network"),
        ("192.168.1.3", &["192.168.1.0/31"], "outside the network"),
        ("192.168.1.10", &["192.168.1.10/24"], "own address"),
        ("192.168.1.10", &["192.168.1.10/32"], "own address"),
        ("fd00:0::10", &["fd00::10/64"], "own address"),
        ("192.168.1.0", &["192.168.1.10/24"], "the network itself"),
        ("192.168.1.255", &["192.168.1.10/24"], "broadcast"),
        ("fe80::1", &["192.168.1.10/24"], "the node has none"),
        ("fd00::1", &["192.168.1.10/24"], "outside the network"),
        ("224.0.0.1", &["192.168.1.10/24"], "multicast"),
        ("127.0.0.1", &[], "loopback"),
        ("0.0.0.0", &[], "every address"),
        ("169.254.1.1", &[], "link-local"),
        ("router", &[], "not an IP address"),
        ("192.168.1.1/24", &[], "not an IP address"),
    ] {
        let reason = check(text, addresses).expect_err(text);
        assert!(reason.contains(wanted), "{text} {addresses:?}: {reason}");
    }
}

#[test]
fn row_11_a_name_is_refused_by_a_rule_that_it_keeps() {
    let longest = "x".repeat(63);
    taken(label, &["a", "pi4-a", "4pi", "a1", "0x7g", &longest]);
    refused(
        label,
        &[
            ("", "empty"),
            ("123", "a number"),
            ("0", "a number"),
            ("0x7f", "a number"),
            (&"x".repeat(64), "longer than 63"),
            ("-a", "begins or ends"),
            ("a-", "begins or ends"),
            ("Pi4", "capital letters"),
            ("a.b", "other characters"),
            ("a_b", "other characters"),
            ("ä", "other characters"),
            ("a\n", "other characters"),
            ("localhost", "for itself"),
        ],
    );
}

#[test]
fn servers_that_are_asked_or_joined() {
    taken(host, &["192.168.1.1", "fd00::1", "ntp.example.org", "pool.ntp.org.", "pi4.local", "a_b.home"]);
    let long = format!("{}.org", "x".repeat(64));
    let longer = format!("{}org", "abc.".repeat(64));
    refused(
        host,
        &[
            ("999.1.1.1", "does not end in a number"),
            ("1.2.3", "does not end in a number"),
            ("0.0.0.0", "every address"),
            ("ff05::101", "multicast"),
            ("127.0.0.1", "loopback"),
            ("a..b", "neither"),
            ("", "neither"),
            ("a b", "neither"),
            (&long, "a part of more than 63"),
            (&longer, "longer than 253"),
        ],
    );
    taken(
        name_server,
        &["1.1.1.1", "fd00::1", "127.0.0.1", "::1", "9.9.9.9#dns.quad9.net", "fe80::1%eth0", "1.1.1.1:853"],
    );
    refused(
        name_server,
        &[
            ("127.0.0.53", "ask itself"),
            ("0.0.0.0", "every address"),
            ("255.255.255.255", "broadcast"),
            ("ff02::fb", "multicast"),
            ("fe80::1", "link-local"),
            ("::ffff:1.1.1.1", "as IPv4"),
            ("1.1.1", "not an IP address"),
            ("dns.example.org", "not an IP address"),
            ("192.168.1.1/24", "not an IP address"),
        ],
    );
    taken(
        join,
        &["10.0.0.1", "10.0.0.1:8301", "fd00::1", "[fd00::1]", "[fd00::1]:8301", "pi4.local", "pi4.local:8301"],
    );
    taken(join, &["provider=mdns service=consul domain=local"]);
    refused(
        join,
        &[
            ("10.0.0.1/24", "neither"),
            ("10.0.0.1:0", "port"),
            ("10.0.0.1:99999", "port"),
            ("10.0.0.1:+1", "port"),
            ("0.0.0.0", "every address"),
            ("127.0.0.1", "loopback"),
            ("[fd00::1", "neither"),
            ("[10.0.0.1]", "brackets"),
            ("[fe80::1]", "link-local"),
            ("10.0.0.300", "does not end in a number"),
            ("http://10.0.0.1", "port"),
        ],
    );
    taken(url, &["http://10.0.0.1:8200", "https://[fd00::1]:8200", "https://vault.home/x", "http://pi4.local:8200"]);
    refused(
        url,
        &[
            ("10.0.0.1:8200", "not a URL"),
            ("ftp://10.0.0.1", "not a URL"),
            ("http://", "neither"),
            ("http://fd00::1:8200", "without brackets"),
            ("http://fd00::1", "without brackets"),
            ("http://0.0.0.0:8200", "every address"),
            ("http://10.0.0.1:x", "port"),
            ("http://:8200", "neither"),
        ],
    );
}

#[test]
fn addresses_in_urls() {
    for (text, wanted) in [("10.0.0.1", "10.0.0.1"), ("fd00:0::1", "[fd00::1]")] {
        assert_eq!(in_url(text.parse().unwrap()), wanted);
    }
}

#[test]
fn networks_that_are_trusted() {
    for good in ["192.168.1.0/24", "10.0.0.0/8", "192.168.1.10", "192.168.1.10/32", "fd00:1::/64", "fd00::10"] {
        assert_eq!(prefix(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "/",
        "home",
        "192.168.1.0/",
        "192.168.1.0/33",
        "192.168.1.0/+8",
        "0.0.0.0/0",
        "0.0.0.0/8",
        "::/0",
        "8.0.0.0/7",
        "192.168.1.10/24",
        "fd00::1/64",
        "127.0.0.0/8",
        "224.0.0.0/8",
        "127.0.0.1",
        "192.168.1.0/24; accept",
    ] {
        assert!(prefix(bad).is_err(), "{bad}");
    }
}
