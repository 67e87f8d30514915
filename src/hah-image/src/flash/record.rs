//! Which card went where: `flashed.jsonl` in the project, one JSON object a line, newest last, and no secret among them.
//!
//! `flash --fleet` goes on from here, and people look here which card is in which node. Lines are only ever added, each in
//! one write that is on the disk before the next card is asked for; a line that a power cut tore is skipped, with a warning.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::FlashError;
use crate::files;
use crate::files::draft;
use crate::files::place::Place;

/// Name of the file.
pub const FILE: &str = "flashed.jsonl";
/// Largest file that is read, in bytes: a fleet of a hundred, flashed every week for a year.
const FILE_MAX: u64 = 4 << 20;

/// A card that was flashed for a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlashEntry {
    /// When: `2026-11-25 14:05 UTC`.
    pub time: String,
    /// The node.
    pub node: String,
    /// The image's name.
    pub image: String,
    /// SHA-256 of the image file.
    pub image_sha256: String,
    /// [`crate::project::fleet::fingerprint`] of the identity: changes when anything in it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The card's volume label.
    pub label: String,
    /// The device or file.
    pub device: PathBuf,
    /// The device's stable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_id: Option<PathBuf>,
    /// Vendor and model of the card or its reader.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Bytes that were written.
    pub written: u64,
    /// Whether they were read back.
    pub verified: bool,
}

/// The record of a project.
pub struct FlashRecord {
    path: PathBuf,
    entries: Vec<FlashEntry>,
    /// Lines that cannot be read, by number.
    pub torn: Vec<usize>,
}

impl FlashRecord {
    /// Reads a project's record; one that is not there is empty.
    pub fn read(project: &Path) -> Result<Self, FlashError> {
        let path = project.join(FILE);
        let mut record = Self { path, entries: Vec::new(), torn: Vec::new() };
        let place = Place::of(&record.path)?;
        let Some(bytes) = files::if_there(files::read_up_to(place.path(), FILE_MAX + 1))? else { return Ok(record) };
        if bytes.len() as u64 > FILE_MAX {
            return Err(FlashError::RecordTooLarge { path: record.path, max: FILE_MAX });
        }
        for (number, line) in (1..).zip(String::from_utf8_lossy(&bytes).lines()).filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_str(line) {
                Ok(entry) => record.entries.push(entry),
                Err(_) => record.torn.push(number),
            }
        }
        Ok(record)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a node's newest card was.
    pub fn newest(&self, node: &str) -> Option<&FlashEntry> {
        self.entries.iter().rfind(|entry| entry.node == node)
    }

    /// Adds a card. Returns when it is on the disk.
    pub fn add(&mut self, entry: FlashEntry) -> Result<(), FlashError> {
        let mut line = serde_json::to_string(&entry).map_err(FlashError::Record)?;
        line.push('\n');
        let mut file = draft::append(&self.path)?;
        if !ends_with_newline(&file)? {
            line.insert(0, '\n');
        }
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        self.entries.push(entry);
        Ok(())
    }
}

/// Whether a file's last line is whole; that of an empty file is.
fn ends_with_newline(file: &std::fs::File) -> std::io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entry(node: &str, image_sha256: &str) -> FlashEntry {
        FlashEntry {
            time: "2026-11-25 14:05 UTC".into(),
            node: node.into(),
            image: "lab".into(),
            image_sha256: image_sha256.into(),
            identity: None,
            label: node.to_uppercase(),
            device: "/dev/sdb".into(),
            by_id: None,
            model: String::new(),
            written: 1,
            verified: true,
        }
    }

    #[test]
    fn the_newest_counts_and_torn_lines_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut record = FlashRecord::read(directory.path()).unwrap();
        assert_eq!(record.newest("a"), None);
        for (node, image) in [("a", "1"), ("b", "1"), ("a", "2")] {
            record.add(entry(node, image)).unwrap();
        }
        // Power went while a line was written.
        let mut file = fs::OpenOptions::new().append(true).open(record.path()).unwrap();
        file.write_all(b"{\"node\": \"b\", \"ima").unwrap();
        let mut record = FlashRecord::read(directory.path()).unwrap();
        assert_eq!((record.torn.as_slice(), record.newest("a")), (&[4][..], Some(&entry("a", "2"))));
        assert_eq!(record.newest("b"), Some(&entry("b", "1")));
        record.add(entry("b", "3")).unwrap();
        assert_eq!(FlashRecord::read(directory.path()).unwrap().newest("b"), Some(&entry("b", "3")));
    }
}
