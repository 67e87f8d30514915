//! A built image as what is sent to nodes: its closure, and the bytes of every chunk, read from the image's own file.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hah_format::digest::Sha256;
use hah_format::disk::Extent;
use hah_format::disk::window::Window;
use hah_format::path::TreePath;
use hah_node::generation::closure::{self, Chunk, Closure};
use hah_node::generation::{Digest, Slot};

use super::DeployError;
use crate::build::assemble::closure::{EXTENSION, SIGNATURE_EXTENSION, id};
use crate::files;

/// Which nodes take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Those that run nothing newer.
    Newer,
    /// Those, too: it says so, and is another generation because of it.
    Any,
}

/// An image that is ready to be sent.
pub struct Parcel {
    /// The digest that names the generation.
    pub id: Digest,
    /// That of the closure beside the image, which is another one with [`Age::Any`].
    pub built: Digest,
    /// The closure's text.
    pub text: Vec<u8>,
    /// What the text says.
    pub closure: Closure,
    /// The image's manifest.
    pub manifest: Vec<u8>,
    /// The signature of the text; empty when nobody signed it.
    pub signature: Vec<u8>,
    path: PathBuf,
    file: File,
    boot: Extent,
    /// By their index in [`Closure::distinct`].
    chunks: Vec<(Chunk, Place)>,
    /// Boot files that have been read.
    read: Mutex<BTreeMap<String, Arc<[u8]>>>,
}

/// Where the bytes of a chunk are.
enum Place {
    /// In the image, from this byte on.
    Image(u64),
    /// In a boot file, from this byte on.
    Boot(String, u64),
}

impl Parcel {
    /// Opens the image at `image`, with what stands beside it.
    ///
    /// # Errors
    /// When one of the files is not there, or they do not belong together.
    pub fn open(image: &Path, age: Age) -> Result<Self, DeployError> {
        let path = image.with_extension(EXTENSION);
        let mut text = files::read_up_to(&path, closure::TEXT_MAX as u64 + 1)?;
        let failed = |source| DeployError::Closure { path: path.clone(), source };
        let mut closure = closure::parse(&text).map_err(failed)?;
        let mut signature =
            files::if_there(files::read_up_to(image.with_extension(SIGNATURE_EXTENSION), 4096))?.unwrap_or_default();
        let built = id(&text);
        if age == Age::Any && !closure.allow_older {
            closure.allow_older = true;
            text = closure.encode().map_err(failed)?;
            // It was made of the other text.
            signature.clear();
        }
        let manifest = files::read(image.with_extension("json"))?;
        let unfit = |what: String| DeployError::Image { path: image.to_owned(), what };
        let mut file = files::open(image)?;
        let table = hah_format::disk::read(&mut file).map_err(|error| unfit(error.to_string()))?;
        let [boot, root, ..] = table.partitions.as_slice() else {
            return Err(unfit("it has not two partitions".to_owned()));
        };
        if closure.root_bytes() > root.extent.length_bytes() {
            return Err(unfit("its root partition is smaller".to_owned()));
        }
        let mut places = places(&closure, root.extent.offset_bytes());
        Ok(Self {
            id: id(&text),
            built,
            chunks: closure
                .distinct()
                .into_iter()
                .filter_map(|chunk| Some((chunk, places.remove(&chunk.0)?)))
                .collect(),
            boot: boot.extent,
            path: image.to_owned(),
            text,
            closure,
            manifest,
            signature,
            file,
            read: Mutex::default(),
        })
    }

    /// How many chunks there are.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Never: there is always a root.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Bytes of these chunks.
    pub fn bytes_of(&self, indices: &[u32]) -> u64 {
        let chunk = |index: &u32| self.chunks.get(usize::try_from(*index).ok()?);
        indices.iter().filter_map(chunk).map(|(chunk, _)| u64::from(chunk.1)).sum()
    }

    /// The bytes of a chunk, which are what its digest says.
    ///
    /// # Errors
    /// When the image cannot be read, or has changed since it was built.
    pub fn chunk(&self, index: u32) -> Result<Vec<u8>, DeployError> {
        let unfit = |what: String| DeployError::Image { path: self.path.clone(), what };
        let found = usize::try_from(index).ok().and_then(|index| self.chunks.get(index));
        let (Chunk(digest, length), place) = found.ok_or_else(|| unfit(format!("there is no chunk {index}")))?;
        let mut bytes = vec![0; usize::try_from(*length).unwrap_or(0)];
        match place {
            Place::Image(offset) => self.file.read_exact_at(&mut bytes, *offset)?,
            Place::Boot(name, offset) => {
                let file = self.boot_file(name)?;
                let start = usize::try_from(*offset).unwrap_or(usize::MAX);
                let part = file.get(start..).and_then(|rest| rest.get(..bytes.len()));
                bytes.copy_from_slice(part.ok_or_else(|| unfit(format!("{name} is shorter")))?);
            }
        }
        match Sha256::of(&bytes).as_bytes() == &digest.0 {
            true => Ok(bytes),
            false => Err(unfit(format!("chunk {index} has other bytes"))),
        }
    }

    fn boot_file(&self, name: &str) -> Result<Arc<[u8]>, DeployError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = read.get(name) {
            return Ok(bytes.clone());
        }
        let unfit = |what: String| DeployError::Image { path: self.path.clone(), what };
        let path = TreePath::parse(&format!("{}/{name}", Slot::FLASHED.boot_directory()))
            .map_err(|error| unfit(error.to_string()))?;
        let window = Window::new(files::open(&self.path)?, self.boot.offset_bytes(), self.boot.length_bytes())?;
        let bytes = hah_format::fat::read_file(window, &path).map_err(|error| unfit(error.to_string()))?;
        let bytes: Arc<[u8]> = bytes.into();
        read.insert(name.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

/// Where each digest's bytes are first found.
fn places(closure: &Closure, root: u64) -> BTreeMap<Digest, Place> {
    let mut places = BTreeMap::new();
    let mut at = root;
    for Chunk(digest, length) in &closure.root {
        places.entry(*digest).or_insert(Place::Image(at));
        at += u64::from(*length);
    }
    for file in &closure.boot {
        let mut at = 0;
        for Chunk(digest, length) in &file.chunks {
            places.entry(*digest).or_insert_with(|| Place::Boot(file.name.clone(), at));
            at += u64::from(*length);
        }
    }
    places
}
