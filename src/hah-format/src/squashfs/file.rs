//! [`FileReader`]: a file of a data area, read here and there, a block at a time.

use std::io::{self, Read, Seek, SeekFrom};

use super::data::{Area, DataError, read_block};
use super::{FileData, Fragment, STORED};

/// Reads a file whose bytes are blocks of a data area, without holding more of them than one.
pub struct FileReader<'a, R> {
    source: &'a mut R,
    start: u64,
    block_size: u32,
    fragments: &'a [Fragment],
    file: &'a FileData,
    /// Offsets of the blocks in the data area.
    offsets: Vec<u64>,
    position: u64,
    /// The block that was read last, by its number in the file.
    held: Option<(u64, Vec<u8>)>,
}

impl<'a, R: Read + Seek> FileReader<'a, R> {
    /// A reader at the file's start.
    pub fn new(area: Area<'a, R>, file: &'a FileData) -> Result<Self, DataError> {
        let Area { source, start, block_size, fragments } = area;
        file.check_shape(block_size)?;
        let mut at = file.start;
        let offset = |word: &u32| {
            let offset = at;
            at = at.saturating_add(u64::from(word & !STORED));
            offset
        };
        let offsets = file.blocks.iter().map(offset).collect();
        let block_size = block_size.max(1);
        Ok(Self { source, start, block_size, fragments, file, offsets, position: 0, held: None })
    }

    /// Reads the block of this number: a whole one, the last one, or the end of the file in a fragment.
    fn block(&mut self, number: u64) -> Result<Vec<u8>, DataError> {
        let size = u64::from(self.block_size);
        let expected = size.min(self.file.size - number * size) as usize;
        let index = usize::try_from(number).ok();
        let Some((word, offset)) =
            index.and_then(|index| Some((*self.file.blocks.get(index)?, *self.offsets.get(index)?)))
        else {
            return self.tail(expected);
        };
        if word == 0 {
            return Ok(vec![0; expected]);
        }
        let bytes = read_block(self.source, (self.start, offset), word, self.block_size)?;
        match bytes.len() == expected {
            true => Ok(bytes),
            false => Err(DataError::Block { offset, reason: "its length is wrong" }),
        }
    }

    fn tail(&mut self, expected: usize) -> Result<Vec<u8>, DataError> {
        let shape = || DataError::Shape { size: self.file.size };
        let tail = self.file.tail.ok_or_else(shape)?;
        let fragment = *self.fragments.get(tail.fragment as usize).ok_or_else(shape)?;
        let bytes = read_block(self.source, (self.start, fragment.start), fragment.size_word, self.block_size)?;
        let from = tail.offset as usize;
        let found = from.checked_add(expected).and_then(|end| bytes.get(from..end)).map(<[u8]>::to_vec);
        found.ok_or(DataError::Block { offset: fragment.start, reason: "a tail is outside it" })
    }
}

impl<R: Read + Seek> Read for FileReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.file.size || buffer.is_empty() {
            return Ok(0);
        }
        let size = u64::from(self.block_size);
        let (number, within) = (self.position / size, (self.position % size) as usize);
        if self.held.as_ref().is_none_or(|(held, _)| *held != number) {
            self.held = Some((number, self.block(number).map_err(io::Error::other)?));
        }
        let bytes = self.held.as_ref().and_then(|(_, bytes)| bytes.get(within..)).unwrap_or_default();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl<R: Read + Seek> Seek for FileReader<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.file.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
