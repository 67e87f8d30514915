//! Copies the image's own content onto the data partition without ever changing what is there.
//!
//! An entry that exists is complete, see [`entry`], so a copy that was cut short goes on where it stopped.

use std::fs;
use std::io;
use std::path::Path;

use super::error::{Error, InContext};
use crate::entry::{self, Added, Durability};

/// Directories in directories: far more than any package has.
const DEPTH_MAX: usize = 64;
/// Copies what is in the directory `from` and missing in `to`, and `to` itself; returns how many entries that were.
pub(crate) fn copy(from: &Path, to: &Path, durability: Durability) -> Result<u64, Error> {
    let mut copied = 0;
    let source = fs::symlink_metadata(from).doing(|| format!("look at {}", from.display()))?;
    if fs::symlink_metadata(to).is_err() {
        entry::make(from, &source, to, durability).doing(|| format!("copy {} to {}", from.display(), to.display()))?;
        copied += 1;
    }
    let mut directories = vec![(from.to_owned(), to.to_owned(), 0)];
    while let Some((from, to, depth)) = directories.pop() {
        if depth > DEPTH_MAX {
            continue;
        }
        let entries = fs::read_dir(&from).doing(|| format!("list {}", from.display()))?;
        for entry in entries {
            let name = entry.doing(|| format!("list {}", from.display()))?.file_name();
            let (from, to) = (from.join(&name), to.join(&name));
            let (added, next) =
                copy_entry(&from, &to, durability).doing(|| format!("copy {} to {}", from.display(), to.display()))?;
            copied += u64::from(added == Added::Yes);
            if next == Next::Descend {
                directories.push((from, to, depth + 1));
            }
        }
    }
    Ok(copied)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Descend,
    Stay,
}

fn copy_entry(from: &Path, to: &Path, durability: Durability) -> io::Result<(Added, Next)> {
    let source = fs::symlink_metadata(from)?;
    let next = if source.is_dir() { Next::Descend } else { Next::Stay };
    match fs::symlink_metadata(to) {
        // Only into a directory: a link that somebody put there may lead anywhere.
        Ok(there) => Ok((Added::No, if there.is_dir() { next } else { Next::Stay })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let added = entry::make(from, &source, to, durability)?;
            Ok((added, if added == Added::Yes { next } else { Next::Stay }))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{FileTimes, OpenOptions, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;
    use crate::entry::UNFINISHED;

    /// Where an entry of this directory is made.
    fn unfinished_in(directory: &Path) -> PathBuf {
        directory.join(UNFINISHED)
    }

    struct Dirs {
        _temporary: tempfile::TempDir,
        from: PathBuf,
        to: PathBuf,
    }

    /// `from` has a few of everything; `to` is empty.
    fn dirs() -> Dirs {
        let temporary = tempfile::tempdir().unwrap();
        let (from, to) = (temporary.path().join("from"), temporary.path().join("to"));
        fs::create_dir_all(from.join("lib/dpkg")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("lib/dpkg/status"), "Package: base\n").unwrap();
        fs::set_permissions(from.join("lib/dpkg/status"), Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(from.join("lib"), Permissions::from_mode(0o2755)).unwrap();
        symlink("/run", from.join("run")).unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let file = OpenOptions::new().append(true).open(from.join("lib/dpkg/status")).unwrap();
        file.set_times(FileTimes::new().set_modified(old)).unwrap();
        Dirs { _temporary: temporary, from, to }
    }

    #[test]
    fn everything_comes_along() {
        let dirs = dirs();
        assert_eq!(copy(&dirs.from, &dirs.to, Durability::AtTheEnd).unwrap(), 4);
        let status = fs::metadata(dirs.to.join("lib/dpkg/status")).unwrap();
        assert_eq!((status.mode() & 0o7777, status.mtime()), (0o640, 1_000_000_000));
        assert_eq!(fs::metadata(dirs.to.join("lib")).unwrap().mode() & 0o7777, 0o2755);
        assert_eq!(fs::read_link(dirs.to.join("run")).unwrap(), Path::new("/run"));
        assert_eq!(copy(&dirs.from, &dirs.to, Durability::EachEntry).unwrap(), 0);
    }

    #[test]
    fn what_is_there_stays() {
        let dirs = dirs();
        fs::create_dir_all(dirs.to.join("lib/dpkg")).unwrap();
        fs::write(dirs.to.join("lib/dpkg/status"), "mine").unwrap();
        fs::write(dirs.to.join("run"), "a file instead of a link").unwrap();
        assert_eq!(copy(&dirs.from, &dirs.to, Durability::EachEntry).unwrap(), 0);
        assert_eq!(fs::read(dirs.to.join("lib/dpkg/status")).unwrap(), b"mine");
        assert!(fs::symlink_metadata(dirs.to.join("run")).unwrap().is_file());
    }

    #[test]
    fn links_that_somebody_put_there_are_not_followed() {
        let dirs = dirs();
        let elsewhere = dirs.to.with_file_name("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, dirs.to.join("lib")).unwrap();
        copy(&dirs.from, &dirs.to, Durability::EachEntry).unwrap();
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn a_copy_that_was_cut_short_goes_on() {
        let dirs = dirs();
        fs::create_dir(dirs.to.join("lib")).unwrap();
        fs::write(unfinished_in(&dirs.to.join("lib")), "half a fi").unwrap();
        fs::create_dir(unfinished_in(&dirs.to)).unwrap();
        assert_eq!(copy(&dirs.from, &dirs.to, Durability::EachEntry).unwrap(), 3);
        assert_eq!(fs::read(dirs.to.join("lib/dpkg/status")).unwrap(), b"Package: base\n");
        assert!(fs::symlink_metadata(unfinished_in(&dirs.to)).is_err());
        assert!(fs::symlink_metadata(unfinished_in(&dirs.to.join("lib"))).is_err());
    }

    #[test]
    fn a_missing_target_is_made_like_its_source() {
        let dirs = dirs();
        let to = dirs.to.join("home");
        fs::set_permissions(&dirs.from, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(copy(&dirs.from, &to, Durability::EachEntry).unwrap(), 5);
        assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o700);
    }
}
