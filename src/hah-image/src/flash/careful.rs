//! Writes that are tried again and read back, piece by piece: a reader that stumbles once is no reason to start over.

use std::io;

use hah_format::bmap::{BLOCK, RANGE_BLOCKS};

use super::digests::Digest;
use super::error::{TRIES, WriteError};
use super::target::Target;

/// Bytes of a write: a card's erase block or several, and a range of the block maps that `build` writes.
pub const CHUNK: usize = (RANGE_BLOCKS * BLOCK) as usize;
/// Bytes that are held back.
pub const HEAD: usize = BLOCK as usize;

/// What was written, and what must be there when it is read back.
pub struct Written {
    /// The first block, which is not there yet.
    pub head: Vec<u8>,
    /// Bytes of the image.
    pub image_bytes: u64,
    /// Bytes that were written, the first block included.
    pub bytes: u64,
    /// Each range with the digest that the block map has of it, or of what was read.
    pub(super) ranges: Vec<Digest>,
}

impl Written {
    /// What the image does not write of a range, in order.
    pub fn gaps(&self, range: std::ops::Range<u64>) -> Vec<std::ops::Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for (written, _) in self.ranges.iter().filter(|(written, _)| written.end > range.start) {
            if written.start >= range.end {
                break;
            }
            if written.start > at {
                gaps.push(at..written.start);
            }
            at = at.max(written.end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }
}

/// An error of the card, told apart from its absence.
pub(super) fn of_card(offset: u64, source: io::Error, other: impl FnOnce(io::Error) -> WriteError) -> WriteError {
    use rustix::io::Errno;
    let gone = [Errno::NODEV, Errno::NXIO, Errno::NOENT].map(Errno::raw_os_error);
    match source.raw_os_error() {
        Some(code) if gone.contains(&code) || is_no_medium(code) => WriteError::Gone { offset },
        _ => other(source),
    }
}

#[cfg(target_os = "linux")]
fn is_no_medium(code: i32) -> bool {
    code == rustix::io::Errno::NOMEDIUM.raw_os_error()
}

#[cfg(not(target_os = "linux"))]
fn is_no_medium(_: i32) -> bool {
    false
}

/// Returns when everything is on the card, of which `offset` was written last. One that is gone is not one that fails.
pub fn sync(target: &mut dyn Target, offset: u64) -> Result<(), WriteError> {
    target.sync().map_err(|source| of_card(offset, source, |source| WriteError::Sync { source }))
}

/// Tries a write again: a reader that stumbles once is no reason to start over.
pub(super) fn retry(offset: u64, mut write: impl FnMut() -> io::Result<()>) -> Result<(), WriteError> {
    let mut tries = 1;
    loop {
        let Err(source) = write() else { return Ok(()) };
        let error = of_card(offset, source, |source| WriteError::Write { offset, source });
        if tries == TRIES || matches!(error, WriteError::Gone { .. }) {
            return Err(error);
        }
        tries += 1;
    }
}

/// Whether the card holds `wanted` at `offset`; a place that cannot be read does not.
pub(super) fn is_there(
    target: &mut dyn Target,
    offset: u64,
    wanted: &[u8],
    found: &mut [u8],
) -> Result<bool, WriteError> {
    match target.read_at(offset, found) {
        Ok(()) => Ok(found == wanted),
        Err(source) => match of_card(offset, source, |source| WriteError::ReadBack { offset, source }) {
            gone @ WriteError::Gone { .. } => Err(gone),
            _ => Ok(false),
        },
    }
}

pub(super) fn first_difference(wanted: &[u8], found: &[u8], offset: u64) -> u64 {
    let at = wanted.iter().zip(found).position(|(wanted, found)| wanted != found).unwrap_or(0);
    offset + at as u64
}

/// Writes pieces somewhere in the image's area, and reads them back.
pub fn write_regions(
    target: &mut dyn Target,
    base: u64,
    regions: &[hah_format::disk::Region],
) -> Result<(), WriteError> {
    for region in regions {
        let offset = base + region.offset;
        let mut found = vec![0; region.bytes.len()];
        let mut tries = 0;
        while tries == 0 || !is_there(target, offset, &region.bytes, &mut found)? {
            if tries == TRIES {
                return Err(WriteError::Bad { offset: first_difference(&region.bytes, &found, offset) });
            }
            tries += 1;
            retry(offset, || target.write_at(offset, &region.bytes))?;
            sync(target, offset)?;
        }
    }
    Ok(())
}
