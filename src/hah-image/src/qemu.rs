//! Booting an image in QEMU: the machine's disk, kernel and command line, prepared as files and arguments.
//!
//! Kernel, initramfs, device tree and command line are taken from the node's own boot partition before each start, by its
//! boot pointer ([`firmware`]), so what boots here is what boots on the board. The image itself is only read: a node's
//! writes go to a qcow2 overlay in its own directory, which is kept, so that a node comes back with its data. A node's
//! overlay is discarded when the image has changed by the time the node is switched on; until then it keeps the image
//! that it began with.

mod firmware;
mod uefi;
pub mod power;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::net::TcpListener;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use hah_format::disk::Extent;
use hah_format::disk::window::Window;
use hah_node::architecture::{ARCHITECTURES, Architecture};
use hah_plan::board::{Machine, MachineBoot, MachineDisk, MachineNetwork};

use crate::advice::Advised;
use crate::files::draft;
use crate::files::place::{Place, PlaceError};
use crate::files::{self, FileError};
use crate::programs;
use firmware::Source;

/// Ports of a node that are forwarded from the host: the services of the stack, and ssh.
pub const PORTS: [(&str, u16); 6] =
    [("ssh", 22), ("node_exporter", 9100), ("consul", 8500), ("prometheus", 9090), ("nomad", 4646), ("vault", 8200)];

/// What is to be booted.
pub struct Guest<'a> {
    /// Path of the image file.
    pub image: &'a Path,
    /// The machine.
    pub machine: &'a Machine,
    /// Where the node's files are kept.
    pub directory: PathBuf,
    /// Size of the node's disk in bytes.
    pub disk_bytes: u64,
    /// Which node, from 0: decides its MAC address and the host's ports.
    pub node: u16,
    /// What its network card is connected to.
    pub link: Link<'a>,
    /// Whose processor it runs on.
    pub processor: Processor,
}

/// Whose processor a machine runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// The host's own, where the machine allows that and the host has KVM; else an emulated one.
    Fastest,
    /// An emulated one.
    Emulated,
}

/// What a machine's network card is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link<'a> {
    /// A network of its own behind the host, made by QEMU; [`PORTS`] are forwarded.
    User,
    /// A tap device that is there already: several nodes see each other when their devices are on one bridge.
    Tap(&'a str),
}

/// A machine that cannot be prepared or started.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No file may be written there.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The image has no boot partition as `build` makes it.
    #[error("{} is not an image that can be booted", image.display())]
    Image {
        /// Path of the image file.
        image: PathBuf,
        /// The cause, as whoever met it tells it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The program is not there.
    #[error("cannot run {program}")]
    Start {
        /// Name of the program.
        program: String,
        /// The cause, as whoever met it tells it.
        source: io::Error,
    },
    /// There is no UEFI firmware to start a machine with.
    #[error("this machine has no UEFI firmware for QEMU")]
    NoFirmware,
    /// qemu-img failed, with these words.
    #[error("qemu-img: {0}")]
    Overlay(String),
}

impl Advised for QemuError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint().map(str::to_owned),
            Self::Io(error) => error.hint(),
            Self::Place(error) => Some(error.hint()),
            Self::Image { .. } => {
                Some("build it with `hah-image build`; a compressed image must be unpacked first".into())
            }
            Self::Start { program, .. } => {
                let row = ARCHITECTURES.iter().find(|row| row.qemu.0 == program);
                let package = row.map_or("qemu-utils", |row| row.qemu.1);
                Some(format!("`run` needs QEMU; on Debian: apt install {package}"))
            }
            Self::NoFirmware => {
                Some("on Debian: apt install ovmf; or choose a machine that needs none: --machine q35".into())
            }
            Self::Overlay(_) => None,
        }
    }
}

