//! Which algorithms count for keys and signatures: the policy of apt in Debian 13.
//!
//! That apt asks `sqv`, which follows Sequoia's standard policy with the dates of apt's `default-sequoia.config`. A date
//! is compared with today, not with the day of the signature, which whoever breaks the algorithm could choose.
//!
//! | what | accepted until |
//! |---|---|
//! | signatures of data: MD5, RIPEMD-160, SHA-1 | 1997-02-01, 2013-02-01, 2013-02-01 |
//! | bindings of keys, which an attacker cannot choose as freely: MD5, RIPEMD-160, SHA-1 | 2004-02-01, 2013-02-01, 2026-02-01 |
//! | either: SHA-224 | 2026-02-01 |
//! | either: signatures of version 3 | 2026-02-01 |
//! | RSA and DSA below 2048 bits | 2014-02-01 |
//! | DSA | 2024-02-01 |
//! | RSA from 2048 to 3071 bits | 2030-02-01 |
//!
//! RSA from 3072 bits, Ed25519, Ed448, NIST's curves, SHA-2 from 256 bits and SHA-3 have no end; what is in neither list
//! (brainpool's curves, which this program cannot verify, among them) is not accepted at all.

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureVersion};
use pgp::ser::Serialize as _;
use pgp::types::{EcdsaPublicParams, EddsaLegacyPublicParams, KeyDetails, KeyVersion, PublicParams};

/// What a signature is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Data that somebody else may have had a hand in.
    Data,
    /// A key and its owner, or a key and its subkey.
    Binding,
}

/// Something that does not count any more, or never did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}, which is not accepted{}", .since.map(|date| format!(" since {date}")).unwrap_or_default())]
pub struct Weakness {
    /// `RSA with 1024 bits`, `a signature with SHA-1`.
    what: String,
    /// When it ended; none for what never counted.
    since: Option<&'static str>,
}

/// A day, and its beginning in seconds since 1970.
type Day = (&'static str, u64);

const LONG_AGO: Day = ("1997-02-01", 854_755_200);
const DAY_2004: Day = ("2004-02-01", 1_075_593_600);
const DAY_2013: Day = ("2013-02-01", 1_359_676_800);
const DAY_2014: Day = ("2014-02-01", 1_391_212_800);
const DAY_2024: Day = ("2024-02-01", 1_706_745_600);
const DAY_2026: Day = ("2026-02-01", 1_769_904_000);
const DAY_2030: Day = ("2030-02-01", 1_896_134_400);

/// How long something counts.
enum Until {
    Always,
    End(Day),
    Never,
}

impl Until {
    /// Whether `what` counts at `now`, in seconds since 1970.
    fn check(self, what: impl FnOnce() -> String, now: u64) -> Result<(), Weakness> {
        match self {
            Self::Always => Ok(()),
            Self::End((_, end)) if now < end => Ok(()),
            Self::End((date, _)) => Err(Weakness { what: what(), since: Some(date) }),
            Self::Never => Err(Weakness { what: what(), since: None }),
        }
    }
}

/// Whether a signature of this kind counts at `now`, in seconds since 1970, if it is right.
pub fn check_signature(signature: &Signature, purpose: Purpose, now: u64) -> Result<(), Weakness> {
    let version = match signature.version() {
        SignatureVersion::V4 | SignatureVersion::V6 => Until::Always,
        SignatureVersion::V3 => Until::End(DAY_2026),
        _ => Until::Never,
    };
    version.check(|| format!("a signature of OpenPGP version {}", u8::from(signature.version())), now)?;
    let data = purpose == Purpose::Data;
    let (name, until) = match signature.hash_alg() {
        Some(HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512) => return Ok(()),
        Some(HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_512) => return Ok(()),
        Some(HashAlgorithm::Md5) => ("MD5", Until::End(if data { LONG_AGO } else { DAY_2004 })),
        Some(HashAlgorithm::Ripemd160) => ("RIPEMD-160", Until::End(DAY_2013)),
        Some(HashAlgorithm::Sha1) => ("SHA-1", Until::End(if data { DAY_2013 } else { DAY_2026 })),
        Some(HashAlgorithm::Sha224) => ("SHA-224", Until::End(DAY_2026)),
        _ => ("an unknown digest", Until::Never),
    };
    until.check(|| format!("a signature with {name}"), now)
}

/// Whether a key of this kind counts at `now`, in seconds since 1970.
pub fn check_key(key: &impl KeyDetails, now: u64) -> Result<(), Weakness> {
    if !matches!(key.version(), KeyVersion::V4 | KeyVersion::V6) {
        return Until::Never.check(|| format!("a key of OpenPGP version {}", u8::from(key.version())), now);
    }
    let params = key.public_params();
    let never = |what: &str| Until::Never.check(|| what.to_owned(), now);
    match params {
        PublicParams::RSA(_) => {
            let bits = first_number_bits(params);
            let until = match bits {
                0..2048 => Until::End(DAY_2014),
                2048..3072 => Until::End(DAY_2030),
                _ => Until::Always,
            };
            until.check(|| format!("an RSA key with {bits} bits"), now)
        }
        PublicParams::DSA(_) => {
            let bits = first_number_bits(params);
            let until = Until::End(if bits < 2048 { DAY_2014 } else { DAY_2024 });
            until.check(|| format!("a DSA key with {bits} bits"), now)
        }
        PublicParams::Ed25519(_) | PublicParams::Ed448(_) => Ok(()),
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { .. }) => Ok(()),
        PublicParams::ECDSA(
            EcdsaPublicParams::P256 { .. } | EcdsaPublicParams::P384 { .. } | EcdsaPublicParams::P521 { .. },
        ) => Ok(()),
        PublicParams::ECDSA(params) => never(&format!("an ECDSA key on the curve {:?}", params.curve())),
        _ => never(&format!("a key of the kind {:?}", key.algorithm())),
    }
}

/// Bits of a key's first number, which is RSA's modulus and DSA's prime (RFC 9580, 3.2: the count comes first).
fn first_number_bits(params: &PublicParams) -> u16 {
    let bytes = params.to_bytes().unwrap_or_default();
    bytes.first_chunk().map_or(0, |count| u16::from_be_bytes(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_begin_when_they_say() {
        for (text, seconds) in [LONG_AGO, DAY_2004, DAY_2013, DAY_2014, DAY_2024, DAY_2026, DAY_2030] {
            let want = format!("{text}T00:00:00Z");
            assert_eq!(hah_plan::debian::archive::rfc3339(seconds as i64), want);
        }
    }
}
