//! Block maps: which blocks of an image hold something, so that flashing can skip the rest.
//!
//! The format is bmaptool's, version 2.0: an XML file with the image's size and, for each run of mapped blocks, the SHA-256
//! of its bytes. The file carries its own SHA-256 too, computed with that checksum's 64 digits set to `0`.
//! A block is 4096 bytes; the last one is cut by the image's end.

mod read;

use std::fmt::Write as _;

pub use read::{BmapError, parse};

use crate::digest::Sha256;

/// Bytes in a block.
pub const BLOCK: u64 = 4096;

/// A run of mapped blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedRange {
    /// Number of the first block, from 0.
    pub first_block: u64,
    /// Number of the last block, itself mapped.
    pub last_block: u64,
    /// Digest of the run's bytes (up to the image's end).
    pub sha256: Sha256,
}

impl MappedRange {
    /// How many blocks the run has.
    pub fn blocks(&self) -> u64 {
        self.last_block - self.first_block + 1
    }

    /// Byte offsets of the run in an image of `image_size` bytes: start and end (not included).
    pub fn bytes(&self, image_size: u64) -> std::ops::Range<u64> {
        self.first_block * BLOCK..image_size.min((self.last_block + 1) * BLOCK)
    }
}

/// A block map that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bmap {
    /// Size of the image in bytes.
    pub image_size: u64,
    /// The mapped runs, in order, not touching the same block twice.
    pub ranges: Vec<MappedRange>,
}

impl Bmap {
    /// Blocks that are mapped.
    pub fn mapped_blocks(&self) -> u64 {
        self.ranges.iter().map(MappedRange::blocks).sum()
    }
}

/// The block map of an image of `image_size` bytes, as text.
///
/// `ranges` must be in order, must not overlap and must end within the image; [`parse`] checks that.
pub fn write(image_size: u64, ranges: &[MappedRange]) -> String {
    let zeros = "0".repeat(64);
    let blocks = image_size.div_ceil(BLOCK);
    let mapped: u64 = ranges.iter().map(MappedRange::blocks).sum();
    let mut head = format!(
        "<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">\n\
         \x20   <ImageSize> {image_size} </ImageSize>\n\
         \x20   <BlockSize> {BLOCK} </BlockSize>\n\
         \x20   <BlocksCount> {blocks} </BlocksCount>\n\
         \x20   <MappedBlocksCount> {mapped} </MappedBlocksCount>\n\
         \x20   <ChecksumType> sha256 </ChecksumType>\n\
         \x20   <BmapFileChecksum> "
    );
    let mut tail = String::from(" </BmapFileChecksum>\n    <BlockMap>\n");
    for MappedRange { first_block, last_block, sha256 } in ranges {
        let _ = if first_block == last_block {
            writeln!(tail, "        <Range chksum=\"{sha256}\"> {first_block} </Range>")
        } else {
            writeln!(tail, "        <Range chksum=\"{sha256}\"> {first_block}-{last_block} </Range>")
        };
    }
    tail.push_str("    </BlockMap>\n</bmap>\n");
    let checksum = Sha256::of(format!("{head}{zeros}{tail}").as_bytes());
    let _ = write!(head, "{checksum}");
    head + &tail
}
