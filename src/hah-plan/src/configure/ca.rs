//! Certificate authorities, as update-ca-certificates makes `/etc/ssl/certs`.
//!
//! 1. `/etc/ca-certificates.conf` lists what is in `/usr/share/ca-certificates`, all of it trusted, in byte order
//!    (the postinst of ca-certificates); a recipe's own file is taken as it is, `!` deselects.
//! 2. Each certificate gets a link `NAME.pem`, and the bundle `ca-certificates.crt` has all of them in the list's order,
//!    then those of `/usr/local/share/ca-certificates`.
//! 3. `openssl rehash`: each file with exactly one certificate gets a link `HASH.N`, where OpenSSL looks it up.
//!    [`subject`] computes the hash.
//! 4. Where ca-certificates-java is, Java's keystore has the same certificates ([`keystore`]).

mod pem;
mod subject;
mod keystore;

use std::collections::{BTreeMap, BTreeSet};

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use super::{ConfigureError, Problem, Target, path};

const SHARED: &str = "usr/share/ca-certificates";
const LOCAL: &str = "usr/local/share/ca-certificates";
const CERTS: &str = "etc/ssl/certs";

/// The hook of ca-certificates-java, whose work [`keystore`] does.
pub(crate) const KEYSTORE_HOOK: &str = "jks-keystore";

const CONF_HEAD: &str =
    "# Certificates below /usr/share/ca-certificates that this image trusts. A leading ! deselects one.\n";

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let shared = path(SHARED)?;
    if !target.root.contains(&shared) {
        return Ok(());
    }
    refuse_hooks(target)?;
    for directory in [LOCAL, CERTS] {
        let at = path(directory)?;
        if !target.root.contains(&at) {
            target.put_node(&at, Node::dir(0o755))?;
        }
    }
    let mut certificates = listed(target, &shared)?;
    certificates.extend(below(target, &path(LOCAL)?));

    let mut bundle = Vec::new();
    for at in &certificates {
        let bytes = target.read(at)?.unwrap_or_default();
        bundle.extend(&bytes);
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bundle.push(b'\n');
        }
        let link = path(&format!("{CERTS}/{}.pem", link_name(at.name())))?;
        target.put_node(&link, Node::symlink(&at.to_string()))?;
    }
    rehash(target)?;
    target.put(&path(&format!("{CERTS}/ca-certificates.crt"))?, bundle)?;
    keystore::run(target, &certificates)
}

/// Programs that would run after each update are more than we can do.
fn refuse_hooks(target: &Target<'_>) -> Result<(), ConfigureError> {
    let hooks = path("etc/ca-certificates/update.d")?;
    let mut found = target.root.entries(&hooks);
    match found.find(|(at, node)| !node.is_dir() && at.name() != KEYSTORE_HOOK) {
        None => Ok(()),
        Some((hook, _)) => Err(ConfigureError::at(
            hook,
            Problem::Invalid {
                reason: "this hook of update-ca-certificates would have to run, and nothing of the target runs".into(),
                hint: "leave the package out, or remove the hook in a recipe when its work is not needed".into(),
            },
        )),
    }
}

/// The certificates that `/etc/ca-certificates.conf` selects; writes it when it is not there.
fn listed(target: &mut Target<'_>, shared: &TreePath) -> Result<Vec<TreePath>, ConfigureError> {
    let conf = path("etc/ca-certificates.conf")?;
    let relative = |at: &TreePath| at.as_str().get(shared.as_str().len() + 1..).unwrap_or_default().to_owned();
    if !target.root.contains(&conf) {
        let names: String = below(target, shared).iter().map(|at| relative(at) + "\n").collect();
        target.put(&conf, format!("{CONF_HEAD}{names}"))?;
    }
    let text = target.read_text(&conf)?.unwrap_or_default();
    let mut certificates = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let at = shared.join(line).map_err(|error| ConfigureError::syntax(&conf, number + 1, error.to_string()))?;
        if target.content(&at).is_none() {
            return Err(ConfigureError::syntax(&conf, number + 1, format!("there is no certificate {at}")));
        }
        certificates.push(at);
    }
    Ok(certificates)
}

/// Files named `*.crt` below `directory`, in byte order.
fn below(target: &Target<'_>, directory: &TreePath) -> Vec<TreePath> {
    let found = target.root.below(directory).filter(|(at, node)| !node.is_dir() && at.name().ends_with(".crt"));
    found.map(|(at, _)| at.clone()).filter(|at| target.content(at).is_some()).collect()
}

/// The name of a certificate's link, without letters that shells stumble over.
fn link_name(file: &str) -> String {
    let stem = file.strip_suffix(".crt").unwrap_or(file);
    let plain = |letter: char| match letter {
        ' ' | ',' => '_',
        '(' | ')' => '=',
        _ => letter,
    };
    stem.chars().map(plain).collect()
}

/// Links by subject hash, for each file of `/etc/ssl/certs` that holds one certificate.
fn rehash(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let directory = path(CERTS)?;
    let names: Vec<TreePath> = target
        .root
        .entries(&directory)
        .filter(|(at, node)| {
            is_certificate(at.name()) && matches!(node.kind, Kind::File(_) | Kind::HardLink(_) | Kind::Symlink(_))
        })
        .map(|(at, _)| at.clone())
        .collect();
    let mut links: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for at in names {
        let Some(bytes) = target.read(&at)? else { continue };
        let Some(der) = pem::only_certificate(&bytes) else { continue };
        let hash = subject::hash(&der).map_err(|error| ConfigureError::syntax(&at, 0, error.to_string()))?;
        if seen.insert(der) {
            links.entry(hash).or_default().push(at.name().to_owned());
        }
    }
    for (hash, names) in links {
        for (number, name) in names.iter().enumerate() {
            let link = path(&format!("{CERTS}/{hash:08x}.{number}"))?;
            target.put_node(&link, Node::symlink(name))?;
        }
    }
    Ok(())
}

/// Suffixes that `openssl rehash` looks at.
fn is_certificate(name: &str) -> bool {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
    suffix.is_some_and(|suffix| ["pem", "crt", "cer"].contains(&suffix.as_str()))
}

#[cfg(test)]
mod tests;
