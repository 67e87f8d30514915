//! The table of reviewed scripts, as TOML. Errors point into the text.

#![no_main]

use hah_plan::scripts::parse_table;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match parse_table(&[("reviews.toml", text)]) {
        Ok(table) => {
            for review in table.iter() {
                assert!(!review.summary.trim().is_empty() && !review.command.is_empty());
                // A command line that spells its own pattern is covered.
                let argv: Vec<String> = review.command.iter().map(|word| word.to_string()).collect();
                if !review.package.contains('*') {
                    assert!(table.get(&review.package, &argv).is_some());
                }
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
