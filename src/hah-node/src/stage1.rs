//! What the builder tells stage 1, as `/hah/stage1.json` in the initramfs, and the kernel command-line keys it honours.

use serde::{Deserialize, Serialize};

use crate::disk::DiskId;

/// Version of [`Stage1`]; stage 1 refuses others, since image and agent are always built together.
pub const VERSION: u32 = 1;

/// `hah.debug`: log every step.
pub const CMDLINE_DEBUG: &str = "hah.debug";
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
    /// Recognises the disk.
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
