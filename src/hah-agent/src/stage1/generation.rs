//! Which generation this boot is of, and where its root file system is.
//!
//! ```text
//! pointer N, G, T ─► written back as G, G, -   before anything else: whatever dies from here on, G starts next
//!      │
//!      ├─ this is 0 ─► partition 2 ─► data, or memory in its place
//!      └─ this is N ─► data ─► generations/N/root.squashfs
//!                        │ fails: a trial ends here, and G starts; where N itself is G, 0 starts
//! ```

use std::ffi::CStr;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use hah_node::generation::pointer::Pointer;
use hah_node::generation::{self, LAYOUT, LAYOUT_FILE, Slot};
use hah_node::paths;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::boot_partition::BootPartition;
use super::disk::Disk;
use super::error::{Error, InContext};
use super::{Boot, DATA, ROOT, data, mounts};
use crate::sys;
use crate::{console, pointer};

/// Where partition 2 is mounted for its programs, while another root is on its way.
const TOOLS: &str = "/tools";

/// This boot's generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Running {
    /// Which one it is, as the kernel command line says.
    pub(super) slot: Slot,
    /// What starts when this one does not last.
    pub(super) good: Slot,
    /// Whether it is on trial.
    pub(super) on_trial: bool,
}

/// What a boot of `slot` is, by the pointer that started it.
fn judge(slot: Slot, pointer: Pointer) -> Running {
    Running { slot, good: pointer.good, on_trial: pointer.trial == Some(slot) && pointer.good != slot }
}

/// Reads the pointer and disarms it.
pub(super) fn settle(disk: &Disk, slot: Slot, boot: &mut Boot<'_>) -> Running {
    let settled = BootPartition::mount(disk).map_err(|error| error.to_string()).and_then(|mut partition| {
        let mut found = pointer::read(partition.place).map_err(|error| error.to_string())?;
        let running = judge(slot, found.pointer);
        if found.pointer != found.pointer.settled() {
            partition.make_writable().map_err(|error| error.to_string())?;
            let settled = found.pointer.settled();
            found.write(settled).map_err(|error| error.to_string())?;
        }
        Ok(running)
    });
    let running = settled.unwrap_or_else(|problem| {
        // Cards from before there were generations come here on every boot, and lack nothing.
        console::debug(&format!("the boot pointer is not known: {problem}"));
        Running { slot, good: slot, on_trial: false }
    });
    match running {
        Running { slot, good, on_trial: true } => {
            console::say(&format!(
                "generation {slot} is on trial; generation {good} starts next unless this one is kept"
            ));
        }
        Running { slot, good, .. } if slot != good => {
            boot.warn(format!(
                "this is generation {slot}, since generation {good}, which is known to be good, did not start"
            ));
        }
        Running { slot, .. } if slot != Slot::FLASHED => console::say(&format!("this is generation {slot}")),
        Running { .. } => {}
    }
    running
}

/// Mounts this generation's root at [`ROOT`] and the data partition at its `/var`.
pub(super) fn mount_all(disk: &mut Disk, running: Running, boot: &mut Boot<'_>) -> Result<data::Data, Error> {
    if running.slot == Slot::FLASHED {
        return flashed(disk, boot);
    }
    let mounted = later(disk, running.slot, boot);
    if mounted.is_err() && !running.on_trial && running.slot == running.good {
        // The pointer names this one. Generation 0 needs no data partition: let it have the next boot, and this one the
        // one after that.
        let zero = Pointer { next: Slot::FLASHED, ..Pointer::keeping(running.good) };
        let armed = BootPartition::mount(disk).map_err(|error| error.to_string()).and_then(|mut partition| {
            partition.make_writable().map_err(|error| error.to_string())?;
            let mut found = pointer::read(partition.place).map_err(|error| error.to_string())?;
            found.write(zero).map_err(|error| error.to_string())
        });
        match armed {
            Ok(()) => console::say("generation 0 starts next"),
            Err(problem) => console::warn(&format!("generation 0 cannot be made the next: {problem}")),
        }
    }
    mounted
}

/// Generation 0: its root is a partition, and it boots without a data partition too, with its state in memory.
fn flashed(disk: &mut Disk, boot: &mut Boot<'_>) -> Result<data::Data, Error> {
    let root = Path::new(ROOT);
    mounts::root(disk, root)?;
    boot.done("root");
    let opened = data::open(disk, root, boot).and_then(|data| {
        is_known_layout(Path::new(DATA))?;
        data::fill_if_new(Path::new(DATA), boot)?;
        Ok(data)
    });
    match opened {
        Ok(data) => {
            data::move_to_var()?;
            Ok(data)
        }
        Err(error) => {
            boot.warn(format!("{error}; this boot keeps its state in memory, and starts no Consul, Nomad or Vault"));
            let _ = unmount(DATA, UnmountFlags::DETACH);
            let data = data::in_memory(boot)?;
            data::move_to_var()?;
            fs::write(generation::RESCUE, format!("{error}\n")).doing(|| format!("write {}", generation::RESCUE))?;
            boot.report.rescue = true;
            Ok(data)
        }
    }
}

