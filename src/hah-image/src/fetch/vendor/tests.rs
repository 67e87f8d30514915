//! Release sites, good and bad, as directories and on loopback.

use std::sync::Arc;

use hah_plan::artifact::{EMBEDDED_KEYS, Format, VendorKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::SignatureType;

use super::super::server::{Answer, Server};
use super::super::signer::Signer;
use super::super::{FetchOptions, Mirrors, Mode, Proxies};
use super::*;

/// The keys are made in 2020.
const MADE: u32 = 1_577_836_800;
const YEAR: u32 = 365 * 86_400;
/// It is late in 2025.
const NOW: u32 = MADE + 6 * YEAR;

const NAME: &str = "nomad_2.0.4_linux_arm64.zip";
const SUMS: &str = "nomad/2.0.4/nomad_2.0.4_SHA256SUMS";
const SIGNATURE: &str = "nomad/2.0.4/nomad_2.0.4_SHA256SUMS.sig";

/// What the vendor lists.
fn sums() -> String {
    let digest = |name: &str| Sha256::of(name.as_bytes());
    let other = NAME.replace("arm64", "amd64");
    format!("{}  {other}\n{}  {NAME}\n", digest(&other), digest(NAME))
}

/// The artifact, signed by the key of this certificate.
fn signed_by(certificate: Vec<u8>) -> Artifact {
    let key = VendorKey::File { path: "recipes/keys/acme.gpg".to_owned(), bytes: Arc::from(certificate) };
    let url = |path: &str| format!("https://releases.invalid/{path}");
    Artifact {
        name: "nomad".to_owned(),
        version: "2.0.4".to_owned(),
        url: Some(url(&format!("nomad/2.0.4/{NAME}"))),
        mirror: Some("acme".to_owned()),
        verify: Verify::OpenPgp { checksums: url(SUMS), signature: url(SIGNATURE), key },
        format: Format::Zip,
        install: Vec::new(),
        recipe: "nomad".to_owned(),
    }
}

/// A release site that is a directory.
struct Site(tempfile::TempDir);

impl Site {
    fn of(files: &[(&str, &[u8])]) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        for (path, bytes) in files {
            let path = site.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        site
    }

    fn base(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

/// Asks these mirrors, and nobody else.
fn ask(artifact: &Artifact, mirrors: &[&str], beside: Option<&Path>) -> Result<Vouched, VouchError> {
    let downloads = tempfile::tempdir().unwrap();
    let mut known = Mirrors::new();
    for mirror in mirrors {
        known.add("acme", mirror, "--mirror").unwrap();
    }
    let mut options = FetchOptions::new(downloads.path().to_owned(), known);
    let near = |mirror: &&str| mirror.starts_with('/');
    options.mode = if mirrors.iter().all(near) { Mode::Offline } else { Mode::Online };
    options.proxies = Proxies::Direct;
    options.attempts = 1;
    let result = super::super::Fetcher::new(options).vouched(artifact, beside, NOW.into());
    if let Err(error) = &result {
        assert!(!error.hint().is_empty());
    }
    result
}

/// What is said of a site with these files.
#[track_caller]
fn refused(artifact: &Artifact, files: &[(&str, &[u8])]) -> (String, VouchError) {
    let site = Site::of(files);
    let error = ask(artifact, &[site.base()], None).unwrap_err();
    (format!("{error}\n{}", error.hint()).replace(site.base(), "SITE"), error)
}

#[test]
fn a_signed_digest_is_believed() {
    let signer = Signer::new(MADE);
    let text = sums();
    let kinds = [(SignatureType::Binary, HashAlgorithm::Sha256), (SignatureType::Text, HashAlgorithm::Sha512)];
    let mut signatures = vec![signer.detached(text.as_bytes(), NOW - 9), signer.armoured(text.as_bytes(), NOW - 9)];
    for (kind, hash) in kinds {
        use pgp::ser::Serialize as _;
        signatures.push(signer.signature(text.as_bytes(), (kind, hash, NOW - 9)).to_bytes().unwrap());
    }
    for signature in signatures {
        let site = Site::of(&[(SUMS, text.as_bytes()), (SIGNATURE, &signature)]);
        let vouched = ask(&signed_by(signer.certificate(0)), &[site.base()], None).unwrap();
        assert_eq!(vouched.sha256, Sha256::of(NAME.as_bytes()));
        let key = "recipes/keys/acme.gpg".to_owned();
        assert_eq!(vouched.trust, Trust::Signed { key, fingerprint: signer.fingerprint() });
        assert_eq!(vouched.told, "signed by Archive <archive@example.org> on 2025-12-29 23:59 UTC");
    }
}

/// gpg judges the same: what it signs is believed.
#[test]
fn what_gpg_signs_is_believed() {
    use std::process::Command;
    let home = tempfile::tempdir().unwrap();
    let site = Site::of(&[(SUMS, sums().as_bytes())]);
    let gpg = |args: &[&str]| {
        let mut command = Command::new("gpg");
        command
            .arg("--homedir")
            .arg(home.path())
            .args(["--batch", "--quiet", "--no-tty", "--passphrase", ""])
            .args(args);
        command.output().ok()
    };
    let Some(made) = gpg(&["--quick-generate-key", "Acme <acme@example.org>", "ed25519", "sign", "never"]) else {
        println!("skipped: no gpg");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let path = site.0.path().join(SUMS);
    let signature = site.0.path().join(SIGNATURE);
    let made = gpg(&["--detach-sign", "--output", signature.to_str().unwrap(), path.to_str().unwrap()]).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = gpg(&["--armor", "--export"]).unwrap().stdout;
    let artifact = signed_by(certificate);
    let downloads = tempfile::tempdir().unwrap();
    let mut known = Mirrors::new();
    known.add("acme", site.base(), "--mirror").unwrap();
    let fetcher = super::super::Fetcher::new(FetchOptions::new(downloads.path().to_owned(), known));
    // gpg signs now, and the clock of the other tests stands in 2025.
    let vouched = fetcher.vouched(&artifact, None, crate::clock::unix_now()).unwrap();
    assert_eq!(vouched.sha256, Sha256::of(NAME.as_bytes()));
    let _ = Command::new("gpgconf").arg("--homedir").arg(home.path()).args(["--kill", "all"]).output();
}

#[test]
fn another_key_s_signature_is_not() {
    let (vendor, stranger) = (Signer::new(MADE), Signer::new(MADE));
    let text = sums();
    let signature = stranger.detached(text.as_bytes(), NOW - 9);
    let (said, error) = refused(&signed_by(vendor.certificate(0)), &[(SUMS, text.as_bytes()), (SIGNATURE, &signature)]);
    assert!(said.contains("signed by unknown keys") && said.contains("only the key that the recipe names"), "{said}");
    assert!(!error.is_tampered());
}

/// A key that expired and was renewed, with the same fingerprint, is judged by what it last said of itself.
#[test]
fn a_renewed_key_is_good_again() {
    let signer = Signer::new(MADE);
    let text = sums();
    let renewed = signer.renewed(&[(MADE, YEAR), (MADE + 2 * YEAR, 10 * YEAR)]);
    // The order of self-signatures in a file means nothing.
    let reversed = signer.renewed(&[(MADE + 2 * YEAR, 10 * YEAR), (MADE, YEAR)]);
    for certificate in [renewed, reversed] {
        for signed in [MADE + 9, MADE + YEAR + 9, MADE + 3 * YEAR] {
            let signature = signer.detached(text.as_bytes(), signed);
            let site = Site::of(&[(SUMS, text.as_bytes()), (SIGNATURE, &signature)]);
            ask(&signed_by(certificate.clone()), &[site.base()], None).unwrap();
        }
    }
}

/// Validity is judged at the time of the signature: an old release of an old key stays what it was.
#[test]
fn an_expired_key_is_believed_for_what_it_signed_before() {
    let signer = Signer::new(MADE);
    let text = sums();
    let artifact = signed_by(signer.certificate(YEAR));
    let before = signer.detached(text.as_bytes(), MADE + YEAR - 9);
    let site = Site::of(&[(SUMS, text.as_bytes()), (SIGNATURE, &before)]);
    ask(&artifact, &[site.base()], None).unwrap();
    let after = signer.detached(text.as_bytes(), MADE + YEAR + 9);
    let (said, _) = refused(&artifact, &[(SUMS, text.as_bytes()), (SIGNATURE, &after)]);
    insta::assert_snapshot!(said.replace(&signer.fingerprint(), "FINGERPRINT"), @"
    nobody vouches for nomad 2.0.4
      SITE/nomad/2.0.4/nomad_2.0.4_SHA256SUMS.sig (--mirror): signed on 2020-12-31 00:00 UTC by Archive <archive@example.org> (FINGERPRINT), whose key expired on 2020-12-31 00:00 UTC
      https://releases.invalid/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (its URL): not asked: --offline
    if the vendor has renewed the key, a newer hah-image may carry it; or name a file with `key-source`
    ");
}

#[test]
fn changed_checksums_are_not_believed() {
    let signer = Signer::new(MADE);
    let signature = signer.detached(sums().as_bytes(), NOW - 9);
    let changed = sums().replace("arm64", "armv8");
    let (said, error) =
        refused(&signed_by(signer.certificate(0)), &[(SUMS, changed.as_bytes()), (SIGNATURE, &signature)]);
    assert!(error.is_tampered());
    insta::assert_snapshot!(said.replace(&signer.fingerprint(), "FINGERPRINT"), @"
    nobody vouches for nomad 2.0.4
      SITE/nomad/2.0.4/nomad_2.0.4_SHA256SUMS.sig (--mirror): TAMPERED: the text is not what Archive <archive@example.org> (FINGERPRINT) signed
      https://releases.invalid/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (its URL): not asked: --offline
    the checksum file was changed after it was signed: do not use what comes with it; take it from the vendor's own site
    ");
}

#[test]
fn a_site_that_lacks_something() {
    let signer = Signer::new(MADE);
    let artifact = signed_by(signer.certificate(0));
    let (text, page) = (sums(), b"<html>403 Forbidden</html>");
    let signature = signer.detached(text.as_bytes(), NOW - 9);
    insta::assert_snapshot!(refused(&artifact, &[(SUMS, text.as_bytes())]).0, @"
    nobody vouches for nomad 2.0.4
      SITE/nomad/2.0.4/nomad_2.0.4_SHA256SUMS.sig (--mirror): it is not there (No such file or directory (os error 2)), and without it the checksum file proves nothing
      https://releases.invalid/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (its URL): not asked: --offline
    put the signature beside the checksum file, or check `signature` in the recipe; unsigned releases are not taken for signed ones
    ");
    insta::assert_snapshot!(refused(&artifact, &[(SIGNATURE, &signature)]).0, @"
    nobody vouches for nomad 2.0.4
      SITE/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (--mirror): it is not there (No such file or directory (os error 2))
      https://releases.invalid/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (its URL): not asked: --offline
    run once without --offline, name a local mirror, or feed it with --input NAME=PATH, its checksum file and signature beside it
    ");
    insta::assert_snapshot!(refused(&artifact, &[(SUMS, text.as_bytes()), (SIGNATURE, page)]).0, @"
    nobody vouches for nomad 2.0.4
      SITE/nomad/2.0.4/nomad_2.0.4_SHA256SUMS.sig (--mirror): its signature cannot be read: not enough bytes in buffer: armor header
      https://releases.invalid/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (its URL): not asked: --offline
    check `signature` in the recipe: it is to be the URL of a detached OpenPGP signature of the checksum file
    ");
    let signature = signer.detached(page, NOW - 9);
    insta::assert_snapshot!(refused(&artifact, &[(SUMS, page), (SIGNATURE, &signature)]).0, @"
    nobody vouches for nomad 2.0.4
      SITE/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (--mirror): its line 1 is not a SHA-256 digest and a file name
      https://releases.invalid/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (its URL): not asked: --offline
    check `checksums` in the recipe: it is to be the URL of a SHA256SUMS file
    ");
    let other = text.replace("_arm64", "_arm");
    let signature = signer.detached(other.as_bytes(), NOW - 9);
    insta::assert_snapshot!(refused(&artifact, &[(SUMS, other.as_bytes()), (SIGNATURE, &signature)]).0, @"
    nobody vouches for nomad 2.0.4
      SITE/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (--mirror): it does not list nomad_2.0.4_linux_arm64.zip, but nomad_2.0.4_linux_amd64.zip
      https://releases.invalid/nomad/2.0.4/nomad_2.0.4_SHA256SUMS (its URL): not asked: --offline
    the release has no such file: check `version`, `arch` and `url` in the recipe
    ");
    let signature = signer.detached(text.as_bytes(), NOW + 2 * YEAR);
    let (said, _) = refused(&artifact, &[(SUMS, text.as_bytes()), (SIGNATURE, &signature)]);
    assert!(said.contains("which cannot be") && said.contains("clock"), "{said}");
    let error = ask(&signed_by(b"not a key".to_vec()), &[], None).unwrap_err();
    insta::assert_snapshot!(format!("{error}\n{}", error.hint()), @"
    nomad 2.0.4: key `recipes/keys/acme.gpg`: not a usable OpenPGP key: not enough bytes in buffer: armor header
    export the vendor's public key with `gpg --export`, armoured or not
    ");
}

/// releases.hashicorp.com answers 403 for what is not there.
#[test]
fn a_missing_version_is_told_as_such() {
    let server = Server::start(&[(SUMS, Answer::Fails(403, 9, Vec::new()))]);
    let error = ask(&signed_by(Signer::new(MADE).certificate(0)), &[&server.base], None).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("{}/{SUMS} (--mirror): it is not there (HTTP 403)", server.base)), "{text}");
}

/// A bad mirror costs time and nothing else; what lies beside an input comes first.
#[test]
fn bad_places_are_passed_over() {
    let signer = Signer::new(MADE);
    let artifact = signed_by(signer.certificate(0));
    let (text, changed) = (sums(), sums().replace("arm64", "armv8"));
    let signature = signer.detached(text.as_bytes(), NOW - 9);
    let bad = Site::of(&[(SUMS, changed.as_bytes()), (SIGNATURE, &signature)]);
    let good = Site::of(&[(SUMS, text.as_bytes()), (SIGNATURE, &signature)]);
    ask(&artifact, &[bad.base(), good.base()], None).unwrap();
    let beside = good.0.path().join("nomad/2.0.4");
    ask(&artifact, &[], Some(&beside)).unwrap();
    ask(&artifact, &[bad.base()], Some(&beside)).unwrap();
}

#[test]
fn unsigned_checksums_say_so() {
    let artifact = |verify| Artifact { verify, ..signed_by(Vec::new()) };
    let listed = artifact(Verify::Sha256Sums { checksums: format!("https://releases.invalid/{SUMS}") });
    let site = Site::of(&[(SUMS, sums().as_bytes())]);
    let vouched = ask(&listed, &[site.base()], None).unwrap();
    assert_eq!(vouched.trust, Trust::Unsigned(Method::Sha256Sums));
    assert_eq!(vouched.told, "unsigned: the release site's checksum file is not signed");
    let digest = Sha256::of(b"own");
    let vouched = ask(&artifact(Verify::Sha256(digest)), &[], None).unwrap();
    assert_eq!((vouched.sha256, vouched.trust), (digest, Trust::Unsigned(Method::Sha256)));
}

/// The embedded keys are those of the README, and recipes may name each of them.
#[test]
fn embedded_keys() {
    let readme = include_str!("../../../keys/README.md");
    for name in EMBEDDED_KEYS {
        let ring = Keyring::vendor(&VendorKey::Embedded(name.to_owned()), NOW.into()).unwrap();
        let row = readme.lines().find(|line| line.contains(&format!("`{name}.gpg`"))).unwrap();
        let fingerprint = row.split('`').find(|word| word.len() == 40).unwrap();
        assert!(ring.fingerprints().count() > 0, "{name}");
        let named = Keyring::names_certificate(&VendorKey::Embedded(name.to_owned()), fingerprint);
        assert!(named, "{name}: {fingerprint}");
    }
    assert!(Keyring::vendor(&VendorKey::Embedded("acme".to_owned()), NOW.into()).is_err());
}
