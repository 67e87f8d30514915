//! Packs of artifacts: every member of the file once, of which images take what their recipes install.
//!
//! A pack is keyed by the artifact's digest and its format, so that another path, mode or member costs nothing.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use hah_format::archive::{self, WHOLE};
use hah_format::digest::Sha256;
use hah_format::elf::{self, Program};
use hah_format::pack::{self, Manifest};
use hah_format::path::TreePath;
use hah_format::squashfs::{Area, FileData, FileReader};
use hah_format::tree::{Kind, Meta, Node, Owner};
use hah_plan::artifact::{Artifact, Format, Install};
use hah_plan::diagnostic::did_you_mean;
use hah_plan::lock::LockedArtifact;
use hah_plan::plan::{ArtifactStep, Key, packing};
use hah_plan::rootfs::{Content, Root, UnpackedArtifact};

use super::Stored;
use crate::failure::Failure;
use crate::files;
use crate::store::{Bucket, Store, StoreError};

/// The pack of an artifact.
pub struct ArtifactPack {
    /// What the recipe says.
    pub artifact: Artifact,
    /// What the lock says.
    pub locked: LockedArtifact,
    /// The pack.
    pub stored: Arc<Stored>,
}

/// Packs the artifact that was downloaded as `file`.
pub fn pack_artifact(store: &Store, key: &Key, step: &ArtifactStep, file: &Path) -> Result<(), StoreError> {
    let format = match step.format {
        Format::File => archive::Format::File,
        Format::Zip => archive::Format::Zip,
        Format::TarGz => archive::Format::TarGz,
    };
    let made = store.realise(Bucket::Packs, &key.0, |draft| {
        let source = BufReader::with_capacity(1 << 16, files::open(file)?);
        let mut out = BufWriter::with_capacity(1 << 20, draft);
        pack::pack_archive(source, format, &archive::Limits::default(), &mut out, &packing::of_artifacts()).map_err(
            |source| StoreError::make(Unpackable { artifact: format!("{} {}", step.name, step.version), source }),
        )?;
        out.flush().map_err(StoreError::make)
    });
    made.map(drop)
}

/// An artifact that could not be packed.
#[derive(Debug, thiserror::Error)]
#[error("cannot unpack artifact {artifact}: {}", super::told(source))]
struct Unpackable {
    artifact: String,
    source: pack::PackError,
}

impl ArtifactPack {
    /// What the recipe installs, where it is to be.
    pub fn unpacked(&self) -> Result<UnpackedArtifact, Failure> {
        let mut tree = Root::new();
        for install in &self.artifact.install {
            let file = self.file(install)?;
            let content = Content::Stored { sha256: file.0, size: file.1.size };
            let (user, group) = (Owner::parse(&install.user), Owner::parse(&install.group));
            let meta = Meta { user, group, ..Meta::root(install.mode) };
            tree.insert(install.path.clone(), Node { meta, kind: Kind::File(content) })
                .map_err(|error| Failure::build(format!("artifact {}: {error}", self.artifact), None))?;
        }
        Ok(UnpackedArtifact { name: self.artifact.name.clone(), tree })
    }

    /// The file that `install` names: its digest and where its bytes are.
    fn file(&self, install: &Install) -> Result<(Sha256, &FileData), Failure> {
        let whole = TreePath::parse(WHOLE).map_err(|error| Failure::build(error.to_string(), None))?;
        let member = install.member.as_ref().unwrap_or(&whole);
        let tree = &self.stored.manifest.tree;
        let found = match tree.get(member).map(|node| &node.kind) {
            Some(Kind::HardLink(first)) => tree.get(first).map(|node| &node.kind),
            found => found,
        };
        let problem = match found {
            Some(Kind::File(file)) => return Ok((file.sha256, &file.data)),
            Some(Kind::Symlink(target)) => format!("is a symbolic link to `{target}`"),
            Some(other) => format!("is a {}", other.noun()),
            None => "is not there".to_owned(),
        };
        Err(Failure::build(
            format!("artifact {}: member `{}` {problem}", self.artifact, member.as_str()),
            Some(self.similar(member)),
        ))
    }

    /// Members that may have been meant.
    fn similar(&self, wanted: &TreePath) -> String {
        let files = self.stored.manifest.tree.iter().filter(|(_, node)| matches!(node.kind, Kind::File(_)));
        let files: Vec<&TreePath> = files.map(|(path, _)| path).collect();
        let same: Vec<&str> =
            files.iter().filter(|path| path.name() == wanted.name()).map(|path| path.as_str()).collect();
        if !same.is_empty() {
            return format!("did you mean {}?", quoted(&same));
        }
        if let Some(near) = did_you_mean(wanted.as_str(), files.iter().map(|path| path.as_str())) {
            return format!("did you mean `{near}`?");
        }
        let some: Vec<&str> = files.iter().take(10).map(|path| path.as_str()).collect();
        let more =
            if files.len() > some.len() { format!(" and {} more", files.len() - some.len()) } else { String::new() };
        format!("its files: {}{more}", quoted(&some))
    }

    /// The programs that the recipe installs, by where; a file that begins like one and cannot be read as one is `None`.
    pub fn programs(&self) -> Result<Vec<(&TreePath, Option<Program>)>, Failure> {
        let mut programs = Vec::new();
        for install in &self.artifact.install {
            let (_, data) = self.file(install)?;
            let failed = |error: &dyn std::error::Error| {
                let hint = "`hah-image store verify` finds and removes damaged packs".to_owned();
                Failure::build(format!("artifact {}: {}: {error}", self.artifact, install.path), Some(hint))
            };
            let mut file = files::open(&self.stored.path)?;
            let Manifest { block_size, fragments, .. } = &self.stored.manifest;
            let area = Area { source: &mut file, start: 0, block_size: *block_size, fragments };
            let mut reader = FileReader::<File>::new(area, data).map_err(|error| failed(&error))?;
            let mut magic = Vec::new();
            (&mut reader).take(4).read_to_end(&mut magic).map_err(|error| failed(&error))?;
            if magic == b"\x7fELF" {
                reader.rewind().map_err(|error| failed(&error))?;
                programs.push((&install.path, elf::program(reader)));
            }
        }
        Ok(programs)
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
