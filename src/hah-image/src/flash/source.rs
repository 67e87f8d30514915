//! The image to be flashed: a plain file, a stream of zstd, xz, gzip or bzip2, or the one image in a zip archive; and the
//! block map beside it. What is in it, [`super::content`] looks at.
//!
//! What a block map says is believed only as far as its digests agree with what is read.

use std::ffi::OsStr;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use hah_format::archive::ZipFile;
use hah_format::bmap::{self, BLOCK, BMAP_MAX, Bmap};
use hah_format::digest::{Hashing, Sha256};

use super::error::FlashError;
use crate::files;

mod zip;

/// An image file.
#[derive(Clone, Debug)]
pub struct Image {
    path: PathBuf,
    kind: Kind,
    /// Size in bytes; a stream without a block map tells it only at its end.
    size: Option<u64>,
    ranges: Option<Vec<Range>>,
}

/// A run of bytes to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// First byte behind it.
    pub end: u64,
    /// Digest of its bytes, when the block map has one.
    pub sha256: Option<Sha256>,
}

/// How the file is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Zstd,
    Xz,
    Gzip,
    Bzip2,
    Zip(ZipFile),
}

/// Extensions of packed images.
pub const PACKINGS: [&str; 5] = ["zst", "xz", "gz", "bz2", "zip"];
/// Bytes that tell how a file is packed.
const KIND_BYTES: u64 = 10;

impl Kind {
    /// By the first bytes, not by the name: names lie.
    fn of(head: &[u8], path: &Path, file: &std::fs::File) -> Result<Self, FlashError> {
        /// A block, or the end of a stream without any.
        const BZIP2: [&[u8]; 2] = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];
        let is_bzip2 = |head: &[u8]| {
            let block = head.strip_prefix(b"BZh").and_then(|rest| rest.strip_prefix(&[*rest.first()?]));
            block.is_some_and(|block| BZIP2.iter().any(|magic| block.starts_with(magic)))
        };
        Ok(if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Zstd
        } else if head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
            Self::Xz
        } else if head.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if is_bzip2(head) {
            Self::Bzip2
        } else if head.starts_with(b"PK\x03\x04") {
            Self::Zip(zip::image_in(path, file)?)
        } else {
            Self::Plain
        })
    }
}

/// Where the block map is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Map {
    /// Beside the image: `IMAGE.bmap`, for `IMAGE.img` and `IMAGE.img.zst` alike.
    Beside,
    /// This file.
    File(PathBuf),
    /// Nowhere: every byte is written.
    None,
}

impl Image {
    /// Opens an image.
    pub fn open(path: &Path, map: &Map) -> Result<Self, FlashError> {
        // Before it is opened: a FIFO waits for whoever fills it.
        if !files::metadata(path)?.is_file() {
            return Err(FlashError::NotAFile(path.to_owned()));
        }
        let mut file = files::open(path)?;
        let mut head = Vec::new();
        (&mut file).take(KIND_BYTES).read_to_end(&mut head)?;
        let kind = Kind::of(&head, path, &file)?;
        let map = match map {
            Map::Beside => beside(path).into_iter().find(|path| path.is_file()),
            Map::File(path) => Some(path.clone()),
            Map::None => None,
        };
        let map = map.map(|path| read_map(&path)).transpose()?;
        let known = match &kind {
            Kind::Plain => Some(file.metadata()?.len()),
            Kind::Zip(member) => Some(member.size),
            _ => None,
        };
        if let (Some(found), Some(map)) = (known, &map)
            && found != map.image_size
        {
            return Err(FlashError::ForeignMap { path: path.to_owned(), found, wanted: map.image_size });
        }
        let size = known.or(map.as_ref().map(|map| map.image_size));
        if size == Some(0) {
            return Err(FlashError::Empty(path.to_owned()));
        }
        let ranges = map.map(|map| ranges(&map));
        Ok(Self { path: path.to_owned(), kind, size, ranges })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest of the file, as `build` writes it beside the image.
    pub fn sha256(&self) -> io::Result<Sha256> {
        let mut hash = Hashing::new(files::open(&self.path)?);
        io::copy(&mut hash, &mut io::sink())?;
        Ok(hash.finish().0)
    }

    /// Whether it is not the file itself.
    pub fn is_packed(&self) -> bool {
        self.kind != Kind::Plain
    }

    /// Up to `length` of its first bytes, unpacked.
    pub fn head(&self, length: usize) -> io::Result<Vec<u8>> {
        let mut head = vec![0; length];
        let read = self.reader()?.read_at(0, &mut head)?;
        head.truncate(read);
        Ok(head)
    }

    /// The last 512 bytes of a plain file.
    pub fn tail(&self) -> Option<Vec<u8>> {
        use std::os::unix::fs::FileExt as _;
        let start = self.size.filter(|_| !self.is_packed())?.checked_sub(512)?;
        let mut tail = vec![0; 512];
        files::open(&self.path).ok()?.read_exact_at(&mut tail, start).ok()?;
        Some(tail)
    }

    /// Size of the image in bytes, if that is known before the end.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// How many bytes are to be written, if that is known before the end.
    pub fn mapped_bytes(&self) -> Option<u64> {
        match &self.ranges {
            Some(ranges) => Some(ranges.iter().map(|range| range.end - range.start).sum()),
            None => self.size,
        }
    }

    /// What is to be written, in order. Without a block map that is everything, in pieces that can be verified one by one.
    pub fn ranges(&self) -> Box<dyn Iterator<Item = Range> + '_> {
        /// Bytes of a piece.
        const PIECE: u64 = 64 << 20;
        match (&self.ranges, self.size) {
            (Some(ranges), _) => Box::new(ranges.iter().copied()),
            (None, size) => {
                let end = size.unwrap_or(u64::MAX);
                let pieces = (0..end).step_by(PIECE as usize);
                Box::new(pieces.map(move |start| Range {
                    start,
                    end: end.min(start.saturating_add(PIECE)),
                    sha256: None,
                }))
            }
        }
    }

