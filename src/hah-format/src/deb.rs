//! Debian binary packages: one streaming pass from the bytes of a `.deb` to its control files and its entries.
//!
//! ```text
//! .deb = ar archive (deb(5)):  debian-binary   "2.0\n"
//!                              control.tar[.gz|.xz|.zst]   ./control ./postinst …   → Visitor::control
//!                              data.tar[.gz|.xz|.zst]      ./usr/bin/x …            → Visitor::entry
//!                              _anything                    ignored
//! ```
//!
//! The reader trusts nothing: the order is deb(5)'s, every size is bounded by [`Limits`], a path is a
//! [`TreePath`] or an error, a path occurs once, a parent that the package ships is a directory, a hard link names a file
//! that came before it, and the archive ends where it says it ends.
//! What dpkg would accept and no Debian package has — devices, sparse files, a second `control` — is an error too.
//! Errors carry their [`Place`].

use std::io::{self, BufReader, Read};

use crate::path::TreePath;
use crate::tree::{Kind, Meta};

mod error;
mod ar;
mod decode;
mod header;
mod walk;
#[cfg(test)]
mod tests;

pub use error::{DebError, Place, Problem};
pub(crate) use walk::{Bounds, Paths, tar};

/// Bounds on what a package may claim or unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of `data.tar`, headers included.
    pub data_bytes: u64,
    /// Uncompressed bytes of `control.tar`, headers included.
    pub control_bytes: u64,
    /// Entries of `data.tar`.
    pub entries: u32,
    /// Memory that a decompressor may use for its window, in bytes.
    pub decoder_memory: u64,
    /// Whether devices and named pipes may occur.
    pub special_files: SpecialFiles,
}

/// What to do with devices and named pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialFiles {
    /// They are an error: no package of Debian ships one (Policy 10.6).
    Refuse,
    /// They are entries.
    Allow,
}

/// Room for the largest packages of Debian, several times over.
impl Default for Limits {
    fn default() -> Self {
        Self {
            data_bytes: 8 << 30,
            control_bytes: 64 << 20,
            entries: 500_000,
            decoder_memory: 256 << 20,
            special_files: SpecialFiles::Refuse,
        }
    }
}

/// One entry of `data.tar`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it goes. The root directory itself is an entry of most packages.
    pub path: TreePath,
    /// Mode, owner by name where the archive names one, time, xattrs.
    pub meta: Meta,
    /// What it is; a regular file with its size in bytes.
    pub kind: Kind<u64>,
}

/// Who is told what a package holds, in archive order: first the control files, then the entries.
pub trait Visitor {
    /// A member of `control.tar` by its plain name (`control`, `postinst`) and its bytes.
    fn control(&mut self, name: &str, bytes: Vec<u8>) -> io::Result<()>;

    /// An entry of `data.tar`. `content` yields exactly the bytes of a regular file, and nothing for other kinds;
    /// what the visitor leaves unread is skipped.
    fn entry(&mut self, entry: Entry, content: &mut dyn Read) -> io::Result<()>;
}

/// Reads the whole of `deb` and tells `visitor` what it holds.
///
/// The input is read to its end, so that a hashing reader around it has seen every byte when this returns `Ok`.
pub fn read<R: Read>(deb: R, limits: &Limits, visitor: &mut dyn Visitor) -> Result<(), DebError> {
    let mut ar = ar::Archive::open(BufReader::with_capacity(64 << 10, deb))?;
    let mut next = Part::Version;
    while let Some(name) = ar.next_member()? {
        if name.starts_with('_') && next != Part::Version {
            ar.skip_member()?;
            continue;
        }
        let extension = |stem| name.strip_prefix(stem).filter(|rest| rest.is_empty() || rest.starts_with('.'));
        next = match next {
            Part::Version if name == "debian-binary" => {
                check_version(&mut ar)?;
                Part::Control
            }
            Part::Control if let Some(extension) = extension("control.tar") => {
                walk::control(&mut ar, extension, limits, visitor)?;
                Part::Data
            }
            Part::Data if let Some(extension) = extension("data.tar") => {
                walk::data(&mut ar, extension, limits, visitor)?;
                Part::End
            }
            part => return Err(ar.error(Problem::Order { found: name, expected: part.expected() })),
        };
    }
    match next {
        Part::End => Ok(()),
        missing => Err(ar.error(Problem::Missing(missing.expected()))),
    }
}

/// What deb(5) wants next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Version,
    Control,
    Data,
    End,
}

impl Part {
    fn expected(self) -> &'static str {
        match self {
            Self::Version => "debian-binary",
            Self::Control => "control.tar",
            Self::Data => "data.tar",
            Self::End => "the end of the package",
        }
    }
}

/// `debian-binary` is one line `MAJOR.MINOR`; minor versions and further lines are for us to ignore.
fn check_version<R: io::BufRead>(ar: &mut ar::Archive<R>) -> Result<(), DebError> {
    if ar.remaining() > 64 {
        return Err(ar.error(Problem::Version("(too long)".to_owned())));
    }
    let mut text = Vec::new();
    if let Err(source) = ar.member().read_to_end(&mut text) {
        return Err(ar.read_error(source));
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let minor = line.strip_prefix(b"2.");
    if minor.is_some_and(|minor| !minor.is_empty() && minor.iter().all(u8::is_ascii_digit)) && text.contains(&b'\n') {
        Ok(())
    } else {
        Err(ar.error(Problem::Version(line.escape_ascii().to_string())))
    }
}
