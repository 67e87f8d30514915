use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Addresses by blanks; those of the default routes by `4` and `6` before them: `4:10.0.0.1 10.0.1.1`.
fn seen(text: &str) -> Seen {
    let mut seen = Seen::default();
    for word in text.split_whitespace() {
        let (family, text) = match word.split_once('=') {
            Some((family, text)) => (family, text),
            None => ("", word),
        };
        let found = address(text);
        match family {
            "4" => seen.v4 = Some(found),
            "6" => seen.v6 = Some(found),
            _ => {}
        }
        seen.addresses.push(found);
    }
    seen
}

/// What a node has after each of these seconds, with what is there from then on.
#[track_caller]
fn check(fixed: &[&str], course: &[(u64, &str)], wanted: &[(u64, &str)]) {
    let fixed: Vec<IpAddr> = fixed.iter().map(|text| address(text)).collect();
    let mut decider = Decider::new(None);
    let mut taken = Vec::new();
    for second in 0..300 {
        let (_, now) = course.iter().rev().find(|(since, _)| *since <= second).unwrap();
        if let Wish::Take(chosen) = decider.look(Duration::from_secs(second), &seen(now), &fixed) {
            let is_other = decider.current().map(|(_, address)| address) != Some(chosen.1);
            decider.take(chosen);
            if is_other {
                taken.push((second, chosen.1.to_string()));
            }
        }
    }
    let taken: Vec<(u64, &str)> = taken.iter().map(|(second, address)| (*second, address.as_str())).collect();
    assert_eq!(taken, wanted);
}

#[test]
fn row_10_a_node_whose_only_address_is_public() {
    check(&[], &[(0, "4=198.51.100.7")], &[(0, "198.51.100.7")]);
}

#[test]
fn row_10_a_node_with_a_global_ipv6_address_only() {
    check(&[], &[(0, "6=2001:db8::7")], &[(20, "2001:db8::7")]);
}

#[test]
fn row_10_of_two_private_addresses_the_one_of_the_default_route() {
    check(&[], &[(0, "10.0.0.7 4=192.168.1.7")], &[(0, "192.168.1.7")]);
}

#[test]
fn row_10_a_node_without_an_address_waits() {
    check(&[], &[(0, ""), (200, "4=192.168.1.7")], &[(200, "192.168.1.7")]);
    let problem = |fixed: &[IpAddr]| Decider::new(None).problem(&seen(""), fixed).unwrap();
    assert!(problem(&[]).starts_with("waiting for an address: no interface has one"));
    assert!(problem(&[address("10.0.0.7")]).starts_with("waiting for 10.0.0.7, which the identity gives"));
}

/// Neighbours: a network without a router, and one whose router announces IPv6 before its DHCP answers.
#[test]
fn a_network_without_a_router() {
    check(&[], &[(0, "10.0.0.7 fd00::7")], &[(40, "10.0.0.7")]);
    check(&[], &[(0, "10.0.0.7"), (5, "4=10.0.0.7")], &[(5, "10.0.0.7")]);
    check(&[], &[(0, "fd00::7")], &[(40, "fd00::7")]);
}

#[test]
fn ipv6_that_comes_first() {
    check(&[], &[(0, "6=2001:db8::7"), (3, "6=2001:db8::7 4=10.0.0.7")], &[(3, "10.0.0.7")]);
    // Every node of a cluster ends with the same kind, however late DHCP was on some of them.
    let course = [(0, "6=2001:db8::7"), (100, "6=2001:db8::7 4=10.0.0.7")];
    check(&[], &course, &[(20, "2001:db8::7"), (160, "10.0.0.7")]);
}

#[test]
fn an_identity_decides_and_its_default_route_among_its_own() {
    check(&["10.0.0.7"], &[(0, "4=192.168.1.7"), (9, "4=192.168.1.7 10.0.0.7")], &[(9, "10.0.0.7")]);
    check(&["10.0.0.7", "192.168.1.7"], &[(0, "10.0.0.7 4=192.168.1.7")], &[(0, "192.168.1.7")]);
    check(&["fd00::7", "10.0.0.7"], &[(0, "fd00::7 10.0.0.7 6=2001:db8::7")], &[(0, "fd00::7")]);
}

#[test]
fn an_address_in_use_is_left_when_it_is_gone_for_good() {
    let lease = [(0, "4=10.0.0.7"), (100, ""), (110, "4=10.0.0.7")];
    check(&[], &lease, &[(0, "10.0.0.7")]);
    let renumbered = [(0, "4=10.0.0.7"), (100, ""), (110, "4=192.168.1.9")];
    check(&[], &renumbered, &[(0, "10.0.0.7"), (125, "192.168.1.9")]);
    let pulled = [(0, "4=10.0.0.7 10.0.1.7"), (100, "10.0.0.7 4=10.0.1.7"), (130, "4=10.0.0.7 10.0.1.7")];
    check(&[], &pulled, &[(0, "10.0.0.7")]);
    let gone = Decider::new(Some((Origin::DefaultRoute, address("10.0.0.7"))));
    assert!(gone.problem(&seen(""), &[]).unwrap().starts_with("this node has lost its address 10.0.0.7"));
    assert_eq!(gone.problem(&seen("4=10.0.0.7"), &[]), None);
}

/// The agent was restarted: nothing changes for the programs.
#[test]
fn what_was_decided_before_stays() {
    let chosen = (Origin::DefaultRouteV6, address("2001:db8::7"));
    let mut decider = Decider::new(Some(chosen));
    assert_eq!(decider.look(Duration::ZERO, &seen("6=2001:db8::7"), &[]), Wish::Keep);
    assert_eq!(decider.current(), Some(chosen));
}
