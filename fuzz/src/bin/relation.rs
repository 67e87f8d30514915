//! Relation fields: the canonical form parses back to an equal value, and is its own canonical form.

#![no_main]

use hah_plan::debian::Architecture;
use hah_plan::debian::relation::Relations;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match text.parse::<Relations>() {
        Ok(relations) => {
            hah_fuzz::round_trips(&relations);
            for relation in relations.iter().flat_map(|group| &group.0) {
                relation.applies_to(Architecture::Arm64);
            }
        }
        Err(error) => assert!(error.offset <= text.len() && !error.to_string().is_empty()),
    }
});
