//! `review`: a package's maintainer scripts, and an entry for what of them a build cannot evaluate; or what becomes of all
//! scripts of an image.

use std::fmt::Write as _;

use clap::Args;
use hah_plan::debian::PackageName;
use hah_plan::scripts::{ScriptError, ScriptKind};

use super::Context;
use crate::advice::Exit;
use crate::build::assemble::Evaluation;
use crate::build::assemble::manifest::Scripts;
use crate::build::packs::PackSet;
use crate::build::{self, Request};
use crate::failure::Failure;
use crate::printer::Mode;
use crate::project::Project;

/// Longest command that the summary shows whole, in characters; the manifest and `--json` have all of it.
const SHOWN: usize = 120;

/// Arguments of `review`.
#[derive(Debug, Args)]
pub(super) struct ReviewArgs {
    /// The package; without one, what becomes of all scripts of the image
    package: Option<String>,
    /// An image that has it
    #[arg(long, value_name = "NAME", default_value = "lab")]
    image: String,
}

/// Tells what becomes of scripts.
pub(super) fn run(context: &Context, args: &ReviewArgs) -> Result<u8, Failure> {
    let name: Option<PackageName> = args
        .package
        .as_ref()
        .map(|name| name.parse().map_err(|error| Failure::new(Exit::Usage, format!("{error}"), None)))
        .transpose()?;
    let project = Project::open(&context.directory)?;
    let (packs, evaluation) = build::scripts(context.tools(), &project, &Request::asking(&args.image))?;
    match name {
        Some(name) => review_package(context, args, &packs, (&name, &evaluation.errors)),
        None => summarise(context, args, &packs, &evaluation),
    }
}

/// Prints the fate of all scripts of the image.
fn summarise(context: &Context, args: &ReviewArgs, packs: &PackSet, evaluation: &Evaluation) -> Result<u8, Failure> {
    let scripts = Scripts::of(&evaluation.effects);
    context.printer.result(|| {
        let refused = evaluation.errors.iter().map(|error| {
            serde_json::json!({"package": error.package.as_str(), "script": error.kind.member(), "line": error.line,
                "what": error.what, "program": error.program})
        });
        serde_json::json!({"event": "result", "image": args.image, "packages": packs.packages().len(),
            "scripts": scripts, "refused": refused.collect::<Vec<_>>(),
            "milliseconds": evaluation.took.as_secs_f64() * 1000.0})
    });
    if context.printer.mode() == Mode::Json {
        return Ok(0);
    }
    let mut text = format!("{} scripts of {} packages are evaluated\n", scripts.evaluated, packs.packages().len());
    for (what, calls) in [("reviewed", &scripts.reviewed), ("on the first boot", &scripts.first_boot)] {
        for call in calls {
            let _ = writeln!(text, "{what}: {}: `{}` {}", call.package, shown(&call.command.join(" ")), call.summary);
        }
    }
    for error in &evaluation.errors {
        let _ = writeln!(text, "refused: {error}");
    }
    context.printer.data(text);
    Ok(0)
}

/// A command as a line has room for it: Python's has the names of hundreds of files.
fn shown(command: &str) -> String {
    match command.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &command[..end]),
        None => command.to_owned(),
    }
}

/// Prints a package's scripts as comments, and a ready entry where one is needed.
fn review_package(
    context: &Context,
    args: &ReviewArgs,
    packs: &PackSet,
    (name, errors): (&PackageName, &[ScriptError]),
) -> Result<u8, Failure> {
    let packages = packs.packages();
    let package = packages.iter().find(|package| package.name == *name).ok_or_else(|| {
        Failure::user(format!("{name} is not in image {}", args.image), Some("--image names another image".into()))
    })?;
    let mut text = String::new();
    for kind in ScriptKind::ALL {
        let Some(script) = package.control.get(kind.member()) else { continue };
        let _ = writeln!(text, "# {kind} of {} {}:", package.name, package.version);
        for (index, line) in String::from_utf8_lossy(script).lines().enumerate() {
            let line = line.escape_debug().to_string().replace("\\t", "\t").replace("\\\"", "\"").replace("\\'", "'");
            let _ = writeln!(text, "# {:>4} {line}", index + 1);
        }
    }
    let open: Vec<_> = errors.iter().filter(|error| error.package == *name).collect();
    for entry in open.iter().filter_map(|error| error.review_entry()) {
        let _ = write!(text, "\n{entry}");
    }
    context.printer.data(text);
    match open.first() {
        None => context.printer.note(&format!("every script of {name} is evaluated; there is nothing to review")),
        Some(error) if error.program.is_none() => context.printer.note(&format!("{error}\n hint: {}", error.hint())),
        Some(_) => context
            .printer
            .note("put the entry into recipes/debian/NAME.toml of your project, and say what the program does"),
    }
    Ok(0)
}
