//! Which disks this machine has, and what speaks against erasing each: from the kernel, not from names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::files;

#[cfg(not(target_os = "linux"))]
mod diskutil;

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// A card in a slot of this machine.
    SdCard,
    /// USB, card readers among it.
    Usb,
    /// Something else with a medium that can be taken out.
    Removable,
    /// A file that pretends to be a disk.
    Loop,
    /// Built in.
    Fixed,
}

impl Attachment {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SdCard => "SD card",
            Self::Usb => "USB",
            Self::Removable => "removable",
            Self::Loop => "loop device",
            Self::Fixed => "built in",
        }
    }
}

/// A disk, or a partition that was taken for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `/dev/sdb`.
    pub path: PathBuf,
    /// Kernel name: `sdb`.
    pub name: String,
    /// The disk that this is a partition of.
    pub parent: Option<String>,
    /// Size in bytes.
    pub bytes: u64,
    /// Bytes in one of its logical sectors, in which its partition table counts.
    pub sector_bytes: u64,
    /// Vendor and model; empty when nobody says.
    pub model: String,
    /// How it is attached.
    pub attachment: Attachment,
    /// Whether it is write-protected.
    pub read_only: bool,
    /// Its partitions, in the order of their numbers.
    pub partitions: Vec<Partition>,
    /// Where it, its partitions and what is made of them are mounted: device and place.
    pub mounts: Vec<(String, String)>,
    /// What else uses it: swap, RAID, LVM, encryption.
    pub users: Vec<String>,
    /// Its stable name below `/dev/disk/by-id`.
    pub by_id: Option<PathBuf>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Kernel name.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Label of the file system.
    pub label: Option<String>,
}

/// Where the kernel's account is read.
#[derive(Clone, Debug)]
pub struct Kernel {
    sys: PathBuf,
    dev: PathBuf,
    mountinfo: String,
    swaps: String,
}

impl Kernel {
    /// This machine's.
    pub fn here() -> Self {
        let read = |path: &str| files::read_to_string(path).unwrap_or_default();
        Self {
            sys: "/sys".into(),
            dev: "/dev".into(),
            mountinfo: read("/proc/self/mountinfo"),
            swaps: read("/proc/swaps"),
        }
    }

    /// Every disk with a medium, in the order of their names.
    pub fn disks(&self) -> Vec<Device> {
        #[cfg(not(target_os = "linux"))]
        return diskutil::disks();
        #[cfg(target_os = "linux")]
        {
            let mut names: Vec<String> = self.names(&self.block());
            names.retain(|name| {
                !["ram", "zram", "dm-", "md", "sr", "fd", "nbd"].iter().any(|kind| name.starts_with(kind))
                    && !["boot0", "boot1", "rpmb"].iter().any(|part| name.ends_with(part))
                    && !self.block().join(name).join("partition").exists()
            });
            names.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
            names.iter().filter_map(|name| self.device(name)).filter(|device| device.bytes > 0).collect()
        }
    }

