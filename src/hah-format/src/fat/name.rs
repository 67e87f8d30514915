//! Names: 8.3 and long.
//!
//! A short name is 8 + 3 bytes, upper-case, padded with spaces. A long name is a run of records before the short one, last
//! part first, each with 13 UTF-16 units and a checksum of the short name.

use std::collections::BTreeSet;

use super::{RECORD, attribute};

/// A short name as it stands in a record.
pub(super) type Short = [u8; 11];

/// UTF-16 units in a long-name record.
pub(super) const LONG_PART: usize = 13;
/// Most records of a long name (255 units).
pub(super) const LONG_PARTS_MAX: u8 = 20;
/// In the first byte of a long-name record: this is the last part.
pub(super) const LONG_LAST: u8 = 0x40;
/// Where a long-name record keeps its units.
pub(super) const LONG_OFFSETS: [usize; LONG_PART] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// Why FAT cannot hold `name`, if so.
pub(super) fn objection(name: &str) -> Option<&'static str> {
    if name.chars().any(|c| c.is_control() || "\"*/:<>?\\|".contains(c)) {
        Some("the name has a character that FAT refuses")
    } else if name.ends_with(['.', ' ']) {
        Some("the name ends with a dot or a space, which other systems drop")
    } else if name.starts_with(' ') {
        Some("the name starts with a space")
    } else if name.encode_utf16().count() > 255 {
        Some("the name is longer than 255 UTF-16 units")
    } else {
        None
    }
}

/// What a name is compared by.
pub(super) fn folded(name: &str) -> String {
    name.to_uppercase()
}

fn is_short(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'()-@^_`{}~".contains(&byte)
}

/// The 8.3 form of a name that fits it but for its case.
pub(super) fn exact(name: &str) -> Option<Short> {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let fits = (1..=8).contains(&base.len()) && extension.len() <= 3 && !name.ends_with('.');
    if !fits || !base.bytes().chain(extension.bytes()).all(is_short) {
        return None;
    }
    Some(pad(base.as_bytes(), extension.as_bytes()))
}

fn pad(base: &[u8], extension: &[u8]) -> Short {
    let mut short = [b' '; 11];
    for (slot, byte) in short[..8].iter_mut().zip(base) {
        *slot = byte.to_ascii_uppercase();
    }
    for (slot, byte) in short[8..].iter_mut().zip(extension) {
        *slot = byte.to_ascii_uppercase();
    }
    short
}

/// A short name with a numeric tail that is not in `taken`: `BCM271~1.DTB`.
///
/// `None` when a million are taken, which a directory cannot hold.
pub(super) fn with_tail(name: &str, taken: &BTreeSet<Short>) -> Option<Short> {
    let plain = |part: &str| -> Vec<u8> {
        part.chars()
            .filter(|c| !matches!(c, ' ' | '.'))
            .map(|c| u8::try_from(c).ok().filter(|byte| is_short(*byte)).unwrap_or(b'_'))
            .collect()
    };
    let (base, extension) = match name.rsplit_once('.') {
        Some((base, extension)) if !base.is_empty() => (plain(base), plain(extension)),
        _ => (plain(name), Vec::new()),
    };
    (1..1_000_000u32).find_map(|number| {
        let tail = format!("~{number}");
        let kept = base.len().min(8 - tail.len());
        let short = pad(&[&base[..kept], tail.as_bytes()].concat(), &extension);
        (!taken.contains(&short)).then_some(short)
    })
}

/// `CONFIG.TXT`.
pub(super) fn display(short: &Short) -> String {
    let text = |bytes: &[u8]| -> String {
        bytes.iter().map(|&byte| if byte.is_ascii() { char::from(byte) } else { '\u{fffd}' }).collect()
    };
    let (base, extension) = (text(&short[..8]), text(&short[8..]));
    let (base, extension) = (base.trim_end(), extension.trim_end());
    if extension.is_empty() { base.to_owned() } else { format!("{base}.{extension}") }
}

/// The checksum that ties long-name records to their short name.
pub(super) fn checksum(short: &Short) -> u8 {
    short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The long-name records of `name`, in the order of the directory. None if the short name says it all.
pub(super) fn long_records(name: &str, short: &Short) -> Vec<[u8; RECORD]> {
    if display(short) == name {
        return Vec::new();
    }
    let units: Vec<u16> = name.encode_utf16().collect();
    let checksum = checksum(short);
    let mut records: Vec<[u8; RECORD]> = (1u8..)
        .zip(units.chunks(LONG_PART))
        .map(|(number, part)| {
            let mut record = [0; RECORD];
            record[0] = number;
            record[11] = attribute::LONG_NAME;
            record[13] = checksum;
            // A name that does not fill its last record ends with a NUL, then 0xffff.
            let padded = part.iter().copied().chain([0]).chain(std::iter::repeat(0xffff));
            for (offset, unit) in LONG_OFFSETS.into_iter().zip(padded) {
                record[offset..offset + 2].copy_from_slice(&unit.to_le_bytes());
            }
            record
        })
        .collect();
    if let Some(last) = records.last_mut() {
        last[0] |= LONG_LAST;
    }
    records.reverse();
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_are_not_mangled() {
        for (name, short) in [
            ("CONFIG.TXT", "CONFIG.TXT"),
            ("config.txt", "CONFIG.TXT"),
            ("start4.elf", "START4.ELF"),
            ("bootcode.bin", "BOOTCODE.BIN"),
            ("initrd", "INITRD"),
            ("a", "A"),
        ] {
            assert_eq!(display(&exact(name).unwrap()), short, "{name}");
        }
        for name in ["bcm2711-rpi-4-b.dtb", "a.b.c", ".env", "x.json", "a b", "é.txt", "a+b", "123456789"] {
            assert_eq!(exact(name), None, "{name}");
        }
    }

    #[test]
    fn tails_count_and_shorten() {
        let mut taken = BTreeSet::new();
        let shorts: Vec<String> = (0..12)
            .map(|_| {
                let short = with_tail("bcm2711-rpi-4-b.dtb", &taken).unwrap();
                taken.insert(short);
                display(&short)
            })
            .collect();
        assert_eq!(shorts[0], "BCM271~1.DTB");
        assert_eq!(shorts[8], "BCM271~9.DTB");
        assert_eq!(shorts[9], "BCM27~10.DTB");
        assert_eq!(display(&with_tail(".env", &taken).unwrap()), "ENV~1");
        assert_eq!(display(&with_tail("a.b.c", &taken).unwrap()), "AB~1.C");
        assert_eq!(display(&with_tail("é", &taken).unwrap()), "_~1");
    }

    #[test]
    fn objections() {
        for name in ["a:b", "a?", "a\u{1}", "a.", "a ", " a", &"x".repeat(256)] {
            assert!(objection(name).is_some(), "{name}");
        }
        for name in ["a b", ".env", "é", "a+b=c", &"x".repeat(255)] {
            assert_eq!(objection(name), None, "{name}");
        }
    }

    #[test]
    fn upper_case_needs_no_long_name() {
        assert!(long_records("CONFIG.TXT", &exact("CONFIG.TXT").unwrap()).is_empty());
        assert_eq!(long_records("config.txt", &exact("config.txt").unwrap()).len(), 1);
        let short = with_tail("thirteen-char", &BTreeSet::new()).unwrap();
        assert_eq!(long_records("thirteen-char", &short).len(), 1);
        assert_eq!(long_records("thirteen-chars", &short).len(), 2);
    }
}
