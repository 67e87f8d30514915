//! What can go wrong with a download, and with whom.

use std::fmt;
use std::io;
use std::path::PathBuf;

use hah_format::digest::Sha256;

/// A download that failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Files that no mirror could give. Never empty.
    #[error("{}", list(.0))]
    Unavailable(Vec<Unavailable>),
    /// The download cache cannot be written. Nothing half-written was kept under a final name.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Disk {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

impl FetchError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let problems = |wanted: fn(&Problem) -> bool| match self {
            Self::Unavailable(files) => files.iter().flat_map(|file| &file.tried).any(|tried| wanted(&tried.problem)),
            _ => false,
        };
        let hint = match self {
            Self::Disk { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "the disk is full: free some space, run `hah-image gc`, or choose another --cache-dir"
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "choose a directory that you may write with --cache-dir"
                }
                _ => "check the disk that holds the download cache",
            },
            Self::Client(_) => "check that the system has CA certificates, or use http or file:// mirrors",
            Self::Unavailable(files) if files.iter().all(|file| file.tried.is_empty()) => {
                "no mirror is known: name one with --mirror debian=URL"
            }
            _ if self.is_mismatch() => {
                "the mirror is damaged or lies: name another with --mirror; what it served was thrown away"
            }
            _ if problems(|problem| matches!(problem, Problem::Offline)) => {
                "run once without --offline, or name a local mirror with --mirror debian=file:///DIR"
            }
            _ if problems(|problem| matches!(problem, Problem::Connect(_) | Problem::Silence(_))) => {
                "check the network and https_proxy; downloads continue where they stopped when you run this again"
            }
            _ => "the file may have left the archive: run `hah-image update`, or name another mirror with --mirror",
        };
        Some(hint.to_owned())
    }

    /// Whether somebody served bytes other than those that the lock or an index names.
    pub fn is_mismatch(&self) -> bool {
        let Self::Unavailable(files) = self else { return false };
        let wrong = |tried: &Tried| matches!(tried.problem, Problem::Digest { .. } | Problem::Size { .. });
        files.iter().flat_map(|file| &file.tried).any(wrong)
    }
}

/// A file that no mirror could give.
#[derive(Debug)]
pub struct Unavailable {
    /// What people call it.
    pub name: String,
    /// Its digest, when it has one.
    pub sha256: Option<Sha256>,
    /// Who was asked, in order.
    pub tried: Vec<Tried>,
}

/// One mirror that was asked.
#[derive(Debug)]
pub struct Tried {
    /// The URL or path.
    pub url: String,
    /// Who named this mirror: `--mirror`, a settings file, `/etc/apt/…`.
    pub told_by: String,
    /// Why it did not help.
    pub problem: Problem,
}

/// Why one place could not give a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It says so.
    #[error("it is not there ({0})")]
    NotThere(String),
    /// It answers with an error.
    #[error("the server answered {0}")]
    Status(u16),
    /// No connection, or a broken one.
    #[error("{0}")]
    Connect(String),
    /// Nothing came for so many seconds.
    #[error("nothing came for {0} seconds")]
    Silence(u64),
    /// The connection ended early.
    #[error("the connection ended after {got} of {want} bytes")]
    Short {
        /// Bytes that came.
        got: u64,
        /// Bytes that should have come.
        want: u64,
    },
    /// The length is wrong.
    #[error("WRONG FILE: it has {got} bytes instead of {want}")]
    Size {
        /// The length there, or as much as was looked at.
        got: u64,
        /// The length in the lock or index.
        want: u64,
    },
    /// More bytes than anything of this kind may have.
    #[error("it is longer than {0} bytes")]
    TooLong(u64),
    /// The bytes are wrong.
    #[error("WRONG BYTES: their SHA-256 is {got}")]
    Digest {
        /// What the mirror's bytes hash to.
        got: Sha256,
    },
    /// It would need the network, which is forbidden.
    #[error("not asked: --offline")]
    Offline,
    /// It has failed for other files in this run.
    #[error("not asked again: it does not answer")]
    Down,
    /// It cannot be parsed.
    #[error("it is not a URL that can be fetched: {0}")]
    Url(String),
}

fn list(files: &[Unavailable]) -> String {
    files.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot fetch {}", self.name)?;
        if let Some(sha256) = &self.sha256 {
            write!(f, " (SHA-256 {sha256})")?;
        }
        if self.tried.is_empty() {
            write!(f, ": no mirror is known")?;
        }
        self.tried.iter().try_for_each(|tried| write!(f, "\n  {tried}"))
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.url, self.told_by, self.problem)
    }
}
