//! A release site made by the test: archives, their checksum file and its signature, as a vendor lays them out.
//!
//! ```text
//! DIR/tool/1.0/tool_1.0_linux_arm64.zip
//! DIR/tool/1.0/tool_1.0_SHA256SUMS
//! DIR/tool/1.0/tool_1.0_SHA256SUMS.sig          by `signer`
//! ```

use std::path::{Path, PathBuf};

use hah_format::digest::Sha256;

use super::project::{RECIPE, Toy};
use super::signer::Signer;

/// A release of the artifact `tool`.
pub(crate) struct Release {
    pub(crate) version: &'static str,
    /// The program in the archive.
    pub(crate) program: Vec<u8>,
    /// Who signs; nobody at all without.
    pub(crate) signer: Option<Signer>,
}

impl Release {
    pub(crate) fn new(version: &'static str, program: Vec<u8>) -> Self {
        Self { version, program, signer: Some(Signer::new(1)) }
    }

    /// Writes the release below `directory`; where its archive is.
    pub(crate) fn write(&self, directory: &Path) -> PathBuf {
        let Self { version, program, signer } = self;
        let directory = directory.join("tool").join(version);
        std::fs::create_dir_all(&directory).unwrap();
        let archive = zip(&[("LICENSE.txt", b"free"), ("tool", program)]);
        let name = format!("tool_{version}_linux_arm64.zip");
        let sums =
            format!("{}  {name}\n{}  tool_{version}_linux_amd64.zip\n", Sha256::of(&archive), Sha256::of(b"other"));
        std::fs::write(directory.join(&name), &archive).unwrap();
        std::fs::write(directory.join(format!("tool_{version}_SHA256SUMS")), &sums).unwrap();
        if let Some(signer) = signer {
            let signature = directory.join(format!("tool_{version}_SHA256SUMS.sig"));
            std::fs::write(signature, signer.detached(sums.as_bytes())).unwrap();
        }
        directory.join(name)
    }
}

/// A zip archive of stored files (APPNOTE.TXT 6.3.10), Unix mode 0755 each.
pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let start = out.len() as u32;
        // Version, flags, method, time and date, checksum, sizes, lengths of name and extra field.
        let mut common = [20u16, 0, 0, 0, 0x21].map(u16::to_le_bytes).concat();
        common.extend(crc.sum().to_le_bytes());
        common.extend([(bytes.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat());
        common.extend([(name.len() as u16).to_le_bytes(), [0, 0]].concat());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*bytes);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((0o100_755u32 << 16).to_le_bytes());
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, length, count) = (out.len() as u32, directory.len() as u32, files.len() as u16);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
    out.extend([0, 0]);
    out
}

/// The recipe's artifact `tool`, signed by the key that [`Signer::new`]`(1)` has.
pub(crate) const TOOL: &str = r#"
[params.tool-version]
type = "string"
default = "1.0"
doc = "Version of the tool."

[[artifact]]
name = "tool"
version = "{{ tool_version }}"
url = "https://releases.invalid/tool/{{ artifact.version }}/tool_{{ artifact.version }}_linux_{{ artifact.arch }}.zip"
mirror = "acme"
arch = { arm64 = "arm64" }
verify = "openpgp"
checksums = "https://releases.invalid/tool/{{ artifact.version }}/tool_{{ artifact.version }}_SHA256SUMS"
signature = "https://releases.invalid/tool/{{ artifact.version }}/tool_{{ artifact.version }}_SHA256SUMS.sig"
key-source = "keys/acme.gpg"

[[artifact.install]]
member = "tool"
path = "/usr/bin/tool"
"#;

/// A toy whose recipe has this artifact.
pub(crate) fn toy_with(artifact: &str) -> Toy {
    let toy = Toy::new();
    toy.write("project/recipes/toy.toml", format!("{RECIPE}{artifact}"));
    toy.write("project/recipes/keys/acme.gpg", Signer::new(1).public());
    toy
}
