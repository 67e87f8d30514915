//! [`Key`]: the identity of what a step makes; and the ids of disks and volumes that derive from keys.

use std::fmt;

use hah_format::digest::Sha256;
use hah_node::disk::DiskId;
use hah_node::uuid;

use super::encoder::Encoder;
use crate::board::Table;
use crate::system::System;

/// Raised when the same inputs are to make other bytes: a changed pass, writer or layout.
///
/// It is part of the key of every kernel, derived file and image; [`hah_format::pack::FORMAT_VERSION`] is the same for
/// packs. `tests/it/build/contract.rs` holds the digests of what this version makes.
pub const FORMAT_VERSION: u32 = 5;

/// The identity of a derivation's output.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Sha256);

impl Key {
    /// The first 8 hex digits, for people.
    pub fn short(&self) -> String {
        self.0.to_string()[..8].to_owned()
    }

    /// A 32-bit number derived from the key for `purpose`: disk signatures, volume ids.
    pub fn derive_u32(&self, purpose: &str) -> u32 {
        let bytes = *self.derive(purpose).as_bytes();
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).max(1)
    }

    /// A version-8 UUID (RFC 9562 §5.8: vendor-specific) derived from the key for `purpose`.
    pub fn derive_uuid(&self, purpose: &str) -> u128 {
        uuid::of_digest(*self.derive(purpose).as_bytes())
    }

    fn derive(&self, purpose: &str) -> Sha256 {
        let mut encoder = Encoder::new("hah-derive");
        encoder.digest("key", &self.0);
        encoder.text("purpose", purpose);
        encoder.finish().0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stays the same from build to build of one image: it decides the disk's id, by which every later generation
/// finds the card that an earlier one was flashed to.
///
/// Whatever is added here makes the cards in use unfindable for new generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage<'a> {
    /// The name in `cluster.toml`; empty in a project without.
    pub cluster: &'a str,
    /// The image's name.
    pub image: &'a str,
    /// The board's name.
    pub board: &'a str,
    /// Kind of partition table.
    pub table: Table,
}

impl<'a> Lineage<'a> {
    /// Of an image in the cluster of this name.
    pub fn of(cluster: &'a str, system: &'a System) -> Self {
        Self { cluster, image: &system.image, board: &system.board.name, table: system.table }
    }

    /// The disk's id, as table, stage 1 and fstab spell it.
    pub fn disk_id(&self) -> DiskId {
        let Self { cluster, image, board, table } = *self;
        // Without the format version: a newer program still finds the card.
        let mut encoder = Encoder::new("hah-lineage");
        encoder.text("cluster", cluster);
        encoder.text("image", image);
        encoder.text("board", board);
        encoder.text("table", table.as_str());
        let key = encoder.finish();
        match table {
            Table::Mbr => DiskId::Mbr(key.derive_u32("disk")),
            Table::Gpt => DiskId::Gpt(key.derive_uuid("disk")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pinned: another id would make every card in use unfindable. Computed with Python's hashlib and struct.
    #[test]
    fn the_id_of_a_lineage_is_for_ever() {
        let lineage = Lineage { cluster: "home", image: "pi4-server", board: "rpi-arm64", table: Table::Mbr };
        assert_eq!(lineage.disk_id().to_string(), "9cdafbf7");
        let gpt = Lineage { table: Table::Gpt, ..lineage };
        assert_eq!(gpt.disk_id().to_string(), "08a595e8fcf0829f88f747183b627248");
        let others = [
            Lineage { cluster: "work", ..lineage },
            Lineage { cluster: "", ..lineage },
            Lineage { image: "pi3-server", ..lineage },
            Lineage { board: "virt", ..lineage },
            Lineage { cluster: "homepi4", image: "-server", ..lineage },
        ];
        for other in others {
            assert_ne!(other.disk_id(), lineage.disk_id(), "{other:?}");
        }
    }

    #[test]
    fn derived_ids_differ_by_purpose() {
        let key = Encoder::new("test").finish();
        assert_ne!(key.derive_u32("disk"), key.derive_u32("volume"));
        let uuid = key.derive_uuid("disk");
        assert_eq!((uuid >> 76) & 0xf, 8, "version");
        assert_eq!((uuid >> 62) & 0x3, 2, "variant");
    }
}
