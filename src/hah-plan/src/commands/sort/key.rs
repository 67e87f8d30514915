//! What sort(1) compares: keys (`-k F[.C][OPTS][,F[.C][OPTS]]`) and the ways to compare them.

use std::cmp::Ordering;

/// How a key is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    blanks: bool,
    dictionary: bool,
    fold: bool,
    printing: bool,
    by: By,
    /// Backwards.
    pub(super) reverse: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum By {
    #[default]
    Bytes,
    Number,
    Human,
    Month,
    Version,
}

impl Style {
    /// Sets an ordering option by its letter.
    pub(super) fn set(&mut self, letter: char) {
        match letter {
            'b' => self.blanks = true,
            'd' => self.dictionary = true,
            'f' => self.fold = true,
            'i' => self.printing = true,
            'n' => self.by = By::Number,
            'h' => self.by = By::Human,
            'M' => self.by = By::Month,
            'V' => self.by = By::Version,
            _ => self.reverse = true,
        }
    }

    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        let order = match self.by {
            By::Number => number(left).compare(&number(right)),
            By::Human => {
                let order = |text| {
                    let number = number(text);
                    (number.negative, suffix(text, &number), number)
                };
                let ((minus, left_suffix, left), (_, right_suffix, right)) = (order(left), order(right));
                match left.sign().cmp(&right.sign()) {
                    Ordering::Equal if minus => right_suffix.cmp(&left_suffix),
                    Ordering::Equal => left_suffix.cmp(&right_suffix),
                    other => other,
                }
                .then_with(|| left.compare(&right))
            }
            By::Month => month(left).cmp(&month(right)),
            By::Version => version_order(&self.text(left), &self.text(right)),
            By::Bytes => self.text(left).cmp(&self.text(right)),
        };
        if self.reverse { order.reverse() } else { order }
    }

    /// The bytes that count, as they count.
    fn text(&self, text: &[u8]) -> Vec<u8> {
        let counts = |byte: &&u8| {
            (!self.dictionary || byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'\t'))
                && (!self.printing || byte.is_ascii_graphic() || **byte == b' ')
        };
        let text = text.iter().filter(counts);
        if self.fold { text.map(u8::to_ascii_uppercase).collect() } else { text.copied().collect() }
    }
}

/// One end of a key: a field and a character in it, from 1; 0 characters is the field's end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    field: usize,
    character: usize,
    blanks: bool,
}

/// One `-k`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    start: Place,
    end: Option<Place>,
    style: Style,
}

impl Key {
    /// The whole line.
    pub(super) fn whole(global: &Style) -> Self {
        let start = Place { field: 1, character: 1, blanks: global.blanks };
        Self { start, end: None, style: global.clone() }
    }

    /// Reads a `-k`; without ordering options of its own it has the `global` ones.
    pub(super) fn parse(text: &str, global: &Style) -> Option<Self> {
        let (start, end) = match text.split_once(',') {
            Some((start, end)) => (start, Some(end)),
            None => (text, None),
        };
        let mut style = Style::default();
        let mut letters = String::new();
        let mut place = |text: &str, default: usize| {
            let digits =
                text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit() || digit == '.').len();
            let (numbers, options) = text.split_at(digits);
            let (field, character) = numbers.split_once('.').unwrap_or((numbers, ""));
            if !options.chars().all(|letter| "bdfiMhnrV".contains(letter)) {
                return None;
            }
            letters.push_str(options);
            options.chars().filter(|letter| *letter != 'b').for_each(|letter| style.set(letter));
            let character = if character.is_empty() { default } else { character.parse().ok()? };
            let field = field.parse().ok().filter(|field| *field > 0)?;
            Some(Place { field, character, blanks: options.contains('b') })
        };
        let mut start = place(start, 1).filter(|start| start.character > 0)?;
        let mut end = match end {
            Some(end) => Some(place(end, 0)?),
            None => None,
        };
        if letters.is_empty() {
            style = global.clone();
            start.blanks = global.blanks;
            if let Some(end) = &mut end {
                end.blanks = global.blanks;
            }
        }
        Some(Self { start, end, style })
    }

    /// Compares two lines by this key.
    pub(super) fn compare(&self, left: &[u8], right: &[u8], separator: Option<u8>) -> Ordering {
        self.style.compare(self.of(left, separator), self.of(right, separator))
    }

    fn of<'l>(&self, line: &'l [u8], separator: Option<u8>) -> &'l [u8] {
        let start = offset(line, &self.start, separator, false);
        let end = self.end.as_ref().map_or(line.len(), |end| offset(line, end, separator, true));
        line.get(start..end.max(start)).unwrap_or_default()
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Where a place is; for an end, behind its character.
fn offset(line: &[u8], place: &Place, separator: Option<u8>, is_end: bool) -> usize {
    let fields_before = if is_end && place.character == 0 { place.field } else { place.field - 1 };
    let mut at = 0;
    for index in 0..fields_before {
        match separator {
            Some(separator) => match line[at..].iter().position(|byte| *byte == separator) {
                // The separator itself is no part of a field that ends a key.
                Some(found) if is_end && place.character == 0 && index + 1 == fields_before => at += found,
                Some(found) => at += found + 1,
                None => return line.len(),
            },
            None => {
                at += line[at..].iter().take_while(|byte| is_blank(byte)).count();
                at += line[at..].iter().take_while(|byte| !is_blank(byte)).count();
            }
        }
    }
    if is_end && place.character == 0 {
        return at;
    }
    if place.blanks {
        at += line[at..].iter().take_while(|byte| is_blank(byte)).count();
    }
    (at + place.character - usize::from(!is_end)).min(line.len())
}

