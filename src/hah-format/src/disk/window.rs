//! [`Window`]: one byte range of a storage, seen as a storage of its own.
//!
//! A file system writer works from offset 0; the window puts it into its partition and keeps it there.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// A view of `length` bytes of a storage, from `start` on. Nothing outside of it can be reached.
///
/// Reading and writing stop at the end of the window as at the end of a full device.
#[derive(Debug)]
pub struct Window<S> {
    inner: S,
    start: u64,
    length: u64,
    position: u64,
}

impl<S> Window<S> {
    /// The `length` bytes of `inner` from byte `start` on.
    ///
    /// Fails with `InvalidInput` when the end is no file offset (over `i64::MAX`).
    pub fn new(inner: S, start: u64, length: u64) -> io::Result<Self> {
        match start.checked_add(length) {
            Some(end) if i64::try_from(end).is_ok() => Ok(Self { inner, start, length, position: 0 }),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a window of {length} bytes at {start} ends beyond any file"),
            )),
        }
    }

    /// Length of the window in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The storage behind the window.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// How many of `wanted` bytes lie before the end.
    fn clamp(&self, wanted: usize) -> usize {
        usize::try_from(self.length - self.position).map_or(wanted, |left| left.min(wanted))
    }
}

impl<S: Seek> Window<S> {
    /// Others may have moved the storage's own position, so every access seeks first.
    fn place(&mut self) -> io::Result<()> {
        self.inner.seek(SeekFrom::Start(self.start + self.position)).map(drop)
    }
}

impl<S: Read + Seek> Read for Window<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = self.clamp(buffer.len());
        self.place()?;
        let read = self.inner.read(&mut buffer[..wanted])?;
        self.position += read as u64;
        Ok(read)
    }
}

impl<S: Write + Seek> Write for Window<S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let wanted = self.clamp(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        self.place()?;
        let written = self.inner.write(&buffer[..wanted])?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<S> Seek for Window<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.length.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        match target {
            Some(position) if position <= self.length => {
                self.position = position;
                Ok(position)
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("seek outside of a window of {} bytes", self.length),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn writes_stay_inside() {
        let mut storage = Cursor::new(vec![0u8; 16]);
        let mut window = Window::new(&mut storage, 4, 8).unwrap();
        window.seek(SeekFrom::Start(6)).unwrap();
        assert_eq!(window.write_all(b"abc").unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert!(window.seek(SeekFrom::Start(9)).is_err());
        assert!(window.seek(SeekFrom::End(-9)).is_err());
        assert_eq!(window.seek(SeekFrom::End(0)).unwrap(), 8);
        assert_eq!(&storage.into_inner()[8..], b"\0\0ab\0\0\0\0");
    }

    #[test]
    fn reads_end_with_the_window() {
        let mut storage = Cursor::new((0..16u8).collect::<Vec<_>>());
        let mut window = Window::new(&mut storage, 4, 8).unwrap();
        window.seek(SeekFrom::Current(2)).unwrap();
        let mut read = Vec::new();
        window.read_to_end(&mut read).unwrap();
        assert_eq!(read, [6, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn endless_windows_are_refused() {
        assert!(Window::new(Cursor::new([0u8; 0]), u64::MAX, 2).is_err());
        assert!(Window::new(Cursor::new([0u8; 0]), i64::MAX as u64, 1).is_err());
    }
}
