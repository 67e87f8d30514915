//! The image file: partition table, boot partition and root, each byte written once, and the digests that describe it.
//!
//! The file is sparse: what no partition uses is a hole. Which ranges are mapped follows from the layout, never from the
//! file system that holds the image, so the block map is the same everywhere.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use hah_format::bmap::{self, BLOCK, MappedRange};
use hah_format::digest::{Hashing, Sha256};
use hah_format::disk::window::Window;
use hah_format::disk::{self, Geometry, GptPartition, Identity, Layout};
use hah_format::fat::{self, FatOptions};
use hah_node::disk as contract;
use hah_plan::board::BootType;
use hah_plan::plan::Key;

use super::boot::BootFiles;
use super::root::{RootImage, Segment};
use crate::failure::Failure;

/// What decides the disk besides its contents.
pub struct DiskSpec {
    /// The disk's mark, whose kind is that of the partition table.
    pub id: contract::DiskId,
    /// What a GPT says of the boot partition.
    pub boot_type: BootType,
    /// Size of the boot partition in bytes.
    pub boot_bytes: u64,
    /// The image's key, from which the volume id of the boot partition derives.
    pub key: Key,
    /// Time of every FAT entry, seconds since 1970.
    pub epoch: u32,
}

/// A written image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenImage {
    /// Where the partitions lie.
    pub layout: Layout,
    /// Bytes of the image.
    pub size: u64,
    /// Digest of the whole image.
    pub sha256: Sha256,
    /// What is mapped, and the digests of it.
    pub ranges: Vec<MappedRange>,
}

/// Writes the image to `file`, which must be empty.
pub fn write(file: &mut File, spec: &DiskSpec, boot: &BootFiles, root: &RootImage) -> Result<WrittenImage, Failure> {
    let table = match spec.id {
        contract::DiskId::Mbr(_) => disk::Table::Mbr,
        contract::DiskId::Gpt(_) => disk::Table::Gpt,
    };
    let geometry = Geometry {
        table,
        align_sectors: contract::ALIGN_SECTORS,
        boot_start: contract::BOOT_START_SECTOR,
        boot_bytes: spec.boot_bytes,
        root_bytes: root.len(),
    };
    let failed = |error: disk::DiskError| Failure::build(error.to_string(), Some(error.hint().to_owned()));
    let layout = Layout::new(&geometry).map_err(failed)?;
    file.set_len(layout.size_bytes())?;
    let regions = disk::encode(&layout, &identity(spec)).map_err(failed)?;
    let mut mapped: Vec<(u64, u64)> = Vec::new();
    for region in &regions {
        file.seek(SeekFrom::Start(region.offset))?;
        file.write_all(&region.bytes)?;
        mapped.push((region.offset, region.bytes.len() as u64));
    }
    let used = write_boot(file, spec, &layout, boot)?;
    mapped.push((layout.boot.offset_bytes(), used));
    mapped.push((layout.root.offset_bytes(), root.len()));
    let size = layout.size_bytes();
    let blocks = merge(&mapped, size);
    // A second handle: the hash follows the writer, and the two must not share a position.
    let written = file.try_clone()?;
    let root_start = layout.root.offset_bytes();
    let (whole, ranges) = std::thread::scope(|scope| {
        let (root_is_there, wait) = std::sync::mpsc::channel();
        let whole = scope.spawn({
            let (written, blocks) = (&written, &blocks);
            // Most of an image lies before its root: hashing that takes as long as writing the root.
            move || hash_whole(written, size, blocks, &Pause { at: root_start, until: wait })
        });
        let ranges = write_root(file, root_start, root).and_then(|()| {
            let _ = root_is_there.send(());
            Ok(hash_ranges(&written, size, &blocks)?)
        });
        drop(root_is_there);
        let whole = whole.join().unwrap_or_else(|_| Err(io::Error::other("the hashing thread died")));
        (whole, ranges)
    });
    // Whoever failed first is the reason; the hash fails when the root was never written.
    let ranges = ranges?;
    Ok(WrittenImage { layout, size, sha256: whole?, ranges })
}

/// A place in the image that may be read only when somebody says so.
struct Pause {
    /// Offset in bytes.
    at: u64,
    /// Says so; hangs up when that will never happen.
    until: std::sync::mpsc::Receiver<()>,
}

fn identity(spec: &DiskSpec) -> Identity<'static> {
    match spec.id {
        contract::DiskId::Mbr(signature) => {
            Identity::Mbr { signature, types: [contract::MBR_TYPE_FAT32_LBA, contract::MBR_TYPE_LINUX] }
        }
        contract::DiskId::Gpt(disk) => {
            let partition = |number: u32, name, type_guid| GptPartition {
                type_guid,
                guid: contract::DiskId::partition_guid(disk, number),
                name,
                attributes: 0,
            };
            let [boot, root, _] = contract::NAMES;
            let boot_type = match spec.boot_type {
                BootType::BasicData => contract::GPT_TYPE_BASIC_DATA,
                BootType::Esp => contract::GPT_TYPE_ESP,
            };
            Identity::Gpt {
                disk,
                partitions: [
                    partition(contract::BOOT, boot, boot_type),
                    partition(contract::ROOT, root, contract::GPT_TYPE_LINUX),
                ],
            }
        }
    }
}

