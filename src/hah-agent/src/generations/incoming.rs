//! A generation in the making: files of a known shape that fill with verified chunks, and survive an interruption.
//!
//! ```text
//! incoming/closure            which one: anything else here is of another, and goes
//! incoming/root.squashfs      as long as it will be; holes where nothing is yet
//! incoming/boot/NAME
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hah_node::generation::closure::{Chunk, Closure, bytes};
use hah_node::generation::{CLOSURE, Digest, ROOT};

use super::shelf::{Places, Shelf, digest};
use super::{Doing, Error};
use crate::durable;

/// Where boot files are collected.
const BOOT: &str = "boot";

/// Where a chunk lies: the file, and the offset in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    file: PathBuf,
    offset: u64,
}

/// Every spot of every chunk of a generation whose root is `root`, and whose boot files are below `boot`.
fn spots(closure: &Closure, root: &Path, boot: &Path) -> BTreeMap<Digest, Vec<Spot>> {
    let mut spots: BTreeMap<Digest, Vec<Spot>> = BTreeMap::new();
    let boot_files = closure.boot.iter().map(|file| (boot.join(&file.name), &file.chunks));
    for (file, chunks) in std::iter::once((root.to_owned(), &closure.root)).chain(boot_files) {
        let mut offset = 0;
        for Chunk(id, length) in chunks {
            spots.entry(*id).or_default().push(Spot { file: file.clone(), offset });
            offset += u64::from(*length);
        }
    }
    spots
}

/// What is being received.
pub(super) struct Incoming {
    directory: PathBuf,
    chunks: Vec<Chunk>,
    spots: BTreeMap<Digest, Vec<Spot>>,
    /// Chunks that are in all their spots.
    have: BTreeSet<Digest>,
    files: Files,
}

