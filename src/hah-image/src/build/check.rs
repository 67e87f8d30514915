//! `--check`: the same plan realised a second time, from the downloads alone, in an empty store and with one thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hah_plan::plan::Derivation;

use super::prepare::Prepared;
use super::realise::{ImageMaker, Realised, Site, realise};
use super::substitute::{DownloadsOf, Upstream};
use super::{Tools, assemble, compare};
use crate::failure::Failure;
use crate::files;
use crate::files::draft::Draft;
use crate::store::{Access, Store};

/// Builds again what stands at `first`, and says how each second image differs; `None` when it does not.
///
/// Images that do not stand anywhere are passed over.
pub fn rebuild(
    tools: Tools<'_>,
    store: &Store,
    prepared: &Prepared,
    first: &(dyn Fn(&str) -> Option<PathBuf> + Sync),
) -> Result<Vec<(String, Option<String>)>, Failure> {
    let scratch = Scratch(store.root().join("tmp").join(format!("check.{}", std::process::id())));
    let empty = Arc::new(Store::open(&scratch.0, Access::Exclusive)?);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(|error| Failure::build(error.to_string(), None))?;
    let mut checker =
        Checker { prepared, store: &empty, directory: &scratch.0, first, found: Vec::new(), failed: None };
    let wanted = prepared.plan.images().filter(|step| step.image().is_some_and(|image| first(&image.name).is_some()));
    let plan = prepared.plan.only(&wanted.map(|step| step.key).collect());
    let downloads = DownloadsOf(store);
    pool.install(|| {
        let site = Site { store: &empty, substituters: &[&downloads, &Upstream], tools };
        realise(&plan, &site, &mut checker);
    });
    match checker.failed {
        Some(failure) => Err(failure),
        None => Ok(checker.found),
    }
}

/// Writes second images, and compares.
struct Checker<'a> {
    prepared: &'a Prepared,
    store: &'a Arc<Store>,
    directory: &'a Path,
    first: &'a (dyn Fn(&str) -> Option<PathBuf> + Sync),
    found: Vec<(String, Option<String>)>,
    failed: Option<Failure>,
}

impl Checker<'_> {
    fn compare(&self, step: &Derivation, realised: &Realised) -> Result<Option<(String, Option<String>)>, Failure> {
        let Some(image) = step.image() else { return Ok(None) };
        let Some(first) = (self.first)(&image.name) else { return Ok(None) };
        let second = self.directory.join("second.img");
        self.prepared.with_assembly(self.store, step, realised, |assembly, packs| {
            let root = assemble::configure(assembly, &packs)?.root;
            let (kernel, _) = assemble::boot::kernel(assembly, self.store, &packs)?;
            let parts = assemble::parts(assembly, &packs, root, kernel)?;
            let mut draft = Draft::create(&second.with_extension("part"))?;
            assemble::disk::write(draft.file(), &parts.spec, &parts.boot, &parts.root)?;
            Ok(draft.publish(&second)?)
        })?;
        Ok(Some((image.name.clone(), compare::images(&first, &second)?)))
    }
}

impl ImageMaker for Checker<'_> {
    fn is_there(&self, _: &Derivation) -> bool {
        false
    }

    fn make(&mut self, step: &Derivation, realised: &Realised) {
        match self.compare(step, realised) {
            Ok(found) => self.found.extend(found),
            Err(failure) => self.failed = Some(failure),
        }
    }

    fn fail(&mut self, _: &Derivation, reason: Arc<Failure>) {
        let message = reason.message().to_owned();
        let failure = Failure::new(reason.exit(), message, reason.hint().map(str::to_owned));
        self.failed = Some(failure.within("the second build"));
    }
}

/// A directory that goes away with its owner.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = files::remove_tree(&self.0);
    }
}
