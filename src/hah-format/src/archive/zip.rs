//! Zip archives (APPNOTE.TXT 6.3.10), by way of `rawzip`, which knows the records and leaves judgement to its caller.
//!
//! The directory at the end is the truth. All of it is judged before the first byte of a member is read.

use std::cell::RefCell;
use std::io::{self, BufReader, Read, Seek};

use flate2::bufread::DeflateDecoder;
use rawzip::{
    CompressionMethod, ErrorKind, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder,
};

use super::{ArchiveError, Limits, Problem, Visitor, ZipFile, entry};
use crate::deb::{self, Paths};
use crate::path::{PATH_MAX, TreePath};
use crate::tree::Kind;

/// The file type in a Unix mode, and its values.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;

/// A member as the directory has it.
struct Member {
    /// As spelled.
    name: String,
    path: TreePath,
    kind: MemberKind,
    method: CompressionMethod,
    /// Uncompressed, in bytes.
    size: u64,
    /// Of its uncompressed bytes.
    crc32: u32,
    /// Offset of its local header.
    start: u64,
    place: ZipArchiveEntryWayfinder,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MemberKind {
    File,
    Directory,
    Symlink,
}

/// Reads the archive.
pub(super) fn read<R: Read + Seek>(source: R, limits: &Limits, visitor: &mut Visitor<'_>) -> Result<(), ArchiveError> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipArchive::from_seekable(source, &mut buffer).map_err(|error| whole(&error))?;
    let members = directory(&archive, &mut buffer, limits)?;
    check_overlaps(&archive, &members, &mut buffer)?;
    let mut paths = Paths::default();
    for member in members {
        let fail = |problem| ArchiveError::new(Some(member.name.clone()), problem);
        let found = archive.get_entry(member.place).map_err(|error| fail(problem(&error)))?;
        let compressed = BufReader::with_capacity(64 << 10, found.reader());
        let failure = RefCell::new(None);
        let plain: Box<dyn Read + '_> = match member.method {
            CompressionMethod::STORE => Box::new(compressed),
            _ => Box::new(DeflateDecoder::new(compressed)),
        };
        let mut content = Watched { inner: found.verifying_reader(plain), failure: &failure };
        let told = tell(&member, &mut content, &mut paths, visitor);
        // What looks like the visitor's failure may be the archive's, passed on by the visitor.
        match (failure.take(), told) {
            (Some(problem), _) => return Err(fail(problem)),
            (None, outcome) => outcome.map_err(fail)?,
        }
    }
    Ok(())
}

/// Where the files of an archive are.
pub(super) fn files<R: Read + Seek>(source: R, limits: &Limits) -> Result<Vec<ZipFile>, ArchiveError> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipArchive::from_seekable(source, &mut buffer).map_err(|error| whole(&error))?;
    let members = directory(&archive, &mut buffer, limits)?;
    check_overlaps(&archive, &members, &mut buffer)?;
    let mut files = Vec::new();
    for member in members.into_iter().filter(|member| member.kind == MemberKind::File) {
        let found = archive.get_entry(member.place);
        let found = found.map_err(|error| ArchiveError::new(Some(member.name.clone()), problem(&error)))?;
        let (start, end) = found.compressed_data_range();
        let is_deflated = member.method == CompressionMethod::DEFLATE;
        files.push(ZipFile {
            name: member.name,
            packed: start..end,
            is_deflated,
            size: member.size,
            crc32: member.crc32,
        });
    }
    Ok(files)
}

/// Tells of one member, and reads it to its end, where its checksum is.
fn tell(member: &Member, content: &mut dyn Read, paths: &mut Paths, visitor: &mut Visitor<'_>) -> Result<(), Problem> {
    let kind = match member.kind {
        MemberKind::File => Kind::File(member.size),
        MemberKind::Directory => Kind::Dir,
        MemberKind::Symlink => {
            let mut target = Vec::new();
            content.take(PATH_MAX as u64 + 1).read_to_end(&mut target).map_err(Problem::Input)?;
            let text = String::from_utf8(target).ok();
            let text = text.filter(|text| !text.is_empty() && text.len() <= PATH_MAX && !text.contains('\0'));
            Kind::Symlink(text.ok_or_else(|| Problem::Damaged("a link without a target".to_owned()))?.into())
        }
    };
    let mut told = entry(member.path.clone(), kind);
    paths.admit(&mut told).map_err(|problem| match problem {
        deb::Problem::Duplicate => Problem::Duplicate,
        deb::Problem::ParentNotDirectory(above) => Problem::ParentNotDirectory(above),
        deb::Problem::Limit { what, limit } => Problem::Limit { what, limit },
        other => Problem::Damaged(other.to_string()),
    })?;
    visitor(told, content).map_err(Problem::Visitor)?;
    io::copy(content, &mut io::sink()).map(drop).map_err(Problem::Input)
}

