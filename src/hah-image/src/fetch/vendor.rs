//! The vendors' chain: a release's checksum file → the digest of one of its files, from places that need not be trusted.
//!
//! Checksum file and signature are taken from one place, a mirror or the release site itself; a place whose files are
//! refused is passed over, and when none is left the error says what was wrong with each. The digest comes from the
//! checksum file and never from the download: a release site answers what it does not have with a page like any other.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use hah_format::digest::Sha256;
use hah_plan::artifact::checksums::{Checksums, ChecksumsError, MAX_CHECKSUMS};
use hah_plan::artifact::{Artifact, Method, Verify, last_segment};
use hah_plan::diagnostic::did_you_mean;
use hah_plan::lock::Trust;

use super::keyring::{KeyError, SignatureError};
use super::mirrors::Candidate;
use super::{Fetcher, Keyring, Problem, Source};
use crate::calendar::minute;

/// Longest detached signature, in bytes.
const MAX_SIGNATURE: u64 = 64 << 10;

/// An artifact's digest, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The digest.
    pub sha256: Sha256,
    /// Who vouches for it, as the lock will say.
    pub trust: Trust,
    /// The signature, for people: who and when.
    pub told: String,
    /// What else the checksum file lists.
    pub checksums: Checksums,
}

/// Why nobody vouches for an artifact.
#[derive(Debug, thiserror::Error)]
pub enum VouchError {
    /// No place has files that can be believed.
    #[error("nobody vouches for {artifact}{}", list(.refused))]
    Refused {
        /// Name and version.
        artifact: String,
        /// What was wrong with each place.
        refused: Vec<Refused>,
    },
    /// The key cannot be used.
    #[error("{artifact}: key `{key}`: {source}")]
    Key {
        /// Name and version.
        artifact: String,
        /// The key, as the recipe names it.
        key: String,
        /// Why.
        source: KeyError,
    },
}

/// A place whose files were refused.
#[derive(Debug)]
pub struct Refused {
    /// URL of the checksum file, or of the signature when that is to blame.
    pub url: String,
    /// Who named the place.
    pub told_by: String,
    /// What is wrong.
    pub why: Refusal,
}

/// What is wrong with a place's files.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The checksum file cannot be had.
    #[error("{0}")]
    Checksums(Problem),
    /// The checksum file is there, and nothing vouches for it.
    #[error("{0}, and without it the checksum file proves nothing")]
    Unsigned(Problem),
    /// The signature does not count.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// It is no checksum file.
    #[error("{0}")]
    Parse(#[from] ChecksumsError),
    /// It says nothing of the file.
    #[error("it does not list {name}{}", .near.as_ref().map(|near| format!(", but {near}")).unwrap_or_default())]
    NotListed {
        /// The file.
        name: String,
        /// What it might be instead.
        near: Option<String>,
    },
}

impl VouchError {
    /// Whether somebody serves a checksum file that is not what the vendor signed.
    pub fn is_tampered(&self) -> bool {
        let Self::Refused { refused, .. } = self else { return false };
        refused.iter().any(|refused| matches!(refused.why, Refusal::Signature(SignatureError::Bad { .. })))
    }

    /// Whether nothing is wrong but that the network may not be asked.
    pub fn wants_network(&self) -> bool {
        let Self::Refused { refused, .. } = self else { return false };
        refused.iter().all(|refused| {
            matches!(
                refused.why,
                Refusal::Checksums(Problem::Offline | Problem::NotThere(_)) | Refusal::Unsigned(Problem::Offline)
            )
        }) && refused.iter().any(|refused| matches!(refused.why, Refusal::Checksums(Problem::Offline)))
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        let Self::Refused { refused, .. } = self else {
            return "export the vendor's public key with `gpg --export`, armoured or not".to_owned();
        };
        let worst = refused.iter().max_by_key(|refused| refused.why.weight());
        match worst.map(|refused| &refused.why) {
            Some(Refusal::Signature(error)) => match error {
                SignatureError::Bad { .. } => {
                    "the checksum file was changed after it was signed: do not use what comes with it; take it from the vendor's own site"
                }
                SignatureError::UnknownKey(_) => {
                    "only the key that the recipe names is believed: check `key` and `signature`, and that the files are the vendor's"
                }
                SignatureError::KeyExpired { .. } => {
                    "if the vendor has renewed the key, a newer hah-image may carry it; or name a file with `key-source`"
                }
                SignatureError::Expired(_) => "take a release whose signature is still good",
                SignatureError::Time { .. } => "check this machine's clock",
                SignatureError::Key { .. } | SignatureError::Weak { .. } => error.hint(),
                SignatureError::Missing | SignatureError::Malformed(_) | SignatureError::Kind { .. } => {
                    "check `signature` in the recipe: it is to be the URL of a detached OpenPGP signature of the checksum file"
                }
            },
            Some(Refusal::Unsigned(_)) => {
                "put the signature beside the checksum file, or check `signature` in the recipe; unsigned releases are not taken for signed ones"
            }
            Some(Refusal::Parse(_)) => "check `checksums` in the recipe: it is to be the URL of a SHA256SUMS file",
            Some(Refusal::NotListed { .. }) => {
                "the release has no such file: check `version`, `arch` and `url` in the recipe"
            }
            Some(Refusal::Checksums(Problem::Offline)) => {
                "run once without --offline, name a local mirror, or feed it with --input NAME=PATH, its checksum file and signature beside it"
            }
            Some(Refusal::Checksums(Problem::NotThere(_))) => {
                "check that there is such a version: release sites answer 403 or 404 for what they do not have"
            }
            _ => "check the network and https_proxy, or feed it with --input NAME=PATH",
        }
        .to_owned()
    }
}

