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
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
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
    /// The file that makes it fail.
    finding: Option<PathBuf>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task<'a> {
    /// Look for findings in one target, or in all of them, for so many seconds each.
    Search(Option<&'a str>, u64),
    /// Try every target on its seeds, past findings among them: minutes, and most of them for the compiler.
    Seeds,
}

/// The task that the words behind `fuzz` name; `None` when they make no sense.
pub(crate) fn parse<'a>(words: &[&'a str]) -> Option<Task<'a>> {
    let (target, rest) = match words {
        ["--seeds"] => return Some(Task::Seeds),
        [target, rest @ ..] if !target.starts_with('-') => (Some(*target), rest),
        _ => (None, words),
    };
    match rest {
        [] => Some(Task::Search(target, SECONDS)),
        ["--seconds", seconds] => Some(Task::Search(target, seconds.parse().ok()?)),
        _ => None,
    }
}

/// Does a task.
pub(crate) fn run(shell: &Shell, task: Task<'_>) -> Result<()> {
    match task {
        Task::Search(wanted, seconds) => search(shell, wanted, seconds),
        Task::Seeds => try_seeds(shell),
    }
}

fn try_seeds(shell: &Shell) -> Result<()> {
    let root = workspace::root()?;
    let programs = build(shell, None)?;
    for target in targets(&root)? {
        let seeds = files(&root.join("fuzz/seeds").join(&target))?;
        // Without any it would search, and for ever.
        ensure!(!seeds.is_empty(), "fuzz/seeds/{target} is empty");
        let program = programs.join(&target);
        let output = libfuzzer(&program).args(&seeds).output().with_context(|| format!("cannot run {target}"))?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr);
            let seed = log.lines().rev().find_map(|line| line.strip_prefix("Running: ")).unwrap_or("before any seed");
            bail!("{target} fails; to see it again:\n  {} {seed}\n{}", program.display(), tail(&log));
        }
    }
    Ok(())
}

