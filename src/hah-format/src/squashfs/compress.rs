//! zstd blocks, with one reused context per thread.
//!
//! A frame's bytes depend on its input, the level and the zstd that is linked in, and on nothing else: contexts are reset
//! between blocks. The linked version is pinned by Cargo.lock; a digest test notices when it changes.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

thread_local! {
    static COMPRESSORS: RefCell<Vec<(i32, Compressor<'static>)>> = const { RefCell::new(Vec::new()) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Level of a first look at blocks that are probably compressed already.
const PROBE: i32 = 1;
/// Blocks shorter than this, in bytes, are too short to judge.
const JUDGED: usize = 4096;

/// A block after an attempt to compress it.
pub(crate) enum Compressed {
    /// A zstd frame that is smaller than its input.
    Smaller(Vec<u8>),
    /// The input is to be stored as it is.
    No,
}

/// Compresses `block` at `level`, if that makes it smaller.
///
/// Most of a kernel package is xz already. Where the bytes look random a fast level is asked first, and what it cannot
/// shorten by 1/64 is stored: that takes a tenth of the time, and costs next to no space.
pub(crate) fn compress(block: &[u8], level: i32) -> io::Result<Compressed> {
    if looks_random(block) && compress_at(block, PROBE)?.len() > block.len() - block.len() / 64 {
        return Ok(Compressed::No);
    }
    let frame = compress_at(block, level)?;
    Ok(if frame.len() < block.len() { Compressed::Smaller(frame) } else { Compressed::No })
}

fn compress_at(block: &[u8], level: i32) -> io::Result<Vec<u8>> {
    COMPRESSORS.with_borrow_mut(|known| {
        let index = match known.iter().position(|(at, _)| *at == level) {
            Some(index) => index,
            None => {
                known.push((level, Compressor::new(level)?));
                known.len() - 1
            }
        };
        known[index].1.compress(block)
    })
}

/// Whether all byte values are about equally frequent.
fn looks_random(block: &[u8]) -> bool {
    let mut counts = [0u64; 256];
    block.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let len = block.len() as u64;
    // The sum is len²/256 for a flat histogram, len more for a random one, and len² for a single value.
    let flat = len * len / 256;
    block.len() >= JUDGED && counts.iter().map(|count| count * count).sum::<u64>() < flat + flat / 32 + 2 * len
}

/// Decompresses one frame into at most `limit` bytes.
pub(super) fn decompress(frame: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new()?),
        };
        decompressor.decompress(frame, limit)
    })
}
