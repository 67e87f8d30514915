//! Rules that tell a type from what is in a file (`<magic>`) or in a medium's tree (`<treemagic>`).

use roxmltree::Node;

use super::element::FREEDESKTOP;

/// A byte pattern and where it may stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Match {
    /// First offset, in bytes.
    pub(super) start: i64,
    /// How many offsets from there.
    pub(super) range: i32,
    /// Bytes that are swapped together on a little-endian machine: 1, 2 or 4.
    pub(super) word: u8,
    pub(super) data: Vec<u8>,
    /// As long as `data`.
    pub(super) mask: Option<Vec<u8>>,
    /// Any of these must hold too.
    pub(super) children: Vec<Match>,
}

/// A path that a medium must have.
#[derive(Clone, Debug, Default)]
pub(super) struct TreeMatch {
    pub(super) path: String,
    /// `any`, `file`, `directory` or `link`, and what else is asked for, as the text file has it.
    pub(super) conditions: String,
    pub(super) children: Vec<TreeMatch>,
}

/// The elements in `node`; those of another name or namespace are errors.
fn elements<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Result<Node<'a, 'i>, String>> {
    node.children().filter(Node::is_element).map(move |child| {
        let tag = child.tag_name();
        if tag.namespace() != Some(FREEDESKTOP) {
            Err("Element found with non-freedesktop.org namespace".to_owned())
        } else if tag.name() != name {
            Err(format!("Expected <{name}> element, but found <{}> instead", tag.name()))
        } else {
            Ok(child)
        }
    })
}

/// The `<match>` elements in `node`.
pub(super) fn matches(node: Node<'_, '_>) -> Result<Vec<Match>, String> {
    elements(node, "match").map(|child| parse_match(child?)).collect()
}

/// The `<treematch>` elements in `node`.
pub(super) fn tree_matches(node: Node<'_, '_>) -> Result<Vec<TreeMatch>, String> {
    elements(node, "treematch").map(|child| parse_tree_match(child?)).collect()
}

fn parse_match(node: Node<'_, '_>) -> Result<Match, String> {
    let offset = node.attribute("offset").filter(|offset| !offset.is_empty()).ok_or("Missing 'offset' attribute")?;
    let (start, range) = parse_offset(offset).ok_or("Invalid offset")?;
    let kind = node.attribute("type").ok_or("Missing 'type' attribute in <match>")?;
    let value = node.attribute("value").filter(|value| !value.is_empty());
    let mask = node.attribute("mask");
    let value = move || value.ok_or_else(|| "No value specified".to_owned());
    let (word, (data, mask)) = match kind {
        "host16" => (2, numbers(2, value()?, mask, Ends::Big)?),
        "host32" => (4, numbers(4, value()?, mask, Ends::Big)?),
        "big16" => (1, numbers(2, value()?, mask, Ends::Big)?),
        "big32" => (1, numbers(4, value()?, mask, Ends::Big)?),
        "little16" => (1, numbers(2, value()?, mask, Ends::Little)?),
        "little32" => (1, numbers(4, value()?, mask, Ends::Little)?),
        "byte" => (1, numbers(1, value()?, mask, Ends::Little)?),
        "string" => {
            let data = unescape(value()?);
            let mask = mask.filter(|_| !data.is_empty()).map(|mask| string_mask(mask, data.len())).transpose()?;
            (1, (data, mask))
        }
        kind => return Err(format!("Unknown magic type '{kind}'")),
    };
    Ok(Match { start, range, word, data, mask, children: matches(node)? })
}

