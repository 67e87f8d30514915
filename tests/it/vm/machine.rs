//! A machine in QEMU, with its console, ssh and HTTP.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hah_image::qemu::{self, Guest, Link, Processor};

use super::image::{self, Image};

/// What a boot may take on a busy machine without KVM.
pub(crate) const BOOT: Duration = Duration::from_secs(900);
/// What the end of a shutdown may take.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(240);
/// Stage 1's first words.
pub(super) const STAGE1_STARTS: &str = "hah: starting ";
/// Stage 1's last words, before systemd.
pub(crate) const STAGE1_DONE: &str = "; starting the system";
/// The end of a boot, as a person at the console sees it.
pub(crate) const LOGIN: &str = " login: ";
/// A kernel that ends, or a stage 1 that cannot go on.
const FATAL: [&str; 2] = ["Kernel panic", "hah: cannot boot"];

/// Held while a machine runs.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits until no other machine runs; none starts until the guard is dropped.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A disk that outlives its machine, and the machine that goes with it.
pub(crate) struct Node {
    image: Image,
    machine: String,
    directory: PathBuf,
    disk_bytes: u64,
    place: Option<Place>,
}

/// A node's place in a network of several.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Which node, from 0.
    pub(crate) number: u16,
    /// The tap device that it is connected to.
    pub(crate) tap: String,
    /// The node's own address there.
    pub(crate) address: Ipv4Addr,
}

impl Node {
    /// A node with a fresh card of `disk_gib` GiB. `name` is its directory.
    pub(crate) fn new(image: &Image, machine: &str, name: &str, disk_gib: u64) -> Self {
        let directory = image::directory().join(name);
        if directory.exists() {
            fs::remove_dir_all(&directory).unwrap();
        }
        Self { image: image.clone(), machine: machine.to_owned(), directory, disk_bytes: disk_gib << 30, place: None }
    }

    /// Connects it to other nodes; such machines may run side by side.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Switches the node on.
    pub(crate) fn boot(&self) -> Vm<'_> {
        let turn = match self.place {
            None => Some(turn()),
            Some(_) => None,
        };
        let machine = self.image.machine(&self.machine);
        let guest = Guest {
            image: &self.image.path,
            machine: &machine,
            directory: self.directory.clone(),
            disk_bytes: self.disk_bytes,
            node: self.place.as_ref().map_or(0, |place| place.number),
            link: self.place.as_ref().map_or(Link::User, |place| Link::Tap(&place.tap)),
            // As everywhere else, so that tests fail alike.
            processor: Processor::Emulated,
        };
        let prepared = qemu::prepare(&guest).unwrap();
        let mut child = Command::new(&prepared.program)
            .args(&prepared.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(self.directory.join("qemu.log")).unwrap())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let console = Arc::new(Console::default());
        let log = File::options().create(true).append(true).open(self.directory.join("console.log")).unwrap();
        let reader = std::thread::spawn({
            let console = Arc::clone(&console);
            move || console.read(output, log)
        });
        let forwards = prepared.forwards;
        Vm {
            node: self,
            child,
            console,
            reader: Some(reader),
            forwards,
            master: None,
            started: Instant::now(),
            _turn: turn,
        }
    }
}

/// What the machine has said so far, and whether it has ended.
#[derive(Default)]
struct Console {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
struct Said {
    text: String,
    ended: bool,
}

impl Console {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, mut output: impl Read, mut log: File) {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            let bytes = &buffer[..length];
            let _ = log.write_all(bytes);
            self.lock().text.push_str(&String::from_utf8_lossy(bytes));
            self.more.notify_all();
        }
        self.lock().ended = true;
        self.more.notify_all();
    }
}

