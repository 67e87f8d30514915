//! `cargo xtask coverage [LIST]`: which of the packages that people ask for make an image, and what becomes of their
//! maintainer scripts.
//!
//! Every package of the list (one name a line, `#` begins a comment) gets an image of its own: base, network, ssh and it.
//! The image is configured to its end and not written: what comes behind that does not depend on its packages' scripts.
//! Packages are fetched once and stay in the store; what `out/coverage` has locked stays locked.
//! `docs/coverage.md` has the result; it is written anew by a run over the project's own list, `xtask/data/packages.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{agent, apt, image, say, workspace};

/// The project's own list.
const LIST: &str = "xtask/data/packages.txt";
const REPORT: &str = "docs/coverage.md";
/// Where the reviews are.
const REVIEWS: &str = "recipes/debian";
/// How many scripts were reviewed whole before they were evaluated.
const REVIEWS_BEFORE: usize = 53;
/// How many packages of the list the test `build::coverage` has.
const CI_PACKAGES: usize = 25;
/// Longest part of an error that the report shows, in characters.
const SHOWN: usize = 220;

/// What became of one package.
struct Outcome {
    name: String,
    kind: Kind,
    /// Wall time, downloads included.
    wall: Duration,
    /// Largest resident set, in KiB.
    peak: u64,
}

enum Kind {
    /// It can be configured: how many scripts were evaluated, which calls were reviewed, which are left to the first boot.
    Built { packages: u64, evaluated: u64, reviewed: Vec<String>, deferred: Vec<String> },
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

/// What every measurement needs.
struct Survey<'a> {
    /// The release build of hah-image.
    program: &'a Path,
    project: &'a Path,
    /// Held by whoever changes the project's lock.
    locking: Mutex<()>,
}

/// Configures an image for each package of `list`, or of the project's own list.
pub(crate) fn run(shell: &Shell, list: Option<&str>) -> Result<()> {
    let names = names(&shell.read_file(list.unwrap_or(LIST))?);
    ensure!(!names.is_empty(), "the list names no package");
    apt::install(shell, &["time"])?;
    image::install_compiler(shell)?;
    agent::build(shell, "arm64", None)?;
    cmd!(shell, "cargo build --quiet --release --package hah-image")
        .env("HAH_AGENTS", agent::directory()?)
        .quiet()
        .run()?;
    let program = workspace::target()?.join("release/hah-image");
    let project = workspace::root()?.join("out/coverage");
    prepare(shell, &project, &names)?;
    let mut outcomes = Survey { program: &program, project: &project, locking: Mutex::new(()) }.all(&names)?;
    let common = take_common(&mut outcomes);
    let report = report(&outcomes, &common, reviews(shell)?);
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

impl Survey<'_> {
    /// What becomes of `names`, in their order. As many at a time as the machine has processors.
    fn all(&self, names: &[String]) -> Result<Vec<Outcome>> {
        let (next, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let outcomes: Mutex<BTreeMap<usize, Outcome>> = Mutex::default();
        let lane = || -> Result<()> {
            let shell = Shell::new()?;
            let scratch = shell.create_temp_dir()?;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(name) = names.get(index) else { return Ok(()) };
                let outcome = self.one(&shell, &scratch.path().join("peak"), name)?;
                let why = match &outcome.kind {
                    Kind::Refused(why) => format!(": {why}"),
                    Kind::Built { .. } => String::new(),
                };
                let count = told.fetch_add(1, Ordering::Relaxed) + 1;
                say::step(&format!("{count}/{} {name}: {}{why}", names.len(), outcome.kind.word()));
                let Ok(mut outcomes) = outcomes.lock() else { bail!("another lane failed") };
                outcomes.insert(index, outcome);
            }
        };
        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let started: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
            let ended = started.into_iter().map(|lane| lane.join().unwrap_or_else(|_| bail!("a lane failed")));
            ended.collect::<Result<Vec<()>>>()
        })?;
        let Ok(outcomes) = outcomes.into_inner() else { bail!("a lane failed") };
        Ok(outcomes.into_values().collect())
    }

    fn one(&self, shell: &Shell, peak: &Path, name: &str) -> Result<Outcome> {
        let start = Instant::now();
        let mut done = self.review(shell, peak, name)?;
        if done.is_err() {
            // Its image may not be locked yet.
            let Ok(_alone) = self.locking.lock() else { bail!("another lane failed") };
            let (program, project, image) = (self.program, self.project, image_of(name));
            let locked = cmd!(shell, "{program} -C {project} --quiet lock {image}").quiet().ignore_status().output()?;
            match locked.status.success() {
                true => done = self.review(shell, peak, name)?,
                false => done = Err(String::from_utf8_lossy(&locked.stderr).into_owned()),
            }
        }
        let wall = start.elapsed();
        let kind = match done {
            Ok(answer) => evaluated(&answer)?,
            Err(stderr) => Kind::Refused(refusal(&stderr)),
        };
        // The last line: above it stands the status of a command that failed.
        let peak = shell.read_file(peak).ok().and_then(|text| text.lines().last()?.trim().parse().ok());
        Ok(Outcome { name: name.to_owned(), kind, wall, peak: peak.unwrap_or_default() })
    }

    /// What `hah-image review` says of the package's image: JSON, or what went wrong.
    fn review(&self, shell: &Shell, peak: &Path, name: &str) -> Result<Result<String, String>> {
        let (program, project, image) = (self.program, self.project, image_of(name));
        let done = cmd!(shell, "/usr/bin/time --format %M --output {peak} {program} -C {project} --json review")
            .arg("--image")
            .arg(image)
            .quiet()
            .ignore_status()
            .output()
            .context("cannot run hah-image")?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(if done.status.success() { Ok(said(&done.stdout)) } else { Err(said(&done.stderr)) })
    }
}

