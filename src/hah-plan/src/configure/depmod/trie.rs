//! The binary index of kmod: a prefix tree on disk.
//!
//! Source: the comment at the head of libkmod's `libkmod-index.c`. All integers are 32-bit big-endian.
//!
//! ```text
//! file  magic B007F457 | version 00020001 | offset of the root node | nodes
//! node  [prefix NUL] [first last offset×(last-first+1)] [count (priority value NUL)×count]
//! ```
//!
//! The high bits of an offset say which parts its node has: 0x80000000 prefix, 0x40000000 values, 0x20000000 children.
//! Children stand for the letters from `first` to `last`; absent ones have offset 0.

use std::collections::BTreeMap;

const MAGIC: u32 = 0xB007_F457;
const VERSION: u32 = 0x0002_0001;
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;
/// Offsets are below this.
const OFFSET_MAX: usize = 0x0FFF_FFFF;
/// Bytes of one key or value at most (`PATH_MAX`, and room for the longest line of `modules.dep`).
const STRING_MAX: usize = 64 * 1024;

/// Which node comes first in the file. Readers do not care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeOrder {
    /// As kmod 33 and older write.
    ChildrenFirst,
    /// As kmod 34 and newer write.
    ParentFirst,
}

/// Why a string or an index cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrieError {
    /// The index has 7-bit letters only.
    #[error("`{0}` cannot be in a module index: it has other letters than ASCII, or a NUL, or is too long")]
    Letters(String),
    /// More than 256 MiB.
    #[error("the module index would be larger than 256 MiB")]
    TooLarge,
}

/// An index in memory.
#[derive(Debug)]
pub struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    prefix: Vec<u8>,
    children: BTreeMap<u8, usize>,
    values: Vec<(u32, String)>,
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    /// Adds `value` under `key`. Values of one key stand in order of priority, later ones before earlier ones of the same.
    pub fn insert(&mut self, key: &str, value: &str, priority: u32) -> Result<(), TrieError> {
        for text in [key, value] {
            if !text.is_ascii() || text.contains('\0') || text.len() > STRING_MAX {
                return Err(TrieError::Letters(text.chars().take(60).collect()));
            }
        }
        let mut rest = key.as_bytes();
        let mut at = 0;
        loop {
            let common = self.nodes[at].prefix.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if common < self.nodes[at].prefix.len() {
                self.split(at, common);
            }
            rest = &rest[common..];
            let Some((letter, after)) = rest.split_first() else {
                let values = &mut self.nodes[at].values;
                let place = values.iter().position(|(other, _)| *other >= priority).unwrap_or(values.len());
                values.insert(place, (priority, value.to_owned()));
                return Ok(());
            };
            match self.nodes[at].children.get(letter) {
                Some(child) => at = *child,
                None => {
                    let leaf =
                        Node { prefix: after.to_vec(), values: vec![(priority, value.to_owned())], ..Node::default() };
                    self.nodes.push(leaf);
                    let leaf = self.nodes.len() - 1;
                    self.nodes[at].children.insert(*letter, leaf);
                    return Ok(());
                }
            }
            rest = after;
        }
    }

    /// Cuts the prefix of the node `at` to `common` letters; what the node held moves to a child.
    fn split(&mut self, at: usize, common: usize) {
        let child = self.nodes.len();
        let node = &mut self.nodes[at];
        let letter = node.prefix[common];
        let lower = Node {
            prefix: node.prefix.split_off(common + 1),
            children: std::mem::take(&mut node.children),
            values: std::mem::take(&mut node.values),
        };
        node.prefix.truncate(common);
        node.children.insert(letter, child);
        self.nodes.push(lower);
    }

    /// The file.
    pub fn encode(&self, order: NodeOrder) -> Result<Vec<u8>, TrieError> {
        let listed = self.listed(order);
        let mut offsets = vec![0u32; self.nodes.len()];
        let mut end = 12usize;
        for index in &listed {
            let node = &self.nodes[*index];
            if end > OFFSET_MAX {
                return Err(TrieError::TooLarge);
            }
            offsets[*index] = end as u32 | node.flags();
            end += node.size();
        }
        let mut out = Vec::with_capacity(end);
        for word in [MAGIC, VERSION, offsets[0]] {
            out.extend(word.to_be_bytes());
        }
        for index in listed {
            self.nodes[index].write(&offsets, &mut out);
        }
        Ok(out)
    }

    /// All nodes in file order. Iterative: keys are outside input, and as deep as they are long.
    fn listed(&self, order: NodeOrder) -> Vec<usize> {
        let mut listed = Vec::with_capacity(self.nodes.len());
        let mut left = vec![0];
        while let Some(index) = left.pop() {
            listed.push(index);
            let children = self.nodes[index].children.values();
            match order {
                NodeOrder::ParentFirst => left.extend(children.rev()),
                // Parents first and children backwards is the mirror image of what is wanted.
                NodeOrder::ChildrenFirst => left.extend(children),
            }
        }
        if order == NodeOrder::ChildrenFirst {
            listed.reverse();
        }
        listed
    }
}

impl Node {
    fn range(&self) -> Option<(u8, u8)> {
        Some((*self.children.first_key_value()?.0, *self.children.last_key_value()?.0))
    }

    fn flags(&self) -> u32 {
        let flag = |is_there: bool, flag: u32| if is_there { flag } else { 0 };
        flag(!self.prefix.is_empty(), HAS_PREFIX)
            | flag(!self.values.is_empty(), HAS_VALUES)
            | flag(!self.children.is_empty(), HAS_CHILDREN)
    }

    fn size(&self) -> usize {
        let prefix = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let children = self.range().map_or(0, |(first, last)| 2 + 4 * (usize::from(last - first) + 1));
        let values: usize = self.values.iter().map(|(_, value)| 4 + value.len() + 1).sum();
        prefix + children + if self.values.is_empty() { 0 } else { 4 + values }
    }

    fn write(&self, offsets: &[u32], out: &mut Vec<u8>) {
        if !self.prefix.is_empty() {
            out.extend(&self.prefix);
            out.push(0);
        }
        if let Some((first, last)) = self.range() {
            out.extend([first, last]);
            for letter in first..=last {
                let offset = self.children.get(&letter).map_or(0, |child| offsets[*child]);
                out.extend(offset.to_be_bytes());
            }
        }
        if !self.values.is_empty() {
            out.extend((self.values.len() as u32).to_be_bytes());
            for (priority, value) in &self.values {
                out.extend(priority.to_be_bytes());
                out.extend(value.as_bytes());
                out.push(0);
            }
        }
    }
}
