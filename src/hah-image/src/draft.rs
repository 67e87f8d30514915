//! Files in the making: complete before they have their name, gone when their maker dies.
//!
//! A draft is written beside its destination (same file system) and renamed onto it when it is complete.
//! It is held by `flock` meanwhile, so that a sweep can tell a living maker's draft from what a killed one left behind.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
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
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(|error| annotate(error, "create", path))?;
        file.lock().map_err(|error| annotate(error, "lock", path))?;
        Ok(Self { file, path: path.to_owned(), published: false })
    }

    /// The file, at its start when fresh.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
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

/// An I/O error that says what was done to which path.
pub fn annotate(error: io::Error, verb: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {verb} {}: {error}", path.display()))
}
