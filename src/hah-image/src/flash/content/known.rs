//! What people take for disk images, by its first bytes: names for messages, and the way out.

use std::path::Path;

/// Something that is no disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// `a QEMU disk (qcow2)`.
    pub(super) noun: &'static str,
    pub(super) way: Way,
}

/// What a person does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is a disk for virtual machines.
    Convert,
    /// There is something in it.
    Unpack,
    /// A part of a disk.
    Whole,
    /// Android's tools have their own.
    Sparse,
    /// A server's answer, or a text about an image.
    Load,
    /// It is something else.
    Another,
}

impl Way {
    pub(super) fn hint(self, path: &Path) -> String {
        match self {
            Self::Convert => format!("convert it: qemu-img convert -O raw {} NEW.img", path.display()),
            Self::Unpack => "unpack it, and flash the image that is in it".into(),
            Self::Whole => "flash writes whole disks: take the image that has a partition table".into(),
            Self::Sparse => format!("convert it: simg2img {} NEW.img", path.display()),
            Self::Load => "look into it: it may say what went wrong; then load the image again".into(),
            Self::Another => "name an image: plain, or packed by zstd, xz, gzip, bzip2 or zip".into(),
        }
    }
}

/// Offset, bytes, what it is, and the way out. The first that fits counts.
type Row = (usize, &'static [u8], &'static str, Way);

const HEADS: &[Row] = &[
    (0, b"QFI\xfb", "a QEMU disk (qcow2)", Way::Convert),
    (0, b"QED\0", "a QEMU disk (qed)", Way::Convert),
    (0, b"vhdxfile", "a Hyper-V disk (vhdx)", Way::Convert),
    (0, b"conectix", "a Hyper-V disk (vhd)", Way::Convert),
    (0, b"KDMV", "a VMware disk (vmdk)", Way::Convert),
    (0, b"COWD", "a VMware disk (vmdk)", Way::Convert),
    (0, b"# Disk DescriptorFile", "the description of a VMware disk (vmdk)", Way::Convert),
    (0x40, b"\x7f\x10\xda\xbe", "a VirtualBox disk (vdi)", Way::Convert),
    (0, b"WithoutFreeSpace", "a Parallels disk", Way::Convert),
    (0, b"WithouFreSpacExt", "a Parallels disk", Way::Convert),
    (0, b"\x3a\xff\x26\xed", "an Android sparse image", Way::Sparse),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", Way::Unpack),
    (0, b"Rar!\x1a\x07", "a RAR archive", Way::Unpack),
    (257, b"ustar", "a tar archive", Way::Unpack),
    (0, b"PK\x03\x04", "a zip archive", Way::Unpack),
    (0, b"PK\x05\x06", "an empty zip archive", Way::Unpack),
    (0, b"!<arch>\n", "an ar archive, such as a Debian package", Way::Unpack),
    (0, b"070701", "a cpio archive", Way::Unpack),
    (0, b"070702", "a cpio archive", Way::Unpack),
    (0, b"070707", "a cpio archive", Way::Unpack),
    (0, b"MSCF", "a cabinet archive", Way::Unpack),
    (0, b"xar!", "a xar archive", Way::Unpack),
    (0, b"\x28\xb5\x2f\xfd", "packed once more, by zstd", Way::Unpack),
    (0, b"\xfd7zXZ\0", "packed once more, by xz", Way::Unpack),
    (0, b"\x1f\x8b", "packed once more, by gzip", Way::Unpack),
    (0, b"BZh", "packed once more, by bzip2", Way::Unpack),
    (0, b"\x04\x22\x4d\x18", "packed by lz4", Way::Unpack),
    (0, b"LZIP", "packed by lzip", Way::Unpack),
    (0, b"\x5d\0\0", "packed by lzma", Way::Unpack),
    (0, b"\x1f\x9d", "packed by compress", Way::Unpack),
    (0, b"\x89LZO\0", "packed by lzop", Way::Unpack),
    (0x8001, b"CD001", "an ISO 9660 image for optical disks", Way::Whole),
    (0, b"hsqs", "a squashfs file system without a partition table", Way::Whole),
    (0x438, b"\x53\xef", "an ext2, ext3 or ext4 file system without a partition table", Way::Whole),
    (0x10040, b"_BHRfS_M", "a btrfs file system without a partition table", Way::Whole),
    (0, b"XFSB", "an XFS file system without a partition table", Way::Whole),
    (0x400, b"\x10\x20\xf5\xf2", "an F2FS file system without a partition table", Way::Whole),
    (3, b"NTFS    ", "an NTFS file system without a partition table", Way::Whole),
    (3, b"EXFAT   ", "an exFAT file system without a partition table", Way::Whole),
    (82, b"FAT32   ", "a FAT file system without a partition table", Way::Whole),
    (54, b"FAT1", "a FAT file system without a partition table", Way::Whole),
    (0, b"LUKS\xba\xbe", "an encrypted volume (LUKS)", Way::Whole),
    (0x200, b"LABELONE", "an LVM volume", Way::Whole),
    (0, b"\xd0\x0d\xfe\xed", "a device tree", Way::Another),
    (0, b"\x7fELF", "a program (ELF)", Way::Another),
    (0, b"MZ", "a Windows program", Way::Another),
    (0, b"#!", "a script", Way::Another),
    (0, b"%PDF", "a PDF document", Way::Another),
    (0, b"\x89PNG", "a picture", Way::Another),
    (0, b"\xff\xd8\xff", "a picture", Way::Another),
];

const TAILS: &[Row] =
    &[(0, b"conectix", "a Hyper-V disk (vhd)", Way::Convert), (0, b"koly", "an Apple disk image (dmg)", Way::Convert)];

fn find(rows: &[Row], bytes: &[u8]) -> Option<Known> {
    let fits = |row: &&Row| bytes.get(row.0..).is_some_and(|rest| rest.starts_with(row.1));
    rows.iter().find(fits).map(|&(_, _, noun, way)| Known { noun, way })
}

/// By the last 512 bytes of a file.
pub(super) fn by_tail(tail: &[u8]) -> Option<Known> {
    find(TAILS, tail)
}

/// By the first bytes of what has no partition table.
pub(super) fn by_head(head: &[u8]) -> Option<Known> {
    find(HEADS, head).or_else(|| text(head)).or_else(|| {
        let is_blank = !head.is_empty() && head.iter().all(|byte| *byte == 0);
        is_blank.then_some(Known { noun: "nothing but zeros in its first bytes", way: Way::Load })
    })
}

/// A text, and which.
fn text(head: &[u8]) -> Option<Known> {
    /// Bytes that are enough to tell.
    const ENOUGH: usize = 4096;
    let start = &head[..head.len().min(ENOUGH)];
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let is_text = match std::str::from_utf8(start) {
        Ok(text) => !text.is_empty() && !text.contains(|c: char| c.is_control() && !c.is_ascii_whitespace()),
        // Cut in the middle of a character.
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    if !is_text {
        return None;
    }
    let lower = start.trim_ascii_start().to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| lower.starts_with(word.as_bytes()));
    let (noun, way) = match () {
        () if begins(&["<!doctype html", "<html"]) => ("a web page", Way::Load),
        () if begins(&["<?xml", "<bmap"]) => ("an XML text, such as a block map", Way::Another),
        () => ("a text", Way::Another),
    };
    Some(Known { noun, way })
}
