//! Debian packages, built by hand so that they can also be wrong.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

use super::DATE;

/// A package.
#[derive(Clone)]
pub(crate) struct Deb {
    pub(crate) name: String,
    pub(crate) version: String,
    fields: Vec<(String, String)>,
    control: Vec<(String, String)>,
    entries: Vec<Entry>,
    damage: Option<fn(&mut Vec<u8>)>,
}

#[derive(Clone)]
struct Entry {
    /// As the tar archive spells it, without the leading `./` that [`Deb::build`] adds to sane ones.
    path: String,
    mode: u32,
    owner: (String, String),
    kind: tar::EntryType,
    link: String,
    bytes: Vec<u8>,
    /// Bytes that the header claims, when it lies.
    claimed: Option<u64>,
}

impl Deb {
    /// An empty package.
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            fields: Vec::new(),
            control: Vec::new(),
            entries: Vec::new(),
            damage: None,
        }
    }

    /// Changes the finished .deb, before the archive takes its digest.
    pub(crate) fn damaged(mut self, damage: fn(&mut Vec<u8>)) -> Self {
        self.damage = Some(damage);
        self
    }

    /// Adds a field of the control file.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a member of the control archive: `postinst`, `conffiles`.
    pub(crate) fn member(mut self, name: &str, text: &str) -> Self {
        self.control.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds a file of root's.
    pub(crate) fn file(self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.entry(path, mode, tar::EntryType::Regular, "", bytes.into())
    }

    /// Adds a directory of root's; those above files come by themselves.
    pub(crate) fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, mode, tar::EntryType::Directory, "", Vec::new())
    }

    /// Adds a symbolic link.
    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o777, tar::EntryType::Symlink, target, Vec::new())
    }

    /// Adds a hard link to an earlier file of the package.
    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o755, tar::EntryType::Link, &format!(".{target}"), Vec::new())
    }

    /// Adds a device.
    pub(crate) fn device(self, path: &str) -> Self {
        self.entry(path, 0o666, tar::EntryType::Char, "", Vec::new())
    }

    /// The last entry belongs to somebody else.
    pub(crate) fn owned_by(mut self, user: &str, group: &str) -> Self {
        let entry = self.entries.last_mut().unwrap();
        entry.owner = (user.to_owned(), group.to_owned());
        self
    }

    /// The last entry's header claims this many bytes.
    pub(crate) fn claiming(mut self, bytes: u64) -> Self {
        self.entries.last_mut().unwrap().claimed = Some(bytes);
        self
    }

    #[expect(clippy::too_many_arguments, reason = "a tar header has that many fields, and only this file fills them")]
    fn entry(mut self, path: &str, mode: u32, kind: tar::EntryType, link: &str, bytes: Vec<u8>) -> Self {
        let owner = ("root".to_owned(), "root".to_owned());
        let entry = Entry { path: path.to_owned(), mode, owner, kind, link: link.to_owned(), bytes, claimed: None };
        self.entries.push(entry);
        self
    }

    /// Below the archive.
    pub(crate) fn path(&self) -> String {
        format!("pool/{}_{}_arm64.deb", self.name, self.version.replace(':', "%3a"))
    }

    /// The control file.
    pub(crate) fn control(&self) -> String {
        let mut text = format!(
            "Package: {}\nVersion: {}\nArchitecture: arm64\nMaintainer: Toys <toys@example.org>\n",
            self.name, self.version
        );
        for (name, value) in &self.fields {
            let _ = writeln!(text, "{name}: {value}");
        }
        let _ = writeln!(text, "Description: a toy");
        text
    }

    /// The bytes of the .deb.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut control = tar::Builder::new(Vec::new());
        for (name, text) in [("control".to_owned(), self.control())].iter().chain(&self.control) {
            let mut header = header(0o644, text.len() as u64, tar::EntryType::Regular);
            set_name(&mut header, format!("./{name}").as_bytes());
            control.append(&header, text.as_bytes()).unwrap();
        }
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
        xz.write_all(&self.data()).unwrap();
        let mut deb = ar(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", &gzip(&control.into_inner().unwrap())),
            ("data.tar.xz", &xz.finish().unwrap()),
        ]);
        if let Some(damage) = self.damage {
            damage(&mut deb);
        }
        deb
    }

    fn data(&self) -> Vec<u8> {
        let mut data = tar::Builder::new(Vec::new());
        let mut seen = BTreeSet::new();
        for entry in &self.entries {
            let mut above = String::new();
            for part in entry.path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
                above = format!("{above}{part}/");
                let is_declared = self.entries.iter().any(|other| format!("{}/", other.path) == above);
                if !part.is_empty() && part != ".." && !is_declared && seen.insert(above.clone()) {
                    let mut header = header(0o755, 0, tar::EntryType::Directory);
                    set_name(&mut header, format!(".{above}").as_bytes());
                    data.append(&header, &[][..]).unwrap();
                }
            }
            let mut header = header(entry.mode, entry.claimed.unwrap_or(entry.bytes.len() as u64), entry.kind);
            header.set_username(&entry.owner.0).unwrap();
            header.set_groupname(&entry.owner.1).unwrap();
            if entry.kind == tar::EntryType::Char {
                header.set_device_major(1).unwrap();
                header.set_device_minor(3).unwrap();
            }
            // By hand: the crate refuses the names that we want refused by the reader.
            let gnu = header.as_gnu_mut().unwrap();
            gnu.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
            let slash = if entry.kind == tar::EntryType::Directory { "/" } else { "" };
            set_name(&mut header, format!(".{}{slash}", entry.path).as_bytes());
            data.append(&header, &entry.bytes[..]).unwrap();
        }
        data.into_inner().unwrap()
    }
}

fn header(mode: u32, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(u64::from(DATE));
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_username("root").unwrap();
    header.set_groupname("root").unwrap();
    header
}

fn set_name(header: &mut tar::Header, name: &[u8]) {
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        out.extend(format!("{name:<16}{DATE:<12}0     0     100644  {:<10}`\n", bytes.len()).as_bytes());
        out.extend(*bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}
