//! Packs: a package's manifest, and its file data already compressed as squashfs blocks.
//!
//! A `.deb` or a release archive is ingested once, in one streaming pass; every later image takes the pack's data area as
//! it is and writes only fresh tables around it ([`crate::squashfs`]).
//!
//! ```text
//! 0                    data area: blocks of files and fragments, as squashfs wants them
//! data_len             manifest: postcard of [`Manifest`]
//! data_len + manifest  footer, 128 bytes, little-endian:
//!                         0   8  magic "hah-pack"
//!                         8   4  FORMAT_VERSION
//!                        12   4  zero
//!                        16   8  length of the data area in bytes
//!                        24   8  length of the manifest in bytes
//!                        32  32  SHA-256 of the data area
//!                        64  32  SHA-256 of the manifest
//!                        96  32  SHA-256 of the 96 bytes above
//! ```
//!
//! The data area comes first, so that a pack is written front to back while its `.debs` streams in, and so that its copy
//! into an image starts at offset 0.
//! A pack cut short has no footer and is not opened; [`PackReader::verify`] hashes the data area too.
//!
//! | module | is |
//! |---|---|
//! | [`packer`] | files in, blocks out: order kept, compressed in parallel |
//! | [`builder`] | a packer and the manifest that grows beside it |
//! | [`keep`] | which paths are not worth storing |
//! | [`reader`] | packs back to manifests and files |

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};

use serde::{Deserialize, Serialize};

use crate::archive::{self, ArchiveError};
use crate::deb::{self, DebError};
use crate::digest::Sha256;
use crate::elf::ElfFacts;
use crate::kmod::ModuleFacts;
use crate::path::TreePath;
use crate::squashfs::{self, FileData, Fragment};
use crate::tree::{Tree, TreeError};

pub mod keep;
pub mod packer;
pub mod builder;
mod footer;
pub mod reader;

pub use builder::Builder;
pub use keep::{Keep, Locales};
pub use packer::{FileId, Packed, Packer};
pub use reader::{OpenError, PackReader, read_manifest};

/// Part of every pack's cache key: raised whenever the same `.deb` would give other bytes.
///
/// That is a change of layout, of what [`deb::read`] or the inspections see, or of the linked zstd.
pub const FORMAT_VERSION: u32 = 2;

/// How packs are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackOptions {
    /// Bytes of a file in one block; every pack of an image needs the same.
    pub block_size: u32,
    /// zstd level.
    pub level: i32,
    /// Which paths are stored.
    pub keep: Keep,
    /// Bounds on what a `.deb` may hold.
    pub limits: deb::Limits,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            block_size: squashfs::BLOCK_SIZE,
            level: squashfs::LEVEL,
            keep: Keep::default(),
            limits: deb::Limits::default(),
        }
    }
}

impl PackOptions {
    /// Everything here that reaches a pack's bytes, as a stable text: with a `.deb`'s digest, its pack's cache key.
    pub fn id(&self) -> String {
        format!("pack={FORMAT_VERSION} block={} zstd={} {}", self.block_size, self.level, self.keep)
    }
}

/// A regular file of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedFile {
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Where its bytes are in the pack's data area.
    pub data: FileData,
}

impl PackedFile {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.data.size
    }
}

/// What a pack holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The files, with owners as the package names them.
    pub tree: Tree<PackedFile>,
    /// Members of the control archive by name: `control`, `conffiles`, `postinst`, `triggers`, …
    pub control: BTreeMap<String, Vec<u8>>,
    /// Bytes of a file in one block.
    pub block_size: u32,
    /// The data area's fragment blocks.
    pub fragments: Vec<Fragment>,
    /// Length of the data area in bytes.
    pub data_len: u64,
    /// Executables and shared objects.
    pub elf: BTreeMap<Sha256, ElfFacts>,
    /// Kernel modules.
    pub modules: BTreeMap<Sha256, ModuleFacts>,
}

