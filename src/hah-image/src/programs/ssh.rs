//! The way to a node: the system's own `ssh`, with the person's keys, agent, configuration and jump hosts.
//!
//! ```text
//! ssh [-o …] -o HostName=192.168.1.10 -o User=hah -o HostKeyAlias=pi4-a -o UserKnownHostsFile=PROJECT/known_hosts … pi4-a
//! ```
//!
//! The node is called by its name, so that `Host pi4-a` in the person's configuration is about it; where it is says
//! `cluster.toml`, and without an address there its name in mDNS.
//!
//! **Host keys** are made on the node, at its first boot, so no card and no image can tell them. They become known at the
//! first contact, into [`KNOWN_HOSTS`] beside `cluster.toml`, under the node's name and whatever its address; from then on
//! another key is refused. A card that is flashed anew has a new key: [`forget`] is for whoever flashes it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::advice::Advised;
use crate::files::{self, draft};

/// The account of every node, whatever other name an identity gives it besides.
pub const ACCOUNT: &str = "hah";
/// Name of the file beside `cluster.toml` that has the nodes' host keys, in OpenSSH's format. It holds no secret.
pub const KNOWN_HOSTS: &str = "known_hosts";

/// The port of an image that says nothing else.
const PORT: u16 = 22;

/// The way to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The node's name.
    pub node: String,
    /// Its address, or its name in mDNS.
    pub host: String,
    /// Port of its SSH server.
    pub port: u16,
    /// The file of host keys.
    pub known_hosts: PathBuf,
    /// `KEY=VALUE` of ssh_config(5) from the person; they count before everything that is said here.
    pub options: Vec<String>,
}

/// `ssh` could not be run.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// It is not installed.
    #[error("there is no program `ssh`")]
    Missing,
    /// It could not be started.
    #[error("cannot start `ssh`")]
    Start(#[source] io::Error),
}

impl Advised for SshError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing => Some("install OpenSSH's client: `apt install openssh-client`".into()),
            Self::Start(_) => None,
        }
    }
}

impl From<io::Error> for SshError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Start(error) }
    }
}

impl Route {
    /// `ssh` up to the node's name: what follows is the command that is run there, and without one a shell.
    ///
    /// It inherits standard input, output and error until the caller says otherwise, and asks on the terminal.
    pub fn command(&self) -> Command {
        self.with(&[])
    }

    /// The same with more of `ssh`'s own arguments, which stand before the node's name.
    pub fn with(&self, arguments: &[&OsStr]) -> Command {
        let mut command = super::command("ssh");
        // The first value of an option is the one that counts.
        for option in &self.options {
            command.arg("-o").arg(option);
        }
        for (key, value) in [
            ("HostName", &*self.host),
            ("User", ACCOUNT),
            ("HostKeyAlias", &*self.node),
            ("StrictHostKeyChecking", "accept-new"),
            // Names that are read by people and by `forget`; there is nothing to hide in a project that lists its nodes.
            ("HashKnownHosts", "no"),
            // It would add the address beside the name, and addresses may change.
            ("CheckHostIP", "no"),
            ("ConnectTimeout", "15"),
        ] {
            command.arg("-o").arg(format!("{key}={value}"));
        }
        if self.port != PORT {
            command.arg("-o").arg(format!("Port={}", self.port));
        }
        let file = [b"UserKnownHostsFile=", quoted(&self.known_hosts).as_bytes()].concat();
        command.arg("-o").arg(OsString::from_vec(file));
        command.args(arguments).arg("--").arg(&self.node);
        command
    }

    /// `ssh` that forwards `local` of this machine's loopback to `remote` (`HOST:PORT`, as the node sees it) until it is
    /// ended, and writes a line to its standard output as soon as it does.
    pub fn tunnel(&self, local: u16, remote: &str) -> Command {
        let forward = format!("127.0.0.1:{local}:{remote}");
        let option = OsStr::new("-o");
        self.with(&[
            OsStr::new("-N"),
            OsStr::new("-L"),
            OsStr::new(&forward),
            option,
            OsStr::new("ExitOnForwardFailure=yes"),
            // A connection of another window would do the forwarding, and this one would end.
            option,
            OsStr::new("ControlMaster=no"),
            option,
            OsStr::new("ControlPath=none"),
            option,
            OsStr::new("PermitLocalCommand=yes"),
            option,
            OsStr::new("LocalCommand=echo open"),
            // A laptop that was closed notices within a minute that the node is gone.
            option,
            OsStr::new("ServerAliveInterval=20"),
        ])
    }
}

