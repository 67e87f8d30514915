//! A closure: what a generation is made of, as JSON with one spelling.
//!
//! ```json
//! {"version":1,"image":"lab","board":"rpi-arm64","architecture":"arm64","key":"…","epoch":1764288000,
//!  "disk":{"table":"mbr","id":305441741},"layout":1,"allow_older":false,"loader":null,
//!  "root":[["…",4194304],["…",96]],
//!  "boot":[{"name":"cmdline.txt","chunks":[["…",61]]},{"name":"kernel","chunks":[["…",4194304],["…",77]]}]}
//! ```
//!
//! A file is the concatenation of its chunks, each named by the SHA-256 of its bytes. The root's chunks begin and end
//! where the packages' packs do, so two generations share every package that did not change, byte for byte.
//!
//! The text is canonical: [`parse`] accepts exactly what [`Closure::encode`] writes, so the digest of the text names the
//! generation, and a signature over the text has nothing to hide behind.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::disk::DiskId;

/// Version of [`Closure`].
pub const VERSION: u32 = 1;
/// Largest closure that is read, in bytes.
pub const TEXT_MAX: usize = 8 << 20;
/// Largest chunk in bytes: what a node holds in memory at once.
pub const CHUNK_MAX: u32 = 4 << 20;
/// Largest root file system in bytes.
pub const ROOT_MAX: u64 = 16 << 30;
/// Largest sum of all boot files in bytes.
pub const BOOT_MAX: u64 = 256 << 20;
/// Most chunks of a closure.
pub const CHUNKS_MAX: usize = 1 << 16;
/// Longest name of a boot file in bytes.
const NAME_MAX: usize = 64;
/// Boot files of a generation: at most this many.
const BOOT_FILES_MAX: usize = 256;
/// Where a [`Closure::loader`] names the slot.
pub const SLOT_MARK: &str = "{slot}";

/// A piece of a file: its digest, and its length in bytes, from 1 to [`CHUNK_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Chunk(pub Digest, pub u32);

/// A file of the boot partition, relative to the generation's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootFile {
    /// `kernel`, `initramfs`, `cmdline.txt`, `bcm2711-rpi-4-b.dtb`.
    pub name: String,
    /// What it is made of, in order; empty for an empty file.
    pub chunks: Vec<Chunk>,
}

/// The description of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closure {
    /// [`VERSION`].
    pub version: u32,
    /// Name of the image.
    pub image: String,
    /// Name of its board: a node takes generations of its own board only.
    pub board: String,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// The image's key.
    pub key: Digest,
    /// The lock's epoch, in seconds since 1970: of two generations the one with the larger epoch is the newer.
    pub epoch: u32,
    /// The disk that it looks for.
    pub disk: DiskId,
    /// What it writes to the data partition: [`super::LAYOUT`].
    pub layout: u32,
    /// Whether a node may take it in place of a newer one.
    pub allow_older: bool,
    /// An entry for a boot loader that has a file for each, with [`SLOT_MARK`] where the slot's name goes; where there is
    /// none, the directory's name is all that the firmware wants.
    pub loader: Option<String>,
    /// The root file system.
    pub root: Vec<Chunk>,
    /// The boot files, sorted by name.
    pub boot: Vec<BootFile>,
}

/// What is wrong with a closure.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// Larger than anything that is read.
    #[error("the closure is larger than {TEXT_MAX} bytes")]
    TooLarge,
    /// Not JSON of this shape.
    #[error("the closure cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// Of another version.
    #[error("the closure has version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// The same meaning could be spelled in another way.
    #[error("the closure is not in its canonical form")]
    NotCanonical,
    /// A value that cannot be.
    #[error("the closure's {place}: {reason}")]
    Value {
        /// Which value: `root`, `boot`.
        place: &'static str,
        /// What is wrong with it; repeats nothing of the text.
        reason: &'static str,
    },
}

#[derive(Deserialize)]
struct Probe {
    version: u32,
}

/// Reads a closure.
///
/// # Errors
/// Everything that [`Closure::encode`] would not have written.
pub fn parse(text: &[u8]) -> Result<Closure, ClosureError> {
    if text.len() > TEXT_MAX {
        return Err(ClosureError::TooLarge);
    }
    let Probe { version } = serde_json::from_slice(text)?;
    if version != VERSION {
        return Err(ClosureError::Version(version));
    }
    let closure: Closure = serde_json::from_slice(text)?;
    closure.check()?;
    match closure.encode()? == text {
        true => Ok(closure),
        false => Err(ClosureError::NotCanonical),
    }
}

impl Closure {
    /// The canonical text, with a line end.
    ///
    /// # Errors
    /// None that can happen to a closure of strings and numbers.
    pub fn encode(&self) -> Result<Vec<u8>, ClosureError> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Bytes of the root file system.
    pub fn root_bytes(&self) -> u64 {
        bytes(&self.root)
    }

    /// Bytes of all boot files.
    pub fn boot_bytes(&self) -> u64 {
        self.boot.iter().map(|file| bytes(&file.chunks)).sum()
    }

    /// Every chunk once, in the order in which it is first needed.
    pub fn distinct(&self) -> Vec<Chunk> {
        let mut seen = BTreeSet::new();
        let all = self.root.iter().chain(self.boot.iter().flat_map(|file| &file.chunks));
        all.filter(|chunk| seen.insert(chunk.0)).copied().collect()
    }

