//! From inodes and listings to a tree.
//!
//! References may point anywhere, so what they lead to is bounded by what it adds up to, not by the tables' sizes: a
//! million names can share one inode with a million blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use super::cursor::{Cursor, Table};
use super::{DEPTH_MAX, PATHS_MAX, ReadError, Reader, TABLE_MAX, Xattrs};
use crate::path::{PATH_MAX, TreePath};
use crate::squashfs::superblock::{ABSENT, Superblock};
use crate::squashfs::xattr::NO_XATTRS;
use crate::squashfs::{DATA_START, FileData, Tail, inode};
use crate::tree::{Kind, Meta, Node, Owner, Tree};

/// The uncompressed tables that a walk needs.
struct Tables {
    inodes: Table,
    directories: Table,
    ids: Vec<u32>,
    xattrs: Vec<Xattrs>,
    block_size: u32,
}

/// An inode, and where its listing is when it is a directory.
struct Inode {
    node: Node<FileData>,
    listing: Option<(u64, usize)>,
}

impl<R: Read + Seek> Reader<R> {
    /// Everything in the image, with numeric owners.
    ///
    /// Of several names of one inode the first in path order is the file, the others are hard links to it.
    pub fn tree(&mut self) -> Result<Tree<FileData>, ReadError> {
        let Superblock { inode_table, directory_table, bytes_used, root, block_size, .. } = self.superblock;
        let directories_end = self.directories_end(bytes_used)?;
        let tables = Tables {
            inodes: self.stream("inode table", inode_table, directory_table)?,
            directories: self.stream("directory table", directory_table, directories_end)?,
            ids: self.read_ids()?,
            xattrs: self.read_xattrs()?,
            block_size,
        };
        let paths = tables.walk(root)?;
        tables.tree(paths)
    }

    /// Where the table behind the directory table starts: the first block of the fragment, export or id table.
    fn directories_end(&mut self, bytes_used: u64) -> Result<u64, ReadError> {
        let Superblock { fragment_table, export_table, id_table, fragments, directory_table, .. } = self.superblock;
        let mut end = bytes_used;
        for (name, index) in [
            ("fragment table", if fragments == 0 { ABSENT } else { fragment_table }),
            ("export table", export_table),
            ("id table", id_table),
        ] {
            if index == ABSENT {
                continue;
            }
            let first = Table::plain(name, self.bytes(name, index, 8)?).at(0).u64()?;
            if first >= directory_table {
                end = end.min(first);
            }
        }
        Ok(end)
    }
}

impl Tables {
    /// Every path and its inode.
    fn walk(&self, root: u64) -> Result<BTreeMap<TreePath, u64>, ReadError> {
        let mut paths = BTreeMap::from([(TreePath::root(), root)]);
        let mut left = vec![(TreePath::root(), root)];
        let mut directories = BTreeSet::new();
        let mut held = 0;
        while let Some((path, place)) = left.pop() {
            if path.components().count() > DEPTH_MAX {
                return Err(ReadError::Limit { what: "nested directories", limit: DEPTH_MAX });
            }
            let Some(listing) = self.inode(place)?.listing else {
                return Err(self.inodes.at_place(place)?.damaged("a directory's inode is none"));
            };
            if !directories.insert(place) {
                return Err(self.inodes.at_place(place)?.damaged("a directory has two names"));
            }
            for (name, place, kind) in self.listing(listing)? {
                let cursor = self.directories.at_place(listing.0)?;
                let sound = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
                let path = path.join(name).ok().filter(|_| sound);
                let path = path.ok_or_else(|| cursor.damaged("a name is impossible"))?;
                held += path.as_str().len();
                if kind == inode::DIR {
                    left.push((path.clone(), place));
                }
                if paths.insert(path, place).is_some() {
                    return Err(cursor.damaged("a name occurs twice"));
                }
                if paths.len() > PATHS_MAX {
                    return Err(ReadError::Limit { what: "paths", limit: PATHS_MAX });
                }
                if held > TABLE_MAX {
                    return Err(ReadError::Limit { what: "bytes of paths", limit: TABLE_MAX });
                }
            }
        }
        Ok(paths)
    }

    /// Names, places of inodes and basic types of a directory's entries.
    fn listing(&self, (place, len): (u64, usize)) -> Result<Vec<(&str, u64, u16)>, ReadError> {
        let mut out = Vec::new();
        if len == 0 {
            return Ok(out);
        }
        let mut cursor = self.directories.at_place(place)?.limited(len)?;
        while !cursor.is_at_end() {
            let (count, block, _number) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            if count >= 256 {
                return Err(cursor.damaged("a run has more than 256 entries"));
            }
            for _ in 0..=count {
                let (offset, _distance, kind, len) = (cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?);
                let name = cursor.text(usize::from(len) + 1)?;
                out.push((name, u64::from(block) << 16 | u64::from(offset), kind));
            }
            if out.len() > PATHS_MAX {
                return Err(ReadError::Limit { what: "entries in a directory", limit: PATHS_MAX });
            }
        }
        Ok(out)
    }

