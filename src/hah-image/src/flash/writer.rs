//! The engine: reads on one thread, writes on another and hashes on more, reads back, and writes again what differs.
//!
//! The first block is kept in memory until [`write_head`]; meanwhile zeros stand in its place. Behind it goes what the card
//! had at both of its ends ([`super::wipe`]).

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use hah_format::digest::Hashing;

use super::Verify;
use super::careful::{CHUNK, HEAD, Written, first_difference, is_there, of_card, retry, sync, write_regions};
use super::digests::{self, Digest, Digests, Piece};
use super::error::{TRIES, WriteError};
use super::source::{Image, Range, Reader};
use super::target::{Aligned, Target};
use super::wipe::wipe;

/// Chunks under way between the threads.
const QUEUE: usize = 3;
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

/// Writes the first block: from here on the card boots.
pub fn write_head(target: &mut dyn Target, written: &Written) -> Result<(), WriteError> {
    let length = usize::try_from(written.image_bytes).unwrap_or(HEAD).min(HEAD);
    let region = hah_format::disk::Region { offset: 0, bytes: written.head[..length].to_vec() };
    write_regions(target, 0, &[region])
}

#[cfg(test)]
mod tests;
