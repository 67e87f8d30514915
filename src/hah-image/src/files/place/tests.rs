//! Every kind of node that a path can lead to, and every way to it.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::*;

struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        // Not through a link of this machine's own.
        self.0.path().canonicalize().unwrap().join(name)
    }

    #[track_caller]
    fn is_fine(&self, name: &str, wanted: &str) {
        assert_eq!(Place::of(&self.path(name)).unwrap().path(), self.path(wanted), "{name}");
    }

    #[track_caller]
    fn is_refused(&self, name: &str, says: &str) {
        is_refused(&self.path(name), says);
    }
}

#[track_caller]
fn is_refused(path: &Path, says: &str) {
    let error = Place::of(path).unwrap_err();
    let text = format!("{error}; {}", error.hint());
    assert!(text.starts_with(&path.display().to_string()) && text.contains(says), "{text}");
}

#[test]
fn a_new_file_and_a_regular_one() {
    let scene = Scene::new();
    scene.is_fine("new", "new");
    scene.is_fine("new/directories/new", "new/directories/new");
    std::fs::write(scene.path("old"), "old").unwrap();
    scene.is_fine("old", "old");
    assert_eq!(Place::of(Path::new("no-such-file-here")).unwrap().directory(), Path::new("."));
    assert_eq!(Place::of(Path::new("no-such/file")).unwrap().directory(), Path::new("no-such"));
}

#[test]
fn links_lead_to_their_end() {
    let scene = Scene::new();
    std::fs::create_dir(scene.path("d")).unwrap();
    std::fs::write(scene.path("d/old"), "old").unwrap();
    symlink("d/old", scene.path("one")).unwrap();
    symlink("one", scene.path("two")).unwrap();
    symlink("d/new", scene.path("dangling")).unwrap();
    symlink("dangling", scene.path("to-dangling")).unwrap();
    scene.is_fine("one", "d/old");
    scene.is_fine("two", "d/old");
    scene.is_fine("dangling", "d/new");
    scene.is_fine("to-dangling", "d/new");
    symlink("self", scene.path("self")).unwrap();
    scene.is_refused("self", "leads to itself");
    symlink("d", scene.path("to-directory")).unwrap();
    scene.is_refused("to-directory", "is a directory");
    symlink("nowhere/", scene.path("to-new-directory")).unwrap();
    scene.is_refused("to-new-directory", "is a directory");
}

#[test]
fn directories_and_what_is_below_files() {
    let scene = Scene::new();
    std::fs::write(scene.path("file"), "").unwrap();
    for name in ["", ".", "..", "new/", "new/."] {
        is_refused(&self::Scene::path(&scene, "").join(name), "is a directory");
    }
    is_refused(Path::new("/"), "is a directory");
    scene.is_refused("file/x", "which is not a directory");
    scene.is_refused("file/x/y", "which is not a directory");
    assert!(Place::of(Path::new("")).is_err());
}

#[test]
fn a_fifo_and_a_socket_are_refused() {
    let scene = Scene::new();
    mknodat(CWD, scene.path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _listener = UnixListener::bind(scene.path("socket")).unwrap();
    symlink("fifo", scene.path("link")).unwrap();
    scene.is_refused("fifo", "is a FIFO");
    scene.is_refused("link", "is a FIFO");
    scene.is_refused("socket", "is a socket");
}

/// Only looked at: nobody writes here.
#[test]
fn devices_are_refused_and_flash_is_named() {
    is_refused(Path::new("/dev/null"), "is a character device");
    is_refused(Path::new("/dev/no-such-disk"), "hah-image flash");
    is_refused(Path::new("/dev/no/such/disk"), "hah-image flash");
    let scene = Scene::new();
    symlink("/dev/null", scene.path("null")).unwrap();
    scene.is_refused("null", "is a character device");
    symlink("/dev/no-such-disk", scene.path("disk")).unwrap();
    scene.is_refused("disk", "hah-image flash");
    // As root only: anybody else is not let.
    if mknodat(CWD, scene.path("block"), FileType::BlockDevice, Mode::RUSR, makedev(7, 250)).is_ok() {
        scene.is_refused("block", "is a block device");
        scene.is_refused("block", "`hah-image flash IMAGE ");
    }
    if Path::new("/dev/shm").is_dir() {
        assert!(Place::of(Path::new("/dev/shm/hah-image-no-such-file")).is_ok());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_open_file_without_a_name_is_refused() {
    use std::os::fd::AsRawFd as _;
    let scene = Scene::new();
    let file = std::fs::File::create(scene.path("gone")).unwrap();
    let link = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    assert_eq!(Place::of(&link).unwrap().path(), scene.path("gone"));
    std::fs::remove_file(scene.path("gone")).unwrap();
    is_refused(&link, "has no name any more");
}
