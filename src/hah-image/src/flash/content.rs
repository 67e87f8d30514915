//! What is about to be flashed: a disk with a partition table, one of ours or somebody else's; or what it is instead.
//!
//! Decided by the first bytes of what is in the file, never by its name, and before a card is opened. A card is erased for
//! nothing when the file is a web page that says "not found", an archive of archives, or a virtual machine's own format.

use std::path::Path;

use hah_format::disk::{DiskError, HEAD_BYTES, PartitionTable, TableId, read_head};
use hah_node::disk::{BOOT, BOOT_LABEL, BOOT_START_SECTOR, DiskId, ROOT, SECTOR_BYTES};

use super::error::FlashError;
use super::refusal::Needs;
use super::source::Image;

mod known;

/// How much of an image is looked at, in bytes: all that lies before the boot partition, and its first page.
const LOOK_BYTES: usize = (BOOT_START_SECTOR * SECTOR_BYTES) as usize + 4096;
const _: () = assert!(LOOK_BYTES >= HEAD_BYTES);
/// Where the boot sector of a FAT32 has the volume's label, and the name of its kind.
const LABEL: std::ops::Range<usize> = 71..82;
const FAT32: std::ops::Range<usize> = 82..90;

/// Whose image it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `build` made it, and nobody gave it an identity.
    Ours,
    /// Somebody else.
    Foreign,
}

/// Whether somebody else's images are flashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// No.
    Refused,
    /// Yes, the person said so.
    Allowed,
}

/// A disk that was looked at.
#[derive(Clone, Debug)]
pub struct Content {
    table: PartitionTable,
    origin: Origin,
}

impl Content {
    /// Looks at an image. Fails when it is no disk, or a stranger's and those are refused.
    pub fn look(image: &Image, strangers: Strangers) -> Result<Self, FlashError> {
        let path = image.path();
        let head = image.head(LOOK_BYTES).map_err(|source| FlashError::Unpack { path: path.to_owned(), source })?;
        let content = disk(&head, image)?;
        if content.origin == Origin::Foreign && strangers == Strangers::Refused {
            return Err(FlashError::Stranger(path.to_owned()));
        }
        Ok(content)
    }

    /// Whose image it is.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The byte behind the last partition: an image that ends before it is cut off.
    pub fn end(&self) -> u64 {
        self.table.partitions.iter().map(|part| part.extent.end().saturating_mul(SECTOR_BYTES)).max().unwrap_or(0)
    }

    /// What it wants of a card.
    pub fn needs(&self, image: &Image) -> Needs {
        let id = match self.table.id {
            TableId::Mbr(id) => DiskId::Mbr(id),
            TableId::Gpt(id) => DiskId::Gpt(id),
        };
        let root = self.table.partitions.iter().find(|part| part.number == ROOT);
        let with_data = root.filter(|_| self.origin == Origin::Ours);
        Needs {
            image: image.size(),
            with_data: with_data.map(|root| id.sectors_min(root.extent.end()).saturating_mul(SECTOR_BYTES)),
        }
    }
}

/// The disk that begins with `head`.
fn disk(head: &[u8], image: &Image) -> Result<Content, FlashError> {
    let shown = image.path().display();
    let subject = if image.is_packed() { format!("what is packed in {shown}") } else { shown.to_string() };
    // A disk with something behind it is not a plain one: Microsoft's fixed format, Apple's.
    if let Some(known) = image.tail().and_then(|tail| known::by_tail(&tail)) {
        return Err(is_no_disk(&subject, image.path(), known));
    }
    let table = read_head(&head[..head.len().min(HEAD_BYTES)], image.size()).map_err(|error| {
        let found = match &error {
            DiskError::NoTable | DiskError::Empty => known::by_head(head),
            _ => None,
        };
        match (found, error) {
            (Some(known), _) => is_no_disk(&subject, image.path(), known),
            (None, source @ (DiskError::NoTable | DiskError::Empty)) => {
                let size = image.size().unwrap_or(head.len() as u64);
                let short = (size < HEAD_BYTES as u64).then_some(size);
                FlashError::NoTable { subject: subject.clone(), short, source }
            }
            (None, source @ DiskError::SectorSize(_)) => FlashError::SectorSize { subject: subject.clone(), source },
            (None, source) => FlashError::NotWhole { subject: subject.clone(), source },
        }
    })?;
    let origin = if is_ours(&table, head) { Origin::Ours } else { Origin::Foreign };
    Ok(Content { table, origin })
}

fn is_no_disk(subject: &str, path: &Path, known: known::Known) -> FlashError {
    FlashError::NoDisk { subject: subject.to_owned(), noun: known.noun, advice: known.way.hint(path) }
}

/// Whether `build` made it: its boot partition is where ours are and is called as ours are until they have an owner.
fn is_ours(table: &PartitionTable, head: &[u8]) -> bool {
    let start = |number| table.partitions.iter().find(|part| part.number == number).map(|part| part.extent.start);
    let boot = head.get((BOOT_START_SECTOR * SECTOR_BYTES) as usize..).unwrap_or_default();
    start(BOOT) == Some(BOOT_START_SECTOR)
        && start(ROOT).is_some()
        && boot.get(FAT32) == Some(b"FAT32   ")
        && boot.get(LABEL).is_some_and(|label| label.trim_ascii_end() == BOOT_LABEL.as_bytes())
}

#[cfg(test)]
mod tests;
