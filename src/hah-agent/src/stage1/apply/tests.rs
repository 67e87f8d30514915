//! An identity applied to a directory that looks like a root.

use hah_node::identity::{Consul, ConsulTokens, Nomad, Policy, Ssh, Tls, User, VERSION, Vault, Wifi};

use super::*;

struct Root {
    temporary: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let root = Self { temporary: tempfile::tempdir().unwrap() };
        root.put(
            "etc/passwd",
            "root:x:0:0::/root:/bin/bash\nhah:x:1000:1000::/home/hah:/bin/bash\nconsul:x:300:301::/:\n",
        );
        root.put("etc/shadow", "root:*:1:0:99999:7:::\nhah:!:1:0:99999:7:::\n");
        root.put("etc/ssh/authorized_keys.d/hah", "ssh-ed25519 IMAGE\n");
        root.put("etc/systemd/network/80-wired.network", "[Network]\nDHCP=yes\n");
        root.put("usr/lib/systemd/system/ssh.service", "");
        root.put("usr/lib/systemd/system/wpa_supplicant@.service", "");
        root.put("usr/share/zoneinfo/Europe/Berlin", "");
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join("root").join(name)
    }

    fn put(&self, name: &str, text: &str) {
        directory_of(&self.path(name)).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn get(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn secrets(&self) -> PathBuf {
        self.temporary.path().join("secrets")
    }

    fn apply(&self, identity: &Identity) -> Vec<String> {
        assert_eq!(identity.flaw(), None);
        apply(&self.path(""), &self.secrets(), identity, "pi4-a")
    }
}

fn identity() -> Identity {
    Identity { version: VERSION, ..Identity::default() }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn nothing_changes_without_wishes() {
    let root = Root::new();
    let passwd = root.get("etc/passwd");
    assert_eq!(root.apply(&identity()), [""; 0]);
    assert_eq!(root.get("etc/passwd"), passwd);
    assert_eq!(root.get("etc/ssh/authorized_keys.d/hah"), "ssh-ed25519 IMAGE\n");
    assert!(!root.secrets().exists() && !root.path("etc/systemd/network/80-wired.network.d").exists());
}

#[test]
fn a_person_gets_in() {
    let root = Root::new();
    let found = Identity {
        timezone: Some("Europe/Berlin".into()),
        user: User { name: Some("pi".into()), password_hash: Some(Secret::new("$6$a$b")) },
        ssh: Ssh {
            enabled: Some(true),
            password_authentication: Some(true),
            authorized_keys: vec!["ssh-ed25519 MINE me".into()],
        },
        ..identity()
    };
    assert_eq!(root.apply(&found), [""; 0]);
    for name in ["hah", "pi"] {
        assert_eq!(root.get(&format!("etc/ssh/authorized_keys.d/{name}")), "ssh-ed25519 IMAGE\nssh-ed25519 MINE me\n");
    }
    assert!(root.get("etc/passwd").ends_with("pi:x:1000:1000::/home/hah:/bin/bash\n"));
    assert!(root.get("etc/shadow").contains("\npi:$6$a$b:1:"));
    assert!(root.get("etc/ssh/sshd_config.d/05-identity.conf").contains("PasswordAuthentication yes"));
    let link = |name: &str| fs::read_link(root.path(name)).unwrap();
    assert_eq!(link("etc/localtime"), Path::new("/usr/share/zoneinfo/Europe/Berlin"));
    let wants = link("etc/systemd/system/multi-user.target.wants/ssh.service");
    assert_eq!(wants, Path::new("/usr/lib/systemd/system/ssh.service"));
    // The same again, as on a boot whose overlay somebody kept, and with the name of a system account.
    assert_eq!(root.apply(&Identity { user: User::default(), ..found.clone() }), [""; 0]);
    let user = User { name: Some("root".into()), password_hash: None };
    assert_eq!(root.apply(&Identity { user, ..found }).len(), 1);
}

#[test]
fn ssh_can_be_switched_off() {
    let root = Root::new();
    let ssh = Ssh { enabled: Some(false), ..Ssh::default() };
    assert_eq!(root.apply(&Identity { ssh, ..identity() }), [""; 0]);
    assert_eq!(fs::read_link(root.path("etc/systemd/system/ssh.service")).unwrap(), Path::new("/dev/null"));
    let ssh = Ssh { enabled: Some(true), ..Ssh::default() };
    assert_eq!(root.apply(&Identity { ssh, ..identity() }), [""; 0]);
    assert!(fs::symlink_metadata(root.path("etc/systemd/system/ssh.service")).is_err());
}

#[test]
fn networks() {
    let root = Root::new();
    let mut found = identity();
    let addresses = vec!["10.0.0.2/24".to_owned()];
    found.network.ethernet = Some(Interface { addresses: addresses.clone(), ..Interface::default() });
    found.wifi =
        Some(Wifi { ssid: "x".into(), psk: Some(Secret::new("12345678")), country: "DE".into(), hidden: false });
    assert_eq!(root.apply(&found), [""; 0]);
    assert!(root.get("etc/systemd/network/80-wired.network.d/identity.conf").contains("Address=10.0.0.2/24"));
    assert!(root.get("etc/systemd/network/70-identity-wireless.network").contains("DHCP=yes"));
    assert!(root.get("etc/modprobe.d/identity-wireless.conf").contains("ieee80211_regdom=DE"));
    assert_eq!(mode(&root.path("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")), 0o400);
    let wants = "etc/systemd/system/sys-subsystem-net-devices-wlan0.device.wants/wpa_supplicant@wlan0.service";
    assert!(fs::symlink_metadata(root.path(wants)).is_ok());
    fs::remove_file(root.path("etc/systemd/network/80-wired.network")).unwrap();
    fs::remove_file(root.path("usr/lib/systemd/system/wpa_supplicant@.service")).unwrap();
    assert_eq!(
        root.apply(&found),
        ["the identity's settings of the wireless network are not complete: the image has no wpa_supplicant"]
    );
    assert!(root.get("etc/systemd/network/70-identity-wired.network").contains("Address=10.0.0.2/24"));
}

#[test]
fn programs_that_the_image_lacks_get_nothing() {
    let root = Root::new();
    root.put("etc/consul.d/hah.json", "{}");
    root.put("usr/share/hah/consul-dialect", "1.8\n");
    let pem = "-----BEGIN X-----\nA\n-----END X-----\n";
    let tls = Tls { ca: pem.into(), cert: pem.into(), key: Secret::new(pem) };
    let tokens = ConsulTokens { hah: Some(Secret::new("TOKEN")), ..ConsulTokens::default() };
    let consul = Consul { acl: Some(Policy::Deny), tokens, tls: Some(tls), ..Consul::default() };
    let found =
        Identity { consul: Some(consul), nomad: Some(Nomad::default()), vault: Some(Vault::default()), ..identity() };
    assert_eq!(root.apply(&found), [""; 0]);
    let fragment: Value = serde_json::from_str(&root.get("etc/consul.d/identity.json")).unwrap();
    assert_eq!((&fragment["node_name"], &fragment["verify_outgoing"]), (&"pi4-a".into(), &true.into()));
    assert_eq!(mode(&root.path("etc/consul.d/identity.json")), 0o400);
    assert!(!root.path("etc/nomad.d").exists() && !root.path("etc/vault.d").exists());
    assert_eq!(fs::read_to_string(root.secrets().join("consul.token")).unwrap(), "TOKEN");
    assert_eq!(fs::read_to_string(root.secrets().join("consul/key.pem")).unwrap(), pem);
    assert_eq!(mode(&root.secrets().join("consul/key.pem")), 0o400);
    // Again over what is there.
    assert_eq!(root.apply(&found), [""; 0]);
}

#[test]
fn a_vault_without_raft_is_told() {
    let root = Root::new();
    root.put("etc/vault.d/hah.json", "{}");
    let vault = Vault { retry_join: vec!["http://10.0.0.1:8200".into()], ..Vault::default() };
    let problems = root.apply(&Identity { vault: Some(vault), ..identity() });
    assert!(problems[0].contains("storage.raft"), "{problems:?}");
}
