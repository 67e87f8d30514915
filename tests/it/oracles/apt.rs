//! Which version of which package: apt itself, in a root of its own, against the resolver, on the same indexes.
//!
//! The small worlds are made here and need no network. The large one is Debian's own, which `cargo xtask test` has apt
//! fetch beforehand; `HAH_TEST_APT` names the root that it did so in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hah_format::digest::Sha256;
use hah_plan::debian::Architecture;
use hah_plan::debian::archive::{Automatic, Index, Release};
use hah_plan::resolve::{self, Request, Resolution, SuiteIndex, SuiteReason};
use hah_plan::system::{Archive, Expiry, PackageRequest, Suite, SuiteUse};

use super::is_missing;
use crate::build::judge;

/// apt in a root of its own, as xtask makes them: no package of this machine counts, and none is touched.
struct Apt(PathBuf);

impl Apt {
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        judge(&mut self.command(program, arguments))
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for option in [
            format!("Dir={}", self.0.display()),
            format!("Dir::State::status={}", self.0.join("status").display()),
            "Dir::Bin::methods=/usr/lib/apt/methods".to_owned(),
            "APT::Architecture=arm64".to_owned(),
            "APT::Architectures=arm64".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "APT::Install-Recommends=0".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.args(arguments).env("LC_ALL", "C");
        command
    }

    /// The indexes that apt has: suite, text of its `Release`, text of its `Packages`.
    fn indexes(&self) -> Vec<(String, String, String)> {
        let format = "$(CODENAME) $(METAKEY) $(FILENAME)";
        let targets = self.run("apt-get", &["indextargets", "--format", format, "Created-By: Packages"]);
        let mut found = Vec::new();
        for line in targets.lines() {
            let [codename, key, file] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            // The name of a list is that of its URI; the release's ends where the index's own name begins.
            let below = key.rsplit_once('/').map_or(key, |(directory, _)| directory).replace('/', "_");
            let stem = file.split(&format!("_{below}_")).next().unwrap();
            let release = ["InRelease", "Release"].map(|name| PathBuf::from(format!("{stem}_{name}")));
            let release = release.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap();
            let packages = self.run("/usr/lib/apt/apt-helper", &["cat-file", file]);
            found.push((codename.to_owned(), unsigned(&release).to_owned(), packages));
        }
        found
    }

    /// What apt would install for `words`: `name=version`; none when it cannot.
    fn chooses(&self, words: &[&str]) -> Option<BTreeMap<String, String>> {
        let arguments = [&["--simulate", "install"], words].concat();
        let output = self.command("apt-get", &arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let chosen = text.lines().filter_map(|line| line.strip_prefix("Inst ")).map(|line| {
            let mut words = line.split_whitespace();
            let (name, version) = (words.next().unwrap(), words.next().unwrap());
            (name.to_owned(), version.trim_start_matches('(').to_owned())
        });
        output.status.success().then(|| chosen.collect())
    }
}

/// The text within a signature, where there is one.
fn unsigned(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----") else { return text };
    let (_, text) = rest.split_once("\n\n").unwrap();
    text.split("-----BEGIN PGP SIGNATURE-----").next().unwrap()
}

/// The indexes of one root, for many requests.
struct Suites {
    /// Name, `Release`, `Packages`.
    suites: Vec<(String, Release, String)>,
    /// What is essential, for apt to be told: of itself it thinks so, too, whatever the archive says.
    essential: Vec<String>,
}

impl Suites {
    fn of(apt: &Apt) -> Self {
        let read =
            |(suite, release, packages): (String, String, String)| (suite, Release::parse(&release).unwrap(), packages);
        let suites: Vec<_> = apt.indexes().into_iter().map(read).collect();
        let automatic = suites.iter().filter(|(_, release, _)| release.automatic == Automatic::Yes);
        let entries = automatic.flat_map(|(.., packages)| Index::scan(packages).unwrap().entries);
        let essential = entries.filter(|entry| entry.essential).map(|entry| entry.name.to_owned());
        let essential: BTreeSet<String> = essential.collect();
        Self { essential: essential.into_iter().collect(), suites }
    }

