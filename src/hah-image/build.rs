//! Embeds the agent's static binaries, when the build was told where they are.
//!
//! `HAH_AGENT_AARCH64=FILE` names the binary that `cargo xtask agent` made. Without it the program still builds and asks
//! for `--agent` when an image is built.

use std::path::PathBuf;
use std::{env, fs};

#[allow(clippy::disallowed_methods, reason = "a build script is configured by its environment")]
fn main() {
    println!("cargo::rerun-if-env-changed=HAH_AGENT_AARCH64");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("agent.rs");
    let code = match env::var_os("HAH_AGENT_AARCH64").filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = fs::canonicalize(&path)
                .unwrap_or_else(|error| panic!("HAH_AGENT_AARCH64={}: {error}", path.to_string_lossy()));
            println!("cargo::rerun-if-changed={}", path.display());
            format!("Some(include_bytes!({:?}))", path.to_string_lossy())
        }
        None => "None".to_owned(),
    };
    fs::write(&out, code).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}
