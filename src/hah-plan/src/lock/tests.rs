use super::*;
use crate::artifact::VendorKey;
use crate::debian::archive::Index;
use crate::debian::relation::Alternatives;
use crate::plan::keys;
use crate::resolve::{Asker, Chosen, Need, Request};
use crate::system::{Expiry, Suite, SuiteUse};

/// Locks with the digest that the resolution's request has.
trait Resolved {
    fn resolved(&self, answer: &Resolution, releases: &[VerifiedRelease]) -> Result<Lock, LockError>;
}

impl Resolved for Lock {
    fn resolved(&self, answer: &Resolution, releases: &[VerifiedRelease]) -> Result<Lock, LockError> {
        self.with_image(answer, keys::request(&answer.request), releases)
    }
}

/// Packages are lines of `name version [<asker,…] [relation->package …]`.
fn resolution(image: &str, architecture: Architecture, lines: &str) -> Resolution {
    let suite = |name: &str| Suite {
        name: name.to_owned(),
        archive: Archive::Debian,
        components: vec!["main".to_owned()],
        expired: Expiry::Refuse,
        use_for: SuiteUse::Default,
        recipe: "base".to_owned(),
    };
    let request = Request {
        image: image.to_owned(),
        architecture,
        suites: vec![suite("trixie"), suite("trixie-security")],
        archives: Vec::new(),
        packages: Vec::new(),
        provided: BTreeMap::new(),
    };
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        let stanza = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nFilename: pool/main/{name}_{version}_{architecture}.deb\n\
             Size: {}\nSHA256: {}\n",
            line.len(),
            Sha256::of(format!("{name} {version} {architecture}").as_bytes()),
        );
        let mut chosen = Chosen {
            candidate: Index::scan(&stanza).unwrap().entries[0].candidate().unwrap(),
            suite: "trixie".to_owned(),
            archive: Archive::Debian,
            asked: Vec::new(),
            needs: Vec::new(),
            suite_reason: None,
        };
        for word in words {
            if let Some(askers) = word.strip_prefix('<') {
                let asker = |name: &str| match name {
                    "essential" => Asker::Essential,
                    name => Asker::Recipe(name.replace('_', " ")),
                };
                chosen.asked = askers.split(',').map(asker).collect();
            } else {
                let (relation, package) = word.split_once("->").unwrap_or((word, word));
                let alternatives: Alternatives = relation.parse().unwrap();
                let package = package.parse().unwrap();
                chosen.needs.push(Need { field: DependencyField::Depends, alternatives, package });
            }
        }
        chosen
    };
    Resolution { request, packages: lines.lines().map(package).collect(), stand_ins: BTreeMap::new() }
}

fn releases(date: i64) -> Vec<VerifiedRelease> {
    let release = |(suite, date): (&str, i64)| VerifiedRelease {
        key: "A".repeat(40),
        suite: suite.to_owned(),
        inrelease: Sha256::of(format!("{suite} {date}").as_bytes()),
        date,
    };
    [("trixie", 1_789_199_741), ("trixie-security", date)].map(release).to_vec()
}

const DATE: i64 = 1_795_222_383;
const LAB: &str = "libc6 2.41 <essential\nsystemd 257 <base,board_virt libc6 bus|dbus->dbus\ndbus 1.16 libc6 systemd";

fn lab() -> Lock {
    Lock::default().resolved(&resolution("lab", Architecture::Arm64, LAB), &releases(DATE)).unwrap()
}

const FINGERPRINT: &str = "C874011F0AB405110D02105534365D9472D7468F";

fn artifact(name: &str) -> LockedArtifact {
    LockedArtifact {
        name: name.to_owned(),
        version: "1.0".to_owned(),
        url: Some(format!("https://example.org/{name}.zip")),
        size: 10,
        sha256: Sha256::of(name.as_bytes()),
        trust: Trust::Signed { key: "hashicorp".to_owned(), fingerprint: FINGERPRINT.to_owned() },
        images: BTreeSet::new(),
        why: BTreeSet::from([format!("recipe {name}")]),
    }
}

