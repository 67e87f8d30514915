//! `cargo xtask services`: Debian's daemons in one image, booted twice in QEMU.
//!
//! The image is that of the project beside the test, `tests/it/services.rs`, which has what is asked of it. Without KVM this
//! takes the better part of an hour.

use std::process::Command;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{agent, apt, image, qemu, say, workspace};

/// The project that has the image.
const PROJECT: &str = "tests/it/services/project";

/// Builds the image and boots it.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let image = prepare(shell)?;
    cmd!(shell, "cargo test --quiet --package hah-image --test it --no-run").quiet().run()?;
    say::step("one machine, five boots; this takes the better part of an hour without KVM");
    // What a test says that runs for so long is worth seeing while it runs, which xshell would keep.
    let test = cmd!(shell, "cargo test --offline --quiet --package hah-image --test it services:: -- --nocapture");
    let mut test = Command::from(test);
    test.env("HAH_SERVICES_IMAGE", &image).args(["--test-threads", "1"]);
    let status = test.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("the test of services: {status}");
    }
    Ok(())
}

/// Builds the image; returns its path.
pub(crate) fn prepare(shell: &Shell) -> Result<std::path::PathBuf> {
    apt::install(shell, &["openssh-client"])?;
    qemu::install(shell, agent::architecture("arm64")?)?;
    image::install_compiler(shell)?;
    let agent = agent::build(shell, "arm64", None)?;
    cmd!(shell, "cargo build --quiet --package hah-image").quiet().run()?;
    let program = workspace::target()?.join("debug/hah-image");
    // A copy: the lock stays with it, so that a second run builds the same.
    let project = workspace::target()?.join("services-project");
    shell.create_dir(&project)?;
    cmd!(shell, "cp -r {PROJECT}/. {project}").quiet().run()?;
    shell.write_file(project.join("hah-image.toml"), "")?;
    let image = project.join("services.img");
    say::step(&format!("building {}", image.display()));
    cmd!(shell, "{program} -C {project} --agent {agent} build services --output {image}").quiet().run()?;
    Ok(image)
}
