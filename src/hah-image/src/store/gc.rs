//! `gc`: removes what no project's lock needs.
//!
//! A root is a project directory whose `hah.lock` was built or locked with this store.
//! The caller turns the roots' locks into the set of live keys; everything else in the buckets goes.
//! A build in progress needs what no lock names yet, so a collection opens the store with [`super::Access::Exclusive`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fs_err as fs;
use hah_format::digest::Sha256;

use super::{Bucket, Store, StoreError};
use crate::draft::Draft;

/// What a collection did, or would do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files removed.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Files kept.
    pub kept: u64,
}

/// Whether to remove or only to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Remove.
    Remove,
    /// Count what would go.
    DryRun,
}

impl Store {
    /// Makes `project` a root: its lock's inputs survive `gc`.
    pub fn add_root(&self, project: &Path) -> Result<(), StoreError> {
        let text = project.to_string_lossy();
        let path = self.root().join("roots").join(Sha256::of(text.as_bytes()).to_string());
        if !path.exists() {
            let name = format!("root.{}", std::process::id());
            let mut draft = Draft::create(&self.root().join("tmp").join(name))?;
            draft.write(text.as_bytes())?;
            draft.publish(&path)?;
        }
        Ok(())
    }

    /// The projects that are roots and still exist; others are forgotten.
    pub fn roots(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut roots = Vec::new();
        for entry in fs::read_dir(self.root().join("roots"))? {
            let path = entry?.path();
            let project = PathBuf::from(fs::read_to_string(&path)?);
            if project.join("hah.lock").exists() {
                roots.push(project);
            } else {
                fs::remove_file(&path)?;
            }
        }
        roots.sort();
        Ok(roots)
    }

    /// Removes every download, pack and derived file whose key is not in `live`.
    pub fn collect(&self, live: &BTreeSet<Sha256>, sweep: Sweep) -> Result<Collected, StoreError> {
        let mut result = Collected::default();
        for bucket in [Bucket::Downloads, Bucket::Packs, Bucket::Derived] {
            for entry in fs::read_dir(self.root().join(bucket.directory()))? {
                let path = entry?.path();
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                if stem.parse::<Sha256>().is_ok_and(|key| live.contains(&key)) {
                    result.kept += 1;
                    continue;
                }
                result.files += 1;
                result.bytes += fs::symlink_metadata(&path)?.len();
                if sweep == Sweep::Remove {
                    fs::remove_file(&path)?;
                }
            }
        }
        if sweep == Sweep::Remove {
            self.collect_idle(&live.iter().map(Sha256::to_string).collect())?;
        }
        Ok(result)
    }

    /// Removes lock files: with exclusive access nobody holds one.
    fn collect_idle(&self, live: &BTreeSet<String>) -> Result<(), StoreError> {
        for entry in fs::read_dir(self.root().join("locks"))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !live.contains(&name) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dead_go() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), crate::store::Access::Shared).unwrap();
        let (live, dead) = (Sha256::of(b"live"), Sha256::of(b"dead"));
        for key in [&live, &dead] {
            fs::write(store.path(Bucket::Downloads, key), b"12345").unwrap();
        }
        let want = Collected { files: 1, bytes: 5, kept: 1 };
        assert_eq!(store.collect(&BTreeSet::from([live]), Sweep::DryRun).unwrap(), want);
        assert!(store.contains(Bucket::Downloads, &dead));
        assert_eq!(store.collect(&BTreeSet::from([live]), Sweep::Remove).unwrap(), want);
        assert!(store.contains(Bucket::Downloads, &live) && !store.contains(Bucket::Downloads, &dead));
    }

    #[test]
    fn a_root_lives_as_long_as_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("cache"), crate::store::Access::Shared).unwrap();
        let project = directory.path().join("project");
        fs::create_dir(&project).unwrap();
        fs::write(project.join("hah.lock"), b"").unwrap();
        store.add_root(&project).unwrap();
        assert_eq!(store.roots().unwrap(), std::slice::from_ref(&project));
        fs::remove_file(project.join("hah.lock")).unwrap();
        assert!(store.roots().unwrap().is_empty());
    }
}
