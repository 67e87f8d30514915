//! `cargo xtask image`: from a fresh clone to a card image.

use anyhow::{Context, Result};
use hah_node::architecture::Architecture;
use xshell::{Shell, cmd};

use crate::{agent, apt, qemu, say, workspace};

/// Builds `out/NAME.img`.
pub(crate) fn build(shell: &Shell, name: &str) -> Result<()> {
    install_compiler(shell)?;
    // An image can be built and flashed without QEMU; only running it cannot be.
    let architecture = architecture(shell, name)?;
    let lacking = qemu::install(shell, architecture).err();
    agent::build(shell, architecture.debian, None)?;
    shell.create_dir("out")?;
    let image = format!("out/{name}.img");
    say::step(&format!("building {image}"));
    cmd!(shell, "cargo run --quiet --release --package hah-image -- build {name} -o {image}")
        .env("HAH_AGENTS", agent::directory()?)
        .quiet()
        .run()
        .with_context(|| format!("cannot build the image {name}"))?;
    // The program that was just built, with the agent in it; `cargo run` would build it again without.
    let program = workspace::target()?.join("release/hah-image");
    let program = program.strip_prefix(shell.current_dir()).unwrap_or(&program).display();
    say::data(&format!(
        "\n{image} is ready.\n\
         \x20 run it:         {program} run {image}\n\
         \x20 list the cards: {program} flash {image}\n\
         \x20 write to one:   {program} flash {image} DEVICE\n"
    ));
    if let Some(error) = lacking {
        say::problem(&format!("xtask: to run it, QEMU is needed: {error:#}"));
    }
    Ok(())
}

/// The architecture of `images/NAME.toml`: its board's.
pub(crate) fn architecture(shell: &Shell, name: &str) -> Result<&'static Architecture> {
    let image = shell.read_file(format!("images/{name}.toml"))?;
    let board = text_of(&image, "board").with_context(|| format!("images/{name}.toml names no board"))?;
    let board = shell.read_file(format!("recipes/boards/{board}.toml"))?;
    agent::architecture(&text_of(&board, "architecture").context("its board names no architecture")?)
}

/// The text that a line `KEY = "TEXT"` gives to `key`: as much of TOML as our own files need here.
fn text_of(toml: &str, key: &str) -> Option<String> {
    let mut values = toml.lines().filter_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
    Some(values.next()?.trim().trim_matches('"').to_owned())
}

/// The C compiler that the zstd and xz crates need.
pub(crate) fn install_compiler(shell: &Shell) -> Result<()> {
    if cmd!(shell, "cc --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        apt::install(shell, &["gcc", "libc6-dev"])?;
    }
    Ok(())
}
