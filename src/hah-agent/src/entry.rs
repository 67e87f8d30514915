//! One entry of a tree, copied with all that it has.
//!
//! It is made under a temporary name and renamed, so an entry that exists is complete. Owner, mode, extended attributes
//! and a file's time come along; a hard link becomes a copy; devices, sockets and pipes, which no package puts anywhere,
//! are left out.

use std::ffi::{CStr, CString};
use std::fs::{self, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};

/// The kernel's limit for a list of attributes and for a value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`), in bytes.
const XATTR_MAX: usize = 64 * 1024;
/// The name of an entry in the making.
pub(crate) const UNFINISHED: &str = ".hah-seed";

/// When a copy is on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Each entry before it gets its name: the partition holds other things.
    EachEntry,
    /// When the caller flushes the whole file system: until then all of it can be made again.
    AtTheEnd,
}

/// Whether an entry was made: devices, sockets and pipes are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    Yes,
    No,
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
pub(crate) fn make(from: &Path, source: &Metadata, to: &Path, durability: Durability) -> io::Result<Added> {
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
