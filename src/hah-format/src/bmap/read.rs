//! The strict reader: bmaptool's own files and ours, nothing looser.
//!
//! The file is XML, but only the part of XML that block maps use is understood: a declaration, comments, elements with at
//! most one attribute, and text. Entities, CDATA and other attributes are errors.

use super::{BLOCK, Bmap, MappedRange};
use crate::digest::Sha256;

/// Longest block map that is read, in bytes: about 100,000 ranges.
pub const BMAP_MAX: usize = 16 << 20;

/// Why a block map was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BmapError {
    /// Longer than [`BMAP_MAX`].
    #[error("block map of {0} bytes: at most {BMAP_MAX} are read")]
    TooLong(usize),
    /// Not the XML of a block map.
    #[error("block map, byte {offset}: {reason}")]
    Syntax {
        /// Byte offset in the file.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A value that contradicts another.
    #[error("block map: {0}")]
    Inconsistent(String),
    /// The file's own checksum does not match.
    #[error("block map: its checksum is {found} but its bytes have {computed}")]
    Checksum {
        /// The one in the file.
        found: Sha256,
        /// The one of the file.
        computed: Sha256,
    },
}

impl BmapError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        "the block map is damaged or of another kind: copy it again together with its image, or flash without it"
    }
}

/// Reads a block map of version 2.0 with SHA-256 and blocks of 4096 bytes, and verifies its checksum and its numbers.
pub fn parse(text: &str) -> Result<Bmap, BmapError> {
    if text.len() > BMAP_MAX {
        return Err(BmapError::TooLong(text.len()));
    }
    let mut scanner = Scanner { text, at: 0 };
    scanner.blank()?;
    let root = scanner.open()?;
    if (root.name, root.attribute) != ("bmap", Some(("version", "2.0"))) {
        return Err(scanner.error("this is not `<bmap version=\"2.0\">`"));
    }
    let image_size = scanner.number("ImageSize")?;
    let block_size = scanner.number("BlockSize")?;
    let blocks = scanner.number("BlocksCount")?;
    let mapped = scanner.number("MappedBlocksCount")?;
    let (kind, _) = scanner.value("ChecksumType")?;
    let (checksum, checksum_at) = scanner.value("BmapFileChecksum")?;
    let ranges = scanner.ranges()?;
    scanner.close("bmap")?;
    scanner.blank()?;
    if scanner.at != text.len() {
        return Err(scanner.error("text after the end"));
    }

    let inconsistent = |reason: String| Err(BmapError::Inconsistent(reason));
    if block_size != BLOCK {
        return inconsistent(format!("blocks of {block_size} bytes; only {BLOCK} are known"));
    }
    if kind != "sha256" {
        return inconsistent(format!("checksums of type `{}`; only sha256 is known", kind.escape_debug()));
    }
    if blocks != image_size.div_ceil(BLOCK) {
        return inconsistent(format!("{blocks} blocks do not make an image of {image_size} bytes"));
    }
    let mut free = 0;
    for MappedRange { first_block, last_block, .. } in &ranges {
        if *first_block < free || last_block < first_block || *last_block >= blocks {
            return inconsistent(format!("range {first_block}-{last_block} is out of order or beyond the image"));
        }
        free = last_block + 1;
    }
    let map = Bmap { image_size, ranges };
    if map.mapped_blocks() != mapped {
        return inconsistent(format!("{} blocks are mapped but {mapped} are announced", map.mapped_blocks()));
    }

    let found: Sha256 = checksum.parse().map_err(|error| BmapError::Inconsistent(format!("{error}")))?;
    let mut zeroed = text.as_bytes().to_vec();
    zeroed[checksum_at..checksum_at + 64].fill(b'0');
    let computed = Sha256::of(&zeroed);
    if found != computed {
        return Err(BmapError::Checksum { found, computed });
    }
    Ok(map)
}

