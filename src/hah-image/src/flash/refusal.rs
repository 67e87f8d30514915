//! What speaks against erasing a device. Every reason is one that somebody has lost data for.

use std::fmt;

use hah_node::disk::{DATA_BYTES_MIN, SECTOR_BYTES};

use super::device::{Attachment, Device};
use crate::printer::human_bytes;

/// Mount points of a running system.
const SYSTEM: [&str; 10] =
    ["/", "/boot", "/boot/efi", "/boot/firmware", "/efi", "/home", "/nix", "/root", "/usr", "/var"];

/// What the person allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest device, in bytes: what is larger is rarely a card.
    pub max_bytes: u64,
    /// Whether built-in disks may be erased.
    pub fixed: Fixed,
}

/// Whether built-in disks may be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixed {
    /// No.
    Refused,
    /// Yes, the person said so.
    Allowed,
}

/// What an image wants of a card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of the image, if they are known before its end.
    pub image: Option<u64>,
    /// Bytes of the smallest card on which a node boots: stage 1 makes a data partition behind the image. None of a
    /// foreign image.
    pub with_data: Option<u64>,
}

impl Needs {
    /// Why a card of so many bytes is too small, if it is.
    pub fn refusal(&self, found: u64) -> Option<Refusal> {
        let more_than = |wanted: &u64| *wanted > found;
        let of_image = self.image.filter(more_than).map(|wanted| Refusal::TooSmall { wanted, found });
        of_image.or_else(|| self.with_data.filter(more_than).map(|wanted| Refusal::NoRoom { wanted, found }))
    }
}

/// The ceiling without `--max-size`.
pub const MAX_BYTES: u64 = 256 << 30;

/// Why a device is not erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is a part of a disk.
    Partition {
        /// The disk.
        disk: String,
    },
    /// This system runs from it.
    System {
        /// A mount point, or what else uses it.
        place: String,
    },
    /// It is mounted.
    Mounted {
        /// Device and place.
        mounts: Vec<(String, String)>,
    },
    /// A RAID, a volume group, an encrypted container or swap is on it.
    Used {
        /// By what.
        by: Vec<String>,
    },
    /// There is no medium.
    Empty,
    /// The lock switch.
    ReadOnly,
    /// It is built in.
    BuiltIn,
    /// It is larger than the ceiling.
    TooLarge {
        /// The ceiling, in bytes.
        max: u64,
    },
    /// Its sectors are not those in which tables of images count.
    SectorSize {
        /// Bytes in one of its sectors.
        bytes: u64,
    },
    /// The image fits, and what a node's first boot adds does not.
    NoRoom {
        /// Bytes that both take.
        wanted: u64,
        /// Bytes of the device.
        found: u64,
    },
    /// The image does not fit.
    TooSmall {
        /// Bytes of the image.
        wanted: u64,
        /// Bytes of the device.
        found: u64,
    },
}

