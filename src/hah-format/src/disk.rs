//! Partition tables: where the partitions of an image lie, and MBR and GPT as bytes.
//!
//! All positions are in sectors of 512 bytes unless a name says bytes.
//!
//! ```text
//! MBR                                     GPT
//! 0      MBR: signature, 4 entries        0      protective MBR
//!                                         1      header; 2 to 33: entries
//! 8192   boot (FAT32)                     8192   boot (FAT32)
//! …      root (squashfs), MiB-aligned     …      root (squashfs), MiB-aligned
//! end    = end of root                    …      unused, so that the image is whole MiB
//!                                         -33    backup entries; -1: backup header
//! ```
//!
//! The data partition is not in the image: stage 1 adds it behind root on the card. Until then a card's backup GPT is not
//! at the end of the device, which Linux accepts.
//!
//! Sources: UEFI 2.10 chapter 5 (GPT, protective MBR); Linux' block/partitions/{msdos,efi}.c for what is accepted.

mod gpt;
mod mbr;
mod read;
pub mod window;

use std::io;

pub use read::{PartitionRecord, PartitionTable, Scheme, TableId, read};

/// Bytes in a sector.
pub const SECTOR: u64 = 512;

/// The kind of a partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Master boot record.
    Mbr,
    /// GUID partition table.
    Gpt,
}

/// A run of sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First sector.
    pub start: u64,
    /// Number of sectors.
    pub sectors: u64,
}

impl Extent {
    /// The sector behind the last one. Extents of this module never overflow.
    pub fn end(&self) -> u64 {
        self.start + self.sectors
    }

    /// Byte offset of the first sector.
    pub fn offset_bytes(&self) -> u64 {
        self.start * SECTOR
    }

    /// Length in bytes.
    pub fn length_bytes(&self) -> u64 {
        self.sectors * SECTOR
    }
}

/// What a layout is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// The kind of table.
    pub table: Table,
    /// Root starts at a multiple of this many sectors.
    pub align_sectors: u64,
    /// First sector of the boot partition.
    pub boot_start: u64,
    /// Size of the boot partition, in bytes.
    pub boot_bytes: u64,
    /// Size of the root file system, in bytes.
    pub root_bytes: u64,
}

/// Where everything lies in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The kind of table.
    pub table: Table,
    /// Partition 1.
    pub boot: Extent,
    /// Partition 2.
    pub root: Extent,
    /// Sectors of the image.
    pub sectors: u64,
}

/// Largest image, in sectors (1 TiB): far beyond any card, far from overflow.
const IMAGE_SECTORS_MAX: u64 = 1 << 31;
/// Sectors of the backup GPT: 32 of entries and the header.
const GPT_BACKUP_SECTORS: u64 = 33;
/// The first sector that a partition may use behind a primary GPT.
const GPT_FIRST_USABLE: u64 = 34;
/// Sectors in a MiB.
const MIB_SECTORS: u64 = 2048;

impl Layout {
    /// The layout for `geometry`: boot where it says, root aligned behind it, and the image's end as drawn above.
    pub fn new(geometry: &Geometry) -> Result<Self, DiskError> {
        let Geometry { table, align_sectors, boot_start, boot_bytes, root_bytes } = *geometry;
        let first = match table {
            Table::Mbr => 1,
            Table::Gpt => GPT_FIRST_USABLE,
        };
        if boot_start < first || align_sectors == 0 || boot_bytes == 0 || root_bytes == 0 {
            return Err(DiskError::Geometry(*geometry));
        }
        let limit = |sectors: u64| if sectors > IMAGE_SECTORS_MAX { Err(DiskError::TooLarge) } else { Ok(sectors) };
        limit(align_sectors)?;
        let boot = Extent { start: limit(boot_start)?, sectors: limit(boot_bytes.div_ceil(SECTOR))? };
        let root = Extent {
            start: limit(boot.end().next_multiple_of(align_sectors))?,
            sectors: limit(root_bytes.div_ceil(SECTOR))?,
        };
        let sectors = match table {
            Table::Mbr => root.end(),
            Table::Gpt => (root.end() + GPT_BACKUP_SECTORS).next_multiple_of(MIB_SECTORS),
        };
        Ok(Self { table, boot, root, sectors: limit(sectors)? })
    }