/// A running machine; dropping it pulls the plug.
pub(crate) struct Vm<'n> {
    node: &'n Node,
    child: Child,
    console: Arc<Console>,
    reader: Option<JoinHandle<()>>,
    forwards: Vec<(&'static str, u16, u16)>,
    /// The connection that every ssh command goes through, and the directory of its socket.
    master: Option<(Child, tempfile::TempDir)>,
    started: Instant,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Vm<'_> {
    /// Everything that the console has shown in this boot.
    pub(crate) fn console(&self) -> String {
        self.console.lock().text.clone()
    }

    /// Since the machine was switched on.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until the console has shown `words`, and returns how long after power-on that was.
    pub(crate) fn wait_for(&self, words: &str, timeout: Duration) -> Duration {
        let deadline = Instant::now() + timeout;
        let mut said = self.console.lock();
        loop {
            if said.text.contains(words) {
                return self.uptime();
            }
            let fatal = FATAL.iter().any(|fatal| said.text.contains(fatal));
            let left = deadline.saturating_duration_since(Instant::now());
            if fatal || said.ended || left.is_zero() {
                let why = if said.ended { "the machine ended" } else { "it did not come" };
                let tail = tail(&said.text);
                // A panic with the lock would hide this one behind its poison.
                drop(said);
                panic!("waiting for {words:?} on the console: {why} in {:?}\n{tail}", self.uptime());
            }
            let wait = left.min(Duration::from_secs(1));
            said = self.console.more.wait_timeout(said, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Pulls the plug: the process ends between two instructions of the guest.
    ///
    /// What the guest has flushed is in the disk's file. QEMU holds the allocation tables of the qcow2 in memory until
    /// the guest flushes, so unflushed data in clusters that were never written before is lost, and data in old
    /// clusters is kept, whatever the order: much like the cache of a card.
    pub(super) fn pull_the_plug(self) -> String {
        self.console()
        // Drop does it.
    }

    /// Waits until the machine has ended by itself, as QEMU does here when the guest reboots, and returns what its console
    /// has shown.
    pub(super) fn wait_until_off(mut self, timeout: Duration) -> String {
        self.hang_up();
        let deadline = Instant::now() + timeout;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not reboot\n{}", tail(&self.console()));
            std::thread::sleep(Duration::from_millis(200));
        }
        let _ = self.reader.take().map(JoinHandle::join);
        self.console()
    }

    /// Options of ssh(1), as `hah-image deploy` takes them, and the destination.
    pub(super) fn ssh_options(&self) -> (Vec<String>, String) {
        let key = self.node.image.key.as_ref().expect("the image has the test's key");
        let known = self.node.directory.join("known_hosts");
        let options = [
            format!("IdentityFile={}", key.display()),
            format!("UserKnownHostsFile={}", known.display()),
            "HostKeyAlias=node".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
        ];
        (options.to_vec(), format!("hah@{}", self.address("ssh")))
    }

    /// Shuts down as a person would, waits until the machine is off, and checks that nothing went wrong on the way.
    pub(crate) fn power_off(mut self) {
        // The connection may break before the answer.
        let _ = self.ssh_once("sudo systemctl poweroff");
        let deadline = Instant::now() + SHUTDOWN;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not switch off\n{}", tail(&self.console()));
            std::thread::sleep(Duration::from_millis(200));
        }
        let _ = self.reader.take().map(JoinHandle::join);
        let console = self.console();
        assert!(!console.contains("FAILED"), "the boot or the shutdown\n{}", tail(&console));
    }

    /// Where a service is reached from here.
    fn address(&self, service: &str) -> SocketAddr {
        match &self.node.place {
            Some(place) => {
                let (_, port) = qemu::PORTS.iter().find(|(name, _)| *name == service).expect("a service of the stack");
                SocketAddr::from((place.address, *port))
            }
            None => {
                let forward = self.forwards.iter().find(|(name, ..)| *name == service);
                SocketAddr::from((Ipv4Addr::LOCALHOST, forward.expect("the service is forwarded").1))
            }
        }
    }

    fn ssh_command(&self) -> Command {
        let mut ssh = Command::new("ssh");
        let key = self.node.image.key.as_ref().expect("the image has the test's key");
        let address = self.address("ssh");
        ssh.arg("-i").arg(key).args(["-p", &address.port().to_string(), "-l", "hah"]);
        ssh.args(["-o", &format!("HostName={}", address.ip())]);
        // The first boot's keys are learnt, and another key in a later boot is refused.
        let known = self.node.directory.join("known_hosts");
        ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
        ssh.args(["-o", "HostKeyAlias=node", "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes"]);
        ssh.args(["-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=60", "-o", "LogLevel=ERROR", "-F", "/dev/null"]);
        ssh.stdin(Stdio::null());
        ssh
    }

    /// Runs a command as `hah` and returns its standard output; waits for sshd if need be.
    pub(crate) fn ssh(&mut self, command: &str) -> String {
        let (code, output) = self.ssh_status(command);
        assert_eq!(code, Some(0), "`{command}` failed:\n{output}");
        output
    }

    /// Runs a command as `hah` and returns its exit code and everything that it said.
    pub(crate) fn ssh_status(&mut self, command: &str) -> (Option<i32>, String) {
        let deadline = Instant::now() + BOOT;
        loop {
            let (code, output) = self.ssh_once(command);
            // 255 is ssh's own failure.
            if code != Some(255) {
                return (code, output);
            }
            assert!(!output.contains("HOST IDENTIFICATION HAS CHANGED"), "{output}");
            let ended = self.child.try_wait().unwrap().is_some();
            let late = Instant::now() > deadline;
            assert!(!ended && !late, "no ssh in {:?}: {output}\n{}", self.uptime(), tail(&self.console()));
            std::thread::sleep(Duration::from_secs(2));
        }
    }

    fn ssh_once(&mut self, command: &str) -> (Option<i32>, String) {
        let socket = match &self.master {
            Some((_, directory)) => directory.path().join("s"),
            None => {
                // Not in the target directory: a socket's name has at most 107 bytes.
                let directory = tempfile::tempdir().unwrap();
                let socket = directory.path().join("s");
                let mut master = self.ssh_command();
                let mut child =
                    master.args(["-M", "-N", "-S"]).arg(&socket).arg("node").stderr(Stdio::piped()).spawn().unwrap();
                while !socket.exists() {
                    if child.try_wait().unwrap().is_some() {
                        let mut said = String::new();
                        let _ = child.stderr.take().unwrap().read_to_string(&mut said);
                        return (Some(255), said);
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
                self.master = Some((child, directory));
                socket
            }
        };
        let output = self.ssh_command().arg("-S").arg(socket).arg("node").arg(command).output().unwrap();
        if output.status.code() == Some(255) {
            self.hang_up();
        }
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).trim_end().to_owned())
    }

    fn hang_up(&mut self) {
        if let Some((mut master, _directory)) = self.master.take() {
            let _ = master.kill();
            let _ = master.wait();
        }
    }

    /// The body of an answer with status 200 to `GET path`, from a service whose port is forwarded.
    pub(crate) fn get(&self, service: &str, path: &str) -> Result<String, String> {
        let text = self.exchange(service, path).map_err(|error| format!("{service}{path}: {error}"))?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("{service}{path}: no answer"))?;
        let status = head.split_whitespace().nth(1);
        if status == Some("200") { Ok(body.to_owned()) } else { Err(format!("{service}{path}: {head}\n{body}")) }
    }

    fn exchange(&self, service: &str, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address(service))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        // HTTP/1.0: the answer ends with the connection and is not chunked.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: node\r\nAccept: */*\r\n\r\n").as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Asks until the answer is right: services start in their own time.
    pub(super) fn get_until(&self, service: &str, path: &str, right: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(180);
        loop {
            let answer = self.get(service, path);
            match &answer {
                Ok(body) if right(body) => return body.clone(),
                _ => assert!(Instant::now() < deadline, "{service}{path} does not become right: {answer:?}"),
            }
            std::thread::sleep(Duration::from_secs(2));
        }
    }
}

impl Drop for Vm<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.hang_up();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The last lines of a console.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
