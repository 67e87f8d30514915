//! A map that is walked in the order of GLib's `GHashTable`.
//!
//! The tools write some of their files in this order, so that a file can only be the same, byte by byte, when the order
//! is: open addressing in a power of two of places, the first place by the hash times 11 modulo a prime, then steps of
//! 1, 2, 3, …; grown when 15/16 are taken, and rearranged in place.

/// The largest prime below each power of two, from 2³.
const PRIMES: [u32; 29] = [
    7,
    13,
    31,
    61,
    127,
    251,
    509,
    1021,
    2039,
    4093,
    8191,
    16381,
    32749,
    65521,
    131_071,
    262_139,
    524_287,
    1_048_573,
    2_097_143,
    4_194_301,
    8_388_593,
    16_777_213,
    33_554_393,
    67_108_859,
    134_217_689,
    268_435_399,
    536_870_909,
    1_073_741_789,
    2_147_483_647,
];
const SMALLEST_SHIFT: u32 = 3;

/// Bernstein's hash of a string's bytes, which are signed: `g_str_hash`, and GVDB's own.
pub(super) fn hash_of(key: &str) -> u32 {
    key.bytes().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add_signed(i32::from(byte.cast_signed())))
}

#[derive(Clone, Debug)]
struct Entry<V> {
    hash: u32,
    key: String,
    value: V,
}

#[derive(Clone, Debug)]
enum Place<V> {
    Free,
    /// Something was here, and a search goes on.
    Removed,
    Taken(Entry<V>),
}

/// A map of strings.
#[derive(Clone, Debug)]
pub(in crate::commands) struct HashTable<V> {
    places: Vec<Place<V>>,
    shift: u32,
    /// Entries.
    entries: usize,
    /// Entries, and places where one was removed.
    occupied: usize,
}

impl<V> Default for HashTable<V> {
    fn default() -> Self {
        Self { places: free(1 << SMALLEST_SHIFT), shift: SMALLEST_SHIFT, entries: 0, occupied: 0 }
    }
}

fn free<V>(count: usize) -> Vec<Place<V>> {
    std::iter::repeat_with(|| Place::Free).take(count).collect()
}

impl<V> HashTable<V> {
    /// How many entries there are.
    pub(in crate::commands) fn len(&self) -> usize {
        self.entries
    }

    /// The value of `key`.
    pub(in crate::commands) fn get(&self, key: &str) -> Option<&V> {
        match &self.places[self.find(key)] {
            Place::Taken(entry) => Some(&entry.value),
            _ => None,
        }
    }

    /// The value of `key`, to change.
    pub(in crate::commands) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let at = self.find(key);
        match &mut self.places[at] {
            Place::Taken(entry) => Some(&mut entry.value),
            _ => None,
        }
    }

    /// Sets the value of `key`.
    pub(in crate::commands) fn insert(&mut self, key: &str, value: V) {
        let at = self.find(key);
        if let Place::Taken(entry) = &mut self.places[at] {
            entry.value = value;
            return;
        }
        let was_free = matches!(self.places[at], Place::Free);
        self.places[at] = Place::Taken(Entry { hash: hash(key), key: key.to_owned(), value });
        self.entries += 1;
        if was_free {
            self.occupied += 1;
            self.resize_if_due();
        }
    }

    /// Takes `key` away.
    pub(in crate::commands) fn remove(&mut self, key: &str) {
        let at = self.find(key);
        if matches!(self.places[at], Place::Taken(_)) {
            self.places[at] = Place::Removed;
            self.entries -= 1;
            self.resize_if_due();
        }
    }

    /// The entries, in GLib's order.
    pub(in crate::commands) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.places.iter().filter_map(|place| match place {
            Place::Taken(entry) => Some((entry.key.as_str(), &entry.value)),
            _ => None,
        })
    }

    /// The place of `key`, or the one where it would be put.
    fn find(&self, key: &str) -> usize {
        let hash = hash(key);
        let (mut at, mut step) = (self.first_place(hash), 0);
        let mut removed = None;
        loop {
            match &self.places[at] {
                Place::Free => return removed.unwrap_or(at),
                Place::Taken(entry) if entry.hash == hash && entry.key == key => return at,
                Place::Taken(_) => {}
                Place::Removed => removed = removed.or(Some(at)),
            }
            step += 1;
            at = (at + step) & (self.places.len() - 1);
        }
    }

    fn first_place(&self, hash: u32) -> usize {
        (hash.wrapping_mul(11) % PRIMES[(self.shift - SMALLEST_SHIFT) as usize]) as usize
    }

    fn resize_if_due(&mut self) {
        let size = self.places.len();
        let is_sparse = size > self.entries * 4 && size > 1 << SMALLEST_SHIFT;
        if is_sparse || size <= self.occupied + self.occupied / 16 {
            self.resize();
        }
    }

    /// Moves every entry to where it belongs in a table of the fitting size; one that is in the way moves on first.
    fn resize(&mut self) {
        let old_size = self.places.len();
        // Four thirds, rounded as GLib rounds.
        let wanted = self.entries * 1333 / 1000;
        self.shift = (usize::BITS - wanted.leading_zeros()).clamp(SMALLEST_SHIFT, 31);
        let size = 1_usize << self.shift;
        if size > old_size {
            self.places.extend(free(size - old_size));
        }
        let mut is_settled = vec![false; size.max(old_size)];
        for start in 0..old_size {
            if is_settled[start] {
                continue;
            }
            let Place::Taken(mut moving) = std::mem::replace(&mut self.places[start], Place::Free) else { continue };
            loop {
                let (mut at, mut step) = (self.first_place(moving.hash), 0);
                while is_settled[at] {
                    step += 1;
                    at = (at + step) & (size - 1);
                }
                is_settled[at] = true;
                match std::mem::replace(&mut self.places[at], Place::Taken(moving)) {
                    Place::Taken(next) => moving = next,
                    _ => break,
                }
            }
        }
        self.places.truncate(size);
        self.occupied = self.entries;
    }
}

/// [`hash_of`], without the two values that mark places.
fn hash(key: &str) -> u32 {
    match hash_of(key) {
        0 | 1 => 2,
        hash => hash,
    }
}
