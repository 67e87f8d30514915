//! PEM (RFC 7468): the one certificate of a file.

/// Labels that OpenSSL takes for a certificate.
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// The DER bytes of the certificate when `file` holds exactly one; `openssl rehash` passes over other files.
pub(super) fn only_certificate(file: &[u8]) -> Option<Vec<u8>> {
    let mut found = certificates(file);
    let first = found.next()??;
    found.next().is_none().then_some(first)
}

/// The DER bytes of the first certificate.
pub(super) fn first_certificate(file: &[u8]) -> Option<Vec<u8>> {
    certificates(file).next()?
}

/// The certificates of a file in their order; `None` for one that is broken.
fn certificates(file: &[u8]) -> impl Iterator<Item = Option<Vec<u8>>> {
    let text = String::from_utf8_lossy(file);
    let mut found = Vec::new();
    let mut body: Option<(String, &str)> = None;
    for line in text.lines().map(str::trim_end) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            body = LABELS.contains(&label).then(|| (String::new(), label));
        } else if let Some(label) = line.strip_prefix("-----END ").and_then(|rest| rest.strip_suffix("-----")) {
            let Some((base64, begun)) = body.take() else { continue };
            found.push(if label == begun { decode(&base64) } else { None });
        } else if let Some((base64, _)) = &mut body {
            base64.push_str(line);
        }
    }
    found.into_iter()
}

/// Standard base64 with padding (RFC 4648 section 4).
fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let letters = bytes.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    if !bytes.len().is_multiple_of(4) || bytes.len() - letters > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in &bytes[..letters] {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}
