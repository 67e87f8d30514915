//! What two images that should be the same have different: the first file, or else the first byte.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use fs_err as fs;
use hah_format::disk::window::Window;
use hah_format::squashfs::Reader;
use hah_format::tree::Kind;

use crate::failure::Failure;

/// `None` when the images are the same; otherwise what is different first.
pub fn images(first: &Path, second: &Path) -> Result<Option<String>, Failure> {
    let Some(offset) = first_difference(first, second)? else { return Ok(None) };
    let mut described = format!("byte {offset}");
    if let Some(path) = differing_file(first, second) {
        described = format!("{path} (first different byte: {offset})");
    }
    Ok(Some(described))
}

/// Offset of the first different byte.
fn first_difference(first: &Path, second: &Path) -> Result<Option<u64>, Failure> {
    let (mut left, mut right) = (fs::File::open(first)?, fs::File::open(second)?);
    let (mut a, mut b) = (vec![0u8; 1 << 20], vec![0u8; 1 << 20]);
    let mut offset = 0u64;
    loop {
        let read = fill(&mut left, &mut a)?;
        let other = fill(&mut right, &mut b)?;
        let common = read.min(other);
        if let Some(at) = a[..common].iter().zip(&b[..common]).position(|(x, y)| x != y) {
            return Ok(Some(offset + at as u64));
        }
        if read != other {
            return Ok(Some(offset + common as u64));
        }
        if read == 0 {
            return Ok(None);
        }
        offset += read as u64;
    }
}

fn fill(file: &mut fs::File, buffer: &mut [u8]) -> Result<usize, Failure> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// The first file of the root or the boot partition that differs; `None` when both read alike or not at all.
fn differing_file(first: &Path, second: &Path) -> Option<String> {
    boot_file(first, second).or_else(|| root_file(first, second))
}

fn boot_file(first: &Path, second: &Path) -> Option<String> {
    let open = |path: &Path| -> Option<Window<fs::File>> {
        let mut file = fs::File::open(path).ok()?;
        let extent = hah_format::disk::read(&mut file).ok()?.partitions.first()?.extent;
        Window::new(file, extent.offset_bytes(), extent.length_bytes()).ok()
    };
    let entries = hah_format::fat::list(open(first)?).ok()?;
    entries.into_iter().filter(|entry| entry.size.is_some()).find_map(|entry| {
        let left = hah_format::fat::read_file(open(first)?, &entry.path).ok()?;
        let right = hah_format::fat::read_file(open(second)?, &entry.path).ok();
        (Some(left) != right).then(|| format!("{} on the boot partition", entry.path))
    })
}

fn root_file(first: &Path, second: &Path) -> Option<String> {
    let open = |path: &Path| -> Option<Reader<Window<fs::File>>> {
        let mut file = fs::File::open(path).ok()?;
        let extent = hah_format::disk::read(&mut file).ok()?.partitions.get(1)?.extent;
        file.seek(SeekFrom::Start(0)).ok()?;
        Reader::open(Window::new(file, extent.offset_bytes(), extent.length_bytes()).ok()?).ok()
    };
    let (mut left, mut right) = (open(first)?, open(second)?);
    let trees = (left.tree().ok()?, right.tree().ok()?);
    for (path, node) in trees.0.iter() {
        let Some(other) = trees.1.get(path) else { return Some(format!("{path} is in one image only")) };
        if node.meta != other.meta {
            return Some(format!("{path}: mode, owner, time or attributes"));
        }
        let same = match (&node.kind, &other.kind) {
            (Kind::File(a), Kind::File(b)) => left.read(a, u64::MAX).ok() == right.read(b, u64::MAX).ok(),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        };
        if !same {
            return Some(path.to_string());
        }
    }
    None
}
