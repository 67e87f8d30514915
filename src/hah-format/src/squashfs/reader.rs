//! [`Reader`]: images back to trees and files.
//!
//! Reads what [`super::metadata`] writes and what mksquashfs writes with zstd. Every length that an image claims is
//! checked against the bytes that are really there before anything is allocated for it: a table decompresses to at most
//! [`TABLE_MAX`] bytes, and a tree has at most [`PATHS_MAX`] paths.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use super::block::{METADATA, METADATA_STORED};
use super::compress::decompress;
use super::data::{Area, DataError, LastFragment, read_neighbour};
use super::superblock::{ABSENT, MAGIC, Superblock, ZSTD};
use super::xattr::PREFIXES;
use super::{DATA_START, FileData, Fragment};

mod cursor;
mod nodes;

use cursor::Table;

/// Largest table, uncompressed, in bytes.
const TABLE_MAX: usize = 64 << 20;
/// Most paths of a tree.
const PATHS_MAX: usize = 1 << 20;
/// Deepest directory.
const DEPTH_MAX: usize = 512;

/// Set in an xattr's prefix number when its value is a reference to an earlier one; mksquashfs does so, we do not.
const XATTR_ELSEWHERE: u16 = 0x100;

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file that holds it could not be read.
    #[error("cannot read the image")]
    Io(#[from] io::Error),
    /// There is no superblock.
    #[error("this is not a squashfs image")]
    NotSquashfs,
    /// It is of a kind that is not read here.
    #[error("this squashfs image has {what} {found}, and {wanted} is read here")]
    Unsupported {
        /// `version`, `compression`, …
        what: &'static str,
        /// What it has.
        found: u32,
        /// What would do.
        wanted: &'static str,
    },
    /// Something contradicts the format.
    #[error("the image is damaged: {table}, at byte {offset}: {reason}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Offset in bytes: in the image for blocks, in the uncompressed table for records.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// More of something than is read here.
    #[error("the image passes the limit of {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much would do.
        limit: usize,
    },
    /// A file's blocks could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl ReadError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io(_) => "check that the image is a readable file",
            Self::NotSquashfs => "the root of an image of this project is in its second partition",
            Self::Unsupported { .. } => "make the image with zstd compression",
            Self::Damaged { .. } | Self::Data(_) => "build the image again; nothing in it can be trusted",
            Self::Limit { .. } => "images of this project are far smaller: check where it comes from",
        }
    }
}

/// One inode's extended attributes, as in [`crate::tree::Meta`].
type Xattrs = BTreeMap<Box<str>, Vec<u8>>;

/// An open image.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    superblock: Superblock,
    fragments: Vec<Fragment>,
    last: LastFragment,
}

impl<R: Read + Seek> Reader<R> {
    /// Opens an image that starts at the start of `source`.
    pub fn open(mut source: R) -> Result<Self, ReadError> {
        let len = source.seek(SeekFrom::End(0))?;
        let mut bytes = [0; DATA_START as usize];
        source.seek(SeekFrom::Start(0))?;
        source.read_exact(&mut bytes).map_err(|_| ReadError::NotSquashfs)?;
        let superblock = parse_superblock(&bytes)?;
        let damaged = |offset, reason| ReadError::Damaged { table: "superblock", offset, reason };
        if superblock.bytes_used > len {
            return Err(damaged(40, "the image is cut short"));
        }
        let Superblock { inode_table, directory_table, .. } = superblock;
        if inode_table < DATA_START || inode_table > directory_table || directory_table > superblock.bytes_used {
            return Err(damaged(64, "its tables are out of order"));
        }
        let mut reader = Self { source, superblock, fragments: Vec::new(), last: None };
        reader.fragments = reader.read_fragments()?;
        Ok(reader)
    }

    /// Bytes of a file in one block.
    pub fn block_size(&self) -> u32 {
        self.superblock.block_size
    }

    /// The image's own time, in seconds since 1970.
    pub fn epoch(&self) -> u32 {
        self.superblock.mkfs_time
    }

    /// The fragment blocks, relative to [`DATA_START`].
    pub fn fragments(&self) -> &[Fragment] {
        &self.fragments
    }

