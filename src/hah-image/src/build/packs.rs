//! Packs of an image: made from .debs and artifacts, opened, and looked into by the configuration passes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hah_format::deb::Entry;
use hah_format::digest::{Hashing, Sha256};
use hah_format::elf::ElfFacts;
use hah_format::kmod::ModuleFacts;
use hah_format::pack::{self, Builder, Manifest, PackedFile};
use hah_format::path::TreePath;
use hah_format::squashfs::{self, Area, FileData};
use hah_format::tree::{Kind, Meta};
use hah_plan::contents::{Contents, ContentsError, NamedFiles};
use hah_plan::debian::PackageName;
use hah_plan::merge::{self, MergeError, MergedPackages};
use hah_plan::plan::{Derivation, Key, PackStep, packing};
use hah_plan::rootfs::{Content, UnpackedPackage};
use hah_plan::scripts::{self, ReviewTable};

pub mod artifact_pack;

use artifact_pack::ArtifactPack;

use crate::files;
use crate::printer::Outcome;
use crate::store::{Bucket, Store, StoreError};

/// Largest file that is read back into memory: a kernel is 38 MB, and passes read nothing larger.
const READ_LIMIT: u64 = 256 << 20;

/// A pack that is in the store.
pub struct Stored {
    /// Where the pack is.
    pub path: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
}

/// The pack of a package.
pub struct Pack {
    /// What was packed.
    pub step: PackStep,
    /// The pack.
    pub stored: Arc<Stored>,
}

impl Stored {
    /// Opens the pack at `path`.
    ///
    /// # Errors
    /// When it is not whole: a power cut may have left it without its end.
    pub fn open(path: PathBuf) -> Result<Self, pack::OpenError> {
        let file = files::open(&path).map_err(|error| pack::OpenError::from(io::Error::from(error)))?;
        let manifest = pack::read_manifest(BufReader::with_capacity(1 << 16, file))?;
        Ok(Self { path, manifest })
    }
}

/// Packs the .deb that was downloaded as `deb`.
///
/// The download is hashed as it is read, so that the decompressors need not check their own sums: a pack is made of the
/// very bytes that were locked, or not at all.
pub fn pack_package(store: &Store, key: &Key, step: &PackStep, deb: &Path) -> Result<(), StoreError> {
    store.realise(Bucket::Packs, &key.0, |file| {
        let mut reader = BufReader::with_capacity(1 << 16, Hashing::new(files::open(deb)?));
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let packed = pack::pack_deb(&mut reader, &mut out, &step.options);
        // What a damaged archive fails with says less than that it is damaged.
        io::copy(&mut reader, &mut io::sink())?;
        let (found, ..) = reader.into_inner().finish();
        if found != step.sha256 {
            files::remove(deb)?;
            return Err(StoreError::Damaged { name: step.name.to_string(), wanted: step.sha256, found });
        }
        packed.map_err(|source| StoreError::make(PackFailed { package: step.name.clone(), source }))?;
        out.flush().map_err(StoreError::make)
    })?;
    Ok(())
}

/// Packs files that were made from others, and opens the pack.
///
/// What is in the store under this key and is not whole is made anew.
pub fn pack_derived(store: &Store, key: &Key, files: &NamedFiles) -> Result<Stored, StoreError> {
    let path = store.path(Bucket::Derived, &key.0);
    if Stored::open(path.clone()).is_err() {
        store.remove(Bucket::Derived, &key.0)?;
    }
    store.realise(Bucket::Derived, &key.0, |file| {
        let options = packing::of_derived();
        let mut builder = Builder::new(BufWriter::new(file), &options).map_err(StoreError::make)?;
        for (name, bytes) in files {
            let path = TreePath::parse(name).map_err(StoreError::make)?;
            let entry = Entry { path, meta: Meta::root(0o644), kind: Kind::File(bytes.len() as u64) };
            builder.entry(entry, &mut &bytes[..]).map_err(StoreError::make)?;
        }
        let (_, mut out) = builder.finish().map_err(StoreError::make)?;
        out.flush().map_err(StoreError::make)
    })?;
    Stored::open(path).map_err(StoreError::make)
}

