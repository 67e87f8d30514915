//! The cards of a fleet: which image each node gets, which cards are done, and the flash of one that is put on record.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::content::{Content, Strangers};
use super::device::Device;
use super::error::FlashError;
use super::record::{FlashEntry, FlashRecord};
use super::source::{Image, Map, PACKINGS};
use super::target::OpenTarget;
use super::{Flashed, Job, Node, Verify, card, flash};
use crate::programs::ssh::{self, KNOWN_HOSTS};
use crate::project::Project;
use crate::project::fleet::FleetNode;
use crate::reporter::Reporter;

/// A built image that was looked into and hashed.
pub struct BuiltImage {
    /// The image.
    pub image: Image,
    /// What was found in it.
    pub content: Content,
    /// SHA-256 of the file, 64 hex digits.
    pub sha256: String,
}

impl BuiltImage {
    /// Whether `node`'s newest card has this image, and the identity that it would get now.
    pub fn is_on_card_of(&self, node: &FleetNode, record: &FlashRecord) -> bool {
        record.newest(&node.name).is_some_and(|entry| {
            entry.image_sha256 == self.sha256 && entry.identity.is_some() && entry.identity == node.fingerprint
        })
    }
}

/// The image file that `name` means: the name of a project's image, packed or not, or a path.
pub fn image_path(project: &Project, name: &OsStr) -> Result<PathBuf, FlashError> {
    // No image has a name that is not UTF-8.
    let known = name.to_str().filter(|name| !name.contains(['/', '.']));
    let path = known.map_or_else(|| PathBuf::from(name), |name| project.output(name));
    if path.exists() {
        return Ok(path);
    }
    let packed = PACKINGS.map(|packing| path.with_extension(format!("img.{packing}")));
    if let Some(packed) = packed.into_iter().find(|path| known.is_some() && path.exists()) {
        return Ok(packed);
    }
    Err(FlashError::NoImage { path, name: known.map(str::to_owned) })
}

/// `lab` of `out/lab.img.zst`.
pub fn image_stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// The images of these nodes by name, each opened and hashed once; those that are not built are told together.
pub fn built_images(project: &Project, nodes: &[FleetNode]) -> Result<BTreeMap<String, BuiltImage>, FlashError> {
    let names: BTreeSet<&str> = nodes.iter().map(|node| node.image.as_str()).collect();
    let is_missing = |name: &&str| image_path(project, OsStr::new(name)).is_err();
    let missing: Vec<String> = names.iter().copied().filter(is_missing).map(str::to_owned).collect();
    if !missing.is_empty() {
        return Err(FlashError::NotBuilt(missing));
    }
    let built = |name: &str| -> Result<(String, BuiltImage), FlashError> {
        let image = Image::open(&image_path(project, OsStr::new(name))?, &Map::Beside)?;
        let content = Content::look(&image, Strangers::Refused)?;
        let sha256 = image.sha256()?.to_string();
        Ok((name.to_owned(), BuiltImage { image, content, sha256 }))
    };
    names.into_iter().map(built).collect()
}

/// A card for a node of the fleet.
pub struct NodeCard<'a> {
    /// Whose.
    pub node: &'a FleetNode,
    /// What goes onto it.
    pub image: &'a Image,
    /// What was found in the image.
    pub content: &'a Content,
    /// SHA-256 of the image file, 64 hex digits.
    pub image_sha256: &'a str,
    /// What the card is in; none for a file.
    pub device: Option<Device>,
    /// Whether what was written is read back.
    pub verify: Verify,
}

impl NodeCard<'_> {
    /// Flashes the card, and puts that on record.
    pub fn flash(
        self,
        reporter: &dyn Reporter,
        target: OpenTarget,
        record: &mut FlashRecord,
    ) -> Result<Flashed, FlashError> {
        let Self { node, image, content, image_sha256, device, verify } = self;
        let whose = Node { name: &node.name, identity: &node.identity };
        let flashed = flash(reporter, Job { image, content, target, node: Some(whose), verify })?;
        record.add(FlashEntry {
            time: crate::calendar::minute(crate::clock::unix_now()),
            node: node.name.clone(),
            image: image_stem(image.path()),
            image_sha256: image_sha256.to_owned(),
            identity: node.fingerprint.clone(),
            label: card::label(&node.name),
            device: flashed.path.clone(),
            by_id: device.as_ref().and_then(|device| device.by_id.clone()),
            model: device.map(|device| device.model).unwrap_or_default(),
            written: flashed.written,
            verified: verify == Verify::All,
        })?;
        // The node makes new host keys on its new card.
        let known_hosts = record.path().with_file_name(KNOWN_HOSTS);
        if let Err(error) = ssh::forget(&known_hosts, &node.name) {
            let text = format!("{} still has the host key of the old card of {}", known_hosts.display(), node.name);
            reporter.warning(&format!("{text}: {error}"));
        }
        Ok(flashed)
    }
}