impl Incoming {
    /// Begins, or goes on where the last transfer of the same closure was cut short. `told` hears of bytes that were
    /// looked at.
    pub(super) fn open(
        places: &Places,
        text: &[u8],
        closure: &Closure,
        told: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Result<Self, Error> {
        let directory = places.incoming();
        let is_same = fs::read(directory.join(CLOSURE)).is_ok_and(|old| old == text);
        if !is_same {
            clear(&directory)?;
        }
        let boot = directory.join(BOOT);
        fs::create_dir_all(&boot).doing(|| format!("make {}", boot.display()))?;
        let root = directory.join(ROOT);
        let sizes = closure.boot.iter().map(|file| (boot.join(&file.name), bytes(&file.chunks)));
        for (path, size) in std::iter::once((root.clone(), closure.root_bytes())).chain(sizes) {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            file.and_then(|file| file.set_len(size)).doing(|| format!("make {}", path.display()))?;
        }
        if !is_same {
            let path = directory.join(CLOSURE);
            durable::write(&path, text, 0o644).doing(|| format!("write {}", path.display()))?;
        }
        let spots = spots(closure, &root, &boot);
        let chunks = closure.distinct();
        let mut incoming = Self { directory, chunks, spots, have: BTreeSet::new(), files: Files::default() };
        if is_same {
            incoming.look(told)?;
        }
        Ok(incoming)
    }

    /// Finds out what an earlier transfer has left.
    fn look(&mut self, told: &mut dyn FnMut(u64) -> io::Result<()>) -> Result<(), Error> {
        for Chunk(id, length) in self.chunks.clone() {
            let spots = self.spots.get(&id).cloned().unwrap_or_default();
            let is_there =
                spots.iter().all(|spot| self.files.read(spot, length).is_ok_and(|bytes| digest(&bytes) == id));
            if is_there {
                self.have.insert(id);
            }
            told(u64::from(length)).doing(|| "tell how far it is".to_owned())?;
        }
        Ok(())
    }

    /// Copies what this card has already, and returns how many bytes that were.
    pub(super) fn copy_from(
        &mut self,
        shelf: &Shelf,
        places: &Places,
        told: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Result<u64, Error> {
        let mut sources: BTreeMap<Digest, Vec<Spot>> = BTreeMap::new();
        for entry in &shelf.entries {
            let Some((_, closure)) = &entry.described else { continue };
            let root = places.root_of(entry.slot, &shelf.report);
            for (id, found) in spots(closure, &root, &places.boot_directory(entry.slot)) {
                sources.entry(id).or_default().extend(found.into_iter().take(1));
            }
        }
        let mut copied = 0;
        for Chunk(id, length) in self.chunks.clone() {
            if self.have.contains(&id) {
                continue;
            }
            let found = sources.get(&id).into_iter().flatten().find_map(|spot| {
                // A source that has changed is none: cmdline.txt of a generation, or a card that fails.
                self.files.read(spot, length).ok().filter(|bytes| digest(bytes) == id)
            });
            if let Some(bytes) = found {
                self.put(Chunk(id, length), &bytes)?;
                copied += u64::from(length);
                told(u64::from(length)).doing(|| "tell how far it is".to_owned())?;
            }
        }
        Ok(copied)
    }

    /// The chunks that must be sent: indices into [`Closure::distinct`].
    pub(super) fn missing(&self) -> Vec<u32> {
        let wanted = self.chunks.iter().zip(0_u32..).filter(|(chunk, _)| !self.have.contains(&chunk.0));
        wanted.map(|(_, index)| index).collect()
    }

    /// The chunk with this index.
    pub(super) fn chunk(&self, index: u32) -> Option<Chunk> {
        self.chunks.get(usize::try_from(index).ok()?).copied()
    }

    /// Takes a chunk that was sent.
    ///
    /// # Errors
    /// Other bytes than the chunk's; nothing of them is written.
    pub(super) fn take(&mut self, chunk: Chunk, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() as u64 != u64::from(chunk.1) || digest(bytes) != chunk.0 {
            return Err(Error::Refused(format!(
                "a chunk did not arrive as it is: {} bytes of {}",
                bytes.len(),
                chunk.0.short()
            )));
        }
        self.put(chunk, bytes)
    }

    fn put(&mut self, chunk: Chunk, bytes: &[u8]) -> Result<(), Error> {
        for spot in self.spots.get(&chunk.0).cloned().unwrap_or_default() {
            self.files.write(&spot, bytes).doing(|| format!("write {}", spot.file.display()))?;
        }
        self.have.insert(chunk.0);
        Ok(())
    }

    /// Everything is there and on the medium: the root file, and the directory of the boot files.
    pub(super) fn finish(mut self) -> Result<(PathBuf, PathBuf), Error> {
        let missing = self.missing().len();
        if missing > 0 {
            return Err(Error::Refused(format!("{missing} chunks did not arrive")));
        }
        self.files = Files::default();
        let directory = File::open(&self.directory).doing(|| format!("open {}", self.directory.display()))?;
        rustix::fs::syncfs(&directory).doing(|| format!("flush {}", self.directory.display()))?;
        Ok((self.directory.join(ROOT), self.directory.join(BOOT)))
    }
}

/// Removes what was received of another closure.
pub(super) fn clear(directory: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).doing(|| format!("remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// The last file that was read and the last that was written, open.
#[derive(Default)]
struct Files {
    reading: Option<(PathBuf, File)>,
    writing: Option<(PathBuf, File)>,
}

impl Files {
    fn read(&mut self, spot: &Spot, length: u32) -> io::Result<Vec<u8>> {
        if self.reading.as_ref().is_none_or(|(path, _)| *path != spot.file) {
            self.reading = Some((spot.file.clone(), File::open(&spot.file)?));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        match &self.reading {
            Some((_, file)) => file.read_exact_at(&mut bytes, spot.offset)?,
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(bytes)
    }

    fn write(&mut self, spot: &Spot, bytes: &[u8]) -> io::Result<()> {
        if self.writing.as_ref().is_none_or(|(path, _)| *path != spot.file) {
            self.writing = Some((spot.file.clone(), OpenOptions::new().write(true).open(&spot.file)?));
        }
        match &self.writing {
            Some((_, file)) => file.write_all_at(bytes, spot.offset),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
