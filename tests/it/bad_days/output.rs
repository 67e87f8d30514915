//! Standard output that cannot be written: a full device, a closed pipe; and standard error that nobody hears.

use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};

use age::secrecy::ExposeSecret as _;

use super::disk::Small;
use crate::archive::Publication;
use crate::archive::deb::Deb;
use crate::archive::project::{BOARD, IMAGE, PROGRAM, Run, Toy, debs};

const MACHINE: &str = "\n[[machine]]\nname = \"toy\"\nprogram = \"qemu\"\nargs = []\nmemory = \"1 GiB\"\ndisk = \"virtio\"\nnetwork = \"virtio\"\n";

/// Every verb that prints data, and clap's own.
const VERBS: [&[&str]; 34] = [
    &["schema", "recipe"],
    &["schema", "image"],
    &["schema", "cluster"],
    &["reference", "recipes"],
    &["reference", "recipe"],
    &["reference", "image"],
    &["reference", "board"],
    &["reference", "cluster"],
    &["reference", "cli"],
    &["completions", "bash"],
    &["completions", "zsh"],
    &["completions", "fish"],
    &["man"],
    &["--help"],
    &["-h"],
    &["--version"],
    &["help", "build"],
    &["flash", "--help"],
    &["secrets", "get", "consul-encrypt", "--age-identity", "../key"],
    &["identity", "show", "a", "--age-identity", "../key"],
    &["tree", "toy"],
    &["why", "libtoy1"],
    &["why", "/usr/bin/toy", "--image", "toy"],
    &["review", "scripted", "--image", "odd"],
    &["config", "show"],
    &["doctor"],
    &["store", "path"],
    &["build", "toy", "--dry-run"],
    &["run", "toy", "--dry-run"],
    &["-q", "build", "toy"],
    &["--json", "build", "toy"],
    &["--json", "lock", "toy"],
    &["--json", "gc"],
    &["--json", "config", "show"],
];

/// A toy that has everything that these verbs show.
fn toy() -> Toy {
    // A script that nobody has reviewed: of an image that is locked and not built.
    let scripted = Deb::new("scripted", "1").member("postinst", "#!/bin/sh\nset -e\nfrobnicate\n");
    let toy = Toy::with(&[debs(), vec![scripted]].concat(), &Publication::default());
    toy.write("project/images/odd.toml", IMAGE.replace("[\"toy\"]", "[\"toy\"]\npackages = [\"scripted\"]"));
    let key = age::x25519::Identity::generate();
    toy.write("key", key.to_string().expose_secret());
    toy.write("project/recipes/boards/toy.toml", [BOARD, MACHINE].concat());
    let cluster = format!(
        "name = \"toy\"\n[secrets]\nrecipients = [\"{}\"]\n[nodes.a]\nimage = \"toy\"\nconsul = \"server\"\n",
        key.to_public()
    );
    toy.write("project/cluster.toml", cluster);
    toy.run(&["secrets", "init"]).succeeded();
    toy.run(&["lock"]).succeeded();
    toy.build();
    toy
}

/// Standard output to `file`.
fn onto(toy: &Toy, args: &[&str], file: File) -> Run {
    let child = toy.command(args).stdout(file).stderr(Stdio::piped()).spawn().unwrap();
    Run::from(child.wait_with_output().unwrap())
}

#[test]
fn a_failed_write_to_standard_output_is_an_error() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        println!("skipped: no /dev/full");
        return;
    };
    let toy = toy();
    for args in VERBS {
        toy.run(args).succeeded();
        let run = onto(&toy, args, full.try_clone().unwrap());
        assert_eq!(run.code, Some(1), "{args:?}: {run}");
        let says = "error: cannot write to standard output: No space left on device";
        assert!(run.stderr.contains(says), "{args:?}: {run}");
        assert_eq!(run.stderr.matches("standard output").count(), 1, "said once: {args:?}: {run}");
    }
    // What fails anyway keeps its own code, and says both.
    let run = onto(&toy, &["--json", "build", "tay"], full);
    assert!(run.code == Some(1) && run.stderr.contains("cannot write to standard output"), "{run}");
    // A descriptor that is for reading is no better.
    let run = onto(&toy, &["store", "path"], File::open("/dev/null").unwrap());
    assert!(run.code == Some(1) && run.stderr.contains("cannot write to standard output: Bad file"), "{run}");
}

/// `hah-image schema recipe | head -1`.
#[test]
fn a_closed_pipe_ends_quietly() {
    let toy = toy();
    for args in VERBS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = toy.command(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let run = Run::from(child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{args:?}: {run}");
        assert!(!run.stderr.contains("error") && !run.stderr.contains("panicked"), "{args:?}: {run}");
    }
}

#[test]
fn nobody_hears_standard_error() {
    let toy = toy();
    for args in VERBS {
        let wanted = toy.run(args).succeeded();
        for script in ["exec \"$0\" \"$@\" 2>&-", "exec \"$0\" \"$@\" 2>/dev/full"] {
            let mut shell = toy.around("/bin/sh");
            let run = Run::of(shell.args(["-c", script, PROGRAM]).args(args));
            assert_eq!(run.code, Some(0), "{script} {args:?}: {run}");
            // What this machine has to spare changes meanwhile.
            if !args.contains(&"--json") && !args.contains(&"doctor") {
                assert_eq!(run.stdout, wanted.stdout, "{script} {args:?}");
            }
        }
    }
    let mut shell = toy.around("/bin/sh");
    let run = Run::of(shell.args(["-c", "exec \"$0\" build tay 2>&-", PROGRAM]));
    assert_eq!(run.code, Some(1), "{run}");
}

/// Half of the output is none.
#[test]
fn a_full_disk_under_standard_output() {
    let toy = Toy::new();
    let Some(_disk) = Small::mount(&toy.path("small"), 4) else { return };
    let run = onto(&toy, &["schema", "recipe"], File::create(toy.path("small/schema.json")).unwrap());
    assert!(run.code == Some(1) && run.stderr.contains("cannot write to standard output: No space left"), "{run}");
    assert!(toy.read("small/schema.json").len() <= 4096);
}

/// A pipe that its other end made non-blocking is full for a while; that is no error, and nothing is lost.
#[test]
fn a_slow_reader_gets_everything() {
    let toy = Toy::new();
    let wanted = toy.run(&["schema", "recipe"]).succeeded().stdout;
    let (mut reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let filler = vec![b'x'; 1 << 20];
    let filled = rustix::io::write(&writer, &filler).unwrap();
    let mut command: Command = toy.command(&["schema", "recipe"]);
    let mut child = command.stdout(writer).spawn().unwrap();
    // The command keeps its end of the pipe until it is dropped.
    drop(command);
    let mut got = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut got).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(got.len() - filled, wanted.len());
    assert_eq!(&got[filled..], wanted.as_bytes());
}
