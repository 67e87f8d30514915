//! update-alternatives(1): link groups in automatic mode, where the offer of the highest priority has the generic name.
//!
//! ```text
//! /usr/bin/pager → /etc/alternatives/pager → /usr/bin/less
//! ```
//!
//! A slave link exists only when the chosen offer has a file for it. Each group is recorded in `/var/lib/dpkg/alternatives/NAME`:
//! mode, link, name and link of each slave in order of name, an empty line; then for each offer in order of path
//! its path, priority and slave paths (empty when it has none); an empty line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use super::{ConfigureError, Target, path};
use crate::scripts::Alternative;

/// A link group: what all offers of one name add up to.
#[derive(Default)]
struct Group<'a> {
    link: &'a str,
    /// Links of slaves by name.
    slaves: BTreeMap<&'a str, &'a str>,
    /// Offers by path.
    offers: BTreeMap<&'a str, Offer<'a>>,
}

struct Offer<'a> {
    priority: i32,
    /// Paths of slaves by name.
    slaves: BTreeMap<&'a str, &'a str>,
}

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let effects = target.effects.clone();
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    for entry in &effects.alternatives {
        let offer = &entry.what;
        // Without its file, as when a recipe leaves manual pages out, nothing is offered.
        if !exists(target, &offer.path)? {
            continue;
        }
        add(&mut groups, offer).map_err(|reason| {
            ConfigureError::invalid(
                format!("package {}: {reason}", entry.package),
                "two packages disagree about a link group; leave one of them out",
            )
        })?;
    }
    for (name, group) in &groups {
        install(target, name, group)?;
    }
    Ok(())
}

fn add<'a>(groups: &mut BTreeMap<&'a str, Group<'a>>, offer: &'a Alternative) -> Result<(), String> {
    for name in [&offer.name].into_iter().chain(offer.slaves.iter().map(|slave| &slave.name)) {
        if name.is_empty() || name.contains(['/', ' ', '\t', '\n']) {
            return Err(format!("`{name}` is not the name of an alternative"));
        }
    }
    let group = groups.entry(&offer.name).or_default();
    if !group.link.is_empty() && group.link != &*offer.link {
        return Err(format!("the alternative `{}` has the links {} and {}", offer.name, group.link, offer.link));
    }
    group.link = &offer.link;
    for slave in &offer.slaves {
        let link = group.slaves.entry(&slave.name).or_insert(&slave.link);
        if *link != &*slave.link {
            return Err(format!("the slave `{}` has the links {link} and {}", slave.name, slave.link));
        }
    }
    let slaves = offer.slaves.iter().map(|slave| (&*slave.name, &*slave.path)).collect();
    group.offers.insert(&offer.path, Offer { priority: offer.priority, slaves });
    Ok(())
}

fn install(target: &mut Target<'_>, name: &str, group: &Group<'_>) -> Result<(), ConfigureError> {
    // Of equals, the first in order of path.
    let best = group.offers.iter().rev().max_by_key(|(_, offer)| offer.priority);
    let Some((chosen, offer)) = best else { return Ok(()) };
    link(target, group.link, name, chosen)?;
    for (slave, at) in &group.slaves {
        if let Some(file) = offer.slaves.get(slave)
            && exists(target, file)?
        {
            link(target, at, slave, file)?;
        }
    }
    let record = path("var/lib/dpkg/alternatives")?.join(name);
    let record = record.map_err(|error| ConfigureError::invalid(error.to_string(), "shorten the name"))?;
    target.put(&record, record_of(group))
}

/// `at → /etc/alternatives/NAME → to`.
fn link(target: &mut Target<'_>, at: &str, name: &str, to: &str) -> Result<(), ConfigureError> {
    let choice = path(&format!("etc/alternatives/{name}"))?;
    if !target.provenance.is_from_recipe(&choice) {
        target.put_node(&choice, Node::symlink(to))?;
    }
    let at = real_place(target, &path(at)?);
    // A file that a package ships under the generic name stays, as update-alternatives warns.
    match target.root.get(&at).map(|node| &node.kind) {
        None => target.put_node(&at, Node::symlink(&format!("/etc/alternatives/{name}"))),
        Some(Kind::Symlink(_)) if !target.provenance.is_from_recipe(&at) => {
            target.put_node(&at, Node::symlink(&format!("/etc/alternatives/{name}")))
        }
        Some(_) => Ok(()),
    }
}

/// `at` with links among its parents followed, as far as they exist.
fn real_place(target: &Target<'_>, at: &TreePath) -> TreePath {
    let real = at.parent().and_then(|parent| target.root.resolve(&parent));
    real.and_then(|parent| parent.join(at.name()).ok()).unwrap_or_else(|| at.clone())
}

fn exists(target: &Target<'_>, file: &str) -> Result<bool, ConfigureError> {
    let at = real_place(target, &path(file)?);
    Ok(target.root.contains(&at))
}

