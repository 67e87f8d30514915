//! What hah-image itself takes: from an empty store, after one changed line, and when nothing changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::cmd;

use super::measure::Times;
use super::store::{self, Package};
use super::{Bench, IMAGE};
use crate::say;

const COLD_RUNS: usize = 3;
const REBUILD_RUNS: usize = 5;
const NOOP_RUNS: usize = 10;
/// A line of configuration with two values, taken in turn so that every build has something to do.
pub(super) const SETTINGS: [&str; 2] = ["base.timezone=Europe/Rome", "base.timezone=Etc/UTC"];

/// The measurements.
pub(super) struct Ours {
    /// Empty store, downloads at hand.
    pub(super) cold: Times,
    /// Largest resident set of a cold build, in bytes.
    pub(super) peak: u64,
    /// One changed line of configuration.
    pub(super) rebuild: Times,
    /// Nothing changed.
    pub(super) noop: Times,
    /// The image of the last cold build.
    pub(super) image: PathBuf,
}

/// One build.
pub(super) struct Built {
    pub(super) wall: Duration,
    /// Largest resident set, in bytes.
    pub(super) peak: u64,
    /// What came of each image: `built` or `unchanged`.
    pub(super) outcomes: Vec<String>,
}

impl Built {
    /// Whether an image was written.
    fn is_fresh(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome == "built")
    }
}

/// Measures all of it. Afterwards the store [`warm`] holds every download of the image.
pub(super) fn measure(bench: &Bench<'_>, lock: &[Package]) -> Result<Ours> {
    let warm = warm(bench);
    let missing = store::seed(&warm, &store::cache(bench.shell, &bench.program, &bench.project)?, lock)?;
    if missing > 0 {
        say::step(&format!("fetching {missing} packages"));
    }
    let changing = bench.scratch.join("changing/lab.img");
    build_one(bench, &warm, &changing, &[])?;

    say::step("measuring cold builds");
    let image = bench.scratch.join("cold-image/lab.img");
    let mut peak = 0;
    let cold = Times::of(COLD_RUNS, |_| {
        let cold = bench.empty("cold")?;
        bench.empty("cold-image")?;
        ensure!(store::seed(&cold, &warm, lock)? == 0, "the warm store has lost downloads");
        let built = build_one(bench, &cold, &image, &["--offline"])?;
        peak = peak.max(built.peak);
        Ok(built.wall)
    })?;

    say::step("measuring builds after a change of configuration");
    let rebuild = Times::of(REBUILD_RUNS, |index| {
        let setting = SETTINGS[index % SETTINGS.len()];
        let built = build_one(bench, &warm, &changing, &["--offline", "--set", setting])?;
        ensure!(built.is_fresh(), "a build with {setting} wrote nothing");
        Ok(built.wall)
    })?;

    say::step("measuring builds without a change");
    build_one(bench, &warm, &changing, &["--offline"])?;
    let noop = Times::of(NOOP_RUNS, |_| {
        let built = build_one(bench, &warm, &changing, &["--offline"])?;
        ensure!(!built.is_fresh(), "a build without a change wrote an image");
        Ok(built.wall)
    })?;
    Ok(Ours { cold, peak, rebuild, noop, image })
}

/// The store that keeps everything.
pub(super) fn warm(bench: &Bench<'_>) -> PathBuf {
    bench.scratch.join("warm")
}

/// Builds [`IMAGE`] of the workspace.
fn build_one(bench: &Bench<'_>, store: &Path, output: &Path, more: &[&str]) -> Result<Built> {
    build(bench, (&bench.project, store), &[&[IMAGE], more].concat(), output)
}

/// Builds what `arguments` say of a project to `output`, with a store.
pub(super) fn build(
    bench: &Bench<'_>,
    (project, store): (&Path, &Path),
    arguments: &[&str],
    output: &Path,
) -> Result<Built> {
    let Bench { shell, program, scratch, .. } = bench;
    let usage = scratch.join("usage");
    let command = cmd!(
        shell,
        "time --format=%M --output={usage} {program} --directory {project} --cache-dir {store} --json build {arguments...} --output {output}"
    );
    let start = Instant::now();
    let done = command.quiet().ignore_status().output()?;
    let wall = start.elapsed();
    let events = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        // The last event is the error.
        let error = events.lines().last().unwrap_or_default();
        bail!("hah-image failed: {error}{}", String::from_utf8_lossy(&done.stderr));
    }
    let results = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let results = results.filter(|event| event["event"] == "result");
    let outcomes: Vec<String> = results.filter_map(|result| result["outcome"].as_str().map(str::to_owned)).collect();
    ensure!(!outcomes.is_empty(), "hah-image --json printed no result");
    let kibibytes = shell.read_file(&usage)?;
    let kibibytes: u64 = kibibytes.trim().parse().with_context(|| format!("time(1) printed {kibibytes:?}"))?;
    Ok(Built { wall, peak: kibibytes * 1024, outcomes })
}
