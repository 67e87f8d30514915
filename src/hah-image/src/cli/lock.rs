//! `lock` and `update`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use hah_plan::debian::PackageName;
use hah_plan::lock::{Lock, Update};

use super::Context;
use crate::advice::Exit;
use crate::build::artifacts::{self, Inputs};
use crate::build::lock;
use crate::failure::Failure;
use crate::project::Project;
use crate::project::fleet::cluster_of;
use crate::store::{Access, Store};

/// Arguments of `lock`.
#[derive(Debug, Args)]
pub(super) struct LockArgs {
    /// Images to lock; without, the project's own and those that its cluster names
    images: Vec<String>,
    /// Change nothing: fail when hah.lock does not answer the recipes
    #[arg(long)]
    check: bool,
    /// An artifact from disk: nomad=PATH, with its checksum file and signature beside it; repeatable
    #[arg(long = "input", value_name = "NAME=PATH", value_parser = OsStringValueParser::new().try_map(super::parse_input))]
    inputs: Vec<(String, PathBuf)>,
}

/// Arguments of `update`.
#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// Packages that may move; all without
    #[arg(value_name = "PKG")]
    packages: Vec<String>,
    /// Only this image; repeatable
    #[arg(long = "image", value_name = "NAME")]
    images: Vec<String>,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Pins what is not pinned yet.
pub(super) fn lock(context: &Context, args: &LockArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let images = images(&project, &args.images)?;
    if args.check {
        return check(&project, &images);
    }
    let inputs = Inputs::new(&args.inputs)?;
    let old = project.lock()?.unwrap_or_default();
    let attempt = resolve_each(context, &project, &images, (&Update::Nothing, &inputs), old.clone())?;
    attempt.end(context, &project, &old, Keep::Written)
}

/// Whether the lock answers the recipes of every image.
fn check(project: &Project, images: &[String]) -> Result<u8, Failure> {
    let lock = project.lock()?.unwrap_or_default();
    let mut stale = Vec::new();
    for image in images {
        if !lock::answers(&lock, &project.system(image, &[])?) {
            stale.push(image.as_str());
        }
    }
    if stale.is_empty() { Ok(0) } else { Err(lock::stale(project, &stale)) }
}

/// Moves pins to the archive's newest versions.
pub(super) fn update(context: &Context, args: &UpdateArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let old = project.lock()?.unwrap_or_default();
    let mut names = BTreeSet::new();
    for text in &args.packages {
        let name: PackageName = text.parse().map_err(|error| Failure::new(Exit::Usage, format!("{error}"), None))?;
        if !old.packages().iter().any(|package| package.name == name) {
            let artifact = old.artifacts().iter().find(|artifact| artifact.name == name.as_str());
            return Err(match artifact {
                Some(artifact) => Failure::user(
                    format!("{name} is an artifact, and its version is in its recipe: {}", artifact.version),
                    Some("change it there, or its parameter in the image, and run `hah-image lock`".into()),
                ),
                None => Failure::user(format!("{name} is not locked"), Some("`hah-image tree` lists what is".into())),
            });
        }
        names.insert(name);
    }
    let update = if names.is_empty() { Update::Everything } else { Update::Packages(names) };
    let locked: Vec<String> = old.images().iter().map(|image| image.name.clone()).collect();
    let images = if args.images.is_empty() && !locked.is_empty() { locked } else { images(&project, &args.images)? };
    let attempt = resolve_each(context, &project, &images, (&update, &Inputs::default()), old.clone())?;
    attempt.end(context, &project, &old, if args.dry_run { Keep::Shown } else { Keep::Written })
}

