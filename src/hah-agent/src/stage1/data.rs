//! The data partition: made and filled on the first boot, checked, topped up and grown on every other.
//!
//! The first boot is one transaction. The partition enters the table with the type "being made"; only when it is
//! formatted, filled from the image and flushed does the type change, by one small write, to an ordinary one. Before
//! that write the next boot starts over; after it mke2fs can never run again ([`super::table`]), whatever the superblock
//! or the label say: a damaged file system is for e2fsck and its owner.

use std::ffi::CStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use hah_node::disk::{DATA as DATA_NUMBER, DATA_LABEL};
use hah_node::paths;
use hah_node::stage1::DataAction;
use rustix::mount::{MountFlags, mount, mount_move};

use super::disk::{Disk, size};
use super::error::{Error, InContext};
use super::ext4::{SUPERBLOCK, SUPERBLOCK_AT, Superblock};
use super::seed;
use super::table::{DataPlan, DataState, Extent};
use super::tool::ToolRoot;
use super::{Boot, DATA, ROOT, clock, mounts};
use crate::entry::Durability;
use crate::sys::{self, PartitionChange};
use crate::{console, durable};

const MKE2FS: &str = "/usr/sbin/mke2fs";
const E2FSCK: &str = "/usr/sbin/e2fsck";
/// Features, whatever the root's mke2fs.conf says: what Linux 5.10 and later read, and old rescue systems check.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,\
                        large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
/// The kernel zeroes inode tables and journal in the background; a whole-card discard takes minutes on some cards.
const EXTENDED: &str = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
/// A file system that is smaller than its partition by less than this is as large as ext4 can make it, in bytes: its
/// last block group must hold its own tables.
const GROW_MIN: u64 = 16 << 20;

/// The mounted data partition.
pub(crate) struct Data {
    /// Kernel name: `mmcblk0p3`.
    pub(crate) name: String,
    pub(crate) extent: Extent,
}

/// Makes what is missing and mounts the data partition at [`DATA`]. `root` is the root whose programs make it and whose
/// content fills it.
pub(crate) fn open(disk: &mut Disk, root: &Path, boot: &mut Boot<'_>) -> Result<Data, Error> {
    let plan = disk.table.plan_data(disk.sectors).map_err(|source| disk.table_error(source))?;
    let (action, data) = match plan {
        DataPlan::Create(extent) => {
            let place = format!("({}) on {}", size(extent.bytes()), disk.name);
            console::say(&format!("first boot: making the data partition {place}"));
            set_entry(disk, extent, DataState::BeingMade)?;
            disk.announce(PartitionChange::Add, extent)?;
            (DataAction::Created, make(disk, extent, root, boot)?)
        }
        DataPlan::Remake(extent) => {
            let place = format!("({}) on {}", size(extent.bytes()), disk.name);
            console::say(&format!("the first boot was cut short: making the data partition {place} again"));
            (DataAction::Remade, make(disk, extent, root, boot)?)
        }
        DataPlan::Keep(_) | DataPlan::Grow { .. } => return open_existing(disk, root, boot),
    };
    boot.report.data_action = action;
    Ok(data)
}

/// Checks and mounts the data partition at [`DATA`]; one that is not there is an error.
pub(crate) fn open_existing(disk: &mut Disk, tools: &Path, boot: &mut Boot<'_>) -> Result<Data, Error> {
    let plan = disk.table.plan_data(disk.sectors).map_err(|source| disk.table_error(source))?;
    let (action, data) = match plan {
        DataPlan::Create(_) | DataPlan::Remake(_) => return Err(Error::NoData { disk: disk.name.clone() }),
        DataPlan::Keep(extent) => (DataAction::Kept, keep(disk, extent, tools, boot)?),
        DataPlan::Grow { from, to } => {
            let change = format!("from {} to {}", size(from.bytes()), size(to.bytes()));
            console::say(&format!("the disk has grown: enlarging the data partition {change}"));
            set_entry(disk, to, DataState::Made)?;
            disk.announce(PartitionChange::Resize, to)?;
            (DataAction::Grown, keep(disk, to, tools, boot)?)
        }
    };
    boot.report.data_action = action;
    Ok(data)
}

