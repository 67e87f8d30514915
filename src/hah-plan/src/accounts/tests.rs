use super::*;
use crate::accounts::sysusers::parse;

fn declare(accounts: &mut Accounts, text: &str) -> Result<(), AccountError> {
    parse(text).unwrap().into_iter().try_for_each(|(_, line)| accounts.declare(line))
}

#[test]
fn derived_ids_depend_on_nothing_but_the_name() {
    // Files on nodes carry these numbers: a change of one is a fault.
    let known = [("alpha", 0), ("beta", 0), ("alpha", 1)].map(|(name, n)| automatic_id(name, n, &AUTOMATIC_SYSTEM));
    assert_eq!(known, [413, 657, 604]);
    let (mut one, mut other) = (Accounts::default(), Accounts::default());
    declare(&mut one, "u alpha -\nu beta -\n").unwrap();
    declare(&mut other, "g beta -\nu beta -\nu gamma -\nu alpha -\n").unwrap();
    for name in ["alpha", "beta"] {
        assert_eq!(one.users[name].uid, other.users[name].uid);
        assert_eq!(one.groups[name].gid, one.users[name].uid);
        assert!(AUTOMATIC_SYSTEM.contains(&one.users[name].uid));
    }
}

#[test]
fn a_declared_id_is_never_derived_for_another_name() {
    let mut accounts = Accounts::default();
    let wish = automatic_id("alpha", 0, &AUTOMATIC_SYSTEM);
    accounts.declared.groups.insert("other".into(), wish);
    declare(&mut accounts, "u alpha -\n").unwrap();
    assert_eq!(accounts.users["alpha"].uid, automatic_id("alpha", 1, &AUTOMATIC_SYSTEM));
}

#[test]
fn two_names_that_want_one_number_are_refused_with_the_way_out() {
    let names: Vec<String> = (0..2000).map(|number| format!("daemon{number}")).collect();
    let mut seen: BTreeMap<u32, &String> = BTreeMap::new();
    let (first, second) = names
        .iter()
        .find_map(|name| Some((seen.insert(automatic_id(name, 0, &AUTOMATIC_SYSTEM), name)?, name)))
        .unwrap();
    let mut accounts = Accounts::default();
    declare(&mut accounts, &format!("u {first} -\n")).unwrap();
    let error = declare(&mut accounts, &format!("u {second} -\n")).unwrap_err();
    assert!(matches!(&error, AccountError::SameId { what: "user", .. }), "{error}");
    assert!(error.hint().contains(&format!("{second} = NUMBER")), "{}", error.hint());
    accounts.declared.users.insert(second.as_str().into(), 150);
    declare(&mut accounts, &format!("u {second} -\n")).unwrap();
    assert_eq!(accounts.groups[second].gid, 150);
}

#[test]
fn a_number_of_sysusers_that_is_taken_is_a_wish() {
    let mut accounts = Accounts::default();
    declare(&mut accounts, "u root 0\nu a 500\nu c 500\n").unwrap();
    assert_eq!((accounts.users["a"].uid, accounts.users["c"].uid), (500, automatic_id("c", 0, &AUTOMATIC_SYSTEM)));
    accounts.check().unwrap();
    accounts.users.remove("root");
    assert_eq!(accounts.check(), Err(AccountError::NoUser("root".to_owned())));
}

#[test]
fn what_is_written_is_read_back() {
    let mut accounts = Accounts { day: 20_000, ..Accounts::default() };
    declare(&mut accounts, "u root 0\nu! a 500 \"A B\" /srv/a /bin/sh\ng b 12\nm a b\n").unwrap();
    accounts.groups.get_mut("b").unwrap().administrators.insert("a".to_owned());
    let texts = FILES.map(|file| accounts.text(file));
    assert_eq!(texts[0], "root:x:0:0::/:/bin/sh\na:x:500:500:A B:/srv/a:/bin/sh\n");
    assert_eq!(texts[2], "root:!*:20000::::::\na:!*:20000:::::1:\n");
    assert_eq!(texts[3], "root:!*::\nb:!*:a:a\na:!*::\n");
    let mut again = Accounts { day: 20_000, ..Accounts::default() };
    again.read(texts.each_ref().map(String::as_str)).unwrap();
    assert_eq!(again, accounts);
    for (texts, line) in [
        (["a:x:1:1::/", "", "", ""], "/etc/passwd, line 1"),
        (["\na:x:b:1::/:", "", "", ""], "/etc/passwd, line 2"),
        (["", "a:x:1", "", ""], "/etc/group, line 1"),
        (["", "", "a:x:1", ""], "/etc/shadow, line 1"),
        (["", "", "", "a:x:1"], "/etc/gshadow, line 1"),
    ] {
        let error = again.read(texts).unwrap_err().to_string();
        assert!(error.starts_with(line), "{error}");
    }
}

#[test]
fn the_shipped_ids_leave_the_derived_ones_alone_and_are_each_given_once() {
    let ids = crate::scripts::closure::table().ids;
    let mut holders: BTreeMap<u32, &str> = BTreeMap::new();
    for (name, id) in ids.users.iter().chain(&ids.groups) {
        assert!(SYSTEM_IDS.contains(id) && !AUTOMATIC_SYSTEM.contains(id), "{name} = {id}");
        // A user's own group has the user's number.
        let holder = holders.entry(*id).or_insert(name);
        assert_eq!(*holder, name.as_ref(), "{id}");
    }
}
