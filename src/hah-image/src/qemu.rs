//! Booting an image in QEMU: the machine's disk, kernel and command line, prepared as files and arguments.
//!
//! Kernel, initramfs, device tree and command line are taken from the image's own boot partition, so what boots here is
//! what boots on the board. The image itself is only read: a node's writes go to a qcow2 overlay in its own directory,
//! which is kept, so that a node comes back with its data. A node's overlay is discarded when the image has changed.

use std::ffi::OsString;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use hah_format::disk::window::Window;
use hah_format::path::TreePath;
use hah_plan::board::{Machine, MachineDisk, MachineNetwork};

use crate::assemble::boot::GENERATION;
use crate::draft;
use crate::draft::place::Place;
use crate::failure::Failure;

/// Ports of a node that are forwarded from the host: the services of the stack, and ssh.
pub const PORTS: [(&str, u16); 6] =
    [("ssh", 22), ("node_exporter", 9100), ("consul", 8500), ("prometheus", 9090), ("nomad", 4646), ("vault", 8200)];

/// What is to be booted.
pub struct Guest<'a> {
    /// The image.
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
}

/// What a machine's network card is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link<'a> {
    /// A network of its own behind the host, made by QEMU; [`PORTS`] are forwarded.
    User,
    /// A tap device that is there already: several nodes see each other when their devices are on one bridge.
    Tap(&'a str),
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
}

/// Writes the node's files and decides the arguments.
pub fn prepare(guest: &Guest<'_>) -> Result<Prepared, Failure> {
    let Guest { image, machine, directory, disk_bytes, node, link } = guest;
    fs::create_dir_all(directory)?;
    extract_boot(image, machine, directory)?;
    let fresh = overlay(image, directory, *disk_bytes)?;
    let forwards = if *link == Link::User { forwards(*node) } else { Vec::new() };
    let mut args: Vec<OsString> = machine.args.iter().map(OsString::from).collect();
    let mut push = |words: &[&str]| args.extend(words.iter().map(OsString::from));
    let memory = format!("{}M", machine.memory >> 20);
    push(&["-m", &memory, "-display", "none", "-no-reboot"]);
    for _ in 0..machine.console_serial {
        push(&["-serial", "null"]);
    }
    push(&["-serial", "mon:stdio"]);
    let path = |name: &str| directory.join(name).display().to_string();
    let interface = match machine.disk {
        MachineDisk::Virtio => "virtio",
        MachineDisk::Sd => "sd",
    };
    push(&["-drive", &format!("if={interface},format=qcow2,cache=unsafe,file={}", path("disk.qcow2"))]);
    push(&["-kernel", &path("kernel"), "-initrd", &path("initramfs")]);
    if machine.device_tree.is_some() {
        push(&["-dtb", &path("board.dtb")]);
    }
    let cmdline = fs::read_to_string(directory.join("cmdline.txt"))?;
    let cmdline: Vec<&str> = cmdline.split_whitespace().chain(machine.cmdline.iter().map(String::as_str)).collect();
    push(&["-append", &cmdline.join(" ")]);
    match link {
        Link::User => {
            let forward: String =
                forwards.iter().map(|(_, host, port)| format!(",hostfwd=tcp:127.0.0.1:{host}-:{port}")).collect();
            push(&["-netdev", &format!("user,id=net{forward}")]);
        }
        Link::Tap(name) => push(&["-netdev", &format!("tap,id=net,ifname={name},script=no,downscript=no")]),
    }
    let mac = format!("52:54:00:68:61:{:02x}", 0x10 + (node & 0x7f));
    match machine.network {
        MachineNetwork::Virtio => push(&["-device", &format!("virtio-net-pci,netdev=net,mac={mac},romfile=")]),
        MachineNetwork::Usb => push(&["-device", &format!("usb-net,netdev=net,mac={mac}")]),
    }
    if machine.disk == MachineDisk::Virtio {
        push(&["-device", "virtio-rng-pci"]);
    }
    Ok(Prepared { program: machine.program.clone(), args, forwards, fresh })
}

