//! What the builder tells stage 1, as `/hah/stage1.json` in the initramfs, and the kernel command-line keys it honours.

use serde::{Deserialize, Serialize};

use crate::disk::DiskId;
use crate::generation::Slot;

/// Version of [`Stage1`]; stage 1 refuses others, since image and agent are always built together.
pub const VERSION: u32 = 1;

/// `hah.debug`: log every step.
pub const CMDLINE_DEBUG: &str = "hah.debug";
/// `hah.disk=ID`: the disk's id instead of [`Stage1::disk`], for a card that carries another one; see
/// [`crate::disk::DiskId::parse`].
pub const CMDLINE_DISK: &str = "hah.disk";
/// `hah.generation=N`: the slot of the generation that kernel and initramfs are of; without it, what was flashed.
pub const CMDLINE_GENERATION: &str = "hah.generation";
/// `hah.reboot=SECONDS`: how long a failure stays on the console before the reboot; 0 stops instead.
pub const CMDLINE_REBOOT: &str = "hah.reboot";

/// The configuration of stage 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage1 {
    /// [`VERSION`].
    pub version: u32,
    /// `lab 13.7 (1a2b3c4d)`: said on the console.
    pub image: String,
    /// The image's identity, 64 hex digits; decides whether `/var` is to be seeded anew.
    pub image_id: String,
    /// Recognises the disk, unless the kernel command line names another.
    pub disk: DiskId,
    /// Kernel modules to load, in order: file names below `/hah/modules`.
    pub modules: Vec<String>,
    /// Seconds since 1970 before which no clock can be right.
    pub epoch: u64,
    /// Directories of the root that are bound to the same path below `/var/lib/hah/persist`: `/home`, `/root`.
    pub persist: Vec<String>,
    /// Hostname prefix; the node is `PREFIX-SERIAL` until identity says otherwise.
    pub hostname_prefix: String,
}

/// Version of [`Report`].
pub const REPORT_VERSION: u32 = 1;

/// Device nodes that the initramfs holds before stage 1 mounts devtmpfs: path, major, minor (all character devices).
///
/// The kernel opens `/dev/console` as init's first three descriptors; where it has no console,
/// Rust's runtime opens `/dev/null` for them and aborts, before `main`, when it cannot.
pub const INITRAMFS_NODES: [(&str, u32, u32); 2] = [("/dev/console", 5, 1), ("/dev/null", 1, 3)];

/// Empty directories that the initramfs holds: stage 1's mount points.
pub const INITRAMFS_DIRECTORIES: [&str; 6] = ["/data", "/dev", "/proc", "/root", "/run", "/sys"];

/// Directories that the root file system must have, since nothing can be created in a squashfs: what stage 1 mounts on.
/// Every directory of [`Stage1::persist`] comes on top.
pub const ROOT_MOUNT_POINTS: [&str; 6] = ["/dev", "/etc", "/proc", "/run", "/sys", "/var"];

/// What stage 1 did, as [`crate::paths::STAGE1_REPORT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// [`Stage1::image`].
    pub image: String,
    /// [`Stage1::image_id`].
    pub image_id: String,
    /// Kernel name of the disk: `mmcblk0`.
    pub disk: String,
    /// Size of the disk in bytes.
    pub disk_bytes: u64,
    /// Kernel name of the data partition: `mmcblk0p3`.
    pub data: String,
    /// Size of the data partition in bytes.
    pub data_bytes: u64,
    /// Kernel name of the partition with generation 0's root file system: `mmcblk0p2`.
    #[serde(default)]
    pub flashed_root: String,
    /// The id of the disk, as [`DiskId`] prints it.
    #[serde(default)]
    pub disk_id: String,
    /// Which generation this boot is of.
    #[serde(default = "flashed")]
    pub generation: Slot,
    /// The generation that starts when this one does not last.
    #[serde(default = "flashed")]
    pub good: Slot,
    /// Whether this boot's generation is on trial.
    #[serde(default)]
    pub on_trial: bool,
    /// Whether state is in memory, because the data partition could not be used.
    #[serde(default)]
    pub rescue: bool,
    /// What happened to the data partition in this boot.
    pub data_action: DataAction,
    /// Files, directories and links that were copied from the image to the data partition in this boot.
    pub seeded: u64,
    /// The node's name.
    pub hostname: String,
    /// Whether the machine id was made in this boot.
    pub new_machine_id: bool,
    /// Where the node's identity comes from.
    #[serde(default)]
    pub identity: IdentityOrigin,
    /// When each step ended, in order.
    pub steps: Vec<Step>,
    /// What went wrong without stopping the boot: sentences.
    pub warnings: Vec<String>,
}

fn flashed() -> Slot {
    Slot::FLASHED
}

/// Where a node's identity comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityOrigin {
    /// It has none: the image's defaults.
    #[default]
    None,
    /// The data partition keeps it from an earlier boot.
    Kept,
    /// It came with `hah/node.json` in this boot.
    Node,
    /// It came with `rpi-preseed.toml` in this boot.
    Preseed,
    /// An `ssh` file came in this boot, and nothing else.
    Ssh,
}

/// What stage 1 did to the data partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataAction {
    /// First boot: the partition and its file system were made.
    Created,
    /// The partition was there from a first boot that was cut short; its file system was made afresh.
    Remade,
    /// It was there.
    Kept,
    /// It was there, and now reaches to the end of a larger disk.
    Grown,
}

/// One step of stage 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it did: `modules`.
    pub name: String,
    /// When it ended: milliseconds since the kernel started.
    pub at_ms: u64,
}
