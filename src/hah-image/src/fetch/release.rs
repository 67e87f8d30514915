//! The signed chain: `InRelease` → `Packages`, from a mirror that need not be trusted.
//!
//! `dists/SUITE/InRelease` must be signed by the ring, be for the suite that was asked for, and be valid now.
//! A mirror that does not have it may have `Release` with its signature in `Release.gpg`; one that serves a bad
//! `InRelease` is not asked for more.
//! It names the digests of `COMPONENT/binary-ARCH/Packages` in several forms ([`index`]).
//! A mirror whose `InRelease` is refused is passed over; when none is left the error says what was wrong with each.

mod index;
#[cfg(test)]
mod tests;

use std::fmt;

use hah_format::digest::Sha256;
use hah_plan::debian::Architecture;
use hah_plan::debian::archive::{ArchiveError, Automatic, Release};

use super::keyring::SignatureError;
use super::mirrors::Candidate;
use super::{Events, FetchError, Fetcher, Keyring, Problem, Source};
use crate::calendar::minute;

/// Longest `InRelease`, in bytes.
const MAX_RELEASE: u64 = 8 << 20;
/// Longest `Release.gpg`, in bytes.
const MAX_SIGNATURE: u64 = 64 << 10;
/// A release may be this many seconds younger than our clock says it is now.
const CLOCK_SLACK: u64 = 3600;

/// Which indexes are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteRequest {
    /// The name that its mirrors are known under: `debian`, `debian-security`, or one of an archive of one's own.
    pub archive: String,
    /// Directory below `dists/`: `trixie`, `trixie-security`. One that ends in `/` is flat: a directory of the archive
    /// itself, `./` for the archive's own, with one index and no components.
    pub suite: String,
    /// `main`, …; none for a flat suite.
    pub components: Vec<String>,
    /// The architecture of the index; `all` packages are in every one.
    pub architecture: Architecture,
    /// Whether a release that is over counts.
    pub validity: Validity,
    /// The archive as it was at this time, in seconds since 1970, from the snapshot archive; `None` for what mirrors have.
    pub snapshot: Option<u64>,
}

/// Whether `Valid-Until` is honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It is: an attacker may not hold back updates.
    Enforced,
    /// It is not (`expired = "allow"` in the image): the suite is archived, or a snapshot was asked for.
    AllowExpired,
}

/// Whom to believe, and when it is.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The keys.
    pub keyring: &'a Keyring,
    /// Seconds since 1970.
    pub now: u64,
}

impl SuiteRequest {
    /// Whether the suite is a directory of its archive, with one index.
    fn is_flat(&self) -> bool {
        self.suite.ends_with('/')
    }

    /// The path of `file` of the suite, below the archive.
    fn path(&self, file: &str) -> String {
        if !self.is_flat() {
            return format!("dists/{}/{file}", self.suite);
        }
        match self.suite.trim_end_matches('/') {
            "" | "." => file.to_owned(),
            directory => format!("{directory}/{file}"),
        }
    }

    /// What has an index of its own: the components, or the whole of a flat suite.
    fn indexed(&self) -> Vec<&str> {
        if self.is_flat() { vec![""] } else { self.components.iter().map(String::as_str).collect() }
    }
}

/// A `Packages` index that the archive's keys vouch for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedIndex {
    /// The archive asked for.
    pub archive: String,
    /// The suite asked for.
    pub suite: String,
    /// The component; empty for a flat suite.
    pub component: String,
    /// The architecture.
    pub architecture: Architecture,
    /// Fingerprint of the certificate that signed the release, 40 hex digits.
    pub key: String,
    /// Digest of the whole `InRelease`, or of the `Release` that has its signature beside it.
    pub release_sha256: Sha256,
    /// The release's `Date`, in seconds since 1970.
    pub date: i64,
    /// The release's `Valid-Until`, in seconds since 1970.
    pub valid_until: Option<i64>,
    /// What the release says of taking packages without being asked.
    pub automatic: Automatic,
    /// The uncompressed index.
    pub packages: Vec<u8>,
}

