//! Paths with bytes that mean something to somebody: commas and equals signs to QEMU, dashes and quotes to shells, line
//! ends to checksum files, and bytes that are not UTF-8.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::archive::elf;
use crate::archive::project::{BOARD, Toy};
use crate::archive::release::{Release, TOOL, toy_with};
use crate::oracles;

/// Names of a project's directory.
const NAMES: [&[u8]; 6] = [b"a,b=c", b"caf\xe9", b"-x,,", b"it's \"two\" words", b"new\nline\\", b"proto:col%20#"];

/// A machine for the toy board.
pub(crate) const MACHINE: &str = r#"
[[machine]]
name = "toy"
program = "qemu-system-aarch64"
args = ["-M", "virt"]
memory = "1 GiB"
disk = "virtio"
network = "virtio"
"#;

/// A toy whose project and whose home have this name.
struct Odd {
    toy: Toy,
    project: PathBuf,
    home: PathBuf,
}

impl Odd {
    fn new(toy: Toy, name: &[u8]) -> Self {
        let at = |prefix: &[u8]| toy.root().join(OsStr::from_bytes(&[prefix, name].concat()));
        let (project, home) = (at(b""), at(b"home-"));
        std::fs::rename(toy.path("project"), &project).unwrap();
        std::fs::rename(toy.path("home"), &home).unwrap();
        Self { toy, project, home }
    }

    fn command(&self, args: &[&OsStr]) -> Command {
        let mut command = self.toy.command(&[]);
        command.args(args).current_dir(&self.project).env("HOME", &self.home);
        command
    }

    /// The program, which must end well.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Output {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        well(&mut self.command(&args))
    }
}

#[track_caller]
fn well(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A program that writes its arguments to `NAME.argv`, each with a NUL, and then does `more`.
fn fake(directory: &Path, name: &str, more: &str) {
    std::fs::create_dir_all(directory).unwrap();
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\nprintf '%s\\0' \"$@\" >\"${{0}}.argv\"\n{more}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn recorded(directory: &Path, name: &str) -> Vec<OsString> {
    let bytes = std::fs::read(directory.join(format!("{name}.argv"))).unwrap();
    let words = bytes.strip_suffix(b"\0").unwrap().split(|byte| *byte == 0);
    words.map(|word| OsString::from_vec(word.to_vec())).collect()
}

fn after<'a>(words: &'a [OsString], option: &str) -> &'a OsStr {
    &words[words.iter().position(|word| word == option).unwrap() + 1]
}

/// Every verb that has to do with files, in projects of every name.
#[test]
fn a_project_may_have_any_name() {
    for name in NAMES {
        let odd = Odd::new(Toy::new(), name);
        odd.run(&["lock"]);
        odd.run(&["lock", "--check"]);
        odd.run(&["build", "toy"]);
        let output = odd.run(&["build", "toy", "--locked"]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("up to date"), "{output:?}");
        for args in [
            &["why", "libtoy1"][..],
            &["why", "/usr/bin/toy", "--image", "toy"],
            &["tree", "toy"],
            &["review", "toy-tool", "--image", "toy"],
            &["build", "toy", "--dry-run"],
            &["--json", "build", "toy"],
            &["config", "show"],
            &["doctor"],
            &["store", "verify"],
        ] {
            odd.run(args);
        }
        // Paths as data have their own bytes.
        let mut cache = odd.home.join(".cache/hah-image").into_os_string().into_vec();
        cache.push(b'\n');
        assert_eq!(odd.run(&["store", "path"]).stdout, cache);
        let mut image = odd.project.join("out/toy.img").into_os_string().into_vec();
        image.push(b'\n');
        assert_eq!(odd.run(&["-q", "build", "toy"]).stdout, image);

        // The project is a root: nothing that it needs is collected.
        odd.run(&["gc"]);
        std::fs::remove_dir_all(odd.project.join("out")).unwrap();
        std::fs::remove_dir_all(odd.toy.path("archive/pool")).unwrap();
        odd.run(&["build", "toy"]);

        // An image and a card by their paths, relative and absolute.
        let card = odd.toy.root().join(OsStr::from_bytes(&[b"card-", name, b".img"].concat()));
        for image in [PathBuf::from("out/toy.img"), odd.project.join("out/toy.img")] {
            let args = [OsStr::new("flash"), image.as_os_str(), card.as_os_str(), OsStr::new("--yes")];
            well(&mut odd.command(&args));
        }
        assert!(std::fs::metadata(&card).unwrap().len() > 0);
    }
}

