//! Stage 1: from the kernel to systemd.
//!
//! ```text
//!  /proc /sys /dev /run ─► modules ─► disk ─► boot pointer ─► root (squashfs, ro) ─► data (ext4; made on first boot)
//!      ─► /etc (overlay on tmpfs, with what first-boot tasks left) ─► machine id, identity, kept directories ─► clear the initramfs ─► /sbin/init
//! ```
//!
//! Power can go at any instruction and the next boot is good: what outlives it is on the disk, and every change there
//! is either one small write ([`table`]) or made under another name, flushed and renamed ([`seed`]). Everything else is
//! in memory. A first boot is one transaction: the data partition counts as made when it is formatted *and* filled.
//!
//! The modules read in the order of the boot.

mod cmdline;
mod error;
mod mounts;
mod modules;
mod table;
mod disk;
mod tool;
mod ext4;
mod data;
mod seed;
mod clock;
mod etc;
mod boot_partition;
mod generation;
mod card;
mod apply;
mod switch;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use hah_node::generation::Slot;
use hah_node::identity::Identity;
use hah_node::paths;
use hah_node::stage1::{self, DataAction, IdentityOrigin, REPORT_VERSION, Report, Stage1, Step};
use rustix::time::{ClockId, clock_gettime};

use crate::{console, first_boot};
use error::{Error, InContext};

/// Where stage 1 mounts the root file system before it becomes `/`.
const ROOT: &str = "/root";
/// Where stage 1 mounts the data partition while it fills it.
const DATA: &str = "/data";

/// Boots. `arguments` are the words of the kernel command line that the kernel hands to init.
pub(crate) fn run(arguments: &[OsString]) -> ! {
    console::catch_panics();
    let error = match boot(arguments) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    match error.hint() {
        Some(hint) => console::fail(&format!("{error}; {hint}")),
        None => console::fail(&error.to_string()),
    }
}

fn boot(arguments: &[OsString]) -> Result<Infallible, Error> {
    mounts::kernel_file_systems()?;
    console::lift_rate_limit();
    let cmdline = cmdline::Cmdline::parse(&fs::read_to_string("/proc/cmdline").unwrap_or_default());
    console::configure(cmdline.debug, cmdline.on_failure);
    let config = read_config(Path::new(paths::STAGE1_CONFIG))?;
    console::say(&format!("starting {}", config.image));
    let mut boot = Boot::new(&config);

    clock::not_before(Duration::from_secs(config.epoch));
    for module in &config.modules {
        if let Err(problem) = modules::load(Path::new(paths::STAGE1_MODULES), module) {
            boot.warn(problem);
        }
    }
    boot.done("modules");

    let wanted = cmdline.disk.unwrap_or(config.disk);
    let mut disk = disk::wait_for(wanted)?;
    disk.ambiguity().into_iter().for_each(|problem| boot.warn(problem));
    boot.done("disk");

    let running = generation::settle(&disk, cmdline.generation, &mut boot);
    (boot.report.generation, boot.report.good) = (running.slot, running.good);
    boot.report.on_trial = running.on_trial;
    boot.report.disk_id = wanted.to_string();
    boot.report.flashed_root = disk.partition(hah_node::disk::ROOT).unwrap_or_default();
    boot.done("pointer");

    let data = generation::mount_all(&mut disk, running, &mut boot)?;
    boot.done("data");

    let root = Path::new(ROOT);
    let id = etc::machine_id(root)?;
    boot.report.new_machine_id = id.is_new;
    mounts::etc_overlay(root)?;
    // Before the node's own names and identity, which have the last word.
    first_boot::put_back_all(&first_boot::Places::below(root)).into_iter().for_each(|problem| boot.warn(problem));
    etc::name_disk(root, config.disk, wanted)?;
    let identity = boot.identity(&disk, root);
    let named = identity.as_ref().and_then(|identity| identity.hostname.clone());
    let hostname = named.unwrap_or_else(|| etc::default_hostname(&config.hostname_prefix, &id.text));
    etc::write_names(root, &hostname, &id.text)?;
    if let Some(identity) = identity {
        let problems = apply::apply(root, Path::new(paths::SECRETS), &identity, &hostname);
        problems.into_iter().for_each(|problem| boot.warn(problem));
    }
    boot.report.hostname = hostname;
    mounts::persist(root, &config.persist)?;
    clock::not_before_last_shutdown(root, Duration::from_secs(config.epoch));
    boot.done("identity");

    boot.report.disk = disk.name;
    boot.report.disk_bytes = disk.sectors.saturating_mul(table::SECTOR as u64);
    boot.report.data = data.name;
    boot.report.data_bytes = data.extent.bytes();
    console::say(&format!("this is {}; starting the system", boot.report.hostname));
    boot.write_report()?;
    let guard = if running.on_trial { generation::guard } else { || Ok(()) };
    switch::to_system(root, cmdline.init.as_deref(), arguments, guard)
}

