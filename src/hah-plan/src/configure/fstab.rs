//! `/etc/fstab`: the boot partition, and nothing else.
//!
//! Stage 1 mounts the root, `/etc` and `/var` before systemd starts; `/tmp` is systemd's own `tmp.mount`.
//! The boot partition is not needed to run (`nofail`), and holds secrets until the first boot has moved them (`umask=0077`).
//! Its disk is there, since stage 1 has used it: how long udev takes to say so is systemd's own limit (90 s).

use hah_node::{disk, paths};

use super::{ConfigureError, Target, path};

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    // Without fsck.vfat in the image systemd would warn on every boot.
    let check = if target.content(&path("usr/sbin/fsck.vfat")?).is_some() { 2 } else { 0 };
    let text = format!(
        "# The root file system, /etc and /var are mounted by stage 1.\n\
         PARTUUID={} {} vfat nofail,noatime,umask=0077 0 {check}\n",
        target.image.disk.partuuid(disk::BOOT),
        paths::BOOT,
    );
    target.put_default(&path("etc/fstab")?, text)
}
