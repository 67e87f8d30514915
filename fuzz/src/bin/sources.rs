//! apt's sources in both forms: what is found is of an archive that is looked for, and one word.

#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the builder's module is made for another crate")]

#[path = "../../../src/hah-image/src/fetch/apt_sources.rs"]
mod apt_sources;

use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    for file in ["sources.list", "debian.sources"] {
        for found in apt_sources::named_in(Path::new(file), text) {
            assert!(matches!(found.archive.as_str(), "debian" | "debian-security"));
            assert!(found.base.contains(&found.archive) && !found.base.contains(char::is_whitespace));
        }
    }
});
