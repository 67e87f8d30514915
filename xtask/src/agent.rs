//! `cargo xtask agent`: the node's agent, static, for each architecture, from any host.
//!
//! The compilers that can do it are tried in this order: the host's own with a target that rustup fetches (musl:
//! self-contained, linked by rustc's lld; or glibc), Debian's rustc with the standard library of Debian's own for that
//! architecture, and Debian's rustc with the standard library built from Debian's sources and linked by zig, which brings
//! a musl for every processor. The binary depends on the compiler and the lock file, not on the machine or the directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hah_node::architecture::{ARCHITECTURES, Architecture};
use xshell::{Shell, cmd};

use crate::{apt, say, workspace};

/// What the binary may weigh, in bytes: it is in every image twice, and read by the firmware of a Pi.
const SIZE_MAX: u64 = 1_600_000;
/// The same of a PC, whose instructions are longer, and which has the memory.
const SIZE_MAX_PC: u64 = 1_800_000;

/// Debian's rustc, and the package with its standard library's sources.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// How to compile.
struct Toolchain {
    name: String,
    /// Rust's target.
    target: &'static str,
    /// Whether Debian's rustc does it, instead of cargo's own.
    debian: bool,
    /// Whether the standard library is compiled as well.
    builds_std: bool,
    linker: String,
    /// The linker's option, which gcc wants wrapped.
    no_build_id: &'static str,
}

/// The linker of rustup's toolchains.
const RUST_LLD: &str = "rust-lld";
/// Leaves out the tables by which a stack is walked, a seventh of the program: a panic ends the agent where it happens.
/// No compiler's option does it, since the standard library comes with its tables.
const WITHOUT_UNWINDING: &str = "\
SECTIONS { /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.gcc_except_table .gcc_except_table.*) } } INSERT AFTER .text;
";

/// Where the agents are: `ARCHITECTURE/hah-agent`, by Debian's names. `HAH_AGENTS` names it to the builder's build.
pub(crate) fn directory() -> Result<PathBuf> {
    Ok(workspace::root()?.join("target/agent"))
}

/// The architecture that Debian calls `name`.
pub(crate) fn architecture(name: &str) -> Result<&'static Architecture> {
    Architecture::of_debian(name).with_context(|| {
        let known: Vec<&str> = ARCHITECTURES.iter().map(|row| row.debian).collect();
        format!("there is no architecture {name}; there are {}", known.join(", "))
    })
}

/// Builds the agent for the architecture that Debian calls `name`, with the first toolchain that can or with the one of
/// this name, and returns where it is.
pub(crate) fn build(shell: &Shell, name: &str, wanted: Option<&str>) -> Result<PathBuf> {
    let architecture = architecture(name)?;
    let toolchain = toolchain(shell, architecture, wanted)?;
    say::step(&format!("building the agent for {} with {}", architecture.debian, toolchain.name));
    let built = compile(shell, &toolchain)?;
    let agent = directory()?.join(architecture.debian).join("hah-agent");
    if let Some(directory) = agent.parent() {
        shell.create_dir(directory)?;
    }
    let bytes = shell.read_binary_file(&built)?;
    // A newer time alone would have hah-image, which has it inside, compiled again.
    if std::fs::read(&agent).is_ok_and(|old| old == bytes) {
        say::step(&format!("{} is as it was", agent.display()));
    } else {
        // Renamed into place: an image build may be reading the old one.
        let unfinished = agent.with_extension("new");
        shell.copy_file(&built, &unfinished)?;
        std::fs::rename(&unfinished, &agent).with_context(|| format!("cannot write {}", agent.display()))?;
    }
    let size = bytes.len() as u64;
    say::step(&format!("{} is {} KiB", agent.display(), size.div_ceil(1024)));
    let most = if architecture.debian == "amd64" { SIZE_MAX_PC } else { SIZE_MAX };
    if size > most {
        bail!("the agent has {size} bytes, more than the {most} that an initramfs should carry");
    }
    Ok(agent)
}

fn toolchain(shell: &Shell, architecture: &Architecture, wanted: Option<&str>) -> Result<Toolchain> {
    let is_wanted = |key: &str| wanted.is_none_or(|wanted| wanted == key);
    let gcc = format!("{}-gcc", architecture.multiarch);
    for target in architecture.rust_targets.iter().copied() {
        let is_musl = target.contains("musl");
        let key = if is_musl { "musl" } else { "glibc" };
        if !is_wanted(key) || !has_target(shell, target) {
            continue;
        }
        let linker = if is_musl { RUST_LLD.to_owned() } else { gcc };
        if !is_musl {
            install_cross_compiler(shell, architecture)?;
        }
        // rust-lld is part of every rustup toolchain, so that no C compiler is needed.
        let no_build_id = if is_musl { "--build-id=none" } else { "-Wl,--build-id=none" };
        let name = format!("rustup's {key} target");
        return Ok(Toolchain { name, target, debian: false, builds_std: false, linker, no_build_id });
    }
    let no_build_id = "-Wl,--build-id=none";
    if let Some(target) = architecture.rust_targets.iter().copied().find(|target| target.ends_with("-gnu"))
        && is_wanted("debian")
    {
        apt::add_architecture(shell, architecture.debian)?;
        apt::install(shell, &["rustc-web", &format!("libstd-rust-web-dev:{}", architecture.debian)])?;
        install_cross_compiler(shell, architecture)?;
        let name = "Debian's rustc".to_owned();
        return Ok(Toolchain { name, target, debian: true, builds_std: false, linker: gcc, no_build_id });
    }
    if let Some(target) = architecture.rust_targets.iter().copied().find(|target| target.contains("musl"))
        && is_wanted("zig")
    {
        let linker = zig(shell, architecture)?.display().to_string();
        let name = "Debian's rustc and sources, and zig".to_owned();
        return Ok(Toolchain { name, target, debian: true, builds_std: true, linker, no_build_id });
    }
    bail!("no toolchain for {} is called {}", architecture.debian, wanted.unwrap_or("musl, glibc, debian or zig"))
}

