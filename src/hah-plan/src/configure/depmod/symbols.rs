//! Exported symbols and the order in which depmod lists them: that of its hash table.

use std::collections::BTreeMap;

use super::Module;

/// Buckets of depmod's symbol table.
const BUCKETS: u32 = 2048;

/// Exported symbols and the index of the module that exports each; of several, the last in order.
pub(super) fn exports<'a>(sorted: &[Module<'a>]) -> BTreeMap<&'a str, usize> {
    let mut exports = BTreeMap::new();
    for (index, module) in sorted.iter().enumerate() {
        for symbol in &module.facts.exports {
            exports.insert(symbol.as_str(), index);
        }
    }
    exports
}

/// The same by bucket, and by name within one.
pub(super) fn in_hash_order<'a>(exports: &BTreeMap<&'a str, usize>) -> Vec<(&'a str, usize)> {
    let mut listed: Vec<(u32, &str, usize)> =
        exports.iter().map(|(name, owner)| (superfast(name.as_bytes()) % BUCKETS, *name, *owner)).collect();
    listed.sort();
    listed.into_iter().map(|(_, name, owner)| (name, owner)).collect()
}

/// Paul Hsieh's SuperFastHash in the variant of kmod, on 16-bit little-endian words (bytes are signed where one is left over).
fn superfast(key: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(u16::from_le_bytes([pair[0], pair[1]]));
    let signed = |byte: u8| i32::from(byte as i8) as u32;
    let mut hash = key.len() as u32;
    let mut chunks = key.chunks_exact(4);
    for chunk in &mut chunks {
        hash = hash.wrapping_add(word(&chunk[..2]));
        let mixed = (word(&chunk[2..]) << 11) ^ hash;
        hash = (hash << 16) ^ mixed;
        hash = hash.wrapping_add(hash >> 11);
    }
    match chunks.remainder() {
        rest @ [_, _, last] => {
            hash = hash.wrapping_add(word(rest));
            hash ^= hash << 16;
            hash ^= signed(*last) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        rest @ [_, _] => {
            hash = hash.wrapping_add(word(rest));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [last] => {
            hash = hash.wrapping_add(signed(*last));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}
