//! The engine: reads on one thread, writes on another and hashes on more, reads back, and writes again what differs.
//!
//! The first block is kept in memory until [`write_head`]; meanwhile zeros stand in its place. Behind it goes what the card
//! had at both of its ends ([`super::wipe`]).

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use hah_format::bmap::{BLOCK, RANGE_BLOCKS};
use hah_format::digest::Hashing;

use super::Verify;
use super::digests::{self, Digest, Digests, Piece};
use super::source::{Image, Range, Reader};
use super::target::{Aligned, Target};
use super::wipe::wipe;
use crate::advice::Exit;

/// Bytes of a write: a card's erase block or several, and a range of the block maps that `build` writes.
pub const CHUNK: usize = (RANGE_BLOCKS * BLOCK) as usize;
/// Chunks under way between the threads.
const QUEUE: usize = 3;
/// How often a write is tried.
const TRIES: u32 = 3;
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
    ranges: Vec<Digest>,
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

/// Why an image is not on the card.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The image cannot be read.
    #[error("cannot read the image at byte {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The image is not what its block map says.
    #[error("the image is damaged between bytes {start} and {end}: they are not what its block map says")]
    Damaged {
        /// First byte.
        start: u64,
        /// First byte behind.
        end: u64,
    },
    /// The image ends before its block map does.
    #[error("the image ends at byte {0}, before its block map does")]
    Short(u64),
    /// The image has no block map and ends before its last partition does.
    #[error("the image ends at byte {found}, and its last partition at byte {wanted}")]
    CutOff {
        /// Where the partition ends.
        wanted: u64,
        /// Where the image does.
        found: u64,
    },
    /// The card is full.
    #[error("it has {capacity} bytes and the image has more")]
    TooSmall {
        /// What it has.
        capacity: u64,
    },
    /// The card went away.
    #[error("it went away at byte {offset}")]
    Gone {
        /// Where.
        offset: u64,
    },
    /// The card does not take a write.
    #[error("cannot write at byte {offset}: {source}")]
    Write {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The card does not give back what was written.
    #[error("cannot read back at byte {offset}: {source}")]
    ReadBack {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The card gives back something else.
    #[error("it does not keep what is written at byte {offset}, tried {TRIES} times")]
    Bad {
        /// Where.
        offset: u64,
    },
    /// The card does not say that it is done.
    #[error("cannot finish writing: {source}")]
    Sync {
        /// Why.
        source: io::Error,
    },
}

impl WriteError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Damaged { .. } | Self::Short(_) | Self::CutOff { .. } => Exit::HashMismatch,
            _ => Exit::User,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "the image file is unreadable there: copy or build it again",
            Self::Damaged { .. } | Self::Short(_) => {
                "copy image and block map again, or build them again; the card has no partition table now and does not boot"
            }
            Self::CutOff { .. } => "load the image again; the card has no partition table now and does not boot",
            Self::TooSmall { .. } => "use a larger card, or a smaller image: `sizes` in the image file",
            Self::Gone { .. } => "put it back and start again; the card has no partition table now and does not boot",
            Self::Write { .. } | Self::ReadBack { .. } | Self::Sync { .. } => {
                "the card or its reader is failing: try another reader, then another card"
            }
            Self::Bad { .. } => "the card is worn out or a fake: throw it away",
        }
    }
}

