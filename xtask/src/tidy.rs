//! `cargo xtask tidy`: the house rules that rustc and clippy do not know.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::say;

mod circles;
mod unused;

/// Which crates of ours a crate may depend on. A crate that is not here must be added by someone who has a reason.
const MAY_DEPEND_ON: [(&str, &[&str]); 6] = [
    ("hah-node", &[]),
    ("hah-format", &[]),
    ("hah-plan", &["hah-node", "hah-format"]),
    ("hah-image", &["hah-node", "hah-format", "hah-plan"]),
    ("hah-agent", &["hah-node"]),
    ("xtask", &["hah-node"]),
];
/// Foreign crates that a crate of ours must not have, with the reason.
const MUST_NOT_HAVE: [(&str, &[&str], &str); 3] = [
    ("hah-format", &["tokio", "reqwest", "rustix", "fs-err", "tempfile"], "it turns bytes into bytes"),
    ("hah-plan", &["tokio", "reqwest", "rustix", "fs-err", "tempfile"], "it thinks, and does nothing"),
    ("hah-agent", &["clap", "toml", "tracing-subscriber", "zstd", "liblzma"], "every node loads it into memory"),
];
/// What the contract may depend on: it reads and writes data, and says what is wrong with it.
const CONTRACT_DEPENDENCIES: [&str; 3] = ["serde", "serde_json", "thiserror"];
/// Lines of a source, its tests included.
const LINES_MAX: usize = 600;
/// Bytes of a file in the repository.
const FILE_MAX: u64 = 1 << 20;
/// What must not be in Rust sources. Spelled in two halves, since this file is one of them.
const FORBIDDEN: [(&str, &str, &str); 3] = [
    ("#[ign", "ore", "slow tests are chosen by an environment variable"),
    ("todo", "!(", "nothing is half done on the main branch"),
    ("unimplemen", "ted!(", "nothing is half done on the main branch"),
];

/// The crate that writes a person's files, its one doorway for that, and what goes past it.
const WRITER: &str = "src/hah-image/src/";
const DOORWAY: &str = "src/hah-image/src/files";
const WRITES: [&str; 9] = [
    "rename(",
    "fs::write(",
    "fs::copy(",
    "File::create(",
    "File::create_new(",
    ".create(true)",
    ".create_new(true)",
    "hard_link(",
    "::symlink(",
];
/// Files of the store, which are named after what is in them and which nobody names.
const STORE_FILES: [&str; 2] = ["src/hah-image/src/fetch/partial.rs", "src/hah-image/src/store.rs"];

/// Checks everything and reports all findings at once.
pub(crate) fn check(shell: &Shell) -> Result<()> {
    let mut findings = Vec::new();
    let metadata = cmd!(shell, "cargo metadata --format-version 1 --no-deps --offline").quiet().read()?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    dependencies(&metadata, &mut findings)?;
    // Also the files that are new and not yet added.
    let listed = cmd!(shell, "git ls-files --cached --others --exclude-standard").quiet().read()?;
    let mut sources = Vec::new();
    for name in listed.lines() {
        let path = shell.current_dir().join(name);
        let Ok(found) = std::fs::metadata(&path) else { continue };
        if found.len() > FILE_MAX {
            findings.push(format!("{name}: {} bytes; a file in the repository has at most {FILE_MAX}", found.len()));
        }
        if Path::new(name).extension().is_some_and(|extension| extension == "rs") {
            let text = shell.read_file(&path)?;
            source(name, &text, &mut findings);
            sources.push((path.clone(), text));
        }
        if Path::new(name).extension().is_some_and(|extension| extension == "md") {
            let directory = path.parent().unwrap_or(&path);
            for link in links(&shell.read_file(&path)?).filter(|link| !directory.join(link).exists()) {
                findings.push(format!("{name}: the link to {link} leads nowhere"));
            }
        }
    }
    structure(shell, &sources, &mut findings);
    unused_dependencies(&metadata, &sources, &mut findings)?;
    pinned_crates(shell, &mut findings);
    if !findings.is_empty() {
        findings.iter().for_each(|finding| say::problem(finding));
        bail!("{} findings", findings.len());
    }
    Ok(())
}