/// An opening tag.
struct Tag<'a> {
    name: &'a str,
    attribute: Option<(&'a str, &'a str)>,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn error(&self, reason: impl Into<String>) -> BmapError {
        BmapError::Syntax { offset: self.at, reason: reason.into() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    /// The text before `end`, which is skipped too.
    fn until(&mut self, end: &str) -> Result<&'a str, BmapError> {
        let (before, _) = self.rest().split_once(end).ok_or_else(|| self.error(format!("`{end}` is missing")))?;
        self.at += before.len() + end.len();
        Ok(before)
    }

    /// Skips white space, comments and the declaration.
    fn blank(&mut self) -> Result<(), BmapError> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_ascii_start().len();
            if self.eat("<!--") {
                self.until("-->")?;
            } else if self.at == 0 && self.eat("<?xml") {
                self.until("?>")?;
            } else {
                return Ok(());
            }
        }
    }

    fn open(&mut self) -> Result<Tag<'a>, BmapError> {
        self.blank()?;
        if !self.eat("<") {
            return Err(self.error("an element is missing"));
        }
        let inside = self.until(">")?;
        let (name, attribute) = match inside.split_once(' ') {
            None => (inside, None),
            Some((name, attribute)) => {
                let parts = attribute
                    .split_once("=\"")
                    .and_then(|(key, value)| Some((key, value.strip_suffix('"')?)))
                    .ok_or_else(|| self.error("the attribute before this is not KEY=\"VALUE\""))?;
                (name, Some(parts))
            }
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(self.error("the tag before this has no proper name"));
        }
        Ok(Tag { name, attribute })
    }

    fn close(&mut self, name: &str) -> Result<(), BmapError> {
        self.blank()?;
        if self.eat("</") && self.until(">")? == name {
            Ok(())
        } else {
            Err(self.error(format!("</{name}> is missing")))
        }
    }

    /// The trimmed text of the element `name`, and where it starts.
    fn value(&mut self, name: &str) -> Result<(&'a str, usize), BmapError> {
        let tag = self.open()?;
        if tag.name != name || tag.attribute.is_some() {
            return Err(self.error(format!("expected <{name}> before this")));
        }
        self.content(name)
    }

    fn content(&mut self, name: &str) -> Result<(&'a str, usize), BmapError> {
        let start = self.at;
        let raw = self.until("<")?;
        self.at -= 1;
        self.close(name)?;
        let lead = raw.len() - raw.trim_ascii_start().len();
        Ok((raw.trim_ascii(), start + lead))
    }

    fn number(&mut self, name: &str) -> Result<u64, BmapError> {
        let (text, offset) = self.value(name)?;
        decimal(text, offset)
    }

    fn ranges(&mut self) -> Result<Vec<MappedRange>, BmapError> {
        let tag = self.open()?;
        if tag.name != "BlockMap" || tag.attribute.is_some() {
            return Err(self.error("expected <BlockMap> before this"));
        }
        let mut ranges = Vec::new();
        loop {
            self.blank()?;
            if self.rest().starts_with("</") {
                self.close("BlockMap")?;
                return Ok(ranges);
            }
            let tag = self.open()?;
            let Tag { name: "Range", attribute: Some(("chksum", digest)) } = tag else {
                return Err(self.error("expected <Range chksum=\"…\"> before this"));
            };
            let sha256 = digest.parse().map_err(|error| self.error(format!("{error}")))?;
            let (text, offset) = self.content("Range")?;
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            ranges.push(MappedRange {
                first_block: decimal(first.trim_ascii(), offset)?,
                last_block: decimal(last.trim_ascii(), offset)?,
                sha256,
            });
        }
    }
}

/// At most 16 digits, so that blocks and bytes are far from overflowing.
fn decimal(text: &str, offset: usize) -> Result<u64, BmapError> {
    let plain = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain).ok_or_else(|| BmapError::Syntax { offset, reason: "not a number".into() })
}