/// The first thing that speaks against erasing `device` for an image with these needs.
pub fn refusal(device: &Device, needs: &Needs, limits: &Limits) -> Option<Refusal> {
    if let Some(disk) = &device.parent {
        return Some(Refusal::Partition { disk: disk.clone() });
    }
    let system = device.mounts.iter().map(|(_, place)| place).find(|place| SYSTEM.contains(&place.as_str()));
    if let Some(place) = system.or(device.users.iter().find(|user| user.starts_with("swap "))) {
        return Some(Refusal::System { place: place.clone() });
    }
    if !device.mounts.is_empty() {
        return Some(Refusal::Mounted { mounts: device.mounts.clone() });
    }
    if !device.users.is_empty() {
        return Some(Refusal::Used { by: device.users.clone() });
    }
    if device.bytes == 0 {
        return Some(Refusal::Empty);
    }
    if device.read_only {
        return Some(Refusal::ReadOnly);
    }
    if device.attachment == Attachment::Fixed && limits.fixed == Fixed::Refused {
        return Some(Refusal::BuiltIn);
    }
    if device.bytes > limits.max_bytes {
        return Some(Refusal::TooLarge { max: limits.max_bytes });
    }
    if device.sector_bytes != SECTOR_BYTES {
        return Some(Refusal::SectorSize { bytes: device.sector_bytes });
    }
    needs.refusal(device.bytes)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition { disk } => write!(f, "is a partition of {disk}, and an image has partitions of its own"),
            Self::System { place } => write!(f, "is what this system runs from ({place})"),
            Self::Mounted { mounts } => {
                let list: Vec<String> = mounts.iter().map(|(source, place)| format!("{source} at {place}")).collect();
                write!(f, "is mounted: {}", list.join(", "))
            }
            Self::Used { by } => write!(f, "is in use by {}", by.join(", ")),
            Self::Empty => f.write_str("has no medium"),
            Self::ReadOnly => f.write_str("is write-protected"),
            Self::BuiltIn => f.write_str("is built into this machine"),
            Self::TooLarge { max } => write!(f, "is larger than {}, so it may not be a card", human_bytes(*max)),
            Self::SectorSize { bytes } => write!(
                f,
                "has sectors of {bytes} bytes: the partition tables of images count in sectors of {SECTOR_BYTES}, so \
                 nothing would be found where it was written"
            ),
            Self::NoRoom { wanted, found } => {
                let (data, missing) = (human_bytes(DATA_BYTES_MIN), human_bytes(wanted - found));
                write!(
                    f,
                    "is too small: the image fits, but its node also needs {data} for its data; together {wanted} bytes, \
                     and it has {found}, {missing} too few"
                )
            }
            Self::TooSmall { wanted, found } => {
                let missing = wanted - found;
                write!(f, "is too small: the image needs {wanted} bytes and it has {found}, {missing} too few")
            }
        }
    }
}

impl Refusal {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Partition { disk } => format!("give the whole disk: /dev/{disk}"),
            Self::System { .. } => "nothing overrides this; did you mean another device?".into(),
            Self::Mounted { mounts } => {
                let list: Vec<&str> = mounts.iter().map(|(source, _)| source.as_str()).collect();
                format!("unmount it first, if it is the right one: umount {}", list.join(" "))
            }
            Self::Used { .. } => "stop what uses it, if it is the right one".into(),
            Self::Empty => "put a card in".into(),
            Self::ReadOnly => "look at the lock switch of the card or its adapter; a worn-out card locks itself".into(),
            Self::BuiltIn => "if you mean it, say --allow-fixed".into(),
            Self::TooLarge { .. } => "if you mean it, say --max-size, for example --max-size '1024 GiB'".into(),
            Self::SectorSize { .. } => {
                "use a card, a USB stick or a disk with sectors of 512 bytes (\"512n\" or \"512e\"); some disks and their \
                 enclosures can be switched"
                    .into()
            }
            Self::NoRoom { .. } => "use a larger card; data takes all that the image leaves".into(),
            Self::TooSmall { .. } => "use a larger card, or a smaller image: `sizes` in the image file".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::device::tests::Machine;

    const LIMITS: Limits = Limits { max_bytes: MAX_BYTES, fixed: Fixed::Refused };
    const CARD: &[(&str, &str)] = &[("removable", "1")];

