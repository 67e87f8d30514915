//! The one canonical encoding that keys are made of. It is private to [`super`], so that no key is made elsewhere.

use hah_format::digest::Sha256;

use super::key::Key;

/// A domain, then fields in the order written, each a tag and a length-prefixed value.
///
/// Lengths are 64-bit little-endian, so no two field lists have the same bytes.
pub(super) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Starts an encoding; `domain` separates kinds of keys.
    pub(super) fn new(domain: &str) -> Self {
        let mut encoder = Self { bytes: Vec::new() };
        encoder.text("domain", domain);
        encoder
    }

    /// One field of raw bytes.
    pub(super) fn bytes(&mut self, tag: &str, value: &[u8]) {
        for part in [tag.as_bytes(), value] {
            self.bytes.extend((part.len() as u64).to_le_bytes());
            self.bytes.extend(part);
        }
    }

    /// One field of text.
    pub(super) fn text(&mut self, tag: &str, value: &str) {
        self.bytes(tag, value.as_bytes());
    }

    /// One number.
    pub(super) fn number(&mut self, tag: &str, value: u64) {
        self.bytes(tag, &value.to_le_bytes());
    }

    /// One digest.
    pub(super) fn digest(&mut self, tag: &str, value: &Sha256) {
        self.bytes(tag, value.as_bytes());
    }

    /// A list of texts, in the given order.
    pub(super) fn list<'a>(&mut self, tag: &str, values: impl IntoIterator<Item = &'a str>) {
        let mut inner = Self { bytes: Vec::new() };
        for value in values {
            inner.text("", value);
        }
        self.bytes(tag, &inner.bytes);
    }

    /// The key of everything written.
    pub(super) fn finish(self) -> Key {
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
}
