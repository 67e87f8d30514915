//! Building: from a project to image files, each step only when its output is missing.
//!
//! `recipes → lock → plan → realise`: [`prepare`] reads and plans, [`realise`] is the one loop over the plan, [`writing`]
//! makes an image of its packs. A build whose key and output are unchanged ends after the plan: see [`built`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::advice::Exit;
use crate::build::artifacts::Inputs;
use crate::build::assemble::Evaluation;
use crate::build::outputs::Copies;
use crate::build::packs::PackSet;
use crate::build::prepare::Prepared;
use crate::build::realise::{ImageMaker, Realised, Site, is_in_store};
use crate::build::substitute::Upstream;
use crate::build::writing::Writer;
use crate::failure::Failure;
use crate::fetch::FetchError;
use crate::files::place::Place;
use crate::printer::Printer;
use crate::project::Project;
use crate::project::settings::Settings;
use crate::store::{Access, Store};
use hah_plan::configure::Configured;
use hah_plan::plan::{Derivation, Key, StepState};
use hah_plan::recipe::Override;

pub mod prepare;
pub mod lock;
pub mod agent;
pub mod artifacts;
pub mod downloads;
pub mod substitute;
pub mod realise;
pub mod packs;
pub mod assemble;
pub mod outputs;
pub mod writing;
pub mod built;
pub mod needs;
pub mod check;
pub mod compare;

/// What every step may use.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// Settings.
    pub settings: &'a Settings,
    /// The terminal.
    pub printer: &'a Printer,
}

/// What to do when the lock does not answer the recipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockPolicy {
    /// Lock what is missing, keep every pinned version.
    Update,
    /// Fail: whoever only asks changes nothing.
    AsItIs,
}

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Request {
    /// The images' names, each once.
    pub images: Vec<String>,
    /// Parameters from the command line, of every image.
    pub overrides: Vec<Override>,
    /// See [`LockPolicy`].
    pub lock: LockPolicy,
    /// Artifacts from the command line.
    pub inputs: Inputs,
}

impl Request {
    /// An image as its files say, and its lock as it is.
    pub fn asking(image: &str) -> Self {
        Self { lock: LockPolicy::AsItIs, ..Self::new(vec![image.to_owned()]) }
    }

    /// Images as their files say.
    pub fn new(images: Vec<String>) -> Self {
        let inputs = Inputs::default();
        Self { images, overrides: Vec::new(), lock: LockPolicy::Update, inputs }
    }

    /// Adds parameters as `--set` has them.
    pub fn set(&mut self, texts: &[String]) {
        self.overrides.extend(texts.iter().map(|text| Override { origin: "--set".to_owned(), text: text.clone() }));
    }
}

/// An image that stands at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The image file.
    pub path: PathBuf,
    /// Its derivation's key, 64 hex digits.
    pub key: String,
    /// Digest of the file.
    pub sha256: String,
    /// Its length in bytes, holes included.
    pub size: u64,
    /// Bytes of it that are mapped.
    pub mapped: u64,
    /// Whether it was written now.
    pub fresh: bool,
}

/// What came of one of the images that were to be built.
pub struct ImageOutcome {
    /// Its name.
    pub image: String,
    /// Where it stands, or why it does not. Images that fail for one reason share it.
    pub result: Result<Built, Arc<Failure>>,
}

/// A row of `--dry-run`.
pub struct DryRunRow {
    /// The step.
    pub what: String,
    /// `fetch`, `pack`, `artifact`, `kernel`, `derived`, `image`.
    pub kind: &'static str,
    /// Its key.
    pub key: Key,
    /// What a build would do with it.
    pub state: StepState,
}

fn open_store(tools: Tools<'_>) -> Result<Arc<Store>, Failure> {
    Ok(Arc::new(Store::open(tools.settings.cache_dir()?, Access::Shared)?))
}

/// Builds images at the places that `output` names, those that are not there. One that fails does not stop the others.
///
/// # Errors
/// When none of them can even be tried.
pub fn build(
    tools: Tools<'_>,
    project: &Project,
    request: &Request,
    output: &dyn Fn(&str) -> PathBuf,
    copies: Copies,
) -> Result<Vec<ImageOutcome>, Failure> {
    let places: Vec<PathBuf> = request.images.iter().map(|image| output(image)).collect();
    let mut results: BTreeMap<String, Result<Built, Arc<Failure>>> = BTreeMap::new();
    let mut good = Vec::new();
    for (image, place) in request.images.iter().zip(places) {
        let alone = outputs::check(std::slice::from_ref(&place), copies);
        match alone.and_then(|()| Ok(Place::to_write(&place)?)) {
            Ok(_) => good.push(place),
            Err(failure) => drop(results.insert(image.clone(), Err(Arc::new(failure)))),
        }
    }
    outputs::check(&good, copies)?;
    let store = open_store(tools)?;
    let images = request.images.iter().filter(|image| !results.contains_key(*image)).cloned().collect();
    let prepared = prepare::prepare(tools, project, &Request { images, ..request.clone() }, &store)?;
    for image in &prepared.images {
        artifacts::note_unsigned(tools, &image.artifacts);
    }
    let mut writer = Writer::new(tools, project, &store, &prepared);
    writer.keep_outputs = request.overrides.is_empty();
    writer.make_room(output);
    let plan = prepared.plan.only(&writer.waiting());
    realise::realise(&plan, &Site { store: &store, substituters: &[&Upstream], tools }, &mut writer);
    results.extend(writer.end());
    let failed = prepared.failed.iter().map(|(image, failure)| (image.clone(), Err(failure.clone())));
    results.extend(failed);
    // In the order in which they were asked for.
    let outcome = |image: &String| {
        let result = results.remove(image)?;
        Some(ImageOutcome { image: image.clone(), result })
    };
    Ok(request.images.iter().filter_map(outcome).collect())
}