/// The last event of `hah-image --json review`.
fn evaluated(events: &str) -> Result<Kind> {
    let last = events.lines().last().context("hah-image review said nothing")?;
    let answer: Value = serde_json::from_str(last)?;
    let refused = answer["refused"].as_array().cloned().unwrap_or_default();
    if !refused.is_empty() {
        let texts = refused.iter().map(|error| {
            format!(
                "{} of {}, line {}: {}",
                text(&error["script"]),
                text(&error["package"]),
                error["line"],
                text(&error["what"])
            )
        });
        return Ok(Kind::Refused(short(&texts.collect::<Vec<_>>().join("; "))));
    }
    let calls = |key: &str| -> Vec<String> {
        let list = answer["scripts"][key].as_array().cloned().unwrap_or_default();
        let mut calls: Vec<String> =
            list.iter().map(|call| format!("{}: {}", text(&call["package"]), text(&call["summary"]))).collect();
        calls.dedup();
        calls
    };
    Ok(Kind::Built {
        packages: answer["packages"].as_u64().unwrap_or_default(),
        evaluated: answer["scripts"]["evaluated"].as_u64().unwrap_or_default(),
        reviewed: calls("reviewed"),
        deferred: calls("first_boot"),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What the error says, in one line.
fn refusal(stderr: &str) -> String {
    let line = stderr.lines().find(|line| line.starts_with("error")).or(stderr.lines().last()).unwrap_or_default();
    short(line.trim_start_matches("error: "))
}

/// A text as a cell of a table has room for it.
fn short(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('\n', " ");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Takes out of every outcome the reviewed calls that all of several have: they are the recipes', not the packages'.
fn take_common(outcomes: &mut [Outcome]) -> BTreeSet<String> {
    let mut built: Vec<&mut Vec<String>> = outcomes
        .iter_mut()
        .filter_map(|outcome| match &mut outcome.kind {
            Kind::Built { reviewed, .. } => Some(reviewed),
            Kind::Refused(_) => None,
        })
        .collect();
    let Some((first, rest)) = built.split_first().filter(|(_, rest)| !rest.is_empty()) else { return BTreeSet::new() };
    let common: BTreeSet<String> =
        first.iter().filter(|call| rest.iter().all(|calls| calls.contains(call))).cloned().collect();
    built.iter_mut().for_each(|calls| calls.retain(|call| !common.contains(call)));
    common
}

/// How many calls of programs, and how many whole scripts, are reviewed.
fn reviews(shell: &Shell) -> Result<(usize, usize)> {
    let (mut calls, mut scripts) = (0, 0);
    for file in shell.read_dir(REVIEWS)?.iter().filter(|file| file.extension().is_some_and(|found| found == "toml")) {
        let text = shell.read_file(file)?;
        calls += text.lines().filter(|line| *line == "[[program]]").count();
        scripts += text.lines().filter(|line| *line == "[[script]]").count();
    }
    Ok((calls, scripts))
}

fn report(outcomes: &[Outcome], common: &BTreeSet<String>, (calls, scripts): (usize, usize)) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome.kind.word()).or_default() += 1;
    }
    let of = |word: &str| counts.get(word).copied().unwrap_or_default();
    let built = outcomes.len() - of("refused");
    let mut out = String::from("# Coverage\n\n");
    let _ = writeln!(
        out,
        "Written by `cargo xtask coverage`: for each package the image of the recipes base, network, ssh and first-boot, and it, \
         locked, fetched and configured to its end.\n\
         **{built} of {} build** ({:.1} %), none of them with a `[[script]]`.\n\n\
         The list is `xtask/data/packages.txt`, {} names that people who run servers and small boards ask for.\n\
         `cargo xtask coverage LIST` measures another one, a name a line, and prints this page for it.\n\
         Continuous integration builds {} of the list and some beside it, such as docker.io, fail2ban, redis-server and vim, \
         in one image: `it build::coverage`.\n\n\
         Before scripts were evaluated, {REVIEWS_BEFORE} whole scripts were reviewed; now {calls} calls of programs and {scripts} whole \
         script{} are (`recipes/debian`).\n",
        outcomes.len(),
        100.0 * built as f64 / outcomes.len().max(1) as f64,
        outcomes.len(),
        CI_PACKAGES,
        if scripts == 1 { "" } else { "s" }
    );
    if !common.is_empty() {
        let _ = writeln!(
            out,
            "Of the recipes themselves, in every image and not counted below: {}.\n",
            common.iter().cloned().collect::<Vec<_>>().join("; ")
        );
    }
    out.push_str(&totals(outcomes));
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
            megabytes(outcome.peak),
        );
    }
    out
}

