//! The ar container, as strict as deb(5) lets it be.
//!
//! ```text
//! !<arch>\n  then per member:  name[16] mtime[12] uid[6] gid[6] mode[8] size[10] "`\n"  data  pad to even with "\n"
//! ```
//! Numbers are decimal and padded with spaces. GNU and BSD long names do not occur in packages and are refused.

use std::io::{self, BufRead, Read};

use super::error::{DebError, Place, Problem};

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// A stream of members; one is open at a time.
pub(super) struct Archive<R> {
    input: R,
    /// Bytes taken from `input`.
    offset: u64,
    /// The open member, or empty before the first.
    name: String,
    /// Bytes left in it.
    remaining: u64,
    /// Whether a pad byte follows it.
    padded: bool,
}

impl<R: BufRead> Archive<R> {
    /// Reads the magic.
    pub(super) fn open(input: R) -> Result<Self, DebError> {
        let mut archive = Self { input, offset: 0, name: String::new(), remaining: 0, padded: false };
        let mut magic = [0; MAGIC.len()];
        match archive.fill(&mut magic)? {
            0 => Err(archive.error(Problem::Truncated)),
            read if magic[..read] != MAGIC[..read] => {
                archive.offset = 0;
                Err(archive.error(Problem::NotAr))
            }
            read if read < magic.len() => Err(archive.error(Problem::Truncated)),
            _ => Ok(archive),
        }
    }

    /// Goes to the next member and returns its name; `None` at the end. The open member must have been read or skipped.
    pub(super) fn next_member(&mut self) -> Result<Option<String>, DebError> {
        self.skip_member()?;
        if std::mem::take(&mut self.padded) {
            let mut pad = [0; 1];
            match self.fill(&mut pad)? {
                1 if pad[0] == b'\n' => {}
                1 => return Err(self.error(Problem::ArHeader("pad byte before it"))),
                _ => return Err(self.error(Problem::Truncated)),
            }
        }
        let mut header = [0; HEADER];
        match self.fill(&mut header)? {
            0 => return Ok(None),
            HEADER => {}
            _ => return Err(self.error(Problem::Truncated)),
        }
        if header[58..] != *b"`\n" {
            return Err(self.error(Problem::ArHeader("end mark")));
        }
        for (what, field) in [("time", &header[16..28]), ("user", &header[28..34]), ("group", &header[34..40])] {
            self.number(what, field)?;
        }
        self.remaining = self.number("size", &header[48..58])?;
        self.padded = self.remaining % 2 == 1;
        let name = header[..16].trim_ascii_end();
        // dpkg writes `control.tar.xz`, GNU ar would write `control.tar.xz/`.
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._+".contains(byte);
        if name.is_empty() || !name.iter().all(plain) {
            return Err(self.error(Problem::ArHeader("name")));
        }
        self.name = String::from_utf8_lossy(name).into_owned();
        Ok(Some(self.name.clone()))
    }

    /// The rest of the open member.
    pub(super) fn member(&mut self) -> Member<'_, R> {
        Member(self)
    }

    /// Name of the open member.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes left in the open member.
    pub(super) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Drops the rest of the open member.
    pub(super) fn skip_member(&mut self) -> Result<(), DebError> {
        match io::copy(&mut self.member(), &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(source) => Err(self.read_error(source)),
        }
    }

    /// An error in the open member, at the current offset.
    pub(super) fn error(&self, problem: Problem) -> DebError {
        DebError::new(Place { member: self.name.clone(), offset: self.offset, path: None }, problem)
    }

    /// [`Archive::error`] for a failed read.
    pub(super) fn read_error(&self, source: io::Error) -> DebError {
        self.error(match source.kind() {
            io::ErrorKind::UnexpectedEof => Problem::Truncated,
            _ => Problem::Input(source),
        })
    }

    /// Decimal digits, then spaces; an empty field is zero.
    fn number(&self, what: &'static str, field: &[u8]) -> Result<u64, DebError> {
        let digits = field.trim_ascii_end();
        digits
            .iter()
            .try_fold(0u64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
            .ok_or_else(|| self.error(Problem::ArHeader(what)))
    }

    /// Fills `buffer` as far as the input goes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, DebError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.read_error(error)),
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }
}

/// The open member as a reader; input that ends inside it is an `UnexpectedEof`.
pub(super) struct Member<'a, R>(&'a mut Archive<R>);

impl<R: BufRead> BufRead for Member<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let remaining = usize::try_from(self.0.remaining).unwrap_or(usize::MAX);
        if remaining == 0 {
            return Ok(&[]);
        }
        let buffer = self.0.input.fill_buf()?;
        if buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(&buffer[..buffer.len().min(remaining)])
    }

    fn consume(&mut self, amount: usize) {
        self.0.input.consume(amount);
        self.0.offset += amount as u64;
        self.0.remaining -= amount as u64;
    }
}

impl<R: BufRead> Read for Member<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let taken = available.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&available[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}
