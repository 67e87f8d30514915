//! PAM profiles and templates (sections).

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    hah_fuzz::configure::run(input, &["pam"]);
});