/// The middle one and the largest of times and memory.
fn totals(outcomes: &[Outcome]) -> String {
    let mut walls: Vec<Duration> = outcomes.iter().map(|outcome| outcome.wall).collect();
    let mut peaks: Vec<u64> = outcomes.iter().map(|outcome| outcome.peak).collect();
    walls.sort();
    peaks.sort();
    let middle = outcomes.len() / 2;
    let (Some(wall), Some(peak)) = (walls.get(middle), peaks.get(middle)) else { return String::new() };
    format!(
        "Time of one, downloads included where there were any: {:.1} s in the middle, {:.1} s at most; \
         memory {} MB in the middle, {} MB at most.\n\n",
        wall.as_secs_f64(),
        walls.last().map_or(0.0, Duration::as_secs_f64),
        megabytes(*peak),
        megabytes(peaks.last().copied().unwrap_or_default()),
    )
}

fn megabytes(kibibytes: u64) -> u64 {
    kibibytes * 1024 / 1_000_000
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
        let kind = evaluated("{}\n{\"packages\": 1, \"scripts\": {\"evaluated\": 3}, \"refused\": []}").unwrap();
        let refused = Kind::Refused(refusal("noise\nerror: no such package\n hint: x\n"));
        let outcome =
            |name: &str, kind| Outcome { name: name.to_owned(), kind, wall: Duration::from_millis(1500), peak: 1000 };
        let report = report(&[outcome("age", kind), outcome("zed", refused)], &BTreeSet::new(), (7, 1));
        assert!(report.contains("**1 of 2 build** (50.0 %)"), "{report}");
        assert!(report.contains("| age | interpreted | 1 | 3 | 1.5 s | 1 MB |  |"), "{report}");
        assert!(report.contains("| zed | refused |  |  | 1.5 s | 1 MB | no such package |"), "{report}");
        assert!(report.contains("now 7 calls of programs and 1 whole script are"), "{report}");
        assert!(report.contains("1.5 s in the middle, 1.5 s at most; memory 1 MB in the middle"), "{report}");
    }

    #[test]
    fn what_every_image_has_is_counted_for_none() {
        let built = |calls: &[&str]| Outcome {
            name: "x".to_owned(),
            kind: Kind::Built {
                packages: 1,
                evaluated: 1,
                reviewed: calls.iter().map(|call| (*call).to_owned()).collect(),
                deferred: Vec::new(),
            },
            wall: Duration::ZERO,
            peak: 0,
        };
        let mut outcomes = [built(&["ssh: a"]), built(&["b: c", "ssh: a"])];
        assert_eq!(take_common(&mut outcomes), BTreeSet::from(["ssh: a".to_owned()]));
        assert_eq!(outcomes.each_ref().map(|outcome| outcome.kind.word()), ["interpreted", "reviewed"]);
        let mut one = [built(&["ssh: a"])];
        assert_eq!((take_common(&mut one), one[0].kind.word()), (BTreeSet::new(), "reviewed"));
    }

    #[test]
    fn what_refuses_is_told_with_its_script_and_line() {
        let kind = evaluated(
            "{\"refused\": [{\"package\": \"p\", \"script\": \"postinst\", \"line\": 7, \"what\": \"`a | b`\"}]}",
        );
        let Ok(Kind::Refused(why)) = kind else { panic!("it is refused") };
        assert_eq!(why, "postinst of p, line 7: `a \\| b`");
    }
}
