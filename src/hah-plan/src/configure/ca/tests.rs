#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "openssl is the oracle")]

use std::process::Command;

use super::*;

/// Subjects whose canonical form differs from what is written.
const SUBJECTS: [&str; 6] = [
    "/C=DE/O=Example  Org /CN= Root   CA 1",
    "/C=HU/L=Budapest/O=NetLock Kft./CN=NetLock Arany (Class Gold) Főtanúsítvány",
    "/CN=plain",
    "/C=US/O=A/OU=b/OU=C+CN=two in one",
    "/DC=org/DC=example/CN=ca@example.org/emailAddress=CA@EXAMPLE.org",
    "/CN=0123456789012345678901234567890123456789012345678901234567890123",
];

#[test]
fn subject_hashes_are_openssls() {
    let directory = tempfile::tempdir().unwrap();
    for (number, subject) in SUBJECTS.iter().enumerate() {
        for mask in ["utf8only", "MASK:0x802"] {
            let config = directory.path().join("openssl.cnf");
            std::fs::write(
                &config,
                format!("[req]\nstring_mask = {mask}\nutf8 = yes\ndistinguished_name = dn\n[dn]\n"),
            )
            .unwrap();
            let pem = directory.path().join(format!("{number}.pem"));
            let made = Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                    "-utf8",
                    "-multivalue-rdn",
                ])
                .args(["-subj", subject, "-keyout", "/dev/null", "-config"])
                .args([&config, std::path::Path::new("-out"), &pem])
                .output();
            let Ok(made) = made else {
                assert!(std::env::var_os("HAH_REQUIRE_ORACLES").is_none(), "openssl is required as an oracle");
                eprintln!("skipped: there is no openssl");
                return;
            };
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let output =
                Command::new("openssl").args(["x509", "-subject_hash", "-noout", "-in"]).arg(&pem).output().unwrap();
            let theirs = String::from_utf8(output.stdout).unwrap();
            let der = pem::only_certificate(&std::fs::read(&pem).unwrap()).unwrap();
            assert_eq!(format!("{:08x}\n", subject::hash(&der).unwrap()), theirs, "{subject} {mask}");
        }
    }
}

#[test]
fn hostile_certificates_are_errors() {
    for der in [
        &[][..],
        &[0x30],
        &[0x30, 0x80],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        &[0x30, 0x02, 0x04, 0x00],
        &[0x31, 0x00],
    ] {
        assert!(subject::hash(der).is_err(), "{der:02x?}");
    }
}

#[test]
fn files_without_exactly_one_certificate_are_passed_over() {
    let one = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    assert_eq!(pem::only_certificate(one.as_bytes()), Some(vec![0x30, 0]));
    assert_eq!(pem::only_certificate(format!("text\n{one}").as_bytes()), Some(vec![0x30, 0]));
    assert_eq!(pem::only_certificate(one.repeat(2).as_bytes()), None);
    assert_eq!(pem::only_certificate(b"-----BEGIN CERTIFICATE-----\nMA=\n-----END CERTIFICATE-----\n"), None);
    assert_eq!(pem::only_certificate(b""), None);
}

#[test]
fn link_names() {
    for (file, want) in [("A.crt", "A"), ("A B,(c).crt", "A_B_=c="), ("x.y.crt", "x.y")] {
        assert_eq!(link_name(file), want);
    }
}
