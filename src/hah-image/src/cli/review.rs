//! `review`: a package's maintainer scripts, and an entry for what of them a build cannot evaluate.

use std::fmt::Write as _;

use clap::Args;
use hah_plan::debian::PackageName;
use hah_plan::scripts::ScriptKind;

use super::Context;
use crate::advice::Exit;
use crate::build::{self, Request};
use crate::failure::Failure;
use crate::project::Project;

/// Arguments of `review`.
#[derive(Debug, Args)]
pub(super) struct ReviewArgs {
    /// The package
    package: String,
    /// An image that has it
    #[arg(long, value_name = "NAME", default_value = "lab")]
    image: String,
}

/// Prints the scripts as comments, and a ready entry where one is needed.
pub(super) fn run(context: &Context, args: &ReviewArgs) -> Result<u8, Failure> {
    let name: PackageName =
        args.package.parse().map_err(|error| Failure::new(Exit::Usage, format!("{error}"), None))?;
    let project = Project::open(&context.directory)?;
    let (packs, errors) = build::scripts(context.tools(), &project, &Request::asking(&args.image))?;
    let packages = packs.packages();
    let package = packages.iter().find(|package| package.name == name).ok_or_else(|| {
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
    let open: Vec<_> = errors.iter().filter(|error| error.package == name).collect();
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