    /// The device behind a path, whatever the path is called: a link below by-id, another node.
    pub fn at(&self, path: &Path) -> Option<Device> {
        #[cfg(not(target_os = "linux"))]
        return diskutil::disk(path);
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::MetadataExt as _;
            let number = files::metadata(path).ok()?.rdev();
            let number = format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number));
            let name = self.names(&self.block()).into_iter().find(|name| self.number(name) == Some(number.clone()))?;
            self.device(&name)
        }
    }

    fn block(&self) -> PathBuf {
        self.sys.join("class/block")
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let paths = files::entries(directory).unwrap_or_default();
        paths.iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect()
    }

    fn attribute(&self, name: &str, attribute: &str) -> Option<String> {
        let text = files::read_to_string(self.block().join(name).join(attribute)).ok()?;
        Some(text.trim().to_owned())
    }

    /// `8:16`.
    fn number(&self, name: &str) -> Option<String> {
        self.attribute(name, "dev")
    }

    fn bytes(&self, name: &str) -> u64 {
        self.attribute(name, "size").and_then(|sectors| sectors.parse::<u64>().ok()).unwrap_or(0).saturating_mul(512)
    }

    /// A partition's are its disk's. Every kernel of this decade says so; of others the usual size is taken.
    fn sector_bytes(&self, directory: &Path) -> u64 {
        let of = |directory: &Path| files::read_to_string(directory.join("queue/logical_block_size")).ok();
        let text = of(directory).or_else(|| of(directory.parent()?));
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(hah_node::disk::SECTOR_BYTES)
    }

    /// A disk or partition by its kernel name.
    pub fn device(&self, name: &str) -> Option<Device> {
        self.number(name)?;
        let directory = files::canonicalize(self.block().join(name)).unwrap_or_else(|_| self.block().join(name));
        let is_partition = directory.join("partition").exists();
        let parent = directory.parent().and_then(Path::file_name).filter(|_| is_partition);
        let partitions: Vec<Partition> = self
            .names(&directory)
            .into_iter()
            .filter(|part| directory.join(part).join("partition").exists())
            .map(|part| Partition { bytes: self.bytes(&part), label: self.link("by-label", &part), name: part })
            .collect();
        let mut parts: BTreeSet<String> = partitions.iter().map(|part| part.name.clone()).collect();
        parts.insert(name.to_owned());
        let made = self.made_of(&parts);
        let all: BTreeSet<String> = parts.union(&made).cloned().collect();
        let mut users: Vec<String> = made.iter().map(|name| format!("/dev/{name}")).collect();
        users.extend(self.swaps_on(&all));
        Some(Device {
            path: self.dev.join(name),
            parent: parent.map(|parent| parent.to_string_lossy().into_owned()),
            bytes: self.bytes(name),
            sector_bytes: self.sector_bytes(&directory),
            model: self.model(name),
            attachment: self.attachment(name, &directory),
            read_only: self.attribute(name, "ro").as_deref() == Some("1"),
            mounts: self.mounts_of(&all),
            users,
            by_id: self.link("by-id", name).map(|link| self.dev.join("disk/by-id").join(link)),
            partitions: {
                let mut partitions = partitions;
                partitions.sort_by(|one, other| (one.name.len(), &one.name).cmp(&(other.name.len(), &other.name)));
                partitions
            },
            name: name.to_owned(),
        })
    }

    fn model(&self, name: &str) -> String {
        let words = ["device/vendor", "device/model", "device/name", "loop/backing_file"];
        let words: Vec<String> = words.iter().filter_map(|word| self.attribute(name, word)).collect();
        words.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn attachment(&self, name: &str, directory: &Path) -> Attachment {
        if name.starts_with("loop") {
            Attachment::Loop
        } else if self.attribute(name, "device/type").as_deref() == Some("SD") {
            Attachment::SdCard
        } else if directory.components().any(|part| part.as_os_str().to_string_lossy().starts_with("usb")) {
            Attachment::Usb
        } else if self.attribute(name, "removable").as_deref() == Some("1") {
            Attachment::Removable
        } else {
            Attachment::Fixed
        }
    }

    /// Devices that are made of these, and of those in turn.
    fn made_of(&self, parts: &BTreeSet<String>) -> BTreeSet<String> {
        let mut made = BTreeSet::new();
        let mut left: Vec<String> = parts.iter().cloned().collect();
        while let Some(name) = left.pop() {
            for holder in self.names(&self.block().join(&name).join("holders")) {
                if made.insert(holder.clone()) {
                    left.push(holder);
                }
            }
        }
        made
    }

    fn mounts_of(&self, names: &BTreeSet<String>) -> Vec<(String, String)> {
        let numbers: BTreeSet<String> = names.iter().filter_map(|name| self.number(name)).collect();
        let mount = |line: &str| {
            let (before, after) = line.split_once(" - ")?;
            let fields: Vec<&str> = before.split(' ').collect();
            let source = after.split(' ').nth(1)?;
            // Some file systems have a number of their own; then their source is the device's path.
            let same = numbers.contains(*fields.get(2)?)
                || source.strip_prefix("/dev/").is_some_and(|name| names.contains(name));
            same.then(|| Some((source.to_owned(), unescape(fields.get(4)?))))?
        };
        self.mountinfo.lines().filter_map(mount).collect()
    }

    fn swaps_on(&self, names: &BTreeSet<String>) -> Vec<String> {
        let paths = self.swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        let ours = paths.filter(|path| path.strip_prefix("/dev/").is_some_and(|name| names.contains(name)));
        ours.map(|path| format!("swap on {path}")).collect()
    }

    /// The name of the first link to a device in a directory of `/dev/disk`.
    fn link(&self, directory: &str, name: &str) -> Option<String> {
        let directory = self.dev.join("disk").join(directory);
        let links = self.names(&directory).into_iter().filter(|link| {
            let target = files::read_link(directory.join(link));
            target.is_ok_and(|target| target.file_name().is_some_and(|target| target == name))
        });
        links.min_by_key(|link| (link.starts_with("wwn-"), link.clone())).map(|link| unescape_udev(&link))
    }
}

