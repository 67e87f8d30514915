//! The passes against the tools that they replace: on small trees always, on the packages of `HAH_TEST_DEBS` when it is set.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read packages from disk and ask foreign tools"
)]

use std::collections::BTreeMap;
use std::io::Read;

use hah_format::deb::{self, Entry, Limits, Visitor};
use hah_format::elf::{self, ElfFacts};
use hah_format::kmod::{self, ModuleFacts};

use super::*;
use crate::debian::{Architecture, PackageName};
use crate::merge::{self, Ingredients};
use crate::scripts::closure::{Scratch, bare_system, oracle, table};

const EPOCH: u32 = 1_767_225_600;

/// Whole files and what is known of them.
#[derive(Default)]
struct Files {
    bytes: BTreeMap<Sha256, Vec<u8>>,
    elf: BTreeMap<Sha256, ElfFacts>,
    modules: BTreeMap<Sha256, ModuleFacts>,
}

impl Files {
    fn store(&mut self, name: &str, bytes: Vec<u8>) -> Content {
        let (sha256, size) = (Sha256::of(&bytes), bytes.len() as u64);
        if let Some(facts) = kmod::inspect(name, &bytes) {
            self.modules.insert(sha256, facts);
        } else if let Some(facts) = elf::inspect(&bytes) {
            self.elf.insert(sha256, facts);
        }
        self.bytes.insert(sha256, bytes);
        Content::Stored { sha256, size }
    }
}

impl Contents for Files {
    fn read(&self, sha256: &Sha256) -> Result<Vec<u8>, ContentsError> {
        self.bytes.get(sha256).cloned().ok_or_else(|| ContentsError { sha256: *sha256, reason: "not kept".to_owned() })
    }
    fn elf(&self, sha256: &Sha256) -> Option<&ElfFacts> {
        self.elf.get(sha256)
    }
    fn module(&self, sha256: &Sha256) -> Option<&ModuleFacts> {
        self.modules.get(sha256)
    }
}

struct Unpack<'a> {
    control: BTreeMap<String, Vec<u8>>,
    tree: Root,
    files: &'a mut Files,
}

impl Visitor for Unpack<'_> {
    fn control(&mut self, name: &str, bytes: Vec<u8>) -> std::io::Result<()> {
        self.control.insert(name.to_owned(), bytes);
        Ok(())
    }

    fn entry(&mut self, entry: Entry, content: &mut dyn Read) -> std::io::Result<()> {
        let kind = match entry.kind {
            Kind::File(_) => {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes)?;
                // The machine's own ldconfig reads no libraries of other machines; nothing else looks at this.
                if bytes.starts_with(b"\x7fELF\x02") && bytes[18] == 183 && !entry.path.name().contains(".ko") {
                    bytes[18] = 62;
                }
                Kind::File(self.files.store(entry.path.as_str(), bytes))
            }
            Kind::Symlink(target) => Kind::Symlink(target),
            Kind::HardLink(target) => Kind::HardLink(target),
            _ => Kind::Dir,
        };
        self.tree.insert(entry.path, Node { meta: entry.meta, kind }).unwrap();
        Ok(())
    }
}

/// All packages of `HAH_TEST_DEBS`, in order of name.
fn closure() -> Option<(Vec<UnpackedPackage>, Files)> {
    let Ok(dir) = std::env::var("HAH_TEST_DEBS") else {
        assert!(std::env::var_os("HAH_REQUIRE_ORACLES").is_none(), "HAH_TEST_DEBS names no directory of packages");
        println!("skipped: HAH_TEST_DEBS names no directory of packages");
        return None;
    };
    let (mut packages, mut files) = (Vec::new(), Files::default());
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|suffix| suffix != "deb") {
            continue;
        }
        let mut unpack = Unpack { control: BTreeMap::new(), tree: Root::new(), files: &mut files };
        deb::read(&std::fs::read(&path).unwrap()[..], &Limits::default(), &mut unpack).unwrap();
        let (control, tree) = (unpack.control, unpack.tree);
        let text = String::from_utf8(control["control"].clone()).unwrap();
        let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
        packages.push(UnpackedPackage {
            name: field("Package:").parse::<PackageName>().unwrap(),
            version: field("Version:").parse().unwrap(),
            architecture: field("Architecture:").parse::<Architecture>().unwrap(),
            control,
            tree,
        });
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Some((packages, files))
}

