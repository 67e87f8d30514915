//! Paths as QEMU wants them.

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
