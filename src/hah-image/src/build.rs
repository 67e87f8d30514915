//! Building: from a project to an image file, each step only when its output is missing.
//!
//! `recipes → lock → fetch → pack → configure → lay out → write`. A build whose key and output are unchanged ends after
//! the lock: see [`built`].

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use hah_format::digest::Sha256;
use hah_format::pack::PackOptions;
use hah_plan::artifact::Artifact;
use hah_plan::configure::Configured;
use hah_plan::lock::{Lock, LockedArtifact, LockedPackage, Update};
use hah_plan::recipe::Override;
use hah_plan::scripts::{Effects, ReviewTable, ScriptAction, ScriptChoice, ScriptError};
use hah_plan::system::System;

use crate::advice::Exit;
use crate::build::artifacts::Inputs;
use crate::build::assemble::{Recipe, disk::WrittenImage};
use crate::build::packs::{Input, PackSet};
use crate::failure::Failure;
use crate::fetch::FetchError;
use crate::files::draft;
use crate::files::draft::Draft;
use crate::files::place::Place;
use crate::printer::{Outcome, Printer, human_bytes};
use crate::project::settings::Settings;
use crate::project::{Project, shown};
use crate::store::{Access, Bucket, Store};

pub mod outputs;
pub mod built;
pub mod lock;
pub mod downloads;
pub mod artifacts;
pub mod agent;
pub mod packs;
pub mod assemble;
pub mod needs;
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
    /// The image's name.
    pub image: String,
    /// Parameters from the command line.
    pub overrides: Vec<Override>,
    /// See [`LockPolicy`].
    pub lock: LockPolicy,
    /// Artifacts from the command line.
    pub inputs: Inputs,
}

impl Request {
    /// An image as its files say, and its lock as it is.
    pub fn asking(image: &str) -> Self {
        Self { lock: LockPolicy::AsItIs, ..Self::new(image) }
    }

