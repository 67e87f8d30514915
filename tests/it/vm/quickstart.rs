//! `docs/quickstart.md`, executed from the page: what a person types, in an empty directory.
//!
//! Of the page's fenced blocks, `console` has commands after `$ ` and below each what it prints, `diff` has lines to be
//! replaced in a file; all others are only read. `cd` is the test's own, a `hah-image run` goes on in the background until
//! the node is switched off, and what talks to a node is repeated until it is up.
//!
//! Two things are not as on a person's machine: the lock of the lab image is there already, because locking asks the
//! archives and tests have no network, and ports that are taken are other ports.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hah_image::project::Project;

use super::image;
use super::machine::{self, BOOT, LOGIN, SHUTDOWN};
use crate::archive::project::PROGRAM;
use crate::oracles;

/// Something that the page has a person do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    /// A command, and lines that it prints.
    Type { command: String, prints: Vec<String> },
    /// Replaces a line of a file.
    Edit { file: String, old: String, new: String },
}

/// The acts of a page, in order.
fn acts(page: &str) -> Vec<Act> {
    let mut acts = Vec::new();
    let (mut kind, mut file) = (None, String::new());
    for line in page.lines() {
        match (kind, line.strip_prefix("```")) {
            (None, Some(word)) => kind = Some(word),
            (Some(_), Some(_)) => kind = None,
            (Some("console"), None) => match (line.strip_prefix("$ "), acts.last_mut()) {
                (Some(command), _) => acts.push(Act::Type { command: command.to_owned(), prints: Vec::new() }),
                (None, Some(Act::Type { prints, .. })) => prints.push(line.to_owned()),
                (None, _) => panic!("output of nothing: {line}"),
            },
            (Some("diff"), None) => match (line.strip_prefix("--- "), acts.last_mut()) {
                (Some(name), _) => file = name.to_owned(),
                (None, Some(Act::Edit { new, .. })) if line.starts_with('+') => line[1..].clone_into(new),
                _ => {
                    let old = line.strip_prefix('-').unwrap_or_else(|| panic!("neither - nor +: {line}")).to_owned();
                    acts.push(Act::Edit { file: file.clone(), old, new: String::new() });
                }
            },
            _ => {}
        }
    }
    acts
}

fn page() -> Vec<Act> {
    acts(&fs::read_to_string(image::workspace().join("docs/quickstart.md")).unwrap())
}

/// A person at an empty desk.
struct Desk {
    /// Home, programs, and the directory where the person begins.
    place: tempfile::TempDir,
    here: PathBuf,
    cache: PathBuf,
    node: Option<Running>,
}

