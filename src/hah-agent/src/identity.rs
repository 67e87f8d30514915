//! Who this node is: its machine id, its name, and everything that `hah/node.json` says. Decisions and texts only;
//! [`crate::stage1`] reads and writes.
//!
//! | module | makes |
//! |---|---|
//! | [`preseed`], on [`toml`] | an identity of what Raspberry Pi Imager wrote |
//! | [`accounts`] | lines of passwd, shadow, authorized_keys |
//! | [`network`] | systemd-networkd, wpa_supplicant |
//! | [`firewall`] | the rules of nftables |
//! | [`programs`] | fragments for Consul, Nomad, Vault, and the files that they name |

mod toml;
pub(crate) mod preseed;
pub(crate) mod accounts;
pub(crate) mod network;
pub(crate) mod firewall;
pub(crate) mod programs;

use hah_node::identity::refusal::{Fault, reason};
use hah_node::identity::{FILE_MAX, Identity, Probe, VERSION};

/// Letters and digits of a serial number or machine id that end a hostname.
const SUFFIX: usize = 8;

/// Reads `node.json`. The error says where and what, and repeats nothing that may be a secret.
pub(crate) fn parse(text: &[u8]) -> Result<Identity, String> {
    if text.len() > FILE_MAX {
        return Err(format!("over {FILE_MAX} bytes"));
    }
    let Probe { version } = serde_json::from_slice(text).map_err(|error| refusal(&error))?;
    if version != VERSION {
        return Err(format!("it has version {version}, and this image reads version {VERSION}"));
    }
    let identity: Identity = serde_json::from_slice(text).map_err(|error| refusal(&error))?;
    match identity.flaw() {
        Some(flaw) => Err(flaw.to_string()),
        None => Ok(identity),
    }
}

fn refusal(error: &serde_json::Error) -> String {
    let fault = match error.classify() {
        serde_json::error::Category::Data => Fault::Data,
        serde_json::error::Category::Eof => Fault::End,
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => Fault::Syntax,
    };
    format!("line {}, column {}: {}", error.line(), error.column(), reason(&error.to_string(), fault))
}

/// A machine id as machine-id(5) wants it: 32 lower-case hex digits, a random UUID of version 4.
pub(crate) fn machine_id(mut random: [u8; 16]) -> String {
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut random;
    *version = (*version & 0x0f) | 0x40;
    *variant = (*variant & 0x3f) | 0x80;
    format!("{:032x}", u128::from_be_bytes(random))
}

