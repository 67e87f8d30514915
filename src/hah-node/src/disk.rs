//! The disk: which partition is which, and how a disk is recognised.
//!
//! | number | name | content |
//! |---|---|---|
//! | 1 | `boot` | FAT32 |
//! | 2 | `root` | squashfs, generation 0 |
//! | 3 | `data` | ext4, made by stage 1 on first boot |

use serde::{Deserialize, Serialize};

use crate::uuid;

/// Number of the boot partition, from 1.
pub const BOOT: u32 = 1;
/// Number of the root partition.
pub const ROOT: u32 = 2;
/// Number of the data partition.
pub const DATA: u32 = 3;

/// GPT partition names.
pub const NAMES: [&str; 3] = ["boot", "root", "data"];
/// File system label of the data partition (ext4 allows 16 bytes).
pub const DATA_LABEL: &str = "hah-data";
/// Volume label of the boot partition (FAT allows 11 bytes).
pub const BOOT_LABEL: &str = "HAH-BOOT";

/// MBR type of the boot partition: FAT32 with LBA, the one that every Pi boot ROM accepts.
pub const MBR_TYPE_FAT32_LBA: u8 = 0x0c;
/// MBR type of the root and data partitions: Linux.
pub const MBR_TYPE_LINUX: u8 = 0x83;
/// GPT type of the boot partition: Microsoft basic data (Windows shows it; Pi firmware accepts it).
pub const GPT_TYPE_BASIC_DATA: &str = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7";
/// GPT type of the boot partition where UEFI looks for it: the EFI system partition (UEFI specification, 5.3.3).
pub const GPT_TYPE_ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
/// GPT type of the root and data partitions: Linux file system data.
pub const GPT_TYPE_LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

/// MBR type of a data partition that a first boot has begun to make; 0x7f is set aside for private use.
///
/// This type is the whole answer to "may a file system be made here?": stage 1 runs mke2fs only on a partition that it
/// has just added to the table or that still carries this type. It becomes [`MBR_TYPE_LINUX`] by the write of one
/// sector after the file system is made, filled and flushed, and it never goes back.
pub const MBR_TYPE_DATA_BEING_MADE: u8 = 0x7f;
/// GPT type of a data partition that a first boot has begun to make; ours alone. See [`MBR_TYPE_DATA_BEING_MADE`].
pub const GPT_TYPE_DATA_BEING_MADE: &str = "B7E1F3C2-5D0A-4C61-9A48-2F6D1E93C7A5";

/// Partitions start at multiples of this many 512-byte sectors (1 MiB; the erase unit of common cards divides it or is a multiple).
pub const ALIGN_SECTORS: u64 = 2048;
/// The boot partition starts here, in 512-byte sectors (4 MiB), as on every Raspberry Pi OS card.
pub const BOOT_START_SECTOR: u64 = 8192;

/// The smallest data partition that stage 1 makes, in bytes (32 MiB): what is smaller is full after the first boot.
pub const DATA_BYTES_MIN: u64 = 32 << 20;
/// Bytes in a sector. The tables of images count in these; a disk whose own sectors are larger cannot be used.
pub const SECTOR_BYTES: u64 = 512;
/// Sectors at the end of a disk that the backup of a GPT takes.
pub const GPT_TAIL_SECTORS: u64 = 33;

/// How the partition table marks the disk, and how stage 1 and fstab know it again.
///
/// It derives from the image's lineage (cluster, image, board, table) and from nothing that a build changes, so every
/// generation of an image finds the card that an earlier one was flashed to. Cards of images that were built before
/// that carry ids of their own, which their own stage 1 has; [`crate::stage1::CMDLINE_DISK`] names such an id to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "table", content = "id")]
pub enum DiskId {
    /// The 32-bit signature at offset 440 of an MBR.
    Mbr(u32),
    /// The disk GUID of a GPT, as an RFC 9562 big-endian integer (`uuid::Uuid::as_u128`).
    #[serde(with = "hex_u128")]
    Gpt(u128),
}

