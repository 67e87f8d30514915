//! Whether what begins with these bytes is a disk: its partition table, from its beginning alone.
//!
//! A stream tells its size and its last sector when it is too late, so nothing here needs them: of a GPT the primary table
//! counts, with both of its checksums. Stricter than [`read`](fn@super::read) where a stranger's bytes may look like a table
//! by accident: flags of an MBR entry are 0x00 or 0x80, and a disk has a partition.

use flate2::Crc;

use super::read::{GPT_ENTRIES_MAX, check, read_mbr, u32_at, u64_at};
use super::{DiskError, Extent, PartitionRecord, PartitionTable, SECTOR, Scheme, TableId, mbr};

/// How much of a disk [`read_head`] wants, in bytes: MBR, GPT header, and more entries than any tool writes.
pub const HEAD_BYTES: usize = 1 << 20;

/// The sectors that disks have whose tables do not count in ours, in bytes.
const OTHER_SECTORS: [usize; 3] = [1024, 2048, 4096];
const GPT_MAGIC: &[u8] = b"EFI PART";
/// Sizes of a GPT header, in bytes.
const GPT_HEADER: std::ops::RangeInclusive<usize> = 92..=512;
const GPT_ENTRY: usize = 128;

/// The partition table at the start of a disk that begins with `head` and has `size` bytes, if that is known.
///
/// Partitions must not overlap, nor lie over the table or beyond a known end.
pub fn read_head(head: &[u8], size: Option<u64>) -> Result<PartitionTable, DiskError> {
    let sector: &[u8; 512] = head.first_chunk().ok_or(DiskError::NoTable)?;
    let entries = || sector[mbr::ENTRIES..510].chunks_exact(mbr::ENTRY);
    if sector[510..] != [0x55, 0xaa] || entries().any(|entry| !matches!(entry[0], 0 | mbr::ACTIVE)) {
        return Err(DiskError::NoTable);
    }
    let sectors = size.map_or(u64::MAX, |size| size / SECTOR);
    let table = match entries().any(|entry| entry[4] == mbr::TYPE_PROTECTIVE) {
        true => read_gpt_head(head, sectors)?,
        false => read_mbr(sector),
    };
    if table.partitions.is_empty() {
        return Err(DiskError::Empty);
    }
    check(&table, sectors)?;
    Ok(table)
}

fn read_gpt_head(head: &[u8], sectors: u64) -> Result<PartitionTable, DiskError> {
    let damaged = |reason: String| DiskError::Gpt(reason);
    let header = head.get(SECTOR as usize..2 * SECTOR as usize).unwrap_or_default();
    if !header.starts_with(GPT_MAGIC) {
        let is_gpt = |at: &usize| head.get(*at..).is_some_and(|rest| rest.starts_with(GPT_MAGIC));
        return Err(match OTHER_SECTORS.into_iter().find(is_gpt) {
            Some(bytes) => DiskError::SectorSize(bytes),
            None => damaged("the MBR announces one, and it is not there".into()),
        });
    }
    let size = u32_at(header, 12) as usize;
    if !GPT_HEADER.contains(&size) {
        return Err(damaged(format!("its header has {size} bytes")));
    }
    let mut summed = header[..size].to_vec();
    summed[16..20].fill(0);
    if crc(&summed) != u32_at(header, 16) {
        return Err(damaged("the checksum of its header is wrong".into()));
    }
    let (start, count, entry) = (u64_at(header, 72), u32_at(header, 80), u32_at(header, 84) as usize);
    let bytes = count as usize * GPT_ENTRY;
    if u64_at(header, 24) != 1 || entry != GPT_ENTRY || !(1..=GPT_ENTRIES_MAX).contains(&count) || start < 2 {
        return Err(damaged(format!("its header announces {count} entries of {entry} bytes at sector {start}")));
    }
    let at = usize::try_from(start.saturating_mul(SECTOR)).unwrap_or(usize::MAX);
    let entries = head.get(at..at.saturating_add(bytes));
    let entries = entries.ok_or_else(|| damaged(format!("its entries at sector {start} are cut off")))?;
    if crc(entries) != u32_at(header, 88) {
        return Err(damaged("the checksum of its entries is wrong".into()));
    }
    let (first, last) = (u64_at(header, 40), u64_at(header, 48));
    let mut partitions = Vec::new();
    for (number, entry) in (1..).zip(entries.chunks_exact(GPT_ENTRY)).filter(|(_, entry)| entry[..16] != [0; 16]) {
        let (from, to) = (u64_at(entry, 32), u64_at(entry, 40));
        if from < first || to > last || from > to || to >= sectors {
            let of = if sectors == u64::MAX { String::new() } else { format!(" of {sectors}") };
            let reason = format!("sectors {from} to {to} are not within the usable {first} to {last}{of}");
            return Err(DiskError::Partition { number, reason });
        }
        let units = entry[56..].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let name = char::decode_utf16(units.take_while(|unit| *unit != 0)).map(|c| c.unwrap_or('\u{fffd}')).collect();
        partitions.push(PartitionRecord {
            number,
            extent: Extent { start: from, sectors: to - from + 1 },
            scheme: Scheme::Gpt {
                type_guid: guid(entry, 0),
                guid: guid(entry, 16),
                name,
                attributes: u64_at(entry, 48),
            },
        });
    }
    Ok(PartitionTable { id: TableId::Gpt(guid(header, 56)), partitions })
}

