//! A download in the making: `HEX.part`, locked by whoever writes it, renamed to `HEX` when it is what it should be.
//!
//! The lock is an flock on the part itself, so nothing is left over when its holder is killed, and the bytes that are there
//! are resumed by the next one. A part may be renamed or removed while somebody waits for its lock; whoever gets the lock
//! looks whether the name still means the file that is locked, and begins anew when it does not.

#![cfg_attr(
    not(test),
    expect(clippy::disallowed_methods, reason = "the doorway of downloads, which grow where they are")
)]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hah_format::digest::{Hashing, Sha256};

use super::FetchError;
use crate::files::draft::is_same;

/// How often a lock that somebody else holds is tried.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// Whether `path` is there, with this many bytes when their number is known.
pub(super) fn is_complete(path: &Path, size: Option<u64>) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && size.is_none_or(|size| size == meta.len()))
}

/// What became of a claim.
pub(super) enum Claim {
    /// The file is there already.
    Complete,
    /// The part is ours; it may hold bytes of an earlier attempt, which are hashed already.
    Ours(Part),
}

/// A part that this process has locked.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    complete: PathBuf,
    hashed: Hashing<io::Sink>,
}

/// Whether `path` leads to `file` still; a link in a person's cache is the person's wish.
fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    is_same(std::fs::metadata(path), file)
}

impl Part {
    /// Locks the part of `complete`; waits while another holds it, calling `waiting` once.
    pub(super) async fn claim(
        complete: &Path,
        size: Option<u64>,
        mut waiting: impl FnMut(),
    ) -> Result<Claim, FetchError> {
        let path = complete.with_extension("part");
        let disk = |source| FetchError::Disk { path: path.clone(), source };
        if let Some(directory) = complete.parent() {
            std::fs::create_dir_all(directory).map_err(disk)?;
        }
        loop {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(disk)?;
            let mut told = false;
            loop {
                match file.try_lock() {
                    Ok(()) => break,
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(source)) => return Err(disk(source)),
                }
                if !std::mem::replace(&mut told, true) {
                    waiting();
                }
                tokio::time::sleep(LOCK_POLL).await;
            }
            let named = leads_to(&path, &file).map_err(disk)?;
            if is_complete(complete, size) {
                if named {
                    let _ = std::fs::remove_file(&path);
                }
                return Ok(Claim::Complete);
            }
            if named {
                let hashed = Hashing::new(io::sink());
                let mut part = Self { file, path, complete: complete.to_owned(), hashed };
                part.hash_what_is_there(size)?;
                return Ok(Claim::Ours(part));
            }
        }
    }

    fn hash_what_is_there(&mut self, size: Option<u64>) -> Result<(), FetchError> {
        let length = self.file.metadata().map_err(|source| self.disk(source))?.len();
        if size.is_some_and(|size| length > size) {
            return self.restart();
        }
        let copied = io::copy(&mut (&self.file).take(length), &mut self.hashed);
        copied.map(drop).map_err(|source| self.disk(source))
    }

    /// Bytes that are there.
    pub(super) fn bytes(&self) -> u64 {
        self.hashed.bytes()
    }

    /// Adds bytes at the end. A full disk takes the part with it.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        if let Err(source) = self.file.write_all(bytes) {
            // The first error is the one to tell, whatever becomes of the part.
            let _ = self.restart();
            return Err(self.disk(source));
        }
        self.hashed.write_all(bytes).map_err(|source| self.disk(source))
    }

    /// Forgets all bytes.
    pub(super) fn restart(&mut self) -> Result<(), FetchError> {
        self.hashed = Hashing::new(io::sink());
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map(drop).map_err(|source| self.disk(source))
    }

    /// Publishes the part under its final name if its bytes are `want`; else forgets them and returns what they are.
    pub(super) fn publish(&mut self, want: &Sha256) -> Result<Result<(), Sha256>, FetchError> {
        let (got, ..) = std::mem::replace(&mut self.hashed, Hashing::new(io::sink())).finish();
        if got != *want {
            self.restart()?;
            return Ok(Err(got));
        }
        let published = self.file.sync_all().and_then(|()| {
            std::fs::rename(&self.path, &self.complete)?;
            match self.complete.parent() {
                Some(directory) => File::open(directory)?.sync_all(),
                None => Ok(()),
            }
        });
        published.map_err(|source| self.disk(source))?;
        Ok(Ok(()))
    }

    fn disk(&self, source: io::Error) -> FetchError {
        FetchError::Disk { path: self.path.clone(), source }
    }
}

/// An empty part is of no use to anybody.
impl Drop for Part {
    fn drop(&mut self) {
        if self.hashed.bytes() == 0 && leads_to(&self.path, &self.file).unwrap_or(false) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
