//! The engine against cards that lie, fail and leave.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use hah_format::bmap::{self, BLOCK, MappedRange};
use hah_format::digest::Sha256;

use super::super::source::Map;
use super::super::wipe::{ends, verify_wiped};
use super::*;

/// An image of `blocks` blocks of which `mapped` (first, last) hold noise.
struct Sample {
    _directory: tempfile::TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
    mapped: Vec<(u64, u64)>,
}

impl Sample {
    fn new(blocks: u64, mapped: &[(u64, u64)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.img");
        let mut bytes = vec![0; (blocks * BLOCK) as usize];
        let mut state = 1u64;
        let mut ranges = Vec::new();
        for (first_block, last_block) in mapped.iter().copied() {
            let range = (first_block * BLOCK) as usize..((last_block + 1) * BLOCK) as usize;
            for byte in &mut bytes[range.clone()] {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
            ranges.push(MappedRange { first_block, last_block, sha256: Sha256::of(&bytes[range]) });
        }
        std::fs::write(&path, &bytes).unwrap();
        std::fs::write(path.with_extension("bmap"), bmap::write(bytes.len() as u64, &ranges)).unwrap();
        Self { _directory: directory, path, bytes, mapped: mapped.to_vec() }
    }

    fn image(&self) -> Image {
        Image::open(&self.path, &Map::Beside).unwrap()
    }

    /// What a card of the image's size holds after a flash, over what it held.
    fn expected(&self, before: u8) -> Vec<u8> {
        self.expected_on(before, self.bytes.len())
    }

    /// What a card of `length` bytes holds then.
    fn expected_on(&self, before: u8, length: usize) -> Vec<u8> {
        let mut card = vec![before; length];
        for end in ends(length as u64) {
            card[end.start as usize..end.end as usize].fill(0);
        }
        for (first, last) in &self.mapped {
            let range = (first * BLOCK) as usize..((last + 1) * BLOCK) as usize;
            card[range.clone()].copy_from_slice(&self.bytes[range]);
        }
        card
    }
}

/// A card in memory, with its faults.
#[derive(Default)]
struct Card {
    bytes: Vec<u8>,
    /// Offset of a byte, and how many writes over it come out wrong.
    flips: BTreeMap<u64, u32>,
    /// Offset, how many accesses fail, and the error.
    fails: BTreeMap<u64, (u32, i32)>,
    unreadable: BTreeMap<u64, u32>,
    syncs: Cell<u32>,
}

impl Card {
    fn new(length: usize) -> Self {
        Self { bytes: vec![0xee; length], ..Self::default() }
    }
}

impl Target for Card {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let range = offset..offset + bytes.len() as u64;
        for (_, (left, code)) in self.fails.range_mut(range.clone()) {
            if *left > 0 {
                *left -= 1;
                return Err(io::Error::from_raw_os_error(*code));
            }
        }
        let start = offset as usize;
        self.bytes.get_mut(start..start + bytes.len()).ok_or(io::ErrorKind::StorageFull)?.copy_from_slice(bytes);
        for (at, left) in self.flips.range_mut(range) {
            if *left > 0 {
                *left -= 1;
                self.bytes[*at as usize] ^= 0x10;
            }
        }
        Ok(())
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        for (_, left) in self.unreadable.range_mut(offset..offset + bytes.len() as u64) {
            if *left > 0 {
                *left -= 1;
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
            }
        }
        let start = offset as usize;
        let found = self.bytes.get(start..start + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(found);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs.set(self.syncs.get() + 1);
        Ok(())
    }

    fn capacity(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }

    fn is_blank(&self) -> bool {
        false
    }
}

fn flash(sample: &Sample, card: &mut Card) -> Result<u64, WriteError> {
    let image = sample.image();
    let told = Cell::new(0);
    let progress = |bytes| told.set(told.get() + bytes);
    let written = write(&image, card, Verify::All, &progress)?;
    assert_eq!(Some(told.get()), image.mapped_bytes());
    assert_eq!(written.bytes, told.get());
    assert!(card.bytes[..HEAD].iter().all(|byte| *byte == 0), "the first block is held back");
    let repaired = verify(&image, card, &written, &|_| {})? + verify_wiped(card, &written)?;
    assert!(card.bytes[..HEAD].iter().all(|byte| *byte == 0), "the first block is held back");
    write_head(card, &written)?;
    Ok(repaired)
}

fn sample() -> Sample {
    // Over several chunks, with a hole, ranges of one block, and one that ends in the middle of a chunk.
    Sample::new(4000, &[(0, 0), (3, 1500), (2048, 2048), (3000, 3999)])
}

fn code(errno: rustix::io::Errno) -> i32 {
    errno.raw_os_error()
}

#[test]
fn exactly_the_mapped_blocks() {
    let sample = sample();
    let mut card = Card::new(sample.bytes.len());
    assert_eq!(flash(&sample, &mut card).unwrap(), 0);
    assert!(card.bytes == sample.expected(0xee));
    assert!(card.syncs.get() > 0);
    // A larger card keeps what is behind, but not its end.
    let mut large = Card::new(sample.bytes.len() + (9 << 20) + 512);
    flash(&sample, &mut large).unwrap();
    assert!(large.bytes == sample.expected_on(0xee, large.bytes.len()));
    assert_eq!(large.bytes[sample.bytes.len()..sample.bytes.len() + (4 << 20)], [0xee; 4 << 20]);
    assert!(large.bytes.ends_with(&[0; 4 << 20]));
}

#[test]
fn without_a_map_everything() {
    let sample = sample();
    std::fs::remove_file(sample.path.with_extension("bmap")).unwrap();
    let mut card = Card::new(sample.bytes.len());
    flash(&sample, &mut card).unwrap();
    assert!(card.bytes == sample.bytes);
}

#[test]
fn a_stream_of_unknown_length() {
    let sample = sample();
    std::fs::remove_file(sample.path.with_extension("bmap")).unwrap();
    std::fs::write(&sample.path, zstd::encode_all(&sample.bytes[..], 1).unwrap()).unwrap();
    let image = sample.image();
    assert_eq!(image.size(), None);
    let mut card = Card::new(sample.bytes.len());
    let written = write(&image, &mut card, Verify::All, &|_| {}).unwrap();
    assert_eq!(written.image_bytes, sample.bytes.len() as u64);
    assert_eq!(verify(&image, &mut card, &written, &|_| {}).unwrap(), 0);
    write_head(&mut card, &written).unwrap();
    assert!(card.bytes == sample.bytes);
    let mut small = Card::new(sample.bytes.len() - 512);
    assert!(matches!(write(&image, &mut small, Verify::All, &|_| {}), Err(WriteError::TooSmall { .. })));
}

#[test]
fn what_is_wrong_on_the_card_is_written_again() {
    let sample = sample();
    // Both ends are written twice, by the wiping first.
    for (place, times, wanted) in [(0, 1, 0), (5 * BLOCK, 2, 1), (1400 * BLOCK + 7, 3, 1), (3999 * BLOCK, 3, 1)] {
        let mut card = Card::new(sample.bytes.len());
        card.flips.insert(place, times);
        assert_eq!(flash(&sample, &mut card).unwrap(), wanted, "{place}");
        assert!(card.bytes == sample.expected(0xee), "{place}");
    }
    let mut card = Card::new(sample.bytes.len());
    card.flips.insert(5 * BLOCK + 3, 100);
    match flash(&sample, &mut card) {
        Err(WriteError::Bad { offset }) => assert_eq!(offset, 5 * BLOCK + 3),
        other => panic!("{other:?}"),
    }
    assert!(card.bytes[..HEAD].iter().all(|byte| *byte == 0), "it does not boot");
}

/// What the image skips at the ends is read back too: blocks 1 and 2 are in no range, nor is a larger card's end.
#[test]
fn a_wiped_end_that_a_card_does_not_keep_is_written_again() {
    let sample = sample();
    let length = sample.bytes.len() + (8 << 20);
    for place in [BLOCK + 7, 3 * BLOCK - 1, length as u64 - 1, length as u64 - (4 << 20)] {
        for (times, wanted) in [(1, 1), (3, 1)] {
            let mut card = Card::new(length);
            card.flips.insert(place, times);
            assert_eq!(flash(&sample, &mut card).unwrap(), wanted, "{place} {times}");
            assert!(card.bytes == sample.expected_on(0xee, length), "{place} {times}");
        }
        let mut card = Card::new(length);
        card.flips.insert(place, 100);
        assert!(matches!(flash(&sample, &mut card), Err(WriteError::Bad { offset }) if offset == place));
        assert!(card.bytes[..HEAD].iter().all(|byte| *byte == 0), "it does not boot");
    }
}

/// A card that is pulled while its ends are wiped has lost its table, and nothing of the image is there.
#[test]
fn the_table_goes_before_the_ends() {
    let sample = sample();
    for place in [BLOCK, sample.bytes.len() as u64 - 1] {
        let mut card = Card::new(sample.bytes.len());
        card.fails.insert(place, (1, code(rustix::io::Errno::NODEV)));
        assert!(matches!(flash(&sample, &mut card), Err(WriteError::Gone { .. })));
        assert!(card.bytes[..HEAD].iter().all(|byte| *byte == 0));
        assert!(card.bytes[1500 * HEAD..1600 * HEAD].iter().all(|byte| *byte == 0xee), "nothing was written");
    }
}

#[test]
fn reads_that_fail_are_tried_by_writing() {
    let sample = sample();
    let mut card = Card::new(sample.bytes.len());
    card.unreadable.insert(100 * BLOCK, 2);
    assert_eq!(flash(&sample, &mut card).unwrap(), 1);
    assert!(card.bytes == sample.expected(0xee));
    let mut card = Card::new(sample.bytes.len());
    card.unreadable.insert(100 * BLOCK, 100);
    assert!(matches!(flash(&sample, &mut card), Err(WriteError::Bad { .. })));
}

#[test]
fn many_bad_places() {
    let mapped: Vec<(u64, u64)> = (0..40).map(|at| (at * 2, at * 2)).collect();
    let sample = Sample::new(80, &mapped);
    let mut card = Card::new(sample.bytes.len());
    for (first, _) in &mapped[1..] {
        let faults = if first % 4 == 0 { &mut card.unreadable } else { &mut card.flips };
        faults.insert(first * BLOCK + 1, 3);
    }
    assert_eq!(flash(&sample, &mut card).unwrap(), 39);
    assert!(card.bytes == sample.expected(0xee));
}

#[test]
fn writes_that_fail_are_tried_again() {
    let sample = sample();
    let mut card = Card::new(sample.bytes.len());
    card.fails.insert(100 * BLOCK, (2, code(rustix::io::Errno::IO)));
    flash(&sample, &mut card).unwrap();
    assert!(card.bytes == sample.expected(0xee));
    let mut card = Card::new(sample.bytes.len());
    card.fails.insert(100 * BLOCK, (3, code(rustix::io::Errno::IO)));
    assert!(matches!(flash(&sample, &mut card), Err(WriteError::Write { .. })));
}

#[test]
fn a_card_that_is_pulled() {
    let sample = sample();
    let mut card = Card::new(sample.bytes.len());
    card.fails.insert(1400 * BLOCK, (1, code(rustix::io::Errno::NODEV)));
    match flash(&sample, &mut card) {
        Err(error @ WriteError::Gone { .. }) => assert!(error.hint().contains("does not boot")),
        other => panic!("{other:?}"),
    }
    assert!(card.bytes[..HEAD].iter().all(|byte| *byte == 0));
}

#[test]
fn one_sector_too_small() {
    let sample = sample();
    let mut card = Card::new(sample.bytes.len() - 512);
    match flash(&sample, &mut card) {
        Err(error @ WriteError::TooSmall { .. }) => {
            assert_eq!(error.to_string(), "it has 16383488 bytes and the image has more");
        }
        other => panic!("{other:?}"),
    }
    assert!(card.bytes.iter().all(|byte| *byte == 0xee), "nothing was written");
}

#[test]
fn a_damaged_image() {
    let sample = sample();
    let mut bytes = sample.bytes.clone();
    bytes[(10 * BLOCK) as usize] ^= 1;
    std::fs::write(&sample.path, &bytes).unwrap();
    let mut card = Card::new(sample.bytes.len());
    // Whether the card is read back or not.
    for error in [
        flash(&sample, &mut card).unwrap_err(),
        write(&sample.image(), &mut card, Verify::Nothing, &|_| {}).map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, WriteError::Damaged { start: 12288, end: 6_148_096 }), "{error:?}");
        assert_eq!(error.exit() as u8, 102);
    }
    assert!(card.bytes[..HEAD].iter().all(|byte| *byte == 0), "it does not boot");
    // A stream that ends too early.
    let cut = zstd::encode_all(&sample.bytes[..4_000_000], 1).unwrap();
    std::fs::write(&sample.path, cut).unwrap();
    assert!(matches!(flash(&sample, &mut card), Err(WriteError::Short(4_000_000))));
}
