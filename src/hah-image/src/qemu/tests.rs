//! Paths as QEMU wants them.

use std::fs;

use super::*;

/// A comma ends the value of an option unless it is doubled; everything else is the path's own business.
#[test]
fn a_comma_in_a_path_does_not_end_the_option() {
    let list = |path: &[u8]| option("format=qcow2,file=", OsStr::from_bytes(path)).into_vec();
    for (path, wanted) in [
        (&b"/a,b=c/disk"[..], &b"format=qcow2,file=/a,,b=c/disk"[..]),
        (b"/a,,b/disk", b"format=qcow2,file=/a,,,,b/disk"),
        (b",", b"format=qcow2,file=,,"),
        (b"/caf\xe9 'x' \"y\"\n/-z", b"format=qcow2,file=/caf\xe9 'x' \"y\"\n/-z"),
        (b"/plain", b"format=qcow2,file=/plain"),
    ] {
        assert_eq!(list(path), wanted, "{path:?}");
    }
}

/// qemu-img would write into it, and into a device.
#[test]
fn a_disk_that_is_a_fifo_is_refused() {
    use std::os::unix::fs::FileTypeExt as _;
    let directory = tempfile::tempdir().unwrap();
    let (image, disk) = (directory.path().join("x.img"), directory.path().join("disk.qcow2"));
    fs::write(&image, "image").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &disk, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let failure = overlay(&image, directory.path(), 1 << 30).unwrap_err();
    assert!(failure.to_string().ends_with("disk.qcow2 is a FIFO, and a regular file is to be written there"));
    assert!(fs::symlink_metadata(&disk).unwrap().file_type().is_fifo());
}