    /// A file's bytes, if they are at most `limit`.
    pub fn read(&mut self, file: &FileData, limit: u64) -> Result<Vec<u8>, ReadError> {
        let block_size = self.superblock.block_size;
        let Self { source, fragments, last, .. } = self;
        Ok(read_neighbour(Area { source, start: DATA_START, block_size, fragments }, last, file, limit)?)
    }

    fn read_fragments(&mut self) -> Result<Vec<Fragment>, ReadError> {
        let Superblock { fragment_table, fragments, .. } = self.superblock;
        if fragments == 0 {
            return Ok(Vec::new());
        }
        let table = self.indexed("fragment table", fragment_table, 16 * u64::from(fragments))?;
        let mut cursor = table.at(0);
        let mut out = Vec::new();
        for _ in 0..fragments {
            let start = cursor.u64()?.checked_sub(DATA_START);
            let start = start.ok_or_else(|| cursor.damaged("a fragment lies in the superblock"))?;
            out.push(Fragment { start, size_word: cursor.u32()? });
            cursor.u32()?;
        }
        Ok(out)
    }

    fn read_ids(&mut self) -> Result<Vec<u32>, ReadError> {
        let Superblock { id_table, ids, .. } = self.superblock;
        let table = self.indexed("id table", id_table, 4 * u64::from(ids))?;
        let mut cursor = table.at(0);
        (0..ids).map(|_| cursor.u32()).collect()
    }

    /// The lists of extended attributes, as inodes number them.
    fn read_xattrs(&mut self) -> Result<Vec<Xattrs>, ReadError> {
        let start = self.superblock.xattr_table;
        if start == ABSENT {
            return Ok(Vec::new());
        }
        let name = "xattr table";
        let header = self.bytes(name, start, 16)?;
        let header = Table::plain(name, header);
        let mut cursor = header.at(0);
        let (lists, count) = (cursor.u64()?, cursor.u32()?);
        let records = self.indexed(name, start.saturating_add(16), 16 * u64::from(count))?;
        // The lists end where their records' first block begins; reading on into those does no harm to a sound image,
        // so take the first entry of the index for the end.
        let first = self.bytes(name, start.saturating_add(16), 8)?;
        let end = Table::plain(name, first).at(0).u64()?;
        let lists = self.stream(name, lists, end)?;
        let mut records = records.at(0);
        let mut out = Vec::new();
        let mut total = 0usize;
        for _ in 0..count {
            let (place, entries) = (records.u64()?, records.u32()?);
            records.u32()?;
            let mut list = BTreeMap::new();
            let mut cursor = lists.at_place(place)?;
            for _ in 0..entries {
                let (kind, len) = (cursor.u16()?, cursor.u16()?);
                let prefix = PREFIXES.get(usize::from(kind & !XATTR_ELSEWHERE));
                let prefix = prefix.ok_or_else(|| cursor.damaged("an unknown prefix"))?;
                let short = cursor.text(usize::from(len))?;
                let len = cursor.u32()? as usize;
                let mut value = cursor.take(len)?;
                if kind & XATTR_ELSEWHERE != 0 {
                    let place = value.try_into().map_err(|_| cursor.damaged("a reference has no 8 bytes"))?;
                    let mut cursor = lists.at_place(u64::from_le_bytes(place))?;
                    let len = cursor.u32()? as usize;
                    value = cursor.take(len)?;
                }
                // Records may share lists: bound what they add up to.
                total += 64 + short.len() + value.len();
                if total > TABLE_MAX {
                    return Err(ReadError::Limit { what: "bytes of xattrs", limit: TABLE_MAX });
                }
                list.insert(format!("{prefix}{short}").into(), value.to_vec());
            }
            out.push(list);
        }
        Ok(out)
    }

    /// A table that is reached through an index of its blocks at `index`, of `len` uncompressed bytes.
    fn indexed(&mut self, name: &'static str, index: u64, len: u64) -> Result<Table, ReadError> {
        let damaged = |reason| ReadError::Damaged { table: name, offset: index, reason };
        if len > TABLE_MAX as u64 {
            return Err(ReadError::Limit { what: "bytes in a table", limit: TABLE_MAX });
        }
        let blocks = len.div_ceil(METADATA as u64);
        let starts = Table::plain(name, self.bytes(name, index, 8 * blocks)?);
        let mut starts = starts.at(0);
        let mut table = Table::new(name);
        for left in (0..blocks).rev() {
            let start = starts.u64()?;
            table.push(start, self.block(name, start)?.0);
            if left > 0 && !table.len().is_multiple_of(METADATA) {
                return Err(damaged("a block in the middle is not full"));
            }
        }
        if (table.len() as u64) < len { Err(damaged("it is too short")) } else { Ok(table) }
    }

