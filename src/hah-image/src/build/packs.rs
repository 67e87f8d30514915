//! Packs of an image: made from .debs and artifacts, opened, and looked into by the configuration passes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hah_format::deb::Entry;
use hah_format::digest::{Hashing, Sha256};
use hah_format::elf::ElfFacts;
use hah_format::kmod::ModuleFacts;
use hah_format::pack::keep::Documents;
use hah_format::pack::{self, Builder, Keep, Locales, Manifest, PackOptions, PackedFile};
use hah_format::path::TreePath;
use hah_format::squashfs::{self, Area, FileData};
use hah_format::tree::{Kind, Meta};
use hah_plan::debian::{Architecture, PackageName, Version};
use hah_plan::derivation::{Encoder, Key};
use hah_plan::rootfs::{Content, Contents, ContentsError, NamedFiles, UnpackedPackage};
use hah_plan::system::System;
use rayon::prelude::*;

pub mod artifact_pack;

use artifact_pack::ArtifactPack;

use crate::files;
use crate::printer::{Outcome, Printer, human_bytes};
use crate::store::{Bucket, Store, StoreError};

/// Largest file that is read back into memory: a kernel is 38 MB, and passes read nothing larger.
const READ_LIMIT: u64 = 256 << 20;

/// An archive to be packed.
#[derive(Clone, Debug)]
pub struct Input {
    /// Package name.
    pub name: PackageName,
    /// Version.
    pub version: Version,
    /// Architecture.
    pub architecture: Architecture,
    /// Digest of the .deb.
    pub sha256: Sha256,
    /// Size of the .deb in bytes.
    pub size: u64,
}

/// How the packages of `system` are packed: what a recipe removes of documentation is not stored at all.
///
/// Each kind is probed with a path that is typical of it, so that the recipes' removals stay the only place that decides.
pub fn options(system: &System) -> PackOptions {
    let stays = |probe: &str| match TreePath::parse(probe) {
        Ok(path) => !system.removes.iter().any(|remove| remove.removes(&path)),
        Err(_) => true,
    };
    options_of(PROBES.map(stays))
}

/// What is typical of documentation, of manual pages, and of translations.
const PROBES: [&str; 3] =
    ["usr/share/doc/probe/README", "usr/share/man/man1/probe.1.gz", "usr/share/locale/de/LC_MESSAGES/probe.mo"];

/// The options when each kind of [`PROBES`] stays or goes.
fn options_of([docs, man, locales]: [bool; 3]) -> PackOptions {
    let documents = |stay| if stay { Documents::Keep } else { Documents::Drop };
    let locales = if locales { Locales::All } else { Locales::None };
    PackOptions { keep: Keep { docs: documents(docs), man: documents(man), locales }, ..PackOptions::default() }
}

/// Every answer that [`options`] can give.
pub fn every_options() -> impl Iterator<Item = PackOptions> {
    (0..1 << PROBES.len()).map(|bits| options_of([bits & 1 != 0, bits & 2 != 0, bits & 4 != 0]))
}

/// The key of the pack of a .deb.
pub fn key(deb: &Sha256, options: &PackOptions) -> Key {
    let mut encoder = Encoder::new("hah-pack");
    encoder.digest("deb", deb);
    encoder.text("options", &options.id());
    encoder.finish()
}

/// The key of a pack of derived files: what they derive from, and how they are packed.
fn derived_key(content: &Sha256) -> Sha256 {
    let mut encoder = Encoder::new("hah-derived");
    encoder.digest("content", content);
    encoder.text("options", &PackOptions::default().id());
    encoder.finish().0
}

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
    pub input: Input,
    /// The pack.
    pub stored: Arc<Stored>,
}

/// Makes what is missing, in parallel, and opens all packs, in the order of `inputs`.
///
/// `debs` are the downloads of `inputs`. A pack that turns out to be damaged is made anew, once.
pub fn realise(
    store: &Store,
    printer: &Printer,
    inputs: &[Input],
    options: &PackOptions,
    deb: &(dyn Fn(&Input) -> PathBuf + Sync),
) -> Result<Vec<Pack>, StoreError> {
    let missing: Vec<&Input> =
        inputs.iter().filter(|input| !store.contains(Bucket::Packs, &key(&input.sha256, options).0)).collect();
    if !missing.is_empty() {
        make(printer, missing, &|input| one(store, input, &deb(input), options))?;
    }
    inputs
        .par_iter()
        .map(|input| {
            let path = store.path(Bucket::Packs, &key(&input.sha256, options).0);
            let manifest = match read_manifest(&path) {
                Ok(manifest) => manifest,
                Err(_) => {
                    // A power cut may have left a pack without its end. Making it again is cheaper than asking.
                    fs_err::remove_file(&path)?;
                    one(store, input, &deb(input), options)?;
                    read_manifest(&path).map_err(StoreError::make)?
                }
            };
            Ok(Pack { input: input.clone(), stored: Arc::new(Stored { path, manifest }) })
        })
        .collect()
}

