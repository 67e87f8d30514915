//! What ends, or grows old, without anybody doing anything: the node's certificates, and the image that it runs.
//!
//! Both become metrics, and Prometheus says so in time. What cannot be read is not told: a metric that is absent is no alarm,
//! and a program whose certificate is broken is one soon enough.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;

/// Programs that have a certificate from the node's identity.
const PROGRAMS: [&str; 3] = ["consul", "nomad", "vault"];
/// Made by the build, and never changed: its date is that of the lock.
const EPOCH: &str = "usr/lib/clock-epoch";
/// Largest certificate that is read, in bytes of PEM.
const PEM_MAX: u64 = 64 << 10;

/// The first end of a program's certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CertificateEnd {
    /// `consul`.
    pub(super) program: &'static str,
    /// `cert` or `ca`.
    pub(super) kind: &'static str,
    /// Seconds since 1970.
    pub(super) at: i64,
}

/// When the node's certificates end, of programs that have any below `root`.
pub(super) fn certificates(root: &Path) -> Vec<CertificateEnd> {
    let mut ends = Vec::new();
    for program in PROGRAMS {
        for kind in ["cert", "ca"] {
            let path = root.join(format!("run/hah/secrets/{program}/{kind}.pem"));
            let mut text = String::new();
            let read = fs::File::open(path).and_then(|file| file.take(PEM_MAX).read_to_string(&mut text));
            if let (Ok(_), Some(at)) = (read, pem_end(&text)) {
                ends.push(CertificateEnd { program, kind, at });
            }
        }
    }
    ends
}

/// The date of the image's lock: seconds since 1970.
pub(super) fn image_epoch(root: &Path) -> Option<i64> {
    fs::metadata(root.join(EPOCH)).ok().map(|metadata| metadata.mtime())
}

/// The end of the certificate in a PEM text that ends first.
pub(super) fn pem_end(text: &str) -> Option<i64> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let blocks = text.split(BEGIN).skip(1).filter_map(|block| {
        let base64: String = block.split("-----END").next()?.split_ascii_whitespace().collect();
        der_end(&base64::engine::general_purpose::STANDARD.decode(base64).ok()?)
    });
    blocks.min()
}

/// `notAfter` of a certificate (RFC 5280, section 4.1): Certificate is a sequence of tbsCertificate and more, and that one of
/// version, serial number, algorithm, issuer, validity and more.
pub(super) fn der_end(der: &[u8]) -> Option<i64> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest, VERSION)?.1;
    }
    for tag in [0x02, SEQUENCE, SEQUENCE] {
        rest = element(rest, tag)?.1;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let before = first(validity)?;
    let after = first(before.rest)?;
    seconds(after.tag, std::str::from_utf8(after.content).ok()?)
}

/// The content of the element of this type, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let Element { tag: found, content, rest } = first(der)?;
    (found == tag).then_some((content, rest))
}

/// An element of DER, and what follows it.
struct Element<'d> {
    tag: u8,
    content: &'d [u8],
    rest: &'d [u8],
}