fn search(shell: &Shell, wanted: Option<&str>, seconds: u64) -> Result<()> {
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
    let sources = files(&root.join("fuzz/src/bin"))?;
    let names = sources.iter().filter(|path| text(path.extension()) == Some("rs"));
    Ok(names.filter_map(|path| text(path.file_stem())).map(str::to_owned).collect())
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

/// Runs a target for so many seconds, or until something is found.
fn fuzz(root: &Path, program: &Path, target: &str, seconds: u64) -> Result<Outcome> {
    let directory = |kind: &str| root.join("fuzz").join(kind).join(target);
    let (corpus, artifacts, seeds) = (directory("corpus"), directory("artifacts"), directory("seeds"));
    for made in [&corpus, &artifacts] {
        std::fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    let start = Instant::now();
    let (mut executions, mut finding) = (0, None);
    while finding.is_none() {
        let left = seconds.saturating_sub(start.elapsed().as_secs());
        if left == 0 {
            // libFuzzer would take it for no limit.
            break;
        }
        let mut command = libfuzzer(program);
        command.arg(format!("-max_total_time={left}")).arg(format!("-max_len={LENGTH}")).arg("-print_final_stats=1");
        command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus);
        if seeds.is_dir() {
            command.arg(&seeds);
        }
        let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
        let log = String::from_utf8_lossy(&output.stderr);
        executions += executed(&log);
        if output.status.success() {
            continue;
        }
        let Some(path) = artifact(&log) else {
            bail!("{target} ended with {} and left no artifact:\n{}", output.status, tail(&log));
        };
        // libFuzzer ends at the first slow input, which a busy machine makes of any. One that is quick when it is
        // tried again is no finding, and the target has the rest of its time.
        if !is_slow(&path) || fails(program, &path) {
            say::problem(&format!("{target}: {}\n{}", path.display(), tail(&log)));
            finding = Some(path);
        }
    }
    say::step(&format!(
        "{target}: {executions} executions, {}",
        if finding.is_some() { "a finding" } else { "no finding" }
    ));
    Ok(Outcome {
        target: target.to_owned(),
        executions,
        per_second: executions / start.elapsed().as_secs().max(1),
        corpus: files(&corpus)?.len(),
        finding,
    })
}

/// How many inputs libFuzzer says to have tried.
fn executed(log: &str) -> u64 {
    let count = log.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// The input that made the target fail, where libFuzzer says to have written it.
fn artifact(log: &str) -> Option<PathBuf> {
    log.lines()
        .rev()
        .find_map(|line| line.split_once("Test unit written to "))
        .map(|(_, path)| PathBuf::from(path.trim()))
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
    text(path.file_name()).is_some_and(|name| name.starts_with("timeout-"))
}

fn fails(program: &Path, input: &Path) -> bool {
    libfuzzer(program).arg(input).output().is_ok_and(|output| !output.status.success())
}

/// What is in a directory, sorted.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    Ok(paths)
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
    let mut table = format!("{:<14}{:>12}{:>9}{:>9}  {}\n", "target", "executions", "exec/s", "corpus", "finding");
    for Outcome { target, executions, per_second, corpus, finding } in &outcomes {
        let finding = finding.as_ref().and_then(|path| text(path.file_name())).unwrap_or("none");
        table += &format!("{target:<14}{executions:>12}{per_second:>9}{corpus:>9}  {finding}\n");
    }
    say::data(&table);
    let findings: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| Some((&outcome.target, outcome.finding.as_ref()?)))
        .map(|(target, path)| format!("  {} {}", programs.join(target).display(), path.display()))
        .collect();
    if findings.is_empty() {
        return Ok(());
    }
    bail!("{} findings; to see one again:\n{}", findings.len(), findings.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a target that is this shell script, in a directory of its own, for so many seconds.
    fn run_script(script: &str, seconds: u64) -> Result<Outcome> {
        let root = tempfile::tempdir()?;
        let (text, program) = (root.path().join("text"), root.path().join("program"));
        std::fs::write(&text, format!("#!/bin/sh\ncd {}\n{script}", root.path().display()))?;
        // Written by this process it could be busy: another test's child may have inherited it, open.
        let installed = Command::new("install").arg("-m755").args([&text, &program]).status()?;
        assert!(installed.success());
        fuzz(root.path(), &program, "target", seconds)
    }

    #[test]
    fn words_name_a_task() {
        for (words, task) in [
            (&[][..], Some(Task::Search(None, SECONDS))),
            (&["tar"], Some(Task::Search(Some("tar"), SECONDS))),
            (&["--seconds", "5"], Some(Task::Search(None, 5))),
            (&["tar", "--seconds", "5"], Some(Task::Search(Some("tar"), 5))),
            (&["--seeds"], Some(Task::Seeds)),
            (&["tar", "--seeds"], None),
            (&["tar", "deb"], None),
            (&["--seconds"], None),
            (&["--seconds", "x"], None),
        ] {
            assert_eq!(parse(words), task, "{words:?}");
        }
    }

    #[test]
    fn an_input_that_is_slow_once_is_no_finding_and_costs_no_time() -> Result<()> {
        let outcome = run_script(
            r#"case "$*" in *-max_total_time*) ;; *) exit 0 ;; esac
            if [ -e again ]; then
                sleep 3; echo stat::number_of_executed_units: 30 >&2
            else
                touch again; echo "artifact_prefix='x/'; Test unit written to x/timeout-da39" >&2
                echo stat::number_of_executed_units: 12 >&2; exit 70
            fi"#,
            3,
        )?;
        assert_eq!((outcome.executions, outcome.finding), (42, None));
        Ok(())
    }

    #[test]
    fn a_crash_ends_a_target_at_once() -> Result<()> {
        let script =
            "echo 'Test unit written to x/crash-da39' >&2; echo stat::number_of_executed_units: 7 >&2; exit 77";
        let outcome = run_script(script, 600)?;
        assert_eq!((outcome.executions, outcome.finding), (7, Some(PathBuf::from("x/crash-da39"))));
        Ok(())
    }

    #[test]
    fn a_failure_without_an_artifact_is_an_error() {
        let error = run_script("echo no such option >&2; exit 1", 600).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("left no artifact") && error.contains("no such option")));
    }
}
