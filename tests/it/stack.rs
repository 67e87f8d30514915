//! The real programs on what the recipes render for them.
//!
//! | module | asks |
//! |---|---|
//! | [`rules`] | promtool: does every alert fire when it should, and stay quiet when it should? |
//! | [`configs`] | consul, nomad, promtool, amtool, bao, vault, sshd, systemd: is every combination of parameters accepted? |
//! | [`sandbox`] | systemd: are the programs that listen locked in? |
//! | [`job`] | a real Nomad: do the job's two forms mean the same, and is it valid? |
//! | [`address`] | does a node give its programs the right one of its addresses, and wait when it has none? |
//! | [`renumber`] | what do servers do whose addresses all change at once? |
//! | [`strangers`] | a real Consul behind the real firewall: what does somebody get who is none of the cluster's? |
//! | [`cluster`] | three hosts: does the loop close, and is every target of every layer up? |
//!
//! The programs come from `HAH_E2E_BIN`, directories separated by colons, and then from `PATH`. What Debian has
//! (`cargo xtask test` fetches it) is missing only on a laptop; Nomad, Vault and OpenBao are nobody's package, and the tests
//! that want them say that they were skipped.

mod rules;
mod configs;
mod sandbox;
mod host;
mod job;
mod address;
mod renumber;
mod strangers;
mod cluster;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hah_plan::recipe::{self, Override, Sources};
use hah_plan::system::System;
pub(crate) use host::agent;

/// The top of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// recipes/ and images/ of the repository.
fn sources() -> Sources {
    fn add(sources: &mut Sources, directory: &Path, prefix: &str) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
            match path.is_dir() {
                true => add(sources, &path, &name),
                false => sources.insert(&name, &name, std::fs::read(&path).unwrap()),
            }
        }
    }
    let mut sources = Sources::new();
    for directory in ["recipes", "images"] {
        add(&mut sources, &repository().join(directory), directory);
    }
    sources
}

/// An image of every recipe of the stack, to vary.
const WHOLE: &str = r#"
summary = "every layer"
board = "virt"
recipes = ["base", "network", "time", "ssh", "node-exporter", "consul", "nomad", "vault", "telemetry", "alertmanager", "first-boot"]
[params]
nomad.role = "both"
consul.role = "server"
telemetry.layers = ["nomad", "vault", "alertmanager"]
"#;

/// The system of a shipped image, or of `whole`.
#[track_caller]
fn system(image: &str, sets: &[&str]) -> System {
    let mut sources = sources();
    sources.insert("images/whole.toml", "images/whole.toml", WHOLE);
    let overrides: Vec<Override> =
        sets.iter().map(|text| Override { origin: "--set".to_owned(), text: (*text).to_owned() }).collect();
    recipe::load(&sources, image, &overrides).unwrap_or_else(|problems| panic!("{image} {sets:?}: {problems}"))
}

/// Writes the system's own files and links below `root`.
fn render(system: &System, root: &Path) {
    for file in &system.files {
        write(&root.join(file.path.as_str()), &file.bytes);
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Every program of this name that there is, the ones of `HAH_E2E_BIN` first.
fn found(program: &str) -> Vec<PathBuf> {
    let own = std::env::var("HAH_E2E_BIN").unwrap_or_default();
    let path = format!("{own}:{}", crate::oracles::path());
    std::env::split_paths(&path).map(|directory| directory.join(program)).filter(|path| path.is_file()).collect()
}

/// A program that Debian has; `None`, with a line that says so, on a laptop without it.
fn debian(program: &str) -> Option<PathBuf> {
    let found = found(program).into_iter().next();
    if found.is_none() {
        assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "{program} is missing");
        println!("skipped: no {program}");
    }
    found
}

/// A program that no package provides; `None`, with a line that says so, when it is not here.
fn foreign(program: &str) -> Option<PathBuf> {
    let found = found(program).into_iter().next();
    if found.is_none() {
        println!("skipped: no {program} in HAH_E2E_BIN or PATH");
    }
    found
}

/// The first line that the program says of its version.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

/// Runs a program that must be content; what it said.
#[track_caller]
fn content(command: &mut Command, about: &str) -> String {
    let output = output(command);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{about}: {command:?}: {}\n{said}", output.status);
    said
}

/// Without the variables of this machine that change what the programs do.
fn output(command: &mut Command) -> Output {
    command.env_remove("AWS_CA_BUNDLE").env("LC_ALL", "C").output().unwrap()
}