/// The first element (X.690: definite lengths of at most three bytes).
fn first(der: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = der.split_first()?;
    let (&form, rest) = rest.split_first()?;
    let (length, rest) = match form {
        0..=0x7f => (usize::from(form), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(form & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(Element { tag, content, rest })
}

/// `UTCTime` (two digits of the year, from 1950) or `GeneralizedTime`, both of them with seconds and in UTC, as RFC 5280 wants.
fn seconds(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (year, rest) = match (tag, digits.len()) {
        (0x17, 12) => {
            let (year, rest) = digits.split_at(2);
            let year: i64 = year.parse().ok()?;
            (if year < 50 { year + 2000 } else { year + 1900 }, rest)
        }
        (0x18, 14) => {
            let (year, rest) = digits.split_at(4);
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut parts = rest.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()?.parse::<i64>().ok());
    let mut part = |range: std::ops::RangeInclusive<i64>| parts.next().filter(|part| range.contains(part));
    let (month, day) = (part(1..=12)?, part(1..=31)?);
    let (hour, minute, second) = (part(0..=23)?, part(0..=59)?, part(0..=60)?);
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01, in the Gregorian calendar. Years begin in March, so that the leap day is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by openssl: `openssl req -x509 -newkey ed25519 -nodes -subj /CN=a -days 365` and looked at with it.
    const CERTIFICATE: &str = include_str!("ends/cert.pem");
    /// One that ends after 2049, and so has the other form of time.
    const LATE: &str = include_str!("ends/late.pem");

    #[test]
    fn certificates_end_when_openssl_says_so() {
        assert_eq!(pem_end(CERTIFICATE), Some(1_827_439_209));
        assert_eq!(pem_end(LATE), Some(2_677_183_209));
        assert_eq!(pem_end(&format!("{LATE}{CERTIFICATE}")), Some(1_827_439_209), "the first end counts");
        let Ok(output) = std::process::Command::new("openssl").arg("version").output() else { return };
        assert!(output.status.success());
        for (name, text) in [("cert.pem", CERTIFICATE), ("late.pem", LATE)] {
            let file = format!("{}/src/closing/ends/{name}", env!("CARGO_MANIFEST_DIR"));
            let output =
                std::process::Command::new("openssl").args(["x509", "-noout", "-enddate", "-in", &file]).output();
            let said = String::from_utf8(output.unwrap().stdout).unwrap();
            let date = said.trim().strip_prefix("notAfter=").unwrap();
            let date = std::process::Command::new("date").args(["-u", "+%s", "-d", date]).output().unwrap();
            let date: i64 = String::from_utf8(date.stdout).unwrap().trim().parse().unwrap();
            assert_eq!(pem_end(text), Some(date), "{name}");
        }
    }

    #[test]
    fn dates() {
        assert_eq!(seconds(0x17, "700101000000Z"), Some(0));
        assert_eq!(seconds(0x17, "500101000000Z"), Some(-631_152_000));
        assert_eq!(seconds(0x17, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(seconds(0x18, "20000229120000Z"), Some(951_825_600));
        for wrong in ["", "Z", "701301000000Z", "700100000000Z", "7001010000Z", "70010100000ÄZ", "700101000000"] {
            assert_eq!(seconds(0x17, wrong), None, "{wrong}");
        }
        assert_eq!(seconds(0x04, "700101000000Z"), None);
    }

    /// No end, and no panic either: of every beginning, and of every certificate with one byte changed.
    #[test]
    fn what_is_broken_has_no_end() {
        let base64: String = CERTIFICATE.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
        assert_eq!(der_end(&der), Some(1_827_439_209));
        for length in 0..der.len() {
            assert_eq!(der_end(&der[..length]), None, "{length}");
        }
        for index in 0..der.len() {
            for byte in [0, 0x7f, 0x80, 0x83, 0x84, 0xff] {
                let mut other = der.clone();
                other[index] = byte;
                let _ = der_end(&other);
            }
        }
        for text in
            ["", "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            assert_eq!(pem_end(text), None);
        }
    }

    #[test]
    fn what_is_there_is_told() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!((certificates(root.path()), image_epoch(root.path())), (vec![], None));
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("run/hah/secrets/consul/cert.pem", CERTIFICATE);
        put("run/hah/secrets/consul/ca.pem", LATE);
        put("run/hah/secrets/vault/cert.pem", "broken");
        let ends: Vec<(&str, &str, i64)> =
            certificates(root.path()).into_iter().map(|end| (end.program, end.kind, end.at)).collect();
        assert_eq!(ends, [("consul", "cert", 1_827_439_209), ("consul", "ca", 2_677_183_209)]);
        put("usr/lib/clock-epoch", "");
        let epoch = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_600_000);
        fs::File::open(root.path().join("usr/lib/clock-epoch")).unwrap().set_modified(epoch).unwrap();
        assert_eq!(image_epoch(root.path()), Some(1_795_600_000));
    }
}