/// Why there is no verified index.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// No mirror has a release that can be believed. Never mind the order: each is told.
    #[error("cannot use the suite `{suite}` of {archive}{}", list(.refused))]
    NoRelease {
        /// The archive.
        archive: String,
        /// The suite.
        suite: String,
        /// What was wrong with each mirror's.
        refused: Vec<Refused>,
    },
    /// The release names no such index.
    #[error("the suite `{suite}` of {archive} has no index for {component} {architecture}")]
    NoIndex {
        /// The archive.
        archive: String,
        /// The suite.
        suite: String,
        /// The component.
        component: String,
        /// The architecture.
        architecture: Architecture,
    },
    /// The index is named, and nobody has it as named.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The index has the right digest and cannot be unpacked.
    #[error("cannot unpack {name}: {reason}")]
    Unpack {
        /// Which index.
        name: String,
        /// Why.
        reason: String,
    },
}

/// A mirror's `InRelease` that was refused.
#[derive(Debug)]
pub struct Refused {
    /// Its URL.
    pub url: String,
    /// Who named the mirror.
    pub told_by: String,
    /// What is wrong with it.
    pub why: Refusal,
}

/// What is wrong with an `InRelease`.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be had.
    #[error(transparent)]
    Fetch(Problem),
    /// Nobody vouches for it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is signed and cannot be understood.
    #[error("it cannot be read: {0}")]
    Parse(#[from] ArchiveError),
    /// It is for another suite.
    #[error("it is for the suite {0}")]
    Suite(String),
    /// It is over.
    #[error("it expired on {}", minute(*.0))]
    Expired(u64),
    /// It is from the future.
    #[error("it is dated {}, which is in the future", minute(*.0))]
    Future(u64),
}

impl ReleaseError {
    /// Whether somebody serves a release that is not what a key of the ring signed.
    pub fn is_tampered(&self) -> bool {
        let Self::NoRelease { refused, .. } = self else { return false };
        refused.iter().any(|refused| matches!(refused.why, Refusal::Signature(SignatureError::Bad { .. })))
    }

    /// Whether nothing is wrong but that nobody may be asked.
    pub fn wants_network(&self) -> bool {
        let Self::NoRelease { refused, .. } = self else { return false };
        let not_asked = |refused: &Refused| matches!(refused.why, Refusal::Fetch(Problem::Offline));
        !refused.is_empty() && refused.iter().all(not_asked)
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let Self::NoRelease { refused, suite, .. } = self else {
            return match self {
                Self::Fetch(error) => error.hint(),
                Self::NoIndex { .. } => Some("check the suite's components and the board's architecture".to_owned()),
                _ => Some("the archive's index is damaged: use another mirror".to_owned()),
            };
        };
        let signature = refused.iter().find_map(|refused| match &refused.why {
            Refusal::Signature(error) => Some(error.hint().to_owned()),
            _ => None,
        });
        let has = |wanted: fn(&Refusal) -> bool| refused.iter().any(|refused| wanted(&refused.why));
        signature.or_else(|| {
            Some(if refused.is_empty() {
                "no mirror is known: name one with --mirror debian=URL".to_owned()
            } else if has(|why| matches!(why, Refusal::Expired(_))) {
                format!(
                    "the mirror is stale, or `{suite}` is archived: then say `expired = \"allow\"` for this suite in the image"
                )
            } else if has(|why| matches!(why, Refusal::Future(_))) {
                "check this machine's clock".to_owned()
            } else if has(|why| matches!(why, Refusal::Suite(_))) {
                "name the suite as the archive does: `trixie`, `trixie-security`".to_owned()
            } else if has(|why| matches!(why, Refusal::Fetch(Problem::Offline))) {
                "a lock cannot be made or updated with --offline, unless a mirror is a local directory".to_owned()
            } else {
                "check the network, https_proxy and the spelling of the suite".to_owned()
            })
        })
    }
}

impl Fetcher {
    /// The indexes that `request` names, one per component, each vouched for by `trust`.
    pub fn suite(
        &self,
        request: &SuiteRequest,
        trust: Trust<'_>,
        events: &dyn Events,
    ) -> Result<Vec<VerifiedIndex>, ReleaseError> {
        let (Believed { release, key }, release_sha256) = self.release(request, trust)?;
        let packages = self.indexes(&release, request, trust.now, events)?;
        let mut indexes = Vec::new();
        for (component, packages) in request.indexed().into_iter().zip(packages) {
            indexes.push(VerifiedIndex {
                archive: request.archive.clone(),
                suite: request.suite.clone(),
                component: component.to_owned(),
                architecture: request.architecture,
                key: key.clone(),
                release_sha256,
                date: release.date,
                valid_until: release.valid_until,
                automatic: release.automatic,
                packages,
            });
        }
        Ok(indexes)
    }

