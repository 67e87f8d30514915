//! [`Packer`]: files in, a squashfs data area out.
//!
//! Whole blocks go out under their own name; what is left of a file (all of it, when it is smaller than a block) goes to
//! the open fragment, which it shares with the ends of other files. A fragment goes out when the next end does not fit.
//! Blocks are queued and compressed in batches, in parallel, and written in the order in which they were queued, so the
//! bytes do not depend on the number of threads.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Read, Write};

use rayon::iter::{IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};

use super::{PackError, PackOptions, PackedFile};
use crate::digest::{Hashing, Sha256};
use crate::squashfs::{Compressed, FileData, Fragment, STORED, Tail, compress};

/// Bytes that wait for a batch to be compressed: enough to keep a few cores busy.
const BATCH: usize = 4 << 20;
/// Files up to this size, in bytes, are read whole before any of their blocks is queued, and stored only once.
const DEDUPLICATED: u64 = BATCH as u64;

/// A file that was handed to a [`Packer`]: where it is in [`Packed::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(usize);

/// Writes a data area.
pub struct Packer<W> {
    out: Hashing<W>,
    block_size: usize,
    level: i32,
    queue: Vec<Job>,
    queued: usize,
    files: Vec<PackedFile>,
    seen: BTreeMap<Sha256, FileId>,
    fragments: Vec<Fragment>,
    open: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

/// A finished data area.
#[derive(Debug)]
pub struct Packed<W> {
    /// The files, as [`FileId`]s number them.
    files: Vec<PackedFile>,
    /// Fragment blocks.
    pub fragments: Vec<Fragment>,
    /// Length in bytes.
    pub data_len: u64,
    /// Digest of the data area.
    pub sha256: Sha256,
    /// Where it was written.
    pub out: W,
}

impl<W> Packed<W> {
    /// The file that [`Packer::file`] returned this id for; `None` for an id of another packer.
    pub fn file(&self, id: FileId) -> Option<&PackedFile> {
        self.files.get(id.0)
    }
}

/// A block that waits to be compressed.
struct Job {
    bytes: Vec<u8>,
    target: Target,
}

/// Who wants to know where a block went.
#[derive(Clone, Copy)]
enum Target {
    /// Block `block` of file `file`; `first` when no earlier block of the file is in the data area.
    Block { file: usize, block: usize, first: bool },
    /// A fragment.
    Fragment(usize),
}

impl<W: Write> Packer<W> {
    /// A data area that starts at the current position of `out`.
    pub fn new(out: W, options: &PackOptions) -> Result<Self, PackError> {
        if !options.block_size.is_power_of_two() || !(4096..=1 << 20).contains(&options.block_size) {
            return Err(PackError::BlockSize(options.block_size));
        }
        Ok(Self {
            out: Hashing::new(out),
            block_size: options.block_size as usize,
            level: options.level,
            queue: Vec::new(),
            queued: 0,
            files: Vec::new(),
            seen: BTreeMap::new(),
            fragments: Vec::new(),
            open: Vec::with_capacity(options.block_size as usize),
            spare: Vec::new(),
        })
    }

    /// Adds a file of exactly `size` bytes.
    pub fn file(&mut self, content: &mut dyn Read, size: u64) -> Result<FileId, PackError> {
        let mut content = Hashing::new(content);
        let whole = size / self.block_size as u64;
        let rest = (size % self.block_size as u64) as usize;
        let file = self.files.len();
        if size <= DEDUPLICATED {
            let mut blocks = Vec::new();
            for _ in 0..whole {
                blocks.push(self.block(&mut content, size, self.block_size)?);
            }
            let tail = self.block(&mut content, size, rest)?;
            let (sha256, ..) = content.finish();
            match self.seen.entry(sha256) {
                Entry::Occupied(same) => {
                    let same = *same.get();
                    self.spare.extend(blocks);
                    self.spare.push(tail);
                    return Ok(same);
                }
                Entry::Vacant(slot) => slot.insert(FileId(file)),
            };
            self.begin(sha256, size);
            for block in blocks {
                self.push_block(file, block)?;
            }
            self.push_tail(file, tail)?;
        } else {
            // The digest is known only at the end.
            self.begin(Sha256::of(b""), size);
            for _ in 0..whole {
                let block = self.block(&mut content, size, self.block_size)?;
                self.push_block(file, block)?;
            }
            let tail = self.block(&mut content, size, rest)?;
            self.push_tail(file, tail)?;
            let (sha256, ..) = content.finish();
            self.files[file].sha256 = sha256;
        }
        Ok(FileId(file))
    }