/// Has cargo-deny, where it is installed, look at licences, bans and sources; at advisories, where it can fetch them.
fn pinned_crates(shell: &Shell, findings: &mut Vec<String>) {
    if cmd!(shell, "cargo deny --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        say::step("cargo-deny is not installed: licences, bans, sources and advisories are not checked");
        return;
    }
    if cmd!(shell, "cargo deny --offline check licenses bans sources").quiet().run().is_err() {
        findings.push("cargo-deny found something: see above, and deny.toml".to_owned());
    }
    if cmd!(shell, "cargo deny fetch db").quiet().ignore_stderr().run().is_err() {
        say::step("advisories cannot be fetched and are not checked");
    } else if cmd!(shell, "cargo deny check advisories").quiet().run().is_err() {
        findings.push("cargo-deny knows advisories about pinned crates: see above, and deny.toml".to_owned());
    }
}

/// Checks that no crate has modules in a circle.
fn structure(shell: &Shell, sources: &[(PathBuf, String)], findings: &mut Vec<String>) {
    for name in circles::CRATES {
        let root = shell.current_dir().join("src").join(name).join("src");
        let mut modules = circles::Modules::of(name);
        for (path, text) in sources {
            if let Some(below) = path.strip_prefix(&root).ok().and_then(Path::to_str) {
                modules.add(below, text);
            }
        }
        findings.extend(modules.circles().into_iter().map(|circle| format!("{name}: {circle}")));
    }
}

/// Checks that every dependency is used.
fn unused_dependencies(metadata: &Value, sources: &[(PathBuf, String)], findings: &mut Vec<String>) -> Result<()> {
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata lists no packages")?;
    for package in packages {
        let targets = package.get("targets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let roots: Vec<PathBuf> = targets
            .iter()
            .filter_map(|target| std::fs::canonicalize(target.get("src_path")?.as_str()?).ok())
            .map(|path| if path.ends_with("build.rs") { path } else { path.parent().unwrap_or(&path).to_owned() })
            .collect();
        let code: String = sources
            .iter()
            .filter(|(path, _)| roots.iter().any(|root| path.starts_with(root)))
            .map(|(_, text)| unused::code(text))
            .collect();
        findings.extend(unused::Crate::of(package, code).iter().flat_map(unused::Crate::unused));
    }
    Ok(())
}

/// Checks that dependencies point down only.
fn dependencies(metadata: &Value, findings: &mut Vec<String>) -> Result<()> {
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata lists no packages")?;
    for package in packages {
        let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(crate_name, _)| *crate_name == name) else {
            findings.push(format!("{name}: a new crate needs a second consumer or a new \"must not\"; see xtask tidy"));
            continue;
        };
        let all = package.get("dependencies").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let used = all.iter().filter(|one| one.get("kind").and_then(Value::as_str) != Some("dev"));
        for dependency in used.filter_map(|one| one.get("name").and_then(Value::as_str)) {
            let ours = MAY_DEPEND_ON.iter().any(|(crate_name, _)| *crate_name == dependency);
            if ours && !allowed.contains(&dependency) {
                findings.push(format!("{name} must not depend on {dependency}"));
            }
            if name == "hah-node" && !CONTRACT_DEPENDENCIES.contains(&dependency) {
                let allowed = CONTRACT_DEPENDENCIES.join(", ");
                findings.push(format!("{name} must depend on {allowed} only, not on {dependency}"));
            }
            for (crate_name, foreign, reason) in MUST_NOT_HAVE {
                if crate_name == name && foreign.contains(&dependency) {
                    findings.push(format!("{name} must not depend on {dependency}: {reason}"));
                }
            }
        }
    }
    Ok(())
}

/// The files that a Markdown text links to: relative targets, without the place in them.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.map(|target| target.split('#').next().unwrap_or_default());
    files.filter(|file| !file.is_empty() && !file.contains(':') && !file.contains(char::is_whitespace))
}

