//! Files in the making: complete before they have their name, gone when their maker dies.
//!
//! A draft is written beside its destination (same file system) and renamed onto it when it is complete.
//! It is held by `flock` meanwhile, so that a sweep can tell a living maker's draft from what a killed one left behind.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

/// A file being made: unnamed until [`Draft::publish`] renames it; removed when dropped before.
pub struct Draft {
    file: File,
    path: PathBuf,
    published: bool,
}

impl Draft {
    /// A fresh, locked file at `path`, readable and writable.
    pub fn create(path: &Path) -> io::Result<Self> {
        loop {
            // Emptied only when it is locked: in another container another process of our id may be writing it.
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
            let file = file.map_err(|error| annotate(error, "create", path))?;
            file.lock().map_err(|error| annotate(error, "lock", path))?;
            // Between opening and locking a sweep may have taken it for a dead one's, or its maker may have published it.
            if names(path, &file).map_err(|error| annotate(error, "create", path))? {
                file.set_len(0).map_err(|error| annotate(error, "write", path))?;
                return Ok(Self { file, path: path.to_owned(), published: false });
            }
        }
    }

    /// The file, at its start when fresh.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Writes all of `bytes`; the error names the draft.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).map_err(|error| annotate(error, "write", &self.path))
    }

    /// Where it is now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the finished file its name, replacing what had it.
    pub fn publish(mut self, path: &Path) -> io::Result<()> {
        self.file.flush().map_err(|error| annotate(error, "write", &self.path))?;
        fs::rename(&self.path, path)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: what stays behind is swept later.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the files in `directory` that `is_draft` names and that no living process holds.
pub fn sweep(directory: &Path, is_draft: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let named = path.file_name().and_then(|name| name.to_str()).is_some_and(&is_draft);
        let Some(file) = named.then(|| File::open(&path).ok()).flatten() else { continue };
        match file.try_lock() {
            Ok(()) => {
                let _ = std::fs::remove_file(&path);
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
    Ok(())
}

/// Whether `path` names `file`.
fn names(path: &Path, file: &File) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// An I/O error that says what was done to which path.
pub fn annotate(error: io::Error, verb: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sweeps run all the time while drafts are made: none is lost.
    #[test]
    fn a_sweep_takes_no_living_draft() {
        let directory = tempfile::tempdir().unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::SeqCst) {
                    sweep(directory.path(), |name| name.starts_with("draft")).unwrap();
                }
            });
            for number in 0..2_000 {
                let draft = Draft::create(&directory.path().join(format!("draft{number}"))).unwrap();
                draft.publish(&directory.path().join("published")).unwrap();
            }
            is_over.store(true, std::sync::atomic::Ordering::SeqCst);
        });
    }

    /// Two makers of one name, as in two containers that share a cache, take turns.
    #[test]
    fn a_draft_is_not_emptied_under_its_maker() {
        let directory = tempfile::tempdir().unwrap();
        let (draft, final_name) = (directory.path().join("draft"), directory.path().join("final"));
        let mut first = Draft::create(&draft).unwrap();
        first.write(b"first").unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| Draft::create(&draft).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert_eq!(std::fs::read(&draft).unwrap(), b"first");
            first.publish(&final_name).unwrap();
            let second = second.join().unwrap();
            assert_eq!(
                (std::fs::read(&final_name).unwrap(), std::fs::read(second.path()).unwrap()),
                (b"first".to_vec(), vec![])
            );
        });
    }
}
