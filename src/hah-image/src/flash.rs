//! Flashing: an image onto a card, an SD card's reader, a disk or a plain file, and a node's identity with it.
//!
//! ```text
//! is it a disk? whose? ─► both ends of the card wiped
//! image ─► ranges of the block map ─► big aligned direct writes ─► sync ─► read back, rewrite what differs
//!   first block held back ┐                                                    │
//!                         └────────────── written last ◄── identity into the FAT ◄┘
//! ```
//!
//! Until the first block is there the card has no partition table: a flash that was cut short leaves a card that does not
//! boot, and never one that half boots. Modules stand in the order of a flash.

use std::path::PathBuf;

use hah_node::identity::Identity;

use crate::printer::human_bytes;
use crate::reporter::Reporter;

pub mod device;
pub mod refusal;
pub mod source;
pub mod content;
pub mod target;
pub mod choose;
pub mod digests;
pub mod careful;
pub mod wipe;
pub mod writer;
pub mod card;
pub mod error;
pub mod record;
pub mod fleet;

use content::Content;
use error::{FlashError, WriteError};
use source::Image;
use target::OpenTarget;

/// What is to be flashed.
pub struct Job<'a> {
    /// The image.
    pub image: &'a Image,
    /// What was found in it.
    pub content: &'a Content,
    /// Where it goes, opened and found fit.
    pub target: OpenTarget,
    /// Whose card it becomes, if anybody's.
    pub node: Option<Node<'a>>,
    /// Whether what was written is read back.
    pub verify: Verify,
}

/// A node's name, for messages, and its identity.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    /// The name.
    pub name: &'a str,
    /// What goes onto its card.
    pub identity: &'a Identity,
}

/// Whether what was written is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// All of it.
    All,
    /// Nothing: for those who verify by other means.
    Nothing,
}

/// A card that was flashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flashed {
    /// The device or file.
    pub path: PathBuf,
    /// Bytes that were written.
    pub written: u64,
    /// Bytes of the image that hold nothing and were skipped.
    pub skipped: u64,
    /// Chunks that were wrong when read back, and right after they were written again.
    pub repaired: u64,
    /// Whether what was written was read back.
    pub verified: Verify,
}

/// Flashes.
pub fn flash(reporter: &dyn Reporter, job: Job<'_>) -> Result<Flashed, FlashError> {
    let Job { image, content, mut target, node, verify } = job;
    let path = target.path().to_owned();
    let shown = path.display().to_string();
    let total = image.mapped_bytes();
    let step = reporter.transfer("Writing", &shown, total);
    let written =
        writer::write(image, &mut target, verify, &|bytes| step.advance(bytes)).map_err(FlashError::on(&path))?;
    step.set_message("syncing");
    careful::sync(&mut target, written.image_bytes).map_err(FlashError::on(&path))?;
    let rest = match written.image_bytes.saturating_sub(written.bytes) {
        0 => String::new(),
        skipped => format!(", {} without content skipped", human_bytes(skipped)),
    };
    let speed = step.speed(written.bytes).map(|speed| format!(" at {}/s", human_bytes(speed))).unwrap_or_default();
    step.done("Wrote", &format!("{} to {shown}{speed}{rest}", human_bytes(written.bytes)));

    let mut repaired = 0;
    if verify == Verify::All {
        let step = reporter.transfer("Verifying", &shown, Some(written.bytes));
        repaired = writer::verify(image, &mut target, &written, &|bytes| step.advance(bytes))
            .and_then(|repaired| Ok(repaired + wipe::verify_wiped(&mut target, &written)?))
            .map_err(FlashError::on(&path))?;
        let note = match repaired {
            0 => String::new(),
            1 => ", after one place was written again".to_owned(),
            count => format!(", after {count} places were written again"),
        };
        step.done("Verified", &format!("{shown}{note}"));
    }
    if written.image_bytes < content.end() {
        let error = WriteError::CutOff { wanted: content.end(), found: written.image_bytes };
        return Err(FlashError::on(&path)(error));
    }
    if let Some(node) = node {
        let step = reporter.step("Identifying", node.name);
        target.make_private()?;
        card::put_identity(&mut target, &written, node.identity)
            .map_err(|source| FlashError::Identify { path: path.clone(), source: Box::new(source) })?;
        step.done("Identified", &format!("{shown} as {}", node.name));
    }
    writer::write_head(&mut target, &written).map_err(FlashError::on(&path))?;
    if repaired > 0 {
        reporter.warning(&format!("{shown} did not keep what was written at first: do not trust this card for long"));
    }
    let skipped = written.image_bytes.saturating_sub(written.bytes);
    Ok(Flashed { path, written: written.bytes, skipped, repaired, verified: verify })
}
