//! `cargo xtask oracle [GROUP | --full]`: real dpkg installs the very packages of an image, maintainer scripts and all, and the
//! test `oracles::dpkg` compares the two trees.
//!
//! The images are those of the project beside the test; its board's architecture is this machine's, so that the scripts
//! can run. mmdebstrap gets a repository of the locked .debs, and of the packages that an image does without (adduser,
//! debconf, …), which this machine's mirror has. Everything is left in `target/oracle`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::bench::packages::{archive_name, index, preferences, sources, stand_in};
use crate::bench::store::{self, Package};
use crate::{apt, bench, say, workspace};

/// The project, with an image for each group of packages.
const PROJECT: &str = "tests/it/oracles/dpkg/project";
/// The group that has all packages of image `lab`.
const USUAL: &str = "usual";
const ARCHITECTURE: &str = "amd64";
const TOOLS: [&str; 4] = ["dpkg", "dpkg-dev", "mmdebstrap", "squashfs-tools"];
/// The package that says an initramfs is there.
const STAND_IN: &str = "hah-oracle-initramfs";

/// Which groups of packages are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Groups<'a> {
    /// The one that takes two minutes, and is part of continuous integration.
    Usual,
    /// The one of this name.
    One(&'a str),
    /// All of them.
    All,
}

impl Groups<'_> {
    fn has(self, group: &str) -> bool {
        match self {
            Self::Usual => group == USUAL,
            Self::One(name) => group == name,
            Self::All => true,
        }
    }
}

/// Makes the trees and has the test compare them.
pub(crate) fn run(shell: &Shell, groups: Groups<'_>) -> Result<()> {
    let directory = prepare(shell, groups)?;
    say::step("comparing");
    let test = cmd!(shell, "cargo test --quiet --package hah-image --test it oracles::dpkg -- --nocapture");
    Ok(test.env("HAH_TEST_DPKG", directory).env("HAH_REQUIRE_ORACLES", "1").quiet().run()?)
}

/// Makes the trees; returns the directory that has `GROUP.img`, ours, and `GROUP`, dpkg's.
pub(crate) fn prepare(shell: &Shell, groups: Groups<'_>) -> Result<PathBuf> {
    if !apt::is_root(shell) {
        bail!("dpkg runs maintainer scripts in a chroot, which needs root");
    }
    ensure!(
        cmd!(shell, "dpkg --print-architecture").quiet().read()? == ARCHITECTURE,
        "this machine is no {ARCHITECTURE}"
    );
    apt::install(shell, &TOOLS)?;
    // The program of the tests, which need it anyway.
    cmd!(shell, "cargo build --quiet --package hah-image").quiet().run()?;
    let program = workspace::target()?.join("debug/hah-image");
    let directory = workspace::target()?.join("oracle");
    bench::remove(shell, &directory)?;
    let project = directory.join("work/project");
    shell.create_dir(project.parent().context("the project is in a directory")?)?;
    cmd!(shell, "cp -r {PROJECT} {project}").quiet().run()?;
    let images = shell.read_dir(project.join("images"))?;
    let names: Vec<&str> = images.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    ensure!(names.iter().any(|name| groups.has(name)), "the groups are {}", names.join(", "));
    for group in names.into_iter().filter(|name| groups.has(name)) {
        let oracle = Oracle { shell, program: &program, project: &project, directory: &directory, group };
        oracle.install().with_context(|| format!("group {group}"))?;
    }
    bench::remove(shell, &directory.join("work"))?;
    Ok(directory)
}

/// One group of packages.
struct Oracle<'a> {
    shell: &'a Shell,
    program: &'a Path,
    project: &'a Path,
    directory: &'a Path,
    group: &'a str,
}