fn make(
    printer: &Printer,
    mut missing: Vec<&Input>,
    one: &(dyn Fn(&Input) -> Result<(), StoreError> + Sync),
) -> Result<(), StoreError> {
    // The largest first, so that no thread ends up alone with it.
    missing.sort_by_key(|input| (std::cmp::Reverse(input.size), input.name.clone()));
    let bytes: u64 = missing.iter().map(|input| input.size).sum();
    let step = printer.step("Packing", format!("{} packages", missing.len()), Some(bytes));
    let count = missing.len();
    missing.into_par_iter().with_max_len(1).try_for_each(|input| {
        let step_name = format!("{} {}", input.name, input.version);
        step.set_message(&step_name);
        one(input)?;
        step.advance(input.size);
        Ok::<(), StoreError>(())
    })?;
    step.done("Packed", &format!("{count} packages, {}", human_bytes(bytes)), Outcome::Made);
    Ok(())
}

/// The download is hashed as it is read, so that the decompressors need not check their own sums: a pack is made of the
/// very bytes that were locked, or not at all.
fn one(store: &Store, input: &Input, deb: &Path, options: &PackOptions) -> Result<(), StoreError> {
    store.realise(Bucket::Packs, &key(&input.sha256, options).0, |file| {
        let mut reader = BufReader::with_capacity(1 << 16, Hashing::new(fs_err::File::open(deb)?));
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let packed = pack::pack_deb(&mut reader, &mut out, options);
        // What a damaged archive fails with says less than that it is damaged.
        io::copy(&mut reader, &mut io::sink())?;
        let (found, ..) = reader.into_inner().finish();
        if found != input.sha256 {
            fs_err::remove_file(deb)?;
            return Err(StoreError::Damaged { name: input.name.to_string(), wanted: input.sha256, found });
        }
        packed.map_err(|source| StoreError::make(PackFailed { package: input.name.clone(), source }))?;
        out.flush().map_err(StoreError::make)
    })?;
    Ok(())
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

fn read_manifest(path: &Path) -> Result<Manifest, pack::OpenError> {
    let file = files::open(path).map_err(|error| pack::OpenError::from(io::Error::from(error)))?;
    pack::read_manifest(BufReader::with_capacity(1 << 16, file))
}

/// All packs of an image, as one place to read files from: its packages', its artifacts', and those of derived files.
pub struct PackSet {
    store: Arc<Store>,
    packages: Vec<UnpackedPackage>,
    artifacts: Vec<ArtifactPack>,
    /// The packages' packs, then the artifacts'.
    stored: Vec<Arc<Stored>>,
    /// Where the bytes of a digest are: the first pack that has them, and its file.
    by_digest: BTreeMap<Sha256, (usize, FileData)>,
    /// Files of the packs that have been read from, by index.
    open: Vec<Mutex<Option<File>>>,
    /// Packs that configuration passes asked for.
    derived: Mutex<Vec<Arc<Stored>>>,
    /// Keys of what was taken from the store's derived files.
    used_derived: Mutex<BTreeSet<Sha256>>,
}

impl PackSet {
    /// Indexes `packs` and `artifacts`. Derived files are kept in `store`.
    pub fn new(store: Arc<Store>, packs: Vec<Pack>, artifacts: Vec<ArtifactPack>) -> Self {
        let stored: Vec<Arc<Stored>> = packs
            .iter()
            .map(|pack| pack.stored.clone())
            .chain(artifacts.iter().map(|pack| pack.stored.clone()))
            .collect();
        let mut by_digest = BTreeMap::new();
        for (index, stored) in stored.iter().enumerate() {
            for (digest, data) in files(&stored.manifest) {
                by_digest.entry(digest).or_insert_with(|| (index, data.clone()));
            }
        }
        let open = stored.iter().map(|_| Mutex::new(None)).collect();
        let packages = packs.iter().map(unpacked).collect();
        Self {
            store,
            packages,
            artifacts,
            stored,
            by_digest,
            open,
            derived: Mutex::default(),
            used_derived: Mutex::default(),
        }
    }

    /// Every pack: the packages' in order, the artifacts', then the derived ones in the order in which they were asked for.
    pub fn stored(&self) -> Vec<Arc<Stored>> {
        let derived = self.derived.lock().map(|derived| derived.clone()).unwrap_or_default();
        self.stored.iter().cloned().chain(derived).collect()
    }

    /// The artifacts.
    pub fn artifacts(&self) -> &[ArtifactPack] {
        &self.artifacts
    }

    /// Remembers that the image needs the derived file `key`.
    pub fn use_derived(&self, key: Sha256) {
        self.used_derived.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }

    /// The derived files that the image needs: known only when it has been configured.
    pub fn used_derived(&self) -> BTreeSet<Sha256> {
        self.used_derived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The pack of derived files with this key, if it is there and whole.
    fn find_derived(&self, key: &Sha256) -> Option<Stored> {
        let path = self.store.path(Bucket::Derived, &derived_key(key));
        let manifest = read_manifest(&path).ok()?;
        Some(Stored { path, manifest })
    }

    /// Packs `files` under `key`.
    fn keep_derived(&self, key: &Sha256, files: &NamedFiles) -> Result<Stored, StoreError> {
        let key = &derived_key(key);
        let path = self.store.path(Bucket::Derived, key);
        if path.exists() {
            // It was not whole, or it would have been found.
            fs_err::remove_file(&path)?;
        }
        self.store.realise(Bucket::Derived, key, |file| {
            let mut builder = Builder::new(BufWriter::new(file), &PackOptions::default()).map_err(StoreError::make)?;
            for (name, bytes) in files {
                let path = TreePath::parse(name).map_err(StoreError::make)?;
                let entry = Entry { path, meta: Meta::root(0o644), kind: Kind::File(bytes.len() as u64) };
                builder.entry(entry, &mut &bytes[..]).map_err(StoreError::make)?;
            }
            let (_, mut out) = builder.finish().map_err(StoreError::make)?;
            out.flush().map_err(StoreError::make)
        })?;
        let manifest = read_manifest(&path).map_err(StoreError::make)?;
        Ok(Stored { path, manifest })
    }

    /// The packages, as the plan wants them, in order.
    pub fn packages(&self) -> &[UnpackedPackage] {
        &self.packages
    }
}

fn unpacked(Pack { input, stored }: &Pack) -> UnpackedPackage {
    let content = |file: PackedFile| Content::Stored { sha256: file.sha256, size: file.data.size };
    UnpackedPackage {
        name: input.name.clone(),
        version: input.version.clone(),
        architecture: input.architecture,
        control: stored.manifest.control.clone(),
        tree: stored.manifest.tree.clone().map(|_, file| content(file)),
    }
}

impl PackSet {
    fn read_derived(&self, sha256: &Sha256) -> Result<Vec<u8>, ContentsError> {
        let error = |reason: String| ContentsError { sha256: *sha256, reason };
        for stored in self.derived.lock().map_err(|_| error("another reader died".into()))?.iter() {
            if let Some((_, data)) = files(&stored.manifest).find(|(digest, _)| digest == sha256) {
                let mut file = open(&stored.path).map_err(|cause| error(cause.to_string()))?;
                return stored.read(&mut file, data).map_err(error);
            }
        }
        Err(error("no pack has it".into()))
    }
}

impl Stored {
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

fn open(path: &Path) -> Result<File, files::FileError> {
    files::open(path)
}

impl Contents for PackSet {
    fn read(&self, sha256: &Sha256) -> Result<Vec<u8>, ContentsError> {
        let error = |reason: String| ContentsError { sha256: *sha256, reason };
        let Some((index, data)) = self.by_digest.get(sha256) else {
            return self.read_derived(sha256);
        };
        let stored = &self.stored[*index];
        let mut slot = self.open[*index].lock().map_err(|_| error("another reader died".into()))?;
        let file = match slot.as_mut() {
            Some(file) => file,
            None => slot.insert(open(&stored.path).map_err(|cause| error(cause.to_string()))?),
        };
        stored.read(file, data).map_err(error)
    }

    fn derived(
        &self,
        key: &Sha256,
        make: &mut dyn FnMut() -> Option<NamedFiles>,
    ) -> Result<Option<BTreeMap<String, Content>>, ContentsError> {
        let stored = match self.find_derived(key) {
            Some(stored) => stored,
            None => {
                let Some(files) = make() else { return Ok(None) };
                let error = |cause: StoreError| ContentsError { sha256: *key, reason: cause.to_string() };
                self.keep_derived(key, &files).map_err(error)?
            }
        };
        self.use_derived(derived_key(key));
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
        let (index, _) = self.by_digest.get(sha256)?;
        self.stored[*index].manifest.elf.get(sha256)
    }

    fn module(&self, sha256: &Sha256) -> Option<&ModuleFacts> {
        let (index, _) = self.by_digest.get(sha256)?;
        self.stored[*index].manifest.modules.get(sha256)
    }
}