/// A path on the command line: of the output, of an input, of the project.
#[test]
fn paths_on_the_command_line_may_be_anything() {
    for name in NAMES {
        let odd = Odd::new(toy_with(TOOL), b"plain");
        let downloads = odd.toy.root().join(OsStr::from_bytes(name));
        let archive = Release::new("1.0", elf::program(b"tool")).write(&downloads);
        let input = [OsStr::new("tool="), archive.as_os_str()].join(OsStr::new(""));
        well(&mut odd.command(&[OsStr::new("lock"), OsStr::new("toy"), OsStr::new("--input"), &input]));
        let output = PathBuf::from("out").join(OsStr::from_bytes(&[name, b".img"].concat()));
        let mut command = odd.command(&[OsStr::new("build"), OsStr::new("toy"), OsStr::new("-o"), output.as_os_str()]);
        command.current_dir(odd.toy.root()).arg("-C").arg(&odd.project);
        well(&mut command);
        if !oracles::is_missing("sha256sum") {
            let sum = output.with_extension("sha256");
            let mut judge = Command::new("sha256sum");
            judge.arg("-c").arg(sum.file_name().map(|name| Path::new(".").join(name)).unwrap());
            well(judge.current_dir(odd.toy.path("out")));
        }
    }
}

/// A comma ended QEMU's option, and a byte that is not UTF-8 was replaced.
#[test]
fn qemu_gets_the_path_as_it_is() {
    if oracles::is_missing("qemu-img") {
        return;
    }
    for name in NAMES {
        let toy = Toy::new();
        toy.write("project/recipes/boards/toy.toml", [BOARD, MACHINE].concat());
        let odd = Odd::new(toy, name);
        odd.run(&["build", "toy"]);
        let bin = odd.toy.path("bin");
        fake(&bin, "qemu-system-aarch64", "");
        fake(&bin, "qemu-img", "PATH=/usr/sbin:/usr/bin:/bin exec qemu-img \"$@\"");
        let odd_word = OsStr::from_bytes(b"guest=x,y=\xe9");
        let image = odd.project.join("out/toy.img");
        let directory = odd.project.join("out/toy.run/toy-0");
        for (times, target) in [OsStr::new("toy"), OsStr::new("out/toy.img"), image.as_os_str()].iter().enumerate() {
            let args = [OsStr::new("run"), target, OsStr::new("--"), OsStr::new("-name"), odd_word];
            well(odd.command(&args).env("PATH", &bin));
            let words = recorded(&bin, "qemu-img");
            match times {
                0 => assert_eq!(words[7..9], [directory.join("base.img"), directory.join("disk.qcow2")]),
                _ => assert_eq!(words.last().unwrap(), directory.join("boot.fat").as_os_str()),
            }
        }
        let words = recorded(&bin, "qemu-system-aarch64");
        assert_eq!(words.last().unwrap(), odd_word);
        for (option, file) in [("-kernel", "kernel"), ("-initrd", "initramfs")] {
            assert_eq!(after(&words, option), directory.join(file).as_os_str());
            assert!(directory.join(file).is_file());
        }
        let drive = after(&words, "-drive");
        let mut wanted = b"if=virtio,format=qcow2,cache=unsafe,file=".to_vec();
        for byte in directory.join("disk.qcow2").as_os_str().as_bytes() {
            wanted.extend(if *byte == b',' { &b",,"[..] } else { std::slice::from_ref(byte) });
        }
        assert_eq!(drive.as_bytes(), wanted);
        opens(drive);

        // What --dry-run prints, a shell reads as the same words.
        let mut dry = odd.command(&[OsStr::new("run"), OsStr::new("toy"), OsStr::new("--dry-run")]);
        let mut script = well(&mut dry).stdout;
        script.splice(0..0, *b"PATH=\"$1\" ");
        well(Command::new("/bin/sh").arg("-c").arg(OsStr::from_bytes(&script)).arg("sh").arg(&bin));
        assert_eq!(after(&recorded(&bin, "qemu-system-aarch64"), "-drive"), drive);
    }
}

/// QEMU itself opens the drive. Nothing boots: there is no machine.
fn opens(drive: &OsStr) {
    if oracles::is_missing("qemu-system-aarch64") {
        return;
    }
    let drive = [b"if=none", drive.as_bytes().strip_prefix(b"if=virtio").unwrap()].concat();
    let mut qemu = Command::new("qemu-system-aarch64");
    qemu.args(["-machine", "none", "-nodefaults", "-S", "-display", "none", "-monitor", "stdio", "-drive"]);
    qemu.arg(OsStr::from_bytes(&drive)).env("PATH", oracles::path());
    let mut child = qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"info block\nquit\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("disk.qcow2") && said.contains("Backing file"), "{output:?}");
}