/// Why a pack cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The package is not well-formed.
    #[error(transparent)]
    Deb(#[from] DebError),
    /// The release archive is not well-formed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file's bytes could not be read.
    #[error("cannot read the file's bytes")]
    Read(#[source] io::Error),
    /// The pack could not be written.
    #[error("cannot write the pack")]
    Write(#[source] io::Error),
    /// A file is not as long as was announced.
    #[error("the file has {found} bytes, and {announced} were announced")]
    Size {
        /// Announced length in bytes.
        announced: u64,
        /// Bytes that came; one more than announced when there are too many.
        found: u64,
    },
    /// The tree does not accept an entry.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A kept hard link whose target is not kept.
    #[error("{path} is a hard link to {target}, which is left out as documentation")]
    LinkToDropped {
        /// The link.
        path: TreePath,
        /// Its target.
        target: TreePath,
    },
    /// More fragments or files than can be counted.
    #[error("the pack has more than 4 294 967 294 fragments")]
    TooMany,
    /// The block size is not one that squashfs knows.
    #[error("a squashfs block has 4 KiB to 1 MiB and a power of two of bytes, not {0}")]
    BlockSize(u32),
    /// zstd refused.
    #[error("zstd could not compress a block")]
    Zstd(#[source] io::Error),
    /// The manifest could not be encoded.
    #[error("cannot encode the pack's manifest")]
    Encode(#[source] postcard::Error),
}

impl PackError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Deb(error) => error.hint(),
            Self::Archive(error) => error.hint(),
            Self::Read(_) => "fetch the package again: `hah-image build` does so when the digest is wrong",
            Self::Write(_) => "check free space and permissions of the store",
            Self::Size { .. } | Self::Tree(_) | Self::TooMany => "the package is not well-formed: fetch it again",
            Self::LinkToDropped { .. } => "keep documentation, man pages or locales for this image",
            Self::BlockSize(_) => "use the default of 131072",
            Self::Zstd(_) => "check the configured compression level",
            Self::Encode(_) => "please report this as a bug of hah-image",
        }
    }
}

/// Ingests a `.deb`: one pass over `deb`, one pass over `out`, nothing on disk in between.
///
/// Blocks are compressed on rayon's current pool. Of several packages at once, pack each on a thread of its own outside
/// the pool: a worker that waits for its blocks may start a further package, and hold the memory of both.
pub fn pack_deb<R: Read, W: Write>(deb: R, out: W, options: &PackOptions) -> Result<Manifest, PackError> {
    let mut ingest = Ingest(Builder::new(out, options)?);
    deb::read(deb, &options.limits, &mut ingest)?;
    let (manifest, _) = ingest.0.finish()?;
    Ok(manifest)
}

/// Ingests a release archive: every member by its path there, of which an image takes what its recipes name.
pub fn pack_archive<R: Read + Seek, W: Write>(
    source: R,
    format: archive::Format,
    limits: &archive::Limits,
    out: W,
    options: &PackOptions,
) -> Result<Manifest, PackError> {
    let mut builder = Builder::new(out, options)?;
    archive::read(source, format, limits, &mut |entry, content| {
        builder.entry(entry, content).map_err(|error| match error {
            PackError::Read(source) => source,
            other => io::Error::other(other),
        })
    })?;
    let (manifest, _) = builder.finish()?;
    Ok(manifest)
}

/// Hands what [`deb::read`] finds to a builder.
struct Ingest<W>(Builder<W>);

impl<W: Write> deb::Visitor for Ingest<W> {
    fn control(&mut self, name: &str, bytes: Vec<u8>) -> io::Result<()> {
        self.0.control(name, bytes);
        Ok(())
    }

    fn entry(&mut self, entry: deb::Entry, content: &mut dyn Read) -> io::Result<()> {
        // A failure of `content` goes back as it came: deb::read knows what it means.
        self.0.entry(entry, content).map_err(|error| match error {
            PackError::Read(source) => source,
            other => io::Error::other(other),
        })
    }
}
