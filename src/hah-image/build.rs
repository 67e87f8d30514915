//! Embeds the agent's static binaries, when the build was told where they are.
//!
//! `HAH_AGENT_AARCH64=FILE` names the binary that `cargo xtask agent` made. Without it the program still builds and asks
//! for `--agent` when an image is built.

use std::path::PathBuf;
use std::{env, fs, io};

#[expect(clippy::disallowed_methods, reason = "a build script is configured by its environment")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=HAH_AGENT_AARCH64");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("agent.rs");
    let code = match env::var_os("HAH_AGENT_AARCH64").filter(|path| !path.is_empty()) {
        Some(path) => {
            let shown = path.to_string_lossy().into_owned();
            let path = fs::canonicalize(&path)
                .map_err(|error| io::Error::new(error.kind(), format!("HAH_AGENT_AARCH64={shown}: {error}")))?;
            println!("cargo::rerun-if-changed={}", path.display());
            format!("Some(include_bytes!({:?}))", path.to_string_lossy())
        }
        None => "None".to_owned(),
    };
    fs::write(out, code)
}