/// mountinfo writes blanks and the like in octal.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// udev writes odd characters of labels in hexadecimal.
fn unescape_udev(text: &str) -> String {
    text.replace("\\x20", " ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A machine made of files.
    pub(crate) struct Machine {
        directory: tempfile::TempDir,
        pub(crate) kernel: Kernel,
    }

    impl Machine {
        pub(crate) fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let kernel = Kernel {
                sys: directory.path().join("sys"),
                dev: directory.path().join("dev"),
                mountinfo: String::new(),
                swaps: "Filename Type\n".into(),
            };
            std::fs::create_dir_all(kernel.block()).unwrap();
            std::fs::create_dir_all(kernel.dev.join("disk/by-id")).unwrap();
            std::fs::create_dir_all(kernel.dev.join("disk/by-label")).unwrap();
            Self { directory, kernel }
        }

        /// A disk with 1 GiB partitions; `place` is BUS/NAME.
        pub(crate) fn disk(&self, place: &str, gib: u64, parts: &[&str], facts: &[(&str, &str)]) {
            let (bus, name) = place.rsplit_once('/').unwrap();
            let home = self.directory.path().join("sys/devices").join(bus).join("block").join(name);
            let put = |path: PathBuf, text: &str| {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            };
            put(home.join("dev"), &format!("{name}:0\n"));
            put(home.join("size"), &format!("{}\n", gib << 21));
            for (fact, text) in facts {
                put(home.join(fact), text);
            }
            let link = |target: &Path, name: &str| {
                std::os::unix::fs::symlink(target, self.kernel.block().join(name)).unwrap();
            };
            link(&home, name);
            for (number, part) in (1..).zip(parts) {
                put(home.join(part).join("dev"), &format!("{name}:{number}\n"));
                put(home.join(part).join("partition"), &format!("{number}\n"));
                put(home.join(part).join("size"), "2097152\n");
                link(&home.join(part), part);
            }
        }

        pub(crate) fn mount(&mut self, number: &str, source: &str, place: &str) {
            let line = format!("36 35 {number} / {place} rw,noatime shared:1 - ext4 {source} rw\n");
            self.kernel.mountinfo.push_str(&line);
        }

        pub(crate) fn swap(&mut self, path: &str) {
            self.kernel.swaps.push_str(&format!("{path} partition 1 0 -2\n"));
        }

        pub(crate) fn hold(&self, name: &str, holder: &str) {
            let home = self.kernel.block().join(name).join("holders").join(holder);
            std::fs::create_dir_all(home).unwrap();
        }

        pub(crate) fn link(&self, kind: &str, link: &str, name: &str) {
            let link = self.kernel.dev.join("disk").join(kind).join(link);
            std::os::unix::fs::symlink(Path::new("../..").join(name), link).unwrap();
        }
    }

    #[test]
    fn a_card_in_a_reader() {
        let mut machine = Machine::new();
        let facts =
            [("device/vendor", "Generic-\n"), ("device/model", "SD/MMC   \n"), ("removable", "1\n"), ("ro", "0\n")];
        machine.disk("pci0/usb1/1-1/sdb", 29, &["sdb1", "sdb2", "sdb10"], &facts);
        machine.disk("pci0/usb1/1-2/sdc", 0, &[], &facts);
        machine.disk("virtual/zram0", 1, &[], &[]);
        machine.link("by-id", "usb-Generic-_SD_MMC-0:0", "sdb");
        machine.link("by-id", "wwn-0x1", "sdb");
        machine.link("by-label", "HAH-BOOT", "sdb1");
        machine.mount("sdb:1", "/dev/sdb1", "/media/me/HAH\\040BOOT");
        let disks = machine.kernel.disks();
        assert_eq!(disks.len(), 1, "an empty reader and memory are no disks: {disks:?}");
        let disk = &disks[0];
        assert_eq!((disk.name.as_str(), disk.bytes, disk.model.as_str()), ("sdb", 29 << 30, "Generic- SD/MMC"));
        assert_eq!((disk.attachment, disk.read_only, disk.sector_bytes), (Attachment::Usb, false, 512));
        assert_eq!(disk.by_id.as_ref().unwrap().file_name().unwrap(), "usb-Generic-_SD_MMC-0:0");
        let names: Vec<&str> = disk.partitions.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["sdb1", "sdb2", "sdb10"]);
        assert_eq!(disk.partitions[0].label.as_deref(), Some("HAH-BOOT"));
        assert_eq!(disk.mounts, [("/dev/sdb1".to_owned(), "/media/me/HAH BOOT".to_owned())]);
        let partition = machine.kernel.device("sdb2").unwrap();
        assert_eq!(partition.parent.as_deref(), Some("sdb"));
    }

    #[test]
    fn what_is_made_of_a_disk_counts() {
        let mut machine = Machine::new();
        machine.disk("pci0/nvme/nvme0n1", 500, &["nvme0n1p1", "nvme0n1p2", "nvme0n1p3"], &[("removable", "0")]);
        machine.disk("virtual/dm-0", 400, &[], &[]);
        machine.hold("nvme0n1p3", "dm-0");
        machine.mount("dm-0:0", "/dev/mapper/root", "/");
        machine.mount("0:45", "/dev/nvme0n1p2", "/home");
        machine.swap("/dev/nvme0n1p1");
        let disks = machine.kernel.disks();
        assert_eq!(disks.len(), 1);
        let places: Vec<&str> = disks[0].mounts.iter().map(|(_, place)| place.as_str()).collect();
        assert_eq!(places, ["/", "/home"]);
        assert_eq!(disks[0].users, ["/dev/dm-0", "swap on /dev/nvme0n1p1"]);
        assert_eq!(disks[0].attachment, Attachment::Fixed);
    }

    #[test]
    fn the_sectors_of_a_disk_are_its_partitions() {
        let machine = Machine::new();
        machine.disk("pci0/usb1/1-1/sdb", 29, &["sdb1"], &[("queue/logical_block_size", "4096\n")]);
        for name in ["sdb", "sdb1"] {
            assert_eq!(machine.kernel.device(name).unwrap().sector_bytes, 4096, "{name}");
        }
    }

    #[test]
    fn slots_and_loops() {
        let machine = Machine::new();
        machine.disk("mmc0/mmcblk0", 32, &[], &[("device/type", "SD\n"), ("device/name", "SU32G\n")]);
        machine.disk("mmc1/mmcblk1", 8, &[], &[("device/type", "MMC\n")]);
        machine.disk("mmc1/mmcblk1boot0", 8, &[], &[("device/type", "MMC\n")]);
        machine.disk("virtual/loop7", 1, &[], &[("loop/backing_file", "/tmp/card.img\n")]);
        let found: Vec<(String, Attachment)> =
            machine.kernel.disks().into_iter().map(|disk| (disk.name, disk.attachment)).collect();
        assert_eq!(
            found,
            [
                ("loop7".to_owned(), Attachment::Loop),
                ("mmcblk0".to_owned(), Attachment::SdCard),
                ("mmcblk1".to_owned(), Attachment::Fixed)
            ]
        );
    }
}