/// A later generation: its root is a file on the data partition, which partition 2's programs check.
fn later(disk: &mut Disk, slot: Slot, boot: &mut Boot<'_>) -> Result<data::Data, Error> {
    let tools = Path::new(TOOLS);
    mounts::root(disk, tools)?;
    let data = data::open_existing(disk, tools, boot);
    let _ = unmount(TOOLS, UnmountFlags::DETACH);
    let data = data?;
    is_known_layout(Path::new(DATA))?;
    let file = root_file(Path::new(DATA), slot);
    loop_mount(&file, Path::new(ROOT))?;
    boot.done("root");
    data::fill_if_new(Path::new(DATA), boot)?;
    data::move_to_var()?;
    Ok(data)
}

/// The root of a generation while the data partition is mounted at `data`.
fn root_file(data: &Path, slot: Slot) -> PathBuf {
    data::inside(data, generation::DIRECTORY).join(slot.to_string()).join(generation::ROOT)
}

/// What a later generation has made of the data partition may be beyond this one.
fn is_known_layout(data: &Path) -> Result<(), Error> {
    let text = fs::read_to_string(data::inside(data, LAYOUT_FILE)).unwrap_or_default();
    match text.trim().parse::<u32>() {
        Ok(layout) if layout > LAYOUT => Err(Error::Layout { layout }),
        _ => Ok(()),
    }
}

fn loop_mount(file: &Path, place: &Path) -> Result<(), Error> {
    let attached = || -> std::io::Result<String> {
        let backing = OpenOptions::new().read(true).open(file)?;
        let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
        let number = sys::free_loop(&control)?;
        let device = format!("/dev/loop{number}");
        let device_file = OpenOptions::new().read(true).open(&device)?;
        sys::attach_loop(&device_file, &backing)?;
        // The device detaches itself when nobody has it open, and the mount does.
        mounts::directory(place).map_err(std::io::Error::other)?;
        let options: Option<&CStr> = None;
        mount(&device, place, "squashfs", MountFlags::RDONLY | MountFlags::NOATIME, options)?;
        Ok(device)
    };
    let device = attached().doing(|| format!("mount {}", file.display()))?;
    console::debug(&format!("{} is {device}", file.display()));
    Ok(())
}

/// Starts what ends a trial that nobody keeps: a process of this generation's own agent, which outlives stage 1.
///
/// systemd may hang before it starts a unit; this process does not depend on it.
pub(super) fn guard() -> Result<(), Error> {
    use std::process::{Command, Stdio};
    let mut command = Command::new(paths::AGENT);
    command.args(["generations", "guard"]).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = command.spawn();
    started.map(drop).doing(|| "start what ends a trial that nobody keeps".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_boot_is() {
        let slot = |name: u8| Slot::new(name).unwrap();
        let (zero, one, two) = (Slot::FLASHED, slot(b'1'), slot(b'2'));
        let good = Pointer::keeping(one);
        let of = |slot, pointer| {
            let running = judge(slot, pointer);
            (running.good, running.on_trial)
        };
        assert_eq!(of(one, good), (one, false));
        assert_eq!(of(two, good.trying(two)), (one, true));
        // The firmware found no kernel of the trial's, or of the good one's: the rescue copy is generation 0.
        assert_eq!(of(zero, good.trying(two)), (one, false));
        assert_eq!(of(zero, good), (one, false));
        // Whoever tries what is good already tries nothing.
        assert_eq!(of(one, good.trying(one)), (one, false));
    }

    #[test]
    fn a_newer_layout_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        assert!(is_known_layout(data.path()).is_ok());
        let file = data.path().join("lib/hah/layout");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        for (text, fits) in [("1\n", true), ("", true), ("2\n", false), ("99", false), ("x", true)] {
            fs::write(&file, text).unwrap();
            assert_eq!(is_known_layout(data.path()).is_ok(), fits, "{text:?}");
        }
        assert_eq!(
            root_file(data.path(), Slot::new(b'3').unwrap()),
            data.path().join("lib/hah/generations/3/root.squashfs")
        );
    }
}
