//! A rival's packages: the image's own names, for an architecture, as a repository on disk, so that its run fetches nothing.
//!
//! apt resolves and downloads them, with a root of its own below `out/bench` and the mirrors that this machine uses.
//! What the image's native configuration makes superfluous (adduser, debconf, ucf, linux-base) comes along, because the
//! maintainer scripts that mmdebstrap runs call it. An initramfs does not: a stand-in spares the rival that half minute,
//! since hah-image does not use Debian's either.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

use super::store::{self, Package};
use super::{Bench, ours};
use crate::{apt, say};

/// The architecture of the image's packages.
pub(super) const IMAGE_ARCHITECTURE: &str = "arm64";
/// The package that says an initramfs is there.
const STAND_IN: &str = "hah-bench-initramfs";

/// A repository and what to ask of it.
#[derive(Debug)]
pub(super) struct Repository {
    /// Its directory, with `Packages`.
    pub(super) directory: PathBuf,
    /// The names to install.
    pub(super) names: Vec<String>,
}

/// Makes the repository of one architecture.
pub(super) fn repository(bench: &Bench<'_>, lock: &[Package], architecture: &str) -> Result<Repository> {
    let shell = bench.shell;
    let directory = bench.empty(&format!("repository-{architecture}"))?;
    stand_in(shell, STAND_IN, &bench.empty("stand-in")?, &directory)?;
    let apt = root(bench, lock, architecture, &directory)?;
    say::step(&format!("resolving and fetching the packages for {architecture}"));
    apt.run("apt-get", &["update", "-qq"])?;
    let wanted: Vec<String> = lock.iter().map(|package| name_for(package, architecture)).collect();
    let mut names = known(&apt, &wanted)?;
    let dropped: Vec<&str> = wanted.iter().filter(|name| !names.contains(name)).map(String::as_str).collect();
    if !dropped.is_empty() {
        say::step(&format!("not for {architecture}: {}", dropped.join(" ")));
    }
    names.push(STAND_IN.to_owned());

    let archives = apt.path.join("var/cache/apt/archives");
    let mut install = vec!["install", "-qq", "--yes", "--download-only", "--no-install-recommends"];
    install.extend(names.iter().map(String::as_str));
    // What the lock has need not be fetched again. Should a mirror have moved on, its newer version wins in the repository.
    let warm = ours::warm(bench);
    for package in lock.iter().filter(|package| package.architecture == "all" || package.architecture == architecture) {
        store::link(&store::download(&warm, package), &archives.join(archive_name(package)))?;
    }
    apt.run("apt-get", &install)?;
    for deb in shell.read_dir(&archives)? {
        if let Some(name) = deb.file_name().filter(|_| deb.extension().is_some_and(|extension| extension == "deb")) {
            store::link(&deb, &directory.join(name))?;
        }
    }
    index(shell, &directory)?;
    Ok(Repository { directory, names })
}

/// The kernel's packages have the architecture in their name.
fn name_for(package: &Package, architecture: &str) -> String {
    match package.name.strip_prefix("linux-image-").and_then(|rest| rest.strip_suffix(IMAGE_ARCHITECTURE)) {
        Some(version) => format!("linux-image-{version}{architecture}"),
        None => package.name.clone(),
    }
}

/// As apt names the file in its cache.
pub(crate) fn archive_name(package: &Package) -> String {
    let version = package.version.replace(':', "%3a");
    format!("{}_{version}_{}.deb", package.name, package.architecture)
}

/// Writes a package `name` that provides `linux-initramfs-tool` into a repository; `tree` is an empty directory.
pub(crate) fn stand_in(shell: &Shell, name: &str, tree: &Path, repository: &Path) -> Result<()> {
    let control = format!(
        "Package: {name}\nVersion: 1\nArchitecture: all\nProvides: linux-initramfs-tool\n\
         Maintainer: hah-image <root@localhost>\nDescription: stands for an initramfs generator\n"
    );
    shell.write_file(tree.join("DEBIAN/control"), control)?;
    let deb = repository.join(format!("{name}_1_all.deb"));
    cmd!(shell, "dpkg-deb --root-owner-group --build {tree} {deb}").quiet().ignore_stdout().run()?;
    index(shell, repository)
}

/// Writes `Packages`.
pub(crate) fn index(shell: &Shell, repository: &Path) -> Result<()> {
    let _there = shell.push_dir(repository);
    let packages = cmd!(shell, "dpkg-scanpackages --multiversion .").quiet().ignore_stderr().read()?;
    Ok(shell.write_file("Packages", format!("{packages}\n"))?)
}

