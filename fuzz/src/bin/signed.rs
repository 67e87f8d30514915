//! Texts with OpenPGP signatures: a letter, `m` for a message with the text in it, `d` for signatures beside a text, `k` for
//! a file of keys, and the bytes.
//!
//! The one key of the ring, whose secret half nobody has, has signed one text (`keys/`). Whatever is believed is that text.

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the builder's modules, compiled in from their source, have more than this asks for"
)]

#[path = "../../../src/hah-image/src/calendar.rs"]
mod calendar;
#[path = "../../../src/hah-image/src/fetch/policy.rs"]
mod policy;
#[path = "../../../src/hah-image/src/fetch/keyring.rs"]
mod keyring;

use std::sync::LazyLock;

use keyring::Keyring;

static ARCHIVE: LazyLock<Keyring> = LazyLock::new(|| {
    let ring = Keyring::load(&[include_bytes!("../../keys/archive.gpg")], NOW).unwrap();
    // Else nothing would ever be believed, and nothing said by that.
    ring.verify(&MESSAGE[1..], NOW).unwrap();
    ring.verify_detached(TEXT.as_bytes(), &DETACHED[1..], NOW).unwrap();
    ring
});
const TEXT: &str = include_str!("../../keys/text");
const MESSAGE: &[u8] = include_bytes!("../../seeds/signed/message-two");
const DETACHED: &[u8] = include_bytes!("../../seeds/signed/detached");
/// 2025-08-10, a day after the signatures.
const NOW: u64 = 1_754_784_000;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((letter, bytes)) = input.split_first() else { return };
    match letter {
        b'm' => match ARCHIVE.verify(bytes, NOW) {
            // The line end before the signature is the signature's.
            Ok(signed) => assert_eq!(signed.text.strip_suffix('\n').unwrap_or(&signed.text), TEXT.trim_end()),
            Err(error) => hah_fuzz::says_something(&error, error.hint()),
        },
        b'd' => {
            if let Err(error) = ARCHIVE.verify_detached(TEXT.as_bytes(), bytes, NOW) {
                hah_fuzz::says_something(&error, error.hint());
            }
            let other = TEXT.replace("stable", "Stable");
            assert!(ARCHIVE.verify_detached(other.as_bytes(), bytes, NOW).is_err());
        }
        b'k' => match Keyring::load(&[bytes], NOW) {
            Ok(ring) => {
                for fingerprint in ring.fingerprints() {
                    assert!(
                        matches!(fingerprint.len(), 32 | 40 | 64)
                            && !fingerprint.contains(|c: char| !c.is_ascii_hexdigit())
                    );
                }
                let _ = ring.verify(&MESSAGE[1..], NOW);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        },
        _ => {}
    }
});