/// The machine id in the text of a file that holds one, or nothing when it was cut short or is not one.
pub(crate) fn parse_machine_id(text: &str) -> Option<&str> {
    let id = text.strip_suffix('\n').unwrap_or(text);
    let hex = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (id.len() == 32 && hex && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

/// The node's name: the prefix and the end of the board's serial number, or of the machine id on a board without one.
///
/// `serial` is the raw `/proc/device-tree/serial-number`: hex digits and a NUL.
pub(crate) fn hostname(prefix: &str, serial: Option<&[u8]>, machine_id: &str) -> String {
    let serial = serial.and_then(|raw| {
        let digits: String =
            raw.iter().take_while(|byte| **byte != 0).map(|byte| char::from(byte.to_ascii_lowercase())).collect();
        let usable = digits.len() >= SUFFIX
            && digits.chars().all(|digit| digit.is_ascii_hexdigit())
            && digits.chars().any(|digit| digit != '0');
        usable.then(|| digits.chars().skip(digits.len() - SUFFIX).collect::<String>())
    });
    let suffix = serial.unwrap_or_else(|| machine_id.chars().take(SUFFIX).collect());
    let prefix: String = prefix
        .chars()
        .map(|letter| letter.to_ascii_lowercase())
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        // A label has 63 letters at most (RFC 1123).
        .take(63 - SUFFIX - 1)
        .collect();
    match prefix.trim_matches('-') {
        "" => format!("hah-{suffix}"),
        prefix => format!("{prefix}-{suffix}"),
    }
}

/// The image's `/etc/hosts` with the node's own name at 127.0.1.1, as Debian writes it.
pub(crate) fn hosts(image: &str, hostname: &str) -> String {
    let mut text: String = image
        .lines()
        .filter(|line| line.split_whitespace().next() != Some("127.0.1.1"))
        .flat_map(|line| [line, "\n"])
        .collect();
    if text.is_empty() {
        text.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    }
    text.push_str(&format!("127.0.1.1\t{hostname}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn identities_that_are_refused() {
        let check = |text: &str, wanted: &str| assert_eq!(parse(text.as_bytes()).unwrap_err(), wanted);
        check("", "line 1, column 0: it ends too early");
        check("{\n  \"version\": 1,\n  x", "line 3, column 3: it is not JSON");
        check("{}", "line 1, column 2: missing field `version`");
        check(r#"{"version": 7, "new": 1}"#, "it has version 7, and this image reads version 1");
        let wrong =
            parse(br#"{"version": 1, "consul": {"encrypt": ["canary"], "bootstrap_expect": "canary"}}"#).unwrap_err();
        assert!(wrong.ends_with("a value is not what its key wants") && !wrong.contains("canary"), "{wrong}");
        let unknown = parse(br#"{"version": 1, "hostnam": "x"}"#).unwrap_err();
        assert!(unknown.contains("unknown field `hostnam`, expected one of"), "{unknown}");
        for slipped in [r"hostnam\n", r"\u001b[2J", "-----BEGIN CERTIFICATE-----MIIBcanary", r"x`, expected \n"] {
            let unknown = parse(format!(r#"{{"version": 1, "{slipped}": "x"}}"#).as_bytes()).unwrap_err();
            assert!(unknown.ends_with("there is a key that no identity has"), "{unknown}");
        }
        check(
            r#"{"version": 1, "user": {"password_hash": "canary"}}"#,
            "user.password_hash is not a crypt(5) hash, which begins with `$`",
        );
        assert_eq!(parse(br#"{"version": 1}"#).unwrap(), Identity { version: 1, ..Identity::default() });
        check(&" ".repeat(FILE_MAX + 1), "over 65536 bytes");
    }

    #[test]
    fn machine_ids_are_uuids() {
        assert_eq!(machine_id([0xff; 16]), "ffffffffffff4fffbfffffffffffffff");
        assert_eq!(machine_id([0; 16]), "00000000000040008000000000000000");
        assert_eq!(parse_machine_id(&machine_id([7; 16])), Some("07070707070747078707070707070707"));
    }

    #[test]
    fn machine_ids_that_were_cut_are_none() {
        assert_eq!(parse_machine_id(&format!("{ID}\n")), Some(ID));
        assert_eq!(parse_machine_id(ID), Some(ID));
        for bad in ["", "\n", "uninitialized\n", "0123", "0123456789ABCDEF0123456789ABCDEF", "\0\0\0\0"] {
            assert_eq!(parse_machine_id(bad), None, "{bad:?}");
        }
        assert_eq!(parse_machine_id(&"0".repeat(32)), None);
    }

    #[test]
    fn hostnames() {
        let check = |prefix, serial: Option<&[u8]>, wanted| assert_eq!(hostname(prefix, serial, ID), wanted);
        check("hah", Some(b"10000000abcdef01\0"), "hah-abcdef01");
        check("pi", Some(b"100000001234ABCD"), "pi-1234abcd");
        check("hah", None, "hah-01234567");
        check("hah", Some(b"0000000000000000\0"), "hah-01234567");
        check("hah", Some(b"\0"), "hah-01234567");
        check("hah", Some(b"not a serial"), "hah-01234567");
        check("hah", Some(b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7"), "hah-01234567");
        check("", None, "hah-01234567");
        check("-Lab Node-", None, "labnode-01234567");
        assert_eq!(hostname(&"x".repeat(200), None, ID).len(), 63);
    }

    #[test]
    fn hosts_gains_the_name_once() {
        let image = "127.0.0.1\tlocalhost\n127.0.1.1 old\n::1 localhost\n";
        let once = hosts(image, "hah-1");
        assert_eq!(once, "127.0.0.1\tlocalhost\n::1 localhost\n127.0.1.1\thah-1\n");
        assert_eq!(hosts(&once, "hah-1"), once);
        assert!(hosts("", "hah-1").starts_with("127.0.0.1\tlocalhost\n"));
    }
}
