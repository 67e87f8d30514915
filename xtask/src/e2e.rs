//! `cargo xtask e2e`: three nodes of one image close the loop in QEMU, on a network of their own.
//!
//! The image needs a Nomad and an OpenBao for arm64, which no package registry has: somebody builds them, or takes the
//! vendors' releases, and names the directory in `HAH_E2E_BIN`, with the programs in its subdirectory `arm64`.
//! The image is built here, where there is a network to lock its packages from; the test then runs in a network namespace
//! that has nothing but a loopback device and what the test makes. See `tests/it/e2e.rs`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{apt, bench::store, image, say, workspace};

/// What makes the network and the machines.
const TOOLS: [&str; 5] = ["iproute2", "openssh-client", "qemu-system-arm", "qemu-utils", "util-linux"];
/// The image's inputs that are not Debian's, and the programs that they are.
const INPUTS: [(&str, &str); 2] = [("nomad", "nomad"), ("vault", "bao")];

/// Builds the image and runs the test.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    if !apt::is_root(shell) {
        bail!("run it as root: a network of several machines needs a namespace, a bridge and tap devices");
    }
    apt::install(shell, &TOOLS)?;
    let programs = INPUTS.map(|(input, name)| Ok((input, program(name)?)));
    let programs = programs.into_iter().collect::<Result<Vec<_>>>()?;
    image::install_compiler(shell)?;
    image::build(shell, "lab-virt")?;

    let root = workspace::root()?;
    let project = workspace::target()?.join("e2e-project");
    shell.create_dir(project.join("images"))?;
    shell.copy_file(root.join("tests/it/e2e/project/images/e2e.toml"), project.join("images"))?;
    let image = project.join("e2e.img");
    say::step(&format!("building {}", image.display()));
    let hah_image = store::program()?;
    let mut build = cmd!(shell, "{hah_image} -C {project} build e2e --output {image}").quiet();
    for (input, path) in &programs {
        let sum = cmd!(shell, "sha256sum {path}").quiet().read()?;
        let sum = sum.split_whitespace().next().context("sha256sum printed nothing")?.to_owned();
        build = build.arg("--input").arg(format!("{input}={}", path.display()));
        build = build.arg("--set").arg(format!("{input}.sha256={sum}"));
    }
    build.run()?;

    cmd!(shell, "cargo test --quiet --package hah-image --test it --no-run").quiet().run()?;
    say::step("three machines on a network of their own; this takes the better part of an hour without KVM");
    // The console of a test that runs for so long is worth seeing while it runs, which xshell would keep.
    let test =
        cmd!(shell, "unshare --net cargo test --offline --quiet --package hah-image --test it e2e:: -- --nocapture");
    let mut test = Command::from(test);
    test.env("HAH_E2E_IMAGE", &image).env_remove("AWS_CA_BUNDLE");
    let status = test.status().context("cannot run unshare")?;
    if !status.success() {
        bail!("the end-to-end test: {status}");
    }
    Ok(())
}

/// A program for the nodes, from the directories of `HAH_E2E_BIN`.
fn program(name: &str) -> Result<PathBuf> {
    let directories = workspace::variable("HAH_E2E_BIN").unwrap_or_default();
    let found = std::env::split_paths(&directories).map(|directory| directory.join("arm64").join(name));
    match found.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "no directory of HAH_E2E_BIN (`{directories}`) has arm64/{name}, a Linux program for arm64; \
             build it or take the vendor's release"
        ),
    }
}
