//! Release archives: a letter, `z` for a zip archive, `t` for a tar archive that is gzipped here with its checksums made
//! right, `g` for gzip as it comes, and the archive.
//!
//! What is unpacked is packed, read back here and there and whole, asked for its build information, and put into an image.

#![no_main]

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use hah_format::archive::{self, Format, Limits};
use hah_format::elf;
use hah_format::pack::{Keep, PackError, PackOptions, PackReader, pack_archive};
use hah_format::squashfs::{Area, FileReader};
use hah_format::tree::Kind;

const LIMITS: Limits = Limits { bytes: 4 << 20, members: 200 };

/// Largest file that is read, in bytes.
const FILE_MAX: u64 = 4 << 20;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((letter, bytes)) = input.split_first() else { return };
    let (format, bytes) = match letter {
        b'z' => (Format::Zip, bytes.to_vec()),
        b'g' => (Format::TarGz, bytes.to_vec()),
        b't' => {
            let mut tar = bytes.to_vec();
            hah_fuzz::archive::seal_all(&mut tar);
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
            gzip.write_all(&tar).unwrap();
            (Format::TarGz, gzip.finish().unwrap())
        }
        _ => (Format::File, bytes.to_vec()),
    };
    let mut seen = Vec::new();
    let told = archive::read(Cursor::new(&bytes), format, &LIMITS, &mut |entry, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        if let Kind::File(size) = entry.kind {
            assert_eq!(size, bytes.len() as u64);
        }
        seen.push((entry.path, bytes));
        Ok(())
    });
    assert!(seen.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>() <= LIMITS.bytes);
    let options = PackOptions { block_size: 4096, level: 1, keep: Keep::everything(), ..PackOptions::default() };
    let mut pack = Vec::new();
    match (told, pack_archive(Cursor::new(&bytes), format, &LIMITS, &mut pack, &options)) {
        (Ok(()), Ok(_)) => {}
        (Err(error), Err(PackError::Archive(_))) => return hah_fuzz::says_something(&error, error.hint()),
        (told, packed) => panic!("{told:?} {:?}", packed.map(|_| ())),
    }
    let mut reader = PackReader::open(Cursor::new(&pack)).unwrap();
    reader.verify().unwrap();
    let manifest = reader.manifest().clone();
    for (path, wanted) in &seen {
        let Some(Kind::File(file)) = manifest.tree.get(path).map(|node| &node.kind) else { continue };
        assert_eq!(&reader.read(&file.data, FILE_MAX).unwrap(), wanted);
        let mut source = Cursor::new(&pack);
        let area =
            Area { source: &mut source, start: 0, block_size: manifest.block_size, fragments: &manifest.fragments };
        let mut here_and_there = FileReader::new(area, &file.data).unwrap();
        let middle = wanted.len() / 2;
        let mut found = Vec::new();
        here_and_there.seek(SeekFrom::Start(middle as u64)).unwrap();
        here_and_there.read_to_end(&mut found).unwrap();
        assert_eq!(found, wanted[middle..]);
        here_and_there.rewind().unwrap();
        let _ = elf::program(here_and_there);
    }
    hah_fuzz::archive::image(&pack, &manifest, None);
});
