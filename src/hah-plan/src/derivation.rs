//! Derivations: what is to be made, from what, under which key.
//!
//! A derivation's [`Key`] is the SHA-256 of a hand-written, versioned, canonical encoding of everything that decides its
//! bytes; two derivations with one key have the same bytes. Which input reaches which key:
//!
//! | input | pack | kernel | root | image |
//! |---|---|---|---|---|
//! | the .deb's or artifact's sha256 | x | x (the kernel package's) | x | x |
//! | pack format version, path filter, block size, level | x | | x | x |
//! | the recipes' merged meaning ([`System`](crate::system::System)) | | | x | x |
//! | the review table | | | x | x |
//! | epoch (the lock's archive date) | | | x | x |
//! | this program's format version | | | x | x |
//! | the agent's sha256, the board | | | | x |
//! | the cluster's name, which decides the disk's id | | | x | x |
//!
//! Nothing else is an input: not the project's path, the output's name, the mirror, the time, or the number of threads.

mod encode;

use std::fmt;

use hah_format::digest::Sha256;
use hah_node::disk::DiskId;

pub use encode::system;

use crate::board::Table;
use crate::system::System;

/// Raised when the same inputs are to make other bytes: a changed pass, writer or layout.
pub const FORMAT_VERSION: u32 = 3;

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
        let bytes = *self.derive(purpose).as_bytes();
        let mut half = [0u8; 16];
        half.copy_from_slice(&bytes[..16]);
        let number = u128::from_be_bytes(half);
        number & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62
    }

    fn derive(&self, purpose: &str) -> Sha256 {
        let mut encoder = Encoder::new("hah-derive");
        encoder.digest("key", &self.0);
        encoder.text("purpose", purpose);
        encoder.finish().0
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

/// The canonical encoding: a domain, then fields in the order written, each a tag and a length-prefixed value.
///
/// Lengths are 64-bit little-endian, so no two field lists have the same bytes.
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Starts an encoding; `domain` separates kinds of keys.
    pub fn new(domain: &str) -> Self {
        let mut encoder = Self { bytes: Vec::new() };
        encoder.text("domain", domain);
        encoder
    }

    /// One field of raw bytes.
    pub fn bytes(&mut self, tag: &str, value: &[u8]) {
        for part in [tag.as_bytes(), value] {
            self.bytes.extend((part.len() as u64).to_le_bytes());
            self.bytes.extend(part);
        }
    }

    /// One field of text.
    pub fn text(&mut self, tag: &str, value: &str) {
        self.bytes(tag, value.as_bytes());
    }

    /// One number.
    pub fn number(&mut self, tag: &str, value: u64) {
        self.bytes(tag, &value.to_le_bytes());
    }

    /// One digest.
    pub fn digest(&mut self, tag: &str, value: &Sha256) {
        self.bytes(tag, value.as_bytes());
    }

    /// A list of texts, in the given order.
    pub fn list<'a>(&mut self, tag: &str, values: impl IntoIterator<Item = &'a str>) {
        let mut inner = Self { bytes: Vec::new() };
        for value in values {
            inner.text("", value);
        }
        self.bytes(tag, &inner.bytes);
    }

    /// The key of everything written.
    pub fn finish(self) -> Key {
        Key(Sha256::of(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_count() {
        let key = |fields: &[(&str, &str)]| {
            let mut encoder = Encoder::new("test");
            for (tag, value) in fields {
                encoder.text(tag, value);
            }
            encoder.finish()
        };
        assert_ne!(key(&[("a", "bc")]), key(&[("ab", "c")]));
        assert_ne!(key(&[("a", "b"), ("c", "d")]), key(&[("c", "d"), ("a", "b")]));
        // Computed with Python's hashlib and struct: `<Q` lengths before tags and values.
        assert_eq!(key(&[("a", "b")]).to_string(), "2ad83b86c0646c8766b4759eab04ab3ed303e3ce3eb3e75228fcc00702528dbc");
    }

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
