//! The program under test, what it locked, and stores that hold nothing but downloads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::workspace;

/// A locked package, as far as a benchmark cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Package {
    /// Debian's name.
    pub(crate) name: String,
    /// Debian's version.
    pub(crate) version: String,
    /// `arm64` or `all`.
    pub(crate) architecture: String,
    /// As `trixie-security`.
    pub(crate) suite: String,
    /// As `debian-security`.
    pub(crate) archive: String,
    /// Below the archive, as `pool/main/c/curl/…`.
    pub(crate) path: String,
    /// 64 hex digits.
    pub(crate) sha256: String,
}

/// The release build of hah-image.
pub(crate) fn program() -> Result<PathBuf> {
    Ok(workspace::target()?.join("release/hah-image"))
}

/// Where the person's own builds keep what they downloaded.
pub(crate) fn cache(shell: &Shell, program: &Path, project: &Path) -> Result<PathBuf> {
    let lines = cmd!(shell, "{program} --directory {project} config show --json").quiet().read()?;
    let settings = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut caches = settings.filter(|setting| setting["setting"] == "cache-dir");
    let value = caches.next().and_then(|setting| setting["value"].as_str().map(PathBuf::from));
    value.context("`hah-image config show --json` names no cache-dir")
}

/// The packages of an image, in the lock's order.
pub(crate) fn locked(shell: &Shell, project: &Path, image: &str) -> Result<Vec<Package>> {
    let path = project.join("hah.lock");
    let packages = parse(&shell.read_file(&path)?, image);
    if packages.is_empty() {
        bail!("{} has no package of image {image}", path.display());
    }
    Ok(packages)
}

/// Reads the strings of the lock's `[[package]]` stanzas: one key a line, as hah-image writes them.
fn parse(lock: &str, image: &str) -> Vec<Package> {
    let wanted = format!("\"{image}\"");
    let stanzas = lock.split("\n[[").filter_map(|stanza| stanza.strip_prefix("package]]"));
    let mine = stanzas.filter(|stanza| {
        stanza.lines().filter_map(|line| line.strip_prefix("images = ")).any(|images| images.contains(&wanted))
    });
    mine.map(|stanza| {
        let value = |key: &str| {
            let line = stanza.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        Package {
            name: value("name"),
            version: value("version"),
            architecture: value("architecture"),
            suite: value("suite"),
            archive: value("archive"),
            path: value("path"),
            sha256: value("sha256"),
        }
    })
    .collect()
}

/// Where a store keeps a download.
pub(crate) fn download(store: &Path, package: &Package) -> PathBuf {
    store.join("downloads/sha256").join(&package.sha256)
}

/// Makes `store` a store that has those downloads of `from` that it has, and nothing else. Returns how many are missing.
pub(crate) fn seed(store: &Path, from: &Path, packages: &[Package]) -> Result<usize> {
    std::fs::create_dir_all(store.join("downloads/sha256"))?;
    let mut missing = 0;
    for package in packages {
        let source = download(from, package);
        if source.is_file() {
            link(&source, &download(store, package))?;
        } else {
            missing += 1;
        }
    }
    Ok(missing)
}

/// A second name for a file, or a copy where the file systems differ.
pub(crate) fn link(from: &Path, to: &Path) -> Result<()> {
    if std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_gives_the_image_its_packages() {
        let lock = "version = 1\n\n[[image]]\nname = \"lab\"\n\n[[package]]\nname = \"a\"\nversion = \"1:2\"\n\
                    architecture = \"all\"\nimages = [\"lab\", \"other\"]\n\n[[package]]\nname = \"b\"\n\
                    images = [\"other\"]\n";
        let packages = parse(lock, "lab");
        assert_eq!(packages.len(), 1);
        assert_eq!((packages[0].name.as_str(), packages[0].version.as_str()), ("a", "1:2"));
        assert_eq!(packages[0].sha256, "");
    }
}
