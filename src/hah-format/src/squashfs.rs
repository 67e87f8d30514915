//! Squashfs 4.0: metadata tables around a data area that already exists, and a reader.
//!
//! The format is the kernel's `Documentation/filesystems/squashfs.rst` and `fs/squashfs/squashfs_fs.h`.
//! An image of this project looks so; all numbers are little-endian:
//!
//! ```text
//! 0        superblock, 96 bytes                                   ┐ Metadata::superblock
//! 96       data area: blocks of files and fragments, any order     │ laid down by the caller, from packs
//! 96+len   inode table     │ metadata blocks of 8 KiB             ┐
//!          directory table │                                      │
//!          fragment table, then its index                         │ Metadata::tables
//!          export table (inode number → inode), then its index    │
//!          id table (uids and gids), then its index               │
//!          xattrs, xattr id table, then its header and index      │
//!          zeros to a multiple of 4096 bytes                      ┘
//! ```
//!
//! The data area is opaque to the tables: a block is wherever [`FileData::start`] says.
//! That is what lets an image be a concatenation of packs ([`crate::pack`]) and a few hundred kilobytes of fresh tables.
//! No compression options block is written: the kernel has no use for it, and the data area starts at a fixed place.
//!
//! Read on: [`metadata`] writes, [`Reader`] reads.

use serde::{Deserialize, Serialize};

mod compress;
mod data;
mod file;
mod superblock;
mod block;
mod inode;
mod xattr;
mod writer;
mod reader;

pub(crate) use compress::{Compressed, compress};
pub use data::{Area, DataError, LastFragment, read_file, read_neighbour};
pub use file::FileReader;
pub use reader::{ReadError, Reader};
pub use writer::{Owners, metadata};

use crate::path::TreePath;

/// Bytes of a file in one block, unless [`Options`] say otherwise: what mksquashfs chooses.
pub const BLOCK_SIZE: u32 = 131_072;
/// Where the data area starts, in bytes from the start of the image: right behind the superblock.
pub const DATA_START: u64 = 96;
/// The zstd level of [`Options::new`]: on the lab's root, 9 takes a quarter longer and saves half a percent.
pub const LEVEL: i32 = 6;
/// Set in the on-disk size of a data block that is stored as it is.
pub const STORED: u32 = 1 << 24;
/// Images are padded to a multiple of this many bytes, so that a loop device sees all of it.
const PADDING: usize = 4096;

/// How the tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a file in one block: a power of two between 4 KiB and 1 MiB.
    pub block_size: u32,
    /// zstd level of the tables.
    pub level: i32,
    /// Seconds since 1970: the image's own time, and the latest that a file may carry (later ones are set to it).
    pub epoch: u32,
}

impl Options {
    /// The default block size and level at this epoch, in seconds since 1970.
    pub fn new(epoch: u32) -> Self {
        Self { block_size: BLOCK_SIZE, level: LEVEL, epoch }
    }
}

/// Where a regular file's bytes are, relative to the start of a data area.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileData {
    /// Length in bytes.
    pub size: u64,
    /// Offset of the first block in the data area, in bytes; the others follow it without a gap.
    pub start: u64,
    /// On-disk size words of the full blocks: length in bytes, [`STORED`] when not compressed, 0 for a hole.
    pub blocks: Vec<u32>,
    /// Where the rest of the file is when it does not end with a block of its own.
    pub tail: Option<Tail>,
}

impl FileData {
    /// The same file after its data area was appended to a larger one.
    #[must_use]
    pub fn placed(mut self, placement: Placement) -> Self {
        if !self.blocks.is_empty() {
            self.start = self.start.saturating_add(placement.start);
        }
        if let Some(tail) = &mut self.tail {
            tail.fragment = tail.fragment.saturating_add(placement.first_fragment);
        }
        self
    }
}

/// The end of a file, inside a fragment block that it shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// Index of the fragment block.
    pub fragment: u32,
    /// Offset in the uncompressed fragment block, in bytes.
    pub offset: u32,
}

