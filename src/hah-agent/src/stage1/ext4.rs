//! The few fields of an ext4 superblock that stage 1 reads (Linux, Documentation/filesystems/ext4/super.rst).

use std::time::Duration;

/// Where the superblock is, in bytes from the start of the partition.
pub(crate) const SUPERBLOCK_AT: u64 = 1024;
/// Its length in bytes.
pub(crate) const SUPERBLOCK: usize = 1024;

const MAGIC: [u8; 2] = [0x53, 0xef];
/// `INCOMPAT_64BIT`: the high halves of the counts are in use.
const INCOMPAT_64BIT: u32 = 0x80;

/// A superblock's account of its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// Size in blocks.
    pub(crate) blocks: u64,
    /// Block size in bytes.
    pub(crate) block_size: u64,
    /// When it was last written, since 1970.
    pub(crate) written: Duration,
}

impl Superblock {
    /// Reads a superblock; nothing when there is none.
    pub(crate) fn parse(bytes: &[u8; SUPERBLOCK]) -> Option<Self> {
        let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        if bytes.get(0x38..0x3a)? != MAGIC {
            return None;
        }
        let high = if word(0x60)? & INCOMPAT_64BIT != 0 { word(0x150)? } else { 0 };
        let shift = word(0x18)?;
        // 64 KiB is the largest block.
        if shift > 6 {
            return None;
        }
        Some(Self {
            blocks: u64::from(high) << 32 | u64::from(word(0x4)?),
            block_size: 1024 << shift,
            written: Duration::from_secs(u64::from(*bytes.get(0x274)?) << 32 | u64::from(word(0x30)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> [u8; SUPERBLOCK] {
        let mut bytes = [0; SUPERBLOCK];
        bytes[0x38..0x3a].copy_from_slice(&MAGIC);
        bytes[0x4..0x8].copy_from_slice(&1000_u32.to_le_bytes());
        bytes[0x18..0x1c].copy_from_slice(&2_u32.to_le_bytes());
        bytes[0x30..0x34].copy_from_slice(&1_700_000_000_u32.to_le_bytes());
        bytes[0x150..0x154].copy_from_slice(&1_u32.to_le_bytes());
        bytes
    }

    #[test]
    fn fields() {
        let mut bytes = superblock();
        let parsed = Superblock::parse(&bytes).unwrap();
        assert_eq!(parsed, Superblock { blocks: 1000, block_size: 4096, written: Duration::from_secs(1_700_000_000) });
        bytes[0x60] = 0xc2;
        assert_eq!(Superblock::parse(&bytes).unwrap().blocks, (1 << 32) + 1000);
    }

    #[test]
    fn no_superblock() {
        assert_eq!(Superblock::parse(&[0; SUPERBLOCK]), None);
        assert_eq!(Superblock::parse(&[0xff; SUPERBLOCK]), None);
        let mut huge_blocks = superblock();
        huge_blocks[0x18] = 200;
        assert_eq!(Superblock::parse(&huge_blocks), None);
    }
}
