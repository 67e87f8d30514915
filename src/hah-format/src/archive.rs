//! Release archives: zip, gzipped tar, or the program itself, from a reader to its members.
//!
//! ```text
//! zip     end record ← directory ← local headers   member by member, in the directory's order     zip
//! tar.gz  gzip(tar)                                one pass                                       here, by deb's tar walk
//! file    anything                                 one member called [`WHOLE`]
//! ```
//!
//! Nothing of an archive is trusted, though a digest vouches for its bytes: every size is bounded by [`Limits`], a path is a
//! [`TreePath`] or an error and occurs once, no two members share bytes, and what a header claims is what comes.
//! Nothing is unpacked to disk, so a link leads nowhere; it is told of, for messages.
//! Owners, modes and times in archives are whoever's built it, and are not told of: a recipe says what they are to be.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Seek};

use flate2::bufread::GzDecoder;

use crate::deb::{self, Bounds, Entry, Paths};
use crate::path::{PathError, TreePath};
use crate::tree::{Kind, Meta};

mod zip;
#[cfg(test)]
mod tests;

/// What an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The program itself.
    File,
    /// A zip archive, deflated or stored.
    Zip,
    /// A gzipped tar archive.
    TarGz,
}

/// What the only member of a [`Format::File`] is called.
pub const WHOLE: &str = "file";

/// Bounds on what an archive may claim or unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of all members.
    pub bytes: u64,
    /// Members.
    pub members: u32,
}

