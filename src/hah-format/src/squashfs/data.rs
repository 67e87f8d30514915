//! Files back out of a data area.

use std::io::{self, Read, Seek, SeekFrom};

use super::compress::decompress;
use super::{FileData, Fragment, STORED};

/// Why a file cannot be read from a data area.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The data area could not be read.
    #[error("cannot read {len} bytes at offset {offset} of the data area")]
    Read {
        /// Bytes from the start of the data area.
        offset: u64,
        /// Bytes wanted.
        len: u64,
        /// Why.
        source: io::Error,
    },
    /// A block is not what its size words promise.
    #[error("the block at offset {offset} of the data area is damaged: {reason}")]
    Block {
        /// Bytes from the start of the data area.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The blocks do not add up to the file's size.
    #[error("the file's block list does not fit its size of {size} bytes")]
    Shape {
        /// Claimed size in bytes.
        size: u64,
    },
    /// The file is larger than the caller is ready to hold.
    #[error("the file has {size} bytes, and only {limit} can be held here")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl DataError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Block { .. } | Self::Shape { .. } => {
                "the pack or image is damaged: `hah-image store verify` finds and removes it"
            }
            Self::TooLarge { .. } => "files of this size cannot be changed by a configuration pass",
        }
    }
}

/// A data area inside a larger stream.
pub struct Area<'a, R> {
    /// The stream.
    pub source: &'a mut R,
    /// Where the data area starts in it, in bytes.
    pub start: u64,
    /// Bytes of a file in one block.
    pub block_size: u32,
    /// The data area's fragment blocks.
    pub fragments: &'a [Fragment],
}

/// The fragment that was read last, by its index, and its uncompressed bytes: neighbours in a package often share one.
pub type LastFragment = Option<(u32, Vec<u8>)>;

/// Reads a whole file of at most `limit` bytes.
pub fn read_file<R: Read + Seek>(area: Area<'_, R>, file: &FileData, limit: u64) -> Result<Vec<u8>, DataError> {
    read_neighbour(area, &mut None, file, limit)
}

/// [`read_file`], without reading a fragment again when the last file ended in it too.
///
/// `last` belongs to the data area.
pub fn read_neighbour<R: Read + Seek>(
    area: Area<'_, R>,
    last: &mut LastFragment,
    file: &FileData,
    limit: u64,
) -> Result<Vec<u8>, DataError> {
    let Area { source, start, block_size, fragments } = area;
    let shape = || DataError::Shape { size: file.size };
    if file.size > limit {
        return Err(DataError::TooLarge { size: file.size, limit });
    }
    file.check_shape(block_size)?;
    let block = u64::from(block_size.max(1));
    let mut out = Vec::new();
    let mut at = file.start;
    for word in &file.blocks {
        let expected = block.min(file.size - out.len() as u64) as usize;
        if *word == 0 {
            out.resize(out.len() + expected, 0);
            continue;
        }
        let bytes = read_block(source, (start, at), *word, block_size)?;
        if bytes.len() != expected {
            return Err(DataError::Block { offset: at, reason: "its length is wrong" });
        }
        out.extend_from_slice(&bytes);
        at += u64::from(*word & !STORED);
    }
    if let Some(tail) = file.tail {
        let fragment = fragments.get(tail.fragment as usize).ok_or_else(shape)?;
        let bytes = match last {
            Some((index, bytes)) if *index == tail.fragment => bytes,
            _ => {
                let bytes = read_block(source, (start, fragment.start), fragment.size_word, block_size)?;
                &mut last.insert((tail.fragment, bytes)).1
            }
        };
        let from = tail.offset as usize;
        let len = (file.size - out.len() as u64) as usize;
        let tail = from.checked_add(len).and_then(|end| bytes.get(from..end));
        out.extend_from_slice(tail.ok_or(DataError::Block { offset: fragment.start, reason: "a tail is outside it" })?);
    }
    Ok(out)
}

impl FileData {
    /// That the blocks add up to the size.
    pub(super) fn check_shape(&self, block_size: u32) -> Result<(), DataError> {
        let block = u64::from(block_size.max(1));
        let wanted = if self.tail.is_some() { self.size / block } else { self.size.div_ceil(block) };
        if wanted == self.blocks.len() as u64 { Ok(()) } else { Err(DataError::Shape { size: self.size }) }
    }
}

/// Reads one data block; the offset is (start of the data area, offset in it).
pub(super) fn read_block<R: Read + Seek>(
    source: &mut R,
    (start, offset): (u64, u64),
    word: u32,
    block_size: u32,
) -> Result<Vec<u8>, DataError> {
    let damaged = |reason| DataError::Block { offset, reason };
    let len = word & !STORED;
    if len > block_size {
        return Err(damaged("it is longer than a block"));
    }
    let failed = |source| DataError::Read { offset, len: u64::from(len), source };
    let place = start.checked_add(offset).ok_or_else(|| damaged("its offset is too large"))?;
    source.seek(SeekFrom::Start(place)).map_err(failed)?;
    let mut bytes = Vec::new();
    source.take(u64::from(len)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() != len as usize {
        return Err(damaged("it is cut short"));
    }
    if word & STORED != 0 {
        return Ok(bytes);
    }
    decompress(&bytes, block_size as usize).map_err(|_| damaged("it is not a zstd frame of at most one block"))
}
