//! Embeds the agent's static binaries, when the build was told where they are.
//!
//! `HAH_AGENTS=DIRECTORY` names the directory that `cargo xtask agent` fills: `ARCHITECTURE/hah-agent`, by Debian's names.
//! An architecture without one is left out; the program then asks for `--agent` when an image of it is built.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[expect(clippy::disallowed_methods, reason = "a build script is configured by its environment")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=HAH_AGENTS");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("agents.rs");
    let agents = match env::var_os("HAH_AGENTS").filter(|path| !path.is_empty()) {
        Some(directory) => agents(Path::new(&directory))?,
        None => Vec::new(),
    };
    let rows =
        agents.iter().map(|(architecture, path)| format!("({architecture:?}, include_bytes!({path:?}).as_slice()),"));
    fs::write(out, format!("&[{}]", rows.collect::<String>()))
}

/// Architectures and absolute paths of the agents in `directory`.
#[expect(clippy::disallowed_methods, reason = "a build script has no doorway of its own")]
fn agents(directory: &Path) -> io::Result<Vec<(String, String)>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("HAH_AGENTS={}: {error}", directory.display()));
    let directory = fs::canonicalize(directory).map_err(named)?;
    println!("cargo::rerun-if-changed={}", directory.display());
    let mut agents = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let entry = entry?;
        let path = entry.path().join("hah-agent");
        if path.is_file() {
            println!("cargo::rerun-if-changed={}", path.display());
            agents.push((entry.file_name().to_string_lossy().into_owned(), path.to_string_lossy().into_owned()));
        }
    }
    agents.sort();
    Ok(agents)
}
