//! `node.json` and `rpi-preseed.toml`, read by the agent's own source as PID 1 reads them.
//!
//! What is accepted has no flaw, writes and reads back the same, and nothing in it leaves the line that it is written to.

#![no_main]
#![allow(dead_code, unreachable_pub, unused_imports, reason = "the agent's modules are made for another crate")]

#[path = "../../../src/hah-agent/src"]
mod agent {
    pub(crate) mod identity;
}

use agent::identity::{accounts, network, parse, preseed, programs};
use hah_node::identity::Identity;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Ok(identity) => check(&identity),
        Err(error) => one_line(&error),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        match preseed::parse(text) {
            Ok(parsed) => check(&parsed.identity),
            Err(error) => one_line(&error),
        }
    }
});

fn one_line(error: &str) {
    assert!(!error.is_empty() && !error.contains(char::is_control), "{error:?}");
}

fn check(identity: &Identity) {
    assert_eq!(identity.flaw(), None);
    let text = serde_json::to_vec(identity).unwrap();
    // Escapes may make the text longer than the one that was read.
    if let Ok(again) = parse(&text) {
        assert_eq!(&again, identity);
    }
    let keys = accounts::authorized_keys("", &identity.ssh.authorized_keys);
    assert!(keys.lines().count() <= identity.ssh.authorized_keys.len());
    if let Some(wifi) = &identity.wifi {
        let text = network::wpa_supplicant(wifi);
        assert_eq!(text.lines().count(), if wifi.hidden { 8 } else { 7 }, "{text}");
    }
    for interface in [&identity.network.ethernet, &identity.network.wlan].into_iter().flatten() {
        let lines = interface.addresses.len() + usize::from(interface.gateway.is_some()) + interface.dns.len();
        let switch = usize::from(!interface.addresses.is_empty());
        assert_eq!(network::wired_drop_in(interface).lines().count(), 2 + switch + lines);
    }
    let hostname = identity.hostname.as_deref().unwrap_or("x");
    if let Some(consul) = &identity.consul {
        for dialect in [programs::ConsulDialect::Old, programs::ConsulDialect::New] {
            assert!(programs::consul(consul, identity.setup.as_ref(), hostname, dialect).is_object());
        }
    }
    if let Some(nomad) = &identity.nomad {
        assert!(programs::nomad(nomad, hostname).is_object());
    }
    if let Some(vault) = &identity.vault {
        let image = serde_json::json!({"storage": {"raft": {"path": "/x"}}});
        assert!(programs::vault(vault, hostname, &network::own_addresses(identity), Some(&image)).is_ok());
    }
    for file in programs::secret_files(identity) {
        assert!(!file.name.contains("..") && !file.content.is_empty());
    }
    if let Some(hash) = &identity.user.password_hash {
        let name = identity.user.name.as_deref();
        let shadow = accounts::with_password("hah:!:1:0:99999:7:::\n", "hah", name, Some(hash.reveal()));
        assert!(shadow.lines().all(|line| line.split(':').count() == 9), "{shadow}");
    }
}
