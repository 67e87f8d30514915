//! What the resolver is asked, and the digest of that question.

use std::collections::BTreeMap;

use hah_format::digest::Sha256;

use crate::debian::{Architecture, PackageName};
use crate::system::{OwnArchive, PackageRequest, Provided, Suite, SuiteUse, System};

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
    /// The digest that a lock keeps, to know whether it still answers this request.
    ///
    /// | input | reaches the digest |
    /// |---|---|
    /// | architecture | yes |
    /// | suites: archive, name, components, use, and their order | yes |
    /// | suites: what to do on expiry, who declared them | no: they do not change the answer |
    /// | archives of one's own: name, addresses, key file | yes: another key may not vouch for what is locked |
    /// | packages: name, pin, who asks, whether with what they recommend, and their order | yes: the lock tells who asked |
    /// | provided: names | yes |
    /// | provided: reasons and who says so | no: the lock does not hold them |
    /// | the image's name | no: a renamed image is another stanza of the lock |
    pub fn digest(&self) -> Sha256 {
        let mut encoding = Encoding(b"hah-image request 1\n".to_vec());
        encoding.record("architecture", &[self.architecture.as_str()]);
        for suite in &self.suites {
            let usage = match suite.use_for {
                SuiteUse::Default => "default",
                SuiteUse::PinOnly => "pin-only",
            };
            let mut fields = vec![suite.archive.as_str(), &suite.name, usage];
            fields.extend(suite.components.iter().map(String::as_str));
            encoding.record("suite", &fields);
        }
        for OwnArchive { name, uris, key, recipe: _ } in &self.archives {
            let key = Sha256::of(key).to_string();
            let mut fields = vec![&**name, &key];
            fields.extend(uris.iter().map(String::as_str));
            encoding.record("archive", &fields);
        }
        for package in &self.packages {
            let mut fields = vec![package.name.as_str(), &package.recipe];
            fields.extend(package.suite.as_deref());
            encoding.record("package", &fields);
        }
        for package in self.packages.iter().filter(|package| package.recommends) {
            encoding.record("recommends", &[package.name.as_str()]);
        }
        for name in self.provided.keys() {
            encoding.record("provided", &[name.as_str()]);
        }
        Sha256::of(&encoding.0)
    }
}

/// Records of a key, a count and length-prefixed fields: no two lists of records have the same encoding.
struct Encoding(Vec<u8>);

impl Encoding {
    fn record(&mut self, key: &str, fields: &[&str]) {
        self.0.extend_from_slice(format!("{key} {}", fields.len()).as_bytes());
        for field in fields {
            self.0.extend_from_slice(format!(" {}:", field.len()).as_bytes());
            self.0.extend_from_slice(field.as_bytes());
        }
        self.0.push(b'\n');
    }
}
