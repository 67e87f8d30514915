//! The boot partition while stage 1 has it mounted: for reading, unless something is to be written.

use std::path::Path;

use hah_node::disk::BOOT;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use super::disk::Disk;
use super::error::{Error, InContext};
use super::mounts;
use crate::console;

/// Where the boot partition is mounted meanwhile.
const PLACE: &str = "/boot";

/// The mounted boot partition; unmounted when this value goes.
pub(super) struct BootPartition {
    pub(super) place: &'static Path,
    name: String,
}

impl BootPartition {
    /// Mounts it for reading: on most boots there is nothing to write, and what is not written cannot be damaged.
    pub(super) fn mount(disk: &Disk) -> Result<Self, Error> {
        let name = disk.wait_for_partition(BOOT)?;
        let place = Path::new(PLACE);
        mounts::directory(place)?;
        mount(format!("/dev/{name}"), place, "vfat", Self::flags() | MountFlags::RDONLY, None)
            .doing(|| format!("mount the boot partition {name}"))?;
        Ok(Self { place, name })
    }

    fn flags() -> MountFlags {
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME
    }

    pub(super) fn make_writable(&mut self) -> Result<(), Error> {
        mount_remount(self.place, Self::flags(), c"").doing(|| format!("write to the boot partition {}", self.name))
    }
}

impl Drop for BootPartition {
    fn drop(&mut self) {
        if let Err(error) = unmount(self.place, UnmountFlags::empty()) {
            console::warn(&format!("cannot unmount the boot partition {}: {error}", self.name));
        }
    }
}
