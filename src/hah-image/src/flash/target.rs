//! The doorway to the card: one device or file, opened for us alone, written directly and read back past every cache.

#![cfg_attr(
    not(test),
    expect(clippy::disallowed_methods, reason = "the doorway to cards, which are opened directly and for us alone")
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::files::draft;

/// What direct writes are aligned to, in bytes: no card has larger sectors.
pub const ALIGN: usize = 4096;

/// Where bytes go.
pub trait Target {
    /// Writes all of `bytes`.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills `bytes` with what the medium holds.
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// Returns when everything is on the medium.
    fn sync(&mut self) -> io::Result<()>;
    /// Its size in bytes; a file that grows has none.
    fn capacity(&self) -> Option<u64>;
    /// Whether it held zeros and nothing else when it was opened: a file that was made then.
    fn is_blank(&self) -> bool;
}

/// A buffer whose start is aligned for direct access.
pub struct Aligned {
    storage: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// A buffer of `length` bytes.
    pub fn new(length: usize) -> Self {
        let storage = vec![0; length + ALIGN];
        // Only a hint by its contract, so the worst case is a write that is not direct.
        let start = storage.as_ptr().align_offset(ALIGN).min(ALIGN);
        Self { storage, start, length }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.length]
    }

    /// The bytes, to be filled.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.length]
    }
}

/// A device or file that is open for writing.
pub struct OpenTarget {
    path: PathBuf,
    /// Past the page cache, where the file system and the platform can do that.
    direct: Option<File>,
    file: File,
    capacity: Option<u64>,
    is_blank: bool,
}

/// Why a target cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Somebody else has it: a mount, a RAID, another flash.
    Busy,
    /// The system says no.
    Io(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ResourceBusy => Self::Busy,
            _ => Self::Io(error),
        }
    }
}

/// The command that lets the person write this one device, until it is unplugged.
pub fn grant(device: &Path) -> String {
    format!("sudo setfacl -m u:$USER:rw {}", device.display())
}

impl OpenTarget {
    /// Opens a block device for this process alone: the kernel refuses one that is mounted or used by another.
    pub fn device(path: &Path) -> Result<Self, OpenError> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(exclusive()).open(path)?;
        let capacity = io::Seek::seek(&mut &file, io::SeekFrom::End(0))?;
        let direct = direct(path);
        Ok(Self { path: path.to_owned(), direct, file, capacity: Some(capacity), is_blank: false })
    }

    /// Opens a file as if it were a card of its size.
    pub fn file(path: &Path) -> Result<Self, OpenError> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(OpenError::Io(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file any more")));
        }
        let capacity = found.len();
        Self::locked(path, file, Some(capacity))
    }

    /// Makes a file: of `bytes` bytes, or as large as the image turns out to be. One that is there is an error.
    ///
    /// It is its owner's alone: a node that boots from it leaves its keys there.
    pub fn new_file(path: &Path, bytes: Option<u64>) -> Result<Self, OpenError> {
        let file = draft::create_private(path)?;
        if let Some(bytes) = bytes {
            file.set_len(bytes)?;
        }
        Ok(Self { is_blank: true, ..Self::locked(path, file, bytes)? })
    }

    fn locked(path: &Path, file: File, capacity: Option<u64>) -> Result<Self, OpenError> {
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(OpenError::Busy),
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(Self { path: path.to_owned(), direct: direct(path), file, capacity, is_blank: false })
    }

    /// Takes a file away from everybody but its owner, before a node's secrets come onto it; who reads a device, the system
    /// decides.
    pub fn make_private(&self) -> io::Result<()> {
        if self.is_device() { Ok(()) } else { draft::make_private(&self.file) }
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a block device.
    pub fn is_device(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device())
    }

    /// The direct handle, for an access that it can do.
    fn direct_for(&self, offset: u64, bytes: &[u8]) -> Option<&File> {
        let fits = offset.is_multiple_of(ALIGN as u64)
            && bytes.len().is_multiple_of(ALIGN)
            && bytes.as_ptr().align_offset(ALIGN) == 0;
        self.direct.as_ref().filter(|_| fits)
    }
}

impl Target for OpenTarget {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if let Some(direct) = self.direct_for(offset, bytes) {
            match direct.write_all_at(bytes, offset) {
                // This file system or device cannot after all.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.direct = None,
                done => return done,
            }
        }
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        if let Some(direct) = self.direct_for(offset, bytes) {
            match direct.read_exact_at(bytes, offset) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.direct = None,
                done => return done,
            }
        }
        forget(&self.file, offset, bytes.len() as u64);
        self.file.read_exact_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn capacity(&self) -> Option<u64> {
        self.capacity
    }

    fn is_blank(&self) -> bool {
        self.is_blank
    }
}

#[cfg(target_os = "linux")]
fn exclusive() -> i32 {
    rustix::fs::OFlags::EXCL.bits().cast_signed()
}

#[cfg(not(target_os = "linux"))]
fn exclusive() -> i32 {
    0
}

#[cfg(target_os = "linux")]
fn direct(path: &Path) -> Option<File> {
    let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).ok()
}

/// `/dev/rdiskN` of macOS is direct by itself.
#[cfg(not(target_os = "linux"))]
fn direct(_: &Path) -> Option<File> {
    None
}

/// Lets the page cache forget a range, so that the next read asks the medium.
#[cfg(target_os = "linux")]
fn forget(file: &File, offset: u64, length: u64) {
    // What cannot be forgotten is read from memory: still a check of the path there.
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(length), rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned() {
        for length in [ALIGN, 1 << 20] {
            let mut buffer = Aligned::new(length);
            assert_eq!((buffer.bytes().as_ptr().align_offset(ALIGN), buffer.bytes_mut().len()), (0, length));
        }
    }

    #[test]
    fn a_file_is_written_direct_and_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("card");
        let mut target = OpenTarget::new_file(&path, Some(1 << 20)).unwrap();
        let mut buffer = Aligned::new(8192);
        buffer.bytes_mut().fill(7);
        target.write_at(4096, buffer.bytes()).unwrap();
        target.write_at(20_481, b"odd").unwrap();
        target.sync().unwrap();
        let mut odd = [0; 3];
        target.read_at(20_481, &mut odd).unwrap();
        assert_eq!(&odd, b"odd");
        buffer.bytes_mut().fill(0);
        target.read_at(4096, buffer.bytes_mut()).unwrap();
        assert!(buffer.bytes().iter().all(|byte| *byte == 7));
        assert_eq!(target.capacity(), Some(1 << 20));
        assert!(matches!(OpenTarget::file(&path), Err(OpenError::Busy)), "one flash at a time");
        drop(target);
        assert!(OpenTarget::file(&path).is_ok());
        assert!(OpenTarget::new_file(&path, None).is_err());
    }
}
