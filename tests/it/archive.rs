//! A Debian archive made by the test itself: packages, index, signature, all offline and all tiny.
//!
//! ```text
//! DIR/pool/NAME_VERSION_ARCH.deb
//! DIR/dists/toy/InRelease                       signed by `signer`
//! DIR/dists/toy/main/binary-arm64/Packages.gz
//! DIR/key.gpg                                   what `--keyring` wants
//! ```

pub(crate) mod deb;
pub(crate) mod elf;
pub(crate) mod project;
pub(crate) mod release;
pub(crate) mod signer;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use hah_format::digest::Sha256;

use deb::Deb;
use signer::Signer;

/// Name of the only suite.
pub(crate) const SUITE: &str = "toy";
/// When the archive was made, in seconds since 1970: 2025-06-15, 15:06:40.
pub(crate) const DATE: u32 = 1_750_000_000;
/// The same, as `Release` spells it.
const DATE_TEXT: &str = "Sun, 15 Jun 2025 15:06:40 UTC";

/// How an archive is published.
#[derive(Clone)]
pub(crate) struct Publication {
    /// `Valid-Until`, as `Release` spells it.
    pub(crate) valid_until: Option<&'static str>,
    /// Name of the suite inside the release.
    pub(crate) suite: &'static str,
    /// Who signs; nobody at all without.
    pub(crate) signer: Option<Signer>,
}

impl Default for Publication {
    fn default() -> Self {
        Self { valid_until: None, suite: SUITE, signer: Some(Signer::new(1)) }
    }
}

impl Publication {
    /// Writes the archive of `debs` to `directory`, over what is there.
    pub(crate) fn write(&self, directory: &Path, debs: &[Deb]) {
        let mut packages = String::new();
        std::fs::create_dir_all(directory.join("pool")).unwrap();
        for deb in debs {
            let bytes = deb.build();
            let path = deb.path();
            let _ = writeln!(
                packages,
                "{}Filename: {path}\nSize: {}\nSHA256: {}\n",
                deb.control(),
                bytes.len(),
                Sha256::of(&bytes)
            );
            std::fs::write(directory.join(path), bytes).unwrap();
        }
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(packages.as_bytes()).unwrap();
        let index = gzip.finish().unwrap();
        let suite = directory.join("dists").join(SUITE);
        let binary = suite.join("main/binary-arm64");
        std::fs::create_dir_all(&binary).unwrap();
        std::fs::write(binary.join("Packages.gz"), &index).unwrap();
        std::fs::write(suite.join("InRelease"), self.release(&index)).unwrap();
        std::fs::write(directory.join("key.gpg"), Signer::new(1).public()).unwrap();
    }

    /// `InRelease`.
    fn release(&self, index: &[u8]) -> String {
        let valid_until = self.valid_until.map(|date| format!("Valid-Until: {date}\n")).unwrap_or_default();
        let text = format!(
            "Origin: Toys\nLabel: Toys\nSuite: {suite}\nCodename: {suite}\nDate: {DATE_TEXT}\n{valid_until}\
             Architectures: arm64\nComponents: main\nSHA256:\n {} {} main/binary-arm64/Packages.gz\n",
            Sha256::of(index),
            index.len(),
            suite = self.suite,
        );
        self.signer.as_ref().map_or(text.clone(), |signer| signer.sign(&text))
    }
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(len)
    .collect()
}