/// A `hah-image run` in another terminal.
struct Running {
    child: Child,
    console: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The program and its QEMU are a group of their own.
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Running {
    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    fn wait_for(&mut self, words: &str) {
        let deadline = Instant::now() + BOOT;
        while !self.said().contains(words) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "no {words:?}, {ended:?}: {}", self.said());
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// The port of this machine at which the node has a service, as `run` said it.
    fn port(&self, usual: &str) -> String {
        let said = self.said();
        let guest = if usual == "2222" { "22" } else { usual };
        let line = said.lines().find(|line| line.trim_end().ends_with(&format!("(port {guest})")));
        let line = line.unwrap_or_else(|| panic!("no port for {usual}: {said}"));
        let (_, after) = line.split_once(if guest == "22" { "-p " } else { "127.0.0.1:" }).unwrap();
        after.chars().take_while(char::is_ascii_digit).collect()
    }
}

impl Desk {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in ["home/.ssh", "bin", "desk"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::copy(image::key().with_extension("pub"), at("home/.ssh/id_ed25519.pub")).unwrap();
        std::os::unix::fs::symlink(PROGRAM, at("bin/hah-image")).unwrap();
        // ssh takes the home from the password database and not from HOME.
        let (known, key) = (at("home/.ssh/known_hosts"), image::key());
        let config = format!(
            "UserKnownHostsFile {}\nIdentityFile {}\nIdentitiesOnly yes\nIdentityAgent none\nBatchMode yes\n\
             StrictHostKeyChecking accept-new\nConnectTimeout 60\nLogLevel ERROR\n",
            known.display(),
            key.display()
        );
        fs::write(at("ssh_config"), config).unwrap();
        fs::write(&known, "").unwrap();
        for (name, flags) in
            [("ssh", format!("-F {}", at("ssh_config").display())), ("ssh-keygen", format!("-f {}", known.display()))]
        {
            let program =
                std::env::split_paths(&oracles::path()).map(|path| path.join(name)).find(|path| path.is_file());
            fs::write(at("bin").join(name), format!("#!/bin/sh\nexec {} {flags} \"$@\"\n", program.unwrap().display()))
                .unwrap();
            fs::set_permissions(at("bin").join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        let output = Command::new(PROGRAM).args(["store", "path"]).current_dir(image::workspace()).output().unwrap();
        let cache = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let here = at("desk");
        Self { place, here, cache, node: None }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Edit { file, old, new } => {
                let path = self.here.join(file);
                let text = fs::read_to_string(&path).unwrap();
                assert_eq!(text.lines().filter(|line| line == old).count(), 1, "{file} has one line {old:?}:\n{text}");
                fs::write(&path, text.replace(&format!("{old}\n"), &format!("{new}\n"))).unwrap();
            }
            Act::Type { command, prints } => {
                println!("$ {command}");
                if let Some(directory) = command.strip_prefix("cd ") {
                    self.here.push(directory);
                } else if command.starts_with("hah-image run ") {
                    self.switch_on(command);
                } else if command.ends_with(" poweroff") {
                    self.switch_off(command);
                } else {
                    self.run(command, prints);
                }
                if command.starts_with("hah-image init ") {
                    self.lock(command);
                }
            }
        }
    }

    /// `init` was told the project's name: the lock goes there.
    fn lock(&self, init: &str) {
        let project = init.split(' ').nth(2).unwrap();
        let lock = image::workspace().join("hah.lock");
        if lock.exists() {
            fs::copy(lock, self.here.join(project).join("hah.lock")).unwrap();
        }
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command).current_dir(&self.here).stdin(Stdio::null()).env_clear();
        shell.env("HOME", self.place.path().join("home")).env("HAH_IMAGE_CACHE_DIR", &self.cache);
        shell.env("PATH", format!("{}:{}", self.place.path().join("bin").display(), oracles::path()));
        shell.env("HAH_IMAGE_OFFLINE", "1");
        let agent = image::workspace().join("target/agent/aarch64/hah-agent");
        match super::variable("HAH_IMAGE_AGENT") {
            Some(agent) => shell.env("HAH_IMAGE_AGENT", agent),
            // `cargo test` by hand embeds none.
            None if agent.exists() => shell.env("HAH_IMAGE_AGENT", agent),
            None => &mut shell,
        };
        shell
    }

    /// Runs a command to its end, with the ports that the node got; again while the node that it asks is not up.
    fn run(&self, command: &str, prints: &[String]) {
        let mut ported = command.to_owned();
        for usual in ["2222", "9090", "8500"].iter().filter(|usual| command.contains(**usual)) {
            ported = ported.replace(usual, &self.node.as_ref().unwrap().port(usual));
        }
        let asks = ["ssh ", "curl "].iter().any(|program| command.starts_with(program));
        let deadline = Instant::now() + Duration::from_secs(if asks { 300 } else { 0 });
        loop {
            let output = self.shell(&ported).output().unwrap();
            let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            print!("{stdout}{stderr}");
            assert!(!stderr.contains("HOST IDENTIFICATION HAS CHANGED"), "{stderr}");
            if output.status.success() {
                let missing = prints.iter().find(|line| !stdout.lines().any(|said| said.trim_end() == line.trim_end()));
                assert_eq!(missing, None, "`{command}` printed\n{stdout}");
                return;
            }
            assert!(Instant::now() < deadline, "`{command}`: {}\n{stdout}{stderr}", output.status);
            std::thread::sleep(Duration::from_secs(3));
        }
    }

