//! Foreign programs judge the lab image, which `HAH_LAB_IMAGE` names.
//!
//! | module | judged | judges |
//! |---|---|---|
//! | [`apt`] | which version of which package | apt |
//! | [`boot`] | disk, boot partition, block map | sfdisk, fsck.fat, mtools, cpio, gzip, bmaptool |
//! | [`root`] | squashfs against every .deb | unsquashfs, dpkg-deb, the kernel |
//! | [`control`] | which control files are taken | dpkg, dpkg-query |
//! | [`derived`] | what the configuration passes wrote | depmod, modprobe, update-ca-certificates, systemd-sysusers, … |
//! | [`dpkg`] | what maintainer scripts leave, on images of `cargo xtask oracle` | dpkg, with every script run |

mod apt;
mod boot;
mod control;
mod derived;
mod dpkg;
mod root;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use hah_plan::system::System;

use crate::archive::project::PROGRAM;
use crate::build::{judge, partition};

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

    /// What the recipes want.
    pub(crate) fn system(&self) -> System {
        let project = hah_image::project::Project::open(&self.project);
        let system = project.and_then(|project| project.system("lab", &[]));
        system.unwrap_or_else(|failure| panic!("{}", failure))
    }

    /// The root partition, as a file.
    pub(crate) fn squashfs(&self) -> &'static Path {
        static FILE: OnceLock<PathBuf> = OnceLock::new();
        FILE.get_or_init(|| {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab.squashfs");
            partition(&self.image, "root", &file);
            file
        })
    }

    /// The root, extracted by unsquashfs: as root with owners and xattrs, else without.
    pub(crate) fn root(&self) -> &'static Path {
        static ROOT: OnceLock<PathBuf> = OnceLock::new();
        ROOT.get_or_init(|| {
            let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab-root");
            let _ = std::fs::remove_dir_all(&root);
            judge(Command::new("unsquashfs").args(["-quiet", "-no-progress", "-d"]).arg(&root).arg(self.squashfs()));
            root
        })
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
    let cat = Command::new("unsquashfs").arg("-cat").arg(lab.squashfs()).arg("usr/lib/hah/hah-agent").output().unwrap();
    std::fs::write(agent, cat.stdout).unwrap();
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

/// [`lab`], when all these programs are here too.
fn lab_for(programs: &[&str]) -> Option<Lab> {
    let lab = lab()?;
    if programs.iter().any(|program| is_missing(program)) {
        return None;
    }
    Some(lab)
}

/// Whether the test runs as root; says so when it does not.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        println!("skipped: not root");
    }
    is_root
}
