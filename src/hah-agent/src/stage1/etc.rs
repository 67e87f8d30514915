//! What differs between nodes in `/etc`: derived anew on every boot, from what the data partition keeps.

use std::fs;
use std::path::Path;

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

/// An absolute path of the running system, while its root is mounted elsewhere.
pub(crate) fn in_root(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}
