//! Which address, and since when: a function of what was seen and the time.
//!
//! The best [`Origin`] wins; among addresses of the same one, the one in use stays. IPv4 comes before IPv6, since every
//! node of a cluster must choose alike, and a router that gives out both announces IPv6 first: so IPv6 is taken only
//! when no IPv4 came for a while, and given up when one comes later. An address in use is left when it is gone, or when
//! a better one has been there for a while: a DHCP server that restarts, or a cable that is moved, changes nothing.

use std::net::IpAddr;
use std::time::Duration;

use hah_node::address::Origin;

use super::kernel::Seen;

/// How long IPv6 waits for IPv4 when a node starts.
const V6_WAIT: Duration = Duration::from_secs(20);
/// How long an address waits for a default route when a node starts.
const ROUTE_WAIT: Duration = Duration::from_secs(40);
/// How long an address must have been gone before another takes its place.
const GONE: Duration = Duration::from_secs(15);
/// How long a better address must have been there.
const BETTER: Duration = Duration::from_secs(60);

/// An address and why it is the one.
pub(super) type Chosen = (Origin, IpAddr);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing.
    Keep,
    /// This is the node's address from now on.
    Take(Chosen),
}

/// The decision, and what it waits for.
#[derive(Debug)]
pub(super) struct Decider {
    current: Option<Chosen>,
    /// What would be taken, and since when.
    pending: Option<(Chosen, Duration)>,
}

impl Decider {
    /// Begins with what was decided before, if anything.
    pub(super) fn new(current: Option<Chosen>) -> Self {
        Self { current, pending: None }
    }

    /// The node's address.
    pub(super) fn current(&self) -> Option<Chosen> {
        self.current
    }

    /// The address was taken.
    pub(super) fn take(&mut self, chosen: Chosen) {
        (self.current, self.pending) = (Some(chosen), None);
    }

    /// Looks at what there is at `now`, the time since the start.
    pub(super) fn look(&mut self, now: Duration, seen: &Seen, fixed: &[IpAddr]) -> Wish {
        let found = candidates(seen, fixed);
        let Some(&best) = found.iter().min() else {
            self.pending = None;
            return Wish::Keep;
        };
        let mine = self.current.and_then(|(_, address)| found.iter().find(|(_, other)| *other == address));
        // Among equals the one in use stays; the first found otherwise.
        let best = match mine {
            Some(mine) if mine.0 == best.0 => *mine,
            _ => found.iter().find(|(origin, _)| *origin == best.0).copied().unwrap_or(best),
        };
        if Some(best.1) == self.current.map(|(_, address)| address) {
            self.pending = None;
            return if Some(best) == self.current { Wish::Keep } else { Wish::Take(best) };
        }
        let since = match self.pending {
            Some((chosen, since)) if chosen == best => since,
            _ => now,
        };
        self.pending = Some((best, since));
        let wait = match (self.current, mine) {
            (None, _) => match best.0 {
                Origin::IdentityWithRoute | Origin::Identity | Origin::DefaultRoute => Duration::ZERO,
                Origin::DefaultRouteV6 => V6_WAIT,
                Origin::NoRoute | Origin::NoRouteV6 => ROUTE_WAIT,
            },
            (Some(_), None) => GONE,
            (Some(_), Some(_)) => BETTER,
        };
        if now.saturating_sub(since) >= wait { Wish::Take(best) } else { Wish::Keep }
    }

    /// What a person should know: a node without an address, or one whose address is gone.
    pub(super) fn problem(&self, seen: &Seen, fixed: &[IpAddr]) -> Option<String> {
        let found = candidates(seen, fixed);
        let list = |addresses: &[IpAddr]| addresses.iter().map(IpAddr::to_string).collect::<Vec<String>>().join(", ");
        match self.current {
            Some((_, address)) if found.iter().any(|(_, other)| *other == address) => None,
            Some((_, address)) if found.is_empty() => {
                Some(format!("this node has lost its address {address}, and has no other: is the cable in, and does DHCP answer?"))
            }
            Some(_) => None,
            None if !fixed.is_empty() && found.is_empty() => Some(format!(
                "waiting for {}, which the identity gives to this node and no interface has: is the cable in?",
                list(fixed)
            )),
            None if found.is_empty() => Some(
                "waiting for an address: no interface has one that others can reach; is the cable in, and does DHCP answer?"
                    .to_owned(),
            ),
            // It is about to be taken.
            None => None,
        }
    }
}

/// Everything that could be the node's address, in the order of the interfaces. An identity with addresses leaves no
/// other choice: certificates and the others' join lists name them.
fn candidates(seen: &Seen, fixed: &[IpAddr]) -> Vec<Chosen> {
    let routed = [seen.v4, seen.v6];
    if !fixed.is_empty() {
        let here = fixed.iter().filter(|address| seen.addresses.contains(address));
        return here
            .map(|address| match routed.contains(&Some(*address)) {
                true => (Origin::IdentityWithRoute, *address),
                false => (Origin::Identity, *address),
            })
            .collect();
    }
    let of_route = |address: IpAddr| match address {
        IpAddr::V4(_) => Origin::DefaultRoute,
        IpAddr::V6(_) => Origin::DefaultRouteV6,
    };
    let of_none = |address: IpAddr| match address {
        IpAddr::V4(_) => Origin::NoRoute,
        IpAddr::V6(_) => Origin::NoRouteV6,
    };
    let others = seen.addresses.iter().copied().filter(|address| !routed.contains(&Some(*address)));
    let chosen = routed.into_iter().flatten().map(|address| (of_route(address), address));
    chosen.chain(others.map(|address| (of_none(address), address))).collect()
}

#[cfg(test)]
mod tests;
