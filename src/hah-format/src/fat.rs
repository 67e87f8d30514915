//! FAT32: the boot partition, which the Pi's firmware reads.
//!
//! ```text
//! 0          boot sector          6   its copy
//! 1          FSInfo               7   its copy
//! reserved   FAT 1, FAT 2
//! data       cluster 2 …: the root directory, the other directories, the files, each in one piece
//! ```
//!
//! The writer decides the whole layout first and then writes every used byte once, in order.
//! It is our own and not the `fatfs` crate's (which is the tests' oracle): fatfs 0.3 gives `.` and `..` long-name records,
//! points the `..` of first-level directories at cluster 2 where the format wants 0, and writes cluster by cluster.
//! Its reader trusts the volume's numbers and overflows or loops on hostile ones.
//!
//! What the firmware needs (see the facts that boards carry): genuine FAT32, sectors of 512 bytes, 1 or 4 of them in a
//! cluster, unmangled 8.3 names, and nothing in the last clusters. As Linux does, a name that is not upper-case 8.3 gets a
//! long-name record beside its short one; the short one has a `~` only if the name does not fit 8.3 at all.
//!
//! Source: Microsoft's FAT32 File System Specification 1.03.

mod layout;
mod name;
mod read;
mod write;
mod patch;

use std::io;

pub use patch::{put_file, put_label};
pub use read::{list, read_file};
pub use write::format_and_fill;

use crate::path::TreePath;

/// Bytes in a sector.
const SECTOR: u64 = 512;
/// Bytes in a directory record.
const RECORD: usize = 32;
/// The root directory's first cluster, and the number of the first cluster.
const FIRST_CLUSTER: u32 = 2;
/// A volume with fewer clusters is FAT16, whatever it says.
const FAT32_CLUSTERS_MIN: u32 = 65_525;
/// Cluster numbers from here on have special meanings.
const FAT32_CLUSTERS_MAX: u32 = 0x0fff_fff0;
/// The mark of a chain's end.
const END_OF_CHAIN: u32 = 0x0fff_ffff;
/// Largest directory, in bytes: 65,536 records.
const DIRECTORY_MAX: u64 = 2 << 20;

/// Attribute bits of a record.
mod attribute {
    pub(super) const VOLUME: u8 = 0x08;
    pub(super) const DIRECTORY: u8 = 0x10;
    pub(super) const ARCHIVE: u8 = 0x20;
    pub(super) const LONG_NAME: u8 = 0x0f;
}

/// How a volume is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatOptions {
    /// Size of the partition in bytes; a multiple of 512.
    pub size_bytes: u64,
    /// Volume label: at most 11 characters of upper-case ASCII.
    pub label: String,
    /// Volume serial number.
    pub volume_id: u32,
    /// Time of every entry, in seconds since 1970 (UTC). FAT begins in 1980: earlier becomes 1980-01-01.
    pub epoch: u32,
    /// Sectors in a cluster: 1, 2, 4 or 8. The firmware's makers advise 1 or 4; see [`sectors_per_cluster`].
    pub sectors_per_cluster: u8,
    /// First sector of the partition on its disk, which the boot sector repeats.
    pub hidden_sectors: u32,
}

/// The cluster size for a partition of `size_bytes`, in sectors: 4 where that leaves enough clusters for FAT32
/// (from 144 MiB on), else 1 (from 36 MiB on).
pub fn sectors_per_cluster(size_bytes: u64) -> u8 {
    if size_bytes >= 144 << 20 { 4 } else { 1 }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FatSummary {
    /// Clusters of the volume.
    pub total_clusters: u32,
    /// Clusters that hold a file or a directory; they are the first ones.
    pub used_clusters: u32,
    /// Bytes from the volume's start to the end of the last used cluster. All of them must reach the card, zeros too
    /// (a free cluster is a zero in the FAT); nothing behind them matters.
    pub used_bytes: u64,
}

/// A file or directory of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatEntry {
    /// Where it is, by long names.
    pub path: TreePath,
    /// Its 8.3 name, as the firmware's early stages see it: `CONFIG.TXT`.
    pub short_name: String,
    /// Length in bytes; `None` for a directory.
    pub size: Option<u32>,
}

/// Why a volume cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The options contradict FAT32 or each other.
    #[error("boot partition: {0}")]
    Options(String),
    /// A name that FAT cannot hold.
    #[error("boot partition: {path}: {reason}")]
    Name {
        /// The path.
        path: TreePath,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two names that differ in case only, or a file where a directory must be.
    #[error("boot partition: {path} and {other} are the same name to FAT")]
    Collision {
        /// The later one.
        path: TreePath,
        /// The earlier one.
        other: TreePath,
    },
    /// A file of 4 GiB or a directory of over 65,536 records.
    #[error("boot partition: {path} is too large for FAT32")]
    TooLarge {
        /// The path.
        path: TreePath,
    },
    /// More data than room.
    #[error("boot partition: its files need {needed} MiB but only {available} MiB fit")]
    Full {
        /// What is needed, in MiB, rounded up.
        needed: u64,
        /// What can be used, in MiB, rounded down.
        available: u64,
    },
    /// Not a FAT32 volume, or a damaged one.
    #[error("boot partition: {0}")]
    Corrupt(String),
    /// No such file.
    #[error("boot partition: there is no file {0}")]
    NotFound(TreePath),
    /// The storage failed.
    #[error("boot partition: {0}")]
    Io(#[from] io::Error),
}

impl FatError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Options(_) => {
                "a boot partition of 64 to 512 MiB works on every board; check `size` in the image file"
            }
            Self::Name { .. } => {
                "rename the file: FAT refuses control characters, any of \"*:<>?\\| and a final dot or space"
            }
            Self::Collision { .. } => "FAT does not tell upper from lower case: rename one of the two",
            Self::TooLarge { .. } => "keep large files on the root file system",
            Self::Full { .. } => "make the boot partition larger in the image file, or put less on it",
            Self::Corrupt(_) => "the image or card is damaged, or is not one of ours: write it again",
            Self::NotFound(_) => "check the path; names are compared without case",
            Self::Io(_) => "check free space, permissions, and whether the image is cut off",
        }
    }
}

#[cfg(test)]
mod tests;
