//! The writer against the reader and against `fatfs`; foreign programs are in `tests/disk.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use super::*;
use crate::digest::Sha256;

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn options() -> FatOptions {
    FatOptions {
        size_bytes: 36 << 20,
        label: "HAH-BOOT".into(),
        volume_id: 0x1234_abcd,
        epoch: 1_790_000_001,
        sectors_per_cluster: 1,
        hidden_sectors: 8192,
    }
}

fn sample() -> BTreeMap<TreePath, Vec<u8>> {
    BTreeMap::from([
        (path("CONFIG.TXT"), b"arm_64bit=1\n".to_vec()),
        (path("start4.elf"), (0..2_000_001u32).map(|n| (n % 251) as u8).collect()),
        (path("bcm2711-rpi-4-b.dtb"), vec![1; 512]),
        (path("bcm2711-rpi-400.dtb"), vec![2; 513]),
        (path("empty"), Vec::new()),
        (path("a/b/c/Größe of it.text"), vec![3; 5000]),
        (path("a/kernel"), vec![4; 1024]),
    ])
}

fn volume(options: &FatOptions, files: &BTreeMap<TreePath, Vec<u8>>) -> Vec<u8> {
    let mut storage = Cursor::new(vec![0; options.size_bytes as usize]);
    format_and_fill(&mut storage, options, files).unwrap();
    storage.into_inner()
}

#[test]
fn round_trip() {
    let (files, volume) = (sample(), volume(&options(), &sample()));
    let listed = list(Cursor::new(&volume)).unwrap();
    let names: Vec<(String, &str, Option<u32>)> =
        listed.iter().map(|entry| (entry.path.to_string(), entry.short_name.as_str(), entry.size)).collect();
    assert_eq!(
        names,
        [
            ("/CONFIG.TXT".into(), "CONFIG.TXT", Some(12)),
            ("/a".into(), "A", None),
            ("/a/b".into(), "B", None),
            ("/a/b/c".into(), "C", None),
            ("/a/b/c/Größe of it.text".into(), "GR__EO~1.TEX", Some(5000)),
            ("/a/kernel".into(), "KERNEL", Some(1024)),
            ("/bcm2711-rpi-4-b.dtb".into(), "BCM271~1.DTB", Some(512)),
            ("/bcm2711-rpi-400.dtb".into(), "BCM271~2.DTB", Some(513)),
            ("/empty".into(), "EMPTY", Some(0)),
            ("/start4.elf".into(), "START4.ELF", Some(2_000_001)),
        ]
    );
    for (path, data) in &files {
        assert!(read_file(Cursor::new(&volume), path).unwrap() == *data, "{path}");
    }
    assert_eq!(read_file(Cursor::new(&volume), &path("config.txt")).unwrap(), b"arm_64bit=1\n");
    assert_eq!(read_file(Cursor::new(&volume), &path("A/KERNEL")).unwrap(), vec![4; 1024]);
    assert_eq!(read_file(Cursor::new(&volume), &path("bcm271~2.dtb")).unwrap(), vec![2; 513]);
    for missing in ["", "a", "nothing", "a/b/c", "empty/x"] {
        assert!(matches!(read_file(Cursor::new(&volume), &path(missing)), Err(FatError::NotFound(_))), "{missing}");
    }
}

#[test]
fn fatfs_reads_it() {
    let volume = volume(&options(), &sample());
    let system = fatfs::FileSystem::new(Cursor::new(volume), fatfs::FsOptions::new()).unwrap();
    assert_eq!(system.fat_type(), fatfs::FatType::Fat32);
    assert_eq!((system.volume_id(), system.volume_label()), (0x1234_abcd, "HAH-BOOT".into()));
    assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("HAH-BOOT"));
    let root = system.root_dir();
    for (path, data) in sample() {
        let mut read = Vec::new();
        root.open_file(path.as_str()).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == data, "{path}");
    }
    let config = root.iter().map(Result::unwrap).find(|entry| entry.file_name() == "CONFIG.TXT").unwrap();
    let time = config.modified();
    assert_eq!((time.date.year, time.date.month, time.date.day), (2026, 9, 21));
    assert_eq!((time.time.hour, time.time.min, time.time.sec), (14, 13, 20));
}

