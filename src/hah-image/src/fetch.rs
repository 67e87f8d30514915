//! The one doorway to the network: inputs named by their digest, and the signed indexes that name them.
//!
//! ```text
//! Item{sha256, size, source} ─→ candidates: flag, config, host's apt sources, …, snapshot archive    mirrors
//!        │                         each in turn, retried, resumed, hashed while it streams           download
//!        └─→ DOWNLOADS/sha256/HEX.part  (locked; survives kill -9 and is resumed)  ─rename→  HEX  partial
//!
//! Artifact ─→ checksum file ─signature of its vendor→ sha256                                       vendor
//! SuiteRequest ─→ InRelease ─signature, dates, name→ Release ─sha256→ Packages.xz ─→ VerifiedIndex    release
//! ```
//!
//! Mirrors are not trusted with anything but time: what they serve is what was asked for, byte for byte, or it is thrown
//! away and the next one is asked. A directory or a `file://` URL is a mirror like any other.
//! Asynchronous inside, since downloads wait; every public function is synchronous.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use hah_format::digest::Sha256;

pub mod mirrors;
pub mod apt_sources;
pub mod apt_conf;
mod route;
mod partial;
mod transfer;
mod download;
mod error;
pub mod policy;
pub mod keyring;
pub mod release;
pub mod vendor;
#[cfg(test)]
mod server;
#[cfg(test)]
mod signer;
#[cfg(test)]
mod tests;

pub use error::{FetchError, Problem, Tried, Unavailable};
pub use keyring::Keyring;
use mirrors::Candidate;
pub use mirrors::Mirrors;
pub use release::{ReleaseError, SuiteRequest, Trust, Validity, VerifiedIndex};
pub use route::AptEnvironment;
pub use vendor::{VouchError, Vouched};

/// A file to be had, known by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What people call it: `bash 5.2.37-2 (arm64)`.
    pub name: String,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Length in bytes, where the lock or an index gives it; [`FetchOptions::max_bytes`] is the bound otherwise.
    pub size: Option<u64>,
    /// Where to look.
    pub source: Source,
}

/// Where a file may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a Debian archive: below every mirror that is known for it, and at last in the snapshot archive.
    Debian {
        /// `debian` or `debian-security`.
        archive: String,
        /// Path below the archive's base: `pool/main/b/bash/bash_5.2.37-2_arm64.deb`.
        path: String,
        /// A time at which the archive held the file, in seconds since 1970; without one, no snapshot is asked.
        snapshot: Option<u64>,
    },
    /// On a release site: below every mirror that is known for it, and at last at its own URL.
    Release {
        /// The name that mirrors are configured under.
        mirror: Option<String>,
        /// Its own URL, whose scheme and host a mirror takes the place of.
        url: String,
    },
    /// At these URLs (`http`, `https`, `file`) or absolute paths, the first being the most wanted.
    Urls(Vec<String>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian { archive, path, .. } => write!(f, "{archive}: {path}"),
            Self::Release { url, .. } => f.write_str(url),
            Self::Urls(urls) => f.write_str(urls.first().map_or("(no URL)", String::as_str)),
        }
    }
}

/// Whether the network may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It may.
    Online,
    /// It may not: only the download cache and local directories are looked at.
    Offline,
}

/// How a [`Fetcher`] works.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// The download cache; files appear as `sha256/HEX` below it.
    pub downloads: PathBuf,
    /// Where archives are found.
    pub mirrors: Mirrors,
    /// Whether the network may be used.
    pub mode: Mode,
    /// Simultaneous downloads.
    pub jobs: NonZeroUsize,
    /// Attempts per mirror and file before the next mirror is asked.
    pub attempts: u32,
    /// Wait before the second attempt; it doubles with each, with up to half as much again as jitter, up to 20 seconds.
    pub first_delay: Duration,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Longest silence while waiting for an answer or for more of it.
    pub idle_timeout: Duration,
    /// Longest file of unknown size, in bytes.
    pub max_bytes: u64,
    /// Whether proxies are used.
    pub proxies: Proxies,
}

