//! What the resolver is asked, and the digest of that question.

use std::collections::BTreeMap;

use hah_format::digest::Sha256;

use crate::debian::{Architecture, PackageName};
use crate::plan::keys;
use crate::system::{OwnArchive, PackageRequest, Provided, Suite, System};

/// What an image wants of the archives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The image's name, for messages and the lock.
    pub image: String,
    /// Architecture of its packages.
    pub architecture: Architecture,
    /// Where packages come from; earlier suites win when several have the same version.
    pub suites: Vec<Suite>,
    /// Archives that are not Debian's.
    pub archives: Vec<OwnArchive>,
    /// Packages asked for by name.
    pub packages: Vec<PackageRequest>,
    /// Packages that the image stands in for. One that is also asked for by name is installed.
    pub provided: BTreeMap<PackageName, Provided>,
}

impl From<&System> for Request {
    fn from(system: &System) -> Self {
        Self {
            image: system.image.clone(),
            architecture: system.architecture,
            suites: system.suites.clone(),
            archives: system.archives.clone(),
            packages: system.packages.clone(),
            provided: system.provided.clone(),
        }
    }
}

impl Request {
    /// The digest that a lock keeps, to know whether it still answers this request: [`keys::request`] says what it is of.
    pub fn digest(&self) -> Sha256 {
        keys::request(self)
    }
}
