//! Where a build writes: the image and the files beside it, judged before anything is fetched or made.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::advice::Exit;
use crate::build::assemble::{closure, imager};
use crate::failure::Failure;
use crate::files::place::Place;

/// What stands beside `NAME.img`, as `NAME.EXTENSION`.
pub const BESIDE: [&str; 5] = ["bmap", closure::EXTENSION, "json", "sha256", imager::EXTENSION];

/// The image file that `-o OUTPUT` means for image `name`: a directory, or what ends like one, has `NAME.img` in it.
pub fn image_file(output: &Path, name: &str) -> PathBuf {
    if is_directory(output) { output.join(format!("{name}.img")) } else { output.to_owned() }
}

/// Whether `-o OUTPUT` means a directory: it is one, or ends like one.
pub fn is_directory(output: &Path) -> bool {
    output.as_os_str().as_bytes().ends_with(b"/") || output.is_dir()
}

/// Whether a build also writes `NAME.img.zst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// It does not.
    None,
    /// It does.
    Zstd,
}

/// The path of the compressed copy.
pub fn compressed(image: &Path) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(".zst");
    PathBuf::from(name)
}

/// Fails when one of a build's files is no place for a file, or two of them are the same.
pub fn check(images: &[PathBuf], copies: Copies) -> Result<(), Failure> {
    let mut paths = Vec::new();
    for image in images {
        paths.push(image.clone());
        paths.extend(BESIDE.iter().map(|extension| image.with_extension(extension)));
        if copies == Copies::Zstd {
            paths.push(compressed(image));
        }
    }
    let mut places: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    for path in &paths {
        let place = Place::of(path)?;
        if let Some(other) = places.insert(place.path().to_owned(), path) {
            let text = format!("{} and {} would be the same file", other.display(), path.display());
            let hint = match images {
                [_] => "files are written beside the image that are named after it: call it NAME.img",
                _ => {
                    "files are written beside each image that are named after it: choose names that differ before the last dot, or another directory"
                }
            };
            return Err(Failure::new(Exit::Usage, text, Some(hint.to_owned())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_means_the_image_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        assert_eq!(image_file(directory.path(), "lab"), path("lab.img"));
        assert_eq!(image_file(&path("new/"), "lab"), path("new/lab.img"));
        assert_eq!(image_file(&path("new"), "lab"), path("new"));
        std::os::unix::fs::symlink(directory.path(), path("link")).unwrap();
        assert_eq!(image_file(&path("link"), "lab"), path("link/lab.img"));
        assert_eq!(image_file(Path::new(".."), "lab"), Path::new("../lab.img"));
    }

    #[test]
    fn an_image_is_not_called_like_a_file_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["lab.json", "lab.bmap", "lab.sha256", "lab.closure", "lab.rpi-imager-manifest"] {
            let failure = check(&[path(name)], Copies::None).unwrap_err();
            assert!(failure.message().contains("would be the same file"), "{}", failure.message());
        }
        check(&[path("lab.img")], Copies::Zstd).unwrap();
        check(&[path("lab")], Copies::Zstd).unwrap();
        std::os::unix::fs::symlink("lab.img", path("lab.bmap")).unwrap();
        assert!(check(&[path("lab.img")], Copies::None).is_err(), "the same by a link");
    }

    #[test]
    fn two_images_do_not_share_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        check(&[path("a.img"), path("b.img")], Copies::Zstd).unwrap();
        // One image is called like a file beside the other.
        let failure = check(&[path("a.img"), path("a.json.img"), path("a.json")], Copies::None).unwrap_err();
        assert!(failure.message().contains("would be the same file"), "{}", failure.message());
    }
}