impl DiskId {
    /// From what people write: the 8 hex digits of an MBR's signature, or the 32 of a GUID, with `-` or without, as
    /// `sfdisk --disk-id`, `blkid -s PTUUID` and stage 1 print them. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.strip_prefix("0x").unwrap_or(text).chars().filter(|digit| *digit != '-').collect();
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        match digits.len() {
            8 => u32::from_str_radix(&digits, 16).ok().map(Self::Mbr),
            32 => u128::from_str_radix(&digits, 16).ok().map(Self::Gpt),
            _ => None,
        }
    }

    /// The GUID of partition `number` (from 1) of a GPT disk: the disk's own with the number folded into its last bits.
    pub fn partition_guid(disk: u128, number: u32) -> u128 {
        disk ^ u128::from(number)
    }

    /// Where the data partition of a disk of `sectors` ends: the first sector behind it, aligned.
    pub fn data_end(&self, sectors: u64) -> u64 {
        let usable = match self {
            // 32-bit sector numbers: the rest of a disk beyond 2 TiB stays unused.
            Self::Mbr(_) => sectors.min(u64::from(u32::MAX)),
            Self::Gpt(_) => sectors.saturating_sub(GPT_TAIL_SECTORS),
        };
        usable - usable % ALIGN_SECTORS
    }

    /// Sectors of the smallest disk on which a node boots whose root partition ends before sector `root_end`.
    pub fn sectors_min(&self, root_end: u64) -> u64 {
        let data = root_end.div_ceil(ALIGN_SECTORS).saturating_mul(ALIGN_SECTORS);
        let end = data.saturating_add(DATA_BYTES_MIN / SECTOR_BYTES);
        match self {
            Self::Mbr(_) => end,
            Self::Gpt(_) => end.saturating_add(GPT_TAIL_SECTORS),
        }
    }

    /// The PARTUUID of partition `number` (from 1), as udev and the kernel spell it.
    pub fn partuuid(&self, number: u32) -> String {
        match self {
            Self::Mbr(signature) => format!("{signature:08x}-{number:02x}"),
            Self::Gpt(disk) => uuid::text(Self::partition_guid(*disk, number)),
        }
    }
}

impl std::fmt::Display for DiskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mbr(signature) => write!(f, "{signature:08x}"),
            Self::Gpt(disk) => write!(f, "{disk:032x}"),
        }
    }
}

/// JSON has no 128-bit numbers, so the GUID travels as 32 hex digits.
mod hex_u128 {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest disk has room for the smallest data partition, and one with a sector less has not.
    #[test]
    fn the_smallest_disk_is_the_smallest() {
        for id in [DiskId::Mbr(1), DiskId::Gpt(1)] {
            for root_end in [8193_u64, 2048 * 200, 2048 * 200 + 1, 2048 * 201 - 1] {
                let room = |sectors| id.data_end(sectors).saturating_sub(root_end.div_ceil(2048) * 2048) * SECTOR_BYTES;
                let least = id.sectors_min(root_end);
                assert_eq!(room(least), DATA_BYTES_MIN, "{id:?} {root_end}");
                assert!(room(least - 1) < DATA_BYTES_MIN, "{id:?} {root_end}");
            }
            assert!(id.sectors_min(u64::MAX) > u64::MAX - 4096, "no overflow");
        }
    }

    #[test]
    fn ids_are_read_as_tools_print_them() {
        let guid = DiskId::Gpt(0x0123_4567_89ab_8def_8123_4567_89ab_cdef);
        for (text, wanted) in [
            ("1234abcd", Some(DiskId::Mbr(0x1234_abcd))),
            ("0x1234abcd", Some(DiskId::Mbr(0x1234_abcd))),
            ("1234ABCD", Some(DiskId::Mbr(0x1234_abcd))),
            ("0123456789ab8def8123456789abcdef", Some(guid)),
            ("01234567-89AB-8DEF-8123-456789ABCDEF", Some(guid)),
            ("", None),
            ("1234abc", None),
            ("1234abcd0", None),
            ("+234abcd", None),
            ("mmcblk0", None),
        ] {
            assert_eq!(DiskId::parse(text), wanted, "{text}");
        }
        for id in [DiskId::Mbr(7), guid] {
            assert_eq!(DiskId::parse(&id.to_string()), Some(id));
        }
    }

    /// stage1.json of cards that were flashed before ids derived from the lineage.
    #[test]
    fn ids_of_older_images_are_read() {
        let read = |text: &str| serde_json::from_str::<DiskId>(text).unwrap();
        assert_eq!(read(r#"{"table":"mbr","id":305441741}"#), DiskId::Mbr(0x1234_abcd));
        assert_eq!(read(r#"{"table":"gpt","id":"000000000000000000000000000000ff"}"#), DiskId::Gpt(0xff));
    }
}
