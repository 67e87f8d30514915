//! Maintainer scripts, beside the files that a package ships (sections; scripts are `DEBIAN/postinst` and its kin).
//!
//! Evaluation ends, the same way twice. The ready entry that is offered for a program of the target is TOML: filled in, it
//! is a review with which the same call is no longer an error.

#![no_main]

use hah_fuzz::configure::{TABLE, scripts};
use hah_plan::scripts::parse_table;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(first) = scripts(input, &TABLE) else { return };
    let Some(again) = scripts(input, &TABLE) else { return };
    assert!(first.root == again.root && first.errors == again.errors && first.effects == again.effects);
    for error in &first.errors {
        hah_fuzz::says_something(error, &error.hint());
        let (Some(entry), Some(program)) = (error.review_entry(), &error.program) else { continue };
        let filled = entry.replace("summary = \"\"", "summary = \"x\"").replace("none = \"\"", "none = \"x\"");
        let plain =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-./_=".contains(c));
        if !program.split(' ').all(plain) {
            let _ = parse_table(&[("review", &filled)]);
            continue;
        }
        let table = parse_table(&[("review", &filled)]).unwrap_or_else(|errors| panic!("{errors:?}\n{filled}"));
        let Some(reviewed) = scripts(input, &table) else { return };
        assert!(!reviewed.errors.contains(error), "{filled}");
    }
});
