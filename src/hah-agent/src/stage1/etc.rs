//! What differs between nodes in `/etc`: derived anew on every boot, from what the data partition keeps.

use std::fs;
use std::path::Path;

use hah_node::disk::{self, DiskId};
use hah_node::paths;
use rustix::rand::{GetRandomFlags, getrandom};

use super::error::{Error, InContext};
use crate::{durable, identity};

/// Where the firmware puts the board's serial number.
const SERIAL: &str = "/proc/device-tree/serial-number";

/// This node's machine id.
pub(crate) struct MachineId {
    pub(crate) text: String,
    /// It was made just now.
    pub(crate) is_new: bool,
}

/// Reads the machine id on the data partition, or makes it: once in a card's life.
pub(crate) fn machine_id(root: &Path) -> Result<MachineId, Error> {
    let path = in_root(root, paths::MACHINE_ID);
    if let Ok(text) = fs::read_to_string(&path)
        && let Some(id) = identity::parse_machine_id(&text)
    {
        return Ok(MachineId { text: id.to_owned(), is_new: false });
    }
    let mut random = [0; 16];
    getrandom(&mut random, GetRandomFlags::empty()).doing(|| "get 16 random bytes for the machine id".to_owned())?;
    let text = identity::machine_id(random);
    durable::write(&path, format!("{text}\n").as_bytes(), 0o444).doing(|| format!("write {}", paths::MACHINE_ID))?;
    Ok(MachineId { text, is_new: true })
}

/// The node's name without an identity: `prefix` and the board's serial number, or the machine id.
pub(crate) fn default_hostname(prefix: &str, machine_id: &str) -> String {
    identity::hostname(prefix, fs::read(SERIAL).ok().as_deref(), machine_id)
}

/// Writes machine-id, hostname and hosts into the overlay.
pub(crate) fn write_names(root: &Path, hostname: &str, machine_id: &str) -> Result<(), Error> {
    let hosts = fs::read_to_string(root.join("etc/hosts")).unwrap_or_default();
    let files = [
        ("machine-id", format!("{machine_id}\n")),
        ("hostname", format!("{hostname}\n")),
        ("hosts", identity::hosts(&hosts, hostname)),
    ];
    for (name, text) in files {
        let path = root.join("etc").join(name);
        // In place, so that owner and mode stay the image's.
        fs::write(&path, text).doing(|| format!("write /etc/{name}"))?;
    }
    Ok(())
}

/// Lets fstab name the disk that this boot found by `hah.disk` instead of the one that the image was built for.
pub(crate) fn name_disk(root: &Path, built_for: DiskId, found: DiskId) -> Result<(), Error> {
    let path = root.join("etc/fstab");
    if built_for == found {
        return Ok(());
    }
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    fs::write(&path, fstab(&text, built_for, found)).doing(|| "write /etc/fstab".to_owned())
}

fn fstab(text: &str, built_for: DiskId, found: DiskId) -> String {
    [disk::BOOT, disk::ROOT, disk::DATA].into_iter().fold(text.to_owned(), |text, number| {
        let name = |id: DiskId| format!("PARTUUID={} ", id.partuuid(number));
        text.replace(&name(built_for), &name(found))
    })
}

/// An absolute path of the running system, while its root is mounted elsewhere.
pub(crate) fn in_root(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fstab_names_the_disk_that_was_found() {
        let image = "# x\nPARTUUID=1234abcd-01 /boot/firmware vfat nofail 0 2\nLABEL=mine /mnt ext4 nofail 0 0\n";
        let found = fstab(image, DiskId::Mbr(0x1234_abcd), DiskId::Gpt(0xff));
        assert_eq!(found, image.replace("1234abcd-01", "00000000-0000-0000-0000-0000000000fe"));
        assert_eq!(fstab(image, DiskId::Mbr(7), DiskId::Mbr(8)), image);
    }
}
