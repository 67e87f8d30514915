//! `cargo xtask test`: everything that continuous integration runs, in the order of what fails fastest.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{agent, apt, fuzz, generate, image, oracle, programs, say, services, tidy, workspace};

/// The foreign programs that judge what we write, by Debian package.
const ORACLES: [&str; 44] = [
    "age",
    "apt",
    "binutils",
    "bmap-tools",
    "btrfs-progs",
    "bzip2",
    "ca-certificates",
    "cpio",
    "curl",
    "debianutils",
    "desktop-file-utils",
    "dosfstools",
    "dpkg",
    "e2fsprogs",
    "faketime",
    "fdisk",
    "gdisk",
    "gpgv",
    "hostname",
    "init-system-helpers",
    "iproute2",
    "kmod",
    "libc-bin",
    "libcap2-bin",
    "libgdk-pixbuf2.0-bin",
    "libglib2.0-bin",
    "mtools",
    "nftables",
    "openssh-client",
    "openssh-server",
    "openssl",
    "passwd",
    "procps",
    "qemu-system-arm",
    "qemu-utils",
    "shared-mime-info",
    "squashfs-tools",
    "strace",
    "systemd",
    "udev",
    "util-linux",
    "xz-utils",
    "zip",
    "zstd",
];

/// Which tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// What a change must pass.
    Usual,
    /// Also what takes hours: the tests see `HAH_TEST_FULL=1`.
    Slow,
}

/// Runs the tests.
pub(crate) fn run(shell: &Shell, lanes: Lanes) -> Result<()> {
    image::install_compiler(shell)?;
    if is_required() {
        shell.set_var("HAH_REQUIRE_ORACLES", "1");
        apt::install(shell, &ORACLES)?;
    } else if let Err(missing) = apt::install(shell, &ORACLES) {
        say::step(&format!("{missing:#}; without them some tests are skipped"));
    }
    match programs::path(shell) {
        Ok(path) => shell.set_var("HAH_E2E_BIN", path),
        Err(error) if is_required() => return Err(error),
        Err(error) => say::step(&format!("{error:#}; tests of Consul and Prometheus are skipped")),
    }
    if lanes == Lanes::Slow {
        shell.set_var("HAH_TEST_FULL", "1");
    }

    say::step("formatting");
    cmd!(shell, "cargo fmt --all --check").quiet().run().context("run `cargo fmt --all`")?;
    cmd!(shell, "cargo fmt --manifest-path fuzz/Cargo.toml --check")
        .quiet()
        .run()
        .context("run `cargo fmt --manifest-path fuzz/Cargo.toml`")?;
    say::step("house rules");
    tidy::check(shell)?;
    // Before anything is compiled: hah-image embeds it, and would be compiled twice.
    for name in ["arm64", "amd64"] {
        agent::build(shell, name, None)?;
    }
    shell.set_var("HAH_AGENTS", agent::directory()?);
    say::step("lints");
    cmd!(shell, "cargo clippy --quiet --workspace --all-targets -- -D warnings").quiet().run()?;
    say::step("documentation");
    // It is read with private items or not at all, so links to those lead somewhere.
    cmd!(shell, "cargo doc --quiet --workspace --no-deps --document-private-items")
        .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")
        .quiet()
        .run()?;
    // Before the tests: it leaves the real packages in the cache, which some of them want.
    image::build(shell, "lab")?;
    // The tests build variants of both images, offline: this locks the second one and fetches what only it needs.
    image::build(shell, "lab-virt")?;
    let packages = packages(shell)?;
    shell.set_var("HAH_TEST_DEBS", &packages);
    shell.set_var("HAH_TEST_COVERAGE", coverage(shell)?);
    match apt_root(shell) {
        Ok(root) => shell.set_var("HAH_TEST_APT", root),
        Err(error) if is_required() => return Err(error),
        Err(error) => say::step(&format!("{error:#}; apt is not asked which versions it chooses of Debian's")),
    }
    // One group takes two minutes, all of them ten: `cargo xtask oracle` is the verb for them.
    let groups = if lanes == Lanes::Slow { oracle::Groups::All } else { oracle::Groups::Usual };
    match oracle::prepare(shell, groups) {
        Ok(trees) => shell.set_var("HAH_TEST_DPKG", trees),
        Err(error) if is_required() => return Err(error),
        Err(error) => say::step(&format!("{error:#}; what dpkg makes of the packages is not compared")),
    }
    // An hour of emulation: `cargo xtask services` is the verb for it.
    if lanes == Lanes::Slow {
        shell.set_var("HAH_SERVICES_IMAGE", services::prepare(shell)?);
    }
    say::step("tests of the crates");
    cmd!(shell, "cargo test --quiet --workspace --exclude hah-image").quiet().run()?;
    cmd!(shell, "cargo test --quiet --package hah-image --lib --bins").quiet().run()?;
    say::step("generated files");
    generate::run(shell, generate::Mode::Check)?;
    say::step("fuzz targets, on their seeds");
    fuzz::run(shell, fuzz::Task::Seeds)?;
    say::step("tests of the whole");
    let image = workspace::root()?.join("out/lab.img");
    cmd!(shell, "cargo test --quiet --package hah-image --test it").env("HAH_LAB_IMAGE", image).quiet().run()?;
    Ok(())
}

