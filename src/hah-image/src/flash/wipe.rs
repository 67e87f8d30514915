//! Both ends of a card, wiped: what a card was before must not be found by whoever looks at it next.
//!
//! ```text
//! 0     4 KiB                      4 MiB              −4 MiB           end
//! │ head │ wiped                    │ image …           │ wiped          │
//! └ zeros first, the image's last   LUKS, LVM, RAID     └ backup GPT, RAID, ZFS
//! ```
//!
//! An image writes its table and its file systems and skips the rest. In that rest the backup of a former GPT survives in
//! the last sector, mdraid's superblock 64 KiB before the end or 4 KiB behind the start, ZFS' labels in the first and
//! the last 512 KiB, the second header of LUKS2, the superblock of btrfs at 64 KiB, the labels of mainboards' RAIDs up to
//! 2 MiB before the end. blkid, the kernel and installers believe them.
//!
//! The ends are wiped after the first block is zeros and before anything of the image is written: a card that is pulled
//! meanwhile has lost its table first, and never keeps a table over contents that are gone. What the image does not write
//! of them is zeros when the card is read back, or it is written again.

use std::ops::Range;

use super::careful::{CHUNK, HEAD, Written, is_there, retry, write_regions};
use super::error::WriteError;
use super::target::{Aligned, Target};

/// How much of each end is wiped, in bytes: all that lies before the boot partition, and more than any RAID keeps behind.
pub const END_BYTES: u64 = 4 << 20;
const _: () = assert!(END_BYTES == hah_node::disk::BOOT_START_SECTOR * hah_node::disk::SECTOR_BYTES);
const PAGE: u64 = HEAD as u64;

/// The ends of a card of so many bytes, without its first block. A short card is one end.
pub fn ends(capacity: u64) -> Vec<Range<u64>> {
    let head = PAGE..END_BYTES.min(capacity);
    let tail = capacity.saturating_sub(END_BYTES);
    // Pages are written directly.
    let tail = (tail - tail % PAGE).max(head.end)..capacity;
    [head, tail].into_iter().filter(|end| end.start < end.end).collect()
}

/// Runs of at most a chunk in `range`; only the last may end in the middle of a page.
fn pieces(range: Range<u64>) -> impl Iterator<Item = (u64, usize)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let left = range.end.checked_sub(at).filter(|left| *left > 0)?;
        let whole = left - left % PAGE;
        let length = if whole == 0 { left } else { whole.min(CHUNK as u64) };
        let piece = (at, usize::try_from(length).unwrap_or(CHUNK));
        at += length;
        Some(piece)
    })
}

/// Wipes both ends of a card. A file that was made a moment ago is blank and stays a file with holes.
pub(super) fn wipe(target: &mut dyn Target) -> Result<(), WriteError> {
    let Some(capacity) = target.capacity().filter(|_| !target.is_blank()) else { return Ok(()) };
    let zeros = Aligned::new(CHUNK);
    for (offset, length) in ends(capacity).into_iter().flat_map(pieces) {
        retry(offset, || target.write_at(offset, &zeros.bytes()[..length]))?;
    }
    Ok(())
}

/// Reads back what the image does not write of both ends, and writes again what is not zeros. Returns how many pieces
/// that were.
pub fn verify_wiped(target: &mut dyn Target, written: &Written) -> Result<u64, WriteError> {
    let Some(capacity) = target.capacity().filter(|_| !target.is_blank()) else { return Ok(0) };
    let zeros = Aligned::new(CHUNK);
    let mut found = Aligned::new(CHUNK);
    let mut repaired = 0;
    let gaps = ends(capacity).into_iter().flat_map(|end| written.gaps(end));
    for (offset, length) in gaps.flat_map(pieces) {
        let wanted = &zeros.bytes()[..length];
        if !is_there(target, offset, wanted, &mut found.bytes_mut()[..length])? {
            repaired += 1;
            write_regions(target, 0, &[hah_format::disk::Region { offset, bytes: wanted.to_vec() }])?;
        }
    }
    Ok(repaired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_every_size_of_card() {
        const MIB: u64 = 1 << 20;
        assert_eq!(ends(64 * MIB), [4096..4 * MIB, 60 * MIB..64 * MIB]);
        // Cards are of whole sectors, not of whole pages.
        assert_eq!(ends(64 * MIB + 512), [4096..4 * MIB, 60 * MIB..64 * MIB + 512]);
        assert_eq!(ends(6 * MIB), [4096..4 * MIB, 4 * MIB..6 * MIB]);
        assert_eq!(ends(3 * MIB), vec![Range { start: 4096, end: 3 * MIB }]);
        assert!(ends(4096).is_empty() && ends(0).is_empty());
    }

    #[test]
    fn pieces_cover_a_range_once_and_in_pages() {
        let range = 4096..9_000_512;
        let mut at = range.start;
        for (offset, length) in pieces(range.clone()) {
            assert!(offset == at && length > 0 && length <= CHUNK);
            at += length as u64;
            assert!(at == range.end || at % PAGE == 0);
        }
        assert_eq!(at, range.end);
    }
}