/// The configuration in the initramfs.
fn read_config(path: &Path) -> Result<Stage1, Error> {
    let text = fs::read(path).doing(|| format!("read {}", path.display()))?;
    let config: Stage1 =
        serde_json::from_slice(&text).map_err(|source| Error::Config { path: path.to_owned(), source })?;
    if config.version != stage1::VERSION {
        return Err(Error::Version { found: config.version });
    }
    Ok(config)
}

/// One boot: its configuration, and the report that grows with it.
pub(crate) struct Boot<'c> {
    config: &'c Stage1,
    report: Report,
}

impl<'c> Boot<'c> {
    fn new(config: &'c Stage1) -> Self {
        let report = Report {
            version: REPORT_VERSION,
            image: config.image.clone(),
            image_id: config.image_id.clone(),
            disk: String::new(),
            disk_bytes: 0,
            data: String::new(),
            data_bytes: 0,
            flashed_root: String::new(),
            disk_id: String::new(),
            generation: Slot::FLASHED,
            good: Slot::FLASHED,
            on_trial: false,
            rescue: false,
            data_action: DataAction::Kept,
            seeded: 0,
            hostname: String::new(),
            new_machine_id: false,
            identity: IdentityOrigin::None,
            steps: Vec::new(),
            warnings: Vec::new(),
        };
        Self { config, report }
    }

    /// Notes that a step has ended.
    fn done(&mut self, step: &str) {
        let now = clock_gettime(ClockId::Boottime);
        let at_ms = u64::try_from(now.tv_sec).unwrap_or_default().saturating_mul(1000)
            + u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000_000;
        console::debug(&format!("{step} done at {at_ms} ms"));
        self.report.steps.push(Step { name: step.to_owned(), at_ms });
    }

    /// Says and keeps a problem that does not stop the boot.
    fn warn(&mut self, problem: String) {
        console::warn(&problem);
        self.report.warnings.push(problem);
    }

    /// The node's identity: from the card if there is one, which is then the one that the data partition keeps.
    fn identity(&mut self, disk: &disk::Disk, root: &Path) -> Option<Identity> {
        let file = etc::in_root(root, paths::IDENTITY);
        let mut problems = Vec::new();
        let mut origin = card::take(disk, &file, &|password| apply::hash_password(root, password), &mut problems);
        let identity = card::load(&file, &mut problems);
        if origin == IdentityOrigin::None && identity.is_some() {
            origin = IdentityOrigin::Kept;
        }
        self.report.identity = origin;
        problems.into_iter().for_each(|problem| self.warn(problem));
        identity
    }

    fn write_report(&self) -> Result<(), Error> {
        let path = Path::new(paths::STAGE1_REPORT);
        let text = serde_json::to_vec(&self.report).map_err(|source| Error::Report { source })?;
        fs::write(path, text).doing(|| format!("write {}", path.display()))
    }
}
