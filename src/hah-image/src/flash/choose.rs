//! From a path to an open card: looked at, found fit, and what will be lost on it known. Asking is the verb's part.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use hah_plan::recipe::ByteSize;

use super::card;
use super::device::{Device, Kernel};
use super::refusal::{Limits, Needs, Refusal, refusal};
use super::source::Image;
use super::target::{OpenError, OpenTarget, Target as _, grant};
use crate::advice::{Advised, Exit};
use crate::files;
use crate::files::place::{Place, PlaceError};
use crate::printer::human_bytes;

/// What is allowed to become a card.
#[derive(Clone, Copy)]
pub struct Rules {
    /// Of devices.
    pub limits: Limits,
    /// Size of a file that is made, in bytes.
    pub size: Option<u64>,
}

/// Somebody's card, before anything is written onto it.
pub struct FoundCard {
    /// Open, for us alone.
    pub target: OpenTarget,
    /// What it is; none for a file.
    pub device: Option<Device>,
    /// Whose identity it holds, if it was flashed and has not booted yet.
    pub owner: Option<String>,
    /// What will be lost; none when it is made new.
    pub loses: Option<String>,
}

/// Why a path is not a card.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    /// A character device, a directory, a pipe.
    #[error("{} is no disk and no file", .0.display())]
    NotADisk(PathBuf),
    /// Nothing is there, and no file seems to be meant.
    #[error("there is no {}", .0.display())]
    NotThere(PathBuf),
    /// No file may be made there.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Something speaks against this device.
    #[error("{shown} {refusal}")]
    Device {
        /// The device as messages show it.
        shown: String,
        /// What speaks against it.
        refusal: Refusal,
    },
    /// Something speaks against this file.
    #[error("{} {refusal}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// What speaks against it.
        refusal: Refusal,
        /// The smallest file that would do.
        least: Option<ByteSize>,
    },
    /// `--size` is too small for an image.
    #[error("--size is smaller than the image, which has {0} bytes")]
    SmallerThanImage(u64),
    /// `--size` is too small for a node.
    #[error("a file of {bytes} bytes {refusal}")]
    Size {
        /// Bytes of `--size`.
        bytes: u64,
        /// What speaks against it.
        refusal: Refusal,
        /// The smallest file that would do.
        least: Option<ByteSize>,
    },
    /// `--size` for a file that is there.
    #[error("{} is there, with {length} bytes", path.display())]
    OtherSize {
        /// Path of the file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
    },
    /// A file onto itself.
    #[error("image and target are the same file")]
    SameFile,
    /// Somebody else has it open.
    #[error("{} is in use", .0.display())]
    Busy(PathBuf),
    /// The person may not write it.
    #[error("{} is not writable for you", .0.display())]
    Denied(PathBuf),
    /// The lock switch.
    #[error("{} is write-protected", .0.display())]
    Protected(PathBuf),
    /// It cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// Path of the device or file.
        path: PathBuf,
        /// The cause, as whoever met it tells it.
        source: io::Error,
    },
}

impl ChooseError {
    /// Whether the person should see which cards there are.
    pub fn wants_list(&self) -> bool {
        matches!(self, Self::NotADisk(_) | Self::NotThere(_))
    }

    fn opening(path: &Path) -> impl FnOnce(OpenError) -> Self {
        let path = path.to_owned();
        move |error| match error {
            OpenError::Busy => Self::Busy(path),
            OpenError::Io(source) => match source.kind() {
                io::ErrorKind::PermissionDenied => Self::Denied(path),
                io::ErrorKind::ReadOnlyFilesystem => Self::Protected(path),
                _ => Self::Open { path, source },
            },
        }
    }
}

impl Advised for ChooseError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotADisk(_) | Self::SmallerThanImage(_) | Self::SameFile | Self::Open { .. } => return None,
            Self::Size { least, .. } => return least.map(|least| format!("say --size '{least}' or more")),
            Self::NotThere(_) => "to make a file, call it NAME.img or say --size".into(),
            Self::Place(error) => error.hint(),
            Self::Device { refusal, .. } => refusal.hint(),
            Self::File { least: Some(least), .. } => {
                format!("enlarge it, or remove it and say --size '{least}' or more")
            }
            Self::File { least: None, .. } => "remove it, and flash makes one that fits".into(),
            Self::OtherSize { .. } => "remove it, or leave out --size".into(),
            Self::Busy(_) => "another flash, a mount or a volume group has it: `lsblk` and `fuser` tell which".into(),
            Self::Denied(path) => format!("allow yourself this one device until it is unplugged: {}", grant(path)),
            Self::Protected(_) => "look at the lock switch of the card or its adapter".into(),
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NotADisk(_) | Self::NotThere(_) | Self::SameFile => Exit::Usage,
            _ => Exit::User,
        }
    }
}

/// The way to a target for one image.
#[derive(Clone, Copy)]
pub struct Chooser<'a> {
    /// What goes onto it.
    pub image: &'a Image,
    /// What the image wants of it.
    pub needs: Needs,
    /// What the person allows.
    pub rules: Rules,
}

