//! A host of a test's own: network, mount, process and host name are namespaces that end with the test.
//!
//! What the recipes render lies where a node has it: `/etc` and `/usr` are overlays over this machine's, `/var/lib` is
//! empty. So the programs get the very files of an image and the command lines of its units.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hah_plan::system::System;
use serde_json::Value;

use super::{content, output, render, write};

/// A process that holds the namespaces; they and all that runs in them end with it.
struct Holder {
    unshare: Child,
    pid: u32,
}

impl Holder {
    fn new(namespaces: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command.args(namespaces).args(["--pid", "--fork", "--kill-child", "sleep", "3600"]);
        let mut unshare = command.stdin(Stdio::null()).spawn().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let said = std::fs::read_to_string(&children).unwrap_or_default();
            if let Some(pid) = said.split_whitespace().next().and_then(|pid| pid.parse().ok()) {
                return Self { unshare, pid };
            }
            assert!(unshare.try_wait().unwrap().is_none() && Instant::now() < end, "unshare {namespaces:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// The agent, where the image has it.
pub(super) const AGENT: &str = "/usr/lib/hah/hah-agent";

/// This workspace's agent, built as this test is.
pub(crate) fn agent() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let build = || {
        let beside = Path::new(env!("CARGO_BIN_EXE_hah-image")).parent().unwrap();
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut command = Command::new(cargo);
        command.current_dir(super::repository()).args(["build", "--quiet", "--package", "hah-agent"]);
        if beside.ends_with("release") {
            command.arg("--release");
        }
        content(&mut command, "the agent");
        beside.join("hah-agent")
    };
    BUILT.get_or_init(build).clone()
}

/// The switch between hosts.
pub(super) struct Switch(Holder);

impl Switch {
    pub(super) fn new() -> Self {
        let switch = Self(Holder::new(&["--net"]));
        switch.ip("link add br0 type bridge");
        switch.ip("link set br0 up");
        switch.ip("addr add 10.77.0.254/24 dev br0");
        switch
    }

    pub(super) fn ip(&self, arguments: &str) {
        let pid = self.0.pid.to_string();
        let mut command = Command::new("nsenter");
        content(command.args(["-t", &pid, "-n", "ip"]).args(arguments.split(' ')), arguments);
    }
}

pub(super) struct Host {
    holder: Holder,
    pub(super) name: &'static str,
    pub(super) address: String,
    /// Logs, and what the host writes.
    pub(super) directory: PathBuf,
}

/// Whether hosts can be made here: by root, with namespaces and overlays; says so when not.
pub(super) fn possible() -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        println!("skipped: not root");
    }
    is_root
}

