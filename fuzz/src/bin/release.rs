//! `Release` files, and dates in both directions.

#![no_main]

use hah_plan::debian::archive::{Release, parse_date, rfc3339};

libfuzzer_sys::fuzz_target!(|text: &str| {
    match Release::parse(text) {
        Ok(release) => {
            for path in release.files.keys() {
                assert!(!path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
            for date in [Some(release.date), release.valid_until].into_iter().flatten() {
                assert!((0..253_402_300_801).contains(&date) && rfc3339(date).len() == 20);
            }
        }
        Err(error) => hah_fuzz::says_something(&error, error.hint()),
    }
    if let Some(date) = text.lines().next().and_then(parse_date) {
        assert!((0..253_402_300_801).contains(&date) && rfc3339(date).len() == 20);
    }
});