/// Room for the largest releases, several times over: Vault has 500 MB.
impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 30, members: 100_000 }
    }
}

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
#[error("{}{problem}", .member.as_ref().map(|member| format!("`{member}`: ")).unwrap_or_default())]
pub struct ArchiveError {
    /// The member, as the archive spells it, when it is one member's fault.
    pub member: Option<String>,
    /// What is wrong.
    #[source]
    pub problem: Box<Problem>,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no end record.
    #[error("this is not a zip archive: it has no directory at its end")]
    NotZip,
    /// It does not begin as gzip does.
    #[error("this is not a gzipped tar archive")]
    NotGzip,
    /// It ends too early.
    #[error("the archive ends in the middle")]
    Truncated,
    /// Something contradicts the format.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// Bytes after the end.
    #[error("there is data after the end of the archive")]
    TrailingData,
    /// Reading failed.
    #[error("cannot read the archive: {0}")]
    Input(#[source] io::Error),
    /// A limit was passed.
    #[error("{what} passes the limit of {limit}")]
    Limit {
        /// What is too large or too many.
        what: &'static str,
        /// The limit, in bytes or members.
        limit: u64,
    },
    /// A password is wanted.
    #[error("it is encrypted")]
    Encrypted,
    /// Neither stored nor deflated.
    #[error("it is compressed with method {0}; stored and deflated members are read")]
    Method(String),
    /// A path that may not enter a tree.
    #[error("{0}")]
    Path(#[source] PathError),
    /// A path from the root.
    #[error("it is an absolute path")]
    Absolute,
    /// A path occurs twice.
    #[error("the path occurs twice")]
    Duplicate,
    /// Something that is no directory stands above this path.
    #[error("`{0}` above it is not a directory")]
    ParentNotDirectory(String),
    /// Two members have bytes in common.
    #[error("it shares bytes of the archive with `{0}`")]
    Overlap(String),
    /// The directory and the member's own header disagree.
    #[error("its own header calls it `{0}`")]
    LocalName(String),
    /// Neither a file, a directory nor a link.
    #[error("it is a {0}, which no program is")]
    Kind(&'static str),
    /// What else the tar walk found.
    #[error("{0}")]
    Tar(String),
    /// The visitor failed: not the archive's fault.
    #[error("cannot store it: {0}")]
    Visitor(#[source] io::Error),
}

impl ArchiveError {
    fn new(member: Option<String>, problem: Problem) -> Self {
        Self { member, problem: Box::new(problem) }
    }

    fn whole(problem: Problem) -> Self {
        Self::new(None, problem)
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match &*self.problem {
            Problem::NotZip | Problem::NotGzip => "check `format` and `url` of the artifact in its recipe",
            Problem::Truncated | Problem::Damaged(_) | Problem::TrailingData => {
                "its digest is right, so the release itself is damaged: take another version, or ask its vendor"
            }
            Problem::Input(_) => "check the disk that holds the download cache",
            Problem::Limit { .. } => "this is far more than any release has: check where it comes from",
            Problem::Encrypted => "artifacts with passwords cannot be used: unpack it and feed the program itself",
            Problem::Method(_) => "pack it again with deflate: `zip -r`",
            Problem::Visitor(_) => "check free space and permissions of the store",
            _ => "no release is packed like this: check where it comes from",
        }
    }
}

/// Who is told of every member: its path, and a [`Kind`] with a file's size in bytes. `content` yields a file's bytes.
pub type Visitor<'a> = dyn FnMut(Entry, &mut dyn Read) -> io::Result<()> + 'a;

/// Reads the whole of `source` and tells `visitor` of its members.
pub fn read<R: Read + Seek>(
    source: R,
    format: Format,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<(), ArchiveError> {
    match format {
        Format::File => file(source, limits, visitor),
        Format::Zip => zip::read(source, limits, visitor),
        Format::TarGz => tar_gz(BufReader::with_capacity(64 << 10, source), limits, visitor),
    }
}

/// A file in a zip archive, to be read by whoever wants no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZipFile {
    /// Its path, as the archive spells it; what is not ASCII is escaped.
    pub name: String,
    /// Where its packed bytes are in the archive.
    pub packed: std::ops::Range<u64>,
    /// Whether they are deflated, or stored as they are.
    pub is_deflated: bool,
    /// Bytes when unpacked, as the archive claims.
    pub size: u64,
    /// CRC-32 of the unpacked bytes, as the archive claims.
    pub crc32: u32,
}

/// The files of a zip archive in the order of its directory, which is judged as in [`read`]. None of them is read.
pub fn zip_files<R: Read + Seek>(source: R, limits: &Limits) -> Result<Vec<ZipFile>, ArchiveError> {
    zip::files(source, limits)
}

/// What an archive says of an entry that counts.
fn entry(path: TreePath, kind: Kind<u64>) -> Entry {
    Entry { path, meta: Meta::root(0o644), kind }
}

fn file<R: Read + Seek>(mut source: R, limits: &Limits, visitor: &mut Visitor<'_>) -> Result<(), ArchiveError> {
    let input = |error| ArchiveError::whole(Problem::Input(error));
    let size = source.seek(io::SeekFrom::End(0)).map_err(input)?;
    source.rewind().map_err(input)?;
    if size > limits.bytes {
        return Err(ArchiveError::whole(Problem::Limit { what: "its size in bytes", limit: limits.bytes }));
    }
    let path = TreePath::parse(WHOLE).map_err(|error| ArchiveError::whole(Problem::Path(error)))?;
    visitor(entry(path, Kind::File(size)), &mut source).map_err(|error| ArchiveError::whole(Problem::Visitor(error)))
}

fn tar_gz<R: BufRead>(mut source: R, limits: &Limits, visitor: &mut Visitor<'_>) -> Result<(), ArchiveError> {
    let start = source.fill_buf().map_err(|error| ArchiveError::whole(Problem::Input(error)))?;
    if !start.starts_with(&[0x1f, 0x8b]) {
        return Err(ArchiveError::whole(Problem::NotGzip));
    }
    let bounds = Bounds { bytes: limits.bytes, entries: limits.members, memory: 0 };
    let mut paths = Paths::default();
    let walked = deb::tar(GzDecoder::new(source), &bounds, &mut |mut told, content| {
        if matches!(told.kind, Kind::CharDevice(..) | Kind::BlockDevice(..) | Kind::Fifo) {
            return Err(deb::Problem::Kind(told.kind.noun()));
        }
        paths.admit(&mut told)?;
        visitor(entry(told.path, told.kind), content).map_err(deb::Problem::Visitor)
    });
    let mut rest = walked.map_err(|(at, problem)| ArchiveError::new(at.path, of_tar(problem)))?.into_inner();
    match rest.fill_buf() {
        Ok([]) => Ok(()),
        Ok(_) => Err(ArchiveError::whole(Problem::TrailingData)),
        Err(error) => Err(ArchiveError::whole(Problem::Input(error))),
    }
}

/// What the tar walk found, in the words of archives.
fn of_tar(problem: deb::Problem) -> Problem {
    match problem {
        deb::Problem::Truncated => Problem::Truncated,
        deb::Problem::TrailingData => Problem::TrailingData,
        deb::Problem::Decompress(error) => Problem::Damaged(error.to_string()),
        deb::Problem::Tar(reason) => Problem::Damaged(reason),
        deb::Problem::Limit { what, limit } => Problem::Limit { what, limit },
        deb::Problem::Path(error) => Problem::Path(error),
        deb::Problem::Duplicate => Problem::Duplicate,
        deb::Problem::ParentNotDirectory(above) => Problem::ParentNotDirectory(above),
        deb::Problem::Kind(noun) => Problem::Kind(noun),
        deb::Problem::Visitor(error) => Problem::Visitor(error),
        other => Problem::Tar(other.to_string()),
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Zip => "zip",
            Self::TarGz => "tar.gz",
        })
    }
}
