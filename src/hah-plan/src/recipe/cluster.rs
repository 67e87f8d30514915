//! `cluster.toml`: from TOML to a [`Cluster`], everything that is wrong reported at once.

use std::collections::BTreeMap;

use hah_node::host::{self, Assigned};
use hah_node::identity::Policy;

use super::decisions::Closed;
use super::document::{self, Fields, Item, Value};
use super::problem::{Located, Place, Problem, Report};
use super::schema::CLUSTER;
use crate::cluster::{Cluster, Link, Member, Role, Secrets, Security, WifiNetwork};

const SECURITIES: [(&str, Security); 2] = [("closed", Security::Closed), ("open", Security::Open)];
const ROLES: [(&str, Role); 3] = [("none", Role::None), ("server", Role::Server), ("client", Role::Client)];
/// Raft with more voters is slower and no safer.
const SERVERS_MAX: usize = 9;

/// Reads the text of a file.
pub(super) fn read(
    text: &std::sync::Arc<super::problem::Text>,
    report: &mut Report,
) -> Option<(Cluster, Option<Closed>)> {
    let mut fields = document::parse(text, &CLUSTER, report)?;
    let whole = fields.place.clone();
    let name = fields.text("name").map(|name| name.value).unwrap_or_default();
    let datacenter = fields.text("datacenter").map_or_else(|| name.clone(), |name| name.value);
    let timezone = fields.text("timezone").map(|zone| zone.value);
    let authorized_keys = fields.table("ssh").texts("authorized-keys").into_iter().map(|key| key.value).collect();
    let wifi = fields.has("wifi").then(|| wifi(fields.table("wifi")));
    let security = fields.take("security");
    let security_place = security.as_ref().map(|item| item.place.clone());
    let security = security.and_then(|item| match &item.value {
        Value::Text(word) => SECURITIES.iter().find(|(name, _)| name == word).map(|(_, security)| *security),
        _ => None,
    });
    let closed = security_place.filter(|_| security == Some(Security::Closed)).map(|place| Closed { place });
    let mut network = fields.table("network");
    let gateway = network.text("gateway");
    let dns = network.texts("dns").into_iter().map(|server| server.value).collect();
    let trusted = network.texts("trusted").into_iter().map(|prefix| prefix.value).collect();
    let port = |item: Item| match item.value {
        Value::Integer(number) => u16::try_from(number).ok(),
        _ => None,
    };
    let open_ports = network.list("open-ports").into_iter().filter_map(port).collect();
    let mut consul = fields.table("consul");
    let acl_place = consul.take("acl");
    let acl = acl_place.as_ref().map(|item| &item.value);
    let acl = match acl {
        Some(Value::Text(word)) if word == "allow" => Some(Policy::Allow),
        Some(Value::Text(word)) if word == "deny" => Some(Policy::Deny),
        _ => None,
    };
    let tls_place = fields.take("tls");
    let tls = tls_place.as_ref().is_some_and(|item| matches!(item.value, Value::Boolean(true)));
    if let Some(closed) = &closed {
        let said = [
            ("consul.acl", "\"deny\"", acl_place.filter(|_| acl != Some(Policy::Deny))),
            ("tls", "true", tls_place.filter(|_| !tls)),
        ];
        for (key, wanted, item) in said {
            let Some(item) = item else { continue };
            let reason = format!("`{key}` is not {wanted}, and the cluster is closed");
            let problem = invalid(reason, "drop the line: `security` decides it");
            report.at_both(&item.place, problem, (&closed.place, "the cluster is closed here"));
        }
    }
    let (acl, tls) = if closed.is_some() { (Some(Policy::Deny), true) } else { (acl, tls) };
    let recipients = fields.table("secrets").texts("recipients").into_iter().map(|key| key.value).collect();
    let mut places =
        Places { whole, gateway: gateway.as_ref().map(|found| found.place.clone()), nodes: BTreeMap::new() };
    let gateway = gateway.map(|gateway| gateway.value);
    let mut nodes = BTreeMap::new();
    for (name, item) in fields.named("nodes") {
        let (member, address) = member(item);
        let address = address.unwrap_or_else(|| name.place.clone());
        places.nodes.insert(name.value.clone(), NodePlaces { name: name.place, address });
        nodes.insert(name.value, member);
    }
    let cluster = Cluster {
        name,
        datacenter,
        timezone,
        authorized_keys,
        security,
        wifi,
        gateway,
        dns,
        trusted,
        open_ports,
        acl,
        tls,
        recipients,
        nodes,
    };
    if report.is_empty() {
        check(&cluster, &places, report);
    }
    if let Some(closed) = closed.as_ref().filter(|_| report.is_empty()) {
        check_closed(&cluster, &places, closed, report);
    }
    Some((cluster, closed))
}

fn wifi(mut fields: Fields) -> WifiNetwork {
    WifiNetwork {
        ssid: fields.text("ssid").map(|ssid| ssid.value).unwrap_or_default(),
        country: fields.text("country").map(|country| country.value).unwrap_or_default(),
        hidden: fields.is_true("hidden"),
    }
}