#[test]
fn bytes_are_pinned_and_every_input_counts() {
    let digest = |options: &FatOptions, files: &BTreeMap<TreePath, Vec<u8>>| Sha256::of(&volume(options, files));
    let whole = digest(&options(), &sample());
    assert_eq!(whole.to_string(), "366dfa42def07296d6e4b5c2ec0fb36ef55e9b642c7362417b8f101093779ba7");
    assert_eq!(whole, digest(&options(), &sample()));
    let mut files = sample();
    files.get_mut(&path("start4.elf")).unwrap()[1_000_000] ^= 1;
    let mut renamed = sample();
    let data = renamed.remove(&path("CONFIG.TXT")).unwrap();
    renamed.insert(path("config.txt"), data);
    let digests = BTreeSet::from([
        whole,
        digest(&options(), &files),
        digest(&options(), &renamed),
        digest(&FatOptions { label: "OTHER".into(), ..options() }, &sample()),
        digest(&FatOptions { volume_id: 1, ..options() }, &sample()),
        digest(&FatOptions { epoch: 1_790_000_000, ..options() }, &sample()),
        digest(&FatOptions { hidden_sectors: 2048, ..options() }, &sample()),
        digest(&FatOptions { size_bytes: 37 << 20, ..options() }, &sample()),
    ]);
    assert_eq!(digests.len(), 8);
}

/// Fails on a second write to the same byte and on a write behind the used ones.
struct Once {
    written: Vec<bool>,
    position: usize,
}

impl io::Write for Once {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        for slot in &mut self.written[self.position..self.position + buffer.len()] {
            assert!(!std::mem::replace(slot, true), "written twice");
        }
        self.position += buffer.len();
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Seek for Once {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let io::SeekFrom::Start(offset) = to else { panic!("{to:?}") };
        self.position = offset as usize;
        Ok(offset)
    }
}

#[test]
fn every_used_byte_is_written_once() {
    let mut storage = Once { written: vec![false; 36 << 20], position: 0 };
    let summary = format_and_fill(&mut storage, &options(), &sample()).unwrap();
    let end = storage.written.iter().rposition(|written| *written).unwrap() as u64;
    assert!(end < summary.used_bytes && summary.used_bytes - end <= 512, "{summary:?} {end}");
    assert!(summary.used_clusters > 3900 && summary.used_clusters < 4000, "{summary:?}");
}

#[test]
fn a_volume_can_be_filled_but_for_its_end() {
    let file = |bytes: u64| BTreeMap::from([(path("x"), vec![7u8; bytes as usize])]);
    let mut storage = Cursor::new(vec![0u8; 36 << 20]);
    let empty = format_and_fill(&mut storage, &options(), &BTreeMap::<TreePath, Vec<u8>>::new()).unwrap();
    assert_eq!(empty.used_clusters, 1);
    let room = u64::from(empty.total_clusters - empty.used_clusters - 64) * 512;
    let full = volume(&options(), &file(room));
    assert_eq!(read_file(Cursor::new(&full), &path("x")).unwrap().len() as u64, room);
    let error = format_and_fill(Cursor::new(Vec::new()), &options(), &file(room + 1)).unwrap_err();
    assert_eq!(error.to_string(), "boot partition: its files need 36 MiB but only 35 MiB fit");
}

#[test]
fn large_directories() {
    let files: BTreeMap<TreePath, Vec<u8>> =
        (0..3000).map(|n| (path(&format!("d/some long name {n}")), vec![n as u8])).collect();
    let volume = volume(&options(), &files);
    let listed = list(Cursor::new(&volume)).unwrap();
    assert_eq!(listed.len(), 3001);
    let shorts: BTreeSet<&str> = listed.iter().map(|entry| entry.short_name.as_str()).collect();
    assert_eq!(shorts.len(), 3001);
    assert_eq!(read_file(Cursor::new(&volume), &path("d/some long name 2999")).unwrap(), [2999u16 as u8]);
    let files: BTreeMap<TreePath, Vec<u8>> = (0..65_535).map(|n| (path(&format!("D/{n}")), Vec::new())).collect();
    let error = format_and_fill(Cursor::new(Vec::new()), &options(), &files).unwrap_err();
    assert_eq!(error.to_string(), "boot partition: /D is too large for FAT32");
}

#[test]
fn what_fat_cannot_hold_is_an_error() {
    let fails = |names: &[&str]| {
        let files: BTreeMap<TreePath, Vec<u8>> = names.iter().map(|name| (path(name), Vec::new())).collect();
        format_and_fill(Cursor::new(Vec::new()), &options(), &files).unwrap_err().to_string()
    };
    assert_eq!(fails(&["A.txt", "a.TXT"]), "boot partition: /a.TXT and /A.txt are the same name to FAT");
    assert_eq!(fails(&["a", "a/b"]), "boot partition: /a and /a are the same name to FAT");
    assert_eq!(fails(&["x/a:b"]), "boot partition: /x/a:b: the name has a character that FAT refuses");
    assert_eq!(fails(&["x./b"]), "boot partition: /x.: the name ends with a dot or a space, which other systems drop");
    assert_eq!(fails(&[""]), "boot partition: /: the root cannot be a file");
    for label in ["", "lower", "TWELVE CHARS", "A*B", " A", "\u{e9}"] {
        let options = FatOptions { label: label.into(), ..options() };
        let error = format_and_fill(Cursor::new(Vec::new()), &options, &sample()).unwrap_err();
        assert!(matches!(error, FatError::Options(_)), "{label}");
    }
}

