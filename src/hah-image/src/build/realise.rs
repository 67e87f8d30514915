//! The one loop over a [`Plan`]: what is missing is had from somebody or made, each step once, whoever needs it.
//!
//! Steps of a kind go together, downloads before packs before images. One that fails takes along those that need it and no
//! others. A pack that turns out to be damaged when it is opened is thrown away, and the loop begins again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use hah_plan::plan::{ArtifactStep, Derivation, Key, PackStep, Plan, StepKind, StepState};
use rayon::prelude::*;

use super::Tools;
use super::packs::artifact_pack::pack_artifact;
use super::packs::{Stored, pack_package};
use super::substitute::Substituter;
use crate::failure::Failure;
use crate::files;
use crate::printer::{Outcome, Printer, human_bytes};
use crate::store::{Bucket, Store};

/// How often a damaged pack is made anew before the disk is to blame.
const ROUNDS: u32 = 3;

/// Where a plan is realised, and with whose help.
pub struct Site<'a> {
    /// Where outputs are kept.
    pub store: &'a Arc<Store>,
    /// Who may have outputs, in the order in which they are asked.
    pub substituters: &'a [&'a dyn Substituter],
    /// Settings, and whom progress is told.
    pub tools: Tools<'a>,
}

/// Makes what is not kept in the store: images, or whatever else their inputs are wanted for.
pub trait ImageMaker {
    /// Whether the image of this step stands where it should.
    fn is_there(&self, step: &Derivation) -> bool;
    /// Makes it. All of its packs are among the realised.
    fn make(&mut self, step: &Derivation, realised: &Realised);
    /// It cannot be made, because a step that it needs failed.
    fn fail(&mut self, step: &Derivation, reason: Arc<Failure>);
}

/// What has been realised so far.
#[derive(Default)]
pub struct Realised {
    packs: BTreeMap<Key, Arc<Stored>>,
    failures: BTreeMap<Key, Arc<Failure>>,
}

impl Realised {
    /// An open pack.
    pub fn pack(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.packs.get(key)
    }
}

/// Whether the output of `step`, which is none of an image, is in `store`.
pub fn is_in_store(store: &Store, step: &Derivation) -> bool {
    bucket(step).is_some_and(|bucket| store.contains(bucket, &step.key.0))
}

/// Where the output of `step` is kept; images are kept where people want them.
fn bucket(step: &Derivation) -> Option<Bucket> {
    match step.kind {
        StepKind::Fetch(_) => Some(Bucket::Downloads),
        StepKind::Pack(_) | StepKind::Artifact(_) => Some(Bucket::Packs),
        StepKind::Kernel(_) | StepKind::Derived(_) => Some(Bucket::Derived),
        StepKind::Image(_) => None,
    }
}

/// Realises `plan`; images are made by `maker`, one after the other.
///
/// Kernels are made by the images that take them, while these are configured: see [`super::assemble::boot::kernel`].
pub fn realise(plan: &Plan, site: &Site<'_>, maker: &mut dyn ImageMaker) {
    let mut realising = Realising { plan, site, realised: Realised::default() };
    for _ in 0..ROUNDS {
        realising.fetch(maker);
        let states = realising.states(maker);
        realising.pack(&states);
        if realising.open(&states) == Packs::Whole {
            break;
        }
    }
    let states = realising.states(maker);
    let Realising { realised, .. } = realising;
    for (step, state) in plan.steps().iter().zip(states) {
        let Some(image) = step.image() else { continue };
        if state != StepState::Make {
            continue;
        }
        let needed = plan.closure(&step.key);
        let failed = needed.iter().find_map(|input| realised.failures.get(input));
        let lacking = image.packs.iter().chain(&image.artifacts).find(|pack| realised.pack(pack).is_none());
        match (failed, lacking) {
            (Some(reason), _) => maker.fail(step, reason.clone()),
            (None, Some(pack)) => maker.fail(step, Arc::new(never_whole(site.store, pack))),
            (None, None) => maker.make(step, &realised),
        }
    }
}

/// That a pack was damaged each time it was made.
fn never_whole(store: &Store, pack: &Key) -> Failure {
    let path = store.path(Bucket::Packs, &pack.0);
    Failure::build(
        format!("{} is damaged as often as it is made", path.display()),
        Some("suspect the disk of the cache, or choose another with --cache-dir".to_owned()),
    )
}

