//! What generations were made of: closure and manifest of each image that was built, so that `deploy` can say what a node
//! that runs one of them gets by another.
//!
//! The newest [`KEPT`] stay; a node that runs an older one is brought up to date all the same.

use std::time::SystemTime;

use hah_format::digest::Sha256;
use hah_node::generation::closure::TEXT_MAX;

use super::{Store, StoreError};
use crate::files::draft::Draft;
use crate::files::{self, Action, failed};

/// How many are kept: about 50 KB each.
const KEPT: usize = 128;
/// Largest manifest that is read, in bytes.
const MANIFEST_MAX: u64 = 16 << 20;
/// Directory in the store.
pub(super) const DIRECTORY: &str = "generations";

/// What a generation was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptGeneration {
    /// The closure's text.
    pub closure: Vec<u8>,
    /// The manifest's text.
    pub manifest: Vec<u8>,
}

impl Store {
    /// Keeps what a generation was made of, under the digest of its closure.
    pub fn keep_generation(&self, id: &Sha256, kept: &KeptGeneration) -> Result<(), StoreError> {
        let directory = self.root().join(DIRECTORY);
        // The closure comes last: without it there is nothing.
        for (extension, text) in [("json", &kept.manifest), ("closure", &kept.closure)] {
            let name = format!("generation.{}.{extension}", std::process::id());
            let mut draft = Draft::create(&self.root().join("tmp").join(name))?;
            draft.write(text)?;
            draft.publish(&directory.join(format!("{id}.{extension}")))?;
        }
        self.forget_oldest()
    }

    /// What the generation with this id was made of, if it is kept.
    pub fn generation(&self, id: &Sha256) -> Result<Option<KeptGeneration>, StoreError> {
        let path = |extension: &str| self.root().join(DIRECTORY).join(format!("{id}.{extension}"));
        let closure = files::if_there(files::read_up_to(path("closure"), TEXT_MAX as u64))?;
        let manifest = files::if_there(files::read_up_to(path("json"), MANIFEST_MAX))?;
        let kept = closure.zip(manifest).map(|(closure, manifest)| KeptGeneration { closure, manifest });
        // A power cut may have left a name without its content.
        Ok(kept.filter(|kept| Sha256::of(&kept.closure) == *id))
    }

    fn forget_oldest(&self) -> Result<(), StoreError> {
        let mut found: Vec<(SystemTime, std::path::PathBuf)> = Vec::new();
        for path in files::entries(self.root().join(DIRECTORY))? {
            // Somebody else may be forgetting it.
            if let Some(metadata) = files::if_there(files::metadata(&path))? {
                found.push((metadata.modified().map_err(failed(Action::Examine, &path))?, path));
            }
        }
        found.sort();
        let surplus = found.len().saturating_sub(2 * KEPT);
        for (_, path) in found.into_iter().take(surplus) {
            files::if_there(files::remove(path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Access;

    #[test]
    fn the_newest_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Access::Shared).unwrap();
        let kept = |number: usize| KeptGeneration { closure: vec![b'x'; number], manifest: b"{}".to_vec() };
        let id = |number: usize| Sha256::of(&kept(number).closure);
        for number in 0..KEPT + 20 {
            store.keep_generation(&id(number), &kept(number)).unwrap();
            // Two of them may be made within one tick of the file system's clock.
            for extension in ["json", "closure"] {
                let file = directory.path().join(DIRECTORY).join(format!("{}.{extension}", id(number)));
                let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 + number as u64);
                std::fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
            }
        }
        assert_eq!(store.generation(&id(0)).unwrap(), None);
        assert_eq!(store.generation(&id(KEPT + 19)).unwrap(), Some(kept(KEPT + 19)));
        assert_eq!(files::entries(directory.path().join(DIRECTORY)).unwrap().len(), 2 * KEPT);
        // Whatever is there, it is what its name says.
        std::fs::write(directory.path().join(DIRECTORY).join(format!("{}.closure", id(100))), "").unwrap();
        assert_eq!(store.generation(&id(100)).unwrap(), None);
    }
}
