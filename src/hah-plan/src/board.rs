//! Boards: what the hardware wants, as data.
//!
//! A board is a file `recipes/boards/NAME.toml`, each fact with its source beside it, so that a new board is a new file.
//! [`crate::recipe::load`] reads it by the same strict parser as recipes and images.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use hah_format::path::{PathError, TreePath};

use crate::debian::{Architecture, PackageName};

/// One board or family of boards that the same image boots on.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// Its file's name without `.toml`: `rpi-arm64`.
    pub name: String,
    /// One line for people: which models.
    pub summary: String,
    /// Architecture of the packages.
    pub architecture: Architecture,
    /// Kernel and firmware packages.
    pub packages: Vec<PackageName>,
    /// The partition table that an image gets when it does not say.
    pub table: Table,
    /// Tables that are known not to boot, and why.
    pub refused_tables: BTreeMap<Table, String>,
    /// Where the kernel package puts what boots.
    pub kernel: KernelFiles,
    /// Files of the root that the firmware wants on the boot partition.
    pub firmware: Vec<FirmwareFile>,
    /// Device trees that go beside the kernel, as file names with `.dtb`, in [`KernelFiles::device_trees`].
    pub device_trees: Vec<String>,
    /// Kernel modules that stage 1 loads, by name, in order, before their own dependencies are considered.
    /// One that `modules.builtin` lists is skipped; one that is not found at all is an error.
    pub stage1_modules: Vec<String>,
    /// Text of `config.txt` on the boot partition; `None` when the board's firmware reads none.
    pub config_txt: Option<String>,
    /// Texts of a boot loader's own on the boot partition.
    pub boot_files: Vec<BootFile>,
    /// The type of the boot partition in a GPT.
    pub boot_type: BootType,
    /// What the kernel loads into the processor before anything else.
    pub microcode: Vec<Microcode>,
    /// Words of the kernel command line, in order.
    pub cmdline: Vec<String>,
    /// systemd's `RuntimeWatchdogSec=` in seconds; `None` leaves the watchdog alone.
    pub watchdog_seconds: Option<u32>,
    /// Sum of its processors' clocks in MHz, where the kernel does not tell; Nomad schedules by it.
    pub processor_mhz: Option<u32>,
    /// Machines on which `hah-image run` boots its images; the first is the default.
    pub machines: Vec<Machine>,
    /// What Raspberry Pi Imager may offer the images for; none for boards that it does not write cards for.
    pub imager_devices: Vec<ImagerDevice>,
}

/// Kinds of partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The PC's master boot record, four primary partitions.
    Mbr,
    /// The GUID partition table of UEFI.
    Gpt,
}

impl Table {
    /// Both kinds.
    pub const ALL: [Table; 2] = [Self::Mbr, Self::Gpt];

    /// As image and board files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mbr => "mbr",
            Self::Gpt => "gpt",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not a kind of partition table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown partition table `{0}`: expected `mbr` or `gpt`")]
pub struct ParseTableError(String);

impl FromStr for Table {
    type Err = ParseTableError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|table| table.as_str() == text).ok_or_else(|| ParseTableError(text.to_owned()))
    }
}

/// Where the kernel package puts what boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFiles {
    /// The kernel: `/boot/vmlinuz-VERSION`.
    pub image: VersionedPath,
    /// The directory of modules: `/usr/lib/modules/VERSION`.
    pub modules: VersionedPath,
    /// The directory of device trees: `/usr/lib/linux-image-VERSION/broadcom`; `None` when the board has none on disk.
    pub device_trees: Option<VersionedPath>,
    /// How the kernel goes onto the boot partition.
    pub compression: KernelCompression,
}

/// How the kernel is stored on the boot partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelCompression {
    /// As the package ships it.
    None,
    /// Gzipped: firmware and QEMU unpack it, and an SD card reads a third of the bytes.
    Gzip,
}

/// A path that contains a kernel's version as the word `VERSION`, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedPath {
    before: String,
    after: String,
}

/// Not a versioned path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseVersionedPathError {
    /// The word is missing or occurs twice.
    #[error("`{0}` must contain the word `VERSION` exactly once")]
    Placeholder(String),
    /// It is not a path.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl FromStr for VersionedPath {
    type Err = ParseVersionedPathError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = TreePath::parse(text)?;
        match path.as_str().split_once("VERSION") {
            Some((before, after)) if !after.contains("VERSION") => {
                Ok(Self { before: before.to_owned(), after: after.to_owned() })
            }
            _ => Err(ParseVersionedPathError::Placeholder(text.to_owned())),
        }
    }
}

