#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "openssl and keytool are the oracles")]

use std::process::Command;

use super::*;

#[test]
fn a_keystore_has_the_layout_that_the_module_draws() {
    let entries = BTreeMap::from([("debian:a.pem".to_owned(), vec![0x30, 0])]);
    let made = encode(&entries, 0x0102_0304_0506_0708, "changeit").unwrap();
    let (body, digest) = made.split_at(made.len() - 20);
    let mut expected = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 12];
    expected.extend(b"debian:a.pem");
    expected.extend([1, 2, 3, 4, 5, 6, 7, 8, 0, 5]);
    expected.extend(b"X.509");
    expected.extend([0, 0, 0, 2, 0x30, 0]);
    assert_eq!(body, expected);
    assert_ne!(encode(&entries, 0x0102_0304_0506_0708, "changed").unwrap()[body.len()..], *digest);
    assert_eq!(encode(&BTreeMap::from([("x".repeat(70_000), Vec::new())]), 0, "changeit"), None);
}

#[test]
fn settings_are_read_as_the_shell_reads_them() {
    let text = "# cacerts_updates=no\n#storepass=''\nstorepass='open sesame'\ncacerts_updates=yes\n";
    assert_eq!(setting(text, "storepass").as_deref(), Some("open sesame"));
    assert_eq!(setting(text, "cacerts_updates").as_deref(), Some("yes"));
    assert_eq!(setting("#storepass=''\n", "storepass"), None);
}

/// Java is large, so that a machine without it skips this even where other oracles are required.
#[test]
fn keytool_lists_the_certificates_of_a_keystore() {
    if Command::new("keytool").arg("-help").output().is_err() {
        eprintln!("skipped: there is no keytool");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut entries = BTreeMap::new();
    for name in ["one", "two"] {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-outform", "DER"])
            .args(["-keyout", "/dev/null", "-subj", &format!("/CN={name}")])
            .output()
            .unwrap();
        entries.insert(format!("debian:{name}.pem"), made.stdout);
    }
    let file = directory.path().join("cacerts");
    std::fs::write(&file, encode(&entries, 1_700_000_000_000, PASSWORD).unwrap()).unwrap();
    let list = |password: &str| {
        let listed = Command::new("keytool")
            .args(["-J-Duser.language=en", "-list", "-storetype", "JKS", "-storepass", password, "-keystore"])
            .arg(&file)
            .output()
            .unwrap();
        (listed.status.success(), String::from_utf8_lossy(&listed.stdout).into_owned())
    };
    let (is_read, text) = list(PASSWORD);
    assert!(is_read, "{text}");
    for expected in ["contains 2 entries", "debian:one.pem, Nov 14, 2023, trustedCertEntry", "debian:two.pem"] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!list("changed").0, "keytool does not look at the digest");
}
