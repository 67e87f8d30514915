//! cpio archives in the "new" ASCII format (magic `070701`), as the kernel unpacks an initramfs.
//!
//! Source of the format: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
//!
//! ```text
//! header     magic, then 13 numbers of 8 hex digits: ino mode uid gid nlink mtime filesize
//!            devmajor devminor rdevmajor rdevminor namesize check            (110 bytes)
//! name       relative path and a NUL; header and name are padded to 4 bytes
//! data       content of a file, target of a symbolic link; padded to 4 bytes
//! …
//! TRAILER!!! an entry of that name, all zero but nlink 1
//! ```
//!
//! Inodes are numbered from 1 in the tree's order. The names of one file share a number, and the last of them carries the
//! data, as GNU cpio writes it; the kernel and cpio both link the earlier ones.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::path::TreePath;
use crate::tree::{Kind, Node, Owner, Tree};

/// Why a tree cannot become an archive.
#[derive(Debug, thiserror::Error)]
pub enum CpioError {
    /// An owner that has no number yet.
    #[error("{path}: owner `{owner}` has no numeric id")]
    Owner {
        /// The node.
        path: TreePath,
        /// The name that was not resolved.
        owner: Owner,
    },
    /// A hard link to nothing, or to something that is not a regular file.
    #[error("{path}: hard link to {target}, which is not a regular file of the archive")]
    Link {
        /// The link.
        path: TreePath,
        /// What it names.
        target: TreePath,
    },
    /// A file of 4 GiB or more.
    #[error("{path}: {size} bytes do not fit the format, which ends at 4 GiB")]
    TooLarge {
        /// The file.
        path: TreePath,
        /// Its length in bytes.
        size: u64,
    },
    /// The sink failed.
    #[error("cannot write the archive: {0}")]
    Io(#[from] io::Error),
}

impl CpioError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Owner { .. } => "resolve owners against the image's user database before writing the archive",
            Self::Link { .. } => "keep the link's target in the tree, or make the link a file of its own",
            Self::TooLarge { .. } => "keep large files on the root file system; an initramfs is held in memory anyway",
            Self::Io(_) => "check free space and permissions where the archive is written",
        }
    }
}

/// Writes `tree` to `out` and returns the number of bytes. Every entry carries `mtime` (seconds since 1970); extended
/// attributes have no place in the format and are left out. The root directory itself is the entry `.`.
pub fn write<C: AsRef<[u8]>, W: Write>(tree: &Tree<C>, mtime: u32, out: W) -> Result<u64, CpioError> {
    let mut archive = Archive { out, bytes: 0 };
    let families = families(tree)?;
    let mut numbers: BTreeMap<&TreePath, u32> = BTreeMap::new();
    for (path, node) in tree.iter() {
        let file = match &node.kind {
            Kind::HardLink(target) => target,
            _ => path,
        };
        let family = families.get(file);
        let next = numbers.len() as u32 + 1;
        let ino = *numbers.entry(file).or_insert(next);
        // A hard link is its target's inode: mode, owner and data are taken from there.
        let inode = family.and(tree.get(file)).unwrap_or(node);
        let data: &[u8] = match &inode.kind {
            Kind::File(content) if family.is_none_or(|family| family.last == path) => content.as_ref(),
            Kind::Symlink(target) => target.as_bytes(),
            _ => &[],
        };
        let (rdev_major, rdev_minor) = match inode.kind {
            Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => (major, minor),
            _ => (0, 0),
        };
        let nlink = match node.kind {
            Kind::Dir => 2 + tree.entries(path).filter(|(_, entry)| entry.is_dir()).count() as u32,
            _ => family.map_or(1, |family| family.names),
        };
        let header = Header {
            ino,
            mode: file_type(&inode.kind) | u32::from(inode.meta.mode),
            uid: id(path, &inode.meta.user)?,
            gid: id(path, &inode.meta.group)?,
            nlink,
            mtime,
            size: u32::try_from(data.len())
                .map_err(|_| CpioError::TooLarge { path: path.clone(), size: data.len() as u64 })?,
            rdev_major,
            rdev_minor,
        };
        archive.entry(&header, if path.is_root() { "." } else { path.as_str() }, data)?;
    }
    archive.entry(&Header { nlink: 1, ..Header::default() }, TRAILER, &[])?;
    archive.out.flush()?;
    Ok(archive.bytes)
}

const TRAILER: &str = "TRAILER!!!";

/// All names of one regular file that has more than one.
struct Family<'a> {
    names: u32,
    last: &'a TreePath,
}

/// The regular files that hard links name, by their own path.
fn families<C>(tree: &Tree<C>) -> Result<BTreeMap<&TreePath, Family<'_>>, CpioError> {
    let mut families: BTreeMap<&TreePath, Family<'_>> = BTreeMap::new();
    for (path, node) in tree.iter() {
        let Kind::HardLink(target) = &node.kind else { continue };
        if !matches!(tree.get(target), Some(Node { kind: Kind::File(_), .. })) {
            return Err(CpioError::Link { path: path.clone(), target: target.clone() });
        }
        let family = families.entry(target).or_insert(Family { names: 1, last: target });
        family.names += 1;
        family.last = family.last.max(path);
    }
    Ok(families)
}

/// The `S_IFMT` bits.
fn file_type<C>(kind: &Kind<C>) -> u32 {
    match kind {
        Kind::Dir => 0o040000,
        Kind::File(_) | Kind::HardLink(_) => 0o100000,
        Kind::Symlink(_) => 0o120000,
        Kind::CharDevice(..) => 0o020000,
        Kind::BlockDevice(..) => 0o060000,
        Kind::Fifo => 0o010000,
    }
}