/// Checks one Rust source.
fn source(name: &str, text: &str, findings: &mut Vec<String>) {
    let is_test = name.ends_with("/tests.rs") || name.starts_with("tests/") || name.contains("/tests/");
    let before_tests = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.push(format!("{name}: {lines} lines, tests included; {LINES_MAX} at most"));
    }
    if !is_test && !text.lines().find(|line| !line.is_empty()).is_some_and(|line| line.starts_with("//!")) {
        findings.push(format!("{name}: a module opens with a //! comment that says what it is"));
    }
    let is_writer = name.starts_with(WRITER) && !name.starts_with(DOORWAY) && !STORE_FILES.contains(&name);
    if is_writer && !is_test {
        for (number, line) in (1..).zip(text.lines().take(before_tests)) {
            if let Some(write) = WRITES.iter().find(|write| line.contains(*write)) {
                findings.push(format!(
                    "{name}:{number}: {write} goes past the rule of hah_image::files::place; use hah_image::files::draft"
                ));
            }
        }
    }
    for (first, second, reason) in FORBIDDEN {
        let word = format!("{first}{second}");
        if let Some((number, _)) = text.lines().enumerate().find(|(_, line)| line.contains(&word)) {
            findings.push(format!("{name}:{}: {word} is not used here: {reason}", number + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_source(name: &str, text: &str, wanted: usize) {
        let mut findings = Vec::new();
        source(name, text, &mut findings);
        assert_eq!(findings.len(), wanted, "{findings:?}");
    }

    #[test]
    fn sources() {
        check_source("src/a/src/lib.rs", "//! What it is.\n", 0);
        check_source("src/a/src/lib.rs", "\nuse std::fs;\n", 1);
        check_source("src/a/src/tests.rs", "use super::*;\n", 0);
        check_source("src/a/src/lib.rs", &format!("//! Long.\n{}", "\n".repeat(LINES_MAX)), 1);
        check_source("src/a/src/lib.rs", &format!("//! Long.\n{}", "\n".repeat(LINES_MAX - 1)), 0);
        check_source("src/a/src/lib.rs", &format!("//! Long.\n#[cfg(test)]\n{}", "\n".repeat(LINES_MAX)), 1);
        check_source("src/a/src/tests.rs", &"\n".repeat(LINES_MAX + 1), 1);
        check_source("src/a/src/lib.rs", &format!("//! Bad.\nfn a() {{ {}{}) }}\n", "todo", "!("), 1);
    }

    #[test]
    fn a_person_s_files_have_one_doorway() {
        let text = "//! Saves.\nfn save() {\n    fs::rename(&a, &b)?;\n}\n";
        check_source("src/hah-image/src/save.rs", text, 1);
        check_source("src/hah-image/src/files/draft.rs", text, 0);
        check_source("src/hah-image/src/save/tests.rs", text, 0);
        check_source(
            "src/hah-image/src/save.rs",
            "//! Saves.\n#[cfg(test)]\nmod tests { fn f() { fs::write(a, b); } }\n",
            0,
        );
        check_source("src/hah-agent/src/save.rs", text, 0);
    }

    #[test]
    fn links_of_markdown() {
        let text = "See [a](b.md), ![c](img/d.svg), [e](f.md#g) and [h](#i), [j](https://k.example/l), `[m](n o)`.";
        assert_eq!(links(text).collect::<Vec<_>>(), ["b.md", "img/d.svg", "f.md"]);
    }

    #[test]
    fn dependencies_point_down() {
        let check = |from: &str, to: &str, kind: Option<&str>| {
            let metadata = serde_json::json!({
                "packages": [{"name": from, "dependencies": [{"name": to, "kind": kind}]}]
            });
            let mut findings = Vec::new();
            dependencies(&metadata, &mut findings).unwrap();
            findings.len()
        };
        assert_eq!(check("hah-image", "hah-plan", None), 0);
        assert_eq!(check("hah-plan", "hah-image", None), 1);
        assert_eq!(check("hah-agent", "hah-format", None), 1);
        assert_eq!(check("hah-agent", "hah-format", Some("dev")), 0);
        assert_eq!(check("hah-node", "serde", None), 0);
        assert_eq!(check("hah-node", "tokio", None), 1);
        assert_eq!(check("hah-agent", "clap", None), 1);
        assert_eq!(check("hah-sixth", "serde", None), 1);
    }
}