    /// Size of the image in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.sectors * SECTOR
    }
}

/// How the table marks the disk and its partitions, boot first.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'a> {
    /// For [`Table::Mbr`].
    Mbr {
        /// The disk signature at offset 440; Linux derives PARTUUIDs from it.
        signature: u32,
        /// The partitions' type bytes. The first partition is marked active.
        types: [u8; 2],
    },
    /// For [`Table::Gpt`].
    Gpt {
        /// The disk GUID.
        disk: u128,
        /// The partitions.
        partitions: [GptPartition<'a>; 2],
    },
}

/// What a GPT says of a partition besides its place. GUIDs are RFC 9562 big-endian integers (`uuid::Uuid::as_u128`).
#[derive(Clone, Copy, Debug)]
pub struct GptPartition<'a> {
    /// The type's GUID in its usual spelling: `0FC63DAF-8483-4772-8E79-3D69D8477DE4`.
    pub type_guid: &'a str,
    /// The partition's own GUID (PARTUUID).
    pub guid: u128,
    /// The partition's name (PARTLABEL): at most 36 UTF-16 units.
    pub name: &'a str,
    /// Attribute bits; bit 2 is "legacy BIOS bootable".
    pub attributes: u64,
}

/// Bytes to be written into the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Byte offset in the image.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The table of `layout` as the regions of the image that it fills, in order and not overlapping.
pub fn encode(layout: &Layout, identity: &Identity<'_>) -> Result<Vec<Region>, DiskError> {
    match (layout.table, identity) {
        (Table::Mbr, Identity::Mbr { signature, types }) => {
            let partitions = [(layout.boot, types[0]), (layout.root, types[1])];
            Ok(vec![Region { offset: 0, bytes: mbr::encode(*signature, &partitions)?.to_vec() }])
        }
        (Table::Gpt, Identity::Gpt { disk, partitions }) => {
            gpt::encode(layout.sectors, *disk, &[(layout.boot, partitions[0]), (layout.root, partitions[1])])
        }
        (table, _) => Err(DiskError::Identity(table)),
    }
}

/// Why a partition table cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A geometry with a zero, or a boot partition inside of the table.
    #[error("impossible disk geometry: {0:?}")]
    Geometry(Geometry),
    /// Over 1 TiB.
    #[error("the disk would be larger than 1 TiB")]
    TooLarge,
    /// The identity is of the other kind.
    #[error("the layout is for {0:?} but the identity is not")]
    Identity(Table),
    /// A GUID that cannot be parsed.
    #[error("`{0}` is not a GUID")]
    Guid(String),
    /// A partition name that does not fit.
    #[error("partition name `{0}` is longer than 36 UTF-16 units")]
    Name(String),
    /// Sector 0 has no boot signature.
    #[error("no partition table: sector 0 does not end with 55 AA")]
    NoTable,
    /// An entry of the table.
    #[error("partition {number}: {reason}")]
    Partition {
        /// Its number, from 1.
        number: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// The GPT that the MBR announces is damaged, or is none that we would accept.
    #[error("GPT: {0}")]
    Gpt(String),
    /// The storage failed.
    #[error("cannot read the partition table: {0}")]
    Io(#[from] io::Error),
}

impl DiskError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Geometry(_) | Self::Identity(_) | Self::Guid(_) | Self::Name(_) => {
                "this is a mistake of the builder, not of its input: please report it"
            }
            Self::TooLarge => "make the boot partition or the root file system smaller",
            Self::NoTable => "is this a whole disk or image, and not a partition or a compressed image?",
            Self::Partition { .. } | Self::Gpt(_) => "the image or card is damaged: write it again",
            Self::Io(_) => "check the device's cable and permissions, or whether the image is cut off",
        }
    }
}
