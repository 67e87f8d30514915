//! `build`: from recipes to images.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use hah_plan::plan::StepState;

use super::Context;
use crate::advice::Exit;
use crate::build::artifacts::Inputs;
use crate::build::outputs::{self, Copies};
use crate::build::{self, Built, ImageOutcome, LockPolicy, Request, writing};
use crate::failure::Failure;
use crate::printer::{Mode, human_bytes};
use crate::project::Project;
use crate::project::exposed::{Exposed, exposed};
use crate::project::fleet::check_secrets_exist;

/// Arguments of `build`.
#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// The images: images/NAME.toml; `lab` without
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// All images: the project's own and those that its cluster names
    #[arg(long, conflicts_with = "images")]
    all: bool,
    /// The image file, or a directory for IMAGE.img; its .bmap, .closure, .sha256, .json and .rpi-imager-manifest go beside it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Fail when hah.lock does not answer the recipes, instead of locking
    #[arg(long)]
    locked: bool,
    /// A parameter, of every image: consul.role=client; repeatable
    #[arg(long = "set", value_name = "RECIPE.PARAM=VALUE")]
    set: Vec<String>,
    /// An artifact from disk: nomad=PATH; verified like a download; repeatable
    #[arg(long = "input", value_name = "NAME=PATH", value_parser = OsStringValueParser::new().try_map(super::parse_input))]
    inputs: Vec<(String, PathBuf)>,
    /// Also write a compressed copy
    #[arg(long, value_enum, value_name = "KIND")]
    compress: Option<Compress>,
    /// Print the plan that hah.lock leads to, and what of it is there already; build, lock and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Build a second time from an empty store with one thread, and compare
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compress {
    /// IMAGE.img.zst
    Zst,
}

/// Where each image goes.
struct Places {
    project: Project,
    output: Option<PathBuf>,
}

impl Places {
    /// The image file of an image.
    fn of(&self, image: &str) -> PathBuf {
        match &self.output {
            Some(output) => outputs::image_file(output, image),
            None => self.project.output(image),
        }
    }
}

/// Builds the images.
pub(super) fn run(context: &Context, args: &BuildArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let images = match args.all {
        true => super::lock::images(&project, &[])?,
        false if args.images.is_empty() => vec!["lab".to_owned()],
        false => each_once(&args.images),
    };
    let places = Places { project, output: args.output.clone() };
    let project = &places.project;
    if let ([_, _, ..], Some(output)) = (images.as_slice(), &args.output)
        && !outputs::is_directory(output)
    {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} is no directory, and {} images do not fit into one file", output.display(), images.len()),
            Some(format!("name a directory: -o {}/ gets IMAGE.img of each", output.display())),
        ));
    }
    let mut request = Request::new(images);
    request.lock = if args.locked || args.dry_run { LockPolicy::AsItIs } else { LockPolicy::Update };
    request.set(&args.set);
    request.inputs = Inputs::new(&args.inputs)?;
    let output = |image: &str| places.of(image);
    if args.dry_run {
        return dry_run(context, project, &request, &output);
    }
    check_secrets_exist(project)?;
    warn_of_secrets(context, project, &request);
    let copies = if args.compress.is_some() { Copies::Zstd } else { Copies::None };
    let outcomes = build::build(context.tools(), project, &request, &output, copies)?;
    if args.check {
        check(context, project, &request, &outcomes)?;
    }
    for built in outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok()) {
        if let Some(Compress::Zst) = args.compress {
            writing::compress(context.tools(), &built.path)?;
        }
    }
    report(context, outcomes)
}

/// Says which secrets whoever has an image would have.
fn warn_of_secrets(context: &Context, project: &Project, request: &Request) {
    for image in &request.images {
        // What is wrong with an image, the build tells for each.
        let Ok(system) = project.system(image, &request.overrides) else { continue };
        for Exposed { what, instead } in exposed(&system) {
            context.printer.warning(&format!("{image} has {what} in it, for whoever gets the image: {instead}"));
        }
    }
}

/// The names in the order in which they were given, each once.
fn each_once(names: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.iter().filter(|name| seen.insert(*name)).cloned().collect()
}

