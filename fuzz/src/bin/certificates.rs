//! PEM certificates below `/usr/share/ca-certificates` (sections): the bundle and the links to them.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    hah_fuzz::configure::run(input, &["ca"]);
});
