//! Which image stands at which path: what makes a build without changes take no time.
//!
//! A record is trusted as far as the file still looks the same (length, modification time, inode); whoever changes the
//! image changes one of them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use hah_format::digest::Sha256;
use hah_plan::plan::Derivation;
use serde::{Deserialize, Serialize};

use super::Built;
use crate::build::assemble::disk::WrittenImage;
use crate::failure::Failure;
use crate::files::draft::Draft;
use crate::store::Store;

/// A record of a written image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltRecord {
    /// The image's key, 64 hex digits.
    pub key: String,
    /// Digest of the file.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    mapped: u64,
    inode: u64,
    modified: (i64, i64),
}

impl BuiltRecord {
    /// The record of a file just written.
    pub fn of(path: &Path, key: &str, written: &WrittenImage, mapped: u64) -> Result<Self, Failure> {
        let (inode, modified) = stamp(path)?;
        let sha256 = written.sha256.to_string();
        Ok(Self { key: key.to_owned(), sha256, size: written.size, mapped, inode, modified })
    }

    /// The record of `path`, when the file is still the one that was written.
    pub fn read(store: &Store, path: &Path) -> Option<Self> {
        let record: Self = serde_json::from_slice(&fs::read(file(store, path)?).ok()?).ok()?;
        let there = |extension: &str| path.with_extension(extension).exists();
        let same =
            fs::metadata(path).ok()?.len() == record.size && stamp(path).ok()? == (record.inode, record.modified);
        (same && there("bmap") && there("closure") && there("sha256") && there("json")).then_some(record)
    }

    /// Forgets what stands at `path`, because it is about to change.
    pub fn forget(store: &Store, path: &Path) -> Result<(), Failure> {
        let Some(target) = file(store, path) else { return Ok(()) };
        match fs::remove_file(target) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Keeps the record.
    pub fn write(&self, store: &Store, path: &Path) -> Result<(), Failure> {
        let Some(target) = file(store, path) else { return Ok(()) };
        let text = serde_json::to_vec(self).map_err(|error| Failure::build(error.to_string(), None))?;
        let mut draft = Draft::create(&store.root().join("tmp").join(format!("record.{}", std::process::id())))?;
        draft.write(&text)?;
        draft.publish(&target)?;
        Ok(())
    }

    /// As the caller of `build` wants it.
    pub fn built(&self, path: &Path) -> Built {
        Built {
            path: path.to_owned(),
            key: self.key.clone(),
            sha256: self.sha256.clone(),
            size: self.size,
            mapped: self.mapped,
            fresh: false,
        }
    }
}

/// The record of the image of `step`, when that is what stands at `path`, with its companions.
pub fn stands(store: &Store, path: &Path, step: &Derivation) -> Option<BuiltRecord> {
    BuiltRecord::read(store, path).filter(|record| record.key == step.key.to_string())
}

fn stamp(path: &Path) -> Result<(u64, (i64, i64)), Failure> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.ino(), (metadata.mtime(), metadata.mtime_nsec())))
}

/// Where the record of `path` is kept; `None` when the path cannot be made absolute.
fn file(store: &Store, path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let name = Sha256::of(absolute.as_os_str().as_encoded_bytes());
    Some(store.root().join("built").join(format!("{name}.json")))
}
