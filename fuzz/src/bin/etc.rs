//! The smaller passes over files that packages ship (sections): name services, shells, alternatives, locales, the
//! library cache, what dpkg is told, and the check at the end.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let passes =
        ["skeleton", "alternatives", "nsswitch", "shells", "timezone", "locale", "os_release", "ldconfig", "dpkg"];
    if hah_fuzz::configure::run(input, &passes).is_some() {
        hah_fuzz::configure::run(input, &["check"]);
    }
});
