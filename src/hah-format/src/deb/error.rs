//! What can be wrong with a package, and where.

use std::fmt;
use std::io;

use crate::path::PathError;

/// A place in a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Member of the ar archive, or empty for the archive itself.
    pub member: String,
    /// Offset in bytes: into the uncompressed tar archive when `path` is set, else into the `.deb`.
    pub offset: u64,
    /// Path of the entry inside the tar archive, as far as it is known.
    pub path: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.member.as_str()) {
            (Some(path), member) => write!(f, "{member}: `{path}` at byte {} of the unpacked archive", self.offset),
            (None, "") => write!(f, "byte {}", self.offset),
            (None, member) => write!(f, "{member} at byte {}", self.offset),
        }
    }
}

/// Why a package was refused.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct DebError {
    /// Where.
    pub place: Place,
    /// What. Boxed, since a `Result` of it travels through every layer.
    #[source]
    pub problem: Box<Problem>,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The input does not begin as an ar archive.
    #[error("this is not a Debian package: it does not begin with `!<arch>`")]
    NotAr,
    /// A member header of the ar archive does not hold what it must.
    #[error("the ar header has a bad {0}")]
    ArHeader(&'static str),
    /// The input ends too early.
    #[error("the package ends in the middle")]
    Truncated,
    /// Reading the input failed.
    #[error("cannot read the package: {0}")]
    Input(#[source] io::Error),
    /// `debian-binary` names a version that is not 2.x.
    #[error("package format `{0}` is not 2.x")]
    Version(String),
    /// A member where another was due.
    #[error("found the member `{found}` where {expected} was expected")]
    Order {
        /// The member.
        found: String,
        /// What deb(5) wants here.
        expected: &'static str,
    },
    /// The package ended before this member.
    #[error("the package has no {0}")]
    Missing(&'static str),
    /// The name of a member ends in something that is no known compression.
    #[error("compression `{0}` is not known")]
    Compression(String),
    /// The compressed data is damaged, or wants more memory than allowed.
    #[error("cannot decompress: {0}")]
    Decompress(#[source] io::Error),
    /// The tar archive is damaged.
    #[error("the tar archive is damaged: {0}")]
    Tar(String),
    /// Bytes after the end of the archive.
    #[error("there is data after the end of the archive")]
    TrailingData,
    /// A limit was passed.
    #[error("{what} passes the limit of {limit}")]
    Limit {
        /// What is too large or too many.
        what: &'static str,
        /// The limit, in bytes or entries.
        limit: u64,
    },
    /// A path that may not enter a tree.
    #[error("{0}")]
    Path(#[source] PathError),
    /// A path occurs twice.
    #[error("the path occurs twice")]
    Duplicate,
    /// Something that the package does not ship as a directory stands above this path.
    #[error("`/{0}` above it is not a directory")]
    ParentNotDirectory(String),
    /// A hard link to something that is not a file that came before it.
    #[error("it is a hard link to `{0}`, which is not a file before it in the package")]
    HardLink(String),
    /// The target of a link is empty, too long, not UTF-8, or holds a NUL.
    #[error("its target is empty, too long, not UTF-8 or holds a NUL")]
    LinkTarget,
    /// An entry of a kind that packages may not ship.
    #[error("it is a {0}, which packages may not ship")]
    Kind(&'static str),
    /// The owner's name is not UTF-8.
    #[error("the name of its owner is not UTF-8")]
    Owner,
    /// A member of the control archive that is not a plain file.
    #[error("the control archive may hold only plain files beside `./`")]
    ControlMember,
    /// The visitor failed: not the package's fault.
    #[error("cannot store it: {0}")]
    Visitor(#[source] io::Error),
}

impl DebError {
    pub(super) fn new(place: Place, problem: Problem) -> Self {
        Self { place, problem: Box::new(problem) }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match &*self.problem {
            Problem::NotAr => "check the URL: a mirror may have answered with a web page",
            Problem::Truncated
            | Problem::Decompress(_)
            | Problem::ArHeader(_)
            | Problem::Tar(_)
            | Problem::TrailingData => "the file is damaged: delete it from the download cache and fetch it again",
            Problem::Input(_) => "check the disk that holds the download cache",
            Problem::Limit { .. } => {
                "this is far more than any package of Debian: check where it comes from before raising the limit"
            }
            Problem::Compression(_) | Problem::Version(_) => {
                "hah-image reads format 2.x with gzip, xz, zstd or no compression: repack it with a current dpkg-deb"
            }
            Problem::Visitor(_) => "check free space and permissions of the store",
            _ => "dpkg-deb makes no such package: check where it comes from",
        }
    }
}
