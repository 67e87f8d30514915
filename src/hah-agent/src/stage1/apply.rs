//! What the identity changes: files in the `/etc` overlay and below `/run`, written anew on every boot.
//!
//! Decisions and texts are [`crate::identity`]'s. A part that the image lacks (no Consul, no sshd) is left out: the same
//! identity serves several images. A part that fails is told, and the others go on: a node with half an identity can be
//! reached more often than one with none.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use hah_node::identity::{Consul, Identity, Interface, Secret};
use hah_node::paths;
use serde_json::Value;

use super::tool::ToolRoot;
use crate::identity::accounts::{self, Account};
use crate::identity::programs::{self, ConsulDialect};
use crate::identity::{firewall, network};

const CHPASSWD: &str = "/usr/sbin/chpasswd";
/// The person's account in every image (Debian Policy 9.2.2: people begin here).
const PERSON: u32 = 1000;
/// The image's own settings for wired interfaces (recipe `network`), which a drop-in amends.
const WIRED: &str = "systemd/network/80-wired.network";

/// Hashes a password with the root file system's own program, which also sets it for this boot.
pub(crate) fn hash_password(root: &Path, password: &Secret) -> Result<Secret, String> {
    let shadow = root.join("etc/shadow");
    let person = accounts(root).into_iter().find(|account| account.uid == PERSON);
    let person = person.ok_or_else(|| format!("the image has no account with id {PERSON}"))?;
    let input = format!("{}:{}\n", person.name, password.reveal());
    let tools = ToolRoot::enter(root).map_err(|error| error.to_string())?;
    let answer =
        tools.run_with_input(CHPASSWD, &["-c", "SHA512"], input.as_bytes()).map_err(|error| error.to_string())?;
    if answer.code != Some(0) {
        return Err(format!("chpasswd: {}", answer.said));
    }
    let text = fs::read_to_string(shadow).map_err(|error| error.to_string())?;
    accounts::password_hash(&text, &person.name).map(Secret::new).ok_or_else(|| "chpasswd set none".to_owned())
}

/// Applies an identity to the root whose `/etc` is writable. `secrets` is where [`paths::SECRETS`] is now.
pub(crate) fn apply(root: &Path, secrets: &Path, identity: &Identity, hostname: &str) -> Vec<String> {
    let target = Target { root, secrets, identity, hostname, accounts: accounts(root) };
    let parts = [
        ("the time zone", target.timezone()),
        ("the account", target.account()),
        ("the SSH server", target.ssh()),
        ("the wired network", target.wired()),
        ("the wireless network", target.wireless()),
        ("the firewall", target.firewall()),
        ("certificates and tokens", target.secrets()),
        ("Consul", target.consul()),
        ("Nomad", target.nomad()),
        ("Vault", target.vault()),
    ];
    let failed = parts.into_iter().filter_map(|(name, done)| Some((name, done.err()?)));
    failed.map(|(name, error)| format!("the identity's settings of {name} are not complete: {error}")).collect()
}

fn accounts(root: &Path) -> Vec<Account> {
    accounts::parse(&fs::read_to_string(root.join("etc/passwd")).unwrap_or_default())
}

struct Target<'i> {
    root: &'i Path,
    secrets: &'i Path,
    identity: &'i Identity,
    hostname: &'i str,
    accounts: Vec<Account>,
}

