//! `lock` and `update`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use hah_plan::debian::PackageName;
use hah_plan::lock::{Lock, Update};

use super::Context;
use crate::artifacts::{self, Depth, Inputs};
use crate::failure::{Exit, Failure};
use crate::locking;
use crate::project::Project;
use crate::store::{Access, Store};

/// Arguments of `lock`.
#[derive(Debug, Args)]
pub(super) struct LockArgs {
    /// Images to lock; all of the project's without
    images: Vec<String>,
    /// Change nothing: fail when hah.lock does not answer the recipes
    #[arg(long)]
    check: bool,
    /// An artifact from disk: nomad=PATH, with its checksum file and signature beside it; repeatable
    #[arg(long = "input", value_name = "NAME=PATH", value_parser = super::parse_input)]
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
    let images = images(&project, &args.images);
    let old = project.lock()?.unwrap_or_default();
    if args.check {
        for image in &images {
            let system = project.system(image, &[])?;
            let request = hah_plan::resolve::Request::from(&system);
            if !old.is_current_for(image, &request.digest()) || !artifacts::are_locked(&system, &old) {
                return Err(Failure::user(
                    format!("hah.lock does not answer the recipes of image {image}"),
                    Some("run `hah-image lock`".into()),
                ));
            }
        }
        return Ok(0);
    }
    let inputs = Inputs::new(&args.inputs)?;
    let new = resolve_all(context, &project, &images, (&Update::Nothing, &inputs), old.clone())?;
    report(context, &old, &new);
    project.write_lock(&new)?;
    Ok(0)
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
    let images = if args.images.is_empty() && !locked.is_empty() { locked } else { images(&project, &args.images) };
    let new = resolve_all(context, &project, &images, (&update, &Inputs::default()), old.clone())?;
    report(context, &old, &new);
    if !args.dry_run {
        project.write_lock(&new)?;
    }
    Ok(0)
}

fn images(project: &Project, named: &[String]) -> Vec<String> {
    if named.is_empty() { project.sources().images().into_iter().map(str::to_owned).collect() } else { named.to_vec() }
}

fn resolve_all(
    context: &Context,
    project: &Project,
    images: &[String],
    (update, inputs): (&Update, &Inputs),
    mut lock: Lock,
) -> Result<Lock, Failure> {
    let systems = images.iter().map(|image| project.system(image, &[])).collect::<Result<Vec<_>, _>>()?;
    inputs.check(&systems)?;
    let store = Store::open(&context.settings.cache_dir.value, Access::Shared)?;
    for system in &systems {
        lock = locking::lock(context.tools(), system, &lock, update)?;
        lock = artifacts::lock(context.tools(), &store, system, (&lock, inputs), Depth::Files)?;
    }
    Ok(lock)
}

fn report(context: &Context, old: &Lock, new: &Lock) {
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
    if changes.is_empty() && artifacts.is_empty() {
        context.printer.note("hah.lock is up to date");
    }
}
