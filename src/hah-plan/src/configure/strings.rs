//! The string store of systemd's databases: NUL-terminated strings, each once, where possible as the end of another.
//!
//! Which ends are found depends on the order of additions and on the search tree, and so do the bytes of the file:
//! this is systemd's `strbuf`, a tree by last letters that is only searched along the way to where a string would go.

/// Strings and where they are.
#[derive(Debug)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    offset: usize,
    length: usize,
    /// By the letter before those that led here, sorted.
    children: Vec<(u8, usize)>,
}

impl Default for Strings {
    fn default() -> Self {
        Self { bytes: vec![0], nodes: vec![Node::default()] }
    }
}

impl Strings {
    /// The offset of `text`, which is added when it is not found. The empty string is at 0.
    pub(super) fn add(&mut self, text: &[u8]) -> usize {
        if text.is_empty() {
            return 0;
        }
        let mut at = 0;
        let mut depth = 0;
        let letter = loop {
            let node = &self.nodes[at];
            let tail = (node.offset + node.length).wrapping_sub(text.len());
            let is_tail = node.length >= text.len() && self.bytes.get(tail..tail + text.len()) == Some(text);
            if is_tail || depth == text.len() {
                return tail;
            }
            let letter = text[text.len() - 1 - depth];
            match node.children.binary_search_by_key(&letter, |(letter, _)| *letter) {
                Ok(found) => at = node.children[found].1,
                Err(_) => break letter,
            }
            depth += 1;
        };
        let offset = self.bytes.len();
        self.bytes.extend(text);
        self.bytes.push(0);
        let child = self.nodes.len();
        self.nodes.push(Node { offset, length: text.len(), children: Vec::new() });
        let children = &mut self.nodes[at].children;
        let place = children.partition_point(|(other, _)| *other <= letter);
        children.insert(place, (letter, child));
        offset
    }

    /// The string at `offset`, without its NUL.
    pub(super) fn get(&self, offset: usize) -> &[u8] {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The letter at `offset`; 0 ends a string.
    pub(super) fn letter(&self, offset: usize) -> u8 {
        self.bytes.get(offset).copied().unwrap_or(0)
    }

    /// The whole store.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
