//! `*.hwdb` files (sections): the database that comes of them is as long as its header says.

#![no_main]

use hah_format::path::TreePath;
use hah_format::tree::Kind;
use hah_plan::rootfs::Content;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(root) = hah_fuzz::configure::run(input, &["hwdb"]) else { return };
    let Some(node) = TreePath::parse("usr/lib/udev/hwdb.bin").ok().and_then(|path| root.get(&path)) else { return };
    let Kind::File(Content::Inline(bytes)) = &node.kind else { return };
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(&bytes[..8], b"KSLPHHRH");
    assert_eq!(word(16), bytes.len() as u64);
    assert_eq!(word(24) + word(64) + word(72), bytes.len() as u64);
    assert!((80..80 + word(64)).contains(&word(56)));
});
