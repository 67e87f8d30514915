//! zstd blocks, with one reused context per thread.
//!
//! A frame's bytes depend on its input, the level and the zstd that is linked in, and on nothing else: contexts are reset
//! between blocks. The linked version is pinned by Cargo.lock; a digest test notices when it changes.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

thread_local! {
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A block after an attempt to compress it.
pub(crate) enum Compressed {
    /// A zstd frame that is smaller than its input.
    Smaller(Vec<u8>),
    /// The input is to be stored as it is.
    No,
}

/// Compresses `block` at `level`, if that makes it smaller.
pub(crate) fn compress(block: &[u8], level: i32) -> io::Result<Compressed> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some((at, compressor)) if *at == level => compressor,
            _ => &mut slot.insert((level, Compressor::new(level)?)).1,
        };
        let frame = compressor.compress(block)?;
        Ok(if frame.len() < block.len() { Compressed::Smaller(frame) } else { Compressed::No })
    })
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