    /// An image as its files say.
    pub fn new(image: &str) -> Self {
        let inputs = Inputs::default();
        Self { image: image.to_owned(), overrides: Vec::new(), lock: LockPolicy::Update, inputs }
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

/// A row of `--dry-run`.
pub struct DryRunRow {
    /// What it makes.
    pub what: String,
    /// Its key, 64 hex digits.
    pub key: String,
    /// Whether it is there.
    pub cached: bool,
}

/// Everything that is known before anything is fetched.
struct Ready {
    system: System,
    /// The cluster's name; empty without one.
    cluster: String,
    inputs: Vec<Input>,
    locked: Vec<LockedPackage>,
    artifacts: Vec<(Artifact, LockedArtifact)>,
    epoch: u32,
    reviews: ReviewTable,
    reviews_digest: Sha256,
    options: PackOptions,
    agent: Vec<u8>,
}

impl Ready {
    fn recipe(&self) -> Recipe<'_> {
        Recipe {
            system: &self.system,
            cluster: &self.cluster,
            inputs: &self.inputs,
            artifacts: &self.artifacts,
            reviews: &self.reviews,
            reviews_digest: self.reviews_digest,
            options: &self.options,
            agent: &self.agent,
            epoch: self.epoch,
        }
    }
}

fn open_store(tools: Tools<'_>) -> Result<Arc<Store>, Failure> {
    Ok(Arc::new(Store::open(tools.settings.cache_dir()?, Access::Shared)?))
}

/// Reads recipes and lock; locks when the policy says so.
fn ready(tools: Tools<'_>, project: &Project, request: &Request, store: &Store) -> Result<Ready, Failure> {
    let system = project.system(&request.image, &request.overrides)?;
    let cluster = project.cluster()?.map(|cluster| cluster.name).unwrap_or_default();
    request.inputs.check([&system])?;
    let lock = locked(tools, project, (request, &system), store)?;
    store.add_root(project.root())?;
    let (reviews, reviews_digest) = project.reviews()?;
    let agent = agent::binary(tools.settings, system.architecture)?;
    let (locked, epoch) = packages(&lock, &system)?;
    let inputs = locked.iter().map(input).collect();
    let artifacts = artifacts_of(&lock, &system)?;
    let options = packs::options(&system);
    Ok(Ready { system, cluster, inputs, locked, artifacts, epoch, reviews, reviews_digest, options, agent })
}

/// The lock, with an answer for the image; made and written when the policy says so.
fn locked(
    tools: Tools<'_>,
    project: &Project,
    (request, system): (&Request, &System),
    store: &Store,
) -> Result<Lock, Failure> {
    let old = project.lock()?.unwrap_or_default();
    let packages = lock::has_packages(&old, system);
    if packages && artifacts::are_locked(system, &old) {
        return Ok(old);
    }
    if request.lock == LockPolicy::AsItIs {
        let failure = lock::stale(project, &[&system.image]);
        return Err(if request.overrides.is_empty() {
            failure
        } else {
            failure.advising(format!(
                "--set changes what the image needs: set it in images/{0}.toml and run `hah-image lock {0}`, or build without --locked and --dry-run",
                system.image
            ))
        });
    }
    let mut lock = old;
    if !packages {
        lock = lock::pin_packages(tools, system, &lock, &Update::Nothing)?;
    }
    lock = artifacts::pin_artifacts(tools, store, system, (&lock, &request.inputs))?;
    // A parameter from the command line is for this build only, and so is the lock that it leads to.
    if request.overrides.is_empty() {
        project.write_lock(&lock)?;
    }
    Ok(lock)
}

/// The image's artifacts and what the lock has of each.
fn artifacts_of(lock: &Lock, system: &System) -> Result<Vec<(Artifact, LockedArtifact)>, Failure> {
    let pair = |artifact: &Artifact| match lock.artifact_for(&system.image, artifact) {
        Some(locked) => Ok((artifact.clone(), locked.clone())),
        None => Err(Failure::user(format!("artifact {artifact} of image {} is not locked", system.image), None)),
    };
    system.artifacts.iter().map(pair).collect()
}

/// The image's locked packages by name, and its epoch.
fn packages(lock: &Lock, system: &System) -> Result<(Vec<LockedPackage>, u32), Failure> {
    let image = lock
        .image(&system.image)
        .ok_or_else(|| Failure::user(format!("image {} is not locked", system.image), None))?;
    let mut packages: Vec<LockedPackage> = lock.packages_of(&system.image).cloned().collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((packages, image.epoch))
}

fn input(package: &LockedPackage) -> Input {
    Input {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture,
        sha256: package.sha256,
        size: package.size,
    }
}

/// Fetches and packs.
fn realise(tools: Tools<'_>, store: &Arc<Store>, ready: &Ready, inputs: &Inputs) -> Result<PackSet, Failure> {
    let unpacked: Vec<&LockedPackage> = ready
        .locked
        .iter()
        .filter(|package| !store.contains(Bucket::Packs, &packs::key(&package.sha256, &ready.options).0))
        .collect();
    downloads::packages(tools, store, &unpacked, (ready.epoch, &ready.system.archives))?;
    let artifacts: Vec<(Artifact, LockedArtifact)> = ready
        .artifacts
        .iter()
        .filter(|(artifact, locked)| {
            inputs.has(artifact)
                || !store.contains(Bucket::Packs, &packs::artifact_pack::key(&locked.sha256, artifact.format).0)
        })
        .cloned()
        .collect();
    artifacts::fetch(tools, store, &artifacts, inputs)?;
    pack(tools, store, store, ready)
}

/// Opens the packs in `store`, those that are missing made of the downloads in `downloads`.
fn pack(tools: Tools<'_>, store: &Arc<Store>, downloads: &Store, ready: &Ready) -> Result<PackSet, Failure> {
    let file = |sha256: &Sha256| downloads.path(Bucket::Downloads, sha256);
    let deb = |input: &Input| file(&input.sha256);
    let packs = packs::realise(store, tools.printer, &ready.inputs, &ready.options, &deb)?;
    let artifacts = packs::artifact_pack::realise(store, tools.printer, &ready.artifacts, &file)?;
    Ok(PackSet::new(store.clone(), packs, artifacts))
}

/// The configured root of an image.
pub fn configured(tools: Tools<'_>, project: &Project, request: &Request) -> Result<Configured, Failure> {
    let store = open_store(tools)?;
    let ready = ready(tools, project, request, &store)?;
    let packs = realise(tools, &store, &ready, &request.inputs)?;
    let recipe = ready.recipe();
    assemble::configure(&recipe, &packs, &recipe.key())
}

/// The packs of an image, and those of its maintainer scripts that cannot be evaluated.
pub fn scripts(tools: Tools<'_>, project: &Project, request: &Request) -> Result<(PackSet, Vec<ScriptError>), Failure> {
    let store = open_store(tools)?;
    let ready = ready(tools, project, request, &store)?;
    let packs = realise(tools, &store, &ready, &request.inputs)?;
    let recipe = ready.recipe();
    let errors = assemble::script_errors(&recipe, &packs, &recipe.key())?;
    Ok((packs, errors))
}

/// What a build would make, in order.
pub fn dry_run(tools: Tools<'_>, project: &Project, request: &Request) -> Result<Vec<DryRunRow>, Failure> {
    let store = open_store(tools)?;
    let ready = ready(tools, project, request, &store)?;
    let mut rows = Vec::new();
    for input in &ready.inputs {
        let name = format!("{} {} ({})", input.name, input.version, input.architecture);
        let pack = packs::key(&input.sha256, &ready.options).0;
        let packed = store.contains(Bucket::Packs, &pack);
        rows.push(DryRunRow {
            what: format!("fetch {name}"),
            key: input.sha256.to_string(),
            cached: packed || store.contains(Bucket::Downloads, &input.sha256),
        });
        rows.push(DryRunRow { what: format!("pack {name}"), key: pack.to_string(), cached: packed });
    }
    for (artifact, locked) in &ready.artifacts {
        let pack = packs::artifact_pack::key(&locked.sha256, artifact.format).0;
        let packed = store.contains(Bucket::Packs, &pack);
        rows.push(DryRunRow {
            what: format!("fetch artifact {artifact}"),
            key: locked.sha256.to_string(),
            cached: packed || store.contains(Bucket::Downloads, &locked.sha256),
        });
        rows.push(DryRunRow { what: format!("pack artifact {artifact}"), key: pack.to_string(), cached: packed });
    }
    let key = ready.recipe().key();
    let cached = built::BuiltRecord::read(&store, &project.output(&request.image))
        .is_some_and(|record| record.key == key.to_string());
    rows.push(DryRunRow { what: format!("image {}", request.image), key: key.to_string(), cached });
    Ok(rows)
}

/// Builds an image at `output`, unless it is there.
pub fn build(tools: Tools<'_>, project: &Project, request: &Request, output: &Path) -> Result<Built, Failure> {
    outputs::check(output, outputs::Copies::None)?;
    let store = open_store(tools)?;
    Place::to_write(output)?;
    let ready = ready(tools, project, request, &store)?;
    artifacts::note_unsigned(tools, &ready.artifacts);
    let recipe = ready.recipe();
    let key = recipe.key();
    if let Some(record) = built::BuiltRecord::read(&store, output)
        && record.key == key.to_string()
    {
        imager_manifest(&ready, (&record.sha256, record.size), output)?;
        let step = tools.printer.step("Building", request.image.clone(), None);
        step.done("Fresh", &format!("{} is up to date", shown(output)), Outcome::Made);
        return Ok(record.built(output));
    }
    // Before minutes of work: is there room for the result at all?
    let mut draft = Draft::of(&Place::of(output)?)?;
    let packs = realise(tools, &store, &ready, &request.inputs)?;
    let step = tools.printer.step("Configuring", format!("{} packages", ready.inputs.len()), None);
    // The kernel is half as long to compress as all the passes take, and waits for none of them.
    let (configured, kernel) = rayon::join(
        || assemble::configure(&recipe, &packs, &key),
        || assemble::boot::kernel(&store, &ready.system, &packs),
    );
    let (Configured { root, effects, .. }, kernel) = (configured?, kernel?);
    // A parameter from the command line makes another image than the project's.
    if request.overrides.is_empty() {
        store.keep_derived(project.root(), &request.image, &packs.used_derived())?;
    }
    let paths = root.len();
    note_jobs(tools, &ready.system);
    note_scripts(tools, &effects);
    let parts = assemble::parts(&recipe, &packs, root, kernel, key)?;
    step.done("Configured", &format!("{paths} paths of {} packages", ready.inputs.len()), Outcome::Made);
    let step = tools.printer.step("Writing", shown(output), None);
    let written = assemble::disk::write(draft.file(), &parts.spec, &parts.boot, &parts.root)
        .map_err(|failure| failure.within(&format!("cannot write {}", output.display())))?;
    let manifest = assemble::manifest::render(&recipe, &key, &written, &effects)
        .map_err(|error| Failure::build(error.to_string(), None))?;
    // From here to the new record a death leaves an image and companions that may not belong together.
    built::BuiltRecord::forget(&store, output)?;
    beside(output, "bmap", hah_format::bmap::write(written.size, &written.ranges).as_bytes())?;
    beside(output, "json", manifest.as_bytes())?;
    beside(output, "sha256", &checksum_line(&written.sha256, output.file_name().unwrap_or_default()))?;
    draft.publish(output)?;
    imager_manifest(&ready, (&written.sha256.to_string(), written.size), output)?;
    let mapped = mapped(&written);
    let record = built::BuiltRecord::of(output, &key.to_string(), &written, mapped)?;
    record.write(&store, output)?;
    step.done(
        "Built",
        &format!("{} ({} of {} used, {})", shown(output), human_bytes(mapped), human_bytes(written.size), key.short()),
        Outcome::Made,
    );
    Ok(Built { fresh: true, ..record.built(output) })
}

/// Says which Nomad jobs the build could not check to the end.
fn note_jobs(tools: Tools<'_>, system: &System) {
    for job in &system.nomad_jobs {
        let Some(reason) = &job.on_node else { continue };
        let hint = reason.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        tools.printer.note(&format!("Nomad job `{}` is parsed by Nomad on the node: {reason}{hint}", job.name));
    }
}

/// Says what scripts do not do in the build: what is left to the node, and what a recipe leaves out.
fn note_scripts(tools: Tools<'_>, effects: &Effects) {
    for task in &effects.first_boot {
        tools.printer.note(&format!("left to the first boot: {}: {}", task.package, task.what.summary));
    }
    for choice in effects.report.choices.iter().filter(|choice| choice.action == ScriptAction::Skip) {
        let ScriptChoice { package, kind, reason, recipe, .. } = choice;
        tools.printer.warning(&format!("the {kind} of {package} does not run ({recipe}): {reason}"));
    }
}

/// Writes what Raspberry Pi Imager wants to know beside the image, unless it stands there.
fn imager_manifest(ready: &Ready, (sha256, size): (&str, u64), output: &Path) -> Result<(), Failure> {
    let place = std::path::absolute(output)?;
    let text =
        assemble::imager::render(&ready.system, ready.epoch, &assemble::imager::File { place: &place, sha256, size })
            .map_err(|error| Failure::build(error.to_string(), None))?;
    let Some(text) = text else { return Ok(()) };
    let is_there = fs::read(output.with_extension(assemble::imager::EXTENSION)).is_ok_and(|old| old == text.as_bytes());
    if is_there { Ok(()) } else { beside(output, assemble::imager::EXTENSION, text.as_bytes()) }
}

/// Bytes of the image that are mapped.
fn mapped(written: &WrittenImage) -> u64 {
    written
        .ranges
        .iter()
        .map(|range| {
            let bytes = range.bytes(written.size);
            bytes.end - bytes.start
        })
        .sum()
}

/// Writes `NAME.EXTENSION` beside the image, whole or not at all.
fn beside(output: &Path, extension: &str, bytes: &[u8]) -> Result<(), Failure> {
    Ok(draft::write(&output.with_extension(extension), bytes)?)
}

/// A line for `sha256sum -c`: of a name with a backslash or a line end it wants the whole line escaped (GNU coreutils,
/// "cksum output modes").
fn checksum_line(sha256: &Sha256, name: &OsStr) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in name.as_bytes() {
        match byte {
            b'\\' => escaped.extend(br"\\"),
            b'\n' => escaped.extend(br"\n"),
            b'\r' => escaped.extend(br"\r"),
            byte => escaped.push(*byte),
        }
    }
    let mut line = if escaped == name.as_bytes() { Vec::new() } else { vec![b'\\'] };
    line.extend(format!("{sha256}  ").as_bytes());
    line.extend(escaped);
    line.push(b'\n');
    line
}

