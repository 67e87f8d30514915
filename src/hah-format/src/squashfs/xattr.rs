//! The xattr tables: lists of names and values, each list stored once.
//!
//! A name is stored without its prefix, which is a number. Values are stored in line.

use std::collections::BTreeMap;
use std::io;

use super::SquashfsError;
use super::block::{Blocks, indexed_table};
use super::superblock::ABSENT;
use crate::path::TreePath;

/// An inode's xattr index when it has none.
pub(super) const NO_XATTRS: u32 = u32::MAX;
/// The kernel's `XATTR_SIZE_MAX`, in bytes.
const VALUE_MAX: usize = 65_536;
/// The kernel's `XATTR_NAME_MAX`, in bytes, prefix included.
const NAME_MAX: usize = 255;
/// Prefixes in the order of their numbers.
pub(super) const PREFIXES: [&str; 3] = ["user.", "trusted.", "security."];

type Xattrs = BTreeMap<Box<str>, Vec<u8>>;

/// The lists so far.
pub(super) struct XattrTable<'a> {
    level: i32,
    known: BTreeMap<&'a Xattrs, u32>,
    lists: Blocks,
    records: Vec<u8>,
}

impl<'a> XattrTable<'a> {
    pub(super) fn new(level: i32) -> Self {
        Self { level, known: BTreeMap::new(), lists: Blocks::new(level), records: Vec::new() }
    }

    /// The index for an inode with these attributes.
    pub(super) fn add(&mut self, path: &TreePath, xattrs: &'a Xattrs) -> Result<u32, SquashfsError> {
        if xattrs.is_empty() {
            return Ok(NO_XATTRS);
        }
        if let Some(index) = self.known.get(xattrs) {
            return Ok(*index);
        }
        let place = self.lists.place();
        let mut list = Vec::new();
        for (name, value) in xattrs {
            let broken = |reason| SquashfsError::Xattr { path: path.clone(), name: name.to_string(), reason };
            let prefix = PREFIXES.iter().position(|prefix| name.starts_with(prefix));
            let prefix = prefix.ok_or_else(|| broken("its name begins with none of user., trusted., security."))?;
            let short = &name[PREFIXES[prefix].len()..];
            if short.is_empty() || name.len() > NAME_MAX {
                return Err(broken("its name is too short or too long"));
            }
            if value.len() > VALUE_MAX {
                return Err(broken("its value has more than 64 KiB"));
            }
            list.extend((prefix as u16).to_le_bytes());
            list.extend((short.len() as u16).to_le_bytes());
            list.extend(short.as_bytes());
            list.extend((value.len() as u32).to_le_bytes());
            list.extend(value);
        }
        self.lists.push(&list).map_err(SquashfsError::Zstd)?;
        let index = self.known.len() as u32;
        self.known.insert(xattrs, index);
        self.records.extend(place.packed().to_le_bytes());
        self.records.extend((xattrs.len() as u32).to_le_bytes());
        self.records.extend((list.len() as u32).to_le_bytes());
        Ok(index)
    }

    /// Appends the tables to `out`, which starts at `base` in the image; returns what the superblock is to say.
    pub(super) fn finish(self, out: &mut Vec<u8>, base: u64) -> io::Result<u64> {
        if self.known.is_empty() {
            return Ok(ABSENT);
        }
        let start = base + out.len() as u64;
        let (lists, _) = self.lists.finish()?;
        out.extend(lists);
        let mut header = start.to_le_bytes().to_vec();
        header.extend((self.known.len() as u32).to_le_bytes());
        header.extend([0; 4]);
        indexed_table(out, base, self.level, &self.records, &header)
    }
}
