//! What can be wrong with an image, a card or the record of cards, and what to do about it.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use hah_format::archive::ArchiveError;
use hah_format::bmap::BmapError;
use hah_format::disk::DiskError;
use hah_format::fat::FatError;

use crate::advice::{Advised, Exit};
use crate::files::FileError;
use crate::files::place::PlaceError;
use crate::project::fleet::FleetError;

/// How often a write is tried.
pub(super) const TRIES: u32 = 3;
/// Why an image is not on the card.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The image cannot be read.
    #[error("cannot read the image at byte {offset}: {source}")]
    Read {
        /// Offset on the card, in bytes.
        offset: u64,
        /// The cause, as whoever met it tells it.
        source: io::Error,
    },
    /// The image is not what its block map says.
    #[error("the image is damaged between bytes {start} and {end}: they are not what its block map says")]
    Damaged {
        /// Offset of its first byte.
        start: u64,
        /// Offset of the first byte behind it.
        end: u64,
    },
    /// The image ends before its block map does.
    #[error("the image ends at byte {0}, before its block map does")]
    Short(u64),
    /// The image has no block map and ends before its last partition does.
    #[error("the image ends at byte {found}, and its last partition at byte {wanted}")]
    CutOff {
        /// Where the partition ends.
        wanted: u64,
        /// Where the image does.
        found: u64,
    },
    /// The card is full.
    #[error("it has {capacity} bytes and the image has more")]
    TooSmall {
        /// Bytes that the card has.
        capacity: u64,
    },
    /// The card went away.
    #[error("it went away at byte {offset}")]
    Gone {
        /// Offset on the card, in bytes.
        offset: u64,
    },
    /// The card does not take a write.
    #[error("cannot write at byte {offset}: {source}")]
    Write {
        /// Offset on the card, in bytes.
        offset: u64,
        /// The cause, as whoever met it tells it.
        source: io::Error,
    },
    /// The card does not give back what was written.
    #[error("cannot read back at byte {offset}: {source}")]
    ReadBack {
        /// Offset on the card, in bytes.
        offset: u64,
        /// The cause, as whoever met it tells it.
        source: io::Error,
    },
    /// The card gives back something else.
    #[error("it does not keep what is written at byte {offset}, tried {TRIES} times")]
    Bad {
        /// Offset on the card, in bytes.
        offset: u64,
    },
    /// The card does not say that it is done.
    #[error("cannot finish writing: {source}")]
    Sync {
        /// The cause, as whoever met it tells it.
        source: io::Error,
    },
}

impl WriteError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Damaged { .. } | Self::Short(_) | Self::CutOff { .. } => Exit::HashMismatch,
            _ => Exit::User,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "the image file is unreadable there: copy or build it again",
            Self::Damaged { .. } | Self::Short(_) => {
                "copy image and block map again, or build them again; the card has no partition table now and does not boot"
            }
            Self::CutOff { .. } => "load the image again; the card has no partition table now and does not boot",
            Self::TooSmall { .. } => "use a larger card, or a smaller image: `sizes` in the image file",
            Self::Gone { .. } => "put it back and start again; the card has no partition table now and does not boot",
            Self::Write { .. } | Self::ReadBack { .. } | Self::Sync { .. } => {
                "the card or its reader is failing: try another reader, then another card"
            }
            Self::Bad { .. } => "the card is worn out or a fake: throw it away",
        }
    }
}

/// A cause that a foreign format's reader gave.
pub type Cause = Box<dyn Error + Send + Sync>;

