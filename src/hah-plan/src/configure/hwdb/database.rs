//! The hardware database: a prefix tree from patterns to properties, on disk.
//!
//! Source: `hwdb-internal.h` of systemd. All integers are little-endian; offsets are from the start of the file.
//!
//! ```text
//!  0  "KSLPHHRH"  version of systemd:u64  file size:u64  header size:u64 = 80
//! 32  sizes of node, child and value:u64×3 = 24, 16, 32
//! 56  offset of the root node:u64  length of nodes:u64  length of strings:u64
//! 80  nodes, children before parents:
//!       prefix:u64  number of children:u8  0:u8×7  number of values:u64
//!       children: letter:u8  0:u8×7  node:u64
//!       values: key:u64  value:u64  file name:u64  line:u32  priority:u16  0:u16
//!     strings
//! ```

use crate::configure::strings::Strings;

const MAGIC: &[u8; 8] = b"KSLPHHRH";
const HEADER: usize = 80;
const NODE: usize = 24;
const CHILD: usize = 16;
const VALUE: usize = 32;

/// Where a property was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// Path of the file on the target.
    pub(super) file: &'a str,
    /// Line, from 1.
    pub(super) line: u32,
    /// Place of the file among all, from 1; of equal matches the highest wins.
    pub(super) priority: u16,
}

/// A database in memory.
#[derive(Debug)]
pub(super) struct Database {
    nodes: Vec<Node>,
    strings: Strings,
}

/// Offsets are into the strings.
#[derive(Debug, Default)]
struct Node {
    prefix: usize,
    /// By letter, sorted.
    children: Vec<(u8, usize)>,
    /// By key, sorted.
    values: Vec<Value>,
}

#[derive(Debug)]
struct Value {
    key: usize,
    value: usize,
    file: usize,
    line: u32,
    priority: u16,
}

impl Default for Database {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], strings: Strings::default() }
    }
}

impl Database {
    /// Adds a property to `pattern`; a later one of the same key replaces it. Neither holds a NUL.
    pub(super) fn insert(&mut self, pattern: &[u8], property: (&[u8], &[u8]), source: Source<'_>) {
        let letter_at = |at: usize| pattern.get(at).copied().unwrap_or(0);
        let (mut node, mut at) = (0, 0);
        loop {
            let mut common = 0;
            loop {
                match self.strings.letter(self.nodes[node].prefix + common) {
                    0 => break,
                    letter if letter == letter_at(at + common) => common += 1,
                    letter => {
                        self.split(node, common, letter);
                        break;
                    }
                }
            }
            at += common;
            let letter = letter_at(at);
            if letter == 0 {
                return self.add_value(node, property, source);
            }
            match self.nodes[node].children.binary_search_by_key(&letter, |(letter, _)| *letter) {
                Ok(found) => node = self.nodes[node].children[found].1,
                Err(place) => {
                    let prefix = self.strings.add(&pattern[at + 1..]);
                    let child = self.nodes.len();
                    self.nodes.push(Node { prefix, ..Node::default() });
                    self.nodes[node].children.insert(place, (letter, child));
                    return self.add_value(child, property, source);
                }
            }
            at += 1;
        }
    }

    /// Cuts the prefix of `node` to `common` letters; what it held moves to a child under `letter`.
    fn split(&mut self, node: usize, common: usize, letter: u8) {
        let child = self.nodes.len();
        let prefix = self.nodes[node].prefix;
        let kept = self.strings.get(prefix)[..common].to_vec();
        let kept = self.strings.add(&kept);
        let old = std::mem::replace(
            &mut self.nodes[node],
            Node { prefix: kept, children: vec![(letter, child)], values: Vec::new() },
        );
        self.nodes.push(Node { prefix: prefix + common + 1, ..old });
    }

    fn add_value(&mut self, node: usize, property: (&[u8], &[u8]), source: Source<'_>) {
        let value = Value {
            key: self.strings.add(property.0),
            value: self.strings.add(property.1),
            file: self.strings.add(source.file.as_bytes()),
            line: source.line,
            priority: source.priority,
        };
        let strings = &self.strings;
        let values = &mut self.nodes[node].values;
        match values.binary_search_by(|other| strings.get(other.key).cmp(property.0)) {
            Ok(found) => values[found] = Value { key: values[found].key, ..value },
            Err(place) => values.insert(place, value),
        }
    }

    /// The file, signed with systemd's release.
    pub(super) fn encode(&self, tool_version: u64) -> Vec<u8> {
        let listed = self.listed();
        let mut offsets = vec![0usize; self.nodes.len()];
        let mut end = HEADER;
        for index in &listed {
            let node = &self.nodes[*index];
            offsets[*index] = end;
            end += NODE + CHILD * node.children.len() + VALUE * node.values.len();
        }
        let strings = self.strings.bytes();
        let mut out = Vec::with_capacity(end + strings.len());
        out.extend(MAGIC);
        let sizes = [HEADER, NODE, CHILD, VALUE, offsets[0], end - HEADER, strings.len()].map(|size| size as u64);
        for word in [tool_version, (end + strings.len()) as u64].into_iter().chain(sizes) {
            out.extend(word.to_le_bytes());
        }
        for index in listed {
            let node = &self.nodes[index];
            let string = |offset: usize| ((end + offset) as u64).to_le_bytes();
            out.extend(string(node.prefix));
            out.extend((node.children.len() as u64).to_le_bytes());
            out.extend((node.values.len() as u64).to_le_bytes());
            for (letter, child) in &node.children {
                out.extend(u64::from(*letter).to_le_bytes());
                out.extend((offsets[*child] as u64).to_le_bytes());
            }
            for value in &node.values {
                out.extend([value.key, value.value, value.file].into_iter().flat_map(string));
                out.extend(value.line.to_le_bytes());
                out.extend(value.priority.to_le_bytes());
                out.extend([0, 0]);
            }
        }
        out.extend(strings);
        out
    }

    /// All nodes, children before parents. Iterative, since patterns are outside input.
    fn listed(&self) -> Vec<usize> {
        let mut listed = Vec::with_capacity(self.nodes.len());
        let mut left = vec![0];
        while let Some(index) = left.pop() {
            listed.push(index);
            left.extend(self.nodes[index].children.iter().map(|(_, child)| *child));
        }
        // Parents first and children backwards is the mirror image of what is wanted.
        listed.reverse();
        listed
    }
}