    /// The same with those packages only that `requests` can reach in any way: a debug build takes its time with 60 MB.
    fn reached_from(self, requests: &[&[&str]]) -> Self {
        let mut relations: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let scanned: Vec<Index<'_>> = self.suites.iter().map(|(.., text)| Index::scan(text).unwrap()).collect();
        let names = |field: &'_ str| -> Vec<String> {
            let words =
                field.split([',', '|']).map(|word| word.trim_start().split([' ', ':', '(', '\n']).next().unwrap());
            words.map(str::to_owned).collect()
        };
        for entry in scanned.iter().flat_map(|index| &index.entries) {
            let fields = ["Depends", "Pre-Depends"].into_iter().filter_map(|name| entry.stanza.get(name));
            relations.entry(entry.name).or_default().extend(fields);
        }
        let provided: Vec<(String, &str)> = scanned
            .iter()
            .flat_map(|index| &index.entries)
            .flat_map(|entry| names(entry.provides.unwrap_or_default()).into_iter().map(|name| (name, entry.name)))
            .collect();
        let mut providers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, provider) in &provided {
            providers.entry(name).or_default().push(provider);
        }
        let asked = requests.iter().copied().flatten().map(|word| word.split('/').next().unwrap().to_owned());
        let mut open: Vec<String> = asked.chain(self.essential.iter().cloned()).collect();
        let mut reached = BTreeSet::new();
        while let Some(name) = open.pop() {
            if reached.insert(name.clone()) {
                open.extend(relations.get(name.as_str()).into_iter().flatten().flat_map(|field| names(field)));
                open.extend(providers.get(name.as_str()).into_iter().flatten().map(|name| (*name).to_owned()));
            }
        }
        let kept = |index: &Index<'_>| -> String {
            let kept = index.entries.iter().filter(|entry| reached.contains(entry.name));
            kept.map(|entry| format!("{}\n", entry.stanza.text())).collect()
        };
        let texts: Vec<String> = scanned.iter().map(kept).collect();
        let essential = self.essential.clone();
        let suites =
            self.suites.iter().zip(texts).map(|((suite, release, _), text)| (suite.clone(), release.clone(), text));
        Self { suites: suites.collect(), essential }
    }

    /// What we would install for `words`, which are apt's: `name`, `name/suite`.
    fn chooses(&self, words: &[&str]) -> Result<Resolution, String> {
        let suite = |(name, ..): &(String, Release, String)| Suite {
            name: name.clone(),
            archive: Archive::Debian,
            components: vec!["main".to_owned()],
            expired: Expiry::Refuse,
            use_for: SuiteUse::Default,
            recipe: "base".to_owned(),
        };
        let package = |word: &&str| {
            let (name, suite) = word.split_once('/').map_or((*word, None), |(name, suite)| (name, Some(suite)));
            PackageRequest {
                name: name.parse().unwrap(),
                suite: suite.map(str::to_owned),
                recommends: false,
                recipe: "base".to_owned(),
            }
        };
        let request = Request {
            image: "lab".to_owned(),
            architecture: Architecture::Arm64,
            suites: self.suites.iter().map(suite).collect(),
            archives: Vec::new(),
            packages: words.iter().map(package).collect(),
            provided: BTreeMap::new(),
        };
        let mut indexes = Vec::new();
        for (suite, release, packages) in &self.suites {
            indexes.push(SuiteIndex { suite, automatic: release.automatic, packages: vec![packages] });
        }
        resolve::resolve(&request, &indexes, &BTreeMap::new()).map_err(|error| error.to_string())
    }
}

