//! The cache file in glibc's "new" format, little-endian.
//!
//! Source: `dl-cache.h` of glibc 2.41. Offsets are from the start of the file.
//!
//! ```text
//!  0  "glibc-ld.so.cache" "1.1"
//! 20  count:u32  length of strings:u32  flags:u8 = 2 (little-endian)  0:u8×3  offset of extensions:u32  0:u32×3
//! 48  entries: flags:i32  soname:u32  path:u32  0:u32  hwcap:u64 = 0
//!     strings, NUL-terminated, one within the end of another where possible
//!     extensions, at a multiple of 4: magic:u32  count:u32 = 1  (tag:u32 = 0 generator, flags:u32, offset:u32, length:u32)
//!     generator, not terminated
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::compare;

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const EXTENSION_MAGIC: u32 = 0xEAA4_2174;
/// Header and the one section of the extensions.
const EXTENSIONS: usize = 24;
/// The loader maps the file with 32-bit offsets.
const SIZE_MAX: usize = i32::MAX as usize;

/// One library.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What programs ask for.
    pub(super) soname: String,
    /// Where it is.
    pub(super) path: String,
    /// Kind and machine.
    pub(super) flags: i32,
}

/// The file; `None` when it would be larger than 2 GiB. Entries of one name keep their order.
pub(super) fn encode(mut entries: Vec<Entry>, generator: &str) -> Option<Vec<u8>> {
    // The loader searches by halves in falling order.
    entries.sort_by(|a, b| compare(&b.soname, &a.soname).then(b.flags.cmp(&a.flags)));
    let strings = Strings::of(entries.iter().flat_map(|entry| [entry.soname.as_str(), entry.path.as_str()]));
    let start = HEADER + ENTRY * entries.len();
    let extensions = (start + strings.bytes.len()).next_multiple_of(4);
    if extensions + EXTENSIONS + generator.len() > SIZE_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(extensions + EXTENSIONS + generator.len());
    out.extend(MAGIC);
    out.extend((entries.len() as u32).to_le_bytes());
    out.extend((strings.bytes.len() as u32).to_le_bytes());
    out.extend([2, 0, 0, 0]);
    out.extend((extensions as u32).to_le_bytes());
    out.extend([0; 12]);
    for entry in &entries {
        out.extend(entry.flags.to_le_bytes());
        for text in [&entry.soname, &entry.path] {
            let offset = start + strings.offsets.get(text.as_str()).copied().unwrap_or_default();
            out.extend((offset as u32).to_le_bytes());
        }
        out.extend([0; 12]);
    }
    out.extend(&strings.bytes);
    out.resize(extensions, 0);
    for word in [EXTENSION_MAGIC, 1, 0, 0, (extensions + EXTENSIONS) as u32, generator.len() as u32] {
        out.extend(word.to_le_bytes());
    }
    out.extend(generator.as_bytes());
    Some(out)
}

/// Strings that share their ends.
struct Strings<'a> {
    bytes: Vec<u8>,
    offsets: BTreeMap<&'a str, usize>,
}

impl<'a> Strings<'a> {
    /// Sorted backwards and by their ends, so that a string follows the longest one that it is the end of.
    fn of(strings: impl Iterator<Item = &'a str>) -> Self {
        let mut sorted: Vec<&str> = strings.collect::<BTreeSet<_>>().into_iter().collect();
        sorted.sort_by(|a, b| b.bytes().rev().cmp(a.bytes().rev()));
        let (mut bytes, mut offsets) = (Vec::new(), BTreeMap::new());
        let mut previous: Option<(&str, usize)> = None;
        for text in sorted {
            let offset = match previous {
                Some((longer, at)) if longer.ends_with(text) => at + longer.len() - text.len(),
                _ => {
                    let at = bytes.len();
                    bytes.extend(text.as_bytes());
                    bytes.push(0);
                    at
                }
            };
            offsets.insert(text, offset);
            previous = Some((text, offset));
        }
        Self { bytes, offsets }
    }
}
