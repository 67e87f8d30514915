//! The GUID partition table (UEFI specification 2.10 section 5.3) as our images have it: 128 entries of 128 bytes at
//! sector 2, the backup in the last 33 sectors.
//!
//! ```text
//!  0        1       2..34              …               end-33..end-1   end-1
//!  MBR 0xee header  entries (16 KiB)   partitions      entries         header
//! ```
//!
//! An image ends where its root ends and so does its table; on a card, which is larger, stage 1 moves the backup to the
//! card's end with the first change. Entries 1 to 24 share the first 4 KiB with both the header and the protective MBR.
//! Rejected: the `gpt` crate, which decides itself in which order it writes; it is this module's judge in the tests.

use hah_node::disk::{DATA, GPT_TYPE_DATA_BEING_MADE, GPT_TYPE_LINUX, NAMES};

use super::{DataState, DiskBytes, Extent, HEAD_SECTORS, SECTOR, TAIL_SECTORS, TableError, Write, bytes_at, put};

const ENTRY: usize = 128;
const ENTRIES: usize = 128 * ENTRY;
const ENTRIES_SECTORS: u64 = 32;
const HEADER: usize = 92;
const FIRST_ENTRIES_SECTOR: u64 = 2;
/// The first bytes of the disk, which hold everything that changes, go out as one write.
const PAGE: usize = 4096;

/// A GUID partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gpt {
    mbr: Vec<u8>,
    header: Vec<u8>,
    entries: Vec<u8>,
    source: Source,
}

/// Which of the two copies was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Primary,
    Backup,
}

impl Gpt {
    /// Reads the primary table, or the backup where the primary is not whole.
    pub(super) fn parse(disk: DiskBytes<'_>) -> Result<Self, TableError> {
        let none = TableError::NoTable("GPT");
        let mbr = disk.head.get(..SECTOR).ok_or(none.clone())?.to_vec();
        let primary = disk.head.get(SECTOR..).and_then(|rest| rest.split_at_checked(SECTOR));
        if let Some((header, entries)) = primary
            && let Ok((header, entries)) = parse_copy(header, entries, 1, FIRST_ENTRIES_SECTOR)
        {
            return Ok(Self { mbr, header, entries, source: Source::Primary });
        }
        let last = disk.sectors.checked_sub(1).ok_or(none.clone())?;
        let (entries, header) = disk.tail.split_at_checked(ENTRIES).ok_or(none.clone())?;
        let (header, entries) = parse_copy(header, entries, last, last.saturating_sub(ENTRIES_SECTORS))?;
        Ok(Self { mbr, header, entries, source: Source::Backup })
    }

    pub(super) fn is_from_backup(&self) -> bool {
        self.source == Source::Backup
    }

    /// The disk GUID as a big-endian number.
    pub(super) fn id(&self) -> u128 {
        guid_from_disk(bytes_at(&self.header, 56).unwrap_or_default())
    }

    fn entry(&self, number: u32) -> Option<&[u8]> {
        let at = (number.checked_sub(1)? as usize).checked_mul(ENTRY)?;
        self.entries.get(at..at.checked_add(ENTRY)?)
    }

    fn kind(&self, number: u32) -> u128 {
        guid_from_disk(self.entry(number).and_then(|entry| bytes_at(entry, 0)).unwrap_or_default())
    }

    pub(super) fn extent(&self, number: u32) -> Option<Extent> {
        let entry = self.entry(number)?;
        let start = u64::from_le_bytes(bytes_at(entry, 32)?);
        let last = u64::from_le_bytes(bytes_at(entry, 40)?);
        let sectors = last.checked_sub(start)?.checked_add(1)?;
        (self.kind(number) != 0).then_some(Extent { start, sectors })
    }

    pub(super) fn data_state(&self) -> Result<DataState, TableError> {
        match self.kind(DATA) {
            kind if Some(kind) == parse_guid(GPT_TYPE_LINUX) => Ok(DataState::Made),
            kind if Some(kind) == parse_guid(GPT_TYPE_DATA_BEING_MADE) => Ok(DataState::BeingMade),
            other => Err(TableError::ForeignData { found: format!("{other:032x}") }),
        }
    }

