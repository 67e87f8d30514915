//! What the resolver is asked.

use std::collections::BTreeMap;

use crate::debian::{Architecture, PackageName};
use crate::system::{OwnArchive, PackageRequest, Provided, Suite, System};

/// What an image wants of the archives. A lock keeps its digest: [`crate::plan::keys::request`].
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
