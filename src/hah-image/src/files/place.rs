//! [`Place`]: where a regular file may be written. The one rule for every path that a person names or prepares.
//!
//! | at the path | |
//! |---|---|
//! | nothing | a new file, in a directory that is there or can be made, but not among devices and kernel tables |
//! | a regular file | replaced, whole |
//! | a link | followed to its end, which is one of the two above; the link itself stays |
//! | a device, FIFO, socket, directory | refused: renaming over it would put a file where a device was |
//!
//! [`Draft::publish`](super::draft::Draft::publish) asks again right before it renames, so nothing is replaced that came in the
//! meantime. Whoever works for minutes asks before it begins, too.

#![cfg_attr(not(test), expect(clippy::disallowed_methods, reason = "the doorway to the file system"))]

use std::ffi::OsStr;
use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Links that are followed by hand, as many as the kernel follows.
const LINKS_MAX: u32 = 40;
/// Where a file that is not there is a device that is not there, or a slip of the finger.
const NO_FILES: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Below these files are welcome all the same: memory, and nothing else.
const FILES: [&str; 1] = ["/dev/shm"];

/// A path at which a regular file may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
}

/// Why no file may be written at a path.
#[derive(Debug, thiserror::Error)]
#[error("{} {reason}", path.display())]
pub struct PlaceError {
    path: PathBuf,
    reason: Reason,
}

/// Completes the sentence that begins with the path.
#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("is {0}, and a regular file is to be written there")]
    Node(Node),
    #[error("would be a new file in {0}, which holds devices and tables of the kernel")]
    NoFiles(&'static str),
    #[error("leads to a file that has no name any more")]
    Nameless,
    #[error("is a link that leads to itself")]
    Loop,
    #[error("is below {}, which is not a directory", .0.display())]
    NotDirectory(PathBuf),
    #[error("cannot be written: no file can be made in {}: {source}", directory.display())]
    Unwritable { directory: PathBuf, source: io::Error },
    #[error("cannot be looked at: {0}")]
    Io(#[source] io::Error),
}

/// What is no regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Node {
    #[error("a block device")]
    Block,
    #[error("a character device")]
    Character,
    #[error("a FIFO")]
    Fifo,
    #[error("a socket")]
    Socket,
    #[error("a directory")]
    Directory,
}

impl Node {
    fn of(kind: FileType) -> Option<Self> {
        match kind {
            _ if kind.is_file() => None,
            _ if kind.is_dir() => Some(Self::Directory),
            _ if kind.is_block_device() => Some(Self::Block),
            _ if kind.is_fifo() => Some(Self::Fifo),
            _ if kind.is_socket() => Some(Self::Socket),
            _ => Some(Self::Character),
        }
    }
}

impl PlaceError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match &self.reason {
            Reason::Node(Node::Block) => {
                format!("only flash writes devices: `hah-image flash IMAGE {}`", self.path.display())
            }
            Reason::Node(Node::Directory) => "name a file in it".into(),
            Reason::Node(_) | Reason::Nameless => {
                "name a regular file or a new one; only `hah-image flash` writes devices".into()
            }
            Reason::NoFiles("/dev") => {
                "is the device plugged in, and its name right? Only `hah-image flash` writes devices".into()
            }
            Reason::NoFiles(_) => "name a file elsewhere".into(),
            Reason::Loop => "remove the link, or name another file".into(),
            Reason::NotDirectory(above) => format!("move {} away, or name another directory", above.display()),
            Reason::Unwritable { .. } | Reason::Io(_) => {
                "name another directory (`build` takes one with -o), or make this one writable".into()
            }
        }
    }
}

