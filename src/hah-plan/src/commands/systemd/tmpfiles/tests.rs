use crate::commands::playground::{Entry, Playground, disk_listing, on_disk, real};

const TREE: &[(&str, Entry<'static>)] = &[
    ("usr/lib/tmpfiles.d/x.conf", Entry::File(0o644, X)),
    ("usr/bin/systemd-tmpfiles", Entry::File(0o755, "")),
    ("usr/share/factory/etc/issue", Entry::File(0o644, "factory\n")),
    ("usr/share/skel/a/b", Entry::File(0o600, "b")),
    ("var/lib/there", Entry::Dir(0o755)),
    ("var/lib/there/file", Entry::File(0o644, "old")),
    ("var/lib/many/one.txt", Entry::File(0o644, "1")),
    ("var/lib/many/two.txt", Entry::File(0o644, "2")),
    ("var/cache", Entry::Dir(0o755)),
    ("etc/kept", Entry::File(0o644, "kept")),
    ("etc/link", Entry::Link("elsewhere")),
    ("etc/dangling", Entry::Link("nothing")),
];

const X: &str = "# comment
d /var/lib/x 0750 - -
d /var/lib/x/y
d /var/lib/there 0700 - - -
D /var/cache/x - - - 10d
f /etc/made 0640 - - - one\\ntwo %%\\x41
f /etc/kept 0600 - - - new
f+ /var/lib/there/file - - - - fresh
L /etc/link - - - - /new
L /etc/l1 - - - - ../target
L+ /etc/dangling - - - - /replaced
C /etc/issue
C /var/lib/copied - - - - /usr/share/skel
d \"/var/lib/with space\" 0711
d /run/x 0755
d! /var/lib/boot
d /var/lib/%b
d /var/lib/spec 2775
z /var/lib/many/*.txt 0600
e /var/lib/many 0711
w /var/lib/many/two.txt - - - - written
w /var/lib/none - - - - written
r /etc/kept
";

#[test]
fn lines_agree_with_systemd_tmpfiles() {
    let scratch = on_disk("tmpfiles", TREE);
    let root = format!("--root={}", scratch.path());
    let Some(theirs) = real(&["systemd-tmpfiles", &root, "--create", "x.conf"], &[]) else { return };
    let mut ours = Playground::of(TREE);
    let found = ours.said(&["systemd-tmpfiles", "--create", "x.conf"]);
    let mut wanted = disk_listing(&scratch);
    // /run is not an image's; the boot id is the host's.
    wanted.retain(|at, _| !at.starts_with("run") && (!at.starts_with("var/lib/") || at.len() <= 36));
    assert_eq!(ours.listing(), wanted, "{}", String::from_utf8_lossy(&theirs.stderr));
    assert_eq!(found.0, theirs.status, "{}{}", found.2, String::from_utf8_lossy(&theirs.stderr));
}

#[test]
fn links_of_later_versions_need_their_target_and_specifiers_have_one_answer() {
    let mut ours = Playground::of(&[("etc/there", Entry::File(0o644, ""))]);
    let text = "L? /etc/a - - - - /missing\nL? /etc/b - - - - /etc/there\nd %S/x\nd /var/run/x\nd %t/y\n";
    assert_eq!(ours.try_run(&["systemd-tmpfiles", "--create", "-"], text).unwrap().status, 0);
    let listing = ours.listing();
    let made: Vec<&str> = listing.keys().map(String::as_str).collect();
    assert_eq!(made, ["etc", "etc/b", "etc/there", "var", "var/lib", "var/lib/x"]);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let mut ours = Playground::of(&[
        ("etc/tmpfiles.d/x.conf", Entry::File(0o644, "d /var/lib/x\nd relative\nd /var/lib/y 9\n% /x\n")),
        ("usr/lib/tmpfiles.d/x.conf", Entry::File(0o644, "d /var/lib/hidden\n")),
    ]);
    let (status, _, said) = ours.said(&["systemd-tmpfiles", "--create", "x.conf"]);
    assert_eq!(status, 65);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.contains("x.conf:2: Path 'relative' not absolute."), "{said}");
    assert!(ours.listing().contains_key("var/lib/x") && !ours.listing().contains_key("var/lib/hidden"));
    assert_eq!(ours.said(&["systemd-tmpfiles", "--create", "none.conf"]).0, 1);
    assert!(ours.try_run(&["systemd-tmpfiles", "--remove"], "").is_err());
}