/// The directory, every member of it judged.
fn directory<R: ReaderAt>(
    archive: &ZipArchive<R>,
    buffer: &mut [u8],
    limits: &Limits,
) -> Result<Vec<Member>, ArchiveError> {
    let listed = archive.entries_hint();
    let mut members = Vec::new();
    let mut bytes = 0u64;
    let mut entries = archive.entries(buffer);
    while let Some(record) = entries.next_entry().map_err(|error| whole(&error))? {
        if members.len() as u64 >= u64::from(limits.members) {
            let limit = limits.members.into();
            return Err(ArchiveError::whole(Problem::Limit { what: "the number of members", limit }));
        }
        let spelled = record.file_path().as_bytes();
        let name = spelled.escape_ascii().to_string();
        let fail = |problem| Err(ArchiveError::new(Some(name.clone()), problem));
        if spelled.starts_with(b"/") {
            return fail(Problem::Absolute);
        }
        let path = match TreePath::from_bytes(spelled) {
            Ok(path) => path,
            Err(error) => return fail(Problem::Path(error)),
        };
        let flags = record.flags();
        if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
            return fail(Problem::Encrypted);
        }
        let kind = match record.mode().value() & TYPE {
            _ if record.is_dir() => MemberKind::Directory,
            REGULAR | 0 => MemberKind::File,
            SYMLINK => MemberKind::Symlink,
            DIRECTORY => return fail(Problem::Damaged("a directory whose name has no slash at its end".to_owned())),
            _ => return fail(Problem::Kind("special file")),
        };
        let size = record.uncompressed_size_hint();
        if kind == MemberKind::Directory && size != 0 {
            return fail(Problem::Damaged("a directory with bytes in it".to_owned()));
        }
        if path.is_root() && kind != MemberKind::Directory {
            return fail(Problem::Damaged("a file without a name".to_owned()));
        }
        bytes = bytes.saturating_add(size);
        if bytes > limits.bytes {
            return fail(Problem::Limit { what: "the unpacked size in bytes", limit: limits.bytes });
        }
        let method = record.compression_method();
        if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
            return fail(Problem::Method(method.to_string()));
        }
        let (start, place) = (record.local_header_offset(), record.wayfinder());
        members.push(Member { name, path, kind, method, size, crc32: record.crc32(), start, place });
    }
    if members.len() as u64 != listed {
        let reason = format!("its directory has {} members, and its end record says {listed}", members.len());
        return Err(ArchiveError::whole(Problem::Damaged(reason)));
    }
    Ok(members)
}

/// No two members share bytes, as they do in bombs, and each is called what the directory calls it.
fn check_overlaps<R: ReaderAt>(
    archive: &ZipArchive<R>,
    members: &[Member],
    buffer: &mut [u8],
) -> Result<(), ArchiveError> {
    let mut ranges = Vec::new();
    for member in members {
        let fail = |problem| ArchiveError::new(Some(member.name.clone()), problem);
        let found = archive.get_entry(member.place).map_err(|error| fail(problem(&error)))?;
        let local = found.local_header(buffer).map_err(|error| fail(problem(&error)))?;
        let name = local.file_path().as_bytes().escape_ascii().to_string();
        if name != member.name {
            return Err(fail(Problem::LocalName(name)));
        }
        ranges.push((member.start, found.compressed_data_range().1, &member.name));
    }
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        if let [(_, end, first), (start, _, second)] = pair
            && start < end
        {
            return Err(ArchiveError::new(Some((*second).clone()), Problem::Overlap((*first).clone())));
        }
    }
    Ok(())
}

fn whole(error: &rawzip::Error) -> ArchiveError {
    ArchiveError::whole(problem(error))
}

fn problem(error: &rawzip::Error) -> Problem {
    match error.kind() {
        ErrorKind::MissingEndOfCentralDirectory => Problem::NotZip,
        ErrorKind::Eof => Problem::Truncated,
        ErrorKind::IO(source) => of_io(source),
        _ => Problem::Damaged(error.to_string()),
    }
}

/// What a failed read of a member means.
fn of_io(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Problem::Truncated,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Problem::Damaged(error.to_string()),
        kind => Problem::Input(io::Error::new(kind, error.to_string())),
    }
}

/// A reader that notes why it failed.
struct Watched<'a, R> {
    inner: R,
    failure: &'a RefCell<Option<Problem>>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            self.failure.borrow_mut().get_or_insert(of_io(error));
        })
    }
}
