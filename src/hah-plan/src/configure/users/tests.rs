use std::collections::BTreeMap;
use std::fmt::Write as _;

use hah_format::path::TreePath;

use super::*;
use crate::configure::{Pass, run as run_pass};
use crate::scripts::closure::{Bench, Scratch, oracle};
use crate::system::{GroupSpec, Password};

const PASS: Pass = Pass { name: "users", replaces: "", run };

const PACKAGES: [&str; 10] = [
    "base-files",
    "base-passwd",
    "dbus-system-bus-common",
    "openssh-server",
    "openssh-client",
    "prometheus",
    "prometheus-node-exporter",
    "systemd",
    "systemd-resolved",
    "udev",
];

fn text(target: &Target<'_>, at: &str) -> String {
    target.read_text(&path(at).unwrap()).unwrap().unwrap()
}

fn by_name(text: &str) -> BTreeMap<String, Vec<String>> {
    text.lines()
        .map(|line| {
            let mut fields = line.split(':').map(str::to_owned);
            (fields.next().unwrap(), fields.collect())
        })
        .collect()
}

fn deploy() -> UserSpec {
    UserSpec {
        name: "deploy".to_owned(),
        uid: 1000,
        group: "deploy".to_owned(),
        groups: vec!["sudo".to_owned()],
        home: TreePath::parse("home/deploy").unwrap(),
        home_kind: Home::Created,
        shell: "/bin/bash".to_owned(),
        comment: "Deployer".to_owned(),
        password: Password::Locked,
        recipe: "test".to_owned(),
    }
}

#[test]
fn accounts_agree_with_systemd_sysusers() {
    let Some(bench) = Bench::of(&PACKAGES) else { return };
    let mut target = bench.target();
    run_pass(&PASS, &mut target).unwrap();
    let passwd = by_name(&text(&target, "etc/passwd"));
    let groups = by_name(&text(&target, "etc/group"));

    // The oracle starts from the masters, as after base-passwd's postinst and pwconv.
    let scratch = Scratch::new("sysusers");
    let master = |name: &str| text(&target, &format!("usr/share/base-passwd/{name}.master")).replace(":*:", ":x:");
    scratch.write("etc/passwd", master("passwd"));
    scratch.write("etc/group", master("group"));
    for (at, _) in target.root.entries(&path("usr/lib/sysusers.d").unwrap()) {
        // systemd 252 does not know `u!`; its ids are told, since it would count downwards.
        let mut lines = String::new();
        for line in text(&target, at.as_str()).lines() {
            let fields: Vec<&str> = line.splitn(4, char::is_whitespace).collect();
            let id = |name: &str| passwd.get(name).map(|fields| fields[1].clone());
            match (fields.as_slice(), fields.get(1).and_then(|name| id(name))) {
                (["u!" | "u", name, free, rest], Some(id)) if free.starts_with('-') => {
                    let _ = writeln!(lines, "u {name} {id}{} {rest}", &free[1..]);
                }
                (["g", name, ..], _) if line.ends_with('-') => {
                    let _ = writeln!(lines, "g {name} {}", groups[*name][1]);
                }
                _ => {
                    let _ = writeln!(lines, "{line}");
                }
            }
        }
        scratch.write(at.as_str(), lines);
    }
    if !oracle("systemd-sysusers", &[&format!("--root={}", scratch.path())]) {
        return;
    }
    let theirs = by_name(&scratch.read("etc/passwd"));
    for (name, fields) in &theirs {
        assert_eq!(&passwd[name], fields, "{name}");
    }
    for (name, fields) in by_name(&scratch.read("etc/group")) {
        assert_eq!(groups[&name], fields, "{name}");
    }
    let shadow = by_name(&text(&target, "etc/shadow"));
    for (name, fields) in by_name(&scratch.read("etc/shadow")) {
        assert_eq!(shadow[&name][0], fields[0], "{name}");
    }
}

#[test]
fn the_files_are_whole_and_ids_are_stable() {
    let Some(mut bench) = Bench::of(&PACKAGES) else { return };
    bench.system.users.push(deploy());
    bench.system.groups.push(GroupSpec { name: "lab".to_owned(), gid: 1001, recipe: "test".to_owned() });
    let mut target = bench.scripted();
    run_pass(&PASS, &mut target).unwrap();
    let passwd = text(&target, "etc/passwd");
    for line in [
        "root:x:0:0:root:/root:/bin/bash",
        "prometheus:x:110:110:Prometheus daemon:/var/lib/prometheus:/usr/sbin/nologin",
        "sshd:x:989:65534:sshd user:/run/sshd:/usr/sbin/nologin",
        "systemd-network:x:998:998:systemd Network Management:/:/usr/sbin/nologin",
        "deploy:x:1000:1000:Deployer:/home/deploy:/bin/bash",
    ] {
        assert!(passwd.lines().any(|found| found == line), "{line} is not in\n{passwd}");
    }
    let shadow = text(&target, "etc/shadow");
    for line in [
        "root:*:20454:0:99999:7:::",
        "systemd-network:!*:20454:::::1:",
        "messagebus:!*:20454::::::",
        "prometheus:!:20454::::::",
        "deploy:!*:20454:0:99999:7:::",
    ] {
        assert!(shadow.lines().any(|found| found == line), "{line} is not in\n{shadow}");
    }
    let group = text(&target, "etc/group");
    assert!(group.contains("sudo:x:27:deploy\n") && group.contains("lab:x:1001:\n") && group.contains("_ssh:x:101:\n"));
    let node = target.root.get(&path("etc/shadow").unwrap()).unwrap();
    assert_eq!((node.meta.mode, node.meta.group.to_string()), (0o640, "shadow".to_owned()));
    let bashrc = target.root.get(&path("home/deploy").unwrap()).unwrap();
    assert_eq!((bashrc.meta.mode, bashrc.meta.user.to_string()), (0o700, "deploy".to_owned()));
    let ids = ids_of(&passwd, &group);
    assert_eq!((ids.users["deploy"], ids.groups["shadow"]), (1000, 42));
}
