//! `rpi-preseed.toml`, as Raspberry Pi Imager writes it and rpi-preseed documents it, as an identity.
//!
//! Source: github.com/raspberrypi/rpi-preseed, `doc/rpi-preseed.5` and `examples/`, versions 1.0 and 1.1.
//! Tables that would change the system itself (packages, commands, mounts, firmware) have no place on a read-only root; they
//! are listed and left alone.

use std::collections::BTreeMap;

use hah_node::identity::{Identity, Interface, Secret, VERSION, Wifi};

use super::toml::{self, Value};

/// An identity, and what could not be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preseed {
    pub(crate) identity: Identity,
    /// A password that is still to be hashed; see [`hah_node::identity::User::password_hash`].
    pub(crate) password: Option<Secret>,
    /// Keys that have no effect.
    pub(crate) ignored: Vec<String>,
}

/// Reads a file. The error names the line or the key, never a value.
pub(crate) fn parse(text: &str) -> Result<Preseed, String> {
    let values = toml::parse(text).map_err(|fault| format!("line {}: {}", fault.line, fault.reason))?;
    let mut keys = Keys { values };
    let version = keys.text("config_version")?;
    if version.as_deref().is_some_and(|version| version.split('.').next() != Some("1")) {
        return Err("config_version is not 1.x, the only one that is known".to_owned());
    }
    let mut identity = Identity { version: VERSION, ..Identity::default() };
    // Imager takes any spelling; a host name has no case.
    identity.hostname = keys.text("system.hostname")?.map(|name| name.to_ascii_lowercase());
    identity.timezone = keys.text("locale.timezone")?;
    identity.user.name = keys.text("user.name")?;
    let password = keys.text("user.password")?.map(Secret::new);
    let is_hash = keys.boolean("user.password_encrypted")?.unwrap_or(false);
    let (hash, password) = if is_hash { (password, None) } else { (None, password) };
    identity.user.password_hash = hash;
    // The account is in the groups that the image says, and sudo asks for no password.
    keys.values.remove("user.groups");
    keys.values.remove("user.passwordless_sudo");
    identity.ssh.enabled = keys.boolean("ssh.enabled")?;
    identity.ssh.password_authentication = keys.boolean("ssh.password_authentication")?;
    identity.ssh.authorized_keys = keys.texts("ssh.authorized_keys")?;
    identity.wifi = wifi(&mut keys)?;
    identity.network.ethernet = ethernet(&mut keys)?;
    if let Some(flaw) = identity.flaw() {
        return Err(flaw.to_string());
    }
    Ok(Preseed { identity, password, ignored: keys.values.into_keys().collect() })
}

fn wifi(keys: &mut Keys) -> Result<Option<Wifi>, String> {
    let (plain, hex) = (keys.text("wlan.ssid")?, keys.text("wlan.ssid_hex")?);
    let password = keys.text("wlan.password")?;
    // Both forms of a key look after themselves: a hashed one has 64 digits.
    keys.values.remove("wlan.password_encrypted");
    let hidden = keys.boolean("wlan.hidden")?.unwrap_or(false);
    let country = keys.text("wlan.country")?;
    let management = keys.text("wlan.key_mgmt")?;
    let Some(ssid) =
        hex.map(|hex| from_hex(&hex).ok_or("wlan.ssid_hex is not UTF-8 in hex digits")).transpose()?.or(plain)
    else {
        return Ok(None);
    };
    match management.as_deref() {
        None | Some("none" | "wpa-psk") => {}
        Some(_) => return Err("wlan.key_mgmt is neither none nor wpa-psk, which is what this image can".to_owned()),
    }
    let country = country.ok_or("wlan.country is missing: without it the radio stays off")?;
    let psk = password.filter(|password| !password.is_empty()).map(Secret::new);
    Ok(Some(Wifi { ssid, psk, country, hidden }))
}

