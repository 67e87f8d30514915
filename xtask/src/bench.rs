//! `cargo xtask bench`: hah-image beside its rivals, in one run, on one package set, with every download at hand.
//!
//! Every number that the README prints comes from here. A missed target is printed as such and is no error: this is a
//! report, and what it says depends on how idle the machine is. Reading order: [`ours`] what is ours, [`fleet`] ten of
//! it, [`packages`] what a rival needs beforehand, [`rivals`], [`scripts`] what the scripts of a large image take,
//! [`flash`] writing cards, [`report`] the tables.
//!
//! It works in `out/bench`, needs root because the rivals do, and leaves `out/bench.md` or `out/bench-flash.md` behind.

mod measure;
pub(crate) mod store;
mod ours;
mod fleet;
pub(crate) mod packages;
mod rivals;
mod scripts;
mod flash;
mod report;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{agent, apt, image, say, workspace};

/// The image that is measured.
pub(crate) const IMAGE: &str = "lab";
/// What the rivals and the measuring are made of, by Debian package.
const TOOLS: [&str; 5] = ["dpkg", "dpkg-dev", "mmdebstrap", "squashfs-tools", "time"];
/// What runs programs of another architecture.
const FOREIGN_TOOLS: [&str; 3] = ["arch-test", "binfmt-support", "qemu-user-static"];

/// Which rivals take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rivals {
    /// Those that take a minute.
    Native,
    /// Also mmdebstrap for the image's own architecture, by emulation: a quarter of an hour.
    Foreign,
}

/// What every measurement needs.
struct Bench<'a> {
    shell: &'a Shell,
    /// The release build of hah-image.
    program: PathBuf,
    /// The workspace, which is the project.
    project: PathBuf,
    /// `out/bench`.
    scratch: PathBuf,
    /// Processors of this machine.
    cores: usize,
}

/// Measures everything and prints the tables.
pub(crate) fn run(shell: &Shell, wanted: Rivals) -> Result<()> {
    let bench = prepare(shell, &[TOOLS.as_slice(), &flash::TOOLS].concat())?;
    if wanted == Rivals::Foreign {
        apt::install(shell, &FOREIGN_TOOLS)?;
        emulate(shell)?;
    }
    let machine = report::machine(shell, bench.cores)?;
    let lock = store::locked(shell, &bench.project, IMAGE)?;

    let ours = ours::measure(&bench, &lock)?;
    let fleet = attempt("ten images", || fleet::measure(&bench, &lock));
    let extracted = attempt("dpkg-deb -x + mksquashfs", || rivals::extracted(&bench, &lock));
    let sizes = attempt("the same tree with mksquashfs", || rivals::same_tree(&bench, &ours.image));
    let native = cmd!(shell, "dpkg --print-architecture").quiet().read()?;
    let native = attempt("mmdebstrap", || rivals::bootstrapped(&bench, &lock, &native));
    let foreign = (wanted == Rivals::Foreign).then(|| {
        attempt("mmdebstrap by emulation", || rivals::bootstrapped(&bench, &lock, packages::IMAGE_ARCHITECTURE))
    });
    let scripts = attempt("scripts", || scripts::measure(&bench));
    let flashed = attempt("flashing", || flash::measure(&bench));

    let results =
        report::Results { machine, packages: lock.len(), ours, fleet, extracted, sizes, native, foreign, scripts };
    let failed = results.failures() > 0;
    let mut table = report::table(&results);
    if let Ok(flashed) = &flashed {
        table.push('\n');
        table.push_str(&report::flashing(&results.machine, flashed));
    }
    shell.write_file(bench.project.join("out/bench.md"), &table)?;
    say::data(&table);
    if failed {
        say::step(&format!("the logs of what failed are in {}", bench.scratch.join("logs").display()));
        return bench.clean_but_logs();
    }
    bench.clean()
}