/// Prints the plan.
fn dry_run(
    context: &Context,
    project: &Project,
    request: &Request,
    output: &dyn Fn(&str) -> PathBuf,
) -> Result<u8, Failure> {
    for row in build::dry_run(context.tools(), project, request, output)? {
        let state = match row.state {
            StepState::There => "cached",
            StepState::Make => "to make",
            StepState::Spare => "spare",
        };
        context.printer.result(|| {
            serde_json::json!({"event": "result", "derivation": row.what, "kind": row.kind, "key": row.key.to_string(),
                "state": state, "cached": row.state != StepState::Make})
        });
        if context.printer.mode() != Mode::Json {
            context.printer.data(format!("{} {state:7} {}\n", &row.key.to_string()[..12], row.what));
        }
    }
    Ok(0)
}

/// Tells what came of each image; fails with what could not be built.
fn report(context: &Context, outcomes: Vec<ImageOutcome>) -> Result<u8, Failure> {
    let printer = &context.printer;
    let tried = outcomes.len();
    let mut failed = Vec::new();
    for ImageOutcome { image, result } in outcomes {
        match result {
            Ok(built) => {
                printer.result(|| {
                    let Built { path, key, sha256, size, mapped, fresh } = &built;
                    serde_json::json!({"event": "result", "name": image, "image": path.display().to_string(), "key": key,
                        "sha256": sha256, "size": size, "mapped": mapped, "fresh": fresh,
                        "outcome": if *fresh { "built" } else { "unchanged" }})
                });
                if printer.mode() == Mode::Quiet {
                    printer.path(&built.path);
                }
            }
            Err(reason) => {
                if tried > 1 {
                    printer.result(|| {
                        serde_json::json!({"event": "result", "name": image, "outcome": "failed",
                            "message": reason.message(), "hint": reason.hint()})
                    });
                }
                failed.push((image, reason));
            }
        }
    }
    // What failed for one reason shares it, and hears it once.
    let mut reasons: Vec<(Vec<String>, std::sync::Arc<Failure>)> = Vec::new();
    let names: Vec<String> = failed.iter().map(|(image, _)| image.clone()).collect();
    for (image, reason) in failed {
        match reasons.iter_mut().find(|(_, known)| known.message() == reason.message()) {
            Some((images, _)) => images.push(image),
            None => reasons.push((vec![image], reason)),
        }
    }
    // The gravest decides: bytes that are not what they should be before what can be mended.
    let Some(exit) = reasons.iter().map(|(_, reason)| reason.exit()).max_by_key(|exit| *exit as u8) else {
        return Ok(0);
    };
    if tried == 1 {
        let (_, reason) = reasons.remove(0);
        reason.print(printer);
        return Ok(exit as u8);
    }
    for (images, reason) in &reasons {
        let noun = if images.len() == 1 { "image" } else { "images" };
        printer.note(&format!("{noun} {} could not be built:", images.join(", ")));
        reason.print(printer);
    }
    let message = format!("{} of {tried} images could not be built: {}", names.len(), names.join(", "));
    let rest = if names.len() < tried { "the others are as they should be; " } else { "" };
    Err(Failure::new(exit, message, Some(format!("{rest}`hah-image build IMAGE` tries one alone"))))
}

/// Builds again from nothing but the downloads, and compares.
fn check(context: &Context, project: &Project, request: &Request, outcomes: &[ImageOutcome]) -> Result<(), Failure> {
    let built = |image: &str| {
        let outcome = outcomes.iter().find(|outcome| outcome.image == image)?;
        outcome.result.as_ref().ok()
    };
    let images: Vec<String> = request.images.iter().filter(|image| built(image).is_some()).cloned().collect();
    if images.is_empty() {
        return Ok(());
    }
    let request = Request { images, ..request.clone() };
    let place = |image: &str| built(image).map(|built| built.path.clone());
    for (image, difference) in build::rebuild(context.tools(), project, &request, &place)? {
        match difference {
            None => context.printer.note(&format!(
                "reproducible: a second build of {image} from an empty store, with one thread, has the same {} and sha256",
                human_bytes(built(&image).map_or(0, |built| built.size))
            )),
            Some(difference) => {
                return Err(Failure::new(
                    Exit::NotReproducible,
                    format!("two builds of image {image} differ: {difference}"),
                    Some("this is a bug of hah-image: please report it with hah.lock and the recipes".into()),
                ));
            }
        }
    }
    Ok(())
}
