//! The store: what has been made once and need not be made again.
//!
//! ```text
//! CACHE/                                 $XDG_CACHE_HOME/hah-image, or --cache-dir
//! ├── downloads/sha256/HEX               inputs as fetched, verified
//! ├── packs/v1/HEX.pack                  one .deb or artifact each, by derivation key
//! ├── derived/v1/HEX                     packs of gzipped kernels and costly passes, by derivation key
//! ├── built/HEX.json                     which image stands at which output path, for the no-op build
//! ├── roots/HEX                          path of a project whose lock keeps its inputs alive
//! ├── outputs/HEX.IMAGE                  what making an image of a root left in derived/
//! ├── generations/HEX.{closure,json}      what images that were built are made of, by their closure's digest
//! ├── locks/HEX                          one per key being made; held by flock, so kill -9 frees it
//! ├── lock                               held shared by builds and exclusively by gc
//! └── tmp/                               unfinished; swept when nobody holds its lock
//! ```
//!
//! Everything is append-only: a name appears by `rename` when its content is complete, and is never written again.
//! Two processes that want the same thing meet at its lock; the second finds the first's result.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use hah_format::digest::Sha256;

use crate::advice::{Advised, Exit};
use crate::files::draft::{Draft, sweep};
use crate::files::{self, Action, FileError, failed, system_error};

pub mod gc;
pub mod generations;
pub mod verify;

/// Version of the layout below `packs/`, `derived/`: raised when their meaning changes.
const LAYOUT: &str = "v1";

/// What kind of thing a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Verified inputs, keyed by their own digest.
    Downloads,
    /// Packs, keyed by derivation.
    Packs,
    /// Other derived bytes, keyed by derivation.
    Derived,
}

impl Bucket {
    fn path(self, key: &Sha256) -> PathBuf {
        match self {
            Self::Downloads => PathBuf::from(format!("downloads/sha256/{key}")),
            Self::Packs => PathBuf::from(format!("packs/{LAYOUT}/{key}.pack")),
            Self::Derived => PathBuf::from(format!("derived/{LAYOUT}/{key}")),
        }
    }

    /// Its directory, relative to the store.
    fn directory(self) -> String {
        match self {
            Self::Downloads => "downloads/sha256".into(),
            Self::Packs => format!("packs/{LAYOUT}"),
            Self::Derived => format!("derived/{LAYOUT}"),
        }
    }
}

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system said no; the message names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Making the content failed.
    #[error(transparent)]
    Make(Box<dyn std::error::Error + Send + Sync>),
    /// A download is no longer what was fetched; it was removed.
    #[error("the download of {name} is damaged: its sha256 is {found}, and {wanted} is locked")]
    Damaged {
        /// Whose download.
        name: String,
        /// Locked.
        wanted: Sha256,
        /// On the disk.
        found: Sha256,
    },
}

impl StoreError {
    /// Wraps the error of whoever makes the content.
    pub fn make(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Make(Box::new(error))
    }
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::Io(error.into())
    }
}

impl Advised for StoreError {
    fn hint(&self) -> Option<String> {
        let kind = match self {
            Self::Io(error) => error.kind(),
            Self::Make(error) => system_error(&**error)?.kind(),
            Self::Damaged { .. } => {
                return Some("it was removed from the cache; run the same command again to fetch it anew".into());
            }
        };
        match kind {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("the disk is full: free some space, run `hah-image gc`, or choose another --cache-dir; nothing half-written was kept".into())
            }
            io::ErrorKind::FileTooLarge => {
                Some("files of the cache may not be that large: raise `ulimit -f`, or choose another --cache-dir".into())
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Some("the cache directory is not writable: choose another with --cache-dir or HAH_IMAGE_CACHE_DIR".into())
            }
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Damaged { .. } => Exit::HashMismatch,
            // Of I/O errors, those have a hint that the person can do something about.
            _ if self.hint().is_some() => Exit::User,
            _ => Exit::Build,
        }
    }
}

/// Who else may use the store meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Other builds.
    Shared,
    /// Nobody: things will be removed. Opening waits until all builds have ended.
    Exclusive,
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Held as long as the store is open.
    _lock: File,
}

