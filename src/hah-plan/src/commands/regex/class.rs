//! [`Class`]: a set of characters, as brackets and escapes name them.
//!
//! A character is a Unicode scalar value, or a byte where the locale is `C`.

use std::sync::OnceLock;

/// A set of characters as ranges, both ends in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Class {
    ranges: Vec<(u32, u32)>,
    negated: bool,
}

impl Class {
    /// Adds the characters from `first` to `last`.
    pub(super) fn add(&mut self, first: u32, last: u32) {
        self.ranges.push((first, last));
    }

    /// Makes it the set of all other characters.
    pub(super) fn negate(&mut self) {
        self.negated = true;
    }

    /// Adds `[:name:]`; `false` when there is no such class.
    pub(super) fn add_named(&mut self, name: &str, utf8: bool) -> bool {
        let Some(index) = NAMES.iter().position(|known| *known == name) else { return false };
        match utf8 {
            false => {
                let bytes = (0..128_u8).filter(|byte| belongs(index, char::from(*byte)));
                self.ranges.extend(bytes.map(|byte| (u32::from(byte), u32::from(byte))));
            }
            true => self.ranges.extend_from_slice(&unicode_ranges()[index]),
        }
        true
    }

    /// Letters, digits and `_`: `\w`.
    pub(super) fn word(utf8: bool) -> Self {
        let mut class = Self::default();
        class.add_named("alnum", utf8);
        class.add(u32::from('_'), u32::from('_'));
        class
    }

    /// White space: `\s`.
    pub(super) fn space(utf8: bool) -> Self {
        let mut class = Self::default();
        class.add_named("space", utf8);
        class
    }

    /// The ranges, and whether the set is what they do not cover.
    pub(super) fn parts(&self) -> (&[(u32, u32)], bool) {
        (&self.ranges, self.negated)
    }

    /// Whether `character` is in the set; with `fold`, also when its other case is.
    pub(super) fn contains(&self, character: u32, fold: bool) -> bool {
        let listed = |wanted: u32| self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&wanted));
        let found = listed(character)
            || fold
                && char::from_u32(character).is_some_and(|character| {
                    character.to_lowercase().chain(character.to_uppercase()).any(|other| listed(other.into()))
                });
        found != self.negated
    }
}

const NAMES: [&str; 12] =
    ["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit"];

fn belongs(index: usize, character: char) -> bool {
    let wide = !character.is_ascii();
    match NAMES[index] {
        "alnum" => character.is_alphanumeric(),
        "alpha" => character.is_alphabetic() || wide && character.is_numeric(),
        "blank" => matches!(character, ' ' | '\t') || wide && character.is_whitespace() && !is_break(character),
        "cntrl" => character.is_control() || is_break(character) && wide,
        "digit" => character.is_ascii_digit(),
        "graph" => !character.is_control() && !character.is_whitespace(),
        "lower" => character.is_lowercase(),
        "print" => !character.is_control() && (!character.is_whitespace() || character == ' ' || wide),
        "punct" => match wide {
            false => character.is_ascii_punctuation(),
            true => !character.is_alphanumeric() && !character.is_control() && !character.is_whitespace(),
        },
        "space" => character.is_whitespace() && !matches!(character, '\u{a0}' | '\u{2007}' | '\u{202f}'),
        "upper" => character.is_uppercase(),
        _ => character.is_ascii_hexdigit(),
    }
}

/// Line and paragraph separators.
fn is_break(character: char) -> bool {
    matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn unicode_ranges() -> &'static [Vec<(u32, u32)>; 12] {
    static RANGES: OnceLock<[Vec<(u32, u32)>; 12]> = OnceLock::new();
    RANGES.get_or_init(|| {
        std::array::from_fn(|index| {
            let mut ranges: Vec<(u32, u32)> = Vec::new();
            // Scripts beyond the second plane have no case and no punctuation; all of them are letters or nothing.
            for character in (0..0x3_2000).filter_map(char::from_u32).filter(|one| belongs(index, *one)) {
                let code = u32::from(character);
                match ranges.last_mut() {
                    Some(last) if last.1 + 1 == code => last.1 = code,
                    _ => ranges.push((code, code)),
                }
            }
            ranges
        })
    })
}