/// A GUID, whose first three fields are little-endian on a disk, as a big-endian number.
fn guid(bytes: &[u8], at: usize) -> u128 {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    u128::from_be_bytes(ORDER.map(|byte| bytes.get(at + byte).copied().unwrap_or_default()))
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::read;
    use super::super::tests::{gpt, mbr};
    use super::*;

    fn head(disk: &[u8]) -> &[u8] {
        &disk[..HEAD_BYTES]
    }

    #[test]
    fn the_head_says_what_the_whole_disk_says() {
        for disk in [mbr(), gpt()] {
            let whole = read(&mut Cursor::new(&disk)).unwrap();
            assert_eq!(read_head(head(&disk), Some(disk.len() as u64)).unwrap(), whole);
            assert_eq!(read_head(head(&disk), None).unwrap(), whole);
        }
    }

    #[test]
    fn a_disk_that_is_cut_off_is_told_when_its_size_is_known() {
        for disk in [mbr(), gpt()] {
            let root = read_head(head(&disk), None).unwrap().partitions[1].extent;
            let short = (root.end() - 1) * SECTOR;
            assert!(matches!(read_head(head(&disk), Some(short)), Err(DiskError::Partition { number: 2, .. })));
        }
    }

    #[test]
    fn what_looks_like_a_table_by_accident_is_none() {
        let is_none = |head: &[u8]| assert!(matches!(read_head(head, None), Err(DiskError::NoTable)));
        is_none(b"");
        is_none(&[0; 700]);
        is_none(&[7; 1 << 20]);
        let mut disk = mbr();
        disk[446] = 0x7f;
        is_none(&disk);
        let mut empty = vec![0; 4096];
        empty[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert!(matches!(read_head(&empty, None), Err(DiskError::Empty)));
    }

    #[test]
    fn a_gpt_counts_with_its_checksums() {
        // Signature, header size, CRC of the header, own place, entries' place, count, size and CRC; an entry.
        for at in [512, 524, 528, 536, 584, 592, 596, 600, 1024] {
            let mut disk = gpt();
            disk[at] ^= 1;
            let error = read_head(head(&disk), None).unwrap_err();
            assert!(matches!(error, DiskError::Gpt(_)), "{at}: {error}");
        }
        assert!(matches!(read_head(&gpt()[..1024 + 127], None), Err(DiskError::Gpt(_))), "cut off");
    }

    #[test]
    fn a_gpt_for_other_sectors_is_told() {
        let disk = gpt();
        let mut other = vec![0; 1 << 20];
        other[..512].copy_from_slice(&disk[..512]);
        other[4096..4096 + 512].copy_from_slice(&disk[512..1024]);
        assert!(matches!(read_head(&other, None), Err(DiskError::SectorSize(4096))));
    }
}