    #[track_caller]
    fn check(machine: &Machine, name: &str, limits: Limits, wanted: &str) {
        let device = machine.kernel.device(name).unwrap();
        let needs = Needs { image: Some((29 << 30) + 512), with_data: Some((30 << 30) + 512) };
        let found = refusal(&device, &needs, &limits);
        let text = found.map(|refusal| format!("{refusal}; {}", refusal.hint())).unwrap_or_default();
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_fit_card() {
        let machine = Machine::new();
        machine.disk("pci0/usb1/sdb", 32, &["sdb1"], CARD);
        check(&machine, "sdb", LIMITS, "");
        machine.disk("virtual/loop0", 32, &[], &[]);
        check(&machine, "loop0", LIMITS, "");
    }

    #[test]
    fn every_refusal() {
        let mut machine = Machine::new();
        machine.disk("pci0/usb1/sdb", 32, &["sdb1", "sdb2"], CARD);
        check(
            &machine,
            "sdb2",
            LIMITS,
            "is a partition of sdb, and an image has partitions of its own; give the whole disk: /dev/sdb",
        );
        machine.mount("sdb:1", "/dev/sdb1", "/media/x");
        machine.mount("sdb:2", "/dev/sdb2", "/media/y");
        check(
            &machine,
            "sdb",
            LIMITS,
            "is mounted: /dev/sdb1 at /media/x, /dev/sdb2 at /media/y; \
             unmount it first, if it is the right one: umount /dev/sdb1 /dev/sdb2",
        );
        machine.disk("pci0/ata1/sda", 100, &["sda1", "sda2"], &[]);
        let fixed = Limits { fixed: Fixed::Allowed, ..LIMITS };
        check(&machine, "sda", LIMITS, "is built into this machine; if you mean it, say --allow-fixed");
        check(&machine, "sda", fixed, "");
        machine.mount("sda:2", "/dev/sda2", "/usr");
        check(
            &machine,
            "sda",
            fixed,
            "is what this system runs from (/usr); nothing overrides this; did you mean another device?",
        );
        machine.disk("pci0/usb1/sdc", 32, &["sdc1"], CARD);
        machine.swap("/dev/sdc1");
        check(
            &machine,
            "sdc",
            fixed,
            "is what this system runs from (swap on /dev/sdc1); nothing overrides this; did you mean another device?",
        );
        machine.disk("pci0/usb1/sdd", 32, &["sdd1"], CARD);
        machine.hold("sdd1", "md0");
        check(&machine, "sdd", fixed, "is in use by /dev/md0; stop what uses it, if it is the right one");
        machine.disk("pci0/usb1/sde", 0, &[], CARD);
        check(&machine, "sde", LIMITS, "has no medium; put a card in");
        machine.disk("pci0/usb1/sdf", 32, &[], &[("ro", "1")]);
        check(
            &machine,
            "sdf",
            LIMITS,
            "is write-protected; look at the lock switch of the card or its adapter; a worn-out card locks itself",
        );
        machine.disk("pci0/usb1/sdg", 12_000, &[], &[]);
        check(
            &machine,
            "sdg",
            LIMITS,
            "is larger than 256.0 GiB, so it may not be a card; \
             if you mean it, say --max-size, for example --max-size '1024 GiB'",
        );
        check(&machine, "sdg", Limits { max_bytes: 1 << 50, ..LIMITS }, "");
        machine.disk("pci0/usb1/sdh", 29, &[], CARD);
        machine.disk("pci0/usb1/sdi", 30, &[], CARD);
        check(
            &machine,
            "sdi",
            LIMITS,
            "is too small: the image fits, but its node also needs 32.0 MiB for its data; together 32212255232 bytes, \
             and it has 32212254720, 512 B too few; use a larger card; data takes all that the image leaves",
        );
        machine.disk("pci0/usb1/sdj", 32, &[], &[("queue/logical_block_size", "4096\n")]);
        check(
            &machine,
            "sdj",
            LIMITS,
            "has sectors of 4096 bytes: the partition tables of images count in sectors of 512, so nothing would be \
             found where it was written; use a card, a USB stick or a disk with sectors of 512 bytes (\"512n\" or \
             \"512e\"); some disks and their enclosures can be switched",
        );
        check(
            &machine,
            "sdh",
            LIMITS,
            "is too small: the image needs 31138513408 bytes and it has 31138512896, 512 too few; \
             use a larger card, or a smaller image: `sizes` in the image file",
        );
    }
}
