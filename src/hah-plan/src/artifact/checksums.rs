//! Checksum files: which file of a release has which SHA-256.
//!
//! ```text
//! 406354fc…  nomad_2.0.4_linux_arm64.zip        sha256sum(1): two spaces, or a space and `*`
//! SHA256 (nomad_2.0.4_linux_arm64.zip) = 406…   sha256sum --tag, and BSD
//! ```
//!
//! Strict, since a page with an apology must not be taken for one: every line is one of these, empty, or a comment.

use std::collections::BTreeMap;

use hah_format::digest::Sha256;

/// Longest file in bytes; HashiCorp's have 4 KB.
pub const MAX_CHECKSUMS: usize = 1 << 20;

/// The files of a release and their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    by_name: BTreeMap<String, Sha256>,
}

/// Not a checksum file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumsError {
    /// Nobody has as many files.
    #[error("it is longer than {MAX_CHECKSUMS} bytes")]
    TooLong,
    /// Not text.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A line that says something else.
    #[error("its line {0} is not a SHA-256 digest and a file name")]
    Line(usize),
    /// Two digests of one file.
    #[error("it lists `{0}` twice, with different digests")]
    Twice(String),
    /// No line at all.
    #[error("it lists no file")]
    Empty,
}

impl Checksums {
    /// Reads a checksum file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChecksumsError> {
        if bytes.len() > MAX_CHECKSUMS {
            return Err(ChecksumsError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ChecksumsError::NotUtf8)?;
        let mut by_name = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, digest) = parse_line(line).ok_or(ChecksumsError::Line(index + 1))?;
            if by_name.insert(name.to_owned(), digest).is_some_and(|earlier| earlier != digest) {
                return Err(ChecksumsError::Twice(name.to_owned()));
            }
        }
        if by_name.is_empty() { Err(ChecksumsError::Empty) } else { Ok(Self { by_name }) }
    }

    /// The digest of `name`.
    pub fn get(&self, name: &str) -> Option<Sha256> {
        self.by_name.get(name).copied()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The file with this digest.
    pub fn named(&self, digest: &Sha256) -> Option<&str> {
        self.by_name.iter().find(|(_, known)| *known == digest).map(|(name, _)| name.as_str())
    }
}

fn parse_line(line: &str) -> Option<(&str, Sha256)> {
    let (name, digest) = match line.strip_prefix("SHA256 (") {
        Some(rest) => rest.rsplit_once(") = ")?,
        None => {
            let (digest, rest) = line.split_at_checked(64)?;
            (rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *"))?, digest)
        }
    };
    let name = name.trim_start_matches("./").trim_end();
    let plain = !name.is_empty() && name.len() <= 255 && !name.chars().any(|c| c.is_control() || c == '\\');
    Some((name, digest.trim_end().parse().ok()?)).filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        let (one, two) = (Sha256::of(b"1"), Sha256::of(b"2"));
        let text =
            format!("# release\n{one}  a_1.zip\r\n\n{two} *././b_1.zip\nSHA256 (c (1).zip) = {one}\n{one}  a_1.zip\n");
        let sums = Checksums::parse(text.as_bytes()).unwrap();
        assert_eq!(sums.names().collect::<Vec<_>>(), ["a_1.zip", "b_1.zip", "c (1).zip"]);
        assert_eq!((sums.get("a_1.zip"), sums.get("b_1.zip"), sums.get("d")), (Some(one), Some(two), None));
        assert_eq!(sums.named(&two), Some("b_1.zip"));
    }

    #[test]
    fn other_texts_are_refused() {
        let (one, two) = (Sha256::of(b"1"), Sha256::of(b"2"));
        for (text, want) in [
            (String::new(), "it lists no file"),
            ("<html>not found</html>\n".to_owned(), "its line 1 is not a SHA-256 digest and a file name"),
            (format!("{one}  a\n{one} b\n"), "its line 2 is not a SHA-256 digest and a file name"),
            (format!("{one}  \n"), "its line 1 is not a SHA-256 digest and a file name"),
            (format!("{one}  a\n{two}  a\n"), "it lists `a` twice, with different digests"),
            ("a".repeat(MAX_CHECKSUMS + 1), "it is longer than 1048576 bytes"),
        ] {
            assert_eq!(Checksums::parse(text.as_bytes()).unwrap_err().to_string(), want);
        }
        assert_eq!(Checksums::parse(b"\xff").unwrap_err(), ChecksumsError::NotUtf8);
    }
}