/// What a target borrows.
struct Bench {
    packages: Vec<UnpackedPackage>,
    files: Files,
    reviews: ReviewTable,
    system: System,
    image: ImageIdentity,
}

impl Bench {
    fn new(packages: Vec<UnpackedPackage>, files: Files) -> Self {
        let reviews = table();
        let image = ImageIdentity {
            name: "lab".to_owned(),
            version: "13.7".to_owned(),
            id: Sha256::of(b""),
            disk: DiskId::Mbr(0x1234_abcd),
        };
        Self { packages, files, reviews, system: bare_system(), image }
    }

    fn target(&self) -> Target<'_> {
        let diversions = crate::scripts::diversions(&self.packages, &self.files, &self.reviews);
        let ingredients = Ingredients {
            packages: &self.packages,
            diversions: &diversions,
            removes: &self.system.removes,
            artifacts: &[],
            placed: &merge::placements(&self.system),
        };
        let merged = merge::merge(ingredients).unwrap_or_else(|error| panic!("{error}\n{}", error.hint()));
        Target {
            root: merged.root,
            provenance: merged.provenance,
            packages: &self.packages,
            system: &self.system,
            effects: Effects { ids: self.reviews.ids.clone(), ..Effects::default() },
            reviews: &self.reviews,
            contents: &self.files,
            image: &self.image,
            epoch: EPOCH,
        }
    }
}

fn tree(target: &Target<'_>, name: &str, prefixes: &[&str]) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.unpack(target, |path| {
        prefixes.iter().any(|prefix| path == *prefix || path.starts_with(&format!("{prefix}/")))
    });
    scratch
}

fn bytes_of(target: &Target<'_>, at: &str) -> Vec<u8> {
    target.read(&path(at).unwrap()).unwrap().unwrap_or_else(|| panic!("there is no {at}"))
}

