//! From a tar header and the extension headers before it to an [`Entry`].
//!
//! dpkg-deb writes GNU tar: names over 100 bytes travel in `L` and `K` members. Pax `x` members are read for packages that
//! other tools made, and for xattrs (`SCHILY.xattr.NAME`, the key that GNU tar, star and libarchive agree on).

use std::collections::BTreeMap;

use tar::{EntryType, Header};

use super::Entry;
use super::error::Problem;
use crate::path::{PATH_MAX, PathError, TreePath};
use crate::tree::{Kind, Meta, Owner};

/// Longest extension member, in bytes: xattrs are at most 64 KiB each, paths 4 KiB.
pub(super) const EXTENSION_MAX: u64 = 1 << 20;

/// What extension members say of the next entry.
#[derive(Default)]
pub(super) struct Extensions {
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Extensions {
    /// Whether `kind` is an extension member.
    pub(super) fn is_one(kind: EntryType) -> bool {
        kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions()
    }

    /// Whether an extension still waits for its entry.
    pub(super) fn pending(&self) -> bool {
        self.long_path.is_some() || self.long_link.is_some() || self.pax.is_some()
    }

    /// Takes an extension member. Two of a kind before one entry are refused: readers disagree on which counts.
    pub(super) fn add(&mut self, kind: EntryType, bytes: Vec<u8>) -> Result<(), Problem> {
        let twice = if kind.is_pax_local_extensions() {
            self.pax.replace(pax_records(&bytes)?).is_some()
        } else {
            let name = bytes.strip_suffix(b"\0").unwrap_or(&bytes).to_vec();
            let slot = if kind.is_gnu_longname() { &mut self.long_path } else { &mut self.long_link };
            slot.replace(name).is_some()
        };
        if twice { Err(Problem::Tar("two extension headers of a kind before one entry".to_owned())) } else { Ok(()) }
    }

    fn pax(&self, key: &str) -> Option<&[u8]> {
        self.pax.as_ref()?.get(key.as_bytes()).map(Vec::as_slice)
    }

    /// The path as the archive spells it.
    pub(super) fn path(&self, header: &Header) -> Vec<u8> {
        match self.pax("path").or(self.long_path.as_deref()) {
            Some(path) => path.to_vec(),
            None => header.path_bytes().into_owned(),
        }
    }

    fn link(&self, header: &Header) -> Vec<u8> {
        match self.pax("linkpath").or(self.long_link.as_deref()) {
            Some(link) => link.to_vec(),
            None => header.link_name_bytes().unwrap_or_default().into_owned(),
        }
    }

    fn xattrs(&self) -> Result<BTreeMap<Box<str>, Vec<u8>>, Problem> {
        let mut xattrs = BTreeMap::new();
        for (key, value) in self.pax.iter().flatten() {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && name.len() <= 255);
                let name = name.ok_or_else(|| Problem::Tar("an xattr with a bad name".to_owned()))?;
                xattrs.insert(name.into(), value.clone());
            }
        }
        Ok(xattrs)
    }
}

/// `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record in bytes (pax(1), "pax Header Block").
fn pax_records(mut bytes: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Problem> {
    let bad = || Problem::Tar("a malformed pax record".to_owned());
    let mut records = BTreeMap::new();
    while !bytes.is_empty() {
        let space = bytes.iter().take(8).position(|byte| *byte == b' ').ok_or_else(bad)?;
        let length = std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse::<usize>().ok());
        let length = length.filter(|length| *length > space + 1 && *length <= bytes.len()).ok_or_else(bad)?;
        let (record, rest) = bytes.split_at(length);
        let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(bad)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if key.starts_with(b"GNU.sparse") || key == b"hdrcharset" || records.contains_key(key) {
            return Err(Problem::Tar(format!("the pax record `{}` is not supported", key.escape_ascii())));
        }
        records.insert(key.to_vec(), value.to_vec());
        bytes = rest;
    }
    Ok(records)
}

