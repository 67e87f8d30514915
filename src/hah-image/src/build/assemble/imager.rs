//! `NAME.rpi-imager-manifest`: how Raspberry Pi Imager learns that the image takes a hostname, a user, keys and Wi-Fi.
//!
//! Imager treats a bare `.img` as something that it cannot customise. Opened with this file it offers its settings, and
//! writes them as `rpi-preseed.toml` to the card, which stage 1 reads (see `docs/identity.md`).
//!
//! Format: github.com/raspberrypi/rpi-imager, `doc/json-schema/os-list-schema.json`. Imager takes `url` as it is and does
//! not look for a relative one beside the manifest, so it is a `file:` URL: the text depends on the image and on where it
//! lies, and on nothing else.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use hah_plan::debian::Architecture;
use hah_plan::system::System;
use serde::Serialize;

/// The file's name is the image's with this in the place of `img`.
pub const EXTENSION: &str = "rpi-imager-manifest";
/// One of the pictures that come with Imager.
const ICON: &str = "icons/cat_home_automation.png";
const WEBSITE: &str = env!("CARGO_PKG_REPOSITORY");

#[derive(Serialize)]
struct Manifest<'a> {
    imager: Imager<'a>,
    os_list: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Imager<'a> {
    devices: Vec<Device<'a>>,
}

#[derive(Serialize)]
struct Device<'a> {
    name: &'a str,
    description: &'a str,
    tags: [&'a str; 1],
    matching_type: &'static str,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: String,
    description: &'a str,
    icon: &'static str,
    website: &'static str,
    url: String,
    /// Bytes.
    extract_size: u64,
    extract_sha256: &'a str,
    /// Bytes; the file is not compressed.
    image_download_size: u64,
    /// `2026-01-31`.
    release_date: String,
    init_format: &'static str,
    architecture: &'static str,
    devices: Vec<&'a str>,
}

/// The image file.
pub struct File<'a> {
    /// Its absolute path.
    pub place: &'a Path,
    /// Its digest, 64 hex digits.
    pub sha256: &'a str,
    /// Its length in bytes.
    pub size: u64,
}

/// The manifest's text; none for boards that Imager does not know. `epoch` is the lock's, in seconds since 1970.
pub fn render(system: &System, epoch: u32, file: &File<'_>) -> Result<Option<String>, serde_json::Error> {
    let board = &system.board;
    if board.imager_devices.is_empty() {
        return Ok(None);
    }
    let mut tags: Vec<&str> = board.imager_devices.iter().map(|device| device.tag.as_str()).collect();
    tags.sort_unstable();
    tags.dedup();
    let devices = board.imager_devices.iter().map(|device| Device {
        name: &device.name,
        description: &device.description,
        tags: [&device.tag],
        matching_type: "exclusive",
    });
    let manifest = Manifest {
        imager: Imager { devices: devices.collect() },
        os_list: [Entry {
            name: format!("hah-image {}", system.image),
            description: &system.summary,
            icon: ICON,
            website: WEBSITE,
            url: file_url(file.place),
            extract_size: file.size,
            extract_sha256: file.sha256,
            image_download_size: file.size,
            release_date: crate::calendar::day(u64::from(epoch)),
            init_format: "rpi-preseed",
            architecture: match system.architecture {
                Architecture::Armel => "armel",
                Architecture::Arm64 | Architecture::Amd64 | Architecture::All => "armv8",
            },
            devices: tags,
        }],
    };
    Ok(Some(serde_json::to_string_pretty(&manifest)? + "\n"))
}

/// An absolute path as a URL (RFC 8089), byte by byte.
fn file_url(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let bytes = path.as_os_str().as_bytes().iter();
    let path: String =
        bytes.map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    format!("file://{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_urls() {
        let check = |path: &str, wanted: &str| assert_eq!(file_url(Path::new(path)), wanted);
        check("/srv/out/lab.img", "file:///srv/out/lab.img");
        check("/home/me/My Küche#1/50%.img", "file:///home/me/My%20K%C3%BCche%231/50%25.img");
    }
}
