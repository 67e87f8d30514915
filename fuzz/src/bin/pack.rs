//! Packs: `LENGTH:u16`, so many bytes of data area, a manifest; the footer with its digests is made here.
//!
//! A manifest that contradicts itself is refused by the reader or by the writer of images. What that takes reads back.

#![no_main]

use std::io::Cursor;

use hah_format::digest::Sha256;
use hah_format::pack::PackReader;
use hah_format::tree::Kind;

/// Largest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (data, manifest) = rest.split_at(length);
    let mut footer = b"hah-pack".to_vec();
    footer.extend(1u64.to_le_bytes());
    footer.extend((data.len() as u64).to_le_bytes());
    footer.extend((manifest.len() as u64).to_le_bytes());
    footer.extend(Sha256::of(data).as_bytes());
    footer.extend(Sha256::of(manifest).as_bytes());
    let seal = Sha256::of(&footer);
    let pack = [data, manifest, &footer, seal.as_bytes()].concat();

    // Without the right digests nothing opens.
    assert!(PackReader::open(Cursor::new(&pack[..pack.len() - 1])).is_err());
    let mut reader = match PackReader::open(Cursor::new(&pack)) {
        Ok(reader) => reader,
        Err(error) => return hah_fuzz::says_something(&error, error.hint()),
    };
    reader.verify().unwrap();
    let manifest = reader.manifest().clone();
    for (_, node) in manifest.tree.iter().take(32) {
        if let Kind::File(file) = &node.kind {
            match reader.read(&file.data, FILE_MAX) {
                Ok(bytes) => assert_eq!(bytes.len() as u64, file.size()),
                Err(error) => hah_fuzz::says_something(&error, error.hint()),
            }
        }
    }
    hah_fuzz::archive::image(&pack, &manifest, None);
});
