//! Metadata blocks: everything but file data is a stream that is cut into 8 KiB and compressed piece by piece.
//!
//! On disk each piece is a 16-bit length (bit 15: stored as it is), then so many bytes.
//! A place in the stream is the offset of its block on disk, relative to its table, and an offset in the uncompressed
//! block. The smaller tables are reached through an index of absolute block offsets instead.

use std::io;

use super::compress::{Compressed, compress};

/// Uncompressed bytes of a metadata block; only the last of a stream is shorter.
pub(super) const METADATA: usize = 8192;
/// Bit 15 of a block's length: stored as it is.
pub(super) const METADATA_STORED: u16 = 0x8000;

/// A place in a stream of metadata blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Offset of the block on disk, in bytes from the start of the table.
    pub(super) block: u64,
    /// Offset in the uncompressed block.
    pub(super) offset: u16,
}

impl Place {
    /// As one number, which is how inodes are referred to.
    pub(super) fn packed(self) -> u64 {
        self.block << 16 | u64::from(self.offset)
    }
}

/// Writes a stream of metadata blocks.
pub(super) struct Blocks {
    level: i32,
    out: Vec<u8>,
    open: Vec<u8>,
    starts: Vec<u64>,
}

impl Blocks {
    pub(super) fn new(level: i32) -> Self {
        Self { level, out: Vec::new(), open: Vec::with_capacity(METADATA), starts: Vec::new() }
    }

    /// Where the next byte goes.
    pub(super) fn place(&self) -> Place {
        Place { block: self.out.len() as u64, offset: self.open.len() as u16 }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(METADATA - self.open.len()));
            self.open.extend_from_slice(now);
            bytes = rest;
            if self.open.len() == METADATA {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.starts.push(self.out.len() as u64);
        match compress(&self.open, self.level)? {
            Compressed::Smaller(frame) => {
                self.out.extend((frame.len() as u16).to_le_bytes());
                self.out.extend(frame);
            }
            Compressed::No => {
                self.out.extend((self.open.len() as u16 | METADATA_STORED).to_le_bytes());
                self.out.extend(&self.open);
            }
        }
        self.open.clear();
        Ok(())
    }

    /// The blocks as they go to disk, and where each starts.
    pub(super) fn finish(mut self) -> io::Result<(Vec<u8>, Vec<u64>)> {
        if !self.open.is_empty() {
            self.flush()?;
        }
        Ok((self.out, self.starts))
    }
}

/// Appends `records` as metadata blocks and then `header` and the index of those blocks.
///
/// `out` starts at `base` in the image. Returns where header and index start in the image.
pub(super) fn indexed_table(
    out: &mut Vec<u8>,
    base: u64,
    level: i32,
    records: &[u8],
    header: &[u8],
) -> io::Result<u64> {
    let mut blocks = Blocks::new(level);
    blocks.push(records)?;
    let (bytes, starts) = blocks.finish()?;
    let first = base + out.len() as u64;
    out.extend(bytes);
    let index = base + out.len() as u64;
    out.extend(header);
    out.extend(starts.iter().flat_map(|start| (first + start).to_le_bytes()));
    Ok(index)
}