/// What differs, a line each; nothing when they agree.
fn differences(apt: &Apt, suites: &Suites, words: &[&str]) -> String {
    let essential: Vec<&str> = suites.essential.iter().map(String::as_str).collect();
    let (mut theirs, ours) = (apt.chooses(&[words, &essential].concat()), suites.chooses(words));
    // apt gives up a chain of moves when one of its steps needs two; told each of them it must come to the same end.
    if let (None, Ok(ours)) = (&theirs, &ours) {
        let moved =
            ours.packages.iter().filter(|package| matches!(package.suite_reason, Some(SuiteReason::For { .. })));
        let moved: Vec<String> = moved.map(|package| format!("{}/{}", package.candidate.name, package.suite)).collect();
        let moved: Vec<&str> = moved.iter().map(String::as_str).collect();
        theirs = apt.chooses(&[words, &moved, &essential].concat());
    }
    let mut out = String::new();
    match (theirs, ours) {
        (None, Err(_)) => _ = writeln!(out, "{words:?}: neither can"),
        (None, Ok(ours)) => _ = writeln!(out, "{words:?}: apt cannot, we choose {} packages", ours.packages.len()),
        (Some(theirs), Err(error)) => _ = writeln!(out, "{words:?}: apt chooses {theirs:?}, we cannot: {error}"),
        (Some(theirs), Ok(ours)) => {
            let ours = ours.packages.iter().map(|package| &package.candidate);
            let ours: BTreeMap<String, String> =
                ours.map(|package| (package.name.to_string(), package.version.to_string())).collect();
            for name in theirs.keys().chain(ours.keys().filter(|name| !theirs.contains_key(*name))) {
                let (apt, hah) = (theirs.get(name), ours.get(name));
                if apt != hah {
                    let _ = writeln!(out, "{words:?}: {name}: apt {apt:?}, hah-image {hah:?}");
                }
            }
        }
    }
    out
}

/// Suites of one small archive: name, fields of its `Release`, packages as `name version; Field: value; …`.
type World<'a> = &'a [(&'a str, &'a str, &'a str)];

const AUTOMATIC: &str = "";
const BACKPORTS: &str = "NotAutomatic: yes\nButAutomaticUpgrades: yes\n";
const EXPERIMENTAL: &str = "NotAutomatic: yes\n";

/// An archive in a directory, unsigned, and an apt that knows it.
fn small(directory: &Path, world: World<'_>) -> Apt {
    let root = directory.join("root");
    for below in ["etc/apt/sources.list.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial"] {
        std::fs::create_dir_all(root.join(below)).unwrap();
    }
    std::fs::create_dir_all(root.join("var/cache/apt/archives/partial")).unwrap();
    std::fs::write(root.join("status"), "").unwrap();
    let mut sources = String::new();
    for (suite, fields, lines) in world {
        let mut packages = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut parts = line.split("; ");
            let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
            let fields: String = parts.map(|field| format!("{field}\n")).collect();
            let _ = writeln!(
                packages,
                "Package: {name}\nVersion: {version}\nArchitecture: arm64\nMaintainer: x\nDescription: x\n{fields}\
                 Filename: pool/{name}.deb\nSize: 1\nSHA256: {}\n",
                Sha256::of(line.as_bytes())
            );
        }
        let suite_directory = directory.join("archive/dists").join(suite);
        std::fs::create_dir_all(suite_directory.join("main/binary-arm64")).unwrap();
        std::fs::write(suite_directory.join("main/binary-arm64/Packages"), &packages).unwrap();
        let release = format!(
            "Suite: {suite}\nCodename: {suite}\n{fields}Date: Sun, 15 Jun 2025 15:06:40 UTC\nArchitectures: arm64\n\
             Components: main\nSHA256:\n {} {} main/binary-arm64/Packages\n",
            Sha256::of(packages.as_bytes()),
            packages.len()
        );
        std::fs::write(suite_directory.join("Release"), release).unwrap();
        let _ = writeln!(sources, "deb [trusted=yes] file:{} {suite} main", directory.join("archive").display());
    }
    std::fs::write(root.join("etc/apt/sources.list.d/small.list"), sources).unwrap();
    let apt = Apt(root);
    apt.run("apt-get", &["update"]);
    apt
}

/// The rules of priorities and of pins, each in a world of its own.
#[test]
fn apt_chooses_the_same_versions_in_small_worlds() {
    if is_missing("apt-get") {
        return;
    }
    let kernel: World<'_> = &[
        (
            "stable",
            AUTOMATIC,
            "base 1; Essential: yes\nlinux-base 4\nlinux 6; Depends: linux-6 (= 6)\nlinux-6 6; Depends: linux-base\ncurl 1",
        ),
        (
            "backports",
            BACKPORTS,
            "linux-base 5\nlinux 7; Depends: linux-7 (= 7)\nlinux-7 7; Depends: linux-base (>= 5~)\ncurl 2\nnew 1; Depends: curl",
        ),
    ];
    let choice: World<'_> = &[
        ("stable", AUTOMATIC, "base 1; Essential: yes\naa 1\nbb 1\ncc 1\nold 1; Depends: bb (<< 2)"),
        ("security", AUTOMATIC, "aa 1.1\ncc 1"),
        (
            "backports",
            BACKPORTS,
            "aa 2; Depends: bb\nbb 2\ncc 2; Depends: bb (>= 2) | aa\ndd 2; Depends: bb (>= 2)\nee 2; Depends: bb (>= 9) | aa (>= 2)",
        ),
        ("experimental", EXPERIMENTAL, "aa 3\nbb 3\ndd 3; Depends: bb (>= 3)\ngg 3; Depends: aa"),
    ];
    let upgrades_alone: World<'_> = &[
        ("stable", AUTOMATIC, "base 1; Essential: yes\naa 1"),
        ("odd", "ButAutomaticUpgrades: yes\n", "aa 2"),
        ("odder", "NotAutomatic: true\n", "aa 3"),
    ];
    let requests: [(World<'_>, &[&[&str]]); 3] = [
        (
            kernel,
            &[
                &["linux"],
                &["linux/backports"],
                &["linux/backports", "curl"],
                &["curl/backports"],
                &["new"],
                &["linux-base", "linux/backports"],
            ],
        ),
        (
            choice,
            &[
                &["aa"],
                &["bb"],
                &["aa", "bb", "cc"],
                &["aa/backports"],
                &["aa/experimental"],
                &["aa/stable"],
                &["bb/experimental", "aa"],
                &["cc/backports"],
                &["dd/backports"],
                &["dd/experimental"],
                &["dd"],
                &["ee/backports"],
                &["gg"],
                &["gg/experimental"],
                &["old", "dd/backports"],
            ],
        ),
        (upgrades_alone, &[&["aa"], &["aa/odd"], &["aa/odder"], &["aa/stable"]]),
    ];
    let mut out = String::new();
    for (world, requests) in requests {
        let directory = tempfile::tempdir().unwrap();
        let apt = small(directory.path(), world);
        let suites = Suites::of(&apt);
        assert_eq!(suites.suites.len(), world.len());
        for words in requests {
            out.push_str(&differences(&apt, &suites, words));
        }
    }
    assert_eq!(out, "[\"dd\"]: neither can\n[\"old\", \"dd/backports\"]: neither can\n");
}

