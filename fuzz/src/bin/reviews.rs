//! The table of reviewed scripts, as TOML. Errors point into the text.

#![no_main]

use hah_plan::scripts::parse_table;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match parse_table(&[("reviews.toml", text)]) {
        Ok(table) => {
            for (package, kind, _, review) in table.iter() {
                let _ = (package.len(), kind.member());
                assert!(!review.summary.trim().is_empty());
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                hah_fuzz::says_something(&error, &error.hint());
                assert!((1..=text.matches('\n').count() + 1).contains(&error.line));
            }
        }
    }
});
