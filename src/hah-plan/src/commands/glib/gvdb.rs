//! GVDB, GLib's file of hash tables: settings' schemas, and dconf's databases.
//!
//! ```text
//! header   "GVariant", version 0, options 0, place of the root table (24 bytes)
//! table    bloom filter's size (none) · buckets · first item of each · items of 24 bytes
//! item     hash · parent · key: start, length · kind: 'v' value, 'H' table, 'L' list of items · place
//! ```
//! Numbers are little-endian; a place is a start and an end from the file's start. Values are variants, at multiples
//! of 8 bytes.

use super::hash_table::{HashTable, hash_of};
use super::variant::{Type, Value};

const HEADER: usize = 24;
const ITEM: usize = 24;
/// The bloom filter's shift, which readers expect although there is no filter.
const BLOOM: u32 = 5 << 27;

/// What a key stands for.
pub(super) enum Item {
    Value(Type, Value),
    Table(Table),
    /// Every key that was [added](Table::add) below this one, the root.
    Root,
}

/// A table of keys, with an empty one that lists the others.
pub(super) struct Table {
    items: HashTable<(Item, bool)>,
}

impl Table {
    pub(super) fn new() -> Self {
        let mut items = HashTable::default();
        items.insert("", (Item::Root, false));
        Self { items }
    }

    /// Adds a key that the root lists.
    pub(super) fn add(&mut self, key: &str, item: Item) {
        self.items.insert(key, (item, true));
    }

    /// Adds a key that must be asked for by name.
    pub(super) fn add_hidden(&mut self, key: &str, text: &str) {
        self.items.insert(key, (Item::Value(Type::Basic('s'), Value::text(text)), false));
    }

    /// The file with this table as its root.
    pub(super) fn file(&self) -> Vec<u8> {
        let mut out = b"GVariant".to_vec();
        out.resize(HEADER, 0);
        let place = self.write(&mut out);
        out[HEADER - 8..HEADER].copy_from_slice(&place);
        out
    }

    /// Writes the table and all below it; its place.
    fn write(&self, out: &mut Vec<u8>) -> [u8; 8] {
        let count = self.items.len();
        let mut buckets: Vec<Vec<&str>> = vec![Vec::new(); count];
        for (key, _) in self.items.iter() {
            // A bucket's last comer stands first.
            buckets[hash_of(key) as usize % count].insert(0, key);
        }
        let order: Vec<&str> = buckets.iter().flatten().copied().collect();
        let index = |key: &str| number(order.iter().position(|other| *other == key).unwrap_or_default());
        let start = allocate(out, 4, 8 + 4 * count + ITEM * count);
        let end = out.len();
        put(out, start, &BLOOM.to_le_bytes());
        put(out, start + 4, &number(count).to_le_bytes());
        let mut first = 0;
        for (at, bucket) in buckets.iter().enumerate() {
            put(out, start + 8 + 4 * at, &number(first).to_le_bytes());
            first += bucket.len();
        }
        let mut listed: Vec<&str> =
            self.items.iter().filter(|(_, (_, is_listed))| *is_listed).map(|(key, _)| key).collect();
        listed.sort_unstable();
        for (at, key) in order.iter().enumerate() {
            let Some((item, is_listed)) = self.items.get(key) else { continue };
            let entry = start + 8 + 4 * count + ITEM * at;
            put(out, entry, &hash_of(key).to_le_bytes());
            put(out, entry + 4, &if *is_listed { index("") } else { u32::MAX }.to_le_bytes());
            let key_start = number(out.len());
            put(out, entry + 8, &key_start.to_le_bytes());
            // A key is an identifier of at most 1024 letters, or an id of that order.
            put(out, entry + 12, &u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend_from_slice(key.as_bytes());
            let (kind, place) = match item {
                Item::Value(kind, value) => {
                    let bytes = Value::Variant(Box::new((kind.clone(), value.clone()))).bytes(&Type::Basic('v'));
                    (b'v', write_bytes(out, 8, &bytes))
                }
                Item::Table(table) => (b'H', table.write(out)),
                Item::Root if listed.is_empty() => (0, [0; 8]),
                Item::Root => {
                    let list: Vec<u8> = listed.iter().flat_map(|key| index(key).to_le_bytes()).collect();
                    (b'L', write_bytes(out, 4, &list))
                }
            };
            put(out, entry + 14, &[kind]);
            put(out, entry + 16, &place);
        }
        place(start, end)
    }
}

/// An offset; the file is far smaller than 4 GiB, since its sources are bounded.
fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn place(start: usize, end: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number(start).to_le_bytes());
    bytes[4..].copy_from_slice(&number(end).to_le_bytes());
    bytes
}

fn allocate(out: &mut Vec<u8>, alignment: usize, size: usize) -> usize {
    let start = out.len().next_multiple_of(alignment);
    out.resize(start + size, 0);
    start
}

fn write_bytes(out: &mut Vec<u8>, alignment: usize, bytes: &[u8]) -> [u8; 8] {
    let start = allocate(out, alignment, bytes.len());
    put(out, start, bytes);
    place(start, out.len())
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}