fn id(path: &TreePath, owner: &Owner) -> Result<u32, CpioError> {
    match owner {
        Owner::Id(id) => Ok(*id),
        Owner::Name(_) => Err(CpioError::Owner { path: path.clone(), owner: owner.clone() }),
    }
}

/// The numbers of a header that are not always zero here.
#[derive(Default)]
struct Header {
    ino: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    nlink: u32,
    mtime: u32,
    size: u32,
    rdev_major: u32,
    rdev_minor: u32,
}

struct Archive<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Archive<W> {
    fn entry(&mut self, header: &Header, name: &str, data: &[u8]) -> io::Result<()> {
        let Header { ino, mode, uid, gid, nlink, mtime, size, rdev_major, rdev_minor } = header;
        let name_size = name.len() + 1;
        let text = format!(
            "070701{ino:08X}{mode:08X}{uid:08X}{gid:08X}{nlink:08X}{mtime:08X}{size:08X}\
             0000000000000000{rdev_major:08X}{rdev_minor:08X}{name_size:08X}00000000{name}\0"
        );
        self.padded(text.as_bytes())?;
        self.padded(data)
    }

    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        let padding = bytes.len().wrapping_neg() % 4;
        self.out.write_all(bytes)?;
        self.out.write_all(&[0; 3][..padding])?;
        self.bytes += (bytes.len() + padding) as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn sample() -> Tree<&'static [u8]> {
        let mut tree = Tree::new();
        tree.insert(path("b/file"), Node::file(0o640, &b"content"[..])).unwrap();
        let link = Kind::HardLink(path("b/file"));
        tree.insert(path("a"), Node { meta: crate::tree::Meta::root(0o644), kind: link }).unwrap();
        tree.insert(path("dev/console"), Node { meta: crate::tree::Meta::root(0o600), kind: Kind::CharDevice(5, 1) })
            .unwrap();
        tree.insert(path("init"), Node::symlink("b/file")).unwrap();
        tree
    }

    fn bytes(tree: &Tree<&'static [u8]>, mtime: u32) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(write(tree, mtime, &mut out).unwrap(), out.len() as u64);
        out
    }

    /// Fields of the entry `name`, in the order of the format.
    fn fields(archive: &[u8], name: &str) -> Vec<u32> {
        let text = String::from_utf8_lossy(archive);
        let start = text.find(&format!("{name}\0")).unwrap() - 110;
        (0..13).map(|index| u32::from_str_radix(&text[start + 6 + index * 8..][..8], 16).unwrap()).collect()
    }

    #[test]
    fn bytes_are_pinned() {
        let archive = bytes(&sample(), 1_700_000_000);
        assert_eq!(archive.len() % 4, 0);
        assert_eq!(
            Sha256::of(&archive).to_string(),
            "6ba35c4d23c866129c2e49ac014895660d2c874490b68946b7ba0a56a1c6f1a1"
        );
        assert_eq!(archive, bytes(&sample(), 1_700_000_000));
    }

    #[test]
    fn names_of_a_file_share_an_inode() {
        let archive = bytes(&sample(), 7);
        let (link, file) = (fields(&archive, "a"), fields(&archive, "b/file"));
        assert_eq!(link[0], file[0]);
        assert_eq!((link[1], file[1]), (0o100640, 0o100640));
        assert_eq!((link[4], file[4]), (2, 2));
        assert_eq!((link[6], file[6]), (0, 7), "the last name carries the data");
        let console = fields(&archive, "dev/console");
        assert_eq!((console[1], console[9], console[10]), (0o020600, 5, 1));
        assert_eq!(fields(&archive, ".")[4], 4, "the root has two directories");
        assert_eq!(fields(&archive, "init")[1], 0o120777);
    }

    #[test]
    fn every_field_counts() {
        let change = |edit: fn(&mut Node<&'static [u8]>), at: &str| {
            let mut tree = sample();
            edit(tree.get_mut(&path(at)).unwrap());
            Sha256::of(&bytes(&tree, 7))
        };
        let digests = std::collections::BTreeSet::from([
            change(|_| {}, ""),
            change(|node| node.meta.mode = 0o600, "b/file"),
            change(|node| node.meta.user = Owner::Id(1), "b/file"),
            change(|node| node.meta.group = Owner::Id(1), "b/file"),
            change(|node| node.kind = Kind::File(b"Content"), "b/file"),
            change(|node| node.kind = Kind::CharDevice(5, 2), "dev/console"),
            change(|node| node.kind = Kind::BlockDevice(5, 1), "dev/console"),
            change(|node| node.kind = Kind::Symlink("b".into()), "init"),
            change(|node| node.meta.mode = 0o700, "b"),
            Sha256::of(&bytes(&sample(), 8)),
        ]);
        assert_eq!(digests.len(), 10);
        // Own times and extended attributes have no place.
        assert!(digests.contains(&change(|node| node.meta.mtime = 9, "b/file")));
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let mut tree = sample();
        tree.get_mut(&path("b")).unwrap().meta.user = Owner::Name("consul".into());
        let error = write(&tree, 0, Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "/b: owner `consul` has no numeric id");
        let mut tree = sample();
        tree.remove(&path("b/file"));
        let error = write(&tree, 0, Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "/a: hard link to /b/file, which is not a regular file of the archive");
    }
}
