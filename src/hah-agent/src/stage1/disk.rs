//! Disks: found by the id in their partition table, never by their number, which depends on who was probed first.
//!
//! The id is the image's lineage's, so two cards of one image, or a card and its copy, have the same. When stage 1 sees
//! both at once it takes the first by name, which is the card (`mmcblk0`) rather than the stick (`sda`), as the firmware
//! does, and warns: data would be written to one of them on one day and to the other on another.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use hah_node::disk::DiskId;

use super::error::{Error, InContext};
use super::table::{DiskBytes, Extent, HEAD_SECTORS, SECTOR, TAIL_SECTORS, Table, Write};
use crate::console;
use crate::sys::{self, KernelPartition, PartitionChange};

const BLOCK_DEVICES: &str = "/sys/class/block";
/// How long a disk may take to appear: a USB disk spins up, a card is initialised twice.
const DISK_WAIT: Duration = Duration::from_secs(30);
/// How long a partition may take to appear once its disk is there.
const PARTITION_WAIT: Duration = Duration::from_secs(10);
/// How often to look.
const POLL: Duration = Duration::from_millis(20);
/// How often to tell the person that we still look.
const PROGRESS: Duration = Duration::from_secs(5);

/// The disk that we booted from.
pub(crate) struct Disk {
    /// Kernel name: `mmcblk0`.
    pub(crate) name: String,
    /// Size in sectors of 512 bytes.
    pub(crate) sectors: u64,
    pub(crate) table: Table,
    /// Kernel names of other disks with the same id.
    pub(crate) twins: Vec<String>,
}

/// A block device that may be a disk of ours.
struct Candidate {
    name: String,
    sectors: u64,
}

/// Waits for the disk whose table has this id.
pub(crate) fn wait_for(wanted: DiskId) -> Result<Disk, Error> {
    let start = Instant::now();
    let mut told = start;
    loop {
        let seen = candidates();
        let ask = |candidate: &Candidate| match table_of(candidate, wanted) {
            Ok(table) => table,
            Err(error) => {
                console::debug(&format!("cannot read {}: {error}", candidate.name));
                None
            }
        };
        if let Some(disk) = choose(&seen, ask) {
            disk.repair()?;
            return Ok(disk);
        }
        if start.elapsed() >= DISK_WAIT {
            let seen: Vec<String> =
                seen.iter().map(|disk| format!("{} {}", disk.name, size(disk.sectors.saturating_mul(512)))).collect();
            let seen = if seen.is_empty() { "no disk at all".to_owned() } else { seen.join(", ") };
            return Err(Error::NoDisk { wanted: wanted.to_string(), seconds: DISK_WAIT.as_secs(), seen });
        }
        if told.elapsed() >= PROGRESS {
            console::say(&format!("waiting for the disk with id {wanted}"));
            told = Instant::now();
        }
        std::thread::sleep(POLL);
    }
}

/// The first of the disks whose table `ask` finds to be ours, and the names of the others.
fn choose(seen: &[Candidate], ask: impl Fn(&Candidate) -> Option<Table>) -> Option<Disk> {
    let mut ours = seen.iter().filter_map(|candidate| Some((candidate, ask(candidate)?)));
    let (first, table) = ours.next()?;
    let twins = ours.map(|(other, _)| other.name.clone()).collect();
    Some(Disk { name: first.name.clone(), sectors: first.sectors, table, twins })
}

impl Disk {
    /// What is to be said when there is another disk like this one.
    pub(crate) fn ambiguity(&self) -> Option<String> {
        let (name, others) = (&self.name, self.twins.join(", "));
        (!self.twins.is_empty()).then(|| {
            format!(
                "another disk has the id of {name}, as a copy or another card of the same image does: {others}; this boot \
                 uses {name}: take the other one out"
            )
        })
    }

    fn open(&self) -> Result<File, Error> {
        if attribute(&self.name, "ro") == Some(1) {
            return Err(Error::ReadOnly { disk: self.name.clone() });
        }
        let device = format!("/dev/{}", self.name);
        OpenOptions::new().read(true).write(true).open(&device).doing(|| format!("open {device}"))
    }

