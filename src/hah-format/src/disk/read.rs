//! Reading a partition table that somebody else may have written.
//!
//! As in Linux, the GPT counts only when an entry of the MBR has type 0xEE, and then the MBR's other entries do not.
//! The `gpt` crate checks the checksums; before it sees a header, the sizes in it are checked here, because the crate
//! would allocate what they ask for and asserts on entries that are not 128 bytes.
//! Logical partitions (inside of an extended one) are not read: nothing here makes any.

use std::io::{self, Read, Seek, SeekFrom, Write};

use gpt::disk::LogicalBlockSize;

use super::{DiskError, Extent, SECTOR, mbr};

/// Most entries of a GPT that are read; every known tool writes 128.
pub(super) const GPT_ENTRIES_MAX: u32 = 1024;
/// Largest device, in sectors: offsets of all bytes fit an `i64`.
const DEVICE_SECTORS_MAX: u64 = (i64::MAX as u64) / SECTOR;

/// A partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionTable {
    /// How the disk is marked.
    pub id: TableId,
    /// Partitions in the order of their numbers.
    pub partitions: Vec<PartitionRecord>,
}

/// The mark of a disk; also tells the kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableId {
    /// An MBR's signature.
    Mbr(u32),
    /// A GPT's disk GUID, as an RFC 9562 big-endian integer.
    Gpt(u128),
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// Its number, from 1.
    pub number: u32,
    /// Where it lies.
    pub extent: Extent,
    /// What the table says of it.
    pub scheme: Scheme,
}

/// What is particular to the kind of table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// An MBR entry.
    Mbr {
        /// Its type byte.
        kind: u8,
        /// Whether it is marked active.
        active: bool,
    },
    /// A GPT entry. GUIDs are RFC 9562 big-endian integers.
    Gpt {
        /// Its type.
        type_guid: u128,
        /// Its own GUID (PARTUUID).
        guid: u128,
        /// Its name (PARTLABEL).
        name: String,
        /// Attribute bits.
        attributes: u64,
    },
}

/// Reads the table of a whole disk or image.
///
/// Partitions must lie within the storage, outside of the table, and must not overlap.
pub fn read<S: Read + Seek>(storage: &mut S) -> Result<PartitionTable, DiskError> {
    let sectors = storage.seek(SeekFrom::End(0))? / SECTOR;
    if sectors > DEVICE_SECTORS_MAX {
        return Err(DiskError::TooLarge);
    }
    let mut sector = [0; 512];
    storage.seek(SeekFrom::Start(0))?;
    storage.read_exact(&mut sector)?;
    if sector[510..] != [0x55, 0xaa] {
        return Err(DiskError::NoTable);
    }
    let mut entries = sector[mbr::ENTRIES..510].chunks_exact(mbr::ENTRY);
    let table = if entries.any(|entry| entry[4] == mbr::TYPE_PROTECTIVE) {
        read_gpt(storage, sectors)?
    } else {
        read_mbr(&sector)
    };
    check(&table, sectors)?;
    Ok(table)
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..offset + 4).and_then(|slice| slice.try_into().ok()).map_or(0, u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..offset + 8).and_then(|slice| slice.try_into().ok()).map_or(0, u64::from_le_bytes)
}

pub(super) fn read_mbr(sector: &[u8; 512]) -> PartitionTable {
    let partitions = (1..)
        .zip(sector[mbr::ENTRIES..510].chunks_exact(mbr::ENTRY))
        .filter(|(_, entry)| entry[4] != 0 && u32_at(entry, 12) != 0)
        .map(|(number, entry)| PartitionRecord {
            number,
            extent: Extent { start: u32_at(entry, 8).into(), sectors: u32_at(entry, 12).into() },
            scheme: Scheme::Mbr { kind: entry[4], active: entry[0] == mbr::ACTIVE },
        })
        .collect();
    PartitionTable { id: TableId::Mbr(u32_at(sector, mbr::SIGNATURE)), partitions }
}

fn read_gpt<S: Read + Seek>(storage: &mut S, sectors: u64) -> Result<PartitionTable, DiskError> {
    if sectors < 3 {
        return Err(DiskError::Gpt("the disk is too small to hold one".into()));
    }
    for place in [1, sectors - 1] {
        check_header(storage, place, sectors)?;
    }
    let table = ::gpt::GptConfig::new()
        .logical_block_size(LogicalBlockSize::Lb512)
        .open_from_device(ReadOnly(storage))
        .map_err(|error| DiskError::Gpt(error.to_string()))?;
    let (first, last) = (table.header().first_usable, table.header().last_usable);
    let mut partitions = Vec::new();
    for (&number, entry) in table.partitions().iter().filter(|(_, entry)| entry.is_used()) {
        if entry.first_lba < first || entry.last_lba > last || entry.first_lba > entry.last_lba || last >= sectors {
            let reason = format!(
                "sectors {} to {} are not within the usable {first} to {last} of {sectors}",
                entry.first_lba, entry.last_lba
            );
            return Err(DiskError::Partition { number, reason });
        }
        partitions.push(PartitionRecord {
            number,
            extent: Extent { start: entry.first_lba, sectors: entry.last_lba - entry.first_lba + 1 },
            scheme: Scheme::Gpt {
                type_guid: entry.part_type_guid.guid.as_u128(),
                guid: entry.part_guid.as_u128(),
                name: entry.name.clone(),
                attributes: entry.flags,
            },
        });
    }
    Ok(PartitionTable { id: TableId::Gpt(table.guid().as_u128()), partitions })
}

/// Refuses a header whose sizes the `gpt` crate must not see. A sector without a header is left to the crate.
fn check_header<S: Read + Seek>(storage: &mut S, place: u64, sectors: u64) -> Result<(), DiskError> {
    let mut header = [0; 92];
    storage.seek(SeekFrom::Start(place * SECTOR))?;
    storage.read_exact(&mut header)?;
    if !header.starts_with(b"EFI PART") {
        return Ok(());
    }
    let (start, count, size) = (u64_at(&header, 72), u32_at(&header, 80), u32_at(&header, 84));
    let array = u64::from(count) * 128 / SECTOR;
    if size != 128
        || !(1..=GPT_ENTRIES_MAX).contains(&count)
        || start < 2
        || start >= sectors
        || array > sectors - start
    {
        return Err(DiskError::Gpt(format!(
            "the header in sector {place} announces {count} entries of {size} bytes at sector {start} of {sectors}"
        )));
    }
    Ok(())
}

/// Every partition within the disk, none over another.
pub(super) fn check(table: &PartitionTable, sectors: u64) -> Result<(), DiskError> {
    let mut order: Vec<&PartitionRecord> = table.partitions.iter().collect();
    order.sort_by_key(|partition| (partition.extent.start, partition.number));
    let mut free = 1;
    for PartitionRecord { number, extent, .. } in order {
        let reason = if extent.start < free {
            format!("starts at sector {}, where only {free} is free", extent.start)
        } else if extent.end() > sectors {
            format!("ends at sector {} of {sectors}", extent.end())
        } else {
            free = extent.end();
            continue;
        };
        return Err(DiskError::Partition { number: *number, reason });
    }
    Ok(())
}

/// The `gpt` crate asks for a writer even to read.
struct ReadOnly<'a, S>(&'a mut S);

impl<S> std::fmt::Debug for ReadOnly<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadOnly")
    }
}

impl<S: Read> Read for ReadOnly<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Seek> Seek for ReadOnly<'_, S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl<S> Write for ReadOnly<'_, S> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
