//! Reading files and making room for them: the doorway to the file system for everybody but the writers.
//!
//! Files come into being through [`crate::files::draft`], cards are written by [`crate::flash::target`], downloads grow in
//! `fetch::partial`. Every error here says what was to be done with which file, so that its hint can tell a file that must
//! be readable from a directory that must be writable.

#![cfg_attr(not(test), expect(clippy::disallowed_methods, reason = "the doorway to the file system"))]

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub mod place;
pub mod draft;

/// What was to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at its metadata, or at where a link leads.
    Examine,
    /// Read it, or list a directory.
    Read,
    /// Make it.
    Create,
    /// Write to it.
    Write,
    /// Lock it.
    Lock,
    /// Remove it.
    Remove,
    /// Give it its final name.
    Rename,
}

impl Action {
    fn verb(self) -> &'static str {
        match self {
            Self::Examine => "look at",
            Self::Read => "read",
            Self::Create => "create",
            Self::Write => "write",
            Self::Lock => "lock",
            Self::Remove => "remove",
            Self::Rename => "rename",
        }
    }

    /// Whether it changes the directory or the file.
    fn changes(self) -> bool {
        !matches!(self, Self::Examine | Self::Read)
    }
}

/// The operating system refused to do something with a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {} {}: {source}", action.verb(), path.display())]
pub struct FileError {
    action: Action,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// That `action` failed on `path`.
    pub fn new(action: Action, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    /// Kind of the operating system's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The operating system's error alone, for a sentence that names the file already.
    pub fn into_cause(self) -> io::Error {
        self.source
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind() {
            io::ErrorKind::PermissionDenied if self.action.changes() => {
                Some("the directory is not writable for you: choose another with -o or --cache-dir")
            }
            io::ErrorKind::PermissionDenied => {
                Some("you may not read it: `ls -l` shows whose it is, and who may read it and the directories above it")
            }
            kind => writing_hint(kind),
        }
    }
}

/// What to do about an error that only writing has.
pub fn writing_hint(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::FileTooLarge => {
            Some("files may not be that large here: raise `ulimit -f`, or write elsewhere with -o")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("the disk is full: free some space, or write elsewhere with -o; nothing half-written was kept")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("the file system is read-only: choose another directory with -o or --cache-dir")
        }
        _ => None,
    }
}

/// The operating system's error behind `error`, however deep.
pub fn system_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error may also wrap what is none.
        match error.downcast_ref::<io::Error>() {
            Some(found) if found.get_ref().is_none() => return Some(found),
            _ => next = error.source(),
        }
    }
    None
}

/// For interfaces of the standard library: the whole error stays inside.
impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Turns the operating system's error into one that names `action` and `path`.
pub fn failed(action: Action, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::new(action, path, source)
}

/// Opens a file for reading.
pub fn open(path: impl AsRef<Path>) -> Result<File, FileError> {
    let path = path.as_ref();
    File::open(path).map_err(failed(Action::Read, path))
}

/// A file's content.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    std::fs::read(path).map_err(failed(Action::Read, path))
}

/// At most `limit` bytes of a file.
pub fn read_up_to(path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    open(path)?.take(limit).read_to_end(&mut bytes).map_err(failed(Action::Read, path))?;
    Ok(bytes)
}

/// A file's content as text.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String, FileError> {
    let path = path.as_ref();
    std::fs::read_to_string(path).map_err(failed(Action::Read, path))
}

/// The answer, or none when there is no such file.
pub fn if_there<T>(answer: Result<T, FileError>) -> Result<Option<T>, FileError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Metadata of what a path leads to.
pub fn metadata(path: impl AsRef<Path>) -> Result<Metadata, FileError> {
    let path = path.as_ref();
    std::fs::metadata(path).map_err(failed(Action::Examine, path))
}

/// Metadata of what is at a path, which may be a link.
pub fn symlink_metadata(path: impl AsRef<Path>) -> Result<Metadata, FileError> {
    let path = path.as_ref();
    std::fs::symlink_metadata(path).map_err(failed(Action::Examine, path))
}

/// Where a link leads, one step.
pub fn read_link(path: impl AsRef<Path>) -> Result<PathBuf, FileError> {
    let path = path.as_ref();
    std::fs::read_link(path).map_err(failed(Action::Examine, path))
}

/// The absolute path without links.
pub fn canonicalize(path: impl AsRef<Path>) -> Result<PathBuf, FileError> {
    let path = path.as_ref();
    std::fs::canonicalize(path).map_err(failed(Action::Examine, path))
}

/// The paths of what is in a directory, sorted.
pub fn entries(directory: impl AsRef<Path>) -> Result<Vec<PathBuf>, FileError> {
    let directory = directory.as_ref();
    let listed = std::fs::read_dir(directory).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = listed.map_err(failed(Action::Read, directory))?;
    paths.sort();
    Ok(paths)
}

/// Makes a directory and those above it.
pub fn create_directory(path: impl AsRef<Path>) -> Result<(), FileError> {
    let path = path.as_ref();
    std::fs::create_dir_all(path).map_err(failed(Action::Create, path))
}

/// Removes a file.
pub fn remove(path: impl AsRef<Path>) -> Result<(), FileError> {
    let path = path.as_ref();
    std::fs::remove_file(path).map_err(failed(Action::Remove, path))
}

/// Removes a directory and everything in it.
pub fn remove_tree(path: impl AsRef<Path>) -> Result<(), FileError> {
    let path = path.as_ref();
    std::fs::remove_dir_all(path).map_err(failed(Action::Remove, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same permission error twice: only who wanted to write is told to write elsewhere.
    #[test]
    fn who_reads_is_not_told_to_write_elsewhere() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let hint = |action| FileError::new(action, Path::new("recipes/base.toml"), denied()).hint().unwrap();
        for action in [Action::Read, Action::Examine] {
            assert!(!hint(action).contains("-o") && hint(action).contains("read"), "{}", hint(action));
        }
        for action in [Action::Create, Action::Write, Action::Lock, Action::Remove, Action::Rename] {
            assert!(hint(action).contains("-o or --cache-dir"), "{}", hint(action));
        }
    }

    #[test]
    fn the_cause_stays_behind_an_io_error() {
        let error: io::Error = read(Path::new("/nowhere/at/all")).unwrap_err().into();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "cannot read /nowhere/at/all: No such file or directory (os error 2)");
        assert!(error.get_ref().is_some_and(|inner| inner.is::<FileError>()));
        assert!(system_error(&error).is_some());
    }
}
