//! Disks that are mostly zeros, in a few bytes: how many sectors there are, and those that hold something.
//!
//! ```text
//! sectors:u32  then for each: number:u32 (modulo the sectors), 512 bytes; all little-endian
//! ```

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes in a sector.
pub const SECTOR: usize = 512;
/// Most sectors: 128 MiB.
const SECTORS_MAX: u32 = 1 << 18;

/// A disk.
#[derive(Clone, Debug)]
pub struct Sparse {
    sectors: u32,
    held: BTreeMap<u32, [u8; SECTOR]>,
    at: u64,
}

impl Sparse {
    /// The disk that `input` describes; what is left over at its end is one sector more, filled with zeros.
    pub fn parse(input: &[u8]) -> Option<Self> {
        let (sectors, mut rest) = input.split_first_chunk::<4>()?;
        let sectors = u32::from_le_bytes(*sectors) % SECTORS_MAX + 1;
        let mut held = BTreeMap::new();
        while let Some((number, more)) = rest.split_first_chunk::<4>() {
            let length = more.len().min(SECTOR);
            let mut sector = [0; SECTOR];
            sector[..length].copy_from_slice(&more[..length]);
            held.insert(u32::from_le_bytes(*number) % sectors, sector);
            rest = &more[length..];
        }
        Some(Self { sectors, held, at: 0 })
    }

    /// How many sectors there are.
    pub fn sectors(&self) -> u32 {
        self.sectors
    }

    /// Sector `number`.
    pub fn sector(&self, number: u32) -> [u8; SECTOR] {
        self.held.get(&number).copied().unwrap_or([0; SECTOR])
    }

    /// Replaces a sector.
    pub fn put(&mut self, number: u32, sector: [u8; SECTOR]) {
        self.held.insert(number % self.sectors, sector);
    }

    /// `count` sectors from `first` on, as far as there are so many.
    pub fn run(&self, first: u32, count: u32) -> Vec<u8> {
        let end = first.saturating_add(count).min(self.sectors);
        let mut out = vec![0; end.saturating_sub(first) as usize * SECTOR];
        for (number, sector) in self.held.range(first..end.max(first)) {
            out[(number - first) as usize * SECTOR..][..SECTOR].copy_from_slice(sector);
        }
        out
    }

    /// Makes the checksums of the GPT header in sector `number` right, where there is one with 128 entries at most.
    pub fn seal_gpt(&mut self, number: u32) {
        let mut header = self.sector(number);
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (length, entries, first) = (word(12) as usize, word(80), word(72));
        if !header.starts_with(b"EFI PART") || !(20..=SECTOR).contains(&length) || entries > 1024 || word(84) != 128 {
            return;
        }
        let mut array = self.run(first, entries.div_ceil(4));
        array.truncate(entries as usize * 128);
        header[88..92].copy_from_slice(&crc32(&array).to_le_bytes());
        header[16..20].fill(0);
        let sum = crc32(&header[..length]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        self.put(number, header);
    }

    fn length(&self) -> u64 {
        u64::from(self.sectors) * SECTOR as u64
    }
}

/// CRC-32 as in Ethernet and zip.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| crc >> 8 ^ CRC32[usize::from(crc as u8 ^ byte)])
}

/// The remainder of every byte.
const CRC32: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length().saturating_sub(self.at);
        let within = (self.at % SECTOR as u64) as usize;
        let number = (self.at / SECTOR as u64) as u32;
        // Up to the next sector that holds something, all is zero.
        let (length, sector) = match self.held.range(number..).next() {
            Some((held, sector)) if *held == number => (SECTOR - within, Some(sector)),
            Some((held, _)) => (((held - number) as usize * SECTOR) - within, None),
            None => (usize::MAX, None),
        };
        let length = length.min(buffer.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
        match sector {
            Some(sector) => buffer[..length].copy_from_slice(&sector[within..within + length]),
            None => buffer[..length].fill(0),
        }
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
