use super::*;

const RECORD: &str = "auto\n/usr/bin/pager\npager.1\n/m/pager.1\n\n/bin/more\n50\n\n/usr/bin/less\n77\n/m/less.1\n\n";

#[test]
fn records_are_as_dpkg_keeps_them() {
    let group = Group::parse("pager", RECORD).unwrap();
    assert_eq!(group.best(None).unwrap().path, "/usr/bin/less");
    assert_eq!(group.choice("/bin/more").unwrap().file("pager.1"), None);
    assert_eq!(group.to_string(), RECORD);
}

#[test]
fn broken_records_are_refused_as_dpkg_does() {
    for (text, what) in [
        ("automatic\n/x\n\n\n", "invalid status"),
        ("auto\n/x\ns\n/x\n\n\n", "slave link same as main link /x"),
        ("auto\n/x\ns\n/s\ns\n/t\n\n\n", "duplicate slave name s"),
        ("auto\n/x\n\n/a\nmany\n\n", "priority of /a: many"),
        ("auto\n/x\n\n/a\n1\n", "cannot read file 'master file': unexpected end of file"),
        ("auto\n/x", "line not terminated while trying to read master link"),
    ] {
        let found = Group::parse("x", text).unwrap_err();
        assert!(found.contains(what), "{text:?}: {found}");
    }
}

#[test]
fn of_equals_the_present_choice_stays() {
    let group = Group::parse("x", "auto\n/x\n\n/a\n5\n/b\n5\n\n").unwrap();
    assert_eq!(group.best(Some("/b")).unwrap().path, "/b");
    assert_eq!(group.best(None).unwrap().path, "/a");
}
