//! `Packages` indexes: scanned, and every stanza read whole. A path of a package stays below the archive.

#![no_main]

use hah_plan::debian::archive::Index;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let index = match Index::scan(text) {
        Ok(index) => index,
        Err(error) => return hah_fuzz::says_something(&error, error.hint()),
    };
    for entry in &index.entries {
        match entry.candidate() {
            Ok(found) => {
                assert!(!found.filename.split('/').any(|part| matches!(part, "" | "." | "..")));
                assert_eq!(found.name.as_str(), entry.name);
                for relations in [&found.depends, &found.pre_depends, &found.provides, &found.conflicts] {
                    hah_fuzz::round_trips(relations);
                }
            }
            Err(error) => hah_fuzz::says_something(&error, error.hint()),
        }
    }
});
