//! The project: a directory with recipes, images and a lock, over the recipes that this program ships.
//!
//! ```text
//! PROJECT/
//! ├── hah-image.toml     settings (optional)
//! ├── cluster.toml       the fleet (optional)
//! ├── hah.lock           every input, pinned
//! ├── images/NAME.toml   one class of node each
//! ├── recipes/NAME.toml  layers; one of a shipped recipe's name takes its place
//! ├── recipes/boards/    boards
//! ├── recipes/debian/    reviewed maintainer scripts; entries add to the shipped ones
//! ├── schema/            JSON Schema of these files, for editors; nothing here reads it
//! └── out/               what `build` makes
//! ```
//!
//! [`init`] writes one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hah_format::digest::Sha256;
use hah_plan::board::Board;
use hah_plan::cluster::Cluster;
use hah_plan::diagnostic::Diagnostics;
use hah_plan::line_ends;
use hah_plan::lock::{Lock, LockError};
use hah_plan::plan::keys;
use hah_plan::recipe::{self, Override, Sources};
use hah_plan::scripts::{self, ReviewTable};
use hah_plan::system::System;
use include_dir::{Dir, include_dir};

use crate::advice::{Advised, Exit};
use crate::files::draft;
use crate::files::place::{Place, PlaceError};
use crate::files::{self, FileError};

pub mod settings;
pub mod init;
pub mod secrets;
pub mod fleet;
pub mod exposed;

static RECIPES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../recipes");
static IMAGES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../images");

/// Name of the lock file.
pub const LOCK: &str = "hah.lock";
/// Name of the fleet's file.
pub const CLUSTER: &str = "cluster.toml";
/// Largest file of a project, in bytes.
const FILE_MAX: u64 = 16 << 20;
/// How deep directories may nest.
const DEPTH_MAX: usize = 8;

/// A project that cannot be read, or does not say what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// `-C` names no directory.
    #[error("there is no project to open")]
    NoDirectory(#[source] FileError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be replaced.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file stands where none can be written.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Recipes, an image or the cluster say what makes no sense.
    #[error(transparent)]
    Recipes(#[from] Diagnostics),
    /// Reviews say what makes no sense.
    #[error("{0}")]
    Reviews(String),
    /// The lock cannot be used.
    #[error("{}", path.display())]
    Lock {
        /// Where it is.
        path: PathBuf,
        /// The cause, as whoever met it tells it.
        source: LockError,
    },
    /// More than [`DEPTH_MAX`] directories in one another.
    #[error("{}: directories nest too deep", .0.display())]
    TooDeep(PathBuf),
    /// A name that is not UTF-8.
    #[error("{}: the name is not UTF-8", .0.display())]
    Name(PathBuf),
    /// A file that no recipe should carry.
    #[error("{} has {bytes} bytes; a file of a recipe has at most {FILE_MAX}", path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The manifest beside an image is missing or says nothing about a board.
    #[error("{} does not say which board {} is for", manifest.display(), image.display())]
    NoBoard {
        /// The manifest.
        manifest: PathBuf,
        /// Path of the image file.
        image: PathBuf,
    },
}

impl Advised for ProjectError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDirectory(_) => Some("-C names the project's directory".into()),
            Self::File(error) => error.hint().map(str::to_owned),
            Self::Io(error) => error.hint(),
            Self::Place(error) => Some(error.hint()),
            Self::Lock { source, .. } => Some(source.hint().to_owned()),
            Self::TooLarge { .. } => Some("ship large files as a package or an artifact".into()),
            Self::NoBoard { .. } => Some("keep the .json that `build` wrote beside the image".into()),
            Self::Recipes(_) | Self::Reviews(_) | Self::TooDeep(_) | Self::Name(_) => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoDirectory(_) => Exit::Usage,
            _ => Exit::User,
        }
    }

    fn diagnostics(&self) -> Option<&Diagnostics> {
        match self {
            Self::Recipes(diagnostics) => Some(diagnostics),
            _ => None,
        }
    }
}

/// An open project.
pub struct Project {
    root: PathBuf,
    sources: Sources,
    reviews: Vec<(String, String)>,
    /// Names of the images that are files of the project itself.
    own_images: BTreeSet<String>,
}

impl Project {
    /// Opens the project at `directory`; from the current directory, looks for it in the directories above too.
    pub fn open(directory: &Path) -> Result<Self, ProjectError> {
        let mut project = Self { root: find(directory)?, ..Self::shipped() };
        for name in ["recipes", "images"] {
            let directory = project.root.join(name);
            if directory.is_dir() {
                project.add_directory(&directory, name, 0)?;
            }
        }
        project.reviews.sort();
        Ok(project)
    }

    /// What every project begins with: the recipes and images that this program ships, in no directory.
    pub fn shipped() -> Self {
        let mut project =
            Self { root: PathBuf::new(), sources: Sources::new(), reviews: Vec::new(), own_images: BTreeSet::new() };
        for (prefix, embedded) in [("recipes", &RECIPES), ("images", &IMAGES)] {
            project.add_embedded(prefix, embedded);
        }
        project
    }

    /// The project's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the image `name` is written without `-o`.
    pub fn output(&self, name: &str) -> PathBuf {
        self.root.join("out").join(format!("{name}.img"))
    }

    /// The files of recipes and images.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Names of the images that the project has itself, in place of shipped ones or besides.
    pub fn own_images(&self) -> &BTreeSet<String> {
        &self.own_images
    }

