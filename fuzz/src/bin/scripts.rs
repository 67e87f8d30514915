//! Maintainer scripts, beside the files that a package ships (sections; scripts are `DEBIAN/postinst` and `preinst`).
//!
//! Reading ends, and the ready entry that is offered for a script that cannot be read is TOML: filled in, it is a review
//! under which the same package is accepted.

#![no_main]

use hah_plan::scripts::{effects, parse_table, review_entry};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(package) = hah_fuzz::configure::package(input) else { return };
    let packages = [package];
    let Err(errors) = effects(&packages, &hah_fuzz::configure::TABLE) else { return };
    for error in &errors {
        hah_fuzz::says_something(error, &error.hint());
    }
    let entry = review_entry(&packages[0]);
    let filled = entry.replace("summary = \"\"", "summary = \"x\"").replace("none = \"\"", "none = \"x\"");
    let table = parse_table(&[("review", &filled)]).unwrap_or_else(|errors| panic!("{:?}\n{filled}", errors));
    assert!(effects(&packages, &table).is_ok(), "{filled}");
});