    fn begin(&mut self, sha256: Sha256, size: u64) {
        self.files.push(PackedFile { sha256, data: FileData { size, ..FileData::default() } });
    }

    /// Reads exactly `len` bytes of a file that was announced with `size` bytes.
    fn block(&mut self, content: &mut Hashing<&mut dyn Read>, size: u64, len: usize) -> Result<Vec<u8>, PackError> {
        let mut bytes = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(self.block_size));
        bytes.clear();
        content.take(len as u64).read_to_end(&mut bytes).map_err(PackError::Read)?;
        if bytes.len() != len {
            return Err(PackError::Size { announced: size, found: Hashing::bytes(content) });
        }
        Ok(bytes)
    }

    fn push_block(&mut self, file: usize, bytes: Vec<u8>) -> Result<(), PackError> {
        let blocks = &mut self.files[file].data.blocks;
        let block = blocks.len();
        let first = blocks.iter().all(|word| *word == 0);
        if is_zero(&bytes) {
            blocks.push(0);
            self.spare.push(bytes);
            return Ok(());
        }
        // Not a hole; the real word comes when the block is written.
        blocks.push(STORED);
        self.push(Job { bytes, target: Target::Block { file, block, first } })
    }

    fn push_tail(&mut self, file: usize, bytes: Vec<u8>) -> Result<(), PackError> {
        if bytes.is_empty() {
            self.spare.push(bytes);
            return Ok(());
        }
        if self.open.len() + bytes.len() > self.block_size {
            self.close_fragment()?;
        }
        let fragment = u32::try_from(self.fragments.len()).map_err(|_| PackError::TooMany)?;
        self.files[file].data.tail = Some(Tail { fragment, offset: self.open.len() as u32 });
        self.open.extend_from_slice(&bytes);
        self.spare.push(bytes);
        Ok(())
    }

    fn close_fragment(&mut self) -> Result<(), PackError> {
        let fresh = self.spare.pop().map_or_else(
            || Vec::with_capacity(self.block_size),
            |mut bytes| {
                bytes.clear();
                bytes
            },
        );
        let bytes = std::mem::replace(&mut self.open, fresh);
        let target = Target::Fragment(self.fragments.len());
        self.fragments.push(Fragment { start: 0, size_word: 0 });
        self.push(Job { bytes, target })
    }

    fn push(&mut self, job: Job) -> Result<(), PackError> {
        self.queued += job.bytes.len();
        self.queue.push(job);
        if self.queued >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Compresses and writes the queue.
    fn flush(&mut self) -> Result<(), PackError> {
        let level = self.level;
        let blocks: Vec<io::Result<Compressed>> =
            self.queue.par_iter().with_max_len(1).map(|job| compress(&job.bytes, level)).collect();
        for (job, block) in self.queue.drain(..).zip(blocks) {
            let start = self.out.bytes();
            let size_word = match block.map_err(PackError::Zstd)? {
                Compressed::Smaller(frame) => {
                    self.out.write_all(&frame).map_err(PackError::Write)?;
                    frame.len() as u32
                }
                Compressed::No => {
                    self.out.write_all(&job.bytes).map_err(PackError::Write)?;
                    job.bytes.len() as u32 | STORED
                }
            };
            match job.target {
                Target::Block { file, block, first } => {
                    let data = &mut self.files[file].data;
                    data.blocks[block] = size_word;
                    if first {
                        data.start = start;
                    }
                }
                Target::Fragment(index) => self.fragments[index] = Fragment { start, size_word },
            }
            self.spare.push(job.bytes);
        }
        self.queued = 0;
        Ok(())
    }

    /// Writes what is left.
    pub fn finish(mut self) -> Result<Packed<W>, PackError> {
        if !self.open.is_empty() {
            self.close_fragment()?;
        }
        self.flush()?;
        let (sha256, data_len, out) = self.out.finish();
        Ok(Packed { files: self.files, fragments: self.fragments, data_len, sha256, out })
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}