    /// The ranges of the block map with the digests that it has of them, if there is one.
    pub fn digests(&self) -> Option<Vec<(Range, Sha256)>> {
        self.ranges.as_ref()?.iter().map(|range| Some((*range, range.sha256?))).collect()
    }

    /// Starts to read, from the beginning.
    pub fn reader(&self) -> io::Result<Reader> {
        let file = files::open(&self.path)?;
        let input: Box<dyn Input + Send> = match &self.kind {
            Kind::Plain => Box::new(Plain(file)),
            Kind::Zstd => Box::new(Stream(zstd::Decoder::new(file)?)),
            Kind::Xz => Box::new(Stream(liblzma::read::XzDecoder::new_multi_decoder(file))),
            Kind::Gzip => Box::new(Stream(flate2::read::MultiGzDecoder::new(io::BufReader::new(file)))),
            Kind::Bzip2 => Box::new(Stream(bzip2::bufread::MultiBzDecoder::new(io::BufReader::new(file)))),
            Kind::Zip(member) => Box::new(Stream(zip::Member::open(file, member)?)),
        };
        Ok(Reader { input, position: 0 })
    }
}

/// The places of a block map beside an image, the likelier first.
fn beside(path: &Path) -> Vec<PathBuf> {
    let mut places = vec![path.with_extension("bmap")];
    let packed = path.extension().and_then(OsStr::to_str).is_some_and(|name| PACKINGS.contains(&name));
    if packed {
        places.insert(0, path.with_extension("").with_extension("bmap"));
    }
    let mut longer = path.as_os_str().to_owned();
    longer.push(".bmap");
    places.push(PathBuf::from(longer));
    places
}

fn read_map(path: &Path) -> Result<Bmap, FlashError> {
    let mut text = String::new();
    files::open(path)?.take(BMAP_MAX as u64 + 1).read_to_string(&mut text)?;
    bmap::parse(&text).map_err(|source| FlashError::Map { path: path.to_owned(), source })
}

fn ranges(map: &Bmap) -> Vec<Range> {
    let range = |range: &bmap::MappedRange| {
        let bytes = range.bytes(map.image_size);
        Range { start: bytes.start, end: bytes.end, sha256: Some(range.sha256) }
    };
    map.ranges.iter().map(range).collect()
}

const _: () = assert!(BLOCK == 4096, "ranges are aligned for direct writes");

trait Input: Read {
    fn skip_to(&mut self, from: u64, to: u64) -> io::Result<()>;
}

struct Plain(std::fs::File);

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Input for Plain {
    fn skip_to(&mut self, _: u64, to: u64) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(to)).map(drop)
    }
}

struct Stream<R>(R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Input for Stream<R> {
    fn skip_to(&mut self, from: u64, to: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.0).take(to - from), &mut io::sink())?;
        if skipped == to - from { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// An image being read from its beginning to its end.
pub struct Reader {
    input: Box<dyn Input + Send>,
    position: u64,
}

impl Reader {
    /// Fills `buffer` from byte `offset` on, which must not lie behind. Returns fewer bytes only at the image's end.
    pub fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset != self.position {
            self.input.skip_to(self.position, offset)?;
            self.position = offset;
        }
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::advice::{Advised as _, Exit};
    use std::io::Write as _;

    #[test]
    fn maps_beside() {
        let names = |path: &str| -> Vec<String> {
            beside(Path::new(path)).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(names("o/lab.img"), ["o/lab.bmap", "o/lab.img.bmap"]);
        assert_eq!(names("o/lab.img.zst")[0], "o/lab.bmap");
    }

    #[test]
    fn every_packing_reads_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 253) as u8).collect();
        let gzip = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        };
        let xz = {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        };
        let bzip2 = {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        };
        for (name, packed) in [
            ("a", bytes.clone()),
            ("b", zstd::encode_all(&bytes[..], 1).unwrap()),
            ("c", xz),
            ("d", gzip),
            ("e", bzip2),
        ] {
            assert!(name == "a" || packed.len() < 60_000, "{name} is packed");
            let path = directory.path().join(name);
            fs::write(&path, packed).unwrap();
            let image = Image::open(&path, &Map::Beside).unwrap();
            let mut reader = image.reader().unwrap();
            let mut buffer = vec![0; 60_000];
            assert_eq!(reader.read_at(5_000, &mut buffer).unwrap(), 60_000);
            assert_eq!(buffer, bytes[5_000..65_000]);
            assert_eq!(reader.read_at(70_000, &mut buffer).unwrap(), 30_000);
            assert_eq!(buffer[..30_000], bytes[70_000..]);
        }
    }

    #[test]
    fn a_foreign_map_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.img");
        fs::write(&path, vec![1; 8192]).unwrap();
        fs::write(directory.path().join("x.bmap"), bmap::write(4096, &[])).unwrap();
        let failure = Image::open(&path, &Map::Beside).unwrap_err();
        assert_eq!(failure.exit(), Exit::HashMismatch);
        assert_eq!(Image::open(&path, &Map::None).unwrap().mapped_bytes(), Some(8192));
        fs::write(&path, []).unwrap();
        assert!(Image::open(&path, &Map::None).is_err());
        assert_eq!(Image::open(directory.path(), &Map::None).unwrap_err().exit(), Exit::Usage);
    }
}
