//! [`Artifact`]: a program from a release site, or somebody's own build, as a recipe declares it, with every template rendered.
//!
//! An artifact is one file: an archive of members, or the program itself. Its digest comes from where [`Verify`] says, and
//! never from the file; the lock pins it ([`crate::lock::LockedArtifact`]). Members are put into the root like a package's
//! files ([`crate::merge`]), and [`fit`] says whether a program can run there.

pub mod checksums;
pub mod fit;

use std::fmt;
use std::sync::Arc;

use hah_format::digest::Sha256;
use hah_format::path::TreePath;

/// One artifact of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name: `nomad`. Unique in the image.
    pub name: String,
    /// Its version: `2.0.4`.
    pub version: String,
    /// Where it is released; none for an own build that is only ever handed in.
    pub url: Option<String>,
    /// The name that mirrors are configured under, when there can be any.
    pub mirror: Option<String>,
    /// Who vouches for it.
    pub verify: Verify,
    /// What kind of file it is.
    pub format: Format,
    /// What of it goes where, by path.
    pub install: Vec<Install>,
    /// The recipe that declares it.
    pub recipe: String,
}

impl Artifact {
    /// The name under which checksum files list it: the last part of its URL.
    pub fn file_name(&self) -> Option<&str> {
        self.url.as_deref().and_then(last_segment)
    }
}

/// The last part of a URL's path.
pub fn last_segment(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?;
    let (site, name) = path.rsplit_once('/')?;
    (!name.is_empty() && !site.ends_with('/')).then_some(name)
}

/// `nomad 2.0.4`.
impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Who vouches for an artifact's digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// A checksum file with a detached OpenPGP signature.
    OpenPgp {
        /// URL of the checksum file.
        checksums: String,
        /// URL of its signature.
        signature: String,
        /// Whose signature.
        key: VendorKey,
    },
    /// A checksum file that nobody has signed.
    Sha256Sums {
        /// URL of the checksum file.
        checksums: String,
    },
    /// The recipe itself.
    Sha256(Sha256),
}

impl Verify {
    /// The word that recipes and locks use.
    pub fn method(&self) -> Method {
        match self {
            Self::OpenPgp { .. } => Method::OpenPgp,
            Self::Sha256Sums { .. } => Method::Sha256Sums,
            Self::Sha256(_) => Method::Sha256,
        }
    }
}

/// How an artifact is verified, without the particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// [`Verify::OpenPgp`].
    OpenPgp,
    /// [`Verify::Sha256Sums`].
    Sha256Sums,
    /// [`Verify::Sha256`].
    Sha256,
}

impl Method {
    /// Every method.
    pub const ALL: [Method; 3] = [Self::OpenPgp, Self::Sha256Sums, Self::Sha256];

    /// The word that recipes and locks use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenPgp => "openpgp",
            Self::Sha256Sums => "sha256sums",
            Self::Sha256 => "sha256",
        }
    }

    /// What it is worth, for people; `None` when a signature vouches for the artifact.
    pub fn unsigned_because(self) -> Option<&'static str> {
        match self {
            Self::OpenPgp => None,
            Self::Sha256Sums => Some("the release site's checksum file is not signed"),
            Self::Sha256 => Some("only the recipe's digest vouches for it"),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The names of the keys that hah-image carries.
pub const EMBEDDED_KEYS: [&str; 2] = ["hashicorp", "openbao"];

/// A vendor's OpenPGP key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VendorKey {
    /// One of [`EMBEDDED_KEYS`].
    Embedded(String),
    /// A file of the project.
    File {
        /// Its path in the project: `recipes/keys/acme.asc`.
        path: String,
        /// What is in it.
        bytes: Arc<[u8]>,
    },
}

impl VendorKey {
    /// How locks and messages call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Embedded(name) => name,
            Self::File { path, .. } => path,
        }
    }
}

/// What kind of file an artifact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// The program itself.
    File,
    /// A zip archive.
    Zip,
    /// A gzipped tar archive.
    TarGz,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 3] = [Self::File, Self::Zip, Self::TarGz];

    /// The word that recipes use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Zip => "zip",
            Self::TarGz => "tar.gz",
        }
    }

    /// By the end of a file name.
    pub fn of_name(name: &str) -> Option<Self> {
        if name.ends_with(".zip") {
            Some(Self::Zip)
        } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
            Some(Self::TarGz)
        } else {
            None
        }
    }
}

/// One member of an artifact and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// Its path in the archive; none when the artifact is [`Format::File`].
    pub member: Option<TreePath>,
    /// Where it goes.
    pub path: TreePath,
    /// Permission bits, including set-id and sticky.
    pub mode: u16,
    /// Owner's name.
    pub user: String,
    /// Group's name.
    pub group: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_come_from_urls() {
        for (url, want) in [
            ("https://example.org/nomad/2.0.4/nomad_2.0.4_linux_arm64.zip", Some("nomad_2.0.4_linux_arm64.zip")),
            ("https://example.org/a/b.tar.gz?token=x/y#z", Some("b.tar.gz")),
            ("https://example.org/a/", None),
            ("https://example.org", None),
            ("", None),
        ] {
            assert_eq!(last_segment(url), want, "{url}");
        }
    }

    #[test]
    fn formats_come_from_names() {
        assert_eq!(Format::of_name("a.zip"), Some(Format::Zip));
        assert_eq!(Format::of_name("a.linux-arm64.tar.gz"), Some(Format::TarGz));
        assert_eq!(Format::of_name("a.tgz"), Some(Format::TarGz));
        assert_eq!(Format::of_name("nomad"), None);
    }
}
