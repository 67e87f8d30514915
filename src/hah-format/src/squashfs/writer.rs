//! The tables.
//!
//! Directories are written deepest first, so that a directory's entries always have their inodes before it, and all
//! inodes of one directory's entries lie side by side: one lookup touches few metadata blocks, and the runs of a listing
//! (which share a metadata block and a range of inode numbers) stay long.

use std::collections::BTreeMap;

use super::block::{Blocks, Place, indexed_table};
use super::inode::{self, Common, IndexEntry, Listing};
use super::superblock::{ABSENT, Superblock};
use super::xattr::XattrTable;
use super::{DATA_START, DataArea, FileData, Metadata, Options, OwnerKind, PADDING, STORED, SquashfsError};
use crate::path::{PATH_MAX, TreePath};
use crate::tree::{Kind, Node, Owner, Tree};

/// Looks up the id of an owner; `None` when the image has no such user or group.
pub type Owners<'a> = &'a dyn Fn(&Owner, OwnerKind) -> Option<u32>;

/// Entries of one run of a listing.
const RUN: usize = 256;
/// Bytes of a listing between two entries of a directory's index.
const INDEX_EVERY: u32 = 8192;
/// Longest chain of hard links to hard links.
const LINK_CHAIN: usize = 16;

/// The superblock and tables of an image whose data area is `data`.
pub fn metadata(
    tree: &Tree<FileData>,
    data: &DataArea,
    owners: Owners<'_>,
    options: &Options,
) -> Result<Metadata, SquashfsError> {
    if !options.block_size.is_power_of_two() || !(4096..=1 << 20).contains(&options.block_size) {
        return Err(SquashfsError::BlockSize(options.block_size));
    }
    check_fragments(data, options.block_size)?;
    let mut inodes = survey(tree)?;
    let count = number(&mut inodes)?;
    let mut tables = Tables::new(data, owners, options);
    let root = tables.write(&mut inodes, count)?;
    tables.assemble(&inodes, root)
}

/// An inode in the making.
struct Inode<'a> {
    path: &'a TreePath,
    node: &'a Node<FileData>,
    parent: usize,
    links: u32,
    number: u32,
    place: Option<Place>,
    /// Names and inodes of a directory's entries, in byte order.
    entries: Vec<(&'a str, usize)>,
    listing: Listing,
}

fn too_many(path: &TreePath, what: &'static str, count: usize, limit: u64) -> SquashfsError {
    SquashfsError::TooMany { path: path.clone(), what, count: count as u64, limit }
}

/// One inode for every path that is not a hard link, in the tree's order, and each directory's entries.
fn survey(tree: &Tree<FileData>) -> Result<Vec<Inode<'_>>, SquashfsError> {
    let mut inodes: Vec<Inode<'_>> = Vec::with_capacity(tree.len());
    let mut by_path: BTreeMap<&TreePath, usize> = BTreeMap::new();
    for (path, node) in tree.iter().filter(|(_, node)| !matches!(node.kind, Kind::HardLink(_))) {
        by_path.insert(path, inodes.len());
        let links = if node.is_dir() { 2 } else { 0 };
        let (entries, listing) = (Vec::new(), Listing::default());
        inodes.push(Inode { path, node, parent: 0, links, number: 0, place: None, entries, listing });
    }
    for (path, node) in tree.iter() {
        let Some(parent) = path.parent().and_then(|parent| by_path.get(&parent).copied()) else {
            continue;
        };
        let index = match &node.kind {
            Kind::HardLink(target) => follow(tree, path, target)
                .and_then(|target| by_path.get(target).copied().ok_or("not there"))
                .map_err(|found| SquashfsError::HardLink { path: path.clone(), target: target.clone(), found })?,
            _ => by_path.get(path).copied().unwrap_or_default(),
        };
        if node.is_dir() {
            inodes[index].parent = parent;
            inodes[parent].links += 1;
        } else {
            inodes[index].links += 1;
        }
        inodes[parent].entries.push((path.name(), index));
    }
    Ok(inodes)
}

