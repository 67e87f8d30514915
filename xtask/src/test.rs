//! `cargo xtask test`: everything that continuous integration runs, in the order of what fails fastest.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::{agent, apt, generate, image, say, tidy, workspace};

/// The foreign programs that judge what we write, by Debian package.
const ORACLES: [&str; 20] = [
    "bmap-tools",
    "ca-certificates",
    "cpio",
    "dosfstools",
    "dpkg",
    "e2fsprogs",
    "fdisk",
    "gdisk",
    "gpgv",
    "kmod",
    "libc-bin",
    "mtools",
    "openssh-client",
    "passwd",
    "qemu-system-arm",
    "qemu-utils",
    "squashfs-tools",
    "systemd",
    "udev",
    "zstd",
];

/// Which tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// What a change must pass.
    Usual,
    /// Also what takes hours: the tests see `HAH_TEST_FULL=1`.
    Slow,
}

/// Runs the tests.
pub(crate) fn run(shell: &Shell, lanes: Lanes) -> Result<()> {
    image::install_compiler(shell)?;
    if workspace::variable("CI").is_some() || workspace::variable("HAH_REQUIRE_ORACLES").is_some() {
        shell.set_var("HAH_REQUIRE_ORACLES", "1");
        apt::install(shell, &ORACLES)?;
    } else if let Err(missing) = apt::install(shell, &ORACLES) {
        say::step(&format!("{missing:#}; without them some tests are skipped"));
    }
    if lanes == Lanes::Slow {
        shell.set_var("HAH_TEST_FULL", "1");
    }

    say::step("formatting");
    cmd!(shell, "cargo fmt --all --check").quiet().run().context("run `cargo fmt --all`")?;
    say::step("house rules");
    tidy::check(shell)?;
    // Before anything is compiled: hah-image embeds it, and would be compiled twice.
    let agent = agent::build(shell, None)?;
    shell.set_var("HAH_AGENT_AARCH64", &agent);
    say::step("lints");
    cmd!(shell, "cargo clippy --quiet --workspace --all-targets -- -D warnings").quiet().run()?;
    say::step("tests of the crates");
    cmd!(shell, "cargo test --quiet --workspace --exclude hah-image").quiet().run()?;
    cmd!(shell, "cargo test --quiet --package hah-image --lib --bins").quiet().run()?;
    say::step("generated files");
    generate::run(shell, generate::Mode::Check)?;
    image::build(shell, "lab")?;
    say::step("tests of the whole");
    let image = workspace::root()?.join("out/lab.img");
    cmd!(shell, "cargo test --quiet --package hah-image --test it").env("HAH_LAB_IMAGE", image).quiet().run()?;
    Ok(())
}