struct Number<'t> {
    negative: bool,
    whole: &'t [u8],
    fraction: &'t [u8],
}

fn number(text: &[u8]) -> Number<'_> {
    let text = &text[text.iter().take_while(|byte| is_blank(byte)).count()..];
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (whole, rest) = text.split_at(digits);
    let fraction = match rest.strip_prefix(b".") {
        Some(rest) => &rest[..rest.iter().take_while(|byte| byte.is_ascii_digit()).count()],
        None => &[],
    };
    Number { negative, whole, fraction }
}

impl Number<'_> {
    fn is_zero(&self) -> bool {
        self.whole.iter().chain(self.fraction).all(|digit| *digit == b'0')
    }

    fn sign(&self) -> i8 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.sign().cmp(&other.sign()).then_with(|| {
            let digits = |text: &[u8]| text[text.iter().take_while(|digit| **digit == b'0').count()..].to_vec();
            let (left, right) = (digits(self.whole), digits(other.whole));
            let trimmed =
                |text: &[u8]| text[..text.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1)].to_vec();
            let order = left.len().cmp(&right.len()).then_with(|| left.cmp(&right));
            let order = order.then_with(|| trimmed(self.fraction).cmp(&trimmed(other.fraction)));
            if self.negative { order.reverse() } else { order }
        })
    }
}

/// The rank of the unit letter behind a number.
fn suffix(text: &[u8], number: &Number<'_>) -> usize {
    let start = text.iter().take_while(|byte| is_blank(byte)).count() + usize::from(number.negative);
    let mut at = start + number.whole.len();
    if text.get(at) == Some(&b'.') {
        at += 1 + number.fraction.len();
    }
    let letter = text.get(at).map_or(0, u8::to_ascii_uppercase);
    b"KMGTPEZY".iter().position(|unit| *unit == letter).map_or(0, |rank| rank + 1)
}

/// 1 for January to 12; 0 for no month.
fn month(text: &[u8]) -> usize {
    let text = &text[text.iter().take_while(|byte| is_blank(byte)).count()..];
    let head = text.get(..3).unwrap_or_default().to_ascii_lowercase();
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        .iter()
        .position(|month| month.as_bytes() == head)
        .map_or(0, |index| index + 1)
}

/// The order of `sort -V` and `ls -v`: filevercmp(3) of gnulib.
///
/// Hidden files come first, and a suffix such as `.tar.gz` counts only where the rest is equal.
pub(in crate::commands) fn version_order(left: &[u8], right: &[u8]) -> Ordering {
    let rank = |text: &[u8]| match text {
        b"" => 0,
        b"." => 1,
        b".." => 2,
        _ if text.starts_with(b".") => 3,
        _ => 4,
    };
    let (left_rank, right_rank) = (rank(left), rank(right));
    if left_rank != right_rank || left_rank < 3 {
        return left_rank.cmp(&right_rank);
    }
    let (left_stem, right_stem) = (without_suffix(left), without_suffix(right));
    let stems = match left_stem == right_stem {
        true => Ordering::Equal,
        false => by_parts(left_stem, right_stem),
    };
    stems.then_with(|| by_parts(left, right))
}

/// Without `(\.[A-Za-z~][A-Za-z0-9~]*)*` at the end.
fn without_suffix(text: &[u8]) -> &[u8] {
    let mut end = text.len();
    let mut at = end;
    while at > 0 {
        at -= 1;
        match text[at] {
            b'.' => match text.get(at + 1) {
                Some(first) if (first.is_ascii_alphabetic() || *first == b'~') && at > 0 => end = at,
                _ => break,
            },
            byte if byte.is_ascii_alphanumeric() || byte == b'~' => {}
            _ => break,
        }
    }
    &text[..end]
}

fn by_parts(mut left: &[u8], mut right: &[u8]) -> Ordering {
    let rank = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    while !left.is_empty() || !right.is_empty() {
        loop {
            let is_text = |text: &[u8]| text.first().is_some_and(|byte| !byte.is_ascii_digit());
            if !is_text(left) && !is_text(right) {
                break;
            }
            match rank(left.first()).cmp(&rank(right.first())) {
                Ordering::Equal => {}
                other => return other,
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let zeros = |text: &[u8]| text.iter().take_while(|digit| **digit == b'0').count();
        (left, right) = (&left[zeros(left)..], &right[zeros(right)..]);
        let digits = |text: &[u8]| text.iter().take_while(|digit| digit.is_ascii_digit()).count();
        let (left_digits, right_digits) = (digits(left), digits(right));
        let order = left_digits.cmp(&right_digits).then_with(|| left[..left_digits].cmp(&right[..right_digits]));
        if order.is_ne() {
            return order;
        }
        (left, right) = (&left[left_digits..], &right[right_digits..]);
    }
    Ordering::Equal
}