/// A flash that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FlashError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No file may be written there.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// What goes onto the card cannot be made.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The engine failed on a target.
    #[error("{}", path.display())]
    Write {
        /// The device or file.
        path: PathBuf,
        /// The cause, as whoever met it tells it.
        source: WriteError,
    },
    /// The engine failed while an identity was put onto a card.
    #[error(transparent)]
    Patch(WriteError),
    /// A card cannot become a node's.
    #[error("{}", path.display())]
    Identify {
        /// The device or file.
        path: PathBuf,
        /// The cause, as whoever met it tells it.
        source: Box<FlashError>,
    },
    /// The image is not there.
    #[error("there is no {}", path.display())]
    NoImage {
        /// Where it would be.
        path: PathBuf,
        /// The image's name, unless a path was given.
        name: Option<String>,
    },
    /// Images of the fleet are not there.
    #[error("not built yet: {}", .0.join(", "))]
    NotBuilt(Vec<String>),
    /// The first argument is a directory or a device.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// The image has no bytes.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// Image and block map differ in length.
    #[error("{} has {found} bytes and its block map is of one with {wanted}", path.display())]
    ForeignMap {
        /// Path of the image file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The length in the block map.
        wanted: u64,
    },
    /// The block map cannot be read.
    #[error("{}", path.display())]
    Map {
        /// Path of the block map.
        path: PathBuf,
        /// The cause, as whoever met it tells it.
        source: BmapError,
    },
    /// A packed image does not unpack.
    #[error("{} cannot be unpacked", path.display())]
    Unpack {
        /// Path of the image file.
        path: PathBuf,
        /// The cause, as whoever met it tells it.
        source: io::Error,
    },
    /// A zip archive cannot be read.
    #[error("{}", path.display())]
    Zip {
        /// Path of the zip archive.
        path: PathBuf,
        /// The cause, as whoever met it tells it.
        source: ArchiveError,
    },
    /// A member of a zip archive does not unpack.
    #[error("{}: `{member}` cannot be unpacked", path.display())]
    ZipMember {
        /// Path of the zip archive.
        path: PathBuf,
        /// Name of the member in the archive.
        member: String,
        /// The cause, as whoever met it tells it.
        source: io::Error,
    },
    /// A zip archive without an image.
    #[error("{}: {}", path.display(), if members.is_empty() { "there is no file in this archive".to_owned() } else {
        format!("none of the files in this archive is a disk image: {members}") })]
    NoImageInZip {
        /// Path of the zip archive.
        path: PathBuf,
        /// Names of the files in it, or of the first few.
        members: String,
    },
    /// A zip archive with several images.
    #[error("{}: there is more than one image in this archive: {members}", path.display())]
    ImagesInZip {
        /// Path of the zip archive.
        path: PathBuf,
        /// Names of those that are images.
        members: String,
    },
    /// Somebody else's image, and nobody said that it is meant.
    #[error("{} is not an image that hah-image has built", .0.display())]
    Stranger(PathBuf),
    /// The file is something else.
    #[error("{subject} is {noun}, and no disk image")]
    NoDisk {
        /// The file, or what is packed in it.
        subject: String,
        /// What it is.
        noun: &'static str,
        /// What to do with it.
        advice: String,
    },
    /// There is no partition table.
    #[error("{subject} is no disk image: {source}{}", short.map(|bytes| format!("; it has {bytes} bytes")).unwrap_or_default())]
    NoTable {
        /// The file, or what is packed in it.
        subject: String,
        /// Its length in bytes, when that is the reason.
        short: Option<u64>,
        /// The cause, as whoever met it tells it.
        source: DiskError,
    },
    /// The table counts in other sectors.
    #[error("{subject}")]
    SectorSize {
        /// The file, or what is packed in it.
        subject: String,
        /// The cause, as whoever met it tells it.
        source: DiskError,
    },
    /// The table is there and cannot be right.
    #[error("{subject} is no whole disk image")]
    NotWhole {
        /// The file, or what is packed in it.
        subject: String,
        /// The cause, as whoever met it tells it.
        source: DiskError,
    },
    /// The image has no place for an identity.
    #[error("this image takes no identity: {0}")]
    NoIdentity(Cause),
    /// The boot partition cannot be changed.
    #[error(transparent)]
    Fat(FatError),
    /// The record is longer than anybody's.
    #[error("{} is larger than {max} bytes", path.display())]
    RecordTooLarge {
        /// Path of the record.
        path: PathBuf,
        /// The most that is read, in bytes.
        max: u64,
    },
    /// An entry of the record cannot be written down.
    #[error("cannot put a card on record")]
    Record(#[source] serde_json::Error),
}

impl FlashError {
    /// That the engine failed on the device or file at `path`.
    pub fn on(path: &Path) -> impl Fn(WriteError) -> Self {
        |source| Self::Write { path: path.to_owned(), source }
    }
}

impl Advised for FlashError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint().map(str::to_owned),
            Self::Io(error) => return error.hint(),
            Self::Place(error) => return Some(error.hint()),
            Self::Fleet(error) => return error.hint(),
            Self::NoDisk { advice, .. } => return Some(advice.clone()),
            Self::NoImage { name: Some(name), .. } => {
                return Some(format!("build it first: hah-image build {name}"));
            }
            Self::NoImage { name: None, .. } => "give the path of an image, or the name of one that was built",
            Self::NotBuilt(names) => {
                let builds: Vec<String> = names.iter().map(|name| format!("hah-image build {name}")).collect();
                return Some(format!("build first: {}", builds.join(" && ")));
            }
            Self::Empty(_) | Self::Record(_) => return None,
            Self::Write { source, .. } | Self::Patch(source) => source.hint(),
            Self::Identify { source, .. } => return source.hint(),
            Self::Map { source, .. } => source.hint(),
            Self::SectorSize { source, .. } => source.hint(),
            Self::Fat(source) => source.hint(),
            Self::NotAFile(_) => "the image comes first, the device second: `hah-image flash IMAGE DEVICE`",
            Self::ForeignMap { .. } => "they do not belong together: build or copy both again, or flash with --no-bmap",
            Self::Unpack { .. } => "it is damaged: copy or download it again",
            Self::Zip { .. } => "unpack it, and flash the image that is in it",
            Self::ZipMember { .. } => "the archive is damaged: copy or download it again",
            Self::NoImageInZip { .. } => {
                "flash writes images of whole disks; one that is packed twice must be unpacked once"
            }
            Self::ImagesInZip { .. } => "unpack it, and flash the one that you mean",
            Self::Stranger(_) => "to write it as it is, say --foreign; it cannot take a node's identity",
            Self::NoTable { .. } => "flash writes images of whole disks: with a partition table, plain or packed",
            Self::NotWhole { .. } => "it is damaged or cut off: copy or download it again",
            Self::NoIdentity(_) => "flash an image that this hah-image has built, or leave out the identity",
            Self::RecordTooLarge { .. } => "move it away: the next flash starts another",
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Write { source, .. } | Self::Patch(source) => source.exit(),
            Self::Identify { source, .. } => source.exit(),
            Self::NotAFile(_) => Exit::Usage,
            Self::ForeignMap { .. } => Exit::HashMismatch,
            _ => Exit::User,
        }
    }
}
