//! Several files in one input, as text that a person can write and a fuzzer can splice:
//!
//! ```text
//! === etc/passwd
//! root:x:0:0::/:/bin/sh
//! === DEBIAN/postinst
//! …
//! ```
//!
//! Bytes before the first mark belong to nothing. The line break before a mark is the file's.

const MARK: &[u8] = b"=== ";

/// Names and contents, in order.
pub fn split(input: &[u8]) -> Vec<(&str, &[u8])> {
    let mut found = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    let mut at = 0;
    while at < input.len() {
        let end = input[at..].iter().position(|byte| *byte == b'\n').map_or(input.len(), |length| at + length + 1);
        if let Some(name) = input[at..end].strip_prefix(MARK).and_then(|line| std::str::from_utf8(line).ok()) {
            found.extend(open.map(|(name, start)| (name, &input[start..at])));
            open = Some((name.trim_end(), end));
        }
        at = end;
    }
    found.extend(open.map(|(name, start)| (name, &input[start..])));
    found
}