    /// Does the writes in order, each on the medium before the next begins.
    fn write(&self, file: &File, writes: &[Write]) -> Result<(), Error> {
        for write in writes {
            file.write_all_at(&write.bytes, write.offset)
                .and_then(|()| file.sync_all())
                .doing(|| format!("write the partition table of {}", self.name))?;
        }
        Ok(())
    }

    /// Writes a table with a new state of the data partition.
    pub(crate) fn write_table(&mut self, table: Table, writes: &[Write]) -> Result<(), Error> {
        self.write(&self.open()?, writes)?;
        self.table = table;
        Ok(())
    }

    /// Brings back a primary table that a power cut has torn, and the partitions, of which the kernel saw none.
    fn repair(&self) -> Result<(), Error> {
        if !self.table.is_from_backup() {
            return Ok(());
        }
        console::warn(&format!("the partition table of {} was cut short; restoring it from its backup", self.name));
        let writes = self.table.repair(self.sectors).map_err(|source| self.table_error(source))?;
        let file = self.open()?;
        self.write(&file, &writes)?;
        sys::reread_partitions(&file).doing(|| format!("read the partition table of {} again", self.name))
    }

    /// Tells the kernel about the data partition.
    pub(crate) fn announce(&self, change: PartitionChange, data: Extent) -> Result<(), Error> {
        let part = KernelPartition {
            number: hah_node::disk::DATA,
            start_bytes: data.start.saturating_mul(SECTOR as u64),
            bytes: data.bytes(),
        };
        sys::change_partition(self.open()?, change, part)
            .doing(|| format!("tell the kernel about partition {} of {}", part.number, self.name))
    }

    pub(crate) fn table_error(&self, source: super::table::TableError) -> Error {
        Error::Table { disk: self.name.clone(), source }
    }

    /// The kernel's name of a partition, if it knows it: `mmcblk0p2`.
    pub(crate) fn partition(&self, number: u32) -> Option<String> {
        let entries = fs::read_dir(format!("{BLOCK_DEVICES}/{}", self.name)).ok()?;
        let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.find(|name| attribute(name, "partition") == Some(u64::from(number)))
    }

    /// Waits for a partition to have a device.
    pub(crate) fn wait_for_partition(&self, number: u32) -> Result<String, Error> {
        let start = Instant::now();
        loop {
            if let Some(name) = self.partition(number)
                && fs::exists(format!("/dev/{name}")).unwrap_or(false)
            {
                return Ok(name);
            }
            if start.elapsed() >= PARTITION_WAIT {
                let seconds = PARTITION_WAIT.as_secs();
                return Err(Error::NoPartition { disk: self.name.clone(), number, seconds });
            }
            std::thread::sleep(POLL);
        }
    }
}

/// A number in a block device's directory of sysfs.
fn attribute(device: &str, name: &str) -> Option<u64> {
    fs::read_to_string(format!("{BLOCK_DEVICES}/{device}/{name}")).ok()?.trim().parse().ok()
}

