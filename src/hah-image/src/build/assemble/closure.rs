//! `NAME.closure`: the image without the disk around it, as a row of chunks. A node that has an older one needs only
//! those that it has not; see [`hah_node::generation::closure`].
//!
//! | part | is cut |
//! |---|---|
//! | superblock | not at all |
//! | what comes from one pack | every 4 MiB from its first byte |
//! | the image's own files | where the blocks of a file or a fragment begin and end, and every 4 MiB from there |
//! | tables | every 4 MiB |
//! | a boot file | every 4 MiB; the initramfs also where one of its archives begins |
//!
//! A pack's part of the root depends on the package and on which of its files the image takes, so images share it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use hah_format::digest::{Hashing, Sha256};
use hah_node::generation::closure::{BootFile, CHUNK_MAX, Chunk, Closure, SLOT_MARK, VERSION, parse};
use hah_node::generation::{self, Digest, Slot};
use rayon::prelude::*;

use super::Assembly;
use super::boot::{BootFiles, loader_entry};
use super::initramfs::Initramfs;
use super::root::{RootImage, Segment};
use crate::failure::Failure;
use crate::files;

/// The file's name is the image's with this in the place of `img`.
pub const EXTENSION: &str = "closure";
/// Its detached signature, by minisign, when somebody signed it: `NAME.closure.minisig`.
pub const SIGNATURE_EXTENSION: &str = "closure.minisig";

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// What a chunk is made of.
enum Piece<'a> {
    /// Bytes that are in memory.
    Bytes(&'a [u8]),
    /// Runs of a pack's data area: offset and length in bytes.
    Pack { path: &'a Path, runs: Vec<(u64, u64)> },
}

impl Piece<'_> {
    fn chunk(&self) -> io::Result<Chunk> {
        let mut hashing = Hashing::new(io::sink());
        match self {
            Self::Bytes(bytes) => hashing.write_all(bytes)?,
            Self::Pack { path, runs } => {
                let file = files::open(path)?;
                runs.iter().try_for_each(|run| hash_run(&file, *run, &mut hashing))?;
            }
        }
        let (sha256, length, _) = hashing.finish();
        Ok(Chunk(Digest(*sha256.as_bytes()), u32::try_from(length).map_err(io::Error::other)?))
    }
}

fn hash_run(file: &File, (offset, length): (u64, u64), hashing: &mut Hashing<io::Sink>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let (mut at, end) = (offset, offset + length);
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
        let Some(part) = buffer.get_mut(..wanted) else { break };
        file.read_exact_at(part, at)?;
        hashing.write_all(part)?;
        at += wanted as u64;
    }
    Ok(())
}

/// The chunks of the root file system.
pub fn root_chunks(root: &RootImage) -> Result<Vec<Chunk>, Failure> {
    let pieces = root_pieces(root);
    let chunks: io::Result<Vec<Chunk>> = pieces.par_iter().map(Piece::chunk).collect();
    chunks.map_err(|error| {
        Failure::caused_by(&error, Some("run `hah-image store verify`, then build again".into()))
            .within("cannot read the packs of the root file system")
    })
}

fn root_pieces(root: &RootImage) -> Vec<Piece<'_>> {
    let mut pieces = vec![Piece::Bytes(&root.metadata.superblock)];
    let mut segments = root.segments.iter().peekable();
    while let Some(segment) = segments.next() {
        match segment {
            Segment::Fresh { bytes, borders } => pieces.extend(cut(bytes, borders).map(Piece::Bytes)),
            Segment::Pack(source, offset, length) => {
                let mut runs = vec![(*offset, *length)];
                while let Some(Segment::Pack(other, offset, length)) = segments.peek()
                    && other == source
                {
                    runs.push((*offset, *length));
                    segments.next();
                }
                let path = root.sources.get(*source).map_or(Path::new(""), |stored| &stored.path);
                pieces.extend(cut_runs(runs).map(|runs| Piece::Pack { path, runs }));
            }
        }
    }
    pieces.extend(cut(&root.metadata.tables, &[]).map(Piece::Bytes));
    pieces
}

/// Cuts runs, taken as one, every [`CHUNK_MAX`] bytes.
fn cut_runs(runs: Vec<(u64, u64)>) -> impl Iterator<Item = Vec<(u64, u64)>> {
    let mut runs = runs.into_iter();
    let mut rest = None;
    std::iter::from_fn(move || {
        let (mut piece, mut room) = (Vec::new(), u64::from(CHUNK_MAX));
        while room > 0 {
            let Some((offset, length)) = rest.take().or_else(|| runs.next()) else { break };
            let taken = length.min(room);
            piece.push((offset, taken));
            room -= taken;
            rest = (taken < length).then_some((offset + taken, length - taken));
        }
        (!piece.is_empty()).then_some(piece)
    })
}