impl Chooser<'_> {
    /// Opens what a path leads to, if nothing speaks against it. Nothing is lost yet.
    pub fn open(&self, path: &Path) -> Result<FoundCard, ChooseError> {
        let Ok(metadata) = files::metadata(path) else { return self.new_file(path) };
        let kind = metadata.file_type();
        if kind.is_file() {
            return self.file(path, metadata.len());
        }
        let is_device = kind.is_block_device() || cfg!(not(target_os = "linux"));
        let device = is_device.then(|| Kernel::here().at(path)).flatten();
        let Some(device) = device else { return Err(ChooseError::NotADisk(path.to_owned())) };
        if let Some(refusal) = refusal(&device, &self.needs, &self.rules.limits) {
            return Err(ChooseError::Device { shown: shown(path, &device), refusal });
        }
        let mut target = OpenTarget::device(&device.path).map_err(ChooseError::opening(&device.path))?;
        let owner = card::owner(&mut target, device.bytes);
        Ok(FoundCard { target, owner, loses: Some(describe(&device)), device: Some(device) })
    }

    /// A path that leads nowhere: a new file, when it is clear that one is meant; else probably a typing mistake.
    fn new_file(&self, path: &Path) -> Result<FoundCard, ChooseError> {
        let is_image = path.extension().is_some_and(|extension| extension == "img");
        if path.starts_with("/dev") || !(is_image || self.rules.size.is_some()) {
            return Err(ChooseError::NotThere(path.to_owned()));
        }
        let place = Place::to_write(path)?;
        if let Some(bytes) = self.rules.size {
            if let Some(wanted) = self.image.size().filter(|wanted| *wanted > bytes) {
                return Err(ChooseError::SmallerThanImage(wanted));
            }
            if let Some(refusal) = self.needs.refusal(bytes) {
                return Err(ChooseError::Size { bytes, refusal, least: self.least() });
            }
        }
        // Without --size it is as large as need be: a node boots from it, and another flash finds it large enough.
        let bytes = self.rules.size.or(self.least().map(|least| least.0)).or(self.image.size());
        let target = OpenTarget::new_file(place.path(), bytes).map_err(ChooseError::opening(path))?;
        Ok(FoundCard { target, device: None, owner: None, loses: None })
    }

    fn file(&self, path: &Path, length: u64) -> Result<FoundCard, ChooseError> {
        if self.rules.size.is_some_and(|size| size != length) {
            return Err(ChooseError::OtherSize { path: path.to_owned(), length });
        }
        if same_file(path, self.image.path()) {
            return Err(ChooseError::SameFile);
        }
        if let Some(refusal) = self.needs.refusal(length) {
            return Err(ChooseError::File { path: path.to_owned(), refusal, least: self.least() });
        }
        let mut target = OpenTarget::file(path).map_err(ChooseError::opening(path))?;
        let owner = target.capacity().and_then(|length| card::owner(&mut target, length));
        let loses = format!("{} ({}), a file", path.display(), human_bytes(length));
        Ok(FoundCard { target, device: None, owner, loses: Some(loses) })
    }

    /// The smallest card of a node, in whole MiB.
    fn least(&self) -> Option<ByteSize> {
        const MIB: u64 = 1 << 20;
        let bytes = self.needs.with_data?.max(self.needs.image.unwrap_or(0));
        Some(ByteSize(bytes.div_ceil(MIB).saturating_mul(MIB)))
    }

    /// The disks that could be written.
    pub fn fit(&self) -> Vec<Device> {
        let judged = self.judged(&Kernel::here());
        judged.into_iter().filter(|judged| judged.refusal.is_none()).map(|judged| judged.device).collect()
    }

    /// Every disk, and what speaks against it.
    pub fn judged(&self, kernel: &Kernel) -> Vec<JudgedDisk> {
        let judge = |device: Device| JudgedDisk { refusal: refusal(&device, &self.needs, &self.rules.limits), device };
        kernel.disks().into_iter().map(judge).collect()
    }
}

/// A disk, and what speaks against it.
pub struct JudgedDisk {
    /// The disk.
    pub device: Device,
    /// Why it is no card for this image, if it is none.
    pub refusal: Option<Refusal>,
}

/// `/dev/disk/by-id/x (/dev/sdb)`, or just the device.
fn shown(path: &Path, device: &Device) -> String {
    if path == device.path {
        path.display().to_string()
    } else {
        format!("{} ({})", path.display(), device.path.display())
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| files::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    id(one).is_some() && id(one) == id(other)
}

/// A disk and what is on it, on a few lines.
pub fn describe(device: &Device) -> String {
    let mut text = format!("{} ({})", device.path.display(), human_bytes(device.bytes));
    if !device.model.is_empty() {
        text.push_str(&format!(", {}", device.model));
    }
    text.push_str(&format!(", {}", device.attachment.as_str()));
    if let Some(link) = &device.by_id {
        text.push_str(&format!("\n    {}", link.display()));
    }
    for partition in &device.partitions {
        let label = partition.label.as_deref().map(|label| format!("  {label}")).unwrap_or_default();
        text.push_str(&format!("\n    {:12} {:>10}{label}", partition.name, human_bytes(partition.bytes)));
    }
    text
}

/// Whether two paths lead to the same device or file, or would.
pub fn same_card(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| files::canonicalize(path).or_else(|_| std::path::absolute(path)).ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}