impl Refusal {
    /// How much it says, for choosing what to advise.
    fn weight(&self) -> u8 {
        match self {
            Self::Signature(SignatureError::Bad { .. }) => 7,
            Self::Signature(_) => 6,
            Self::Unsigned(_) => 5,
            Self::NotListed { .. } => 4,
            Self::Parse(_) => 3,
            Self::Checksums(Problem::NotThere(_)) => 1,
            Self::Checksums(Problem::Offline) => 2,
            Self::Checksums(_) => 2,
        }
    }
}

impl Fetcher {
    /// The digest of `artifact`, from whom its recipe says. Checksum file and signature may be in the directory `beside`.
    /// `now` is in seconds since 1970.
    pub fn vouched(&self, artifact: &Artifact, beside: Option<&Path>, now: u64) -> Result<Vouched, VouchError> {
        match &artifact.verify {
            Verify::Sha256(sha256) => Ok(Vouched {
                sha256: *sha256,
                trust: Trust::Unsigned(Method::Sha256),
                told: "unsigned: only the recipe's digest vouches for it".to_owned(),
                checksums: Checksums::default(),
            }),
            Verify::Sha256Sums { checksums } => {
                let places = self.places(artifact, checksums, beside).into_iter().map(|place| (place, None));
                self.first(artifact, places.collect(), &mut |sums, _| {
                    let told = "unsigned: the release site's checksum file is not signed".to_owned();
                    Ok((Checksums::parse(sums)?, Trust::Unsigned(Method::Sha256Sums), told))
                })
            }
            Verify::OpenPgp { checksums, signature, key } => {
                let keyring = Keyring::vendor(key, now).map_err(|source| VouchError::Key {
                    artifact: artifact.to_string(),
                    key: key.name().to_owned(),
                    source,
                })?;
                let signatures = self.places(artifact, signature, beside).into_iter().map(Some);
                let places = self.places(artifact, checksums, beside).into_iter().zip(signatures);
                self.first(artifact, places.collect(), &mut |sums, signature| {
                    let by = keyring.verify_detached(sums, signature, now)?;
                    let told = format!("signed by {} on {}", by.owner, minute(by.at));
                    let trust = Trust::Signed { key: key.name().to_owned(), fingerprint: by.certificate };
                    Ok((Checksums::parse(sums)?, trust, told))
                })
            }
        }
    }

    /// Where `url` of `artifact` may be found, in order.
    fn places(&self, artifact: &Artifact, url: &str, beside: Option<&Path>) -> Vec<Candidate> {
        let near =
            beside.zip(last_segment(url)).map(|(directory, name)| Candidate::local(directory.join(name), "--input"));
        let source = Source::Release { mirror: artifact.mirror.clone(), url: url.to_owned() };
        near.into_iter().chain(self.options.mirrors.candidates(&source)).collect()
    }

    /// What the first place says whose files are believed by `judge`.
    fn first(
        &self,
        artifact: &Artifact,
        places: Vec<(Candidate, Option<Candidate>)>,
        judge: &mut Judge<'_>,
    ) -> Result<Vouched, VouchError> {
        let mut refused = Vec::new();
        let name = artifact.file_name().unwrap_or_default();
        for (checksums, signature) in places {
            match self.one(name, (&checksums, signature.as_ref()), judge) {
                Ok(vouched) => return Ok(vouched),
                Err(why) => {
                    let blamed = match (&why, signature) {
                        (Refusal::Unsigned(_) | Refusal::Signature(_), Some(signature)) => signature,
                        _ => checksums,
                    };
                    refused.push(Refused { url: blamed.url(), told_by: blamed.told_by, why });
                }
            }
        }
        Err(VouchError::Refused { artifact: artifact.to_string(), refused })
    }

    fn one(
        &self,
        name: &str,
        (checksums, signature): (&Candidate, Option<&Candidate>),
        judge: &mut Judge<'_>,
    ) -> Result<Vouched, Refusal> {
        let sums = self.document_from(checksums, MAX_CHECKSUMS as u64).map_err(Refusal::Checksums)?;
        let signature = match signature {
            Some(signature) => self.document_from(signature, MAX_SIGNATURE).map_err(Refusal::Unsigned)?.bytes,
            None => Vec::new(),
        };
        let (checksums, trust, told) = judge(&sums.bytes, &signature)?;
        match checksums.get(name) {
            Some(sha256) => Ok(Vouched { sha256, trust, told, checksums }),
            None => {
                let near = did_you_mean(name, checksums.names()).map(str::to_owned);
                Err(Refusal::NotListed { name: name.to_owned(), near })
            }
        }
    }
}

/// Says whether a checksum file, and its signature if it is to have one, is believed, and what it lists.
type Judge<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(Checksums, Trust, String), Refusal> + 'a;

fn list(refused: &[Refused]) -> String {
    refused.iter().map(|refused| format!("\n  {refused}")).collect()
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.url, self.told_by, self.why)
    }
}
