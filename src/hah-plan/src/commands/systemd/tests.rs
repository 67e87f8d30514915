use std::collections::BTreeMap;

use crate::commands::playground::{Entry, Playground, disk_listing, on_disk, real, text};

const INIT: &str = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: old\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\n";

const TREE: &[(&str, Entry<'static>)] = &[
    ("lib", Entry::Link("usr/lib")),
    ("usr/bin/systemctl", Entry::File(0o755, "")),
    ("usr/bin/systemd-escape", Entry::File(0o755, "")),
    ("etc/systemd/system", Entry::Dir(0o755)),
    ("etc/systemd/user", Entry::Dir(0o755)),
    ("etc/init.d/old", Entry::File(0o755, INIT)),
    ("etc/init.d/both", Entry::File(0o755, INIT)),
    ("etc/init.d/bare", Entry::File(0o755, "#!/bin/sh\n")),
    ("usr/lib/systemd/system/multi-user.target", Entry::File(0o644, "[Unit]\nDescription=x\n")),
    ("usr/lib/systemd/system/plain.service", Entry::File(0o644, "[Install]\nWantedBy=multi-user.target\n")),
    ("usr/lib/systemd/system/both.service", Entry::File(0o644, "[Install]\nWantedBy=multi-user.target\n")),
    (
        "usr/lib/systemd/system/rich.service",
        Entry::File(
            0o644,
            "[Install]\nWantedBy=multi-user.target x.target\nRequiredBy=r.target\nAlias=other.service\nAlso=rich.socket\n",
        ),
    ),
    ("usr/lib/systemd/system/rich.socket", Entry::File(0o644, "[Install]\nWantedBy=sockets.target\n")),
    ("usr/lib/systemd/system/static.service", Entry::File(0o644, "[Service]\nExecStart=/bin/true\n")),
    ("usr/lib/systemd/system/also.service", Entry::File(0o644, "[Install]\nAlso=rich.socket\n")),
    ("usr/lib/systemd/system/aliased.service", Entry::Link("plain.service")),
    ("usr/lib/systemd/system/off.service", Entry::File(0o644, "[Install]\nWantedBy=multi-user.target\n")),
    (
        "usr/lib/systemd/system/tty@.service",
        Entry::File(0o644, "[Install]\nWantedBy=multi-user.target\nDefaultInstance=tty1\n"),
    ),
    ("usr/lib/systemd/user/mine.service", Entry::File(0o644, "[Install]\nWantedBy=default.target\n")),
    ("usr/lib/systemd/system-preset/90.preset", Entry::File(0o644, "disable off.service\n")),
];

/// The links of versions that write `/lib` for `/usr/lib`.
fn plain(listing: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let listing = listing.into_iter().filter(|(at, _)| !at.ends_with("/.dbenv"));
    listing.map(|(at, to)| (at, to.replace("l /lib/systemd", "l /usr/lib/systemd"))).collect()
}

/// Runs each line with ours and with the real tool; the same must be left, and the same status.
fn check_sessions(name: &str, sessions: &[&[&str]], call: fn(&str, &[&str]) -> Vec<String>) {
    for session in sessions {
        let scratch = on_disk(name, TREE);
        let mut ours = Playground::of(TREE);
        for line in *session {
            let words: Vec<&str> = line.split(' ').collect();
            let theirs = call(scratch.path(), &words);
            let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
            let env = [("DPKG_ROOT", scratch.path()), ("DPKG_MAINTSCRIPT_PACKAGE", "test")];
            let Some(theirs) = real(&theirs, if words[0] == "systemctl" { &[] } else { &env }) else { return };
            let (status, stdout, stderr) = text(&theirs);
            let found = ours.said(&words);
            assert_eq!(found.0, status, "{line}: {stderr}{}", found.2);
            assert_eq!(found.1, stdout, "{line}");
            assert_eq!(plain(ours.listing()), plain(disk_listing(&scratch)), "{line}");
        }
    }
}

#[test]
fn units_are_enabled_as_systemctl_does() {
    check_sessions(
        "systemctl",
        &[
            &[
                "systemctl enable plain",
                "systemctl is-enabled plain.service",
                "systemctl is-enabled aliased.service",
                "systemctl enable rich.service",
                "systemctl is-enabled rich.service rich.socket other.service",
                "systemctl disable rich.service",
                "systemctl is-enabled rich.socket",
                "systemctl disable plain.service",
                "systemctl enable none.service",
                "systemctl enable static.service",
                "systemctl is-enabled static.service also.service",
                "systemctl enable also.service",
                "systemctl --quiet is-enabled off.service",
            ],
            &[
                "systemctl mask plain.service",
                "systemctl is-enabled plain.service",
                "systemctl enable plain.service",
                "systemctl unmask plain.service",
                "systemctl unmask plain.service",
                "systemctl mask none.service",
                "systemctl is-enabled none.service",
                "systemctl enable plain.service",
                "systemctl mask plain.service",
                "systemctl disable plain.service",
            ],
            &[
                "systemctl enable tty@.service",
                "systemctl is-enabled tty@.service tty@tty1.service tty@tty9.service",
                "systemctl enable tty@tty9.service",
                "systemctl disable tty@.service",
                "systemctl --global enable mine.service",
                "systemctl --global is-enabled mine.service",
                "systemctl preset plain.service off.service",
                "systemctl enable off.service",
                "systemctl --preset-mode=enable-only preset off.service",
                "systemctl preset off.service",
                "systemctl reenable plain.service",
                "systemctl add-wants x.target static.service",
                "systemctl set-default multi-user.target",
                "systemctl get-default",
            ],
        ],
        |root, words| {
            let mut call = vec!["systemctl".to_owned(), format!("--root={root}")];
            call.extend(words[1..].iter().map(|word| (*word).to_owned()));
            call
        },
    );
}

#[test]
fn state_is_kept_as_deb_systemd_helper_keeps_it() {
    check_sessions(
        "deb-systemd-helper",
        &[
            &[
                "deb-systemd-helper unmask plain.service",
                "deb-systemd-helper --quiet was-enabled plain.service",
                "deb-systemd-helper debian-installed plain.service",
                "deb-systemd-helper enable plain.service",
                "deb-systemd-helper debian-installed plain.service",
                "deb-systemd-helper --quiet was-enabled plain.service",
                "deb-systemd-helper is-enabled plain.service",
                "deb-systemd-helper enable plain.service",
                "deb-systemd-helper disable plain.service",
                "deb-systemd-helper was-enabled plain.service",
                "deb-systemd-helper enable plain.service",
                "deb-systemd-helper purge plain.service",
            ],
            &[
                "deb-systemd-helper update-state rich.service",
                "deb-systemd-helper was-enabled rich.service",
                "deb-systemd-helper purge rich.service",
                "deb-systemd-helper enable off.service",
                "deb-systemd-helper is-enabled off.service",
                "deb-systemd-helper --user enable mine.service",
                "deb-systemd-helper --user was-enabled mine.service",
                "deb-systemd-helper enable none.service",
                "deb-systemd-helper update-state none.service",
                "deb-systemd-helper frobnicate plain.service",
                "deb-systemd-helper",
            ],
            &[
                "deb-systemd-helper mask plain.service",
                "deb-systemd-helper mask plain.service",
                "deb-systemd-helper unmask plain.service",
                "deb-systemd-helper unmask plain.service",
                "deb-systemd-helper enable tty@.service",
                "deb-systemd-helper was-enabled tty@.service",
                "deb-systemd-helper reenable plain.service",
            ],
        ],
        |_, words| words.iter().map(|word| (*word).to_owned()).collect(),
    );
}

#[test]
fn links_of_init_scripts_are_as_update_rc_d_makes_them() {
    check_sessions(
        "update-rc.d",
        &[
            &[
                "update-rc.d old defaults",
                "update-rc.d old defaults",
                "update-rc.d -f old remove",
                "update-rc.d old enable",
                "update-rc.d none defaults",
                "update-rc.d none enable",
                "update-rc.d none remove",
                "update-rc.d old",
                "update-rc.d -x old remove",
                "update-rc.d old frobnicate",
            ],
            &["update-rc.d both defaults-disabled", "update-rc.d both defaults", "update-rc.d bare defaults"],
        ],
        |_, words| words.iter().map(|word| (*word).to_owned()).collect(),
    );
}

/// The real one looks for the script's header outside DPKG_ROOT, so this is its manual page and text, not a comparison.
#[test]
fn init_scripts_are_turned_off_and_on() {
    let mut ours = Playground::of(TREE);
    ours.run(&["update-rc.d", "both", "defaults"]);
    assert_eq!(ours.run(&["update-rc.d", "both", "disable"]).status, 0);
    assert_eq!(ours.link("etc/rc2.d/K01both").as_deref(), Some("../init.d/both"));
    assert_eq!(ours.link("etc/rc2.d/S01both"), None);
    assert_eq!(ours.link("etc/rc0.d/K01both").as_deref(), Some("../init.d/both"));
    let (status, _, said) = ours.said(&["update-rc.d", "both", "enable", "2", "6"]);
    assert_eq!((status, said.as_str()), (0, "update-rc.d: warning: enable action will have no effect on runlevel 6\n"));
    assert_eq!(ours.link("etc/rc2.d/S01both").as_deref(), Some("../init.d/both"));
    assert_eq!(ours.link("etc/rc3.d/K01both").as_deref(), Some("../init.d/both"));
    // The unit of the same name follows.
    assert!(ours.link("etc/systemd/system/multi-user.target.wants/both.service").is_some());
    let (status, _, said) = ours.said(&["update-rc.d", "bare", "enable"]);
    assert_eq!(
        (status, said.as_str()),
        (1, "update-rc.d: error: bare Default-Start contains no runlevels, aborting.\n")
    );
    let (status, _, said) = ours.said(&["update-rc.d", "old", "disable"]);
    assert_eq!((status, said.as_str()), (1, "update-rc.d: error: no runlevel symlinks to modify, aborting!\n"));
}

#[test]
fn strings_are_escaped_as_systemd_escape_does() {
    let mut ours = Playground::of(TREE);
    let table: &[&[&str]] = &[
        &["a b/c.d"],
        &[".hidden", "é", "a-b", "x:y_z"],
        &["--path", "/a//b/"],
        &["-p", "/"],
        &["-u", "a-b\\x2dc"],
        &["-u", "-p", "a-b"],
        &["-u", "-p", "-"],
        &["--suffix=mount", "-p", "/mnt/x"],
        &["--template=foo@.service", "a b"],
        &["--", "-x"],
    ];
    for words in table {
        let words = [&["systemd-escape"][..], words].concat();
        let Some(theirs) = real(&words, &[]) else { return };
        let (status, stdout, _) = text(&theirs);
        let found = ours.said(&words);
        assert_eq!((found.0, found.1), (status, stdout), "{words:?}");
    }
}

#[test]
fn nothing_is_started() {
    let mut ours = Playground::of(TREE);
    for (words, status) in [
        (&["systemctl", "daemon-reload"][..], 0),
        (&["systemctl", "--system", "try-restart", "x.service"], 0),
        (&["systemctl", "is-active", "--quiet", "x.service"], 0),
        (&["systemctl", "is-system-running"], 1),
        (&["deb-systemd-invoke", "--user", "daemon-reload"], 0),
        (&["invoke-rc.d", "--skip-systemd-native", "old", "start"], 0),
        (&["invoke-rc.d", "plain", "restart"], 0),
        (&["invoke-rc.d", "none", "start"], 100),
        (&["invoke-rc.d", "old"], 103),
        (&["service", "old", "status"], 3),
        (&["service", "none", "start"], 1),
        (&["systemctl", "is-enabled", "none"], 4),
        (&["start-stop-daemon", "--start", "--quiet", "--exec", "/usr/sbin/x", "--", "-K"], 0),
        (&["start-stop-daemon", "--stop", "--oknodo", "--exec", "/usr/sbin/x"], 0),
        (&["start-stop-daemon", "-K", "-x", "/usr/sbin/x"], 1),
        (&["start-stop-daemon", "--status", "--pidfile", "/run/x.pid"], 3),
    ] {
        assert_eq!(ours.run(words).status, status, "{words:?}");
    }
    assert_eq!(ours.said(&["systemctl", "start", "x"]).2, "Running in chroot, ignoring command 'start'\n");
    for words in [
        &["systemctl", "frobnicate"][..],
        &["systemctl", "--root=/x", "enable", "plain"],
        &["systemctl", "--user", "enable", "plain"],
    ] {
        assert!(ours.try_run(words, "").is_err(), "{words:?}");
    }
}

#[test]
fn a_script_without_a_unit_is_enabled_by_its_links() {
    let mut ours = Playground::of(TREE);
    assert_eq!(ours.said(&["systemctl", "is-enabled", "old"]), (1, "disabled\n".into(), String::new()));
    assert_eq!(ours.run(&["systemctl", "enable", "old.service"]).status, 0);
    assert_eq!(ours.link("etc/rc2.d/S01old").as_deref(), Some("../init.d/old"));
    assert_eq!(ours.said(&["systemctl", "is-enabled", "old"]).1, "enabled\n");
}
