//! Block maps: which blocks of an image hold something, so that flashing can skip the rest.
//!
//! The format is bmaptool's, version 2.0: an XML file with the image's size and, for each run of mapped blocks, the SHA-256
//! of its bytes. The file carries its own SHA-256 too, computed with that checksum's 64 digits set to `0`.
//! A block is 4096 bytes; the last one is cut by the image's end.

mod read;

use std::fmt::Write as _;

pub use read::{BMAP_MAX, BmapError, parse};

use crate::digest::Sha256;

/// Bytes in a block.
pub const BLOCK: u64 = 4096;

/// Our maps end a range at every multiple of this many blocks, 4 MiB, and begin another.
///
/// Ranges that touch are the format's own; short ones say more closely where an image is damaged, and can be checked side
/// by side.
pub const RANGE_BLOCKS: u64 = 1024;

/// Cuts a run of blocks, first and last included, at the multiples of [`RANGE_BLOCKS`].
pub fn cut(first_block: u64, last_block: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut next = first_block;
    std::iter::from_fn(move || {
        let first = next;
        next = (first / RANGE_BLOCKS + 1) * RANGE_BLOCKS;
        (first <= last_block).then(|| (first, last_block.min(next - 1)))
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> String {
        let digest = |text: &str| Sha256::of(text.as_bytes());
        write(
            5 * BLOCK + 1,
            &[
                MappedRange { first_block: 0, last_block: 1, sha256: digest("a") },
                MappedRange { first_block: 4, last_block: 4, sha256: digest("b") },
                MappedRange { first_block: 5, last_block: 5, sha256: digest("c") },
            ],
        )
    }

    /// Replaces a piece of a map and gives it a checksum that fits again.
    fn forged(from: &str, to: &str) -> String {
        let text = map();
        assert!(text.contains(from), "{from}");
        let text = text.replace(from, to);
        let start = text.find("<BmapFileChecksum> ").unwrap() + 19;
        let zeroed = format!("{}{}{}", &text[..start], "0".repeat(64), &text[start + 64..]);
        format!("{}{}{}", &text[..start], Sha256::of(zeroed.as_bytes()), &text[start + 64..])
    }

    #[test]
    fn round_trip() {
        let read = parse(&map()).unwrap();
        assert_eq!((read.image_size, read.ranges.len(), read.mapped_blocks()), (20481, 3, 4));
        assert_eq!(read.ranges[2].bytes(read.image_size), 20480..20481);
        assert_eq!(write(read.image_size, &read.ranges), map());
        assert_eq!(forged("", ""), map());
        assert!(parse(&write(0, &[])).unwrap().ranges.is_empty());
    }

    #[test]
    fn long_runs_are_cut() {
        let cut = |first, last| cut(first, last).collect::<Vec<_>>();
        assert_eq!(cut(0, 1023), [(0, 1023)]);
        assert_eq!(cut(5, 5), [(5, 5)]);
        assert_eq!(cut(1000, 3072), [(1000, 1023), (1024, 2047), (2048, 3071), (3072, 3072)]);
    }

    #[test]
    fn bytes_are_pinned() {
        let digest = "6d75531fe331b91d92b537d149fbfdd2b04b6427bdcfe621860ef0b4149abd9e";
        assert_eq!(Sha256::of(map().as_bytes()).to_string(), digest);
    }

    #[test]
    fn contradictions_are_found() {
        for (from, to) in [
            ("> 0-1 <", "> 0-2 <"),
            ("> 0-1 <", "> 1-0 <"),
            ("> 4 <", "> 1 <"),
            ("> 5 <", "> 6 <"),
            (" 20481 ", " 20480 "),
            (" 20481 ", " 99999999999999999 "),
            (" 4096 ", " 512 "),
            (" sha256 ", " sha1 "),
            ("version=\"2.0\"", "version=\"1.3\""),
            ("<BlockSize>", "<BlockSizes>"),
            ("</bmap>", "</bmap>x"),
            ("<BlockMap>", "<BlockMap><x/>"),
            ("<Range chksum", "<Range sha1"),
            (" 6 ", " &#54; "),
            (" 6 ", " -6 "),
        ] {
            assert!(parse(&forged(from, to)).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn comments_are_skipped() {
        assert_eq!(parse(&forged("<BlockSize>", "<!-- a < b > c -->\n<BlockSize>")).unwrap(), parse(&map()).unwrap());
    }

    #[test]
    fn damage_is_an_error() {
        let (text, whole) = (map(), parse(&map()).unwrap());
        // Only the final newline can go.
        for end in 0..text.len() - 1 {
            assert!(parse(&text[..end]).is_err(), "{end}");
        }
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                // The file's own checksum may be spelt in capitals; nothing else can change.
                if let Ok(read) = parse(std::str::from_utf8(&bytes).unwrap()) {
                    assert!(bytes.eq_ignore_ascii_case(text.as_bytes()) && read == whole, "{at} {bit}");
                }
            }
        }
        assert!(matches!(parse(&" ".repeat(BMAP_MAX + 1)), Err(BmapError::TooLong(_))));
    }
}
