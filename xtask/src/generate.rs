//! `cargo xtask generate`: the committed files that the program itself prints, so that they cannot lag behind it.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

use crate::say;

/// File, and the words that make `hah-image` print it.
const GENERATED: [(&str, &[&str]); 10] = [
    ("docs/recipe.schema.json", &["schema", "recipe"]),
    ("docs/image.schema.json", &["schema", "image"]),
    ("docs/cluster.schema.json", &["schema", "cluster"]),
    ("docs/hah-image.1", &["man"]),
    ("docs/reference/cli.md", &["reference", "cli"]),
    ("docs/reference/recipes.md", &["reference", "recipes"]),
    ("docs/reference/recipe-file.md", &["reference", "recipe"]),
    ("docs/reference/image-file.md", &["reference", "image"]),
    ("docs/reference/board-file.md", &["reference", "board"]),
    ("docs/reference/cluster-file.md", &["reference", "cluster"]),
];

/// What to do with a file that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write it.
    Write,
    /// Report it.
    Check,
}

/// Writes or checks every generated file.
pub(crate) fn run(shell: &Shell, mode: Mode) -> Result<()> {
    let mut stale = Vec::new();
    for (path, words) in GENERATED {
        // The bytes as they are: `read` would trim the last line's end.
        let wanted = cmd!(shell, "cargo run --quiet --package hah-image -- {words...}").quiet().output()?.stdout;
        if shell.read_binary_file(path).is_ok_and(|found| found == wanted) {
            continue;
        }
        match mode {
            Mode::Check => stale.push(path),
            Mode::Write => {
                shell.write_file(path, wanted)?;
                say::step(&format!("wrote {path}"));
            }
        }
    }
    if !stale.is_empty() {
        bail!("{} not what the program prints; run `cargo xtask generate`", stale.join(", "));
    }
    Ok(())
}