impl Target<'_> {
    fn etc(&self, path: &str) -> PathBuf {
        self.root.join("etc").join(path)
    }

    /// Writes a file of `/etc` with mode 0644; the directories above are made.
    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.etc(path);
        directory_of(&path)?;
        fs::write(&path, text).map_err(|error| at(&path, error))
    }

    /// Writes a file that only `program`'s user may read.
    fn write_private(&self, path: &Path, content: &[u8], program: &str) -> io::Result<()> {
        let write = || -> io::Result<()> {
            let _ = fs::remove_file(path);
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
            io::Write::write_all(&mut file, content)?;
            let owner = self.accounts.iter().find(|account| account.name == program);
            let (uid, gid) = owner.map_or((0, 0), |account| (account.uid, account.gid));
            own(path, uid, gid)
        };
        write().map_err(|error| at(path, error))
    }

    fn link(&self, path: &str, target: &str) -> io::Result<()> {
        let path = self.etc(path);
        directory_of(&path)?;
        let _ = fs::remove_file(&path);
        symlink(target, &path).map_err(|error| at(&path, error))
    }

    /// Whether the root has a unit.
    fn has_unit(&self, name: &str) -> bool {
        self.root.join("usr/lib/systemd/system").join(name).exists()
    }

    fn timezone(&self) -> io::Result<()> {
        let Some(zone) = &self.identity.timezone else { return Ok(()) };
        let file = format!("usr/share/zoneinfo/{zone}");
        if !self.root.join(&file).is_file() {
            return Err(io::Error::other(format!("the image knows no time zone {zone}")));
        }
        self.link("localtime", &format!("/{file}"))?;
        self.write("timezone", &format!("{zone}\n"))
    }

    fn person(&self) -> Option<&Account> {
        self.accounts.iter().find(|account| account.uid == PERSON)
    }

    fn account(&self) -> io::Result<()> {
        let user = &self.identity.user;
        let Some(person) = self.person() else { return Ok(()) };
        let alias = user.name.as_deref().filter(|name| !self.accounts.iter().any(|account| account.name == *name));
        if user.name.is_some() && alias.is_none() && user.name.as_deref() != Some(&person.name) {
            return Err(io::Error::other("the name belongs to an account of the system"));
        }
        let hash = user.password_hash.as_ref().map(Secret::reveal);
        // In place, so that owner and mode stay the image's.
        let edit = |name: &str, change: &dyn Fn(&str) -> String| {
            let path = self.etc(name);
            let text = fs::read_to_string(&path).map_err(|error| at(&path, error))?;
            fs::write(&path, change(&text)).map_err(|error| at(&path, error))
        };
        if let Some(alias) = alias {
            edit("passwd", &|text| accounts::with_alias(text, &person.name, alias))?;
        }
        if alias.is_some() || hash.is_some() {
            edit("shadow", &|text| accounts::with_password(text, &person.name, alias, hash))?;
        }
        Ok(())
    }

    fn ssh(&self) -> io::Result<()> {
        let ssh = &self.identity.ssh;
        if !self.etc("ssh").is_dir() {
            return Ok(());
        }
        if let Some(person) = self.person() {
            let file = |name: &str| format!("ssh/authorized_keys.d/{name}");
            let image = fs::read_to_string(self.etc(&file(&person.name))).unwrap_or_default();
            let keys = accounts::authorized_keys(&image, &ssh.authorized_keys);
            let names = [Some(person.name.as_str()), self.identity.user.name.as_deref()];
            for name in names.into_iter().flatten() {
                self.write(&file(name), &keys)?;
            }
        }
        if let Some(allowed) = ssh.password_authentication {
            // The first value counts, and files are read in the order of their names.
            let word = if allowed { "yes" } else { "no" };
            let text = format!("# From the node's identity.\nPasswordAuthentication {word}\n");
            self.write("ssh/sshd_config.d/05-identity.conf", &text)?;
        }
        match ssh.enabled {
            Some(true) if self.has_unit("ssh.service") => {
                let own = self.etc("systemd/system/ssh.service");
                if fs::read_link(&own).is_ok_and(|target| target == Path::new("/dev/null")) {
                    fs::remove_file(&own).map_err(|error| at(&own, error))?;
                }
                let wants = "systemd/system/multi-user.target.wants/ssh.service";
                self.link(wants, "/usr/lib/systemd/system/ssh.service")
            }
            Some(false) => {
                self.link("systemd/system/ssh.service", "/dev/null")?;
                self.link("systemd/system/ssh.socket", "/dev/null")
            }
            Some(true) | None => Ok(()),
        }
    }

    fn wired(&self) -> io::Result<()> {
        let Some(interface) = &self.identity.network.ethernet else { return Ok(()) };
        if self.etc(WIRED).exists() {
            self.write(&format!("{WIRED}.d/identity.conf"), &network::wired_drop_in(interface))
        } else {
            self.write(
                "systemd/network/70-identity-wired.network",
                &network::network_file("Type=ether\nKind=!*", interface),
            )
        }
    }

    fn wireless(&self) -> io::Result<()> {
        if let Some(wifi) = &self.identity.wifi {
            let path = self.etc("wpa_supplicant/wpa_supplicant-wlan0.conf");
            directory_of(&path)?;
            self.write_private(&path, network::wpa_supplicant(wifi).as_bytes(), "root")?;
            let domain = format!("# From the node's identity.\noptions cfg80211 ieee80211_regdom={}\n", wifi.country);
            self.write("modprobe.d/identity-wireless.conf", &domain)?;
            if !self.has_unit("wpa_supplicant@.service") {
                return Err(io::Error::other("the image has no wpa_supplicant"));
            }
            // Wanted by the device and not by a target: nothing waits for a radio that a board does not have.
            self.link(
                "systemd/system/sys-subsystem-net-devices-wlan0.device.wants/wpa_supplicant@wlan0.service",
                "/usr/lib/systemd/system/wpa_supplicant@.service",
            )?;
        }
        let default = Interface::default();
        let interface = match (&self.identity.wifi, &self.identity.network.wlan) {
            (_, Some(interface)) => interface,
            (Some(_), None) => &default,
            (None, None) => return Ok(()),
        };
        self.write("systemd/network/70-identity-wireless.network", &network::network_file("Type=wlan", interface))
    }

    fn firewall(&self) -> io::Result<()> {
        let Some(settings) = &self.identity.firewall else { return Ok(()) };
        if !self.has_unit("hah-firewall.service") && !self.etc("systemd/system/hah-firewall.service").exists() {
            return Err(io::Error::other("the image has no firewall: it was built for a cluster that is not closed"));
        }
        self.write(firewall::FILE, &firewall::ruleset(settings))
    }

    /// The authorities are for everybody: beside the secrets, and none of them.
    fn authorities(&self) -> io::Result<()> {
        let Some(directory) = self.secrets.parent().map(|run| run.join("ca")) else { return Ok(()) };
        for (program, authority) in programs::authorities(self.identity) {
            make_directory(&directory, 0o755)?;
            let path = directory.join(format!("{program}.pem"));
            fs::write(&path, authority).map_err(|error| at(&path, error))?;
        }
        Ok(())
    }

    fn secrets(&self) -> io::Result<()> {
        self.authorities()?;
        let files = programs::secret_files(self.identity);
        if files.is_empty() {
            return Ok(());
        }
        // To pass through, not to list.
        make_directory(self.secrets, 0o711)?;
        for file in files {
            let path = self.secrets.join(&file.name);
            if let Some(directory) = path.parent().filter(|directory| *directory != self.secrets) {
                make_directory(directory, 0o711)?;
            }
            self.write_private(&path, file.content.as_bytes(), file.program)?;
        }
        Ok(())
    }

    /// Writes `identity.json` into a program's directory.
    fn fragment(&self, program: &str, fragment: &Value) -> io::Result<()> {
        let text = serde_json::to_vec(fragment)?;
        self.write_private(&self.etc(&format!("{program}.d/identity.json")), &text, program)
    }

    fn consul(&self) -> io::Result<()> {
        let Some(consul) = self.identity.consul.as_ref().filter(|_| self.etc("consul.d").is_dir()) else {
            return Ok(());
        };
        let dialect = self.root.join(paths::CONSUL_DIALECT.trim_start_matches('/'));
        let dialect = ConsulDialect::parse(&fs::read_to_string(dialect).unwrap_or_default());
        let setup = self.identity.setup.as_ref();
        self.fragment("consul", &programs::consul(consul, setup, self.hostname, dialect))?;
        self.consul_services(consul, dialect)
    }

    /// Gives the services of the image's own configuration the token that they need to be in the catalog.
    fn consul_services(&self, consul: &Consul, dialect: ConsulDialect) -> io::Result<()> {
        let directory = self.etc("consul.d");
        for entry in fs::read_dir(&directory).map_err(|error| at(&directory, error))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let file = fs::read(&path).map_err(|error| at(&path, error))?;
            let file = serde_json::from_slice(&file).ok();
            if let Some(changed) = file.and_then(|file| programs::consul_services(consul, &file, dialect)) {
                self.write_private(&path, &serde_json::to_vec(&changed)?, "consul")?;
            }
        }
        Ok(())
    }

    fn nomad(&self) -> io::Result<()> {
        let Some(nomad) = self.identity.nomad.as_ref().filter(|_| self.etc("nomad.d").is_dir()) else { return Ok(()) };
        self.fragment("nomad", &programs::nomad(nomad, self.hostname))
    }

    fn vault(&self) -> io::Result<()> {
        let Some(vault) = self.identity.vault.as_ref().filter(|_| self.etc("vault.d").is_dir()) else { return Ok(()) };
        let image = fs::read(self.etc("vault.d/hah.json")).ok();
        let image = image.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let own = network::own_addresses(self.identity);
        let fragment = programs::vault(vault, self.hostname, &own, image.as_ref()).map_err(io::Error::other)?;
        fragment.map_or(Ok(()), |fragment| self.fragment("vault", &fragment))
    }
}

/// Gives a file to a user. Tests are not always root, and then everything is theirs already.
fn own(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    if cfg!(test) { Ok(()) } else { chown(path, Some(uid), Some(gid)) }
}

fn directory_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| fs::create_dir_all(directory).map_err(|error| at(directory, error)))
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(|error| at(path, error))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