impl Host {
    /// A host `name` with the files of `system` and these programs, on `switch` as number `number`, its address decided.
    pub(super) fn new(
        (name, number): (&'static str, u8),
        switch: &Switch,
        (system, programs): (&System, &[(&str, &Path)]),
        directory: &Path,
    ) -> Self {
        let host = Self::without_address((name, number), switch, (system, programs), directory);
        host.ip(&format!("addr add {}/24 dev eth0", host.address));
        host.ip("route add default via 10.77.0.254");
        host.run(&[AGENT, "address", "--once"]);
        host
    }

    /// The same with a cable and nothing more.
    pub(super) fn without_address(
        (name, number): (&'static str, u8),
        switch: &Switch,
        (system, programs): (&System, &[(&str, &Path)]),
        directory: &Path,
    ) -> Self {
        let directory = directory.join(name);
        let holder = Holder::new(&["--net", "--mount", "--uts", "--mount-proc"]);
        let address = format!("10.77.0.{number}");
        let host = Self { holder, name, address, directory };
        let upper = host.directory.join("upper");
        render(system, &upper);
        // What asks systemd is written down: there is none.
        write(&upper.join("usr/bin/systemctl"), b"#!/bin/sh\necho \"$@\" >> /run/systemctl\n");
        std::fs::set_permissions(upper.join("usr/bin/systemctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let agent = agent();
        let mut all: Vec<(&str, &Path)> = programs.iter().map(|(program, found)| (*program, *found)).collect();
        all.push(("../lib/hah/hah-agent", &agent));
        for (program, found) in all {
            let to = upper.join("usr/bin").join(program);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            if std::fs::hard_link(found, &to).is_err() {
                std::fs::copy(found, &to).unwrap();
            }
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        // Users that packages of the image would have made, and the agent as the name server, as resolved arranges it.
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        write(
            &upper.join("etc/passwd"),
            format!("{passwd}prometheus:x:110:110::/var/lib/prometheus:/bin/false\n").as_bytes(),
        );
        write(&upper.join("etc/hosts"), format!("127.0.0.1 localhost\n127.0.1.1 {name}\n").as_bytes());
        write(&upper.join("etc/resolv.conf"), b"nameserver 127.0.0.1\n");
        for (index, mounted) in ["/etc", "/usr"].into_iter().enumerate() {
            let work = host.directory.join(format!("work{index}"));
            std::fs::create_dir_all(&work).unwrap();
            let options = format!(
                "lowerdir={mounted},upperdir={},workdir={}",
                upper.join(&mounted[1..]).display(),
                work.display()
            );
            host.run(&["mount", "-t", "overlay", "overlay", "-o", &options, mounted]);
        }
        let data = host.directory.join("lib");
        for made in ["consul", "nomad", "vault", "prometheus/tsdb", "prometheus/node-exporter"] {
            std::fs::create_dir_all(data.join(made)).unwrap();
        }
        std::os::unix::fs::chown(data.join("prometheus/tsdb"), Some(110), Some(110)).unwrap();
        host.run(&["mount", "--bind", data.to_str().unwrap(), "/var/lib"]);
        host.run(&["hostname", name]);
        // What the host says on its console, and what it keeps until it is switched off.
        write(&host.directory.join("console"), b"");
        host.run(&["mount", "--bind", host.directory.join("console").to_str().unwrap(), "/dev/kmsg"]);
        host.run(&["mount", "-t", "tmpfs", "tmpfs", "/run"]);
        let port = format!("p{number}");
        switch.ip(&format!("link add {port} type veth peer name e{port} netns {}", host.holder.pid));
        switch.ip(&format!("link set {port} master br0 up"));
        for arguments in ["link set lo up", &format!("link set e{port} name eth0"), "link set eth0 up"] {
            host.ip(arguments);
        }
        host
    }

    /// `ip` on the host.
    #[track_caller]
    pub(super) fn ip(&self, arguments: &str) {
        let words: Vec<&str> = ["ip"].into_iter().chain(arguments.split(' ')).collect();
        self.run(&words);
    }

    /// What a file of the host says; empty without it.
    pub(super) fn file(&self, path: &str) -> String {
        String::from_utf8_lossy(&output(self.command("cat").arg(path)).stdout).into_owned()
    }

    /// What the agent has said on the console.
    pub(super) fn console(&self) -> String {
        std::fs::read_to_string(self.directory.join("console")).unwrap_or_default()
    }

    /// A command that runs on the host.
    pub(super) fn command(&self, program: &str) -> Command {
        let pid = self.holder.pid.to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-m", "-n", "-u", "-p", "--", program]);
        command.env_remove("AWS_CA_BUNDLE").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(super) fn run(&self, words: &[&str]) -> String {
        content(self.command(words[0]).args(&words[1..]), self.name)
    }

    /// Starts what the unit says and these arguments, its log beside the host's files.
    pub(super) fn start(&self, unit: &str, arguments: &[&str]) {
        let text = self.directory.join("upper/etc/systemd/system").join(unit);
        let text = std::fs::read_to_string(text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let mut command: Vec<&str> = Vec::from(["env"]);
        let set: Vec<String> = (text.lines())
            .filter_map(|line| line.strip_prefix("Environment="))
            .map(|line| line.replace("%H", self.name))
            .collect();
        command.extend(set.iter().map(String::as_str));
        command.extend(line.split_whitespace());
        command.extend(arguments);
        self.spawn(unit, &command);
    }

    /// Starts a program with the `ARGS` of its file in /etc/default, as Debian's unit does.
    pub(super) fn start_with_defaults(&self, program: &str) {
        let defaults = self.directory.join("upper/etc/default").join(program);
        let text = std::fs::read_to_string(defaults).unwrap();
        let arguments = text.trim().trim_start_matches("ARGS=\"").trim_end_matches('"');
        let program_path = format!("/usr/bin/{program}");
        let words: Vec<&str> = [program_path.as_str()].into_iter().chain(arguments.split(' ')).collect();
        self.spawn(program, &words);
    }

    pub(super) fn spawn(&self, name: &str, words: &[&str]) {
        let log = std::fs::File::create(self.log(name)).unwrap();
        let mut command = self.command(words[0]);
        command.args(&words[1..]).stdout(log.try_clone().unwrap()).stderr(log);
        // It ends with the namespace of processes.
        drop(command.spawn().unwrap());
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.log"))
    }

    /// The end of a program's log.
    pub(super) fn tail(&self, name: &str) -> String {
        let text = std::fs::read(self.log(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        format!("--- {} on {}:\n{}\n", name, self.name, lines[lines.len().saturating_sub(25)..].join("\n"))
    }

    /// `curl` on the host: status and body; status 0 when nobody answered.
    pub(super) fn http(&self, method: &str, url: &str, body: Option<&str>) -> (u16, String) {
        let mut command = self.command("curl");
        command.args(["-s", "-m", "20", "-X", method, "-w", "\n%{http_code}", url]);
        if let Some(body) = body {
            command.args(["--data-binary", body]);
        }
        let said = String::from_utf8_lossy(&output(&mut command).stdout).into_owned();
        let (text, status) = said.rsplit_once('\n').unwrap_or_default();
        (status.parse().unwrap_or(0), text.to_owned())
    }

    /// The JSON of a GET; null unless it was a success.
    pub(super) fn get(&self, url: &str) -> Value {
        match self.http("GET", url, None) {
            (200, body) => serde_json::from_str(&body).unwrap_or(Value::Null),
            _ => Value::Null,
        }
    }
}

/// Asks until the answer is there.
#[track_caller]
pub(super) fn until<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Option<T>, log: impl Fn() -> String) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = ask() {
            println!("{:>5.1} s: {what}", begin.elapsed().as_secs_f32());
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(seconds), "not within {seconds} s: {what}\n{}", log());
        std::thread::sleep(Duration::from_millis(500));
    }
}
