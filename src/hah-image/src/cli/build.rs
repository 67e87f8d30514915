//! `build`: from recipes to an image.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, ValueEnum};

use super::Context;
use crate::advice::Exit;
use crate::build::artifacts::Inputs;
use crate::build::outputs::{self, Copies};
use crate::build::{self, Built, LockPolicy, Request};
use crate::failure::Failure;
use crate::printer::human_bytes;
use crate::project::Project;

/// Arguments of `build`.
#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// The image: images/NAME.toml
    #[arg(default_value = "lab", value_name = "IMAGE")]
    image: String,
    /// The image file, or a directory for IMAGE.img; its .bmap, .sha256, .json and .rpi-imager-manifest go beside it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Fail when hah.lock does not answer the recipes, instead of locking
    #[arg(long)]
    locked: bool,
    /// A parameter: consul.role=client; repeatable
    #[arg(long = "set", value_name = "RECIPE.PARAM=VALUE")]
    set: Vec<String>,
    /// An artifact from disk: nomad=PATH; verified like a download; repeatable
    #[arg(long = "input", value_name = "NAME=PATH", value_parser = OsStringValueParser::new().try_map(super::parse_input))]
    inputs: Vec<(String, PathBuf)>,
    /// Also write a compressed copy
    #[arg(long, value_enum, value_name = "KIND")]
    compress: Option<Compress>,
    /// Print what hah.lock leads to, and whether each is there already; build, lock and write nothing
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

/// Builds the image.
pub(super) fn run(context: &Context, args: &BuildArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let mut request = Request::new(&args.image);
    request.lock = if args.locked || args.dry_run { LockPolicy::AsItIs } else { LockPolicy::Update };
    let output = match &args.output {
        Some(output) => outputs::image_file(output, &args.image),
        None => project.output(&args.image),
    };
    request.set(&args.set);
    request.inputs = Inputs::new(&args.inputs)?;
    if args.dry_run {
        for row in build::dry_run(context.tools(), &project, &request)? {
            context.printer.result(
                || serde_json::json!({"event": "result", "derivation": row.what, "key": row.key, "cached": row.cached}),
            );
            if context.printer.mode() != crate::printer::Mode::Json {
                let state = if row.cached { "cached" } else { "to make" };
                context.printer.data(format!("{} {state:7} {}\n", &row.key[..12], row.what));
            }
        }
        return Ok(0);
    }
    let copies = if args.compress.is_some() { Copies::Zstd } else { Copies::None };
    outputs::check(&output, copies)?;
    let built = build::build(context.tools(), &project, &request, &output)?;
    if args.check {
        check(context, &project, &request, &built)?;
    }
    if let Some(Compress::Zst) = args.compress {
        build::compress(context.tools(), &built.path)?;
    }
    context.printer.result(|| {
        serde_json::json!({"event": "result", "image": built.path.display().to_string(), "key": built.key,
            "sha256": built.sha256, "size": built.size, "mapped": built.mapped, "fresh": built.fresh})
    });
    if context.printer.mode() == crate::printer::Mode::Quiet {
        context.printer.path(&built.path);
    }
    Ok(0)
}

/// Builds again from nothing but the downloads, and compares.
fn check(context: &Context, project: &Project, request: &Request, built: &Built) -> Result<(), Failure> {
    let second = build::rebuild(context.tools(), project, request, &built.path)?;
    match second {
        None => {
            context.printer.note(&format!(
                "reproducible: a second build from an empty store, with one thread, has the same {} and sha256",
                human_bytes(built.size)
            ));
            Ok(())
        }
        Some(difference) => Err(Failure::new(
            Exit::NotReproducible,
            format!("two builds of image {} differ: {difference}", request.image),
            Some("this is a bug of hah-image: please report it with hah.lock and the recipes".into()),
        )),
    }
}
