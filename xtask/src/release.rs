//! `cargo xtask release`: the program as people download it, for the machine that this runs on.
//!
//! ```text
//! target/dist/hah-image-VERSION-ARCH-SYSTEM     on each kind of machine
//! target/dist/SHA256SUMS                        once, where all of them were collected
//! ```

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{agent, image, say, workspace};

/// Where the agent is that another machine built.
const AGENT: &str = "agent/aarch64/hah-agent";
/// What is published, below cargo's build directory.
const DIST: &str = "dist";

/// Builds the program with the agent in it, and names it after version and machine.
pub(crate) fn build(shell: &Shell) -> Result<()> {
    let target = workspace::target()?;
    let agent = match std::env::consts::OS {
        "linux" => {
            image::install_compiler(shell)?;
            agent::build(shell, None)?
        }
        // The agent is a Linux program, and the same from any host: continuous integration brings it.
        system => {
            let agent = target.join(AGENT);
            if !agent.exists() {
                bail!("{} is missing: copy it from a Linux machine, for {system} cannot build it", agent.display());
            }
            agent
        }
    };
    cmd!(shell, "cargo build --quiet --release --locked --package hah-image")
        .env("HAH_AGENT_AARCH64", &agent)
        .quiet()
        .run()
        .context("cannot build hah-image")?;
    let name = name(&version(shell)?);
    let dist = target.join(DIST);
    shell.create_dir(&dist)?;
    shell.copy_file(target.join("release/hah-image"), dist.join(&name))?;
    say::data(&format!("{}\n", dist.join(name).display()));
    Ok(())
}

/// Writes the checksums of everything that was collected.
pub(crate) fn checksums(shell: &Shell) -> Result<()> {
    let dist = workspace::target()?.join(DIST);
    let mut names: Vec<String> = shell
        .read_dir(&dist)?
        .iter()
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .filter(|name| name.starts_with("hah-image-"))
        .collect();
    names.sort();
    if names.is_empty() {
        bail!("{} has no binaries: `cargo xtask release` makes one", dist.display());
    }
    let directory = shell.push_dir(&dist);
    let sums = cmd!(shell, "sha256sum --binary {names...}").quiet().read()?;
    drop(directory);
    shell.write_file(dist.join("SHA256SUMS"), format!("{sums}\n"))?;
    say::data(&format!("{sums}\n"));
    Ok(())
}

/// Publishes what was collected as the release of `tag`, by GitHub's `gh`. The version is the tag's, or nothing happens.
pub(crate) fn publish(shell: &Shell, tag: &str) -> Result<()> {
    let version = version(shell)?;
    if tag != format!("v{version}") {
        bail!("the tag is {tag} and the workspace has version {version}: they must agree");
    }
    let files = shell.read_dir(workspace::target()?.join(DIST))?;
    cmd!(shell, "gh release create {tag} --verify-tag --title {tag} --notes-from-tag {files...}").quiet().run()?;
    Ok(())
}

fn name(version: &str) -> String {
    format!("hah-image-{version}-{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// The workspace's version.
fn version(shell: &Shell) -> Result<String> {
    let metadata = cmd!(shell, "cargo metadata --format-version 1 --no-deps --offline").quiet().read()?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    version_in(&metadata).context("cargo metadata has no version of hah-image")
}

fn version_in(metadata: &Value) -> Option<String> {
    let packages = metadata.get("packages")?.as_array()?;
    let own = packages.iter().find(|package| package.get("name").and_then(Value::as_str) == Some("hah-image"))?;
    own.get("version")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_after_version_and_machine() {
        let metadata = serde_json::json!({"packages": [
            {"name": "xtask", "version": "0.0.0"}, {"name": "hah-image", "version": "1.2.3"}]});
        let version = version_in(&metadata).unwrap();
        assert_eq!(name(&version), format!("hah-image-1.2.3-{}-{}", std::env::consts::ARCH, std::env::consts::OS));
        assert_eq!(version_in(&serde_json::json!({})), None);
    }
}