    fn switch_on(&mut self, command: &str) {
        assert!(self.node.is_none(), "one node at a time");
        let console = self.place.path().join("console.log");
        let log = File::create(&console).unwrap();
        let mut shell = self.shell(&format!("exec {command}"));
        let child = shell.stdout(log.try_clone().unwrap()).stderr(log).process_group(0).spawn().unwrap();
        let mut node = Running { child, console };
        node.wait_for(LOGIN);
        self.node = Some(node);
    }

    /// The node takes the connection down with it, so that ssh may end as it likes; `run` ends well.
    fn switch_off(&mut self, command: &str) {
        let mut node = self.node.take().unwrap();
        let ported = command.replace("2222", &node.port("2222"));
        let output = self.shell(&ported).output().unwrap();
        println!("{}", String::from_utf8_lossy(&output.stderr));
        let deadline = Instant::now() + SHUTDOWN;
        let status = loop {
            match node.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "it does not go off: {}", node.said()),
            }
            std::thread::sleep(Duration::from_secs(1));
        };
        assert!(status.success(), "{status}: {}", node.said());
    }
}

fn is_typed(act: &Act, start: &str) -> bool {
    matches!(act, Act::Type { command, .. } if command.starts_with(start))
}

/// What comes before the first build needs no machine: the project is made, edited, and can be planned.
#[test]
fn the_quickstart_s_project_is_planned() {
    let page = page();
    for start in ["hah-image init ", "cd ", "hah-image build ", "hah-image run ", "ssh ", "hah-image flash "] {
        assert!(page.iter().any(|act| is_typed(act, start)), "the page says no `{start}`");
    }
    assert!(page.iter().filter(|act| matches!(act, Act::Edit { .. })).count() >= 2, "two files are edited");
    let mut desk = Desk::new();
    page.iter().take_while(|act| !is_typed(act, "hah-image build ")).for_each(|act| desk.act(act));
    let project = Project::open(&desk.here).unwrap();
    let system = project.system("lab", &[]).unwrap_or_else(|failure| panic!("{}", failure));
    let prometheus = system.files.iter().find(|file| file.path.to_string().ends_with("prometheus.yml")).unwrap();
    assert!(String::from_utf8_lossy(&prometheus.bytes).contains("scrape_interval: 15s"), "{prometheus:?}");
    let text = fs::read_to_string(desk.here.join("cluster.toml")).unwrap();
    let cluster = hah_plan::recipe::load_cluster("cluster.toml", &text).unwrap_or_else(|flaws| panic!("{flaws}"));
    assert_eq!(cluster.timezone.as_deref(), Some("Europe/Lisbon"));
}

#[test]
fn the_quickstart_works_as_it_is_written() {
    if image::as_built("the_quickstart_works_as_it_is_written").is_none() {
        return;
    }
    let _turn = machine::turn();
    let mut desk = Desk::new();
    page().iter().for_each(|act| desk.act(act));
    assert!(desk.node.is_none(), "the page leaves a node on");
    assert!(desk.here.join("pi-1.img").exists() && Path::new(&desk.here).ends_with("kitchen"));
}

#[test]
fn pages_become_acts() {
    let text = "# A\n\n```text\n$ not this\n```\n```console\n$ a 'b c'\nout\n$ d\n```\n```diff\n--- f.toml\n-#x = 1\n+x = 2\n-y\n+z\n```\n";
    let edit = |old: &str, new: &str| Act::Edit { file: "f.toml".into(), old: old.into(), new: new.into() };
    let run = |command: &str, prints: &[&str]| Act::Type {
        command: command.into(),
        prints: prints.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(acts(text), [run("a 'b c'", &["out"]), run("d", &[]), edit("#x = 1", "x = 2"), edit("y", "z")]);
}
