//! `mime.cache`, version 1.2: big-endian numbers of 4 bytes, and offsets from the file's start.
//!
//! ```text
//! header: version 1.2, offsets of what follows (44 bytes)
//! strings, each padded to 4 bytes
//! aliases: count, (alias, type)…
//! parents: count, (type, list)…, lists: count, type…
//! literals: count, (pattern, type, weight and flags)…
//! suffixes: count, first; a tree of letters from a pattern's end, level by level
//! patterns: as literals
//! magic: count, longest reach, first; rules; matches; their bytes
//! namespaces: count, (namespace, local name, type)…
//! icons, generic icons: count, (type, icon)…
//! types: count, …
//! ```

use std::collections::VecDeque;

use super::magic::Match;
use super::source::{Database, Glob};
use crate::commands::glib::hash_table::HashTable;

const HEADER: usize = 44;
const CASE_SENSITIVE: u32 = 0x100;

/// The file.
pub(super) fn bytes(database: &Database) -> Vec<u8> {
    let mut cache = Cache { out: vec![0; HEADER], strings: strings(database) };
    cache.write_strings();
    let mut offsets = Vec::new();
    let sections: [fn(&mut Cache, &Database); 10] = [
        |cache, database| cache.write_types_by_name(database, &database.aliases),
        Cache::write_parents,
        |cache, database| cache.write_globs(database, GlobKind::Literal),
        Cache::write_suffixes,
        |cache, database| cache.write_globs(database, GlobKind::Pattern),
        Cache::write_magic,
        |cache, database| cache.write_types_by_name(database, &database.namespaces),
        |cache, database| cache.write_icons(&database.icons),
        |cache, database| cache.write_icons(&database.generic_icons),
        Cache::write_types,
    ];
    for section in sections {
        offsets.push(cache.out.len());
        section(&mut cache, database);
    }
    let mut header = vec![0, 1, 0, 2];
    offsets.into_iter().for_each(|offset| header.extend_from_slice(&number(offset).to_be_bytes()));
    cache.out[..HEADER].copy_from_slice(&header);
    cache.out
}

/// A length or an offset; the file is far smaller than 4 GiB, since its sources are bounded.
fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Every string of the file; the offsets are not known yet.
fn strings(database: &Database) -> HashTable<u32> {
    let mut strings = HashTable::default();
    let mut add = |text: &str| strings.insert(text, 0);
    for (alias, kind) in database.aliases.iter() {
        add(alias);
        add(&database.type_name(*kind));
    }
    for (kind, parents) in database.parents.iter() {
        add(kind);
        parents.iter().for_each(|parent| add(parent));
    }
    for (pattern, globs) in database.globs.iter() {
        if GlobKind::of(pattern) != GlobKind::Suffix {
            add(pattern);
        }
        globs.iter().for_each(|glob| add(&database.type_name(glob.kind)));
    }
    database.magic().iter().for_each(|magic| add(&database.type_name(magic.kind)));
    for (name, kind) in database.namespaces.iter() {
        add(&database.type_name(*kind));
        name.splitn(2, ' ').for_each(&mut add);
    }
    for icons in [&database.generic_icons, &database.icons] {
        for (kind, icon) in icons.iter() {
            add(kind);
            add(icon);
        }
    }
    strings
}

/// How a pattern is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GlobKind {
    /// A whole name.
    Literal,
    /// `*` and an end.
    Suffix,
    /// All else.
    Pattern,
}

impl GlobKind {
    fn of(pattern: &str) -> Self {
        let rest = pattern.strip_prefix('*').unwrap_or(pattern);
        match (rest.contains(['\\', '[', '?', '*']), rest.len() < pattern.len()) {
            (true, _) => Self::Pattern,
            (false, true) => Self::Suffix,
            (false, false) => Self::Literal,
        }
    }
}

