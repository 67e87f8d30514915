//! Inodes, as bytes. The basic form is used wherever it can say everything, the extended form elsewhere.

use super::block::Place;
use super::xattr::NO_XATTRS;
use super::{DATA_START, FileData};

/// Type numbers of the basic forms, which directory entries use too; the extended form of each is 7 more.
pub(super) const DIR: u16 = 1;
pub(super) const FILE: u16 = 2;
pub(super) const SYMLINK: u16 = 3;
pub(super) const BLOCK_DEVICE: u16 = 4;
pub(super) const CHAR_DEVICE: u16 = 5;
pub(super) const FIFO: u16 = 6;
/// From a basic type number to the extended one.
pub(super) const EXTENDED: u16 = 7;
/// A file's fragment when it has no tail.
pub(super) const NO_FRAGMENT: u32 = u32::MAX;
/// What a directory's size is more than the length of its listing: `.` and `..` in the kernel's eyes.
pub(super) const DIR_EXTRA: u32 = 3;

/// What all inodes have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common {
    pub(super) mode: u16,
    /// Index into the id table.
    pub(super) user: u16,
    /// Index into the id table.
    pub(super) group: u16,
    pub(super) mtime: u32,
    pub(super) number: u32,
    pub(super) links: u32,
    /// Index of the xattrs, or [`NO_XATTRS`].
    pub(super) xattrs: u32,
}

/// Where a directory's listing is.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) place: Place,
    /// Length in bytes.
    pub(super) len: u32,
    /// Where runs of entries begin that are about 8 KiB apart.
    pub(super) index: Vec<IndexEntry>,
}

/// One entry of a directory's index.
#[derive(Clone, Debug)]
pub(super) struct IndexEntry {
    /// Offset of a run in the listing, in bytes.
    pub(super) at: u32,
    /// The metadata block where it begins.
    pub(super) block: u32,
    /// The first name of the run.
    pub(super) name: Box<str>,
}

fn common(kind: u16, common: &Common) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    for half in [kind, common.mode, common.user, common.group] {
        out.extend(half.to_le_bytes());
    }
    words(&mut out, &[common.mtime, common.number]);
    out
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

/// A regular file's inode.
pub(super) fn file(inode: &Common, data: &FileData, block_size: u32) -> Vec<u8> {
    let start = if data.blocks.is_empty() { 0 } else { DATA_START + data.start };
    let holes = holes(data, block_size);
    let (fragment, offset) = data.tail.map_or((NO_FRAGMENT, 0), |tail| (tail.fragment, tail.offset));
    let narrow = (u32::try_from(start), u32::try_from(data.size));
    let mut out = match narrow {
        (Ok(start), Ok(size)) if inode.links == 1 && inode.xattrs == NO_XATTRS && holes == 0 => {
            let mut out = common(FILE, inode);
            words(&mut out, &[start, fragment, offset, size]);
            out
        }
        _ => {
            let mut out = common(FILE + EXTENDED, inode);
            out.extend([start, data.size, holes].iter().flat_map(|long| long.to_le_bytes()));
            words(&mut out, &[inode.links, fragment, offset, inode.xattrs]);
            out
        }
    };
    words(&mut out, &data.blocks);
    out
}

/// Bytes of the file that are in holes.
fn holes(data: &FileData, block_size: u32) -> u64 {
    let block = u64::from(block_size);
    let ends = (1..).map(|index: u64| index * block);
    data.blocks
        .iter()
        .zip(ends)
        .filter(|(word, _)| **word == 0)
        .map(|(_, end)| block - end.saturating_sub(data.size))
        .sum()
}

/// A directory's inode; `parent` is the number of the inode above it.
pub(super) fn directory(inode: &Common, parent: u32, listing: &Listing) -> Vec<u8> {
    let size = listing.len + DIR_EXTRA;
    let block = listing.place.block as u32;
    if let (Ok(size), true, NO_XATTRS) = (u16::try_from(size), listing.index.is_empty(), inode.xattrs) {
        let mut out = common(DIR, inode);
        words(&mut out, &[block, inode.links]);
        out.extend(size.to_le_bytes());
        out.extend(listing.place.offset.to_le_bytes());
        words(&mut out, &[parent]);
        return out;
    }
    let mut out = common(DIR + EXTENDED, inode);
    words(&mut out, &[inode.links, size, block, parent]);
    out.extend((listing.index.len() as u16).to_le_bytes());
    out.extend(listing.place.offset.to_le_bytes());
    words(&mut out, &[inode.xattrs]);
    for entry in &listing.index {
        words(&mut out, &[entry.at, entry.block, entry.name.len() as u32 - 1]);
        out.extend(entry.name.as_bytes());
    }
    out
}

/// A symbolic link's inode.
pub(super) fn symlink(inode: &Common, target: &str) -> Vec<u8> {
    let mut out = common(SYMLINK + if inode.xattrs == NO_XATTRS { 0 } else { EXTENDED }, inode);
    words(&mut out, &[inode.links, target.len() as u32]);
    out.extend(target.as_bytes());
    if inode.xattrs != NO_XATTRS {
        words(&mut out, &[inode.xattrs]);
    }
    out
}

/// The inode of a device ([`BLOCK_DEVICE`] or [`CHAR_DEVICE`]) or a [`FIFO`], which has no number.
pub(super) fn special(inode: &Common, kind: u16, device: Option<u32>) -> Vec<u8> {
    let mut out = common(kind + if inode.xattrs == NO_XATTRS { 0 } else { EXTENDED }, inode);
    words(&mut out, &[inode.links]);
    words(&mut out, device.as_slice());
    if inode.xattrs != NO_XATTRS {
        words(&mut out, &[inode.xattrs]);
    }
    out
}

/// A device number as the kernel's `new_encode_dev` packs it: 12 bits of major, 20 of minor.
pub(super) fn device(major: u32, minor: u32) -> Option<u32> {
    (major < 1 << 12 && minor < 1 << 20).then_some(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}