impl Store {
    /// Opens the store at `root`, creating it, and sweeps what dead processes left unfinished.
    pub fn open(root: &Path, access: Access) -> Result<Self, StoreError> {
        for bucket in [Bucket::Downloads, Bucket::Packs, Bucket::Derived] {
            files::create_directory(root.join(bucket.directory()))?;
        }
        for name in ["built", "roots", "outputs", generations::DIRECTORY, "locks", "tmp"] {
            files::create_directory(root.join(name))?;
        }
        let lock = open_lock(&root.join("lock"))?;
        match access {
            Access::Shared => lock.lock_shared(),
            Access::Exclusive => lock.lock(),
        }
        .map_err(failed(Action::Lock, root))?;
        sweep(&root.join("tmp"), |_| true)?;
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `key` is or would be.
    pub fn path(&self, bucket: Bucket, key: &Sha256) -> PathBuf {
        self.root.join(bucket.path(key))
    }

    /// Whether `key` has been made.
    pub fn contains(&self, bucket: Bucket, key: &Sha256) -> bool {
        self.path(bucket, key).exists()
    }

    /// The file of `key`, made by `make` if nobody has yet.
    ///
    /// Holds the key's lock while making, so that of two processes one makes and the other waits.
    pub fn realise(
        &self,
        bucket: Bucket,
        key: &Sha256,
        make: impl FnOnce(&mut File) -> Result<(), StoreError>,
    ) -> Result<PathBuf, StoreError> {
        let path = self.path(bucket, key);
        if path.exists() {
            return Ok(path);
        }
        let _lock = self.lock(key)?;
        if path.exists() {
            return Ok(path);
        }
        let mut draft = self.draft(key)?;
        make(draft.file())?;
        draft.publish(&path)?;
        Ok(path)
    }

    /// Removes `key`, if it is there.
    pub fn remove(&self, bucket: Bucket, key: &Sha256) -> Result<(), StoreError> {
        files::if_there(files::remove(self.path(bucket, key)))?;
        Ok(())
    }

    /// Takes the lock of `key`, waiting for whoever holds it. Dropping the file frees it; so does dying.
    pub fn lock(&self, key: &Sha256) -> Result<File, StoreError> {
        let path = self.root.join("locks").join(key.to_string());
        let file = open_lock(&path)?;
        file.lock().map_err(failed(Action::Lock, &path))?;
        Ok(file)
    }

    /// A fresh file in `tmp/`.
    fn draft(&self, key: &Sha256) -> Result<Draft, StoreError> {
        Ok(Draft::create(&self.root.join("tmp").join(format!("{key}.{}", std::process::id())))?)
    }
}

/// Opens a lock file, creating it.
#[expect(clippy::disallowed_methods, reason = "a lock is never content: it comes into being empty, and stays so")]
fn open_lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    Ok(file.map_err(failed(Action::Create, path))?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Access::Shared).unwrap();
        (directory, store)
    }

    #[test]
    fn made_once() {
        let (_directory, store) = store();
        let key = Sha256::of(b"key");
        let mut made = 0;
        for _ in 0..2 {
            store
                .realise(Bucket::Packs, &key, |file| {
                    made += 1;
                    file.write_all(b"content").map_err(StoreError::make)
                })
                .unwrap();
        }
        assert_eq!(made, 1);
        assert_eq!(fs::read(store.path(Bucket::Packs, &key)).unwrap(), b"content");
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let (_directory, store) = store();
        let key = Sha256::of(b"key");
        let result = store.realise(Bucket::Packs, &key, |file| {
            file.write_all(b"half").map_err(StoreError::make)?;
            Err(StoreError::make(io::Error::from(io::ErrorKind::StorageFull)))
        });
        assert!(result.unwrap_err().hint().unwrap().contains("disk is full"));
        assert!(!store.contains(Bucket::Packs, &key));
        assert_eq!(fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn drafts_of_the_dead_are_swept_and_of_the_living_are_not() {
        let (directory, store) = store();
        let living = store.draft(&Sha256::of(b"living")).unwrap();
        let dead = store.root().join("tmp/dead.1");
        fs::write(&dead, b"half").unwrap();
        Store::open(directory.path(), Access::Shared).unwrap();
        assert!(!dead.exists());
        assert!(living.path().exists());
    }

    #[test]
    fn two_makers_meet_at_the_lock() {
        let (_directory, store) = store();
        let key = Sha256::of(b"key");
        let made = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    store
                        .realise(Bucket::Derived, &key, |file| {
                            made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            file.write_all(b"x").map_err(StoreError::make)
                        })
                        .unwrap()
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }
}