#[test]
fn the_file_is_as_documented() {
    let lock = lab().with_artifacts("lab", vec![artifact("consul")]);
    insta::assert_snapshot!(lock, @r#"
    # The inputs of every image, pinned. Written by `hah-image lock`: commit it, do not edit it.
    version = 1

    [[archive]]
    suite = "trixie"
    archive = "debian"
    date = 2026-09-12T07:55:41Z
    inrelease = "fb60bdc3503d817f052a04b1a76decdfdc664964830943a6295dbc87785a4281"
    images = ["lab"]

    [[archive]]
    suite = "trixie-security"
    archive = "debian"
    date = 2026-11-21T00:53:03Z
    inrelease = "5c0f40f864f0d4c6076568b709b5ba82e637386cf3c05b90548ea9c7ebb9ade4"
    images = ["lab"]

    [[image]]
    name = "lab"
    architecture = "arm64"
    request = "b35d190d98d027c1bc007b479fb455672e67cd272ad331ffd4b226c283e0a3d0"
    epoch = 2026-11-21T00:53:03Z
    askers = ["board virt", "essential", "recipe base"]

    [[package]]
    name = "dbus"
    version = "1.16"
    architecture = "arm64"
    suite = "trixie"
    archive = "debian"
    path = "pool/main/dbus_1.16_arm64.deb"
    size = 23
    sha256 = "be29ea25baac90ad32ae2fc435e4c1a9764f52b156f21b643dfcb42d273a5d34"
    images = ["lab"]
    needs = [
      "Depends: libc6",
      "Depends: systemd",
    ]

    [[package]]
    name = "libc6"
    version = "2.41"
    architecture = "arm64"
    suite = "trixie"
    archive = "debian"
    path = "pool/main/libc6_2.41_arm64.deb"
    size = 21
    sha256 = "8aef00483dd15e7f1211d08d7ad1dc05b73e083ba775b2f8f91c0d4f0022355c"
    images = ["lab"]
    why = ["essential"]

    [[package]]
    name = "systemd"
    version = "257"
    architecture = "arm64"
    suite = "trixie"
    archive = "debian"
    path = "pool/main/systemd_257_arm64.deb"
    size = 49
    sha256 = "a7d8b62b7d97554eb8b69b150c78a8afbd4e559a43eb9d732a11b0294ce72fcb"
    images = ["lab"]
    why = ["board virt", "recipe base"]
    needs = [
      "Depends: bus | dbus -> dbus",
      "Depends: libc6",
    ]

    [[artifact]]
    name = "consul"
    version = "1.0"
    url = "https://example.org/consul.zip"
    size = 10
    sha256 = "b713f0bd8f48dfad2263cabc455ade78f7e4e99a548101f31f935686dff67124"
    verify = "openpgp"
    signature = "hashicorp C874011F0AB405110D02105534365D9472D7468F"
    images = ["lab"]
    why = ["recipe consul"]
    "#);
    assert_eq!(Lock::parse(&lock.to_string()).unwrap(), lock);
    assert_eq!(Lock::parse(&lock.to_string()).unwrap().to_string(), lock.to_string());
}

#[test]
fn strings_are_quoted() {
    let mut odd = artifact("a");
    odd.version = "\"\\ \u{1}\n\u{7f} é".to_owned();
    let lock = lab().with_artifacts("lab", vec![odd]);
    assert_eq!(Lock::parse(&lock.to_string()).unwrap(), lock);
}

#[test]
fn images_share_stanzas_and_leave_no_trace() {
    let zero = resolution("zero", Architecture::Arm64, "libc6 2.41 <zero_only\nnano 8 <base libc6");
    let one = lab();
    let both = one.resolved(&zero, &releases(DATE + 5)).unwrap();
    assert_eq!(Lock::parse(&both.to_string()).unwrap(), both);
    let libc6 = &both.packages()[1];
    assert_eq!(libc6.images.iter().collect::<Vec<_>>(), ["lab", "zero"]);
    assert_eq!(libc6.why.iter().collect::<Vec<_>>(), ["essential", "zero only"]);
    // One stanza for trixie, two for the security suite, which has moved on.
    assert_eq!(both.archives().len(), 3);
    assert_eq!(both.archives_of("zero").count(), 2);
    assert_eq!(both.image("zero").unwrap().epoch, 1_795_222_388);
    assert_eq!(both.without_image("zero"), one);
    assert_eq!(both.resolved(&zero, &releases(DATE + 5)).unwrap(), both);
    // The order in which images are locked does not show.
    let first = Lock::default().resolved(&zero, &releases(DATE + 5)).unwrap();
    let other = first.resolved(&resolution("lab", Architecture::Arm64, LAB), &releases(DATE)).unwrap();
    assert_eq!(other.to_string(), both.to_string());
}

#[test]
fn artifacts_stay_when_packages_are_locked_again() {
    let lock = lab().with_artifacts("lab", vec![artifact("consul"), artifact("nomad")]);
    let again = lock.resolved(&resolution("lab", Architecture::Arm64, LAB), &releases(DATE)).unwrap();
    assert_eq!(again, lock);
    assert_eq!(lock.with_artifacts("lab", vec![artifact("nomad")]).artifacts_of("lab").count(), 1);
    assert_eq!(lock.without_image("lab"), Lock::default());
}

/// An own build and a release that is not signed say so, and come back.
#[test]
fn unsigned_artifacts_say_so() {
    let own = LockedArtifact { url: None, trust: Trust::Unsigned(Method::Sha256), ..artifact("nomad") };
    let sums = LockedArtifact { trust: Trust::Unsigned(Method::Sha256Sums), ..artifact("prometheus") };
    let lock = lab().with_artifacts("lab", vec![own, sums]);
    let text = lock.to_string();
    insta::assert_snapshot!(text[text.find("[[artifact]]").unwrap()..], @r#"
    [[artifact]]
    name = "nomad"
    version = "1.0"
    size = 10
    sha256 = "b684e5a7d5767cce17964ffa279952b91971d22dcafa7a9c17097d77a4135544"
    verify = "sha256"
    signature = "unsigned"
    images = ["lab"]
    why = ["recipe nomad"]

    [[artifact]]
    name = "prometheus"
    version = "1.0"
    url = "https://example.org/prometheus.zip"
    size = 10
    sha256 = "1809f7cd0c75acf34f56d8c19782b99c6b5fcd14128a3cc79aca38a4f94af3ff"
    verify = "sha256sums"
    signature = "unsigned"
    images = ["lab"]
    why = ["recipe prometheus"]
    "#);
    assert_eq!(Lock::parse(&text).unwrap(), lock);
}

#[test]
fn artifacts_answer_what_they_were_locked_for() {
    let key = VendorKey::Embedded("hashicorp".to_owned());
    let (checksums, signature) = ("https://example.org/sums".to_owned(), "https://example.org/sums.sig".to_owned());
    let wanted = Artifact {
        name: "nomad".to_owned(),
        version: "1.0".to_owned(),
        url: Some("https://example.org/nomad.zip".to_owned()),
        mirror: None,
        verify: Verify::OpenPgp { checksums: checksums.clone(), signature, key },
        format: crate::artifact::Format::Zip,
        install: Vec::new(),
        recipe: "nomad".to_owned(),
    };
    let locked = artifact("nomad");
    assert!(locked.answers(&wanted));
    let change = |change: &dyn Fn(&mut Artifact)| {
        let mut changed = wanted.clone();
        change(&mut changed);
        locked.answers(&changed)
    };
    assert!(change(&|artifact| artifact.mirror = Some("hashicorp".to_owned())), "a mirror is nobody's business");
    assert!(!change(&|artifact| artifact.version = "1.1".to_owned()));
    assert!(!change(&|artifact| artifact.url = None));
    assert!(!change(&|artifact| artifact.recipe = "other".to_owned()));
    assert!(!change(&|artifact| artifact.verify = Verify::Sha256Sums { checksums: checksums.clone() }));
    assert!(!change(&|artifact| artifact.verify = Verify::Sha256(locked.sha256)));
    let own = LockedArtifact { trust: Trust::Unsigned(Method::Sha256), ..locked.clone() };
    assert!(own.answers(&Artifact { verify: Verify::Sha256(own.sha256), ..wanted.clone() }));
    assert!(!own.answers(&Artifact { verify: Verify::Sha256(Sha256::of(b"other")), ..wanted.clone() }));
    let lock = lab().with_artifacts("lab", vec![locked]);
    assert!(lock.has_artifacts("lab", std::slice::from_ref(&wanted)));
    assert!(!lock.has_artifacts("lab", &[]) && !lock.has_artifacts("zero", &[wanted]));
}

#[test]
fn images_share_artifacts() {
    let zero = resolution("zero", Architecture::Arm64, "libc6 2.41");
    let both = lab().resolved(&zero, &releases(DATE)).unwrap();
    let both = both.with_artifacts("lab", vec![artifact("consul")]).with_artifacts("zero", vec![artifact("consul")]);
    assert_eq!(both.artifacts().len(), 1);
    assert_eq!(both.artifacts()[0].images.len(), 2);
    let newer = LockedArtifact { version: "1.1".to_owned(), sha256: Sha256::of(b"1.1"), ..artifact("consul") };
    let apart = both.with_artifacts("lab", vec![newer]);
    assert_eq!(apart.artifacts().len(), 2);
    assert_eq!(Lock::parse(&apart.to_string()).unwrap(), apart);
    assert_eq!(apart.without_image("lab").artifacts().len(), 1);
}

#[test]
fn artifacts_in_why_tree_and_diff() {
    let own = LockedArtifact { url: None, trust: Trust::Unsigned(Method::Sha256), ..artifact("nomad") };
    let base = LockedArtifact { why: BTreeSet::from(["recipe base".to_owned()]), ..artifact("consul") };
    let lock = lab().with_artifacts("lab", vec![base, own]);
    let why = |name: &str| lock.why_artifact(name).iter().map(|reason| format!("{reason}\n")).collect::<String>();
    insta::assert_snapshot!(why("consul"), @"consul 1.0 (image lab): recipe base has it as an artifact, signed by hashicorp (C874011F0AB405110D02105534365D9472D7468F)");
    insta::assert_snapshot!(why("nomad"), @"nomad 1.0 (image lab): recipe nomad has it as an artifact, unsigned: only the recipe's digest vouches for it");
    assert_eq!(why("vault"), "");
    insta::assert_snapshot!(lock.tree("lab", 0).unwrap(), @"
    board virt
    └── systemd 257
    essential
    └── libc6 2.41
    recipe base
    ├── systemd 257
    └── consul (artifact) 1.0
    recipe nomad
    └── nomad (artifact) 1.0
    ");
    let mut other = artifact("nomad");
    other.version = "1.1".to_owned();
    let next = lock.with_artifacts("lab", vec![other, artifact("vault")]);
    let changes: String = diff_artifacts(&lock, &next).iter().map(|change| format!("{change}\n")).collect();
    insta::assert_snapshot!(changes, @"
    - consul 1.0, signed by hashicorp (lab)
    ~ nomad 1.0, unsigned (sha256) -> 1.1, signed by hashicorp (lab)
    + vault 1.0, signed by hashicorp (lab)
    ");
}

#[test]
fn artifacts_that_cannot_be_read() {
    let text = lab().with_artifacts("lab", vec![artifact("nomad")]).to_string();
    let wrong = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Lock::parse(&text.replace(from, to)).unwrap_err().to_string()
    };
    insta::assert_snapshot!(wrong("verify = \"openpgp\"", "verify = \"trust me\""), @"hah.lock:74: `trust me` is no way to verify an artifact");
    insta::assert_snapshot!(wrong("verify = \"openpgp\"", "verify = \"sha256\""), @"hah.lock:75: `hashicorp C874011F0AB405110D02105534365D9472D7468F` is not `unsigned`");
    insta::assert_snapshot!(wrong("hashicorp C874", "hashicorp c874"), @"hah.lock:75: `hashicorp c874011F0AB405110D02105534365D9472D7468F` is not a key and its fingerprint");
    insta::assert_snapshot!(wrong("hashicorp C874", "C874"), @"hah.lock:75: `C874011F0AB405110D02105534365D9472D7468F` is not a key and its fingerprint");
    let stanza = &text[text.find("[[artifact]]").unwrap()..];
    let twice = format!("{text}\n{}", stanza.replace("1.0", "1.1"));
    insta::assert_snapshot!(Lock::parse(&twice).unwrap_err(), @"hah.lock:79: the image `lab` has two artifacts nomad");
}

#[test]
fn current_means_the_same_request() {
    let answer = resolution("lab", Architecture::Arm64, LAB);
    let digest = keys::request(&answer.request);
    assert!(lab().is_current_for("lab", &digest));
    assert!(!lab().is_current_for("lab", &Sha256::of(b"")));
    assert!(!lab().is_current_for("zero", &digest));
}

#[test]
fn versions_are_kept_by_image_then_by_architecture() {
    let lock = lab()
        .resolved(&resolution("next", Architecture::Arm64, "libc6 2.42\nnano 8"), &releases(DATE))
        .and_then(|lock| lock.resolved(&resolution("zero", Architecture::Armel, "dbus 99"), &releases(DATE)))
        .unwrap();
    let keep = |image: &str, update: &Update| {
        let keep = lock.keep(image, Architecture::Arm64, update);
        keep.iter().map(|(name, version)| format!("{name}={version}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keep("lab", &Update::Nothing), "dbus=1.16 libc6=2.41 nano=8 systemd=257");
    assert_eq!(keep("new", &Update::Nothing), "dbus=1.16 libc6=2.42 nano=8 systemd=257");
    let some = Update::Packages(["libc6", "nano"].map(|name| name.parse().unwrap()).into());
    assert_eq!(keep("lab", &some), "dbus=1.16 systemd=257");
    assert_eq!(keep("lab", &Update::Everything), "");
}

#[test]
fn why_and_tree_read_the_graph() {
    let lock = lab();
    let why = |name: &str| {
        let chains = lock.why(&name.parse().unwrap());
        chains.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(why("libc6"), @"
    libc6 2.41 (image lab): board virt asks for systemd
      systemd Depends: libc6
    libc6 2.41 (image lab): libc6 is essential
    libc6 2.41 (image lab): recipe base asks for systemd
      systemd Depends: libc6
    ");
    insta::assert_snapshot!(why("dbus"), @"
    dbus 1.16 (image lab): board virt asks for systemd
      systemd Depends: bus | dbus -> dbus
    dbus 1.16 (image lab): recipe base asks for systemd
      systemd Depends: bus | dbus -> dbus
    ");
    assert_eq!(why("nano"), "");
    insta::assert_snapshot!(lock.tree("lab", usize::MAX).unwrap(), @"
    board virt
    └── systemd 257
        ├── dbus 1.16
        │   ├── libc6 2.41
        │   └── systemd 257 (*)
        └── libc6 2.41
    essential
    └── libc6 2.41
    recipe base
    └── systemd 257 (*)
    ");
    insta::assert_snapshot!(lock.tree("lab", 0).unwrap(), @"
    board virt
    └── systemd 257
    essential
    └── libc6 2.41
    recipe base
    └── systemd 257
    ");
    assert_eq!(lock.tree("zero", 1), None);
}

#[test]
fn diff_lists_what_changed() {
    let new = "libc6 2.40 <essential\nsystemd 258 <base libc6\nnano 8 <base libc6";
    let new = lab().resolved(&resolution("lab", Architecture::Arm64, new), &releases(DATE)).unwrap();
    let lines: Vec<String> = diff(&lab(), &new).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    - dbus 1.16 (lab)
    v libc6 2.41 -> 2.40 (lab)
    + nano 8 (lab)
    ^ systemd 257 -> 258 (lab)
    ");
    assert_eq!(diff(&new, &new), []);
    let replaced = lab().to_string().replace("date = 2026-09-12", "date = 2026-09-13");
    assert_eq!(diff(&lab(), &Lock::parse(&replaced).unwrap()), []);
}

#[test]
fn damage_names_the_line() {
    let good = lab().to_string();
    let package = good.find("[[package]]").unwrap();
    let line = |needle: &str| good[..good.find(needle).unwrap()].matches('\n').count() + 1;
    let twice = format!("{good}\n{}", &good[package..]);
    let table = [
        (good.replace("version = 1\n", "version = 2\n"), None, "has version 2"),
        (good.replace("version = 1\n", "version = 0\n"), Some(1), "never was"),
        (good.replace("version = 1\n", ""), Some(1), "missing field `version`"),
        (good.replace("path = ", "pth = "), Some(line("path = ")), "unknown field `pth`"),
        (good.replacen("size = ", "size = -", 1), Some(line("size = ")), "invalid value"),
        (good.replacen("\nsha256 = \"", "\nsha256 = \"x", 1), Some(line("sha256 = ")), "SHA-256"),
        (good.replacen("pool/main", "pool/..", 1), Some(line("path = ")), "leaves the archive"),
        (
            good.replacen("\"Depends: libc6\"", "\"Suggests: libc6\"", 1),
            Some(line("Depends: libc6")),
            "is not `Depends",
        ),
        (good.replacen("date = 2026-09-12T07:55:41Z", "date = 2026-09-12", 1), Some(line("date = ")), "in UTC"),
        (
            good.replacen("date = 2026-09-12T07:55:41Z", "date = 2026-09-12T07:55:41+02:00", 1),
            Some(line("date = ")),
            "in UTC",
        ),
        (
            good.replacen("images = [\"lab\"]", "images = [\"zero\"]", 1),
            Some(line("[[archive]]")),
            "no [[image]] `zero`",
        ),
        (good.replacen("images = [\"lab\"]", "images = []", 1), Some(line("[[archive]]")), "no image uses"),
        (
            good.replacen("suite = \"trixie\"", "suite = \"sid\"", 1),
            Some(line("[[package]]")),
            "no [[archive]] for trixie",
        ),
        (good.replacen("archive = \"debian\"", "archive = \"ubuntu\"", 1), Some(line("archive = ")), "unknown archive"),
        (
            good.replace("name = \"lab\"\narchitecture = \"arm64\"", "name = \"lab\"\narchitecture = \"armel\""),
            Some(line("[[package]]")),
            "dbus is arm64",
        ),
        (twice, Some(good.matches('\n').count() + 2), "two packages dbus"),
        (good.replacen("[[package]]", "<<<<<<< HEAD\n[[package]]", 1), Some(line("[[package]]")), "merge conflict"),
        ("\u{0}".to_owned(), Some(1), ""),
        (String::new(), Some(1), "version"),
    ];
    for (text, line, want) in table {
        assert_ne!(text, good, "{want}");
        let error = Lock::parse(&text).unwrap_err();
        let found = match &error {
            LockError::Text { line, .. } => Some(*line),
            _ => None,
        };
        assert_eq!(found, line, "{error}");
        assert!(error.to_string().contains(want), "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn a_resolution_needs_its_releases() {
    let answer = resolution("lab", Architecture::Arm64, LAB);
    let error = Lock::default().resolved(&answer, &releases(DATE)[..1]).unwrap_err();
    assert_eq!(error.to_string(), "the image `lab` was resolved from trixie-security, whose release was not handed in");
    assert!(matches!(Lock::default().resolved(&answer, &releases(-1)), Err(LockError::Date { date: -1, .. })));
    assert!(matches!(Lock::default().resolved(&answer, &releases(1 << 32)), Err(LockError::Date { .. })));
}

#[test]
fn the_lock_says_why_a_package_is_from_a_suite_that_is_not_automatic() {
    let mut answer =
        resolution("lab", Architecture::Arm64, "kernel 7 <base linux-base linux-7\nlinux-7 7\nlinux-base 5");
    for package in &mut answer.packages {
        package.suite = "trixie-security".to_owned();
    }
    answer.packages[1].suite_reason = Some(SuiteReason::Only);
    answer.packages[2].suite_reason = Some(SuiteReason::For {
        dependant: "kernel".parse().unwrap(),
        field: DependencyField::Depends,
        relation: "linux-base (>= 4~) | other".to_owned(),
    });
    let lock = lab().resolved(&answer, &releases(DATE)).unwrap();
    let text = lock.to_string();
    assert!(text.contains("suite-why = [\n  \"no other suite has it\",\n]"), "{text}");
    assert!(text.contains("suite-why = [\n  \"kernel Depends: linux-base (>= 4~) | other\",\n]"), "{text}");
    assert_eq!(Lock::parse(&text).unwrap(), lock);
    assert!(Lock::parse(&text.replace("kernel Depends: ", "kernel Recommends: ")).is_err());
    let changes: Vec<String> = diff(&lab(), &lock).iter().map(ToString::to_string).collect();
    let told = "+ linux-base 5 from trixie-security: kernel Depends: linux-base (>= 4~) | other (lab)";
    assert!(changes.iter().any(|change| change == told), "{changes:?}");
    let why = lock.why(&"linux-base".parse().unwrap())[0].to_string();
    assert!(why.ends_with("\n  from trixie-security: kernel Depends: linux-base (>= 4~) | other"), "{why}");
    // The reason goes with the image that had it.
    assert!(!lock.without_image("lab").to_string().contains("suite-why"));
}
