//! The table.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use xshell::{Shell, cmd};

use super::flash::Flashing;
use super::fleet::{Fleet, OneAndTen};
use super::measure::Times;
use super::ours::Ours;
use super::rivals::Sizes;
use super::scripts::Scripts;

const MEGABYTE: f64 = 1e6;
/// Targets: how many times faster a cold build is than mmdebstrap natively, by emulation, and than mere extraction.
const FASTER_NATIVE: f64 = 6.0;
const FASTER_FOREIGN: f64 = 50.0;
const FASTER_EXTRACTED: f64 = 2.0;
const REBUILD_SECONDS: f64 = 0.5;
const NOOP_SECONDS: f64 = 0.02;
const TEN_NOOP_SECONDS: f64 = 0.1;
/// Of ten images to one, cold and after a change.
const TEN_RATIO: f64 = 2.0;
const PEAK_MEGABYTES: f64 = 250.0;
/// Of the maintainer scripts of more than 500 packages.
const SCRIPTS_SECONDS: f64 = 0.3;
/// Of our throughput to dd's.
const WRITING_RATIO: f64 = 0.95;
/// Of our root to mksquashfs's of the same tree.
const SIZE_RATIO: f64 = 1.02;

/// Everything that was measured.
pub(super) struct Results {
    pub(super) machine: String,
    /// How many packages the image has.
    pub(super) packages: usize,
    pub(super) ours: Ours,
    pub(super) fleet: Result<Fleet>,
    pub(super) extracted: Result<Times>,
    pub(super) sizes: Result<Sizes>,
    pub(super) native: Result<Duration>,
    pub(super) foreign: Option<Result<Duration>>,
    pub(super) scripts: Result<Scripts>,
}

impl Results {
    /// How many measurements failed.
    pub(super) fn failures(&self) -> usize {
        let foreign = self.foreign.as_ref().is_some_and(Result::is_err);
        let (fleet, scripts) = (self.fleet.is_err(), self.scripts.is_err());
        [fleet, scripts, self.extracted.is_err(), self.sizes.is_err(), self.native.is_err(), foreign]
            .iter()
            .filter(|failed| **failed)
            .count()
    }
}

/// A row: ours, theirs, and what was wanted.
struct Row {
    what: &'static str,
    measured: String,
    rival: String,
    ratio: String,
    target: String,
    verdict: &'static str,
}