/// The entry that `header` and the extensions before it describe.
pub(super) fn entry(header: &Header, extensions: &Extensions) -> Result<Entry, Problem> {
    let spelled = extensions.path(header);
    let path = TreePath::from_bytes(&spelled).map_err(Problem::Path)?;
    let size = header.entry_size().map_err(tar_error)?;
    if extensions.pax("size").is_some_and(|text| text != size.to_string().as_bytes()) {
        return Err(Problem::Tar("the pax size differs from the header's".to_owned()));
    }
    let kind = kind(header, extensions, size)?;
    if matches!(kind, Kind::File(_)) && spelled.ends_with(b"/") {
        return Err(Problem::Tar("a file whose name ends in a slash".to_owned()));
    }
    if !matches!(kind, Kind::File(_)) && size != 0 {
        return Err(Problem::Tar(format!("a {} with {size} bytes of data", kind.noun())));
    }
    let mode = header.mode().map_err(tar_error)?;
    let seconds = match extensions.pax("mtime") {
        // Pax times may have a fraction; no file system of ours keeps it.
        Some(text) => std::str::from_utf8(text).ok().and_then(|text| text.split('.').next()?.parse().ok()).unwrap_or(0),
        None => header.mtime().map_err(tar_error)?,
    };
    let meta = Meta {
        mode: (mode & 0o7777) as u16,
        user: owner(extensions.pax("uname").or(header.username_bytes()), header.uid())?,
        group: owner(extensions.pax("gname").or(header.groupname_bytes()), header.gid())?,
        mtime: u32::try_from(seconds).unwrap_or(u32::MAX),
        xattrs: extensions.xattrs()?,
    };
    Ok(Entry { path, meta, kind })
}

fn kind(header: &Header, extensions: &Extensions, size: u64) -> Result<Kind<u64>, Problem> {
    let device = || -> Result<(u32, u32), Problem> {
        let major = header.device_major().map_err(tar_error)?.unwrap_or(0);
        Ok((major, header.device_minor().map_err(tar_error)?.unwrap_or(0)))
    };
    Ok(match header.entry_type() {
        EntryType::Regular => Kind::File(size),
        EntryType::Directory => Kind::Dir,
        EntryType::Symlink => {
            let target = extensions.link(header);
            let text = std::str::from_utf8(&target).ok();
            let text = text.filter(|text| !text.is_empty() && text.len() <= PATH_MAX && !text.contains('\0'));
            Kind::Symlink(text.ok_or(Problem::LinkTarget)?.into())
        }
        EntryType::Link => match TreePath::from_bytes(&extensions.link(header)) {
            Ok(target) => Kind::HardLink(target),
            Err(PathError::Parent(target)) => return Err(Problem::HardLink(target)),
            Err(error) => return Err(Problem::Path(error)),
        },
        EntryType::Char => device().map(|(major, minor)| Kind::CharDevice(major, minor))?,
        EntryType::Block => device().map(|(major, minor)| Kind::BlockDevice(major, minor))?,
        EntryType::Fifo => Kind::Fifo,
        EntryType::Continuous => return Err(Problem::Kind("contiguous file")),
        EntryType::GNUSparse => return Err(Problem::Kind("sparse file")),
        EntryType::XGlobalHeader => return Err(Problem::Kind("global pax header")),
        _ => return Err(Problem::Kind("tar member of unknown type")),
    })
}

/// The name counts, as for dpkg; the number is for archives without names.
fn owner(name: Option<&[u8]>, id: std::io::Result<u64>) -> Result<Owner, Problem> {
    match name {
        Some(name) if !name.is_empty() => Ok(Owner::parse(std::str::from_utf8(name).map_err(|_| Problem::Owner)?)),
        _ => u32::try_from(id.map_err(tar_error)?)
            .map(Owner::Id)
            .map_err(|_| Problem::Tar("an owner id over 32 bits".to_owned())),
    }
}

pub(super) fn tar_error(error: std::io::Error) -> Problem {
    Problem::Tar(error.to_string())
}
