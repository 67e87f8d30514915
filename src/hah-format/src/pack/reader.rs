//! [`PackReader`]: packs back to manifests and files.

use std::io::{self, Read, Seek, SeekFrom};

use super::footer::{FOOTER, Footer};
use super::{FORMAT_VERSION, Manifest};
use crate::digest::{Hashing, Sha256};
use crate::squashfs::{Area, DataError, FileData, LastFragment, read_neighbour};

/// Why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be read.
    #[error("cannot read the pack")]
    Io(#[from] io::Error),
    /// There is no valid footer: not a pack, or one cut short.
    #[error("this is not a whole pack: its last {FOOTER} bytes are no footer")]
    NoFooter,
    /// Another version of this program wrote it.
    #[error("the pack has format version {found}, and this hah-image reads version {FORMAT_VERSION}")]
    Version {
        /// The pack's version.
        found: u32,
    },
    /// The lengths in the footer are not the file's.
    #[error("the pack has {found} bytes, and its footer describes {described}")]
    Length {
        /// Bytes of the file.
        found: u64,
        /// Bytes that the footer accounts for.
        described: u64,
    },
    /// A part does not have the digest that the footer records.
    #[error("the pack's {part} is damaged: its SHA-256 is {found}, and {recorded} was recorded")]
    Digest {
        /// `manifest` or `data area`.
        part: &'static str,
        /// Digest of the bytes.
        found: Sha256,
        /// Digest in the footer.
        recorded: Sha256,
    },
    /// The manifest has the right digest and cannot be decoded.
    #[error("the pack's manifest cannot be decoded")]
    Manifest(#[source] postcard::Error),
    /// Footer and manifest disagree.
    #[error("the pack's footer and manifest disagree about the data area")]
    Disagree,
}

impl OpenError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io(_) => "check permissions of the store",
            _ => "`hah-image store verify` removes damaged packs; the next build makes them again",
        }
    }
}

/// An open pack.
#[derive(Debug)]
pub struct PackReader<R> {
    source: R,
    footer: Footer,
    manifest: Manifest,
    last: LastFragment,
}

impl<R: Read + Seek> PackReader<R> {
    /// Opens a pack: footer and manifest are verified, the data area is not; see [`PackReader::verify`].
    pub fn open(mut source: R) -> Result<Self, OpenError> {
        let found = source.seek(SeekFrom::End(0))?;
        let Some(at) = found.checked_sub(FOOTER as u64) else {
            return Err(OpenError::NoFooter);
        };
        source.seek(SeekFrom::Start(at))?;
        let mut bytes = [0; FOOTER];
        source.read_exact(&mut bytes)?;
        let footer = Footer::decode(&bytes).ok_or(OpenError::NoFooter)?;
        if footer.version != FORMAT_VERSION {
            return Err(OpenError::Version { found: footer.version });
        }
        let described = footer.data_len.saturating_add(footer.manifest_len).saturating_add(FOOTER as u64);
        if described != found {
            return Err(OpenError::Length { found, described });
        }
        source.seek(SeekFrom::Start(footer.data_len))?;
        let mut bytes = Vec::new();
        (&mut source).take(footer.manifest_len).read_to_end(&mut bytes)?;
        let digest = Sha256::of(&bytes);
        if digest != footer.manifest {
            return Err(OpenError::Digest { part: "manifest", found: digest, recorded: footer.manifest });
        }
        let manifest: Manifest = postcard::from_bytes(&bytes).map_err(OpenError::Manifest)?;
        if manifest.data_len != footer.data_len {
            return Err(OpenError::Disagree);
        }
        Ok(Self { source, footer, manifest, last: None })
    }

    /// What the pack holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest and the stream; the data area is its first [`Manifest::data_len`] bytes.
    pub fn into_parts(self) -> (Manifest, R) {
        (self.manifest, self.source)
    }

    /// A file's bytes, if they are at most `limit`.
    pub fn read(&mut self, file: &FileData, limit: u64) -> Result<Vec<u8>, DataError> {
        let Self { source, manifest, last, .. } = self;
        let Manifest { block_size, fragments, .. } = &*manifest;
        read_neighbour(Area { source, start: 0, block_size: *block_size, fragments }, last, file, limit)
    }

    /// Hashes the data area.
    pub fn verify(&mut self) -> Result<(), OpenError> {
        self.source.seek(SeekFrom::Start(0))?;
        let mut data = Hashing::new((&mut self.source).take(self.footer.data_len));
        io::copy(&mut data, &mut io::sink())?;
        let (found, ..) = data.finish();
        if found == self.footer.data {
            Ok(())
        } else {
            Err(OpenError::Digest { part: "data area", found, recorded: self.footer.data })
        }
    }
}

/// The manifest of a pack; see [`PackReader::open`].
pub fn read_manifest<R: Read + Seek>(pack: R) -> Result<Manifest, OpenError> {
    Ok(PackReader::open(pack)?.into_parts().0)
}
