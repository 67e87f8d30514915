#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "pam-auth-update itself is the oracle")]

use std::path::Path;
use std::process::Command;

use super::*;

const PROFILES: &[(&str, &str)] = &[
    (
        "unix",
        "Name: Unix authentication\nDefault: yes\nPriority: 256\nAuth-Type: Primary\n\
         Auth:\n\t[success=end default=ignore]\tpam_unix.so nullok try_first_pass\n\
         Auth-Initial:\n\t[success=end default=ignore]\tpam_unix.so nullok\n\
         Account-Type: Primary\nAccount:\n\t[success=end new_authtok_reqd=done default=ignore]\tpam_unix.so\n\
         Account-Initial:\n\t[success=end new_authtok_reqd=done default=ignore]\tpam_unix.so\n\
         Session-Type: Additional\nSession:\n\trequired\tpam_unix.so\nSession-Initial:\n\trequired\tpam_unix.so\n\
         Password-Type: Primary\nPassword:\n\t[success=end default=ignore]\tpam_unix.so obscure use_authtok yescrypt\n\
         Password-Initial:\n\t[success=end default=ignore]\tpam_unix.so obscure yescrypt\n",
    ),
    (
        "ldap",
        "Name: LDAP\nDefault: yes\nPriority: 128\nConflicts: winbind\nAuth-Type: Primary\n\
         Auth:\n\t[success=end default=ignore]\tpam_ldap.so use_first_pass\n\trequired  pam_cap.so   a b\n\
         Account-Type: Additional\nAccount:\n\t[success=end default=ignore] pam_ldap.so\n\trequired pam_last.so\n",
    ),
    ("winbind", "Name: Winbind\nDefault: yes\nPriority: 64\nAuth-Type: Primary\nAuth:\n\trequired pam_winbind.so\n"),
    (
        "mkhomedir",
        "Name: Home\nDefault: no\nPriority: 0\nSession-Type: Additional\nSession:\n\toptional pam_mkhomedir.so\n",
    ),
    (
        "systemd",
        "Name: Register\nDefault: yes\nPriority: 0\nSession-Interactive-Only: yes\nSession-Type: Additional\n\
         Session:\n\toptional\tpam_systemd.so\n",
    ),
    (
        "same-prio",
        "Name: Same\nDefault: yes\nPriority: 0\nSession-Type: Additional\nSession-Final:\n\toptional pam_x.so\n",
    ),
    ("old", "Name: Old\nDefault: yes\nPriority: 9\nAuth-Type: Primary\nAuth:\n\trequired pam_tally.so\n"),
];

/// Stands in for debconf: answers with what was set, and remembers nothing else.
const DEBCONF: &str = r"
package Debconf::Client::ConfModule;
use base 'Exporter';
our %EXPORT_TAGS = ('all' => [qw(version capb get set subst input go fset settitle x_loadtemplatefile)]);
our @EXPORT_OK = @{$EXPORT_TAGS{all}};
my %v;
sub get { $v{$_[0]} // '' } sub set { $v{$_[0]} = $_[1]; }
sub version {} sub capb {} sub subst {} sub input {} sub go {} sub fset {} sub settitle {} sub x_loadtemplatefile {}
1;
";

fn parsed() -> Vec<Profile> {
    let mut profiles: Vec<Profile> =
        PROFILES.iter().filter_map(|(name, text)| Profile::parse(name, text).unwrap()).collect();
    profiles.sort_by(|a, b| (b.priority, &b.name).cmp(&(a.priority, &a.name)));
    profiles
}

#[test]
fn stacks_are_pam_auth_updates() {
    let tool = "/usr/sbin/pam-auth-update";
    let found = Path::new(tool).exists() && Command::new("perl").arg("-v").output().is_ok();
    if !found {
        assert!(std::env::var_os("HAH_REQUIRE_ORACLES").is_none(), "pam-auth-update is required as an oracle");
        eprintln!("skipped: there is no pam-auth-update");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    for directory in ["etc/pam.d", "var/lib/pam", "usr/share/pam-configs", "perl/Debconf/Client"] {
        std::fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    std::fs::write(root.path().join("perl/Debconf/Client/ConfModule.pm"), DEBCONF).unwrap();
    for (name, text) in PROFILES {
        std::fs::write(root.path().join("usr/share/pam-configs").join(name), text).unwrap();
    }
    let include = format!("-I{}", root.path().join("perl").display());
    let profiles = parsed();
    // The last one has what the one before turned on, and takes it back.
    for (arguments, said) in [
        (&["--package", "--force"][..], &[][..]),
        (&["--enable", "mkhomedir", "--disable", "systemd", "old"], &[("mkhomedir", true), ("systemd", false)]),
        (&["--disable", "mkhomedir"], &[("mkhomedir", false), ("systemd", false)]),
    ] {
        let mut update = Command::new("perl");
        let status = update.args([&include, tool, "--root"]).arg(root.path()).args(arguments).status();
        assert!(status.unwrap().success());
        compare(root.path(), &profiles, &said.iter().map(|(name, is_on)| ((*name).into(), *is_on)).collect());
    }
}

/// What pam-auth-update left below `root` is what the pass makes.
fn compare(root: &Path, profiles: &[Profile], said: &BTreeMap<Box<str>, bool>) {
    let chosen = chosen(profiles, said);
    for (name, kind) in STACKS {
        let stack = Stack { name, kind, chosen: &chosen };
        let template = std::fs::read_to_string(format!("/usr/share/pam/common-{name}")).unwrap();
        let theirs = |file: String| std::fs::read_to_string(root.join(file)).unwrap();
        assert_eq!(stack.fill(&template).unwrap(), theirs(format!("etc/pam.d/common-{name}")), "{name}");
        assert_eq!(stack.record(), theirs(format!("var/lib/pam/{name}")), "{name}");
    }
    let seen: String = profiles.iter().map(|profile| format!("{}\n", profile.name)).collect();
    assert_eq!(seen, std::fs::read_to_string(root.join("var/lib/pam/seen")).unwrap());
}

#[test]
fn lines_split_into_control_and_options() {
    let table = [
        ("required\tpam_unix.so", Some(("required\tpam_unix.so", ""))),
        ("[a=1 b=2]  pam_x.so  c d", Some(("[a=1 b=2]  pam_x.so", "  c d"))),
        ("pam_x.so", None),
        ("[a=1", None),
        ("", None),
    ];
    for (line, want) in table {
        assert_eq!(split_options(line), want, "{line}");
    }
}