/// Copies kernel, initramfs, command line and device tree out of the image's boot partition.
fn extract_boot(image: &Path, machine: &Machine, directory: &Path) -> Result<(), Failure> {
    let unreadable = |reason: String| {
        Failure::user(
            format!("{} is not an image that can be booted: {reason}", image.display()),
            Some("build it with `hah-image build`; a compressed image must be unpacked first".into()),
        )
    };
    let mut file = fs::File::open(image)?;
    let table = hah_format::disk::read(&mut file).map_err(|error| unreadable(error.to_string()))?;
    let boot = table.partitions.first().ok_or_else(|| unreadable("it has no partition".into()))?.extent;
    let mut read = |name: &str| -> Result<Vec<u8>, Failure> {
        let path = TreePath::parse(&format!("{GENERATION}/{name}")).map_err(|error| unreadable(error.to_string()))?;
        let window = Window::new(&mut file, boot.offset_bytes(), boot.length_bytes())?;
        hah_format::fat::read_file(window, &path).map_err(|error| unreadable(error.to_string()))
    };
    let kernel = read("kernel")?;
    draft::write(&directory.join("kernel"), &gunzip(kernel)?)?;
    draft::write(&directory.join("initramfs"), &read("initramfs")?)?;
    draft::write(&directory.join("cmdline.txt"), &read("cmdline.txt")?)?;
    if let Some(name) = &machine.device_tree {
        draft::write(&directory.join("board.dtb"), &read(name)?)?;
    }
    Ok(())
}

/// The kernel itself: firmware unpacks gzip, not every QEMU machine does.
fn gunzip(bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
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
fn overlay(image: &Path, directory: &Path, disk_bytes: u64) -> Result<bool, Failure> {
    let disk = directory.join("disk.qcow2");
    let stamp_path = directory.join("image.stamp");
    let image = fs::canonicalize(image)?;
    let metadata = fs::metadata(&image)?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let stamp = format!(
        "{}\n{}\n{}\n{disk_bytes}\n",
        image.display(),
        metadata.len(),
        modified.map_or(0, |time| time.as_nanos())
    );
    if disk.exists() && fs::read_to_string(&stamp_path).is_ok_and(|old| old == stamp) {
        return Ok(false);
    }
    // qemu-img writes to whatever has the name.
    Place::of(&disk)?;
    let output = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .arg(&image)
        .arg(&disk)
        .arg(disk_bytes.to_string())
        .output()
        .map_err(|error| missing("qemu-img", &error))?;
    if !output.status.success() {
        return Err(Failure::user(format!("qemu-img: {}", String::from_utf8_lossy(&output.stderr).trim()), None));
    }
    draft::write(&stamp_path, stamp.as_bytes())?;
    Ok(true)
}

/// Why QEMU cannot be started.
pub fn missing(program: &str, error: &std::io::Error) -> Failure {
    Failure::user(
        format!("cannot run {program}: {error}"),
        Some("`run` needs QEMU; on Debian: apt install qemu-system-arm qemu-utils".into()),
    )
}

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
mod tests {
    use super::*;

    /// qemu-img would write into it, and into a device.
    #[test]
    fn a_disk_that_is_a_fifo_is_refused() {
        use std::os::unix::fs::FileTypeExt as _;
        let directory = tempfile::tempdir().unwrap();
        let (image, disk) = (directory.path().join("x.img"), directory.path().join("disk.qcow2"));
        fs::write(&image, "image").unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &disk, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let failure = overlay(&image, directory.path(), 1 << 30).unwrap_err();
        assert!(failure.message().ends_with("disk.qcow2 is a FIFO, and a regular file is to be written there"));
        assert!(fs::symlink_metadata(&disk).unwrap().file_type().is_fifo());
    }
}
