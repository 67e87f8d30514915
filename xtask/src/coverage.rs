//! `cargo xtask coverage [LIST]`: which of the packages that people ask for make an image, and what becomes of their
//! maintainer scripts.
//!
//! Every package of the list (one name a line, `#` begins a comment) gets an image of its own: base, network, ssh and it.
//! The archives that it needs are fetched once and stay in the store.
//! `docs/coverage.md` has the result; it is written anew by a run over the project's own list, `xtask/data/packages.txt`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{agent, apt, image, say, workspace};

/// The project's own list.
const LIST: &str = "xtask/data/packages.txt";
const REPORT: &str = "docs/coverage.md";
/// Longest part of an error that the report shows, in characters.
const SHOWN: usize = 220;

/// What became of one package.
struct Outcome {
    name: String,
    kind: Kind,
    /// Wall time of the build, downloads included.
    wall: Duration,
    /// Largest resident set, in KiB.
    peak: u64,
}

enum Kind {
    /// An image: how many scripts were evaluated, which calls were reviewed, which are left to the first boot.
    Built { packages: usize, evaluated: u64, reviewed: Vec<String>, deferred: Vec<String> },
    /// No image, and what was said.
    Refused(String),
}

impl Kind {
    /// The word of the report.
    fn word(&self) -> &'static str {
        match self {
            Self::Built { deferred, .. } if !deferred.is_empty() => "deferred",
            Self::Built { reviewed, .. } if !reviewed.is_empty() => "reviewed",
            Self::Built { .. } => "interpreted",
            Self::Refused(_) => "refused",
        }
    }
}

/// Builds an image for each package of `list`, or of the project's own list.
pub(crate) fn run(shell: &Shell, list: Option<&str>) -> Result<()> {
    let names = names(&shell.read_file(list.unwrap_or(LIST))?);
    ensure!(!names.is_empty(), "the list names no package");
    apt::install(shell, &["time"])?;
    image::install_compiler(shell)?;
    agent::build(shell, agent::architecture("arm64")?, None)?;
    cmd!(shell, "cargo build --quiet --release --package hah-image")
        .env("HAH_AGENTS", agent::directory()?)
        .quiet()
        .run()?;
    let program = workspace::target()?.join("release/hah-image");
    let project = workspace::root()?.join("out/coverage");
    prepare(shell, &project, &names)?;
    let mut outcomes = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let outcome = build(shell, &program, &project, name)?;
        let why = match &outcome.kind {
            Kind::Refused(why) => format!(": {why}"),
            Kind::Built { .. } => String::new(),
        };
        say::step(&format!("{}/{} {name}: {}{why}", index + 1, names.len(), outcome.kind.word()));
        outcomes.push(outcome);
    }
    let report = report(&outcomes);
    match list {
        None => {
            shell.write_file(REPORT, &report)?;
            say::step(&format!("{REPORT} is written"));
        }
        Some(_) => say::data(&report),
    }
    Ok(())
}