    pub(super) fn with_data(
        &self,
        data: Extent,
        state: DataState,
        sectors: u64,
    ) -> Result<(Self, Vec<Write>), TableError> {
        let bad = TableError::BadExtent { number: DATA };
        let last = data.start.checked_add(data.sectors).and_then(|end| end.checked_sub(1)).ok_or(bad.clone())?;
        let kind = match state {
            DataState::BeingMade => GPT_TYPE_DATA_BEING_MADE,
            DataState::Made => GPT_TYPE_LINUX,
        };
        let mut entry = self.entry(DATA).ok_or(bad.clone())?.to_vec();
        put(&mut entry, 0, &guid_to_disk(parse_guid(kind).ok_or(bad)?))?;
        if bytes_at(&entry, 16) == Some([0_u8; 16]) {
            // The disk's own GUID makes it as unique as the disk: cards of one image share both.
            put(&mut entry, 16, &guid_to_disk(self.id() ^ u128::from(DATA)))?;
        }
        put(&mut entry, 32, &data.start.to_le_bytes())?;
        put(&mut entry, 40, &last.to_le_bytes())?;
        let [.., name] = NAMES;
        let mut units = [0; 72];
        for (index, unit) in name.encode_utf16().enumerate() {
            put(&mut units, index * 2, &unit.to_le_bytes())?;
        }
        put(&mut entry, 56, &units)?;
        let mut next = self.clone();
        put(&mut next.entries, (DATA as usize - 1) * ENTRY, &entry)?;
        let writes = next.writes(sectors)?;
        // What the next boot would read.
        let head: Vec<u8> = writes.last().map(|write| write.bytes.clone()).unwrap_or_default();
        next.mbr = head.get(..SECTOR).unwrap_or_default().to_vec();
        next.header = head.get(SECTOR..SECTOR + HEADER).unwrap_or_default().to_vec();
        put(&mut next.header, 16, &[0; 4])?;
        next.source = Source::Primary;
        Ok((next, writes))
    }

    /// The writes that make both copies on a disk of `sectors` this table.
    pub(super) fn writes(&self, sectors: u64) -> Result<Vec<Write>, TableError> {
        let last = sectors.checked_sub(1).ok_or(TableError::NoTable("GPT"))?;
        let array = last.checked_sub(ENTRIES_SECTORS).ok_or(TableError::NoTable("GPT"))?;

        let mut tail = self.entries.clone();
        tail.extend(self.header_at(Place { own: last, other: 1, entries: array }, array)?);

        let mut head = self.protective_mbr(last)?;
        head.extend(self.header_at(Place { own: 1, other: last, entries: FIRST_ENTRIES_SECTOR }, array)?);
        head.extend(&self.entries);
        let (page, rest) = head.split_at_checked(PAGE).ok_or(TableError::Damaged("it is shorter than a table"))?;

        let mut writes = vec![Write { offset: array * SECTOR as u64, bytes: tail }];
        if self.is_from_backup() {
            writes.push(Write { offset: PAGE as u64, bytes: rest.to_vec() });
        }
        writes.push(Write { offset: 0, bytes: page.to_vec() });
        Ok(writes)
    }

    /// The header for one place, as a sector; `array` is the first sector of the backup's entries.
    fn header_at(&self, place: Place, array: u64) -> Result<Vec<u8>, TableError> {
        let mut header = self.header.clone();
        header.resize(SECTOR, 0);
        put(&mut header, 16, &[0; 4])?;
        put(&mut header, 24, &place.own.to_le_bytes())?;
        put(&mut header, 32, &place.other.to_le_bytes())?;
        put(&mut header, 48, &array.saturating_sub(1).to_le_bytes())?;
        put(&mut header, 72, &place.entries.to_le_bytes())?;
        put(&mut header, 88, &crc32(&self.entries).to_le_bytes())?;
        let checksum = crc32(header.get(..HEADER).unwrap_or_default());
        put(&mut header, 16, &checksum.to_le_bytes())?;
        Ok(header)
    }