    fn check(&self) -> Result<(), ClosureError> {
        let wrong = |place, reason| Err(ClosureError::Value { place, reason });
        for (place, name) in [("image", &self.image), ("board", &self.board), ("architecture", &self.architecture)] {
            if !is_name(name) {
                return wrong(place, "a name of letters, digits and -._+ is wanted");
            }
        }
        let chunks = self.root.iter().chain(self.boot.iter().flat_map(|file| &file.chunks));
        if chunks.clone().count() > CHUNKS_MAX {
            return wrong("chunks", "there are too many");
        }
        if chunks.clone().any(|chunk| chunk.1 == 0 || chunk.1 > CHUNK_MAX) {
            return wrong("chunks", "one is empty or larger than 4 MiB");
        }
        let mut lengths: Vec<&Chunk> = chunks.collect();
        lengths.sort_unstable();
        if lengths.windows(2).any(|pair| matches!(pair, [one, other] if one.0 == other.0 && one.1 != other.1)) {
            return wrong("chunks", "one digest has two lengths");
        }
        if self.root.is_empty() || self.root_bytes() > ROOT_MAX {
            return wrong("root", "it is empty or larger than 16 GiB");
        }
        if self.boot_bytes() > BOOT_MAX || self.boot.len() > BOOT_FILES_MAX {
            return wrong("boot", "there are too many files, or too large ones");
        }
        if self.boot.iter().any(|file| !is_name(&file.name)) {
            return wrong("boot", "the name of a file is not one of letters, digits and -._+");
        }
        // FAT does not tell upper from lower case.
        let folded: Vec<String> = self.boot.iter().map(|file| file.name.to_ascii_lowercase()).collect();
        if folded.iter().collect::<BTreeSet<_>>().len() != folded.len()
            || !self.boot.is_sorted_by(|one, other| one.name < other.name)
        {
            return wrong("boot", "the names are not sorted, or two are the same to FAT");
        }
        for wanted in ["kernel", "initramfs", "cmdline.txt"] {
            if !self.boot.iter().any(|file| file.name == wanted && !file.chunks.is_empty()) {
                return wrong("boot", "kernel, initramfs and cmdline.txt are wanted");
            }
        }
        if self.loader.as_ref().is_some_and(|text| text.len() > 4096 || !text.contains(SLOT_MARK)) {
            return wrong("loader", "it is longer than 4096 bytes, or does not name the slot");
        }
        Ok(())
    }
}

/// Bytes of all these chunks.
pub fn bytes(chunks: &[Chunk]) -> u64 {
    chunks.iter().map(|chunk| u64::from(chunk.1)).sum()
}

/// A name that FAT, a shell and a JSON text take as it is.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(fits)
        && !text.starts_with(['.', '-'])
        && !text.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(fill: u8, length: u32) -> Chunk {
        Chunk(Digest([fill; 32]), length)
    }

    fn closure() -> Closure {
        let boot = |name: &str, fill| BootFile { name: name.into(), chunks: vec![chunk(fill, 10)] };
        Closure {
            version: VERSION,
            image: "lab".into(),
            board: "rpi-arm64".into(),
            architecture: "arm64".into(),
            key: Digest([7; 32]),
            epoch: 1_764_288_000,
            disk: DiskId::Mbr(0x1234_abcd),
            layout: 1,
            allow_older: false,
            loader: None,
            root: vec![chunk(1, 96), chunk(2, CHUNK_MAX), chunk(1, 96)],
            boot: vec![boot("cmdline.txt", 3), boot("initramfs", 4), boot("kernel", 1 + 4)],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = closure().encode().unwrap();
        assert_eq!(parse(&text).unwrap(), closure());
        assert_eq!(closure().root_bytes(), 192 + u64::from(CHUNK_MAX));
        assert_eq!(closure().distinct().len(), 5);
    }

    #[test]
    fn another_spelling_is_refused() {
        let text = String::from_utf8(closure().encode().unwrap()).unwrap();
        for other in [
            text.trim_end().to_owned(),
            text.replace(':', ": "),
            text.replace("\"lab\"", "\"l\\u0061b\""),
            text.replace("\"loader\":null,", ""),
            format!(" {text}"),
        ] {
            assert!(matches!(parse(other.as_bytes()), Err(ClosureError::NotCanonical)), "{other}");
        }
        assert!(matches!(
            parse(text.replace("\"version\":1", "\"version\":2").as_bytes()),
            Err(ClosureError::Version(2))
        ));
        for cut in 0..text.len() {
            assert!(parse(&text.as_bytes()[..cut]).is_err(), "{cut}");
        }
        assert!(matches!(parse(&vec![b' '; TEXT_MAX + 1]), Err(ClosureError::TooLarge)));
    }

    /// Names become paths on the boot partition, and lengths become memory of the node.
    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |change: &dyn Fn(&mut Closure)| {
            let mut closure = closure();
            change(&mut closure);
            let text = closure.encode().unwrap();
            assert!(matches!(parse(&text), Err(ClosureError::Value { .. })), "{}", String::from_utf8_lossy(&text));
        };
        for name in ["", ".", "..", "../x", "a/b", "kernel\\x", "x\n", "-x", "x.", &"x".repeat(65)] {
            refused(&|closure| closure.boot[0].name = name.into());
            refused(&|closure| closure.image = name.into());
        }
        refused(&|closure| closure.boot[2].name = "INITRAMFS".into());
        refused(&|closure| closure.boot.swap(0, 1));
        refused(&|closure| drop(closure.boot.remove(2)));
        refused(&|closure| closure.boot[2].chunks.clear());
        refused(&|closure| closure.root.clear());
        refused(&|closure| closure.root[0].1 = 0);
        refused(&|closure| closure.root[0].1 = CHUNK_MAX + 1);
        refused(&|closure| closure.root[0].1 = 97);
        refused(&|closure| closure.root = vec![chunk(1, CHUNK_MAX); 4097]);
        refused(&|closure| closure.loader = Some("linux /g0/kernel".into()));
    }
}
