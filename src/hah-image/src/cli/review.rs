//! `review`: a package's maintainer scripts, and an entry for the review table.

use clap::Args;
use hah_plan::debian::PackageName;

use super::Context;
use crate::build::{self, Request};
use crate::failure::{Exit, Failure};
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

/// Prints scripts and a ready entry.
pub(super) fn run(context: &Context, args: &ReviewArgs) -> Result<u8, Failure> {
    let name: PackageName =
        args.package.parse().map_err(|error| Failure::new(Exit::Usage, format!("{error}"), None))?;
    let project = Project::open(&context.directory)?;
    let packs = build::packs(context.tools(), &project, &Request::asking(&args.image))?;
    let packages = packs.packages();
    let package = packages.iter().find(|package| package.name == name).ok_or_else(|| {
        Failure::user(format!("{name} is not in image {}", args.image), Some("--image names another image".into()))
    })?;
    let entry = hah_plan::scripts::review_entry(package);
    if entry.is_empty() {
        context.printer.note(&format!("{name} has no maintainer script that wants a review"));
        return Ok(0);
    }
    context.printer.data(entry);
    context.printer.note("put the entry into recipes/debian/NAME.toml of your project, and say what the script does");
    Ok(0)
}
