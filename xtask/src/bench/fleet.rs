//! Ten images of one fleet, which differ in a parameter: what they take beside one of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::measure::Times;
use super::ours::{SETTINGS, build, warm};
use super::store::{self, Package};
use super::{Bench, IMAGE};
use crate::say;

const COLD_RUNS: usize = 1;
const CHANGED_RUNS: usize = 4;
const UNCHANGED_RUNS: usize = 10;
/// What the images differ in.
const TIMEZONES: [&str; 10] = [
    "Africa/Cairo",
    "America/Lima",
    "Asia/Tokyo",
    "Australia/Perth",
    "Europe/Berlin",
    "Europe/Lisbon",
    "Europe/Oslo",
    "Europe/Paris",
    "Europe/Vienna",
    "Europe/Zurich",
];

/// One of something, and ten of it.
pub(super) struct OneAndTen {
    pub(super) one: Duration,
    pub(super) ten: Duration,
}

impl OneAndTen {
    /// How many times longer ten take.
    pub(super) fn ratio(&self) -> f64 {
        self.ten.as_secs_f64() / self.one.as_secs_f64()
    }
}

/// The measurements.
pub(super) struct Fleet {
    /// Empty store, downloads at hand.
    pub(super) cold: OneAndTen,
    /// One changed line of configuration of every image.
    pub(super) changed: OneAndTen,
    /// Nothing changed in any of the ten.
    pub(super) unchanged: Times,
    /// Largest resident set of a cold build of the ten, in bytes.
    pub(super) peak: u64,
}

/// Measures all of it; [`super::ours::measure`] has filled the store [`warm`].
pub(super) fn measure(bench: &Bench<'_>, lock: &[Package]) -> Result<Fleet> {
    let project = project(bench)?;
    let names: Vec<String> = (0..TIMEZONES.len()).map(|number| format!("{IMAGE}{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let output = bench.scratch.join("fleet-images");
    let mut peak = 0;
    let built = |images: &[&str], store: &Path, more: &[&str]| {
        let built = build(bench, (&project, store), &[images, &["--locked", "--offline"], more].concat(), &output)?;
        ensure!(built.outcomes.len() == images.len(), "{} of {} images", built.outcomes.len(), images.len());
        Ok(built)
    };
    let mut cold = |images: &[&str]| {
        Times::of(COLD_RUNS, |_| {
            let store = bench.empty("cold")?;
            bench.empty("fleet-images")?;
            ensure!(store::seed(&store, &warm(bench), lock)? == 0, "the warm store has lost downloads");
            let built = built(images, &store, &[])?;
            peak = peak.max(built.peak);
            Ok(built.wall)
        })
    };
    let cold = OneAndTen { one: cold(&all[..1])?.median(), ten: cold(&all)?.median() };
    let store = warm(bench);
    bench.empty("fleet-images")?;
    built(&all, &store, &[])?;
    let changed = |images: &[&str]| {
        Times::of(CHANGED_RUNS, |index| {
            let built = built(images, &store, &["--set", SETTINGS[index % SETTINGS.len()]])?;
            ensure!(built.outcomes.iter().all(|outcome| outcome == "built"), "a changed image was not written");
            Ok(built.wall)
        })
    };
    // An even number of runs: the last leaves the other setting than the next begins with.
    let changed = OneAndTen { ten: changed(&all)?.median(), one: changed(&all[..1])?.median() };
    built(&all, &store, &[])?;
    let unchanged = Times::of(UNCHANGED_RUNS, |_| {
        let built = built(&all, &store, &[])?;
        ensure!(built.outcomes.iter().all(|outcome| outcome == "unchanged"), "an unchanged image was written");
        Ok(built.wall)
    })?;
    Ok(Fleet { cold, changed, unchanged, peak })
}

/// A project with the ten images, and the workspace's lock for them.
fn project(bench: &Bench<'_>) -> Result<PathBuf> {
    say::step("measuring ten images");
    let project = bench.empty("fleet")?;
    let image = bench.shell.read_file(bench.project.join(format!("images/{IMAGE}.toml")))?;
    for (number, timezone) in TIMEZONES.iter().enumerate() {
        // Its parameters stand at its end.
        let text = format!("{}\nbase.timezone = \"{timezone}\"\n", image.trim_end());
        bench.shell.write_file(project.join(format!("images/{IMAGE}{number}.toml")), text)?;
    }
    let lock = bench.shell.read_file(bench.project.join("hah.lock"))?;
    bench.shell.write_file(project.join("hah.lock"), fleet_lock(&lock))?;
    Ok(project)
}

/// The lock of one image as that of ten that want the same. Other images of it stay, and are in nobody's way.
fn fleet_lock(lock: &str) -> String {
    let names: Vec<String> = (0..TIMEZONES.len()).map(|number| format!("\"{IMAGE}{number}\"")).collect();
    let one = format!("\"{IMAGE}\"");
    let stanza = |stanza: &str| -> String {
        if stanza.starts_with("image]]") && stanza.contains(&format!("name = {one}\n")) {
            let stanzas = names.iter().map(|name| stanza.replacen(&one, name, 1));
            return stanzas.collect::<Vec<_>>().join("\n[[");
        }
        let lines = stanza.split('\n').map(|line| match line.starts_with("images = ") {
            true => line.replace(&one, &names.join(", ")),
            false => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    lock.split("\n[[").map(stanza).collect::<Vec<_>>().join("\n[[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_images_share_what_one_has() {
        let lock =
            "version = 1\n\n[[image]]\nname = \"lab\"\nepoch = 1\n\n[[package]]\nname = \"a\"\nimages = [\"lab\"]\n";
        let fleet = fleet_lock(lock);
        assert_eq!(fleet.matches("[[image]]\nname = \"lab").count(), 10);
        assert!(fleet.contains("images = [\"lab0\", \"lab1\", ") && fleet.ends_with("\"lab9\"]\n"), "{fleet}");
        assert!(!fleet.contains("\"lab\""), "{fleet}");
    }
}
