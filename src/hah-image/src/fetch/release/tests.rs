//! Signed releases, good and bad, from a mirror that is a directory.

mod forms;
mod own;

use std::fmt::Write as _;
use std::path::Path;

use pgp::crypto::hash::HashAlgorithm;

use super::super::signer::{Signer, sign};
use super::super::{FetchOptions, Mirrors, Silent};
use super::*;

/// The keys are made in 2020.
const MADE: u32 = 1_577_836_800;
/// It is 2025-08-09 12:34:56 UTC.
const NOW: u32 = 1_754_742_896;
const DAY: u32 = 86_400;

const PACKAGES: &str = "Package: bash\nVersion: 5\nArchitecture: arm64\n";

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// The text of a `Release`, made the day before.
fn release(extra: &str) -> String {
    let index = xz(PACKAGES.as_bytes());
    let mut text =
        String::from("Origin: Debian\nSuite: stable\nCodename: trixie\nArchitectures: arm64\nComponents: main\n");
    text.push_str("Date: Fri, 08 Aug 2025 12:34:56 UTC\n");
    text.push_str(extra);
    writeln!(text, "SHA256:\n {} {} main/binary-arm64/Packages.xz", Sha256::of(&index), index.len()).unwrap();
    text
}

/// A directory with an archive in it.
fn mirror(in_release: &str, index: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let suite = dir.path().join("dists/trixie");
    std::fs::create_dir_all(suite.join("main/binary-arm64/by-hash/SHA256")).unwrap();
    std::fs::write(suite.join("InRelease"), in_release).unwrap();
    std::fs::write(suite.join("main/binary-arm64/Packages.xz"), index).unwrap();
    let digest = Sha256::of(&xz(PACKAGES.as_bytes())).to_string();
    std::fs::write(suite.join("main/binary-arm64/by-hash/SHA256").join(digest), index).unwrap();
    dir
}

fn request() -> SuiteRequest {
    SuiteRequest {
        archive: "debian".into(),
        suite: "trixie".into(),
        components: vec!["main".into()],
        architecture: Architecture::Arm64,
        validity: Validity::Enforced,
        snapshot: None,
    }
}

fn ask(mirrors: &[&Path], request: &SuiteRequest, keyring: &Keyring) -> Result<Vec<VerifiedIndex>, ReleaseError> {
    let downloads = tempfile::tempdir().unwrap();
    let mut known = Mirrors::new();
    known.set_snapshot("/nonexistent").unwrap();
    for mirror in mirrors {
        known.add("debian", mirror.to_str().unwrap(), "--mirror").unwrap();
    }
    let fetcher = Fetcher::new(FetchOptions::new(downloads.path().to_owned(), known));
    fetcher.suite(request, Trust { keyring, now: NOW.into() }, &Silent)
}

fn ring(signer: &Signer) -> Keyring {
    Keyring::load(&[&signer.certificate(0)], NOW.into()).unwrap()
}

#[test]
fn a_signed_index_is_returned() {
    let signer = Signer::new(MADE);
    for extra in ["", "Acquire-By-Hash: yes\n", "Valid-Until: Sat, 09 Aug 2025 12:34:57 UTC\n"] {
        let in_release = signer.sign(&release(extra), NOW - DAY);
        let dir = mirror(&in_release, &xz(PACKAGES.as_bytes()));
        let found = ask(&[dir.path()], &request(), &ring(&signer)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].packages, PACKAGES.as_bytes());
        assert_eq!(found[0].date, i64::from(NOW - DAY));
        assert_eq!(found[0].release_sha256, Sha256::of(in_release.as_bytes()));
    }
    let by_codename_or_suite = SuiteRequest { suite: "stable".into(), ..request() };
    let dir = mirror(&signer.sign(&release(""), NOW - DAY), &xz(PACKAGES.as_bytes()));
    std::fs::rename(dir.path().join("dists/trixie"), dir.path().join("dists/stable")).unwrap();
    assert!(ask(&[dir.path()], &by_codename_or_suite, &ring(&signer)).is_ok());
}

#[test]
fn releases_that_cannot_be_believed() {
    let (signer, stranger) = (Signer::new(MADE), Signer::new(MADE));
    let good = release("");
    let signed = signer.sign(&good, NOW - DAY);
    let by = |text: &str| signer.sign(text, NOW - DAY);
    let table: Vec<(String, &str, &str)> = vec![
        (good.clone(), "it is not signed", "does not serve a Debian archive"),
        (String::new(), "it is not signed", "URL"),
        (
            signed.replace("bash", "dash").replace("trixie", "trixiE"),
            "TAMPERED: the text is not what Archive",
            "another mirror",
        ),
        (signed.replace("Origin", "- Origin\nX"), "TAMPERED", "another mirror"),
        (format!("Date: x\n{signed}"), "it is not signed", "URL"),
        (format!("{signed}\nCodename: sid\n"), "cannot be read", "URL"),
        (signed[..signed.len() - 100].to_owned(), "cannot be read", "URL"),
        (stranger.sign(&good, NOW - DAY), "signed by unknown keys: ", "only the keys of Debian"),
        (signer.sign(&good, NOW + 2 * DAY), "which cannot be", "clock"),
        (signer.sign(&good, MADE - DAY), "which cannot be", "clock"),
        (sign(&good, &[]), "signed", "URL"),
        (by("Suite: x\n"), "it cannot be read: ", "spelling"),
        (
            by(&good.replace("trixie", "sid").replace("stable", "unstable")),
            "it is for the suite unstable or sid",
            "as the archive does",
        ),
        (
            by(&release("Valid-Until: Sat, 09 Aug 2025 12:34:55 UTC\n")),
            "it expired on 2025-08-09 12:34 UTC",
            "expired = \"allow\"",
        ),
        (
            by(&good.replace("08 Aug 2025", "20 Aug 2025")),
            "it is dated 2025-08-20 12:34 UTC, which is in the future",
            "clock",
        ),
    ];
    for (in_release, want, hint) in table {
        let dir = mirror(&in_release, &xz(PACKAGES.as_bytes()));
        let error = ask(&[dir.path()], &request(), &ring(&signer)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(want) && text.starts_with("cannot use the suite `trixie` of debian"), "{want}: {text}");
        let said = error.hint().unwrap();
        assert!(said.contains(hint), "{want}: {said}");
    }
    let unknown = ask(&[mirror(&stranger.sign(&good, NOW), b"").path()], &request(), &ring(&signer)).unwrap_err();
    assert!(unknown.to_string().contains(&stranger.fingerprint()), "{unknown}");
}

