//! `cargo xtask boot`: an image in QEMU, in this terminal.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{bench::store, image, qemu};

/// Boots `out/NAME.img`, or the image file of that path; builds the former when it or the program is missing.
pub(crate) fn run(shell: &Shell, name: &str) -> Result<()> {
    let is_path = name.ends_with(".img");
    // Of a file somewhere nothing is known but that it is an image; most are for a Pi.
    qemu::install(shell, image::architecture(shell, if is_path { "lab" } else { name })?)?;
    let program = store::program()?;
    let path = if is_path { PathBuf::from(name) } else { PathBuf::from(format!("out/{name}.img")) };
    if !shell.path_exists(&path) || !program.is_file() {
        if is_path && !shell.path_exists(&path) {
            bail!("there is no {}", path.display());
        }
        image::build(shell, if is_path { "lab" } else { name })?;
    }
    // The machine's console needs the terminal, which xshell keeps from its children.
    let mut command = Command::from(cmd!(shell, "{program} run {path}"));
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    if !status.success() {
        bail!("hah-image run: {status}");
    }
    Ok(())
}