#[test]
fn the_closure_is_configured_as_debian_would() {
    let Some((packages, files)) = closure() else { return };
    let bench = Bench::new(packages, files);
    let plain = bench.target();
    let mut target = bench.target();
    for pass in PASSES {
        let start = std::time::Instant::now();
        run(pass, &mut target).unwrap_or_else(|error| panic!("{error}\n{}", error.hint()));
        println!("{:12} {:>6} ms, {} nodes", pass.name, start.elapsed().as_millis(), target.root.len());
    }

    let scratch = tree(&plain, "depmod", &["usr/lib/modules", "lib"]);
    let kernel = plain.root.entries(&path("usr/lib/modules").unwrap()).next().unwrap().0.name().to_owned();
    if oracle("depmod", &["-b", scratch.path(), &kernel]) {
        for (at, theirs) in scratch.listing(&format!("usr/lib/modules/{kernel}")) {
            if at.contains("/modules.") && !at.ends_with(".bin") {
                let ours = String::from_utf8_lossy(&bytes_of(&target, &at)).into_owned();
                assert!(ours == theirs, "{at} differs from depmod's");
            }
        }
    }

    let scratch = tree(&plain, "ldconfig", &["usr/lib", "lib", "etc/ld.so.conf", "etc/ld.so.conf.d"]);
    std::fs::create_dir_all(format!("{}/usr/local/lib", scratch.path())).unwrap();
    if oracle("ldconfig", &["-X", "-r", scratch.path()]) {
        compare_caches(
            &bytes_of(&target, "etc/ld.so.cache"),
            &std::fs::read(format!("{}/etc/ld.so.cache", scratch.path())).unwrap(),
        );
    }

    let scratch = tree(&plain, "ca", &["usr/share/ca-certificates", "etc/ssl/certs"]);
    scratch.write("etc/ca-certificates.conf", bytes_of(&target, "etc/ca-certificates.conf"));
    std::fs::create_dir_all(format!("{}/usr/local/share/ca-certificates", scratch.path())).unwrap();
    let within = |at: &str| format!("{}/{at}", scratch.path());
    let directories = [
        ("--certsconf", within("etc/ca-certificates.conf")),
        ("--certsdir", within("usr/share/ca-certificates")),
        ("--localcertsdir", within("usr/local/share/ca-certificates")),
        ("--etccertsdir", within("etc/ssl/certs")),
        ("--hooksdir", String::new()),
    ];
    let arguments: Vec<&str> = directories.iter().flat_map(|(option, value)| [*option, value]).collect();
    if oracle("update-ca-certificates", &arguments) {
        let theirs = scratch.listing("etc/ssl/certs");
        let ours = tree(&target, "our-ca", &["etc/ssl/certs"]).listing("etc/ssl/certs");
        assert!(ours.keys().eq(theirs.keys()), "names in /etc/ssl/certs");
        for (at, to) in &theirs {
            let to = to.replace(scratch.path(), "");
            assert!(ours[at] == to, "{at}: ours {}, theirs {to}", ours[at]);
        }
    }

    let directory = path("usr/lib/udev/hwdb.d").unwrap();
    let files = plain.root.entries(&directory).map(|(at, _)| (at.name().to_owned(), plain.read(at).unwrap().unwrap()));
    hwdb::tests::check(&files.collect::<Vec<_>>(), "hwdb-closure");

    let scratch = tree(&plain, "catalog-closure", &["usr/lib/systemd/catalog"]);
    if oracle("journalctl", &["--root", scratch.path(), "--update-catalog"]) {
        let database = "var/lib/systemd/catalog/database";
        let theirs = std::fs::read(format!("{}/{database}", scratch.path())).unwrap();
        assert!(bytes_of(&target, database) == theirs, "the catalog differs from journalctl's");
    }

    let scratch = tree(&target, "dpkg", &["var/lib/dpkg"]);
    let admin = format!("--admindir={}/var/lib/dpkg", scratch.path());
    if oracle("dpkg", &[&admin, "--audit"]) {
        let listed = std::process::Command::new("dpkg-query")
            .args([&admin, "-W", "-f", "${Package} ${Version} ${Status}\n"])
            .output();
        let want: String = bench
            .packages
            .iter()
            .map(|package| format!("{} {} install ok installed\n", package.name, package.version))
            .collect();
        let listed = listed.unwrap();
        assert_eq!(String::from_utf8(listed.stderr).unwrap(), "");
        assert_eq!(String::from_utf8(listed.stdout).unwrap(), want);
        let found = std::process::Command::new("dpkg-query").args([&admin, "-S", "/usr/bin/bash"]).output().unwrap();
        assert_eq!(String::from_utf8(found.stdout).unwrap(), "bash:arm64: /usr/bin/bash\n");
    }
}

/// Equal but for the version of glibc that signs them.
fn compare_caches(ours: &[u8], theirs: &[u8]) {
    let signed = |cache: &[u8]| {
        let at = cache.windows(10).rposition(|window| window == b"ldconfig (").unwrap();
        // The length of the signature stands before it.
        (cache[..at - 4].to_vec(), cache[at..].to_vec())
    };
    let ((ours, _), (theirs, signature)) = (signed(ours), signed(theirs));
    assert!(signature.starts_with(b"ldconfig (Debian GLIBC "));
    assert_eq!(ours.len(), theirs.len(), "sizes of the caches");
    let different = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    assert_eq!(different, None, "offset of the first difference");
}