#[test]
fn an_expired_release_counts_when_that_is_allowed() {
    let signer = Signer::new(MADE);
    let in_release = signer.sign(&release("Valid-Until: Sat, 09 Aug 2025 00:00:00 UTC\n"), NOW - DAY);
    let dir = mirror(&in_release, &xz(PACKAGES.as_bytes()));
    let request = SuiteRequest { validity: Validity::AllowExpired, ..request() };
    assert!(ask(&[dir.path()], &request, &ring(&signer)).is_ok());
}

#[test]
fn a_key_counts_if_it_had_not_expired_when_it_signed() {
    let signer = Signer::new(MADE);
    let dir = mirror(&signer.sign(&release(""), NOW - DAY), &xz(PACKAGES.as_bytes()));
    let ends = |end: u32| Keyring::load(&[&signer.certificate(end - MADE)], NOW.into()).unwrap();
    assert!(ask(&[dir.path()], &request(), &ends(NOW - DAY / 2)).is_ok());
    let error = ask(&[dir.path()], &request(), &ends(NOW - 2 * DAY)).unwrap_err().to_string();
    assert!(
        error.contains("signed on 2025-08-08 12:34 UTC by Archive") && error.contains("expired on 2025-08-07"),
        "{error}"
    );
}

#[test]
fn one_good_signature_among_several_is_enough() {
    let (signer, stranger) = (Signer::new(MADE), Signer::new(MADE));
    let both = sign(&release(""), &[(&stranger, HashAlgorithm::Sha256, NOW), (&signer, HashAlgorithm::Sha256, NOW)]);
    let dir = mirror(&both, &xz(PACKAGES.as_bytes()));
    assert!(ask(&[dir.path()], &request(), &ring(&signer)).is_ok());
}

#[test]
fn the_next_mirror_is_asked() {
    let (signer, stranger) = (Signer::new(MADE), Signer::new(MADE));
    let index = xz(PACKAGES.as_bytes());
    let bad = mirror(&stranger.sign(&release(""), NOW), &index);
    let swapped = mirror(&signer.sign(&release(""), NOW - DAY), &xz(b"Package: evil\n"));
    let good = mirror(&signer.sign(&release(""), NOW - DAY), &index);
    let nowhere = Path::new("/nonexistent");
    let found = ask(&[nowhere, bad.path(), swapped.path(), good.path()], &request(), &ring(&signer)).unwrap();
    assert_eq!(found[0].packages, PACKAGES.as_bytes());
    let error = ask(&[swapped.path()], &request(), &ring(&signer)).unwrap_err();
    assert!(error.to_string().contains("cannot fetch index of trixie main arm64"), "{error}");
    let ReleaseError::Fetch(error) = error else { panic!("{error}") };
    assert!(error.is_mismatch());
    let error = ask(&[nowhere, bad.path()], &request(), &ring(&signer)).unwrap_err().to_string();
    assert!(
        error.contains("it is not there") && error.contains("unknown keys") && error.lines().count() == 4,
        "{error}"
    );
}

#[test]
fn a_component_that_is_not_there_is_named() {
    let signer = Signer::new(MADE);
    let dir = mirror(&signer.sign(&release(""), NOW - DAY), b"");
    let request = SuiteRequest { components: vec!["contrib".into()], ..request() };
    let error = ask(&[dir.path()], &request, &ring(&signer)).unwrap_err().to_string();
    assert_eq!(error, "the suite `trixie` of debian has no index for contrib arm64");
}

#[test]
fn debians_keys_are_those_of_the_readme() {
    let readme = include_str!("../../../keys/README.md");
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `debian-archive")).collect();
    assert_eq!(rows.len(), 9);
    let ring = Keyring::debian(NOW.into()).unwrap();
    for fingerprint in ring.fingerprints() {
        assert!(rows.iter().any(|row| row.contains(&fingerprint)), "{fingerprint}");
    }
    // Nine primary keys may sign, and six of them have a subkey for it.
    assert_eq!(ring.fingerprints().count(), 15);
}

#[test]
fn damaged_keys_are_refused() {
    let signer = Signer::new(MADE);
    let good = signer.certificate(0);
    assert_eq!(Keyring::load(&[&good], NOW.into()).unwrap().fingerprints().collect::<Vec<_>>(), [signer.fingerprint()]);
    let mut forged = good.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for bytes in [&forged[..], &good[..good.len() / 2], b"hello"] {
        assert!(!Keyring::load(&[bytes], NOW.into()).is_ok_and(|ring| ring.fingerprints().count() > 0));
    }
}
