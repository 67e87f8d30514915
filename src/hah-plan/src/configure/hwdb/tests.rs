#![expect(clippy::disallowed_methods, reason = "systemd-hwdb itself is the oracle")]

use super::*;
use crate::scripts::closure::{Scratch, oracle};

const FILES: &[(&str, &str)] = &[
    (
        "20-first.hwdb",
        "# comment\n\nusb:v1D6B*\n ID_VENDOR=Linux Foundation # with a comment\n\nusb:v1D6Bp0001*\nusb:v1D6Bp0002*\n \
         ID_MODEL=root hub\n  ID_TWO_SPACES=1\n =empty\n no value\n\n indented\nusb:v1D6Bp0003*\n\nusb:v1D6A*\n A=Foundation\nB=ends here\n C=lost\n",
    ),
    (
        "30-second.hwdb",
        "usb:v1D6B*\n ID_VENDOR=Replaced\n ID_MODEL=hub\n A=\n\nevdev:input:b0003*\n KEYBOARD_KEY_70039=esc\n KEYBOARD_KEY_7003=é\nusb:\n X=1\n\n\
         usb:v1\n X=2\nusb:v1D6Bp0002*e\n X=3\n",
    ),
    ("90-last.hwdb", "mouse:*\n MOUSE_DPI=1000@125\n"),
];

/// The database of files whose names on the target begin with `prefix`.
fn ours(files: &[(String, Vec<u8>)], prefix: &str, version: u64) -> Vec<u8> {
    let mut database = Database::default();
    for (place, (name, bytes)) in files.iter().enumerate() {
        let name = format!("{prefix}/usr/lib/udev/hwdb.d/{name}");
        import(&mut database, &name, place as u16 + 1, bytes).unwrap();
    }
    database.encode(version)
}

/// Bytes are compared with the tool's, which names files as it found them and signs with its own release.
pub(in crate::configure) fn check(files: &[(String, Vec<u8>)], name: &str) {
    let scratch = Scratch::new(name);
    for (name, bytes) in files {
        scratch.write(&format!("usr/lib/udev/hwdb.d/{name}"), bytes);
    }
    scratch.symlink("lib", "usr/lib");
    std::fs::create_dir_all(format!("{}/etc", scratch.path())).unwrap();
    if !oracle("systemd-hwdb", &["--root", scratch.path(), "--usr", "update"]) {
        return;
    }
    let theirs = std::fs::read(format!("{}/usr/lib/udev/hwdb.bin", scratch.path())).unwrap();
    let version = u64::from_le_bytes(theirs[8..16].try_into().unwrap());
    // systemd 255 and newer leave the root out of file names.
    let named = |prefix: &str| ours(files, prefix, version);
    assert!(theirs == named(scratch.path()) || theirs == named(""), "the database differs from systemd-hwdb's");
}

#[test]
fn the_database_is_systemd_hwdbs() {
    let files: Vec<(String, Vec<u8>)> =
        FILES.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    check(&files, "hwdb");
}

#[test]
fn a_nul_is_an_error_with_its_line() {
    assert_eq!(import(&mut Database::default(), "x", 1, b"a*\n B=c\0d\n"), Err(2));
}