/// A block that holds the ends of several files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// Offset in the data area, in bytes.
    pub start: u64,
    /// On-disk length in bytes; [`STORED`] when not compressed.
    pub size_word: u32,
}

/// What is known of a data area: everything between the superblock and the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataArea {
    /// Length in bytes.
    pub len: u64,
    /// Its fragment blocks.
    pub fragments: Vec<Fragment>,
}

/// Where one data area came to lie when it was appended to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Bytes before it.
    pub start: u64,
    /// Fragment blocks before its own.
    pub first_fragment: u32,
}

impl DataArea {
    /// Appends `len` bytes that contain `fragments` (relative to their own start), and says where they came to lie.
    ///
    /// The caller lays the bytes down in the same order; [`FileData::placed`] moves the files. What a damaged manifest
    /// puts out of range stays out of range, and [`metadata`] refuses it.
    pub fn append(&mut self, len: u64, fragments: &[Fragment]) -> Placement {
        let placement =
            Placement { start: self.len, first_fragment: u32::try_from(self.fragments.len()).unwrap_or(u32::MAX) };
        let moved = |f: &Fragment| Fragment { start: f.start.saturating_add(placement.start), ..*f };
        self.fragments.extend(fragments.iter().map(moved));
        self.len = self.len.saturating_add(len);
        placement
    }
}

/// Which id a name is to be turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerKind {
    /// A user id.
    User,
    /// A group id.
    Group,
}

impl OwnerKind {
    fn noun(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

/// Everything of an image but its data area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The first 96 bytes of the image.
    pub superblock: [u8; DATA_START as usize],
    /// What follows the data area, padded so that the whole image is a multiple of 4096 bytes.
    pub tables: Vec<u8>,
}

/// Why an image's tables cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SquashfsError {
    /// The block size is not one that squashfs knows.
    #[error("a squashfs block has 4 KiB to 1 MiB and a power of two of bytes, not {0}")]
    BlockSize(u32),
    /// No id for an owner.
    #[error("{path} belongs to the {noun} `{owner}`, which the image does not have")]
    UnknownOwner {
        /// The file.
        path: TreePath,
        /// `user` or `group`.
        noun: &'static str,
        /// The name.
        owner: String,
    },
    /// A hard link that leads nowhere.
    #[error("{path} is a hard link to {target}, which is {found}")]
    HardLink {
        /// The link.
        path: TreePath,
        /// What it names.
        target: TreePath,
        /// What is there instead of a file.
        found: &'static str,
    },
    /// Blocks and tail do not add up to the file, or are outside the data area.
    #[error("{path}: its blocks do not fit {what}")]
    FileData {
        /// The file.
        path: TreePath,
        /// What they contradict.
        what: &'static str,
    },
    /// An extended attribute that squashfs cannot hold.
    #[error("{path}: squashfs cannot hold the extended attribute `{name}`: {reason}")]
    Xattr {
        /// The file.
        path: TreePath,
        /// The attribute's full name.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// More of something than the format can count.
    #[error("{what} at {path}: {count} is more than the {limit} that squashfs can count")]
    TooMany {
        /// Where the limit was passed.
        path: TreePath,
        /// What was counted.
        what: &'static str,
        /// How many there are, as far as it was counted.
        count: u64,
        /// How many there may be.
        limit: u64,
    },
    /// zstd refused.
    #[error("zstd could not compress a metadata block")]
    Zstd(#[source] std::io::Error),
}

impl SquashfsError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::BlockSize(_) => "use the default of 131072",
            Self::UnknownOwner { .. } => "declare it with [[user]] or [[group]], or add the package that creates it",
            Self::HardLink { .. } => "keep the target, or remove the link too",
            Self::FileData { .. } => "the pack is damaged: `hah-image store verify` finds and removes it",
            Self::Xattr { .. } => "only user.*, trusted.* and security.* of at most 64 KiB can be stored; remove it",
            Self::TooMany { .. } => "split the image or leave packages out",
            Self::Zstd(_) => "check the configured compression level",
        }
    }
}
