//! A small project over an archive of toys, and the real program run in it.
//!
//! ```text
//! TOY/archive/    see [`super`]
//! TOY/project/    hah-image.toml, recipes/toy.toml, recipes/boards/toy.toml, images/toy.toml, out/
//! TOY/home/       HOME: the cache is home/.cache/hah-image
//! TOY/agent       the agent
//! ```
//!
//! The program gets an empty environment and no network; `PATH` leads nowhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::deb::Deb;
use super::{Publication, elf, noise};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_hah-image");

const SETTINGS: &str = r#"
agent = "../agent"
[mirrors]
debian = "file://TOY/archive"
[archives]
keyrings = ["../archive/key.gpg"]
"#;

pub(crate) const RECIPE: &str = r#"
summary = "A node that does nothing"
packages = ["base-files", "base-passwd", "toy-tool", "toy-daemon"]

[params.greeting]
type = "string"
default = "hello"
doc = "What to say."

[params.level]
type = "integer"
default = 3
min = 1
max = 9
doc = "How loud."

[[suite]]
name = "toy"

[[file]]
path = "/etc/greeting"
template = "{{ greeting }} {{ level }}\n"

[[user]]
name = "anna"
uid = 1000
group = "anna"
home = "/home/anna"
create-home = true

[[unit]]
name = "toy.service"
state = "enabled"
"#;

pub(crate) const BOARD: &str = r#"
summary = "A board that does nothing"
architecture = "arm64"
packages = ["linux-image-toy"]
cmdline = ["quiet"]

[tables]
default = "gpt"

[kernel]
image = "/boot/vmlinuz-VERSION"
modules = "/usr/lib/modules/VERSION"
compression = "gzip"

[stage1]
modules = ["toy_disk"]

[[imager-device]]
name = "Toy 2"
description = "The newer one"
tag = "toy-64bit"

[[imager-device]]
name = "Toy 1"
description = "The older one"
tag = "toy-64bit"
"#;

// The smallest boot partition that can be FAT32, since the whole image is hashed.
pub(crate) const IMAGE: &str = r#"
summary = "A toy"
board = "toy"
recipes = ["toy"]
sizes.boot = "136 MiB"
"#;

const PASSWD: &str = "root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:*:0:\nadm:*:4:\nmail:*:8:\nshadow:*:42:\nutmp:*:43:\nstaff:*:50:\nnogroup:*:65534:\n";
const UNIT: &str =
    "[Unit]\nDescription=Toy\n[Service]\nExecStart=/usr/bin/toy\n[Install]\nWantedBy=multi-user.target\n";

/// The packages of the toy image: all that a root needs, and a bit of everything that packages do.
pub(crate) fn debs() -> Vec<Deb> {
    let module = |name: &str, exports: &[&str], imports: &[&str]| {
        elf::module(&format!("license=GPL\0name={name}\0alias=toy:{name}*\0"), exports, imports)
    };
    vec![
        Deb::new("base-files", "13")
            .symlink("/bin", "usr/bin")
            .symlink("/lib", "usr/lib")
            .symlink("/sbin", "usr/sbin")
            .directory("/tmp", 0o1777)
            .file("/usr/lib/os-release", 0o644, "NAME=Toy\nID=toy\n")
            .symlink("/etc/os-release", "../usr/lib/os-release")
            .file("/etc/skel/.profile", 0o644, "umask 022\n")
            .file("/etc/debian_version", 0o644, "13.0\n")
            .member("conffiles", "/etc/debian_version\n"),
        Deb::new("base-passwd", "3.6").file("/usr/share/base-passwd/passwd.master", 0o644, PASSWD).file(
            "/usr/share/base-passwd/group.master",
            0o644,
            GROUP,
        ),
        Deb::new("linux-image-toy", "6.0-1")
            .file("/boot/vmlinuz-6.0-toy", 0o644, noise(300_000, 1))
            .file("/usr/lib/modules/6.0-toy/kernel/toy_bus.ko", 0o644, module("toy_bus", &["toy_register"], &[]))
            .file("/usr/lib/modules/6.0-toy/kernel/toy_disk.ko", 0o644, module("toy_disk", &[], &["toy_register"]))
            .file("/usr/lib/modules/6.0-toy/modules.order", 0o644, "kernel/toy_bus.ko\nkernel/toy_disk.ko\n")
            .file("/usr/lib/modules/6.0-toy/modules.builtin", 0o644, "kernel/fs/ext4/ext4.ko\n"),
        Deb::new("libtoy1", "1:1.2-1")
            .field("Multi-Arch", "same")
            .file("/usr/lib/libtoy.so.1.2", 0o644, elf::library("libtoy.so.1"))
            .symlink("/usr/lib/libtoy.so.1", "libtoy.so.1.2"),
        Deb::new("toy-tool", "1.0-1")
            .field("Depends", "libtoy1 (>= 1:1.1), toy-missing | base-files")
            .file("/usr/bin/toy", 0o755, noise(400_000, 2))
            .hard_link("/usr/bin/toy-again", "/usr/bin/toy")
            .file("/usr/bin/toy-super", 0o4750, noise(1_000, 3))
            .owned_by("root", "adm")
            .directory("/var/local", 0o2775)
            .owned_by("root", "staff"),
        Deb::new("toy-daemon", "2.0~rc1-1")
            .field("Depends", "toy-data (= 2.0~rc1-1)")
            .file("/usr/lib/systemd/system/toy.service", 0o644, UNIT)
            .file("/usr/lib/sysusers.d/toy.conf", 0o644, "u toyd 450 \"Toy daemon\" /var/lib/toyd\n"),
        Deb::new("toy-data", "2.0~rc1-1").file("/usr/share/toy/data", 0o644, noise(2_000_000, 4)).file(
            "/usr/share/toy/empty",
            0o644,
            "",
        ),
    ]
}