/// Reads everything that a damaged volume still shows. Must end, and must not panic.
fn survive(volume: &[u8]) {
    for entry in list(Cursor::new(volume)).unwrap_or_default() {
        if entry.size.is_some() {
            let _ = read_file(Cursor::new(volume), &entry.path);
        }
    }
}

#[test]
fn damage_never_panics() {
    let mut files = sample();
    files.insert(path("start4.elf"), vec![5; 3000]);
    let mut volume = volume(&options(), &files);
    let (fat, data) = (volume[14] as usize * 512, {
        let sectors = u32::from_le_bytes([volume[36], volume[37], volume[38], volume[39]]) as usize;
        (volume[14] as usize + 2 * sectors) * 512
    });
    for at in (0..96).chain(510..512).chain(fat..fat + 160).chain(data..data + 4 * 512) {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            volume[at] ^= flip;
            survive(&volume);
            volume[at] ^= flip;
        }
    }
    for length in [0, 1, 511, 512, 4096, fat, data, data + 512, volume.len() - 1] {
        assert!(list(Cursor::new(&volume[..length])).is_err(), "{length}");
    }
}

#[test]
fn circles_end() {
    let mut volume = volume(&options(), &sample());
    let fat = volume[14] as usize * 512;
    // The root's chain leads to itself: the directory is read up to its largest size and no further.
    volume[fat + 8..fat + 12].copy_from_slice(&2u32.to_le_bytes());
    survive(&volume);
    // The directory `a` (cluster 3) says that it is its own child `b`.
    let mut volume = self::volume(&options(), &sample());
    let data = list(Cursor::new(&volume)).map(|_| volume.len()).unwrap();
    let records = (0..data - 32).step_by(32).find(|at| volume[*at..].starts_with(b"B          \x10")).unwrap();
    volume[records + 26] = 3;
    assert!(matches!(list(Cursor::new(&volume)), Err(FatError::Corrupt(_))));
}

#[test]
fn names_that_escape_are_refused() {
    for name in ["../../x", "..", "a/b"] {
        let mut volume = volume(&options(), &BTreeMap::from([(path("xxxxxxxx.long"), vec![1])]));
        let at = (0..volume.len()).step_by(32).find(|at| volume[*at..].starts_with(b"Ax\0x\0")).unwrap();
        let units: Vec<u16> = name.encode_utf16().chain([0]).collect();
        for (offset, unit) in super::name::LONG_OFFSETS.into_iter().zip(units) {
            volume[at + offset..at + offset + 2].copy_from_slice(&unit.to_le_bytes());
        }
        assert!(matches!(list(Cursor::new(&volume)), Err(FatError::Corrupt(_))), "{name}");
    }
}

/// A volume with a patch applied to it.
fn patched(volume: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    let mut patched = volume.to_vec();
    for region in put_file(Cursor::new(volume), &path(name), content, 1_790_000_001).unwrap() {
        assert_eq!((region.offset % 512, region.bytes.len() % 512), (0, 0));
        let start = region.offset as usize;
        patched[start..start + region.bytes.len()].copy_from_slice(&region.bytes);
    }
    patched
}

/// Free clusters: as FSInfo says, and as the FAT does.
fn free_clusters(volume: &[u8]) -> (u32, u32) {
    let u32_at = |at: usize| u32::from_le_bytes([volume[at], volume[at + 1], volume[at + 2], volume[at + 3]]);
    let (fat, sectors) = (volume[14] as usize * 512, u32_at(36) as usize);
    let data = fat + 2 * sectors * 512;
    let clusters = (volume.len() - data) / (512 * volume[13] as usize);
    let free = (2..clusters + 2).filter(|cluster| u32_at(fat + cluster * 4) == 0).count();
    assert!(volume[fat..fat + sectors * 512] == volume[fat + sectors * 512..data], "the copies of the FAT differ");
    (u32_at(512 + 488), free as u32)
}