/// The images that were named; without, the project's own and those of its cluster. Where there are none of either, those
/// that the lock has: somebody builds shipped images.
fn images(project: &Project, named: &[String]) -> Result<Vec<String>, Failure> {
    let mut images: BTreeSet<String> = named.iter().cloned().collect();
    if images.is_empty() {
        images.extend(project.own_images().iter().cloned());
        if project.root().join("cluster.toml").exists() {
            images.extend(cluster_of(project)?.nodes.into_values().map(|node| node.image));
        }
    }
    if images.is_empty() {
        let lock = project.lock()?.unwrap_or_default();
        images.extend(lock.images().iter().map(|image| image.name.clone()));
    }
    if images.is_empty() {
        return Err(Failure::user(
            "the project has no image of its own",
            Some(format!("name those that you mean: {}", project.sources().images().join(", "))),
        ));
    }
    Ok(images.into_iter().collect())
}

/// Whether what was found out is written into hah.lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Written,
    Shown,
}

/// What came of locking several images.
struct Attempt {
    /// With an answer for every image that could have one, and what it had before for the others.
    lock: Lock,
    /// How many images were tried.
    tried: usize,
    /// Which have no answer, and why.
    failed: Vec<(String, Failure)>,
}

/// Locks image by image: what one cannot have does not take the lock from the others.
fn resolve_each(
    context: &Context,
    project: &Project,
    images: &[String],
    (update, inputs): (&Update, &Inputs),
    mut lock: Lock,
) -> Result<Attempt, Failure> {
    let (mut systems, mut failed) = (Vec::new(), Vec::new());
    for image in images {
        match project.system(image, &[]) {
            Ok(system) => systems.push(system),
            Err(error) => failed.push((image.clone(), error.into())),
        }
    }
    // An input may be of an image that cannot be read.
    if failed.is_empty() {
        inputs.check(&systems)?;
    }
    let store = Store::open(context.settings.cache_dir()?, Access::Shared)?;
    for system in &systems {
        let answer = lock::pin_packages(context.tools(), system, &lock, update)
            .and_then(|lock| artifacts::pin_artifacts(context.tools(), &store, system, (&lock, inputs)));
        match answer {
            Ok(answer) => lock = answer,
            Err(failure) => failed.push((system.image.clone(), failure)),
        }
    }
    Ok(Attempt { lock, tried: images.len(), failed })
}

impl Attempt {
    /// Reports and writes what could be locked; fails with what could not.
    fn end(self, context: &Context, project: &Project, old: &Lock, keep: Keep) -> Result<u8, Failure> {
        let Self { lock, tried, mut failed } = self;
        if failed.len() < tried {
            report(context, old, &lock, if failed.is_empty() { Extent::All } else { Extent::Some });
            if keep == Keep::Written {
                project.write_lock(&lock)?;
            }
        }
        if tried == 1
            && let Some((_, failure)) = failed.pop()
        {
            return Err(failure);
        }
        let names: Vec<String> = failed.iter().map(|(name, _)| name.clone()).collect();
        let mut exit = None;
        let mut told = BTreeSet::new();
        for (name, failure) in failed {
            exit.get_or_insert(failure.exit());
            // What is wrong with the settings is wrong for every image; once is enough.
            if told.insert(failure.message().to_owned()) {
                failure.within(&format!("image {name}")).print(&context.printer);
            }
        }
        let Some(exit) = exit else { return Ok(0) };
        let rest = if names.len() < tried { "the others are as they should be" } else { "hah.lock is as it was" };
        let message = format!("{} of {tried} images could not be locked: {}", names.len(), names.join(", "));
        Err(Failure::new(exit, message, Some(format!("{rest}; `hah-image lock IMAGE` tries one alone"))))
    }
}

/// How many of the images a report is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    All,
    Some,
}

fn report(context: &Context, old: &Lock, new: &Lock, extent: Extent) {
    let changes = hah_plan::lock::diff(old, new);
    for change in &changes {
        context.printer.say(&change.to_string());
        context.printer.result(|| serde_json::json!({"event": "result", "change": change.to_string()}));
    }
    let artifacts = hah_plan::lock::diff_artifacts(old, new);
    for change in &artifacts {
        context.printer.say(&change.to_string());
        context.printer.result(|| serde_json::json!({"event": "result", "change": change.to_string()}));
    }
    if changes.is_empty() && artifacts.is_empty() && extent == Extent::All {
        context.printer.note("hah.lock is up to date");
    }
}