impl VersionedPath {
    /// The path for one kernel version.
    pub fn at(&self, version: &str) -> Result<TreePath, PathError> {
        TreePath::parse(&format!("{}{version}{}", self.before, self.after))
    }

    /// The kernel version, when `path` is of this form.
    pub fn version<'a>(&self, path: &'a TreePath) -> Option<&'a str> {
        let version = path.as_str().strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        (!version.is_empty() && !version.contains('/')).then_some(version)
    }
}

impl fmt::Display for VersionedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}VERSION{}", self.before, self.after)
    }
}

/// A file that the firmware wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareFile {
    /// Where a package puts it in the root.
    pub path: TreePath,
    /// Its name on the boot partition: 8.3, since early boot stages match short names only.
    pub name: String,
}

/// A text of a boot loader's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFile {
    /// Where it goes on the boot partition: `loader/loader.conf`.
    pub name: TreePath,
    /// Its text, in which the word [`CMDLINE`] stands for the kernel command line.
    pub content: String,
}

/// What the kernel command line replaces in a [`BootFile`].
pub const CMDLINE: &str = "CMDLINE";

/// What a GPT says of the boot partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootType {
    /// Microsoft basic data: Windows shows it, and the Pi's firmware accepts it.
    BasicData,
    /// An EFI system partition, which UEFI looks for.
    Esp,
}

/// Updates of one vendor's processors, which the kernel finds in an archive before the initramfs.
///
/// Source: the kernel's `Documentation/arch/x86/microcode.rst`, "Early load microcode".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Microcode {
    /// The file's name in the archive: `GenuineIntel.bin`.
    pub name: String,
    /// The directory of the root with the files that make it, in the order of their names.
    pub directory: TreePath,
}

/// A QEMU machine that boots the board's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `virt`, `raspi3b`.
    pub name: String,
    /// `qemu-system-aarch64`.
    pub program: String,
    /// Arguments that choose machine and processor.
    pub args: Vec<String>,
    /// Memory in bytes.
    pub memory: u64,
    /// How the image is attached.
    pub disk: MachineDisk,
    /// The network device.
    pub network: MachineNetwork,
    /// Which serial port the console is, from 0.
    pub console_serial: u32,
    /// The device tree to pass, a file name in [`Board::device_trees`]; QEMU's own without.
    pub device_tree: Option<String>,
    /// Words to append to the kernel command line.
    pub cmdline: Vec<String>,
    /// Words of the image's command line to leave out.
    pub without: Vec<String>,
    /// How the kernel is started.
    pub boot: MachineBoot,
    /// Whether the processor may be the host's own, where the host has one of the same architecture and KVM.
    pub accelerated: bool,
}

/// How a machine starts the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineBoot {
    /// QEMU loads kernel and initramfs of the boot partition itself.
    Direct,
    /// UEFI firmware reads the disk as on a real machine.
    Uefi,
}

/// A device in Raspberry Pi Imager's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagerDevice {
    /// `Raspberry Pi 4`.
    pub name: String,
    /// Which models, in one line.
    pub description: String,
    /// What its operating systems are tagged with: `pi4-64bit`.
    pub tag: String,
}

/// How a machine sees the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineDisk {
    /// A virtio block device.
    Virtio,
    /// An SD card, whose size must be a power of two.
    Sd,
}

/// How a machine reaches the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineNetwork {
    /// `-nic user,model=virtio`.
    Virtio,
    /// `-device usb-net`.
    Usb,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versioned_paths_go_both_ways() {
        let path: VersionedPath = "/usr/lib/linux-image-VERSION/broadcom".parse().unwrap();
        let at = path.at("6.12.1-arm64").unwrap();
        assert_eq!(at.to_string(), "/usr/lib/linux-image-6.12.1-arm64/broadcom");
        assert_eq!(path.version(&at), Some("6.12.1-arm64"));
        assert_eq!(path.version(&TreePath::parse("usr/lib/linux-image-a/b/broadcom").unwrap()), None);
        assert_eq!(path.to_string().parse::<VersionedPath>().unwrap(), path);
        for text in ["/boot/vmlinuz", "/VERSION/VERSION", "/../VERSION"] {
            assert!(text.parse::<VersionedPath>().is_err(), "{text}");
        }
    }
}