/// Builds again from the downloads alone, in an empty store and with one thread; says how the result differs.
pub fn rebuild(
    tools: Tools<'_>,
    project: &Project,
    request: &Request,
    first: &Path,
) -> Result<Option<String>, Failure> {
    let store = open_store(tools)?;
    let ready = ready(tools, project, request, &store)?;
    let every: Vec<&LockedPackage> = ready.locked.iter().collect();
    downloads::packages(tools, &store, &every, (ready.epoch, &ready.system.archives))?;
    artifacts::fetch(tools, &store, &ready.artifacts, &request.inputs)?;
    let directory = store.root().join("tmp").join(format!("check.{}", std::process::id()));
    let scratch = Scratch(directory);
    let empty = Arc::new(Store::open(&scratch.0, Access::Exclusive)?);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(|error| Failure::build(error.to_string(), None))?;
    let second = scratch.0.join("second.img");
    pool.install(|| -> Result<(), Failure> {
        let packs = pack(tools, &empty, &store, &ready)?;
        let recipe = ready.recipe();
        let key = recipe.key();
        let root = assemble::configure(&recipe, &packs, &key)?.root;
        let kernel = assemble::boot::kernel(&empty, &ready.system, &packs)?;
        let parts = assemble::parts(&recipe, &packs, root, kernel, key)?;
        let mut draft = Draft::create(&second.with_extension("part"))?;
        assemble::disk::write(draft.file(), &parts.spec, &parts.boot, &parts.root)?;
        Ok(draft.publish(&second)?)
    })?;
    compare::images(first, &second)
}

/// A directory that goes away with its owner.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = crate::files::remove_tree(&self.0);
    }
}

/// zstd level of compressed copies: the image is mostly compressed already.
const COPY_LEVEL: i32 = 6;

/// Writes `IMAGE.zst` beside the image.
pub fn compress(tools: Tools<'_>, image: &Path) -> Result<(), Failure> {
    let path = outputs::compressed(image);
    let mut source = fs::File::open(image)?;
    let step = tools.printer.step("Compressing", shown(&path), Some(source.metadata()?.len()));
    let mut draft = Draft::of(&Place::of(&path)?)?;
    let mut encoder = zstd::Encoder::new(draft.file(), COPY_LEVEL)?;
    encoder.include_checksum(true)?;
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        encoder.write_all(&buffer[..read])?;
        step.advance(read as u64);
    }
    encoder.finish()?;
    draft.publish(&path)?;
    let size = fs::metadata(&path)?.len();
    step.done("Compressed", &format!("{} ({})", shown(&path), human_bytes(size)), Outcome::Made);
    Ok(())
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
