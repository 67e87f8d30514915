//! Packages: what is checked of one that could be read, from the `.deb` to a squashfs image and back.

use std::io::{self, Cursor, Read};

use hah_format::deb::{self, Entry, Limits, SpecialFiles, Visitor};
use hah_format::pack::{Keep, Manifest, PackOptions, PackReader, pack_deb};
use hah_format::squashfs::{self, DataArea, Reader, SquashfsError};
use hah_format::tree::{Kind, Node, Owner, Tree};

/// Small bounds, so that a fuzzer meets them.
pub const LIMITS: Limits = Limits {
    data_bytes: 4 << 20,
    control_bytes: 1 << 20,
    entries: 2000,
    decoder_memory: 16 << 20,
    special_files: SpecialFiles::Allow,
};

/// Largest file that is read back, in bytes.
const FILE_MAX: u64 = 4 << 20;

/// Counts and keeps what a package holds.
#[derive(Default)]
struct Seen {
    tree: Tree<Vec<u8>>,
    bytes: u64,
    entries: u32,
}

impl Visitor for Seen {
    fn control(&mut self, name: &str, bytes: Vec<u8>) -> io::Result<()> {
        assert!(!name.is_empty() && !name.contains('/') && bytes.len() as u64 <= LIMITS.control_bytes);
        Ok(())
    }

    fn entry(&mut self, entry: Entry, content: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        self.bytes += bytes.len() as u64;
        self.entries += 1;
        assert!(self.bytes <= LIMITS.data_bytes && self.entries <= LIMITS.entries);
        let kind = match entry.kind {
            Kind::File(size) => {
                assert_eq!(size, bytes.len() as u64);
                Kind::File(bytes)
            }
            Kind::Dir => Kind::Dir,
            Kind::Symlink(target) => Kind::Symlink(target),
            Kind::HardLink(target) => {
                assert!(matches!(self.tree.get(&target).map(|node| &node.kind), Some(Kind::File(_))));
                Kind::HardLink(target)
            }
            Kind::CharDevice(major, minor) => Kind::CharDevice(major, minor),
            Kind::BlockDevice(major, minor) => Kind::BlockDevice(major, minor),
            Kind::Fifo => Kind::Fifo,
        };
        // What the reader lets through has a place in a tree.
        self.tree.insert(entry.path, Node { meta: entry.meta, kind }).unwrap();
        Ok(())
    }
}

/// Reads a package. One that is read is packed, the pack is read back, an image is made of it, and that is read back too.
///
/// # Panics
/// When any of that fails or gives other bytes.
pub fn check(deb: &[u8]) {
    let mut seen = Seen::default();
    if let Err(error) = deb::read(deb, &LIMITS, &mut seen) {
        crate::says_something(&error, error.hint());
        return;
    }
    let options = PackOptions { block_size: 4096, level: 1, keep: Keep::everything(), limits: LIMITS };
    let mut pack = Vec::new();
    pack_deb(deb, &mut pack, &options).unwrap_or_else(|error| panic!("{error}"));
    let mut reader = PackReader::open(Cursor::new(&pack)).unwrap();
    reader.verify().unwrap();
    let manifest = reader.manifest().clone();
    for (path, node) in manifest.tree.iter() {
        if let Kind::File(file) = &node.kind {
            let Some(Kind::File(bytes)) = seen.tree.get(path).map(|node| &node.kind) else { panic!("{path}") };
            assert_eq!(&reader.read(&file.data, FILE_MAX).unwrap(), bytes);
        }
    }
    image(&pack, &manifest, Some(&seen.tree));
}

