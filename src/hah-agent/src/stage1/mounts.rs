//! Every mount of stage 1 but the data partition's own.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hah_node::paths;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind};

use super::disk::Disk;
use super::error::{Error, InContext};
use super::seed;
use crate::entry::Durability;

/// Mounts what the kernel offers where everything expects it. A mount that is there already is left alone.
pub(crate) fn kernel_file_systems() -> Result<(), Error> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let wanted: [(&str, &str, MountFlags, Option<&CStr>); 4] = [
        // First, so that a failure of the others reaches the consoles.
        ("/dev", "devtmpfs", MountFlags::NOSUID, Some(c"mode=0755")),
        ("/proc", "proc", safe, None),
        ("/sys", "sysfs", safe, None),
        // systemd keeps a /run that is mounted; these are its own limits.
        ("/run", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=0755,size=20%,nr_inodes=800k")),
    ];
    for (place, kind, flags, options) in wanted {
        directory(Path::new(place))?;
        match mount(kind, place, kind, flags, options) {
            Ok(()) | Err(Errno::BUSY) => {}
            Err(error) => return Err(error).doing(|| format!("mount {place}")),
        }
    }
    directory(&Path::new(paths::STAGE1_REPORT).parent().map(Path::to_owned).unwrap_or_default())
}

/// Mounts the disk's root partition read-only.
pub(crate) fn root(disk: &Disk, place: &Path) -> Result<(), Error> {
    let partition = disk.wait_for_partition(hah_node::disk::ROOT)?;
    directory(place)?;
    mount(format!("/dev/{partition}"), place, "squashfs", MountFlags::RDONLY | MountFlags::NOATIME, None)
        .doing(|| format!("mount the root file system {partition}"))
}

/// Puts a layer of memory over the image's `/etc`: what is written there is gone with the next boot.
pub(crate) fn etc_overlay(root: &Path) -> Result<(), Error> {
    let lower = root.join("etc");
    let upper = format!("{}/upper", paths::ETC_OVERLAY);
    let work = format!("{}/work", paths::ETC_OVERLAY);
    directory(Path::new(&upper))?;
    directory(Path::new(&work))?;
    let options = format!("lowerdir={},upperdir={upper},workdir={work}\0", lower.display());
    let options = CStr::from_bytes_until_nul(options.as_bytes())
        .map_err(io::Error::other)
        .doing(|| "name the layers of /etc".to_owned())?;
    mount("overlay", &lower, "overlay", MountFlags::empty(), options).doing(|| "mount the overlay of /etc".to_owned())
}

/// Binds the directories that outlive a reboot to their copies on the data partition.
pub(crate) fn persist(root: &Path, directories: &[String]) -> Result<(), Error> {
    for name in directories {
        let place = below(root, name);
        let copy = below(&below(root, paths::PERSIST), name);
        mount_bind(&copy, &place).doing(|| format!("bind {name} to the data partition"))?;
    }
    Ok(())
}

/// Copies the image's own content of the persistent directories to the data partition, where it is missing.
pub(crate) fn seed_persist(
    root: &Path,
    data: &Path,
    directories: &[String],
    durability: Durability,
) -> Result<u64, Error> {
    let mut copied = 0;
    // The data partition is /var; it is not mounted there yet.
    let inside = Path::new(paths::PERSIST).strip_prefix(paths::VAR).unwrap_or(Path::new("lib/hah/persist"));
    for name in directories {
        let copy = below(&data.join(inside), name);
        if let Some(parent) = copy.parent() {
            directory(parent)?;
        }
        copied += seed::copy(&below(root, name), &copy, durability)?;
    }
    Ok(copied)
}

/// An absolute path as one below another root; `..` is not followed.
fn below(root: &Path, path: impl AsRef<Path>) -> PathBuf {
    let names = path.as_ref().components().filter_map(|component| match component {
        std::path::Component::Normal(name) => Some(name),
        _ => None,
    });
    names.fold(root.to_owned(), |path, name| path.join(name))
}

/// Makes a directory and those above it; one that is there is fine.
pub(crate) fn directory(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).doing(|| format!("make the directory {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_their_root() {
        assert_eq!(below(Path::new("/root"), "/home"), Path::new("/root/home"));
        assert_eq!(below(Path::new("/root"), "home/../../x"), Path::new("/root/home/x"));
        assert_eq!(below(Path::new("/root"), "/"), Path::new("/root"));
    }
}
