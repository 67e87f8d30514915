//! The disk: which partition is which, and how a disk is recognised.
//!
//! | number | name | content |
//! |---|---|---|
//! | 1 | `boot` | FAT32 |
//! | 2 | `root` | squashfs, generation 0 |
//! | 3 | `data` | ext4, made by stage 1 on first boot |

use serde::{Deserialize, Serialize};

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
/// GPT type of the root and data partitions: Linux file system data.
pub const GPT_TYPE_LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

/// Partitions start at multiples of this many 512-byte sectors (1 MiB; the erase unit of common cards divides it or is a multiple).
pub const ALIGN_SECTORS: u64 = 2048;
/// The boot partition starts here, in 512-byte sectors (4 MiB), as on every Raspberry Pi OS card.
pub const BOOT_START_SECTOR: u64 = 8192;

/// How the partition table marks the disk. It derives from the image's inputs, so every card of an image carries the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "table", content = "id")]
pub enum DiskId {
    /// The 32-bit signature at offset 440 of an MBR.
    Mbr(u32),
    /// The disk GUID of a GPT, as an RFC 9562 big-endian integer (`uuid::Uuid::as_u128`).
    #[serde(with = "hex_u128")]
    Gpt(u128),
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
