//! `ssh` and `ui`: the way to a node, by a false `ssh` that says how it was called, and by a real server on the loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use age::secrecy::ExposeSecret as _;

use crate::archive::project::{Run, Toy};
use crate::oracles::is_missing;

const CLUSTER: &str = r#"
name = "home"
security = "closed"
[network]
trusted = ["192.168.1.0/24"]
[secrets]
recipients = ["RECIPIENT"]
[nodes.far]
image = "toy"
consul = "client"
[nodes.pi4-a]
image = "toy"
address = "192.168.1.10/24"
consul = "server"
nomad = "server"
vault = "server"
"#;

/// Writes its arguments, one a line, to `said`; a tunnel it pretends to open.
const FALSE_SSH: &str =
    "#!/bin/sh\nprintf '%s\\n' \"$@\" > ../said\ncase \"$*\" in *LocalCommand*) echo open;; esac\nexit ${CODE:-0}\n";

fn fleet() -> Toy {
    let toy = Toy::new();
    let key = age::x25519::Identity::generate();
    toy.write("key", key.to_string().expose_secret());
    toy.write("project/cluster.toml", CLUSTER.replace("RECIPIENT", &key.to_public().to_string()));
    toy.write("bin/ssh", FALSE_SSH);
    std::fs::set_permissions(toy.path("bin/ssh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    toy
}

fn command(toy: &Toy, args: &[&str]) -> Command {
    let mut command = toy.command(args);
    command.env("PATH", format!("{}:/usr/bin:/bin", toy.path("bin").display()));
    command
}

fn said(toy: &Toy) -> Vec<String> {
    String::from_utf8(toy.read("said")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_command_reaches_the_node_by_its_address_and_its_code_comes_back() {
    let toy = fleet();
    let run = Run::of(command(&toy, &["ssh", "pi4-a", "journalctl", "-u", "consul"]).env("CODE", "7"));
    assert_eq!(run.code, Some(7), "{run}");
    let said = said(&toy);
    assert_eq!(said[said.len() - 5..], ["--", "pi4-a", "journalctl", "-u", "consul"], "{said:?}");
    assert!(said.contains(&"HostName=192.168.1.10".to_owned()), "{said:?}");
    let known = format!("UserKnownHostsFile=\"{}\"", toy.path("project/known_hosts").display());
    assert!(said.contains(&known), "{said:?}");
    assert!(!toy.path("project/known_hosts").exists(), "asking writes nothing");

    Run::of(&mut command(&toy, &["ssh", "-o", "ProxyJump=me@gateway", "far"])).succeeded();
    let said = self::said(&toy);
    assert_eq!(said[..2], ["-o", "ProxyJump=me@gateway"], "the person's options count first");
    assert!(said.contains(&"HostName=far.local".to_owned()), "{said:?}");
}

/// The port that the image's SSH server listens on is the one that is called, and that the firewall lets in.
#[test]
fn an_ssh_server_on_another_port_is_reached_and_not_shut_out() {
    let toy = fleet();
    toy.write(
        "project/recipes/ssh.toml",
        "summary = \"ssh\"\n[[file]]\npath = \"/etc/ssh/sshd_config.d/10-hah.conf\"\ncontent = \"Port 2200\\n\"\n",
    );
    let image = String::from_utf8(toy.read("project/images/toy.toml")).unwrap();
    toy.write("project/images/toy.toml", image.replace("[\"toy\"]", "[\"toy\", \"ssh\"]"));
    Run::of(&mut command(&toy, &["ssh", "pi4-a"])).succeeded();
    assert!(said(&toy).contains(&"Port=2200".to_owned()), "{:?}", said(&toy));
    Run::of(&mut command(&toy, &["secrets", "init"])).succeeded();
    let run = Run::of(&mut command(&toy, &["identity", "show", "pi4-a", "--age-identity", "../key"])).succeeded();
    let identity: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(identity["firewall"]["open_ports"], serde_json::json!([2200]));
}

#[test]
fn mistakes_are_told_before_anything_starts() {
    let toy = fleet();
    Run::of(&mut command(&toy, &["ssh", "pi4-b"])).failed(1, &["no node `pi4-b`", "did you mean `pi4-a`?"]);
    Run::of(&mut command(&toy, &["ssh", "-o", "Port", "pi4-a"])).failed(2, &["KEY=VALUE"]);
    Run::of(&mut command(&toy, &["ui", "vault", "--token"])).failed(2, &["no token of vault"]);
    Run::of(&mut command(&toy, &["ui", "prometheus", "--token"])).failed(2, &["it asks for none"]);
    // The secrets are made when there are none.
    Run::of(&mut command(&toy, &["ui", "consul", "--token"])).failed(1, &["hah-image secrets init"]);
    assert!(!toy.path("said").exists());
    Run::of(toy.command(&["ssh", "pi4-a"]).env("PATH", "/nonexistent")).failed(1, &["openssh-client"]);
}

#[test]
fn a_tunnel_goes_by_a_server_and_prints_its_address() {
    let toy = fleet();
    for (program, forwarded, url) in [
        ("consul", "127.0.0.1:8500", "http://localhost:"),
        ("nomad", "127.0.0.1:4646", "http://localhost:"),
        ("vault", "127.0.0.1:8200", "https://localhost:"),
        ("prometheus", "prometheus.service.consul:9090", "http://localhost:"),
        ("alertmanager", "alertmanager.service.consul:9093", "http://localhost:"),
    ] {
        let run = Run::of(&mut command(&toy, &["ui", program, "--port", "40123"])).succeeded();
        assert_eq!(run.stdout, format!("{url}40123/\n"));
        let said = said(&toy);
        assert_eq!(said.last().unwrap(), "pi4-a", "{program}");
        assert!(said.contains(&format!("127.0.0.1:40123:{forwarded}")), "{said:?}");
    }
    let run = Run::of(&mut command(&toy, &["ui", "consul", "far"])).succeeded();
    assert!(run.stdout.starts_with("http://localhost:"), "{run}");
    assert_eq!(said(&toy).last().unwrap(), "far");
}

#[test]
fn the_token_alone_is_on_standard_output() {
    let toy = fleet();
    Run::of(&mut command(&toy, &["secrets", "init"])).succeeded();
    let key = ["--age-identity", "../key"];
    for program in ["consul", "nomad"] {
        let name = format!("{program}-management");
        let token = Run::of(&mut command(&toy, &[&["secrets", "get", &name], &key[..]].concat())).succeeded().stdout;
        let run = Run::of(&mut command(&toy, &[&["ui", program, "--token"], &key[..]].concat())).succeeded();
        assert_eq!(run.stdout, token);
        assert!(run.stderr.contains("http://localhost:") && !run.stderr.contains(token.trim()), "{run}");
        assert!(!said(&toy).iter().any(|word| word.contains(token.trim())), "others can read the arguments");
    }
}

/// `hah-image ui consul --token | wl-copy` must not wait for the tunnel's end.
#[test]
fn whoever_reads_the_token_need_not_wait_for_the_end_of_the_tunnel() {
    let toy = fleet();
    toy.write("bin/ssh", "#!/bin/sh\necho open\nexec sleep 600\n");
    Run::of(&mut command(&toy, &["secrets", "init"])).succeeded();
    let mut child = command(&toy, &["ui", "consul", "--token", "--age-identity", "../key"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text.len(), 37, "{text}");
    assert!(child.try_wait().unwrap().is_none(), "the tunnel is still there");
    end_ssh_of(&child);
    child.wait().unwrap();
}

/// Ends what the program started.
fn end_ssh_of(child: &Child) {
    assert!(Command::new("pkill").args(["-P", &child.id().to_string()]).status().unwrap().success());
}

/// A server that takes one key, for whoever runs this test.
struct Server {
    child: Child,
    port: u16,
    user: String,
    key: PathBuf,
}

impl Server {
    fn start(toy: &Toy) -> Self {
        let made = |name: &str| {
            let path = toy.path(name);
            let mut keygen = Command::new("ssh-keygen");
            let status = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
            assert!(status.unwrap().success());
            path
        };
        let host = toy.path("host");
        let _ = std::fs::remove_file(&host);
        let (host, key) = (made("host"), toy.path("me"));
        let key = if key.exists() { key } else { made("me") };
        std::fs::copy(key.with_extension("pub"), toy.path("authorized")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PidFile none\nPasswordAuthentication no\nPermitRootLogin yes\n",
            host.display(),
            toy.path("authorized").display(),
        );
        toy.write("sshd_config", config);
        // As root it wants a directory for its unprivileged half.
        let _ = std::fs::create_dir_all("/run/sshd");
        let mut sshd = Command::new("/usr/sbin/sshd");
        sshd.args(["-D", "-e", "-f"]).arg(toy.path("sshd_config"));
        let child = sshd.stderr(std::fs::File::create(toy.path("sshd.log")).unwrap()).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || String::from_utf8_lossy(&toy.read("sshd.log")).into_owned();
            assert!(Instant::now() < until, "no server: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        let user = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(user.stdout).unwrap().trim().to_owned();
        Self { child, port, user, key }
    }

    /// The program, told how this server differs from a node.
    fn command(&self, toy: &Toy, verb: &str, args: &[&str]) -> Command {
        let mut command = toy.command(&[verb]);
        command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        for option in [
            "HostName=127.0.0.1".to_owned(),
            format!("Port={}", self.port),
            format!("User={}", self.user),
            format!("IdentityFile={}", self.key.display()),
            "IdentitiesOnly=yes".to_owned(),
            "BatchMode=yes".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.args(args);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_real_server_is_known_at_first_contact_and_another_one_is_refused() {
    if is_missing("sshd") || is_missing("ssh") {
        return;
    }
    let toy = fleet();
    let server = Server::start(&toy);
    let hello = |server: &Server| Run::of(&mut server.command(&toy, "ssh", &["pi4-a", "echo", "hello; exit 9"]));
    let run = hello(&server);
    assert_eq!((run.code, run.stdout.as_str()), (Some(9), "hello\n"), "{run}");
    let known = String::from_utf8(toy.read("project/known_hosts")).unwrap();
    assert!(known.starts_with("pi4-a ssh-ed25519 "), "by its name, whatever its address: {known}");
    drop(server);
    // Somebody else at the same address.
    let stranger = Server::start(&toy);
    let run = hello(&stranger);
    assert_eq!(run.code, Some(255), "{run}");
    assert!(run.stderr.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"), "{run}");
    // The card was made anew.
    assert!(hah_image::programs::ssh::forget(&toy.path("project/known_hosts"), "pi4-a").unwrap());
    assert_eq!(hello(&stranger).code, Some(9));
}

#[test]
fn a_real_tunnel_carries_what_it_should_and_says_when_it_cannot() {
    if is_missing("sshd") || is_missing("ssh") {
        return;
    }
    let toy = fleet();
    let server = Server::start(&toy);
    // What stands for Consul on the node: the far end of the tunnel is this machine's own 8500, if it is free.
    let Ok(consul) = TcpListener::bind("127.0.0.1:8500") else {
        println!("skipped: something listens on port 8500");
        return;
    };
    let mut child = server.command(&toy, "ui", &["consul"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    let port = url.trim().trim_start_matches("http://localhost:").trim_end_matches('/');
    assert_ne!(port, "8500", "that one is taken");
    let mut near = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    near.write_all(b"who?").unwrap();
    let (mut far, _) = consul.accept().unwrap();
    let mut asked = [0; 4];
    far.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"who?");
    // Without ssh there is no tunnel, and the program ends too.
    end_ssh_of(&child);
    child.wait().unwrap();
    drop(server);

    let run = Run::of(
        command(&toy, &["ui", "consul", "-o", "HostName=127.0.0.1", "-o", "Port=1"]).env("PATH", "/usr/bin:/bin"),
    );
    run.failed(1, &["no tunnel by pi4-a to consul"]);
}
