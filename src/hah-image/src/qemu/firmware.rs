//! What a board's firmware does before the kernel: it reads the boot pointer of the node's own disk, and loads what is there.
//!
//! As on a Raspberry Pi, a prefix that has no kernel is dropped, and the files in the partition's root count (raspberrypi
//! documentation, `config_txt/boot.adoc`, `os_prefix`). A machine that boots through UEFI has a boot loader on its disk that
//! does the same.

use std::io::{Read, Seek};
use std::path::Path;

use hah_format::disk::Extent;
use hah_format::disk::window::Window;
use hah_format::fat::{self, FatError};
use hah_format::path::TreePath;
use hah_node::generation::{Slot, pointer};

use super::{BootFiles, Guest, QemuError, gunzip, option, qemu_img, unreadable};
use crate::files;
use crate::files::draft;
use crate::files::place::Place;

/// Most bytes of a boot pointer's file that are read.
const TEXT_MAX: usize = 64 << 10;

/// What the firmware loads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    /// What stood before the files' names: `g1/`, or nothing for those in the partition's root.
    pub prefix: String,
    pub kernel: Vec<u8>,
    pub initramfs: Vec<u8>,
    pub cmdline: String,
    pub device_tree: Option<Vec<u8>>,
}

/// Loads from a boot partition; `device_tree` is the name of the board's.
pub(super) fn load<S: Read + Seek>(mut volume: S, device_tree: Option<&str>) -> Result<Loaded, FatError> {
    let wanted = prefix(&mut volume)?;
    let flashed = format!("{}/", Slot::FLASHED.boot_directory());
    let mut prefixes = [wanted.as_str(), "", flashed.as_str()].into_iter();
    let (prefix, kernel) = loop {
        // The last one's absence is the error.
        let Some(prefix) = prefixes.next() else { break (flashed.as_str(), read(&mut volume, &flashed, "kernel")?) };
        if let Some(kernel) = there(read(&mut volume, prefix, "kernel"))? {
            break (prefix, kernel);
        }
    };
    let cmdline = read(&mut volume, prefix, "cmdline.txt")?;
    Ok(Loaded {
        kernel,
        initramfs: read(&mut volume, prefix, "initramfs")?,
        cmdline: String::from_utf8_lossy(&cmdline).into_owned(),
        device_tree: device_tree.map(|name| read(&mut volume, prefix, name)).transpose()?,
        prefix: prefix.to_owned(),
    })
}

/// What the line for the firmware says, in the first file that may hold the pointer.
fn prefix<S: Read + Seek>(volume: &mut S) -> Result<String, FatError> {
    for (name, before) in pointer::FILES {
        let Some(text) = there(read(volume, "", name))? else { continue };
        let text = String::from_utf8_lossy(text.get(..TEXT_MAX).unwrap_or(&text)).into_owned();
        if let Some(rest) = text.lines().find_map(|line| line.strip_prefix(before)) {
            let rest = rest.trim_end();
            return Ok(format!("g{}/", rest.strip_suffix(".conf").unwrap_or(rest).trim_end_matches('/')));
        }
    }
    Ok(format!("{}/", Slot::FLASHED.boot_directory()))
}

fn read<S: Read + Seek>(volume: &mut S, prefix: &str, name: &str) -> Result<Vec<u8>, FatError> {
    let path = TreePath::parse(&format!("{prefix}{name}")).map_err(|error| FatError::Corrupt(error.to_string()))?;
    fat::read_file(volume, &path)
}

fn there<T>(answer: Result<T, FatError>) -> Result<Option<T>, FatError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(FatError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the node's boot partition is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The image: nobody has written to the node's disk yet.
    Image,
    /// The node's own disk.
    Disk,
}

/// Puts what the firmware would load into the node's directory, and says what that is.
pub(super) fn extract(guest: &Guest<'_>, source: Source) -> Result<Loaded, QemuError> {
    let directory = &guest.directory;
    let BootFiles { file, boot, .. } = BootFiles::open(guest.image)?;
    let failed = |error: FatError| unreadable(guest.image, error);
    let device_tree = guest.machine.device_tree.as_deref();
    let loaded = match source {
        Source::Image => {
            load(Window::new(file, boot.offset_bytes(), boot.length_bytes())?, device_tree).map_err(failed)?
        }
        Source::Disk => {
            let copy = copy_of_boot(directory, boot)?;
            let loaded = files::open(&copy).map(|file| load(file, device_tree));
            files::remove(&copy)?;
            loaded?.map_err(failed)?
        }
    };
    let Loaded { kernel, initramfs, cmdline, device_tree, prefix } = loaded;
    let kernel = gunzip(kernel)?;
    draft::write(&directory.join("kernel"), &kernel)?;
    draft::write(&directory.join("initramfs"), &initramfs)?;
    draft::write(&directory.join("cmdline.txt"), cmdline.as_bytes())?;
    if let Some(tree) = &device_tree {
        draft::write(&directory.join("board.dtb"), tree)?;
    }
    Ok(Loaded { kernel, initramfs, cmdline, device_tree, prefix })
}

