//! A new project: made of answers, never over anything, and taken by the other verbs.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hah_image::project::Project;

use crate::archive::project::{PROGRAM, Run};
use crate::oracles;
use crate::terminal::Terminal;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvWr0zJ9Xh0v0sPZ1n2m3v4w5x6y7z8A9B0C1D2E3F4 me@here";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA agent@here";

/// A person's home with a key, and a place for projects.
struct Desk {
    directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(desk.path("home/.ssh")).unwrap();
        std::fs::write(desk.path("home/.ssh/id_ed25519.pub"), format!("{KEY}\n")).unwrap();
        desk
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.directory.path()).env_clear();
        command.env("HOME", self.path("home")).env("PATH", "/nonexistent");
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        Run::of(&mut self.command(PROGRAM, args))
    }

    /// Every file below a directory, with its text.
    fn files(&self, directory: &str) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        let mut left = vec![self.path(directory)];
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                files.insert(path.strip_prefix(self.path(directory)).unwrap().to_owned(), text);
            }
        }
        files
    }
}

/// Plans every image of a project, and every node of its fleet; the images' names.
fn plan(directory: &Path) -> Vec<String> {
    let project = Project::open(directory).unwrap();
    let text = std::fs::read_to_string(directory.join("cluster.toml")).unwrap();
    let cluster = hah_plan::recipe::load_cluster("cluster.toml", &text).unwrap_or_else(|flaws| panic!("{flaws}"));
    let mut images: Vec<String> = std::fs::read_dir(directory.join("images"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    images.sort();
    for image in &images {
        let system = project.system(image, &[]).unwrap_or_else(|failure| panic!("{}", failure));
        assert_eq!(&system.image, image);
    }
    for (name, member) in &cluster.nodes {
        assert!(images.contains(&member.image), "{name}: {}", member.image);
        let identity = cluster.identity(name, &hah_plan::cluster::Secrets::default()).unwrap();
        assert_eq!(identity.flaw(), None);
        assert_eq!(identity.ssh.authorized_keys, cluster.authorized_keys);
    }
    images
}

#[test]
fn a_project_is_taken_by_the_other_verbs() {
    let desk = Desk::new();
    let cases: [(&[&str], &[&str]); 4] = [
        (&[], &["lab"]),
        (&["--node", "pi-1", "--node", "pi-2"], &["lab", "lab-client"]),
        (&["--cluster"], &["pi-client", "pi3-server", "pi4-server"]),
        (&["--node", "a=pi4-server", "--ssh-key", "none"], &["pi4-server"]),
    ];
    for (number, (args, images)) in cases.iter().enumerate() {
        let make = |name: &str| {
            let run = desk.run(&[&["init", name, "--yes", "--name", "kitchen"], *args].concat()).succeeded();
            assert!(run.stderr.contains(&format!("Created {name}/cluster.toml")), "{run}");
            assert_eq!(run.stderr.contains("nobody can log in yet"), args.contains(&"none"), "{run}");
            run
        };
        let (one, other) = (format!("one{number}"), format!("other{number}"));
        make(&one);
        make(&other);
        let files = desk.files(&one);
        assert_eq!(files, desk.files(&other), "the same answers make the same bytes");
        assert!(!files.values().any(|text| text.contains(&*desk.directory.path().to_string_lossy())));
        assert_eq!(plan(&desk.path(&one)), *images);
        assert_eq!(files.values().any(|text| text.contains(KEY)), !args.contains(&"none"));
        // The settings are settings, from below the project too.
        desk.run(&["-C", &one, "config", "show"]).succeeded();
    }
}

#[test]
fn nothing_is_overwritten() {
    let desk = Desk::new();
    desk.run(&["init", "--yes"]).succeeded();
    let before = desk.files(".");
    desk.run(&["init", "--yes", "--cluster"]).failed(
        1,
        &[
            "this directory has cluster.toml, hah-image.toml, .gitignore, schema/cluster.schema.json",
            "init overwrites nothing",
        ],
    );
    assert_eq!(desk.files("."), before);
    // A link that leads nowhere is there, too; and of a refused project there is nothing.
    std::fs::create_dir(desk.path("linked")).unwrap();
    std::os::unix::fs::symlink("/nonexistent/elsewhere", desk.path("linked/.gitignore")).unwrap();
    desk.run(&["init", "linked", "--yes"]).failed(1, &["linked has .gitignore already"]);
    assert_eq!(std::fs::read_dir(desk.path("linked")).unwrap().count(), 1);
    std::fs::write(desk.path("file"), "").unwrap();
    desk.run(&["init", "file", "--yes"]).failed(1, &["file"]);
    assert_eq!(std::fs::read(desk.path("file")).unwrap(), b"");
}

#[test]
fn answers_that_are_none() {
    let desk = Desk::new();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--name", "My Home"], 2, "`My Home` is no name"),
        (&["--node", "a=pi5"], 2, "there is no image `pi5` to begin with"),
        (&["--node", "a=lab", "--node", "b=lab"], 2, "2 nodes are servers"),
        (&["--ssh-key", "home/.ssh/absent.pub"], 1, "absent.pub"),
        (&["--ssh-key", "home/secret"], 1, "that is the private half"),
        (&["--node", "a", "--cluster"], 2, "cannot be used with"),
    ];
    std::fs::write(desk.path("home/secret"), "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
    for (args, code, says) in cases {
        let run = desk.run(&[&["init", "new", "--yes"], args].concat()).failed(code, &[says]);
        assert!(!desk.path("new").exists(), "{run}");
    }
    let run = desk.run(&["init", "named", "--yes", "--json"]).succeeded();
    let result: serde_json::Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&result["name"], &result["nodes"]), (&"named".into(), &serde_json::json!(["pi-1"])));
}

/// Three questions at a terminal, one of them answered wrongly at first, and the agent's key before that of the home.
#[test]
fn three_questions() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("bin")).unwrap();
    std::fs::write(desk.path("bin/ssh-add"), format!("#!/bin/sh\necho '{OTHER}'\necho '{KEY}'\n")).unwrap();
    std::fs::set_permissions(desk.path("bin/ssh-add"), PermissionsExt::from_mode(0o755)).unwrap();
    let ask = |directory: &str, answers: &[&str]| {
        let mut init = desk.command(PROGRAM, &["--no-progress", "init", directory]);
        init.env("PATH", format!("{}:{}", desk.path("bin").display(), oracles::path()));
        init.env("SSH_AUTH_SOCK", "/nonexistent/agent");
        let mut terminal = Terminal::start(init);
        for answer in answers {
            terminal.answer(answer);
        }
        let (code, said) = terminal.end();
        assert_eq!(code, Some(0), "{said}");
        (said, desk.files(directory))
    };
    let (said, files) = ask("kitchen", &["", "", ""]);
    for wanted in ["Name of the cluster [kitchen]:", "1  ssh-ed25519 …", "agent@here (the agent)", "Nodes [pi-1]:"] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let cluster = &files[Path::new("cluster.toml")];
    assert!(cluster.contains("name = \"kitchen\"") && cluster.contains(OTHER) && cluster.contains("[nodes.pi-1]"));

    let (said, files) = ask("second", &["attic", "7", "2", "a=lab b=lab", "cluster"]);
    for wanted in ["there is no key 7", "2 nodes are servers, expected 1, 3, 5, 7 or 9"] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let cluster = &files[Path::new("cluster.toml")];
    assert!(cluster.contains("name = \"attic\"") && cluster.contains(KEY) && cluster.contains("[nodes.pi4-1]"));
    assert_eq!(plan(&desk.path("second")), ["pi-client", "pi3-server", "pi4-server"]);
}