/// Makes an image of a pack and reads it back; where `wanted` is given, it must be that.
///
/// # Panics
/// When the image cannot be read, or holds something else.
pub fn image(pack: &[u8], manifest: &Manifest, wanted: Option<&Tree<Vec<u8>>>) {
    let mut area = DataArea::default();
    // As if another package lay before this one.
    let before = [0; 77];
    area.append(before.len() as u64, &[]);
    let placement = area.append(manifest.data_len, &manifest.fragments);
    let tree = manifest.tree.clone().map(|_, file| file.data.placed(placement));
    let owners = |owner: &Owner, _| match owner {
        Owner::Id(id) => Some(*id),
        Owner::Name(_) => Some(1000),
    };
    let options = squashfs::Options { block_size: manifest.block_size, level: 1, epoch: u32::MAX };
    let metadata = match squashfs::metadata(&tree, &area, &owners, &options) {
        Ok(metadata) => metadata,
        Err(error @ (SquashfsError::Xattr { .. } | SquashfsError::TooMany { .. })) => {
            return crate::says_something(&error, error.hint());
        }
        Err(error) if wanted.is_none() => return crate::says_something(&error, error.hint()),
        Err(error) => panic!("{error}"),
    };
    let Some(data) = pack.get(..manifest.data_len as usize) else { return };
    let image = [&metadata.superblock[..], &before, data, &metadata.tables].concat();
    let mut reader = Reader::open(Cursor::new(&image)).unwrap();
    let found = reader.tree().unwrap();
    assert_eq!(found.len(), tree.len());
    for (path, node) in found.iter() {
        let Some(wanted) = wanted.and_then(|wanted| wanted.get(path)) else { continue };
        if matches!(wanted.kind, Kind::HardLink(_)) {
            // One inode, and the file's own entry describes it. Which of the names comes first is the image's business.
            assert!(matches!(node.kind, Kind::HardLink(_) | Kind::File(_)), "{path}");
            continue;
        }
        assert_eq!((node.meta.mode, node.meta.mtime), (wanted.meta.mode, wanted.meta.mtime), "{path}");
        assert_eq!(node.meta.xattrs, wanted.meta.xattrs, "{path}");
        match (&node.kind, &wanted.kind) {
            (Kind::File(data), Kind::File(bytes)) => assert_eq!(&reader.read(data, FILE_MAX).unwrap(), bytes),
            (Kind::Symlink(found), Kind::Symlink(wanted)) => assert_eq!(found, wanted),
            (Kind::HardLink(first), Kind::File(bytes)) => {
                let Some(Kind::File(data)) = found.get(first).map(|node| &node.kind) else { panic!("{path}") };
                assert_eq!(&reader.read(data, FILE_MAX).unwrap(), bytes);
            }
            (found, wanted) => assert_eq!(found.noun(), wanted.noun(), "{path}"),
        }
    }
}

/// A package whose control archive is sound and whose data archive is `tar`.
pub fn with_data(tar: &[u8]) -> Vec<u8> {
    let control =
        [&header("./", b'5', 0)[..], &header("./control", b'0', 12), &pad(b"Package: xx\n"), &[0; 1024]].concat();
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", &control[..]), ("data.tar", tar)] {
        out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len()).into_bytes());
        out.extend(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

/// A ustar header.
pub fn header(name: &str, kind: u8, size: usize) -> [u8; 512] {
    let mut out = [0; 512];
    let mut put = |at: usize, text: &[u8]| out[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar  \0");
    put(265, b"root");
    put(297, b"root");
    seal(&mut out);
    out
}

/// Makes a header's checksum right.
pub fn seal(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// `bytes` and zeros up to a multiple of 512.
pub fn pad(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(512), 0);
    out
}

/// Makes the checksums of a tar archive right, header after header, so that a fuzzer gets past them.
pub fn seal_all(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<512>()) {
        if header.iter().all(|byte| *byte == 0) {
            return;
        }
        seal(header);
        let size = header[124..136].iter().filter(|byte| (b'0'..=b'7').contains(*byte));
        let size = size.fold(0usize, |size, digit| size.saturating_mul(8).saturating_add(usize::from(digit - b'0')));
        at = at.saturating_add(512).saturating_add(size.checked_next_multiple_of(512).unwrap_or(usize::MAX));
    }
}