/// `START` or `START:LAST`, decimal.
fn parse_offset(text: &str) -> Option<(i64, i32)> {
    let number = |text: &str| text.trim_start_matches([' ', '\t', '\n']).parse::<i64>().ok();
    match text.split_once(':') {
        None => Some((number(text)?, 1)),
        Some((start, last)) => {
            let (start, last) = (number(start)?, number(last)?);
            let range = i32::try_from(last.checked_sub(start)?.checked_add(1)?).ok()?;
            (start >= 0 && range > 0).then_some((start, range))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Big,
    Little,
}

/// Bytes and mask of a number of `size` bytes.
fn numbers(size: usize, value: &str, mask: Option<&str>, ends: Ends) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let bytes = |number: u64| {
        let little = number.to_le_bytes();
        let mut bytes = little[..size].to_vec();
        if ends == Ends::Big {
            bytes.reverse();
        }
        bytes
    };
    let number = parse_number(value).ok_or("Value is not a number")?;
    if size < 4 && number >> (size * 8) != 0 {
        return Err(format!("Number out-of-range ({number:x} should fit in {size} bytes)"));
    }
    let mask = mask.map(|mask| parse_number(mask).map(bytes).ok_or("Mask is not a number")).transpose()?;
    Ok((bytes(number), mask))
}

/// A number as C's strtoul(3) reads it: `0x1f`, `017`, `15`, each with a sign.
fn parse_number(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([' ', '\t', '\n']);
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let number = match (hex, digits.strip_prefix('0')) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok()?,
        (None, Some("")) => 0,
        (None, Some(octal)) => u64::from_str_radix(octal, 8).ok()?,
        (None, None) => digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())??,
    };
    Some(if is_negative { number.wrapping_neg() } else { number })
}

/// `0x` and hexadecimal digits; bytes that it does not reach are 0.
fn string_mask(mask: &str, len: usize) -> Result<Vec<u8>, String> {
    let digits = mask.strip_prefix("0x").ok_or("String masks must be in base 16 (starting with 0x)")?;
    let mut out = vec![0; len];
    for (at, letter) in digits.chars().enumerate() {
        let digit = letter.to_digit(16).ok_or_else(|| format!("'{letter}' is not a valid hex digit"))? as u8;
        let byte = out.get_mut(at / 2).ok_or("Mask is longer than value")?;
        *byte |= if at % 2 == 0 { digit << 4 } else { digit };
    }
    Ok(out)
}

/// The escapes of C strings, as file(1) has them.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    let digits = |from: usize, most: usize, radix: u32| {
        let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
        bytes.get(from..).unwrap_or_default().iter().take(most).take_while(is_digit).count()
    };
    while let Some(byte) = bytes.get(at) {
        at += 1;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some(escape) = bytes.get(at) else { break };
        at += 1;
        let (from, radix, count) = match escape {
            b'0'..=b'7' => (at - 1, 8, 1 + digits(at, 2, 8)),
            b'x' => (at, 16, digits(at, 2, 16)),
            _ => (at, 0, 0),
        };
        if count > 0 {
            let digit = |byte: &u8| char::from(*byte).to_digit(radix).unwrap_or_default();
            let value = bytes[from..from + count].iter().fold(0, |value, byte| value * radix + digit(byte));
            out.push((value & 0xff) as u8);
            at = from + count;
            continue;
        }
        out.push(match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b'b' => 8,
            b't' => b'\t',
            b'f' => 12,
            b'v' => 11,
            other => *other,
        });
    }
    out
}

fn parse_tree_match(node: Node<'_, '_>) -> Result<TreeMatch, String> {
    let path = node.attribute("path").ok_or("Missing 'path' attribute in <treematch>")?.to_owned();
    let mut conditions = match node.attribute("type") {
        None => "any",
        Some(kind @ ("file" | "directory" | "link")) => kind,
        Some(_) => return Err("Invalid 'type' attribute in <treematch>".to_owned()),
    }
    .to_owned();
    for condition in ["match-case", "executable", "non-empty"] {
        if node.attribute(condition) == Some("true") {
            conditions.push(',');
            conditions.push_str(condition);
        }
    }
    if let Some(kind) = node.attribute("mimetype") {
        conditions.push(',');
        conditions.push_str(kind);
    }
    Ok(TreeMatch { path, conditions, children: tree_matches(node)? })
}
