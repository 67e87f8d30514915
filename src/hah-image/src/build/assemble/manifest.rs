//! `NAME.json`: what an image is, for machines: its key, layout, digests and every input.

use serde::Serialize;

use super::Recipe;
use super::disk::WrittenImage;
use hah_plan::derivation::Key;
use hah_plan::scripts::Effects;

/// Version of the manifest's shape.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Manifest<'a> {
    version: u32,
    image: &'a str,
    summary: &'a str,
    board: &'a str,
    architecture: &'a str,
    /// The derivation's key, 64 hex digits.
    key: String,
    /// Seconds since 1970.
    epoch: u32,
    recipes: &'a [String],
    disk: Disk<'a>,
    packages: Vec<Package<'a>>,
    artifacts: Vec<Artifact<'a>>,
    nomad_jobs: Vec<NomadJob<'a>>,
    scripts: Scripts<'a>,
}

/// A job that the image has for Nomad.
#[derive(Serialize)]
struct NomadJob<'a> {
    name: &'a str,
    recipe: &'a str,
    /// `the build`, or `Nomad on the node`.
    parsed_by: &'static str,
    /// Why the build does not.
    reason: Option<String>,
}

/// How the packages' maintainer scripts were dealt with.
#[derive(Serialize)]
struct Scripts<'a> {
    /// Scripts that were evaluated to their end.
    evaluated: u32,
    /// Calls of the target's programs that a review stands in for.
    reviewed: Vec<Call<'a>>,
    /// Calls that the node makes on its first boot.
    first_boot: Vec<Call<'a>>,
    /// Scripts about which a recipe decided.
    chosen: Vec<Choice<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    package: &'a str,
    command: &'a [String],
    summary: &'a str,
}

#[derive(Serialize)]
struct Choice<'a> {
    package: &'a str,
    script: &'static str,
    /// `skip` or `first-boot`.
    action: &'static str,
    reason: &'a str,
    recipe: &'a str,
}

impl<'a> Scripts<'a> {
    fn of(effects: &'a Effects) -> Self {
        let report = &effects.report;
        let reviewed = report.reviewed.iter().map(|call| Call {
            package: call.package.as_str(),
            command: &call.what.0,
            summary: &call.what.1,
        });
        let first_boot = effects.first_boot.iter().map(|task| Call {
            package: task.package.as_str(),
            command: &task.what.command,
            summary: &task.what.summary,
        });
        let chosen = report.choices.iter().map(|choice| Choice {
            package: choice.package.as_str(),
            script: choice.kind.member(),
            action: choice.action.as_str(),
            reason: &choice.reason,
            recipe: &choice.recipe,
        });
        Self {
            evaluated: report.evaluated,
            reviewed: reviewed.collect(),
            first_boot: first_boot.collect(),
            chosen: chosen.collect(),
        }
    }
}

#[derive(Serialize)]
struct Artifact<'a> {
    name: &'a str,
    version: &'a str,
    /// Where it is released; null for an own build.
    url: Option<&'a str>,
    sha256: String,
    /// Bytes.
    size: u64,
    /// `openpgp`, `sha256sums`, `sha256`.
    verify: &'static str,
    /// Key and fingerprint, or `unsigned`.
    signature: String,
    recipe: &'a str,
    /// What of it is where.
    files: Vec<String>,
}

#[derive(Serialize)]
struct Disk<'a> {
    table: &'a str,
    /// Bytes.
    size: u64,
    sha256: String,
    partitions: [Partition; 2],
}

#[derive(Serialize)]
struct Partition {
    name: &'static str,
    /// Byte offset.
    start: u64,
    /// Bytes.
    size: u64,
}

#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
    sha256: String,
}

/// The manifest's text.
pub fn render(
    recipe: &Recipe<'_>,
    key: &Key,
    written: &WrittenImage,
    effects: &Effects,
) -> Result<String, serde_json::Error> {
    let system = recipe.system;
    let partition = |name, extent: &hah_format::disk::Extent| Partition {
        name,
        start: extent.offset_bytes(),
        size: extent.length_bytes(),
    };
    let manifest = Manifest {
        version: VERSION,
        image: &system.image,
        summary: &system.summary,
        board: &system.board.name,
        architecture: system.architecture.as_str(),
        key: key.to_string(),
        epoch: recipe.epoch,
        recipes: &system.recipes,
        disk: Disk {
            table: system.table.as_str(),
            size: written.size,
            sha256: written.sha256.to_string(),
            partitions: [
                partition(hah_node::disk::NAMES[0], &written.layout.boot),
                partition(hah_node::disk::NAMES[1], &written.layout.root),
            ],
        },
        packages: recipe
            .inputs
            .iter()
            .map(|input| Package {
                name: input.name.as_str(),
                version: input.version.as_str(),
                architecture: input.architecture.as_str(),
                sha256: input.sha256.to_string(),
            })
            .collect(),
        artifacts: recipe
            .artifacts
            .iter()
            .map(|(artifact, locked)| Artifact {
                name: &artifact.name,
                version: &artifact.version,
                url: artifact.url.as_deref(),
                sha256: locked.sha256.to_string(),
                size: locked.size,
                verify: locked.trust.method().as_str(),
                signature: locked.trust.to_string(),
                recipe: &artifact.recipe,
                files: artifact.install.iter().map(|install| install.path.to_string()).collect(),
            })
            .collect(),
        nomad_jobs: (system.nomad_jobs.iter())
            .map(|job| NomadJob {
                name: &job.name,
                recipe: &job.recipe,
                parsed_by: if job.on_node.is_some() { "Nomad on the node" } else { "the build" },
                reason: job.on_node.as_ref().map(|reason| match &reason.hint {
                    Some(hint) => format!("{reason} ({hint})"),
                    None => reason.to_string(),
                }),
            })
            .collect(),
        scripts: Scripts::of(effects),
    };
    Ok(serde_json::to_string_pretty(&manifest)? + "\n")
}