/// The path that is not a hard link at the end of a chain of them.
fn follow<'a>(tree: &'a Tree<FileData>, path: &TreePath, target: &'a TreePath) -> Result<&'a TreePath, &'static str> {
    let mut at = target;
    for _ in 0..LINK_CHAIN {
        match tree.get(at).map(|node| &node.kind) {
            Some(Kind::HardLink(next)) if next != path => at = next,
            Some(Kind::HardLink(_)) => return Err("a hard link back to it"),
            Some(Kind::Dir) => return Err("a directory"),
            Some(_) => return Ok(at),
            None => return Err("not there"),
        }
    }
    Err("the start of a long chain of hard links")
}

/// Numbers the inodes from 1 in the order in which they will be written, the root last; returns how many there are.
fn number(inodes: &mut [Inode<'_>]) -> Result<u32, SquashfsError> {
    let mut last = 0u32;
    if u32::try_from(inodes.len()).is_err() {
        return Err(too_many(&TreePath::root(), "inodes", inodes.len(), u64::from(u32::MAX)));
    }
    for directory in (0..inodes.len()).rev() {
        for entry in 0..inodes[directory].entries.len() {
            let index = inodes[directory].entries[entry].1;
            if inodes[index].number == 0 {
                last += 1;
                inodes[index].number = last;
            }
        }
    }
    if let Some(root) = inodes.first_mut() {
        last += 1;
        root.number = last;
    }
    Ok(last)
}

struct Tables<'a> {
    data: &'a DataArea,
    owners: Owners<'a>,
    options: &'a Options,
    inodes: Blocks,
    directories: Blocks,
    xattrs: XattrTable<'a>,
    ids: BTreeMap<u32, u16>,
    id_records: Vec<u8>,
}

impl<'a> Tables<'a> {
    fn new(data: &'a DataArea, owners: Owners<'a>, options: &'a Options) -> Self {
        Self {
            data,
            owners,
            options,
            inodes: Blocks::new(options.level),
            directories: Blocks::new(options.level),
            xattrs: XattrTable::new(options.level),
            ids: BTreeMap::new(),
            id_records: Vec::new(),
        }
    }

