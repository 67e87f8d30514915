//! [`Builder`]: a packer, and the manifest that grows beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use rayon::iter::{IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};

use super::footer::Footer;
use super::keep::{EntryKind, Keep};
use super::packer::{FileId, Packer};
use super::{FORMAT_VERSION, Manifest, PackError, PackOptions, PackedFile};
use crate::deb::Entry;
use crate::digest::Sha256;
use crate::elf::{self, ElfFacts};
use crate::kmod::{self, ModuleFacts};
use crate::path::TreePath;
use crate::tree::{Kind, Node, Tree};

/// Files larger than this, in bytes, are not held in memory to be inspected. The largest libraries of Debian (LLVM, WebKit)
/// have more than 100 MiB.
const INSPECTED: u64 = 512 << 20;
/// Bytes of files that wait to be inspected, in parallel.
const WAITING: usize = 8 << 20;
/// `ET_EXEC` and `ET_DYN`.
const EXECUTABLE: u16 = 2;
const SHARED_OBJECT: u16 = 3;

/// Makes one pack, from a `.deb` or from any other source of entries.
pub struct Builder<W> {
    packer: Packer<W>,
    keep: Keep,
    block_size: u32,
    tree: Tree<FileId>,
    dropped: BTreeSet<TreePath>,
    control: BTreeMap<String, Vec<u8>>,
    elf: BTreeMap<FileId, ElfFacts>,
    modules: BTreeMap<FileId, ModuleFacts>,
    waiting: Vec<Inspection>,
}

/// A file that waits to be inspected.
struct Inspection {
    id: FileId,
    path: TreePath,
    wish: Wish,
    bytes: Vec<u8>,
}

/// What came of an inspection.
enum Facts {
    None,
    Elf(ElfFacts),
    Module(ModuleFacts),
}

impl Inspection {
    fn facts(&self) -> Facts {
        match self.wish {
            Wish::Elf => elf::inspect(&self.bytes)
                .filter(|facts| matches!(facts.elf_type, EXECUTABLE | SHARED_OBJECT))
                .map_or(Facts::None, Facts::Elf),
            Wish::Module => kmod::inspect(self.path.as_str(), &self.bytes).map_or(Facts::None, Facts::Module),
            Wish::Unknown | Wish::No => Facts::None,
        }
    }
}

impl<W: Write> Builder<W> {
    /// A pack that starts at the current position of `out`.
    pub fn new(out: W, options: &PackOptions) -> Result<Self, PackError> {
        Ok(Self {
            packer: Packer::new(out, options)?,
            keep: options.keep.clone(),
            block_size: options.block_size,
            tree: Tree::new(),
            dropped: BTreeSet::new(),
            control: BTreeMap::new(),
            elf: BTreeMap::new(),
            modules: BTreeMap::new(),
            waiting: Vec::new(),
        })
    }

    /// Adds a member of the control archive.
    pub fn control(&mut self, name: &str, bytes: Vec<u8>) {
        self.control.insert(name.to_owned(), bytes);
    }

    /// Adds an entry; a regular file's bytes are `content`.
    pub fn entry(&mut self, entry: Entry, content: &mut dyn Read) -> Result<(), PackError> {
        let Entry { path, meta, kind } = entry;
        let shape = if matches!(kind, Kind::Symlink(_)) { EntryKind::Symlink } else { EntryKind::Other };
        if !self.keep.keeps(&path, shape) {
            self.dropped.insert(path);
            return Ok(());
        }
        let kind = match kind {
            Kind::File(size) => Kind::File(self.file(&path, content, size)?),
            Kind::HardLink(target) if self.dropped.contains(&target) => {
                return Err(PackError::LinkToDropped { path, target });
            }
            Kind::HardLink(target) => Kind::HardLink(target),
            Kind::Dir => Kind::Dir,
            Kind::Symlink(target) => Kind::Symlink(target),
            Kind::CharDevice(major, minor) => Kind::CharDevice(major, minor),
            Kind::BlockDevice(major, minor) => Kind::BlockDevice(major, minor),
            Kind::Fifo => Kind::Fifo,
        };
        self.tree.insert(path, Node { meta, kind })?;
        Ok(())
    }

