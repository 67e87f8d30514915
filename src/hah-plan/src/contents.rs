//! [`Contents`]: the bytes behind a root's files, and files that a pass derives from them once.

use std::collections::BTreeMap;

use hah_format::digest::Sha256;
use hah_format::elf::ElfFacts;
use hah_format::kmod::ModuleFacts;

use crate::plan::Derivation;
use crate::rootfs::Content;

/// A stored file could not be read back.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the stored file {sha256}: {reason}")]
pub struct ContentsError {
    /// Which file.
    pub sha256: Sha256,
    /// What went wrong.
    pub reason: String,
}

/// Files by name, to be kept for later builds.
pub type NamedFiles = BTreeMap<String, Vec<u8>>;

/// The bytes behind [`Content::Stored`], and what was learnt of them when they were packed.
pub trait Contents {
    /// The whole file.
    fn read(&self, sha256: &Sha256) -> Result<Vec<u8>, ContentsError>;
    /// What ldconfig wants to know; `None` when the file is not ELF.
    fn elf(&self, sha256: &Sha256) -> Option<&ElfFacts>;
    /// What depmod wants to know; `None` when the file is not a kernel module.
    fn module(&self, sha256: &Sha256) -> Option<&ModuleFacts>;

    /// The files of `step`: those of an earlier build when there was one, what `make` gives otherwise.
    ///
    /// For passes whose result depends only on packages and takes long. The step's key must name all that they read; see
    /// [`crate::plan::keys::DerivedKey`]. `None` when `make` gives nothing.
    fn derived(
        &self,
        step: &Derivation,
        make: &mut dyn FnMut() -> Option<NamedFiles>,
    ) -> Result<Option<BTreeMap<String, Content>>, ContentsError> {
        let _ = step;
        Ok(make().map(|files| files.into_iter().map(|(name, bytes)| (name, Content::inline(bytes))).collect()))
    }

    /// The bytes of `content`, wherever they are.
    fn bytes(&self, content: &Content) -> Result<Vec<u8>, ContentsError> {
        match content {
            Content::Stored { sha256, .. } => self.read(sha256),
            Content::Inline(bytes) => Ok(bytes.to_vec()),
        }
    }
}

/// Those of a root whose files are all inline: nothing is stored. For tests and fuzz targets.
pub struct InlineOnly;

impl Contents for InlineOnly {
    fn read(&self, sha256: &Sha256) -> Result<Vec<u8>, ContentsError> {
        Err(ContentsError { sha256: *sha256, reason: "nothing is stored".to_owned() })
    }

    fn elf(&self, _: &Sha256) -> Option<&ElfFacts> {
        None
    }

    fn module(&self, _: &Sha256) -> Option<&ModuleFacts> {
        None
    }
}
