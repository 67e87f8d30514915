//! Copies the image's own content onto the data partition without ever changing what is there.
//!
//! Each entry is made under a temporary name and renamed, so an entry that exists is complete, and a copy that was cut
//! short goes on where it stopped. Owners, modes, extended attributes and the files' times come along; hard links
//! become copies; devices, sockets and pipes, which no package puts there, are left out.

use std::ffi::{CStr, CString};
use std::fs::{self, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};

use super::error::{Error, InContext};

/// Directories in directories: far more than any package has.
const DEPTH_MAX: usize = 64;
/// The kernel's limit for a list of attributes and for a value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`), in bytes.
const XATTR_MAX: usize = 64 * 1024;
/// The name of an entry in the making.
const UNFINISHED: &str = ".hah-seed";

/// When a copy is on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Each entry before it gets its name: the partition holds other things.
    EachEntry,
    /// When the caller flushes the whole file system: until then all of it can be made again.
    AtTheEnd,
}

/// Copies what is in the directory `from` and missing in `to`, and `to` itself; returns how many entries that were.
pub(crate) fn copy(from: &Path, to: &Path, durability: Durability) -> Result<u64, Error> {
    let mut copied = 0;
    let source = fs::symlink_metadata(from).doing(|| format!("look at {}", from.display()))?;
    if fs::symlink_metadata(to).is_err() {
        make(from, &source, to, durability).doing(|| format!("copy {} to {}", from.display(), to.display()))?;
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
enum Added {
    Yes,
    No,
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
            let added = make(from, &source, to, durability)?;
            Ok((added, if added == Added::Yes { next } else { Next::Stay }))
        }
        Err(error) => Err(error),
    }
}

/// Copies one entry over whatever is at `to`: a file, a link, or a directory without its content, which stays one when
/// it is one.
pub(crate) fn put(from: &Path, to: &Path, durability: Durability) -> io::Result<()> {
    let source = fs::symlink_metadata(from)?;
    match fs::symlink_metadata(to) {
        Ok(there) if there.is_dir() && source.is_dir() => {
            chown(to, Some(source.uid()), Some(source.gid()))?;
            return fs::set_permissions(to, Permissions::from_mode(source.mode() & 0o7777));
        }
        Ok(there) if there.is_dir() => fs::remove_dir_all(to)?,
        Ok(_) if source.is_dir() => fs::remove_file(to)?,
        _ => {}
    }
    make(from, &source, to, durability).map(drop)
}

/// Makes one entry, a directory without its content.
fn make(from: &Path, source: &Metadata, to: &Path, durability: Durability) -> io::Result<Added> {
    let unfinished = to.with_file_name(UNFINISHED);
    remove_leftover(&unfinished)?;
    let kind = source.file_type();
    let mut file = None;
    if kind.is_dir() {
        fs::DirBuilder::new().mode(0o700).create(&unfinished)?;
        chown(&unfinished, Some(source.uid()), Some(source.gid()))?;
        copy_attributes(from, &unfinished)?;
        fs::set_permissions(&unfinished, Permissions::from_mode(source.mode() & 0o7777))?;
        file = Some(File::open(&unfinished)?);
    } else if kind.is_symlink() {
        symlink(fs::read_link(from)?, &unfinished)?;
        lchown(&unfinished, Some(source.uid()), Some(source.gid()))?;
    } else if kind.is_file() {
        let mut reader = File::open(from)?;
        let mut writer = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        io::copy(&mut reader, &mut writer)?;
        // The owner first: a change of owner clears the set-id bits and capabilities.
        chown(&unfinished, Some(source.uid()), Some(source.gid()))?;
        copy_attributes(from, &unfinished)?;
        writer.set_permissions(Permissions::from_mode(source.mode() & 0o7777))?;
        writer.set_times(FileTimes::new().set_modified(source.modified()?))?;
        file = Some(writer);
    } else {
        return Ok(Added::No);
    }
    if durability == Durability::EachEntry
        && let Some(file) = file
    {
        file.sync_all()?;
    }
    fs::rename(&unfinished, to)?;
    Ok(Added::Yes)
}

/// Removes what a copy that was cut short has left: an empty directory, a link, a part of a file.
fn remove_leftover(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    for name in attributes(from)? {
        let mut value = vec![0; XATTR_MAX];
        let length = lgetxattr(from, &*name, &mut value[..])?;
        lsetxattr(to, &*name, value.get(..length).unwrap_or_default(), XattrFlags::empty())?;
    }
    Ok(())
}

/// The names of a file's extended attributes; none on a file system without them.
fn attributes(path: &Path) -> io::Result<Vec<CString>> {
    let mut names = vec![0_u8; XATTR_MAX];
    let length = match llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = names.get(..length).unwrap_or_default();
    let names = names.split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_until_nul(name).ok());
    Ok(names.map(CStr::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

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