    fn release(&self, request: &SuiteRequest, trust: Trust<'_>) -> Result<(Believed, Sha256), ReleaseError> {
        let SuiteRequest { archive, suite, snapshot, .. } = request;
        let mirrors = &self.options.mirrors;
        let places = |file: &str| -> Vec<Candidate> {
            let path = request.path(file);
            match snapshot {
                Some(time) => mirrors.snapshot(archive, &path, *time).into_iter().collect(),
                None => {
                    mirrors.candidates(&Source::Debian { archive: archive.clone(), path, snapshot: Some(trust.now) })
                }
            }
        };
        let mut refused = Vec::new();
        let apart = places("Release").into_iter().zip(places("Release.gpg"));
        for (candidate, apart) in places("InRelease").into_iter().zip(apart) {
            let mut blamed = candidate.clone();
            let document = self.document_from(&candidate, MAX_RELEASE).map_err(Refusal::Fetch);
            let believed = match document {
                Ok(document) => in_release(&document.bytes, trust).map(|(text, key)| (text, key, document.bytes)),
                Err(Refusal::Fetch(missing @ Problem::NotThere(_))) => {
                    match self.release_apart(&apart, trust) {
                        // Neither is there: the usual one is the one to name.
                        Err(Refusal::Fetch(Problem::NotThere(_))) => Err(Refusal::Fetch(missing)),
                        other => {
                            blamed = apart.0;
                            other
                        }
                    }
                }
                Err(other) => Err(other),
            };
            let judged = believed.and_then(|(text, key, bytes)| {
                Ok((Believed { release: judge(&text, request, trust)?, key }, Sha256::of(&bytes)))
            });
            match judged {
                Ok(believed) => return Ok(believed),
                Err(why) => refused.push(Refused { url: blamed.url(), told_by: blamed.told_by, why }),
            }
        }
        Err(ReleaseError::NoRelease { archive: archive.clone(), suite: suite.clone(), refused })
    }

    /// The text of a `Release` that has its signature beside it, who signed it, and its bytes.
    fn release_apart(
        &self,
        (release, signature): &(Candidate, Candidate),
        trust: Trust<'_>,
    ) -> Result<(String, String, Vec<u8>), Refusal> {
        let bytes = self.document_from(release, MAX_RELEASE).map_err(Refusal::Fetch)?.bytes;
        let signature = self.document_from(signature, MAX_SIGNATURE).map_err(|problem| match problem {
            Problem::NotThere(_) => Refusal::Signature(SignatureError::Missing),
            problem => Refusal::Fetch(problem),
        })?;
        let signatory = trust.keyring.verify_detached(&bytes, &signature.bytes, trust.now)?;
        match String::from_utf8(bytes.clone()) {
            Ok(text) => Ok((text, signatory.certificate, bytes)),
            Err(_) => Err(SignatureError::Malformed("it is not UTF-8".to_owned()).into()),
        }
    }
}

/// A release, and the fingerprint of the certificate that vouches for it.
struct Believed {
    release: Release,
    key: String,
}

/// The text within an `InRelease` and the fingerprint of who signed it, if it may be believed.
fn in_release(bytes: &[u8], trust: Trust<'_>) -> Result<(String, String), Refusal> {
    let signed = trust.keyring.verify(bytes, trust.now)?;
    Ok((signed.text, signed.certificate))
}

/// The release that `text` says, if it is what was asked for.
fn judge(text: &str, request: &SuiteRequest, trust: Trust<'_>) -> Result<Release, Refusal> {
    let release = Release::parse(text)?;
    // What a flat archive calls itself says nothing about where it is; apt does not compare it either.
    if release.has_name() && !request.is_flat() && !release.is_named(&request.suite) {
        let names = [&release.suite, &release.codename].into_iter().flatten().cloned().collect::<Vec<_>>();
        return Err(Refusal::Suite(names.join(" or ")));
    }
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    if seconds(release.date) > trust.now + CLOCK_SLACK {
        return Err(Refusal::Future(seconds(release.date)));
    }
    match release.valid_until.map(seconds) {
        Some(until) if until < trust.now && request.validity == Validity::Enforced => Err(Refusal::Expired(until)),
        _ => Ok(release),
    }
}

fn list(refused: &[Refused]) -> String {
    if refused.is_empty() {
        ": no mirror is known".to_owned()
    } else {
        refused.iter().map(|r| format!("\n  {r}")).collect()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.url, self.told_by, self.why)
    }
}
