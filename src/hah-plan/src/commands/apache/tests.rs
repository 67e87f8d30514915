use std::collections::BTreeSet;

use crate::commands::playground::{Entry, Playground};

const TREE: &[(&str, Entry<'static>)] = &[
    ("etc/apache2/mods-enabled", Entry::Dir(0o755)),
    ("etc/apache2/sites-enabled", Entry::Dir(0o755)),
    ("etc/apache2/conf-enabled", Entry::Dir(0o755)),
    ("etc/apache2/mods-available/alone.load", Entry::File(0o644, "LoadModule alone x.so\n")),
    ("etc/apache2/mods-available/conf.load", Entry::File(0o644, "LoadModule\n")),
    ("etc/apache2/mods-available/conf.conf", Entry::File(0o644, "x\n")),
    ("etc/apache2/mods-available/needs.load", Entry::File(0o644, "# Depends: alone conf\nLoadModule\n")),
    ("etc/apache2/mods-available/hates.load", Entry::File(0o644, "# Conflicts: alone\nLoad\n")),
    ("etc/apache2/mods-available/cgi.load", Entry::File(0o644, "x\n")),
    ("etc/apache2/mods-available/cgid.load", Entry::File(0o644, "x\n")),
    ("etc/apache2/mods-available/mpm_event.load", Entry::File(0o644, "# Conflicts: mpm_prefork\nx\n")),
    ("etc/apache2/mods-available/mpm_prefork.load", Entry::File(0o644, "x\n")),
    ("etc/apache2/mods-available/ssl.load", Entry::File(0o644, "# Depends: alone\nx\n")),
    ("etc/apache2/sites-available/000-default.conf", Entry::File(0o644, "x\n")),
    ("etc/apache2/conf-available/charset.conf", Entry::File(0o644, "# Depends: alone\n")),
];

/// What the a2enmod of apache2 2.4.71 does one after the other: command, status, both outputs, and what comes and goes.
/// Of `cgi` it asks apache2ctl, which says of mpm_event what is said here.
#[rustfmt::skip]
const SESSION: &[(&str, u8, &str, &str, &[&str])] = &[
    ("a2enmod alone", 0, "Enabling module alone.\nTo activate the new configuration, you need to run:\n  service apache2 restart\n", "", &["+etc/apache2/mods-enabled/alone.load -> ../mods-available/alone.load", "+var/lib/apache2/module/enabled_by_admin/alone"]),
    ("a2enmod alone", 0, "Module alone already enabled\n", "", &[]),
    ("a2enmod -m -q needs", 0, "Enabling module conf.\nEnabling module needs.\n", "", &["+etc/apache2/mods-enabled/conf.conf -> ../mods-available/conf.conf", "+etc/apache2/mods-enabled/conf.load -> ../mods-available/conf.load", "+etc/apache2/mods-enabled/needs.load -> ../mods-available/needs.load", "+var/lib/apache2/module/enabled_by_maint/conf", "+var/lib/apache2/module/enabled_by_maint/needs"]),
    ("a2enmod none", 1, "", "ERROR: Module none does not exist!\n", &[]),
    ("a2dismod alone", 1, "", "ERROR: The following modules depend on alone and need to be disabled first: needs\n", &[]),
    ("a2dismod -f alone", 0, "Considering dependency needs for alone:\nModule needs disabled.\nModule alone disabled.\nTo activate the new configuration, you need to run:\n  service apache2 restart\n", "", &["+var/lib/apache2/module/disabled_by_admin/alone", "+var/lib/apache2/module/disabled_by_admin/needs", "-etc/apache2/mods-enabled/alone.load -> ../mods-available/alone.load", "-etc/apache2/mods-enabled/needs.load -> ../mods-available/needs.load", "-var/lib/apache2/module/enabled_by_admin/alone", "-var/lib/apache2/module/enabled_by_maint/needs"]),
    ("a2dismod needs", 0, "Module needs already disabled\n", "", &[]),
    ("a2enmod mpm_event", 0, "Considering conflict mpm_prefork for mpm_event:\nEnabling module mpm_event.\nTo activate the new configuration, you need to run:\n  service apache2 restart\n", "", &["+etc/apache2/mods-enabled/mpm_event.load -> ../mods-available/mpm_event.load", "+var/lib/apache2/module/enabled_by_admin/mpm_event"]),
    ("a2enmod cgi", 0, "Your MPM seems to be threaded. Selecting cgid instead of cgi.\nEnabling module cgid.\nTo activate the new configuration, you need to run:\n  service apache2 restart\n", "", &["+etc/apache2/mods-enabled/cgid.load -> ../mods-available/cgid.load", "+var/lib/apache2/module/enabled_by_admin/cgid"]),
    ("a2enmod hates ssl", 0, "Considering conflict alone for hates:\nEnabling module hates.\nConsidering dependency alone for ssl:\nEnabling module alone.\nEnabling module ssl.\nSee /usr/share/doc/apache2/README.Debian.gz on how to configure SSL and create self-signed certificates.\nTo activate the new configuration, you need to run:\n  service apache2 restart\n", "", &["+etc/apache2/mods-enabled/alone.load -> ../mods-available/alone.load", "+etc/apache2/mods-enabled/hates.load -> ../mods-available/hates.load", "+etc/apache2/mods-enabled/ssl.load -> ../mods-available/ssl.load", "+var/lib/apache2/module/enabled_by_admin/alone", "+var/lib/apache2/module/enabled_by_admin/hates", "+var/lib/apache2/module/enabled_by_admin/ssl", "-var/lib/apache2/module/disabled_by_admin/alone"]),
    ("a2ensite 000-default.conf", 0, "Enabling site 000-default.\nTo activate the new configuration, you need to run:\n  service apache2 reload\n", "", &["+etc/apache2/sites-enabled/000-default.conf -> ../sites-available/000-default.conf", "+var/lib/apache2/site/enabled_by_admin/000-default"]),
    ("a2ensite -q 000-default", 0, "", "", &[]),
    ("a2dissite 000*", 0, "Site 000-default disabled.\nTo activate the new configuration, you need to run:\n  service apache2 reload\n", "", &["+var/lib/apache2/site/disabled_by_admin/000-default", "-etc/apache2/sites-enabled/000-default.conf -> ../sites-available/000-default.conf", "-var/lib/apache2/site/enabled_by_admin/000-default"]),
    ("a2enconf charset", 0, "Checking dependency alone for charset:\nEnabling conf charset.\nTo activate the new configuration, you need to run:\n  service apache2 reload\n", "", &["+etc/apache2/conf-enabled/charset.conf -> ../conf-available/charset.conf", "+var/lib/apache2/conf/enabled_by_admin/charset"]),
    ("a2disconf -p charset", 0, "Conf charset disabled.\nTo activate the new configuration, you need to run:\n  service apache2 reload\n", "", &["-etc/apache2/conf-enabled/charset.conf -> ../conf-available/charset.conf", "-var/lib/apache2/conf/enabled_by_admin/charset"]),
    ("a2dismod -mp conf", 0, "Module conf disabled.\nTo activate the new configuration, you need to run:\n  service apache2 restart\n", "", &["-etc/apache2/mods-enabled/conf.conf -> ../mods-available/conf.conf", "-etc/apache2/mods-enabled/conf.load -> ../mods-available/conf.load", "-var/lib/apache2/module/enabled_by_maint/conf"]),
    ("a2enmod hates", 1, "Considering conflict alone for hates:\n", "ERROR: Module alone is enabled - cannot proceed due to conflicts. It needs to be disabled first!\n", &[]),
    ("a2dismod none", 1, "", "ERROR: Module none does not exist!\n", &[]),
    ("a2dismod alone.load ssl", 1, "Module ssl disabled.\nTo activate the new configuration, you need to run:\n  service apache2 restart\n", "ERROR: The following modules depend on alone and need to be disabled first: ssl\n", &["+var/lib/apache2/module/disabled_by_admin/ssl", "-etc/apache2/mods-enabled/ssl.load -> ../mods-available/ssl.load", "-var/lib/apache2/module/enabled_by_admin/ssl"]),
    ("a2enmod mpm*", 0, "Considering conflict mpm_prefork for mpm_event:\nModule mpm_event already enabled\nEnabling module mpm_prefork.\nTo activate the new configuration, you need to run:\n  service apache2 restart\n", "", &["+etc/apache2/mods-enabled/mpm_prefork.load -> ../mods-available/mpm_prefork.load", "+var/lib/apache2/module/enabled_by_admin/mpm_prefork"]),
];

/// Links with their targets, and marks.
fn state(ours: &mut Playground) -> BTreeSet<String> {
    let listing = ours.listing().into_iter();
    listing
        .filter_map(|(at, shown)| match shown.strip_prefix("l ") {
            Some(to) => Some(format!("{at} -> {to}")),
            None => (at.starts_with("var/lib/apache2") && shown.starts_with('f')).then_some(at),
        })
        .collect()
}

#[test]
fn modules_sites_and_configurations_are_as_a2enmod_leaves_them() {
    let mut ours = Playground::of(TREE);
    let mut before = state(&mut ours);
    for (line, status, stdout, stderr, changes) in SESSION {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(ours.said(&words), (*status, (*stdout).to_owned(), (*stderr).to_owned()), "{line}");
        let after = state(&mut ours);
        let found: Vec<String> = after
            .difference(&before)
            .map(|line| format!("+{line}"))
            .chain(before.difference(&after).map(|line| format!("-{line}")))
            .collect();
        assert_eq!(found, *changes, "{line}");
        before = after;
    }
}

#[test]
fn a2query_tells_who_enabled_or_disabled() {
    let mut ours = Playground::of(TREE);
    ours.run(&["a2enmod", "-m", "alone"]);
    ours.run(&["a2enmod", "conf", "mpm_event"]);
    ours.run(&["a2dismod", "conf"]);
    for (words, status, stdout) in [
        (&["a2query", "-m", "alone"][..], 0, "alone (enabled by maintainer script)\n"),
        (&["a2query", "-m", "conf"], 32, ""),
        (&["a2query", "-m", "ssl"], 1, ""),
        (&["a2query", "-q", "-m", "mpm_event"], 0, ""),
        (&["a2query", "-M"], 0, "event\n"),
        (&["a2query", "-s", "000-default"], 1, ""),
    ] {
        let found = ours.said(words);
        assert_eq!((found.0, found.1.as_str()), (status, stdout), "{words:?}");
    }
}

#[test]
fn what_would_ask_somebody_is_refused() {
    let mut ours = Playground::of(TREE);
    for words in [&["a2enmod"][..], &["a2enmod", "-x", "alone"], &["a2query", "-v"], &["a2enmod", "[a]*"]] {
        assert!(ours.try_run(words, "").is_err(), "{words:?}");
    }
}