/// Cuts bytes at `borders`, which are offsets that rise, and every [`CHUNK_MAX`] bytes from each.
fn cut<'a>(bytes: &'a [u8], borders: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let (mut left, mut start) = (bytes, 0);
    let mut parts = Vec::with_capacity(borders.len() + 1);
    for border in borders {
        if let Some((part, rest)) = left.split_at_checked(border.saturating_sub(start)) {
            parts.push(part);
            (left, start) = (rest, *border);
        }
    }
    parts.push(left);
    parts.into_iter().flat_map(|part| part.chunks(CHUNK_MAX as usize))
}

/// The chunks of the boot files of generation 0, which are those below its directory.
pub fn boot_files(files: &BootFiles, initramfs: &Initramfs) -> Result<Vec<BootFile>, Failure> {
    let directory = Slot::FLASHED.boot_directory();
    let named: BTreeMap<&str, &Arc<[u8]>> = files
        .iter()
        .filter_map(|(path, bytes)| Some((path.as_str().strip_prefix(&directory)?.strip_prefix('/')?, bytes)))
        .collect();
    let files: io::Result<Vec<BootFile>> = named
        .into_par_iter()
        .map(|(name, bytes)| {
            let borders = if name == "initramfs" { initramfs.borders.as_slice() } else { &[] };
            let chunks: io::Result<Vec<Chunk>> =
                cut(bytes, borders).filter(|part| !part.is_empty()).map(|part| Piece::Bytes(part).chunk()).collect();
            Ok(BootFile { name: name.to_owned(), chunks: chunks? })
        })
        .collect();
    files.map_err(|error| Failure::build(error.to_string(), None))
}

/// The closure's text.
pub fn render(assembly: &Assembly<'_>, root: Vec<Chunk>, boot: Vec<BootFile>) -> Result<Vec<u8>, Failure> {
    let system = assembly.system;
    let closure = Closure {
        version: VERSION,
        image: system.image.clone(),
        board: system.board.name.clone(),
        architecture: system.architecture.as_str().to_owned(),
        key: Digest(*assembly.key.0.as_bytes()),
        epoch: assembly.epoch(),
        disk: assembly.disk_id(),
        layout: generation::LAYOUT,
        allow_older: false,
        loader: loader_entry(system, SLOT_MARK),
        root,
        boot,
    };
    let failed = |error: hah_node::generation::closure::ClosureError| {
        Failure::build(
            format!("image {}: {error}", system.image),
            Some("no node could take this image as a generation: make it smaller, or rename what it names".into()),
        )
    };
    let text = closure.encode().map_err(failed)?;
    // What a node would refuse is not built.
    parse(&text).map_err(failed)?;
    Ok(text)
}

/// The digest that names a generation.
pub fn id(text: &[u8]) -> Digest {
    Digest(*Sha256::of(text).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = CHUNK_MAX as usize;

    #[test]
    fn bytes_are_cut_at_borders_and_at_the_largest_length() {
        let bytes = vec![0; 2 * MAX + 10];
        let lengths = |borders: &[usize]| cut(&bytes, borders).map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), [MAX, MAX, 10]);
        assert_eq!(lengths(&[10]), [10, MAX, MAX]);
        assert_eq!(lengths(&[0, 10, 10, 30, 2 * MAX + 10]), [10, 20, MAX, MAX - 20]);
        assert_eq!(lengths(&[MAX + 1, 5 * MAX]), [MAX, 1, MAX, 9], "a border beyond the end is none");
        assert_eq!(cut(&[], &[0]).count(), 0);
    }

    #[test]
    fn runs_of_a_pack_are_cut_as_one() {
        let max = u64::from(CHUNK_MAX);
        let cut = |runs: &[(u64, u64)]| cut_runs(runs.to_vec()).collect::<Vec<_>>();
        assert_eq!(cut(&[(7, 5), (20, 5)]), [[(7, 5), (20, 5)]]);
        assert_eq!(
            cut(&[(0, max - 1), (2 * max, max + 2)]),
            [vec![(0, max - 1), (2 * max, 1)], vec![(2 * max + 1, max)], vec![(3 * max + 1, 1)]]
        );
        assert_eq!(cut(&[(0, max)]), [[(0, max)]]);
        assert!(cut(&[]).is_empty());
    }
}
