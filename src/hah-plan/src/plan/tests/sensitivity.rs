//! What reaches which key: a table of changes, and the kinds of steps whose keys follow.

use super::*;
use crate::nomad_job::JobError;
use crate::system::NomadJobSpec;

/// What is planned, with everything that may change.
struct Case {
    system: System,
    cluster: String,
    reviews: Sha256,
    agent: Sha256,
    lock: String,
}

impl Case {
    fn new() -> Self {
        let system = load("first", &[]);
        let (reviews, agent) = (Sha256::of(b"reviews"), Sha256::of(b"agent"));
        Self { system, cluster: "home".to_owned(), reviews, agent, lock: lock(&["first"], PACKAGES).to_string() }
    }

    /// The keys of each kind.
    fn keys(&self) -> BTreeMap<&'static str, BTreeSet<Key>> {
        let Self { system, cluster, reviews, agent, lock } = self;
        let surroundings = Some(Surroundings { cluster, reviews: *reviews, agent: *agent });
        let wanted = Wanted { system, surroundings };
        let plan = plan(&[wanted], &Lock::parse(lock).unwrap()).unwrap();
        let mut keys: BTreeMap<&'static str, BTreeSet<Key>> = BTreeMap::new();
        for step in plan.steps() {
            keys.entry(step.kind.as_str()).or_default().insert(step.key);
        }
        keys
    }
}

/// The kinds whose keys `change` changes.
#[track_caller]
fn check(what: &str, change: impl FnOnce(&mut Case), want: &[&str]) {
    let before = Case::new().keys();
    let mut case = Case::new();
    change(&mut case);
    let after = case.keys();
    let changed: Vec<&str> =
        before.iter().filter(|(kind, keys)| after[*kind] != **keys).map(|(kind, _)| *kind).collect();
    assert_eq!(changed, want, "{what}");
}

#[test]
fn what_reaches_which_key() {
    check("nothing", |_| {}, &[]);
    check("a file's bytes", |case| case.system.files[0].bytes.push(b'x'), &["image"]);
    check("a file's mode", |case| case.system.files[0].mode ^= 1, &["image"]);
    check("the summary", |case| case.system.summary.push('x'), &["image"]);
    check("the cluster", |case| case.cluster.push('x'), &["image"]);
    check("the reviews", |case| case.reviews = Sha256::of(b"others"), &["image"]);
    check("the agent", |case| case.agent = Sha256::of(b"another"), &["image"]);
    check("the epoch", |case| case.lock = case.lock.replace("15:06:40", "15:06:41"), &["image"]);
    check("the boot partition", |case| case.system.boot_bytes += 512, &["image"]);
    check(
        "who signed",
        |case| {
            let signed = "verify = \"openpgp\"\nsignature = \"hashicorp C874011F0AB405110D02105534365D9472D7468F\"";
            case.lock = case.lock.replace("verify = \"sha256\"\nsignature = \"unsigned\"", signed);
            case.system.artifacts[0].verify = crate::artifact::Verify::OpenPgp {
                checksums: String::new(),
                signature: String::new(),
                key: crate::artifact::VendorKey::Embedded("hashicorp".to_owned()),
            };
        },
        &["image"],
    );
    let job = |on_node| NomadJobSpec { name: "job".to_owned(), on_node, recipe: "toy".to_owned() };
    check("a job", |case| case.system.nomad_jobs.push(job(None)), &["image"]);
    // The manifest tells why a job is left to Nomad.
    let reason = |message: &str| JobError { line: 1, message: message.to_owned(), hint: None };
    let case = |message| {
        let mut case = Case::new();
        case.system.nomad_jobs.push(job(Some(reason(message))));
        case.keys()
    };
    assert_ne!(case("one")["image"], case("other")["image"]);
    check(
        "the kernel's path",
        |case| case.system.board.kernel.image = "/boot/Image-VERSION".parse().unwrap(),
        &["image", "kernel"],
    );
    let other_package = |name: &'static str| {
        move |case: &mut Case| {
            let line = PACKAGES.lines().find(|line| line.starts_with(name)).unwrap();
            let (old, new) = (Sha256::of(line.as_bytes()), Sha256::of(b"other"));
            case.lock = case.lock.replace(&old.to_string(), &new.to_string());
        }
    };
    check("a package", other_package("toy-tool"), &["fetch", "image", "pack"]);
    check("the kernel's package", other_package("linux-image-6.0"), &["fetch", "image", "kernel", "pack"]);
    check("manual pages", |case| case.system.removes.clear(), &["image", "kernel", "pack"]);
    check(
        "an artifact",
        |case| {
            case.lock = case.lock.replace(&"1".repeat(64), &"2".repeat(64));
            case.system.artifacts[0].verify = crate::artifact::Verify::Sha256("2".repeat(64).parse().unwrap());
        },
        &["artifact", "fetch", "image"],
    );
    check("an artifact's format", |case| case.system.artifacts[0].format = Format::Zip, &["artifact", "image"]);
    check("a member of it", |case| case.system.artifacts[0].install[0].mode = 0o700, &["image"]);
}

#[test]
fn what_reaches_no_key() {
    check("the mirror", |case| case.system.artifacts[0].mirror = Some("x".to_owned()), &[]);
    check("a package's path", |case| case.lock = case.lock.replace("pool/", "moved/"), &[]);
    check("the board's summary", |case| case.system.board.summary.push('x'), &[]);
    check("machines to run it", |case| case.system.board.machines.clear(), &[]);
}

/// What a derived file's key is of.
#[test]
fn derived_files_follow_what_they_read() {
    let key = |files: DerivedFiles, tool: &str, seen: &[(&str, Option<&[u8]>)]| {
        let mut key = keys::DerivedKey::new(files, tool);
        for (path, bytes) in seen {
            key.file(path, bytes.map(Sha256::of));
        }
        key.finish().key
    };
    let index = || DerivedFiles::ModuleIndex("6.0".to_owned());
    let base = key(index(), "1", &[("a", Some(b"x"))]);
    let others = [
        key(DerivedFiles::HardwareDatabase, "1", &[("a", Some(b"x"))]),
        key(DerivedFiles::ModuleIndex("6.1".to_owned()), "1", &[("a", Some(b"x"))]),
        key(index(), "2", &[("a", Some(b"x"))]),
        key(index(), "1", &[("b", Some(b"x"))]),
        key(index(), "1", &[("a", Some(b"y"))]),
        key(index(), "1", &[("a", None)]),
        key(index(), "1", &[]),
    ];
    assert!(others.iter().all(|other| *other != base), "{others:?}");
    assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len());
}