    /// The metadata blocks that fill the image from `start` to `end`.
    fn stream(&mut self, name: &'static str, start: u64, end: u64) -> Result<Table, ReadError> {
        let damaged = |offset, reason| ReadError::Damaged { table: name, offset, reason };
        if end > self.superblock.bytes_used || start > end {
            return Err(damaged(start, "it reaches beyond the image"));
        }
        let mut table = Table::new(name);
        let mut at = start;
        while at < end {
            if !table.len().is_multiple_of(METADATA) {
                return Err(damaged(at, "a block in the middle is not full"));
            }
            let (bytes, next) = self.block(name, at)?;
            table.push(at - start, bytes);
            at = next;
            if table.len() > TABLE_MAX {
                return Err(ReadError::Limit { what: "bytes in a table", limit: TABLE_MAX });
            }
        }
        if at == end { Ok(table) } else { Err(damaged(at, "its last block reaches into the next table")) }
    }

    /// One metadata block, uncompressed, and where the next one would start.
    fn block(&mut self, name: &'static str, at: u64) -> Result<(Vec<u8>, u64), ReadError> {
        let damaged = |reason| ReadError::Damaged { table: name, offset: at, reason };
        let head = self.bytes(name, at, 2)?;
        let word = u16::from_le_bytes([head[0], head[1]]);
        let len = word & !METADATA_STORED;
        if len == 0 || usize::from(len) > METADATA {
            return Err(damaged("a block has an impossible length"));
        }
        let bytes = self.bytes(name, at + 2, u64::from(len))?;
        let next = at + 2 + u64::from(len);
        if word & METADATA_STORED != 0 {
            return Ok((bytes, next));
        }
        match decompress(&bytes, METADATA) {
            Ok(bytes) if !bytes.is_empty() => Ok((bytes, next)),
            _ => Err(damaged("a block is not a zstd frame of at most 8 KiB")),
        }
    }

    /// Bytes of the image, all of them inside [`Superblock::bytes_used`] and so inside the file.
    fn bytes(&mut self, table: &'static str, at: u64, len: u64) -> Result<Vec<u8>, ReadError> {
        if at.checked_add(len).is_none_or(|end| end > self.superblock.bytes_used) {
            return Err(ReadError::Damaged { table, offset: at, reason: "it reaches beyond the image" });
        }
        self.source.seek(SeekFrom::Start(at))?;
        let mut bytes = vec![0; len as usize];
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn parse_superblock(bytes: &[u8; DATA_START as usize]) -> Result<Superblock, ReadError> {
    let table = Table::plain("superblock", bytes.to_vec());
    let mut at = table.at(0);
    if at.u32()? != MAGIC {
        return Err(ReadError::NotSquashfs);
    }
    let (inodes, mkfs_time, block_size, fragments) = (at.u32()?, at.u32()?, at.u32()?, at.u32()?);
    let (compression, block_log, _flags, ids) = (at.u16()?, at.u16()?, at.u16()?, at.u16()?);
    let (major, minor) = (at.u16()?, at.u16()?);
    if (major, minor) != (4, 0) {
        let found = u32::from(major) << 16 | u32::from(minor);
        return Err(ReadError::Unsupported { what: "version", found, wanted: "4.0 (262144)" });
    }
    if compression != ZSTD {
        return Err(ReadError::Unsupported { what: "compression", found: compression.into(), wanted: "zstd (6)" });
    }
    if !(12..=20).contains(&block_log) || block_size != 1 << block_log {
        return Err(ReadError::Damaged { table: "superblock", offset: 12, reason: "the block size is impossible" });
    }
    let mut long = || at.u64();
    Ok(Superblock {
        inodes,
        mkfs_time,
        block_size,
        fragments,
        ids,
        root: long()?,
        bytes_used: long()?,
        id_table: long()?,
        xattr_table: long()?,
        inode_table: long()?,
        directory_table: long()?,
        fragment_table: long()?,
        export_table: long()?,
    })
}