/// A machine ready to be started.
pub struct Prepared {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Service, host port, guest port.
    pub forwards: Vec<(&'static str, u16, u16)>,
    /// Whether the node's disk was made now.
    pub fresh: bool,
    /// Where on the boot partition the kernel was: `g0`, or nothing for the rescue copy in the root. `None` when the
    /// machine has firmware of its own, which finds it.
    pub generation: Option<String>,
}

/// The node's disk, in its directory.
const DISK: &str = "disk.qcow2";
/// The image that the disk is an overlay of, in the node's directory.
const BASE: &str = "base.img";

/// Switches a node on: writes its files and decides the arguments.
pub fn prepare(guest: &Guest<'_>) -> Result<Prepared, QemuError> {
    // What is no image is told before anything is written.
    BootFiles::open(guest.image)?;
    files::create_directory(&guest.directory)?;
    let fresh = overlay(guest.image, &guest.directory, guest.disk_bytes)?;
    let source = if fresh { Source::Image } else { Source::Disk };
    let forwards = if guest.link == Link::User { forwards(guest.node) } else { Vec::new() };
    Ok(Prepared { fresh, ..start(guest, source, forwards)? })
}

/// Starts a node again that has run as `before`, with the ports that it had.
pub fn prepare_again(guest: &Guest<'_>, before: &Prepared) -> Result<Prepared, QemuError> {
    start(guest, Source::Disk, before.forwards.clone())
}

fn start(guest: &Guest<'_>, source: Source, forwards: Vec<(&'static str, u16, u16)>) -> Result<Prepared, QemuError> {
    let loaded = match guest.machine.boot {
        MachineBoot::Direct => Some(firmware::extract(guest, source)?),
        MachineBoot::Uefi => {
            uefi::make_variables(&guest.directory)?;
            None
        }
    };
    let cmdline = loaded.as_ref().map(|loaded| loaded.cmdline.as_str()).unwrap_or_default();
    let prepared = arguments(guest, cmdline, forwards)?;
    Ok(Prepared { generation: loaded.map(|loaded| loaded.prefix.trim_end_matches('/').to_owned()), ..prepared })
}

/// Decides the arguments of a node that is switched on for the first time, and writes nothing.
pub fn describe(guest: &Guest<'_>) -> Result<Prepared, QemuError> {
    let BootFiles { image, file, boot } = BootFiles::open(guest.image)?;
    let volume = Window::new(file, boot.offset_bytes(), boot.length_bytes())?;
    let cmdline = firmware::load(volume, None).map_err(|error| unreadable(image, error))?.cmdline;
    let forwards = if guest.link == Link::User { forwards(guest.node) } else { Vec::new() };
    arguments(guest, &cmdline, forwards)
}

fn arguments(guest: &Guest<'_>, cmdline: &str, forwards: Vec<(&'static str, u16, u16)>) -> Result<Prepared, QemuError> {
    let Guest { machine, directory, node, link, .. } = guest;
    // QEMU takes what stands before a colon of a relative path for a protocol.
    let directory = std::path::absolute(directory)?;
    let mut args: Vec<OsString> = machine.args.iter().map(OsString::from).collect();
    if guest.processor == Processor::Fastest
        && machine.accelerated
        && accelerated().is_some_and(|host| host.qemu.0 == machine.program)
    {
        // The last -cpu counts.
        args.extend(["-accel", "kvm", "-cpu", "host"].map(OsString::from));
    }
    let mut push = |name: &str, value: OsString| args.extend([name.into(), value]);
    push("-m", format!("{}M", machine.memory >> 20).into());
    push("-display", "none".into());
    args.push("-no-reboot".into());
    let mut push = |name: &str, value: OsString| args.extend([name.into(), value]);
    for _ in 0..machine.console_serial {
        push("-serial", "null".into());
    }
    push("-serial", "mon:stdio".into());
    let interface = match machine.disk {
        MachineDisk::Virtio => "virtio",
        MachineDisk::Sd => "sd",
    };
    let disk = directory.join(DISK);
    push("-drive", option(&format!("if={interface},format=qcow2,cache=unsafe,file="), disk.as_os_str()));
    match machine.boot {
        MachineBoot::Direct => {
            push("-kernel", directory.join("kernel").into());
            push("-initrd", directory.join("initramfs").into());
            if machine.device_tree.is_some() {
                push("-dtb", directory.join("board.dtb").into());
            }
            let kept = cmdline.split_whitespace().filter(|word| !machine.without.iter().any(|other| other == word));
            let words = kept.chain(machine.cmdline.iter().map(String::as_str));
            push("-append", words.collect::<Vec<_>>().join(" ").into());
        }
        MachineBoot::Uefi => {
            let code = uefi::code()?;
            push("-drive", option("if=pflash,format=raw,readonly=on,file=", code.as_os_str()));
            let variables = directory.join(uefi::VARIABLES);
            push("-drive", option("if=pflash,format=raw,file=", variables.as_os_str()));
        }
    }
    match link {
        Link::User => {
            let forward: String =
                forwards.iter().map(|(_, host, port)| format!(",hostfwd=tcp:127.0.0.1:{host}-:{port}")).collect();
            push("-netdev", format!("user,id=net{forward}").into());
        }
        Link::Tap(name) => push("-netdev", option("tap,id=net,script=no,downscript=no,ifname=", OsStr::new(name))),
    }
    let mac = format!("52:54:00:68:61:{:02x}", 0x10 + (node & 0x7f));
    match machine.network {
        MachineNetwork::Virtio => push("-device", format!("virtio-net-pci,netdev=net,mac={mac},romfile=").into()),
        MachineNetwork::Usb => push("-device", format!("usb-net,netdev=net,mac={mac}").into()),
    }
    if machine.disk == MachineDisk::Virtio {
        push("-device", "virtio-rng-pci".into());
    }
    Ok(Prepared { program: machine.program.clone(), args, forwards, fresh: false, generation: None })
}

