//! What the images of a project need of the store, so that `gc` keeps exactly that.
//!
//! Keys come from the functions that a build uses: [`packs::options`] of the image's own recipes, [`packs::key`],
//! [`artifact_pack::key`]. Derived files are those that the image's last build used.

use std::path::Path;

use hah_plan::lock::Lock;

use crate::build::packs::{self, artifact_pack};
use crate::failure::Failure;
use crate::project::Project;
use crate::store::Store;
use crate::store::gc::{Live, derived_list};

/// An image whose recipes cannot be read, so that everything is kept that its lock may lead to.
pub struct Unread {
    /// Its name.
    pub image: String,
    /// Why.
    pub failure: Failure,
}

/// Adds to `live` what the images of `lock` need, the lock of the project at `root`.
pub fn add(store: &Store, root: &Path, lock: &Lock, live: &mut Live) -> Result<Vec<Unread>, Failure> {
    let mut unread = Vec::new();
    for image in lock.images() {
        let name = image.name.as_str();
        live.lists.insert(derived_list(root, name));
        live.keys.extend(store.kept_derived(root, name)?);
        live.keys.extend(lock.packages_of(name).map(|package| package.sha256));
        live.keys.extend(lock.artifacts_of(name).map(|artifact| artifact.sha256));
        match Project::open(root).and_then(|project| project.system(name, &[])) {
            Ok(system) => {
                let options = packs::options(&system);
                live.keys.extend(lock.packages_of(name).map(|package| packs::key(&package.sha256, &options).0));
                let locked =
                    |wanted| Some(artifact_pack::key(&lock.artifact_for(name, wanted)?.sha256, wanted.format).0);
                live.keys.extend(system.artifacts.iter().filter_map(locked));
            }
            Err(failure) => {
                for options in packs::every_options() {
                    live.keys.extend(lock.packages_of(name).map(|package| packs::key(&package.sha256, &options).0));
                }
                live.keys.extend(lock.artifacts_of(name).flat_map(|locked| artifact_pack::keys(&locked.sha256)));
                unread.push(Unread { image: name.to_owned(), failure: failure.into() });
            }
        }
    }
    Ok(unread)
}
