//! What the rivals take for the same packages.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Cmd, cmd};

use super::Bench;
use super::measure::{Times, wall};
use super::ours;
use super::packages;
use super::store::{self, Package};

const EXTRACT_RUNS: usize = 3;
/// What recipes/base.toml removes, as mksquashfs's wildcards.
const REMOVED: [&str; 8] = [
    "etc/init.d/*",
    "usr/share/bug",
    "usr/share/doc-base",
    "usr/share/doc/*/!(copyright)",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale/*",
    "usr/share/man",
];
/// The same for dpkg, which a person who cares about size gives to mmdebstrap.
const DPKG_OPTIONS: [&str; 8] = [
    "path-exclude=/usr/share/bug/*",
    "path-exclude=/usr/share/doc-base/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
];

/// mmdebstrap into a directory, then mksquashfs.
pub(super) fn bootstrapped(bench: &Bench<'_>, lock: &[Package], architecture: &str) -> Result<Duration> {
    let shell = bench.shell;
    if cmd!(shell, "dpkg --print-architecture").quiet().read()? != architecture
        && cmd!(shell, "arch-test {architecture}").quiet().ignore_stdout().ignore_stderr().run().is_err()
    {
        bail!("this machine cannot run programs of {architecture}: see binfmt_misc and qemu-user-static");
    }
    let repository = packages::repository(bench, lock, architecture)?;
    let parent = bench.empty(&format!("bootstrap-{architecture}"))?;
    let tree = parent.join("root");
    let squashed = parent.join("root.squashfs");
    let log = bench.scratch.join(format!("logs/mmdebstrap-{architecture}.log"));
    let source = format!("deb [trusted=yes] copy://{} ./", repository.directory.display());
    let include = repository.names.join(",");
    let options = DPKG_OPTIONS.map(|option| format!("--dpkgopt={option}"));
    // An empty suite: the essential packages are those of the repository, whatever it calls itself.
    let bootstrap =
        cmd!(shell, "mmdebstrap --mode=root --variant=essential --format=directory --verbose --logfile={log}")
            .arg(format!("--architectures={architecture}"))
            .args(&options)
            .arg(format!("--include={include}"))
            .arg("")
            .arg(&tree)
            .arg(&source);
    let took = wall(|| {
        run(bootstrap).with_context(|| format!("see {}", log.display()))?;
        run(squash(bench, &tree, &squashed))
    });
    let took = took?;
    bench.remove(&parent)?;
    Ok(took)
}

/// `dpkg-deb -x` of the very same .debs into one directory, then mksquashfs without what our image removes.
pub(super) fn extracted(bench: &Bench<'_>, lock: &[Package]) -> Result<Times> {
    let shell = bench.shell;
    let warm = ours::warm(bench);
    // Debian's old packages replace the links of the merged /usr by directories; the links must be there before them.
    let is_first = |package: &&Package| package.name == "base-files";
    let first = lock.iter().find(is_first).context("the lock has no base-files")?;
    let first = store::download(&warm, first);
    let rest = lock.iter().filter(|package| !is_first(package));
    let rest: Vec<String> = rest.map(|package| store::download(&warm, package).display().to_string()).collect();
    let list = bench.scratch.join("debs");
    shell.write_file(&list, rest.join("\n"))?;
    let cores = bench.cores.to_string();
    Times::of(EXTRACT_RUNS, |_| {
        let parent = bench.empty("extracted")?;
        let tree = parent.join("root");
        let squashed = parent.join("root.squashfs");
        let took = wall(|| {
            run(cmd!(shell, "dpkg-deb -x {first} {tree}"))?;
            run(cmd!(shell, "xargs --arg-file={list} --max-procs={cores} -I DEB dpkg-deb -x DEB {tree}"))?;
            run(squash(bench, &tree, &squashed).args(["-wildcards", "-e"]).args(REMOVED))
        })?;
        bench.remove(&parent)?;
        Ok(took)
    })
}

/// Bytes of our root file system, and of mksquashfs's from the very same tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Ours.
    pub(super) ours: u64,
    /// mksquashfs's.
    pub(super) theirs: u64,
}

/// Takes our root partition apart and lets mksquashfs build it again.
pub(super) fn same_tree(bench: &Bench<'_>, image: &Path) -> Result<Sizes> {
    let shell = bench.shell;
    let parent = bench.empty("same-tree")?;
    let ours = parent.join("ours.squashfs");
    let theirs = parent.join("theirs.squashfs");
    let tree = parent.join("root");
    let manifest: Value = serde_json::from_str(&shell.read_file(image.with_extension("json"))?)?;
    let (start, size) = partition(&manifest, "root").context("the image's manifest has no partition named root")?;
    let mut file = std::fs::File::open(image)?;
    file.seek(SeekFrom::Start(start))?;
    std::io::copy(&mut file.take(size), &mut std::fs::File::create(&ours)?)?;
    run(cmd!(shell, "unsquashfs -no-progress -quiet -dest {tree} {ours}").ignore_stdout())?;
    run(squash(bench, &tree, &theirs))?;
    let sizes = Sizes { ours: bytes_used(&ours)?, theirs: bytes_used(&theirs)? };
    bench.remove(&parent)?;
    Ok(sizes)
}

/// First byte and length of a partition, by the manifest beside the image.
fn partition(manifest: &Value, name: &str) -> Option<(u64, u64)> {
    let partitions = manifest["disk"]["partitions"].as_array()?;
    let found = partitions.iter().find(|partition| partition["name"] == name)?;
    Some((found["start"].as_u64()?, found["size"].as_u64()?))
}

/// `bytes_used` of a squashfs superblock: eight bytes at 40, little-endian (Linux, fs/squashfs/squashfs_fs.h).
fn bytes_used(path: &Path) -> Result<u64> {
    let mut head = [0; 48];
    std::fs::File::open(path)?.read_exact(&mut head)?;
    ensure!(head.starts_with(b"hsqs"), "{} is no squashfs", path.display());
    let mut field = [0; 8];
    field.copy_from_slice(&head[40..]);
    Ok(u64::from_le_bytes(field))
}

fn squash<'a>(bench: &Bench<'a>, tree: &Path, output: &Path) -> Cmd<'a> {
    let shell = bench.shell;
    cmd!(shell, "mksquashfs {tree} {output} -noappend -quiet -no-progress -comp zstd -Xcompression-level 9")
}

/// Runs a rival in silence; what it said is part of the error.
fn run(command: Cmd<'_>) -> Result<()> {
    let name = command.to_string();
    let done = command.quiet().ignore_status().output()?;
    if !done.status.success() {
        let name: String = name.chars().take(160).collect();
        let said = String::from_utf8_lossy(&done.stderr);
        let last: Vec<&str> = said.lines().rev().take(8).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("{name}: {}\n{}", done.status, last.join("\n"));
    }
    Ok(())
}
