//! Keys that count and keys that do not, as `fixture/README.md` describes them.

use std::path::Path;

use super::*;

/// 2025-08-09, before apt stopped taking SHA-1 in bindings.
const BEFORE: u64 = 1_754_742_896;
/// 2026-11-28, after.
const AFTER: u64 = 1_795_824_000;

fn fixture(name: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fetch/keyring/fixture");
    std::fs::read(directory.join(name)).unwrap()
}

/// Certificate of the signature `name`.
fn certificate(name: &str) -> Vec<u8> {
    let stem = name.split('-').next().unwrap();
    fixture(&format!("{stem}.gpg"))
}

/// What becomes of the signature `name`; its key is in a file beside a good one, so that the ring can be loaded.
fn judged(name: &str, now: u64) -> Result<String, SignatureError> {
    let file = [fixture("strong.gpg"), certificate(name)].concat();
    let ring = Keyring::load(&[&file], now).unwrap();
    let signature = fixture(&format!("{name}.sig"));
    ring.verify_detached(&fixture("text"), &signature, now).map(|by| by.owner)
}

#[test]
fn keys_and_signatures_count_as_with_apt_of_debian_13() {
    let ok = "";
    let table = [
        ("strong", ok),
        ("strong-sha256", ok),
        ("strong-sha224", "is a signature with SHA-224, which is not accepted since 2026-02-01"),
        ("strong-sha1", "is a signature with SHA-1, which is not accepted since 2013-02-01"),
        ("strong-ripemd160", "is a signature with RIPEMD-160, which is not accepted since 2013-02-01"),
        ("strong-md5", "is a signature with MD5, which is not accepted since 1997-02-01"),
        ("rsa1024", "it is an RSA key with 1024 bits, which is not accepted since 2014-02-01"),
        ("rsa2048", ok),
        ("dsa1024", "it is a DSA key with 1024 bits, which is not accepted since 2014-02-01"),
        ("dsa2048", "it is a DSA key with 2048 bits, which is not accepted since 2024-02-01"),
        ("nist256", ok),
        ("secp256k1", "it is an ECDSA key on the curve Secp256k1, which is not accepted"),
        ("brainpool", "it is an ECDSA key on the curve BrainpoolP256r1, which is not accepted"),
        ("sha1bound", "it is bound by a signature with SHA-1, which is not accepted since 2026-02-01"),
        ("sha1ed", "it is bound by a signature with SHA-1, which is not accepted since 2026-02-01"),
        ("sha224bound", "it is bound by a signature with SHA-224, which is not accepted since 2026-02-01"),
        ("strongsub", ok),
        ("strongsub-sub", ok),
        ("weaksub", ok),
        ("weaksub-sub", "it is an RSA key with 1024 bits, which is not accepted since 2014-02-01"),
        ("subsha1", ok),
        ("subsha1-sub", "it is bound by a signature with SHA-1, which is not accepted since 2026-02-01"),
        ("revoked", "it was revoked on 2025-09-01 00:00 UTC"),
        ("superseded", ok),
        ("revokedsub", ok),
        ("revokedsub-sub", "it was revoked on 2025-09-01 00:00 UTC"),
    ];
    for (name, want) in table {
        let stem = name.split('-').next().unwrap();
        match judged(name, AFTER) {
            Ok(owner) => {
                assert_eq!(want, ok, "{name} counts");
                assert!(owner.starts_with(&format!("{stem} <")), "{name}: {owner}");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!want.is_empty() && text.contains(want), "{name}: {text}");
                // It names the key: owner and fingerprint.
                assert!(text.contains(&format!("{stem}@example.org> (")), "{name}: {text}");
                assert!(error.hint().contains("apt of Debian 13"), "{name}: {}", error.hint());
            }
        }
    }
    let signatures =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fetch/keyring/fixture")).unwrap();
    let names = signatures
        .filter_map(|entry| entry.unwrap().file_name().into_string().unwrap().strip_suffix(".sig").map(str::to_owned));
    assert!(names.into_iter().all(|name| table.iter().any(|(known, _)| *known == name)));
}

#[test]
fn a_binding_by_sha1_counted_until_the_day_that_apt_names() {
    for name in ["sha1bound", "subsha1-sub", "sha224bound", "strong-sha224"] {
        assert!(judged(name, BEFORE).is_ok(), "{name}");
        assert!(judged(name, AFTER).is_err(), "{name}");
    }
    assert!(judged("rsa2048", 1_896_134_399).is_ok());
    assert!(judged("rsa2048", 1_896_134_400).is_err());
}

#[test]
fn a_key_file_of_which_no_key_counts_is_refused_with_key_and_reason() {
    for name in ["rsa1024", "dsa2048", "sha1bound", "revoked", "secp256k1"] {
        let error = Keyring::load(&[&certificate(name)], AFTER).unwrap_err().to_string();
        assert!(error.starts_with("not a usable OpenPGP key: "), "{error}");
        assert!(error.contains(&format!("{name}@example.org> (")) && error.contains("): it "), "{error}");
    }
    // A strong primary carries the file; its weak subkey is not among those that may sign.
    let ring = Keyring::load(&[&certificate("weaksub")], AFTER).unwrap();
    assert_eq!(ring.fingerprints().count(), 1);
}

#[test]
fn what_a_key_signed_before_it_was_replaced_stands_and_nothing_after() {
    assert!(judged("superseded", AFTER).is_ok());
    let ring = Keyring::load(&[&certificate("superseded")], AFTER).unwrap();
    // The revocation is the end of the key: 2025-09-01.
    assert_eq!(ring.keys[0].expires, Some(1_756_684_800));
}