/// The day and the machine's size.
pub(super) fn machine(shell: &Shell, cores: usize) -> Result<String> {
    let date = cmd!(shell, "date +%Y-%m-%d").quiet().read()?;
    let cpus = shell.read_file("/proc/cpuinfo")?;
    let model = field(&cpus, "model name").unwrap_or_else(|| "unnamed CPU".to_owned());
    let memory = field(&shell.read_file("/proc/meminfo")?, "MemTotal").unwrap_or_default();
    let kibibytes: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let load = shell.read_file("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let plural = if cores == 1 { "" } else { "s" };
    let gibibytes = kibibytes / 1_048_576.0;
    Ok(format!("{date}, {cores} core{plural} ({model}), {gibibytes:.1} GiB of memory, load {load} before the start"))
}

/// The value of the first `KEY : VALUE` line.
fn field(text: &str, key: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

/// The table as Markdown.
pub(super) fn table(results: &Results) -> String {
    let Results { machine, packages, ours, fleet, extracted, sizes, native, foreign, scripts } = results;
    let mut rows = vec![faster(
        "cold build, beside mmdebstrap of the native architecture + mksquashfs",
        ours,
        native.as_ref().ok().copied(),
        FASTER_NATIVE,
    )];
    if let Some(foreign) = foreign {
        let took = foreign.as_ref().ok().copied();
        rows.push(faster("cold build, beside mmdebstrap for arm64 + mksquashfs", ours, took, FASTER_FOREIGN));
    }
    let took = extracted.as_ref().ok().map(Times::median);
    rows.push(faster("cold build, beside `dpkg-deb -x` of the same .debs + mksquashfs", ours, took, FASTER_EXTRACTED));
    rows.push(within("build after one changed line of configuration", &ours.rebuild, REBUILD_SECONDS));
    rows.push(within("build without a change", &ours.noop, NOOP_SECONDS));
    rows.push(peak("peak memory of a cold build", ours.peak));
    if let Ok(fleet) = fleet {
        rows.push(ten("ten images that differ in a parameter, cold, beside one of them", &fleet.cold));
        rows.push(ten("ten images after one changed line, beside one of them", &fleet.changed));
        rows.push(within("ten images without a change", &fleet.unchanged, TEN_NOOP_SECONDS));
        rows.push(peak("peak memory of a cold build of ten images", fleet.peak));
    }
    if let Ok(scripts) = scripts {
        rows.push(within("the maintainer scripts of a large image", &scripts.took, SCRIPTS_SECONDS));
    }
    rows.push(size(sizes.as_ref().ok().copied()));

    let mut text = format!("Image `{}`, {packages} packages, downloads at hand. {machine}.\n\n", super::IMAGE);
    text.push_str("| what | hah-image | rival | ratio | target | |\n|---|---|---|---|---|---|\n");
    for Row { what, measured, rival, ratio, target, verdict } in &rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {what} | {measured} | {rival} | {ratio} | {target} | {verdict} |");
    }
    let counts = [("cold", &ours.cold), ("changed", &ours.rebuild), ("unchanged", &ours.noop)];
    let counts = counts.map(|(name, times)| format!("{} {name}", times.count())).join(", ");
    let _ = writeln!(
        text,
        "\nMedians of {counts} builds; mmdebstrap ran once. mksquashfs is given `-comp zstd -Xcompression-level 9`."
    );
    text
}

/// What the scripts of a large image take, as Markdown.
pub(super) fn scripts(machine: &str, found: &Scripts) -> String {
    let Row { what, measured, target, verdict, .. } =
        within("the maintainer scripts of a large image", &found.took, SCRIPTS_SECONDS);
    format!(
        "{} scripts of {} packages. {machine}.\n\n| what | hah-image | target | |\n|---|---|---|---|\n\
         | {what} | {measured} | {target} | {verdict} |\n\nMedian of {} runs.\n",
        found.scripts,
        found.packages,
        found.took.count()
    )
}

/// The table of flashing as Markdown.
pub(super) fn flashing(machine: &str, found: &Flashing) -> String {
    let Flashing { whole, used, verified, writing, unverified, dd_used, dd_whole, bmaptool } = found;
    let megabytes = |bytes: u64| bytes as f64 / MEGABYTE;
    let rate = |times: &Times| megabytes(*used) / times.median().as_secs_f64();
    let ratio = rate(writing) / rate(dd_used);
    let mut text = format!(
        "Image `{}`, {:.0} MB of which {:.0} MB are used, onto a loop device. {machine}.\n\n",
        super::IMAGE,
        megabytes(*whole),
        megabytes(*used)
    );
    text.push_str("| what | hah-image | rival | ratio | target | |\n|---|---|---|---|---|---|\n");
    let _ = writeln!(
        text,
        "| writing the used bytes, beside dd with the same block size | {:.0} MB/s | {:.0} MB/s | {ratio:.2} | ≥ {WRITING_RATIO} | {} |",
        rate(writing),
        rate(dd_used),
        verdict(Some(ratio >= WRITING_RATIO))
    );
    for (what, own, theirs) in [
        ("flashing with read-back, beside dd of the whole image without", verified, dd_whole),
        ("flashing with read-back, beside `bmaptool copy` without", verified, bmaptool),
        ("flashing with `--no-verify`, beside `bmaptool copy`", unverified, bmaptool),
    ] {
        let (own, theirs) = (own.median().as_secs_f64(), theirs.median().as_secs_f64());
        let ratio = theirs / own;
        let (own, theirs) = (seconds(own), seconds(theirs));
        let _ = writeln!(text, "| {what} | {own} | {theirs} | {ratio:.1}× | – | – |");
    }
    let _ = writeln!(text, "\nMedians of {} runs, taken in turn.", writing.count());
    text
}

fn faster(what: &'static str, ours: &Ours, rival: Option<Duration>, target: f64) -> Row {
    let own = ours.cold.median().as_secs_f64();
    let ratio = rival.map(|rival| rival.as_secs_f64() / own);
    Row {
        what,
        measured: seconds(own),
        rival: rival.map_or_else(|| "failed".to_owned(), |rival| seconds(rival.as_secs_f64())),
        ratio: ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1}×")),
        target: if target > 1.0 { format!("≥ {target:.0}×") } else { "no slower".to_owned() },
        verdict: verdict(ratio.map(|ratio| ratio >= target)),
    }
}

fn within(what: &'static str, times: &Times, target: f64) -> Row {
    let own = times.median().as_secs_f64();
    alone(what, seconds(own), format!("≤ {target} s"), own <= target)
}

fn ten(what: &'static str, times: &OneAndTen) -> Row {
    let ratio = times.ratio();
    Row {
        what,
        measured: seconds(times.ten.as_secs_f64()),
        rival: seconds(times.one.as_secs_f64()),
        ratio: format!("{ratio:.1}×"),
        target: format!("≤ {TEN_RATIO:.0}×"),
        verdict: verdict(Some(ratio <= TEN_RATIO)),
    }
}

fn peak(what: &'static str, bytes: u64) -> Row {
    let own = bytes as f64 / MEGABYTE;
    alone(what, format!("{own:.0} MB"), format!("≤ {PEAK_MEGABYTES} MB"), own <= PEAK_MEGABYTES)
}

fn alone(what: &'static str, measured: String, target: String, met: bool) -> Row {
    Row { what, measured, rival: "–".to_owned(), ratio: "–".to_owned(), target, verdict: verdict(Some(met)) }
}

fn size(sizes: Option<Sizes>) -> Row {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / MEGABYTE);
    let ratio = sizes.map(|sizes| sizes.ours as f64 / sizes.theirs as f64);
    Row {
        what: "root file system, beside mksquashfs of the same tree",
        measured: sizes.map_or_else(|| "failed".to_owned(), |sizes| megabytes(sizes.ours)),
        rival: sizes.map_or_else(|| "failed".to_owned(), |sizes| megabytes(sizes.theirs)),
        ratio: ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}")),
        target: format!("≤ {SIZE_RATIO}"),
        verdict: verdict(ratio.map(|ratio| ratio <= SIZE_RATIO)),
    }
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "**not measured**",
    }
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{value:.3} s") } else { format!("{value:.1} s") }
}