/// A package that could not be packed.
#[derive(Debug, thiserror::Error)]
#[error("cannot pack {package}: {}", told(source))]
pub struct PackFailed {
    package: PackageName,
    source: pack::PackError,
}

/// The error with what is behind it, and what to do next.
fn told(error: &pack::PackError) -> String {
    match files::system_error(error) {
        // The store has the hint for these.
        Some(cause) => format!("{error}: {cause}"),
        None => format!("{error}\n hint: {}", error.hint()),
    }
}

/// What images of the same packs have in common: where every file is, and the merged packages.
pub struct PackIndex {
    /// The packages, as the plan wants them.
    packages: Vec<UnpackedPackage>,
    /// The packages' packs, then the artifacts'.
    stored: Vec<Arc<Stored>>,
    /// Where the bytes of a digest are: the first pack that has them, and its file.
    by_digest: BTreeMap<Sha256, (usize, FileData)>,
    /// Files of the packs that have been read from, by index.
    open: Vec<Mutex<Option<File>>>,
    /// The packages merged, when somebody has asked for them.
    merged: OnceLock<Result<MergedPackages, MergeError>>,
}

impl PackIndex {
    /// Of packages' and artifacts' packs.
    pub fn new(packs: &[Pack], artifacts: &[Arc<Stored>]) -> Self {
        let stored: Vec<Arc<Stored>> =
            packs.iter().map(|pack| pack.stored.clone()).chain(artifacts.iter().cloned()).collect();
        let mut by_digest = BTreeMap::new();
        for (index, stored) in stored.iter().enumerate() {
            for (digest, data) in files(&stored.manifest) {
                by_digest.entry(digest).or_insert_with(|| (index, data.clone()));
            }
        }
        let open = stored.iter().map(|_| Mutex::new(None)).collect();
        let packages = packs.iter().map(unpacked).collect();
        Self { packages, stored, by_digest, open, merged: OnceLock::new() }
    }
}

/// All packs of an image, as one place to read files from: its packages', its artifacts', and those of derived files.
pub struct PackSet {
    store: Arc<Store>,
    index: Arc<PackIndex>,
    artifacts: Vec<ArtifactPack>,
    /// Packs that configuration passes asked for.
    derived: Mutex<Vec<Arc<Stored>>>,
    /// The steps behind them, in the order in which they were asked for, and whether each was made now.
    outputs: Mutex<Vec<(Derivation, Outcome)>>,
}

impl PackSet {
    /// The packs of an image, whose artifacts are in the index. Derived files are kept in `store`.
    pub fn new(store: Arc<Store>, index: Arc<PackIndex>, artifacts: Vec<ArtifactPack>) -> Self {
        Self { store, index, artifacts, derived: Mutex::default(), outputs: Mutex::default() }
    }

    /// The packages merged; once for all images that share the index. All of them have one review table.
    pub fn merged(&self, reviews: &ReviewTable) -> Result<MergedPackages, MergeError> {
        let merge = || merge::merge_packages(self.packages(), &scripts::diversions(self.packages(), self, reviews));
        self.index.merged.get_or_init(merge).clone()
    }

    /// Every pack: the packages' in order, the artifacts', then the derived ones in the order in which they were asked for.
    pub fn stored(&self) -> Vec<Arc<Stored>> {
        let derived = self.derived.lock().map(|derived| derived.clone()).unwrap_or_default();
        self.index.stored.iter().cloned().chain(derived).collect()
    }

    /// The artifacts.
    pub fn artifacts(&self) -> &[ArtifactPack] {
        &self.artifacts
    }

    /// The steps of derived files that the image needs, which are known only when it has been configured; and whether
    /// each was made now.
    pub fn outputs(&self) -> Vec<(Derivation, Outcome)> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The packages, as the plan wants them, in order.
    pub fn packages(&self) -> &[UnpackedPackage] {
        &self.index.packages
    }
}

fn unpacked(Pack { step, stored }: &Pack) -> UnpackedPackage {
    let content = |file: PackedFile| Content::Stored { sha256: file.sha256, size: file.data.size };
    UnpackedPackage {
        name: step.name.clone(),
        version: step.version.clone(),
        architecture: step.architecture,
        control: stored.manifest.control.clone(),
        tree: stored.manifest.tree.clone().map(|_, file| content(file)),
    }
}

