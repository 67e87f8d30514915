use std::collections::BTreeMap;

use super::*;
use crate::configure::{Pass, run as run_pass};
use crate::scripts::closure::{Bench, Scratch, oracle};
use crate::scripts::{Sourced, UnitEffect};
use crate::system::UnitSpec;

const PASS: Pass = Pass { name: "units", replaces: "", run };

const PACKAGES: [&str; 14] = [
    "base-passwd",
    "dbus-system-bus-common",
    "base-files",
    "dbus",
    "dpkg",
    "e2fsprogs",
    "openssh-client",
    "openssh-server",
    "prometheus-node-exporter",
    "systemd",
    "systemd-resolved",
    "systemd-timesyncd",
    "util-linux",
    "wpasupplicant",
];

/// Links below `/etc/systemd` in the tree.
fn links(target: &Target<'_>) -> BTreeMap<String, String> {
    let dir = path("etc/systemd").unwrap();
    let links = target.root.below(&dir).filter_map(|(at, node)| match &node.kind {
        Kind::Symlink(to) => Some((at.as_str().to_owned(), to.to_string())),
        _ => None,
    });
    links.collect()
}

fn unit(name: &str, state: UnitState) -> UnitSpec {
    UnitSpec { name: name.to_owned(), state, recipe: "test".to_owned() }
}

fn effect((manager, unit, action): (Manager, &str, UnitAction)) -> Sourced<UnitEffect> {
    Sourced { what: UnitEffect { manager, unit: unit.into(), action }, package: "some".parse().unwrap() }
}

#[test]
fn links_agree_with_systemctl() {
    let Some(mut bench) = Bench::of(&PACKAGES) else { return };
    bench.system.units = vec![
        unit("systemd-networkd.service", UnitState::Enabled),
        unit("serial-getty@ttyS1.service", UnitState::Enabled),
        unit("e2scrub_all.timer", UnitState::Disabled),
        unit("systemd-networkd-wait-online.service", UnitState::Disabled),
        unit("systemd-timesyncd.service", UnitState::Disabled),
        unit("wpa_supplicant.service", UnitState::Masked),
    ];
    let before = bench.target();
    let scratch = Scratch::new("systemctl");
    scratch
        .unpack(&before, |at| at.contains("systemd/system") || at.contains("-preset/") || at.contains("systemd/user"));
    let mut target = before;
    let reviewed = [
        (Manager::System, "ssh.service", UnitAction::Enable),
        (Manager::System, "getty@.service", UnitAction::Enable),
        (Manager::System, "e2scrub_all.timer", UnitAction::Enable),
        (Manager::System, "prometheus-node-exporter.service", UnitAction::Enable),
        (Manager::System, "systemd-resolved.service", UnitAction::Enable),
        (Manager::System, "systemd-timesyncd.service", UnitAction::Enable),
        (Manager::System, "wpa_supplicant.service", UnitAction::Enable),
        (Manager::User, "ssh-agent.socket", UnitAction::Enable),
        (Manager::System, "fstrim.timer", UnitAction::Disable),
        (Manager::System, "remote-fs.target", UnitAction::Mask),
    ];
    target.effects.units = reviewed.into_iter().map(effect).collect();
    run_pass(&PASS, &mut target).unwrap();

    let root = format!("--root={}", scratch.path());
    let call = |words: &[&str]| oracle("systemctl", &[&[root.as_str()], words].concat());
    for (manager, unit, action) in reviewed {
        let scope = if manager == Manager::User { "--global" } else { "--system" };
        let verb = match action {
            UnitAction::Enable => "enable",
            UnitAction::Disable => "disable",
            UnitAction::Mask => "mask",
        };
        if !call(&[scope, verb, unit]) {
            return;
        }
    }
    for (state, verb) in [(UnitState::Enabled, "enable"), (UnitState::Disabled, "disable"), (UnitState::Masked, "mask")]
    {
        for unit in bench.system.units.iter().filter(|unit| unit.state == state) {
            call(&[verb, &unit.name]);
        }
    }
    // Debian 12's systemctl writes /lib for /usr/lib.
    let theirs: BTreeMap<String, String> = scratch
        .listing("etc/systemd")
        .into_iter()
        .filter(|(at, _)| !at.ends_with(".conf"))
        .map(|(at, to)| (at, if to.starts_with("/lib/") { format!("/usr{to}") } else { to }))
        .collect();
    let ours = links(&target);
    assert_eq!(ours, theirs);
    assert!(ours.contains_key("etc/systemd/system/getty.target.wants/getty@tty1.service"));
}

#[test]
fn recipes_enable_only_what_there_is() {
    let Some(mut bench) = Bench::of(&["base-files", "base-passwd", "systemd"]) else { return };
    for (name, reason) in [
        ("nothing.service", "no package or recipe has this unit"),
        ("systemd-logind.service", "[Install] section"),
        ("x", "not the name"),
    ] {
        bench.system.units = vec![unit(name, UnitState::Enabled)];
        let error = run_pass(&PASS, &mut bench.target()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