/// An error of the card, told apart from its absence.
fn of_card(offset: u64, source: io::Error, other: impl FnOnce(io::Error) -> WriteError) -> WriteError {
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

/// What the reading thread found out.
struct ReadResult {
    /// First byte behind the last one that was read.
    end: u64,
    bytes: u64,
}

/// Writes everything but the first block. `progress` is told of every byte once.
///
/// What the block map has a digest of is hashed once: here, or by [`verify`] if that follows.
pub fn write(
    image: &Image,
    target: &mut dyn Target,
    follows: Verify,
    progress: &dyn Fn(u64),
) -> Result<Written, WriteError> {
    let reader = image.reader().map_err(|source| WriteError::Read { offset: 0, source })?;
    if let (Some(size), Some(capacity)) = (image.size(), target.capacity())
        && size > capacity
    {
        return Err(WriteError::TooSmall { capacity });
    }
    let mut head = vec![0; HEAD];
    // Whatever table the card had is gone from here on.
    let mut zeros = Aligned::new(HEAD);
    zeros.bytes_mut().fill(0);
    retry(0, || target.write_at(0, zeros.bytes()))?;
    wipe(target)?;
    let (send, pieces) = sync_channel::<Piece>(QUEUE);
    let known = image.digests().filter(|_| follows == Verify::All);
    let (give_back, buffers) = buffers(QUEUE + 2 + if known.is_none() { digests::HELD } else { 0 });
    let (read, ranges) = std::thread::scope(|scope| {
        let reading = scope.spawn(move || read(image, reader, &send, &buffers));
        let mut digests = known.is_none().then(|| Digests::start(scope, &give_back));
        let mut found = Vec::new();
        let write = || {
            // It goes with the end of writing: a reader that waits for a buffer then waits for the hashing threads only.
            let give_back = give_back;
            for mut piece in pieces {
                let first = piece.offset == 0;
                if first {
                    let length = piece.length.min(HEAD);
                    head[..length].copy_from_slice(&piece.bytes()[..length]);
                    piece.bytes_mut()[..length].fill(0);
                }
                put(target, &piece)?;
                progress(piece.length as u64);
                let Some(digests) = &mut digests else {
                    // The reader may be done.
                    let _ = give_back.send(piece.buffer);
                    continue;
                };
                if first {
                    put_head(piece.bytes_mut(), &head);
                }
                digests.push(piece);
                for digest in digests.ready() {
                    found.push(checked(digest)?);
                }
            }
            Ok(())
        };
        // A failure here drops the receiver, which ends the reader.
        let written = write();
        let died = |source| WriteError::Read { offset: 0, source };
        let read = reading.join().unwrap_or_else(|_| Err(died(io::Error::other("the reader died"))));
        let rest = digests.map_or_else(|| Ok(Vec::new()), Digests::finish).map_err(died);
        written?;
        let read = read?;
        for digest in rest? {
            found.push(checked(digest)?);
        }
        found.sort_by_key(|(range, _)| range.start);
        Ok((read, known.unwrap_or(found)))
    })?;
    let image_bytes = image.size().unwrap_or(read.end);
    Ok(Written { head, image_bytes, bytes: read.bytes, ranges })
}

/// So many buffers of a chunk, and the way back to them.
fn buffers(count: usize) -> (SyncSender<Aligned>, Receiver<Aligned>) {
    let (give_back, buffers) = sync_channel(count);
    for _ in 0..count {
        // The receiver lives, and there is room for all.
        let _ = give_back.send(Aligned::new(CHUNK));
    }
    (give_back, buffers)
}

/// A range that is what the block map says.
fn checked(digest: Digest) -> Result<Digest, WriteError> {
    let (Range { start, end, sha256 }, found) = digest;
    match sha256 {
        Some(wanted) if wanted != found => Err(WriteError::Damaged { start, end }),
        _ => Ok(digest),
    }
}

fn put(target: &mut dyn Target, piece: &Piece) -> Result<(), WriteError> {
    if let Some(capacity) = target.capacity()
        && piece.end() > capacity
    {
        return Err(WriteError::TooSmall { capacity });
    }
    retry(piece.offset, || target.write_at(piece.offset, piece.bytes()))
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

/// Reads the image's ranges in chunks.
fn read(
    image: &Image,
    mut reader: Reader,
    pieces: &SyncSender<Piece>,
    buffers: &Receiver<Aligned>,
) -> Result<ReadResult, WriteError> {
    let mut result = ReadResult { end: 0, bytes: 0 };
    for range in image.ranges() {
        let mut offset = range.start;
        while offset < range.end {
            let Ok(mut buffer) = buffers.recv() else { return Ok(result) };
            let wanted = chunk_at(offset, range.end);
            let length = reader
                .read_at(offset, &mut buffer.bytes_mut()[..wanted])
                .map_err(|source| WriteError::Read { offset, source })?;
            if length > 0 && pieces.send(Piece { range, offset, buffer, length }).is_err() {
                return Ok(result);
            }
            offset += length as u64;
            result.bytes += length as u64;
            if length < wanted {
                break;
            }
        }
        result.end = offset;
        if offset < range.end {
            if range.sha256.is_some() || image.size().is_some_and(|size| size != offset) {
                return Err(WriteError::Short(offset));
            }
            break;
        }
    }
    Ok(result)
}

/// How much to read at `offset`: up to the next multiple of a chunk, so that writes fall on the card's own blocks.
fn chunk_at(offset: u64, end: u64) -> usize {
    let chunk = CHUNK as u64;
    let next = (offset / chunk + 1) * chunk;
    usize::try_from(next.min(end) - offset).unwrap_or(CHUNK)
}

/// Reads everything back; what differs is written again, and read back again. Returns how many chunks that were.
pub fn verify(
    image: &Image,
    target: &mut dyn Target,
    written: &Written,
    progress: &dyn Fn(u64),
) -> Result<u64, WriteError> {
    let mut repaired = 0;
    for bad in differing(target, written, &written.ranges, progress)? {
        repaired += repair(image, target, bad.0)?;
        // Against the block map or what was read at first: neither image nor memory is believed twice.
        if !differing(target, written, &[bad], &|_| {})?.is_empty() {
            return Err(WriteError::Bad { offset: bad.0.start });
        }
    }
    Ok(repaired)
}

/// Those of the ranges of which the card holds something else, or cannot be read.
fn differing(
    target: &mut dyn Target,
    written: &Written,
    ranges: &[Digest],
    progress: &dyn Fn(u64),
) -> Result<Vec<Digest>, WriteError> {
    let (give_back, buffers) = buffers(1 + digests::HELD);
    let found = std::thread::scope(|scope| {
        let mut digests = Digests::start(scope, &give_back);
        for (range, _) in ranges {
            let mut offset = range.start;
            while offset < range.end {
                let Ok(buffer) = buffers.recv() else { break };
                let mut piece = Piece { range: *range, offset, buffer, length: chunk_at(offset, range.end) };
                offset = piece.end();
                match target.read_at(piece.offset, piece.bytes_mut()) {
                    Ok(()) => {
                        if piece.offset == 0 {
                            // It is in memory only, and reads as if it were there.
                            put_head(piece.bytes_mut(), &written.head);
                        }
                        progress(piece.length as u64);
                        digests.push(piece);
                    }
                    Err(source) => {
                        let at = piece.offset;
                        let error = of_card(at, source, |source| WriteError::ReadBack { offset: at, source });
                        if matches!(error, WriteError::Gone { .. }) {
                            return Err(error);
                        }
                        // Without these bytes the range has no digest that anybody wants.
                        progress(range.end - at);
                        let _ = give_back.send(piece.buffer);
                        break;
                    }
                }
            }
        }
        digests.finish().map_err(|source| WriteError::ReadBack { offset: 0, source })
    })?;
    Ok(ranges.iter().filter(|range| !found.contains(range)).copied().collect())
}

fn put_head(bytes: &mut [u8], head: &[u8]) {
    let length = bytes.len().min(HEAD);
    bytes[..length].copy_from_slice(&head[..length]);
}

/// Finds the chunks of a range that differ from the image, and writes them again until they do not.
fn repair(image: &Image, target: &mut dyn Target, range: Range) -> Result<u64, WriteError> {
    let mut hash = Hashing::new(io::sink());
    let mut reader = image.reader().map_err(|source| WriteError::Read { offset: 0, source })?;
    let (mut wanted, mut found) = (Aligned::new(CHUNK), Aligned::new(CHUNK));
    let mut repaired = 0;
    let mut offset = range.start;
    while offset < range.end {
        let length = chunk_at(offset, range.end);
        let wanted = &mut wanted.bytes_mut()[..length];
        let read = reader.read_at(offset, wanted).map_err(|source| WriteError::Read { offset, source })?;
        if read < length {
            return Err(WriteError::Short(offset + read as u64));
        }
        // Hashing into a sink does not fail.
        let _ = io::Write::write_all(&mut hash, wanted);
        if offset == 0 {
            // As it is to be now.
            let head = length.min(HEAD);
            wanted[..head].fill(0);
        }
        let mut tries = 0;
        while !is_there(target, offset, wanted, &mut found.bytes_mut()[..length])? {
            if tries == TRIES {
                return Err(WriteError::Bad { offset: first_difference(wanted, &found.bytes()[..length], offset) });
            }
            tries += 1;
            retry(offset, || target.write_at(offset, wanted))?;
            sync(target, offset)?;
        }
        repaired += u64::from(tries > 0);
        offset += length as u64;
    }
    checked((range, hash.finish().0))?;
    Ok(repaired)
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

fn first_difference(wanted: &[u8], found: &[u8], offset: u64) -> u64 {
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

/// Writes the first block: from here on the card boots.
pub fn write_head(target: &mut dyn Target, written: &Written) -> Result<(), WriteError> {
    let length = usize::try_from(written.image_bytes).unwrap_or(HEAD).min(HEAD);
    let region = hah_format::disk::Region { offset: 0, bytes: written.head[..length].to_vec() };
    write_regions(target, 0, &[region])
}

#[cfg(test)]
mod tests;
