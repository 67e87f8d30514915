//! The first 96 bytes of an image.

/// `hsqs`.
pub(super) const MAGIC: u32 = 0x7371_7368;
/// zstd, in the superblock's words.
pub(super) const ZSTD: u16 = 6;
/// The start of a table that is not there.
pub(super) const ABSENT: u64 = u64::MAX;

/// No file has a tail in a fragment.
pub(super) const NO_FRAGMENTS: u16 = 0x10;
/// The ends of large files are in fragments too.
const ALWAYS_FRAGMENTS: u16 = 0x20;
/// Equal files are stored once.
const DUPLICATES: u16 = 0x40;
/// There is an export table.
pub(super) const EXPORTABLE: u16 = 0x80;

/// The fields that differ between images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Superblock {
    /// How many inodes there are.
    pub(super) inodes: u32,
    /// Seconds since 1970.
    pub(super) mkfs_time: u32,
    /// Bytes of a file in one block.
    pub(super) block_size: u32,
    /// Fragment blocks.
    pub(super) fragments: u32,
    /// Entries of the id table.
    pub(super) ids: u16,
    /// Where the root directory's inode is: metadata block in bits 16 and up, offset in it below.
    pub(super) root: u64,
    /// Length of the image without its padding.
    pub(super) bytes_used: u64,
    /// Index of the id table; all of these are bytes from the start of the image, or [`ABSENT`].
    pub(super) id_table: u64,
    /// Header of the xattr id table.
    pub(super) xattr_table: u64,
    /// Inodes.
    pub(super) inode_table: u64,
    /// Directory listings.
    pub(super) directory_table: u64,
    /// Index of the fragment table.
    pub(super) fragment_table: u64,
    /// Index of the export table.
    pub(super) export_table: u64,
}

impl Superblock {
    pub(super) fn encode(&self) -> [u8; 96] {
        let flags = DUPLICATES | EXPORTABLE | if self.fragments == 0 { NO_FRAGMENTS } else { ALWAYS_FRAGMENTS };
        let mut out = [0; 96];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        for word in [MAGIC, self.inodes, self.mkfs_time, self.block_size, self.fragments] {
            put(&word.to_le_bytes());
        }
        for half in [ZSTD, self.block_size.trailing_zeros() as u16, flags, self.ids, 4, 0] {
            put(&half.to_le_bytes());
        }
        for place in [
            self.root,
            self.bytes_used,
            self.id_table,
            self.xattr_table,
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            self.export_table,
        ] {
            put(&place.to_le_bytes());
        }
        out
    }
}