/// A package with these inline files and links (`-> TARGET`).
fn package(name: &str, fields: &str, entries: &[(&str, &str)]) -> UnpackedPackage {
    let mut tree = Root::new();
    for (at, text) in entries {
        let node = match text.strip_prefix("-> ") {
            Some(target) => Node::symlink(target),
            None => Node::file(0o644, Content::inline(*text)),
        };
        tree.insert(path(at).unwrap(), node).unwrap();
    }
    let control = format!("Package: {name}\nVersion: 1.2-3\nArchitecture: arm64\n{fields}Description: test\n");
    UnpackedPackage {
        name: name.parse().unwrap(),
        version: "1.2-3".parse().unwrap(),
        architecture: Architecture::Arm64,
        control: BTreeMap::from([("control".to_owned(), control.into_bytes())]),
        tree,
    }
}

fn text_of(target: &Target<'_>, at: &str) -> String {
    String::from_utf8(bytes_of(target, at)).unwrap()
}

fn pass(name: &str) -> &'static Pass {
    PASSES.iter().find(|pass| pass.name == name).unwrap()
}

#[test]
fn an_empty_system_has_its_skeleton_and_identity() {
    let bench = Bench::new(
        vec![package(
            "base-files",
            "",
            &[
                ("bin", "-> usr/bin"),
                ("etc/os-release", "-> ../usr/lib/os-release"),
                ("usr/lib/os-release", "ID=debian\nIMAGE_ID=old\nPRETTY_NAME=\"Debian\"\n"),
                ("usr/share/zoneinfo/Etc/UTC", "TZif"),
                ("var/run/.keep", "not bare"),
            ],
        )],
        Files::default(),
    );
    let mut target = bench.target();
    for name in ["skeleton", "hostname", "timezone", "locale", "fstab", "os_release", "machine_id", "clock", "updated"]
    {
        run(pass(name), &mut target).unwrap();
    }
    let link = |at: &str| match &target.root.get(&path(at).unwrap()).unwrap().kind {
        Kind::Symlink(to) => to.to_string(),
        kind => kind.noun().to_owned(),
    };
    let mode = |at: &str| target.root.get(&path(at).unwrap()).unwrap().meta.mode;
    assert_eq!((mode("tmp"), mode("var/tmp"), mode("root"), mode("proc")), (0o1777, 0o1777, 0o700, 0o555));
    assert_eq!(
        (link("lib").as_str(), link("var/lock").as_str(), link("var/run").as_str()),
        ("usr/lib", "/run/lock", "directory")
    );
    assert_eq!(link("etc/localtime"), "/usr/share/zoneinfo/Etc/UTC");
    assert_eq!(text_of(&target, "etc/machine-id"), "uninitialized\n");
    assert_eq!(
        text_of(&target, "etc/os-release"),
        "ID=debian\nPRETTY_NAME=\"Debian\"\nIMAGE_ID=lab\nIMAGE_VERSION=13.7\n"
    );
    assert!(text_of(&target, "etc/fstab").contains("PARTUUID=1234abcd-01 /boot/firmware vfat nofail,"));
    assert!(text_of(&target, "var/.updated").ends_with("\nTIMESTAMP_NSEC=1767225600000000000\n"));
    assert_eq!(target.root.get(&path("usr/lib/clock-epoch").unwrap()).unwrap().meta.mtime, EPOCH);
    assert_eq!(target.provenance.origin(&path("etc/fstab").unwrap()), Some(&Origin::Configured("fstab")));
    assert_eq!(target.provenance.origin(&path("usr/lib/os-release").unwrap()), Some(&Origin::Configured("os_release")));
}

