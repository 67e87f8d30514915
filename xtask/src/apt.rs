//! Installs what a chore needs, on Debian and its children; elsewhere says what is missing.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

use crate::say;

/// Installs those of the packages that are missing; a name may carry an architecture, as `libc6:arm64`.
pub(crate) fn install(shell: &Shell, packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(shell, package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if cmd!(shell, "apt-get --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        bail!("these Debian packages, or what your system calls them, are needed: {list}");
    }
    if !is_root(shell) {
        bail!("some packages are missing; as root run: apt-get install --no-install-recommends {list}");
    }
    say::step(&format!("installing {list}"));
    let install = |shell: &Shell| {
        let missing = &missing;
        cmd!(shell, "apt-get install -qq -y --no-install-recommends {missing...}")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .quiet()
            .ignore_stdout()
            .run()
    };
    // Only a stale or empty package list asks for the slow way.
    if install(shell).is_err() {
        cmd!(shell, "apt-get update -qq").quiet().run()?;
        install(shell)?;
    }
    Ok(())
}

/// Lets apt install packages of another architecture.
pub(crate) fn add_architecture(shell: &Shell, architecture: &str) -> Result<()> {
    let known = cmd!(shell, "dpkg --print-foreign-architectures").quiet().ignore_stderr().read()?;
    let native = cmd!(shell, "dpkg --print-architecture").quiet().ignore_stderr().read()?;
    if native == architecture || known.lines().any(|line| line == architecture) {
        return Ok(());
    }
    if !is_root(shell) {
        bail!("as root run: dpkg --add-architecture {architecture} && apt-get update");
    }
    say::step(&format!("adding the architecture {architecture} to apt"));
    cmd!(shell, "dpkg --add-architecture {architecture}").quiet().run()?;
    cmd!(shell, "apt-get update -qq").quiet().run()?;
    Ok(())
}

fn is_installed(shell: &Shell, package: &str) -> bool {
    let form = "--showformat=${db:Status-Status}";
    let status = cmd!(shell, "dpkg-query --show {form} {package}").quiet().ignore_stderr().read();
    status.is_ok_and(|status| status == "installed")
}

/// Whether this is root.
pub(crate) fn is_root(shell: &Shell) -> bool {
    cmd!(shell, "id -u").quiet().read().is_ok_and(|id| id == "0")
}