    fn tree(&self, paths: BTreeMap<TreePath, u64>) -> Result<Tree<FileData>, ReadError> {
        let mut tree = Tree::new();
        let mut first: BTreeMap<u64, TreePath> = BTreeMap::new();
        let mut held = 0;
        for (path, place) in paths {
            let Inode { mut node, .. } = self.inode(place)?;
            held += node.meta.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
            if let Some(first) = first.get(&place) {
                if node.is_dir() {
                    return Err(self.inodes.at_place(place)?.damaged("a directory has two names"));
                }
                node.kind = Kind::HardLink(first.clone());
            } else {
                first.insert(place, path.clone());
            }
            if let Kind::File(data) = &node.kind {
                held += 4 * data.blocks.len();
            }
            if held > TABLE_MAX {
                return Err(ReadError::Limit { what: "bytes of block lists and xattrs", limit: TABLE_MAX });
            }
            let cursor = self.inodes.at_place(place)?;
            tree.insert(path, node).map_err(|_| cursor.damaged("a file has entries"))?;
        }
        Ok(tree)
    }

    fn inode(&self, place: u64) -> Result<Inode, ReadError> {
        let mut at = self.inodes.at_place(place)?;
        let (kind, mode, user, group) = (at.u16()?, at.u16()?, at.u16()?, at.u16()?);
        let (mtime, _number) = (at.u32()?, at.u32()?);
        let owner = |index: u16| self.ids.get(usize::from(index)).map(|id| Owner::Id(*id));
        let (Some(user), Some(group)) = (owner(user), owner(group)) else {
            return Err(at.damaged("an owner is not in the id table"));
        };
        let extended = kind > inode::EXTENDED;
        let mut listing = None;
        let (kind, xattrs) = match if extended { kind - inode::EXTENDED } else { kind } {
            inode::DIR => {
                let (block, len, offset, xattrs) = directory(&mut at, extended)?;
                listing = Some((u64::from(block) << 16 | u64::from(offset), len));
                (Kind::Dir, xattrs)
            }
            inode::FILE => {
                let (data, xattrs) = file(&mut at, extended, self.block_size)?;
                (Kind::File(data), xattrs)
            }
            inode::SYMLINK => {
                let (_links, len) = (at.u32()?, at.u32()?);
                if len as usize > PATH_MAX {
                    return Err(at.damaged("a link's target is too long"));
                }
                let target = at.text(len as usize)?;
                (Kind::Symlink(target.into()), xattr_index(&mut at, extended)?)
            }
            kind @ (inode::BLOCK_DEVICE | inode::CHAR_DEVICE) => {
                let (_links, number) = (at.u32()?, at.u32()?);
                let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00);
                let kind = if kind == inode::BLOCK_DEVICE {
                    Kind::BlockDevice(major, minor)
                } else {
                    Kind::CharDevice(major, minor)
                };
                (kind, xattr_index(&mut at, extended)?)
            }
            inode::FIFO => {
                at.u32()?;
                (Kind::Fifo, xattr_index(&mut at, extended)?)
            }
            _ => return Err(at.damaged("an inode is a socket or of no known type")),
        };
        let xattrs = match xattrs {
            NO_XATTRS => BTreeMap::new(),
            index => self.xattrs.get(index as usize).ok_or_else(|| at.damaged("xattrs that are not there"))?.clone(),
        };
        let meta = Meta { mode: mode & 0o7777, user, group, mtime, xattrs };
        Ok(Inode { node: Node { meta, kind }, listing })
    }
}

/// Block, length and offset of a listing, and the index of the xattrs.
fn directory(at: &mut Cursor<'_>, extended: bool) -> Result<(u32, usize, u16, u32), ReadError> {
    let (block, size, offset, xattrs);
    if extended {
        let _links = at.u32()?;
        (size, block) = (at.u32()?, at.u32()?);
        let (_parent, _entries) = (at.u32()?, at.u16()?);
        (offset, xattrs) = (at.u16()?, at.u32()?);
    } else {
        block = at.u32()?;
        let _links = at.u32()?;
        (size, offset) = (u32::from(at.u16()?), at.u16()?);
        xattrs = NO_XATTRS;
    }
    // An empty directory's size may be 0 too.
    Ok((block, size.saturating_sub(inode::DIR_EXTRA) as usize, offset, xattrs))
}

/// A file's data, relative to [`DATA_START`], and the index of its xattrs.
fn file(at: &mut Cursor<'_>, extended: bool, block_size: u32) -> Result<(FileData, u32), ReadError> {
    let (start, size, fragment, offset, xattrs);
    if extended {
        (start, size) = (at.u64()?, at.u64()?);
        let (_holes, _links) = (at.u64()?, at.u32()?);
        (fragment, offset, xattrs) = (at.u32()?, at.u32()?, at.u32()?);
    } else {
        start = u64::from(at.u32()?);
        (fragment, offset, size) = (at.u32()?, at.u32()?, u64::from(at.u32()?));
        xattrs = NO_XATTRS;
    }
    let block = u64::from(block_size);
    let tail = (fragment != inode::NO_FRAGMENT).then_some(Tail { fragment, offset });
    let blocks = if tail.is_some() { size / block } else { size.div_ceil(block) };
    let len = usize::try_from(blocks).ok().and_then(|blocks| blocks.checked_mul(4));
    let words = at.take(len.ok_or_else(|| at.damaged("a file has an impossible size"))?)?;
    let blocks: Vec<u32> =
        words.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
    let start = match start.checked_sub(DATA_START) {
        _ if blocks.iter().all(|word| *word == 0) => 0,
        Some(start) => start,
        None => return Err(at.damaged("a file's blocks lie in the superblock")),
    };
    Ok((FileData { size, start, blocks, tail }, xattrs))
}

fn xattr_index(at: &mut Cursor<'_>, extended: bool) -> Result<u32, ReadError> {
    if extended { at.u32() } else { Ok(NO_XATTRS) }
}