/// A file system in memory in the data partition's place, filled like it.
pub(crate) fn in_memory(boot: &mut Boot<'_>) -> Result<Data, Error> {
    let place = Path::new(DATA);
    mounts::directory(place)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", place, "tmpfs", flags, c"mode=0755,size=40%").doing(|| "mount memory for /var".to_owned())?;
    fill(place, boot, Durability::AtTheEnd)?;
    Ok(Data { name: "memory".to_owned(), extent: Extent::default() })
}

/// Moves what is mounted at [`DATA`] to the root's `/var`.
pub(crate) fn move_to_var() -> Result<(), Error> {
    let place = Path::new(ROOT).join("var");
    mount_move(DATA, &place).doing(|| "move the data partition to /var".to_owned())
}

/// Writes the data partition's entry.
fn set_entry(disk: &mut Disk, extent: Extent, state: DataState) -> Result<(), Error> {
    let next = disk.table.with_data(extent, state, disk.sectors);
    let (table, writes) = next.map_err(|source| disk.table_error(source))?;
    disk.write_table(table, &writes)
}

/// Makes the file system, fills it, mounts it, and then says so in the table.
fn make(disk: &mut Disk, extent: Extent, root: &Path, boot: &mut Boot<'_>) -> Result<Data, Error> {
    let name = disk.wait_for_partition(DATA_NUMBER)?;
    let device = format!("/dev/{name}");
    let journal = format!("size={}", journal_mib(extent.bytes()));
    let arguments = [
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-i",
        "16384",
        "-m",
        "1",
        "-e",
        "remount-ro",
        "-L",
        DATA_LABEL,
        "-O",
        FEATURES,
        "-E",
        EXTENDED,
        "-J",
        &journal,
        &device,
    ];
    let answer = ToolRoot::enter(root)?.run(MKE2FS, &arguments)?;
    if answer.code != Some(0) {
        return Err(Error::Tool { program: "mke2fs", device: name, status: answer.status, said: answer.said });
    }
    boot.done("mke2fs");

    let place = mount_data(&name)?;
    fill(place, boot, Durability::AtTheEnd)?;
    let directory = File::open(place).doing(|| format!("open {DATA}"))?;
    rustix::fs::syncfs(&directory).doing(|| format!("flush {name}"))?;
    set_entry(disk, extent, DataState::Made)?;
    Ok(Data { name, extent })
}

/// Checks and mounts a data partition that holds data, and grows its file system.
fn keep(disk: &Disk, extent: Extent, tools: &Path, boot: &mut Boot<'_>) -> Result<Data, Error> {
    let name = disk.wait_for_partition(DATA_NUMBER)?;
    if let Some(superblock) = superblock(&name) {
        // e2fsck takes a file system from the future for a damaged one.
        clock::not_before_saved(superblock.written, Duration::from_secs(boot.config.epoch));
    }
    check(&name, tools, boot);
    boot.done("e2fsck");
    let place = mount_data(&name)?;
    grow(&name, extent, place, boot);
    Ok(Data { name, extent })
}

/// Adds to the data partition at `place` what the image's `/var` has and it lacks, when another image filled it last.
pub(crate) fn fill_if_new(place: &Path, boot: &mut Boot<'_>) -> Result<(), Error> {
    let seeded = fs::read_to_string(inside(place, paths::SEEDED)).unwrap_or_default();
    if seeded.trim_end() != boot.config.image_id {
        console::say("another image than last time: adding what its /var has and the data partition lacks");
        fill(place, boot, Durability::EachEntry)?;
    }
    Ok(())
}