#[test]
fn a_file_can_be_put_into_a_volume() {
    let before = volume(&options(), &sample());
    for length in [0u32, 1, 511, 512, 513, 5000, 100_000] {
        let content: Vec<u8> = (0..length).map(|n| (n % 250 + 1) as u8).collect();
        let after = patched(&before, "a/node.json", &content);
        assert_eq!(read_file(Cursor::new(&after), &path("a/node.json")).unwrap(), content);
        for (path, data) in sample() {
            assert!(read_file(Cursor::new(&after), &path).unwrap() == data, "{path}");
        }
        assert_eq!(list(Cursor::new(&after)).unwrap().len(), list(Cursor::new(&before)).unwrap().len() + 1);
        let (said, counted) = free_clusters(&after);
        assert_eq!((said, counted), (counted, free_clusters(&before).1 - length.div_ceil(512)));
        let system = fatfs::FileSystem::new(Cursor::new(after), fatfs::FsOptions::new()).unwrap();
        let mut read = Vec::new();
        system.root_dir().open_file("a/node.json").unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, content);
    }
}

#[test]
fn a_file_that_is_replaced_leaves_nothing() {
    let before = volume(&options(), &sample());
    let once = patched(&before, "a/node.json", &[b'S'; 3000]);
    let twice = patched(&once, "a/NODE.JSON", b"short");
    assert_eq!(read_file(Cursor::new(&twice), &path("a/node.json")).unwrap(), b"short");
    assert!(!twice.windows(16).any(|window| window == [b'S'; 16]));
    let (said, counted) = free_clusters(&twice);
    assert_eq!((said, counted), (counted, free_clusters(&before).1 - 1));
    // Again and again: the directory does not fill up.
    let mut volume = twice;
    for round in 0..100u32 {
        volume = patched(&volume, "a/node.json", &vec![b'x'; (round * 7) as usize]);
    }
    assert_eq!(list(Cursor::new(&volume)).unwrap().len(), list(Cursor::new(&before)).unwrap().len() + 1);
}

#[test]
fn a_volume_can_be_called_otherwise() {
    let before = volume(&options(), &sample());
    let mut after = before.clone();
    let regions = put_label(Cursor::new(&before), "PI4-A").unwrap();
    for region in &regions {
        let start = region.offset as usize;
        after[start..start + region.bytes.len()].copy_from_slice(&region.bytes);
    }
    let changed: Vec<usize> =
        (0..after.len() / 512).filter(|n| after[n * 512..][..512] != before[n * 512..][..512]).collect();
    // The boot sector, its copy, and the root directory's first record.
    assert_eq!((changed.len(), &changed[..2]), (3, &[0, 6][..]));
    assert_eq!(regions.len(), 3, "what does not change is not written");
    for (path, data) in sample() {
        assert!(read_file(Cursor::new(&after), &path).unwrap() == data, "{path}");
    }
    let system = fatfs::FileSystem::new(Cursor::new(after), fatfs::FsOptions::new()).unwrap();
    assert_eq!(system.volume_label(), "PI4-A");
    assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("PI4-A"));
    for bad in ["", "pi4-a", "TWELVE CHARS", "A/B"] {
        assert!(matches!(put_label(Cursor::new(&before), bad), Err(FatError::Options(_))), "{bad}");
    }
}

#[test]
fn a_patch_needs_its_directory() {
    let volume = volume(&options(), &sample());
    let fails = |name: &str, content: &[u8]| put_file(Cursor::new(&volume), &path(name), content, 0).unwrap_err();
    assert!(matches!(fails("no/node.json", b""), FatError::NotFound(_)));
    assert!(matches!(fails("empty/node.json", b""), FatError::NotFound(_)));
    assert!(matches!(fails("a/b", b""), FatError::Collision { .. }));
    assert!(matches!(fails("a/x:y", b""), FatError::Name { .. }));
    assert!(matches!(fails("", b""), FatError::Name { .. }));
    assert!(matches!(fails("a/x", &vec![0; 17 << 20]), FatError::TooLarge { .. }));
    let file = BTreeMap::from([(path("a/x"), vec![7u8; 33 << 20])]);
    let full = self::volume(&options(), &file);
    let error = put_file(Cursor::new(&full), &path("a/y"), &vec![1; 4 << 20], 0).unwrap_err();
    assert!(matches!(error, FatError::Full { .. }), "{error}");
    // A directory whose clusters are full of records.
    let files: BTreeMap<TreePath, Vec<u8>> = (0..13).map(|n| (path(&format!("a/F{n}")), Vec::new())).collect();
    let crowded = self::volume(&options(), &files);
    assert!(matches!(put_file(Cursor::new(&crowded), &path("a/node.json"), b"", 0), Err(FatError::TooLarge { .. })));
    assert!(put_file(Cursor::new(&crowded), &path("a/Y"), b"", 0).is_ok());
}