/// The keys of a table, sorted by bytes.
fn sorted<V>(table: &HashTable<V>) -> Vec<(&str, &V)> {
    let mut entries: Vec<(&str, &V)> = table.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

fn weight_and_flags(glob: &Glob) -> u32 {
    (glob.weight & 0xff).cast_unsigned() | if glob.is_case_sensitive { CASE_SENSITIVE } else { 0 }
}

struct Cache {
    out: Vec<u8>,
    /// Offsets.
    strings: HashTable<u32>,
}

impl Cache {
    fn put(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    fn put_len(&mut self, value: usize) {
        self.put(number(value));
    }

    fn put_string(&mut self, text: &str) {
        let offset = self.strings.get(text).copied().unwrap_or_default();
        self.put(offset);
    }

    fn put_padded(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }

    fn write_strings(&mut self) {
        let all: Vec<String> = self.strings.iter().map(|(text, _)| text.to_owned()).collect();
        for text in all {
            let offset = number(self.out.len());
            self.put_padded(&[text.as_bytes(), &[0]].concat());
            self.strings.insert(&text, offset);
        }
    }

    /// Names, one or two words each, and the type that each stands for.
    fn write_types_by_name(&mut self, database: &Database, table: &HashTable<usize>) {
        // The program counts words and halves their number, so that three words count as one entry and a half.
        let words = |name: &str| name.splitn(2, ' ').count() + 1;
        self.put_len(table.iter().map(|(name, _)| words(name) / 2).sum());
        for (name, kind) in sorted(table) {
            name.splitn(2, ' ').for_each(|word| self.put_string(word));
            self.put_string(&database.type_name(*kind));
        }
    }

    fn write_parents(&mut self, database: &Database) {
        let all = sorted(&database.parents);
        self.put_len(all.len());
        let mut list = self.out.len() + all.len() * 8;
        for (kind, parents) in &all {
            self.put_string(kind);
            self.put_len(list);
            list += 4 + 4 * parents.len();
        }
        for (_, parents) in all {
            self.put_len(parents.len());
            parents.iter().for_each(|parent| self.put_string(parent));
        }
    }

    fn write_globs(&mut self, database: &Database, wanted: GlobKind) {
        let mut all = sorted(&database.globs);
        all.retain(|(pattern, _)| GlobKind::of(pattern) == wanted);
        self.put_len(all.iter().map(|(_, globs)| globs.len()).sum());
        for glob in all.into_iter().flat_map(|(_, globs)| globs) {
            self.put_string(&glob.pattern);
            self.put_string(&database.type_name(glob.kind));
            self.put(weight_and_flags(glob));
        }
    }

    fn write_suffixes(&mut self, database: &Database) {
        let mut top: Vec<Suffix> = Vec::new();
        for (pattern, globs) in database.globs.iter().filter(|(pattern, _)| GlobKind::of(pattern) == GlobKind::Suffix) {
            let letters: Vec<char> = pattern.chars().skip(1).collect();
            for glob in globs {
                Suffix::insert(&mut top, &letters, &database.type_name(glob.kind), glob);
            }
        }
        self.put_len(top.len());
        let first = self.out.len() + 4;
        self.put_len(first);
        let mut children = first + 12 * top.len();
        let mut level: VecDeque<&Suffix> = top.iter().collect();
        while let Some(entry) = level.pop_front() {
            match entry {
                Suffix::Letter(letter, below) => {
                    self.put(u32::from(*letter));
                    self.put_len(below.len());
                    self.put_len(children);
                    children += 12 * below.len();
                    level.extend(below);
                }
                Suffix::Type(name, weight) => {
                    self.put(0);
                    self.put_string(name);
                    self.put(*weight);
                }
            }
        }
    }

    fn write_magic(&mut self, database: &Database) {
        let magic = database.magic();
        let mut all = Vec::new();
        let firsts: Vec<usize> = magic.iter().map(|magic| flatten(&magic.matches, &mut all)).collect();
        let reach = |rule: &Match| rule.start + i64::from(rule.range) + i64::from(number(rule.data.len()));
        let longest = all.iter().map(|(rule, _)| reach(rule)).max().unwrap_or_default();
        self.put_len(magic.len());
        self.put(u32::try_from(longest).unwrap_or(u32::MAX));
        self.put_len(self.out.len() + 4);
        let matches = self.out.len() + 16 * magic.len();
        for (magic, first) in magic.iter().zip(firsts) {
            self.put(magic.priority.cast_unsigned());
            self.put_string(&database.type_name(magic.kind));
            self.put_len(magic.matches.len());
            self.put_len(matches + 32 * first);
        }
        let mut data = matches + 32 * all.len();
        for (rule, children) in &all {
            let length = rule.data.len();
            let mut place = |is_there: bool| {
                let at = data;
                data = if is_there { (data + length).next_multiple_of(4) } else { data };
                if is_there { at } else { 0 }
            };
            let (value, mask) = (place(true), place(rule.mask.is_some()));
            self.put(u32::try_from(rule.start).unwrap_or(u32::MAX));
            self.put(rule.range.cast_unsigned());
            self.put(u32::from(rule.word));
            self.put_len(length);
            self.put_len(value);
            self.put_len(mask);
            self.put_len(rule.children.len());
            self.put_len(if rule.children.is_empty() { 0 } else { matches + 32 * children });
        }
        for (rule, _) in all {
            self.put_padded(&rule.data);
            if let Some(mask) = &rule.mask {
                self.put_padded(mask);
            }
        }
    }

    fn write_icons(&mut self, icons: &HashTable<String>) {
        self.put_len(icons.len());
        for (kind, icon) in sorted(icons) {
            self.put_string(kind);
            self.put_string(icon);
        }
    }

    /// The program looks its types up with their line ends and finds none, so that this list is one of zeros; nothing
    /// reads it.
    fn write_types(&mut self, database: &Database) {
        let count = database.type_names().len();
        self.put_len(count);
        (0..count).for_each(|_| self.put(0));
    }
}

/// A tree of the letters of suffixes, the last one first.
enum Suffix {
    Letter(char, Vec<Suffix>),
    /// The type of the suffix that ends here, with weight and flags.
    Type(String, u32),
}

impl Suffix {
    /// Adds a suffix to one level of the tree: types first, then letters in order.
    fn insert(level: &mut Vec<Self>, letters: &[char], name: &str, glob: &Glob) {
        let Some((last, rest)) = letters.split_last() else {
            let types = level.iter().take_while(|entry| matches!(entry, Self::Type(..))).count();
            let known = level.iter_mut().find_map(|entry| match entry {
                Self::Type(known, weight) if known == name => Some(weight),
                _ => None,
            });
            match known {
                Some(weight) => *weight = (*weight & !0xff) | (*weight & 0xff).max(weight_and_flags(glob) & 0xff),
                None => level.insert(types, Self::Type(name.to_owned(), weight_and_flags(glob))),
            }
            return;
        };
        let is_before = |entry: &Self| match entry {
            Self::Letter(letter, _) => letter < last,
            Self::Type(..) => true,
        };
        let at = level.iter().take_while(|entry| is_before(entry)).count();
        if !matches!(level.get(at), Some(Self::Letter(letter, _)) if letter == last) {
            level.insert(at, Self::Letter(*last, Vec::new()));
        }
        if let Some(Self::Letter(_, below)) = level.get_mut(at) {
            Self::insert(below, rest, name, glob);
        }
    }
}

/// Puts a list of matches into `all`, then the lists below each; the place of its first.
fn flatten<'a>(list: &'a [Match], all: &mut Vec<(&'a Match, usize)>) -> usize {
    let first = all.len();
    all.extend(list.iter().map(|rule| (rule, 0)));
    for (at, rule) in list.iter().enumerate() {
        all[first + at].1 = flatten(&rule.children, all);
    }
    first
}
