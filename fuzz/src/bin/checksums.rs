//! Checksum files. What is listed is found again, by name and by digest, and has a name that a URL may end in.

#![no_main]

use hah_plan::artifact::checksums::Checksums;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match Checksums::parse(bytes) {
        Ok(sums) => {
            let text: String = sums.names().map(|name| format!("{}  {name}\n", sums.get(name).unwrap())).collect();
            assert_eq!(Checksums::parse(text.as_bytes()).unwrap(), sums, "{text}");
            for name in sums.names() {
                assert!(!name.is_empty() && !name.chars().any(char::is_control));
                assert!(sums.named(&sums.get(name).unwrap()).is_some());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
