//! An image of its packs: configured, laid out, written, and what stands beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hah_format::digest::Sha256;
use hah_plan::configure::Configured;
use hah_plan::plan::{Derivation, Key, StepKind};
use hah_plan::scripts::{Effects, ScriptAction, ScriptChoice};
use hah_plan::system::System;

use super::assemble::disk::WrittenImage;
use super::assemble::{self, Assembly};
use super::built::{self, BuiltRecord};
use super::packs::PackSet;
use super::prepare::{PlannedImage, Prepared};
use super::realise::{ImageMaker, Realised};
use super::{Built, Tools, outputs};
use crate::failure::Failure;
use crate::files;
use crate::files::draft;
use crate::files::draft::Draft;
use crate::files::place::Place;
use crate::printer::{Outcome, human_bytes};
use crate::project::{Project, shown};
use crate::store::Store;
use crate::store::gc::Outputs;
use crate::store::generations::KeptGeneration;

/// Writes images to their places.
pub struct Writer<'a> {
    tools: Tools<'a>,
    project: &'a Project,
    store: &'a Arc<Store>,
    prepared: &'a Prepared,
    /// Whether `gc` is to keep what the images leave in the store: not with parameters from the command line, which make
    /// other images than the project's.
    pub keep_outputs: bool,
    /// Where those go that are to be written, by key.
    places: BTreeMap<Key, PathBuf>,
    /// The files in the making.
    drafts: BTreeMap<Key, Draft>,
    results: BTreeMap<String, Result<Built, Arc<Failure>>>,
}

impl<'a> Writer<'a> {
    /// Nothing has a place yet.
    pub fn new(tools: Tools<'a>, project: &'a Project, store: &'a Arc<Store>, prepared: &'a Prepared) -> Self {
        let (places, drafts, results) = Default::default();
        Self { tools, project, store, prepared, keep_outputs: true, places, drafts, results }
    }

    /// Finds out which images stand where `output` says, and makes room for the others, before minutes of work.
    pub fn make_room(&mut self, output: &dyn Fn(&str) -> PathBuf) {
        for image in &self.prepared.images {
            let name = image.system.image.clone();
            let path = output(&name);
            let Some(step) = self.prepared.plan.step(&image.key) else { continue };
            let made = match built::stands(self.store, &path, step) {
                Some(record) => self.unchanged(image, &record, &path).map(Some),
                None => Place::of(&path).map_err(Failure::from).and_then(|place| {
                    self.drafts.insert(image.key, Draft::of(&place)?);
                    self.places.insert(image.key, path.clone());
                    Ok(None)
                }),
            };
            match made {
                Ok(Some(built)) => drop(self.results.insert(name, Ok(built))),
                Ok(None) => {}
                Err(failure) => drop(self.results.insert(name, Err(Arc::new(failure)))),
            }
        }
    }

    /// The images that are to be written.
    pub fn waiting(&self) -> BTreeSet<Key> {
        self.places.keys().copied().collect()
    }

    /// What came of every image.
    pub fn end(self) -> BTreeMap<String, Result<Built, Arc<Failure>>> {
        self.results
    }

    fn unchanged(&self, image: &PlannedImage, record: &BuiltRecord, path: &Path) -> Result<Built, Failure> {
        let epoch = self.prepared.plan.step(&image.key).and_then(Derivation::image).map_or(0, |image| image.epoch);
        imager_manifest(&image.system, epoch, &record.sha256, record.size, path)?;
        let step = self.tools.printer.step("Building", image.system.image.clone(), None);
        step.unchanged("Fresh", &format!("{} is up to date", shown(path)));
        Ok(record.built(path))
    }

    fn write(&mut self, step: &Derivation, realised: &Realised) -> Result<Built, Failure> {
        let lost = || Failure::build(format!("{step} has no place"), None);
        let output = self.places.get(&step.key).ok_or_else(lost)?.clone();
        let draft = self.drafts.remove(&step.key).ok_or_else(lost)?;
        let (prepared, store) = (self.prepared, self.store);
        let built = prepared
            .with_assembly(store, step, realised, |assembly, packs| self.assembled(assembly, &packs, draft, &output))?;
        self.tools.printer.derivation(step, "made");
        Ok(built)
    }

