//! The walk over `control.tar` and `data.tar`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read};

use super::ar;
use super::decode::{Decoder, Failure, Meter, Metered};
use super::error::{DebError, Place, Problem};
use super::header::{self, EXTENSION_MAX, Extensions};
use super::{Entry, Limits, SpecialFiles, Visitor};
use crate::path::TreePath;
use crate::tree::Kind;

/// Reads `control.tar`: plain files directly below `./`.
pub(super) fn control<R: BufRead>(
    ar: &mut ar::Archive<R>,
    extension: &str,
    limits: &Limits,
    visitor: &mut dyn Visitor,
) -> Result<(), DebError> {
    let mut seen = BTreeSet::new();
    let bounds = Bounds { bytes: limits.control_bytes, entries: 1000, memory: limits.decoder_memory };
    each_entry(ar, extension, bounds, &mut |entry, content| {
        match entry.kind {
            Kind::Dir if entry.path.is_root() => return Ok(()),
            Kind::File(_) if entry.path.components().count() == 1 => {}
            _ => return Err(Problem::ControlMember),
        }
        let mut bytes = Vec::new();
        // A failure here is the archive's: `each_entry` knows the real one.
        content.read_to_end(&mut bytes).map_err(Problem::Visitor)?;
        if !seen.insert(entry.path.clone()) {
            return Err(Problem::Duplicate);
        }
        visitor.control(entry.path.as_str(), bytes).map_err(Problem::Visitor)
    })?;
    if seen.iter().any(|path| path.as_str() == "control") {
        Ok(())
    } else {
        Err(ar.error(Problem::Missing("file `control` in its control archive")))
    }
}

/// Reads `data.tar`.
pub(super) fn data<R: BufRead>(
    ar: &mut ar::Archive<R>,
    extension: &str,
    limits: &Limits,
    visitor: &mut dyn Visitor,
) -> Result<(), DebError> {
    let mut paths = Paths::default();
    let bounds = Bounds { bytes: limits.data_bytes, entries: limits.entries, memory: limits.decoder_memory };
    each_entry(ar, extension, bounds, &mut |mut entry, content| {
        let special = matches!(entry.kind, Kind::CharDevice(..) | Kind::BlockDevice(..) | Kind::Fifo);
        if special && limits.special_files == SpecialFiles::Refuse {
            return Err(Problem::Kind(entry.kind.noun()));
        }
        paths.admit(&mut entry)?;
        visitor.entry(entry, content).map_err(Problem::Visitor)
    })
}

/// Most bytes that the paths, link targets and xattrs of a package may have together, directories above them that the
/// archive does not list included. The largest packages of Debian have 10 MB; a path of 2000 levels implies 4 MB.
const NAMES_MAX: u64 = 64 << 20;

/// Limits of one tar archive.
pub(crate) struct Bounds {
    /// Uncompressed bytes, headers included.
    pub(crate) bytes: u64,
    /// Entries.
    pub(crate) entries: u32,
    /// Memory of the decompressor in bytes.
    pub(crate) memory: u64,
}

/// Tells `on_entry` of every entry of the open member, in order, and makes sure that nothing follows the last.
fn each_entry<R: BufRead>(
    ar: &mut ar::Archive<R>,
    extension: &str,
    bounds: Bounds,
    on_entry: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<(), Problem>,
) -> Result<(), DebError> {
    let member = ar.name().to_owned();
    let decoder = match Decoder::new(ar.member(), extension, bounds.memory) {
        Ok(decoder) => decoder,
        Err(problem) => return Err(ar.error(problem)),
    };
    if let Err((at, problem)) = tar(decoder, &bounds, on_entry) {
        return Err(DebError::new(Place { member, offset: at.offset, path: at.path }, problem));
    }
    if ar.remaining() > 0 {
        return Err(ar.error(Problem::TrailingData));
    }
    Ok(())
}

/// Tells `on_entry` of every entry of a tar archive, in order, and makes sure that nothing follows the last; the reader,
/// at its end.
pub(crate) fn tar<R: Read>(
    input: R,
    bounds: &Bounds,
    on_entry: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<(), Problem>,
) -> Result<R, (At, Problem)> {
    let meter = Meter::default();
    let mut archive = tar::Archive::new(Metered { inner: input, meter: &meter, limit: bounds.bytes });
    let walk = Walk { meter: &meter, bounds };
    let mut at = At::default();
    if let Err(problem) = walk.entries(&mut archive, &mut at, on_entry) {
        return Err((at, problem));
    }
    let at = At { offset: meter.bytes(), path: None };
    let mut input = archive.into_inner();
    match walk.end(&mut input) {
        Ok(()) => Ok(input.inner),
        Err(problem) => Err((at, problem)),
    }
}

/// Where the walk is, for messages.
#[derive(Default)]
pub(crate) struct At {
    /// Bytes into the unpacked archive.
    pub(crate) offset: u64,
    /// The entry.
    pub(crate) path: Option<String>,
}

struct Walk<'a> {
    meter: &'a Meter,
    bounds: &'a Bounds,
}

