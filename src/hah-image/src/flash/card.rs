//! A card seen through what was written: its partition table is still in memory, its boot partition is there.

use std::io::{self, Read, Seek, SeekFrom};

use hah_format::disk::window::Window;
use hah_format::fat;
use hah_format::path::TreePath;
use hah_node::disk::BOOT;
use hah_node::identity::{FILE_MAX, Identity};
use hah_node::paths;

use super::target::Target;
use super::writer::{self, HEAD, Written};
use crate::failure::Failure;

/// `node.json`, as it goes onto a card.
pub fn node_json(identity: &Identity) -> Result<Vec<u8>, Failure> {
    if let Some(flaw) = identity.flaw() {
        return Err(Failure::user(format!("the identity cannot be used: {flaw}"), None));
    }
    let mut text = serde_json::to_vec_pretty(identity).map_err(|error| Failure::user(error.to_string(), None))?;
    text.push(b'\n');
    if text.len() > FILE_MAX {
        return Err(Failure::user(
            format!("the identity has {} bytes; a node reads at most {FILE_MAX}", text.len()),
            Some("shorten its lists and certificates".into()),
        ));
    }
    Ok(text)
}

/// Puts a node's identity onto the boot partition of a card whose first block is not written yet.
pub fn put_identity(target: &mut dyn Target, written: &Written, identity: &Identity) -> Result<(), Failure> {
    let text = node_json(identity)?;
    let view = View { target, head: Some(&written.head), length: written.image_bytes, position: 0 };
    put_into(view, &text)
}

/// Where in the boot partition the identity goes, and the sectors that change.
fn put_into(mut view: View<'_>, text: &[u8]) -> Result<(), Failure> {
    let foreign = |reason: String| {
        Failure::user(
            format!("this image takes no identity: {reason}"),
            Some("flash an image that this hah-image has built, or leave out --identity".into()),
        )
    };
    let table = hah_format::disk::read(&mut view).map_err(|error| foreign(error.to_string()))?;
    let boot = table.partitions.iter().find(|partition| partition.number == BOOT);
    let boot = boot.ok_or_else(|| foreign("it has no boot partition".to_owned()))?.extent;
    let path = TreePath::parse(paths::IDENTITY_ON_BOOT).map_err(|error| foreign(error.to_string()))?;
    let epoch = u32::try_from(crate::clock::unix_now()).unwrap_or(u32::MAX);
    let window = Window::new(&mut view, boot.offset_bytes(), boot.length_bytes())?;
    let regions = fat::put_file(window, &path, text, epoch).map_err(|error| match error {
        fat::FatError::NotFound(_) => foreign("its boot partition has no directory `hah`".to_owned()),
        other => Failure::user(other.to_string(), Some(other.hint().to_owned())),
    })?;
    writer::write_regions(view.target, boot.offset_bytes(), &regions)
        .map_err(|error| Failure::new(error.exit(), error.to_string(), Some(error.hint().to_owned())))
}

/// A target as something that can be read and sought.
struct View<'t> {
    target: &'t mut dyn Target,
    /// The first block, while it is only in memory.
    head: Option<&'t [u8]>,
    length: u64,
    position: u64,
}

impl Read for View<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.position);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..wanted];
        if wanted == 0 {
            return Ok(0);
        }
        self.target.read_at(self.position, buffer)?;
        if let (Some(head), Ok(start)) = (self.head, usize::try_from(self.position))
            && start < HEAD
        {
            let length = (HEAD - start).min(wanted);
            buffer[..length].copy_from_slice(&head[start..start + length]);
        }
        self.position += wanted as u64;
        Ok(wanted)
    }
}

impl Seek for View<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.length.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
