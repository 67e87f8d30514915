//! The one disk image in a zip archive, as operating systems for the Pi are handed out.
//!
//! Which member it is, its content says: names lie, and archives have notes and checksums beside the image.

use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use hah_format::archive::{Limits, ZipFile, zip_files};
use hah_format::disk::{HEAD_BYTES, read_head};

use super::super::error::FlashError;

/// Members of an archive: one of an image has few.
const LIMITS: Limits = Limits { bytes: i64::MAX as u64, members: 10_000 };
/// Names that a message lists.
const SHOWN: usize = 8;

/// The member that is a disk image; an error when there is none, or more than one.
pub(super) fn image_in(path: &Path, file: &std::fs::File) -> Result<ZipFile, FlashError> {
    let path = path.to_owned();
    let members = match zip_files(file, &LIMITS) {
        Ok(members) => members,
        Err(source) => return Err(FlashError::Zip { path, source }),
    };
    let mut images = Vec::new();
    for member in &members {
        let mut head = Vec::new();
        let read = Member::open(file.try_clone()?, member)?.take(HEAD_BYTES as u64).read_to_end(&mut head);
        if let Err(source) = read {
            return Err(FlashError::ZipMember { path, member: member.name.clone(), source });
        }
        if read_head(&head, Some(member.size)).is_ok() {
            images.push(member);
        }
    }
    match images.as_slice() {
        [image] => Ok((*image).clone()),
        [] => Err(FlashError::NoImageInZip { path, members: names(&members.iter().collect::<Vec<_>>()) }),
        several => Err(FlashError::ImagesInZip { path, members: names(several) }),
    }
}

fn names(members: &[&ZipFile]) -> String {
    let mut names: Vec<&str> = members.iter().take(SHOWN).map(|member| member.name.as_str()).collect();
    if members.len() > SHOWN {
        names.push("…");
    }
    names.join(", ")
}

/// A member's bytes, which are as many and have the checksum that the archive claims, or reading fails at their end.
pub(super) struct Member {
    content: Box<dyn Read + Send>,
    crc: Crc,
    left: u64,
    wanted: u32,
}

impl Member {
    pub(super) fn open(mut file: std::fs::File, member: &ZipFile) -> io::Result<Self> {
        file.seek(SeekFrom::Start(member.packed.start))?;
        let packed = BufReader::new(file.take(member.packed.end.saturating_sub(member.packed.start)));
        let content: Box<dyn Read + Send> =
            if member.is_deflated { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) };
        Ok(Self { content, crc: Crc::new(), left: member.size, wanted: member.crc32 })
    }
}

impl Read for Member {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("the archive is damaged: {what}"));
        // One byte more than there should be, where there is room for it.
        let wanted = buffer.len().min(usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX));
        let read = self.content.read(&mut buffer[..wanted])?;
        let Some(left) = self.left.checked_sub(read as u64) else { return Err(wrong("a file has too many bytes")) };
        if read == 0 && wanted > 0 && left > 0 {
            return Err(wrong("a file has too few bytes"));
        }
        self.crc.update(&buffer[..read]);
        self.left = left;
        if left == 0 && self.crc.sum() != self.wanted {
            return Err(wrong("the checksum of a file is wrong"));
        }
        Ok(read)
    }
}