/// A node, and where its address stands.
fn member(item: Item) -> (Member, Option<Place>) {
    let mut fields = item.fields();
    let image = fields.text("image").map(|image| image.value).unwrap_or_default();
    let address = fields.text("address");
    let link = fields.choice("link", &[("ethernet", Link::Ethernet), ("wlan", Link::Wlan)]).unwrap_or(Link::Ethernet);
    let mut role = |key: &str| fields.choice(key, &ROLES).unwrap_or(Role::None);
    let (consul, nomad, vault) = (role("consul"), role("nomad"), role("vault"));
    let text = |(name, item): (Located<String>, Item)| match item.value {
        Value::Text(value) => Some((name.value, value)),
        _ => None,
    };
    let meta = fields.named("meta").into_iter().filter_map(text).collect();
    let place = address.as_ref().map(|address| address.place.clone());
    (Member { image, address: address.map(|address| address.value), link, consul, nomad, vault, meta }, place)
}

/// Where the parts stand that depend on each other.
struct Places {
    whole: Place,
    gateway: Option<Place>,
    nodes: BTreeMap<String, NodePlaces>,
}

/// Where a node's parts stand.
struct NodePlaces {
    name: Place,
    /// Its address, or else its name.
    address: Place,
}

fn invalid(reason: String, hint: &'static str) -> Problem {
    Problem::Invalid { reason, hint }
}

/// What the parts of a fleet must not say together.
fn check(cluster: &Cluster, places: &Places, report: &mut Report) {
    addresses(cluster, places, report);
    for (name, member) in &cluster.nodes {
        let Some(NodePlaces { name: name_place, address: address_place }) = places.nodes.get(name) else { continue };
        if member.link == Link::Wlan && cluster.wifi.is_none() {
            let reason = format!("{name} is connected by `wlan`, and the cluster names no network");
            report.at(name_place, invalid(reason, "add a table `[wifi]` with `ssid` and `country`"));
        }
        // The node's own rules, with the field that they name.
        if let Some(flaw) = cluster.identity(name, &Secrets::default()).and_then(|identity| identity.flaw())
            && !flaw.field.ends_with(".gateway")
        {
            let place = if flaw.field.starts_with("network.") { address_place } else { name_place };
            let reason = format!("{name} would have an identity that is refused: {flaw}");
            report.at(place, invalid(reason, "see docs/identity.md"));
        }
    }
    type Count = (&'static str, fn(&Member) -> Role);
    let programs: [Count; 3] =
        [("consul", |member| member.consul), ("nomad", |member| member.nomad), ("vault", |member| member.vault)];
    for (program, part) in programs {
        let count = |role: Role| cluster.nodes.values().filter(|member| part(member) == role).count();
        let (servers, clients) = (count(Role::Server), count(Role::Client));
        if servers == 0 && clients > 0 {
            let reason = format!("{clients} nodes are clients of {program} and none is a server");
            report.at(&places.whole, invalid(reason, "let one or three nodes be servers"));
        } else if servers > SERVERS_MAX || (servers > 0 && servers.is_multiple_of(2)) {
            let reason = format!("{servers} nodes are servers of {program}, expected 1, 3, 5, 7 or 9");
            report.at(&places.whole, invalid(reason, "an even number tolerates no more failures than one less"));
        }
    }
}

/// What a closed fleet needs besides.
fn check_closed(cluster: &Cluster, places: &Places, closed: &Closed, report: &mut Report) {
    let has_nomad = cluster.nodes.values().any(|member| member.nomad == Role::Server);
    for (name, member) in &cluster.nodes {
        let Some(NodePlaces { name: place, .. }) = places.nodes.get(name) else { continue };
        let mut refuse = |reason: String, hint| {
            report.at_both(place, invalid(reason, hint), (&closed.place, "the cluster is closed here"));
        };
        if member.address.is_none() && cluster.trusted.is_empty() {
            refuse(
                format!("the other nodes of the closed cluster would not let {name} in, which has no address"),
                "give it an `address`, or name its network in `trusted` of `[network]`",
            );
        }
        if member.nomad != Role::None && member.consul == Role::None {
            refuse(
                format!("{name} has Nomad and no Consul, in which Nomad's servers find each other"),
                "let it be a client of consul",
            );
        }
        if has_nomad && member.consul == Role::Server && member.nomad == Role::None {
            refuse(
                format!(
                    "{name} is a server of Consul and has no Nomad, whose keys Consul's servers ask their own node for"
                ),
                "let it be a client of nomad",
            );
        }
    }
}

/// Addresses that two have, and a gateway that a node cannot reach.
fn addresses(cluster: &Cluster, places: &Places, report: &mut Report) {
    // By what they mean: an IPv6 address has many spellings.
    let mut owners = BTreeMap::new();
    for (name, member) in &cluster.nodes {
        let assigned = member.address.as_deref().and_then(|address| Assigned::parse(address).ok());
        let (Some(assigned), Some(place)) = (assigned, places.nodes.get(name)) else { continue };
        if let Some(other) = owners.insert(assigned.address, name)
            && let Some(other_place) = places.nodes.get(other)
        {
            let reason = format!("{name} and {other} have the same address {}", assigned.address);
            report.at_both(
                &place.address,
                invalid(reason, "give one another"),
                (&other_place.address, "the other node's"),
            );
        }
        if let (Some(gateway), Some(gateway_place)) = (&cluster.gateway, &places.gateway)
            && let Err(reason) = host::gateway(gateway, &[assigned])
        {
            let problem = invalid(
                format!("`{gateway}` as the gateway of {name} {reason}"),
                "the gateway is the router's address in the network of the nodes",
            );
            report.at_both(gateway_place, problem, (&place.address, "the node's address"));
        }
    }
}

#[cfg(test)]
mod tests;