/// What people ask for, of trixie, its updates, its security updates and its backports.
///
/// podman is not among them: of alternatives apt takes the first at once, and we leave it when another one is there anyway.
const REQUESTS: [&[&str]; 30] = [
    &["curl"],
    &["linux-image-arm64"],
    &["linux-image-arm64/trixie-backports"],
    &["linux-image-arm64/trixie-backports", "openssh-server", "curl"],
    &["curl/trixie-backports"],
    &["openssh-server"],
    &["systemd-sysv", "libpam-systemd", "systemd-timesyncd"],
    &["chrony"],
    &["nftables", "iproute2", "wpasupplicant"],
    &["git"],
    &["git", "curl/trixie-backports"],
    &["vim"],
    &["python3", "python3-venv"],
    &["man-db"],
    &["nginx"],
    &["tcpdump"],
    &["docker.io"],
    &["postgresql"],
    &["redis-server"],
    &["mosquitto"],
    &["avahi-daemon"],
    &["nfs-kernel-server"],
    &["prometheus-node-exporter"],
    &["btrfs-progs"],
    &["btrfs-progs/trixie-backports"],
    &["cmake/trixie-backports"],
    &["golang-go/trixie-backports"],
    &["gdb/trixie-backports"],
    &["exim4-daemon-light/trixie-backports"],
    &["elfutils/trixie-backports", "gdb"],
];

/// `cargo xtask test` has apt fetch the indexes into `HAH_TEST_APT`.
#[test]
fn apt_chooses_the_same_versions_of_debian() {
    let Some(root) = std::env::var_os("HAH_TEST_APT").filter(|root| !root.is_empty()) else {
        println!("skipped: HAH_TEST_APT names no root of apt");
        return;
    };
    let apt = Apt(PathBuf::from(root));
    let suites = Suites::of(&apt).reached_from(&REQUESTS);
    let names: Vec<&str> = suites.suites.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let mut out = String::new();
    for words in REQUESTS {
        out.push_str(&differences(&apt, &suites, words));
    }
    assert!(out.is_empty(), "\n{out}");
}
