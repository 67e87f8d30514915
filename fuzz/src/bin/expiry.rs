//! Certificates of a node: whatever is read has an end or none.
//!
//! An input is DER, or PEM.

#![no_main]
#![allow(dead_code, reason = "the agent's module, compiled in from its source, has more than this asks for")]

#[path = "../../../src/hah-agent/src/closing/ends.rs"]
mod ends;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let end = ends::der_end(bytes).into_iter().chain(std::str::from_utf8(bytes).ok().and_then(ends::pem_end)).min();
    // From the year 0 to 9999, which is what four digits can say.
    if let Some(end) = end {
        assert!((-62_167_219_200..253_402_300_801).contains(&end), "{end}");
    }
});
