//! What the images of a project need of the store, so that `gc` keeps exactly that: it is read from their plan.
//!
//! What derives from a merged root is known when an image has been made; of that, what its last build left is kept.

use std::path::Path;

use hah_plan::lock::Lock;
use hah_plan::plan::{self, Wanted};

use crate::failure::Failure;
use crate::project::Project;
use crate::store::Store;
use crate::store::gc::{Live, outputs_record};

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
        live.records.insert(outputs_record(root, name));
        let outputs = store.outputs_of(root, name)?;
        let left = outputs.iter().flat_map(|outputs| &outputs.steps);
        let planned = Project::open(root).map_err(Failure::from).and_then(|project| {
            let system = project.system(name, &[])?;
            Ok(plan::plan(&[Wanted { system: &system, surroundings: None }], lock)?)
        });
        match planned {
            Ok(plan) => {
                live.keys.extend(plan.steps().iter().map(|step| step.key.0));
                // The kernel is in the plan; of the record it may be an older one.
                live.keys.extend(left.filter(|(_, what)| what.starts_with("derived ")).map(|(key, _)| key.0));
            }
            Err(failure) => {
                for package in lock.packages_of(name) {
                    live.keys.insert(package.sha256);
                    live.keys.extend(plan::every_package_pack(&package.sha256).map(|key| key.0));
                }
                for artifact in lock.artifacts_of(name) {
                    live.keys.insert(artifact.sha256);
                    live.keys.extend(plan::every_artifact_pack(&artifact.sha256).map(|key| key.0));
                }
                live.keys.extend(left.map(|(key, _)| key.0));
                unread.push(Unread { image: name.to_owned(), failure });
            }
        }
    }
    Ok(unread)
}