    /// Writes inodes and listings; returns where the root's inode is.
    fn write(&mut self, inodes: &mut [Inode<'a>], count: u32) -> Result<Place, SquashfsError> {
        // A parent's path sorts before those below it, so the reverse is deepest first.
        for directory in (0..inodes.len()).rev().filter(|index| inodes[*index].node.is_dir()).collect::<Vec<_>>() {
            for entry in 0..inodes[directory].entries.len() {
                let index = inodes[directory].entries[entry].1;
                if inodes[index].place.is_none() {
                    let parent = inodes[inodes[index].parent].number;
                    inodes[index].place = Some(self.inode(&inodes[index], parent)?);
                }
            }
            inodes[directory].listing = self.listing(inodes, directory)?;
        }
        // The root's parent is no inode: mksquashfs says one more than there are.
        let place = self.inode(&inodes[0], count.wrapping_add(1))?;
        inodes[0].place = Some(place);
        Ok(place)
    }

    fn inode(&mut self, inode: &Inode<'a>, parent: u32) -> Result<Place, SquashfsError> {
        let Inode { path, node, .. } = *inode;
        let common = Common {
            mode: node.meta.mode & 0o7777,
            user: self.id(path, &node.meta.user, OwnerKind::User)?,
            group: self.id(path, &node.meta.group, OwnerKind::Group)?,
            mtime: node.meta.mtime.min(self.options.epoch),
            number: inode.number,
            links: inode.links,
            xattrs: self.xattrs.add(path, &node.meta.xattrs)?,
        };
        let bytes = match &node.kind {
            Kind::Dir => inode::directory(&common, parent, &inode.listing),
            Kind::File(data) => {
                check_file(path, data, self.data, self.options.block_size)?;
                inode::file(&common, data, self.options.block_size)
            }
            Kind::Symlink(target) if target.len() > PATH_MAX => {
                return Err(too_many(path, "bytes of a link's target", target.len(), PATH_MAX as u64));
            }
            Kind::Symlink(target) => inode::symlink(&common, target),
            Kind::CharDevice(major, minor) => {
                inode::special(&common, inode::CHAR_DEVICE, Some(device(path, *major, *minor)?))
            }
            Kind::BlockDevice(major, minor) => {
                inode::special(&common, inode::BLOCK_DEVICE, Some(device(path, *major, *minor)?))
            }
            // Hard links have no inode of their own: `survey` leaves them out.
            Kind::Fifo | Kind::HardLink(_) => inode::special(&common, inode::FIFO, None),
        };
        let place = self.inodes.place();
        if u32::try_from(place.block).is_err() {
            return Err(too_many(path, "bytes of inodes", place.block as usize, u64::from(u32::MAX)));
        }
        self.inodes.push(&bytes).map_err(SquashfsError::Zstd)?;
        Ok(place)
    }

    fn id(&mut self, path: &TreePath, owner: &Owner, kind: OwnerKind) -> Result<u16, SquashfsError> {
        let id = (self.owners)(owner, kind).ok_or_else(|| SquashfsError::UnknownOwner {
            path: path.clone(),
            noun: kind.noun(),
            owner: owner.to_string(),
        })?;
        let known = self.ids.len();
        if let Some(index) = self.ids.get(&id) {
            return Ok(*index);
        }
        // The superblock counts them with 16 bits.
        let index = u16::try_from(known).ok().filter(|index| *index < u16::MAX);
        let index = index.ok_or_else(|| too_many(path, "owners", known + 1, u64::from(u16::MAX)))?;
        self.ids.insert(id, index);
        self.id_records.extend(id.to_le_bytes());
        Ok(index)
    }

    /// Writes the listing of the directory `of`, whose entries all have their inodes.
    fn listing(&mut self, inodes: &[Inode<'_>], of: usize) -> Result<Listing, SquashfsError> {
        let Inode { path, ref entries, .. } = inodes[of];
        let mut listing = Listing { place: self.directories.place(), ..Listing::default() };
        if u32::try_from(listing.place.block).is_err() {
            return Err(too_many(path, "bytes of listings", listing.place.block as usize, u64::from(u32::MAX)));
        }
        let mut indexed = 0;
        let mut rest = entries.as_slice();
        while let Some((first, index)) = rest.first().copied() {
            if listing.len - indexed + (12 + 8 + first.len()) as u32 > INDEX_EVERY {
                indexed = listing.len;
                let block = self.directories.place().block as u32;
                listing.index.push(IndexEntry { at: listing.len, block, name: first.into() });
            }
            let base = &inodes[index];
            let block = base.place.unwrap_or_default().block;
            let mut run = Vec::new();
            let mut taken = 0;
            for (name, index) in rest.iter().copied().take(RUN) {
                let Inode { number, place, node, .. } = &inodes[index];
                let place = place.unwrap_or_default();
                let Ok(distance) = i16::try_from(i64::from(*number) - i64::from(base.number)) else {
                    break;
                };
                let end = listing.len - indexed + (12 + run.len() + 8 + name.len()) as u32;
                if place.block != block || end > INDEX_EVERY {
                    break;
                }
                run.extend(place.offset.to_le_bytes());
                run.extend(distance.to_le_bytes());
                run.extend(entry_type(&node.kind).to_le_bytes());
                run.extend((name.len() as u16 - 1).to_le_bytes());
                run.extend(name.as_bytes());
                taken += 1;
            }
            let mut header = Vec::with_capacity(12);
            header.extend((taken as u32 - 1).to_le_bytes());
            header.extend((block as u32).to_le_bytes());
            header.extend(base.number.to_le_bytes());
            let len = u64::from(listing.len) + (header.len() + run.len()) as u64;
            // The size in the inode is 3 more, and 32 bits wide.
            if len > u64::from(u32::MAX - inode::DIR_EXTRA) || listing.index.len() > usize::from(u16::MAX) {
                return Err(too_many(path, "entries", entries.len(), 1 << 24));
            }
            self.directories.push(&header).and_then(|()| self.directories.push(&run)).map_err(SquashfsError::Zstd)?;
            listing.len = len as u32;
            rest = &rest[taken..];
        }
        Ok(listing)
    }

    /// Puts the tables together.
    fn assemble(self, inodes: &[Inode<'_>], root: Place) -> Result<Metadata, SquashfsError> {
        let Self { data, options, .. } = self;
        let level = options.level;
        let base = DATA_START + data.len;
        let mut out = self.inodes.finish().map_err(SquashfsError::Zstd)?.0;
        let directory_table = base + out.len() as u64;
        out.extend(self.directories.finish().map_err(SquashfsError::Zstd)?.0);

        let fragment_table = if data.fragments.is_empty() {
            ABSENT
        } else {
            let mut records = Vec::with_capacity(16 * data.fragments.len());
            for fragment in &data.fragments {
                records.extend((DATA_START + fragment.start).to_le_bytes());
                records.extend(fragment.size_word.to_le_bytes());
                records.extend([0; 4]);
            }
            indexed_table(&mut out, base, level, &records, &[]).map_err(SquashfsError::Zstd)?
        };
        let mut exports = vec![0; 8 * inodes.len()];
        for inode in inodes {
            let at = 8 * (inode.number as usize - 1);
            exports[at..at + 8].copy_from_slice(&inode.place.unwrap_or_default().packed().to_le_bytes());
        }
        let export_table = indexed_table(&mut out, base, level, &exports, &[]).map_err(SquashfsError::Zstd)?;
        let id_table = indexed_table(&mut out, base, level, &self.id_records, &[]).map_err(SquashfsError::Zstd)?;
        let xattr_table = self.xattrs.finish(&mut out, base).map_err(SquashfsError::Zstd)?;

        let bytes_used = base + out.len() as u64;
        let superblock = Superblock {
            inodes: inodes.len() as u32,
            mkfs_time: options.epoch,
            block_size: options.block_size,
            fragments: data.fragments.len() as u32,
            ids: self.ids.len() as u16,
            root: root.packed(),
            bytes_used,
            id_table,
            xattr_table,
            inode_table: base,
            directory_table,
            fragment_table,
            export_table,
        };
        let padded = bytes_used.next_multiple_of(PADDING as u64) - base;
        out.resize(padded as usize, 0);
        Ok(Metadata { superblock: superblock.encode(), tables: out })
    }
}

fn entry_type(kind: &Kind<FileData>) -> u16 {
    match kind {
        Kind::Dir => inode::DIR,
        Kind::File(_) | Kind::HardLink(_) => inode::FILE,
        Kind::Symlink(_) => inode::SYMLINK,
        Kind::CharDevice(..) => inode::CHAR_DEVICE,
        Kind::BlockDevice(..) => inode::BLOCK_DEVICE,
        Kind::Fifo => inode::FIFO,
    }
}

fn device(path: &TreePath, major: u32, minor: u32) -> Result<u32, SquashfsError> {
    inode::device(major, minor).ok_or_else(|| too_many(path, "device number", major.max(minor) as usize, 1 << 20))
}

/// Refuses fragments that are not in the data area.
fn check_fragments(data: &DataArea, block_size: u32) -> Result<(), SquashfsError> {
    let limit = u64::from(u32::MAX) - 1;
    if data.len > i64::MAX as u64 {
        return Err(SquashfsError::FileData { path: TreePath::root(), what: "any image" });
    }
    if data.fragments.len() as u64 > limit {
        return Err(too_many(&TreePath::root(), "fragments", data.fragments.len(), limit));
    }
    for fragment in &data.fragments {
        let len = fragment.size_word & !STORED;
        let end = fragment.start.checked_add(u64::from(len));
        if len == 0 || len > block_size || end.is_none_or(|end| end > data.len) {
            return Err(SquashfsError::FileData { path: TreePath::root(), what: "its fragments" });
        }
    }
    Ok(())
}

/// Refuses files whose blocks do not add up.
fn check_file(path: &TreePath, file: &FileData, data: &DataArea, block_size: u32) -> Result<(), SquashfsError> {
    let broken = |what| SquashfsError::FileData { path: path.clone(), what };
    let block = u64::from(block_size);
    let whole = if file.tail.is_some() { file.size / block } else { file.size.div_ceil(block) };
    if whole != file.blocks.len() as u64 {
        return Err(broken("its size"));
    }
    let mut end = file.start;
    for word in &file.blocks {
        let len = word & !STORED;
        // A hole is the word 0, not an empty stored block.
        if len > block_size || len == 0 && *word != 0 {
            return Err(broken("the block size"));
        }
        end = end.checked_add(u64::from(len)).ok_or_else(|| broken("the data area"))?;
    }
    if !file.blocks.is_empty() && end > data.len {
        return Err(broken("the data area"));
    }
    if let Some(tail) = file.tail {
        let rest = file.size % block;
        let inside = u64::from(tail.offset) + rest <= block && (tail.fragment as usize) < data.fragments.len();
        if rest == 0 || !inside {
            return Err(broken("its fragment"));
        }
    }
    Ok(())
}
