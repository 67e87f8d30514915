//! `cargo xtask agent`: the node's agent, static, for aarch64, from any host.
//!
//! Two compilers can do it, tried in this order: the host's own with a target that rustup fetches (musl: self-contained,
//! linked by rustc's lld; or glibc), and Debian's rustc with the standard library of Debian's arm64. The binary depends
//! on the compiler and the lock file, not on the machine or the directory.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{apt, say, workspace};

/// What the binary may weigh, in bytes: it is in every image twice, and read by the firmware of a Pi.
const SIZE_MAX: u64 = 1_500_000;

/// How to compile.
struct Toolchain {
    /// As `--toolchain` names it.
    key: &'static str,
    name: &'static str,
    target: &'static str,
    /// Instead of cargo's own.
    rustc: Option<&'static str>,
    linker: &'static str,
    /// The linker's option, which gcc wants wrapped.
    no_build_id: &'static str,
}

const MUSL: Toolchain = Toolchain {
    key: "musl",
    name: "rustup's musl target",
    target: "aarch64-unknown-linux-musl",
    rustc: None,
    // Part of every rustup toolchain, so that no C compiler is needed.
    linker: "rust-lld",
    no_build_id: "--build-id=none",
};
const GLIBC: Toolchain = Toolchain {
    key: "glibc",
    name: "rustup's glibc target",
    target: "aarch64-unknown-linux-gnu",
    rustc: None,
    linker: "aarch64-linux-gnu-gcc",
    no_build_id: "-Wl,--build-id=none",
};
const DEBIAN: Toolchain = Toolchain {
    key: "debian",
    name: "Debian's rustc",
    target: "aarch64-unknown-linux-gnu",
    rustc: Some("/usr/bin/rustc"),
    linker: "aarch64-linux-gnu-gcc",
    no_build_id: "-Wl,--build-id=none",
};

/// Builds the agent with the first toolchain that can, or with the one of this name, and returns where it is.
pub(crate) fn build(shell: &Shell, wanted: Option<&str>) -> Result<PathBuf> {
    let toolchain = toolchain(shell, wanted)?;
    say::step(&format!("building the agent with {}", toolchain.name));
    let built = compile(shell, &toolchain)?;
    let agent = workspace::root()?.join("target/agent/aarch64/hah-agent");
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
    if size > SIZE_MAX {
        bail!("the agent has {size} bytes, more than the {SIZE_MAX} that an initramfs should carry");
    }
    Ok(agent)
}

fn toolchain(shell: &Shell, wanted: Option<&str>) -> Result<Toolchain> {
    for toolchain in [MUSL, GLIBC, DEBIAN] {
        match wanted {
            Some(key) if key == toolchain.key => {}
            Some(_) => continue,
            None => {}
        }
        if toolchain.rustc.is_some() {
            apt::add_architecture(shell, "arm64")?;
            apt::install(shell, &["rustc-web", "libstd-rust-web-dev:arm64"])?;
        } else if !has_target(shell, toolchain.target) {
            continue;
        }
        if toolchain.linker != MUSL.linker {
            apt::install(shell, &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"])?;
        }
        return Ok(toolchain);
    }
    bail!("no such toolchain, or it cannot be installed: {}", wanted.unwrap_or("musl, glibc or debian"))
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
    let flags = [
        format!("--remap-path-prefix={}=/hah-image", root.display()),
        format!("--remap-path-prefix={cargo_home}=/cargo"),
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Crelocation-model=static".to_owned(),
        format!("-Clinker={}", toolchain.linker),
        // The id would be a hash of the same bytes over again.
        format!("-Clink-arg={}", toolchain.no_build_id),
    ];
    // Not the workspace's target directory: other flags would throw away what is built there.
    let directory = workspace::target()?.join("agent-build");
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
    if let Some(rustc) = toolchain.rustc {
        cargo = cargo.env("RUSTC", rustc);
    }
    cargo.run().context("the agent does not build")?;
    Ok(directory.join(target).join("agent/hah-agent"))
}
