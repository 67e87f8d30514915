//! `hah-agent host-keys`: the SSH host keys, made once in a card's life and kept on the data partition.
//!
//! The private key gets its name last, so a key that has its name is complete. Runs before sshd; ssh-keygen is the
//! root file system's own.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hah_node::paths;

use crate::{console, durable};

/// The types that Debian's openssh-server makes, the preferred one first.
const TYPES: [&str; 3] = ["ed25519", "ecdsa", "rsa"];
const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";

/// Why there are no host keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing}: {source}")]
    Io { doing: String, source: io::Error },
    #[error("ssh-keygen cannot make a host key of type {kind} ({status}): {said}")]
    Keygen { kind: &'static str, status: String, said: String },
}

/// Makes the keys that are missing.
pub(crate) fn make_missing() -> Result<(), Error> {
    let directory = Path::new(paths::SSH_HOST_KEYS);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .map_err(|source| Error::Io { doing: format!("make {}", directory.display()), source })?;
    make_missing_in(directory, Path::new(SSH_KEYGEN))
}

fn make_missing_in(directory: &Path, ssh_keygen: &Path) -> Result<(), Error> {
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    for kind in TYPES {
        let path = directory.join(format!("ssh_host_{kind}_key"));
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0) {
            continue;
        }
        make(&path, kind, ssh_keygen, hostname.trim())?;
        console::complain(&format!("made {}", path.display()));
    }
    Ok(())
}

fn make(path: &Path, kind: &'static str, ssh_keygen: &Path, hostname: &str) -> Result<(), Error> {
    let unfinished = durable::unfinished(path);
    let io = |doing: &Path| {
        let doing = format!("write {}", doing.display());
        move |source| Error::Io { doing, source }
    };
    for leftover in [public(&unfinished), unfinished.clone()] {
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(&leftover)(error)),
            _ => {}
        }
    }
    let output = Command::new(ssh_keygen)
        .args(["-q", "-t", kind, "-N", "", "-C"])
        .arg(format!("root@{hostname}"))
        .arg("-f")
        .arg(&unfinished)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Io { doing: format!("run {}", ssh_keygen.display()), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(Error::Keygen { kind, status: output.status.to_string(), said });
    }
    // ssh-keygen makes the private key with mode 0600 and the public one with 0644 less the umask.
    for (from, to) in [(public(&unfinished), public(path)), (unfinished, path.to_owned())] {
        File::open(&from)
            .and_then(|file| file.sync_all())
            .and_then(|()| durable::publish(&from, &to))
            .map_err(io(&to))?;
    }
    Ok(())
}

/// The file of the public half.
fn public(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once() {
        let ssh_keygen = Path::new(SSH_KEYGEN);
        if !ssh_keygen.exists() {
            assert!(std::env::vars().all(|(key, _)| key != "HAH_REQUIRE_ORACLES"), "ssh-keygen is missing");
            println!("skipped: ssh-keygen is missing");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("ssh_host_ed25519_key");
        fs::write(durable::unfinished(&key), "half a key").unwrap();
        make_missing_in(directory.path(), ssh_keygen).unwrap();
        let before = fs::read(&key).unwrap();
        assert!(before.starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----"));
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2 * TYPES.len());

        // A key that was cut short before its name is made; the others stay.
        fs::remove_file(directory.path().join("ssh_host_ecdsa_key")).unwrap();
        make_missing_in(directory.path(), ssh_keygen).unwrap();
        assert_eq!(fs::read(&key).unwrap(), before);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2 * TYPES.len());
    }
}
