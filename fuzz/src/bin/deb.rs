//! Whole `.deb`s: see [`hah_fuzz::archive::check`]. What is read can be packed, imaged and read back, byte for byte.

#![no_main]

libfuzzer_sys::fuzz_target!(|deb: &[u8]| hah_fuzz::archive::check(deb));
