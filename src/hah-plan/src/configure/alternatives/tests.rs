use std::collections::BTreeMap;

use hah_format::tree::{Kind, Node};

use super::*;
use crate::configure::path;
use crate::scripts::closure::{Bench, Scratch, oracle};
use crate::scripts::{Alternative, Slave};

/// What scripts have offered, read back from the records of `/var/lib/dpkg/alternatives`.
fn offers_of(target: &Target<'_>) -> Vec<Alternative> {
    let records = path("var/lib/dpkg/alternatives").unwrap();
    let mut offers = Vec::new();
    for (at, _) in target.root.entries(&records) {
        let text = target.read_text(at).unwrap().unwrap();
        let mut lines = text.lines().skip(1);
        let link = lines.next().unwrap();
        let mut slaves = Vec::new();
        while let Some(name) = lines.next().filter(|name| !name.is_empty()) {
            slaves.push((name, lines.next().unwrap()));
        }
        while let Some(offer) = lines.next().filter(|offer| !offer.is_empty()) {
            let priority = lines.next().unwrap().parse().unwrap();
            let slaves = slaves.iter().filter_map(|(name, link)| {
                let path = lines.next().unwrap();
                let slave = Slave { name: (*name).into(), link: (*link).into(), path: path.into() };
                (!path.is_empty()).then_some(slave)
            });
            offers.push(Alternative {
                name: at.name().into(),
                link: link.into(),
                path: offer.into(),
                priority,
                slaves: slaves.collect(),
            });
        }
    }
    offers
}

#[test]
fn links_and_records_agree_with_update_alternatives() {
    let wanted =
        ["base-files", "base-passwd", "less", "util-linux", "nano", "mawk", "tar", "debianutils", "wireless-regdb"];
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
    let scripted = bench.scripted();
    let offers = offers_of(&scripted);
    assert!(offers.len() > 4, "{offers:?}");
    for offer in &offers {
        let priority = offer.priority.to_string();
        let mut words = vec!["--quiet", "--root", root, "--install", &offer.link, &offer.name, &offer.path, &priority];
        for slave in &offer.slaves {
            words.extend(["--slave", &*slave.link, &*slave.name, &*slave.path]);
        }
        if !oracle("update-alternatives", &words) {
            return;
        }
    }
    target = scripted;
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