impl Walk<'_> {
    fn entries<R: Read>(
        &self,
        archive: &mut tar::Archive<R>,
        at: &mut At,
        on_entry: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut extensions = Extensions::default();
        let mut count = 0;
        // Raw: long names and pax records are gathered here, where they have a limit.
        for entry in archive.entries().map_err(|e| self.judge(e))?.raw(true) {
            *at = At { offset: self.meter.bytes(), path: None };
            let mut entry = entry.map_err(|e| self.judge(e))?;
            at.offset = entry.raw_header_position();
            let header = entry.header().clone();
            let size = header.entry_size().map_err(header::tar_error)?;
            if size > self.bounds.bytes {
                at.path = Some(extensions.path(&header).escape_ascii().to_string());
                return Err(Problem::Limit { what: "its size in bytes", limit: self.bounds.bytes });
            }
            let kind = header.entry_type();
            let mut content = Content { inner: &mut entry, remaining: size, meter: self.meter };
            if Extensions::is_one(kind) {
                if size > EXTENSION_MAX {
                    return Err(Problem::Limit { what: "an extension header in bytes", limit: EXTENSION_MAX });
                }
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes).map_err(|e| self.judge(e))?;
                extensions.add(kind, bytes)?;
                continue;
            }
            let extensions = std::mem::take(&mut extensions);
            at.path = Some(String::from_utf8_lossy(&extensions.path(&header)).into_owned());
            count += 1;
            if count > self.bounds.entries {
                let limit = self.bounds.entries.into();
                return Err(Problem::Limit { what: "the number of entries", limit });
            }
            let told = on_entry(header::entry(&header, &extensions)?, &mut content);
            match told {
                Ok(()) => {}
                // What looks like the visitor's failure may be the archive's, passed on by the visitor.
                Err(Problem::Visitor(error)) if self.meter.failure().is_some() => return Err(self.judge(error)),
                Err(problem) => return Err(problem),
            }
            io::copy(&mut content, &mut io::sink()).map_err(|e| self.judge(e))?;
        }
        if extensions.pending() {
            return Err(Problem::Tar("an extension header without an entry".to_owned()));
        }
        Ok(())
    }

    /// After the end mark come zeros only, and they do come: an archive without the mark was cut.
    fn end(&self, input: &mut dyn Read) -> Result<(), Problem> {
        if self.meter.ended() {
            return Err(Problem::Truncated);
        }
        let mut buffer = [0; 4096];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) if buffer[..read].iter().all(|byte| *byte == 0) => {}
                Ok(_) => return Err(Problem::TrailingData),
                Err(error) => return Err(self.judge(error)),
            }
        }
    }

    /// What a failed read means.
    fn judge(&self, error: io::Error) -> Problem {
        match self.meter.failure() {
            Some(Failure::Limit) => Problem::Limit { what: "the unpacked size in bytes", limit: self.bounds.bytes },
            Some(Failure::Truncated) => Problem::Truncated,
            Some(Failure::Damaged) => Problem::Decompress(error),
            None if self.meter.ended() => Problem::Truncated,
            None => header::tar_error(error),
        }
    }
}

/// Exactly the bytes that the header promised: `tar` itself ends a cut entry early and says nothing.
struct Content<'a, R> {
    inner: R,
    remaining: u64,
    meter: &'a Meter,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && !buffer.is_empty() && self.remaining > 0 {
            self.meter.fail(Failure::Truncated);
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.remaining = self.remaining.saturating_sub(read as u64);
        Ok(read)
    }
}

/// The paths seen so far.
#[derive(Default)]
pub(crate) struct Paths {
    seen: BTreeMap<TreePath, Seen>,
    /// What counts towards [`NAMES_MAX`].
    held: u64,
}

enum Seen {
    Dir,
    /// A directory that the archive has not listed, above something that it has.
    ImpliedDir,
    File,
    /// A hard link, by the file it stands for.
    Link(TreePath),
    Other,
}

impl Paths {
    /// Admits `entry`, or says why not. A hard link to a hard link becomes one to the file itself.
    pub(crate) fn admit(&mut self, entry: &mut Entry) -> Result<(), Problem> {
        match (self.seen.get(&entry.path), &entry.kind) {
            (None, _) | (Some(Seen::ImpliedDir), Kind::Dir) => {}
            (Some(Seen::ImpliedDir), _) => return Err(Problem::ParentNotDirectory(entry.path.as_str().to_owned())),
            (Some(_), _) => return Err(Problem::Duplicate),
        }
        for parent in entry.path.ancestors() {
            match self.seen.get(&parent) {
                Some(Seen::Dir | Seen::ImpliedDir) => break,
                Some(_) => return Err(Problem::ParentNotDirectory(parent.as_str().to_owned())),
                None => {
                    self.hold(parent.as_str().len())?;
                    self.seen.insert(parent, Seen::ImpliedDir);
                }
            }
        }
        let target = match &entry.kind {
            Kind::Symlink(target) => target.len(),
            Kind::HardLink(target) => target.as_str().len(),
            _ => 0,
        };
        let xattrs: usize = entry.meta.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.hold(entry.path.as_str().len() + target + xattrs)?;
        let seen = match &mut entry.kind {
            Kind::Dir => Seen::Dir,
            _ if entry.path.is_root() => return Err(Problem::ParentNotDirectory(String::new())),
            Kind::File(_) => Seen::File,
            Kind::HardLink(target) => {
                match self.seen.get(target) {
                    Some(Seen::File) => {}
                    Some(Seen::Link(file)) => *target = file.clone(),
                    _ => return Err(Problem::HardLink(target.as_str().to_owned())),
                }
                Seen::Link(target.clone())
            }
            _ => Seen::Other,
        };
        self.seen.insert(entry.path.clone(), seen);
        Ok(())
    }

    /// Counts bytes that stay in memory until the whole package is read.
    fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        self.held += bytes as u64;
        match self.held > NAMES_MAX {
            true => {
                Err(Problem::Limit { what: "the length of all its paths, links and xattrs in bytes", limit: NAMES_MAX })
            }
            false => Ok(()),
        }
    }
}