/// What a build would make, in order: the very plan that it would realise.
///
/// # Errors
/// When one of the images has no plan.
pub fn dry_run(
    tools: Tools<'_>,
    project: &Project,
    request: &Request,
    output: &dyn Fn(&str) -> PathBuf,
) -> Result<Vec<DryRunRow>, Failure> {
    let store = open_store(tools)?;
    let prepared = prepare::prepare(tools, project, request, &store)?.whole()?;
    let plan = &prepared.plan;
    let states = plan.states(&|step| match step.image() {
        Some(image) => built::stands(&store, &output(&image.name), step).is_some(),
        None => is_in_store(&store, step),
    });
    let mut rows = Vec::new();
    for (step, state) in plan.steps().iter().zip(states) {
        rows.push(DryRunRow { what: step.to_string(), kind: step.kind.as_str(), key: step.key, state });
        let Some(image) = step.image() else { continue };
        // What derives from its merged root is known when it has been made before, as it is.
        let outputs = store.outputs_of(project.root(), &image.name)?.filter(|outputs| outputs.image == step.key);
        for (key, what) in outputs.into_iter().flat_map(|outputs| outputs.steps) {
            if plan.step(&key).is_none() {
                let is_there = store.contains(crate::store::Bucket::Derived, &key.0);
                let state = match (is_there, state) {
                    (true, _) => StepState::There,
                    (false, StepState::Make) => StepState::Make,
                    (false, _) => StepState::Spare,
                };
                // Images may have the same.
                match rows.iter_mut().find(|row: &&mut DryRunRow| row.key == key) {
                    Some(row) if state == StepState::Make => row.state = state,
                    Some(_) => {}
                    None => rows.push(DryRunRow { what, kind: "derived", key, state }),
                }
            }
        }
    }
    Ok(rows)
}

/// Realises the inputs of one image, and hands them to `then`.
fn with_packs<T>(
    tools: Tools<'_>,
    project: &Project,
    request: &Request,
    then: impl FnOnce(&assemble::Assembly<'_>, PackSet) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let store = open_store(tools)?;
    let prepared = prepare::prepare(tools, project, request, &store)?.whole()?;
    let mut asker = Asker { prepared: &prepared, store: &store, then: Some(then), result: None };
    let site = Site { store: &store, substituters: &[&Upstream], tools };
    realise::realise(&prepared.plan, &site, &mut asker);
    match asker.result {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(failure)) => {
            Err(Arc::into_inner(failure).unwrap_or_else(|| Failure::build("no image was made", None)))
        }
        None => Err(Failure::build("the request names no image", None)),
    }
}

/// Looks into an image's packs instead of writing it.
struct Asker<'a, T, F> {
    prepared: &'a Prepared,
    store: &'a Arc<Store>,
    then: Option<F>,
    result: Option<Result<T, Arc<Failure>>>,
}

impl<T, F: FnOnce(&assemble::Assembly<'_>, PackSet) -> Result<T, Failure>> ImageMaker for Asker<'_, T, F> {
    fn is_there(&self, _: &Derivation) -> bool {
        false
    }

    fn make(&mut self, step: &Derivation, realised: &Realised) {
        let Some(then) = self.then.take() else { return };
        let looked = self.prepared.with_assembly(self.store, step, realised, then);
        self.result = Some(looked.map_err(Arc::new));
    }

    fn fail(&mut self, _: &Derivation, reason: Arc<Failure>) {
        self.result = Some(Err(reason));
    }
}

/// The configured root of an image.
pub fn configured(tools: Tools<'_>, project: &Project, request: &Request) -> Result<Configured, Failure> {
    with_packs(tools, project, request, |assembly, packs| assemble::configure(assembly, &packs))
}

/// The packs of an image, and what its maintainer scripts do.
pub fn scripts(tools: Tools<'_>, project: &Project, request: &Request) -> Result<(PackSet, Evaluation), Failure> {
    with_packs(tools, project, request, |assembly, packs| {
        let evaluation = assemble::evaluate(assembly, &packs)?;
        Ok((packs, evaluation))
    })
}

/// Builds a second time what stands at `first`, and says how each image differs: see [`check`].
pub fn rebuild(
    tools: Tools<'_>,
    project: &Project,
    request: &Request,
    first: &(dyn Fn(&str) -> Option<PathBuf> + Sync),
) -> Result<Vec<(String, Option<String>)>, Failure> {
    let store = open_store(tools)?;
    let prepared = prepare::prepare(tools, project, request, &store)?.whole()?;
    check::rebuild(tools, &store, &prepared, first)
}

/// Maps a mismatch of bytes to its exit code.
pub(crate) fn fetch_failure(error: &FetchError) -> Failure {
    let exit = match error {
        FetchError::Disk { .. } => Exit::User,
        _ if error.is_mismatch() => Exit::HashMismatch,
        _ => Exit::Build,
    };
    Failure::new(exit, error.to_string(), error.hint())
}