/// The last `KEY=` of an option list, and its value: QEMU wants commas in it twice (qemu(1), `-drive file`).
fn option(list: &str, value: &OsStr) -> OsString {
    let mut bytes = list.as_bytes().to_vec();
    for byte in value.as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}

/// The boot partition of an image.
struct BootFiles<'a> {
    image: &'a Path,
    file: std::fs::File,
    boot: Extent,
}

impl<'a> BootFiles<'a> {
    fn open(image: &'a Path) -> Result<Self, QemuError> {
        let mut file = files::open(image)?;
        let table = hah_format::disk::read(&mut file).map_err(|error| unreadable(image, error))?;
        let boot = table.partitions.first().ok_or_else(|| unreadable(image, "it has no partition"))?.extent;
        Ok(Self { image, file, boot })
    }
}

fn unreadable(image: &Path, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> QemuError {
    QemuError::Image { image: image.to_owned(), source: reason.into() }
}

/// The kernel itself: firmware unpacks gzip, not every QEMU machine does.
fn gunzip(bytes: Vec<u8>) -> Result<Vec<u8>, QemuError> {
    /// Far beyond any kernel.
    const LIMIT: u64 = 512 << 20;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).take(LIMIT).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Makes the node's overlay, unless it has one of this very image. Says whether it was made.
fn overlay(image: &Path, directory: &Path, disk_bytes: u64) -> Result<bool, QemuError> {
    // Absolute, so that no path begins with a dash or looks like a protocol.
    let directory = std::path::absolute(directory)?;
    let disk = directory.join(DISK);
    let stamp_path = directory.join("image.stamp");
    let image = files::canonicalize(image)?;
    let metadata = files::metadata(&image)?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let mut stamp = image.as_os_str().as_bytes().to_vec();
    let nanos = modified.map_or(0, |time| time.as_nanos());
    stamp.extend(format!("\n{}\n{nanos}\n{disk_bytes}\n", metadata.len()).as_bytes());
    if disk.exists() && files::read(&stamp_path).is_ok_and(|old| old == stamp) {
        return Ok(false);
    }
    // qemu-img writes to whatever has the name, so it is a new file of ours: the node's keys and secrets will be in it.
    let place = Place::of(&disk)?;
    files::if_there(files::remove(place.path()))?;
    draft::create_private(place.path())?;
    // The next build gives the image's name to another file, which a node that starts again must not find below its disk.
    let base = directory.join(BASE);
    files::if_there(files::remove(&base))?;
    let base = if draft::link(&image, &base).is_ok() { base } else { image };
    let mut words: Vec<&OsStr> = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b"].map(OsStr::new).to_vec();
    let bytes = OsString::from(disk_bytes.to_string());
    words.extend([base.as_os_str(), disk.as_os_str(), &bytes]);
    qemu_img(&words)?;
    draft::write(&stamp_path, &stamp)?;
    Ok(true)
}

/// Runs qemu-img, which must be content.
fn qemu_img(args: &[&OsStr]) -> Result<(), QemuError> {
    let output = programs::command("qemu-img").args(args).output().map_err(|error| missing("qemu-img", error))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(QemuError::Overlay(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// Why a program of QEMU cannot be started.
pub fn missing(program: &str, source: io::Error) -> QemuError {
    QemuError::Start { program: program.to_owned(), source }
}

/// The architecture that this machine runs at its own speed, if it does: KVM is there and may be used.
pub fn accelerated() -> Option<&'static Architecture> {
    let host = ARCHITECTURES.iter().find(|row| row.machine == std::env::consts::ARCH)?;
    rustix::fs::access("/dev/kvm", rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK).is_ok().then_some(host)
}

#[expect(clippy::disallowed_methods, reason = "asks whether a port is free, and lets go of it")]
/// A free host port for each service: the guest's own number when it can be had, else 10000 more, and so on.
fn forwards(node: u16) -> Vec<(&'static str, u16, u16)> {
    let mut taken = Vec::new();
    PORTS
        .iter()
        .filter_map(|&(service, guest)| {
            // Nobody forwards to 22: privileged, and usually the host's own sshd.
            let base = if guest == 22 { 2222 } else { guest };
            let host = (0..5u16)
                .filter_map(|step| base.checked_add(node)?.checked_add(step.checked_mul(10_000)?))
                .find(|port| !taken.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok())?;
            taken.push(host);
            Some((service, host, guest))
        })
        .collect()
}

#[cfg(test)]
mod tests;