/// The root of apt that resolves: the lock's suites, and the repository itself.
fn root<'a>(bench: &'a Bench<'_>, lock: &[Package], architecture: &str, local: &Path) -> Result<apt::Root<'a>> {
    let shell = bench.shell;
    let path = bench.empty(&format!("apt-{architecture}"))?;
    let root = apt::Root::new(shell, &path, architecture, &sources(shell, lock)?)?;
    let list = format!("deb [trusted=yes] copy://{} ./\n", local.display());
    shell.write_file(path.join("etc/apt/sources.list"), list)?;
    shell.write_file(path.join("etc/apt/preferences"), preferences(lock))?;
    Ok(root)
}

/// Those of the names that can be installed.
fn known(apt: &apt::Root<'_>, names: &[String]) -> Result<Vec<String>> {
    let mut arguments = vec!["show", "--no-all-versions"];
    arguments.extend(names.iter().map(String::as_str));
    // It fails when one name of many is unknown, and shows the others.
    let shown = apt.command("apt-cache", &arguments).ignore_status().ignore_stderr().read()?;
    let known: BTreeSet<&str> = shown.lines().filter_map(|line| line.strip_prefix("Package: ")).collect();
    Ok(names.iter().filter(|name| known.contains(name.as_str())).cloned().collect())
}

/// A stanza for every suite of the lock.
pub(crate) fn sources(shell: &Shell, lock: &[Package]) -> Result<String> {
    let suites: BTreeSet<(&str, &str)> =
        lock.iter().map(|package| (package.suite.as_str(), package.archive.as_str())).collect();
    let components: BTreeSet<&str> = lock.iter().filter_map(component).collect();
    let components = components.into_iter().collect::<Vec<_>>().join(" ");
    suites.into_iter().map(|(suite, archive)| apt::source(shell, archive, suite, &components)).collect()
}

/// `main` of `pool/main/…`; the security archive puts `updates/` before it.
fn component(package: &Package) -> Option<&str> {
    let pool = package.path.strip_prefix("pool/")?;
    pool.strip_prefix("updates/").unwrap_or(pool).split('/').next()
}

/// From another release comes only what the lock takes from there.
pub(crate) fn preferences(lock: &[Package]) -> String {
    let main = lock.iter().map(|package| release(&package.suite)).find(|release| {
        lock.iter().filter(|package| self::release(&package.suite) == *release).count() * 2 > lock.len()
    });
    let others: Vec<&Package> = lock.iter().filter(|package| Some(release(&package.suite)) != main).collect();
    let suites: BTreeSet<&str> = others.iter().map(|package| package.suite.as_str()).collect();
    let mut text = String::new();
    for suite in suites {
        text.push_str(&format!("Package: *\nPin: release n={suite}\nPin-Priority: -1\n\n"));
    }
    for package in others {
        text.push_str(&format!("Package: {}\nPin: release n={}\nPin-Priority: 990\n\n", package.name, package.suite));
    }
    text
}

/// `trixie` of `trixie-security`.
fn release(suite: &str) -> &str {
    suite.split('-').next().unwrap_or(suite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, suite: &str) -> Package {
        Package { name: name.to_owned(), suite: suite.to_owned(), ..Package::default() }
    }

    #[test]
    fn kernels_change_their_name_with_the_architecture() {
        let check = |name: &str, expected: &str| assert_eq!(name_for(&package(name, ""), "amd64"), expected);
        check("linux-image-arm64", "linux-image-amd64");
        check("linux-image-6.12.117+deb13-arm64", "linux-image-6.12.117+deb13-amd64");
        check("libc6", "libc6");
    }

    #[test]
    fn only_the_odd_release_is_pinned() {
        let lock = [package("a", "trixie"), package("b", "trixie-security"), package("consul", "bullseye")];
        let text = preferences(&lock);
        assert!(text.starts_with("Package: *\nPin: release n=bullseye\nPin-Priority: -1\n"), "{text}");
        assert!(text.contains("Package: consul\n") && !text.contains("trixie"), "{text}");
    }

    #[test]
    fn the_component_is_in_the_path() {
        let mut linux = package("linux", "");
        linux.path = "pool/updates/main/l/linux/x.deb".to_owned();
        assert_eq!(component(&linux), Some("main"));
        linux.path = "pool/non-free-firmware/r/x.deb".to_owned();
        assert_eq!(component(&linux), Some("non-free-firmware"));
    }
}