/// gcc that links for another architecture.
fn install_cross_compiler(shell: &Shell, architecture: &Architecture) -> Result<()> {
    let compiler = format!("gcc-{}", architecture.multiarch.replace('_', "-"));
    apt::install(shell, &[&compiler, &format!("libc6-dev-{}-cross", architecture.debian)])
}

/// Installs zig from PyPI below `target`, and returns a script that links with it as gcc would.
fn zig(shell: &Shell, architecture: &Architecture) -> Result<PathBuf> {
    apt::install(shell, &["python3-pip", "rust-web-src", "rustc-web"])?;
    let directory = workspace::target()?.join("zig");
    if !directory.join("ziglang").is_dir() {
        say::step("fetching zig, which links for every processor");
        cmd!(shell, "python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore")
            .arg("--target")
            .arg(&directory)
            .arg("ziglang")
            .quiet()
            .run()?;
    }
    let script = directory.join(format!("cc-{}", architecture.debian));
    let text = format!(
        "#!/bin/sh\nPYTHONPATH='{}' exec python3 -m ziglang cc -target {}-linux-musl{} -mcpu={} \"$@\"\n",
        directory.display(),
        architecture.dpkg.gnu_cpu,
        architecture.dpkg.gnu_system.trim_start_matches("linux-gnu"),
        architecture.zig_cpu,
    );
    shell.write_file(&script, text)?;
    make_executable(&script)?;
    Ok(script)
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", path.display()))
}

/// Whether the active toolchain has a target, or rustup can fetch it.
fn has_target(shell: &Shell, target: &str) -> bool {
    let Ok(sysroot) = cmd!(shell, "rustc --print sysroot").quiet().ignore_stderr().read() else { return false };
    let library = PathBuf::from(sysroot).join("lib/rustlib").join(target).join("lib");
    if library.is_dir() {
        return true;
    }
    let added = cmd!(shell, "rustup target add {target}").quiet().ignore_stdout().ignore_stderr().run();
    if added.is_ok() {
        say::step(&format!("installed the rustup target {target}"));
    }
    added.is_ok() && library.is_dir()
}

fn compile(shell: &Shell, toolchain: &Toolchain) -> Result<PathBuf> {
    let root = workspace::root()?;
    let cargo_home = match (workspace::variable("CARGO_HOME"), workspace::variable("HOME")) {
        (Some(directory), _) => directory,
        (None, Some(home)) => format!("{home}/.cargo"),
        (None, None) => bail!("neither CARGO_HOME nor HOME is set"),
    };
    let mut flags = vec![
        format!("--remap-path-prefix={}=/hah-image", root.display()),
        format!("--remap-path-prefix={cargo_home}=/cargo"),
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Crelocation-model=static".to_owned(),
        format!("-Clinker={}", toolchain.linker),
        // The id would be a hash of the same bytes over again.
        format!("-Clink-arg={}", toolchain.no_build_id),
        // zig has musl's own start files.
        format!("-Clink-self-contained={}", if toolchain.builds_std { "no" } else { "yes" }),
    ];
    // Not the workspace's target directory: other flags would throw away what is built there.
    let directory = workspace::target()?.join("agent-build");
    if toolchain.linker == RUST_LLD {
        let script = directory.join("without-unwinding.ld");
        shell.write_file(&script, WITHOUT_UNWINDING)?;
        flags.extend(["-Clink-arg=--no-eh-frame-hdr".to_owned(), format!("-Clink-arg=-T{}", script.display())]);
    }
    let target = toolchain.target;
    let mut cargo = cmd!(shell, "cargo build --profile agent --package hah-agent --target {target}")
        .arg("--target-dir")
        .arg(&directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        // A wrapper or flags of the person's own would make another binary.
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("CARGO_BUILD_TARGET")
        .quiet();
    if toolchain.debian {
        cargo = cargo.env("RUSTC", DEBIAN_RUSTC);
    }
    if toolchain.builds_std {
        // Cargo's own option is not stable; the sources and the compiler are of one release all the same.
        cargo = cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
    }
    cargo.run().context("the agent does not build")?;
    Ok(directory.join(target).join("agent/hah-agent"))
}
