//! ELF files, as ldconfig looks at them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(facts) = hah_format::elf::inspect(bytes) {
        assert!(facts.needed.iter().chain(&facts.soname).all(|name| name.len() <= 4096));
    }
});
