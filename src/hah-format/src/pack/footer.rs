//! The last 128 bytes of a pack; see [`crate::pack`] for the layout.

use crate::digest::Sha256;

/// Length in bytes.
pub(super) const FOOTER: usize = 128;
const MAGIC: [u8; 8] = *b"hah-pack";

/// What the footer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    /// Format version.
    pub(super) version: u32,
    /// Length of the data area in bytes.
    pub(super) data_len: u64,
    /// Length of the manifest in bytes.
    pub(super) manifest_len: u64,
    /// Digest of the data area.
    pub(super) data: Sha256,
    /// Digest of the manifest.
    pub(super) manifest: Sha256,
}

impl Footer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER);
        out.extend(MAGIC);
        out.extend(self.version.to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.data_len.to_le_bytes());
        out.extend(self.manifest_len.to_le_bytes());
        out.extend(self.data.as_bytes());
        out.extend(self.manifest.as_bytes());
        out.extend(Sha256::of(&out).as_bytes());
        out
    }

    /// `None` when this is no footer or a damaged one.
    pub(super) fn decode(bytes: &[u8; FOOTER]) -> Option<Self> {
        let (fields, digest) = bytes.split_at(96);
        if fields[..8] != MAGIC || Sha256::of(fields).as_bytes() != digest {
            return None;
        }
        Some(Self {
            version: u32::from_le_bytes(array(fields, 8)?),
            data_len: u64::from_le_bytes(array(fields, 16)?),
            manifest_len: u64::from_le_bytes(array(fields, 24)?),
            data: Sha256::from_bytes(array(fields, 32)?),
            manifest: Sha256::from_bytes(array(fields, 64)?),
        })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}
