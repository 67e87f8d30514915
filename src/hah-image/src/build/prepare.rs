//! Everything that is known before anything is fetched: recipes read, lock made or taken as it is, plan computed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hah_format::digest::Sha256;
use hah_plan::artifact::Artifact;
use hah_plan::debian::Architecture;
use hah_plan::lock::{Lock, LockedArtifact, Update};
use hah_plan::plan::{self, Derivation, ImageStep, Key, PackStep, Plan, StepKind, Surroundings, Wanted};
use hah_plan::scripts::ReviewTable;
use hah_plan::system::System;

use super::assemble::Assembly;
use super::packs::artifact_pack::ArtifactPack;
use super::packs::{Pack, PackIndex, PackSet, Stored};
use super::realise::Realised;
use super::{LockPolicy, Request, Tools, agent, artifacts, lock};
use crate::failure::Failure;
use crate::project::Project;
use crate::store::Store;

/// Images that have a plan, and what they have in common.
pub struct Prepared {
    /// The plan of all of them.
    pub plan: Plan,
    /// They, in the order in which they were asked for.
    pub images: Vec<PlannedImage>,
    /// Images that have none, and why.
    pub failed: Vec<(String, Arc<Failure>)>,
    /// Reviewed maintainer scripts.
    pub reviews: ReviewTable,
    /// The cluster's name; empty without one.
    pub cluster: String,
    /// The packs of the image that was assembled last, and where everything in them is.
    last_index: Mutex<Option<(Vec<Key>, Arc<PackIndex>)>>,
}

/// An image that has a plan.
pub struct PlannedImage {
    /// The recipes' meaning.
    pub system: System,
    /// Its artifacts, as the recipes and as the lock have them.
    pub artifacts: Vec<(Artifact, LockedArtifact)>,
    /// The agent's binary.
    pub agent: Agent,
    /// The key of its step.
    pub key: Key,
}

/// An agent's binary and its digest.
#[derive(Clone)]
pub struct Agent {
    bytes: Arc<[u8]>,
    sha256: Sha256,
}

/// The images that were asked for: those that may have a plan, and those that have none.
#[derive(Default)]
struct Asked {
    systems: Vec<System>,
    failed: Vec<(String, Arc<Failure>)>,
}

/// Reads recipes and lock; locks when the request says so. An image that cannot be planned does not stop the others.
pub fn prepare(tools: Tools<'_>, project: &Project, request: &Request, store: &Store) -> Result<Prepared, Failure> {
    let mut asked = Asked::default();
    for image in &request.images {
        match project.system(image, &request.overrides) {
            Ok(system) => asked.systems.push(system),
            Err(error) => asked.failed.push((image.clone(), Arc::new(error.into()))),
        }
    }
    let cluster = project.cluster()?.map(|cluster| cluster.name).unwrap_or_default();
    // An input may be of an image that cannot be read.
    if asked.failed.is_empty() {
        request.inputs.check(&asked.systems)?;
    }
    let lock = locked(tools, project, request, store, &mut asked)?;
    let Asked { systems, mut failed } = asked;
    store.add_root(project.root())?;
    let (reviews, reviews_digest) = project.reviews()?;
    let mut agents: BTreeMap<Architecture, Result<Agent, Arc<Failure>>> = BTreeMap::new();
    let mut ready = Vec::new();
    for system in systems {
        let agent = agents.entry(system.architecture).or_insert_with(|| agent_for(tools, system.architecture));
        let image = agent.clone().and_then(|agent| {
            let artifacts = artifacts_of(&lock, &system)?;
            artifacts::take_inputs(store, &artifacts, &request.inputs)?;
            Ok((artifacts, agent))
        });
        match image {
            Ok((artifacts, agent)) => ready.push((system, artifacts, agent)),
            Err(failure) => failed.push((system.image, failure)),
        }
    }
    let wanted: Vec<Wanted<'_>> = ready
        .iter()
        .map(|(system, _, agent)| {
            let surroundings = Surroundings { cluster: &cluster, reviews: reviews_digest, agent: agent.sha256 };
            Wanted { system, surroundings: Some(surroundings) }
        })
        .collect();
    let plan = plan::plan(&wanted, &lock)?;
    let keys: Vec<Key> = plan.images().map(|step| step.key).collect();
    let images = ready.into_iter().zip(keys);
    let images =
        images.map(|((system, artifacts, agent), key)| PlannedImage { system, artifacts, agent, key }).collect();
    Ok(Prepared { plan, images, failed, reviews, cluster, last_index: Mutex::default() })
}

fn agent_for(tools: Tools<'_>, architecture: Architecture) -> Result<Agent, Arc<Failure>> {
    let bytes = agent::binary(tools.settings, architecture).map_err(Arc::new)?;
    Ok(Agent { sha256: Sha256::of(&bytes), bytes: bytes.into() })
}