/// Whether the packs could be opened.
#[derive(PartialEq, Eq)]
enum Packs {
    Whole,
    /// Some were damaged, and are gone.
    Damaged,
}

struct Realising<'a> {
    plan: &'a Plan,
    site: &'a Site<'a>,
    realised: Realised,
}

impl<'a> Realising<'a> {
    fn states(&self, maker: &dyn ImageMaker) -> Vec<StepState> {
        let store = self.site.store;
        self.plan.states(&|step| match step.image() {
            Some(_) => maker.is_there(step),
            None => is_in_store(store, step),
        })
    }

    /// The steps that are to be made and have not failed, and for which some image is still waiting.
    fn to_make(&self, states: &[StepState], is_kind: impl Fn(&StepKind) -> bool) -> Vec<&'a Derivation> {
        let waited_for = self.waited_for(states);
        let of_kind = self.plan.steps().iter().zip(states).filter(|(step, _)| is_kind(&step.kind));
        of_kind
            .filter(|(step, state)| **state == StepState::Make && waited_for.contains(&step.key))
            .map(|(step, _)| step)
            .collect()
    }

    /// What those images need that can still be made.
    fn waited_for(&self, states: &[StepState]) -> BTreeSet<Key> {
        waiting(self.plan, states, &self.realised).into_iter().flatten().collect()
    }

    /// Asks the substituters for what is to be made. Downloads can be had in no other way.
    fn fetch(&mut self, maker: &dyn ImageMaker) {
        let Site { store, substituters, tools } = *self.site;
        for substituter in substituters {
            let states = self.states(maker);
            let wanted = self.to_make(&states, |kind| !matches!(kind, StepKind::Image(_) | StepKind::Kernel(_)));
            if wanted.is_empty() {
                return;
            }
            for (key, reason) in substituter.substitute(tools, store, &wanted) {
                self.realised.failures.entry(key).or_insert(reason);
            }
            for step in wanted.into_iter().filter(|step| is_in_store(store, step)) {
                tools.printer.derivation(step, "fetched");
            }
        }
        let states = self.states(maker);
        for step in self.to_make(&states, |kind| matches!(kind, StepKind::Fetch(_))) {
            let reason = Failure::build(format!("nobody has what the plan wants: {step}"), None);
            self.realised.failures.insert(step.key, Arc::new(reason));
        }
    }

    /// Packs what is missing, in parallel, the largest first, so that no thread ends up alone with it.
    fn pack(&mut self, states: &[StepState]) {
        let Site { store, tools, .. } = *self.site;
        let is_pack = |kind: &StepKind| matches!(kind, StepKind::Pack(_) | StepKind::Artifact(_));
        let mut steps = self.to_make(states, is_pack);
        if steps.is_empty() {
            return;
        }
        steps.sort_by_key(|step| (std::cmp::Reverse(size(step)), step.to_string()));
        let waiting = Waiting::new(self.plan, states, &self.realised);
        let progress = Packing::start(tools.printer, &steps);
        let failures: Vec<(Key, Arc<Failure>)> = steps
            .into_par_iter()
            .with_max_len(1)
            .filter(|step| waiting.need(&step.key))
            .filter_map(|step| match pack(store, step) {
                Ok(()) => {
                    progress.packed(step);
                    None
                }
                Err(reason) => {
                    waiting.give_up(&step.key);
                    Some((step.key, Arc::new(reason)))
                }
            })
            .collect();
        if failures.is_empty() {
            progress.end();
        }
        self.realised.failures.extend(failures);
    }

    /// Opens the packs of the images that are to be made. A damaged one is removed: making it again is cheaper than asking.
    fn open(&mut self, states: &[StepState]) -> Packs {
        let store = self.site.store;
        let waited_for = self.waited_for(states);
        let is_pack = |step: &&Derivation| matches!(step.kind, StepKind::Pack(_) | StepKind::Artifact(_));
        let wanted: Vec<&Derivation> = (self.plan.steps().iter().filter(is_pack))
            .filter(|step| waited_for.contains(&step.key) && !self.realised.packs.contains_key(&step.key))
            .collect();
        let opened: Vec<(Key, Option<Stored>)> = wanted
            .into_par_iter()
            .map(|step| {
                let path = store.path(Bucket::Packs, &step.key.0);
                let stored = Stored::open(path.clone());
                if stored.is_err() {
                    // Somebody else may have been faster.
                    let _ = files::remove(path);
                }
                (step.key, stored.ok())
            })
            .collect();
        let is_damaged = opened.iter().any(|(_, stored)| stored.is_none());
        let whole = opened.into_iter().filter_map(|(key, stored)| Some((key, Arc::new(stored?))));
        self.realised.packs.extend(whole);
        if is_damaged { Packs::Damaged } else { Packs::Whole }
    }
}

