//! The name that OpenSSL looks a certificate up by: a hash of its subject.
//!
//! `X509_NAME_hash_ex(3)`: the first four bytes, little-endian, of the SHA-1 of the canonical subject.
//! Canonical means: of each relative name, a SET in DER whose strings are UTF-8 in lower-case ASCII, without space at the
//! ends and with one space for any run of them; the SETs follow each other without the SEQUENCE around them.
//!
//! DER (X.690): tag, length, value. [`Reader`] reads only what a certificate (RFC 5280 section 4.1) has before its subject.

use sha1::{Digest as _, Sha1};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;
/// `[0]`, the version of a certificate.
const CONTEXT_0: u8 = 0xa0;

/// Bytes that are not a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DerError {
    /// It ends early.
    #[error("the certificate ends within a value at byte {0}")]
    Truncated(usize),
    /// Another tag than the standard has there.
    #[error("the certificate has tag {found:#04x} at byte {at}, where {wanted:#04x} belongs")]
    Tag {
        /// Offset from the start of the enclosing value.
        at: usize,
        /// What is there.
        found: u8,
        /// What belongs there.
        wanted: u8,
    },
    /// A length that DER does not allow.
    #[error("the certificate has a length at byte {0} that is not DER")]
    Length(usize),
    /// A string that is not what its tag says.
    #[error("a name in the certificate is not a valid string")]
    Text,
}

/// The subject hash of a certificate.
pub(super) fn hash(certificate: &[u8]) -> Result<u32, DerError> {
    let digest = Sha1::digest(canonical(subject(certificate)?)?);
    Ok(u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

/// The value of the subject: a sequence of relative names.
fn subject(certificate: &[u8]) -> Result<&[u8], DerError> {
    let whole = Reader::new(certificate).expect(SEQUENCE)?;
    let mut signed = Reader::new(Reader::new(whole).expect(SEQUENCE)?);
    if signed.peek() == Some(CONTEXT_0) {
        signed.any()?;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        signed.any()?;
    }
    signed.expect(SEQUENCE)
}

fn canonical(name: &[u8]) -> Result<Vec<u8>, DerError> {
    let mut out = Vec::new();
    let mut relative_names = Reader::new(name);
    while relative_names.peek().is_some() {
        let mut attributes = Reader::new(relative_names.expect(SET)?);
        let mut members = Vec::new();
        while attributes.peek().is_some() {
            let mut attribute = Reader::new(attributes.expect(SEQUENCE)?);
            let kind = attribute.expect(OBJECT_IDENTIFIER)?;
            let (tag, value) = attribute.any()?;
            let mut member = encoded(OBJECT_IDENTIFIER, kind);
            match text(tag, value)? {
                Some(text) => member.extend(encoded(UTF8_STRING, plain(&text).as_bytes())),
                None => member.extend(encoded(tag, value)),
            }
            members.push(encoded(SEQUENCE, &member));
        }
        // DER sorts the members of a SET OF.
        members.sort();
        out.extend(encoded(SET, &members.concat()));
    }
    Ok(out)
}

/// The letters of a string type; `None` for other types, which are left as they are.
fn text(tag: u8, value: &[u8]) -> Result<Option<String>, DerError> {
    let wide = |width: usize| -> Result<String, DerError> {
        if !value.len().is_multiple_of(width) {
            return Err(DerError::Text);
        }
        let letters =
            value.chunks_exact(width).map(|chunk| chunk.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte)));
        letters.map(|letter| char::from_u32(letter).ok_or(DerError::Text)).collect()
    };
    match tag {
        UTF8_STRING => std::str::from_utf8(value).map(|text| Some(text.to_owned())).map_err(|_| DerError::Text),
        // OpenSSL reads T.61 as Latin-1, as everyone has always written it.
        PRINTABLE_STRING | TELETEX_STRING | IA5_STRING | VISIBLE_STRING => wide(1).map(Some),
        BMP_STRING => wide(2).map(Some),
        UNIVERSAL_STRING => wide(4).map(Some),
        _ => Ok(None),
    }
}

/// Lower case and single spaces, in ASCII only.
fn plain(text: &str) -> String {
    let is_space = |letter: char| matches!(letter, ' ' | '\t'..='\r');
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}

fn encoded(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if value.len() < 0x80 {
        out.push(value.len() as u8);
    } else {
        let bytes = value.len().to_be_bytes();
        let significant: &[u8] = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        out.push(0x80 | significant.len() as u8);
        out.extend(significant);
    }
    out.extend(value);
    out
}

/// Reads values one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next tag; `None` at the end.
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn byte(&mut self) -> Result<u8, DerError> {
        let byte = self.peek().ok_or(DerError::Truncated(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    /// The next value, whatever it is.
    fn any(&mut self) -> Result<(u8, &'a [u8]), DerError> {
        let tag = self.byte()?;
        let start = self.at;
        let mut length = usize::from(self.byte()?);
        if length >= 0x80 {
            let count = length - 0x80;
            if count == 0 || count > 4 {
                return Err(DerError::Length(start));
            }
            length = 0;
            for _ in 0..count {
                length = length << 8 | usize::from(self.byte()?);
            }
        }
        let end = self.at.checked_add(length).ok_or(DerError::Length(start))?;
        let value = self.bytes.get(self.at..end).ok_or(DerError::Truncated(start))?;
        self.at = end;
        Ok((tag, value))
    }

    /// The next value, which must have `tag`.
    fn expect(&mut self, wanted: u8) -> Result<&'a [u8], DerError> {
        let at = self.at;
        match self.any()? {
            (tag, value) if tag == wanted => Ok(value),
            (found, _) => Err(DerError::Tag { at, found, wanted }),
        }
    }
}
