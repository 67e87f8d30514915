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
    let servers = ["--servers", "a=192.168.7.10/24", "b=pi3-server=192.168.7.11/24", "c=192.168.7.12/24"];
    let cases: [(&[&str], &[&str]); 6] = [
        (&servers, &["pi3-server", "pi4-server"]),
        (&["--servers", "a=lab=10.0.0.2/24", "--clients", "b=10.0.0.3/24"], &["lab", "lab-client"]),
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
        let is_open = images == &["lab"];
        let security = if is_open { "\nsecurity = \"open\"\n" } else { "\nsecurity = \"closed\"\n" };
        assert!(files[Path::new("cluster.toml")].contains(security));
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
    let cases: [(&[&str], i32, &str); 12] = [
        (&["--servers", "a=192.168.1.10"], 2, "the address of a, `192.168.1.10`, is not ADDRESS/PREFIX"),
        (&["--servers", "a=10.0.0.1/8", "b=10.0.0.2/8"], 2, "2 nodes are servers"),
        (&["--servers", "a=lab-client=10.0.0.1/8"], 2, "a is among --servers, and its image is a client's"),
        (&["--servers", "a=10.0.0.1/8", "--clients", "b=lab"], 2, "b is among --clients, and its image is a server's"),
        (&["--servers", "a=10.0.0.1/8", "--cluster"], 2, "cannot be used with"),
        (&["--cluster", "--trusted", "home"], 2, "`home` is neither ADDRESS nor NETWORK/PREFIX"),
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

/// What it prints is what the person does next, and each command says which one comes before it.
#[test]
fn the_way_of_a_closed_cluster_is_told() {
    let desk = Desk::new();
    let servers = ["a=lab=192.168.7.10/24", "b=lab=192.168.7.11/24", "c=lab=192.168.7.12/24"];
    let run = desk.run(&[&["init", "home-lab", "--yes", "--servers"], &servers[..]].concat()).succeeded();
    let commands: Vec<&str> = run
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| line.starts_with("hah-image ") || line.starts_with("cd "))
        .collect();
    let wanted = ["cd home-lab", "hah-image secrets init", "hah-image build --all", "hah-image flash --fleet"];
    assert_eq!(commands, wanted, "{run}");
    assert!(run.stderr.contains("takes 192.168.7.1 for the router"), "{run}");
    let says = ["the cluster is closed, and there is no secrets.age", "make them: hah-image secrets init"];
    for verb in [&["build", "--all"][..], &["flash", "--fleet"], &["flash", "lab", "card.img", "--node", "a"]] {
        let run = desk.run(&[&["-C", "home-lab"], verb].concat());
        if verb[0] == "flash" && verb.len() == 5 {
            // There is no image yet, which is found first.
            run.failed(1, &["lab"]);
        } else {
            run.failed(1, &says);
        }
    }
    assert!(!desk.path("home-lab/out").exists() && !desk.path("home-lab/hah.lock").exists(), "nothing was begun");
    let run = desk.run(&["init", "dhcp", "--yes", "--cluster"]).succeeded();
    assert!(run.stderr.contains("let in from 192.168.1.0/24: change `trusted`"), "{run}");
    let run = desk.run(&["init", "said", "--yes", "--cluster", "--trusted", "10.1.0.0/16"]).succeeded();
    assert!(!run.stderr.contains("change `trusted`"), "{run}");
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

    // Nodes that ask DHCP are let in by their network, which is the fourth question.
    let (said, files) = ask("second", &["attic", "7", "2", "a=lab b=lab", "cluster", "house", "10.1.0.0/16"]);
    for wanted in
        ["there is no key 7", "2 nodes are servers, expected 1, 3, 5, 7 or 9", "Network of the nodes [192.168.1.0/24]:"]
    {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let cluster = &files[Path::new("cluster.toml")];
    assert!(cluster.contains("\nsecurity = \"closed\"\n") && cluster.contains("\ntrusted = [\"10.1.0.0/16\"]\n"));
    assert!(cluster.contains("name = \"attic\"") && cluster.contains(KEY) && cluster.contains("[nodes.pi4-1]"));
    assert_eq!(plan(&desk.path("second")), ["pi-client", "pi3-server", "pi4-server"]);
}
