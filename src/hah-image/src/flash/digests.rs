//! Digests of ranges, on threads of their own, so that neither reading nor writing waits for them.
//!
//! A range's pieces all go to the same thread, in order; ranges take turns. SHA-256 on one core is as fast as a quick
//! device: two threads keep up with it.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use hah_format::digest::{Hashing, Sha256};

use super::source::Range;
use super::target::Aligned;

/// Threads that hash.
const THREADS: usize = 2;
/// Pieces that wait in front of each.
const WAITING: usize = 1;
/// Pieces that can be in here at a time.
pub const HELD: usize = THREADS * (1 + WAITING);

/// Some bytes of a range.
pub struct Piece {
    /// The range.
    pub range: Range,
    /// Where they are in the image.
    pub offset: u64,
    /// Holds them at its start.
    pub buffer: Aligned,
    /// How many they are.
    pub length: usize,
}

impl Piece {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer.bytes()[..self.length]
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer.bytes_mut()[..self.length]
    }

    /// Offset of the first byte behind them.
    pub fn end(&self) -> u64 {
        self.offset + self.length as u64
    }
}

/// A range with the digest of its bytes. One whose bytes ended early ends where they did.
pub type Digest = (Range, Sha256);

/// The threads.
pub struct Digests<'s> {
    threads: Vec<(SyncSender<Piece>, ScopedJoinHandle<'s, ()>)>,
    done: Receiver<Digest>,
    /// Where the last piece began, and whose turn it is.
    turn: (Option<u64>, usize),
}

impl<'s> Digests<'s> {
    /// Starts them. They hand buffers that they are done with to `give_back`.
    pub fn start(scope: &'s Scope<'s, '_>, give_back: &SyncSender<Aligned>) -> Self {
        let (say, done) = channel();
        let threads = (0..THREADS).map(|_| {
            let (feed, pieces) = sync_channel(WAITING);
            let (say, give_back) = (say.clone(), give_back.clone());
            (feed, scope.spawn(move || hash(&pieces, &say, &give_back)))
        });
        Self { threads: threads.collect(), done, turn: (None, 0) }
    }

    /// Takes the next piece; those of a range must follow each other. Waits while the range's thread is behind.
    pub fn push(&mut self, piece: Piece) {
        let (last, thread) = &mut self.turn;
        if last.is_some_and(|last| last != piece.range.start) {
            *thread = (*thread + 1) % THREADS;
        }
        *last = Some(piece.range.start);
        // A thread ends only after its feed.
        let _ = self.threads[*thread].0.send(piece);
    }

    /// The ranges that were finished since the last time, in any order.
    pub fn ready(&self) -> impl Iterator<Item = Digest> + '_ {
        self.done.try_iter()
    }

    /// Waits for the rest of them.
    pub fn finish(self) -> io::Result<Vec<Digest>> {
        for (feed, thread) in self.threads {
            drop(feed);
            thread.join().map_err(|_| io::Error::other("a hashing thread died"))?;
        }
        Ok(self.done.try_iter().collect())
    }
}

fn hash(pieces: &Receiver<Piece>, done: &Sender<Digest>, give_back: &SyncSender<Aligned>) {
    let mut open: Option<(Range, Hashing<io::Sink>)> = None;
    let close = |(range, hash): (Range, Hashing<io::Sink>)| {
        // Whoever stopped listening has no use for it.
        let _ = done.send((range, hash.finish().0));
    };
    for piece in pieces {
        if open.as_ref().is_some_and(|(range, _)| range.start != piece.range.start) {
            open.take().map(close);
        }
        let (range, hash) = open.get_or_insert_with(|| (piece.range, Hashing::new(io::sink())));
        // Hashing into a sink does not fail.
        let _ = io::Write::write_all(hash, piece.bytes());
        range.end = piece.end();
        if range.end == piece.range.end {
            open.take().map(close);
        }
        let _ = give_back.send(piece.buffer);
    }
    open.take().map(close);
}
