//! Uncompressed tables, and reading records out of them without ever leaving them.

use std::collections::BTreeMap;

use super::ReadError;
use crate::squashfs::block::METADATA;

/// An uncompressed table.
#[derive(Debug)]
pub(super) struct Table {
    name: &'static str,
    bytes: Vec<u8>,
    /// Where a block on disk begins in `bytes`.
    blocks: BTreeMap<u64, usize>,
}

impl Table {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, bytes: Vec::new(), blocks: BTreeMap::new() }
    }

    /// A table that is not made of metadata blocks.
    pub(super) fn plain(name: &'static str, bytes: Vec<u8>) -> Self {
        Self { name, bytes, blocks: BTreeMap::new() }
    }

    /// Appends a block that is at `start` on disk.
    pub(super) fn push(&mut self, start: u64, block: Vec<u8>) {
        self.blocks.insert(start, self.bytes.len());
        self.bytes.extend(block);
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Reads from here on.
    pub(super) fn at(&self, offset: usize) -> Cursor<'_> {
        Cursor { table: self, at: offset, end: self.bytes.len() }
    }

    /// Reads from a place as inodes are referred to: block on disk in bits 16 and up, offset in it below.
    pub(super) fn at_place(&self, place: u64) -> Result<Cursor<'_>, ReadError> {
        let offset = (place & 0xffff) as usize;
        let damaged = |reason| ReadError::Damaged { table: self.name, offset: place >> 16, reason };
        let start = self.blocks.get(&(place >> 16)).ok_or_else(|| damaged("no block begins here"))?;
        if offset >= METADATA || start + offset > self.bytes.len() {
            return Err(damaged("a reference leaves its block"));
        }
        Ok(self.at(start + offset))
    }
}

/// A place in a table.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    table: &'a Table,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    /// An error here.
    pub(super) fn damaged(&self, reason: &'static str) -> ReadError {
        ReadError::Damaged { table: self.table.name, offset: self.at as u64, reason }
    }

    /// The same place, with the end after `len` bytes.
    pub(super) fn limited(mut self, len: usize) -> Result<Self, ReadError> {
        match self.at.checked_add(len) {
            Some(end) if end <= self.end => {
                self.end = end;
                Ok(self)
            }
            _ => Err(self.damaged("it is cut short")),
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], ReadError> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.end);
        let bytes = end.and_then(|end| self.table.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.damaged("it is cut short"))?;
        self.at += len;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| self.damaged("it is cut short"))
    }

    pub(super) fn u16(&mut self) -> Result<u16, ReadError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_le_bytes)
    }

    /// UTF-8 of `len` bytes.
    pub(super) fn text(&mut self, len: usize) -> Result<&'a str, ReadError> {
        let here = self.clone();
        std::str::from_utf8(self.take(len)?).map_err(|_| here.damaged("a name is not UTF-8"))
    }
}