    fn file(&mut self, path: &TreePath, content: &mut dyn Read, size: u64) -> Result<FileId, PackError> {
        let wish = match is_module(path.name()) {
            _ if size > INSPECTED => Wish::No,
            true => Wish::Module,
            false => Wish::Unknown,
        };
        let mut held = Holding { content, wish, bytes: Vec::new() };
        let id = self.packer.file(&mut held, size)?;
        let Holding { wish, bytes, .. } = held;
        let known = self.elf.contains_key(&id) || self.modules.contains_key(&id);
        if matches!(wish, Wish::Elf | Wish::Module) && !known {
            self.waiting.push(Inspection { id, path: path.clone(), wish, bytes });
            if self.waiting.iter().map(|file| file.bytes.len()).sum::<usize>() >= WAITING {
                self.inspect();
            }
        }
        Ok(id)
    }

    fn inspect(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let facts: Vec<Facts> = waiting.par_iter().with_max_len(1).map(Inspection::facts).collect();
        for (file, facts) in waiting.into_iter().zip(facts) {
            match facts {
                Facts::Elf(facts) => drop(self.elf.insert(file.id, facts)),
                Facts::Module(facts) => drop(self.modules.insert(file.id, facts)),
                Facts::None => {}
            }
        }
    }

    /// Writes the manifest and the footer.
    pub fn finish(mut self) -> Result<(Manifest, W), PackError> {
        self.inspect();
        let Self { packer, block_size, tree, control, elf, modules, .. } = self;
        let packed = packer.finish()?;
        let none = || PackedFile { sha256: Sha256::of(b""), data: Default::default() };
        let file = |id| packed.file(id).cloned().unwrap_or_else(none);
        let manifest = Manifest {
            tree: tree.map(|_, id| file(id)),
            control,
            block_size,
            fragments: packed.fragments.clone(),
            data_len: packed.data_len,
            elf: elf.into_iter().map(|(id, facts)| (file(id).sha256, facts)).collect(),
            modules: modules.into_iter().map(|(id, facts)| (file(id).sha256, facts)).collect(),
        };
        let bytes = postcard::to_stdvec(&manifest).map_err(PackError::Encode)?;
        let footer = Footer {
            version: FORMAT_VERSION,
            data_len: packed.data_len,
            manifest_len: bytes.len() as u64,
            data: packed.sha256,
            manifest: Sha256::of(&bytes),
        };
        let mut out = packed.out;
        out.write_all(&bytes).and_then(|()| out.write_all(&footer.encode())).map_err(PackError::Write)?;
        out.flush().map_err(PackError::Write)?;
        Ok((manifest, out))
    }
}

fn is_module(name: &str) -> bool {
    [".ko", ".ko.xz", ".ko.zst", ".ko.gz"].iter().any(|end| name.ends_with(end))
}

/// Whether a file's bytes are kept for an inspection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Not before its first bytes were seen.
    Unknown,
    /// It begins as ELF does.
    Elf,
    /// Its name is a kernel module's.
    Module,
    /// It is something else, or too large.
    No,
}

/// A reader that holds on to what passes through it, if that is worth an inspection.
struct Holding<'a> {
    content: &'a mut dyn Read,
    wish: Wish,
    bytes: Vec<u8>,
}

impl Read for Holding<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        if self.wish != Wish::No {
            self.bytes.extend_from_slice(&buffer[..read]);
        }
        if self.wish == Wish::Unknown && self.bytes.len() >= 4 {
            self.wish = if self.bytes.starts_with(b"\x7fELF") { Wish::Elf } else { Wish::No };
        }
        if self.wish == Wish::No {
            self.bytes = Vec::new();
        }
        Ok(read)
    }
}