fn record_of(group: &Group<'_>) -> String {
    let mut out = format!("auto\n{}\n", group.link);
    for (name, link) in &group.slaves {
        let _ = writeln!(out, "{name}\n{link}");
    }
    out.push('\n');
    for (file, offer) in &group.offers {
        let _ = writeln!(out, "{file}\n{}", offer.priority);
        for name in group.slaves.keys() {
            let _ = writeln!(out, "{}", offer.slaves.get(name).copied().unwrap_or_default());
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripts::Slave;
    use crate::scripts::closure::{Bench, Scratch, oracle};

    fn offer(path: &str, priority: i32, slaves: &[(&str, &str, &str)]) -> Alternative {
        let slave = |(name, link, path): &(&str, &str, &str)| Slave {
            name: (*name).into(),
            link: (*link).into(),
            path: (*path).into(),
        };
        Alternative {
            name: "pager".into(),
            link: "/usr/bin/pager".into(),
            path: path.into(),
            priority,
            slaves: slaves.iter().map(slave).collect(),
        }
    }

    #[test]
    fn records_are_as_dpkg_keeps_them() {
        let offers =
            [offer("/usr/bin/less", 77, &[("pager.1", "/m/pager.1", "/m/less.1")]), offer("/bin/more", 50, &[])];
        let mut groups = BTreeMap::new();
        offers.iter().for_each(|offer| add(&mut groups, offer).unwrap());
        assert_eq!(
            record_of(&groups["pager"]),
            "auto\n/usr/bin/pager\npager.1\n/m/pager.1\n\n/bin/more\n50\n\n/usr/bin/less\n77\n/m/less.1\n\n"
        );
    }

    #[test]
    fn offers_that_disagree_are_refused() {
        let mut other = offer("/usr/bin/x", 1, &[]);
        other.link = "/bin/pager".into();
        let first = offer("/usr/bin/less", 77, &[]);
        let mut groups = BTreeMap::new();
        add(&mut groups, &first).unwrap();
        assert!(add(&mut groups, &other).is_err());
        let mut named = offer("/usr/bin/y", 1, &[]);
        named.name = "a/b".into();
        assert!(add(&mut groups, &named).is_err());
    }

    #[test]
    fn links_and_records_agree_with_update_alternatives() {
        let wanted = ["base-files", "less", "util-linux", "nano", "mawk", "tar", "debianutils", "wireless-regdb"];
        let Some(bench) = Bench::of(&wanted) else { return };
        let mut target = bench.target();
        let scratch = Scratch::new("alternatives");
        scratch.unpack(&target, |at| {
            ["bin", "sbin", "lib"].contains(&at)
                || ["usr/bin", "usr/sbin", "usr/lib/firmware", "usr/share/man", "etc/alternatives"]
                    .iter()
                    .any(|dir| at.starts_with(dir))
        });
        scratch.write("var/lib/dpkg/alternatives/.keep", "");
        scratch.write("etc/alternatives/.keep", "");
        let root = scratch.path();
        for entry in &bench.scripted().effects.alternatives {
            let offer = &entry.what;
            let priority = offer.priority.to_string();
            let mut words =
                vec!["--quiet", "--root", root, "--install", &offer.link, &offer.name, &offer.path, &priority];
            for slave in &offer.slaves {
                words.extend(["--slave", &*slave.link, &*slave.name, &*slave.path]);
            }
            if !oracle("update-alternatives", &words) {
                return;
            }
        }
        target.effects = bench.scripted().effects;
        run(&mut target).unwrap();
        let ours = |dir: &str| -> BTreeMap<String, String> {
            let dir = path(dir).unwrap();
            let text = |node: &Node<crate::rootfs::Content>| match &node.kind {
                Kind::Symlink(to) => Some(to.to_string()),
                Kind::File(content) => Some(String::from_utf8(target.contents.bytes(content).unwrap()).unwrap()),
                _ => None,
            };
            target.root.below(&dir).filter_map(|(at, node)| Some((at.as_str().to_owned(), text(node)?))).collect()
        };
        for dir in ["etc/alternatives", "var/lib/dpkg/alternatives"] {
            let mut theirs = scratch.listing(dir);
            theirs.retain(|at, _| !at.ends_with(".keep"));
            let mut ours = ours(dir);
            ours.retain(|at, _| !at.ends_with("README"));
            theirs.retain(|at, _| !at.ends_with("README"));
            assert_eq!(ours, theirs);
        }
        for at in ["usr/bin/pager", "usr/bin/awk", "usr/bin/nawk", "usr/sbin/rmt", "usr/lib/firmware/regulatory.db"] {
            let link = target.root.get(&path(at).unwrap()).map(|node| node.kind.clone());
            let Some(Kind::Symlink(to)) = link else { panic!("{at}: {link:?}") };
            assert_eq!(scratch.listing(at.rsplit_once('/').unwrap().0)[at], *to, "{at}");
        }
    }
}