    /// Sector 0 with its protective entry, where that is the first, reaching to the end of the disk.
    fn protective_mbr(&self, last: u64) -> Result<Vec<u8>, TableError> {
        let mut mbr = self.mbr.clone();
        if bytes_at(&mbr, 450) == Some([0xee]) {
            put(&mut mbr, 458, &u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes())?;
        }
        Ok(mbr)
    }
}

/// Where a copy of the header lies, in sectors.
#[derive(Clone, Copy)]
struct Place {
    own: u64,
    other: u64,
    entries: u64,
}

/// Checks one copy at sector `own` with its entries at sector `array`: the header's 92 bytes, and the entries.
fn parse_copy(sector: &[u8], entries: &[u8], own: u64, array: u64) -> Result<(Vec<u8>, Vec<u8>), TableError> {
    let none = TableError::NoTable("GPT");
    let mut header = sector.get(..HEADER).ok_or(none.clone())?.to_vec();
    let entries = entries.get(..ENTRIES).ok_or(none.clone())?.to_vec();
    if bytes_at(&header, 0) != Some(*b"EFI PART") {
        return Err(none);
    }
    let number = |at| bytes_at(&header, at).map(u32::from_le_bytes);
    let sector_number = |at| bytes_at(&header, at).map(u64::from_le_bytes);
    if number(8) != Some(0x0001_0000) || number(12) != Some(HEADER as u32) {
        return Err(TableError::Damaged("its header is of another version"));
    }
    if sector_number(24) != Some(own) || sector_number(72) != Some(array) {
        return Err(TableError::Damaged("its header says that it lies elsewhere"));
    }
    if number(80) != Some(128) || number(84) != Some(ENTRY as u32) {
        return Err(TableError::Damaged("it has not 128 entries of 128 bytes"));
    }
    let (wanted, wanted_entries) = (number(16), number(88));
    put(&mut header, 16, &[0; 4])?;
    if wanted != Some(crc32(&header)) || wanted_entries != Some(crc32(&entries)) {
        return Err(TableError::Damaged("its checksum is wrong"));
    }
    Ok((header, entries))
}

/// A GUID from its bytes on disk: the first three fields are little-endian.
fn guid_from_disk(bytes: [u8; 16]) -> u128 {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let [i, j, k, l, m, n, o, p] = rest;
    u128::from_be_bytes([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
}

/// The inverse of [`guid_from_disk`]: the same swaps.
fn guid_to_disk(guid: u128) -> [u8; 16] {
    guid_from_disk(guid.to_be_bytes()).to_be_bytes()
}

/// `0FC63DAF-8483-4772-8E79-3D69D8477DE4` as a number.
fn parse_guid(text: &str) -> Option<u128> {
    u128::from_str_radix(&text.replace('-', ""), 16).ok()
}

/// CRC-32 as in Ethernet and zip: reflected polynomial 0xedb88320.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ CRC32.get(usize::from(low ^ byte)).copied().unwrap_or_default()
    })
}

/// The remainder of every byte.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse a panic")]
const CRC32: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

// The head that is read covers the header and all entries; the tail is the entries and the header.
const _: () = assert!(HEAD_SECTORS * SECTOR == 2 * SECTOR + ENTRIES && TAIL_SECTORS * SECTOR == ENTRIES + SECTOR);

/// Makes a primary copy's checksums right again, for tests that change its bytes.
#[cfg(test)]
pub(super) fn reseal(head: &mut [u8]) {
    let entries = crc32(&head[1024..1024 + ENTRIES]);
    head[SECTOR + 88..SECTOR + 92].copy_from_slice(&entries.to_le_bytes());
    head[SECTOR + 16..SECTOR + 20].fill(0);
    let header = crc32(&head[SECTOR..SECTOR + HEADER]);
    head[SECTOR + 16..SECTOR + 20].copy_from_slice(&header.to_le_bytes());
}
