//! Which images the tests boot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use hah_image::project::{Project, board_of};
use hah_plan::board::Machine;

use super::variable;

/// An image and the key that opens it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    /// The private key of the user `hah`, when the image lets it in.
    pub(crate) key: Option<PathBuf>,
}

impl Image {
    /// The QEMU machine of this name that the image's board file describes.
    pub(super) fn machine(&self, name: &str) -> Machine {
        let project = Project::open(&workspace()).unwrap();
        let board = board_of(&project, &self.path).unwrap();
        board.machines.into_iter().find(|machine| machine.name == name).expect("the board has this machine")
    }
}

/// The image as it was built, without a key; nothing when there is none, which is then said.
pub(super) fn as_built(test: &str) -> Option<Image> {
    let path = warm(test)?;
    Some(Image { path, key: None })
}

/// The image `name` with the test's key in it, built from the cache: a key is no reason to lock again.
pub(super) fn with_key(test: &str, name: &str) -> Option<Image> {
    static BUILD: Mutex<()> = Mutex::new(());
    warm(test)?;
    // Two tests that build the same image at once would replace it below each other's machines.
    let _turn = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    let key = key();
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let path = directory().join(format!("{name}.img"));
    let agent = workspace().join("target/agent/arm64/hah-agent");
    let mut build = Command::new(env!("CARGO_BIN_EXE_hah-image"));
    build.arg("-C").arg(workspace()).args(["--quiet", "--offline", "build", name, "--locked"]);
    build.arg("--set").arg(format!("ssh.authorized-keys={}", public.trim())).arg("-o").arg(&path);
    if variable("HAH_IMAGE_AGENT").is_none() && agent.exists() {
        // `cargo test` by hand embeds none.
        build.env("HAH_IMAGE_AGENT", agent);
    }
    let output = build.output().unwrap();
    assert!(output.status.success(), "cannot build {name}: {}", String::from_utf8_lossy(&output.stderr));
    Some(Image { path, key: Some(key) })
}

/// The lab image as it was built, flashed onto a file for a node. `name` is the card's.
pub(super) fn flashed(test: &str, name: &str, identity: &serde_json::Value) -> Option<Image> {
    Some(flashed_from(&warm(test)?, name, identity))
}

/// An image as it was built, flashed onto a file for a node. `name` is the card's.
pub(crate) fn flashed_from(built: &Path, name: &str, identity: &serde_json::Value) -> Image {
    let key = key();
    let (node, card) = (directory().join(format!("{name}.node.json")), directory().join(format!("{name}.img")));
    std::fs::write(&node, identity.to_string()).unwrap();
    let _ = std::fs::remove_file(&card);
    let mut flash = Command::new(env!("CARGO_BIN_EXE_hah-image"));
    flash.arg("-C").arg(workspace()).args(["flash", "--yes"]).arg(built).arg(&card).arg("--identity").arg(&node);
    let output = flash.output().unwrap();
    assert!(output.status.success(), "cannot flash: {}", String::from_utf8_lossy(&output.stderr));
    // What says which board it is for.
    std::fs::copy(built.with_extension("json"), card.with_extension("json")).unwrap();
    Image { path: card, key: Some(key) }
}

/// The public half of the tests' own key.
pub(crate) fn public_key() -> String {
    std::fs::read_to_string(key().with_extension("pub")).unwrap().trim().to_owned()
}

/// `HAH_LAB_IMAGE`, or the reason for skipping the test.
fn warm(test: &str) -> Option<PathBuf> {
    if let Some(path) = variable("HAH_LAB_IMAGE") {
        return Some(PathBuf::from(path));
    }
    assert!(variable("HAH_REQUIRE_ORACLES").is_none_or(|value| value != "1"), "HAH_LAB_IMAGE is not set");
    println!("{test}: skipped, HAH_LAB_IMAGE names no image to boot (`cargo xtask test` builds one)");
    None
}

/// Where the tests keep key, images and machines; it stays, so that a second run is quick and a failure can be looked at.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm")
}

/// The top of the workspace.
pub(super) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The tests' own key, made once.
pub(crate) fn key() -> PathBuf {
    static MADE: Mutex<()> = Mutex::new(());
    let _turn = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let key = directory().join("key");
    if !key.with_extension("pub").exists() {
        std::fs::create_dir_all(directory()).unwrap();
        let _ = std::fs::remove_file(&key);
        let mut made = Command::new("ssh-keygen");
        made.args(["-q", "-t", "ed25519", "-N", "", "-C", "it", "-f"]).arg(&key);
        assert!(made.status().unwrap().success());
    }
    key
}
