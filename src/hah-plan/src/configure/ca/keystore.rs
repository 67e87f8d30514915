//! Java's keystore of certificate authorities, as ca-certificates-java makes `/etc/ssl/certs/java/cacerts`.
//!
//! ```text
//! 0xfeedfeed  2  COUNT
//! COUNT ×  2  ALIAS  MILLISECONDS  "X.509"  LENGTH DER
//! SHA-1 over the password, "Mighty Aphrodite" and all of the above
//! ```
//!
//! Numbers are big-endian: 32 bits, 64 of the time. Texts have their length in 16 bits before them.
//! The format is JKS, which every Java reads (`sun.security.provider.JavaKeyStore` of OpenJDK). The order of the entries
//! means nothing; here it is that of their names.

use std::collections::BTreeMap;

use hah_format::path::TreePath;
use sha1::{Digest, Sha1};

use super::{CERTS, ConfigureError, Target, link_name, path, pem};

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
/// An entry that is a certificate which is trusted.
const TRUSTED: u32 = 2;
const KIND: &str = "X.509";
/// What the digest is salted with.
const SALT: &str = "Mighty Aphrodite";
/// The password of all Java's keystores of public certificates; it protects nothing.
const PASSWORD: &str = "changeit";

/// Makes the keystore of `certificates` where ca-certificates-java is, and its configuration wants one.
pub(super) fn run(target: &mut Target<'_>, certificates: &[TreePath]) -> Result<(), ConfigureError> {
    if !target.root.contains(&path("usr/share/ca-certificates-java/ca-certificates-java.jar")?) {
        return Ok(());
    }
    let at = path(&format!("{CERTS}/java/cacerts"))?;
    let settings = target.read_text(&path("etc/default/cacerts")?)?.unwrap_or_default();
    if setting(&settings, "cacerts_updates").as_deref() != Some("yes") || target.provenance.is_from_recipe(&at) {
        return Ok(());
    }
    let password = setting(&settings, "storepass").unwrap_or_else(|| PASSWORD.to_owned());
    let mut entries = BTreeMap::new();
    for certificate in certificates {
        let bytes = target.read(certificate)?.unwrap_or_default();
        let Some(der) = pem::first_certificate(&bytes) else { continue };
        entries.insert(format!("debian:{}.pem", link_name(certificate.name())).to_lowercase(), der);
    }
    let directory = path(&format!("{CERTS}/java"))?;
    if !target.root.contains(&directory) {
        target.put_node(&directory, hah_format::tree::Node::dir(0o755))?;
    }
    let bytes = encode(&entries, u64::from(target.epoch) * 1000, &password)
        .ok_or_else(|| ConfigureError::syntax(&at, 0, "a certificate's name is longer than a keystore can hold"))?;
    target.put(&at, bytes)
}

/// The value of a variable of a file of `NAME=VALUE`, without its quotes.
fn setting(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    lines.next_back().map(|value| value.trim_matches(['\'', '"']).to_owned())
}

/// The file for certificates by alias, all of them dated `time` (milliseconds since 1970). `None` when an alias is too long.
fn encode(entries: &BTreeMap<String, Vec<u8>>, time: u64, password: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for number in [MAGIC, VERSION, u32::try_from(entries.len()).ok()?] {
        out.extend(number.to_be_bytes());
    }
    for (alias, der) in entries {
        out.extend(TRUSTED.to_be_bytes());
        put_text(&mut out, alias)?;
        out.extend(time.to_be_bytes());
        put_text(&mut out, KIND)?;
        out.extend(u32::try_from(der.len()).ok()?.to_be_bytes());
        out.extend(der);
    }
    let mut digest = Sha1::new();
    digest.update(password.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>());
    digest.update(SALT);
    digest.update(&out);
    out.extend(digest.finalize());
    Some(out)
}

fn put_text(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
    out.extend(text.as_bytes());
    Some(())
}

#[cfg(test)]
mod tests;
