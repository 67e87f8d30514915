//! Installs what a chore needs, on Debian and its children; elsewhere says what is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Cmd, Shell, cmd};

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

/// apt with a root of its own: no package of this machine counts, and none is touched.
pub(crate) struct Root<'a> {
    shell: &'a Shell,
    /// Its directory. `etc/apt/sources.list.d` and `etc/apt/preferences` may be added to.
    pub(crate) path: PathBuf,
    options: Vec<String>,
}

impl<'a> Root<'a> {
    /// In the empty directory `path`, for packages of `architecture` from `sources` (sources.list(5), deb822 format).
    pub(crate) fn new(shell: &'a Shell, path: &Path, architecture: &str, sources: &str) -> Result<Self> {
        for directory in [
            "etc/apt/sources.list.d",
            "etc/apt/preferences.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
        ] {
            shell.create_dir(path.join(directory))?;
        }
        shell.write_file(path.join("status"), "")?;
        shell.write_file(path.join("etc/apt/sources.list.d/archives.sources"), sources)?;
        let options = [
            format!("Dir={}", path.display()),
            format!("Dir::State::status={}", path.join("status").display()),
            // Not relative to the root: the programs are this machine's.
            "Dir::Bin::methods=/usr/lib/apt/methods".to_owned(),
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            "APT::Sandbox::User=root".to_owned(),
            "APT::Install-Recommends=0".to_owned(),
            "Acquire::Check-Valid-Until=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        let options = options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
        Ok(Self { shell, path: path.to_owned(), options })
    }

    /// `apt-get` or another program of apt, in this root.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Cmd<'a> {
        let options = &self.options;
        cmd!(self.shell, "{program} {options...} {arguments...}").env("DEBIAN_FRONTEND", "noninteractive").quiet()
    }

    /// Runs it; what it said when it failed is the error.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let done = self.command(program, arguments).ignore_status().output()?;
        if !done.status.success() {
            bail!("{program} failed:\n{}", String::from_utf8_lossy(&done.stderr).trim_end());
        }
        Ok(())
    }
}

/// A stanza of sources.list(5) for a suite of `archive` (`debian`, `debian-security`), from this machine's mirror of it.
pub(crate) fn source(shell: &Shell, archive: &str, suite: &str, components: &str) -> Result<String> {
    let mirrors = host_mirrors(shell)?;
    let mirror = mirrors
        .iter()
        .find(|uri| uri.rsplit('/').next() == Some(archive))
        .with_context(|| format!("apt's sources on this machine name no mirror of {archive}"))?;
    Ok(format!("Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: {components}\nSigned-By: {KEYRING}\n\n"))
}

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The URIs of Debian's archives in apt's sources on this machine (sources.list(5)), in either format.
fn host_mirrors(shell: &Shell) -> Result<Vec<String>> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(shell.read_dir("/etc/apt/sources.list.d").unwrap_or_default());
    let mut found = Vec::new();
    for file in files {
        let known = file.extension().is_some_and(|extension| extension == "list" || extension == "sources");
        if known && file.is_file() {
            found.extend(uris(&shell.read_file(&file)?));
        }
    }
    Ok(found)
}

fn uris(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(str::split_whitespace).map(|word| word.trim_end_matches('/'));
    words
        .filter(|word| word.contains(":/") && matches!(word.rsplit('/').next(), Some("debian" | "debian-security")))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_of_sources_are_read() {
        let text = "# http://no.example/debian\nURIs: http://a.example/debian/\ndeb [x=y] https://b.example/debian-security s main\n\
                    URIs: https://c.example/node\n";
        assert_eq!(uris(text), ["http://a.example/debian", "https://b.example/debian-security"]);
    }
}
