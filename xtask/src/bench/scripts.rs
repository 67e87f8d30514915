//! What the maintainer scripts of a large image take: more than 500 packages, a desktop's among them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::cmd;

use super::Bench;
use super::measure::Times;
use crate::say;

/// With what they need, more than [`PACKAGES_MIN`].
const PACKAGES: [&str; 11] = [
    "age",
    "autossh",
    "bluez",
    "chromium",
    "cups",
    "docker-compose",
    "ffmpeg",
    "gstreamer1.0-tools",
    "hwinfo",
    "npm",
    "postgresql",
];
const PACKAGES_MIN: u64 = 500;
const RUNS: usize = 7;
const IMAGE: &str = "large";

/// The measurement.
pub(super) struct Scripts {
    /// Packages of the image.
    pub(super) packages: u64,
    /// Scripts that were evaluated.
    pub(super) scripts: u64,
    /// The pass `scripts` alone.
    pub(super) took: Times,
}

/// Measures it. What is missing is fetched; the time is the pass' own.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Scripts> {
    let Bench { shell, program, .. } = bench;
    let project = bench.empty("scripts")?;
    shell.write_file(project.join("hah-image.toml"), "")?;
    let quoted: Vec<String> = PACKAGES.iter().map(|name| format!("\"{name}\"")).collect();
    let image = format!(
        "summary = \"A large image\"\nboard = \"rpi-arm64\"\nrecipes = [\"base\", \"network\", \"ssh\", \"first-boot\"]\n\
         packages = [{}]\n",
        quoted.join(", ")
    );
    shell.write_file(project.join(format!("images/{IMAGE}.toml")), image)?;
    cmd!(shell, "{program} -C {project} --quiet lock {IMAGE}").quiet().run()?;
    say::step("measuring the scripts of a large image");
    let once = || -> Result<Value> {
        let events = cmd!(shell, "{program} -C {project} --json review --image {IMAGE}").quiet().read()?;
        let last = events.lines().last().context("hah-image review said nothing")?;
        let answer: Value = serde_json::from_str(last)?;
        ensure!(answer["refused"].as_array().is_some_and(Vec::is_empty), "scripts are refused: {}", answer["refused"]);
        Ok(answer)
    };
    // Fetches and packs.
    let answer = once()?;
    let packages = answer["packages"].as_u64().unwrap_or_default();
    ensure!(packages >= PACKAGES_MIN, "the image has {packages} packages only");
    let took = Times::of(RUNS, |_| {
        let milliseconds = once()?["milliseconds"].as_f64().context("no time")?;
        Ok(Duration::from_secs_f64(milliseconds / 1000.0))
    })?;
    Ok(Scripts { packages, scripts: answer["scripts"]["evaluated"].as_u64().unwrap_or_default(), took })
}
