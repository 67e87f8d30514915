//! Foreign programs judge the lab image, which `HAH_LAB_IMAGE` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive::project::PROGRAM;

/// Where foreign programs are.
pub(crate) fn path() -> String {
    format!("{}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", std::env::var("PATH").unwrap_or_default())
}

/// Whether the foreign program is not here: then the test is skipped on a laptop, and fails in continuous integration.
pub(crate) fn is_missing(program: &str) -> bool {
    if std::env::split_paths(&path()).any(|directory| directory.join(program).is_file()) {
        return false;
    }
    assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "{program} is missing");
    println!("skipped: no {program}");
    true
}

/// The lab image, and what it was made with.
pub(crate) struct Lab {
    pub(crate) image: PathBuf,
    /// The project, which has the lock.
    pub(crate) project: PathBuf,
    /// The store that has its downloads.
    pub(crate) cache: PathBuf,
    /// The program that made it, if it is where cargo puts it.
    pub(crate) program: PathBuf,
}

/// The lab image; `None`, with a line that says so, when there is none.
pub(crate) fn lab() -> Option<Lab> {
    let Some(image) = std::env::var_os("HAH_LAB_IMAGE").filter(|image| !image.is_empty()) else {
        println!("skipped: HAH_LAB_IMAGE names no image");
        return None;
    };
    let image = std::fs::canonicalize(image).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let project = image.ancestors().skip(1).find(|path| path.join("hah.lock").is_file()).unwrap_or(&root).to_owned();
    let release = Path::new(PROGRAM).ancestors().nth(2).unwrap().join("release/hah-image");
    let program = if release.is_file() { release } else { PathBuf::from(PROGRAM) };
    let output = Command::new(PROGRAM).args(["store", "path"]).current_dir(&project).output().unwrap();
    let cache = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    Some(Lab { image, project, cache, program })
}

impl Lab {
    /// Digest and path below the archive of every locked package.
    pub(crate) fn packages(&self) -> Vec<(String, String)> {
        let lock: toml::Table = std::fs::read_to_string(self.project.join("hah.lock")).unwrap().parse().unwrap();
        let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
        let packages = lock["package"].as_array().unwrap();
        packages.iter().map(|package| (text(package, "sha256"), text(package, "path"))).collect()
    }

    /// The .deb of this digest.
    pub(crate) fn deb(&self, sha256: &str) -> PathBuf {
        self.cache.join("downloads/sha256").join(sha256)
    }
}

/// Puts a home at `there` whose cache has the lab's downloads and nothing else, and a project that has its lock.
/// All of it belongs to `nobody`, where that can be done, except the downloads' bytes, which are links.
pub(crate) fn copy_downloads(lab: &Lab, there: &Path) {
    let downloads = there.join("home/.cache/hah-image/downloads/sha256");
    std::fs::create_dir_all(&downloads).unwrap();
    std::fs::create_dir(there.join("project")).unwrap();
    std::fs::copy(lab.project.join("hah.lock"), there.join("project/hah.lock")).unwrap();
    std::fs::copy(&lab.program, there.join("hah-image")).unwrap();
    let agent = there.join("agent");
    let root = there.join("root.squashfs");
    crate::build::partition(&lab.image, "root", &root);
    let cat = Command::new("unsquashfs").arg("-cat").arg(&root).arg("usr/lib/hah/hah-agent").output().unwrap();
    std::fs::write(&agent, cat.stdout).unwrap();
    std::fs::remove_file(root).unwrap();
    crate::bad_days::store::give_to_nobody(there);
    for (sha256, _) in lab.packages() {
        let (from, to) = (lab.deb(&sha256), downloads.join(&sha256));
        if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// `env -i HOME=… PATH=/nonexistent hah-image build lab --offline -o …` in what [`copy_downloads`] made, not yet run.
pub(crate) fn rebuild(there: &Path, output: &Path) -> Command {
    let mut command = Command::new(there.join("hah-image"));
    command.arg("-C").arg(there.join("project")).arg("--agent").arg(there.join("agent"));
    command.args(["build", "lab", "--offline", "--locked", "-o"]).arg(output);
    command.env_clear().env("HOME", there.join("home")).env("PATH", "/nonexistent");
    command
}
