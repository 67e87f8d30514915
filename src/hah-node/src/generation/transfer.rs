//! How a closure and its missing chunks reach `hah-agent receive`: frames over its standard input and output.
//!
//! ```text
//! sender                                    node
//!  hello ───────────────────────────────────►
//!  closure, signature (may be empty) ───────►   checked; what the card has already is copied from there
//!        ◄─────────────────── missing: indices into Closure::distinct, 4 bytes each, little-endian
//!  chunk, chunk, … in that order ───────────►   each verified before it is written
//!        ◄─────────────────── staged: [`super::state::Staged`], as JSON
//! ```
//!
//! A frame is its kind (1 byte), its length (4 bytes, little-endian), and so many bytes. Instead of what is awaited the
//! node may say `refused` with a reason in words, and is gone then. Between frames of its own it may say `progress`: how
//! many bytes are done of how many, as two numbers of 8 bytes. Either end may vanish at any time: what has arrived stays,
//! and the next transfer of the same closure asks for the rest.

use std::io::{self, Read, Write};

use super::closure::{CHUNK_MAX, TEXT_MAX};

/// The first frame's content: protocol and version.
pub const HELLO: &[u8] = b"hah-generation 1";

/// Kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`HELLO`].
    Hello = 1,
    /// The closure's text.
    Closure = 2,
    /// A minisign signature of it.
    Signature = 3,
    /// Which chunks the node has not.
    Missing = 4,
    /// The bytes of one chunk.
    Chunk = 5,
    /// Bytes done, bytes of all.
    Progress = 6,
    /// The generation is on the card.
    Staged = 7,
    /// The node does not want it: why, in words.
    Refused = 8,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        let all = [
            Self::Hello,
            Self::Closure,
            Self::Signature,
            Self::Missing,
            Self::Chunk,
            Self::Progress,
            Self::Staged,
            Self::Refused,
        ];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The most bytes that a frame of this kind has.
    fn length_max(self) -> usize {
        match self {
            Self::Hello => 64,
            Self::Closure => TEXT_MAX,
            Self::Signature => 4096,
            Self::Missing => 4 * super::closure::CHUNKS_MAX,
            Self::Chunk => CHUNK_MAX as usize,
            Self::Progress => 16,
            Self::Staged | Self::Refused => 64 << 10,
        }
    }
}

/// Writes a frame.
///
/// # Errors
/// Those of the stream; a content that is longer than its kind allows is [`io::ErrorKind::InvalidInput`].
pub fn send(stream: &mut impl Write, kind: Kind, content: &[u8]) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a frame is too long");
    if content.len() > kind.length_max() {
        return Err(too_long());
    }
    let length = u32::try_from(content.len()).map_err(|_| too_long())?;
    stream.write_all(&[kind as u8])?;
    stream.write_all(&length.to_le_bytes())?;
    stream.write_all(content)
}

/// Reads a frame. Its content replaces that of `content`.
///
/// # Errors
/// Those of the stream; [`io::ErrorKind::UnexpectedEof`] where it ends; [`io::ErrorKind::InvalidData`] for what is no
/// frame, before any memory is taken for it.
pub fn receive(stream: &mut impl Read, content: &mut Vec<u8>) -> io::Result<Kind> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let no_frame = || io::Error::new(io::ErrorKind::InvalidData, "the other end does not speak this protocol");
    let kind = Kind::of(kind).ok_or_else(no_frame)?;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| no_frame())?;
    if length > kind.length_max() {
        return Err(no_frame());
    }
    content.clear();
    let read = stream.take(length as u64).read_to_end(content)?;
    if read < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(kind) }
}

/// The content of a [`Kind::Missing`] frame.
pub fn encode_missing(indices: &[u32]) -> Vec<u8> {
    indices.iter().flat_map(|index| index.to_le_bytes()).collect()
}

/// Reads the content of a [`Kind::Missing`] frame; `None` unless the indices rise and stay below `chunks`.
pub fn decode_missing(content: &[u8], chunks: usize) -> Option<Vec<u32>> {
    if !content.len().is_multiple_of(4) {
        return None;
    }
    let indices: Vec<u32> =
        content.chunks_exact(4).filter_map(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?))).collect();
    let rise = indices.is_sorted_by(|one, other| one < other);
    let fit = indices.last().is_none_or(|last| usize::try_from(*last).is_ok_and(|last| last < chunks));
    (rise && fit).then_some(indices)
}

/// The content of a [`Kind::Progress`] frame: bytes done, bytes of all.
pub fn encode_progress(done: u64, all: u64) -> [u8; 16] {
    let mut content = [0; 16];
    let (first, second) = content.split_at_mut(8);
    first.copy_from_slice(&done.to_le_bytes());
    second.copy_from_slice(&all.to_le_bytes());
    content
}

/// Reads the content of a [`Kind::Progress`] frame.
pub fn decode_progress(content: &[u8]) -> Option<(u64, u64)> {
    let number = |bytes: Option<&[u8]>| Some(u64::from_le_bytes(bytes?.try_into().ok()?));
    (content.len() == 16).then_some(())?;
    Some((number(content.get(..8))?, number(content.get(8..))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_as_they_went() {
        let mut stream = Vec::new();
        send(&mut stream, Kind::Hello, HELLO).unwrap();
        send(&mut stream, Kind::Signature, b"").unwrap();
        send(&mut stream, Kind::Chunk, &[7; 1000]).unwrap();
        let (mut read, mut content) = (&stream[..], vec![1; 9]);
        assert_eq!(receive(&mut read, &mut content).unwrap(), Kind::Hello);
        assert_eq!(content, HELLO);
        assert_eq!(receive(&mut read, &mut content).unwrap(), Kind::Signature);
        assert!(content.is_empty());
        assert_eq!((receive(&mut read, &mut content).unwrap(), content.len()), (Kind::Chunk, 1000));
        for cut in 0..stream.len() {
            let mut read = &stream[..cut];
            let end = std::iter::from_fn(|| Some(receive(&mut read, &mut content))).find_map(Result::err).unwrap();
            assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof, "{cut}");
        }
    }

    /// What an ssh server or a shell says when the agent is not there must not be taken for a frame of 1.8 GB.
    #[test]
    fn strangers_are_no_frames() {
        for text in ["bash: hah-agent: not found\n", "\u{5}\u{ff}\u{ff}\u{ff}\u{ff}", "\0\0\0\0\0"] {
            let error = receive(&mut text.as_bytes(), &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text:?}");
        }
        assert!(send(&mut Vec::new(), Kind::Hello, &[0; 65]).is_err());
    }

    #[test]
    fn missing_chunks_rise() {
        let indices = [0, 3, 70_000];
        assert_eq!(decode_missing(&encode_missing(&indices), 70_001).unwrap(), indices);
        assert_eq!(decode_missing(&encode_missing(&indices), 70_000), None);
        assert_eq!(decode_missing(&encode_missing(&[1, 1]), 9), None);
        assert_eq!(decode_missing(&[0; 5], 9), None);
        assert_eq!(decode_missing(&[], 0), Some(Vec::new()));
        assert_eq!(decode_progress(&encode_progress(3, 1 << 40)), Some((3, 1 << 40)));
        assert_eq!(decode_progress(&[0; 15]), None);
    }
}
