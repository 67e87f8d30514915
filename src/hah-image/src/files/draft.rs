//! Files in the making: complete before they have their name, gone when their maker dies.
//!
//! A draft is written beside its destination (same file system) and renamed onto it when it is complete.
//! It is held by `flock` meanwhile, so that a sweep can tell a living maker's draft from what a killed one left behind.
//!
//! This is the one doorway through which a person's files come into being or are replaced; [`super::place`] has the rule of what
//! may be replaced, and `cargo xtask tidy` finds whoever goes past both.

#![cfg_attr(not(test), expect(clippy::disallowed_methods, reason = "the doorway to the file system"))]

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::place::Place;
use super::{Action, create_directory, entries, failed};

/// Read and written by the owner, and by nobody else.
const PRIVATE: u32 = 0o600;

/// A file being made: unnamed until [`Draft::publish`] renames it; removed when dropped before.
pub struct Draft {
    file: File,
    path: PathBuf,
    published: bool,
}

impl Draft {
    /// A fresh, locked file at `path`, readable and writable.
    ///
    /// It is always a new one: what somebody else has put there, a link or a second name of another file, is never opened for
    /// writing. A living maker's is waited for, since in another container another process may have our id.
    pub fn create(path: &Path) -> io::Result<Self> {
        loop {
            let file = match options().write(true).create_new(true).open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    clear(path).map_err(failed(Action::Create, path))?;
                    continue;
                }
                Err(error) => return Err(failed(Action::Create, path)(error).into()),
            };
            file.lock().map_err(failed(Action::Lock, path))?;
            // Between making and locking a sweep may have taken it for a dead one's.
            if names(path, &file).map_err(failed(Action::Create, path))? {
                return Ok(Self { file, path: path.to_owned(), published: false });
            }
        }
    }

    /// The draft of the file at `place`, beside it; those of dead makers are swept first. Its directory is made.
    pub fn of(place: &Place) -> io::Result<Self> {
        let name = place.path().file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".{name}.");
        create_directory(place.directory())?;
        sweep(place.directory(), |found| found.starts_with(&prefix) && found.ends_with(".part"))?;
        Self::create(&place.directory().join(format!("{prefix}{}.part", std::process::id())))
    }

    /// The file, at its start when fresh.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Writes all of `bytes`; the error names the draft.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        Ok(self.file.write_all(bytes).map_err(failed(Action::Write, &self.path))?)
    }

    /// Where it is now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the finished file its name, replacing what had it: a regular file or nothing, behind all links.
    pub fn publish(mut self, path: &Path) -> io::Result<()> {
        self.file.flush().map_err(failed(Action::Write, &self.path))?;
        let place = Place::of(path)?;
        std::fs::rename(&self.path, place.path()).map_err(failed(Action::Rename, &self.path))?;
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

/// Follows no link in the last part of a path, and waits for nobody who has not opened the other end of a FIFO.
fn options() -> OpenOptions {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

/// Takes away what has a draft's name and is none of ours: at once, unless a living maker holds it.
fn clear(path: &Path) -> io::Result<()> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let is_file = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_file(),
        Err(error) if gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let holder = if is_file { options().open(path).ok() } else { None };
    if let Some(file) = holder {
        file.lock()?;
        if !names(path, &file)? {
            return Ok(());
        }
    }
    match std::fs::remove_file(path) {
        Err(error) if !gone(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = Draft::of(&Place::of(path)?)?;
    draft.write(bytes)?;
    draft.publish(path)
}

/// Gives a file a second name, which nothing has yet.
///
/// # Errors
/// Among others, on another file system.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    Ok(std::fs::hard_link(from, to).map_err(failed(Action::Create, to))?)
}

/// Gives a file a second name; a copy of its own where there cannot be one, as on another file system.
pub fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    if link(from, to).is_ok() {
        return Ok(());
    }
    let mut draft = Draft::of(&Place::of(to)?)?;
    io::copy(&mut super::open(from)?, draft.file())?;
    draft.publish(to)
}

/// Opens a file to add to its end, and makes it when it is not there.
pub fn append(path: &Path) -> io::Result<File> {
    let place = Place::of(path)?;
    let file = options().append(true).create(true).open(place.path());
    Ok(file.map_err(failed(Action::Write, path))?)
}

/// Makes a file that is not there, readable and writable. Whatever is there already is an error, a link included.
pub fn create_new(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
    Ok(file.map_err(failed(Action::Create, path))?)
}

/// The same, for the eyes of its owner alone: what will hold secrets.
pub fn create_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE).open(path);
    Ok(file.map_err(failed(Action::Create, path))?)
}