/// Packs one step's download.
fn pack(store: &Store, step: &Derivation) -> Result<(), Failure> {
    match &step.kind {
        StepKind::Pack(package) => {
            Ok(pack_package(store, &step.key, package, &store.path(Bucket::Downloads, &package.sha256))?)
        }
        StepKind::Artifact(artifact) => {
            Ok(pack_artifact(store, &step.key, artifact, &store.path(Bucket::Downloads, &artifact.sha256))?)
        }
        _ => Err(Failure::build(format!("{step} is no pack"), None)),
    }
}

/// Bytes of the download behind a pack.
fn size(step: &Derivation) -> u64 {
    match &step.kind {
        StepKind::Pack(PackStep { size, .. }) | StepKind::Artifact(ArtifactStep { size, .. }) => *size,
        _ => 0,
    }
}

/// What each image needs that is to be made and can still be made.
fn waiting(plan: &Plan, states: &[StepState], realised: &Realised) -> Vec<BTreeSet<Key>> {
    let images = plan.steps().iter().zip(states).filter(|(step, _)| step.image().is_some());
    images
        .filter(|(_, state)| **state == StepState::Make)
        .map(|(step, _)| plan.closure(&step.key))
        .filter(|closure| closure.iter().all(|key| !realised.failures.contains_key(key)))
        .collect()
}

/// Which images still wait for steps; those that cannot be made any more do not.
struct Waiting {
    images: Mutex<Vec<BTreeSet<Key>>>,
}

impl Waiting {
    fn new(plan: &Plan, states: &[StepState], realised: &Realised) -> Self {
        Self { images: Mutex::new(waiting(plan, states, realised)) }
    }

    fn need(&self, step: &Key) -> bool {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|closure| closure.contains(step))
    }

    fn give_up(&self, step: &Key) {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).retain(|closure| !closure.contains(step));
    }
}

/// All packing as one step of the display.
struct Packing<'a> {
    printer: &'a Printer,
    step: crate::printer::Step<'a>,
    packages: usize,
    artifacts: Vec<String>,
    bytes: u64,
}

impl<'a> Packing<'a> {
    fn start(printer: &'a Printer, steps: &[&Derivation]) -> Self {
        let bytes = steps.iter().map(|step| size(step)).sum();
        let artifacts: Vec<String> = steps
            .iter()
            .filter_map(|step| match &step.kind {
                StepKind::Artifact(ArtifactStep { name, version, .. }) => Some(format!("{name} {version}")),
                _ => None,
            })
            .collect();
        let packages = steps.len() - artifacts.len();
        let step = printer.step("Packing", told(packages, &artifacts), Some(bytes));
        Self { printer, step, packages, artifacts, bytes }
    }

    fn packed(&self, step: &Derivation) {
        let name = step.to_string();
        self.step.set_message(name.split_once(' ').map_or(&name, |(_, name)| name));
        self.step.advance(size(step));
        self.printer.derivation(step, "made");
    }

    fn end(self) {
        let Self { step, packages, artifacts, bytes, .. } = self;
        step.done("Packed", &format!("{}, {}", told(packages, &artifacts), human_bytes(bytes)), Outcome::Made);
    }
}

/// `12 packages, artifact nomad 2.0.4`.
fn told(packages: usize, artifacts: &[String]) -> String {
    let noun = if packages == 1 { "package" } else { "packages" };
    let packages = (packages > 0).then(|| format!("{packages} {noun}"));
    let artifacts = artifacts.iter().map(|artifact| format!("artifact {artifact}"));
    packages.into_iter().chain(artifacts).collect::<Vec<_>>().join(", ")
}
