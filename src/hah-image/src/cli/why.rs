//! `why` and `tree`: the reasons behind an image's packages and paths.

use clap::Args;
use hah_plan::debian::PackageName;
use hah_plan::lock::Lock;
use hah_plan::merge::Origin;
use hah_plan::scripts::Author;

use super::Context;
use crate::advice::Exit;
use crate::build::lock;
use crate::build::{self, Request};
use crate::failure::Failure;
use crate::project::Project;

/// Arguments of `why`.
#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// A package, an artifact, or a path of the image that begins with `/`
    #[arg(value_name = "PKG|PATH")]
    subject: String,
    /// Which image; a path needs one, a package is looked for in all
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
}

/// Arguments of `tree`.
#[derive(Debug, Args)]
pub(super) struct TreeArgs {
    /// Which image
    #[arg(default_value = "lab")]
    image: String,
    /// How many levels below what the recipes ask for
    #[arg(long, value_name = "N", default_value_t = 64)]
    depth: usize,
}

/// The project's lock, as it is. It must answer the recipes of `image`, or of every image that it locks and the project
/// still has.
fn locked(project: &Project, image: Option<&str>) -> Result<Lock, Failure> {
    let Some(lock) = project.lock()? else {
        return Err(match image {
            Some(image) => lock::stale(project, &[image]),
            None => Failure::user(
                format!("{} has no hah.lock yet", project.root().display()),
                Some("run `hah-image lock` or `hah-image build` first".into()),
            ),
        });
    };
    let known = project.sources().images();
    let asked = |name: &&str| image.map_or(known.contains(name), |image| image == *name);
    let mut stale = Vec::new();
    for name in lock.images().iter().map(|image| image.name.as_str()).filter(asked) {
        if !lock::answers(&lock, &project.system(name, &[])?) {
            stale.push(name);
        }
    }
    if stale.is_empty() { Ok(lock) } else { Err(lock::stale(project, &stale)) }
}

/// Says why something is in an image.
pub(super) fn why(context: &Context, args: &WhyArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    if args.subject.starts_with('/') {
        return why_path(context, &project, args);
    }
    let lock = locked(&project, args.image.as_deref())?;
    let name: PackageName = args
        .subject
        .parse()
        .map_err(|error| Failure::new(Exit::Usage, format!("{error}"), Some("a path begins with `/`".into())))?;
    let named = |image: &str| args.image.as_deref().is_none_or(|wanted| wanted == image);
    let reasons: Vec<_> = lock.why_artifact(name.as_str()).into_iter().filter(|reason| named(reason.image)).collect();
    for reason in &reasons {
        context.printer.result(|| {
            serde_json::json!({"event": "result", "image": reason.image, "artifact": reason.artifact.name,
                "version": reason.artifact.version, "asker": reason.asker,
                "signature": reason.artifact.trust.to_string()})
        });
        if context.printer.mode() != crate::printer::Mode::Json {
            context.printer.data(format!("{reason}\n"));
        }
    }
    let chains: Vec<_> = lock.why(&name).into_iter().filter(|chain| named(&chain.image)).collect();
    if chains.is_empty() && reasons.is_empty() {
        return Err(Failure::user(
            format!("{name} is in no locked image"),
            Some("`hah-image tree IMAGE` lists what is".into()),
        ));
    }
    for chain in &chains {
        context.printer.result(|| {
            let links: Vec<String> = chain.links.iter().map(|(package, need)| format!("{package} {need}")).collect();
            let suite_why: Vec<String> = chain.suite_why.iter().map(ToString::to_string).collect();
            serde_json::json!({"event": "result", "image": chain.image, "package": chain.package.as_str(),
                "version": chain.version.as_str(), "suite": chain.suite, "suite-why": suite_why, "asker": chain.asker, "asked": chain.asked.as_str(), "links": links})
        });
        if context.printer.mode() != crate::printer::Mode::Json {
            context.printer.data(format!("{chain}\n"));
        }
    }
    Ok(0)
}

/// Says which package, recipe or pass a path comes from.
fn why_path(context: &Context, project: &Project, args: &WhyArgs) -> Result<u8, Failure> {
    let image = args.image.as_deref().unwrap_or("lab");
    let path = hah_format::path::TreePath::parse(&args.subject)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string(), None))?;
    let configured = build::configured(context.tools(), project, &Request::asking(image))?;
    let path = configured.root.resolve(&path).unwrap_or(path);
    let lock = lock::current(project, image)?;
    let origin = configured.provenance.origin(&path);
    let touched = configured.provenance.touched(&path);
    let Some(origin) = origin else {
        return Err(Failure::user(format!("image {image} has no {path}"), None));
    };
    context.printer.result(|| {
        serde_json::json!({"event": "result", "image": image, "path": path.to_string(), "origin": origin.to_string(),
            "touched": touched.map(ToString::to_string)})
    });
    if context.printer.mode() != crate::printer::Mode::Json {
        context.printer.data(format!("{path} is from {origin}\n"));
    }
    if let Some(author) = touched
        && context.printer.mode() != crate::printer::Mode::Json
    {
        context.printer.data(format!("{author}, changed its owner, mode or attributes\n"));
    }
    let package = match origin {
        Origin::Package(package) | Origin::Script(Author { package, .. }) => Some(package),
        _ => None,
    };
    if let Some(package) = package
        && let Some(chain) = lock.why(package).into_iter().find(|chain| chain.image == image)
        && context.printer.mode() != crate::printer::Mode::Json
    {
        context.printer.data(format!("{chain}\n"));
    }
    if let Some(Origin::Artifact(name)) = configured.provenance.origin(&path)
        && let Some(reason) = lock.why_artifact(name).into_iter().find(|reason| reason.image == image)
        && context.printer.mode() != crate::printer::Mode::Json
    {
        context.printer.data(format!("{reason}\n"));
    }
    Ok(0)
}

/// Prints an image's packages as a tree.
pub(super) fn tree(context: &Context, args: &TreeArgs) -> Result<u8, Failure> {
    let project = Project::open(&context.directory)?;
    let lock = locked(&project, Some(&args.image))?;
    let tree = lock.tree(&args.image, args.depth).ok_or_else(|| {
        let names: Vec<&str> = lock.images().iter().map(|image| image.name.as_str()).collect();
        Failure::user(format!("{} is not locked", args.image), Some(format!("locked images: {}", names.join(", "))))
    })?;
    context.printer.data(tree.to_string());
    Ok(0)
}