fn names(list: &str) -> Vec<String> {
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A project of one image for each package; what it has locked before stays locked.
fn prepare(shell: &Shell, project: &Path, names: &[String]) -> Result<()> {
    let images = project.join("images");
    shell.remove_path(&images)?;
    shell.create_dir(&images)?;
    shell.write_file(project.join("hah-image.toml"), "")?;
    for name in names {
        let text = format!(
            "summary = \"The lab's base and {name}\"\nboard = \"rpi-arm64\"\nrecipes = [\"base\", \"network\", \"ssh\", \
             \"first-boot\"]\npackages = [\"{name}\"]\n"
        );
        shell.write_file(images.join(format!("{}.toml", image_of(name))), text)?;
    }
    Ok(())
}

/// The image's name: a package's may have dots and plus signs.
fn image_of(package: &str) -> String {
    format!("with-{}", package.replace('.', "-dot-").replace('+', "-plus-"))
}

fn build(shell: &Shell, program: &Path, project: &Path, name: &str) -> Result<Outcome> {
    let output = project.join("coverage.img");
    let measured = project.join("peak");
    let image = image_of(name);
    let start = Instant::now();
    let done =
        cmd!(shell, "/usr/bin/time --format %M --output {measured} {program} -C {project} build {image} -o {output}")
            .quiet()
            .ignore_status()
            .output()
            .context("cannot run hah-image")?;
    let wall = start.elapsed();
    // The last line: above it stands the status of a command that failed.
    let peak = shell.read_file(&measured)?.lines().last().and_then(|line| line.trim().parse().ok()).unwrap_or_default();
    let kind = if done.status.success() {
        built(&shell.read_file(output.with_extension("json"))?)?
    } else {
        Kind::Refused(refusal(&String::from_utf8_lossy(&done.stderr)))
    };
    remove_outputs(shell, &output)?;
    Ok(Outcome { name: name.to_owned(), kind, wall, peak })
}

fn remove_outputs(shell: &Shell, output: &Path) -> Result<()> {
    for extension in ["img", "bmap", "json", "img.sha256", "sha256", "rpi-imager-manifest"] {
        let path: PathBuf = output.with_extension(extension);
        shell.remove_path(path)?;
    }
    Ok(())
}

fn built(manifest: &str) -> Result<Kind> {
    let manifest: Value = serde_json::from_str(manifest)?;
    let calls = |key: &str| -> Vec<String> {
        let list = manifest["scripts"][key].as_array().cloned().unwrap_or_default();
        let call = |call: &Value| format!("{}: {}", text(&call["package"]), text(&call["summary"]));
        list.iter().map(call).collect()
    };
    Ok(Kind::Built {
        packages: manifest["packages"].as_array().map_or(0, Vec::len),
        evaluated: manifest["scripts"]["evaluated"].as_u64().unwrap_or_default(),
        reviewed: calls("reviewed"),
        deferred: calls("first_boot"),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What the error says, in one line: scripts' errors first.
fn refusal(stderr: &str) -> String {
    let scripts: Vec<&str> = stderr.lines().filter(|line| line.contains("cannot be evaluated:")).collect();
    let line = match scripts.as_slice() {
        [] => stderr
            .lines()
            .find(|line| line.starts_with("error"))
            .or(stderr.lines().last())
            .unwrap_or_default()
            .to_owned(),
        scripts => scripts.join("; "),
    };
    let line = line.trim_start_matches("error: ").replace('|', "\\|");
    line.chars().take(SHOWN).collect()
}

fn report(outcomes: &[Outcome]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome.kind.word()).or_default() += 1;
    }
    let of = |word: &str| counts.get(word).copied().unwrap_or_default();
    let built = outcomes.len() - of("refused");
    let mut out = String::from("# Coverage\n\n");
    let _ = writeln!(
        out,
        "Written by `cargo xtask coverage`: for each package an image of the recipes base, network, ssh and first-boot, and it.\n\
         **{built} of {} build** ({:.1} %), none of them with a `[[script]]`.\n",
        outcomes.len(),
        100.0 * built as f64 / outcomes.len().max(1) as f64
    );
    let _ = writeln!(
        out,
        "| outcome | packages | means |\n|---|---|---|\n\
         | interpreted | {} | every script was evaluated; no review was needed |\n\
         | reviewed | {} | a review of `recipes/debian` stood in for a program of the target |\n\
         | deferred | {} | something belongs to one machine, and is done on its first boot |\n\
         | refused | {} | no image; the line says why |\n",
        of("interpreted"),
        of("reviewed"),
        of("deferred"),
        of("refused")
    );
    out.push_str("| package | outcome | packages | scripts | time | memory | |\n|---|---|---|---|---|---|---|\n");
    for outcome in outcomes {
        let (packages, scripts, note) = match &outcome.kind {
            Kind::Built { packages, evaluated, deferred, .. } if !deferred.is_empty() => {
                (packages.to_string(), evaluated.to_string(), deferred.join("; "))
            }
            Kind::Built { packages, evaluated, reviewed, .. } => {
                (packages.to_string(), evaluated.to_string(), reviewed.join("; "))
            }
            Kind::Refused(why) => (String::new(), String::new(), why.clone()),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {packages} | {scripts} | {:.1} s | {} MB | {note} |",
            outcome.name,
            outcome.kind.word(),
            outcome.wall.as_secs_f64(),
            outcome.peak * 1024 / 1_000_000,
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_comments_and_an_image_has_a_name_for_every_package() {
        assert_eq!(names("# all\nage # small\n\n g++\n"), ["age", "g++"]);
        assert_eq!(image_of("lua5.4"), "with-lua5-dot-4");
        assert_eq!(image_of("g++"), "with-g-plus--plus-");
    }

    #[test]
    fn a_report_counts_what_it_lists() {
        let kind = built("{\"packages\": [{}], \"scripts\": {\"evaluated\": 3, \"reviewed\": [], \"first_boot\": []}}")
            .unwrap();
        let refused = Kind::Refused(refusal("noise\nerror: no such package\n hint: x\n"));
        let outcome =
            |name: &str, kind| Outcome { name: name.to_owned(), kind, wall: Duration::from_millis(1500), peak: 1000 };
        let report = report(&[outcome("age", kind), outcome("zed", refused)]);
        assert!(report.contains("**1 of 2 build** (50.0 %)"), "{report}");
        assert!(report.contains("| age | interpreted | 1 | 3 | 1.5 s | 1 MB |  |"), "{report}");
        assert!(report.contains("| zed | refused |  |  | 1.5 s | 1 MB | no such package |"), "{report}");
    }
}
