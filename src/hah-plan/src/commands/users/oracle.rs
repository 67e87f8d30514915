//! The shadow tools against the machine's own, with `--prefix` in a directory; they ask for root.

#![expect(clippy::disallowed_types, reason = "tests ask the machine's own shadow tools")]

use std::collections::BTreeMap;
use std::process::Command as Program;

use hah_format::path::TreePath;

use super::tests::started;
use crate::accounts::FILES;
use crate::commands::bench::{read, run_as};
use crate::scripts::closure::Scratch;

/// Ids are given wherever a new one would be chosen, since ours are derived.
const LINES: &[&str] = &[
    "groupadd -g 2000 staff",
    "groupadd -g 2000 again",
    "groupadd -g 2001 staff",
    "groupadd -f staff",
    "groupadd -r -g 300 sys300",
    "groupadd a,b",
    "groupadd -g -5 neg",
    "useradd -u 2000 -g 2000 -d /home/u -s /bin/sh -c Name u",
    "useradd -u 2000 -g 2000 -d /home/u -s /bin/sh u",
    "useradd -u 2000 -g 2000 -s /bin/sh other",
    "useradd -r -u 301 -g 300 -d /nonexistent -s /usr/sbin/nologin s",
    "useradd -u 2002 -U -s /bin/sh own",
    "useradd -u 2003 -N -g users -s /bin/sh -G staff,adm many",
    "useradd -u 2004 -g nogroupofthis -s /bin/sh x",
    "useradd -u 2004 -g 2000 -G nogroupofthis -s /bin/sh x",
    "useradd -u 2004 -g 2000 -s /bin/sh -e 2030-01-02 -f 5 dated",
    "useradd -u 2005 -g 2000 -s /bin/sh -p hash hashed",
    "usermod -a -G adm u",
    "usermod -G sys300 many",
    "usermod -c New,Name -d /srv/u -s /bin/false u",
    "usermod -L hashed",
    "usermod -U hashed",
    "usermod -e 20000 -f -1 dated",
    "usermod -l renamed own",
    "usermod -l u renamed",
    "usermod -G none u",
    "usermod -c x nobodyofthis",
    "usermod --add-subuids 1000000-1000999 u",
    "usermod -v 1000100-1000200 u",
    "usermod -v 1000900-1001100 -w 5-5 u",
    "usermod -v 9-8 u",
    "usermod -w 10 u",
    "usermod -v 1-2 -v 7-9 dated",
    "usermod --add-subgids 1000000-1999999 -c both dated",
    "groupmod -n crew staff",
    "groupmod -n adm crew",
    "groupmod -n x nogroupofthis",
    "groupdel crew",
    "groupdel nogroupofthis",
    "groupdel sys300",
    "userdel many",
    "userdel nobodyofthis",
    "userdel renamed",
];

/// Lines by name, with the day of the last change taken out of `shadow`.
fn by_name(text: &str, shadow: bool) -> BTreeMap<String, Vec<String>> {
    text.lines()
        .map(|line| {
            let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
            if shadow {
                fields[2] = String::new();
            }
            // Members in the order of their names.
            let last = fields.len() - 1;
            let mut members: Vec<&str> = fields[last].split(',').collect();
            members.sort();
            fields[last] = members.join(",");
            (fields.remove(0), fields)
        })
        .collect()
}

#[test]
fn accounts_change_as_the_real_shadow_tools_change_them() {
    let is_root = Program::new("id").arg("-u").output().is_ok_and(|ran| ran.stdout == b"0\n");
    if !is_root || Program::new("useradd").arg("--help").output().is_err() {
        println!("skipped: it takes root and the shadow tools");
        return;
    }
    let scratch = Scratch::new("shadow");
    let mut world = started();
    for file in FILES {
        scratch.write(file.path(), read(&mut world, &format!("/{}", file.path())));
    }
    for file in ["etc/subuid", "etc/subgid"] {
        let text = "somebody:100000:65536\n";
        scratch.write(file, text);
        world.write(&TreePath::root(), file, 0o644, text.as_bytes().to_vec()).unwrap();
    }
    scratch.write("etc/login.defs", "UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\nPASS_MAX_DAYS 99999\nPASS_MIN_DAYS 0\nPASS_WARN_AGE 7\nUSERGROUPS_ENAB yes\n");
    for line in LINES {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = Program::new(words[0]).arg("-P").arg(scratch.path()).args(&words[1..]).env("LC_ALL", "C").output();
        let ran = ran.unwrap();
        let ours = run_as(&mut world, None, &words, "").unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(Some(i32::from(ours.status)), ran.status.code(), "{line}\ntheirs: {said}ours: {}", ours.err);
        for file in FILES {
            let ours = by_name(&read(&mut world, &format!("/{}", file.path())), file.path() == "etc/shadow");
            let theirs = by_name(&scratch.read(file.path()), file.path() == "etc/shadow");
            assert_eq!(ours, theirs, "{line}: {}", file.path());
        }
        for file in ["etc/subuid", "etc/subgid"] {
            assert_eq!(read(&mut world, &format!("/{file}")), scratch.read(file), "{line}: {file}");
        }
    }
}
