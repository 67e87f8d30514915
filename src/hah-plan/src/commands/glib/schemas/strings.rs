//! The strings that a key may have, as GSettings searches them: words of 4 bytes, each string after a number.
//!
//! ```text
//! number  ff 'n' 'a' 'm'  'e' 00 00 ff      a string: of an enumeration with its number, of choices with 0
//! word    fe 'a' 'l' 'i'  'a' 's' 00 ff     an alias: where its string's number stands
//! ```

/// Longest string, in bytes: 17 words hold it and what is around it.
const LONGEST: usize = 65;

#[derive(Clone, Debug, Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    known: Vec<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    text: String,
    number: u32,
    is_alias: bool,
    /// Where its number stands, in words.
    at: usize,
}

impl Strings {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The words, little-endian.
    pub(super) fn words(&self) -> Vec<u32> {
        self.bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
    }

    /// Whether `text` is a string or an alias.
    pub(super) fn contains(&self, text: &str) -> bool {
        self.known.iter().any(|known| known.text == text)
    }

    /// Whether `text` is a string, and no alias.
    pub(super) fn is_valid(&self, text: &str) -> bool {
        self.known.iter().any(|known| known.text == text && !known.is_alias)
    }

    /// Whether a string has this number.
    pub(super) fn contains_number(&self, number: u32) -> bool {
        self.known.iter().any(|known| known.number == number && !known.is_alias)
    }

    /// Adds a string.
    pub(super) fn add(&mut self, text: &str, number: u32) -> Result<(), String> {
        self.append(text, number, false)
    }

    /// Adds another name of `target`; whether there is such a string.
    pub(super) fn add_alias(&mut self, text: &str, target: &str) -> Result<bool, String> {
        let known = self.known.iter().find(|known| known.text == target && !known.is_alias);
        let Some(at) = known.map(|known| known.at) else { return Ok(false) };
        self.append(text, u32::try_from(at).unwrap_or(u32::MAX), true)?;
        Ok(true)
    }

    fn append(&mut self, text: &str, number: u32, is_alias: bool) -> Result<(), String> {
        if text.len() > LONGEST {
            return Err(format!("“{text}” is longer than {LONGEST} bytes"));
        }
        let at = self.bytes.len() / 4;
        self.known.push(Known { text: text.to_owned(), number, is_alias, at });
        self.bytes.extend_from_slice(&number.to_le_bytes());
        let start = self.bytes.len();
        self.bytes.push(if is_alias { 0xfe } else { 0xff });
        self.bytes.extend_from_slice(text.as_bytes());
        // A 0 ends the string, and a word of its own where it is short, so that no string looks like a number.
        let size = (text.len() + 3).next_multiple_of(4).max(8);
        self.bytes.resize(start + size - 1, 0);
        self.bytes.push(0xff);
        Ok(())
    }
}