/// Every disk with 512-byte sectors, in the order of their names.
fn candidates() -> Vec<Candidate> {
    let Ok(entries) = fs::read_dir(BLOCK_DEVICES) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found: Vec<Candidate> = names
        .filter(|name| !["loop", "ram", "zram", "dm-", "md", "sr", "fd"].iter().any(|kind| name.starts_with(kind)))
        .filter(|name| attribute(name, "partition").is_none())
        .filter(|name| attribute(name, "queue/logical_block_size") == Some(SECTOR as u64))
        .filter_map(|name| Some(Candidate { sectors: attribute(&name, "size")?, name }))
        .filter(|disk| disk.sectors > (HEAD_SECTORS + TAIL_SECTORS) as u64)
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn table_of(disk: &Candidate, wanted: DiskId) -> io::Result<Option<Table>> {
    let file = File::open(format!("/dev/{}", disk.name))?;
    let mut head = vec![0; HEAD_SECTORS * SECTOR];
    file.read_exact_at(&mut head, 0)?;
    let mut tail = vec![0; TAIL_SECTORS * SECTOR];
    let tail_start = disk.sectors.saturating_sub(TAIL_SECTORS as u64).saturating_mul(SECTOR as u64);
    // Only a torn GPT needs the backup, so a disk whose end cannot be read (a bad card) may still boot.
    if file.read_exact_at(&mut tail, tail_start).is_err() {
        tail.fill(0);
    }
    Ok(Table::find(DiskBytes { head: &head, tail: &tail, sectors: disk.sectors }, wanted))
}

/// A size for people: `29.1 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    let mib = bytes / (1 << 20);
    if mib < 1024 { format!("{mib} MiB") } else { format!("{}.{} GiB", mib / 1024, mib % 1024 * 10 / 1024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with this name and MBR signature, or none of ours.
    fn disks(all: &[(&str, u32)], wanted: DiskId) -> Option<Disk> {
        let seen: Vec<Candidate> =
            all.iter().map(|(name, _)| Candidate { name: (*name).to_owned(), sectors: 1 << 22 }).collect();
        choose(&seen, |candidate| {
            let (_, signature) = all.iter().find(|(name, _)| *name == candidate.name).unwrap();
            let mut head = vec![0; HEAD_SECTORS * SECTOR];
            head[440..444].copy_from_slice(&signature.to_le_bytes());
            head[510..512].copy_from_slice(&[0x55, 0xaa]);
            Table::find(DiskBytes { head: &head, tail: &[0; TAIL_SECTORS * SECTOR], sectors: 1 << 22 }, wanted)
        })
    }

    #[test]
    fn a_card_and_its_copy_in_one_machine() {
        let found = disks(&[("mmcblk0", 7), ("nvme0n1", 1), ("sda", 7), ("sdb", 7)], DiskId::Mbr(7)).unwrap();
        assert_eq!(
            (found.name.as_str(), found.twins.as_slice()),
            ("mmcblk0", &["sda".to_owned(), "sdb".to_owned()][..])
        );
        let said = found.ambiguity().unwrap();
        assert!(said.contains("has the id of mmcblk0") && said.contains("image does: sda, sdb;"), "{said}");
        let found = disks(&[("mmcblk0", 7), ("sda", 8)], DiskId::Mbr(8)).unwrap();
        assert_eq!((found.name.as_str(), found.ambiguity()), ("sda", None));
        assert!(disks(&[("mmcblk0", 7), ("sda", 8)], DiskId::Mbr(9)).is_none());
    }

    /// An image built before ids derived from the lineage has its own in its stage1.json; a later one finds such a card
    /// when the command line names the id.
    #[test]
    fn cards_that_were_flashed_before_keep_booting() {
        let config = r#"{"version":1,"image":"lab (1a2b3c4d)","image_id":"1a","disk":{"table":"mbr","id":305441741},
            "modules":[],"epoch":1,"persist":[],"hostname_prefix":"hah"}"#;
        let config: hah_node::stage1::Stage1 = serde_json::from_str(config).unwrap();
        let card = [("mmcblk0", 0x1234_abcd)];
        assert!(disks(&card, config.disk).is_some());
        let later = DiskId::Mbr(0x9cda_fbf7);
        assert!(disks(&card, later).is_none());
        let named = super::super::cmdline::Cmdline::parse("quiet hah.disk=1234abcd").disk.unwrap_or(later);
        assert!(disks(&card, named).is_some());
    }

    #[test]
    fn sizes() {
        assert_eq!(size(0), "0 MiB");
        assert_eq!(size(64 << 20), "64 MiB");
        assert_eq!(size(1 << 30), "1.0 GiB");
        assert_eq!(size((29 << 30) + (128 << 20)), "29.1 GiB");
        assert!(size(u64::MAX).ends_with(" GiB"));
    }
}
