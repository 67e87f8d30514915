//! Decompression of `control.tar*` and `data.tar*`, with a bound on memory and on output.
//!
//! Whoever reads a `.deb` knows its digest and checks it; the checksums inside an xz stream are not looked at.

use std::cell::Cell;
use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{IGNORE_CHECK, Stream};

use super::error::Problem;

/// A decompressor over one ar member.
pub(super) enum Decoder<R: BufRead> {
    Plain(R),
    Gzip(Box<GzDecoder<R>>),
    Xz(XzDecoder<R>),
    Zstd(Box<zstd::Decoder<'static, R>>),
}

impl<R: BufRead> Decoder<R> {
    /// By the member's extension, with its dot. `memory` is in bytes.
    pub(super) fn new(input: R, extension: &str, memory: u64) -> Result<Self, Problem> {
        match extension {
            "" => Ok(Self::Plain(input)),
            ".gz" => Ok(Self::Gzip(Box::new(GzDecoder::new(input)))),
            ".xz" => {
                // The member's own sums cost a twentieth of a build and say less than the SHA-256 of the whole .deb.
                let stream = Stream::new_stream_decoder(memory, IGNORE_CHECK);
                let stream = stream.map_err(|e| Problem::Decompress(e.into()))?;
                Ok(Self::Xz(XzDecoder::new_stream(input, stream)))
            }
            ".zst" => {
                let mut decoder = zstd::Decoder::with_buffer(input).map_err(Problem::Decompress)?;
                decoder.window_log_max(memory.max(1 << 10).ilog2().min(31)).map_err(Problem::Decompress)?;
                Ok(Self::Zstd(Box::new(decoder)))
            }
            other => Err(Problem::Compression(other.to_owned())),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.read(buffer),
            Self::Gzip(inner) => inner.read(buffer),
            Self::Xz(inner) => inner.read(buffer),
            Self::Zstd(inner) => inner.read(buffer),
        }
    }
}

/// What a [`Metered`] reader has seen. Shared, since `tar` owns the reader while entries are visited.
#[derive(Default)]
pub(super) struct Meter {
    bytes: Cell<u64>,
    failure: Cell<Option<Failure>>,
    ended: Cell<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// More output than allowed.
    Limit,
    /// The input ended, or so the decompressor says.
    Truncated,
    /// Anything else that the decompressor says.
    Damaged,
}

impl Meter {
    /// Why reading failed, if it did.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.get()
    }

    /// Notes a failure that a reader further out has found.
    pub(super) fn fail(&self, failure: Failure) {
        self.failure.set(Some(failure));
    }

    /// Whether the reader has said that there is no more.
    pub(super) fn ended(&self) -> bool {
        self.ended.get()
    }

    /// Bytes read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }
}

/// A reader that stops with an error after `limit` bytes.
pub(super) struct Metered<'m, R> {
    pub(super) inner: R,
    pub(super) meter: &'m Meter,
    pub(super) limit: u64,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.inner.read(buffer) {
            Ok(read) => read,
            Err(error) => {
                let failure =
                    if error.kind() == io::ErrorKind::UnexpectedEof { Failure::Truncated } else { Failure::Damaged };
                self.meter.failure.set(Some(failure));
                return Err(error);
            }
        };
        self.meter.bytes.set(self.meter.bytes.get() + read as u64);
        if read == 0 && !buffer.is_empty() {
            self.meter.ended.set(true);
        }
        if self.meter.bytes.get() > self.limit {
            self.meter.failure.set(Some(Failure::Limit));
            return Err(io::Error::other("the limit on unpacked bytes is reached"));
        }
        Ok(read)
    }
}
