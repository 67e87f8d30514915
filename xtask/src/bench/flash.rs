//! Writing the image onto a loop device, beside dd and bmaptool, all in turn so that they meet the same machine.
//!
//! dd is the yardstick of speed: with the same block size over the same used bytes it does nothing but copy. Of the whole,
//! dd copies every byte and checks nothing, bmaptool skips what is not used and checks what it reads, and hah-image skips,
//! checks what it reads and reads back what it wrote.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use super::measure::{Times, wall};
use super::{Bench, IMAGE};
use crate::say;

/// The rivals, by Debian package.
pub(super) const TOOLS: [&str; 2] = ["bmap-tools", "util-linux"];
/// How often each of them writes.
const RUNS: usize = 5;
/// Bytes of a write, as hah-image has it.
const BLOCK: &str = "bs=4M";
/// What the card has more than the image, in bytes.
const MORE: u64 = 64 << 20;

/// What was measured.
pub(super) struct Flashing {
    /// Bytes of the image.
    pub(super) whole: u64,
    /// Bytes of it that hold something.
    pub(super) used: u64,
    /// `hah-image flash`.
    pub(super) verified: Times,
    /// The same without the part of it that it says was reading back.
    pub(super) writing: Times,
    /// `hah-image flash --no-verify`, which hashes what it writes.
    pub(super) unverified: Times,
    /// dd over the same ranges.
    pub(super) dd_used: Times,
    /// dd over everything.
    pub(super) dd_whole: Times,
    /// `bmaptool copy`.
    pub(super) bmaptool: Times,
}

/// A loop device over a file, until it is dropped.
struct Loop<'a> {
    shell: &'a Shell,
    device: String,
}

impl Drop for Loop<'_> {
    fn drop(&mut self) {
        let device = &self.device;
        if let Err(error) = cmd!(self.shell, "losetup --detach {device}").quiet().run() {
            say::problem(&format!("warning: {device} stays: {error}"));
        }
    }
}

/// Measures them all with the image that was built last.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Flashing> {
    let Bench { shell, program, project, .. } = bench;
    let image = project.join(format!("out/{IMAGE}.img"));
    let map = image.with_extension("bmap");
    let whole = std::fs::metadata(&image).with_context(|| format!("no {}", image.display()))?.len();
    let ranges = ranges(&shell.read_file(&map)?)?;
    let card = card(bench, whole + MORE)?;
    let card = attach(shell, &card)?;
    let device = &card.device;
    // Everybody reads the image from memory.
    cmd!(shell, "cat {image}").quiet().ignore_stdout().run()?;

    let flash = |more: &[&str]| -> Result<(Duration, Duration)> {
        let start = Instant::now();
        let events =
            cmd!(shell, "{program} -q --json -C {project} flash {image} {device} --yes {more...}").quiet().read()?;
        Ok((start.elapsed(), reading_back(&events)?))
    };
    let dd = |range: Option<Range>| {
        let mut words = vec![format!("if={}", image.display()), format!("of={device}"), BLOCK.into()];
        words.extend(["oflag=direct", "conv=fsync,notrunc", "status=none"].map(String::from));
        if let Some(Range { start, end }) = range {
            let length = end.min(whole) - start;
            words.extend(["iflag=skip_bytes,count_bytes", "oflag=seek_bytes"].map(String::from));
            words.extend([format!("skip={start}"), format!("seek={start}"), format!("count={length}")]);
        }
        cmd!(shell, "dd {words...}").quiet().run()
    };
    let bmaptool = || cmd!(shell, "bmaptool --quiet copy --bmap {map} {image} {device}").quiet().ignore_stderr().run();

    let mut times: [Vec<_>; 6] = Default::default();
    for run in 1..=RUNS {
        say::step(&format!("flashing, run {run} of {RUNS}"));
        let (verified, reading_back) = flash(&[])?;
        let round = [
            verified,
            verified.saturating_sub(reading_back),
            flash(&["--no-verify"])?.0,
            wall(|| Ok(ranges.iter().try_for_each(|range| dd(Some(*range)))?))?,
            wall(|| Ok(dd(None)?))?,
            wall(|| Ok(bmaptool()?))?,
        ];
        for (times, took) in times.iter_mut().zip(round) {
            times.push(took);
        }
    }
    let used = ranges.iter().map(|range| range.end.min(whole) - range.start).sum();
    let [verified, writing, unverified, dd_used, dd_whole, bmaptool] = times.map(Times::new);
    Ok(Flashing { whole, used, verified, writing, unverified, dd_used, dd_whole, bmaptool })
}

/// How long a flash read back, by its own events.
fn reading_back(events: &str) -> Result<Duration> {
    for line in events.lines() {
        let event: serde_json::Value = serde_json::from_str(line).context("not an event")?;
        if event["event"] == "finished" && event["step"] == "Verifying" {
            return Ok(Duration::from_millis(event["millis"].as_u64().context("no time")?));
        }
    }
    Ok(Duration::ZERO)
}

/// A file whose blocks the file system has all given, so that nobody pays for that.
fn card(bench: &Bench<'_>, bytes: u64) -> Result<PathBuf> {
    let path = bench.scratch.join("card");
    let count = bytes.to_string();
    cmd!(bench.shell, "dd if=/dev/zero of={path} {BLOCK} iflag=count_bytes count={count} conv=fsync status=none")
        .quiet()
        .run()?;
    Ok(path)
}

/// Without a second copy in the page cache where the file system can do that.
fn attach<'a>(shell: &'a Shell, file: &Path) -> Result<Loop<'a>> {
    let direct = cmd!(shell, "losetup --find --show --direct-io=on {file}").quiet().ignore_stderr().read();
    let device = match direct {
        Ok(device) => device,
        Err(_) => cmd!(shell, "losetup --find --show {file}").quiet().read().context("no loop device")?,
    };
    Ok(Loop { shell, device })
}

/// Bytes from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u64,
    end: u64,
}

/// The ranges of a block map, those that touch as one; the last one may end behind the image.
fn ranges(map: &str) -> Result<Vec<Range>> {
    let inside = |line: &'_ str, tag: &str| -> Option<String> {
        let (_, rest) = line.split_once(&format!("<{tag}"))?;
        let (_, rest) = rest.split_once('>')?;
        Some(rest.split_once("</")?.0.trim().to_owned())
    };
    let block: u64 = map.lines().find_map(|line| inside(line, "BlockSize")).context("no block size")?.parse()?;
    let range = |text: String| -> Result<Range> {
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        Ok(Range { start: first.parse::<u64>()? * block, end: (last.parse::<u64>()? + 1) * block })
    };
    let mut ranges: Vec<Range> = Vec::new();
    for range in map.lines().filter_map(|line| inside(line, "Range")).map(range) {
        let range = range?;
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    if ranges.is_empty() {
        bail!("the block map has no range");
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_block_map() -> Result<()> {
        let map = "<BlockSize> 4096 </BlockSize>\n<Range chksum=\"x\"> 0 </Range>\n <Range chksum=\"y\"> 2 </Range>\n\
             <Range chksum=\"z\"> 3 </Range>\n";
        assert_eq!(ranges(map)?, [Range { start: 0, end: 4096 }, Range { start: 8192, end: 16384 }]);
        assert!(ranges("<BlockSize> 4096 </BlockSize>").is_err());
        Ok(())
    }
}
