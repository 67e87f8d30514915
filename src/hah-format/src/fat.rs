//! FAT32: the boot partition.
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};

use crate::path::TreePath;

/// How a volume is made.
#[derive(Clone, Debug)]
pub struct FatOptions {
    /// Size of the partition in bytes; a multiple of 512.
    pub size_bytes: u64,
    /// Volume label: at most 11 upper-case ASCII characters.
    pub label: String,
    /// Volume serial number.
    pub volume_id: u32,
    /// Time of every entry, in seconds since 1970 (UTC); earlier than 1980 becomes 1980.
    pub epoch: u32,
    /// Sectors in a cluster: 1, 2, 4 or 8. The Pi's firmware is tested with 1 and 4.
    pub sectors_per_cluster: u8,
    /// First sector of the partition on the disk.
    pub hidden_sectors: u32,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatSummary {
    /// Clusters of the volume.
    pub total_clusters: u32,
    /// Clusters that hold a file or a directory; they are the first ones.
    pub used_clusters: u32,
    /// Bytes from the volume's start to the end of the last used cluster. All of them must reach the card, zeros too;
    /// nothing behind them matters.
    pub used_bytes: u64,
}

/// An entry of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatEntry {
    /// Where it is, by long names.
    pub path: TreePath,
    /// The 8.3 name as the firmware sees it: `CONFIG.TXT`.
    pub short_name: String,
    /// Length in bytes; `None` for a directory.
    pub size: Option<u32>,
}

/// Why a volume cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The storage failed.
    #[error("boot partition: {0}")]
    Io(#[from] io::Error),
}

impl FatError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        "check free space and permissions of the image"
    }
}

/// Writes a FAT32 volume with `files` to `storage`, which must read as zeros.
pub fn format_and_fill<S: Read + Write + Seek, C: AsRef<[u8]>>(
    _storage: S,
    _options: &FatOptions,
    _files: &BTreeMap<TreePath, C>,
) -> Result<FatSummary, FatError> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

/// Every file and directory of a volume, in order of their paths.
pub fn list<S: Read + Seek>(_storage: S) -> Result<Vec<FatEntry>, FatError> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

/// The content of the file at `path`; names are compared without case, as FAT does.
pub fn read_file<S: Read + Seek>(_storage: S, _path: &TreePath) -> Result<Vec<u8>, FatError> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}
