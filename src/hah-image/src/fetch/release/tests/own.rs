//! Archives that are not Debian's, in the shapes that their vendors give them, each with a key of its own.

use super::*;

/// The shape of an archive.
struct Shape {
    /// As in sources.list(5).
    suite: &'static str,
    components: &'static [&'static str],
    /// Fields at the head of its `Release`.
    head: &'static str,
    /// Where its `Release` is, below its address.
    directory: &'static str,
    /// Its index, below that.
    index: &'static str,
}

const SHAPES: [Shape; 6] = [
    // Tailscale.
    Shape {
        suite: "trixie",
        components: &["main"],
        head: "Origin: Tailscale\nLabel: Tailscale\nSuite: trixie\nCodename: trixie\n",
        directory: "dists/trixie/",
        index: "main/binary-arm64/Packages.gz",
    },
    // Grafana: `stable`, whatever Debian's.
    Shape {
        suite: "stable",
        components: &["main"],
        head: "Origin: . stable\nLabel: . stable\nSuite: stable\nCodename: stable\n",
        directory: "dists/stable/",
        index: "main/binary-arm64/Packages.gz",
    },
    // Docker: the component is `stable`.
    Shape {
        suite: "trixie",
        components: &["stable"],
        head: "Origin: Docker\nLabel: Docker CE\nSuite: trixie\n",
        directory: "dists/trixie/",
        index: "stable/binary-arm64/Packages.gz",
    },
    // Raspberry Pi: Debian's shape.
    Shape {
        suite: "trixie",
        components: &["main"],
        head: "Origin: Raspberry Pi Foundation\nLabel: Raspberry Pi Foundation\nSuite: stable\nCodename: trixie\n",
        directory: "dists/trixie/",
        index: "main/binary-arm64/Packages.xz",
    },
    // Flat, all in one directory, without names.
    Shape { suite: "./", components: &[], head: "", directory: "", index: "Packages" },
    // Flat, in a directory, under another name.
    Shape {
        suite: "stable/deb/",
        components: &[],
        head: "Suite: something\n",
        directory: "stable/deb/",
        index: "Packages.gz",
    },
];

fn packed(name: &str) -> Vec<u8> {
    match name.rsplit_once('.') {
        Some((_, "xz")) => xz(PACKAGES.as_bytes()),
        Some((_, "gz")) => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, PACKAGES.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        _ => PACKAGES.as_bytes().to_vec(),
    }
}

impl Shape {
    fn publish(&self, signer: &Signer) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let (place, index) = (dir.path().join(self.directory), packed(self.index));
        let file = place.join(self.index);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let (digest, size) = (Sha256::of(&index), index.len());
        std::fs::write(file, &index).unwrap();
        let text =
            format!("{}Date: Fri, 08 Aug 2025 12:34:56 UTC\nSHA256:\n {digest} {size} {}\n", self.head, self.index);
        std::fs::write(place.join("InRelease"), signer.sign(&text, NOW - DAY)).unwrap();
        dir
    }

    fn ask(&self, at: &Path, keyring: &Keyring) -> Result<Vec<VerifiedIndex>, ReleaseError> {
        let request = SuiteRequest {
            archive: "archive own".to_owned(),
            suite: self.suite.to_owned(),
            components: self.components.iter().map(|one| (*one).to_owned()).collect(),
            ..request()
        };
        let downloads = tempfile::tempdir().unwrap();
        let mut known = Mirrors::new();
        known.add("archive own", &format!("file://{}", at.display()), "recipe own").unwrap();
        let fetcher = Fetcher::new(FetchOptions::new(downloads.path().to_owned(), known));
        fetcher.suite(&request, Trust { keyring, now: NOW.into() }, &Silent)
    }
}

#[test]
fn every_shape_is_read_and_its_signer_is_told() {
    for shape in SHAPES {
        let signer = Signer::new(MADE);
        let dir = shape.publish(&signer);
        let found = shape.ask(dir.path(), &ring(&signer)).unwrap_or_else(|error| panic!("{}: {error}", shape.suite));
        let [index] = &found[..] else { panic!("{}", shape.suite) };
        assert_eq!(index.packages, PACKAGES.as_bytes());
        assert_eq!(index.key, signer.fingerprint());
        assert_eq!(index.component, shape.components.first().copied().unwrap_or_default());
    }
}

#[test]
fn no_other_archive_s_key_counts() {
    for shape in SHAPES {
        let dir = shape.publish(&Signer::new(MADE));
        for keyring in [ring(&Signer::new(MADE)), Keyring::debian(NOW.into()).unwrap()] {
            let error = shape.ask(dir.path(), &keyring).unwrap_err();
            let ReleaseError::NoRelease { refused, .. } = &error else { panic!("{error}") };
            // The snapshot archive has Debian only, and is not asked.
            assert_eq!(refused.len(), 1, "{error}");
            assert!(matches!(refused[0].why, Refusal::Signature(SignatureError::UnknownKey(_))), "{error}");
        }
    }
}

#[test]
fn a_release_without_sha256_is_refused() {
    let signer = Signer::new(MADE);
    let dir = SHAPES[4].publish(&signer);
    let text = "Date: Fri, 08 Aug 2025 12:34:56 UTC\nMD5Sum:\n 0123 1 Packages\n";
    std::fs::write(dir.path().join("InRelease"), signer.sign(text, NOW - DAY)).unwrap();
    let error = SHAPES[4].ask(dir.path(), &ring(&signer)).unwrap_err().to_string();
    assert!(error.contains("the stanza has no `SHA256`"), "{error}");
}