/// base-files' own script makes it with `ln -sf`, which puts the link below a link that is there.
#[test]
fn the_link_to_local_manual_pages_is_not_made_twice() {
    let bench = Bench::new(Vec::new(), Files::default());
    let mut target = bench.target();
    run(pass("skeleton"), &mut target).unwrap();
    assert!(target.root.contains(&path("usr/local/share/man").unwrap()));
    assert!(!target.root.contains(&path("usr/local/man").unwrap()));
}

#[test]
fn a_file_in_the_place_of_a_directory_is_named() {
    let bench = Bench::new(vec![package("alpha", "", &[("mnt", "a file")])], Files::default());
    let error = run(pass("skeleton"), &mut bench.target()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "configuration pass `skeleton` at /mnt: a file stands where the system needs a directory"
    );
    assert_eq!(error.hint(), "`hah-image why /mnt` shows which package or recipe put it there");
}

#[test]
fn the_dpkg_database_is_dpkgs() {
    let mut first = package(
        "alpha",
        "Multi-Arch: same\nMaintainer: A <a@example.org>\n",
        &[("etc/alpha.conf", "x\n"), ("usr/x", "")],
    );
    first.control.insert("conffiles".into(), b"/etc/alpha.conf\nremove-on-upgrade /etc/old\n".to_vec());
    first.control.insert("md5sums".into(), b"d41d8cd98f00b204e9800998ecf8427e  usr/x\n".to_vec());
    let second = package("beta", "Maintainer: B <b@example.org>\nDepends: alpha\n", &[("usr/y", "")]);
    let bench = Bench::new(vec![second, first], Files::default());
    let mut target = bench.target();
    run(pass("dpkg"), &mut target).unwrap();
    let status = text_of(&target, "var/lib/dpkg/status");
    assert!(status.starts_with("Package: alpha\nStatus: install ok installed\nVersion: 1.2-3\n"), "{status}");
    let conffiles =
        "Conffiles:\n /etc/alpha.conf 401b30e3b8b5d629635a5c613cdb7919\n /etc/old newconffile remove-on-upgrade\n";
    assert!(status.contains(conffiles), "{status}");

    let scratch = tree(&target, "dpkg-small", &["var/lib/dpkg", "etc", "usr"]);
    let (root, admin) = (format!("--root={}", scratch.path()), format!("--admindir={}/var/lib/dpkg", scratch.path()));
    if oracle("dpkg", &[&root, &admin, "--force-architecture", "--verify"]) && oracle("dpkg", &[&admin, "--audit"]) {
        let ask = |arguments: &[&str]| {
            let output = std::process::Command::new("dpkg-query").arg(&admin).args(arguments).output().unwrap();
            assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(
            ask(&["-W", "-f", "${binary:Package} ${Status}\n"]),
            "alpha:arm64 install ok installed\nbeta:arm64 install ok installed\n"
        );
        assert_eq!(ask(&["-L", "alpha:arm64"]), "/.\n/etc\n/etc/alpha.conf\n/usr\n/usr/x\n");
    }
}

#[test]
fn the_library_cache_is_ldconfigs() {
    let directory = std::path::Path::new("/lib/x86_64-linux-gnu");
    let names = ["libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "libz.so.1", "libgcc_s.so.1"];
    let mut files = Files::default();
    let mut libraries = package("libs", "", &[("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n")]);
    let mut put = |at: &str, node| libraries.tree.insert(path(at).unwrap(), node).unwrap();
    put(
        "etc/ld.so.conf.d/a.conf",
        Node::file(0o644, Content::inline("# multiarch\n/usr/local/lib/none\n/lib/multi # first\n")),
    );
    put("etc/ld.so.conf.d/b.conf", Node::file(0o644, Content::inline("/usr/lib/multi\n/opt/lib\n")));
    put("lib", Node::symlink("usr/lib"));
    for (number, name) in names.iter().enumerate() {
        let Ok(bytes) = std::fs::read(directory.join(name)) else {
            assert!(
                std::env::var_os("HAH_REQUIRE_ORACLES").is_none() || cfg!(not(target_arch = "x86_64")),
                "{name} is needed"
            );
            println!("skipped: there is no {name}");
            return;
        };
        // Under its own name, as a versioned file whose link is missing, and as a versioned file with link.
        let node = Node::file(0o755, files.store(name, bytes));
        match number % 3 {
            0 => drop(put(&format!("usr/lib/multi/{name}"), node)),
            1 => drop(put(&format!("usr/lib/{name}.10"), node)),
            _ => {
                put(&format!("opt/lib/{name}.9.1"), node);
                put(&format!("opt/lib/{name}"), Node::symlink(&format!("{name}.9.1")));
            }
        }
    }
    put("usr/lib64/ld-linux-x86-64.so.2", Node::symlink("../lib/multi/ld-linux-x86-64.so.2"));
    put("lib64", Node::symlink("usr/lib64"));
    let again = files.store("libz.so.1.2", std::fs::read(directory.join("libz.so.1")).unwrap());
    put("usr/lib/multi/libz.so.1.9", Node::file(0o644, again.clone()));
    put("usr/lib/multi/libz.so.1.10", Node::file(0o644, again));
    put("usr/lib/multi/libz.so", Node::symlink("libz.so.1"));
    put("usr/lib/multi/libgone.so.1", Node::symlink("libgone.so.1.1"));
    put("usr/lib/multi/libtext.so.1", Node::file(0o644, Content::inline("INPUT(libz.so.1)")));

    // The machine's own libraries are of its own architecture, and so is the judge.
    let mut bench = Bench::new(vec![libraries], files);
    bench.system.architecture = Architecture::Amd64;
    let mut target = bench.target();
    let scratch = tree(&target, "ldconfig-small", &["lib", "lib64", "usr", "opt", "etc"]);
    run(pass("ldconfig"), &mut target).unwrap();
    if oracle("ldconfig", &["-X", "-r", scratch.path()]) {
        // Without the option links are made.
        assert!(oracle("ldconfig", &["-r", scratch.path()]));
        let theirs = std::fs::read(format!("{}/etc/ld.so.cache", scratch.path())).unwrap();
        compare_caches(&bytes_of(&target, "etc/ld.so.cache"), &theirs);
        let links = |listing: BTreeMap<String, String>| {
            listing.into_iter().filter(|(_, to)| to.len() < 64).collect::<BTreeMap<_, _>>()
        };
        let ours = tree(&target, "ldconfig-ours", &["usr/lib", "opt/lib"]);
        for directory in ["usr/lib", "opt/lib"] {
            assert_eq!(links(ours.listing(directory)), links(scratch.listing(directory)));
        }
    }
}

#[test]
fn owners_without_ids_and_passes_that_do_not_exist_are_found() {
    let mut alpha = package("alpha", "", &[("etc/passwd", "root:x:0:0:::\n"), ("etc/group", "root:x:0:\nadm:x:4:\n")]);
    let meta = Meta { group: hah_format::tree::Owner::parse("nobodys"), ..Meta::root(0o640) };
    alpha.tree.insert(path("etc/x").unwrap(), Node { meta, kind: Kind::File(Content::inline("")) }).unwrap();
    let bench = Bench::new(vec![alpha], Files::default());
    let error = run(pass("check"), &mut bench.target()).unwrap_err();
    assert_eq!(error.to_string(), "configuration pass `check` at /etc/x: its group nobodys is no group of the image");
    let mut target = bench.target();
    target.effects.handled_by.insert("magic".into());
    let error = run(pass("check"), &mut target).unwrap_err();
    assert_eq!(
        error.to_string(),
        "configuration pass `check`: a reviewed script relies on the pass `magic`, which does not exist"
    );
}

#[test]
fn names_of_passes_are_unique() {
    let names: std::collections::BTreeSet<&str> = PASSES.iter().map(|pass| pass.name).collect();
    assert_eq!(names.len(), PASSES.len());
}