impl PackSet {
    fn read_derived(&self, sha256: &Sha256) -> Result<Vec<u8>, ContentsError> {
        let error = |reason: String| ContentsError { sha256: *sha256, reason };
        for stored in self.derived.lock().map_err(|_| error("another reader died".into()))?.iter() {
            if let Some((_, data)) = files(&stored.manifest).find(|(digest, _)| digest == sha256) {
                let mut file = files::open(&stored.path).map_err(|cause| error(cause.to_string()))?;
                return stored.read(&mut file, data).map_err(error);
            }
        }
        Err(error("no pack has it".into()))
    }
}

impl Stored {
    /// The whole file `name` of the pack, if it is there and is what was packed.
    pub fn intact_file(&self, name: &str) -> Option<Vec<u8>> {
        let node = self.manifest.tree.get(&TreePath::parse(name).ok()?)?;
        let Kind::File(packed) = &node.kind else { return None };
        let bytes = self.read(&mut files::open(&self.path).ok()?, &packed.data).ok()?;
        (Sha256::of(&bytes) == packed.sha256).then_some(bytes)
    }

    /// A file of the pack, whole.
    fn read(&self, file: &mut File, data: &FileData) -> Result<Vec<u8>, String> {
        let Manifest { block_size, fragments, .. } = &self.manifest;
        let area = Area { source: file, start: 0, block_size: *block_size, fragments };
        squashfs::read_file(area, data, READ_LIMIT)
            .map_err(|cause| format!("{}: {cause}; {}", self.path.display(), cause.hint()))
    }
}

/// The regular files of a pack: digest and place.
fn files(manifest: &Manifest) -> impl Iterator<Item = (Sha256, &FileData)> {
    manifest.tree.iter().filter_map(|(_, node)| match &node.kind {
        Kind::File(file) => Some((file.sha256, &file.data)),
        _ => None,
    })
}

impl Contents for PackSet {
    fn read(&self, sha256: &Sha256) -> Result<Vec<u8>, ContentsError> {
        let error = |reason: String| ContentsError { sha256: *sha256, reason };
        let Some((index, data)) = self.index.by_digest.get(sha256) else {
            return self.read_derived(sha256);
        };
        let stored = &self.index.stored[*index];
        let mut slot = self.index.open[*index].lock().map_err(|_| error("another reader died".into()))?;
        let file = match slot.as_mut() {
            Some(file) => file,
            None => slot.insert(files::open(&stored.path).map_err(|cause| error(cause.to_string()))?),
        };
        stored.read(file, data).map_err(error)
    }

    fn derived(
        &self,
        step: &Derivation,
        make: &mut dyn FnMut() -> Option<NamedFiles>,
    ) -> Result<Option<BTreeMap<String, Content>>, ContentsError> {
        let found = Stored::open(self.store.path(Bucket::Derived, &step.key.0));
        let (stored, outcome) = match found {
            Ok(stored) => (stored, Outcome::Cached),
            Err(_) => {
                let Some(files) = make() else { return Ok(None) };
                let error = |cause: StoreError| ContentsError { sha256: step.key.0, reason: cause.to_string() };
                (pack_derived(&self.store, &step.key, &files).map_err(error)?, Outcome::Made)
            }
        };
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).push((step.clone(), outcome));
        let content = |data: &PackedFile| Content::Stored { sha256: data.sha256, size: data.data.size };
        let contents = stored.manifest.tree.iter().filter_map(|(path, node)| match &node.kind {
            Kind::File(file) => Some((path.as_str().to_owned(), content(file))),
            _ => None,
        });
        let contents = contents.collect();
        if let Ok(mut derived) = self.derived.lock() {
            derived.push(Arc::new(stored));
        }
        Ok(Some(contents))
    }

    fn elf(&self, sha256: &Sha256) -> Option<&ElfFacts> {
        let (index, _) = self.index.by_digest.get(sha256)?;
        self.index.stored[*index].manifest.elf.get(sha256)
    }

    fn module(&self, sha256: &Sha256) -> Option<&ModuleFacts> {
        let (index, _) = self.index.by_digest.get(sha256)?;
        self.index.stored[*index].manifest.modules.get(sha256)
    }
}
