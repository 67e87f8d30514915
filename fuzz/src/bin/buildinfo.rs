//! Go's build information, alone and in a program. A program read in place says what one in memory does.

#![no_main]

use std::io::Cursor;

use hah_format::elf::{self, go};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(build) = go::parse(bytes) {
        let texts = build.settings.iter().flat_map(|(key, value)| [key, value]);
        assert!(texts.chain([&build.compiler]).all(|text| !text.chars().any(char::is_control)));
    }
    match (elf::inspect(bytes), elf::program(Cursor::new(bytes))) {
        (Some(facts), Some(program)) => assert_eq!(facts, program.facts),
        (None, Some(program)) => panic!("{program:?}"),
        // What is read in place is bounded more tightly.
        (_, None) => {}
    }
});