    /// Configures, lays out and writes.
    fn assembled(
        &self,
        assembly: &Assembly<'_>,
        packs: &PackSet,
        mut draft: Draft,
        output: &Path,
    ) -> Result<Built, Failure> {
        let (tools, system) = (self.tools, assembly.system);
        let count = assembly.packages.len();
        let step = tools.printer.step("Configuring", format!("{count} packages"), None);
        // The kernel is half as long to compress as all the passes take, and waits for none of them.
        let (configured, kernel) = rayon::join(
            || assemble::configure(assembly, packs),
            || assemble::boot::kernel(assembly, self.store, packs),
        );
        let (Configured { root, effects, .. }, (kernel, kernel_outcome)) = (configured?, kernel?);
        self.outputs(assembly, packs, kernel_outcome)?;
        let paths = root.len();
        note_jobs(tools, system);
        note_scripts(tools, &effects);
        let parts = assemble::parts(assembly, packs, root, kernel)?;
        step.done("Configured", &format!("{paths} paths of {count} packages"), Outcome::Made);
        let step = tools.printer.step("Writing", shown(output), None);
        let written = assemble::disk::write(draft.file(), &parts.spec, &parts.boot, &parts.root)
            .map_err(|failure| failure.within(&format!("cannot write {}", output.display())))?;
        let manifest = assemble::manifest::render(assembly, &written, &effects)
            .map_err(|error| Failure::build(error.to_string(), None))?;
        // From here to the new record a death leaves an image and companions that may not belong together.
        BuiltRecord::forget(self.store, output)?;
        beside(output, "bmap", hah_format::bmap::write(written.size, &written.ranges).as_bytes())?;
        beside(output, assemble::closure::EXTENSION, &parts.closure)?;
        beside(output, "json", manifest.as_bytes())?;
        beside(output, "sha256", &checksum_line(&written.sha256, output.file_name().unwrap_or_default()))?;
        draft.publish(output)?;
        imager_manifest(system, assembly.epoch(), &written.sha256.to_string(), written.size, output)?;
        let mapped = mapped(&written);
        let kept = KeptGeneration { manifest: manifest.into_bytes(), closure: parts.closure };
        self.store.keep_generation(&Sha256::of(&kept.closure), &kept)?;
        let record = BuiltRecord::of(output, &assembly.key.to_string(), &written, mapped)?;
        record.write(self.store, output)?;
        let (size, used) = (human_bytes(written.size), human_bytes(mapped));
        let summary = format!("{} ({used} of {size} used, {})", shown(output), assembly.key.short());
        step.done("Built", &summary, Outcome::Made);
        Ok(Built { fresh: true, ..record.built(output) })
    }

    /// Records what the image leaves in the store, and tells of it.
    fn outputs(&self, assembly: &Assembly<'_>, packs: &PackSet, kernel: Option<Outcome>) -> Result<(), Failure> {
        let kernel = assembly.kernel.cloned().zip(kernel);
        let steps: Vec<(Derivation, Outcome)> = kernel.into_iter().chain(packs.outputs()).collect();
        for (step, outcome) in &steps {
            if *outcome == Outcome::Made {
                self.tools.printer.derivation(step, "made");
            }
        }
        if self.keep_outputs {
            let steps = steps.iter().map(|(step, _)| (step.key, step.to_string())).collect();
            let outputs = Outputs { image: assembly.key, steps };
            self.store.keep_outputs(self.project.root(), &assembly.system.image, &outputs)?;
        }
        Ok(())
    }
}

impl ImageMaker for Writer<'_> {
    fn is_there(&self, step: &Derivation) -> bool {
        let is_made = |image: &str| matches!(self.results.get(image), Some(Ok(_)));
        !self.places.contains_key(&step.key) || step.image().is_some_and(|image| is_made(&image.name))
    }

    fn make(&mut self, step: &Derivation, realised: &Realised) {
        let result = self.write(step, realised).map_err(Arc::new);
        if let StepKind::Image(image) = &step.kind {
            self.results.insert(image.name.clone(), result);
        }
    }

    fn fail(&mut self, step: &Derivation, reason: Arc<Failure>) {
        self.drafts.remove(&step.key);
        if let StepKind::Image(image) = &step.kind {
            self.results.insert(image.name.clone(), Err(reason));
        }
    }
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
fn imager_manifest(system: &System, epoch: u32, sha256: &str, size: u64, output: &Path) -> Result<(), Failure> {
    let place = std::path::absolute(output)?;
    let text = assemble::imager::render(system, epoch, &assemble::imager::File { place: &place, sha256, size })
        .map_err(|error| Failure::build(error.to_string(), None))?;
    let Some(text) = text else { return Ok(()) };
    let is_there =
        files::read(output.with_extension(assemble::imager::EXTENSION)).is_ok_and(|old| old == text.as_bytes());
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

/// zstd level of compressed copies: the image is mostly compressed already.
const COPY_LEVEL: i32 = 6;

/// Writes `IMAGE.zst` beside the image.
pub fn compress(tools: Tools<'_>, image: &Path) -> Result<(), Failure> {
    let path = outputs::compressed(image);
    let mut source = files::open(image)?;
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
    let size = files::metadata(&path)?.len();
    step.done("Compressed", &format!("{} ({})", shown(&path), human_bytes(size)), Outcome::Made);
    Ok(())
}