/// A path as ssh_config(5) reads it: in quotes, and `%` means itself.
fn quoted(path: &Path) -> OsString {
    let mut quoted = vec![b'"'];
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', *byte]),
            b'%' => quoted.extend(b"%%"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

/// Takes a node's host keys out of a file of known hosts, since its card was made anew; whether there were any.
///
/// # Errors
/// When the file is there and cannot be read or replaced.
pub fn forget(known_hosts: &Path, node: &str) -> io::Result<bool> {
    let text = match files::read(known_hosts) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    // Bytes, since a comment may hold what is no text.
    let is_of_node = |line: &[u8]| {
        let names = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
        names.split(|byte| *byte == b',').any(|name| name == node.as_bytes())
    };
    let kept: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_of_node(line)).collect();
    let kept = kept.concat();
    if kept.len() == text.len() {
        return Ok(false);
    }
    draft::write(known_hosts, &kept)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Route {
        Route {
            node: "pi4-a".to_owned(),
            host: "192.168.1.10".to_owned(),
            port: 22,
            known_hosts: PathBuf::from("/home/me/my lab/known_hosts"),
            options: Vec::new(),
        }
    }

    fn words(command: &Command) -> Vec<String> {
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// `ssh -G` prints what ssh makes of it, and connects to nobody; it is asked without the person's configuration.
    fn understood(command: &Command) -> Option<String> {
        let mut ssh = std::process::Command::new("ssh");
        ssh.args(["-F", "none", "-G"]).args(command.get_args());
        match ssh.output() {
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Some(String::from_utf8_lossy(&output.stdout).into_owned())
            }
            Err(error) => {
                assert!(std::env::vars().all(|(key, _)| key != "HAH_REQUIRE_ORACLES"), "ssh: {error}");
                None
            }
        }
    }

    #[test]
    fn ssh_understands_the_way() {
        let command = route().command();
        assert_eq!(words(&command).last().unwrap(), "pi4-a", "what follows is a command");
        let Some(text) = understood(&command) else { return };
        for line in [
            "hostname 192.168.1.10",
            "user hah",
            "port 22",
            "hostkeyalias pi4-a",
            "stricthostkeychecking accept-new",
            "hashknownhosts no",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        let file = text.lines().find(|line| line.starts_with("userknownhostsfile ")).unwrap();
        assert_eq!(file, "userknownhostsfile /home/me/my lab/known_hosts");
    }

    #[test]
    fn what_the_person_says_counts_first() {
        let options = vec!["User=anna".to_owned(), "Port=2222".to_owned(), "HostName=127.0.0.1".to_owned()];
        let Some(text) = understood(&Route { options, port: 2200, ..route() }.command()) else { return };
        for line in ["user anna", "port 2222", "hostname 127.0.0.1"] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        let text = understood(&Route { port: 2200, ..route() }.command()).unwrap();
        assert!(text.lines().any(|found| found == "port 2200"), "{text}");
    }

    /// A path that ssh_config(5) would take apart.
    #[test]
    fn the_file_of_host_keys_is_one_word() {
        for path in ["/a b/known_hosts", "/100%h/k", "/say \"hi\"/k", "/back\\slash/k"] {
            let Some(text) = understood(&Route { known_hosts: path.into(), ..route() }.command()) else { return };
            let file = text.lines().find_map(|line| line.strip_prefix("userknownhostsfile "));
            // -G prints the escaped `%` as it is used later.
            assert_eq!(file.map(|file| file.replace("%%", "%")).as_deref(), Some(path));
        }
    }

    #[test]
    fn a_tunnel_says_when_it_is_open() {
        let command = route().tunnel(8500, "127.0.0.1:8500");
        let Some(text) = understood(&command) else { return };
        for line in [
            "localforward [127.0.0.1]:8500 [127.0.0.1]:8500",
            "exitonforwardfailure yes",
            "permitlocalcommand yes",
            "localcommand echo open",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }

    #[test]
    fn a_reflashed_node_is_forgotten_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(KNOWN_HOSTS);
        assert!(!forget(&file, "a").unwrap(), "there is no file yet");
        let text = "# kept\na ssh-ed25519 AAAA1\na.b ssh-ed25519 AAAA2\nx,a ssh-rsa AAAA3\nb ssh-ed25519 a";
        std::fs::write(&file, text).unwrap();
        assert!(forget(&file, "a").unwrap());
        let left = std::fs::read_to_string(&file).unwrap();
        assert_eq!(left, "# kept\na.b ssh-ed25519 AAAA2\nb ssh-ed25519 a");
        assert!(!forget(&file, "a").unwrap());
    }
}
