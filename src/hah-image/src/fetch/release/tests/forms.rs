//! Archives that list several forms of an index and do not have them all, and releases signed apart.

use std::collections::BTreeMap;

use super::super::super::server::{Answer, Server};
use super::*;

/// Every name that a release lists an index under, with the bytes.
fn forms(packages: &str) -> BTreeMap<&'static str, Vec<u8>> {
    let bytes = packages.as_bytes();
    let lzma = |bytes: &[u8]| {
        let options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
        let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let bzip2 = |bytes: &[u8]| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    BTreeMap::from([
        ("Packages", bytes.to_vec()),
        ("Packages.xz", xz(bytes)),
        ("Packages.gz", gzip(bytes)),
        ("Packages.bz2", bzip2(bytes)),
        ("Packages.lzma", lzma(bytes)),
        ("Packages.zst", zstd::encode_all(bytes, 19).unwrap()),
    ])
}

/// An index that compression makes shorter.
fn long() -> String {
    (0..200).map(|number| format!("Package: p{number}\nVersion: {number}\nArchitecture: arm64\n\n")).collect()
}

/// A directory whose release lists all of `listed`, and which serves those of `served`.
fn archive(
    extra: &str,
    listed: &BTreeMap<&str, Vec<u8>>,
    served: &BTreeMap<&str, Vec<u8>>,
) -> (Signer, tempfile::TempDir) {
    let signer = Signer::new(MADE);
    let mut text = format!(
        "Suite: stable\nCodename: trixie\nDate: Fri, 08 Aug 2025 12:34:56 UTC\n{extra}Components: main\nSHA256:\n"
    );
    for (name, bytes) in listed {
        writeln!(text, " {} {} main/binary-arm64/{name}", Sha256::of(bytes), bytes.len()).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("dists/trixie/main/binary-arm64");
    std::fs::create_dir_all(&binary).unwrap();
    for (name, bytes) in served {
        std::fs::write(binary.join(name), bytes).unwrap();
    }
    std::fs::write(dir.path().join("dists/trixie/InRelease"), signer.sign(&text, NOW - DAY)).unwrap();
    (signer, dir)
}

#[test]
fn an_archive_that_serves_one_of_the_forms_that_it_lists() {
    for packages in [PACKAGES.to_owned(), long()] {
        let listed = forms(&packages);
        for (name, bytes) in &listed {
            // Also where the digest's own path is promised and is not there.
            for extra in ["", "Acquire-By-Hash: yes\n"] {
                let (signer, dir) = archive(extra, &listed, &BTreeMap::from([(*name, bytes.clone())]));
                let found = ask(&[dir.path()], &request(), &ring(&signer));
                let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(found[0].packages, packages.as_bytes(), "{name}");
            }
        }
    }
}

#[test]
fn forms_are_asked_for_in_order_of_size() {
    let listed = forms(&long());
    let (signer, dir) = archive("", &listed, &BTreeMap::new());
    let release = std::fs::read(dir.path().join("dists/trixie/InRelease")).unwrap();
    let plain = listed["Packages"].clone();
    let routes = [
        ("dists/trixie/InRelease", Answer::Good(release)),
        ("dists/trixie/main/binary-arm64/Packages", Answer::Good(plain)),
    ];
    let server = Server::start(&routes);
    ask(&[Path::new(&server.base)], &request(), &ring(&signer)).unwrap();
    let mut by_size: Vec<(usize, &str)> = listed.iter().map(|(name, bytes)| (bytes.len(), *name)).collect();
    by_size.sort();
    let want: Vec<String> = by_size.iter().map(|(_, name)| format!("/dists/trixie/main/binary-arm64/{name}")).collect();
    assert_eq!(server.asked()[1..], want);
}

#[test]
fn a_damaged_form_is_passed_over_and_told_when_there_is_no_other() {
    let listed = forms(&long());
    let mut served = listed.clone();
    let smallest = listed.iter().min_by_key(|(_, bytes)| bytes.len()).map(|(name, _)| *name).unwrap();
    *served.get_mut(smallest).unwrap().last_mut().unwrap() ^= 1;
    let (signer, dir) = archive("", &listed, &served);
    assert_eq!(ask(&[dir.path()], &request(), &ring(&signer)).unwrap()[0].packages, long().as_bytes());
    let (signer, dir) = archive("", &listed, &BTreeMap::from([(smallest, served[smallest].clone())]));
    let error = ask(&[dir.path()], &request(), &ring(&signer)).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot fetch index of trixie main arm64") && text.contains("WRONG BYTES"), "{text}");
    for name in listed.keys() {
        let missing = format!("/{name} (--mirror): it is not there");
        assert!(*name == smallest || text.contains(&missing), "{missing}: {text}");
    }
    let ReleaseError::Fetch(error) = error else { panic!("{error}") };
    assert!(error.is_mismatch());
}

#[test]
fn a_form_with_the_right_digest_that_cannot_be_unpacked() {
    let mut listed = forms(&long());
    listed.insert("Packages.xz", b"not xz".to_vec());
    let (signer, dir) = archive("", &listed, &listed);
    assert_eq!(ask(&[dir.path()], &request(), &ring(&signer)).unwrap()[0].packages, long().as_bytes());
    listed.retain(|name, _| *name == "Packages.xz");
    let (signer, dir) = archive("", &listed, &listed);
    let error = ask(&[dir.path()], &request(), &ring(&signer)).unwrap_err().to_string();
    assert!(error.starts_with("cannot unpack index of trixie main arm64 (Packages.xz): "), "{error}");
}

#[test]
fn a_mirror_that_does_not_answer_is_not_asked_for_every_form() {
    let listed = forms(&long());
    let (signer, dir) = archive("", &listed, &BTreeMap::new());
    let release = std::fs::read(dir.path().join("dists/trixie/InRelease")).unwrap();
    let smallest = listed.iter().min_by_key(|(_, bytes)| bytes.len()).map(|(name, _)| *name).unwrap();
    let path = format!("dists/trixie/main/binary-arm64/{smallest}");
    let server = Server::start(&[("dists/trixie/InRelease", Answer::Good(release)), (&path, Answer::Silent)]);
    let downloads = tempfile::tempdir().unwrap();
    let mut mirrors = Mirrors::new();
    mirrors.set_snapshot("/nonexistent").unwrap();
    mirrors.add("debian", &server.base, "--mirror").unwrap();
    let mut options = FetchOptions::new(downloads.path().to_owned(), mirrors);
    options.attempts = 1;
    options.idle_timeout = std::time::Duration::from_millis(300);
    let error = Fetcher::new(options).suite(&request(), Trust { keyring: &ring(&signer), now: NOW.into() }, &Silent);
    assert!(error.unwrap_err().to_string().contains("nothing came"));
    assert_eq!(server.asked().len(), 2, "{:?}", server.asked());
}

/// `Release` and `Release.gpg` instead of `InRelease`.
fn apart(signer: &Signer) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = mirror("", &xz(PACKAGES.as_bytes()));
    let suite = dir.path().join("dists/trixie");
    std::fs::remove_file(suite.join("InRelease")).unwrap();
    std::fs::write(suite.join("Release"), release("")).unwrap();
    std::fs::write(suite.join("Release.gpg"), signer.armoured(release("").as_bytes(), NOW - DAY)).unwrap();
    (dir, suite)
}

