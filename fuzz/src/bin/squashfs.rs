//! Squashfs images: a tree that is read has a place for every path, and its files are read within a bound.

#![no_main]

use std::io::Cursor;

use hah_format::squashfs::Reader;
use hah_format::tree::Kind;

/// Largest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

libfuzzer_sys::fuzz_target!(|image: &[u8]| {
    let mut reader = match Reader::open(Cursor::new(image)) {
        Ok(reader) => reader,
        Err(error) => return hah_fuzz::says_something(&error, error.hint()),
    };
    let tree = match reader.tree() {
        Ok(tree) => tree,
        Err(error) => return hah_fuzz::says_something(&error, error.hint()),
    };
    for (path, node) in tree.iter().take(32) {
        match &node.kind {
            Kind::File(data) => match reader.read(data, FILE_MAX) {
                Ok(bytes) => assert_eq!(bytes.len() as u64, data.size),
                Err(error) => hah_fuzz::says_something(&error, error.hint()),
            },
            Kind::HardLink(first) => assert!(tree.contains(first), "{path}"),
            _ => {}
        }
    }
});
