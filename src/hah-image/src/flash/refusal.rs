//! What speaks against erasing a device. Every reason is one that somebody has lost data for.

use std::fmt;

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
    /// The image does not fit.
    TooSmall {
        /// Bytes of the image.
        wanted: u64,
        /// Bytes of the device.
        found: u64,
    },
}

/// The first thing that speaks against erasing `device` for an image of `image_bytes`.
pub fn refusal(device: &Device, image_bytes: Option<u64>, limits: &Limits) -> Option<Refusal> {
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
    match image_bytes {
        Some(wanted) if wanted > device.bytes => Some(Refusal::TooSmall { wanted, found: device.bytes }),
        _ => None,
    }
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
        let found = refusal(&device, Some((29 << 30) + 512), &limits);
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
        check(
            &machine,
            "sdh",
            LIMITS,
            "is too small: the image needs 31138513408 bytes and it has 31138512896, 512 too few; \
             use a larger card, or a smaller image: `sizes` in the image file",
        );
    }
}