/// Copies the boot partition out of the node's disk, which no QEMU may have open.
fn copy_of_boot(directory: &Path, boot: Extent) -> Result<std::path::PathBuf, QemuError> {
    let directory = std::path::absolute(directory)?;
    let copy = directory.join("boot.fat");
    // qemu-img writes to whatever has the name.
    Place::of(&copy)?;
    let (offset, length) = (boot.offset_bytes(), boot.length_bytes());
    let list = format!("driver=raw,offset={offset},size={length},file.driver=qcow2,file.file.filename=");
    let from = option(&list, directory.join(super::DISK).as_os_str());
    qemu_img(&[
        "convert".as_ref(),
        "-q".as_ref(),
        "-O".as_ref(),
        "raw".as_ref(),
        "--image-opts".as_ref(),
        &from,
        copy.as_os_str(),
    ])?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Cursor;

    use hah_format::fat::FatOptions;

    use super::*;

    /// A boot partition with these files; the text of a kernel, an initramfs and a command line is their own path.
    fn volume(files: &[(&str, &str)]) -> Cursor<Vec<u8>> {
        let mut tree: BTreeMap<TreePath, Vec<u8>> = BTreeMap::new();
        let mut put = |path: &str, text: &str| tree.insert(TreePath::parse(path).unwrap(), text.into());
        for (path, text) in files {
            match path.strip_suffix('/') {
                Some(_) => ["kernel", "initramfs", "cmdline.txt", "board.dtb"].iter().for_each(|name| {
                    let path = format!("{path}{name}");
                    put(path.trim_start_matches('/'), path.trim_start_matches('/'));
                }),
                None => drop(put(path, text)),
            }
        }
        let mut bytes = Cursor::new(vec![0; 40 << 20]);
        let options = FatOptions {
            size_bytes: 40 << 20,
            label: "BOOT".into(),
            volume_id: 1,
            epoch: 0,
            sectors_per_cluster: 1,
            hidden_sectors: 0,
        };
        fat::format_and_fill(&mut bytes, &options, &tree).unwrap();
        bytes
    }

    #[test]
    fn the_pointer_chooses_and_a_prefix_without_a_kernel_is_dropped() {
        let config = |prefix: &str| format!("# Mine.\narm_64bit=1\nos_prefix={prefix}\n# hah good=0 trial=-\n");
        let (zero, one, upper) = (config("g0/"), config("g1/"), config("gX/"));
        for (files, prefix) in [
            (&[("g0/", ""), ("/", ""), ("config.txt", &*zero)][..], "g0/"),
            (&[("g0/", ""), ("g1/", ""), ("/", ""), ("config.txt", &*one)], "g1/"),
            (&[("g0/", ""), ("/", ""), ("config.txt", &*one)], ""),
            (&[("g0/", ""), ("/", ""), ("config.txt", &*upper)], ""),
            (&[("g0/", ""), ("g2/", ""), ("hah/boot.txt", "os_prefix=g2/\n# hah good=0 trial=2\n")], "g2/"),
            (&[("g0/", ""), ("g2/", ""), ("loader/loader.conf", "default g2.conf\ntimeout 0\n")], "g2/"),
            (&[("g0/", ""), ("loader/loader.conf", "default g2.conf\ntimeout 0\n")], "g0/"),
            // Images of before.
            (&[("g0/", ""), ("/", "")], "g0/"),
        ] {
            let loaded = load(volume(files), Some("board.dtb")).unwrap();
            let text = |name: &str| format!("{prefix}{name}");
            let wanted = Loaded {
                prefix: prefix.to_owned(),
                kernel: text("kernel").into(),
                initramfs: text("initramfs").into(),
                cmdline: text("cmdline.txt"),
                device_tree: Some(text("board.dtb").into()),
            };
            assert_eq!(loaded, wanted, "{files:?}");
        }
        let error = load(volume(&[("config.txt", &one)]), None).unwrap_err();
        assert!(matches!(error, FatError::NotFound(_)), "{error}");
    }
}
