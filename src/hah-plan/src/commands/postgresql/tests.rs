use crate::commands::playground::{Entry, Playground};

#[test]
fn there_is_no_cluster_in_an_image() {
    let mut ours = Playground::of(&[("etc/postgresql", Entry::Dir(0o755))]);
    assert_eq!(ours.said(&["pg_lsclusters", "-h"]), (0, String::new(), String::new()));
    assert!(ours.said(&["pg_lsclusters"]).1.starts_with("Ver Cluster"));
    let mut ours = Playground::of(&[("etc/postgresql/17/main/postgresql.conf", Entry::File(0o644, ""))]);
    assert!(ours.try_run(&["pg_lsclusters", "-h"], "").is_err());
}

#[test]
fn settings_are_read_as_postgresql_reads_them() {
    let text = "# create_main_cluster = true\n a = off # no\nB 5432\nc='it''s # so' # x\nd=\na = yes\n";
    let mut ours = Playground::of(&[("etc/c.conf", Entry::File(0o644, text))]);
    let mut show = |options: &[&str], key: &str| {
        let words = [&["pg_conftool", "/etc/c.conf", "show"], options, &[key]].concat();
        let (status, said, _) = ours.said(&words);
        (status, said.trim_end().to_owned())
    };
    assert_eq!(show(&["-bs"], "create_main_cluster"), (1, String::new()));
    assert_eq!(show(&["-s"], "a"), (0, "yes".to_owned()));
    assert_eq!(show(&["-b", "-s"], "a"), (0, "on".to_owned()));
    assert_eq!(show(&[], "b"), (0, "b = 5432".to_owned()));
    assert_eq!(show(&["-s"], "c"), (0, "it's # so".to_owned()));
    assert!(ours.try_run(&["pg_conftool", "/etc/c.conf", "set", "a", "b"], "").is_err());
    assert!(ours.try_run(&["pg_conftool", "17", "main", "show", "a"], "").is_err());
}

#[test]
fn a_dictionary_is_not_left_out_in_silence() {
    let mut ours =
        Playground::of(&[("usr/share/hunspell/x.aff", Entry::Link("y.aff")), ("var/cache", Entry::Dir(0o755))]);
    assert_eq!(ours.said(&["pg_updatedicts"]).0, 0);
    assert!(ours.world.tree.get(&"var/cache/postgresql/dicts".parse().unwrap()).is_some());
    let mut ours = Playground::of(&[("usr/share/hunspell/y.aff", Entry::File(0o644, "SET UTF-8\n"))]);
    let refusal = ours.try_run(&["pg_updatedicts"], "").unwrap_err();
    assert!(refusal.what.contains("/usr/share/hunspell/y.aff") && refusal.program.is_some(), "{refusal}");
}

#[test]
fn variables_of_the_environment_file_are_read() {
    let text = "LANG=\"de_DE.UTF-8\"\nexport LC_ALL=C\nX=${HOME}\n";
    let mut ours = Playground::of(&[("etc/environment", Entry::File(0o644, text))]);
    assert_eq!(ours.said(&["pam_getenv", "-l", "LANG"]), (0, "de_DE.UTF-8\n".to_owned(), String::new()));
    assert_eq!(ours.said(&["pam_getenv", "LC_ALL"]).1, "C\n");
    assert_eq!(ours.said(&["pam_getenv", "LC_TIME"]).0, 1);
    assert!(ours.try_run(&["pam_getenv", "X"], "").is_err());
}