#[test]
fn a_release_with_its_signature_beside_it() {
    let signer = Signer::new(MADE);
    let (dir, suite) = apart(&signer);
    let found = ask(&[dir.path()], &request(), &ring(&signer)).unwrap();
    assert_eq!(found[0].packages, PACKAGES.as_bytes());
    assert_eq!(found[0].release_sha256, Sha256::of(release("").as_bytes()));
    let fails = |want: &str| {
        let error = ask(&[dir.path()], &request(), &ring(&signer)).unwrap_err().to_string();
        assert!(error.contains(want), "{want}: {error}");
    };
    std::fs::write(suite.join("Release"), release("Label: Evil\n")).unwrap();
    fails("Release (--mirror): TAMPERED: ");
    std::fs::write(suite.join("Release"), release("")).unwrap();
    // A bad `InRelease` is not made good by what lies beside it.
    std::fs::write(suite.join("InRelease"), Signer::new(MADE).sign(&release(""), NOW - DAY)).unwrap();
    fails("InRelease (--mirror): signed by unknown keys");
    std::fs::write(suite.join("InRelease"), release("")).unwrap();
    fails("InRelease (--mirror): it is not signed");
    std::fs::remove_file(suite.join("InRelease")).unwrap();
    std::fs::remove_file(suite.join("Release.gpg")).unwrap();
    fails("Release (--mirror): it is not signed");
    std::fs::remove_file(suite.join("Release")).unwrap();
    fails("InRelease (--mirror): it is not there");
}