/// Bytes of the boot partition that are used.
fn write_boot(file: &mut File, spec: &DiskSpec, layout: &Layout, files: &BootFiles) -> Result<u64, Failure> {
    let options = FatOptions {
        size_bytes: layout.boot.length_bytes(),
        label: contract::BOOT_LABEL.to_owned(),
        volume_id: spec.key.derive_u32("boot"),
        epoch: spec.epoch,
        sectors_per_cluster: 4,
        hidden_sectors: u32::try_from(layout.boot.start).unwrap_or(u32::MAX),
    };
    let window = Window::new(&mut *file, layout.boot.offset_bytes(), layout.boot.length_bytes())?;
    let summary = fat::format_and_fill(window, &options, files)
        .map_err(|error| Failure::caused_by(&error, Some(error.hint().to_string())))?;
    Ok(summary.used_bytes)
}

fn write_root(file: &mut File, offset: u64, root: &RootImage) -> Result<(), Failure> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(&root.metadata.superblock)?;
    let mut open: Option<(usize, File)> = None;
    for segment in &root.segments {
        match segment {
            Segment::Fresh { bytes, .. } => file.write_all(bytes)?,
            Segment::Pack(index, start, len) => {
                if open.as_ref().is_none_or(|(opened, _)| opened != index) {
                    open = Some((*index, open_pack(&root.sources[*index].path)?));
                }
                let Some((_, pack)) = &mut open else { continue };
                pack.seek(SeekFrom::Start(*start))?;
                // On Linux this is copy_file_range: reflinked or copied inside the kernel.
                let copied = io::copy(&mut pack.take(*len), file)?;
                if copied != *len {
                    return Err(Failure::build(
                        format!("{} is cut short", root.sources[*index].path.display()),
                        Some("run `hah-image store verify`, then build again".into()),
                    ));
                }
            }
        }
    }
    file.write_all(&root.metadata.tables)?;
    Ok(())
}

fn open_pack(path: &Path) -> Result<File, Failure> {
    Ok(crate::files::open(path)?)
}

/// Digests of the mapped ranges.
fn hash_ranges(file: &File, size: u64, blocks: &[(u64, u64)]) -> io::Result<Vec<MappedRange>> {
    let ranges = blocks.iter().flat_map(|&(first, last)| bmap::cut(first, last));
    ranges
        .map(|(first_block, last_block)| {
            let mut hash = Hashing::new(io::sink());
            hash_range(file, first_block * BLOCK, size.min((last_block + 1) * BLOCK), &mut hash)?;
            Ok(MappedRange { first_block, last_block, sha256: hash.finish().0 })
        })
        .collect()
}

/// Mapped byte ranges as runs of blocks: sorted, joined.
fn merge(mapped: &[(u64, u64)], size: u64) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = mapped
        .iter()
        .filter(|(_, len)| *len > 0)
        .map(|&(offset, len)| (offset / BLOCK, (offset + len).min(size).div_ceil(BLOCK) - 1))
        .collect();
    runs.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (first, last) in runs {
        match joined.last_mut() {
            Some((_, end)) if first <= *end + 1 => *end = (*end).max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// Hashes the whole image; holes are hashed as zeros without being read.
fn hash_whole(file: &File, size: u64, blocks: &[(u64, u64)], pause: &Pause) -> io::Result<Sha256> {
    let zeros = vec![0u8; 1 << 16];
    let mut hash = Hashing::new(io::sink());
    let mut at = 0;
    for &(first, last) in blocks {
        let (start, end) = (first * BLOCK, size.min((last + 1) * BLOCK));
        hash_zeros(&zeros, start - at, &mut hash)?;
        let early = pause.at.clamp(start, end);
        hash_range(file, start, early, &mut hash)?;
        if early < end {
            // After the first word there are no more: what is written stays written.
            let hung_up = || io::Error::other("the root was not written");
            if start <= pause.at {
                pause.until.recv().map_err(|_| hung_up())?;
            }
            hash_range(file, early, end, &mut hash)?;
        }
        at = end;
    }
    hash_zeros(&zeros, size - at, &mut hash)?;
    Ok(hash.finish().0)
}

fn hash_zeros(zeros: &[u8], mut left: u64, hash: &mut Hashing<io::Sink>) -> io::Result<()> {
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        hash.write_all(&zeros[..len])?;
        left -= len as u64;
    }
    Ok(())
}

fn hash_range(file: &File, start: u64, end: u64, hash: &mut Hashing<io::Sink>) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let mut buffer = vec![0u8; 1 << 18];
    let mut at = start;
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact_at(&mut buffer[..len], at)?;
        hash.write_all(&buffer[..len])?;
        at += len as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_by_block() {
        assert_eq!(merge(&[(0, 512), (4096, 1), (20000, 10), (20480, 4096)], 1 << 20), [(0, 1), (4, 5)]);
    }

    #[test]
    fn holes_hash_like_zeros() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(300_000).unwrap();
        file.seek(SeekFrom::Start(8192)).unwrap();
        file.write_all(b"data").unwrap();
        let mut all = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut all).unwrap();
        let (say, until) = std::sync::mpsc::channel();
        say.send(()).unwrap();
        let pause = Pause { at: 4096, until };
        assert_eq!(hash_whole(&file, 300_000, &[(0, 0), (2, 2)], &pause).unwrap(), Sha256::of(&all));
        let (say, until) = std::sync::mpsc::channel();
        drop(say);
        assert!(hash_whole(&file, 300_000, &[(2, 2)], &Pause { at: 8192, until }).is_err());
    }
}
