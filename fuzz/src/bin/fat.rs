//! FAT32 volumes as sparse disks: listing ends, and files that are listed are read within their size.

#![no_main]

use hah_format::fat;
use hah_fuzz::sparse::Sparse;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(disk) = Sparse::parse(input) else { return };
    let entries = match fat::list(disk.clone()) {
        Ok(entries) => entries,
        Err(error) => return hah_fuzz::says_something(&error, error.hint()),
    };
    for entry in entries.iter().filter(|entry| entry.size.is_some_and(|size| size <= 1 << 20)).take(8) {
        match fat::read_file(disk.clone(), &entry.path) {
            // Of two files of one name the first is read.
            Ok(bytes) => assert!(bytes.len() <= 256 << 20),
            Err(error) => hah_fuzz::says_something(&error, error.hint()),
        }
    }
});
