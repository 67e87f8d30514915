//! `gc`: removes what no project's lock needs.
//!
//! A root is a project directory whose `hah.lock` was built or locked with this store.
//! The caller turns the roots into what lives, see [`crate::build::needs`]; everything else in the buckets goes.
//! Which derived files an image needs is known only when it has been configured, so the build keeps a list of them:
//! `derived-of/ROOT.IMAGE`, one key a line.
//! A build in progress needs what no lock names yet, so a collection opens the store with [`super::Access::Exclusive`].

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use hah_format::digest::Sha256;

use super::{Bucket, Store, StoreError};
use crate::files::draft::Draft;

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

/// What survives a collection.
#[derive(Debug, Default)]
pub struct Live {
    /// Keys of downloads, packs and derived files.
    pub keys: BTreeSet<Sha256>,
    /// Names of lists of derived files; see [`derived_list`].
    pub lists: BTreeSet<String>,
}

/// The name of a project among the roots: the digest of its path, whatever bytes that has.
fn root_name(project: &Path) -> Sha256 {
    Sha256::of(project.as_os_str().as_bytes())
}

/// The name of the list of derived files of an image of a project.
pub fn derived_list(project: &Path, image: &str) -> String {
    format!("{}.{image}", root_name(project))
}

impl Store {
    /// Makes `project` a root: its lock's inputs survive `gc`.
    pub fn add_root(&self, project: &Path) -> Result<(), StoreError> {
        let path = self.root().join("roots").join(root_name(project).to_string());
        if !path.exists() {
            let name = format!("root.{}", std::process::id());
            let mut draft = Draft::create(&self.root().join("tmp").join(name))?;
            draft.write(project.as_os_str().as_bytes())?;
            draft.publish(&path)?;
        }
        Ok(())
    }

    /// The projects that are roots and still exist; a sweep that removes forgets the others.
    pub fn roots(&self, sweep: Sweep) -> Result<Vec<PathBuf>, StoreError> {
        let mut roots = Vec::new();
        for entry in fs::read_dir(self.root().join("roots"))? {
            let path = entry?.path();
            let project = PathBuf::from(OsString::from_vec(fs::read(&path)?));
            if project.join("hah.lock").exists() {
                roots.push(project);
            } else if sweep == Sweep::Remove {
                fs::remove_file(&path)?;
            }
        }
        roots.sort();
        Ok(roots)
    }

    /// Keeps the derived files `keys` for the image of `project`, in place of those that it needed before.
    pub fn keep_derived(&self, project: &Path, image: &str, keys: &BTreeSet<Sha256>) -> Result<(), StoreError> {
        let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
        let mut draft = Draft::create(&self.root().join("tmp").join(format!("list.{}", std::process::id())))?;
        draft.write(text.as_bytes())?;
        draft.publish(&self.root().join("derived-of").join(derived_list(project, image)))?;
        Ok(())
    }

    /// The derived files that are kept for the image of `project`; none before it was built.
    pub fn kept_derived(&self, project: &Path, image: &str) -> Result<BTreeSet<Sha256>, StoreError> {
        match fs::read_to_string(self.root().join("derived-of").join(derived_list(project, image))) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes every download, pack and derived file that is not `live`.
    pub fn collect(&self, live: &Live, sweep: Sweep) -> Result<Collected, StoreError> {
        let mut result = Collected::default();
        for bucket in [Bucket::Downloads, Bucket::Packs, Bucket::Derived] {
            for entry in fs::read_dir(self.root().join(bucket.directory()))? {
                let path = entry?.path();
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                if stem.parse::<Sha256>().is_ok_and(|key| live.keys.contains(&key)) {
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
            // With exclusive access nobody holds a lock.
            self.keep_only("locks", &live.keys.iter().map(Sha256::to_string).collect())?;
            self.keep_only("derived-of", &live.lists)?;
        }
        Ok(result)
    }

    /// Removes from `directory` what has none of these names.
    fn keep_only(&self, directory: &str, names: &BTreeSet<String>) -> Result<(), StoreError> {
        for entry in fs::read_dir(self.root().join(directory))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !names.contains(&name) {
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
        let keep = Live { keys: BTreeSet::from([live]), lists: BTreeSet::new() };
        let want = Collected { files: 1, bytes: 5, kept: 1 };
        assert_eq!(store.collect(&keep, Sweep::DryRun).unwrap(), want);
        assert!(store.contains(Bucket::Downloads, &dead));
        assert_eq!(store.collect(&keep, Sweep::Remove).unwrap(), want);
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
        assert_eq!(store.roots(Sweep::Remove).unwrap(), std::slice::from_ref(&project));
        fs::remove_file(project.join("hah.lock")).unwrap();
        assert!(store.roots(Sweep::DryRun).unwrap().is_empty());
        assert_eq!(fs::read_dir(store.root().join("roots")).unwrap().count(), 1, "asking forgets nothing");
        assert!(store.roots(Sweep::Remove).unwrap().is_empty());
        assert_eq!(fs::read_dir(store.root().join("roots")).unwrap().count(), 0);
    }

    /// A path that is not UTF-8 is a path: it was kept with its bytes replaced, so that its project was no root.
    #[test]
    fn a_root_has_whatever_path_it_has() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("cache"), crate::store::Access::Shared).unwrap();
        let project = directory.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9\n"));
        fs::create_dir(&project).unwrap();
        fs::write(project.join("hah.lock"), b"").unwrap();
        store.add_root(&project).unwrap();
        assert_eq!(store.roots(Sweep::Remove).unwrap(), [project]);
    }

    #[test]
    fn derived_files_are_listed_by_image() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), crate::store::Access::Shared).unwrap();
        let (project, keys) = (Path::new("/p"), BTreeSet::from([Sha256::of(b"one"), Sha256::of(b"two")]));
        store.keep_derived(project, "lab", &keys).unwrap();
        assert_eq!(store.kept_derived(project, "lab").unwrap(), keys);
        assert!(store.kept_derived(project, "other").unwrap().is_empty());
        assert!(store.kept_derived(Path::new("/q"), "lab").unwrap().is_empty());
        let lists = BTreeSet::from([derived_list(project, "lab")]);
        store.collect(&Live { keys: BTreeSet::new(), lists }, Sweep::Remove).unwrap();
        assert_eq!(store.kept_derived(project, "lab").unwrap(), keys);
        store.collect(&Live::default(), Sweep::Remove).unwrap();
        assert!(store.kept_derived(project, "lab").unwrap().is_empty());
    }
}
