//! The masters of base-passwd and sysusers.d (sections): the four files that come of them have the fields they must have,
//! no id twice, and a superuser.

#![no_main]

use std::collections::BTreeSet;

use hah_fuzz::configure::{run, text};
use hah_plan::configure::users::ids_of;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(root) = run(input, &["users"]) else { return };
    let files = [("etc/passwd", 7), ("etc/group", 4), ("etc/shadow", 9), ("etc/gshadow", 4)];
    for (path, fields) in files {
        let written = text(&root, path).unwrap();
        let mut names = BTreeSet::new();
        for line in written.lines() {
            assert_eq!(line.split(':').count(), fields, "{path}: {line:?}");
            assert!(names.insert(line.split(':').next()), "{path}: {line:?}");
        }
    }
    let (passwd, group) = (text(&root, "etc/passwd").unwrap(), text(&root, "etc/group").unwrap());
    let ids = ids_of(&passwd, &group);
    assert_eq!(ids.users.get("root"), Some(&0));
    assert_eq!((ids.users.len(), ids.groups.len()), (passwd.lines().count(), group.lines().count()));
});