/// Takes a file that is there away from everybody but its owner.
pub fn make_private(file: &File) -> io::Result<()> {
    file.set_permissions(std::fs::Permissions::from_mode(PRIVATE))
}

/// Removes the files in `directory` that `is_draft` names and that no living process holds.
pub fn sweep(directory: &Path, is_draft: impl Fn(&str) -> bool) -> io::Result<()> {
    for path in entries(directory)? {
        let named = path.file_name().and_then(|name| name.to_str()).is_some_and(&is_draft);
        let Some(file) = named.then(|| options().open(&path).ok()).flatten() else { continue };
        match file.try_lock() {
            Ok(()) => {
                let _ = std::fs::remove_file(&path);
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
    Ok(())
}

/// Whether `path` still names `file`, and not by way of a link.
fn names(path: &Path, file: &File) -> io::Result<bool> {
    is_same(std::fs::symlink_metadata(path), file)
}

/// Whether what was found at a path is the open `file`; it is not when nothing was.
pub fn is_same(found: io::Result<Metadata>, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    match found {
        Ok(found) => Ok((found.dev(), found.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
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

    /// The link stays, and what it leads to is replaced.
    #[test]
    fn a_link_is_written_through() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("elsewhere")).unwrap();
        std::fs::write(path("elsewhere/file"), "old").unwrap();
        std::os::unix::fs::symlink("elsewhere/file", path("link")).unwrap();
        write(&path("link"), b"new").unwrap();
        assert!(std::fs::symlink_metadata(path("link")).unwrap().is_symlink());
        assert_eq!(std::fs::read(path("elsewhere/file")).unwrap(), b"new");
        let names = std::fs::read_dir(path("elsewhere")).unwrap().count();
        assert_eq!(names, 1, "the draft is gone");
    }

    /// Whatever came to the path since the place was judged stays what it is.
    #[test]
    fn a_fifo_that_came_meanwhile_is_not_replaced() {
        use std::os::unix::fs::FileTypeExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut draft = Draft::of(&Place::of(&path).unwrap()).unwrap();
        draft.write(b"new").unwrap();
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let error = draft.publish(&path).unwrap_err();
        assert!(error.to_string().contains("is a FIFO"), "{error}");
        assert!(std::fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
        assert!(append(&path).unwrap_err().to_string().contains("is a FIFO"));
        assert!(create_new(&path).is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "the draft is gone");
    }

    /// Whoever may write to the directory waits with a link at the name that a draft will have, and has us write elsewhere.
    #[test]
    fn what_waits_at_a_draft_s_name_is_not_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("victim"), "precious").unwrap();
        let place = Place::of(&path("file")).unwrap();
        let draft = path(&format!(".file.{}.part", std::process::id()));
        let fifo = |path: &Path| {
            let mode = rustix::fs::Mode::RUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        };
        let traps: [&dyn Fn(); 4] = [
            &|| std::os::unix::fs::symlink("victim", &draft).unwrap(),
            &|| std::os::unix::fs::symlink("nowhere", &draft).unwrap(),
            &|| std::fs::hard_link(path("victim"), &draft).unwrap(),
            &|| fifo(&draft),
        ];
        for trap in traps {
            trap();
            let mut made = Draft::create(&draft).unwrap();
            made.write(b"ours").unwrap();
            made.publish(place.path()).unwrap();
            assert_eq!(std::fs::read(path("victim")).unwrap(), b"precious");
            assert_eq!(std::fs::read(path("file")).unwrap(), b"ours");
            assert!(!path("nowhere").exists() && !draft.exists());
        }
        // A directory is nobody's draft, and stays.
        std::fs::create_dir(&draft).unwrap();
        assert!(Draft::create(&draft).is_err());
        // A sweep waits for nobody either.
        fifo(&path(".file.1.part"));
        sweep(directory.path(), |name| name.ends_with(".1.part")).unwrap();
    }

    #[test]
    fn private_files_are_their_owner_s() {
        let directory = tempfile::tempdir().unwrap();
        let mode = |file: &File| file.metadata().unwrap().mode() & 0o7777;
        assert_eq!(mode(&create_private(&directory.path().join("new")).unwrap()), 0o600);
        let old = create_new(&directory.path().join("old")).unwrap();
        old.set_permissions(std::fs::Permissions::from_mode(0o644)).unwrap();
        make_private(&old).unwrap();
        assert_eq!(mode(&old), 0o600);
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
