//! Every key of the program, each made in one function; the table in [`super`] says which input reaches which.

use hah_format::digest::Sha256;
use hah_format::pack::PackOptions;

use super::encoder::Encoder;
use super::key::{FORMAT_VERSION, Key};
use super::{Derivation, DerivedFiles, DerivedStep, StepKind, Surroundings, Wanted, packing, system};
use crate::artifact::Format;
use crate::board::VersionedPath;
use crate::lock::{LockedArtifact, LockedPackage};
use crate::resolve::Request;
use crate::system::{OwnArchive, SuiteUse};

/// Level of gzip for kernels; 9 takes three times as long and saves one percent.
pub const KERNEL_GZIP_LEVEL: u32 = 6;

/// Of a file that is known by its digest: the digest itself.
pub(super) fn fetch(sha256: &Sha256) -> Key {
    Key(*sha256)
}

/// Of the pack of a .deb.
pub(super) fn package_pack(deb: &Sha256, options: &PackOptions) -> Key {
    let mut encoder = Encoder::new("hah-pack");
    encoder.digest("deb", deb);
    // The pack format's version is among them.
    encoder.text("options", &options.id());
    encoder.finish()
}

/// Of the pack of an artifact.
pub(super) fn artifact_pack(sha256: &Sha256, format: Format) -> Key {
    let mut encoder = Encoder::new("hah-artifact");
    encoder.digest("artifact", sha256);
    encoder.text("format", format.as_str());
    encoder.text("options", &packing::of_artifacts().id());
    encoder.finish()
}

/// Of the gzipped kernel that one of `packs` has at `image`.
pub(super) fn kernel(image: &VersionedPath, packs: &[Key]) -> Key {
    let mut encoder = Encoder::new("hah-kernel");
    encoder.number("format", u64::from(FORMAT_VERSION));
    encoder.text("image", &image.to_string());
    encoder.number("level", u64::from(KERNEL_GZIP_LEVEL));
    for pack in packs {
        encoder.digest("pack", &pack.0);
    }
    encoder.finish()
}

/// Of files that derive from others of a merged root. The key names the step, and all that it looks at.
pub struct DerivedKey {
    files: DerivedFiles,
    encoder: Encoder,
}

impl DerivedKey {
    /// Of `files`; `tool` is the release of the program whose output they are to be.
    pub fn new(files: DerivedFiles, tool: &str) -> Self {
        let mut encoder = Encoder::new("hah-derived");
        encoder.number("format", u64::from(FORMAT_VERSION));
        encoder.text("files", &files.to_string());
        encoder.text("tool", tool);
        encoder.text("options", &packing::of_derived().id());
        Self { files, encoder }
    }

    /// A file that it reads; `None` when it is there and has nothing in it for the step.
    pub fn file(&mut self, path: &str, sha256: Option<Sha256>) {
        self.encoder.text("file", path);
        self.encoder.bytes("sha256", sha256.as_ref().map_or(&[], |sha256| sha256.as_bytes().as_slice()));
    }

    /// Something else that it sees.
    pub fn entry(&mut self, path: &str, noun: &str) {
        self.encoder.list("entry", [path, noun]);
    }

    /// The step.
    pub fn finish(self) -> Derivation {
        let kind = StepKind::Derived(DerivedStep { files: self.files });
        Derivation { key: self.encoder.finish(), kind, inputs: Vec::new() }
    }
}

/// What of an image the lock and the plan know.
pub(super) struct ImageParts<'a> {
    pub packages: &'a [(&'a LockedPackage, Key)],
    pub artifacts: &'a [(&'a LockedArtifact, Key)],
    pub kernel: Option<Key>,
    pub epoch: u32,
}

/// Of an image: everything that can reach its bytes, and those of its block map and manifest.
pub(super) fn image(wanted: &Wanted<'_>, parts: &ImageParts<'_>) -> Key {
    let ImageParts { packages, artifacts, kernel, epoch } = parts;
    let Wanted { system, surroundings } = wanted;
    let mut encoder = Encoder::new("hah-image");
    encoder.number("format", u64::from(FORMAT_VERSION));
    system::encode(&mut encoder, system);
    for (package, pack) in *packages {
        let LockedPackage { name, version, architecture, .. } = package;
        encoder.list("package", [name.as_str(), version.as_str(), architecture.as_str()]);
        encoder.digest("pack", &pack.0);
    }
    for (artifact, pack) in *artifacts {
        encoder.text("artifact", &artifact.name);
        encoder.digest("pack", &pack.0);
        encoder.text("signature", &artifact.trust.to_string());
    }
    encoder.bytes("kernel", kernel.as_ref().map_or(&[], |key| key.0.as_bytes().as_slice()));
    if let Some(Surroundings { cluster, reviews, agent }) = surroundings {
        encoder.text("cluster", cluster);
        encoder.digest("reviews", reviews);
        encoder.digest("agent", agent);
    }
    encoder.number("epoch", u64::from(*epoch));
    encoder.finish()
}

/// Digest of the review table's sources: names and texts, in order.
pub fn reviews(sources: &[(&str, &str)]) -> Sha256 {
    let mut encoder = Encoder::new("hah-reviews");
    for (name, text) in sources {
        encoder.list("file", [*name, *text]);
    }
    encoder.finish().0
}

/// Digest of what an image wants of the archives, which a lock keeps to know whether it still answers.
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
pub fn request(request: &Request) -> Sha256 {
    let Request { image: _, architecture, suites, archives, packages, provided } = request;
    // Without the format version: what is locked stays locked when images are written in another way.
    let mut encoder = Encoder::new("hah-request");
    encoder.text("architecture", architecture.as_str());
    for suite in suites {
        let usage = match suite.use_for {
            SuiteUse::Default => "default",
            SuiteUse::PinOnly => "pin-only",
        };
        encoder.list("suite", [suite.archive.as_str(), &suite.name, usage]);
        encoder.list("components", suite.components.iter().map(String::as_str));
    }
    for OwnArchive { name, uris, key, recipe: _ } in archives {
        encoder.text("archive", name);
        encoder.digest("key", &Sha256::of(key));
        encoder.list("uris", uris.iter().map(String::as_str));
    }
    for package in packages {
        let recommends = if package.recommends { "with recommended" } else { "alone" };
        let pin = package.suite.as_deref().unwrap_or_default();
        encoder.list("package", [package.name.as_str(), pin, recommends, &package.recipe]);
    }
    encoder.list("provided", provided.keys().map(|name| name.as_str()));
    encoder.finish().0
}
