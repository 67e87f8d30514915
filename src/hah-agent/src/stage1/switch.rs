//! The hand-over: the root file system becomes `/`, the initramfs gives its memory back, systemd becomes PID 1.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, fstat, fstatfs, openat, unlinkat};
use rustix::mount::mount_move;
use rustix::process::{chdir, chroot};

use super::error::{Error, InContext};
use crate::console;

/// `f_type` of the initramfs: `RAMFS_MAGIC` and `TMPFS_MAGIC`, linux/magic.h.
const MEMORY_FILE_SYSTEMS: [u64; 2] = [0x8584_58f6, 0x0102_1994];
/// systemd, by the name that every init has.
const INIT: &str = "/sbin/init";
/// Directories in directories in the initramfs.
const DEPTH_MAX: usize = 32;

/// Replaces this process by the system's init. `init` is what the kernel command line wants instead; `before` is called
/// in the new root when nothing else is left to do.
pub(crate) fn to_system(
    root: &Path,
    init: Option<&str>,
    arguments: &[OsString],
    before: impl FnOnce() -> Result<(), Error>,
) -> Result<Infallible, Error> {
    let init = init.unwrap_or(INIT);
    let old = File::open("/").doing(|| "open the initramfs".to_owned())?;
    for name in ["dev", "proc", "sys", "run"] {
        mount_move(format!("/{name}"), root.join(name)).doing(|| format!("move /{name} to the new root"))?;
    }
    chdir(root).doing(|| "enter the new root".to_owned())?;
    mount_move(".", "/").doing(|| "make the new root /".to_owned())?;
    chroot(".").doing(|| "make the new root /".to_owned())?;
    chdir("/").doing(|| "enter /".to_owned())?;
    if !fs::metadata(init).is_ok_and(|metadata| metadata.is_file()) {
        return Err(Error::NoInit { path: init.to_owned() });
    }
    if let Err(error) = empty(&old) {
        console::debug(&format!("the initramfs stays in memory: {error}"));
    }
    drop(old);
    before()?;
    let error = Command::new(init).args(arguments).exec();
    Err(error).doing(|| format!("start {init}"))
}

/// Removes every file of the initramfs, and nothing that is mounted in it.
fn empty(old: &File) -> io::Result<()> {
    let kind = u64::try_from(fstatfs(old)?.f_type).unwrap_or(0);
    if !MEMORY_FILE_SYSTEMS.contains(&kind) {
        return Err(io::Error::other("/ is not an initramfs"));
    }
    if fstat(old)?.st_dev == fs::symlink_metadata("/")?.dev() {
        return Err(io::Error::other("/ did not change"));
    }
    remove_below(old.try_clone()?, fstat(old)?.st_dev, 0)
}

fn remove_below(directory: File, device: u64, depth: usize) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(below) = openat(&directory, name, flags, Mode::empty()) else {
            unlinkat(&directory, name, AtFlags::empty())?;
            continue;
        };
        if fstat(&below)?.st_dev == device {
            remove_below(File::from(below), device, depth + 1)?;
            unlinkat(&directory, name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}
