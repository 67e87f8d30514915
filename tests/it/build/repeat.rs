//! Two builds from empty stores, as different as two builds of the same inputs can be, have the same bytes.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::archive::project::{Run, Toy, digest};
use crate::oracles;

/// Where faketime's library is, found as `faketime` finds it.
fn faketime() -> Option<String> {
    if oracles::is_missing("faketime") {
        return None;
    }
    let output = Command::new("faketime").args(["2030-01-01", "sh", "-c", "echo $LD_PRELOAD"]).output().ok()?;
    let preload = String::from_utf8(output.stdout).ok()?;
    Some(preload.trim().to_owned()).filter(|preload| !preload.is_empty())
}

/// The digest of the image, its block map, its closure and its manifest.
fn digests(toy: &Toy) -> [String; 4] {
    ["img", "bmap", "closure", "json"].map(|extension| digest(&toy.image().with_extension(extension)))
}

/// Another directory, umask, time zone, language, number of threads, date and user.
#[test]
fn from_empty_stores_and_as_different_as_can_be() {
    let first = Toy::new();
    first.run(&["build", "toy", "--jobs", "1"]).succeeded();
    let want = digests(&first);
    let Some(preload) = faketime() else { return };
    // The archive's signature must not lie in the future, so the date goes forward.
    for (date, umask, jobs, zone, lang) in [
        ("@2028-02-29 23:59:58", 0o077, "7", "Pacific/Kiritimati", "tr_TR.UTF-8"),
        ("@2037-06-01 00:00:00", 0o000, "2", "America/St_Johns", "C"),
    ] {
        let toy = Toy::new();
        let args = ["build", "toy", "--jobs", jobs];
        let mut command = crate::bad_days::store::as_nobody(&toy, &args);
        crate::bad_days::store::give_to_nobody(&toy.path("project"));
        command.env("LD_PRELOAD", &preload).env("FAKETIME", date).env("TZ", zone).env("LANG", lang).env("LC_ALL", lang);
        command.env("COLUMNS", "40").env("CI", "1").env("TMPDIR", "/nonexistent");
        // The umask is set by a shell that becomes the program.
        let mut shell = Command::new("/bin/sh");
        let script = format!("umask {umask:03o}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script]).arg(command.get_program()).args(command.get_args()).env_clear();
        for (key, value) in command.get_envs().filter_map(|(key, value)| Some((key, value?))) {
            shell.env(key, value);
        }
        shell.current_dir(toy.path("project"));
        if rustix::process::getuid().is_root() {
            shell.uid(65_534).gid(65_534);
        }
        Run::of(&mut shell).succeeded();
        assert_eq!(digests(&toy), want, "built on {date}");
    }
}

/// The clock that faketime shows is the one that the program sees: otherwise the test above would prove nothing.
#[test]
fn faketime_reaches_the_program() {
    let Some(preload) = faketime() else { return };
    let toy = Toy::new();
    let mut command = toy.command(&["lock", "toy"]);
    // Before the archive was signed.
    command.env("LD_PRELOAD", preload).env("FAKETIME", "@2025-01-01 00:00:00");
    Run::of(&mut command).failed(100, &["which cannot be", "clock"]);
}

/// The order of files in directories is the file system's business.
#[test]
fn the_order_of_directory_entries_does_not_matter() {
    let first = Toy::new();
    let want = first.build();
    let second = Toy::new();
    for name in ["toy.toml", "zz.toml", "aa.toml"] {
        let recipe = second.path("project/recipes").join(name);
        let text = std::fs::read(&recipe).unwrap_or_else(|_| b"summary = \"unused\"\n".to_vec());
        let _ = std::fs::remove_file(&recipe);
        std::fs::write(&recipe, text).unwrap();
    }
    assert_eq!(second.build(), want);
}

/// The real image from its downloads alone, elsewhere, by the same program.
#[test]
fn the_lab_image_is_the_same_elsewhere() {
    let Some(lab) = oracles::lab() else { return };
    let there = tempfile::tempdir().unwrap();
    let output = there.path().join("elsewhere/lab.img");
    oracles::copy_downloads(&lab, there.path());
    let run = Run::of(oracles::rebuild(there.path(), &output).args(["--jobs", "3"]).env("TZ", "Asia/Kolkata"));
    run.succeeded();
    assert_eq!(digest(&output), digest(&lab.image));
}

/// System calls that would make the kernel grant what the person does not have, or run something else.
const FORBIDDEN: &str = "trace=execve,execveat,unshare,setns,mount,umount2,pivot_root,chroot,clone,clone3,fork,vfork";

/// `env -i HOME=… PATH=/nonexistent hah-image build lab --offline` as an unprivileged user: no host tool, no privilege.
#[test]
fn the_lab_image_needs_no_tool_and_no_privilege() {
    let Some(lab) = oracles::lab() else { return };
    if oracles::is_missing("strace") || oracles::is_missing("setpriv") {
        return;
    }
    let there = tempfile::tempdir().unwrap();
    let output = there.path().join("lab.img");
    oracles::copy_downloads(&lab, there.path());
    let trace = there.path().join("trace");
    let plain = oracles::rebuild(there.path(), &output);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", FORBIDDEN, "-o"]).arg(&trace);
    if rustix::process::getuid().is_root() {
        command.args([
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
        ]);
    }
    command.args(["/usr/bin/env", "-i"]);
    for (key, value) in plain.get_envs().filter_map(|(key, value)| Some((key, value?))) {
        command.arg(format!("{}={}", key.to_string_lossy(), value.to_string_lossy()));
    }
    command.arg(plain.get_program()).args(plain.get_args());
    Run::of(&mut command).succeeded();
    assert_eq!(digest(&output), digest(&lab.image));
    assert_only_threads(&trace, Path::new(plain.get_program()));
}

/// After the program has begun, it starts threads and nothing else.
fn assert_only_threads(trace: &Path, program: &Path) {
    let text = std::fs::read_to_string(trace).unwrap();
    let begun = format!("execve(\"{}\"", program.display());
    let calls: Vec<&str> = text.lines().skip_while(|line| !line.contains(&begun)).skip(1).collect();
    assert!(text.contains(&begun), "{text}");
    for call in &calls {
        let is_thread = call.contains("clone") && call.contains("CLONE_THREAD") && !call.contains("CLONE_NEW");
        let is_end = call.contains("+++ exited") || call.contains("resumed>") || call.contains("--- SIG");
        assert!(is_thread || is_end, "a forbidden system call: {call}");
    }
    assert!(calls.iter().any(|call| call.contains("CLONE_THREAD")), "strace saw nothing: {text}");
}