/// Measures the writing of cards only.
pub(crate) fn run_flash(shell: &Shell) -> Result<()> {
    let bench = prepare(shell, &flash::TOOLS)?;
    let machine = report::machine(shell, bench.cores)?;
    let table = report::flashing(&machine, &flash::measure(&bench)?);
    shell.write_file(bench.project.join("out/bench-flash.md"), &table)?;
    say::data(&table);
    bench.clean()
}

/// Measures the scripts of a large image only.
pub(crate) fn run_scripts(shell: &Shell) -> Result<()> {
    agent::build(shell, "arm64", None)?;
    cmd!(shell, "cargo build --quiet --release --package hah-image")
        .env("HAH_AGENTS", agent::directory()?)
        .quiet()
        .run()?;
    let bench = Bench::of(shell)?;
    let machine = report::machine(shell, bench.cores)?;
    say::data(&report::scripts(&machine, &scripts::measure(&bench)?));
    bench.clean()
}

/// Installs what is missing, builds the image, and makes an empty `out/bench`.
fn prepare<'a>(shell: &'a Shell, tools: &[&str]) -> Result<Bench<'a>> {
    if !apt::is_root(shell) {
        bail!("run it as root: hah-image needs no privilege, but its rivals here do");
    }
    apt::install(shell, tools)?;
    image::build(shell, IMAGE)?;
    Bench::of(shell)
}

/// Lets the kernel start programs of the image's architecture. Where systemd runs, it has done so already.
fn emulate(shell: &Shell) -> Result<()> {
    const AT: &str = "/proc/sys/fs/binfmt_misc";
    if std::path::Path::new(AT).join("register").exists() {
        return Ok(());
    }
    say::step(&format!("mounting binfmt_misc at {AT}, for the emulated rival"));
    cmd!(shell, "mount -t binfmt_misc binfmt_misc {AT}").quiet().run()?;
    Ok(cmd!(shell, "update-binfmts --enable").quiet().run()?)
}

/// One rival's outcome; that it failed is a row of the table, not the end of the run.
fn attempt<T>(name: &str, measure: impl FnOnce() -> Result<T>) -> Result<T> {
    say::step(&format!("measuring {name}"));
    measure().inspect_err(|error| say::problem(&format!("warning: {name}: {error:#}")))
}

impl<'a> Bench<'a> {
    /// With an empty `out/bench`.
    fn of(shell: &'a Shell) -> Result<Self> {
        let project = workspace::root()?;
        let bench = Self {
            shell,
            program: store::program()?,
            scratch: project.join("out/bench"),
            project,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        };
        bench.clean()?;
        shell.create_dir(bench.scratch.join("logs"))?;
        Ok(bench)
    }

    /// An empty directory below `out/bench`.
    fn empty(&self, name: &str) -> Result<PathBuf> {
        let directory = self.scratch.join(name);
        self.remove(&directory)?;
        self.shell.create_dir(&directory)?;
        Ok(directory)
    }

    fn clean(&self) -> Result<()> {
        self.remove(&self.scratch)
    }

    fn clean_but_logs(&self) -> Result<()> {
        for entry in self.shell.read_dir(&self.scratch)? {
            if !entry.ends_with("logs") {
                self.remove(&entry)?;
            }
        }
        Ok(())
    }

    fn remove(&self, directory: &std::path::Path) -> Result<()> {
        remove(self.shell, directory)
    }
}

/// Removes a directory of ours, unless mmdebstrap died and left something mounted in it.
pub(crate) fn remove(shell: &Shell, directory: &std::path::Path) -> Result<()> {
    let mounts = shell.read_file("/proc/self/mounts").context("cannot see what is mounted")?;
    let inside = |line: &&str| line.split(' ').nth(1).is_some_and(|at| std::path::Path::new(at).starts_with(directory));
    if let Some(line) = mounts.lines().find(inside) {
        bail!("mounted below {}, left by mmdebstrap: unmount it first: {line}", directory.display());
    }
    Ok(cmd!(shell, "rm -rf --one-file-system {directory}").quiet().run()?)
}