/// A project in a directory of its own, which goes away with it.
pub(crate) struct Toy {
    directory: tempfile::TempDir,
}

/// What the program did.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Toy {
    /// The usual toy.
    pub(crate) fn new() -> Self {
        Self::with(&debs(), &Publication::default())
    }

    /// A toy with other packages, or an archive with something wrong.
    pub(crate) fn with(debs: &[Deb], publication: &Publication) -> Self {
        let toy = Self { directory: tempfile::tempdir().unwrap() };
        publication.write(&toy.path("archive"), debs);
        toy.write("agent", elf::program(b"I am the agent"));
        toy.write("project/hah-image.toml", SETTINGS.replace("TOY", &toy.root().to_string_lossy()));
        toy.write("project/recipes/toy.toml", RECIPE);
        toy.write("project/recipes/boards/toy.toml", BOARD);
        toy.write("project/images/toy.toml", IMAGE);
        std::fs::create_dir(toy.path("home")).unwrap();
        toy
    }

    /// The usual toy, with these packages besides, asked for by the recipe.
    pub(crate) fn and(more: &[Deb]) -> Self {
        let toy = Self::with(&[debs(), more.to_vec()].concat(), &Publication::default());
        toy.ask_for(more);
        toy
    }

    /// The recipe asks for these packages besides.
    pub(crate) fn ask_for(&self, debs: &[Deb]) {
        let names: String = debs.iter().map(|deb| format!("\"{}\", ", deb.name)).collect();
        self.write("project/recipes/toy.toml", RECIPE.replace("packages = [", &format!("packages = [{names}")));
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A path below the toy's directory.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Writes a file below the toy's directory.
    pub(crate) fn write(&self, relative: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, relative: &str) -> Vec<u8> {
        std::fs::read(self.path(relative)).unwrap()
    }

    /// Writes the archive anew.
    pub(crate) fn publish(&self, debs: &[Deb]) {
        Publication::default().write(&self.path("archive"), debs);
    }

    /// The path of a package in the archive.
    pub(crate) fn pool(&self, name: &str) -> PathBuf {
        let mut found = std::fs::read_dir(self.path("archive/pool")).unwrap().map(|entry| entry.unwrap().path());
        found.find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{name}_"))).unwrap()
    }

    /// Where the image is without `-o`.
    pub(crate) fn image(&self) -> PathBuf {
        self.path("project/out/toy.img")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path("home/.cache/hah-image")
    }

    /// The program in the project, not yet run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(self.path("project")).env_clear();
        command.env("HOME", self.path("home")).env("PATH", "/nonexistent").env("HAH_IMAGE_OFFLINE", "1");
        command
    }

    /// Another program that is to start ours, such as strace: in the project and with our environment, but for the path
    /// on which it finds itself.
    pub(crate) fn around(&self, program: &str) -> Command {
        let ours = self.command(&[]);
        let mut command = Command::new(program);
        command.current_dir(self.path("project")).env_clear();
        command.envs(ours.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.env("PATH", crate::oracles::path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::of(&mut self.command(args))
    }

    /// `build toy`, which must succeed; the digest of the image.
    pub(crate) fn build(&self) -> String {
        self.run(&["build", "toy"]).succeeded();
        digest(&self.image())
    }

    /// Everything that stands in the output directory or the store under a final name and is not whole, or is a leftover.
    ///
    /// `store verify` is one judge, the digest beside the image the other.
    pub(crate) fn assert_nothing_half_written(&self) {
        let run = self.run(&["store", "verify"]);
        assert_eq!(run.code, Some(0), "the store has something half-written: {run}");
        let out = self.path("project/out");
        if out.join("toy.img").exists() {
            let text = std::fs::read_to_string(out.join("toy.sha256")).unwrap();
            assert!(text.starts_with(&digest(&self.image())), "the image is not what is beside it: {text}");
        }
    }

    /// Names below a directory of the toy, drafts included, sorted; none when it is not there.
    pub(crate) fn names(&self, relative: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(relative)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Fails the test unless the program ended well and said nothing of errors.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Fails the test unless the program ended with this code and said all these.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, says: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert!(self.stderr.contains("error: "), "no error is shown: {self}");
        for text in says {
            assert!(self.stderr.contains(text), "it does not say `{text}`: {self}");
        }
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "code {:?}\n--- stdout\n{}--- stderr\n{}---", self.code, self.stdout, self.stderr)
    }
}

/// SHA-256 of a file, in hex.
pub(crate) fn digest(path: &Path) -> String {
    let mut hashing = hah_format::digest::Hashing::new(std::fs::File::open(path).unwrap());
    std::io::copy(&mut hashing, &mut std::io::sink()).unwrap();
    hashing.finish().0.to_string()
}
