//! macOS: disks as `diskutil info` describes them.
//!
//! Its text is made for people, but its keys have not changed in a decade; what is not understood counts as a reason to
//! refuse.

use std::path::{Path, PathBuf};

use super::{Attachment, Device};
use crate::programs;

/// Every external disk.
pub(super) fn disks() -> Vec<Device> {
    let output = programs::command("/usr/sbin/diskutil").args(["list", "external", "physical"]).output();
    let Ok(output) = output else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names =
        text.lines().filter_map(|line| line.split_whitespace().next().filter(|word| word.starts_with("/dev/disk")));
    names.filter_map(|name| disk(Path::new(name))).collect()
}

/// The disk at a path: `/dev/disk4`, `/dev/rdisk4`.
pub(super) fn disk(path: &Path) -> Option<Device> {
    let output = programs::command("/usr/sbin/diskutil").arg("info").arg(path).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':').map(str::trim).map(str::to_owned))
    };
    let name = value("Device Identifier")?;
    let whole = value("Part of Whole")?;
    let bytes = value("Disk Size")?.split('(').nth(1)?.split(' ').next()?.parse().ok()?;
    let mounted = value("Mount Point").filter(|place| place.starts_with('/'));
    let is_external = value("Device Location").as_deref() == Some("External")
        || value("Removable Media").as_deref() == Some("Removable");
    Some(Device {
        // The raw device is direct.
        path: PathBuf::from(format!("/dev/r{name}")),
        parent: (whole != name).then_some(whole),
        bytes,
        // `512 Bytes`.
        sector_bytes: value("Device Block Size")
            .and_then(|text| text.split(' ').next()?.parse().ok())
            .unwrap_or(hah_node::disk::SECTOR_BYTES),
        model: value("Device / Media Name").unwrap_or_default(),
        attachment: if is_external { Attachment::Removable } else { Attachment::Fixed },
        read_only: value("Media Read-Only").as_deref() == Some("Yes"),
        partitions: Vec::new(),
        mounts: mounted.into_iter().map(|place| (name.clone(), place)).collect(),
        users: Vec::new(),
        by_id: None,
        name,
    })
}
