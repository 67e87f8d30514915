//! A card seen through what was written: its partition table is still in memory, its boot partition is there.

use std::io::{self, Read, Seek, SeekFrom};

use hah_format::disk::window::Window;
use hah_format::disk::{Extent, Region};
use hah_format::fat::{self, FatError};
use hah_format::path::TreePath;
use hah_node::disk::BOOT;
use hah_node::identity::Identity;
use hah_node::paths;

use super::careful::{self, HEAD, Written};
use super::error::{Cause, FlashError};
use super::target::Target;
use crate::project::fleet::node_json;

/// Puts a node's identity onto the boot partition of a card whose first block is not written yet, and calls the partition
/// after the node, so that a person sees whose card it is.
pub fn put_identity(target: &mut dyn Target, written: &Written, identity: &Identity) -> Result<(), FlashError> {
    let text = node_json(identity)?;
    let path = TreePath::parse(paths::IDENTITY_ON_BOOT).map_err(|error| FlashError::NoIdentity(Box::new(error)))?;
    let epoch = u32::try_from(crate::clock::unix_now()).unwrap_or(u32::MAX);
    let mut view = View { target, head: Some(&written.head), length: written.image_bytes, position: 0 };
    let boot = boot_partition(&mut view).map_err(FlashError::NoIdentity)?;
    view.patch(boot, |part| {
        fat::put_file(part, &path, &text, epoch).map_err(|error| match error {
            FatError::NotFound(_) => FlashError::NoIdentity("its boot partition has no directory `hah`".into()),
            other => FlashError::Fat(other),
        })
    })?;
    let Some(name) = &identity.hostname else { return Ok(()) };
    view.patch(boot, |part| fat::put_label(part, &label(name)).map_err(FlashError::Fat))
}

/// The volume label of a node's card: its name in capitals. Of a long one the middle is left out, since names of a fleet
/// differ at their ends.
pub fn label(name: &str) -> String {
    const LONGEST: usize = 11;
    const KEPT: usize = 5;
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_uppercase() } else { '_' };
    let name: Vec<char> = name.chars().map(plain).collect();
    if name.len() <= LONGEST {
        return name.into_iter().collect();
    }
    name[..KEPT].iter().chain(&['~']).chain(&name[name.len() - KEPT..]).collect()
}

/// Whose card a device or file holds: the hostname of an identity that was flashed and not taken by a first boot yet.
pub fn owner(target: &mut dyn Target, length: u64) -> Option<String> {
    let mut view = View { target, head: None, length, position: 0 };
    let boot = boot_partition(&mut view).ok()?;
    let path = TreePath::parse(paths::IDENTITY_ON_BOOT).ok()?;
    let window = Window::new(&mut view, boot.offset_bytes(), boot.length_bytes()).ok()?;
    let text = fat::read_file(window, &path).ok()?;
    serde_json::from_slice::<Identity>(&text).ok()?.hostname
}

fn boot_partition(view: &mut View<'_>) -> Result<Extent, Cause> {
    let table = hah_format::disk::read(view)?;
    let boot = table.partitions.iter().find(|partition| partition.number == BOOT);
    Ok(boot.ok_or("it has no boot partition")?.extent)
}

/// A target as something that can be read and sought.
struct View<'t> {
    target: &'t mut dyn Target,
    /// The first block, while it is only in memory.
    head: Option<&'t [u8]>,
    length: u64,
    position: u64,
}

/// A window onto a partition of a card.
type Part<'v, 't> = Window<&'v mut View<'t>>;

impl<'t> View<'t> {
    /// Writes the sectors of a partition that `patch` names.
    fn patch(
        &mut self,
        part: Extent,
        patch: impl FnOnce(Part<'_, 't>) -> Result<Vec<Region>, FlashError>,
    ) -> Result<(), FlashError> {
        let regions = patch(Window::new(&mut *self, part.offset_bytes(), part.length_bytes())?)?;
        careful::write_regions(self.target, part.offset_bytes(), &regions).map_err(FlashError::Patch)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_fit_and_differ() {
        for (name, wanted) in [
            ("pi4-a", "PI4-A"),
            ("twelve-chars", "TWELV~CHARS"),
            ("eleven-char", "ELEVEN-CHAR"),
            ("kitchen-node-1", "KITCH~ODE-1"),
            ("kitchen-node-2", "KITCH~ODE-2"),
        ] {
            assert_eq!(label(name), wanted);
        }
    }
}
