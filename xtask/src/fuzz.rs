//! `cargo xtask fuzz`: runs the fuzz targets of `fuzz/src/bin`, as many at a time as there are processors.
//!
//! They are built as cargo-fuzz would build them, without cargo-fuzz: libFuzzer, its coverage counters and
//! AddressSanitizer come with rustc and libfuzzer-sys, and `RUSTC_BOOTSTRAP` opens the sanitizer's switch on a stable
//! toolchain. Everything is in one build directory of its own, since the flags are for all crates.
//!
//! What is found stays in `fuzz/artifacts`, what is learnt in `fuzz/corpus`; git ignores both. Seeds are in `fuzz/seeds`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{apt, say, workspace};

/// How long a target runs unless somebody says otherwise, in seconds.
const SECONDS: u64 = 600;
/// Memory that a target may take, in MiB; one allocation as well as all of them.
const MEMORY: u32 = 512;
/// How long one input may take, in seconds.
const TIMEOUT: u32 = 5;
/// Longest input, in bytes.
const LENGTH: u32 = 1 << 16;

/// The flags of a crate under test: `cargo fuzz build` gives the same.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
    "--cfg=fuzzing",
];

/// What became of one target.
struct Outcome {
    target: String,
    /// Inputs that were tried.
    executions: u64,
    per_second: u64,
    /// Inputs that are kept because they reach something new, seeds not counted.
    corpus: usize,
    /// Files that make it fail.
    findings: Vec<PathBuf>,
}

/// A target, if one is named, and the seconds, from the words behind `fuzz`; `None` when they make no sense.
pub(crate) fn parse<'a>(words: &[&'a str]) -> Option<(Option<&'a str>, u64)> {
    match words {
        [] => Some((None, SECONDS)),
        ["--seconds", seconds] => Some((None, seconds.parse().ok()?)),
        [target] if !target.starts_with('-') => Some((Some(target), SECONDS)),
        [target, "--seconds", seconds] if !target.starts_with('-') => Some((Some(target), seconds.parse().ok()?)),
        _ => None,
    }
}

/// Runs one target, or all of them, for so many seconds each.
pub(crate) fn run(shell: &Shell, wanted: Option<&str>, seconds: u64) -> Result<()> {
    let root = workspace::root()?;
    let all = targets(&root)?;
    let targets: Vec<String> = match wanted {
        None => all,
        Some(name) if all.iter().any(|target| target == name) => vec![name.to_owned()],
        Some(name) => bail!("there is no fuzz target `{name}`; there are: {}", all.join(", ")),
    };
    let programs = build(shell, wanted)?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    say::step(&format!("{} targets, {workers} at a time, {seconds} s each", targets.len()));
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = fuzz(&root, &programs.join(target), target, seconds);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push(outcome);
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_default().into_iter().collect::<Result<Vec<Outcome>>>()?;
    report(outcomes, &programs)
}

