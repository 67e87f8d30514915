//! The SSH keys that a person may mean: those of the agent, then those of `~/.ssh`.

use std::path::Path;
use std::process::Stdio;

use crate::files;
use crate::programs;
use crate::project::settings::Environment;

/// A public key, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// A line of authorized_keys.
    pub line: String,
    /// `the agent`, or a path.
    pub origin: String,
}

/// Longest line: an RSA key of 16384 bits has under 3 KiB.
const LINE_MAX: usize = 8 << 10;
/// What keys begin with, from the one that people prefer; certificates are of use only to whoever issued them.
const TYPES: [&str; 5] = ["ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-", "sk-ecdsa-sha2-", "ssh-rsa"];

/// Every key, the likeliest first.
pub fn find(environment: &Environment) -> Vec<Found> {
    let mut found = Vec::new();
    if environment.ssh_auth_sock.is_some() {
        found.extend(of_agent());
    }
    if let Some(home) = &environment.home {
        found.extend(of_directory(&home.join(".ssh")));
    }
    let mut unique: Vec<Found> = Vec::new();
    for key in found {
        if unique.iter().all(|known| blob(&known.line) != blob(&key.line)) {
            unique.push(key);
        }
    }
    unique
}

/// Asks `ssh-add`, which knows every kind of agent; without it there are none.
fn of_agent() -> Vec<Found> {
    let output = programs::command("ssh-add").arg("-L").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let keys = String::from_utf8_lossy(&text).lines().filter_map(|line| parse(line).ok()).collect::<Vec<_>>();
    keys.into_iter().map(|line| Found { line, origin: "the agent".to_owned() }).collect()
}

fn of_directory(directory: &Path) -> Vec<Found> {
    let Ok(mut paths) = files::entries(directory) else { return Vec::new() };
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "pub"));
    let mut found: Vec<Found> = paths
        .iter()
        .filter_map(|path| Some(Found { line: read(path).ok()?, origin: path.display().to_string() }))
        .collect();
    found.sort_by_key(|key| rank(&key.line));
    found
}

fn rank(line: &str) -> Option<usize> {
    TYPES.iter().position(|kind| line.starts_with(kind))
}

fn blob(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)
}

/// The key of a `.pub` file.
///
/// # Errors
/// Why it has none.
pub fn read(path: &Path) -> Result<String, String> {
    let refuse = |reason: &str| format!("{}: {reason}", path.display());
    let text = files::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).map_err(|_| refuse("it is no text"))?;
    if text.contains("PRIVATE KEY-----") {
        return Err(refuse("that is the private half; the public one is in the file that ends in .pub"));
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    parse(line.unwrap_or_default()).map_err(|reason| refuse(&reason))
}

/// A line of authorized_keys without options.
///
/// # Errors
/// Why it is none.
pub fn parse(line: &str) -> Result<String, String> {
    let line = line.trim();
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let is_known = TYPES.iter().any(|known| kind.starts_with(known)) && !kind.contains("-cert-");
    // The length of the type's name, in four bytes, begins every key.
    let is_blob = words.next().is_some_and(|blob| {
        blob.len() > 32
            && blob.starts_with("AAAA")
            && blob.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    });
    if !is_known || !is_blob {
        return Err("that is no public SSH key, which looks like `ssh-ed25519 AAAA… name`".to_owned());
    }
    if line.len() > LINE_MAX || line.chars().any(char::is_control) {
        return Err("its comment has control characters or is too long".to_owned());
    }
    Ok(line.to_owned())
}

/// A key on a short line: type, end and comment.
pub fn shown(line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let end = blob.get(blob.len().saturating_sub(8)..).unwrap_or_default();
    format!("{kind} …{end} {}", words.next().unwrap_or_default()).trim_end().to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;

    pub(crate) const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvWr0zJ9Xh0v0sPZ1n2m3v4w5x6y7z8A9B0C1D2E3F4 me@here";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDZZZZZZZZZZZZZZZZZZZZZZZZZZZZ me@there";

    #[test]
    fn keys_of_a_home() {
        let home = tempfile::tempdir().unwrap();
        let ssh = home.path().join(".ssh");
        fs::create_dir(&ssh).unwrap();
        fs::write(ssh.join("a_rsa.pub"), format!("{RSA}\n")).unwrap();
        fs::write(ssh.join("work.pub"), format!("# mine\n{ED25519}\n")).unwrap();
        fs::write(ssh.join("work-copy.pub"), ED25519).unwrap();
        fs::write(ssh.join("id-cert.pub"), ED25519.replace("ssh-ed25519 ", "ssh-ed25519-cert-v01@openssh.com "))
            .unwrap();
        fs::write(ssh.join("broken.pub"), "ssh-ed25519\n").unwrap();
        fs::write(ssh.join("config"), ED25519).unwrap();
        let environment = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
        let found = find(&environment);
        let lines: Vec<&str> = found.iter().map(|key| key.line.as_str()).collect();
        assert_eq!(lines, [ED25519, RSA]);
        assert!(found[0].origin.ends_with("work-copy.pub"));
        assert_eq!(find(&Environment::default()), []);
        assert_eq!(shown(ED25519), "ssh-ed25519 …1D2E3F4 me@here".replace("…1D", "…C1D"));
    }

    #[test]
    fn what_is_no_key() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("id_ed25519");
        fs::write(&file, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n").unwrap();
        assert!(read(&file).unwrap_err().ends_with("the public one is in the file that ends in .pub"));
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(read(&file).unwrap_err().ends_with("it is no text"));
        assert!(read(&directory.path().join("absent")).is_err());
        assert!(parse("ssh-ed25519 short").is_err());
        assert!(parse(&format!("{ED25519}\u{1b}[2J")).unwrap_err().contains("control characters"));
        assert!(parse(&format!("command=\"x\" {ED25519}")).is_err());
        assert_eq!(parse(&format!("  {ED25519}\n")).as_deref(), Ok(ED25519));
    }
}