/// The lock, with an answer for every image that is left among the asked; made and written when the policy says so.
fn locked(
    tools: Tools<'_>,
    project: &Project,
    request: &Request,
    store: &Store,
    Asked { systems, failed }: &mut Asked,
) -> Result<Lock, Failure> {
    let mut lock = project.lock()?.unwrap_or_default();
    if request.lock == LockPolicy::AsItIs {
        let is_stale = |system: &System| !lock::answers(&lock, system);
        let stale: Vec<String> =
            systems.iter().filter(|system| is_stale(system)).map(|system| system.image.clone()).collect();
        if !stale.is_empty() {
            let reason = Arc::new(stale_lock(project, request, &stale));
            systems.retain(|system| !stale.contains(&system.image));
            failed.extend(stale.into_iter().map(|image| (image, reason.clone())));
        }
        return Ok(lock);
    }
    for system in std::mem::take(systems) {
        if lock::answers(&lock, &system) {
            systems.push(system);
            continue;
        }
        match answered(tools, store, request, &system, &lock) {
            Ok(answer) => {
                // A parameter from the command line is for this build only, and so is the lock that it leads to.
                if request.overrides.is_empty() {
                    project.write_lock(&answer)?;
                }
                lock = answer;
                systems.push(system);
            }
            Err(failure) => failed.push((system.image, Arc::new(failure))),
        }
    }
    Ok(lock)
}

/// `old` with an answer for `system`.
fn answered(tools: Tools<'_>, store: &Store, request: &Request, system: &System, old: &Lock) -> Result<Lock, Failure> {
    let with_packages = match lock::has_packages(old, system) {
        true => old.clone(),
        false => lock::pin_packages(tools, system, old, &Update::Nothing)?,
    };
    artifacts::pin_artifacts(tools, store, system, (&with_packages, &request.inputs))
}

/// That the lock does not answer the recipes of these images.
fn stale_lock(project: &Project, request: &Request, images: &[String]) -> Failure {
    let names: Vec<&str> = images.iter().map(String::as_str).collect();
    let failure = lock::stale(project, &names);
    if request.overrides.is_empty() {
        return failure;
    }
    let files: Vec<String> = names.iter().map(|name| format!("images/{name}.toml")).collect();
    failure.advising(format!(
        "--set changes what the image needs: set it in {} and run `hah-image lock {}`, or build without --locked and --dry-run",
        files.join(", "),
        names.join(" ")
    ))
}

/// The image's artifacts and what the lock has of each.
fn artifacts_of(lock: &Lock, system: &System) -> Result<Vec<(Artifact, LockedArtifact)>, Failure> {
    let pair = |artifact: &Artifact| match lock.artifact_for(&system.image, artifact) {
        Some(locked) => Ok((artifact.clone(), locked.clone())),
        None => Err(Failure::user(format!("artifact {artifact} of image {} is not locked", system.image), None)),
    };
    system.artifacts.iter().map(pair).collect()
}

impl Prepared {
    /// The same, when every image has a plan.
    ///
    /// # Errors
    /// The reason why the first one has none.
    pub fn whole(mut self) -> Result<Self, Failure> {
        if self.failed.is_empty() {
            return Ok(self);
        }
        let (_, reason) = self.failed.remove(0);
        self.failed.clear();
        Err(Arc::into_inner(reason).unwrap_or_else(|| Failure::build("not every image has a plan", None)))
    }

    /// The image of a step.
    pub fn image(&self, key: &Key) -> Option<&PlannedImage> {
        self.images.iter().find(|image| image.key == *key)
    }

    /// Hands all that the image of `step` is made from to `then`.
    pub fn with_assembly<T>(
        &self,
        store: &Arc<Store>,
        step: &Derivation,
        realised: &Realised,
        then: impl FnOnce(&Assembly<'_>, PackSet) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let lost = || Failure::build(format!("{step} is in no plan"), None);
        let image = step.image().ok_or_else(lost)?;
        let PlannedImage { system, artifacts, agent, key } = self.image(&step.key).ok_or_else(lost)?;
        let unpacked = |key: &Key| Failure::build(format!("the pack {key} was not realised"), None);
        let mut packages: Vec<PackStep> = Vec::new();
        for pack in &image.packs {
            let StepKind::Pack(step) = &self.plan.step(pack).ok_or_else(lost)?.kind else { return Err(lost()) };
            packages.push(step.clone());
        }
        let open = |keys: &[Key]| -> Result<Vec<Arc<Stored>>, Failure> {
            let open = |key| realised.pack(key).cloned().ok_or_else(|| unpacked(key));
            keys.iter().map(open).collect()
        };
        let (stored, artifacts_stored) = (open(&image.packs)?, open(&image.artifacts)?);
        let index = self.index(image, || {
            let packs = packages.iter().zip(stored).map(|(step, stored)| Pack { step: step.clone(), stored });
            PackIndex::new(&packs.collect::<Vec<_>>(), &artifacts_stored)
        });
        let artifact_packs = artifacts_stored.iter().zip(artifacts).map(|(stored, (artifact, locked))| ArtifactPack {
            artifact: artifact.clone(),
            locked: locked.clone(),
            stored: stored.clone(),
        });
        let artifact_packs = artifact_packs.collect();
        let assembly = Assembly {
            key: *key,
            image,
            kernel: image.kernel.as_ref().and_then(|kernel| self.plan.step(kernel)),
            system,
            cluster: &self.cluster,
            packages: &packages,
            artifacts,
            reviews: &self.reviews,
            agent: &agent.bytes,
        };
        then(&assembly, PackSet::new(store.clone(), index, artifact_packs))
    }

    /// The index of the image's packs; that of the image before when it has the same.
    fn index(&self, image: &ImageStep, make: impl FnOnce() -> PackIndex) -> Arc<PackIndex> {
        let keys = [image.packs.as_slice(), &image.artifacts].concat();
        let mut last = self.last_index.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, index)) if *known == keys => index.clone(),
            _ => {
                // The one before goes first: only one is in memory.
                *last = None;
                last.insert((keys, Arc::new(make()))).1.clone()
            }
        }
    }
}
