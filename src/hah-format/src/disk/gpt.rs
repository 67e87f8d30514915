//! The GUID partition table, as the `gpt` crate writes it into memory.
//!
//! The crate wants a device of the disk's full size; [`Sectors`] is one that keeps only the sectors that were written.
//! All GUIDs are given, so the crate has nothing to draw at random.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types::{OperatingSystem, Type};
use uuid::Uuid;

use super::{DiskError, Extent, GptPartition, Region, SECTOR};

/// Longest partition name, in UTF-16 units.
const NAME_MAX: usize = 36;

/// Protective MBR, primary and backup table of a disk of `sectors` sectors.
pub(super) fn encode(
    sectors: u64,
    disk: u128,
    partitions: &[(Extent, GptPartition<'_>)],
) -> Result<Vec<Region>, DiskError> {
    let mut entries = BTreeMap::new();
    for (number, (extent, partition)) in (1..).zip(partitions) {
        if partition.name.encode_utf16().count() > NAME_MAX {
            return Err(DiskError::Name(partition.name.to_owned()));
        }
        let type_guid =
            Uuid::parse_str(partition.type_guid).map_err(|_| DiskError::Guid(partition.type_guid.to_owned()))?;
        entries.insert(
            number,
            Partition {
                part_type_guid: Type { guid: type_guid, os: OperatingSystem::None },
                part_guid: Uuid::from_u128(partition.guid),
                first_lba: extent.start,
                last_lba: extent.end() - 1,
                flags: partition.attributes,
                name: partition.name.to_owned(),
            },
        );
    }
    let failed = |error: ::gpt::GptError| DiskError::Gpt(error.to_string());
    let mut device = Sectors::new(sectors);
    let protected = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    device.write_all(&ProtectiveMBR::with_lb_size(protected).to_bytes())?;
    let mut table = ::gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(device, Some(Uuid::from_u128(disk)))
        .map_err(failed)?;
    table.update_partitions(entries).map_err(failed)?;
    Ok(table.write().map_err(failed)?.regions())
}

/// A device that remembers the sectors that were written and reads as zeros elsewhere.
#[derive(Debug)]
struct Sectors {
    written: BTreeMap<u64, [u8; SECTOR as usize]>,
    count: u64,
    position: u64,
}

impl Sectors {
    fn new(count: u64) -> Self {
        Self { written: BTreeMap::new(), count, position: 0 }
    }

    /// Number of the sector at the position, where in it, and how much of `wanted` it can take.
    fn place(&self, wanted: usize) -> (u64, usize, usize) {
        let within = (self.position % SECTOR) as usize;
        let room = if self.position / SECTOR < self.count { SECTOR as usize - within } else { 0 };
        (self.position / SECTOR, within, wanted.min(room))
    }

    /// Runs of written sectors, in order.
    fn regions(self) -> Vec<Region> {
        let mut regions: Vec<Region> = Vec::new();
        for (number, bytes) in self.written {
            let offset = number * SECTOR;
            match regions.last_mut() {
                Some(last) if last.offset + last.bytes.len() as u64 == offset => last.bytes.extend_from_slice(&bytes),
                _ => regions.push(Region { offset, bytes: bytes.to_vec() }),
            }
        }
        regions
    }
}

impl Read for Sectors {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (number, within, length) = self.place(buffer.len());
        match self.written.get(&number) {
            Some(sector) => buffer[..length].copy_from_slice(&sector[within..within + length]),
            None => buffer[..length].fill(0),
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl Write for Sectors {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (number, within, length) = self.place(buffer.len());
        if length > 0 {
            let sector = self.written.entry(number).or_insert([0; SECTOR as usize]);
            sector[within..within + length].copy_from_slice(&buffer[..length]);
        }
        self.position += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sectors {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => (self.count * SECTOR).checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
