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
mod head;
pub mod window;

use std::io;

pub use head::{HEAD_BYTES, read_head};
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
    /// A table without entries.
    #[error("the partition table has no partition")]
    Empty,
    /// A GPT that does not count in sectors of 512 bytes.
    #[error("the partition table counts in sectors of {0} bytes, and cards have sectors of 512")]
    SectorSize(usize),
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
            Self::SectorSize(_) => "take the image that is made for sectors of 512 bytes",
            Self::NoTable | Self::Empty => "is this a whole disk or image, and not a partition or a compressed image?",
            Self::Partition { .. } | Self::Gpt(_) => "the image or card is damaged: write it again",
            Self::Io(_) => "check the device's cable and permissions, or whether the image is cut off",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Cursor;

    use super::*;
    use crate::digest::Sha256;

    const GEOMETRY: Geometry = Geometry {
        table: Table::Gpt,
        align_sectors: 2048,
        boot_start: 8192,
        boot_bytes: 64 << 20,
        root_bytes: 4096 * 3,
    };

    fn gpt_identity(name: &str) -> Identity<'_> {
        let partition = |name, guid, type_guid| GptPartition { type_guid, guid, name, attributes: 4 };
        Identity::Gpt {
            disk: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
            partitions: [
                partition(name, 1 << 100 | 1, "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"),
                partition("root", 1 << 100 | 2, "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
            ],
        }
    }

    const MBR: Identity<'_> = Identity::Mbr { signature: 0xdead_beef, types: [0x0c, 0x83] };

    fn image(geometry: Geometry, identity: &Identity<'_>) -> Vec<u8> {
        let layout = Layout::new(&geometry).unwrap();
        let mut image = vec![0; layout.size_bytes() as usize];
        let mut end = 0;
        for Region { offset, bytes } in encode(&layout, identity).unwrap() {
            assert!(offset as usize >= end, "regions are in order");
            end = offset as usize + bytes.len();
            image[offset as usize..end].copy_from_slice(&bytes);
        }
        image
    }

    pub(super) fn mbr() -> Vec<u8> {
        image(Geometry { table: Table::Mbr, ..GEOMETRY }, &MBR)
    }

    pub(super) fn gpt() -> Vec<u8> {
        image(GEOMETRY, &gpt_identity("boot"))
    }

    #[test]
    fn layouts() {
        let layout = Layout::new(&Geometry { table: Table::Mbr, ..GEOMETRY }).unwrap();
        assert_eq!(layout.boot, Extent { start: 8192, sectors: 131_072 });
        assert_eq!(layout.root, Extent { start: 139_264, sectors: 24 });
        assert_eq!(layout.sectors, 139_288);
        let layout = Layout::new(&GEOMETRY).unwrap();
        assert_eq!(layout.sectors, 141_312);
        let layout = Layout::new(&Geometry { root_bytes: 2016 * 512, ..GEOMETRY }).unwrap();
        assert_eq!(layout.sectors - layout.root.end(), 32 + 2048, "33 sectors do not fit the rest of a MiB");
        for wrong in [
            Geometry { boot_start: 33, ..GEOMETRY },
            Geometry { boot_start: 0, table: Table::Mbr, ..GEOMETRY },
            Geometry { align_sectors: 0, ..GEOMETRY },
            Geometry { boot_bytes: 0, ..GEOMETRY },
            Geometry { root_bytes: 0, ..GEOMETRY },
            Geometry { root_bytes: u64::MAX, ..GEOMETRY },
            Geometry { boot_bytes: u64::MAX, ..GEOMETRY },
            Geometry { boot_start: u64::MAX, ..GEOMETRY },
            Geometry { align_sectors: u64::MAX, ..GEOMETRY },
        ] {
            assert!(Layout::new(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn mbr_round_trip() {
        let table = read(&mut Cursor::new(mbr())).unwrap();
        assert_eq!(table.id, TableId::Mbr(0xdead_beef));
        let [boot, root] = table.partitions.as_slice() else { panic!("{table:?}") };
        assert_eq!((boot.number, boot.extent.start), (1, 8192));
        assert_eq!(boot.scheme, Scheme::Mbr { kind: 0x0c, active: true });
        assert_eq!((root.number, root.extent.sectors), (2, 24));
        assert_eq!(root.scheme, Scheme::Mbr { kind: 0x83, active: false });
    }

    #[test]
    fn gpt_round_trip() {
        let table = read(&mut Cursor::new(gpt())).unwrap();
        assert_eq!(table.id, TableId::Gpt(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff));
        let [boot, root] = table.partitions.as_slice() else { panic!("{table:?}") };
        assert_eq!((boot.number, boot.extent), (1, Extent { start: 8192, sectors: 131_072 }));
        let Scheme::Gpt { type_guid, guid, name, attributes } = &root.scheme else { panic!("{root:?}") };
        assert_eq!((*guid, name.as_str(), *attributes), (1 << 100 | 2, "root", 4));
        assert_eq!(*type_guid, 0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);
    }

    #[test]
    fn bytes_are_pinned_and_every_field_counts() {
        assert_eq!(
            Sha256::of(&mbr()[..512]).to_string(),
            "405233d890aa693ed2f604ba2f6cf4851b32aa4ef16dfdfcfbf0500efcc055d5"
        );
        assert_eq!(
            Sha256::of(&gpt()[..34 * 512]).to_string(),
            "963f312139097ab6f2b405161e938f12e439f11423898ec9b709ceb464c0341d"
        );
        assert_eq!(gpt(), gpt());
        let larger = Geometry { root_bytes: 4096 * 4, ..GEOMETRY };
        let digests = BTreeSet::from([
            Sha256::of(&gpt()),
            Sha256::of(&image(GEOMETRY, &gpt_identity("Boot"))),
            Sha256::of(&image(larger, &gpt_identity("boot"))),
            Sha256::of(&mbr()),
            Sha256::of(&image(
                Geometry { table: Table::Mbr, ..GEOMETRY },
                &Identity::Mbr { signature: 1, types: [0x0c, 0x83] },
            )),
        ]);
        assert_eq!(digests.len(), 5);
    }

    #[test]
    fn identities_are_checked() {
        let layout = Layout::new(&GEOMETRY).unwrap();
        assert!(matches!(encode(&layout, &MBR), Err(DiskError::Identity(Table::Gpt))));
        let long = "x".repeat(37);
        assert!(matches!(encode(&layout, &gpt_identity(&long)), Err(DiskError::Name(_))));
        let Identity::Gpt { disk, mut partitions } = gpt_identity("boot") else { panic!() };
        partitions[0].type_guid = "basic";
        assert!(matches!(encode(&layout, &Identity::Gpt { disk, partitions }), Err(DiskError::Guid(_))));
    }

    #[test]
    fn a_damaged_primary_leaves_the_backup() {
        let mut image = gpt();
        let whole = read(&mut Cursor::new(&image)).unwrap();
        image[512 + 60] ^= 1;
        assert_eq!(read(&mut Cursor::new(&image)).unwrap(), whole);
        let last = image.len() - 512 + 60;
        image[last] ^= 1;
        assert!(matches!(read(&mut Cursor::new(&image)), Err(DiskError::Gpt(_))));
    }

    #[test]
    fn an_image_on_a_larger_card_is_read() {
        let whole = read(&mut Cursor::new(gpt())).unwrap();
        let mut card = gpt();
        card.resize(card.len() + (8 << 20), 0);
        assert_eq!(read(&mut Cursor::new(card)).unwrap(), whole);
    }

    #[test]
    fn without_a_protective_entry_the_mbr_counts() {
        let mut image = gpt();
        image[..512].copy_from_slice(&mbr()[..512]);
        assert_eq!(read(&mut Cursor::new(image)).unwrap().id, TableId::Mbr(0xdead_beef));
    }

    /// Header fields that the `gpt` crate must never see, with checksums that fit.
    #[test]
    fn greedy_headers_are_refused() {
        let crc = |bytes: &[u8]| {
            !bytes.iter().fold(!0u32, |crc, byte| {
                (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
            })
        };
        for (offset, value) in [(80, u32::MAX), (80, 0), (84, 64), (84, 4096), (72, u32::MAX), (72, 1), (76, u32::MAX)]
        {
            let mut image = gpt();
            let header = &mut image[512..512 + 92];
            header[16..20].fill(0);
            assert_eq!(crc(header).to_le_bytes(), gpt()[528..532]);
            header[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
            let sum = crc(header);
            header[16..20].copy_from_slice(&sum.to_le_bytes());
            assert!(matches!(read(&mut Cursor::new(image)), Err(DiskError::Gpt(_))), "{offset} {value}");
        }
    }

    #[test]
    fn damage_never_panics() {
        for mut image in [mbr(), gpt()] {
            for at in (440..640).chain(1024..1024 + 300).chain(image.len() - 512..image.len() - 420) {
                for flip in [1, 0x80, 0xff] {
                    image[at] ^= flip;
                    let _ = read(&mut Cursor::new(&image));
                    image[at] ^= flip;
                }
            }
            for length in [0, 1, 511, 512, 513, 1023, 1024, 1536, 17_408, image.len() / 2] {
                assert!(read(&mut Cursor::new(&image[..length])).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn overlapping_partitions_are_refused() {
        let mut image = mbr();
        image[446 + 16 + 8..446 + 16 + 12].copy_from_slice(&8200u32.to_le_bytes());
        let error = read(&mut Cursor::new(image)).unwrap_err();
        assert_eq!(error.to_string(), "partition 2: starts at sector 8200, where only 139264 is free");
    }
}