impl From<PlaceError> for io::Error {
    fn from(error: PlaceError) -> Self {
        let kind = match &error.reason {
            Reason::Io(source) => source.kind(),
            Reason::Unwritable { source, .. } => source.kind(),
            _ => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl Place {
    /// Judges a path. Nothing is opened, made or changed.
    pub fn of(path: &Path) -> Result<Self, PlaceError> {
        place(path).map(|path| Self { path }).map_err(|reason| PlaceError { path: path.to_owned(), reason })
    }

    /// As [`Place::of`], and whether this person may make a file there.
    pub fn to_write(path: &Path) -> Result<Self, PlaceError> {
        use rustix::fs::{Access, access};
        let place = Self::of(path)?;
        let directory = nearest(place.directory());
        match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Ok(place),
            Err(error) => {
                let reason = Reason::Unwritable { directory: directory.to_owned(), source: error.into() };
                Err(PlaceError { path: path.to_owned(), reason })
            }
        }
    }

    /// Where the file is or will be: behind all links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that has it.
    pub fn directory(&self) -> &Path {
        directory(&self.path)
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The first directory above that is there, or what stands in its way.
fn nearest(directory: &Path) -> &Path {
    let there = |path: &&Path| path.as_os_str().is_empty() || std::fs::symlink_metadata(path).is_ok();
    let found = directory.ancestors().find(there).unwrap_or(directory);
    if found.as_os_str().is_empty() { Path::new(".") } else { found }
}

fn place(path: &Path) -> Result<PathBuf, Reason> {
    if names_directory(path.as_os_str()) {
        return Err(Reason::Node(Node::Directory));
    }
    match std::fs::metadata(path) {
        Ok(found) => match Node::of(found.file_type()) {
            Some(node) => Err(Reason::Node(node)),
            None => end_of_links(path, &found),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_file(path),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Err(Reason::Loop),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Reason::NotDirectory(not_a_directory(directory(path)).to_owned()))
        }
        Err(error) => Err(Reason::Io(error)),
    }
}

/// Whether a path can only mean a directory: `d/`, `d/.`, `..`, `/`, and the empty one.
fn names_directory(path: &OsStr) -> bool {
    let last = path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    matches!(last, b"" | b"." | b"..")
}

/// The regular file itself. The kernel's own links lead to files without a name, such as an unlinked one that is open.
fn end_of_links(path: &Path, found: &Metadata) -> Result<PathBuf, Reason> {
    if !std::fs::symlink_metadata(path).map_err(Reason::Io)?.is_symlink() {
        return Ok(path.to_owned());
    }
    let end = std::fs::canonicalize(path).map_err(|_| Reason::Nameless)?;
    let same = std::fs::metadata(&end).is_ok_and(|end| (end.dev(), end.ino()) == (found.dev(), found.ino()));
    if same { Ok(end) } else { Err(Reason::Nameless) }
}

/// Where a path leads at whose end nothing is.
fn new_file(path: &Path) -> Result<PathBuf, Reason> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match std::fs::read_link(&path) {
            Ok(target) => path = directory(&path).join(target),
            Err(_) => {
                if names_directory(path.as_os_str()) {
                    return Err(Reason::Node(Node::Directory));
                }
                return new_name(path);
            }
        }
    }
    Err(Reason::Loop)
}

/// A name that nothing has, nor any link.
fn new_name(path: PathBuf) -> Result<PathBuf, Reason> {
    let above = nearest(directory(&path));
    if !std::fs::metadata(above).is_ok_and(|above| above.is_dir()) {
        return Err(Reason::NotDirectory(above.to_owned()));
    }
    let real = std::fs::canonicalize(above).map_err(Reason::Io)?;
    let below = |places: &[&'static str]| places.iter().copied().find(|place| real.starts_with(place));
    match below(&NO_FILES) {
        Some(place) if below(&FILES).is_none() => Err(Reason::NoFiles(place)),
        _ => Ok(path),
    }
}

/// What stands where a directory should.
fn not_a_directory(directory: &Path) -> &Path {
    let in_the_way = |path: &&Path| std::fs::metadata(path).is_ok_and(|found| !found.is_dir());
    directory.ancestors().find(in_the_way).unwrap_or(directory)
}

#[cfg(test)]
mod tests;