/// Which proxies are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// Those that `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` name.
    Environment,
    /// None.
    Direct,
}

impl FetchOptions {
    /// Patient defaults: 8 downloads at a time, 4 attempts, 15 seconds to connect, 30 seconds of silence, 4 GiB.
    pub fn new(downloads: PathBuf, mirrors: Mirrors) -> Self {
        Self {
            downloads,
            mirrors,
            mode: Mode::Online,
            jobs: NonZeroUsize::new(8).unwrap_or(NonZeroUsize::MIN),
            attempts: 4,
            first_delay: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            max_bytes: 4 << 30,
            proxies: Proxies::Environment,
        }
    }
}

/// Who is told how downloads go. Called on the caller's thread, in no order across items.
pub trait Events {
    /// The item is not in the cache and its download begins.
    fn started(&self, _item: &Item) {}
    /// So many bytes of it are there.
    fn progress(&self, _item: &Item, _bytes: u64) {}
    /// An attempt failed and another follows, from this mirror or the next; `why` is one line.
    fn retrying(&self, _item: &Item, _why: &str) {}
    /// Another process is downloading it.
    fn waiting(&self, _item: &Item) {}
    /// The item is there and is what was asked for.
    fn finished(&self, _item: &Item, _from: Provenance<'_>) {}
}

/// Where an item came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance<'a> {
    /// It was in the download cache, or another process put it there.
    Cache,
    /// This URL.
    Url(&'a str),
}

/// Tells nobody.
pub struct Silent;

impl Events for Silent {}

/// Fetches files by digest and indexes by signature.
#[derive(Clone, Debug)]
pub struct Fetcher {
    options: FetchOptions,
}

impl Fetcher {
    /// A fetcher; nothing is touched yet.
    pub fn new(options: FetchOptions) -> Self {
        Self { options }
    }

    /// Its options.
    pub fn options(&self) -> &FetchOptions {
        &self.options
    }

    /// Where the file with this digest is or would be.
    pub fn path(&self, sha256: &Sha256) -> PathBuf {
        self.options.downloads.join("sha256").join(sha256.to_string())
    }

    /// Makes sure that every item is in the download cache, and returns their paths in the same order.
    ///
    /// What is there already is trusted (`store verify` re-hashes). When some cannot be had the others are fetched all the
    /// same, unless it is the disk or the fifth failure.
    pub fn fetch_all(&self, items: &[Item], events: &dyn Events) -> Result<Vec<PathBuf>, FetchError> {
        let missing: Vec<usize> = (0..items.len())
            .filter(|index| {
                let there = partial::is_complete(&self.path(&items[*index].sha256), items[*index].size);
                if there {
                    events.finished(&items[*index], Provenance::Cache);
                }
                !there
            })
            .collect();
        if !missing.is_empty() {
            download::run(&self.options, items, &missing, events)?;
        }
        Ok(items.iter().map(|item| self.path(&item.sha256)).collect())
    }

    /// The first of `source`'s files that can be had, at most `max` bytes of it: for documents whose digest is not known,
    /// such as a signature or a list of checksums. Nothing is cached and nothing is checked.
    pub fn document(&self, source: &Source, max: u64) -> Result<Document, FetchError> {
        let mut tried = Vec::new();
        for candidate in self.options.mirrors.candidates(source) {
            match self.document_from(&candidate, max) {
                Ok(document) => return Ok(document),
                Err(problem) => tried.push(Tried { url: candidate.url(), told_by: candidate.told_by, problem }),
            }
        }
        Err(FetchError::Unavailable(vec![Unavailable { name: source.to_string(), sha256: None, tried }]))
    }

    /// [`Fetcher::document`] from one place.
    fn document_from(&self, candidate: &Candidate, max: u64) -> Result<Document, Problem> {
        download::document(&self.options, candidate, max)
    }
}

/// A file that nobody has vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The URL that served it.
    pub url: String,
}