/// Lets e2fsck repair what it can repair alone. A worse problem is told; the mount will judge.
fn check(name: &str, tools: &Path, boot: &mut Boot<'_>) {
    let device = format!("/dev/{name}");
    let answer = ToolRoot::enter(tools).and_then(|tools| tools.run(E2FSCK, &["-p", &device]));
    match answer {
        Ok(answer) if answer.code == Some(0) => {}
        Ok(answer) if matches!(answer.code, Some(1..=3)) => {
            console::say(&format!("repaired the data partition: {}", answer.said));
        }
        Ok(answer) => {
            boot.warn(format!("e2fsck cannot repair the data partition {name} ({}): {}", answer.status, answer.said));
        }
        Err(error) => boot.warn(error.to_string()),
    }
}

fn mount_data(name: &str) -> Result<&'static Path, Error> {
    let place = Path::new(DATA);
    mounts::directory(place)?;
    let options: &CStr = c"errors=remount-ro";
    mount(format!("/dev/{name}"), place, "ext4", MountFlags::NOATIME, options)
        .doing(|| format!("mount the data partition {name}"))?;
    Ok(place)
}

/// Copies what the image has below `/var` and in the persistent directories, and marks it as done.
fn fill(place: &Path, boot: &mut Boot<'_>, durability: Durability) -> Result<(), Error> {
    let root = Path::new(ROOT);
    let mut copied = seed::copy(&root.join("var"), place, durability)?;
    mounts::directory(&inside(place, paths::STATE))?;
    copied += mounts::seed_persist(root, place, &boot.config.persist, durability)?;
    let marker = inside(place, paths::SEEDED);
    durable::write(&marker, format!("{}\n", boot.config.image_id).as_bytes(), 0o644)
        .doing(|| format!("write {}", paths::SEEDED))?;
    boot.report.seeded = copied;
    boot.done("seed");
    Ok(())
}

/// Grows the mounted file system to its partition. A failure leaves it as it was, and the next boot tries again.
fn grow(name: &str, extent: Extent, place: &Path, boot: &mut Boot<'_>) {
    let Some(superblock) = superblock(name) else { return };
    let used = superblock.blocks.saturating_mul(superblock.block_size);
    if extent.bytes().saturating_sub(used) < GROW_MIN {
        return;
    }
    let blocks = extent.bytes() / superblock.block_size;
    match File::open(place).and_then(|directory| sys::grow_ext4(directory, blocks)) {
        Ok(()) => console::say(&format!("the data file system now has {}", size(extent.bytes()))),
        Err(error) => boot.warn(format!("cannot grow the file system of {name}: {error}")),
    }
}

fn superblock(name: &str) -> Option<Superblock> {
    let mut bytes = [0; SUPERBLOCK];
    File::open(format!("/dev/{name}")).and_then(|file| file.read_exact_at(&mut bytes, SUPERBLOCK_AT)).ok()?;
    Superblock::parse(&bytes)
}

/// A path below `/var` on the data partition while that is mounted elsewhere.
pub(crate) fn inside(place: &Path, path: &str) -> std::path::PathBuf {
    place.join(Path::new(path).strip_prefix(paths::VAR).unwrap_or(Path::new("lib/hah")))
}

/// Size of the journal in MiB for a partition of this many bytes: 64 on a card, less on small test disks. ext4 needs 4.
fn journal_mib(bytes: u64) -> u64 {
    match bytes >> 20 {
        0..256 => 4,
        256..2048 => 16,
        2048..8192 => 32,
        _ => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_fit_their_partitions() {
        assert_eq!(journal_mib(32 << 20), 4);
        assert_eq!(journal_mib(1 << 30), 16);
        assert_eq!(journal_mib(4 << 30), 32);
        assert_eq!(journal_mib(29 << 30), 64);
    }

    #[test]
    fn state_lies_on_the_data_partition() {
        assert_eq!(inside(Path::new("/data"), paths::SEEDED), Path::new("/data/lib/hah/seeded"));
        assert_eq!(inside(Path::new("/data"), paths::PERSIST), Path::new("/data/lib/hah/persist"));
    }
}
