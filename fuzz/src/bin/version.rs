//! Debian versions: display and parse agree, and the order is total.
//!
//! Three versions, one a line: comparing them is antisymmetric and transitive, and equal versions stand alike to others.

#![no_main]

use std::cmp::Ordering;

use hah_plan::debian::Version;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let versions: Vec<Version> = text.lines().take(3).filter_map(|line| line.parse().ok()).collect();
    for version in &versions {
        hah_fuzz::round_trips(version);
        assert_eq!(version.cmp(version), Ordering::Equal);
    }
    for a in &versions {
        for b in &versions {
            assert_eq!(a.cmp(b), b.cmp(a).reverse(), "{a} {b}");
            for c in &versions {
                assert!(!(a <= b && b <= c) || a <= c, "{a} {b} {c}");
                assert!(a != b || a.cmp(c) == b.cmp(c), "{a} {b} {c}");
            }
        }
    }
});