fn ethernet(keys: &mut Keys) -> Result<Option<Interface>, String> {
    let method = keys.text("ethernet.method")?;
    let address = keys.text("ethernet.address")?;
    let gateway = keys.text("ethernet.gateway")?;
    let dns = keys.texts("ethernet.dns")?;
    match (method.as_deref(), address) {
        (None | Some("dhcp"), None) if dns.is_empty() => Ok(None),
        (None | Some("dhcp"), None) => Ok(Some(Interface { dns, ..Interface::default() })),
        (None | Some("static"), Some(address)) => Ok(Some(Interface { addresses: vec![address], gateway, dns })),
        (Some("static"), None) => Err("ethernet.address is missing".to_owned()),
        _ => Err("ethernet.method is neither dhcp nor static with an address".to_owned()),
    }
}

fn from_hex(text: &str) -> Option<String> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

/// What is left of the file.
struct Keys {
    values: BTreeMap<String, Value>,
}

impl Keys {
    fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.values.remove(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{key} is not a string")),
        }
    }

    fn boolean(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.values.remove(key) {
            None => Ok(None),
            Some(Value::Boolean(value)) => Ok(Some(value)),
            Some(_) => Err(format!("{key} is neither true nor false")),
        }
    }

    fn texts(&mut self, key: &str) -> Result<Vec<String>, String> {
        match self.values.remove(key) {
            None => Ok(Vec::new()),
            Some(Value::Texts(texts)) => Ok(texts),
            Some(_) => Err(format!("{key} is not a list of strings")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the documentation, by hand.
    const EXAMPLE: &str = r#"
config_version = "1.1"

[system]
hostname = "Kitchen"

[user]
name = "alice"
password = "$6$salt$hash"
password_encrypted = true
groups = ["sudo"]

[ssh]
enabled = true
password_authentication = false
authorized_keys = [
  "ssh-ed25519 AAAA alice@laptop",
]

[wlan]
ssid_hex = "4bc3bc636865"
password = "correct horse"
password_encrypted = false
hidden = true
country = "GB"
key_mgmt = "wpa-psk"

[ethernet]
method = "static"
address = "192.168.1.50/24"
gateway = "192.168.1.1"
dns = ["192.168.1.1"]

[locale]
keymap = "gb"
timezone = "Europe/London"

[runcmd]
late = ["systemctl enable --now htop.service"]
"#;

    #[test]
    fn the_documented_keys() {
        let Preseed { identity, password, ignored } = parse(EXAMPLE).unwrap();
        assert_eq!(identity.hostname.as_deref(), Some("kitchen"));
        assert_eq!(identity.timezone.as_deref(), Some("Europe/London"));
        assert_eq!(identity.user.name.as_deref(), Some("alice"));
        assert_eq!(identity.user.password_hash, Some(Secret::new("$6$salt$hash")));
        assert_eq!((identity.ssh.enabled, identity.ssh.password_authentication), (Some(true), Some(false)));
        assert_eq!(identity.ssh.authorized_keys, ["ssh-ed25519 AAAA alice@laptop"]);
        let wifi = identity.wifi.unwrap();
        assert_eq!((wifi.ssid.as_str(), wifi.hidden, wifi.country.as_str()), ("Küche", true, "GB"));
        let ethernet = identity.network.ethernet.unwrap();
        assert_eq!(
            (ethernet.addresses, ethernet.gateway),
            (vec!["192.168.1.50/24".to_owned()], Some("192.168.1.1".into()))
        );
        assert_eq!(password, None);
        assert_eq!(ignored, ["locale.keymap", "runcmd.late"]);
    }

    /// What becomes of a documented key.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Fate {
        /// It is in the identity.
        Taken,
        /// The image does what it asks for anyway.
        Given,
        /// It is listed, and has no effect.
        Left,
    }
    use Fate::{Given, Left, Taken};

    /// Every key of rpi-preseed's documentation (`schema/rpi-preseed.schema`, version 1.1, July 2026), with a value of its
    /// type and what it takes for the value to mean something.
    const DOCUMENTED: [(&str, &str, &str, Fate); 58] = [
        ("system.hostname", "'kitchen'", "", Taken),
        ("user.name", "'alice'", "", Taken),
        ("user.password", "'correct horse'", "", Taken),
        ("user.password_encrypted", "true", "user.password = '$6$salt$hash'", Taken),
        ("user.passwordless_sudo", "true", "", Given),
        ("user.groups", "['sudo', 'video']", "", Given),
        ("ssh.enabled", "true", "", Taken),
        ("ssh.password_authentication", "true", "", Taken),
        ("ssh.ssh_import_id", "['gh:alice']", "", Left),
        ("ssh.authorized_keys", "['ssh-ed25519 AAAA alice@laptop']", "", Taken),
        ("wlan.ssid", "'Kitchen'", "wlan.country = 'GB'", Taken),
        ("wlan.ssid_hex", "'4bc3bc636865'", "wlan.country = 'GB'", Taken),
        ("wlan.password", "'correct horse'", "wlan.ssid = 'a'\nwlan.country = 'GB'", Taken),
        ("wlan.password_encrypted", "false", "wlan.ssid = 'a'\nwlan.country = 'GB'", Given),
        ("wlan.hidden", "true", "wlan.ssid = 'a'\nwlan.country = 'GB'", Taken),
        ("wlan.country", "'GB'", "wlan.ssid = 'a'", Taken),
        ("wlan.key_mgmt", "'wpa-psk'", "wlan.ssid = 'a'\nwlan.country = 'GB'\nwlan.password = 'correct horse'", Given),
        ("ethernet.method", "'dhcp'", "", Given),
        ("ethernet.address", "'192.168.1.50/24'", "ethernet.method = 'static'", Taken),
        (
            "ethernet.gateway",
            "'192.168.1.1'",
            "ethernet.method = 'static'\nethernet.address = '192.168.1.50/24'",
            Taken,
        ),
        ("ethernet.dns", "['192.168.1.1']", "ethernet.method = 'static'\nethernet.address = '192.168.1.50/24'", Taken),
        ("ethernet.dns_search", "['lan']", "ethernet.method = 'static'\nethernet.address = '192.168.1.50/24'", Left),
        ("ethernet.interface", "'eth0'", "", Left),
        ("locale.timezone", "'Europe/London'", "", Taken),
        ("locale.keymap", "'gb'", "", Left),
        ("locale.locales", "['en_GB.UTF-8']", "", Left),
        ("locale.lang", "'en_GB.UTF-8'", "", Left),
        ("locale.lc_time", "'en_GB.UTF-8'", "", Left),
        ("locale.lc_measurement", "'en_GB.UTF-8'", "", Left),
        ("locale.keymap_model", "'pc105'", "", Left),
        ("locale.keymap_variant", "'dvorak'", "", Left),
        ("locale.keymap_options", "['ctrl:nocaps']", "", Left),
        ("connect.enabled", "true", "", Left),
        ("connect.mode", "'device-identity'", "", Left),
        ("connect.token", "'t'", "", Left),
        ("packages.update", "true", "", Left),
        ("packages.upgrade", "false", "", Left),
        ("packages.install", "['vim']", "", Left),
        ("packages.remove", "['nano']", "", Left),
        ("ca_certificates.files", "['corp.crt']", "", Left),
        ("time.ntp", "['time.example']", "", Left),
        ("time.fallback_ntp", "['time.example']", "", Left),
        ("mounts.fstab", "['LABEL=A /a ext4 defaults 0 2']", "", Left),
        ("interfaces.i2c", "true", "", Left),
        ("interfaces.spi", "true", "", Left),
        ("interfaces.onewire", "true", "", Left),
        ("interfaces.serial", "'console'", "", Left),
        ("interfaces.usb_gadget", "true", "", Left),
        ("boot.config_txt", "['dtparam=audio=on']", "", Left),
        ("boot.cmdline_txt", "'quiet'", "", Left),
        ("runcmd.early", "['true']", "", Left),
        ("runcmd.late", "['true']", "", Left),
        ("runcmd.early_cmd_timeout", "5", "", Left),
        ("runcmd.late_require_time_sync", "true", "", Left),
        ("runcmd.late_wait_for_apt_lock", "true", "", Left),
        ("runcmd.late_retries", "3", "", Left),
        ("runcmd.late_retry_delay", "3", "", Left),
        ("debug", "true", "", Left),
    ];

    #[test]
    fn every_documented_key_has_its_fate() {
        for (key, value, context, fate) in DOCUMENTED {
            // Without the key that the context is for, the file may be one that is refused; then anything is a difference.
            let without = parse(&format!("config_version = \"1.1\"\n{context}\n")).ok();
            let with = parse(&format!("config_version = \"1.1\"\n{context}\n{key} = {value}\n"))
                .unwrap_or_else(|error| panic!("{key}: {error}"));
            let changes = without.is_none_or(|without| {
                (without.identity, without.password) != (with.identity.clone(), with.password.clone())
            });
            assert_eq!(changes, fate == Taken, "{key}");
            assert_eq!(with.ignored.contains(&key.to_owned()), fate == Left, "{key}");
        }
    }

    /// What the documentation allows and this image cannot do is refused, and not half done.
    #[test]
    fn what_cannot_be_done_is_refused() {
        let check = |text: &str, wanted: &str| assert_eq!(parse(text).unwrap_err(), wanted);
        for management in ["sae", "owe"] {
            check(
                &format!("[wlan]\nssid = \"a\"\ncountry = \"GB\"\nkey_mgmt = \"{management}\""),
                "wlan.key_mgmt is neither none nor wpa-psk, which is what this image can",
            );
        }
        check("ethernet.method = \"disabled\"", "ethernet.method is neither dhcp nor static with an address");
        check("wlan.ssid_hex = \"zz\"\nwlan.country = \"GB\"", "wlan.ssid_hex is not UTF-8 in hex digits");
    }

    /// The documentation: `ssid_hex` takes precedence, an open network has no password, comments may stand anywhere.
    #[test]
    fn a_file_by_hand() {
        let text = "config_version = \"1.0\"   # the first\n\n# Wi-Fi\n[wlan]\nssid = \"Kuche\"  # nearly\n\
                    ssid_hex = \"4bc3bc636865\"\ncountry = \"GB\"\n\n[ssh]\nauthorized_keys = [\n  # mine\n  \
                    \"ssh-ed25519 AAAA alice@laptop\",\n  'ssh-ed25519 BBBB bob@desk',  # his\n]\n";
        let Preseed { identity, password, ignored } = parse(text).unwrap();
        let wifi = identity.wifi.unwrap();
        assert_eq!((wifi.ssid.as_str(), wifi.psk, wifi.hidden), ("Küche", None, false));
        assert_eq!(identity.ssh.authorized_keys, ["ssh-ed25519 AAAA alice@laptop", "ssh-ed25519 BBBB bob@desk"]);
        assert_eq!((password, ignored), (None, vec![]));
    }

    #[test]
    fn a_plain_password_is_still_to_be_hashed() {
        let parsed = parse("[user]\nname = \"pi\"\npassword = \"changeme\"\n").unwrap();
        assert_eq!(parsed.password, Some(Secret::new("changeme")));
        assert_eq!(parsed.identity.user.password_hash, None);
    }

    #[test]
    fn mistakes_are_named_without_values() {
        let check = |text: &str, wanted: &str| assert_eq!(parse(text).unwrap_err(), wanted);
        check("a = \"canary", "line 1: invalid basic string");
        check("config_version = \"2.0\"", "config_version is not 1.x, the only one that is known");
        check(
            "[wlan]\nssid = \"x\"\npassword = \"canary88\"",
            "wlan.country is missing: without it the radio stays off",
        );
        check("[system]\nhostname = 1", "system.hostname is not a string");
        check("[ssh]\nauthorized_keys = \"canary\"", "ssh.authorized_keys is not a list of strings");
        check("[ssh]\nenabled = \"yes\"", "ssh.enabled is neither true nor false");
        check("[ethernet]\nmethod = \"static\"", "ethernet.address is missing");
        check(
            "[wlan]\nssid = \"x\"\npassword = \"canary\"\ncountry = \"DE\"",
            "wifi.psk is neither 8 to 63 printable ASCII characters nor 64 hex digits",
        );
    }
}