impl Oracle<'_> {
    fn install(&self) -> Result<()> {
        let Self { shell, program, project, directory, group } = self;
        say::step(&format!("group {group}: building the image"));
        let agent = directory.join("work/agent");
        std::fs::write(&agent, agent_stand_in())?;
        let image = directory.join(format!("{group}.img"));
        cmd!(shell, "{program} --directory {project} --agent {agent} --quiet build {group} --output {image}")
            .quiet()
            .run()?;
        let lock = store::locked(shell, project, group)?;
        if *group == USUAL {
            has_all_of_lab(shell, &lock)?;
        }
        say::step(&format!("group {group}: dpkg installs {} packages", lock.len()));
        let repository = self.repository(&lock)?;
        self.bootstrap(&lock, &repository)
    }

    /// A repository of the locked packages, and of what they need besides.
    fn repository(&self, lock: &[Package]) -> Result<PathBuf> {
        let shell = self.shell;
        let work = self.directory.join("work").join(self.group);
        let (repository, root, tree) = (work.join("repository"), work.join("apt"), work.join("stand-in"));
        for directory in [&repository, &root, &tree] {
            shell.create_dir(directory)?;
        }
        let cache = store::cache(shell, self.program, self.project)?;
        for package in lock {
            store::link(&store::download(&cache, package), &repository.join(archive_name(package)))?;
        }
        stand_in(shell, STAND_IN, &tree, &repository)?;

        let apt = apt::Root::new(shell, &root, ARCHITECTURE, &sources(shell, lock)?)?;
        let list = format!("deb [trusted=yes] copy://{} ./\n", repository.display());
        shell.write_file(root.join("etc/apt/sources.list"), list)?;
        shell.write_file(root.join("etc/apt/preferences"), preferences(lock))?;
        apt.run("apt-get", &["update", "-qq"])?;
        let archives = root.join("var/cache/apt/archives");
        for deb in debs(shell, &repository)? {
            store::link(&deb, &archives.join(deb.file_name().context("a .deb has a name")?))?;
        }
        let wanted = exact(lock);
        let mut install = vec!["install", "-qq", "--yes", "--download-only", "--no-install-recommends", STAND_IN];
        install.extend(wanted.iter().map(String::as_str));
        apt.run("apt-get", &install)?;
        for deb in debs(shell, &archives)? {
            let there = repository.join(deb.file_name().context("a .deb has a name")?);
            if !there.exists() {
                store::link(&deb, &there)?;
            }
        }
        index(shell, &repository)?;
        Ok(repository)
    }

    fn bootstrap(&self, lock: &[Package], repository: &Path) -> Result<()> {
        let Self { shell, directory, group, .. } = self;
        let tree = directory.join(group);
        let log = directory.join(format!("{group}.log"));
        let source = format!("deb [trusted=yes] copy://{} ./", repository.display());
        let include = [exact(lock), vec![STAND_IN.to_owned()]].concat().join(",");
        // An empty suite: the essential packages are those of the repository, whatever it calls itself.
        // What is in /dev, /run and /tmp stays, so that the comparison sees it.
        let bootstrap =
            cmd!(shell, "mmdebstrap --mode=root --variant=essential --format=directory --verbose --logfile={log}")
                .arg(format!("--architectures={ARCHITECTURE}"))
                .arg("--skip=cleanup/dev,cleanup/run,cleanup/tmp")
                .arg(format!("--include={include}"))
                .arg("")
                .arg(&tree)
                .arg(&source);
        let done = bootstrap.quiet().ignore_status().output()?;
        ensure!(done.status.success(), "mmdebstrap failed; {} says why", log.display());
        Ok(())
    }
}

/// `NAME=VERSION` of every locked package.
fn exact(lock: &[Package]) -> Vec<String> {
    lock.iter().map(|package| format!("{}={}", package.name, package.version)).collect()
}

fn debs(shell: &Shell, directory: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = shell.read_dir(directory)?;
    entries.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    Ok(entries)
}

/// Fails when image `lab` has a package that the group has not, its kernel aside.
fn has_all_of_lab(shell: &Shell, lock: &[Package]) -> Result<()> {
    let root = workspace::root()?;
    if !root.join("hah.lock").is_file() {
        say::step("image lab is not locked; whether the group has all of its packages is not known");
        return Ok(());
    }
    let lab = store::locked(shell, &root, bench::IMAGE)?;
    let is_here = |name: &str| lock.iter().any(|package| package.name == name);
    let missing: Vec<&str> = lab.iter().map(|package| package.name.as_str()).filter(|name| !is_here(name)).collect();
    let missing: Vec<&str> = missing.into_iter().filter(|name| !is_of_the_board(name)).collect();
    ensure!(missing.is_empty(), "add what image lab has to {PROJECT}/recipes/debian.toml: {}", missing.join(" "));
    Ok(())
}

/// Kernels, firmware and what firmware wants.
fn is_of_the_board(name: &str) -> bool {
    ["linux-image-", "firmware-", "raspi-"].iter().any(|prefix| name.starts_with(prefix)) || name == "wireless-regdb"
}

/// A program that does nothing, for a machine that is never started: a static amd64 ELF of one segment (elf(5)).
fn agent_stand_in() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut put = |value: u64, bytes: usize| elf.extend_from_slice(&value.to_le_bytes()[..bytes]);
    // ET_EXEC, EM_X86_64, version, entry, program headers at 64, no sections.
    [
        (2, 2),
        (62, 2),
        (1, 4),
        (0x40_0078, 8),
        (64, 8),
        (0, 8),
        (0, 4),
        (64, 2),
        (56, 2),
        (1, 2),
        (0, 2),
        (0, 2),
        (0, 2),
    ]
    .into_iter()
    // PT_LOAD, readable and executable, from 0 to 0x40_0000, 0x80 bytes, page-aligned; then eight times HLT.
    .chain([(1, 4), (5, 4), (0, 8), (0x40_0000, 8), (0x40_0000, 8), (0x80, 8), (0x80, 8), (0x1000, 8)])
    .chain([(0xf4f4_f4f4_f4f4_f4f4, 8)])
    .for_each(|(value, bytes)| put(value, bytes));
    elf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_is_an_elf_of_its_declared_size() {
        let elf = agent_stand_in();
        assert_eq!(elf.len(), 0x80);
        assert_eq!((&elf[..4], &elf[18..20]), (b"\x7fELF".as_slice(), [62, 0].as_slice()));
    }

    #[test]
    fn versions_are_pinned_and_the_boards_packages_do_not_count() {
        let package = Package { name: "a".to_owned(), version: "1:2".to_owned(), ..Package::default() };
        assert_eq!(exact(&[package]), ["a=1:2"]);
        assert!(is_of_the_board("linux-image-arm64") && is_of_the_board("raspi-firmware") && !is_of_the_board("dpkg"));
    }
}