/// Whether a foreign program that is missing fails the run.
fn is_required() -> bool {
    ["CI", "HAH_REQUIRE_ORACLES"].iter().any(|name| workspace::variable(name).is_some())
}

/// A copy of the project of the test `build::coverage`, locked, with its packages in the store.
fn coverage(shell: &Shell) -> Result<PathBuf> {
    say::step("packages that people ask for");
    let program = workspace::target()?.join("release/hah-image");
    let project = workspace::target()?.join("test-coverage");
    // What was locked before stays locked.
    shell.remove_path(project.join("images"))?;
    shell.create_dir(&project)?;
    for part in ["hah-image.toml", "images"] {
        let from = workspace::root()?.join("tests/it/build/coverage").join(part);
        cmd!(shell, "cp -r {from} {project}").quiet().run()?;
    }
    cmd!(shell, "{program} -C {project} --quiet lock many").quiet().run()?;
    cmd!(shell, "{program} -C {project} --quiet review --image many").quiet().ignore_stdout().run()?;
    Ok(project)
}

/// A root of apt with the indexes of trixie and what belongs to it, backports included, as this machine's mirrors have
/// them now: for the test that compares apt's choices with ours on these very files.
fn apt_root(shell: &Shell) -> Result<PathBuf> {
    say::step("apt's indexes, to compare its choices with ours");
    let path = workspace::target()?.join("test-apt");
    shell.remove_path(&path)?;
    shell.create_dir(&path)?;
    let suites = [
        ("debian", "trixie"),
        ("debian", "trixie-updates"),
        ("debian-security", "trixie-security"),
        ("debian", "trixie-backports"),
    ];
    let sources = suites.iter().map(|(archive, suite)| apt::source(shell, archive, suite, "main"));
    let sources = sources.collect::<Result<String>>()?;
    apt::Root::new(shell, &path, "arm64", &sources)?.run("apt-get", &["update", "-qq"])?;
    Ok(path)
}

/// A directory of links `NAME_VERSION_ARCHITECTURE.deb` to the packages of `out/lab.img` in the download cache.
fn packages(shell: &Shell) -> Result<PathBuf> {
    let program = workspace::target()?.join("release/hah-image");
    let store = PathBuf::from(cmd!(shell, "{program} store path").quiet().read()?);
    let manifest: Value = serde_json::from_str(&shell.read_file("out/lab.json")?).context("out/lab.json")?;
    let directory = workspace::target()?.join("test-debs");
    shell.remove_path(&directory)?;
    shell.create_dir(&directory)?;
    for package in manifest.get("packages").and_then(Value::as_array).context("out/lab.json lists no packages")? {
        let field = |name: &str| package.get(name).and_then(Value::as_str).unwrap_or_default();
        let deb = store.join("downloads/sha256").join(field("sha256"));
        // A pack that outlived its download serves builds; the tests want the .deb itself.
        if !deb.exists() {
            bail!("{} is packed but no longer downloaded; remove {} and try again", field("name"), store.display());
        }
        let name = format!("{}_{}_{}.deb", field("name"), field("version").replace(':', "%3a"), field("architecture"));
        std::os::unix::fs::symlink(&deb, directory.join(&name)).with_context(|| name.clone())?;
    }
    Ok(directory)
}