    /// What the image `name` is to be. A fleet that is closed has a say in it.
    pub fn system(&self, name: &str, overrides: &[Override]) -> Result<System, ProjectError> {
        let closed = self.cluster_text()?.map(|text| recipe::closed(CLUSTER, &text)).transpose()?.flatten();
        Ok(recipe::load_for(&self.sources, name, overrides, closed.as_ref())?)
    }

    /// The fleet, if the project has one.
    pub fn cluster(&self) -> Result<Option<Cluster>, ProjectError> {
        let text = self.cluster_text()?;
        Ok(text.map(|text| recipe::load_cluster(CLUSTER, &text)).transpose()?)
    }

    fn cluster_text(&self) -> Result<Option<String>, ProjectError> {
        // What is shipped is in no directory.
        if self.root.as_os_str().is_empty() {
            return Ok(None);
        }
        match files::read_to_string(self.root.join(CLUSTER)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The reviewed maintainer scripts, and the digest of what declares them.
    pub fn reviews(&self) -> Result<(ReviewTable, Sha256), ProjectError> {
        let sources: Vec<(&str, &str)> =
            self.reviews.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let table = scripts::parse_table(&sources).map_err(|errors| {
            let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
            ProjectError::Reviews(text.join("\n"))
        })?;
        Ok((table, keys::reviews(&sources)))
    }

    /// The lock, if there is one. Where none can be written, none is read: whoever locks asks here first.
    pub fn lock(&self) -> Result<Option<Lock>, ProjectError> {
        let path = self.root.join(LOCK);
        let text = match files::read_to_string(Place::of(&path)?.path()) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Lock::parse(&text).map(Some).map_err(|source| ProjectError::Lock { path, source })
    }

    /// Replaces the lock, whole or not at all.
    pub fn write_lock(&self, lock: &Lock) -> Result<(), ProjectError> {
        Ok(draft::write(&self.root.join(LOCK), lock.to_string().as_bytes())?)
    }

    fn add_embedded(&mut self, prefix: &str, directory: &Dir<'_>) {
        for entry in directory.entries() {
            match entry {
                include_dir::DirEntry::Dir(directory) => self.add_embedded(prefix, directory),
                include_dir::DirEntry::File(file) => {
                    let name = format!("{prefix}/{}", file.path().display());
                    self.add(&name, &format!("<shipped>/{name}"), file.contents().to_vec());
                }
            }
        }
    }

    fn add_directory(&mut self, directory: &Path, prefix: &str, depth: usize) -> Result<(), ProjectError> {
        if depth > DEPTH_MAX {
            return Err(ProjectError::TooDeep(directory.to_owned()));
        }
        for path in files::entries(directory)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(ProjectError::Name(path));
            };
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            let relative = format!("{prefix}/{name}");
            let metadata = files::metadata(&path)?;
            if metadata.is_dir() {
                self.add_directory(&path, &relative, depth + 1)?;
            } else if metadata.len() > FILE_MAX {
                return Err(ProjectError::TooLarge { path, bytes: metadata.len() });
            } else {
                let image = relative.strip_prefix("images/").and_then(|name| name.strip_suffix(".toml"));
                self.own_images.extend(image.filter(|name| !name.contains('/')).map(str::to_owned));
                self.add(&relative, &shown(&path), files::read(&path)?);
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, shown: &str, bytes: Vec<u8>) {
        if let Some(file) = name.strip_prefix("recipes/debian/") {
            if !file.ends_with(".toml") {
                return;
            }
            let text = line_ends::normalised(String::from_utf8_lossy(&bytes).into_owned());
            self.reviews.retain(|(existing, _)| existing != file);
            self.reviews.push((file.to_owned(), text));
        } else {
            self.sources.insert(name, shown, bytes);
        }
    }
}

/// A path as messages show it: relative to where the person is.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    relative.strip_prefix(".").unwrap_or(relative).display().to_string()
}

/// The text of the shipped file `images/NAME.toml`.
pub fn shipped_image(name: &str) -> Option<&'static str> {
    IMAGES.get_file(format!("{name}.toml"))?.contents_utf8()
}

/// The directory whose settings count for `directory`: that of the project, if there is one.
pub fn settings_directory(directory: &Path) -> PathBuf {
    find(directory).unwrap_or_else(|_| directory.to_owned())
}

/// The project's directory: `directory` itself, or the nearest one above the current one that looks like a project.
fn find(directory: &Path) -> Result<PathBuf, ProjectError> {
    let start = files::canonicalize(directory).map_err(ProjectError::NoDirectory)?;
    let looks_right = |path: &Path| {
        path.join("hah-image.toml").is_file() || path.join(LOCK).is_file() || path.join("images").is_dir()
    };
    let found = start.ancestors().find(|path| looks_right(path)).map(Path::to_owned);
    Ok(found.unwrap_or(start))
}

/// The board that the image at `path` was built for, from the manifest beside it.
pub fn board_of(project: &Project, path: &Path) -> Result<Board, ProjectError> {
    let manifest = path.with_extension("json");
    let name = files::read(&manifest)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .and_then(|value| value.get("board")?.as_str().map(str::to_owned));
    let name = name.ok_or_else(|| ProjectError::NoBoard { manifest, image: path.to_owned() })?;
    Ok(recipe::load_board(&project.sources, &name)?)
}