/// The names of the targets, sorted.
fn targets(root: &Path) -> Result<Vec<String>> {
    let directory = root.join("fuzz/src/bin");
    let entries = std::fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let (Some("rs"), Some(stem)) = (text(path.extension()), text(path.file_stem())) {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn text(part: Option<&std::ffi::OsStr>) -> Option<&str> {
    part.and_then(|part| part.to_str())
}

/// Builds the target, or all of them, and returns the directory that the programs are in.
fn build(shell: &Shell, wanted: Option<&str>) -> Result<PathBuf> {
    if cmd!(shell, "c++ --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        // libFuzzer itself is C++.
        apt::install(shell, &["g++"])?;
    }
    let version = cmd!(shell, "rustc -vV").quiet().read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?.to_owned();
    let directory = workspace::target()?.join("fuzz-build");
    say::step("building the fuzz targets");
    let selection: Vec<&str> = wanted.map_or_else(|| vec!["--bins"], |name| vec!["--bin", name]);
    // With a target named, build scripts and procedural macros go without the flags.
    cmd!(shell, "cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target {host} {selection...}")
        .arg("--target-dir")
        .arg(&directory)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .quiet()
        .run()
        .context("the fuzz targets do not build")?;
    Ok(directory.join(host).join("release"))
}

fn fuzz(root: &Path, program: &Path, target: &str, seconds: u64) -> Result<Outcome> {
    let directory = |kind: &str| root.join("fuzz").join(kind).join(target);
    let (corpus, artifacts, seeds) = (directory("corpus"), directory("artifacts"), directory("seeds"));
    for made in [&corpus, &artifacts] {
        std::fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    let before = files(&artifacts)?;
    let mut command = libfuzzer(program);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={LENGTH}")).arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus);
    if seeds.is_dir() {
        command.arg(&seeds);
    }
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let statistic = |name: &str| {
        let found = log.lines().rev().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
        found.and_then(|number| number.trim_start_matches(':').trim().parse().ok()).unwrap_or(0)
    };
    let mut findings: Vec<PathBuf> = files(&artifacts)?.into_iter().filter(|path| !before.contains(path)).collect();
    // On a busy machine the clock runs while a program waits: an input that is slow once must be slow twice.
    findings.retain(|path| !is_slow(path) || fails(program, path));
    if !output.status.success() && findings.is_empty() && !log.contains("libFuzzer: timeout") {
        bail!("{target} ended with {} and left no artifact:\n{}", output.status, tail(&log));
    }
    for finding in &findings {
        say::problem(&format!("{target}: {}\n{}", finding.display(), tail(&log)));
    }
    say::step(&format!("{target}: {} executions, {} findings", statistic("number_of_executed_units"), findings.len()));
    Ok(Outcome {
        target: target.to_owned(),
        executions: statistic("number_of_executed_units"),
        per_second: statistic("average_exec_per_sec"),
        corpus: files(&corpus)?.len(),
        findings,
    })
}

/// The program with the limits that every target has.
fn libfuzzer(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("-rss_limit_mb={MEMORY}")).arg(format!("-malloc_limit_mb={MEMORY}"));
    command.arg(format!("-timeout={TIMEOUT}"));
    // Freed memory that is held back counts as used: hold back little. What is kept for the next input is no leak.
    command.env("ASAN_OPTIONS", "quarantine_size_mb=8:detect_leaks=0");
    command.stdin(Stdio::null());
    command
}

fn is_slow(path: &Path) -> bool {
    text(path.file_name()).is_some_and(|name| name.starts_with("timeout-") || name.starts_with("slow-unit-"))
}

fn fails(program: &Path, input: &Path) -> bool {
    libfuzzer(program).arg(input).output().is_ok_and(|output| !output.status.success())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// The part of a log that says why it ended.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let start = lines.iter().position(|line| line.contains("panicked at") || line.contains("ERROR:"));
    let start = start.unwrap_or_else(|| lines.len().saturating_sub(10));
    lines.iter().skip(start).take(12).map(|line| format!("    {line}\n")).collect()
}

fn report(mut outcomes: Vec<Outcome>, programs: &Path) -> Result<()> {
    outcomes.sort_by(|a, b| a.target.cmp(&b.target));
    let mut table = format!("{:<14}{:>12}{:>9}{:>9}{:>10}\n", "target", "executions", "exec/s", "corpus", "findings");
    for Outcome { target, executions, per_second, corpus, findings } in &outcomes {
        table += &format!("{target:<14}{executions:>12}{per_second:>9}{corpus:>9}{:>10}\n", findings.len());
    }
    say::data(&table);
    let findings: Vec<String> = outcomes
        .iter()
        .flat_map(|outcome| outcome.findings.iter().map(|path| (&outcome.target, path)))
        .map(|(target, path)| format!("  {} {}", programs.join(target).display(), path.display()))
        .collect();
    if findings.is_empty() {
        return Ok(());
    }
    bail!("{} findings; to see one again:\n{}", findings.len(), findings.join("\n"))
}
